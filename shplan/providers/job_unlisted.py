"""
Jobs that an API neither lists nor remembers: created, they run; over, they are gone.

To create one is to pay for it. So its intent says START, of a task without an id: as long as nothing
has shown what became of it, it may run, and it is not sent again. A request that has vanished is
decided by what lies in its bucket; what that does not tell, a person decides (exit 7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from shplan.core.cost import is_over, pu_text
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, UndecidedError
from shplan.core.marker import read_marker
from shplan.core.refusals import import_command
from shplan.core.request import Answer
from shplan.core.run_key import RunInput, RunKey
from shplan.core.runs import START, RunRecord
from shplan.core.value import Object
from shplan.providers.base import ChangeFailedError, Settings, Surroundings
from shplan.providers.job import JobApi, JobView, Phase, Task, belongs
from shplan.providers.job_find import Sought
from shplan.providers.reconciled import MAX_REPEATS, failure, read_or_none
from shplan.providers.steps import Act, Flow, Note, Reply, RunMark, Step, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shplan.core.change import Change
    from shplan.providers.job_case import Options

T = TypeVar("T")
# A request of which only its files tell, and not its id.
UNKNOWN_ID = "unknown"
_TICK_S = 0.002
# How often one looks for the files of a request that is over, before one believes that it left none.
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Witnesses:
    """
    What a bucket tells of the requests of a run.

    Args:
        tasks: requests that may be of this run, with what their copies say
        is_complete: there can be no others: all of the run's files lie in a folder of its own, into
            which the service writes as it takes a request
        others: ids of requests whose copies carry the marker of another run
    """

    tasks: tuple[Task, ...]
    is_complete: bool
    others: frozenset[str] = frozenset()


class Hand(Protocol):
    """What one apply of a job has in hand; see `job_apply`."""

    api: JobApi
    change: Change
    settings: Settings
    options: Options
    given: RunInput
    key: RunKey
    starts: bool

    @property
    def mark(self) -> RunMark: ...

    @property
    def planned_task(self) -> str: ...

    def body(self) -> Object: ...

    def learnt(self, **more: object) -> Settlement: ...


# --- looking -------------------------------------------------------------------------------


def find_unlisted(api: JobApi, seeking: Iterable[Sought], surroundings: Surroundings) -> Flow[None]:
    """Find the requests of all these jobs: by the ids that are known, else in their buckets."""
    known = frozenset[str]().union(*(run.ids for run in surroundings.runs.values()))
    waited = False
    read: dict[Step, object] = {}
    for one in seeking:
        if one.given is None or one.key is None:
            continue
        yield from _find_known(api, one, one.given, one.key, lag_s=surroundings.list_lag_s)
        is_silent = _is_silent(one)
        if not (is_silent or one.is_unheard_of):
            continue
        if is_silent and surroundings.list_lag_s and not waited:
            yield Wait(surroundings.list_lag_s, "a request without an answer may have been taken")
            waited = True
            read = {}
        yield from _ask_bucket(api, one, surroundings, read=read, known=known, is_silent=is_silent)


def _find_known(
    api: JobApi, one: Sought, given: RunInput, key: RunKey, *, lag_s: float
) -> Flow[None]:
    run = one.run
    ids = {one.recorded_id} - {""} - (frozenset() if run is None else run.ids)
    for number, attempt in {} if run is None else run.attempts.items():
        if not attempt.ended and not (run and run.is_settled(number)):
            ids.update(attempt.ids)
    for task in sorted(ids):
        seen = yield from _seen_at_last(api, given, key, task, lag_s=lag_s)
        if seen is None:
            one.lost.append(task)
        else:
            one.tasks[task] = seen


def _once(flow: Flow[T], read: dict[Step, object]) -> Flow[T]:
    """Read of a bucket only what nobody has read yet: a thousand jobs may deliver below one place."""
    reply: object = None
    while True:
        try:
            step = flow.send(reply)
        except StopIteration as end:
            return cast("T", end.value)
        if step not in read:
            read[step] = yield step
        reply = read[step]


def _seen_at_last(
    api: JobApi, given: RunInput, key: RunKey, task: str, *, lag_s: float
) -> Flow[Task | None]:
    """Look for a request, and once more after a while: it may not be shown, or not yet have files."""
    seen: Task | None = yield from seen_or_traced(api, given, key, task)
    if seen is None and lag_s:
        yield Wait(lag_s, f"request {task} is not shown; looking again")
        seen = yield from seen_or_traced(api, given, key, task)
    return seen


def _is_silent(one: Sought) -> bool:
    """A request was sent, its answer was lost, and nobody has said since which one it was."""
    run = one.run
    if run is None or one.recorded_id not in ("", *run.ids):
        return False
    return any(
        "" in attempt.started and not attempt.ended and not run.is_settled(number)
        for number, attempt in run.attempts.items()
    )


def _ask_bucket(
    api: JobApi,
    one: Sought,
    surroundings: Surroundings,
    *,
    read: dict[Step, object],
    known: frozenset[str],
    is_silent: bool,
) -> Flow[None]:
    given, key = one.given, one.key
    assert given is not None, "its key is known"
    assert key is not None, "its key is known"
    assert api.witnesses is not None, "where nothing is listed, buckets are the witnesses"
    found = yield from _once(api.witnesses(given, key, known), read)
    for copy in () if found is None else found.tasks:
        if not (found and found.is_complete) and not belongs(copy, given, key):
            continue
        lag_s = surroundings.list_lag_s
        seen = yield from _seen_at_last(api, given, key, copy.id, lag_s=lag_s)
        if seen is None:
            one.lost.append("" if copy.id == UNKNOWN_ID else copy.id)
        else:
            told = replace(seen, description=copy.description, request=copy.request)
            one.tasks[copy.id] = told
    is_placed = bool(one.tasks or one.lost)
    if is_silent and not is_placed and not (found is not None and found.is_complete):
        one.lost.append("")


def seen_or_traced(api: JobApi, given: RunInput, key: RunKey, task: str) -> Flow[Task | None]:
    """
    Return a request as the server shows it, else as its files tell that it ended.

    Returns:
        None where it is gone and nothing tells how it ended
    """
    from shplan.providers.job_outcome import Trace  # noqa: PLC0415 - it knows of jobs

    if task != UNKNOWN_ID:
        answer: Answer | None = yield from read_or_none(api.get(task))
        if answer is not None and isinstance(answer.body, dict):
            return api.task_of(answer.body)
    assert api.trace is not None, "where tasks vanish, their files tell how they ended"
    trace: Trace | None = yield from api.trace(given, key, task)
    if trace is None or trace.phase is Phase.RUNNING:
        return None
    status = "DONE" if trace.phase is Phase.DONE else "FAILED"
    return Task(
        task, "", trace.phase, status, percent=100.0, cost_pu=trace.cost_pu, cause=trace.cause
    )


# --- sending and watching ------------------------------------------------------------------


def task_unlisted(job: Hand, known: RunRecord | None) -> Flow[Task]:
    """
    Return the request that this attempt is: one that there is, or a new one, which is paid.

    Raises:
        UndecidedError: a request may run of which nothing tells
        ChangeFailedError: it could cost more than `maxPu`, or no answer came, without effect
    """
    if job.planned_task:
        return (yield from watched(job, Task(job.planned_task, "", Phase.RUNNING, "")))
    attempt = None if known is None else known.attempts.get(job.mark.attempt)
    if attempt is not None and attempt.ended:
        # Its twin, in this very apply.
        message = f"attempt {job.mark.attempt} has ended: {attempt.cause}; plan again"
        raise ChangeFailedError(message)
    if job.settings.new_ledger and job.settings.list_lag_s:
        yield Wait(job.settings.list_lag_s, "an earlier request may just have been taken")
    found = yield from _look(job, known)
    return found if found is not None else (yield from _send(job, known))


def watched(job: Hand, task: Task) -> Flow[Task]:
    """
    Look how far a request is; one that has vanished is asked for in its bucket.

    Raises:
        UndecidedError: it has vanished, and its bucket does not tell how it ended
    """
    lag_s = job.settings.list_lag_s
    looks = _MOST_LOOKS if job.settings.reads_buckets or lag_s else 1
    for look in range(looks):
        seen: Task | None = yield from seen_or_traced(job.api, job.given, job.key, task.id)
        if seen is not None:
            return seen
        if look + 1 < looks:
            pause = max(job.settings.poll_s, lag_s / (looks - 1))
            yield Wait(pause, "it is not shown, nor are its last files", looks=True)
    raise UndecidedError(_undecided(job, task.id))


def _undecided(job: Hand, task: str) -> str:
    which = f"request {task} is over" if task else "a request was sent, its answer was lost"
    return (
        f"{which}, and its bucket does not tell what became of it: look there. If its outputs are"
        f" there: {import_command(job.change.address, task or 'ID')}; to send and pay it again, raise"
        " `run: {generation: ...}`"
    )


def _look(job: Hand, known: RunRecord | None) -> Flow[Task | None]:
    """
    Return the request of this attempt that is known or lies in the bucket, None for none.

    Raises:
        UndecidedError: one may run of which nothing tells
    """
    one = Sought(
        job.given, job.key, known, frozenset() if known is None else known.ids, removed=False
    )
    around = Surroundings(
        runs={} if known is None else {job.key.digest: known}, list_lag_s=job.settings.list_lag_s
    )
    yield from find_unlisted(job.api, (one,), around)
    if one.lost:
        raise UndecidedError(_undecided(job, one.lost[0]))
    view = JobView(run=known)
    order = {Phase.RUNNING: 0, Phase.DONE: 0}
    tasks = [task for task in one.tasks.values() if _attempt(view, task) == job.mark.attempt]
    return min(tasks, key=lambda task: (order.get(task.phase, 1), task.id), default=None)


def _attempt(view: JobView, task: Task) -> int:
    marker = read_marker(task.description)
    return view.attempt_of(task) if marker is None else marker.attempt


def _send(job: Hand, known: RunRecord | None) -> Flow[Task]:
    """Send the request, which is the payment; where no answer comes, look before it is repeated."""
    limit, cost = job.options.max_pu, job.change.cost.maximum_pu
    if limit is not None and is_over(cost, limit):
        message = f"it can cost {pu_text(cost)} PU and `maxPu` is {pu_text(limit)}; it was not sent"
        raise ChangeFailedError(message)
    request = replace(job.change.requests[0], body=job.body())
    act = Act(
        START, (request,), lambda replies: _sent(job, replies[0]), data={"task": ""}, run=job.mark
    )
    for _ in range(MAX_REPEATS):
        (reply,) = yield act
        made = _id_in(reply)
        if made:
            job.starts = True
            return Task(made, "", Phase.RUNNING, "")
        if not isinstance(reply, Answer | NoAnswerError):
            raise reply
        found = yield from _after_silence(job, known)
        if found is not None:
            job.starts = True
            return found
    message = f"the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def _after_silence(job: Hand, known: RunRecord | None) -> Flow[Task | None]:
    """Find the request whose answer was lost, and write down which it is, or that there is none."""
    record = known or RunRecord(job.key.digest)
    attempt = record.attempts.get(job.mark.attempt)
    silent = (
        _with_silent(record, job.mark.attempt)
        if attempt is None or "" not in attempt.started
        else record
    )
    yield Wait(max(job.settings.list_lag_s, _TICK_S), "the answer was lost; looking for its files")
    found = yield from _look(job, silent)
    if found is None:
        settled = Settlement(Result.FAILED, message="no answer, no effect")
    else:
        settled = job.learnt(id=found.id)
    yield Note(Event.OUTCOME, settled, operation=START, run=job.mark)
    return found


def _with_silent(record: RunRecord, number: int) -> RunRecord:
    from shplan.core.runs import Attempt  # noqa: PLC0415 - the rare case

    attempt = record.attempts.get(number, Attempt())
    silent = replace(attempt, started=attempt.started | {""})
    return replace(record, attempts={**record.attempts, number: silent})


def _sent(job: Hand, reply: Reply) -> Settlement:
    refused = failure(reply)
    if refused is not None:
        return refused
    made = _id_in(reply)
    if not made:
        return Settlement(Result.UNKNOWN, message="the answer has no id")
    return job.learnt(id=made, status=200)


def _id_in(reply: Reply) -> str:
    body = reply.body if isinstance(reply, Answer) else None
    return str(body["id"]) if isinstance(body, dict) and body.get("id") else ""


__all__ = ["UNKNOWN_ID", "Witnesses", "find_unlisted", "seen_or_traced", "task_unlisted", "watched"]
