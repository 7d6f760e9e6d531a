"""
Carrying out a job that answers at once: ask, write what comes, write the receipt.

Asking is the payment, and the answer is the product. So what comes is written before the ledger is
told of it: parts and the receipt file first, then the files in their places, then the outcome with
the receipt. Who dies before the receipt file is there has lost one answer; who dies later has lost
nothing, since the next run finds what lies beside the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.cost import Cost
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, OutputError
from shplan.core.files import FileDraft, FileFound, Inspect, Write
from shplan.core.request import Answer
from shplan.core.resource import Receipt
from shplan.core.run_key import RunKey, run_key
from shplan.core.runs import ASK, RunRecord
from shplan.core.value import JsonObject, JsonValue, Object
from shplan.providers.answer_places import Places, Target, part_of
from shplan.providers.answers import BadAnswerError, CutOffError
from shplan.providers.base import (
    Act,
    ChangeFailedError,
    Claim,
    Flow,
    Note,
    Reply,
    RunMark,
    Settings,
)
from shplan.providers.immediate import (
    ImmediateApi,
    Judged,
    expected,
    input_of,
    known_files,
    label_of,
    latest,
    places_from,
    source_of,
)
from shplan.providers.immediate_decide import ImmediateOptions
from shplan.providers.immediate_receipt import (
    LONGEST_BYTES,
    Kept,
    files_of,
    kept_of,
    read_receipt,
    receipt_text,
)
from shplan.providers.reconciled import MAX_REPEATS, failure, stated_record


def apply_immediate(api: ImmediateApi, change: Change, settings: Settings) -> Flow[Object]:
    """
    Carry one change out; return what references see.

    Raises:
        ChangeFailedError: what came is no answer, it cannot be written, or it cost too much to ask
            again
    """
    job = _Job.of(api, change, settings)
    known: RunRecord | None = yield Claim(job.key.digest)
    there: Mapping[str, FileFound] = yield Inspect(*job.asked)
    receipt = latest(None if known is None else known.receipt, job.witnesses(there))
    if receipt is not None and (change.action is not Action.RUN or receipt.attempt >= job.attempt):
        return (yield from _settle(job, known, receipt, there))
    if change.action is not Action.RUN:
        message = "there is no answer of it any more; plan again"
        raise ChangeFailedError(message)
    return (yield from _ask(job, known, there))


@dataclass(slots=True)
class _Job:
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
    def of(cls, api: ImmediateApi, change: Change, settings: Settings) -> _Job:
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
        return max(self.change.attempt, 1)

    @property
    def mark(self) -> RunMark:
        return RunMark(self.key.digest, self.attempt)

    @property
    def label(self) -> str:
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

    `path`, `sha256` and `sizeBytes` are those of the only file, or of the first.
    """
    first = files[0] if files else None
    return {
        "key": receipt.key,
        "status": receipt.status,
        "cost": receipt.cost_pu,
        "path": "" if first is None else first.path,
        "sha256": "" if first is None else first.sha256,
        "sizeBytes": 0 if first is None else first.size_bytes,
        "files": {one.name or one.form: {"path": one.path, "sha256": one.sha256} for one in files},
    }


# --- what is there -------------------------------------------------------------------------


def _settle(
    job: _Job, known: RunRecord | None, receipt: Receipt, there: Mapping[str, FileFound]
) -> Flow[Object]:
    """Put in its place what can be made of what is here, and record whose it is."""
    files = yield from _regain(job, receipt, there)
    in_ledger = None if known is None else known.receipt
    if in_ledger is None or in_ledger.attempt < receipt.attempt:
        mark = RunMark(job.key.digest, receipt.attempt)
        yield Note(Event.RECEIPT, job.learnt(files, receipt=receipt), run=mark)
    else:
        yield Note(Event.ADOPT, job.learnt(files))
    if receipt.status != "DONE":
        raise ChangeFailedError(_partly(receipt.failed))
    return attributes_of(receipt, files)


def _regain(job: _Job, receipt: Receipt, there: Mapping[str, FileFound]) -> Flow[tuple[Kept, ...]]:
    """Return the files of this address; those that can be had for nothing are written."""
    known = known_files(job.recorded, receipt, job.witnesses(there))
    missing = [one.path for one in known if one.path not in there]
    if missing:
        more: Mapping[str, FileFound] = yield Inspect(tuple(dict.fromkeys(missing)))
        there = {**more, **there}
    files: list[Kept] = []
    drafts: list[FileDraft] = []
    for target in job.places.targets:
        wanted = expected(job.api, target, known, label=job.label)
        found = there.get(target.path)
        if wanted is not None and found is not None and found.sha256 == wanted.sha256:
            files.append(replace(wanted, path=target.path))
            continue
        content = yield from _content(job, target, known, there)
        replaces = job.may_replace(target.path, there)
        if content is None or replaces is None or not job.restores:
            if wanted is not None:
                files.append(replace(wanted, path=target.path))
            continue
        kept = Kept.of(target, content, label=job.api.label_of(target, job.label))
        files.append(kept)
        drafts.append(
            FileDraft(target.path, part_of(target.path, job.key.short), content, replaces)
        )
    if drafts:
        own = replace(receipt, outputs=_outputs(receipt.outputs, tuple(files)))
        hindered: OutputError | None = yield Write(
            tuple(drafts), (_witness(job, job.change.address, job.places, own, there),)
        )
        if hindered is not None:
            raise ChangeFailedError(str(hindered))
    return tuple(files)


def _content(
    job: _Job, target: Target, known: tuple[Kept, ...], there: Mapping[str, FileFound]
) -> Flow[bytes | None]:
    source = source_of(job.api, target, known, there, label=job.label, key=job.key.short)
    if source is None:
        return None
    read: Mapping[str, FileFound] = yield Inspect((source.path,), frozenset({source.path}))
    content = None if source.path not in read else read[source.path].content
    if content is None or read[source.path].sha256 != source.sha256:
        return None
    if source.form == target.form:
        return content
    return job.api.content({"": content}, target, job.change.record, job.label)


# --- asking --------------------------------------------------------------------------------


def _ask(job: _Job, known: RunRecord | None, there: Mapping[str, FileFound]) -> Flow[Object]:
    """
    Ask, and write what comes; a lost answer is asked for again, and paid again.

    Raises:
        ChangeFailedError: something lies where the answer goes, what came is none, or another
            request would pass `maxPu`
    """
    for target in job.places.targets:
        if job.may_replace(target.path, there) is None:
            message = f"{target.path} is in the way; nothing was asked; plan again"
            raise ChangeFailedError(message)
    attempt = None if known is None else known.attempts.get(job.attempt)
    if attempt is not None and attempt.ended:
        message = f"attempt {job.attempt} has ended by now: {attempt.cause}; plan again"
        raise ChangeFailedError(message)
    job.sent = stated_record(job.change.record)
    act = Act(
        ASK,
        (job.api.ask(job.change.record, job.places),),
        lambda replies: _answered(job, replies[0]),
        run=job.mark,
        writes=lambda replies: _writes(job, replies[0], there),
    )
    for number in range(1, MAX_REPEATS + 1):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if isinstance(reply, Answer) and not job.cut:
            return _ended_well(job)
        if isinstance(reply, NoAnswerError):
            lost = Settlement(Result.FAILED, message="its answer was lost")
            yield Note(Event.OUTCOME, lost, operation=ASK, run=job.mark)
        elif not isinstance(reply, Answer):
            raise reply
        _refuse_dear(job, number)
    message = f"its answer was lost {MAX_REPEATS} times; each of them may have been paid"
    raise ChangeFailedError(message)


def _refuse_dear(job: _Job, lost: int) -> None:
    """
    Stop asking where one more answer could pass the limit.

    Raises:
        ChangeFailedError: so it is
    """
    limit, each = job.options.max_pu, job.change.cost.maximum_pu
    if limit is not None and each * (lost + 1) > limit:
        message = f"its answer was lost, and to pay {each:g} PU again would pass `maxPu: {limit:g}`"
        raise ChangeFailedError(message)


def _ended_well(job: _Job) -> Object:
    receipt = job.receipt
    if receipt is None:
        raise ChangeFailedError(job.fault)
    if receipt.status != "DONE":
        raise ChangeFailedError(_partly(receipt.failed))
    return attributes_of(receipt, files_of(receipt))


def _partly(failed: Mapping[str, str]) -> str:
    first = next(iter(failed.items()), ("", ""))
    return f"{len(failed)} intervals failed; {first[0]}: {first[1]}"


def _writes(job: _Job, reply: Reply, there: Mapping[str, FileFound]) -> Write | None:
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
            witnesses.append(_witness(job, address, places, receipt, there))
            drafts += made
            job.receipt = receipt if address == own else job.receipt
    except BadAnswerError as error:
        job.receipt, job.fault, job.cut = None, str(error), isinstance(error, CutOffError)
        return None
    return Write(tuple(drafts), tuple(witnesses))


def _drafts(
    job: _Job, judged: Judged, address: Address, places: Places, there: Mapping[str, FileFound]
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


def _kept(job: _Job, drafts: list[FileDraft], address: Address, places: Places) -> tuple[Kept, ...]:
    label = label_of(address)
    return tuple(
        Kept.of(target, draft.content, label=job.api.label_of(target, label))
        for target, draft in zip(places.targets, drafts, strict=True)
    )


def _witness(
    job: _Job,
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


# --- receipts ------------------------------------------------------------------------------


def _answered(job: _Job, reply: Reply) -> Settlement:
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


def _receipt(job: _Job, judged: Judged, answer: Answer, files: tuple[Kept, ...]) -> Receipt:
    outputs = _outputs({"estimate": _estimate(job.change.cost)}, files)
    return Receipt(
        key=job.key.digest,
        attempt=job.attempt,
        id="",
        status=judged.status,
        parts=job.key.parts,
        request=job.sent,
        cost_pu=answer.spent_pu,
        outputs={name: value for name, value in outputs.items() if value},
        failed=dict(judged.failed),
        estimate_pu=job.change.cost.levels if job.change.cost.maximum_pu else None,
    )


def _outputs(outputs: JsonObject, files: tuple[Kept, ...]) -> JsonObject:
    return {**outputs, "files": cast("JsonValue", [one.as_json() for one in files])}


def _estimate(cost: Cost) -> JsonObject:
    if not cost.maximum_pu:
        return {}
    return {
        "minimumPu": cost.minimum_pu,
        "expectedPu": cost.expected_pu,
        "maximumPu": cost.maximum_pu,
    }
