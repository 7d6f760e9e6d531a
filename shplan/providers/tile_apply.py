"""
Carrying out the changes of a set of tiles: a hundred to an intent, and waiting for ingestion.

A lost answer is looked up by the tile's path before anything is repeated. What was
made is recorded even when other tiles of the same group were refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.change import Action, Change, MemberChange, Reason
from shplan.core.compare import same
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError
from shplan.core.fields import Sameness
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import MemberRecord
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.base import ChangeFailedError, Fault, Settings
from shplan.providers.reconciled import MAX_REPEATS, cost_of, data_object, read_or_none
from shplan.providers.steps import (
    Act,
    Flow,
    Note,
    Progress,
    Read,
    Reply,
    Rows,
    Scan,
    Together,
    Wait,
)
from shplan.providers.tile_join import COVER, RESPELL, is_reset
from shplan.providers.tile_requests import (
    CAUSE,
    GROUP,
    IN_PROGRESS,
    MOST_SPELLINGS,
    get_collection,
    get_tile,
    list_tiles,
    look_at_files,
    spellings,
    text_of,
)

_FAILED = "ingestion failed"


def apply_tiles(change: Change, settings: Settings) -> Flow[Object]:
    """
    Adopt, create, update, send round again and delete, then wait until all are ingested.

    Raises:
        ChangeFailedError: the service refused some tiles, or their ingestion failed; the
            others are done and recorded
    """
    work = _Work(change, settings)
    yield from _look_at_files(work)
    yield from _leave_former(work)
    yield from _adopt(work)
    work.faults += [
        Fault(_place(member), f"{member.key}: {_FAILED}: {member.detail}")
        for member in change.members
        if member.operation == "reingest" and member.request is None
    ]
    for operation in ("create", "update", "reingest", "delete"):
        todo = [m for m in change.members if m.operation == operation and m.request is not None]
        todo = [m for m in todo if _home(m) in ("", work.collection)]
        if operation == "create" and todo and settings.new_ledger and settings.list_lag_s:
            todo = yield from _without_earlier(work, todo)
        for group in _grouped(todo):
            yield from _carry_out(work, operation, group)
    if change.action is Action.DELETE:
        yield from _finish_delete(work)
        return {}
    yield from _wait_for_ingestion(work)
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))
    return {"collection": work.collection}


@dataclass(slots=True)
class _Work:
    """What one apply of a set has in hand."""

    change: Change
    settings: Settings
    awaited: dict[str, MemberChange] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    done: int = 0
    waited_for_home: bool = False

    @property
    def collection(self) -> str:
        return text_of(self.change.record.get("collection")) or text_of(
            self.change.current.get("collection")
        )

    @property
    def left(self) -> JsonObject:
        left = self.change.current.get("left")
        return {"left": cast("JsonValue", left)} if left else {}

    def refuse(self, member: MemberChange, error: ApiError) -> None:
        """Note a refusal beside the place in the manifest that caused it."""
        path = _place(member)
        if member.index >= 0:
            path = (*path, *_parameter(error))
        said = "; ".join(error.violations if isinstance(error, RefusedError) else ()) or str(error)
        self.faults.append(Fault(path, f"{member.key}: {said}"))

    def learnt(self, **more: object) -> Settlement:
        """Return what every entry about this set repeats: where it is and how it is protected."""
        base = Settlement(
            Result.DONE,
            id=self.collection,
            owned=True,
            spec=cast("JsonObject", self.change.record),
            prevent_destroy=self.change.prevent_destroy,
            depends_on=tuple(str(address) for address in self.change.depends_on),
            data={"collection": self.collection, **self.left},
        )
        return replace(base, **more)  # type: ignore[arg-type]


def _look_at_files(work: _Work) -> Flow[None]:
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


def _leave_former(work: _Work) -> Flow[None]:
    """
    Delete what lies in the collection that the set belonged to, before anything else is written.

    Until then the ledger says that the set belongs there, so that a run that is cut off leaves
    nothing behind, and a path that both collections hold is not taken for the other one's.

    Raises:
        ChangeFailedError: the service refused some; nothing was changed in the new collection
    """
    todo = [m for m in work.change.members if _home(m) not in ("", work.collection)]
    for group in _grouped(todo):
        yield from _carry_out(work, "delete", group)
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))


def _adopt(work: _Work) -> Flow[None]:
    """Bind tiles that exist; one that no intent of ours made is not ours until confirmed."""
    change = work.change
    lost = tuple(text_of(cast("Value", path)) for path in _list(change.current.get("lost")))
    adopted = [member for member in change.members if member.operation in ("adopt", RESPELL)]
    for group in _grouped(adopted):
        members = {m.key: _record(work, m, m.id) for m in group}
        yield Note(Event.ADOPT, work.learnt(members=members))
    if lost:
        yield Note(Event.ADOPT, work.learnt(lost_members=lost))
    elif not adopted and change.records and not change.members:
        yield Note(Event.PROTECT, work.learnt())


def _without_earlier(work: _Work, todo: Sequence[MemberChange]) -> Flow[list[MemberChange]]:
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
        members = {m.key: _record(work, replace(m, owned=False), found[m.key]) for m in group}
        yield Note(Event.ADOPT, work.learnt(members=members))
    work.awaited.update((found[member.key], member) for member in bound)
    work.done += len(bound)
    return [member for member in todo if member.key not in found]


def _carry_out(work: _Work, operation: str, group: Sequence[MemberChange]) -> Flow[None]:
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
        lost = [m for m, reply in zip(todo, replies, strict=True) if _is_lost(reply)]
        yield from _take(work, operation, todo, replies)
        todo = (yield from _look_after(work, operation, lost)) if lost else []
    for member in todo:
        work.refuse(member, NoAnswerError("no answer, several times over, and no effect"))


def _misses_home(work: _Work, replies: tuple[Reply, ...]) -> bool:
    """
    Whether the service does not know the collection, which may just have been made: waited for once.

    A refusal has no effect, so that everything can be sent again.
    """
    if work.waited_for_home or not work.settings.list_lag_s:
        return False
    return all(isinstance(one, RefusedError) and one.status == 404 for one in replies)


def _act(work: _Work, operation: str, todo: Sequence[MemberChange]) -> Act:
    requests = tuple(cast("ApiRequest", member.request) for member in todo)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        pairs = list(zip(todo, replies, strict=True))
        unsettled = tuple(member.key for member, reply in pairs if _is_lost(reply))
        good = [(m, r) for m, r in pairs if _is_good(operation, r)]
        refused = next((r for _, r in pairs if isinstance(r, RefusedError)), None)
        result = Result.UNKNOWN if unsettled else Result.DONE
        return _learnt_of(
            work,
            todo,
            result=result if good or unsettled else Result.REFUSED,
            members={m.key: _record(work, m, _id(m, r)) for m, r in good if operation != "delete"},
            lost_members=tuple(m.key for m, _ in good) if operation == "delete" else (),
            unsettled=unsettled,
            cost_pu=cost_of(replies),
            status=refused.status if refused is not None else 0,
            message=str(refused) if refused is not None else "",
        )

    keys = tuple(member.key for member in todo)
    return Act(operation, requests, settle, keys=keys, data={"collection": work.collection})


def _learnt_of(work: _Work, todo: Sequence[MemberChange], **more: object) -> Settlement:
    """Return what the ledger learns of a group; the set stays where the group is."""
    learnt = work.learnt(**more)
    home = _home(todo[0])
    if home in ("", work.collection):
        return learnt
    return replace(learnt, id=home, spec=None, data={"collection": home})


def _home(member: MemberChange) -> str:
    """Return the collection that a delete is about, empty for everything else."""
    if member.operation != "delete" or member.request is None:
        return ""
    return text_of(member.request.parameters.get("collectionId"))


def _take(
    work: _Work, operation: str, todo: Sequence[MemberChange], replies: tuple[Reply, ...]
) -> Flow[None]:
    for member, reply in zip(todo, replies, strict=True):
        if _is_good(operation, reply):
            work.done += 1
            if operation != "delete":
                work.awaited[_id(member, reply)] = member
        elif isinstance(reply, RefusedError) and operation == "create" and reply.status == 409:
            yield from _bind_existing(work, member, reply)
        elif isinstance(reply, ApiError) and not _is_lost(reply):
            work.refuse(member, reply)
    yield Progress(work.done, len(work.change.members), f"{operation} tiles")


def _bind_existing(work: _Work, member: MemberChange, refusal: RefusedError) -> Flow[None]:
    """
    Bind a tile whose path somebody else has taken in the meantime, without owning it.

    Source: API description: create lists 409; a path is unique in its collection.
    """
    found = yield from _find(work, [member])
    if not found and work.settings.list_lag_s:
        yield Wait(work.settings.list_lag_s, "a taken path may not be listed yet")
        found = yield from _find(work, [member])
    tile = found.get(member.key)
    if tile is None:
        work.refuse(member, refusal)
        return
    work.awaited[tile] = member
    record = _record(work, replace(member, owned=False), tile)
    yield Note(Event.ADOPT, work.learnt(members={member.key: record}))


def _look_after(work: _Work, operation: str, lost: list[MemberChange]) -> Flow[list[MemberChange]]:
    """Settle what got no answer; return what certainly did not happen."""
    if work.settings.list_lag_s and operation == "create":
        yield Wait(work.settings.list_lag_s, "answers were lost; looking what happened")
    happened = yield from _LOOKS[operation](work, lost)
    members = (
        {}
        if operation == "delete"
        else {m.key: _record(work, m, happened[m.key]) for m in lost if m.key in happened}
    )
    gone = tuple(m.key for m in lost if m.key in happened) if operation == "delete" else ()
    yield Note(Event.OUTCOME, _learnt_of(work, lost, members=members, lost_members=gone))
    for member in lost:
        if member.key in happened and operation != "delete":
            work.awaited[happened[member.key]] = member
            work.done += 1
    return [member for member in lost if member.key not in happened]


def _find(work: _Work, members: list[MemberChange]) -> Flow[dict[str, str]]:
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


def _find_spelled(work: _Work, wanted: list[tuple[str, str]], found: dict[str, str]) -> Flow[None]:
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


def _updated(work: _Work, members: list[MemberChange]) -> Flow[dict[str, str]]:
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


def _sent_round(work: _Work, members: list[MemberChange]) -> Flow[dict[str, str]]:
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


def _deleted(
    work: _Work,  # noqa: ARG001 - one of the looks
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


_Look = Callable[[_Work, list[MemberChange]], Flow[dict[str, str]]]
_LOOKS: dict[str, _Look] = {
    "create": _find,
    "update": _updated,
    "reingest": _sent_round,
    "delete": _deleted,
}


def _wait_for_ingestion(work: _Work) -> Flow[None]:
    """
    Wait until no tile of ours is on its way, then collect the failures.

    Dependents of the set wait for this: a tile that is not ingested has no pixels.
    """
    ours = set(work.awaited) | {str(tile) for tile in _list(work.change.current.get("ingesting"))}
    if not ours:
        return
    if work.settings.list_lag_s and work.awaited:
        yield Wait(work.settings.list_lag_s, "new tiles may not be listed yet", looks=True)
    waited = 0.0
    while True:
        remaining = yield from _on_their_way(work, ours)
        yield Progress(len(ours) - remaining, len(ours), "tiles ingested")
        if not remaining:
            break
        if waited >= work.settings.timeout_s:
            message = f"{remaining} tiles are still being ingested; the same command resumes"
            raise ChangeFailedError(message)
        pause = work.settings.poll_s
        yield Wait(pause, f"{remaining} tiles are being ingested", looks=True)
        waited += pause
    yield from _collect_failures(work, ours)


def _on_their_way(work: _Work, ours: set[str]) -> Flow[int]:
    counted = 0

    def take(rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        nonlocal counted
        counted += sum(1 for (tile,) in rows if tile in ours)

    # One after the other, in the order in which a tile passes through: side by side, one that
    # moves on between two lists could be missing from both.
    for status in IN_PROGRESS:
        yield Scan(list_tiles(work.collection, ("id",), status=status), take)
    return counted


def _collect_failures(work: _Work, ours: set[str]) -> Flow[None]:
    failed: list[tuple[str, str, str]] = []

    def take(rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        failed.extend(
            (str(tile), str(path), str(cause or "no cause given"))
            for tile, path, cause in rows
            if tile in ours
        )

    yield Scan(list_tiles(work.collection, ("id", "path", CAUSE), status="FAILED"), take)
    for tile, path, cause in sorted(failed, key=lambda one: one[1]):
        place = _place(work.awaited.get(tile))
        work.faults.append(Fault(place, f"{path}: {_FAILED}: {cause}"))


def _finish_delete(work: _Work) -> Flow[None]:
    if work.faults:
        raise ChangeFailedError(_summary(work), faults=tuple(work.faults))
    yield Note(Event.FORGET)


def _summary(work: _Work) -> str:
    told = f"{len(work.faults)} of {len(work.change.members)} tiles failed"
    if any(f": {_FAILED}: " in fault.what for fault in work.faults):
        told += f"; what is wrong with their files: shplan byoc check {work.change.address}"
    return told


def _place(member: MemberChange | None) -> tuple[str | int, ...]:
    """Return where the manifest declares a tile."""
    if member is None or member.index < 0:
        return ("spec",)
    return ("spec", "tiles", member.index)


def _record(work: _Work, member: MemberChange, tile: str) -> MemberRecord:
    etag, size_bytes = work.files.get(member.key, (member.etag, member.size_bytes))
    return MemberRecord(
        tile, member.stated, member.digest, owned=member.owned, etag=etag, size_bytes=size_bytes
    )


def _id(member: MemberChange, reply: Reply) -> str:
    made = data_object(reply) if isinstance(reply, Answer) else None
    return text_of((made or {}).get("id")) or member.id


def _is_lost(reply: Reply) -> bool:
    return isinstance(reply, NoAnswerError)


def _is_good(operation: str, reply: Reply) -> bool:
    if isinstance(reply, Answer):
        return True
    return operation == "delete" and isinstance(reply, RefusedError) and reply.status == 404


def _parameter(error: ApiError) -> tuple[str, ...]:
    """Return the field that the server names. Source: API description, error `errors`."""
    errors = error.errors if isinstance(error, RefusedError) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    named = first.get("parameter") if isinstance(first, dict) else None
    return tuple(named.split("->")) if isinstance(named, str) else ()


def _grouped(members: Sequence[MemberChange]) -> Iterable[Sequence[MemberChange]]:
    return (members[start : start + GROUP] for start in range(0, len(members), GROUP))


def _list(value: Value) -> list[JsonValue]:
    return cast("list[JsonValue]", value) if isinstance(value, list) else []
