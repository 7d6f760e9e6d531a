"""
A machine that does to a project whatever people, servers and machines do, and a model that watches.

Rules edit manifests, edit on the server, let runs fail and be forgotten, lose ledgers, kill
processes, and apply. Every request with an effect is judged when it arrives (`model_book`); after
each command the ledger is compared with the model's, and after each success the server is.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shplan.core.address import Address
from shplan.core.change import Reason
from tests.support.cogs import cog_bytes
from tests.support.dying import Fate, Moment
from tests.support.model_book import Approved, Book, Judge, Sent
from tests.support.model_clients import Client, Outcome, Run, Weather, save_plan
from tests.support.model_machine import BUCKETS, FOLDERS, LAG_S, SECRETS, Repository, World
from tests.support.model_manifests import (
    Answer,
    Collection,
    Job,
    Manifest,
    Tiles,
    collections,
    is_loaded,
    refreshed,
    renamed,
    tile_sets,
    without,
)
from tests.support.model_server import Held

TITLES = ("North", "South")
TIMES = ("2025-06-01T10:00:00Z", "2025-07-01T00:00:00Z")
DAYS = ("2025-06-01", "2025-07-01")
PATHS = (*FOLDERS, "nowhere")
EDITS = ("rename", "nodata", "delete", "add", "strip", "time", "start", "stop", "analyse")
YEARS = (1985, 1986)
KEYS = ("n", "s")
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"second_start": "ignore"},
    {"folder_path_collides": True},
    {"second_delete": 204},
    {"echo_secrets": True},
    {"start_while_analysing": "accept"},
)
# What only a person can resolve: shplan never takes from others.
STAYS = {Reason.FOREIGN_MEMBERS, Reason.NOT_OWNED}
yes = st.sampled_from((False, False, False, True))


def instance(kind: str, name: str, key: str) -> Address:
    """The second of each kind has `forEach`, and the others have not."""
    return Address(kind, name, key if name.endswith("2") else None)


@st.composite
def disturbances(draw: Any) -> Run:
    """A calm run more often than not; else weather, or a death."""
    kind = draw(st.sampled_from(("calm", "calm", "calm", "weather", "death", "death in weather")))
    strikes: dict[int, str] = {}
    fate = None
    if "weather" in kind:
        places = st.integers(1, 30)
        what = st.sampled_from(("before", "lost", "lost", "503", "502"))
        strikes = draw(st.dictionaries(places, what, min_size=1, max_size=4))
    if "death" in kind:
        fate = Fate(draw(st.integers(1, 30)), draw(st.sampled_from(Moment)))
    return Run(Weather(strikes), fate)


class Machine(RuleBasedStateMachine):
    """One world, and everything that can happen in it."""

    totals: Counter[str] = Counter()

    @initialize(shared=st.booleans(), chosen=st.sampled_from(SETTINGS))
    def start(self, shared: bool, chosen: dict[str, Any]) -> None:
        home = tempfile.mkdtemp(prefix="model-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        self.world = World(Path(home), shared=shared, **chosen)
        self.saved: tuple[int, bytes, Repository] | None = None
        self.totals["machines"] += 1

    @initialize(
        title=st.sampled_from(TITLES),
        paths=st.lists(st.sampled_from(FOLDERS), unique=True, min_size=1, max_size=3),
        prevent=yes,
        exclusive=yes,
        of=st.booleans(),
        rerun=st.booleans(),
        place=st.sampled_from(("key", "task", "plain")),
        only_jobs=yes,
    )
    def begin(
        self,
        only_jobs: bool,
        title: str,
        paths: list[str],
        prevent: bool,
        exclusive: bool,
        of: bool,
        rerun: bool,
        place: str,
    ) -> None:
        """Most projects have one of each to begin with."""
        home, held = Address("ByocCollection", "c1"), Address("ByocTiles", "t1")
        times = tuple((path, TIMES[0]) for path in sorted(paths))
        made = Address("BatchProcess", "j1")
        job = Job(made, DAYS[0], place=place, rerun=rerun)
        if of:
            job = replace(job, of=home, after=(held,))
        self.first = {
            home: Collection(home, title, prevent=prevent),
            held: Tiles(held, home, times, exclusive, prevent),
            made: job,
        }
        self.only_jobs = only_jobs
        if only_jobs:
            self.first = {made: Job(made, DAYS[0], place=place, rerun=rerun)}
        self.applied = False
        self.healed = 0
        self.latest: Outcome | None = None

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.totals["images"] += len(self.world.answered)
            self.world.close()

    @rule()
    @precondition(lambda self: not self.manifests)
    def commit_the_first(self) -> None:
        self.commit(dict(self.first))

    @property
    def manifests(self) -> dict[Address, Manifest]:
        return self.world.repository.manifests

    def count(self, what: str) -> None:
        self.totals[what] += 1

    # --- manifests --------------------------------------------------------------------------

    def commit(self, manifests: dict[Address, Manifest]) -> None:
        if not is_loaded(manifests):
            return
        repository = self.world.repository
        repository.manifests = manifests
        gone = {old for old in repository.moved if old in manifests}
        for old in gone:
            del repository.moved[old]
        repository.forget -= manifests.keys()

    @rule(
        number=st.integers(1, 2),
        key=st.sampled_from(KEYS),
        title=st.sampled_from(TITLES),
        bucket=st.sampled_from(BUCKETS),
        no_data=st.sampled_from((None, 0, 5)),
        prevent=yes,
        keeps=yes,
    )
    @precondition(lambda self: not self.only_jobs)
    def declare_collection(
        self,
        number: int,
        key: str,
        title: str,
        bucket: str,
        no_data: int | None,
        prevent: bool,
        keeps: bool,
    ) -> None:
        self.count("edits")
        address = instance("ByocCollection", f"c{number}", key)
        name = title if address.key is None else f"{title} {address.key}"
        made = Collection(address, name, bucket, no_data, prevent, keeps)
        self.commit({**self.manifests, address: made})

    @rule(
        number=st.integers(1, 2),
        key=st.sampled_from(KEYS),
        pick=st.integers(0, 3),
        paths=st.lists(st.sampled_from(PATHS), unique=True, min_size=1, max_size=4),
        time=st.sampled_from(TIMES),
        exclusive=yes,
        prevent=yes,
    )
    @precondition(lambda self: collections(self.manifests.values()))
    def declare_tiles(
        self,
        number: int,
        key: str,
        pick: int,
        paths: list[str],
        time: str,
        exclusive: bool,
        prevent: bool,
    ) -> None:
        self.count("edits")
        homes = collections(self.manifests.values())
        home = homes[pick % len(homes)].address
        address = instance("ByocTiles", f"t{number}", key)
        times = tuple((path, time) for path in sorted(paths))
        made = Tiles(address, home, times, exclusive, prevent)
        self.commit({**self.manifests, address: made})

    @rule(
        number=st.integers(1, 3),
        key=st.sampled_from(KEYS),
        day=st.sampled_from(DAYS),
        generation=st.sampled_from((1, 1, 2)),
        pick=st.integers(0, 3),
        place=st.sampled_from(("key", "task", "plain")),
        start=st.sampled_from(("auto", "auto", "auto", "analyse", "manual")),
        rerun=st.booleans(),
        on_remove=st.sampled_from(("keep", "stop")),
        prevent=yes,
        comment=st.sampled_from(("", "", "seen")),
    )
    def declare_job(self, number: int, key: str, pick: int, **fields: Any) -> None:
        self.count("edits")
        address = instance("BatchProcess", f"j{number}", key)
        sets = tile_sets(self.manifests.values())
        one = sets[pick % len(sets)] if sets and pick else None
        of = None if one is None else one.of
        after = () if one is None else (one.address,)
        self.commit({**self.manifests, address: Job(address, of=of, after=after, **fields)})

    @rule(year=st.sampled_from(YEARS))
    def declare_answer(self, year: int) -> None:
        self.count("edits")
        address = Address("Process", "a1")
        self.commit({**self.manifests, address: Answer(address, year)})

    @rule(data=st.data())
    @precondition(lambda self: self.manifests)
    def edit_manifest(self, data: st.DataObject) -> None:
        self.count("edits")
        one = self.manifests[data.draw(st.sampled_from(sorted(self.manifests)))]
        changed = data.draw(self.variations(one))
        self.commit({**self.manifests, one.address: changed})

    def variations(self, one: Manifest) -> st.SearchStrategy[Manifest]:
        prevent = replace(one, prevent=not one.prevent)
        match one:
            case Collection():
                suffix = "" if one.address.key is None else f" {one.address.key}"
                others: list[Manifest] = [
                    *(replace(one, title=title + suffix) for title in TITLES),
                    *(replace(one, bucket=bucket) for bucket in BUCKETS),
                    *(replace(one, no_data=value) for value in (None, 0, 5)),
                ]
            case Tiles():
                others = [
                    *(replace(one, times=tuple((p, t) for p in one.paths)) for t in TIMES),
                    *(replace(one, times=one.times[:-1]) for _ in one.times[1:2]),
                    *(
                        replace(one, times=(*one.times, (p, TIMES[0])))
                        for p in PATHS
                        if p not in one.paths
                    ),
                    replace(one, exclusive=not one.exclusive),
                    *(replace(one, of=c.address) for c in collections(self.manifests.values())),
                ]
            case Job():
                others = [
                    *(replace(one, day=day) for day in DAYS),
                    replace(one, generation=one.generation + 1),
                    replace(one, comment=one.comment + "x"),
                    replace(one, rerun=not one.rerun),
                    replace(one, start="auto"),
                    replace(one, on_remove="stop" if one.on_remove == "keep" else "keep"),
                ]
            case Answer():
                others = [replace(one, year=year) for year in YEARS]
        return st.sampled_from([prevent, *(other for other in others if other != one)])

    @rule(data=st.data(), forget=yes)
    @precondition(lambda self: self.manifests)
    def remove_manifest(self, data: st.DataObject, forget: bool) -> None:
        self.count("edits")
        gone = data.draw(st.sampled_from(sorted(self.manifests)))
        left = without(self.manifests, gone)
        if forget:
            self.world.repository.forget |= self.manifests.keys() - left.keys()
        self.commit(left)

    @rule(data=st.data(), says_so=st.sampled_from((True, True, False)))
    @precondition(lambda self: self.manifests)
    def rename_manifest(self, data: st.DataObject, says_so: bool) -> None:
        self.count("edits")
        old = data.draw(st.sampled_from(sorted(self.manifests)))
        new = Address(old.kind, old.name + "x", old.key)
        if new in self.manifests or len(new.name) > 5:
            return
        moved = renamed(self.manifests, old, new)
        repository = self.world.repository
        if says_so:
            known = {a: new if b == old else b for a, b in repository.moved.items()}
            repository.moved = {a: b for a, b in known.items() if a != b} | {old: new}
        self.commit(moved)

    # --- the server, and whoever works on it ------------------------------------------------

    @rule(seed=st.integers(0, 99), what=st.sampled_from(EDITS), wait=st.booleans())
    @precondition(lambda self: self.applied)
    def edit_on_the_server(self, seed: int, what: str, wait: bool) -> None:
        # Nothing is drawn from what the server has: what hypothesis draws must not depend on it.
        self.count("edits on the server")
        dice = random.Random(seed)
        self.world.do(self.edit(what, lambda things: dice.choice(sorted(things))))
        self.settle(wait)

    async def edit(self, what: str, choose: Any) -> None:
        """What somebody does in the service's web pages."""
        server = self.world.server
        held = await server.held()
        tasks = [made for made, one in held.tasks.items() if not one.forgotten]
        if what in ("start", "stop", "analyse"):
            if tasks:
                await server.edit("POST", f"/batch/v2/process/{choose(tasks)}/{what}")
            return
        if not held.collections:
            return
        home = choose(held.collections)
        where = f"/byoc/v1/collections/{home}"
        tiles = [tile.id for tile in held.of(home)]
        if what == "rename":
            await server.put_right(where, {"name": choose(TITLES)})
        elif what == "nodata":
            await server.put_right(where, {"noData": 1})
        elif what == "delete":
            await server.edit("DELETE", where)
        elif what == "add":
            await server.edit("POST", f"{where}/tiles", {"path": choose(FOLDERS)})
        elif tiles and what == "strip":
            await server.edit("DELETE", f"{where}/tiles/{choose(tiles)}")
        elif tiles:
            await server.put_right(f"{where}/tiles/{choose(tiles)}", {"sensingTime": TIMES[1]})
        for client in self.world.clients:
            client.book.made_by_others(await server.held())

    def settle(self, wait: bool) -> None:
        world = self.world
        if wait:
            world.do(world.server.tick(120.0))
        held = world.do(world.server.held())
        for client in world.clients:
            client.book.made_by_others(held)

    @rule(
        title=st.sampled_from((*TITLES, "North n", "Strange")),
        bucket=st.sampled_from(BUCKETS),
        path=st.sampled_from((None, *FOLDERS)),
        wait=st.booleans(),
    )
    @precondition(lambda self: not self.only_jobs)
    def a_stranger_makes_a_collection(
        self, title: str, bucket: str, path: str | None, wait: bool
    ) -> None:
        self.count("edits on the server")
        world = self.world
        body = {"name": title, "s3Bucket": bucket}
        made = world.do(world.server.edit("POST", "/byoc/v1/collections", body))["data"]["id"]
        if path is not None:
            where = f"/byoc/v1/collections/{made}/tiles"
            world.do(world.server.edit("POST", where, {"path": path}))
        self.settle(wait)

    @rule(data=st.data(), marked=st.booleans(), strange=yes, started=st.booleans())
    @precondition(
        lambda self: any(isinstance(one, Job) and one.of is None for one in self.manifests.values())
    )
    def a_stranger_makes_a_task(
        self, data: st.DataObject, marked: bool, strange: bool, started: bool
    ) -> None:
        self.count("edits on the server")
        world = self.world
        jobs = [one for one in self.manifests.values() if isinstance(one, Job) and one.of is None]
        job = data.draw(st.sampled_from(jobs))
        body = job.body("sentinel-2-l2a")
        body["output"]["delivery"]["s3"]["secretAccessKey"] = "theirs"
        if strange or job.place == "key" or job.generation > 1:
            body["description"] = "something else"
            body["output"]["delivery"]["s3"]["url"] = (
                "s3://results/theirs/<requestId>/<tileName>.tif"
            )
        made = world.do(world.server.edit("POST", "/batch/v2/process", body))["id"]
        if started:
            world.do(world.server.edit("POST", f"/batch/v2/process/{made}/start"))
        self.settle(data.draw(st.booleans()))

    @rule(status=st.sampled_from(("created", "analysed", "stopped", "failed", "done")))
    @precondition(lambda self: self.applied)
    def expire(self, status: str) -> None:
        self.count("expiries")
        self.world.do(self.world.see())
        self.world.do(self.world.server.expire(status))

    @rule(share=st.sampled_from((0.0, 0.0, 0.5, 1.0)))
    def let_features_fail(self, share: float) -> None:
        self.fail_features(share)

    def fail_features(self, share: float) -> None:
        server = self.world.server
        self.world.do(server.ask("DELETE", "/_sandbox/batch"))
        if share:
            self.world.do(server.ask("POST", "/_sandbox/batch", {"share": share}))

    @rule(lags=st.booleans())
    def let_lists_lag(self, lags: bool) -> None:
        self.lag_lists(LAG_S if lags else 0.0)

    def lag_lists(self, lag_s: float) -> None:
        self.world.lag_s = lag_s
        self.world.do(self.world.server.set(list_lag_s=lag_s, path_lag_s=lag_s))

    @rule(seconds=st.sampled_from((1.0, 30.0, 2000.0, 90_000.0)))
    def jump(self, seconds: float) -> None:
        self.world.do(self.world.server.tick(seconds))

    @rule(who=st.integers(0, 1), which=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def rotate_a_secret(self, who: int, which: int) -> None:
        self.world.clients[who].secrets = {"KEY": SECRETS[which]}

    @rule(
        bucket=st.sampled_from(BUCKETS),
        folder=st.sampled_from(FOLDERS),
        shift=st.integers(1, 3),
        broken=yes,
    )
    @precondition(lambda self: self.applied)
    def change_a_file(self, bucket: str, folder: str, shift: int, broken: bool) -> None:
        content = b"no raster" if broken else cog_bytes(east=500_000.0 + 10 * shift)
        (self.world.bench.buckets / bucket / folder / "B04.tiff").write_bytes(content)

    # --- ledgers ----------------------------------------------------------------------------

    def keep_book(self, client: Client, book: Any) -> None:
        for one in self.world.clients:
            if one is client or self.world.shared:
                one.book = book

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def lose_the_ledger(self, who: int) -> None:
        self.count("ledgers lost")
        client = self.world.clients[who]
        client.lose()
        self.keep_book(client, type(client.book)())

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def copy_the_ledger(self, who: int) -> None:
        client = self.world.clients[who]
        self.world.copies[client.ledger_name] = (client.keep("copy"), client.book.copy())

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.world.copies)
    def roll_the_ledger_back(self, who: int) -> None:
        client = self.world.clients[who]
        if client.ledger_name in self.world.copies:
            self.count("ledgers rolled back")
            copy, book = self.world.copies[client.ledger_name]
            client.roll_back(copy)
            self.keep_book(client, book.copy())

    # --- commands ---------------------------------------------------------------------------

    def pull(self, who: int, stale: bool = False) -> None:
        if not stale:
            self.world.checkouts[who] = self.world.repository.copy()

    @rule(
        who=st.integers(0, 1),
        run=disturbances(),
        stale=yes,
        wait=st.sampled_from((True, True, False)),
        crowded=yes,
    )
    def apply(self, who: int, run: Run, stale: bool, wait: bool, crowded: bool) -> None:
        self.applied = True
        self.pull(who, stale)
        run.more["wait"] = wait
        self.crowd(crowded)
        manifests = self.world.checkouts[who].manifests
        self.ended(who, run, lambda c, r: c.applies(r.manifests), wait=wait, destroy=not manifests)
        self.crowd(False)

    def crowd(self, crowded: bool) -> None:
        """Let the server take few requests a minute: it answers 429 to the others."""
        limit = 20.0 if crowded else None
        self.world.do(self.world.server.set(requests_per_minute=limit))

    def ended(self, who: int, run: Run, act: Any, *, wait: bool, destroy: bool = False) -> None:
        world = self.world
        is_calm = run.is_calm

        async def go() -> Outcome:
            await world.begin(who, run, destroy=destroy)
            client = world.clients[who]
            outcome = await act(client, world.checkouts[who])
            if outcome.code is None and run.torn:
                client.tear()
            await world.finish(who, outcome)
            return outcome

        outcome = world.do(go())
        note(f"{world.clients[who].name}: {outcome.code} {outcome.told()}")
        self.latest = outcome
        self.count("commands")
        self.count(f"code {outcome.code}")
        if outcome.code == 0 and is_calm and wait:
            world.do(world.reached(who))

    @rule(who=st.integers(0, 1))
    def apply_calmly(self, who: int) -> None:
        self.apply_as(who, Run())

    @rule(who=st.integers(0, 1), run=disturbances(), torn=yes)
    def apply_in_weather(self, who: int, run: Run, torn: bool) -> None:
        if run.fate is not None and torn:
            run.torn = True
        self.apply_as(who, run)

    @rule(
        who=st.integers(0, 1),
        at=st.integers(1, 25),
        what=st.sampled_from(EDITS),
        seed=st.integers(0, 99),
    )
    @precondition(lambda self: self.applied)
    def apply_while_somebody_edits(self, who: int, at: int, what: str, seed: int) -> None:
        self.count("edits during an apply")
        dice = random.Random(seed)

        async def edit() -> None:
            await self.edit(what, lambda things: dice.choice(sorted(things)))

        self.apply_as(who, Run(Weather(edits={at: edit})))

    def apply_as(self, who: int, run: Run) -> None:
        self.applied = True
        self.pull(who)
        manifests = self.world.checkouts[who].manifests
        self.ended(who, run, lambda c, r: c.applies(r.manifests), wait=True, destroy=not manifests)

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def destroy(self, who: int) -> None:
        self.pull(who)
        self.ended(who, Run(), lambda c, r: c.applies({}), wait=True, destroy=True)

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def heal(self, who: int) -> None:
        """When nothing is wrong any more and nothing forbids it, everything comes to rest."""
        self.count("heals")
        world = self.world
        self.healed += 1
        self.fail_features(0.0)
        self.lag_lists(0.0)
        for bucket in BUCKETS:
            world.bench.write_tiles(*FOLDERS, bucket=bucket, bands=("B04", "B08"))
        world.do(world.server.tick(4000.0))
        self.commit(refreshed(self.manifests, self.healed))
        world.repository.moved.clear()
        recorded = world.do(world.clients[who].journal().recorded("sandbox"))
        world.repository.forget |= recorded.keys() - self.manifests.keys()
        # A protection is taken away by a change of its own, before anything else of it changes.
        is_kept = bool(world.clients[who].book.protected)
        codes = []
        for _ in range(3):
            self.apply_as(who, Run())
            assert self.latest is not None
            codes.append(self.latest.code)
            if codes[-1] == 0 or (codes[-1] == 5 and is_kept):
                return
        assert codes[-1] == 3, (codes, self.latest.told())
        applied = self.latest.applied
        assert applied is not None
        reasons = {change.reason for change in applied.planned.plan.blocked}
        assert reasons & STAYS, (codes, self.latest.told())
        assert not reasons - {*STAYS, Reason.DEPENDENCY_BLOCKED}, (codes, self.latest.told())

    @rule(who=st.integers(0, 1))
    def save_a_plan(self, who: int) -> None:
        """A plan is reviewed; what is committed after it does not matter to its file."""
        self.pull(who)
        world = self.world

        async def save() -> bytes:
            await world.begin(who, Run())
            client, checkout = world.clients[who], world.checkouts[who]
            client.run = Run(more=checkout.told)
            return save_plan((await client.plans(checkout.manifests)).plan)

        self.saved = (who, world.do(save()), world.checkouts[who].copy())

    @rule(run=disturbances(), as_reviewed=st.sampled_from((True, True, False)))
    @precondition(lambda self: self.saved is not None)
    def apply_the_file(self, run: Run, as_reviewed: bool) -> None:
        assert self.saved is not None
        who, content, reviewed = self.saved
        self.world.checkouts[who] = reviewed if as_reviewed else self.world.repository.copy()
        self.count("files applied")
        self.ended(who, run, lambda c, r: c.applies_file(content, r.manifests), wait=True)

    @rule(seed=st.integers(0, 1000), stale=yes)
    def apply_at_the_same_time(self, seed: int, stale: bool) -> None:
        self.applied = True
        self.count("races")
        world = self.world
        self.pull(0)
        self.pull(1, stale)
        dice = random.Random(seed)

        async def race() -> list[Outcome]:
            for who in (0, 1):
                await world.begin(who, Run(Weather(dice=dice)), alone=False)
            outcomes = await asyncio.gather(
                *(world.clients[who].applies(world.checkouts[who].manifests) for who in (0, 1))
            )
            for who in (0, 1):
                await world.finish(who, outcomes[who])
            return list(outcomes)

        for outcome in world.do(race()):
            note(f"{outcome.code} {outcome.told()}")
            self.count("commands")
            self.count(f"code {outcome.code}")

    @rule(who=st.integers(0, 1), seed=st.integers(0, 99))
    @precondition(lambda self: self.applied)
    def confirm(self, who: int, seed: int) -> None:
        """`shplan import`: a person says which object is ours."""
        self.pull(who)
        world = self.world
        manifests = world.checkouts[who].manifests
        held = world.do(world.server.held())
        homes = [one for one in collections(manifests.values()) if held.found(one.key)]
        if not homes:
            return
        dice = random.Random(seed)
        home = dice.choice(homes)
        made = dice.choice(sorted(held.found(home.key)))
        sets = [one for one in tile_sets(manifests.values()) if one.of == home.address]
        one: Manifest = dice.choice([home, *sets])
        self.count("imports")
        paths = one.paths if isinstance(one, Tiles) else ()
        tiles = {tile.id for tile in held.of(made) if tile.path in paths}

        async def confirms(client: Client, repository: Repository) -> Outcome:
            outcome = await client.imports(repository.manifests, one.address, made)
            if outcome.code == 0:
                client.book.owned |= tiles if isinstance(one, Tiles) else {made}
                client.book.homes |= dict.fromkeys(tiles, one.address)
            return outcome

        self.ended(who, Run(), confirms, wait=False)

    @rule(who=st.integers(0, 1))
    def plan(self, who: int) -> None:
        self.count("plans")
        self.pull(who)
        self.world.do(self.world.pure_plan(who))


@pytest.mark.hypothesis
def test_whatever_happens_the_model_holds() -> None:
    """A few short lives by default, more and longer ones where laws are thorough."""
    is_thorough = settings.default.max_examples >= 100
    Machine.totals.clear()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=45 if is_thorough else 7,
            stateful_step_count=50 if is_thorough else 30,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    met = Machine.totals
    assert met["code 0"] > met["commands"] / 2, met
    often = ("heals", "races", "ledgers lost", "edits on the server", "images")
    assert min(met[what] for what in often), met


def test_an_image_that_has_come_may_not_be_paid_for_again() -> None:
    """One whose answer was lost may; so does the model see it, whatever the client does."""
    address = Address("Process", "a1")
    body = Answer(address, 1985).desired().spec
    shown = {"method": "POST", "path": "/process/v1", "parameters": {}, "body": body}
    nothing = Held({}, {}, {}, 0.0, 0)
    wanted = {address: Answer(address, 1985)}
    judge = Judge("A", wanted, Book(), nothing, set(), [], approved=Approved([shown]))
    sent = Sent("POST", "/process/v1", body)
    for _ in range(2):
        judge.arriving(sent, nothing)
        judge.served(sent, 200, None, nothing, cost_pu=0.01)
    assert judge.broken == []
    judge.hears(sent)
    judge.arriving(sent, nothing)
    assert judge.broken == [
        "A: POST /process/v1: the image of 1985 has come already, and is paid again"
    ]
