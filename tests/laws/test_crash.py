"""
The promise: cut the power before, during or after any request; run again; nothing is made,
changed or paid for twice, and the result is as if nothing had happened.

Every request of a run is struck in each of its moments, under each value of the sandbox's
uncertain settings; by default a thinned set of these, the same in every run: each phase and each
setting is struck, in each of the moments. `make slow` tries more, `make crash` kills real processes,
and SHPLAN_CRASH_STEP=1 strikes everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dying import Death, Fate, Moment
from tests.support.phases import (
    PAIRS,
    PHASES,
    SETTINGS,
    bench,
    dying,
    ended,
    never,
    struck,
    undisturbed,
)
from tests.support.samples import is_thorough, some

pytestmark = pytest.mark.sampled


def moments(last: int, *, every: int, first: int) -> Iterator[tuple[int, Moment]]:
    """Each request in each moment, or every so-manieth of them."""
    all_ = [(at, moment) for at in range(1, last + 1) for moment in Moment]
    return iter(all_[first % every :: every])


def crash(home: Path, name: str, setting: str, *, every: int, most: int | None = None) -> None:
    async def scenario() -> None:
        wanted, seen = await undisturbed(home, name, setting)
        assert seen >= 2
        # Another thinning for each pair, so that together they strike everywhere.
        shift = sorted(PHASES).index(name) + sorted(SETTINGS).index(setting)
        step = every if most is None else max(every, len(Moment) * seen // most)
        # A multiple of the moments would strike in one of them alone.
        step += step > every and step % len(Moment) == 0
        for at, moment in moments(seen, every=step, first=shift):
            fate = Fate(at, moment)
            state = await struck(home / f"{at}-{moment.name}", name, setting, fate)
            assert state == wanted, f"died {moment.value}: {fate.sent[-1]}"

    asyncio.run(scenario())


# With 1 every request of every pair is struck in each moment, which takes many minutes.
STEP = int(os.environ.get("SHPLAN_CRASH_STEP", "30"))


def eighths(*which: int) -> list[tuple[str, str]]:
    """Every phase and every setting, in an eighth of their pairs; which eighths."""
    return [
        (phase, setting)
        for phase, setting in PAIRS
        if (list(PHASES).index(phase) + list(SETTINGS).index(setting)) % 8 in which
    ]


# Those that are struck as often by the quick tests need no second time.
MORE_PAIRS = PAIRS if is_thorough() or STEP != 30 else eighths(2, 3, 5)


@pytest.mark.parametrize("phase", PHASES)
def test_a_crash_at_any_request_changes_nothing(tmp_path: Path, phase: str) -> None:
    """Some requests of each run, in all of the three moments; where there is time, every one."""
    crash(tmp_path, phase, "plain", every=3, most=some(8, thorough=20))


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_crash_at_any_request_of_a_long_run_changes_nothing(tmp_path: Path, phase: str) -> None:
    crash(tmp_path, phase, "plain", every=7)


@pytest.mark.parametrize(("phase", "setting"), eighths(0))
def test_a_crash_changes_nothing_whatever_the_service_is_unsure_of(
    tmp_path: Path, phase: str, setting: str
) -> None:
    crash(tmp_path, phase, setting, every=30)


def test_a_ledger_lost_before_lists_show_what_was_made_makes_nothing_twice(
    tmp_path: Path,
) -> None:
    """Neither an intent nor the list tells of the collection; its tiles would go into another."""
    setting = "lagging everything"

    async def scenario() -> None:
        calm = never()
        wanted = await struck(tmp_path / "calm", "create", setting, calm)
        posts = [number for number, one in enumerate(calm.sent, 1) if one.startswith("POST")]
        assert len(posts) > 1
        for at in posts:
            world = bench(tmp_path / str(at), SETTINGS[setting])
            last = PHASES["create"][-1]
            with contextlib.suppress(Death):
                await dying(world, Fate(at, Moment.SERVED)).apply(*last.wanted)
            shutil.rmtree(world.root / world.ledger_name)
            # The tiles are ingested and spelled out, so that their paths are free again.
            await world.clock.sleep(5.0)
            assert await ended(world, last) == wanted, calm.sent[at - 1]
            world.close()

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "setting"), MORE_PAIRS)
def test_a_crash_at_any_request_under_any_setting_changes_nothing(
    tmp_path: Path, phase: str, setting: str
) -> None:
    """Further eighths of the pairs; where there is time, all of them."""
    crash(tmp_path, phase, setting, every=STEP)
