"""
Carrying out a job: create, analyse, look again, start once, wait, write the receipt.

Creating is free and START is the payment. So whatever makes a task is looked up before it is
repeated, and before START everybody chooses the same task: the oldest of the run and attempt,
whoever made it (design, "Jobs").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from shplan.core.change import Action, Change
from shplan.core.cost import Cost
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, RefusedError
from shplan.core.key_format import put_key
from shplan.core.marker import Marker, read_marker
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Receipt
from shplan.core.run_key import RunInput, RunKey, run_key
from shplan.core.runs import CREATE, START, STOP, RunRecord
from shplan.core.value import JsonValue, Object, Value, fill
from shplan.providers.base import (
    Act,
    ChangeFailedError,
    Claim,
    Flow,
    Note,
    Progress,
    Reply,
    RunMark,
    Settings,
    StillRunningError,
    Survey,
    Wait,
)
from shplan.providers.job import JobApi, Phase, Task, belongs, input_of
from shplan.providers.job_decide import Options
from shplan.providers.job_outcome import (
    Features,
    attributes_of,
    failed_features,
    features_of,
    outputs_of,
    receipt_from_bucket,
    receipt_of,
)
from shplan.providers.job_removal import end_removed
from shplan.providers.job_tasks import TaskIndex
from shplan.providers.job_unlisted import task_unlisted, watched
from shplan.providers.reconciled import MAX_REPEATS, cost_of, failure, read_or_none, stated_record

ANALYSE = "analyse"
# What an outcome says it is about when a run has ended without success.
RUN = "run"
_TICK_S = 0.002
# A server that loses sight of a task for so many looks has lost it.
_MOST_BLIND_LOOKS = 10
_SLOWEST_POLL = 12
# The same sum, added up in another order.
_ROUNDING = 1e-6
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
    job = _Job.of(api, change, settings)
    known: RunRecord | None = yield Claim(job.key.digest)
    receipt = None if known is None else known.receipt
    if receipt is not None and receipt.status == "DONE":
        yield from _bind(job, receipt.id)
        return attributes_of(receipt)
    _refuse_run_before(job, known)
    if change.current.get("evidence"):
        return (yield from _adopt_evidence(job))
    task = yield from _task_to_run(job, known)
    if task.phase is Phase.WAITING or job.restarts:
        task = yield from _advance(job, task)
    if task.phase is Phase.WAITING:
        return {"id": task.id, "key": job.key.digest}
    # What the task had cost before this attempt of it, which its own cost goes on from.
    before = 0.0 if receipt is None or receipt.id != task.id else receipt.cost_pu or 0.0
    return (yield from _follow(job, task, before_pu=before))


@dataclass(slots=True)
class _Job:
    """
    What one apply of a job has in hand.

    Args:
        starts: this flow has sent START, so that the cost is this apply's
    """

    api: JobApi
    change: Change
    settings: Settings
    options: Options
    given: RunInput
    key: RunKey
    starts: bool = False

    @classmethod
    def of(cls, api: JobApi, change: Change, settings: Settings) -> _Job:
        run = cast("Object", change.current.get("run") or {})
        files = cast("dict[str, str]", change.current.get("files") or {})
        given = input_of(api, change.record, run, deployment=settings.deployment, files=files)
        return cls(api, change, settings, Options.of(run), given, run_key(given))

    @property
    def mark(self) -> RunMark:
        return RunMark(self.key.digest, max(self.change.attempt, 1))

    @property
    def planned_task(self) -> str:
        """The task that the plan has shown, empty where it was to be made."""
        task = self.change.current.get("task")
        return task if isinstance(task, str) else ""

    @property
    def restarts(self) -> bool:
        """The plan has shown that a stopped task is started again, as an attempt of its own."""
        return self.change.action is Action.RUN and bool(self.planned_task)

    @property
    def estimate_pu(self) -> tuple[float, float, float] | None:
        """What the plan has estimated, for what it starts and for what it finds started."""
        found = self.change.current.get("estimate")
        return cast("tuple[float, float, float]", tuple(found)) if isinstance(found, list) else None

    @property
    def delivery(self) -> str:
        return put_key(self.api.delivery(self.given.request), self.key.short)

    def body(self) -> Object:
        """Return the body to send: marked, with the key where the manifest wants it."""
        marker = Marker(
            self.settings.project, self.change.address, self.key.short, self.mark.attempt
        )
        stated = cast("Object", self.change.requests[0].body)
        keyed = cast("Object", fill(stated, self._keyed))
        return self.api.with_marker(keyed, marker)

    def _keyed(self, leaf: Value) -> Value:
        return put_key(leaf, self.key.short) if isinstance(leaf, str) else leaf

    def learnt(self, **more: object) -> Settlement:
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
            data={
                "key": self.key.digest,
                "onRemove": cast("JsonValue", self.change.current.get("onRemove", "keep")),
                "api": self.api.api,
            },
        )
        return replace(base, **more)  # type: ignore[arg-type]


def _bind(job: _Job, task: str) -> Flow[None]:
    """Record at this address which run is its own."""
    yield Note(Event.ADOPT, job.learnt(id=task))


def _refuse_run_before(job: _Job, known: RunRecord | None) -> None:
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


def _adopt_evidence(job: _Job) -> Flow[Object]:
    """Write the receipt of a task that is gone, as the files that it left say."""
    task, attempt = str(job.change.current["evidence"]), job.mark.attempt
    receipt: Receipt | None = yield from receipt_from_bucket(
        job.api, job.given, job.key, task=task, attempt=attempt
    )
    if receipt is None:
        message = f"the files that task {task} left are no longer there"
        raise ChangeFailedError(message)
    yield Note(Event.RECEIPT, job.learnt(id=task, receipt=receipt), run=job.mark)
    return attributes_of(receipt)


# --- finding and making --------------------------------------------------------------------


def _task_to_run(job: _Job, known: RunRecord | None) -> Flow[Task]:
    """Return the task that this attempt runs: one that there is, or a new one."""
    if job.api.listing is None:
        return (yield from task_unlisted(job, known))
    if job.planned_task:
        task = yield from _get(job, job.planned_task)
        if task.phase is not Phase.WAITING:
            return task
        return _everybodys((yield from _look_again(job, task)))
    found = yield from _look(job)
    if not found:
        _refuse_lost(job, known)
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


def _refuse_lost(job: _Job, known: RunRecord | None) -> None:
    """
    Refuse to make a task again that was started, and that the server does not show any more.

    Raises:
        ChangeFailedError: the ledger says so
    """
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    if attempt is not None and (attempt.started or attempt.ended):
        message = "it was started before, and its task is gone from the server; plan again"
        raise ChangeFailedError(message)


def _look_again(job: _Job, task: Task) -> Flow[list[Task]]:
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


def _look(job: _Job, made: str = "") -> Flow[list[Task]]:
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


def _is_of_attempt(job: _Job, task: Task) -> bool:
    marker = read_marker(task.description)
    attempt = 1 if marker is None else marker.attempt
    return attempt == job.mark.attempt and belongs(task, job.given, job.key)


def _look_until_seen(job: _Job, made: str) -> Flow[list[Task]]:
    """
    Wait until the list shows our own task and has had time to show everybody's.

    What is created after that look has a later `created` than ours, so that whoever made it
    chooses ours.
    """
    for _ in range(_MOST_BLIND_LOOKS):
        yield Wait(max(job.settings.list_lag_s, _TICK_S), "others may have made the same task")
        found = yield from _look(job, made)
        if any(task.id == made for task in found):
            return found
    message = f"task {made} was created and the list does not show it; the same command goes on"
    raise ChangeFailedError(message)


def _create(job: _Job) -> Flow[str]:
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
            yield _outcome(job, CREATE, job.learnt(id=found[0].id))
            return found[0].id
        yield _outcome(job, CREATE, Settlement(Result.FAILED, message="no answer, no effect"))
    message = f"create: the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def _made(job: _Job, reply: Reply) -> Settlement:
    return failure(reply) or job.learnt(id=_id_of(cast("Answer", reply)), status=201)


def _id_of(answer: Answer) -> str:
    body = answer.body
    return str(body["id"]) if isinstance(body, dict) and "id" in body else ""


def _outcome(job: _Job, operation: str, settlement: Settlement) -> Note:
    return Note(Event.OUTCOME, settlement, operation=operation, run=job.mark)


def _get(job: _Job, task: str) -> Flow[Task]:
    answer: Answer | None = yield from read_or_none(job.api.get(task))
    if answer is None or not isinstance(answer.body, dict):
        message = f"task {task} is gone from the server; plan again"
        raise ChangeFailedError(message)
    return job.api.task_of(answer.body)


# --- starting ------------------------------------------------------------------------------


def _advance(job: _Job, task: Task) -> Flow[Task]:
    """Analyse or start a task that waits, as the manifest says; start one again that stopped."""
    if job.restarts:
        return (yield from _start(job, task))
    if job.options.start == "manual":
        yield from _bind(job, task.id)
        return task
    if job.options.start == "analyse":
        if not task.analysed:
            yield from _act_once(job, ANALYSE, job.api.analyse(task.id), task)
        return task
    return (yield from _start(job, task))


def _start(job: _Job, task: Task) -> Flow[Task]:
    """
    Start a task, which is the payment, after everything that forbids it was looked at.

    Raises:
        ChangeFailedError: it could cost more than `maxPu`
    """
    limit, cost = job.options.max_pu, job.change.cost.maximum_pu
    if limit is not None and cost > limit:
        message = f"it can cost {cost:g} PU and `maxPu` is {limit:g}; it was not started"
        raise ChangeFailedError(message)
    if job.api.estimate is not None and not job.restarts:
        task = yield from _estimated(job, task)
        if task.phase is not Phase.WAITING:
            return task
    again = job.api.again if task.phase is Phase.PARTLY else None
    start = again(task.id) if again is not None else job.api.start(task.id)
    if all(request.operation != start.operation for request in job.change.requests):
        # Nobody has seen its price, and no budget was asked.
        message = f"task {task.id} is not started, and the plan did not say that it would be"
        raise ChangeFailedError(message)
    known: RunRecord | None = yield Claim(job.key.digest)
    now = yield from _get(job, task.id)
    before = task.phase if job.restarts else Phase.WAITING
    if now.phase is before and _is_started(job, known, task):
        # Somebody with the same ledger did, while this one waited for the list.
        now = yield from _get_started(job, now)
    if now.phase is not before:
        return now
    yield from _act_once(job, START, start, now)
    job.starts = True
    return (yield from _get_started(job, now))


def _is_started(job: _Job, known: RunRecord | None, task: Task) -> bool:
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    return attempt is not None and task.id in attempt.confirmed


def _get_started(job: _Job, before: Task) -> Flow[Task]:
    """Read a task whose START was taken: what it says of itself may lag behind."""
    now = yield from _get(job, before.id)
    for _ in range(_MOST_BLIND_LOOKS):
        if _is_another(before, now):
            break
        yield Wait(job.settings.poll_s, f"task {before.id} is about to run", looks=True)
        now = yield from _get(job, before.id)
    return now


def _is_another(before: Task, now: Task) -> bool:
    """Tell whether a task has moved; what was partly done may be so again."""
    if now.phase is before.phase is Phase.PARTLY:
        return now.acted != before.acted
    return now.phase is not before.phase


def _estimated(job: _Job, task: Task) -> Flow[Task]:
    """
    Have a task analysed, which is free, and compare what the service estimates with the limits.

    Raises:
        ChangeFailedError: it is above `maxPu`, or above what the plan has shown
    """
    assert job.api.estimate is not None, "asked of an API that estimates"
    if not task.analysed:
        yield from _act_once(job, ANALYSE, job.api.analyse(task.id), task)
    waited, looks = 0.0, 0
    while task.phase is Phase.WAITING and job.api.estimate(task) is None:
        if job.options.timeout_s is not None and waited > job.options.timeout_s:
            message = f"task {task.id} is still analysed after `timeout`; the same command goes on"
            raise ChangeFailedError(message)
        if looks:
            pause = job.settings.poll_s * min(looks, _SLOWEST_POLL)
            yield Wait(pause, f"task {task.id} is analysed", looks=True)
            waited += pause
        task, looks = (yield from _get(job, task.id)), looks + 1
    cost = job.api.estimate(task)
    if task.phase is Phase.WAITING and cost is not None:
        _refuse_dearer(job, task, cost)
    return task


def _refuse_dearer(job: _Job, task: Task, cost: Cost) -> None:
    limit, planned = job.options.max_pu, job.change.cost.maximum_pu
    told = f"the service estimates that task {task.id} costs {cost.maximum_pu:,.6g} PU"
    if limit is not None and cost.maximum_pu > limit:
        message = f"{told} and `maxPu` is {limit:g}; it was not started"
        raise ChangeFailedError(message)
    if not job.change.unpriced and cost.maximum_pu > planned * (1 + _ROUNDING):
        # No budget was asked for so much, and nobody has seen it.
        message = (
            f"{told}, and the plan said {planned:,.6g} at most; it was not started: plan again"
        )
        raise ChangeFailedError(message)


def _act_once(
    job: _Job, operation: str, request: ApiRequest, task: Task, **data: JsonValue
) -> Flow[None]:
    """Send one action on a task; where no answer comes, look before it is repeated."""
    act = Act(
        operation,
        (request,),
        lambda replies: _acted(job, task.id, replies[0]),
        data={"task": task.id, **data},
        run=job.mark,
    )
    for _ in range(MAX_REPEATS):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if isinstance(reply, Answer):
            return
        if isinstance(reply, NoAnswerError) and job.settings.list_lag_s:
            yield Wait(job.settings.list_lag_s, "the answer was lost; looking whether it happened")
        now = yield from _get(job, task.id)
        if _has_moved(operation, task, now):
            # Ours, or somebody else's at the same moment: it is under way either way.
            yield _outcome(job, operation, job.learnt(id=task.id))
            return
        if isinstance(reply, RefusedError) or not isinstance(reply, NoAnswerError):
            raise reply
        nothing = Settlement(Result.FAILED, id=task.id, message="no answer, no effect")
        yield _outcome(job, operation, nothing)
    message = f"{operation}: the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def _acted(job: _Job, task: str, reply: Reply) -> Settlement:
    refused = failure(reply)
    if refused is not None:
        return replace(refused, id=task if refused.result is not Result.UNKNOWN else "")
    return job.learnt(id=task, status=204, cost_pu=cost_of((reply,)) if _billed(reply) else 0.0)


def _billed(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.spent_pu is not None


def _has_moved(operation: str, before: Task, now: Task) -> bool:
    """Tell whether an action has taken effect."""
    if operation == ANALYSE:
        return now.analysed or now.phase is not Phase.WAITING
    return _is_another(before, now)


# --- waiting -------------------------------------------------------------------------------


def _follow(job: _Job, task: Task, *, before_pu: float = 0.0) -> Flow[Object]:
    """Bind a task that was started, and wait for its end."""
    if not job.starts:
        yield from _adopt(job, task)
    waited, looks = 0.0, 0
    while task.phase is Phase.RUNNING:
        if _is_too_dear(job, task):
            task = yield from _stop(job, task)
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
        pause = job.settings.poll_s * min(1 + looks, _SLOWEST_POLL)
        yield Wait(pause, f"task {task.id} is running", looks=True)
        waited, looks = waited + pause, looks + 1
        task = yield from _look_at(job, task)
        if task.phase is Phase.RUNNING and looks % _LOOKS_FOR_PARTS == 0:
            task = yield from _with_progress(job, task)
    return (yield from _conclude(job, task, before_pu=before_pu))


def _with_progress(job: _Job, task: Task) -> Flow[Task]:
    """Count the parts that are over and what they cost, where the task itself does not say."""
    if job.api.parts is None:
        return task
    seen = yield from features_of(job.api, job.delivery, task.id)
    if seen is None or not seen.total:
        return task
    percent = 100.0 * (seen.total - seen.pending) / seen.total
    return replace(task, percent=percent, cost_pu=seen.cost_pu)


def _adopt(job: _Job, task: Task) -> Flow[None]:
    """Bind a task to this address and this run, whoever made and started it."""
    paid = START if task.phase is not Phase.WAITING else ""
    yield Note(Event.ADOPT, job.learnt(id=task.id), operation=paid, run=job.mark)


def _look_at(job: _Job, task: Task) -> Flow[Task]:
    """Find a task in the list that all waiting changes share; a missing one is asked for."""
    if job.api.listing is None:
        return (yield from watched(job, task))
    listed: TaskIndex = yield Survey(job.api.listing, job.api.index)
    return listed.get(task.id) or (yield from _get(job, task.id))


def _is_too_dear(job: _Job, task: Task) -> bool:
    limit = job.options.max_pu
    return limit is not None and task.cost_pu is not None and task.cost_pu > limit


def _stop(job: _Job, task: Task) -> Flow[Task]:
    """
    Stop a task that has cost more than was allowed; return it if it has finished before that.

    Raises:
        ChangeFailedError: it was stopped
    """
    limit = job.options.max_pu
    yield from _act_once(job, STOP, job.api.stop(task.id), task, maxPu=limit)
    now = yield from _get(job, task.id)
    if now.phase in (Phase.DONE, Phase.PARTLY):
        return now
    ended = job.learnt(id=task.id)
    cause = f"it had cost {task.cost_pu:g} PU and `maxPu` is {limit:g}"
    ended = replace(ended, data={**ended.data, "ended": job.api.stopped, "cause": cause})
    yield _outcome(job, RUN, ended)
    message = f"task {task.id} was stopped: {cause}; it stays blocked until that is raised"
    raise ChangeFailedError(message)


def _conclude(job: _Job, task: Task, *, before_pu: float = 0.0) -> Flow[Object]:
    """Write down how a task has ended; what was not wholly done is a failed change."""
    features = yield from _features(job, task)
    # Others who have waited for the same run may have written it down: that is done once.
    known: RunRecord | None = yield Claim(job.key.digest)
    if task.phase not in (Phase.DONE, Phase.PARTLY):
        cause = task.cause or "no cause given"
        ended = job.learnt(id=task.id)
        ended = replace(ended, data={**ended.data, "ended": task.status, "cause": cause})
        if not _has_ended(job, known, task):
            yield _outcome(job, RUN, ended)
        failed = {} if features is None else features.failed
        message = f"task {task.id}: {task.status}: {cause}{_named(failed)}"
        raise ChangeFailedError(message)
    if known is not None and known.receipt is not None and known.is_settled(job.mark.attempt):
        yield from _bind(job, known.receipt.id)
        return _concluded(job, known.receipt)
    outputs = yield from outputs_of(job.api, job.delivery, task.id)
    receipt = receipt_of(
        job.given,
        job.key,
        task=task,
        attempt=job.mark.attempt,
        features=features,
        outputs=outputs,
        estimate_pu=job.estimate_pu,
    )
    spent = receipt.cost_pu if job.starts and receipt.cost_pu is not None else 0.0
    spent = max(spent - before_pu, 0.0)
    settlement = job.learnt(id=task.id, receipt=receipt, cost_pu=spent)
    yield Note(Event.RECEIPT, settlement, run=job.mark)
    return _concluded(job, receipt)


def _concluded(job: _Job, receipt: Receipt) -> Object:
    if receipt.failed:
        message = f"task {receipt.id}: {failed_features(receipt, job.api)}{_named(receipt.failed)}"
        raise ChangeFailedError(message)
    return attributes_of(receipt)


def _has_ended(job: _Job, known: RunRecord | None, task: Task) -> bool:
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    return attempt is not None and attempt.ended == task.status and task.id in attempt.ids


def _features(job: _Job, task: Task) -> Flow[Features | None]:
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
