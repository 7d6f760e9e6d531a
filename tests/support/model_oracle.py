"""
What a plan must say and how a command must end, worked out from the design alone.

What the files say, what one ledger holds and what the sandbox's own record shows give a verdict for
each address, and the verdicts give the exit code. Nothing of the engine, the planner or a provider is
used; where the design leaves an end open, the verdict is `UNSURE` and no code is foretold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.support.model_files import (
    AT_ONCE,
    COLLECTION,
    HOLDERS,
    IMAGE,
    LISTED,
    NUMBERS,
    PICTURE,
    RESULTS,
    SERIES,
    V1,
    V2,
    ZARR,
    Content,
    Files,
    Instance,
    Tiles,
    Work,
    content_of,
)

TABLES = {COLLECTION: "collections", ZARR: "zarr_collections", RESULTS: "batch_collections"}
TASKS = {
    V2: "batch_tasks",
    V1: "batch_v1_tasks",
    NUMBERS: "statistics_tasks",
    IMAGE: "async_requests",
}


class Verdict(Enum):
    """What is to be done about one address."""

    QUIET = "nothing"
    PENDING = "something is sent or recorded"
    BLOCKED = "a person has to unblock it"
    PROTECTED = "a protection forbids it"
    UNDECIDED = "only a person can tell"
    UNSURE = "the design leaves it open here"


@dataclass(frozen=True)
class Task:
    """
    One run on the server.

    Args:
        forgotten: the service has deleted it; the sandbox's record still tells of it
    """

    id: str
    content: Content
    started: int
    complete: bool
    ended: bool
    forgotten: bool


@dataclass(frozen=True)
class There:
    """
    What the sandbox's own record shows.

    Args:
        twice: collections that hold one file as two tiles
    """

    holders: dict[str, Instance]
    tiles: dict[str, dict[str, tuple[str, str]]]
    twice: frozenset[str]
    tasks: tuple[Task, ...]
    rows: dict[str, str]
    pu: float
    calls: int

    @classmethod
    def of(cls, dump: Mapping[str, Any]) -> There:
        holders = {}
        rows = {}
        for kind, table in TABLES.items():
            for row in dump[table]:
                place = row["path"] if kind == ZARR else row["bucket"]
                holders[row["id"]] = Instance(row["id"], kind, row["name"], place, prevent=False)
                rows[row["id"]] = json.dumps([row["name"], row["bucket"], row.get("no_data")])
        homes = {row["seq"]: row["id"] for row in dump["collections"]}
        tiles: dict[str, dict[str, tuple[str, str]]] = {}
        twice: set[str] = set()
        for row in dump["tiles"]:
            folder = row["path"].partition("/(")[0]
            if folder in tiles.get(homes[row["coll"]], {}):
                twice.add(homes[row["coll"]])
            tiles.setdefault(homes[row["coll"]], {})[folder] = (row["id"], row["outcome"] or "")
            rows[row["id"]] = json.dumps([row["path"], row["sensing_ms"]])
        tasks = tuple(_task(api, row) for api, table in TASKS.items() for row in dump[table])
        meter = dump["meter"]
        spent = sum(one["pu"] for one in meter)
        return cls(
            holders, tiles, frozenset(twice), tasks, rows, spent, sum(one["calls"] for one in meter)
        )

    def complete(self) -> set[Content]:
        return {task.content for task in self.tasks if task.complete}

    def starts(self, content: Content) -> int:
        return sum(task.started for task in self.tasks if task.content == content)


def _task(api: str, row: Mapping[str, Any]) -> Task:
    done = row["status"] == "DONE" and not row.get("fatal")
    ended = row["status"] in ("DONE", "FAILED", "STOPPED", "PARTIAL")
    started = row["starts"] if api in LISTED else 1
    forgotten = bool(row.get("forgotten"))
    return Task(row["id"], content_of(api, row["request"]), started, done, ended, forgotten)


@dataclass(frozen=True)
class Known:
    """
    What one ledger holds.

    Args:
        recorded: by address
        receipts: the contents that were wholly done, by that ledger
        started: tasks whose START it has written down, by content
        is_open: an intent has no outcome: something may have happened
    """

    recorded: dict[str, Any]
    receipts: dict[Content, str]
    ids: frozenset[str]
    unfinished: frozenset[Content]
    is_open: bool

    @classmethod
    def of(cls, recorded: Mapping[Any, Any], runs: Mapping[str, Any], there: There) -> Known:
        receipts: dict[Content, str] = {}
        unfinished: set[Content] = set()
        contents = {task.id: task.content for task in there.tasks}
        ids: set[str] = set()
        for run in runs.values():
            ids |= run.ids
            receipt = run.receipt
            if receipt is None or receipt.status != "DONE":
                unfinished |= {contents[one] for one in run.ids | run.started if one in contents}
                continue
            if receipt.id:
                receipts[contents[receipt.id]] = receipt.id
            else:
                api = str(receipt.parts["kind"])
                receipts[content_of(api, json.dumps(receipt.request))] = ""
        named = {str(address): record for address, record in recorded.items()}
        is_open = any(record.pending for record in named.values())
        return cls(
            named, receipts, frozenset(ids), frozenset(unfinished - receipts.keys()), is_open
        )


@dataclass
class Oracle:
    """
    One question: these files, this ledger, this server.

    Args:
        exists: whether a file is in the checkout
        has_secret: what the requests of `BatchProcess` name is set
        everything_fails: the parts of every batch job that is started now will fail
    """

    files: Files
    known: Known
    there: There
    exists: Callable[[str], bool]
    everything_fails: bool = False
    has_secret: bool = True
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    fails: bool = False
    made: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    starts_pu: float = 0.0

    def __post_init__(self) -> None:
        self.recorded = dict(self.known.recorded)
        self.came: dict[str, str] = {}
        for old, new in sorted(self.files.moved.items()):
            if old in self.recorded:
                if new in self.recorded:
                    self.verdicts[old] = Verdict.PROTECTED
                else:
                    self.recorded[new] = self.recorded.pop(old)
                    self.came[new] = old
        instances = self.files.instances()
        for address, one in instances.items():
            self._say(address, self._holder(one))
        for tiles in self.files.of(Tiles):
            self._say(tiles.address, self._tiles(tiles))
        for work in self.files.of(Work):
            self._say(work.address, self._work(work))
        declared = self.files.addresses
        for address in sorted(self.recorded.keys() - declared):
            if address not in self.verdicts:
                self._say(address, self._undeclared(address))
        if self.known.is_open:
            self.verdicts["an open intent"] = Verdict.UNSURE

    def _say(self, address: str, verdict: Verdict) -> None:
        if address in self.came and verdict is Verdict.QUIET:
            verdict = Verdict.PENDING
        self.verdicts[address] = verdict

    # --- codes ------------------------------------------------------------------------------

    def is_sure(self) -> bool:
        return Verdict.UNSURE not in self.verdicts.values()

    def refused(self) -> int:
        said = set(self.verdicts.values())
        if Verdict.UNDECIDED in said:
            return 7
        return 5 if Verdict.PROTECTED in said or self._over_budget() else 0

    def _over_budget(self) -> bool:
        limit = self.files.budget_pu
        return limit is not None and self.starts_pu > limit

    def of_plan(self) -> set[int]:
        """The code of `plan --detailed-exitcode`."""
        if not self.is_sure():
            return {0, 2, 5, 7}
        pending = Verdict.PENDING in self.verdicts.values()
        return {self.refused() or (2 if pending else 0)}

    def of_apply(self) -> set[int]:
        if not self.is_sure():
            return {0, 3, 5, 7}
        blocked = Verdict.BLOCKED in self.verdicts.values()
        return {self.refused() or (3 if blocked or self.fails else 0)}

    # --- objects ----------------------------------------------------------------------------

    def _holder(self, one: Instance) -> Verdict:
        record = self.recorded.get(one.address)
        row = None if record is None else self.there.holders.get(record.id)
        if record is not None and row is not None:
            return self._existing(one, record, row)
        bound = self.bound_beside(one.address)
        found = [
            i for i, other in self.there.holders.items() if _same(one, other) and i not in bound
        ]
        twins = [
            other
            for other in self.files.instances().values()
            if other.address != one.address and _same(one, other)
        ]
        unbound = [other for other in twins if other.address not in self.recorded]
        if unbound:
            return Verdict.PROTECTED
        if twins:
            # What it makes may look like the other's to whoever has no ids.
            return Verdict.UNSURE
        if len(found) > 1:
            return Verdict.UNDECIDED
        # An adoption may be of what another ledger made; both are a change.
        self.made[one.address] = (one.kind, one.title, one.place)
        return Verdict.PENDING

    def bound_beside(self, address: str) -> set[str]:
        """The objects that the ledger binds to other addresses: never candidates for this one."""
        return {
            record.id
            for other, record in self.recorded.items()
            if other != address and other.partition("/")[0] in HOLDERS
        }

    def _existing(self, one: Instance, record: Any, row: Instance) -> Verdict:
        held = self.there.tiles.get(record.id, {})
        moves = one.place != row.place and (one.kind != COLLECTION or bool(held))
        if moves:
            sets = [r for a, r in self.recorded.items() if a.startswith("ByocTiles/")]
            kept = any(r.prevent_destroy and r.id == record.id and r.members for r in sets)
            if one.prevent or record.prevent_destroy or kept:
                return Verdict.PROTECTED
            if not record.owned or self._foreign(record.id):
                return Verdict.BLOCKED
            if held or one.kind == COLLECTION:
                # Its tiles are made again in the new one.
                pass
            self.made[one.address] = (one.kind, one.title, one.place)
            if self._twin_of(one):
                return Verdict.UNSURE
            return Verdict.PENDING
        if one.title != row.title or one.place != row.place:
            return Verdict.PENDING
        return Verdict.PENDING if record.prevent_destroy != one.prevent else Verdict.QUIET

    def _twin_of(self, one: Instance) -> bool:
        others = self.files.instances().values()
        return any(other.address != one.address and _same(one, other) for other in others)

    def _foreign(self, home: str) -> bool:
        """Tell whether a collection holds tiles that are not ours."""
        ours = {
            member.id
            for record in self.recorded.values()
            for member in record.members.values()
            if member.owned
        }
        return any(made not in ours for made, _ in self.there.tiles.get(home, {}).values())

    def _undeclared(self, address: str) -> Verdict:
        kind = address.partition("/")[0]
        record = self.recorded[address]
        if address in self.files.forget or kind not in (*HOLDERS, "ByocTiles"):
            return Verdict.PENDING
        if kind == "ByocTiles":
            return self._undeclared_tiles(record)
        row = self.there.holders.get(record.id)
        if row is None:
            return Verdict.PENDING
        if record.prevent_destroy:
            return Verdict.PROTECTED
        sets = [r for a, r in self.recorded.items() if a.startswith("ByocTiles/")]
        if any(r.prevent_destroy and r.id == record.id and r.members for r in sets):
            return Verdict.PROTECTED
        spec = record.spec
        blocked = not record.owned or self._foreign(record.id)
        likes = [
            made for made in self.made.values() if made[0] == kind and made[1] == spec.get("name")
        ]
        if blocked:
            return Verdict.BLOCKED
        return Verdict.PROTECTED if likes else Verdict.PENDING

    def _undeclared_tiles(self, record: Any) -> Verdict:
        if record.id in self.there.twice:
            return Verdict.UNSURE
        there = {made for made, _ in self.there.tiles.get(record.id, {}).values()}
        left = [one for one in record.members.values() if one.id in there]
        if record.prevent_destroy and any(one.owned for one in left):
            return Verdict.PROTECTED
        if record.prevent_destroy or any(not one.owned for one in left):
            return Verdict.UNSURE
        return Verdict.PENDING

    # --- tiles ------------------------------------------------------------------------------

    def _tiles(self, tiles: Tiles) -> Verdict:
        # A file that is not there is not ingested: the change fails, each time.
        self.fails = self.fails or "nowhere" in tiles.folders
        home = self.verdicts[tiles.home]
        record = self.recorded.get(tiles.address)
        if home in (Verdict.UNDECIDED, Verdict.UNSURE, Verdict.BLOCKED):
            return Verdict.UNSURE
        bound = self.recorded.get(tiles.home)
        where = None if bound is None or tiles.home in self.made else bound.id
        if where is None:
            if record is not None and (record.prevent_destroy or tiles.prevent):
                return Verdict.UNSURE
            return Verdict.PENDING
        if where in self.there.twice:
            return Verdict.UNSURE
        there = self.there.tiles.get(where, {})
        members = {} if record is None else dict(record.members)
        if record is not None and record.id != where:
            return Verdict.UNSURE
        gone = [
            member
            for path, member in members.items()
            if path.partition("/(")[0] not in tiles.folders
            and member.id in {made for made, _ in there.values()}
        ]
        kept = tiles.prevent or (record is not None and record.prevent_destroy)
        if any(member.owned for member in gone) and kept:
            return Verdict.PROTECTED
        if any(not member.owned for member in gone):
            return Verdict.UNSURE
        mine = {member.id for member in members.values()}
        changed = (
            bool(gone)
            or record is None
            or record.prevent_destroy != tiles.prevent
            or any(f not in there or there[f][0] not in mine for f in tiles.folders)
            or any(there[f][1] != "INGESTED" for f in tiles.folders if f in there)
        )
        return Verdict.PENDING if changed else Verdict.QUIET

    # --- jobs -------------------------------------------------------------------------------

    def _work(self, work: Work) -> Verdict:
        verdict = self._alone(work)
        if work.after and verdict is not Verdict.QUIET:
            # Addresses come in order of their kinds, and the other may be judged later.
            return Verdict.UNSURE
        return verdict

    def _alone(self, work: Work) -> Verdict:
        source = "sentinel-2-l2a"
        if work.of:
            home = f"{COLLECTION}/{work.of}"
            if self.verdicts[home] in (Verdict.UNDECIDED, Verdict.UNSURE, Verdict.BLOCKED):
                return Verdict.UNSURE
            bound = self.recorded.get(home)
            if bound is None or home in self.made:
                return self._runs(work)
            source = f"byoc-{bound.id}"
        content = Content(work.api, work.year, source, self.files.turn)
        if work.api in AT_ONCE:
            return self._answers(work, content)
        return self._task(work, content)

    def _runs(self, work: Work, *, is_made: bool = False) -> Verdict:
        if work.start == "auto":
            self.starts_pu += {IMAGE: 10.0, PICTURE: 0.01, SERIES: 0.01}.get(work.api, 100.0)
            self.fails = self.fails or (self.everything_fails and work.api in LISTED)
        # To make a task takes the secret; to start one that is there does not.
        self.fails = self.fails or (work.api == V2 and not self.has_secret and not is_made)
        return Verdict.PENDING

    def _answers(self, work: Work, content: Content) -> Verdict:
        if content not in self.known.receipts:
            there = self.exists(work.answer(content.turn))
            return Verdict.PENDING if there else self._runs(work)
        if self.exists(work.answer(content.turn)):
            return Verdict.QUIET
        # It lies elsewhere, or is gone: what is here decides.
        return Verdict.UNSURE

    def _task(self, work: Work, content: Content) -> Verdict:
        if content in self.known.receipts:
            return Verdict.QUIET
        twins = [
            one
            for one in self.files.of(Work)
            if one.address < work.address and replace_name(one) == replace_name(work)
        ]
        tasks = [task for task in self.there.tasks if task.content == content]
        alive = [task for task in tasks if not task.forgotten]
        if twins:
            return Verdict.UNSURE
        if not tasks and content not in self.known.unfinished:
            return self._runs(work)
        if work.api == IMAGE or len(alive) != len(tasks):
            return Verdict.UNSURE
        if any(task.complete for task in alive):
            return Verdict.PENDING
        (first, *others) = alive
        if others:
            return Verdict.UNSURE
        if not first.started:
            if work.start != "auto":
                return Verdict.UNSURE
            return self._runs(work, is_made=True)
        if not first.ended:
            return Verdict.UNSURE
        if work.rerun:
            return self._runs(work)
        return Verdict.BLOCKED if content in self.known.unfinished else Verdict.UNSURE


def replace_name(work: Work) -> tuple[str, int, str]:
    return (work.api, work.year, work.of)


def _same(one: Instance, other: Instance) -> bool:
    return (one.kind, one.key) == (other.kind, other.key)
