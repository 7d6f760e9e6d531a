"""
The join of declared and listed tiles, page by page.

Each page is compared as it arrives and dropped; only what differs is kept. Several
sets of one collection share one list, so that a tile counts as nobody's only when
no set of the project declares it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.change import Action, FieldChange, MemberChange, Reason
from shplan.core.compare import instant, same, same_tile_path, tile_folder
from shplan.core.diff import is_ignored
from shplan.core.fields import FieldRule, FieldRules, Omitted, Sameness
from shplan.core.request import ApiRequest
from shplan.core.resource import Desired, MemberRecord, Recorded
from shplan.core.value import JsonValue, Object, Value, digest
from shplan.providers.tile_requests import (
    IN_PROGRESS,
    create_tile,
    delete_tile,
    reingest_tile,
    text_of,
    update_tile,
)

BASE_COLUMNS = ("id", "path", "status", "sensingTime")
COVER = "coverGeometry"
RESPELL = "respell"
NO_CAUSE = "no cause given"
TIME = "sensingTime"
# Source: schema BYOCTileUpdatePayload: an omitted cover geometry is reset, a null sensing time
# takes the time away; whether an omitted one does is not said, so it counts as if it did.
RULES = FieldRules(
    {
        "tiles.*.path": FieldRule(immutable="a path names its tile", same=Sameness.TILE_PATH),
        "tiles.*.sensingTime": FieldRule(
            clearable=True, omitted=Omitted.CLEARS, same=Sameness.INSTANT
        ),
        "tiles.*.coverGeometry": FieldRule(
            clearable=True, omitted=Omitted.CLEARS, same=Sameness.GEOMETRY
        ),
    }
)
_COMPARED = {name: RULES.rule(("tiles", "*", name)) for name in (TIME, COVER)}
_Row = tuple[JsonValue, ...]


@dataclass(slots=True)
class TileJoin:
    """
    One set of tiles, joined with the listed ones.

    Args:
        collection: id of the collection, unknown while it does not exist
        members: the declared tiles
        records: what the ledger has of this set in this collection, by path
        intended: paths of creates whose outcome is unknown
        ignored: fields that the manifest leaves alone once a tile exists
        ours: ids of tiles that the ledger counts as ours, in whatever set
        rounds: when a tile was to be sent round again, by path, where the outcome is unknown
        exclusive: tiles that nobody declares are wanted by name, not only counted
        listed: how many tiles the list of the collection has shown
    """

    collection: Value
    members: Sequence[Object]
    records: Mapping[str, MemberRecord]
    intended: frozenset[str]
    ignored: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    exclusive: bool = False
    listed: int = 0
    seen: bytearray = field(default_factory=bytearray)
    changes: list[MemberChange] = field(default_factory=list)
    ingesting: list[str] = field(default_factory=list)
    uncovered: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    drifted: bool = False
    unmanaged: int = 0
    unconfirmed: int = 0
    foreign: list[tuple[str, str]] = field(default_factory=list)
    respelled: dict[str, str] = field(default_factory=dict)
    perhaps_sent: dict[str, int] = field(default_factory=dict)
    rounds: Mapping[str, str] = field(default_factory=dict)
    _exact: dict[str, int] = field(default_factory=dict)
    _folders: dict[str, int] = field(default_factory=dict)
    _leaving: dict[str, str] = field(default_factory=dict)
    _present: set[str] = field(default_factory=set)
    _released: set[str] = field(default_factory=set)
    _files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    _rivals: dict[int, tuple[_Row, tuple[str, ...]]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        desired: Desired | None,
        recorded: Recorded | None,
        collection: Value,
        *,
        ours: frozenset[str] = frozenset(),
    ) -> TileJoin:
        """Prepare the join of one set; records of another collection do not take part."""
        members = desired.members if desired is not None else ()
        ignore = desired.lifecycle.ignore_changes if desired is not None else ()
        here = recorded is not None and recorded.data.get("collection") == collection
        records = recorded.members if recorded is not None and here else {}
        pending = recorded.pending if recorded is not None else ()
        join = cls(
            collection,
            members,
            records,
            frozenset(
                key for intent in pending if intent.operation == "create" for key in intent.keys
            ),
            frozenset(name for name in _COMPARED if is_ignored(("tiles", "*", name), ignore)),
            ours,
            exclusive=desired is not None and desired.spec.get("exclusive") is True,
            seen=bytearray(len(members)),
            rounds={
                key: intent.server_time
                for intent in pending
                if intent.operation == "reingest"
                for key in intent.keys
            },
        )
        join.prepare()
        return join

    def prepare(self) -> None:
        """Build the index from paths to places, and the tiles of ours that nobody declares."""
        self._exact = {text_of(member["path"]): at for at, member in enumerate(self.members)}
        if any(key not in self._exact for key in self.records):
            self._index_folders()
        renamed: dict[str, MemberRecord] = {}
        for key, record in self.records.items():
            if key in self._exact:
                continue
            at = self._place(key)
            if at is None:
                self._leaving[record.id] = key
            else:
                path = text_of(self.members[at]["path"])
                self.respelled[key] = path
                renamed.setdefault(path, record)
        if renamed:
            self.records = {**renamed, **self.records}

    @property
    def columns(self) -> tuple[str, ...]:
        """
        What the list has to show; a cover geometry only where one was ever stated.

        One that is to be reset already is, where it equals the tile's own geometry.
        """
        if any(
            COVER in record.stated and self._lacks_cover(p) for p, record in self.records.items()
        ):
            return (*BASE_COLUMNS, COVER, "tileGeometry")
        stated = any(COVER in member for member in self.members)
        return (*BASE_COLUMNS, COVER) if stated else BASE_COLUMNS

    def claims(self, row: _Row, columns: tuple[str, ...]) -> bool:
        """Take one listed tile if it is declared here, or was ours; say whether it is."""
        tile, path = text_of(row[0]), text_of(row[1])
        at = self._exact.get(path)
        if at is None:
            at = self._place(path)
            if at is None:
                leaving = tile in self._leaving
                if leaving:
                    self._present.add(tile)
                return leaving
            path = text_of(self.members[at]["path"])
        if self.seen[at]:
            return True
        record = self.records.get(path)
        if record is not None and record.id != tile:
            # Ours may come later, in another spelling: it goes before somebody else's.
            self._rivals.setdefault(at, (row, columns))
            return True
        self.seen[at] = 1
        # Nearly every tile is what it was: it is known by its row alone.
        if record is None or not _is_settled(self.members[at], row, columns):
            self._compare(at, tile, row, columns)
        return True

    def take_rivals(self) -> None:
        """Bind what others have made where ours is gone."""
        for at, (row, columns) in sorted(self._rivals.items()):
            if not self.seen[at]:
                self.seen[at] = 1
                self._compare(at, text_of(row[0]), row, columns)
        self._rivals.clear()

    def missing(self) -> Iterator[int]:
        """Yield the places of declared tiles that the list did not show."""
        return (at for at, seen in enumerate(self.seen) if not seen)

    def create(self, at: int) -> None:
        """Plan to create a tile that certainly does not exist."""
        member = self.members[at]
        path = text_of(member["path"])
        self.changes.append(
            MemberChange(
                path,
                Action.CREATE,
                Reason.GONE if path in self.records else Reason.NOT_FOUND,
                request=create_tile(self.collection, member),
                operation="create",
                stated=_stated(member),
                digest=digest(member),
                index=at,
            )
        )

    def compare_files(self, files: Mapping[str, tuple[str, int]]) -> None:
        """
        Plan to send round again what was ingested from files that have changed since.

        Source: documentation of BYOC: changed files must be ingested again.

        Args:
            files: fingerprint and size of the files behind each path
        """
        changed = {change.key for change in self.changes}
        for at, member in enumerate(self.members):
            path = text_of(member["path"])
            record, now = self.records.get(path), files.get(path)
            if record is None or now is None or not record.etag or path in changed:
                continue
            if not self.seen[at] or (record.etag, record.size_bytes) == now:
                continue
            if record.id not in self.ingesting:
                if path in self.rounds:
                    self.perhaps_sent[record.id] = len(self.changes)
                self.changes.append(self._reingestion(at, record.id, Reason.FILE_CHANGED, ""))
            elif path in self.rounds:
                # It is on its way because of us: what it reads is what lies there now.
                self.changes.append(self._as_recorded(at, record, etag=now[0], size_bytes=now[1]))
            # Any other tile on its way cannot be sent round: the next plan looks again.
        self._files = files

    def take_round(self, tile: str, started: str) -> None:
        """
        Record what an earlier run has sent round again, where its round began after the intent.

        `ingestionStart` is seen in answers and not described, so it may be absent.
        """
        change = self.changes[self.perhaps_sent[tile]]
        begun, asked = instant(started), instant(self.rounds[change.key])
        if begun is None or asked is None or begun < asked:
            return
        etag, size_bytes = self._files[change.key]
        record = self.records[change.key]
        self.changes[self.perhaps_sent[tile]] = self._as_recorded(
            change.index, record, etag=etag, size_bytes=size_bytes
        )

    def leave(self, elsewhere: Callable[[str], bool]) -> None:
        """
        Plan to delete the tiles of ours that nobody declares any more; see `lost`.

        Args:
            elsewhere: tells whether another set declares a path; that set takes the tile over
        """
        for tile, path in sorted(self._leaving.items(), key=lambda pair: pair[1]):
            if tile not in self._present:
                continue
            if elsewhere(path):
                self._released.add(tile)
            elif self.records[path].owned:
                self.changes.append(self._deletion(tile, path))
            else:
                self.unconfirmed += 1

    def expel(self, elsewhere: Callable[[str], bool]) -> None:
        """Plan to delete the tiles that nobody in the project declares (`exclusive: true`)."""
        for tile, path in self.strangers(elsewhere):
            self.changes.append(self._deletion(tile, path))
            self.unmanaged -= 1

    def strangers(self, elsewhere: Callable[[str], bool]) -> list[tuple[str, str]]:
        """Return the tiles that `exclusive` is about, by id and path, in the order of paths."""
        return [
            (tile, path)
            for tile, path in sorted(self.foreign, key=lambda pair: pair[1])
            if tile not in self.ours and not elsewhere(path)
        ]

    def respell(self) -> None:
        """
        Plan to record tiles under the spelling that the manifest has now; nothing is sent.

        What was stated stays as it was recorded, for an update may still have to take it back.
        """
        for old, path in sorted(self.respelled.items()):
            record, at = self.records[path], self._exact[path]
            if record is self.records[old] and self.seen[at]:
                unchanged = self._as_recorded(
                    at, record, etag=record.etag, size_bytes=record.size_bytes
                )
                self.changes.append(unchanged)

    def lost(self) -> tuple[str, ...]:
        """Return the recorded paths that no longer name a tile of this set."""
        gone = (
            p for t, p in self._leaving.items() if t not in self._present or t in self._released
        )
        return tuple(sorted((*gone, *self.respelled)))

    def recover_covers(self, covers: Mapping[str, Value]) -> None:
        """
        Put observed cover geometries into updates that do not state one.

        An omitted cover geometry is reset (schema BYOCTileUpdatePayload), so an update of
        the time alone carries the observed one.
        """
        for tile, at in self.uncovered.items():
            change = self.changes[at]
            body = {**cast("Object", cast("ApiRequest", change.request).body)}
            if covers.get(tile) is not None:
                body[COVER] = covers[tile]
            self.changes[at] = _with_body(change, self.collection, body)

    def _place(self, path: str) -> int | None:
        if not self._folders:
            self._index_folders()
        at = self._folders.get(tile_folder(path))
        if at is None or not same_tile_path(path, text_of(self.members[at]["path"])):
            return self._exact.get(path)
        return at

    def _index_folders(self) -> None:
        self._folders = {tile_folder(path): at for path, at in self._exact.items()}

    def _lacks_cover(self, path: str) -> bool:
        at = self._exact.get(path)
        return at is not None and COVER not in self.members[at]

    def _is_ours(self, at: int, tile: str) -> bool:
        """Tell whether an intent of ours made a tile, or a person has confirmed it."""
        path = text_of(self.members[at]["path"])
        record = self.records.get(path)
        if record is not None and record.id == tile:
            return record.owned
        return path in self.intended or tile in self.ours

    def _compare(self, at: int, tile: str, row: _Row, columns: tuple[str, ...]) -> None:
        member = self.members[at]
        path = text_of(member["path"])
        status = row[2]
        record = self.records.get(path)
        bound = record is not None and record.id == tile
        stated = record.stated if record is not None and bound else ()
        if status in IN_PROGRESS:
            self.ingesting.append(tile)
        fields = tuple(self._fields(member, stated, row, columns))
        if not bound:
            self._adopt(at, tile)
        if fields:
            self.drifted |= record is not None and bound and record.digest == digest(member)
            self._update(at, tile, fields, row)
        if status == "FAILED":
            self._reingest(at, tile)

    def _fields(
        self,
        member: Object,
        stated: tuple[str, ...],
        row: _Row,
        columns: tuple[str, ...],
    ) -> Iterator[FieldChange]:
        observed = {name: cast("Value", value) for name, value in zip(columns, row, strict=True)}
        for name, rule in _COMPARED.items():
            if name in self.ignored:
                continue
            wanted, now = member.get(name), observed.get(name)
            if name in member and not same(wanted, now, rule.same):
                yield FieldChange((name,), now, wanted, Reason.DIFFERS)
            elif name not in member and name in stated and not is_reset(name, observed):
                yield FieldChange((name,), now, None, Reason.NO_LONGER_STATED, cleared=True)

    def _adopt(self, at: int, tile: str) -> None:
        member = self.members[at]
        path = text_of(member["path"])
        self.changes.append(
            MemberChange(
                path,
                Action.ADOPT,
                Reason.OWN_INTENT if path in self.intended else Reason.SAME_KEY,
                id=tile,
                operation="adopt",
                stated=_stated(member),
                digest=digest(member),
                owned=self._is_ours(at, tile),
                index=at,
            )
        )

    def _update(self, at: int, tile: str, fields: tuple[FieldChange, ...], row: _Row) -> None:
        member = self.members[at]
        cleared = {change.path[0] for change in fields if change.cleared}
        body: Object = {TIME: None}
        for name, rule in _COMPARED.items():
            if name in member and name not in self.ignored:
                body[name] = member[name]
            elif name in cleared or rule.omitted is Omitted.KEEPS:
                continue
            elif name == COVER:
                self.uncovered[tile] = len(self.changes)
            else:
                body[name] = cast("Value", row[BASE_COLUMNS.index(name)])
        record = self.records.get(text_of(member["path"]))
        change = MemberChange(
            text_of(member["path"]),
            Action.UPDATE,
            Reason.DIFFERS,
            id=tile,
            fields=fields,
            operation="update",
            stated=_stated(member),
            digest=digest(member),
            owned=self._is_ours(at, tile),
            index=at,
            etag=record.etag if record is not None else "",
            size_bytes=record.size_bytes if record is not None else None,
        )
        self.changes.append(_with_body(change, self.collection, body))

    def _reingest(self, at: int, tile: str) -> None:
        self.failed[tile] = len(self.changes)
        self.changes.append(self._reingestion(at, tile, Reason.INGESTION_FAILED, NO_CAUSE))

    def explain_failures(self, rows: tuple[_Row, ...]) -> None:
        """Put the service's causes into what is sent round again; few lists need them at all."""
        for tile, cause in rows:
            at = self.failed.get(text_of(tile))
            if at is not None and cause:
                self.changes[at] = replace(self.changes[at], detail=text_of(cause))

    def _reingestion(self, at: int, tile: str, reason: Reason, detail: str) -> MemberChange:
        member = self.members[at]
        return MemberChange(
            text_of(member["path"]),
            Action.UPDATE,
            reason,
            id=tile,
            request=reingest_tile(self.collection, tile),
            detail=detail,
            operation="reingest",
            stated=_stated(member),
            digest=digest(member),
            owned=self._is_ours(at, tile),
            index=at,
        )

    def _as_recorded(
        self, at: int, record: MemberRecord, *, etag: str, size_bytes: int | None
    ) -> MemberChange:
        """Record a tile under the path that is declared now; nothing is sent."""
        return MemberChange(
            text_of(self.members[at]["path"]),
            Action.ADOPT,
            Reason.UP_TO_DATE,
            id=record.id,
            operation=RESPELL,
            stated=record.stated,
            digest=record.digest,
            owned=record.owned,
            index=at,
            etag=etag,
            size_bytes=size_bytes,
        )

    def _deletion(self, tile: str, path: str) -> MemberChange:
        return MemberChange(
            path,
            Action.DELETE,
            Reason.NO_LONGER_DECLARED,
            id=tile,
            request=delete_tile(self.collection, tile),
            operation="delete",
        )


@dataclass(slots=True)
class SharedList:
    """Hands the pages of one collection to every set that it belongs to."""

    joins: list[TileJoin]
    columns: tuple[str, ...]

    def take(self, rows: tuple[_Row, ...]) -> None:
        """Compare one page; a tile that no set claims is counted as nobody's."""
        joins, columns = self.joins, self.columns
        for join in joins:
            join.listed += len(rows)
        for row in rows:
            claimed = False
            for join in joins:
                claimed = join.claims(row, columns) or claimed
            if not claimed:
                for join in joins:
                    join.unmanaged += 1
                    if join.exclusive:
                        join.foreign.append((text_of(row[0]), text_of(row[1])))


def _is_settled(member: Object, row: _Row, columns: tuple[str, ...]) -> bool:
    """Tell whether a row of a tile of ours leaves nothing to look at: no cover, no new time."""
    return len(columns) == len(BASE_COLUMNS) and row[2] == "INGESTED" and _same_time(member, row[3])


def _same_time(member: Object, listed: JsonValue) -> bool:
    """Compare without reading the instants: equal, or only the service's milliseconds added."""
    wanted = member.get("sensingTime")
    if wanted == listed:
        return True
    return isinstance(wanted, str) and wanted[-1:] == "Z" and wanted[:-1] + ".000Z" == listed


def is_reset(name: str, observed: Object) -> bool:
    """Tell whether a field has what the service gives it where nobody states it."""
    now = observed.get(name)
    if now is None:
        return True
    default = observed.get("tileGeometry")
    return name == COVER and default is not None and same(now, default, Sameness.GEOMETRY)


def _with_body(change: MemberChange, collection: Value, body: Object) -> MemberChange:
    return replace(change, request=update_tile(collection, change.id, body))


def _stated(member: Object) -> tuple[str, ...]:
    return tuple(sorted(key for key in member if key != "path"))
