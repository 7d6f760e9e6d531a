"""
A machine that works as people do: it edits files, gives commands, and foretells how each will end.

The files are real ones of a project, over every kind; the commands are those of the command line. What
must hold is read in the sandbox's own record, and each exit code is worked out from the design by
`model_oracle` before the command is given.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
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

from shplan.api.deployment import BUILT_IN
from tests.crash import scenarios
from tests.support.cogs import write_tile
from tests.support.cubes import write_cube
from tests.support.dying import Fate, Moment
from tests.support.model_book import Approved, Sent
from tests.support.model_clients import published
from tests.support.model_commands import Disturbance, Effect, Said, Town, in_a_thread
from tests.support.model_files import (
    AT_ONCE,
    COLLECTION,
    FOLDERS,
    HOLDERS,
    IMAGE,
    LISTED,
    PICTURE,
    PLACES,
    SERIES,
    SITES,
    WORKS,
    ZARR,
    Content,
    Files,
    Holder,
    Thing,
    Tiles,
    Work,
    content_of,
)
from tests.support.model_oracle import Known, Oracle, There, Verdict

TITLES = ("North", "South")
YEARS = (1985, 1986)
SECRETS = ("canary-model-one", "canary-model-two")
APPLY = ("apply", "--auto-approve")
LAG_S = 8.0
ENOUGH_S = 100.0
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"second_start": "ignore"},
    {"echo_secrets": True},
    {"error_429_wrapped": False},
    {"second_delete": 204},
)
seldom = st.sampled_from((False, False, False, True))


@dataclass
class Client:
    """
    One checkout.

    Args:
        made: ids that this ledger has made or confirmed, and what became of others' is theirs
        heard: contents of jobs that answer at once, whose answer has come and is recorded
    """

    name: str
    root: Path
    ledger: Path
    secret: str = SECRETS[0]
    made: set[str] = field(default_factory=set)
    heard: set[Content] = field(default_factory=set)


class Commands(RuleBasedStateMachine):
    """One sandbox, two checkouts, and everything that can happen."""

    totals: Counter[str] = Counter()

    @initialize(
        chosen=st.sampled_from(SETTINGS),
        shared=st.booleans(),
        kinds=st.lists(st.sampled_from((*HOLDERS, *WORKS)), unique=True, min_size=2, max_size=5),
        title=st.sampled_from(TITLES),
        year=st.sampled_from(YEARS),
    )
    def start(
        self, chosen: dict[str, Any], shared: bool, kinds: list[str], title: str, year: int
    ) -> None:
        home = Path(tempfile.mkdtemp(prefix="model-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.town = Town(home, **chosen)
        for bucket in PLACES[COLLECTION]:
            for folder in FOLDERS:
                write_tile(self.town.buckets, bucket, folder, bands=("B04", "B08"))
        for group in PLACES[ZARR]:
            write_cube(self.town.buckets / "cubes" / group)
        scenarios.with_areas(self.town)  # type: ignore[arg-type]  # all it asks for is `buckets`
        self.identity = BUILT_IN["sandbox"].of_instance(self.town.app.state.world.store.instance)
        self.shared = shared
        self.clients = []
        for name in "AB":
            root = self.town.checkout(name)
            ledger = home / ("ledger" if shared else f"ledger-{name}")
            self.clients.append(Client(name, root, ledger))
        self.files = Files()
        self.strangers: dict[str, str] = {}
        self.everything_fails = False
        self.lag_s = 0.0
        self.applied = False
        self.saved: tuple[int, Files, Oracle, int] | None = None
        self.lost = 0
        self.copies: dict[Path, tuple[Path, Client]] = {}
        self.totals["lives"] += 1
        self.first: list[Thing] = [
            Holder(kind, "one", title, PLACES[kind][0])
            if kind in HOLDERS
            else Work(kind, "one", year)
            for kind in kinds
        ]
        if COLLECTION in kinds:
            self.first.append(Tiles("one", "one", FOLDERS[:2]))
        self.commit(*self.first)

    def teardown(self) -> None:
        if hasattr(self, "town"):
            self.town.close()

    def commit(self, *things: Thing, without: str = "") -> None:
        """Say something else, if it is a project at all: what is referred to is there."""
        said = {address: one for address, one in self.files.things.items() if address != without}
        # One address has one manifest, of whichever version of an API.
        said |= {one.address: one for one in things}
        files = replace(self.files, things=said)
        held = {one.address: one for one in files.of(Holder)}
        for one in [*files.of(Tiles), *files.of(Work)]:
            home = held.get(f"{COLLECTION}/{one.of}")
            site = one.site if isinstance(one, Tiles) else ""
            if one.of and (home is None or (site not in home.sites if site else home.sites)):
                return
            if isinstance(one, Work) and one.after and one.after not in said:
                return
        moved = {
            a: b
            for a, b in files.moved.items()
            if b in files.addresses and a not in files.addresses
        }
        self.files = replace(files, moved=moved, forget=files.forget - self._bases(files))

    @staticmethod
    def _bases(files: Files) -> set[str]:
        return {
            name for address in files.addresses for name in (address, address.partition("[")[0])
        }

    # --- files ------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: not self.files.things)
    def commit_the_first(self) -> None:
        self.commit(*self.first)

    @rule(
        kind=st.sampled_from(HOLDERS),
        name=st.sampled_from(("one", "two")),
        title=st.sampled_from(TITLES),
        place=st.integers(0, 1),
        prevent=seldom,
        sites=st.sampled_from(((), (), SITES, SITES[:1])),
    )
    def declare_a_holder(
        self, kind: str, name: str, title: str, place: int, prevent: bool, sites: tuple[str, ...]
    ) -> None:
        spread = sites if kind == COLLECTION and name == "two" else ()
        self.commit(Holder(kind, name, title, PLACES[kind][place], prevent, spread))

    @rule(
        name=st.sampled_from(("one", "two")),
        folders=st.lists(st.sampled_from((*FOLDERS, "nowhere")), unique=True, min_size=1),
        prevent=seldom,
    )
    def declare_tiles(self, name: str, folders: list[str], prevent: bool) -> None:
        home = self.files.things.get(f"{COLLECTION}/{name}")
        site = home.sites[0] if isinstance(home, Holder) and home.sites else ""
        self.commit(Tiles(name, name, tuple(sorted(folders)), prevent, site))

    @rule(
        api=st.sampled_from(WORKS),
        name=st.sampled_from(("one", "one", "two")),
        year=st.sampled_from(YEARS),
        rerun=st.booleans(),
        start=st.sampled_from(("auto", "auto", "auto", "manual")),
        of=seldom,
        after=seldom,
    )
    def declare_work(
        self, api: str, name: str, year: int, rerun: bool, start: str, of: bool, after: bool
    ) -> None:
        listed = api in LISTED
        others = [one.address for one in self.files.of(Work) if one.name == "two"]
        self.commit(
            Work(
                api,
                name,
                year,
                rerun and (listed or api == IMAGE),
                start if listed else "auto",
                "one" if of and api == "BatchProcess" else "",
                others[-1] if after and others and name == "one" else "",
            )
        )

    @rule(data=st.data(), forget=seldom)
    @precondition(lambda self: self.files.things)
    def remove(self, data: st.DataObject, forget: bool) -> None:
        gone = data.draw(st.sampled_from(sorted(self.files.things)))
        before = self.files
        self.commit(without=gone)
        if forget and before is not self.files:
            let_go = before.addresses - self.files.addresses
            self.files = replace(self.files, forget=self.files.forget | let_go)

    @rule(data=st.data(), says_so=st.sampled_from((True, True, False)))
    @precondition(lambda self: self.files.of(Holder))
    def rename(self, data: st.DataObject, says_so: bool) -> None:
        """Give a holder another name, wherever it is referred to."""
        held = data.draw(
            st.sampled_from([one for one in self.files.of(Holder) if not one.sites] or [None])
        )
        if held is None or len(held.name) > 4:
            return
        new = replace(held, name=held.name + "x")
        things = {a: one for a, one in self.files.things.items() if a != held.address}
        for address, one in list(things.items()):
            if held.kind == COLLECTION and not isinstance(one, Holder) and one.of == held.name:
                things[address] = replace(one, of=new.name)
        moved = {a: new.address if b == held.address else b for a, b in self.files.moved.items()}
        moved |= {held.address: new.address}
        self.files = replace(
            self.files, things={**things, new.address: new}, moved=moved if says_so else {}
        )

    @rule(what=st.sampled_from(("turn", "remark", "asks", "budget", "break")))
    def edit_elsewhere(self, what: str) -> None:
        files = self.files
        if what == "turn":
            self.files = replace(files, turn=3 - files.turn)
        elif what == "remark":
            self.files = replace(files, remark=files.remark + "x")
        elif what == "asks":
            self.files = replace(files, asks=not files.asks)
        elif what == "budget":
            self.files = replace(files, budget_pu=None if files.budget_pu else 50.0)
        else:
            self.files = replace(files, broken=not files.broken)

    # --- the server, and whoever works on it ------------------------------------------------

    @rule(
        seed=st.integers(0, 99), what=st.sampled_from(("rename", "delete", "add", "strip", "stop"))
    )
    @precondition(lambda self: self.applied)
    def edit_on_the_server(self, seed: int, what: str) -> None:
        self.totals["edits on the server"] += 1
        self._edit(what, random.Random(seed))
        self.town.tick(ENOUGH_S)

    def _edit(self, what: str, dice: random.Random) -> None:
        town = self.town
        there = There.of(town.dump())
        homes = sorted(i for i, one in there.holders.items() if one.kind == COLLECTION)
        running = sorted(
            t.id for t in there.tasks if t.content.api == "BatchProcess" and not t.ended
        )
        if what == "stop" and running:
            town.edit("POST", f"/batch/v2/process/{dice.choice(running)}/stop")
        if not homes or what == "stop":
            return
        home = dice.choice(homes)
        where = f"/byoc/v1/collections/{home}"
        tiles = sorted(made for made, _ in there.tiles.get(home, {}).values())
        if what == "rename":
            town.change(where, {"name": dice.choice(TITLES)})
        elif what == "delete":
            town.edit("DELETE", where)
        elif what == "add":
            made = town.edit("POST", f"{where}/tiles", {"path": dice.choice(FOLDERS)})
            self._strange(made)
        elif tiles:
            town.edit("DELETE", f"{where}/tiles/{dice.choice(tiles)}")

    def _strange(self, made: Any) -> None:
        if isinstance(made, dict) and "data" in made:
            there = There.of(self.town.dump())
            self.strangers[made["data"]["id"]] = there.rows.get(made["data"]["id"], "")

    @rule(
        kind=st.sampled_from(HOLDERS),
        title=st.sampled_from((*TITLES, "Strange")),
        place=st.integers(0, 1),
    )
    def a_stranger_makes_a_holder(self, kind: str, title: str, place: int) -> None:
        self.a_stranger_makes(kind, title, PLACES[kind][place])
        self.town.tick(ENOUGH_S)

    def a_stranger_makes(self, kind: str, title: str, where: str) -> None:
        path = {COLLECTION: "/byoc/v1/collections", ZARR: "/zarr/v1/collections"}
        body = {"name": title, "s3Bucket": where}
        if kind == ZARR:
            body = {"name": title, "s3Bucket": "cubes", "path": where, "crs": "EPSG:32633"}
        made = self.town.edit("POST", path.get(kind, "/api/v1/batch/collections"), body)
        self._strange(made)

    @rule(seed=st.integers(0, 99), times=st.integers(1, 2))
    @precondition(lambda self: self.files.of(Holder))
    def a_stranger_makes_what_is_declared(self, seed: int, times: int) -> None:
        """Names are not unique on the service: there may be another of them, or there may be two."""
        _, one = random.Random(seed).choice(sorted(self.files.instances().items()))
        for _ in range(times):
            self.a_stranger_makes(one.kind, one.title, one.place)
        self.town.tick(ENOUGH_S)

    @rule(share=st.sampled_from((0.0, 1.0)))
    def let_parts_fail(self, share: float) -> None:
        self.everything_fails = share > 0
        self.town.ask("DELETE", "/_sandbox/batch")
        if share:
            self.town.ask("POST", "/_sandbox/batch", {"share": share, "cause": "no imagery"})

    @rule(lags=st.booleans())
    def let_lists_lag(self, lags: bool) -> None:
        self.lag_s = LAG_S if lags else 0.0
        self.town.behave(list_lag_s=self.lag_s, path_lag_s=self.lag_s)

    @rule(seconds=st.sampled_from((30.0, 2000.0, 90_000.0)))
    def jump(self, seconds: float) -> None:
        self.town.tick(seconds)

    @rule(status=st.sampled_from(("done", "failed", "created")))
    @precondition(lambda self: self.applied)
    def expire(self, status: str) -> None:
        self.totals["expiries"] += 1
        self.town.behave(**{f"expire_{status}_s": 0.5})
        self.town.tick(1.0)
        self.town.dump()
        self.town.behave(**{f"expire_{status}_s": None})

    # --- secrets and ledgers ----------------------------------------------------------------

    @rule(who=st.integers(0, 1), which=st.integers(0, 1))
    def rotate_a_secret(self, who: int, which: int) -> None:
        self.clients[who].secret = SECRETS[which]

    @rule(who=st.integers(0, 1))
    def apply_without_the_secret(self, who: int) -> None:
        """Whoever has not set it plans the same; what needs it fails, and nothing else."""
        client = self.clients[who]
        held, client.secret = client.secret, ""
        try:
            self.apply_as(who, Disturbance())
        finally:
            client.secret = held

    def _has_lost(self, client: Client, made: set[str], heard: set[Any]) -> None:
        self.lost += 1
        self._known_by(client, made, heard)

    def _known_by(self, client: Client, made: set[str], heard: set[Any]) -> None:
        for one in self.clients:
            if one is client or self.shared:
                one.made, one.heard = set(made), set(heard)

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def lose_the_ledger(self, who: int) -> None:
        self.totals["ledgers lost"] += 1
        client = self.clients[who]
        shutil.rmtree(client.ledger, ignore_errors=True)
        self._has_lost(client, set(), set())

    @rule(who=st.integers(0, 1), back=st.booleans())
    @precondition(lambda self: self.applied)
    def copy_the_ledger_or_roll_it_back(self, who: int, back: bool) -> None:
        client = self.clients[who]
        if back and client.ledger in self.copies:
            self.totals["ledgers rolled back"] += 1
            copy, book = self.copies[client.ledger]
            shutil.rmtree(client.ledger, ignore_errors=True)
            shutil.copytree(copy, client.ledger)
            self._has_lost(client, book.made, book.heard)
        elif client.ledger.exists():
            copy = client.ledger.with_name(client.ledger.name + "-copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(client.ledger, copy)
            book = replace(client, made=set(client.made), heard=set(client.heard))
            self.copies[client.ledger] = (copy, book)

    # --- commands ---------------------------------------------------------------------------

    def ask(self, who: int, files: Files | None = None) -> Oracle:
        """What this checkout, its ledger and the server say now."""
        client, files = self.clients[who], self.files if files is None else files
        journal = self.town.journal(client.ledger)
        there = There.of(self.town.dump())

        async def reading() -> Known:
            recorded = await journal.recorded(self.identity.identity)
            return Known.of(recorded, await journal.runs(self.identity.identity), there)

        known = asyncio.run(reading())
        exists = (client.root).__truediv__
        return Oracle(
            files,
            known,
            there,
            lambda path: exists(path).exists(),
            everything_fails=self.everything_fails,
            has_secret=bool(client.secret),
        )

    def run(self, who: int, *command: str, told: Disturbance | None = None) -> Said:
        client = self.clients[who]
        secrets = {"ID": "who we are to the bucket"}
        secrets |= {"KEY": client.secret} if client.secret else {}
        said = self.town.run(client.root, *command, secrets=secrets, told=told)
        self.totals["commands"] += 1
        self.totals[f"code {said.code}"] += 1
        if threading.current_thread() is threading.main_thread():
            note(f"{client.name}: {' '.join(command)} -> {said.code}")
        assert said.code != 70, said
        for secret in SECRETS:
            assert secret not in said.out + said.err
        return said

    def sent_since(self, at: int) -> list[Effect]:
        """What was sent with an effect; to search the catalogue has none."""
        return [effect for effect in self.town.log[at:] if not effect.path.endswith("/search")]

    def write(self, who: int) -> None:
        client = self.clients[who]
        self.files.write(client.root, ledger=os.path.relpath(client.ledger, client.root))

    def quiet(self) -> None:
        """Whatever runs has ended, and lists show it."""
        for _ in range(3):
            self.town.tick(ENOUGH_S)
            self.town.dump()

    def foretold(self, said: Said, codes: set[int | None], oracle: Oracle) -> None:
        self.totals["asked"] += 1
        if len(codes) == 1:
            self.totals["foretold"] += 1
            self.totals[f"foretold {said.command[0]} {said.code}"] += 1
        verdicts = {a: v.value for a, v in sorted(oracle.verdicts.items())}
        assert said.code in codes, f"foretold {codes}\n{json.dumps(verdicts, indent=1)}\n{said}"

    def plan(self, who: int) -> tuple[Oracle, Approved | None, str]:
        """Plan twice: foretold, without effect, and the same bytes."""
        self.quiet()
        self.write(who)
        client = self.clients[who]
        oracle = self.ask(who)
        files, effects = _tree(client.ledger), len(self.town.log)
        said = self.run(who, "plan", "--detailed-exitcode", "--format", "json")
        if self.files.broken:
            assert said.code == 1, said
            assert len(self.town.log) == effects
            return oracle, None, said.out
        self.foretold(said, set(oracle.of_plan()), oracle)
        held, client.secret = client.secret, SECRETS[1]
        again = self.run(who, "plan", "--detailed-exitcode", "--format", "json")
        client.secret = held
        assert (again.code, again.out) == (said.code, said.out), (
            "a plan is a function of what it read"
        )
        assert _tree(client.ledger) == files, "a plan wrote into the ledger"
        assert not self.sent_since(effects)
        there = There.of(self.town.dump())
        if len(self.town.log) == effects:
            # A search of the catalogue has its price.
            assert (there.pu, there.calls) == (oracle.there.pu, oracle.there.calls)
        return oracle, Approved.of(json.loads(said.out)), said.out

    @rule(who=st.integers(0, 1))
    def plan_alone(self, who: int) -> None:
        self.plan(who)

    @rule(who=st.integers(0, 1))
    def apply(self, who: int) -> None:
        self.apply_as(who, Disturbance())

    @rule(who=st.integers(0, 1))
    def apply_again(self, who: int) -> None:
        self.apply_as(who, Disturbance())

    @rule(who=st.integers(0, 1), crowded=st.just(value=True))
    @precondition(lambda self: self.applied)
    def apply_in_a_crowd(self, who: int, crowded: bool) -> None:
        """The server takes few requests a minute, and answers 429 to the others."""
        self.town.behave(requests_per_minute=20.0 if crowded else None)
        try:
            self.apply_as(who, Disturbance(), plans=False)
        finally:
            self.town.behave(requests_per_minute=None)

    @rule(
        who=st.integers(0, 1),
        strikes=st.dictionaries(
            st.integers(1, 25), st.sampled_from(("before", "lost", "503")), min_size=1, max_size=3
        ),
    )
    def apply_in_weather(self, who: int, strikes: dict[int, str]) -> None:
        self.apply_as(who, Disturbance(strikes))

    @rule(who=st.integers(0, 1), at=st.integers(1, 25), moment=st.sampled_from(Moment))
    def apply_and_die(self, who: int, at: int, moment: Moment) -> None:
        self.totals["deaths"] += 1
        self.apply_as(who, Disturbance(fate=Fate(at, moment)))

    @rule(who=st.integers(0, 1), at=st.integers(2, 20), seed=st.integers(0, 99))
    @precondition(lambda self: self.applied)
    def apply_while_somebody_edits(self, who: int, at: int, seed: int) -> None:
        dice = random.Random(seed)
        what = dice.choice(("rename", "delete", "add", "strip", "stop"))
        self.apply_as(who, Disturbance(meetings={at: lambda: self._edit(what, dice)}))

    @rule(who=st.integers(0, 1), at=st.integers(1, 20))
    def apply_while_the_other_applies(self, who: int, at: int) -> None:
        """The other's whole apply lies between two requests: with one ledger it may be locked out."""
        self.totals["races"] += 1
        self.write(1 - who)
        codes: list[int | None] = []

        def other() -> None:
            said = in_a_thread(lambda: self.run(1 - who, *APPLY))
            codes.append(said.code)

        self.apply_as(who, Disturbance(meetings={at: other}))
        for code in codes:
            self.totals[f"met {code}"] += 1
            assert code in (
                {1} if self.files.broken else {0, 3, 4, 5, 7, *({6} if self.shared else ())}
            )

    def apply_as(self, who: int, told: Disturbance, *, plans: bool = True) -> None:
        self.applied = True
        if plans:
            oracle, approved, _ = self.plan(who)
        else:
            self.quiet()
            self.write(who)
            oracle, approved = self.ask(who), None
        calm, told.met = told.is_calm, bool(told.meetings)
        before = len(self.town.log)
        said = self.run(who, *APPLY, told=told)
        if self.files.broken:
            assert said.code == 1, said
            assert len(self.town.log) == before
            return
        if calm:
            self.foretold(said, set(oracle.of_apply()), oracle)
        else:
            refused = oracle.refused() if oracle.is_sure() else 0
            codes = {None, *oracle.of_apply(), 0, 1, 3, 4, 5, 6, 7}
            assert said.code in codes, said
            if refused and told.fate is not None:
                assert said.code in (None, refused), said
        # Whoever meets somebody plans again what was planned here before.
        self.judge(who, said, oracle, before, None if told.met else approved)
        if calm and said.code == 0:
            self.reached(who)

    def judge(
        self, who: int, said: Said, oracle: Oracle, at: int, approved: Approved | None
    ) -> None:
        """What holds after every command, whatever befell it."""
        client, effects = self.clients[who], self.town.log[at:]
        there = There.of(self.town.dump())
        for effect in effects:
            self._learn(effect)
        self._answered_once(client, said, effects)
        self._paid_once(oracle.there, there)
        self._strangers_are_left(effects, there)
        if approved is not None:
            for effect in self.sent_since(at):
                if (effect.status or 500) >= 400:
                    continue
                ways = {effect.path, published(effect.path)}
                sent = [Sent(effect.method, path, effect.body) for path in ways]
                assert any(map(approved.places, sent)), (
                    f"the plan has not shown {effect}: {effect.body}\n{said}"
                )
        report = asyncio.run(self.town.journal(client.ledger).verify())
        assert report.damage is None, report
        for file in client.ledger.rglob("*") if client.ledger.exists() else ():
            assert not file.is_file() or not any(s.encode() in file.read_bytes() for s in SECRETS)

    def _learn(self, effect: Effect) -> None:
        client = next(one for one in self.clients if one.name == effect.who)
        if effect.method == "POST" and effect.status == 201 and isinstance(effect.answer, dict):
            made = effect.answer.get("id") or effect.answer.get("data", {}).get("id")
            self._known_by(client, {*client.made, str(made)}, client.heard)

    def _paid_once(self, before: There, after: There) -> None:
        for content in before.complete():
            assert after.starts(content) == before.starts(content), f"{content} is paid again"
        starts = Counter(task.content for task in after.tasks if task.complete)
        assert max(starts.values(), default=0) <= 1, f"paid twice: {starts}"

    def _answered_once(self, client: Client, said: Said, effects: list[Effect]) -> None:
        """An answer that has come and is recorded is never asked, and paid, for again."""
        apis = {"/process/v1": PICTURE, "/api/v1/process": PICTURE, "/statistics/v1": SERIES}
        asked = [e for e in effects if e.path in apis and e.status == 200]
        come = set()
        for effect in asked:
            content = content_of(apis[effect.path], json.dumps(effect.body))
            mine = next(one for one in self.clients if one.name == effect.who)
            assert content not in mine.heard, f"{content} had come already, and is paid again"
            if effect.heard and mine is client and said.code is not None:
                come.add(content)
        self._known_by(client, client.made, client.heard | come)

    def _strangers_are_left(self, effects: list[Effect], there: There) -> None:
        for effect in effects:
            made = effect.path.rstrip("/").rpartition("/")[2]
            if effect.method == "DELETE" and made in self.strangers:
                client = next(one for one in self.clients if one.name == effect.who)
                assert made in client.made, f"{effect}: it was never ours"
                del self.strangers[made]

    def reached(self, who: int) -> None:
        """After a success that nothing disturbed there is nothing left to do."""
        oracle, _, out = self.plan(who)
        summary = json.loads(out)["summary"]["counts"]
        pending = {k: n for k, n in summary.items() if n and k not in ("noop", "read", "blocked")}
        waits = any(
            isinstance(one, Work) and one.start != "auto" for one in self.files.things.values()
        )
        assert not pending or waits, f"{pending} after a success\n{out[:3000]}"
        instances = self.files.instances()
        for address, one in instances.items():
            record = oracle.known.recorded[address]
            row = oracle.there.holders[record.id]
            assert (row.title, row.place) == (one.title, one.place), address
        for tiles in self.files.of(Tiles):
            home = oracle.known.recorded[tiles.home].id
            there = oracle.there.tiles.get(home, {})
            assert all(there[f][1] == "INGESTED" for f in tiles.folders), (tiles, there)
        for work in self.files.of(Work):
            if work.start == "auto" and work.api not in AT_ONCE and not work.of:
                content = Content(work.api, work.year, "sentinel-2-l2a", self.files.turn)
                assert content in oracle.there.complete(), f"{work} has not run"

    @rule(who=st.integers(0, 1))
    @precondition(lambda self: self.applied)
    def destroy(self, who: int) -> None:
        self.quiet()
        self.write(who)
        bare = Files(budget_pu=self.files.budget_pu, turn=self.files.turn)
        oracle = self.ask(who, replace(bare, moved=self.files.moved, forget=self.files.forget))
        before = len(self.town.log)
        said = self.run(who, "destroy", "--auto-approve")
        if self.files.broken:
            assert said.code == 1, said
            return
        if not self.files.moved:
            self.foretold(said, set(oracle.of_apply()), oracle)
        self.judge(who, said, oracle, before, None)

    @rule(who=st.integers(0, 1))
    def ask_without_a_terminal(self, who: int) -> None:
        """Nobody has approved, and nobody can be asked: wrong usage, and nothing is sent."""
        oracle, _, _ = self.plan(who)
        before = len(self.town.log)
        said = self.run(who, "apply")
        codes = oracle.of_plan()
        if not self.files.broken and codes == {2}:
            assert said.code == 1, said
        assert not self.sent_since(before)

    @rule(who=st.integers(0, 1))
    def apply_while_somebody_holds_the_ledger(self, who: int) -> None:
        oracle, _, _ = self.plan(who)
        journal = self.town.journal(self.clients[who].ledger)
        before = len(self.town.log)

        async def holding() -> Said:
            async with journal.lease(timeout_s=0.0):
                return await asyncio.to_thread(self.run, who, *APPLY)

        said = asyncio.run(holding())
        codes = oracle.of_apply()
        if self.files.broken:
            codes = {1}
        elif not oracle.refused() and Verdict.PENDING in oracle.verdicts.values():
            codes = {6} if oracle.is_sure() else {*codes, 6}
        else:
            # What is only to be written down needs the ledger as well.
            codes = codes if oracle.refused() else {*codes, 6}
        assert said.code in codes, (codes, said)
        assert not self.sent_since(before)

    @rule(who=st.integers(0, 1))
    def save_a_plan(self, who: int) -> None:
        self.quiet()
        self.write(who)
        oracle = self.ask(who)
        said = self.run(who, "plan", "-o", str(self.clients[who].root / "plan.json"))
        if self.files.broken:
            assert said.code == 1
            return
        self.saved = (who, self.files, oracle, self.lost)

    @rule()
    @precondition(lambda self: self.saved is not None)
    def apply_the_file(self) -> None:
        assert self.saved is not None
        who, files, then, lost = self.saved
        self.applied = True
        self.totals["files applied"] += 1
        self.quiet()
        self.write(who)
        oracle = self.ask(who)
        before = len(self.town.log)
        said = self.run(who, "apply", str(self.clients[who].root / "plan.json"))
        same = (files, then.verdicts, _plain(then), lost) == (
            self.files,
            oracle.verdicts,
            _plain(oracle),
            self.lost,
        )
        if self.files.broken:
            assert said.code == 1, said
        elif same and not oracle.known.is_open:
            self.foretold(said, set(oracle.of_apply()), oracle)
        else:
            assert said.code in {0, 3, 4, 5, 7}, said
            if said.code == 4:
                assert not self.sent_since(before), "a stale plan has sent something"
        self.judge(who, said, oracle, before, None)

    @rule(who=st.integers(0, 1), seed=st.integers(0, 99))
    @precondition(lambda self: self.applied and self.files.of(Holder))
    def confirm(self, who: int, seed: int) -> None:
        """`shplan import`: a person says which object is ours."""
        self.quiet()
        self.write(who)
        oracle = self.ask(who)
        dice = random.Random(seed)
        address, one = dice.choice(sorted(self.files.instances().items()))
        bound = oracle.bound_beside(address)
        found = sorted(
            made
            for made, other in oracle.there.holders.items()
            if (other.kind, other.key) == (one.kind, one.key)
        )
        made = dice.choice([*found, "no-such-object"])
        before = len(self.town.log)
        said = self.run(who, "import", address, made)
        self.totals["imports"] += 1
        fits = made in found and made not in bound and not self.files.broken
        if not self.known_is_open(oracle):
            assert said.code == (0 if fits else 1), said
        if said.code == 0:
            client = self.clients[who]
            self._known_by(client, {*client.made, made}, client.heard)
        self.judge(who, said, oracle, before, None)

    @staticmethod
    def known_is_open(oracle: Oracle) -> bool:
        return oracle.known.is_open


def _plain(oracle: Oracle) -> Any:
    there, known = oracle.there, oracle.known
    return (there.rows, there.tasks, sorted(known.recorded), known.receipts)


def _tree(home: Path) -> dict[str, bytes]:
    if not home.exists():
        return {}
    return {str(one): one.read_bytes() for one in sorted(home.rglob("*")) if one.is_file()}


@pytest.mark.hypothesis
def test_every_command_ends_as_foretold() -> None:
    """A few lives by default, more and longer ones where laws are thorough."""
    is_thorough = settings.default.max_examples >= 100
    lives = int(os.environ.get("MODEL_LIVES", "0")) or (60 if is_thorough else 5)
    Commands.totals.clear()
    run_state_machine_as_test(
        Commands,
        settings=settings(
            max_examples=lives,
            stateful_step_count=40 if is_thorough else 25,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    met = Commands.totals
    print(met)
    assert met["foretold"] > met["commands"] / 4, met
