"""
Carrying out what was decided about objects: creates, updates that look before they repeat, adoption.

Everything here binds first and changes afterwards: what is bound is found again whatever happens
to the change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change, FieldChange
from shplan.core.diff import diff_object, value_at
from shplan.core.entry import Event, Result, Settlement
from shplan.core.fields import FieldRules
from shplan.core.planner import dependencies
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object
from shplan.providers.base import ChangeFailedError, Settings
from shplan.providers.reconciled import (
    act_until_seen,
    cost_of,
    failure,
    nothing,
    raise_refusal,
    read_or_none,
    stated_record,
)
from shplan.providers.reconciled_api import ObjectApi
from shplan.providers.reconciled_delete import delete_change, delete_loser
from shplan.providers.reconciled_race import create_object
from shplan.providers.reconciled_ready import await_ready, begin_again
from shplan.providers.steps import Act, Flow, Note, Reply


def apply_object(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    """Carry one change out; return what references see afterwards."""
    match change.action:
        case Action.CREATE | Action.REPLACE:
            return _create(api, change, settings)
        case Action.DELETE:
            return delete_change(api, change)
        case Action.ADOPT:
            return _adopt(api, change, settings)
        case Action.READ:
            return _await_others(api, change, settings) if change.waits else nothing()
        case _:
            return _update(api, change, settings)


def confirm_object(api: ObjectApi, desired: Desired, confirmed: str) -> Flow[Settlement]:
    """Bind an object by its id, and own it from now on."""
    listed = api.object_of((yield from read_or_none(api.get(confirmed))))
    if listed is None:
        message = f"there is no {api.noun} {confirmed} on this deployment"
        raise ChangeFailedError(message)
    return Settlement(
        Result.DONE,
        id=confirmed,
        owned=True,
        spec=stated_record(desired.spec),
        prevent_destroy=desired.lifecycle.prevent_destroy,
        depends_on=tuple(str(address) for address in dependencies(desired)),
    )


def _create(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    made = yield from create_object(api, change, settings)
    if api.preparation is not None:
        made = yield from await_ready(api, str(made["id"]), settings)
    return api.attributes(made)


def _update(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    if change.fields:
        yield from _send_update(api, change, owned=None)
    elif change.records:
        yield Note(Event.PROTECT, _learnt(change, owned=None))
    return (yield from _made_ready(api, change, settings))


def _await_others(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    """Wait until what is only referred to can be used; the ledger learns nothing."""
    now = yield from await_ready(api, change.id, settings)
    return {**api.attributes(now), **change.record, "id": change.id}


def _made_ready(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    """Have prepared what had failed, wait for it, and return what references see."""
    if api.preparation is None:
        return {**change.record, "id": change.id}
    if change.current.get("again") is True:
        yield from begin_again(api, change, settings)
    now = yield from await_ready(api, change.id, settings)
    return {**api.attributes(now), **change.record, "id": change.id}


def _adopt(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    """
    Bind first, then change.

    An object made by an intent of ours is ours; any other one stays not owned until
    `shplan import` has confirmed it.
    """
    owned = change.current.get("owned") is True
    loser = str(change.current.get("loser") or "")
    left: JsonObject = {
        "deposed": str(change.current.get("deposed") or ""),
        "deposedTiles": str(change.current.get("held") or ""),
        "loser": loser,
        "made": "",
    }
    yield Note(Event.ADOPT, replace(_learnt(change, owned=owned), data=left))
    if change.fields:
        yield from _send_update(api, change, owned=owned)
    if loser:
        yield from delete_loser(api, loser)
    return (yield from _made_ready(api, change, settings))


def _send_update(api: ObjectApi, change: Change, *, owned: bool | None) -> Flow[None]:
    put = change.requests[0]

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        return replace(
            _learnt(change, owned=owned), status=204, cost_pu=cost_of(replies, each_pu=api.call_pu)
        )

    def seen() -> Flow[Settlement | None]:
        now = api.object_of((yield from read_or_none(api.get(change.id))))
        body = cast("Object", put.body)
        happened = now is not None and _has(api, now, body, change.fields)
        return _learnt(change, owned=owned) if happened else None

    reply = yield from act_until_seen(Act("update", (put,), settle), settled=seen)
    raise_refusal(reply)


def _has(api: ObjectApi, now: Object, body: Object, fields: tuple[FieldChange, ...]) -> bool:
    """Tell whether an update has taken effect: each of its fields is as it was sent."""
    observed = api.as_compared(now)
    return all(_is_there(change, observed, body) for change in fields)


def _is_there(change: FieldChange, observed: Object, body: Object) -> bool:
    here = value_at(observed, change.path)
    if change.cleared:
        return here is None
    sent: Object = {"value": value_at(body, change.path)}
    return not diff_object(desired=sent, recorded={}, observed={"value": here}, rules=FieldRules())


def _learnt(change: Change, *, owned: bool | None) -> Settlement:
    return Settlement(
        Result.DONE,
        id=change.id,
        owned=owned,
        spec=stated_record(change.record),
        prevent_destroy=change.prevent_destroy,
        depends_on=tuple(str(address) for address in change.depends_on),
    )
