"""
Looking up what became of tiles whose answers were lost, before anything is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from shplan.core.change import MemberChange, Reason
from shplan.core.compare import same
from shplan.core.entry import Event
from shplan.core.errors import ApiError
from shplan.core.fields import Sameness
from shplan.core.request import ApiRequest
from shplan.core.value import Object, Value
from shplan.providers.reconciled import data_object, read_or_none
from shplan.providers.steps import Flow, Note, Read, Reply, Together, Wait
from shplan.providers.tile_join import COVER, is_reset
from shplan.providers.tile_requests import (
    IN_PROGRESS,
    MOST_SPELLINGS,
    get_tile,
    list_tiles,
    spellings,
    text_of,
)
from shplan.providers.tile_work import TileWork, learnt_of, member_record


def look_after(
    work: TileWork, operation: str, lost: list[MemberChange]
) -> Flow[list[MemberChange]]:
    """Settle what got no answer; return what certainly did not happen."""
    if work.settings.list_lag_s and operation == "create":
        yield Wait(work.settings.list_lag_s, "answers were lost; looking what happened")
    happened = yield from _LOOKS[operation](work, lost)
    members = (
        {}
        if operation == "delete"
        else {m.key: member_record(work, m, happened[m.key]) for m in lost if m.key in happened}
    )
    gone = tuple(m.key for m in lost if m.key in happened) if operation == "delete" else ()
    yield Note(Event.OUTCOME, learnt_of(work, lost, members=members, lost_members=gone))
    for member in lost:
        if member.key in happened and operation != "delete":
            work.awaited[happened[member.key]] = member
            work.done += 1
    return [member for member in lost if member.key not in happened]


def find_by_path(work: TileWork, members: list[MemberChange]) -> Flow[dict[str, str]]:
    """
    Find tiles by their paths, in every spelling.

    One spelling after the other, in the order in which a tile takes them: side by side, one
    that is ingested between two answers could be missing from both.
    """
    found: dict[str, str] = {}
    for spelling in range(MOST_SPELLINGS):
        wanted = [
            (member.key, tried[spelling])
            for member in members
            if member.key not in found and spelling < len(tried := spellings(member.key))
        ]
        yield from _find_spelled(work, wanted, found)
    return found


def _find_spelled(
    work: TileWork, wanted: list[tuple[str, str]], found: dict[str, str]
) -> Flow[None]:
    reads = tuple(
        Read(list_tiles(work.collection, ("id", "path"), path=spelling)) for _, spelling in wanted
    )
    if not reads:
        return
    replies: tuple[Reply, ...] = yield Together(reads)
    for (key, _), reply in zip(wanted, replies, strict=True):
        if isinstance(reply, ApiError):
            raise reply
        for row in reply.rows:
            found.setdefault(key, text_of(cast("Value", row[0])))


def updated(work: TileWork, members: list[MemberChange]) -> Flow[dict[str, str]]:
    """Find which updates have taken effect."""
    happened: dict[str, str] = {}
    for member in members:
        now = data_object((yield from read_or_none(get_tile(work.collection, member.id)))) or {}
        body = cast("Object", cast("ApiRequest", member.request).body)
        times = same(body.get("sensingTime"), now.get("sensingTime"), Sameness.INSTANT)
        covers = "coverGeometry" not in body or same(
            body["coverGeometry"], now.get("coverGeometry"), Sameness.GEOMETRY
        )
        reset = any(change.cleared and change.dotted == "coverGeometry" for change in member.fields)
        if times and covers and (not reset or is_reset(COVER, now)):
            happened[member.key] = member.id
    return happened


def sent_round(work: TileWork, members: list[MemberChange]) -> Flow[dict[str, str]]:
    """
    Find which tiles were sent round again: they are on their way, or no longer FAILED.

    One that had been INGESTED and still is may not have been: it is sent once more, because a
    changed file that is never read would be worse than a price paid twice.
    """
    happened: dict[str, str] = {}
    for member in members:
        now = data_object((yield from read_or_none(get_tile(work.collection, member.id)))) or {}
        had_failed = member.reason is Reason.INGESTION_FAILED
        recovered = had_failed and now.get("status") == "INGESTED"
        if recovered or now.get("status") in IN_PROGRESS:
            happened[member.key] = member.id
    return happened


def deleted(
    work: TileWork,  # noqa: ARG001 - one of the looks
    members: list[MemberChange],
) -> Flow[dict[str, str]]:
    """Find which tiles are gone."""
    happened: dict[str, str] = {}
    for member in members:
        parameters = cast("ApiRequest", member.request).parameters
        home = text_of(parameters.get("collectionId"))
        if (yield from read_or_none(get_tile(home, member.id))) is None:
            happened[member.key] = member.id
    return happened


_Look = Callable[[TileWork, list[MemberChange]], Flow[dict[str, str]]]

_LOOKS: dict[str, _Look] = {
    "create": find_by_path,
    "update": updated,
    "reingest": sent_round,
    "delete": deleted,
}
