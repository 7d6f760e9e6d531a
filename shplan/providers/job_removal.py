"""
What becomes of the task of a job whose manifest is gone, where `onRemove` says so.

A task is stopped, and deleted where its API has such a thing. What it has delivered stays.
"""

from __future__ import annotations

from typing import cast

from shplan.core.change import Change
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError
from shplan.core.request import Answer, ApiRequest
from shplan.core.runs import STOP
from shplan.core.value import JsonObject, Object
from shplan.providers.base import Settings
from shplan.providers.job import JobApi, Phase, Task
from shplan.providers.reconciled import MAX_REPEATS, failure, read_or_none
from shplan.providers.steps import Act, Flow, Note, Reply, RunMark, Wait

DELETE = "delete"
_CONFLICT = 409


def end_removed(api: JobApi, change: Change, settings: Settings) -> Flow[Object]:
    """Stop the task, delete it if that was planned, and let go of it."""
    task = str(change.current["task"])
    deletes = None if api.delete is None else api.delete(task).operation
    for request in change.requests:
        if request.operation == deletes:
            yield from _delete(api, change, request, settings)
        else:
            yield from _stop(api, request, task)
    yield Note(Event.FORGET)
    return {}


def _stop(api: JobApi, request: ApiRequest, task: str) -> Flow[None]:
    settled = Settlement(Result.DONE, id=task, status=204)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        return failure(replies[0]) or settled

    (reply,) = cast("tuple[Reply, ...]", (yield Act(STOP, (request,), settle, data={"task": task})))
    if isinstance(reply, Answer):
        return
    seen = yield from _see(api, task)
    if seen is not None and seen.phase is Phase.RUNNING:
        raise reply
    yield Note(Event.OUTCOME, settled)


def _delete(api: JobApi, change: Change, request: ApiRequest, settings: Settings) -> Flow[None]:
    """
    Delete a task; one that cannot be deleted, because some of it was processed, is left.

    Raises:
        ApiError: the server refuses it for another reason, or does not answer
    """
    task = str(change.current["task"])
    seen = yield from _see(api, task)
    if seen is None:
        return
    # Its START stays in the ledger: how it ended has to stand beside it, or nobody would ever know.
    ended: JsonObject = {"ended": api.stopped, "cause": "it was deleted: its manifest was gone"}
    known = ended if seen.phase is not Phase.WAITING else {}
    settled = Settlement(Result.DONE, id=task, status=204, data=known)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        return failure(replies[0]) or settled

    mark = RunMark(change.key, max(change.attempt, 1)) if change.key else None
    act = Act(DELETE, (request,), settle, data={"task": task}, run=mark)
    reply: Reply | None = None
    for _ in range(MAX_REPEATS):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if isinstance(reply, Answer):
            return
        if isinstance(reply, NoAnswerError) and settings.list_lag_s:
            yield Wait(settings.list_lag_s, "the answer was lost; looking whether it happened")
        if (yield from _see(api, task)) is None:
            yield Note(Event.OUTCOME, settled, operation=DELETE, run=mark)
            return
        if isinstance(reply, RefusedError) and reply.status != _CONFLICT:
            raise reply
        nothing = Settlement(Result.FAILED, id=task, message=str(reply))
        yield Note(Event.OUTCOME, nothing, operation=DELETE, run=mark)
        yield Wait(settings.poll_s, f"task {task} comes to rest", looks=True)
    if isinstance(reply, ApiError) and not isinstance(reply, RefusedError):
        raise reply


def _see(api: JobApi, task: str) -> Flow[Task | None]:
    answer: Answer | None = yield from read_or_none(api.get(task))
    body = None if answer is None else answer.body
    return api.task_of(body) if isinstance(body, dict) else None


__all__ = ["end_removed"]
