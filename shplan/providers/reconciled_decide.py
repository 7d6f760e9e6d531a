"""
Deciding about objects: three-way differences become one change, and one for what was left behind.

What holds for every kind is judged in `core.planner`; here a verdict gets its requests, its price
and what carrying it out needs to know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change, FieldChange, Reason, Refusal, RefusalKind
from shplan.core.cost import Cost, calls
from shplan.core.planner import (
    Found,
    dependencies,
    held_by_others,
    judge_existing,
    judge_undeclared,
    with_verdict,
)
from shplan.core.refusals import ambiguous, same_key
from shplan.core.resource import Desired, Recorded
from shplan.core.value import JsonObject, Object, digest
from shplan.providers.base import Wanted
from shplan.providers.observation import (
    Absent,
    Ambiguous,
    Binding,
    LeftBehind,
    Observation,
    Observed,
)
from shplan.providers.reconciled import stated_record
from shplan.providers.reconciled_api import OWN, ObjectApi, Stage, is_unmanaged, noted
from shplan.providers.reconciled_ready import failure_of, lost_again, undecided_again


def decide_object(api: ObjectApi, one: Wanted, observation: Observation) -> tuple[Change, ...]:
    """Decide about one address, and about what an earlier replacement of it left behind."""
    return (_decide(api, one, observation), *_decide_left(api, one, observation))


def attributes_of(api: ObjectApi, change: Change, observation: Observation) -> Object | None:
    """
    Return what references see: nothing before a create, the planned object afterwards.

    Nor before what the service makes of an object by itself is known.
    """
    if change.action in (Action.CREATE, Action.REPLACE) or not isinstance(observation, Observed):
        return None
    seen = api.attributes(observation.attributes)
    if _is_unprepared(api, observation):
        return None
    return {**seen, **change.record, "id": observation.id}


def _is_unprepared(api: ObjectApi, observed: Observed) -> bool:
    """Tell whether an object was never ready yet: what references may ask for is not there."""
    preparation = api.preparation
    if preparation is None or preparation.was_ready(observed.attributes):
        return False
    return preparation.stage(observed.attributes) is not Stage.READY


def _decide(api: ObjectApi, one: Wanted, observation: Observation) -> Change:
    if one.desired is None:
        return _decide_undeclared(api, one, observation)
    base = _base(one.desired, observation)
    if isinstance(observation, Ambiguous):
        refusal = _undecided(api, one, observation)
        return replace(base, action=Action.BLOCKED, reason=Reason.SAME_KEY, refusals=(refusal,))
    if is_unmanaged(one):
        return _decide_unmanaged(api, base, observation)
    if isinstance(observation, Absent):
        reason = Reason.GONE if observation.gone else Reason.NOT_FOUND
        body = {**one.desired.spec}
        return replace(
            base,
            action=Action.CREATE,
            reason=reason,
            fields=_as_created(body),
            requests=(api.create(body),),
            cost=_calls(api, 1, f"create the {api.noun}"),
            current={"others": [*observation.others]},
        )
    return _decide_existing(api, one, observation, base)


def _base(desired: Desired, observation: Observation) -> Change:
    observed = observation if isinstance(observation, Observed) else None
    return Change(
        desired.address,
        Action.NOOP,
        Reason.UP_TO_DATE,
        depends_on=dependencies(desired),
        record={**desired.spec},
        prevent_destroy=desired.lifecycle.prevent_destroy,
        id=observed.id if observed else "",
        observed=digest(observed.attributes) if observed else "",
    )


def _as_created(body: Object) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange((key,), None, value, Reason.NOT_FOUND) for key, value in sorted(body.items())
    )


def _undecided(api: ObjectApi, one: Wanted, observation: Ambiguous) -> Refusal:
    if observation.rivals:
        return same_key(one.address, observation.rivals)
    ids = [str(candidate["id"]) for candidate in observation.candidates]
    if is_unmanaged(one):
        hint = f"state `id: {ids[0]}` instead of the name"
        return ambiguous(one.address, ids, what=f"{api.noun}s have this name", hint=hint)
    return ambiguous(one.address, ids, what=f"{api.noun}s have this {api.key_words}")


def _decide_unmanaged(api: ObjectApi, base: Change, observation: Observation) -> Change:
    if isinstance(observation, Observed):
        return _decide_read(api, base, observation)
    note = f"no such {api.noun} exists, and `managed: false` never creates one"
    return replace(base, action=Action.BLOCKED, reason=Reason.NOT_FOUND, notes=(note,))


def _decide_read(api: ObjectApi, base: Change, observed: Observed) -> Change:
    """Only read it; what depends on it waits until it can be used, and never for one that failed."""
    change = replace(base, action=Action.READ, reason=Reason.UNMANAGED)
    stage = Stage.READY if api.preparation is None else api.preparation.stage(observed.attributes)
    if api.preparation is None or stage is Stage.READY:
        return change
    if stage is Stage.UNDER_WAY:
        return replace(change, waits=True)
    cause = api.preparation.cause(observed.attributes) or "no cause given"
    return change.blocked(
        Reason.IMPORT_FAILED,
        note=f"{cause}; `managed: false` never repeats an {api.preparation.noun}",
    )


def _decide_existing(api: ObjectApi, one: Wanted, observed: Observed, base: Change) -> Change:
    desired = cast("Desired", one.desired)
    fields = api.judge(api.differences(one, observed), desired.spec, observed)
    verdict = judge_existing(
        desired, one.recorded, _found(one, observed), fields, stated=stated_record(desired.spec)
    )
    same_as_applied = one.recorded is not None and one.recorded.spec == stated_record(base.record)
    judged = replace(with_verdict(base, verdict), drifted=bool(fields) and same_as_applied)
    worded = _worded(api, judged, desired, observed, one.recorded)
    return _prepared(api, _unless_used(api, worded, observed), observed, one.recorded)


def _found(one: Wanted, observed: Observed) -> Found:
    recorded = one.recorded
    return Found(
        by_ledger=observed.binding is Binding.RECORDED,
        by_intent=observed.binding is Binding.INTENT,
        owned=observed.detail == OWN or (recorded is not None and recorded.owned),
        foreign_members=observed.foreign_members or 0,
        strangers=observed.strangers,
    )


def _worded(
    api: ObjectApi, change: Change, desired: Desired, observed: Observed, recorded: Recorded | None
) -> Change:
    """Give a verdict its requests, and what carrying it out needs to know."""
    current = _current(observed, recorded)
    if change.action is Action.REPLACE:
        return replace(
            change,
            requests=(api.create({**desired.spec}), api.delete(observed.id)),
            cost=_calls(api, 2, f"create the new {api.noun}, delete the old one"),
            counts=_lost_members(api, observed, f"with the old {api.noun}"),
            held=observed.held,
            current=current,
        )
    if change.action in (Action.UPDATE, Action.ADOPT) and change.fields:
        request = api.update(desired.spec, observed.id, observed.attributes, change.fields)
        return replace(
            change,
            requests=(request,),
            cost=_calls(api, 1, f"update the {api.noun}"),
            current=current,
        )
    return replace(change, current=current)


def _current(observed: Observed, recorded: Recorded | None) -> Object:
    made = noted(recorded, "made")
    current: Object = {"owned": observed.detail == OWN, "others": [*observed.others]}
    if observed.binding is Binding.INTENT:
        current["loser"] = made if made != observed.id else ""
        current["deposed"] = "" if recorded is None else recorded.id
        current["held"] = observed.left.held if observed.left is not None else ""
    return current


def _lost_members(api: ObjectApi, observed: Observed, how: str) -> JsonObject:
    """Say how much goes with an object, where objects of its kind hold something."""
    if api.members is None:
        return {}
    return {f"{api.members.noun} deleted {how}": observed.members or 0}


def _decide_undeclared(api: ObjectApi, one: Wanted, observation: Observation) -> Change:
    recorded = cast("Recorded", one.recorded)
    base = Change(
        one.address,
        Action.FORGET,
        Reason.GONE,
        record=recorded.spec,
        depends_on=recorded.depends_on,
        id=recorded.id,
        records=True,
    )
    if not isinstance(observation, Observed):
        return base
    verdict = judge_undeclared(recorded, _found(one, observation))
    change = replace(with_verdict(base, verdict), id=observation.id)
    if change.action is not Action.DELETE:
        return change
    change = replace(
        change,
        requests=(api.delete(observation.id),),
        cost=_calls(api, 1, f"delete the {api.noun}"),
        counts=_lost_members(api, observation, "with it"),
        held=observation.held,
    )
    return _unless_used(api, change, observation)


def _decide_left(api: ObjectApi, one: Wanted, observation: Observation) -> tuple[Change, ...]:
    """Plan to delete what a replacement left behind when it was cut off."""
    left = observation.left
    if left is None:
        return ()
    recorded = cast("Recorded", one.recorded)
    change = Change(
        one.address,
        Action.DELETE,
        Reason.CANNOT_UPDATE,
        requests=(api.delete(left.id),) if left.exists else (),
        cost=_calls(api, 1 if left.exists else 0, f"delete the replaced {api.noun}"),
        notes=("a replacement left it behind",),
        id=left.id,
        deposed=True,
        records=True,
        depends_on=recorded.depends_on,
        held=left.held,
        current={"slot": "loser" if left.id == noted(recorded, "loser") else "deposed"},
    )
    if left.foreign_members and api.members is not None:
        note = held_by_others(left.foreign_members, api.members.noun, left.strangers)
        note += "; they came after the plan of the replacement"
        return (change.blocked(Reason.FOREIGN_MEMBERS, note=note),)
    if left.changed:
        note = (
            f"what {api.noun} {left.id} holds is not what it held when its replacement was planned:"
            " somebody may use it. See whether it may go, and delete it there by hand; the next apply"
            " notices"
        )
        return (change.blocked(Reason.CONTENTS_CHANGED, note=note),)
    return (_unless_used(api, change, left),)


def _calls(api: ObjectApi, number: int, label: str) -> Cost:
    return calls(number, label=label, each_pu=api.call_pu)


def _unless_used(api: ObjectApi, change: Change, found: Observed | LeftBehind) -> Change:
    """Block a delete that the service would refuse, because something refers to the object."""
    removes = change.action in (Action.DELETE, Action.REPLACE)
    if api.users is None or not found.users or not removes:
        return change
    first, *more = found.users
    others = f" and {len(more)} more" if more else ""
    note = f"{api.users.noun} refer to it ({first}{others}): {api.users.way_on}"
    return change.blocked(Reason.IN_USE, note=note)


def _prepared(
    api: ObjectApi, change: Change, observed: Observed, recorded: Recorded | None
) -> Change:
    """Wait for what the service is preparing; have it done once more where it has failed."""
    preparation = api.preparation
    if preparation is None or change.action not in (Action.NOOP, Action.UPDATE, Action.ADOPT):
        return change
    stage = preparation.stage(observed.attributes)
    if stage is Stage.UNDER_WAY:
        reason = Reason.IMPORTING if change.action is Action.NOOP else change.reason
        return replace(change, waits=True, reason=reason)
    cause = preparation.cause(observed.attributes)
    if stage is Stage.READY:
        notes = (f"left out: {cause}",) if cause else ()
        return replace(change, notes=(*change.notes, *notes))
    if lost_again(api, recorded, observed.attributes):
        refusal = Refusal(RefusalKind.UNDECIDED, undecided_again(api, change.address, observed.id))
        return replace(
            change,
            action=Action.BLOCKED,
            reason=Reason.REPEAT_UNKNOWN,
            requests=(),
            cost=Cost(),
            refusals=(*change.refusals, refusal),
        )
    cause = cause or "no cause given"
    quiet = change.action is Action.NOOP
    return replace(
        change,
        action=Action.UPDATE if quiet else change.action,
        reason=Reason.IMPORT_FAILED if quiet else change.reason,
        requests=(*change.requests, preparation.again(observed.id)),
        cost=change.cost + _calls(api, 1, f"repeat the {preparation.noun}"),
        notes=(*change.notes, f"its {preparation.noun} failed: {cause}", preparation.way_on),
        current={
            **change.current,
            "again": True,
            "failed": failure_of(preparation, observed.attributes),
        },
        records=True,
    )
