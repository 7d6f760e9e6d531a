"""
What is to be done with a job that answers at once: one function a case.

Nothing here reads or sends. A receipt comes first, the ledger's or the one beside the answer; then
what lies at the places, since the answer is the product; and only then a request, which is paid.
"""

from __future__ import annotations

from dataclasses import replace

from shplan.core.change import Action, Change, Reason
from shplan.core.resource import Receipt
from shplan.core.runs import RunRecord
from shplan.providers.answer_places import PlaceError, Places, Target
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.immediate import (
    ImmediateApi,
    directory_of,
    expected,
    known_files,
    recorded_files,
    source_of,
    view_of,
)
from shplan.providers.immediate_case import Case, case_of
from shplan.providers.immediate_limits import in_the_way, no_place, priced
from shplan.providers.immediate_receipt import Kept, files_of, kept_of
from shplan.providers.job_outcome import billed
from shplan.providers.observation import Observation

_PAID_AGAIN = "answers at once: an answer that is lost on its way is asked for and paid again"


def decide_immediate(
    api: ImmediateApi, wanted: Wanted, observation: Observation, surroundings: Surroundings
) -> Change:
    """Decide about one address."""
    view = view_of(observation)
    if wanted.desired is None:
        return _decide_removed(wanted)
    case = case_of(api, wanted, wanted.desired, view, surroundings)
    if view.problem:
        return replace(case.base, refusals=(no_place(case, view.problem),), action=Action.BLOCKED)
    if view.key is None or view.places is None:
        return _run(case, attempt=1, reason=Reason.KEY_UNKNOWN, places=_stated_places(case))
    return _with_protection(case, _decide_known(case, view.places))


def _decide_known(case: Case, places: Places) -> Change:
    receipt = case.view.receipt
    run = case.view.run
    if receipt is None:
        return _decide_unanswered(case, places)
    if run is not None and run.latest > receipt.attempt and _ended(run, run.latest):
        return _decide_ended(case, places, run.latest)
    change = replace(case.base, attempt=receipt.attempt, notes=_told(case, receipt))
    if receipt.status != "DONE":
        return _decide_partial(case, change, places, receipt)
    return _decide_answered(case, change, places, receipt)


# --- answered ------------------------------------------------------------------------------


def _decide_answered(case: Case, change: Change, places: Places, receipt: Receipt) -> Change:
    """Its answer came; is it where it belongs?"""
    lacking = [target for target in places.targets if not _is_there(case, target, receipt)]
    if not lacking:
        return _bound(case, change, receipt)
    drifted = any(_written_before(case, one, receipt) for one in lacking)
    sources = [_source(case, one, receipt) for one in lacking]
    if all(source is not None for source in sources):
        died = all(source is not None and source.path.endswith(".part") for source in sources)
        # What a person has changed is put back only where that was asked for.
        if died or not drifted or case.options.materializes:
            return _restore(case, change, places, lacking)
    if case.options.materializes:
        again = _run(case, attempt=receipt.attempt + 1, reason=Reason.ANSWER_LOST, places=places)
        return replace(again, notes=(*_lost(case, lacking), *again.notes), drifted=drifted)
    ways = "`run: {materialize: true}` asks for it again, which is paid again"
    told = (*_lost(case, lacking), ways)
    kept = _bound(case, replace(change, notes=(*told, *change.notes)), receipt)
    return replace(kept, reason=Reason.ANSWER_LOST, drifted=True)


def _is_there(case: Case, target: Target, receipt: Receipt) -> bool:
    wanted = expected(case.api, target, _known(case, receipt), label=case.label)
    found = case.view.found.get(target.path)
    return wanted is not None and found is not None and found.sha256 == wanted.sha256


def _known(case: Case, receipt: Receipt | None) -> tuple[Kept, ...]:
    own = recorded_files(case.wanted.recorded, case.key)
    return known_files(own, receipt, case.view.witnesses)


def _written_before(case: Case, target: Target, receipt: Receipt) -> bool:
    """Tell whether this run was in that place before, so that its absence is drift."""
    return any(one.path == target.path for one in _known(case, receipt))


def _source(case: Case, target: Target, receipt: Receipt) -> Kept | None:
    key = "" if case.view.key is None else case.view.key.short
    return source_of(
        case.api, target, _known(case, receipt), case.view.found, label=case.label, key=key
    )


def _restore(case: Case, change: Change, places: Places, lacking: list[Target]) -> Change:
    foreign = in_the_way(case, places)
    if foreign is not None:
        return replace(change, refusals=(foreign,))
    shown = ", ".join(target.path for target in lacking[:3])
    return replace(
        change,
        action=Action.RESUME,
        reason=Reason.ANSWER_ELSEWHERE,
        notes=(f"{shown}: made of what is here, nothing is asked and nothing paid", *change.notes),
        records=True,
    )


def _lost(case: Case, lacking: list[Target]) -> tuple[str, ...]:
    told = []
    for target in lacking:
        found = case.view.found.get(target.path)
        if found is None:
            told.append(f"{target.path} is missing")
        elif found.obstacle:
            told.append(f"{target.path} {found.obstacle}")
        else:
            told.append(f"{target.path} is not what the answer was: somebody has changed it")
    return tuple(told)


def _told(case: Case, receipt: Receipt) -> tuple[str, ...]:
    """Say what a receipt says, for people who ask why nothing is planned."""
    size = sum(one.size_bytes for one in files_of(receipt))
    lines = [f"attempt {receipt.attempt} was answered: {billed(receipt)}, {size:,} bytes"]
    started = 0 if case.view.run is None else case.view.run.started_at
    changed = case.surroundings.changed
    lines += [
        f"input {address} changed since this run; `run: {{triggers: ...}}` makes it run again"
        for address in case.base.depends_on
        if started and changed.get(address, 0) > started
    ]
    return tuple(lines)


def _bound(case: Case, change: Change, receipt: Receipt) -> Change:
    """Record at this address what was answered, perhaps for another one: free, and no change."""
    in_ledger = None if case.view.run is None else case.view.run.receipt
    if in_ledger is None or in_ledger.attempt < receipt.attempt:
        note = "its receipt file is beside it: nothing is paid again"
        return replace(
            change,
            action=Action.ADOPT,
            reason=Reason.NOT_RECORDED,
            notes=(note, *change.notes),
            records=True,
        )
    recorded = case.wanted.recorded
    bound = recorded is not None and recorded.data.get("key") == change.key
    same = bound and recorded is not None and recorded.depends_on == change.depends_on
    places = case.view.places
    at = (
        {one.path for one in kept_of(recorded.data.get("files"))} if recorded is not None else set()
    )
    moved = places is not None and not {one.path for one in places.targets} <= at
    return replace(change, records=not same or moved)


def _decide_partial(case: Case, change: Change, places: Places, receipt: Receipt) -> Change:
    """Some intervals failed; another attempt asks for all of them, and all of them are paid."""
    first = ", ".join(f"{name}: {cause}" for name, cause in list(receipt.failed.items())[:2])
    note = f"{len(receipt.failed)} intervals failed: {first}"
    change = replace(change, reason=Reason.PARTLY_DONE, notes=(note, *change.notes))
    if case.options.reruns:
        again = _run(
            case, attempt=receipt.attempt + 1, reason=Reason.ANOTHER_ATTEMPT, places=places
        )
        return replace(again, notes=(note, "all of it is asked for and paid again", *again.notes))
    ways = "`run: {onFailure: rerun}` asks for all of it again, which is paid again"
    bound = _bound(case, change, receipt)
    if bound.action is Action.ADOPT:
        return bound
    return replace(bound, action=Action.BLOCKED, notes=(note, ways))


# --- not answered --------------------------------------------------------------------------


def _ended(run: RunRecord, attempt: int) -> bool:
    known = run.attempts.get(attempt)
    return known is not None and bool(known.ended)


def _decide_unanswered(case: Case, places: Places) -> Change:
    run = case.view.run
    latest = 0 if run is None else run.latest
    if run is not None and _ended(run, latest):
        return _decide_ended(case, places, latest)
    change = _run(case, attempt=max(latest, 1), reason=Reason.NEVER_RUN, places=places)
    if run is None or not latest:
        return change
    known = run.attempts[latest]
    if known.refused and not known.asked:
        refused = f"the server refused it before, which costs nothing: {known.refused}"
        return replace(change, notes=(refused, *change.notes))
    lost = "it was asked for before and its answer was lost: this request is paid again"
    return replace(change, reason=Reason.ANSWER_LOST, notes=(lost, *change.notes))


def _decide_ended(case: Case, places: Places, latest: int) -> Change:
    """What came was no answer, and perhaps paid: it is not asked for again without a word."""
    run = case.view.run
    cause = "no cause given" if run is None else run.attempts[latest].cause or "no cause given"
    if case.options.reruns:
        again = _run(case, attempt=latest + 1, reason=Reason.ANOTHER_ATTEMPT, places=places)
        return replace(again, notes=(f"attempt {latest} ended: {cause}", *again.notes))
    ways = "`run: {onFailure: rerun}` asks again, `generation` makes another run of it"
    return replace(
        case.base,
        action=Action.BLOCKED,
        reason=Reason.RUN_FAILED,
        attempt=latest,
        notes=(f"it ended: {cause}", ways),
    )


def _run(case: Case, *, attempt: int, reason: Reason, places: Places | None) -> Change:
    notes = [] if places is None else [f"writes {', '.join(p.path for p in places.targets[:3])}"]
    if not case.base.key:
        notes.append("once its key is known, it is left alone if that has run already")
    notes.append(_PAID_AGAIN)
    shown = places or Places((), "")
    change = replace(
        case.base,
        action=Action.RUN,
        reason=reason,
        attempt=attempt,
        requests=(case.api.ask({**case.desired.spec}, shown),),
        notes=tuple(notes),
        records=True,
    )
    foreign = None if places is None else in_the_way(case, places)
    told = priced(case, change)
    return told if foreign is None else replace(told, refusals=(*told.refusals, foreign))


def _stated_places(case: Case) -> Places | None:
    """Return the places as far as they are known, while the key is not."""
    try:
        return case.api.places(
            case.desired.spec, case.desired.run.get("output"), directory_of(case.desired)
        )
    except PlaceError:
        return None


# --- protections, removal ------------------------------------------------------------------


def _with_protection(case: Case, change: Change) -> Change:
    """Taking a protection away is a change of its own."""
    recorded = case.wanted.recorded
    if recorded is None or change.action is not Action.NOOP:
        return change
    if recorded.prevent_destroy == case.desired.lifecycle.prevent_destroy:
        return change
    return replace(change, action=Action.UPDATE, reason=Reason.PROTECTION_CHANGED, records=True)


def _decide_removed(wanted: Wanted) -> Change:
    """A job whose manifest is gone is let go of; what it has written stays."""
    recorded = wanted.recorded
    assert recorded is not None, "an address that is neither declared nor recorded"
    return Change(
        wanted.address,
        Action.FORGET,
        Reason.NO_LONGER_DECLARED,
        depends_on=recorded.depends_on,
        records=True,
        prevent_destroy=recorded.prevent_destroy,
        notes=("its files stay where they are",),
    )


__all__ = ["decide_immediate"]
