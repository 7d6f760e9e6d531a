"""
The promise for jobs: stop anywhere, run again, and each run is started once and paid once.

Every request of a run is struck in each of its moments, with the ledger there and with the ledger
lost; the same outputs, one START for each key and attempt, and the meter of the undisturbed run.
By default a thinned set of these, in every case and setting; `make slow` strikes more, and
`make crash` kills real processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.marker import read_marker
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import IMAGERY, job, job_on, tasks
from tests.support.phases import copied, dying, never
from tests.support.samples import some

pytestmark = pytest.mark.sampled

ON = (collection(), tiles("a", "b"), job_on(depends_on=IMAGERY, run={"maxPu": 500}))


@dataclass(frozen=True)
class Case:
    """Runs one after the other; the last one is struck."""

    before: tuple[tuple[Any, ...], ...]
    wanted: tuple[Any, ...]


CASES = {
    "one": Case((), (job(),)),
    "two": Case((), (job("a", day="2025-06-01"), job("b", day="2025-07-01"))),
    "twins": Case((), (job("a"), job("b"))),
    "on a new collection": Case((), ON),
    "changed": Case(((job(),),), (job(day="2025-08-01"),)),
    "renamed": Case(((job("old"),),), (job("new"),)),
    "removed": Case(((job(),),), ()),
    "another generation": Case(((job(),),), (job(run={"generation": 2}, overwrite=True),)),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lagging lists": {"list_lag_s": 8.0, "path_lag_s": 8.0},
    "a second START is ignored": {"second_start": "ignore"},
    "secrets are not echoed": {"echo_secrets": False},
}


def world_of(home: Path, settings: dict[str, Any]) -> Bench:
    made = Bench(
        home,
        settings=SandboxSettings(seed="jobs", **settings),
        list_lag_s=10.0 if settings.get("list_lag_s") else 0.0,
    )
    made.write_tiles("a", "b", bands=("B04", "B08"))
    return made


async def state(world: Bench) -> Any:
    """What ran, how often it was started, what was paid; tasks that were never started cost nothing."""
    ran = [one for one in await tasks(world) if one["userAction"] != "NONE"]
    meter = await world.call("GET", "/_sandbox/meter")
    dump = await world.call("GET", "/_sandbox/batch")
    starts = {one["id"]: one["starts"] for one in dump["tasks"]}
    shown = [
        (
            one["status"],
            one["costPU"],
            starts[one["id"]],
            read_marker(one["request"]["description"]).key,
        )  # type: ignore[union-attr]
        for one in ran
    ]
    keys = Counter((key, attempt(one)) for one, (*_, key) in zip(ran, shown, strict=True))
    assert max(keys.values(), default=0) <= 1, "two tasks of one key and attempt were started"
    assert all(count == 1 for _, _, count, _ in shown)
    return sorted((status, cost) for status, cost, _, _ in shown), meter


def attempt(one: dict[str, Any]) -> int:
    marker = read_marker(one["request"]["description"])
    assert marker is not None
    return marker.attempt


def lose(world: Bench) -> None:
    shutil.rmtree(world.root / world.ledger_name, ignore_errors=True)


async def struck(
    home: Path, case: Case, setting: str, fate: Fate, *, after: Callable[[Bench], None] | None
) -> Any:
    async def begin(world: Bench) -> None:
        for wanted in case.before:
            await world.apply(*wanted)

    world = await copied(home, setting, lambda kept: world_of(kept, SETTINGS[setting]), begin)
    try:
        with contextlib.suppress(Death):
            await dying(world, fate).apply(*case.wanted)
        if after is not None:
            after(world)
        again = await world.apply(*case.wanted)
        assert not again.planned.plan.refusals, again.planned.plan.refusals
        if again.report is not None:
            failed = [(str(r.change.address), r.message) for r in again.report.results]
            assert again.report.exit_code() == 0, failed
        plan = (await world.plan(*case.wanted)).plan
        assert not plan.pending, [(str(c.address), c.action, c.reason) for c in plan.pending]
        assert (await world.journal().verify()).damage is None
        return await state(world)
    finally:
        world.close()


# How runs end that nobody disturbs, and after how many requests: the same whoever asks.
_CALM: dict[tuple[str, str], tuple[Any, int]] = {}


def crash(home: Path, name: str, setting: str, *, every: int, after: Any = None) -> None:
    async def scenario() -> None:
        case = CASES[name]
        if (name, setting) not in _CALM:
            calm = never()
            _CALM[name, setting] = (
                await struck(home / "calm", case, setting, calm, after=None),
                calm.seen,
            )
        undisturbed, seen = _CALM[name, setting]
        fates = [(at, moment) for at in range(1, seen + 1) for moment in Moment]
        for at, moment in fates[(sorted(CASES).index(name)) % every :: every]:
            fate = Fate(at, moment)
            found = await struck(home / f"{at}-{moment.name}", case, setting, fate, after=after)
            assert found == undisturbed, f"died {moment.value}: {fate.sent[-1]}"

    asyncio.run(scenario())


@pytest.mark.parametrize("name", CASES)
def test_a_crash_at_any_request_starts_and_pays_nothing_twice(tmp_path: Path, name: str) -> None:
    crash(tmp_path, name, "plain", every=some(7, thorough=4))


# With its ledger lost, nothing tells that a collection of the same name is ours, and a job that
# was renamed or removed has left no trace at an address.
LOST = ["one", "two", "twins", "changed", "another generation"]


@pytest.mark.parametrize("name", LOST)
def test_a_crash_and_a_lost_ledger_start_and_pay_nothing_twice(tmp_path: Path, name: str) -> None:
    crash(tmp_path, name, "plain", every=some(7, thorough=4), after=lose)


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one != "plain"])
@pytest.mark.parametrize("after", [None, lose])
def test_whatever_the_service_is_unsure_of(tmp_path: Path, setting: str, after: Any) -> None:
    crash(tmp_path, "two", setting, every=10, after=after)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "setting", "every"),
    [(name, "plain", 6) for name in LOST]
    + [("two", one, 15) for one in SETTINGS if one != "plain"],
)
def test_more_crashes_and_a_lost_ledger(
    tmp_path: Path, name: str, setting: str, every: int
) -> None:
    crash(tmp_path, name, setting, every=every, after=lose)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_crash_in_any_case_under_any_setting(tmp_path: Path, name: str, setting: str) -> None:
    # What the service is unsure of changes few of the requests: of those a smaller share.
    crash(tmp_path, name, setting, every=some(5, thorough=2) if setting == "plain" else 10)


def test_the_cases_differ() -> None:
    """A case whose job is the one before would strike nothing."""
    assert replace(job(), spec=job(day="2025-08-01").spec) != job()
