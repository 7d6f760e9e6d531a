"""
An answer on its way to the project: what is read of it, what is written, and what its receipt says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.entry import Result, Settlement
from shplan.core.files import FileDraft, FileFound, Write
from shplan.core.request import Answer
from shplan.core.resource import Receipt
from shplan.core.run_key import RunKey, run_key
from shplan.core.value import JsonObject, JsonValue, Object
from shplan.providers.answer_places import Places, part_of
from shplan.providers.answers import BadAnswerError, CutOffError
from shplan.providers.base import Settings
from shplan.providers.immediate import ImmediateApi, Judged, input_of, label_of, places_from
from shplan.providers.immediate_case import ImmediateOptions
from shplan.providers.immediate_receipt import (
    LONGEST_BYTES,
    Kept,
    files_of,
    kept_of,
    read_receipt,
    receipt_text,
)
from shplan.providers.job_outcome import estimated
from shplan.providers.reconciled import failure, stated_record
from shplan.providers.steps import Reply, RunMark


@dataclass(slots=True)
class ImmediateJob:
    """
    What one apply of a job has in hand.

    Args:
        receipt: of the answer, once it came
        fault: why what came is none
        cut: it was the answer, and a part of it was lost on its way
        sent: the request's body, secrets by name
    """

    api: ImmediateApi
    change: Change
    settings: Settings
    options: ImmediateOptions
    key: RunKey
    places: Places
    twins: tuple[tuple[Address, Places], ...]
    receipt: Receipt | None = None
    fault: str = ""
    cut: bool = False
    sent: JsonObject = field(default_factory=dict)

    @classmethod
    def of(cls, api: ImmediateApi, change: Change, settings: Settings) -> ImmediateJob:
        """Key it again, now that everything of its request is known."""
        run = cast("Object", change.current.get("run") or {})
        given = input_of(api.kind, change.record, run, deployment=settings.deployment)
        key = run_key(given)
        directory = str(change.current.get("directory") or "")
        places = api.places(change.record, run.get("output"), directory).keyed(key.short)
        twins = cast("list[tuple[str, Object]]", change.current.get("twins") or [])
        others = tuple((Address.parse(text), places_from(told)) for text, told in twins)
        return cls(api, change, settings, ImmediateOptions.of(run), key, places, others)

    @property
    def attempt(self) -> int:
        """Which attempt would be made."""
        return max(self.change.attempt, 1)

    @property
    def mark(self) -> RunMark:
        """Which run, and which attempt of it, the ledger is told of."""
        return RunMark(self.key.digest, self.attempt)

    @property
    def label(self) -> str:
        """What tables call the feature."""
        return label_of(self.change.address)

    @property
    def restores(self) -> bool:
        """The plan has said that files may be made of what is here, or another address asks."""
        planned = self.change.action in (Action.RESUME, Action.RUN)
        return planned or "sameRun" in self.change.current

    @property
    def asked(self) -> tuple[tuple[str, ...], frozenset[str], int]:
        """What is looked at before anything is done: own places and parts, and twins' places."""
        paths: dict[str, None] = {}
        for places in (self.places, *(places for _, places in self.twins)):
            for path in places.paths:
                paths[path] = paths[part_of(path, self.key.short)] = None
        witnesses = (self.places.witness, *(places.witness for _, places in self.twins))
        return tuple(paths), frozenset(witnesses), LONGEST_BYTES

    @property
    def recorded(self) -> tuple[Kept, ...]:
        """What may be written over, as the plan has found it."""
        return kept_of(self.change.current.get("files"))

    def witnesses(self, there: Mapping[str, FileFound]) -> tuple[Receipt, ...]:
        """Return what receipt files say of this run, the own first."""
        every = (self.places.witness, *(places.witness for _, places in self.twins))
        read = (read_receipt(there[path].content) for path in every if path in there)
        return tuple(one for one in read if one is not None and one.key == self.key.digest)

    def may_replace(self, path: str, there: Mapping[str, FileFound]) -> frozenset[str] | None:
        """Return the digests that may be written over at a place, None where something is in the way."""
        found = there.get(path)
        if found is None:
            return frozenset()
        if found.obstacle:
            return None
        ours = cast("dict[str, list[str]]", self.change.current.get("ours") or {})
        agreed = path in ours and self.options.materializes
        return frozenset({found.sha256}) if agreed or found.sha256 in ours.get(path, ()) else None

    def learnt(self, files: tuple[Kept, ...], **more: object) -> Settlement:
        """Return what every entry about this job repeats."""
        base = Settlement(
            Result.DONE,
            owned=True,
            spec=stated_record(self.change.record),
            prevent_destroy=self.change.prevent_destroy,
            # That it waits for its twin is this apply's matter, not the manifest's.
            depends_on=tuple(
                str(address)
                for address in self.change.depends_on
                if str(address) != self.change.current.get("sameRun")
            ),
            data={"key": self.key.digest, "files": [one.as_json() for one in files]},
        )
        return replace(base, **more)  # type: ignore[arg-type]


def attributes_of(receipt: Receipt, files: tuple[Kept, ...]) -> Object:
    """
    Return what references see: the key, the cost, and the files by their names.

    `path`, `sha256`, `digest` and `sizeBytes` are those of the only file, or of the first.
    """
    first = files[0] if files else None
    return {
        "key": receipt.key,
        "status": receipt.status,
        "cost": receipt.cost_pu,
        "path": "" if first is None else first.path,
        "sha256": "" if first is None else first.sha256,
        "digest": "" if first is None else f"sha256:{first.sha256}",
        "sizeBytes": 0 if first is None else first.size_bytes,
        "files": {one.name or one.form: {"path": one.path, "sha256": one.sha256} for one in files},
    }


def written(job: ImmediateJob, reply: Reply, there: Mapping[str, FileFound]) -> Write | None:
    """Read an answer, and say what is to be written: own files, and those of who asks the same."""
    if not isinstance(reply, Answer):
        return None
    job.receipt, job.fault, job.cut = None, "", False
    own = job.change.address
    others = [
        (address, places)
        for address, places in job.twins
        if not any(path in there for path in places.paths)
    ]
    drafts: list[FileDraft] = []
    witnesses: list[FileDraft] = []
    try:
        judged = job.api.judge(reply, job.change.record, job.places)
        for address, places in ((own, job.places), *others):
            made = _drafts(job, judged, address, places, there)
            receipt = _receipt(job, judged, reply, _kept(job, made, address, places))
            witnesses.append(witness_file(job, address, places, receipt, there))
            drafts += made
            job.receipt = receipt if address == own else job.receipt
    except BadAnswerError as error:
        job.receipt, job.fault, job.cut = None, str(error), isinstance(error, CutOffError)
        return None
    return Write(tuple(drafts), tuple(witnesses))


def _drafts(
    job: ImmediateJob,
    judged: Judged,
    address: Address,
    places: Places,
    there: Mapping[str, FileFound],
) -> list[FileDraft]:
    return [
        FileDraft(
            target.path,
            part_of(target.path, job.key.short),
            job.api.content(judged.contents, target, job.change.record, label_of(address)),
            job.may_replace(target.path, there) or frozenset(),
        )
        for target in places.targets
    ]


def _kept(
    job: ImmediateJob, drafts: list[FileDraft], address: Address, places: Places
) -> tuple[Kept, ...]:
    label = label_of(address)
    return tuple(
        Kept.of(target, draft.content, label=job.api.label_of(target, label))
        for target, draft in zip(places.targets, drafts, strict=True)
    )


def witness_file(
    job: ImmediateJob,
    address: Address,
    places: Places,
    receipt: Receipt,
    there: Mapping[str, FileFound],
) -> FileDraft:
    """Return the receipt file; an older one is written over, whatever it says."""
    found = there.get(places.witness)
    before = frozenset({found.sha256}) if found is not None and found.sha256 else frozenset()
    part = part_of(places.witness, job.key.short)
    return FileDraft(places.witness, part, receipt_text(address, receipt), before)


def settled(job: ImmediateJob, reply: Reply) -> Settlement:
    """Return what an answer teaches the ledger: a receipt, or that what came is none."""
    failed = failure(reply)
    if failed is not None:
        return failed
    answer = cast("Answer", reply)
    spent_pu = answer.spent_pu or 0.0
    receipt = job.receipt
    if receipt is None:
        return Settlement(
            Result.FAILED,
            status=answer.status,
            cost_pu=spent_pu,
            message=job.fault,
            data={} if job.cut else {"ended": "FAILED", "cause": job.fault},
        )
    return job.learnt(files_of(receipt), status=answer.status, cost_pu=spent_pu, receipt=receipt)


def _receipt(job: ImmediateJob, judged: Judged, answer: Answer, files: tuple[Kept, ...]) -> Receipt:
    receipt = Receipt(
        key=job.key.digest,
        attempt=job.attempt,
        id="",
        status=judged.status,
        parts=job.key.parts,
        request=job.sent,
        cost_pu=answer.spent_pu,
        outputs=outputs_with({}, files),
        failed=dict(judged.failed),
    )
    return estimated(receipt, job.change.cost if job.change.cost.maximum_pu else None)


def outputs_with(outputs: JsonObject, files: tuple[Kept, ...]) -> JsonObject:
    """Return what a receipt says of its outputs, with these files."""
    return {**outputs, "files": cast("JsonValue", [one.as_json() for one in files])}
