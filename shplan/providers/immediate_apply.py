"""
Carrying out a job that answers at once: ask, write what comes, write the receipt.

Asking is the payment, and the answer is the product. So what comes is written before the ledger is
told of it: parts and the receipt file first, then the files in their places, then the outcome with
the receipt. Who dies before the receipt file is there has lost one answer; who dies later has lost
nothing, since the next run finds what lies beside the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change
from shplan.core.cost import is_over, pu_text
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, OutputError
from shplan.core.files import FileDraft, FileFound, Inspect, Prepare, Write
from shplan.core.request import Answer
from shplan.core.resource import Receipt
from shplan.core.runs import ASK, RunRecord
from shplan.core.value import JsonObject, Object
from shplan.providers.answer_places import Target, part_of
from shplan.providers.base import ChangeFailedError, Settings
from shplan.providers.immediate import ImmediateApi, expected, known_files, latest, source_of
from shplan.providers.immediate_answer import (
    ImmediateJob,
    attributes_of,
    outputs_with,
    settled,
    witness_file,
    written,
)
from shplan.providers.immediate_receipt import Kept, files_of
from shplan.providers.reconciled import MAX_REPEATS, stated_record
from shplan.providers.steps import Act, Claim, Flow, Note, PayAgain, Reply, RunMark


def apply_immediate(api: ImmediateApi, change: Change, settings: Settings) -> Flow[Object]:
    """
    Carry one change out; return what references see.

    Raises:
        ChangeFailedError: what came is no answer, it cannot be written, or it cost too much to ask
            again
    """
    job = ImmediateJob.of(api, change, settings)
    known: RunRecord | None = yield Claim(job.key.digest)
    there: Mapping[str, FileFound] = yield Inspect(*job.asked)
    receipt = latest(None if known is None else known.receipt, job.witnesses(there))
    if receipt is not None and (change.action is not Action.RUN or receipt.attempt >= job.attempt):
        return (yield from _settle(job, known, receipt, there))
    if change.action is not Action.RUN:
        message = "there is no answer of it any more; plan again"
        raise ChangeFailedError(message)
    return (yield from _ask(job, known, there))


# --- what is there -------------------------------------------------------------------------


def _settle(
    job: ImmediateJob, known: RunRecord | None, receipt: Receipt, there: Mapping[str, FileFound]
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


def _regain(
    job: ImmediateJob, receipt: Receipt, there: Mapping[str, FileFound]
) -> Flow[tuple[Kept, ...]]:
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
        own = replace(receipt, outputs=outputs_with(receipt.outputs, tuple(files)))
        hindered: OutputError | None = yield Write(
            tuple(drafts), (witness_file(job, job.change.address, job.places, own, there),)
        )
        if hindered is not None:
            raise ChangeFailedError(str(hindered))
    return tuple(files)


def _content(
    job: ImmediateJob, target: Target, known: tuple[Kept, ...], there: Mapping[str, FileFound]
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


def _ask(
    job: ImmediateJob, known: RunRecord | None, there: Mapping[str, FileFound]
) -> Flow[Object]:
    """
    Ask, and write what comes; a lost answer is asked for again, and paid again.

    Raises:
        ChangeFailedError: something lies where the answer goes, nothing can be written there, what
            came is none, or another request would pass `maxPu`
    """
    for target in job.places.targets:
        if job.may_replace(target.path, there) is None:
            message = f"{target.path} is in the way; nothing was asked; plan again"
            raise ChangeFailedError(message)
    attempt = None if known is None else known.attempts.get(job.attempt)
    if attempt is not None and attempt.ended:
        message = f"attempt {job.attempt} has ended by now: {attempt.cause}; plan again"
        raise ChangeFailedError(message)
    # Where nothing can be written, an answer would be paid and lost, at every apply again.
    hindered: OutputError | None = yield Prepare(job.places.paths)
    if hindered is not None:
        message = f"{hindered}; nothing was asked"
        raise ChangeFailedError(message)
    job.sent = stated_record(job.change.record)
    act = Act(
        ASK,
        (job.api.ask(job.change.record, job.places),),
        lambda replies: settled(job, replies[0]),
        run=job.mark,
        writes=lambda replies: written(job, replies[0], there),
    )
    for number in range(1, MAX_REPEATS + 1):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if isinstance(reply, Answer) and not job.cut:
            return _ended_well(job)
        if isinstance(reply, NoAnswerError):
            # What is longer than anybody takes would be so another time, and paid again.
            told: JsonObject = {"ended": "FAILED", "cause": str(reply)} if reply.permanent else {}
            lost = Settlement(Result.FAILED, message="its answer was lost", data=told)
            yield Note(Event.OUTCOME, lost, operation=ASK, run=job.mark)
            if reply.permanent:
                raise ChangeFailedError(str(reply))
        elif not isinstance(reply, Answer):
            raise reply
        yield from _refuse_dear(job, number)
    message = f"its answer was lost {MAX_REPEATS} times; each of them may have been paid"
    raise ChangeFailedError(message)


def _refuse_dear(job: ImmediateJob, lost: int) -> Flow[None]:
    """
    Stop asking where one more answer could pass the limit of the job, or of the whole apply.

    Raises:
        ChangeFailedError: so it is
    """
    limit, each = job.options.max_pu, job.change.cost.maximum_pu
    if limit is not None and is_over(each * (lost + 1), limit):
        message = (
            f"its answer was lost, and to pay {pu_text(each)} PU again"
            f" would pass `maxPu: {pu_text(limit)}`"
        )
        raise ChangeFailedError(message)
    if lost == MAX_REPEATS:
        return
    budget: float | None = yield PayAgain(each)
    if budget is not None:
        message = (
            f"its answer was lost, and to pay {pu_text(each)} PU again"
            f" would pass the budget of {pu_text(budget)} PU for one apply; the next apply asks again"
        )
        raise ChangeFailedError(message)


def _ended_well(job: ImmediateJob) -> Object:
    receipt = job.receipt
    if receipt is None:
        raise ChangeFailedError(job.fault)
    if receipt.status != "DONE":
        raise ChangeFailedError(_partly(receipt.failed))
    return attributes_of(receipt, files_of(receipt))


def _partly(failed: Mapping[str, str]) -> str:
    first = next(iter(failed.items()), ("", ""))
    return f"{len(failed)} intervals failed; {first[0]}: {first[1]}"
