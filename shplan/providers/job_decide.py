"""
What is to be done with a job: the decisions of the design's section "Jobs", one function a case.

Nothing here reads or sends. The order of the questions is the order of what is certain: a receipt
first, then live tasks, then what the ledger has written down, and only then a new run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from shplan.core.change import Action, Change, Reason, Refusal, RefusalKind
from shplan.core.cost import pu_text
from shplan.core.diagnostic import Diagnostic
from shplan.core.paths import has_request_id
from shplan.core.refusals import import_command, protected
from shplan.core.request import ApiRequest
from shplan.core.resource import Desired, Receipt
from shplan.core.value import JsonObject, Object, Reference, Unknown
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.job import JobApi, JobView, Phase, Task, view_of
from shplan.providers.job_case import Case, Options, beginning
from shplan.providers.job_limits import cost_of, noun_of, priced, unstarted, with_estimate
from shplan.providers.job_outcome import (
    UNREAD,
    billed,
    billed_so_far,
    failed_features,
    named_causes,
)
from shplan.providers.observation import Observation

_STARTED = (Phase.RUNNING, Phase.DONE, Phase.PARTLY)
# Source: documentation of Batch V2: no restart for 30 minutes after a user has stopped a task.
RESTART_AFTER = timedelta(minutes=30)


def decide_job(
    api: JobApi, wanted: Wanted, observation: Observation, surroundings: Surroundings
) -> Change:
    """Decide about one address."""
    seen = view_of(observation)
    view = _own(seen)
    if wanted.desired is None:
        return _decide_removed(api, wanted, view)
    case = _case(api, wanted, wanted.desired, view, surroundings)
    if view is not seen:
        # So that an apply leaves the same receipt out.
        current: Object = {**case.base.current, "account": view.account}
        case = replace(case, base=replace(case.base, current=current))
    if view.key is None:
        return priced(case, _run(case, attempt=1, reason=Reason.KEY_UNKNOWN))
    decided = _decide_known(case)
    return _with_protection(case, decided)


def _case(
    api: JobApi, wanted: Wanted, desired: Desired, view: JobView, surroundings: Surroundings
) -> Case:
    options = Options.of(desired.run)
    current: Object = {
        # With its unknowns, as the record: a trigger may be the key of another run.
        "run": {**desired.run},
        "files": dict(view.files) or (dict(view.given.files) if view.given is not None else {}),
        "onRemove": options.on_remove,
        "api": api.api,
    }
    former = _former(wanted, view, surroundings)
    base = beginning(desired, key=view.key, current=current, former=former)
    receipt = None if view.run is None else view.run.receipt
    if receipt is not None:
        base = replace(base, receipt=receipt)
    return Case(api, wanted, desired, view, surroundings, options, base)


def _former(wanted: Wanted, view: JobView, surroundings: Surroundings) -> JsonObject:
    """Return the parts of the key that this address ran under before, if it was another one."""
    recorded = "" if wanted.recorded is None else str(wanted.recorded.data.get("key", ""))
    run = surroundings.runs.get(recorded)
    if run is None or run.receipt is None or (view.key is not None and view.key.digest == recorded):
        return {}
    return run.receipt.parts


def _decide_known(case: Case) -> Change:
    receipt = None if case.view.run is None else case.view.run.receipt
    latest = case.view.latest
    if receipt is not None and receipt.status == "DONE":
        change = replace(case.base, id=receipt.id, attempt=receipt.attempt)
        return _bound(case, replace(change, notes=(*_told(receipt), *_stale_inputs(case))))
    tasks = case.view.of_attempt(latest)
    alive = [task for task in tasks if task.phase in _STARTED]
    # One that only this ledger knows to be partly done counts like the task that it was.
    if receipt is not None and receipt.attempt >= latest:
        return _decide_partial(case, receipt)
    if alive:
        return _decide_started(case, alive[0])
    waiting = [task for task in tasks if task.phase is Phase.WAITING]
    lost = _lost_starts(case)
    if lost or case.view.evidence is not None:
        return _decide_lost(case, lost)
    # Before those that wait: another applier's task, left over, is no second try of this attempt.
    ended = [task for task in tasks if task.phase is Phase.ENDED]
    if ended:
        return _decide_ended(case, ended[-1])
    if _ended_before(case, latest):
        return _decide_ended(case, None)
    if waiting:
        return _decide_waiting(case, waiting[0])
    return priced(case, _run(case, attempt=max(latest, 1), reason=Reason.NEVER_RUN))


def _told(receipt: Receipt) -> tuple[str, ...]:
    """Say what a receipt says, for people who ask why nothing is planned."""
    files = receipt.outputs.get("files")
    noun = "file" if files == 1 else "files"
    delivered = f", {files:,} {noun}" if isinstance(files, int) else ""
    told = (f"attempt {receipt.attempt} is done: {billed(receipt)}{delivered}",)
    unread = "its bucket could not be read, so nobody knows whether features failed"
    return told if receipt.outputs.get("features") != UNREAD else (*told, unread)


def _stale_inputs(case: Case) -> tuple[str, ...]:
    """Say which inputs have changed since: the imagery itself is not in the key."""
    started = 0 if case.view.run is None else case.view.run.started_at
    changed = case.surroundings.changed
    return tuple(
        f"input {address} changed since this run; `run: {{triggers: ...}}` makes it run again"
        for address in case.base.depends_on
        if started and changed.get(address, 0) > started
    )


def _own(view: JobView) -> JobView:
    """Leave out a receipt that is known to be another account's than the tasks of this run."""
    run = None if view.run is None else view.run.seen_by(view.account)
    return view if run is view.run else replace(view, run=run)


# --- the cases -----------------------------------------------------------------------------


def _bound(case: Case, change: Change) -> Change:
    """Record at this address what ran, perhaps for another one: free, and no change."""
    recorded = case.wanted.recorded
    bound = recorded is not None and recorded.data.get("key") == change.key
    same = bound and recorded is not None and recorded.depends_on == change.depends_on
    return replace(change, records=not same)


def _decide_started(case: Case, task: Task, *, attempt: int = 0) -> Change:
    attempt = attempt or case.view.attempt_of(task)
    change = case.task(replace(case.base, attempt=attempt), task)
    change = with_estimate(change, cost_of(case, task, 1.0))
    known = case.view.run is not None and task.id in case.view.run.ids
    if task.phase is Phase.RUNNING:
        # An API that lists the parts says of the whole only that it is under way.
        silent = case.api.starts_at_once or case.api.parts is not None
        notes = () if silent else (f"{task.percent:.0f} % of it is processed",)
        change = replace(change, notes=notes, waits=True, records=True)
        if known:
            return replace(change, action=Action.NOOP, reason=Reason.RUNNING)
        return replace(change, action=Action.ADOPT, reason=Reason.OTHERS_TASK)
    action, reason = (
        (Action.RESUME, Reason.NOT_RECORDED) if known else (Action.ADOPT, Reason.OTHERS_TASK)
    )
    return replace(change, action=action, reason=reason, records=True)


def _decide_waiting(case: Case, task: Task) -> Change:
    change = case.task(replace(case.base, attempt=case.view.attempt_of(task)), task)
    start = case.options.start
    if start == "manual" or (start == "analyse" and task.analysed):
        change = replace(change, reason=Reason.START_WAITS, records=not _known(case))
        return unstarted(case, change, task=task)
    analyse = start != "auto" or (case.api.estimate is not None and not task.analysed)
    requests = (
        *((case.api.analyse(task.id),) if analyse else ()),
        *((case.api.start(task.id),) if start == "auto" else ()),
    )
    change = replace(
        change, action=Action.RESUME, reason=Reason.NOT_STARTED, requests=requests, records=True
    )
    add = priced if start == "auto" else unstarted
    return add(case, change, task=task)


def _known(case: Case) -> bool:
    recorded = case.wanted.recorded
    return recorded is not None and recorded.data.get("key") == case.base.key


def _lost_starts(case: Case) -> tuple[str, ...]:
    """Return tasks whose START was written down, that are gone, and that have not ended."""
    run, unfinished = case.view.run, case.view.unfinished
    if case.api.listing is None:
        return case.view.lost
    if run is None or unfinished:
        return (unfinished,) if unfinished else ()
    shown = {task.id for task in case.view.tasks}
    return tuple(
        task
        for number, one in run.attempts.items()
        if not one.ended and not run.is_settled(number)
        for task in sorted(one.started - shown)
    )


def _decide_lost(case: Case, lost: tuple[str, ...]) -> Change:
    found = case.view.evidence
    if found is not None:
        from shplan.providers.job_parts import most_parts  # noqa: PLC0415 - rarely needed

        note = f"the files that task {found.id} left say that it finished"
        change = replace(case.base, id=found.id, attempt=found.attempt, notes=(note,))
        parts = most_parts(case.api, case.spec, case.surroundings.tables)
        current: Object = {**change.current, "evidence": found.id, "parts": parts}
        change = replace(change, current=current)
        return replace(
            with_estimate(change, cost_of(case, None, 1.0)),
            action=Action.ADOPT,
            reason=Reason.NOT_RECORDED,
            records=True,
        )
    address = case.wanted.address
    which = f"task {lost[0]} was started, it is gone from the server"
    if not lost[0]:
        which = "a request was sent, its answer was lost"
    diagnostic = Diagnostic(
        code="run/outcome-unknown",
        summary="Outcome of a run unknown",
        what=f"{address}: {which}, and its bucket does not tell how it ended.",
        why="Running again would pay again for what may lie in the bucket already.",
        hint=_ways_on(case, lost[0]),
        span=case.desired.source.span(("metadata", "name")),
        address=str(address),
    )
    return replace(
        case.base,
        action=Action.BLOCKED,
        reason=Reason.OUTCOME_UNKNOWN,
        refusals=(Refusal(RefusalKind.UNDECIDED, diagnostic),),
    )


def _ways_on(case: Case, task: str) -> str:
    again = "to run and pay again, raise `run: {generation: ...}`"
    if task and case.view.unfinished == task:
        return f"its ledger is lost; recover that, or {again}"
    return f"if it is there: {import_command(case.wanted.address, task or 'ID')}; {again}"


def _ended_before(case: Case, attempt: int) -> bool:
    known = None if case.view.run is None else case.view.run.attempts.get(attempt)
    return known is not None and bool(known.ended)


def _decide_ended(case: Case, task: Task | None) -> Change:
    """A failed or stopped attempt is blocked, unless the manifest says to try again."""
    run = case.view.run
    latest = case.view.latest
    known = None if run is None else run.attempts.get(latest)
    status = task.status if task is not None else known.ended if known else ""
    stopped = status == case.api.stopped
    reason = Reason.RUN_STOPPED if stopped else Reason.RUN_FAILED
    cause = (task.cause if task is not None else known.cause if known else "") or "no cause given"
    change = replace(case.base, reason=reason, attempt=latest, records=not _known(case))
    if task is not None:
        change = case.task(change, task)
    over = known.stopped_over_pu if known is not None else None
    if over is not None and (case.options.max_pu is None or case.options.max_pu <= over):
        limit = f"it was stopped because it passed `maxPu: {pu_text(over)}`; raise that to go on"
        return replace(change, action=Action.BLOCKED, notes=(f"it ended: {cause}", limit))
    cause += "" if task is None else billed_so_far(task)
    if not case.options.reruns:
        ways = "`run: {onFailure: rerun}` tries again, `generation` makes another run of it"
        return replace(change, action=Action.BLOCKED, notes=(f"it ended: {cause}", ways))
    if stopped and task is not None and case.api.resumes:
        return _decide_restart(case, change, task)
    note = f"attempt {latest} ended: {cause}"
    if stopped and not case.api.resumes:
        # It may have delivered before it was stopped, and nothing takes it up again.
        return _another(case, attempt=latest + 1, note=note)
    another = _run(case, attempt=latest + 1, reason=Reason.ANOTHER_ATTEMPT)
    return priced(case, replace(another, notes=(*another.notes, note)))


def _decide_restart(case: Case, change: Change, task: Task) -> Change:
    """A stopped task is started again; what it has done is kept by the service."""
    free = _restart_at(task)
    now = _instant(case.surroundings.now)
    if free is not None and now is not None and now < free:
        note = f"the service takes no restart before {free:%Y-%m-%d %H:%M} UTC"
        return replace(change, action=Action.BLOCKED, notes=(f"it ended: {task.cause}", note))
    change = replace(
        change,
        action=Action.RUN,
        reason=Reason.ANOTHER_ATTEMPT,
        attempt=case.view.latest + 1,
        requests=(case.api.start(task.id),),
        records=True,
    )
    return priced(case, change)


def _restart_at(task: Task) -> datetime | None:
    if task.restart_at:
        return _instant(task.restart_at)
    acted = _instant(task.acted)
    return None if acted is None else acted + RESTART_AFTER


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _decide_partial(case: Case, receipt: Receipt) -> Change:
    """
    Some parts failed: they are made again if the manifest says so.

    Where the service can repeat only these, it does. Elsewhere another task can leave alone what is
    there, but only where it delivers to the same places.
    """
    note = f"{failed_features(receipt, case.api)}: {named_causes(receipt)}"
    note += "" if receipt.cost_pu is None else f"; billed {billed(receipt)}"
    change = replace(
        case.base, id=receipt.id, attempt=receipt.attempt, reason=Reason.PARTLY_DONE, notes=(note,)
    )
    task = next((one for one in case.view.tasks if one.id == receipt.id), None)
    if case.api.again is not None and task is not None and _has_gone_on(task, receipt):
        return _decide_started(case, task, attempt=receipt.attempt + 1)
    if not case.options.reruns:
        does = "restarts these alone" if case.api.again and task else "makes another attempt"
        ways = f"`run: {{onFailure: rerun}}` {does}"
        return _bound(case, replace(change, action=Action.BLOCKED, notes=(note, ways)))
    if case.api.again is None or task is None or task.phase is not Phase.PARTLY:
        return _another(case, attempt=receipt.attempt + 1, note=note)
    change = replace(
        case.task(change, task),
        action=Action.RUN,
        reason=Reason.ANOTHER_ATTEMPT,
        attempt=receipt.attempt + 1,
        requests=(case.api.again(task.id),),
        notes=(note, "they are restarted alone; what is done stays as it is"),
        records=True,
    )
    return priced(case, change, task=task, share=_failed_share(receipt))


def _has_gone_on(task: Task, receipt: Receipt) -> bool:
    """Somebody has restarted a task since the receipt of its failed parts was written."""
    if task.phase in (Phase.RUNNING, Phase.DONE):
        return True
    return task.phase is Phase.PARTLY and task.acted != receipt.outputs.get("acted", "")


def _failed_share(receipt: Receipt) -> float:
    total, failed = receipt.outputs.get("parts"), receipt.outputs.get("failed")
    counted = isinstance(total, int) and isinstance(failed, int) and 0 < failed <= total
    return cast("int", failed) / cast("int", total) if counted else 1.0


def _another(case: Case, *, attempt: int, note: str) -> Change:
    """Another task for a run that was partly delivered: what is there is left alone if it can be."""
    again = _run(case, attempt=attempt, reason=Reason.ANOTHER_ATTEMPT)
    (create, *rest) = again.requests
    body = case.api.skipping(cast("Object", create.body))
    if body is None:
        paid = "nothing that is there can be left alone, so that everything is made and paid again"
        return priced(case, replace(again, notes=(note, paid)))
    if has_request_id(case.api.delivery(case.spec)):
        paid = "the places hold <requestId>, so that everything is made and paid again"
        return priced(case, replace(again, notes=(note, paid)))
    requests = (case.api.create(body), *rest)
    kept = "`skipExisting` leaves alone what is there"
    return priced(case, replace(again, requests=requests, notes=(note, kept)))


def _run(case: Case, *, attempt: int, reason: Reason) -> Change:
    own = Reference(case.wanted.address, ("id",))
    made = Unknown(f"{{{{ ref('{case.wanted.address}').id }}}}", "", (own,))
    create = case.api.create({**case.spec})
    follow: dict[str, tuple[ApiRequest, ...]] = {}
    if not case.api.starts_at_once:
        analyse, start = (case.api.analyse(made),), (case.api.start(made),)
        # Its own estimate is waited for before it is started.
        whole = (*analyse, *start) if case.api.estimate is not None else start
        follow = {"auto": whole, "analyse": analyse}
    known_later = ("once its key is known, it is left alone if that has run already",)
    return replace(
        case.base,
        action=Action.RUN,
        reason=reason,
        attempt=attempt,
        requests=(create, *follow.get(case.options.start, ())),
        notes=() if case.base.key else known_later,
        records=True,
    )


# --- protections, removal ------------------------------------------------------------------


def _with_protection(case: Case, change: Change) -> Change:
    """Taking a protection away is a change of its own, and so is another `onRemove`."""
    recorded = case.wanted.recorded
    if recorded is None or change.action is not Action.NOOP or change.waits:
        return change
    if recorded.prevent_destroy != case.desired.lifecycle.prevent_destroy:
        return replace(change, action=Action.UPDATE, reason=Reason.PROTECTION_CHANGED, records=True)
    before = recorded.data.get("onRemove", "keep")
    if before == case.options.on_remove:
        return change
    told = f"onRemove: {before} -> {case.options.on_remove}"
    change = replace(change, notes=(*change.notes, told), records=True)
    return replace(change, action=Action.UPDATE, reason=Reason.REMOVAL_CHANGED)


def _decide_removed(api: JobApi, wanted: Wanted, view: JobView) -> Change:
    """
    A job whose manifest is gone is let go of; its task is stopped only if that was asked for.

    What it has delivered stays, and so does its receipt.
    """
    recorded = wanted.recorded
    assert recorded is not None, "an address that is neither declared nor recorded"
    change = Change(
        wanted.address,
        Action.FORGET,
        Reason.NO_LONGER_DECLARED,
        depends_on=recorded.depends_on,
        records=True,
        id=recorded.id,
        prevent_destroy=recorded.prevent_destroy,
        notes=("its results stay where they are",),
    )
    running = [task for task in view.tasks if task.phase is Phase.RUNNING]
    at_rest = [task for task in view.tasks if task.phase in (Phase.WAITING, Phase.ENDED)]
    on_remove = recorded.data.get("onRemove")
    if on_remove == "delete" and api.delete is not None and (running or at_rest):
        task = (running or at_rest)[0]
        stop = (api.stop(task.id),) if running else ()
        requests: tuple[ApiRequest, ...] = (*stop, api.delete(task.id))
        told = "its task is deleted: `onRemove: delete`"
        if running:
            told = f"its task is stopped, and deleted if no {noun_of(api)} of it was processed"
    elif on_remove in ("stop", "delete") and running:
        task, requests = running[0], (api.stop(running[0].id),)
        told = "its task is stopped: `onRemove: stop`"
    else:
        return change
    refusals = (protected(wanted.address, "stopped"),) if recorded.prevent_destroy else ()
    return replace(
        change,
        action=Action.DELETE,
        requests=requests,
        refusals=refusals,
        notes=(told, *change.notes),
        current={"task": task.id, "api": api.api},
        key=str(recorded.data.get("key", "")),
        attempt=view.attempt_of(task),
    )


__all__ = ["decide_job"]
