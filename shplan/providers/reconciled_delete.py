"""
Deleting objects: looked into once more before, looked for after a lost answer, done when it is gone.

What lost a race, or was replaced, is deleted here as well; it stays where somebody uses it.
"""

from __future__ import annotations

from dataclasses import replace

from shplan.core.change import Change
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import RefusedError
from shplan.core.fingerprint import Fingerprint
from shplan.core.value import Object
from shplan.providers.base import ChangeFailedError
from shplan.providers.reconciled import (
    act_until_seen,
    cost_of,
    failure,
    raise_refusal,
    read_or_none,
)
from shplan.providers.reconciled_api import ObjectApi
from shplan.providers.reconciled_members import MemberCount
from shplan.providers.steps import Act, Flow, Note, Reply, Scan


def delete_change(api: ObjectApi, change: Change) -> Flow[Object]:
    """Carry a delete out, of the object of an address or of one that was left behind."""
    learnt = Settlement(Result.DONE, gone=not change.deposed, status=204)
    if change.deposed:
        learnt = replace(learnt, data={str(change.current.get("slot") or "deposed"): ""})
    if not change.requests:
        yield Note(Event.PROTECT, learnt)
        return {}
    yield from _refuse_newcomers(api, change)
    yield from _delete_object(api, change.id, learnt=learnt)
    return {}


def delete_loser(api: ObjectApi, loser: str) -> Flow[None]:
    """Delete what lost a race, while it is empty; otherwise somebody uses it, and it stays."""
    settled = Settlement(Result.DONE, status=204, data={"loser": ""})
    if (yield from _look_into(api, loser)).total:
        yield Note(Event.PROTECT, replace(settled, status=0))
        return
    yield from _delete_object(api, loser, learnt=settled)


def _refuse_newcomers(api: ObjectApi, change: Change) -> Flow[None]:
    """
    Look at the members once more: since the plan, somebody may have added their own.

    Between the creation of a replacement and this moment all its members were made ready. As many
    as there were are not the same ones: one may have gone and a stranger's have come.

    Raises:
        ChangeFailedError: there are others than the plan has shown
    """
    planned = Fingerprint.read(change.held)
    if api.members is None:
        yield from _refuse_changed(api, change, planned)
        return
    held = yield from _look_into(api, change.id)
    if not held.beyond(planned):
        return
    noun = api.members.noun
    told = f"{change.id} holds other {noun} than when the plan was made"
    if held.total > planned.total:
        told = f"{change.id} holds more {noun} than when the plan was made: {held.total}, not {planned.total}"
    message = f"{told}; nothing of it was deleted: plan again, and the plan says which are not ours"
    raise ChangeFailedError(message)


def _refuse_changed(api: ObjectApi, change: Change, planned: Fingerprint) -> Flow[None]:
    """
    Look at an object once more whose contents are no objects themselves.

    Raises:
        ChangeFailedError: they are others than the plan has shown
    """
    if api.contents is None or not change.held:
        return
    now = api.object_of((yield from read_or_none(api.get(change.id))))
    if now is None or not Fingerprint.read(api.held(now)).beyond(planned):
        return
    message = (
        f"{api.noun} {change.id} holds something else than when the plan was made; nothing of it was"
        " deleted: see what was added, and plan again"
    )
    raise ChangeFailedError(message)


def _look_into(api: ObjectApi, home: str) -> Flow[Fingerprint]:
    """List what an object holds; what is gone holds nothing."""
    count = MemberCount(home)
    if api.members is None:
        return count.held
    try:
        yield Scan(api.members.listing(home), count.take)
    except RefusedError as error:
        if error.status != 404:
            raise
    return count.held


def _delete_object(api: ObjectApi, object_id: str, *, learnt: Settlement) -> Flow[None]:
    def settle(replies: tuple[Reply, ...]) -> Settlement:
        (reply,) = replies
        if isinstance(reply, RefusedError) and reply.status == 404:
            return learnt
        failed = failure(reply)
        return (
            failed
            if failed is not None
            else replace(learnt, cost_pu=cost_of(replies, each_pu=api.call_pu))
        )

    def seen() -> Flow[Settlement | None]:
        now = yield from read_or_none(api.get(object_id))
        return learnt if now is None else None

    act = Act("delete", (api.delete(object_id),), settle, data={"id": object_id})
    reply = yield from act_until_seen(act, settled=seen)
    if isinstance(reply, RefusedError) and reply.status == 404:
        return
    raise_refusal(reply)
