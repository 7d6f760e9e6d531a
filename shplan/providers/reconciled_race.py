"""
Creating an object among others: names are not unique, and whoever shares no ledger may do the same.

Nobody binds two, and nobody makes one twice: what an earlier run made is looked for first, a taken
name is bound without being owned, and of those made at one moment everybody binds the smallest
(created, id); the loser deletes its own, which is still empty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, RefusedError
from shplan.core.frozen import dataclass
from shplan.core.request import Answer
from shplan.core.value import JsonObject, Object
from shplan.providers.base import ChangeFailedError, Settings
from shplan.providers.reconciled import (
    act_until_seen,
    cost_of,
    failure,
    raise_refusal,
    stated_record,
)
from shplan.providers.reconciled_api import NaturalKey, ObjectApi, age
from shplan.providers.reconciled_delete import delete_loser
from shplan.providers.reconciled_find import Index
from shplan.providers.steps import Act, Flow, Note, Reply, Scan, Wait

# `created` has milliseconds.
_TICK_S = 0.002


def create_object(api: ObjectApi, change: Change, settings: Settings) -> Flow[Object]:
    """
    Create the object of an address, or bind what proves to be there already.

    Returns:
        the object as the server shows it
    """
    race = _Race.of(api, change, settings)
    if settings.new_ledger and race.lag_s:
        earlier = yield from _look_for_earlier(race)
        if earlier is not None:
            return earlier
    return (yield from _create_new(race, settings))


def _create_new(race: _Race, settings: Settings) -> Flow[Object]:
    api = race.api
    found: list[Object] = []

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        made = _made(api, replies[0])
        cost_pu = cost_of(replies, each_pu=api.call_pu)
        if settings.private_ledger or not made:
            # Not settled yet: others may have made the same at this moment.
            open_ = Settlement(Result.UNKNOWN, status=201, cost_pu=cost_pu)
            return replace(open_, data={"made": made})
        return replace(race.bound(made), status=201, cost_pu=cost_pu)

    def seen() -> Flow[Settlement | None]:
        found[:] = yield from race.look()
        if not found:
            return None
        return replace(race.bound(str(found[0]["id"])), owned=len(found) == 1)

    act = Act("create", (race.change.requests[0],), settle, data=race.intent)
    reply = yield from act_until_seen(act, settled=seen, lag_s=settings.list_lag_s)
    if isinstance(reply, RefusedError) and reply.status == 409:
        return (yield from _bind_existing(race, reply))
    made = api.object_of(raise_refusal(reply))
    if found:
        return found[0]
    if made is None:
        message = f"create: the answer holds no {api.noun}; run again to look for it"
        raise NoAnswerError(message)
    if not settings.private_ledger:
        return made
    return (yield from _settle_race(race, made))


def _made(api: ObjectApi, reply: Reply) -> str:
    made = api.object_of(reply) if isinstance(reply, Answer) else None
    return str((made or {}).get("id") or "")


@dataclass(frozen=True, slots=True)
class _Race:
    """
    One create among others of the same natural key.

    Args:
        known: ids that had it before, which nobody binds: bound elsewhere, or replaced
        old: the object that is replaced, empty for a plain create
    """

    api: ObjectApi
    change: Change
    key: NaturalKey
    known: frozenset[str]
    old: str
    lag_s: float

    @classmethod
    def of(cls, api: ObjectApi, change: Change, settings: Settings) -> _Race:
        body = cast("Object", change.requests[0].body)
        old = change.id if change.action is Action.REPLACE else ""
        others = cast("list[str]", change.current.get("others") or [])
        key = tuple(str(body[name]) for name in api.natural_key)
        return cls(api, change, key, frozenset({*others, old}), old, settings.list_lag_s)

    @property
    def intent(self) -> JsonObject:
        """What finds the new object again after a crash."""
        named: JsonObject = dict(zip(self.api.natural_key, self.key, strict=True))
        return {**named, "others": [*sorted(self.known - {""})]}

    def look(self) -> Flow[list[Object]]:
        """List what has this natural key and had it not before, oldest first."""
        index = Index.of_key(self.api, self.key)
        yield Scan(self.api.listing, index.take)
        listed = {str(one["id"]): one for one in index.by_key.get(self.key, [])}
        return sorted((one for i, one in listed.items() if i not in self.known), key=age)

    def bound(self, made: str) -> Settlement:
        """Return what the ledger learns when the address is bound to an object."""
        change = self.change
        return Settlement(
            Result.DONE,
            id=made,
            owned=True,
            spec=stated_record(change.record),
            prevent_destroy=change.prevent_destroy,
            depends_on=tuple(str(address) for address in change.depends_on),
            data={"deposed": self.old, "made": "", "deposedTiles": change.held},
        )


def _look_for_earlier(race: _Race) -> Flow[Object | None]:
    """
    Bind, without owning it, what a run has made whose ledger is lost; None where there is nothing.

    The plan has read a list that may not have shown it yet, and no intent says that it was made.
    """
    yield Wait(race.lag_s, "the ledger is new; what an earlier run made may not be listed yet")
    found = yield from race.look()
    if not found:
        return None
    if len(found) > 1:
        many = f"several {race.api.noun}s of this {race.api.key_words}"
        message = f"{many} have appeared; run again to choose"
        raise ChangeFailedError(message)
    return (yield from _adopt_other(race, found[0]))


def _adopt_other(race: _Race, found: Object) -> Flow[Object]:
    yield Note(Event.ADOPT, replace(race.bound(str(found["id"])), owned=False))
    return found


def _bind_existing(race: _Race, refusal: RefusedError) -> Flow[Object]:
    """
    Bind what somebody else made in the meantime, without owning it.

    Source: API description: create lists 409.
    """
    if race.lag_s:
        yield Wait(race.lag_s, "a taken name may not be listed yet")
    found = yield from race.look()
    if len(found) != 1:
        raise refusal
    return (yield from _adopt_other(race, found[0]))


def _settle_race(race: _Race, made: Object) -> Flow[Object]:
    """
    Look again once the list must show what others created at the same moment.

    Everybody binds the smallest (created, id), so that appliers that share no ledger end
    with one object; the loser deletes its own, which is still empty.
    """
    # Never none at all: what is created after the look must have a later `created` than ours.
    pause = max(race.lag_s, _TICK_S)
    yield Wait(pause, f"others may have created the same {race.api.noun}")
    rivals = yield from race.look()
    winner = rivals[0] if rivals else made
    won = winner["id"] == made["id"]
    bound = replace(race.bound(str(winner["id"])), owned=won)
    if not won:
        # Until it is deleted, the ledger knows that it is to be.
        bound = replace(bound, data={**bound.data, "loser": str(made["id"])})
    yield Note(Event.OUTCOME, bound)
    if not won:
        yield from delete_loser(race.api, str(made["id"]))
    return winner
