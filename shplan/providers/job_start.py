"""
Starting a job: the one step that is paid for, after everything that forbids it was looked at.

Where the service estimates the cost itself, the task is analysed before, which is free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.cost import Cost, is_over, pu_text
from shplan.core.entry import Result, Settlement
from shplan.core.errors import NoAnswerError, RefusedError
from shplan.core.request import Answer, ApiRequest
from shplan.core.runs import START, RunRecord
from shplan.core.value import JsonValue
from shplan.providers.base import ChangeFailedError, StillRunningError
from shplan.providers.job import Phase, Task
from shplan.providers.job_hand import SLOWEST_POLL, Job, bind, get_task, outcome_of
from shplan.providers.reconciled import MAX_REPEATS, cost_of, failure
from shplan.providers.steps import Act, Claim, Flow, Reply, Wait

ANALYSE = "analyse"
# Source: all batch APIs: the status of a task whose analysis is over.
_ANALYSED = "ANALYSIS_DONE"
# A server that loses sight of a task for so many looks has lost it.
MOST_BLIND_LOOKS = 10
_LOOKS_AT_PARTLY_DONE = 3
# The same sum, added up in another order.
_ROUNDING = 1e-6


def advance(job: Job, task: Task) -> Flow[Task]:
    """Analyse or start a task that waits, as the manifest says; start one again that stopped."""
    if job.restarts:
        return (yield from _start(job, task))
    if job.options.start == "manual":
        yield from bind(job, task.id)
        return task
    if job.options.start == "analyse":
        if not task.analysed:
            yield from act_once(job, ANALYSE, job.api.analyse(task.id), task)
        return task
    return (yield from _start(job, task))


def _start(job: Job, task: Task) -> Flow[Task]:
    """
    Start a task, which is the payment, after everything that forbids it was looked at.

    Raises:
        ChangeFailedError: it could cost more than `maxPu`
    """
    limit, cost = job.options.max_pu, job.change.cost.maximum_pu
    if limit is not None and is_over(cost, limit):
        message = (
            f"it can cost {pu_text(cost)} PU and `maxPu` is {pu_text(limit)}; it was not started"
        )
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
    known = job.counted((yield Claim(job.key.digest)))
    now = yield from get_task(job, task.id)
    before = task.phase if job.restarts else Phase.WAITING
    if now.phase is before and _is_started(job, known, task):
        # Somebody with the same ledger did, while this one waited for the list.
        now = yield from _get_started(job, now)
    if now.phase is not before:
        return now
    yield from act_once(job, START, start, now)
    job.starts = True
    return (yield from _get_started(job, now))


def _is_started(job: Job, known: RunRecord | None, task: Task) -> bool:
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    return attempt is not None and task.id in attempt.confirmed


def _get_started(job: Job, before: Task) -> Flow[Task]:
    """Read a task whose START was taken: what it says of itself may lag behind."""
    now = yield from get_task(job, before.id)
    again = 0
    for _ in range(MOST_BLIND_LOOKS):
        again += _is_another(before, now)
        # What is partly done after a restart may be so again, or the status has not moved yet.
        if now.phase is not before.phase or again > _LOOKS_AT_PARTLY_DONE:
            break
        yield Wait(job.settings.poll_s, f"task {before.id} is about to run", looks=True)
        now = yield from get_task(job, before.id)
    return now


def _is_another(before: Task, now: Task) -> bool:
    """Tell whether a task has moved; what was partly done may be so again."""
    if now.phase is before.phase is Phase.PARTLY:
        return now.acted != before.acted
    return now.phase is not before.phase


def _estimated(job: Job, task: Task) -> Flow[Task]:
    """
    Have a task analysed, which is free, and compare what the service estimates with the limits.

    Raises:
        ChangeFailedError: it is above `maxPu`, or above what the plan has shown
        StillRunningError: it is being analysed, and nobody waits for it
    """
    assert job.api.estimate is not None, "asked of an API that estimates"
    if not task.analysed:
        yield from act_once(job, ANALYSE, job.api.analyse(task.id), task)
    waited, looks = 0.0, 0
    while task.phase is Phase.WAITING and not _is_estimated(job, task):
        if looks and not job.settings.waits_for_jobs:
            # To start it before its price is known would be to pay without the limits.
            message = f"task {task.id} is analysed; the next apply starts it"
            raise StillRunningError(message)
        if job.options.timeout_s is not None and waited > job.options.timeout_s:
            message = f"task {task.id} is still analysed after `timeout`; the same command goes on"
            raise ChangeFailedError(message)
        if looks:
            pause = job.settings.poll_s * min(looks, SLOWEST_POLL)
            yield Wait(pause, f"task {task.id} is analysed", looks=True)
            waited += pause
        task, looks = (yield from get_task(job, task.id)), looks + 1
    if task.phase is Phase.WAITING:
        _refuse_dearer(job, task, job.api.estimate(task))
    return task


def _is_estimated(job: Job, task: Task) -> bool:
    assert job.api.estimate is not None, "asked of an API that estimates"
    return task.status == _ANALYSED or job.api.estimate(task) is not None


def _refuse_dearer(job: Job, task: Task, cost: Cost | None) -> None:
    limit, planned = job.options.max_pu, job.change.cost.maximum_pu
    if cost is None:
        # It was analysed and the service says no price: ours holds, if there is one.
        if limit is not None and job.change.unpriced:
            message = f"nobody knows what task {task.id} costs, and `maxPu` is {pu_text(limit)}; it was not started"
            raise ChangeFailedError(message)
        return
    told = f"the service estimates that task {task.id} costs {pu_text(cost.maximum_pu)} PU"
    if limit is not None and is_over(cost.maximum_pu, limit):
        message = f"{told} and `maxPu` is {pu_text(limit)}; it was not started"
        raise ChangeFailedError(message)
    if not job.change.unpriced and cost.maximum_pu > planned * (1 + _ROUNDING):
        # No budget was asked for so much, and nobody has seen it.
        message = (
            f"{told}, and the plan said {planned:,.6g} at most; it was not started: plan again"
        )
        raise ChangeFailedError(message)


def act_once(
    job: Job, operation: str, request: ApiRequest, task: Task, **data: JsonValue
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
        now = yield from get_task(job, task.id)
        if _has_moved(operation, task, now):
            # Ours, or somebody else's at the same moment: it is under way either way.
            yield outcome_of(job, operation, job.learnt(id=task.id))
            return
        if isinstance(reply, RefusedError) or not isinstance(reply, NoAnswerError):
            raise reply
        nothing = Settlement(Result.FAILED, id=task.id, message="no answer, no effect")
        yield outcome_of(job, operation, nothing)
    message = f"{operation}: the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def _acted(job: Job, task: str, reply: Reply) -> Settlement:
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
