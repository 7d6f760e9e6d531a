"""
Carrying out the changes of a set of tiles: a hundred to an intent, and waiting for ingestion.

A lost answer is looked up by the tile's path before anything is repeated. What was
made is recorded even when other tiles of the same group were refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change, MemberChange
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError
from shplan.core.request import ApiRequest
from shplan.core.value import Object, Value
from shplan.providers.base import ChangeFailedError, Fault, Settings
from shplan.providers.reconciled import MAX_REPEATS, cost_of, data_object, read_or_none
from shplan.providers.steps import Act, Flow, Note, Progress, Reply, Rows, Scan, Wait
from shplan.providers.tile_ingestion import INGESTION_FAILED, wait_for_ingestion
from shplan.providers.tile_join import RESPELL
from shplan.providers.tile_lookup import find_by_path, look_after
from shplan.providers.tile_requests import (
    GROUP,
    get_collection,
    list_tiles,
    look_at_files,
    spellings,
    text_of,
)
from shplan.providers.tile_work import (
    TileWork,
    home_of,
    id_of,
    is_good,
    is_lost,
    learnt_of,
    member_record,
    place_of,
    values_of,
)


def apply_tiles(change: Change, settings: Settings) -> Flow[Object]:
    """
    Adopt, create, update, send round again and delete, then wait until all are ingested.

    Raises:
        ChangeFailedError: the service refused some tiles, or their ingestion failed; the
            others are done and recorded
    """
    work = TileWork(change, settings)
    yield from _look_at_files(work)
    yield from _leave_former(work)
    yield from _adopt(work)
    work.faults += [
        Fault(place_of(member), f"{member.key}: {INGESTION_FAILED}: {member.detail}")
        for member in change.members
        if member.operation == "reingest" and member.request is None
    ]
    for operation in ("create", "update", "reingest", "delete"):
        todo = [m for m in change.members if m.operation == operation and m.request is not None]
        todo = [m for m in todo if home_of(m) in ("", work.collection)]
        if operation == "create" and todo and settings.new_ledger and settings.list_lag_s:
            todo = yield from _without_earlier(work, todo)
        for group in _grouped(todo):
            yield from _carry_out(work, operation, group)
    if change.action is Action.DELETE:
        yield from _finish_delete(work)
        return {}
    yield from wait_for_ingestion(work)
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))
    return {"collection": work.collection}


def _look_at_files(work: TileWork) -> Flow[None]:
    """
    Note what the files are before anything is ingested.

    Before, not after: a file that changes in between is then ingested once too often, and
    never forgotten.
    """
    looked_at = ("create", "reingest", "adopt")
    paths = [m.key for m in work.change.members if m.operation in looked_at]
    if not paths or not work.settings.reads_buckets:
        return
    home = data_object((yield from read_or_none(get_collection(work.collection)))) or {}
    bucket = text_of(home.get("s3Bucket"))
    if bucket:
        work.files = yield from look_at_files(bucket, paths)


def _leave_former(work: TileWork) -> Flow[None]:
    """
    Delete what lies in the collection that the set belonged to, before anything else is written.

    Until then the ledger says that the set belongs there, so that a run that is cut off leaves
    nothing behind, and a path that both collections hold is not taken for the other one's.

    Raises:
        ChangeFailedError: the service refused some; nothing was changed in the new collection
    """
    todo = [m for m in work.change.members if home_of(m) not in ("", work.collection)]
    for group in _grouped(todo):
        yield from _carry_out(work, "delete", group)
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))


def _adopt(work: TileWork) -> Flow[None]:
    """Bind tiles that exist; one that no intent of ours made is not ours until confirmed."""
    change = work.change
    lost = tuple(text_of(cast("Value", path)) for path in values_of(change.current.get("lost")))
    adopted = [member for member in change.members if member.operation in ("adopt", RESPELL)]
    for group in _grouped(adopted):
        members = {m.key: member_record(work, m, m.id) for m in group}
        yield Note(Event.ADOPT, work.learnt(members=members))
    if lost:
        yield Note(Event.ADOPT, work.learnt(lost_members=lost))
    elif not adopted and change.records and not change.members:
        yield Note(Event.PROTECT, work.learnt())


def _without_earlier(work: TileWork, todo: Sequence[MemberChange]) -> Flow[list[MemberChange]]:
    """
    Bind, without owning them, tiles that a run has made whose ledger is lost; return the others.

    The plan has read lists that may not have shown them yet, no intent says that they were made,
    and the service takes a path again once it has spelled out the first one's.
    """
    yield Wait(
        work.settings.list_lag_s,
        "the ledger is new; what an earlier run made may not be listed yet",
    )
    wanted = {spelling: member.key for member in todo for spelling in spellings(member.key)}
    found: dict[str, str] = {}

    def take(rows: Rows) -> None:
        for tile, path in rows:
            key = wanted.get(text_of(cast("Value", path)))
            if key is not None:
                found.setdefault(key, text_of(cast("Value", tile)))

    yield Scan(list_tiles(work.collection, ("id", "path")), take)
    bound = [member for member in todo if member.key in found]
    for group in _grouped(bound):
        members = {m.key: member_record(work, replace(m, owned=False), found[m.key]) for m in group}
        yield Note(Event.ADOPT, work.learnt(members=members))
    work.awaited.update((found[member.key], member) for member in bound)
    work.done += len(bound)
    return [member for member in todo if member.key not in found]


def _carry_out(work: TileWork, operation: str, group: Sequence[MemberChange]) -> Flow[None]:
    """Act on a group; look up what got no answer; repeat what certainly did not happen."""
    todo = list(group)
    for _ in range(MAX_REPEATS):
        if not todo:
            return
        replies: tuple[Reply, ...] = yield _act(work, operation, todo)
        if operation == "create" and _misses_home(work, replies):
            work.waited_for_home = True
            yield Wait(work.settings.list_lag_s, "the collection may not be there for all yet")
            continue
        lost = [m for m, reply in zip(todo, replies, strict=True) if is_lost(reply)]
        yield from _take(work, operation, todo, replies)
        todo = (yield from look_after(work, operation, lost)) if lost else []
    for member in todo:
        work.refuse(member, NoAnswerError("no answer, several times over, and no effect"))


def _misses_home(work: TileWork, replies: tuple[Reply, ...]) -> bool:
    """
    Whether the service does not know the collection, which may just have been made: waited for once.

    A refusal has no effect, so that everything can be sent again.
    """
    if work.waited_for_home or not work.settings.list_lag_s:
        return False
    return all(isinstance(one, RefusedError) and one.status == 404 for one in replies)


def _act(work: TileWork, operation: str, todo: Sequence[MemberChange]) -> Act:
    requests = tuple(cast("ApiRequest", member.request) for member in todo)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        pairs = list(zip(todo, replies, strict=True))
        unsettled = tuple(member.key for member, reply in pairs if is_lost(reply))
        good = [(m, r) for m, r in pairs if is_good(operation, r)]
        refused = next((r for _, r in pairs if isinstance(r, RefusedError)), None)
        result = Result.UNKNOWN if unsettled else Result.DONE
        return learnt_of(
            work,
            todo,
            result=result if good or unsettled else Result.REFUSED,
            members={
                m.key: member_record(work, m, id_of(m, r)) for m, r in good if operation != "delete"
            },
            lost_members=tuple(m.key for m, _ in good) if operation == "delete" else (),
            unsettled=unsettled,
            cost_pu=cost_of(replies),
            status=refused.status if refused is not None else 0,
            message=str(refused) if refused is not None else "",
        )

    keys = tuple(member.key for member in todo)
    return Act(operation, requests, settle, keys=keys, data={"collection": work.collection})


def _take(
    work: TileWork, operation: str, todo: Sequence[MemberChange], replies: tuple[Reply, ...]
) -> Flow[None]:
    for member, reply in zip(todo, replies, strict=True):
        if is_good(operation, reply):
            work.done += 1
            if operation != "delete":
                work.awaited[id_of(member, reply)] = member
        elif isinstance(reply, RefusedError) and operation == "create" and reply.status == 409:
            yield from _bind_existing(work, member, reply)
        elif isinstance(reply, ApiError) and not is_lost(reply):
            work.refuse(member, reply)
    yield Progress(work.done, len(work.change.members), f"{operation} tiles")


def _bind_existing(work: TileWork, member: MemberChange, refusal: RefusedError) -> Flow[None]:
    """
    Bind a tile whose path somebody else has taken in the meantime, without owning it.

    Source: API description: create lists 409; a path is unique in its collection.
    """
    found = yield from find_by_path(work, [member])
    if not found and work.settings.list_lag_s:
        yield Wait(work.settings.list_lag_s, "a taken path may not be listed yet")
        found = yield from find_by_path(work, [member])
    tile = found.get(member.key)
    if tile is None:
        work.refuse(member, refusal)
        return
    work.awaited[tile] = member
    record = member_record(work, replace(member, owned=False), tile)
    yield Note(Event.ADOPT, work.learnt(members={member.key: record}))


def _finish_delete(work: TileWork) -> Flow[None]:
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))
    yield Note(Event.FORGET)


def _summary(work: TileWork) -> str:
    told = f"{len(work.faults)} of {len(work.change.members)} tiles failed"
    if any(f": {INGESTION_FAILED}: " in fault.what for fault in work.faults):
        told += f"; what is wrong with their files: shplan byoc check {work.change.address}"
    return told


def _grouped(members: Sequence[MemberChange]) -> Iterable[Sequence[MemberChange]]:
    return (members[start : start + GROUP] for start in range(0, len(members), GROUP))
