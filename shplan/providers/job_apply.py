"""
Carrying out a job: create, analyse, look again, start once, wait, write the receipt.

Creating is free and START is the payment. So whatever makes a task is looked up before it is
repeated, and before START everybody chooses the same task: the oldest of the run and attempt,
whoever made it (design, "Jobs").
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change
from shplan.core.cost import Cost, is_over, pu_text
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError
from shplan.core.marker import read_marker
from shplan.core.request import Answer
from shplan.core.resource import Receipt
from shplan.core.runs import CREATE, START, STOP, RunRecord
from shplan.core.value import JsonObject, Object
from shplan.providers.base import ChangeFailedError, Settings, StillRunningError
from shplan.providers.job import JobApi, Phase, Task, belongs
from shplan.providers.job_files import with_late_files
from shplan.providers.job_hand import SLOWEST_POLL, Job, bind, get_task, outcome_of
from shplan.providers.job_late import heard_of_late
from shplan.providers.job_outcome import (
    Features,
    attributes_of,
    billed_so_far,
    estimated,
    failed_features,
    features_of,
    outputs_of,
    receipt_from_bucket,
    receipt_of,
)
from shplan.providers.job_removal import end_removed
from shplan.providers.job_start import MOST_BLIND_LOOKS, act_once, advance
from shplan.providers.job_tasks import TaskIndex
from shplan.providers.job_unlisted import task_unlisted, watched
from shplan.providers.reconciled import MAX_REPEATS, failure
from shplan.providers.steps import Act, Claim, Flow, Note, Progress, Reply, Survey, Wait

# What an outcome says it is about when a run has ended without success.
RUN = "run"
_TICK_S = 0.002
# How many looks at a task pass until its parts are looked at, where they are listed.
_LOOKS_FOR_PARTS = 5


def apply_job(api: JobApi, change: Change, settings: Settings) -> Flow[Object]:
    """
    Carry one change of a job out; return what references see.

    Raises:
        ChangeFailedError: it failed, was stopped, or some of its features failed
        StillRunningError: it runs, and nobody waits for it
    """
    if change.action is Action.DELETE:
        return (yield from end_removed(api, change, settings))
    change = yield from with_late_files(api, change)
    job = Job.of(api, change, settings)
    known = job.counted((yield Claim(job.key.digest)))
    receipt = None if known is None else known.receipt
    if receipt is not None and receipt.status == "DONE":
        yield from bind(job, receipt.id)
        return attributes_of(receipt)
    _refuse_run_before(job, known)
    if change.current.get("evidence"):
        return (yield from _adopt_evidence(job))
    task = yield from _task_to_run(job, known)
    if task.phase is Phase.WAITING or job.restarts:
        task = yield from advance(job, task)
    if task.phase is Phase.WAITING:
        return {"id": task.id, "key": job.key.digest}
    # What the task had cost before this attempt of it, which its own cost goes on from.
    before = 0.0 if known is None else known.billed_pu(task.id)
    return (yield from _follow(job, task, before_pu=before))


def _refuse_run_before(job: Job, known: RunRecord | None) -> None:
    """
    Refuse what the plan could not know: the key was learnt on the way, and it ran before.

    Raises:
        ChangeFailedError: this attempt, or a later one, has ended without success
    """
    if known is None:
        return
    receipt = known.receipt
    if receipt is not None and receipt.attempt >= job.mark.attempt:
        message = f"task {receipt.id}: {failed_features(receipt, job.api)}{_named(receipt.failed)}"
        raise ChangeFailedError(message)
    if known.latest > job.mark.attempt and not job.planned_task:
        message = f"it has run before, {known.latest} times; plan again, its key is known now"
        raise ChangeFailedError(message)


def _adopt_evidence(job: Job) -> Flow[Object]:
    """Write the receipt of a task that is gone, as the files that it left say."""
    task, attempt = str(job.change.current["evidence"]), job.mark.attempt
    parts = job.change.current.get("parts")
    receipt: Receipt | None = yield from receipt_from_bucket(
        job.api,
        job.given,
        job.key,
        task=task,
        attempt=attempt,
        parts=parts if isinstance(parts, int) else 0,
    )
    if receipt is None:
        message = f"the files that task {task} left are no longer there"
        raise ChangeFailedError(message)
    receipt = estimated(receipt, job.estimate)
    yield Note(Event.RECEIPT, job.learnt(id=task, receipt=receipt), run=job.mark)
    return attributes_of(receipt)


# --- finding and making --------------------------------------------------------------------


def _task_to_run(job: Job, known: RunRecord | None) -> Flow[Task]:
    """Return the task that this attempt runs: one that there is, or a new one."""
    if job.api.listing is None:
        return (yield from task_unlisted(job, known))
    if job.planned_task:
        task = yield from get_task(job, job.planned_task)
        if task.phase is not Phase.WAITING:
            return task
        return _everybodys((yield from _look_again(job, task)))
    found = yield from _look(job)
    if not found:
        _refuse_lost(job, known)
        if not job.change.key:
            # No plan has asked the bucket: the key was learnt on the way.
            found = yield from heard_of_late(job, known)
    if not found:
        made = yield from _create(job)
        return _everybodys((yield from _look_until_seen(job, made)))
    if all(task.phase is Phase.WAITING for task in found):
        found = yield from _look_again(job, found[0])
    return _everybodys(found)


def _everybodys(found: list[Task]) -> Task:
    """
    Return what everybody chooses among the tasks of one attempt.

    One that was started is the run, also when it has failed since: to start another in its place
    would be another attempt. Of those that were not, the oldest.
    """
    order = {Phase.DONE: 0, Phase.PARTLY: 0, Phase.RUNNING: 0, Phase.ENDED: 1, Phase.WAITING: 2}
    return min(found, key=lambda task: (order[task.phase], task.age))


def _refuse_lost(job: Job, known: RunRecord | None) -> None:
    """
    Refuse to make a task again that was started, and that the server does not show any more.

    Raises:
        ChangeFailedError: the ledger says so
    """
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    if attempt is not None and (attempt.started or attempt.ended):
        message = "it was started before, and its task is gone from the server; plan again"
        raise ChangeFailedError(message)


def _look_again(job: Job, task: Task) -> Flow[list[Task]]:
    """
    Look for what others have made or started, before a task is started that was there already.

    The list may lag, so that an older one was hidden when this one was found.
    """
    if job.options.start == "auto":
        yield Wait(max(job.settings.list_lag_s, _TICK_S), "others may have made the same task")
    found = {one.id: one for one in (yield from _look(job))}
    # Absence from a list is not absence.
    found.setdefault(task.id, task)
    return sorted(found.values(), key=lambda one: one.age)


def _look(job: Job, made: str = "") -> Flow[list[Task]]:
    """
    Return the tasks of this attempt by age, those that have ended among them.

    Args:
        made: the task that this apply has made: it may carry no marker that would tell
    """
    assert job.api.listing is not None, "there is a list"
    listed: TaskIndex = yield Survey(job.api.listing, job.api.index)
    candidates = listed.candidates(job.key.short, job.api.delivery(job.given.request))
    found = {task.id: task for task in candidates if _is_of_attempt(job, task)}
    own = listed.get(made) if made else None
    if own is not None:
        found.setdefault(own.id, own)
    return sorted(found.values(), key=lambda task: task.age)


def _is_of_attempt(job: Job, task: Task) -> bool:
    marker = read_marker(task.description)
    attempt = 1 if marker is None else marker.attempt
    return attempt == job.mark.attempt and belongs(task, job.given, job.key)


def _look_until_seen(job: Job, made: str) -> Flow[list[Task]]:
    """
    Wait until the list shows our own task and has had time to show everybody's.

    What is created after that look has a later `created` than ours, so that whoever made it
    chooses ours.
    """
    for _ in range(MOST_BLIND_LOOKS):
        yield Wait(max(job.settings.list_lag_s, _TICK_S), "others may have made the same task")
        found = yield from _look(job, made)
        if any(task.id == made for task in found):
            return found
    message = f"task {made} was created and the list does not show it; the same command goes on"
    raise ChangeFailedError(message)


def _create(job: Job) -> Flow[str]:
    """Create the task; where no answer comes, look before it is tried again."""
    request = replace(job.change.requests[0], body=job.body())
    act = Act(CREATE, (request,), lambda replies: _made(job, replies[0]), run=job.mark)
    for _ in range(MAX_REPEATS):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if isinstance(reply, Answer):
            return _id_of(reply)
        if not isinstance(reply, NoAnswerError):
            raise reply
        if job.settings.list_lag_s:
            yield Wait(job.settings.list_lag_s, "the answer was lost; looking whether it happened")
        found = yield from _look(job)
        if found:
            yield outcome_of(job, CREATE, job.learnt(id=found[0].id))
            return found[0].id
        yield outcome_of(job, CREATE, Settlement(Result.FAILED, message="no answer, no effect"))
    message = f"create: the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def _made(job: Job, reply: Reply) -> Settlement:
    return failure(reply) or job.learnt(id=_id_of(cast("Answer", reply)), status=201)


def _id_of(answer: Answer) -> str:
    body = answer.body
    return str(body["id"]) if isinstance(body, dict) and "id" in body else ""


# --- waiting -------------------------------------------------------------------------------


def _follow(job: Job, task: Task, *, before_pu: float = 0.0) -> Flow[Object]:
    """Bind a task that was started, and wait for its end."""
    if not job.starts:
        yield from _adopt(job, task)
    waited, looks = 0.0, 0
    while task.phase is Phase.RUNNING:
        if _is_too_dear(job, task):
            task = yield from _stop(job, task, before_pu=before_pu)
            break
        if not job.settings.waits_for_jobs:
            message = f"task {task.id} runs; the next apply collects it"
            raise StillRunningError(message)
        if job.options.timeout_s is not None and waited >= job.options.timeout_s:
            message = f"task {task.id} still runs after `timeout`; the same command goes on waiting"
            raise ChangeFailedError(message)
        if not job.api.starts_at_once:
            yield Progress(round(task.percent), 100, "percent processed")
        # Every few seconds in the beginning, then once a minute: jobs take hours.
        pause = job.settings.poll_s * min(1 + looks, SLOWEST_POLL)
        yield Wait(pause, f"task {task.id} is running", looks=True)
        waited, looks = waited + pause, looks + 1
        task = yield from _look_at(job, task)
        if task.phase is Phase.RUNNING and looks % _LOOKS_FOR_PARTS == 0:
            task = yield from _with_progress(job, task)
    return (yield from _conclude(job, task, before_pu=before_pu))


def _with_progress(job: Job, task: Task) -> Flow[Task]:
    """Count the parts that are over and what they cost, where the task itself does not say."""
    if job.api.parts is None:
        return task
    seen = yield from features_of(job.api, job.delivery, task.id)
    if seen is None or not seen.total:
        return task
    percent = 100.0 * (seen.total - seen.pending) / seen.total
    return replace(task, percent=percent, cost_pu=seen.cost_pu)


def _adopt(job: Job, task: Task) -> Flow[None]:
    """Bind a task to this address and this run, whoever made and started it."""
    paid = START if task.phase is not Phase.WAITING else ""
    yield Note(Event.ADOPT, job.learnt(id=task.id), operation=paid, run=job.mark)


def _look_at(job: Job, task: Task) -> Flow[Task]:
    """Find a task in the list that all waiting changes share; a missing one is asked for."""
    if job.api.listing is None:
        return (yield from watched(job, task))
    listed: TaskIndex = yield Survey(job.api.listing, job.api.index)
    return listed.get(task.id) or (yield from get_task(job, task.id))


def _is_too_dear(job: Job, task: Task) -> bool:
    limit = job.options.max_pu
    return limit is not None and task.cost_pu is not None and is_over(task.cost_pu, limit)


def _stop(job: Job, task: Task, *, before_pu: float) -> Flow[Task]:
    """
    Stop a task that has cost more than was allowed; return it if it has finished before that.

    Raises:
        ChangeFailedError: it was stopped
    """
    limit = job.options.max_pu
    yield from act_once(job, STOP, job.api.stop(task.id), task, maxPu=limit)
    now = yield from get_task(job, task.id)
    if now.phase in (Phase.DONE, Phase.PARTLY):
        return now
    assert limit is not None, "it was passed"
    assert task.cost_pu is not None, "it was passed"
    cause = f"it had cost {pu_text(task.cost_pu)} PU and `maxPu` is {pu_text(limit)}"
    # What it has cost since it was last looked at counts as well.
    task = replace(task, status=job.api.stopped, cost_pu=max(task.cost_pu, now.cost_pu or 0.0))
    yield outcome_of(job, RUN, _ended(job, task, cause, before_pu=before_pu))
    message = f"task {task.id} was stopped: {cause}; it stays blocked until that is raised"
    raise ChangeFailedError(message)


def _ended(job: Job, task: Task, cause: str, *, before_pu: float) -> Settlement:
    """Return that a task came to no good end, and what it has cost all the same."""
    billed_pu = task.cost_pu or 0.0
    data: JsonObject = {"ended": task.status, "cause": cause}
    if billed_pu:
        data["billedPu"] = billed_pu
    spent_pu = max(billed_pu - before_pu, 0.0) if job.starts else 0.0
    learnt = job.learnt(id=task.id, cost_pu=spent_pu)
    return replace(learnt, data={**learnt.data, **data})


def _conclude(job: Job, task: Task, *, before_pu: float = 0.0) -> Flow[Object]:
    """Write down how a task has ended; what was not wholly done is a failed change."""
    features = yield from _features(job, task)
    # Others who have waited for the same run may have written it down: that is done once.
    known = job.counted((yield Claim(job.key.digest)))
    if task.phase not in (Phase.DONE, Phase.PARTLY):
        cause = task.cause or "no cause given"
        if task.cost_pu is None and features is not None:
            task = replace(task, cost_pu=features.cost_pu)
        if not _has_ended(job, known, task):
            yield outcome_of(job, RUN, _ended(job, task, cause, before_pu=before_pu))
        failed = {} if features is None else features.failed
        message = f"task {task.id}: {task.status}: {cause}{billed_so_far(task)}{_named(failed)}"
        raise ChangeFailedError(message)
    if known is not None and known.receipt is not None and known.is_settled(job.mark.attempt):
        yield from bind(job, known.receipt.id)
        return _concluded(job, known.receipt)
    outputs = yield from outputs_of(job.api, job.delivery, task.id)
    receipt = receipt_of(
        job.given,
        job.key,
        task=task,
        attempt=job.mark.attempt,
        features=features,
        outputs=outputs,
        estimate=_estimated(job, task),
    )
    spent = receipt.cost_pu if job.starts and receipt.cost_pu is not None else 0.0
    spent = max(spent - before_pu, 0.0)
    settlement = job.learnt(id=task.id, receipt=receipt, cost_pu=spent)
    yield Note(Event.RECEIPT, settlement, run=job.mark)
    return _concluded(job, receipt)


def _estimated(job: Job, task: Task) -> Cost | None:
    """Return what was estimated: by the service, where it has, of the whole task; else by the plan."""
    own = None if job.api.estimate is None else job.api.estimate(task)
    return job.estimate if own is None else own


def _concluded(job: Job, receipt: Receipt) -> Object:
    if receipt.failed:
        message = f"task {receipt.id}: {failed_features(receipt, job.api)}{_named(receipt.failed)}"
        raise ChangeFailedError(message)
    return attributes_of(receipt)


def _has_ended(job: Job, known: RunRecord | None, task: Task) -> bool:
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    return attempt is not None and attempt.ended == task.status and task.id in attempt.ids


def _features(job: Job, task: Task) -> Flow[Features | None]:
    """Read how the features have ended; a bucket that fails for a moment is asked again."""
    features = yield from features_of(job.api, job.delivery, task.id)
    if features is None and task.status == "PARTIAL":
        features = Features(0, 0, {"...": task.cause or "some features failed"})
    for _ in range(MAX_REPEATS if job.settings.reads_buckets and job.api.parts is None else 0):
        if features is not None or task.phase is not Phase.DONE:
            break
        yield Wait(job.settings.poll_s, "the execution database cannot be read yet", looks=True)
        features = yield from features_of(job.api, job.delivery, task.id)
    return features


def _named(failed: object) -> str:
    shown = [f"{name}: {cause}" for name, cause in sorted(dict(failed).items())[:5]]  # type: ignore[call-overload]
    return "".join(f"\n  {one}" for one in shown)
