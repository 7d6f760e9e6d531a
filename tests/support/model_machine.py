"""
The model test's world: a sandbox, two clients, what they declare, and what must hold after each step.

Rules are in `tests/laws/test_model.py`; here is what they are made of.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from shplan.core.address import Address
from shplan.core.plan import Plan, plan_json
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench
from tests.support.model_book import Book, Judge
from tests.support.model_clients import Client, Outcome, Run
from tests.support.model_manifests import (
    FOLDERS,
    OF_ALL,
    Answer,
    Collection,
    Job,
    Manifest,
    Tiles,
    answers,
    batch_jobs,
    collections,
    resources,
    tile_sets,
)
from tests.support.model_server import Held, Server
from tests.support.stage import bytes_of, essence_of

BUCKETS = ("fields", "other")
LAG_S = 8.0
SECRETS = ("first-secret-of-many", "second-secret-of-many")


@dataclass
class Repository:
    """What is committed: manifests, renames, what is let go of."""

    manifests: dict[Address, Manifest] = field(default_factory=dict)
    moved: dict[Address, Address] = field(default_factory=dict)
    forget: set[Address] = field(default_factory=set)

    def copy(self) -> Repository:
        return Repository(dict(self.manifests), dict(self.moved), set(self.forget))

    @property
    def told(self) -> dict[str, Any]:
        """What a session is told beside the manifests."""
        # An address without a key means all its instances.
        declared = {one for a in self.manifests for one in (a, a.base)}
        forget = frozenset(self.forget - declared)
        moved = {old: new for old, new in self.moved.items() if new in self.manifests}
        return {"moved": moved, "forget": forget}


class World:
    """Everything that rules act upon."""

    def __init__(self, home: Path, *, shared: bool, **settings: Any) -> None:
        self.home = home
        self.loop = asyncio.new_event_loop()
        made = SandboxSettings(seed="model", log_requests=False, **settings)
        bench = Bench(home, settings=made)
        for bucket in BUCKETS:
            bench.write_tiles(*FOLDERS, bucket=bucket, bands=("B04", "B08"))
        self.bench = bench
        self.server = Server(bench.app)
        self.repository = Repository()
        self.lag_s = 0.0
        self.complete: set[str] = set()
        self.answered: set[int] = set()
        self.answers_pu = 0.0
        self.broken: list[str] = []
        self.steps: Counter[str] = Counter()
        common = Book()
        self.clients = [
            Client(
                home,
                settings=made,
                list_lag_s=LAG_S + 2,
                ledger_name="ledger" if shared else f"ledger-{name}",
                clock=bench.clock,
                app=bench.app,
                name=name,
                secrets={"KEY": SECRETS[0]},
                book=common if shared else Book(),
            )
            for name in "AB"
        ]
        self.shared = shared
        self.checkouts = [Repository(), Repository()]
        self.copies: dict[str, tuple[Path, Book]] = {}
        self.untouched: dict[str, str] = {}

    def do(self, running: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(running)

    def close(self) -> None:
        self.bench.close()
        self.loop.close()
        shutil.rmtree(self.home, ignore_errors=True)

    # --- commands ---------------------------------------------------------------------------

    async def begin(self, who: int, run: Run, *, alone: bool = True, destroy: bool = False) -> None:
        client, checkout = self.clients[who], self.checkouts[who]
        held = await self.see()
        client.book.made_by_others(held)
        book = client.book
        for old, new in sorted(checkout.told["moved"].items()):
            book.move(old, new)
        wanted = {} if destroy else checkout.manifests
        client.judge = Judge(
            client.name,
            wanted,
            book,
            held,
            self.complete,
            self.broken,
            alone=alone,
            beside={} if alone or not self.shared else self.checkouts[1 - who].manifests,
            lag_ms=self.lag_s * 1000,
        )
        run.more = {**run.more, **checkout.told}
        client.run = run

    async def finish(self, who: int, outcome: Outcome) -> None:
        client = self.clients[who]
        client.run = Run()
        held = await self.see()
        assert not self.broken, self.broken
        judge = client.judge
        assert judge is not None
        self.answered |= judge.answered
        self.answers_pu += judge.answers_pu
        if outcome.code is not None:
            client.book.answers |= judge.heard
        if judge.alone:
            charged = held.calls - judge.before.calls
            assert charged == judge.charged, f"{charged} calls were paid, {judge.charged} were seen"
        await self.agree(who, outcome, held)

    async def see(self) -> Held:
        """Remember what has been run to its end: nobody may ever pay for it again."""
        held = await self.server.held()
        for task in held.tasks.values():
            if task.asked and task.is_complete:
                self.complete.add(task.asked)
        return held

    async def agree(self, who: int, outcome: Outcome, held: Held) -> None:
        """The ledger is whole, claims nothing that is not ours, and keeps what was protected."""
        client = self.clients[who]
        book, judge = client.book, client.judge
        assert judge is not None
        report = await client.journal().verify()
        assert report.damage is None, report
        for secret in SECRETS:
            for file in client.ledger.rglob("*.jsonl") if client.ledger.exists() else ():
                assert secret.encode() not in file.read_bytes()
        recorded = await client.journal().recorded("sandbox")
        for address in [a for a in judge_forgets(self, who) if a not in recorded]:
            book.forget(address)
        for address, record in recorded.items():
            mine = {record.id} if address.kind == "ByocCollection" else set()
            mine |= {member.id for member in record.members.values() if member.owned}
            claimed = mine if record.owned or record.members else set()
            if not record.owned:
                claimed -= {record.id}
            wrong = (claimed & (held.collections.keys() | held.tiles.keys())) - book.owned
            assert not wrong, f"{address} claims {wrong}, which nobody of this ledger made"
        for address in book.protected & recorded.keys():
            one = judge.wanted.get(address)
            if one is None or one.prevent:
                assert recorded[address].prevent_destroy, f"{address} has lost its protection"
        book.protected = {a for a, record in recorded.items() if record.prevent_destroy}
        book.bound = {
            a: record.id
            for a, record in recorded.items()
            if a.kind == "ByocCollection" and record.id
        }
        for address, record in recorded.items():
            # A set takes over what another has let go of.
            taken = {m.id for m in record.members.values()} & book.homes.keys()
            book.homes |= dict.fromkeys(taken, address)
        if not any(record.pending for record in recorded.values()):
            book.claims.clear()
            book.paths.clear()

    # --- what must hold after a success -----------------------------------------------------

    async def reached(self, who: int) -> None:
        """After an undisturbed success everything is as declared, and nothing is left to do."""
        client = self.clients[who]
        checkout = self.checkouts[who]
        held = await self.server.held()
        judge = client.judge
        assert judge is not None
        self._collections_are_there(judge, held)
        self._tiles_are_there(judge, held)
        self._jobs_have_run(judge, held)
        recorded = await client.journal().recorded("sandbox")
        undeclared = recorded.keys() - judge.wanted.keys()
        assert not undeclared, f"still recorded: {undeclared}"
        await self.pays(held)
        if judge.wanted or not checkout.manifests:
            plan = await self.pure_plan(who)
            pending = [(str(c.address), c.action, c.reason) for c in plan.pending]
            assert not plan.refusals, [one.diagnostic.what for one in plan.refusals]
            assert not pending, pending

    def _collections_are_there(self, judge: Judge, held: Held) -> None:
        bound = judge.book.bound
        declared = collections(judge.wanted.values())
        for one in declared:
            row = held.collections[bound[one.address]]
            assert row["bucket"] == one.bucket
            assert one.keeps_title or row["name"] == one.title
            if one.no_data is not None:
                assert float(row["no_data"]) == one.no_data
        ids = [bound[one.address] for one in declared]
        assert len(set(ids)) == len(ids), "two addresses have one collection"

    def _tiles_are_there(self, judge: Judge, held: Held) -> None:
        declared: set[tuple[str, str]] = set()
        for one in tile_sets(judge.wanted.values()):
            home = judge.book.bound[one.of]
            for path, time in one.times:
                declared.add((home, path))
                sensed_ms = datetime.fromisoformat(time).timestamp() * 1000
                # In another spelling, somebody may have the same files once more.
                there = [tile for tile in held.of(home) if tile.path == path]
                assert any(
                    tile.outcome == "INGESTED" and tile.sensed_ms == sensed_ms for tile in there
                ), f"{one.address}: {path}: {there}"
        for tile in held.tiles.values():
            if tile.id in judge.book.owned and tile.id in judge.book.homes:
                assert (tile.collection, tile.path) in declared, f"{tile} was to go"

    def _jobs_have_run(self, judge: Judge, held: Held) -> None:
        for job in batch_jobs(judge.wanted.values()):
            if job.start == "auto":
                asked = self.asked(judge.book, job)
                assert asked in self.complete, f"{asked} has not run"
        for one in answers(judge.wanted.values()):
            assert one.year in self.answered, f"nobody has asked for {one.year}"

    @staticmethod
    def asked(book: Book, job: Job) -> str:
        source = "" if job.of is None else f"byoc-{book.bound[job.of]}"
        return job.asked.replace(OF_ALL, source, 1)

    async def pays(self, held: Held) -> None:
        """The meter shows each run once, and each call that changed something."""
        runs = sum(task.cost_pu for task in held.tasks.values()) + self.answers_pu
        assert abs(held.spent_pu - held.calls - runs) < 1e-6, (held.spent_pu, held.calls, runs)

    async def pure_plan(self, who: int) -> Plan:
        """Plan twice, in two orders: the same bytes, no effect, nothing written."""
        client, checkout = self.clients[who], self.checkouts[who]
        await self.begin(who, Run())
        before = await self.server.held()
        if any(row["metadata_due_ms"] for row in before.collections.values()):
            # What the service still learns of a collection would show in the second plan.
            await self.server.tick(61.0)
            before = await self.server.held()
        head = await client.journal().head()
        wanted = list(resources(checkout.manifests))
        first = (await client.plan(*wanted)).plan
        if not is_quiet(before):
            return first
        again = (await client.plan(*wanted)).plan
        same(bytes_of(first), bytes_of(again))
        turned = (await client.plan(*reversed(wanted))).plan
        same(essence_of(first), essence_of(turned))
        client.secrets = {"KEY": SECRETS[1]}
        same(bytes_of(first), bytes_of((await client.plan(*wanted)).plan))
        assert not any(secret in str(plan_json(first)) for secret in SECRETS)
        after = await self.server.held()
        assert (after.spent_pu, after.calls) == (before.spent_pu, before.calls)
        assert await client.journal().head() == head
        assert not self.broken, self.broken
        client.run = Run()
        return first


def same(first: bytes, again: bytes) -> None:
    """Two plans are the same, byte for byte; else where they part is shown."""
    if first != again:
        at = next(n for n, (a, b) in enumerate(zip(first, again, strict=False)) if a != b)
        raise AssertionError(f"{first[at - 300 : at + 60]!r} became {again[at - 60 : at + 60]!r}")


def is_quiet(held: Held) -> bool:
    """Tell whether nothing is on its way: then a plan now and a plan later read the same."""
    return not any(task.is_running for task in held.tasks.values()) and all(
        tile.outcome for tile in held.tiles.values()
    )


def judge_forgets(world: World, who: int) -> set[Address]:
    return set(world.checkouts[who].told["forget"])


__all__ = [
    "FOLDERS",
    "Answer",
    "Collection",
    "Job",
    "Manifest",
    "Repository",
    "Tiles",
    "World",
    "replace",
]
