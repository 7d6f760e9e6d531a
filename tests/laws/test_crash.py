"""
The promise: cut the power before, during or after any request; run again; nothing is made,
changed or paid for twice, and the result is as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.dying import Death, DyingLedger, DyingTransport, Fate, Moment

COVER = {
    "type": "Polygon",
    "coordinates": [[[15.0, 46.0], [15.05, 46.0], [15.05, 46.03], [15.0, 46.03], [15.0, 46.0]]],
}
ONE = (
    collection(noData=0),
    tiles("a", "b", {"path": "c", "sensingTime": "2025-06-03T00:00:00Z", "coverGeometry": COVER}),
)
TWO = (
    replace(ONE[0], spec={**ONE[0].spec, "name": "Renamed", "noData": 5}),
    tiles("a", {"path": "b", "sensingTime": "2025-07-01T00:00:00Z"}, "d"),
)
# The bucket differs and the collection has tiles: everything is replaced.
THREE = (
    replace(ONE[0], spec={**ONE[0].spec, "name": "Renamed", "s3Bucket": "other"}),
    tiles("a", "d"),
)
PHASES: dict[str, tuple[tuple[Any, ...], ...]] = {
    "create": (ONE,),
    "update": (ONE, TWO),
    "replace": (TWO, THREE),
    "destroy": (ONE, ()),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "colliding spellings": {"folder_path_collides": True, "second_delete": 204},
    "lagging lists": {
        "list_lag_s": 8.0,
        "path_lag_s": 8.0,
        "tile_put_path": "honour",
        "error_429_wrapped": False,
    },
}


def bench(home: Path, settings: dict[str, Any]) -> Bench:
    made = Bench(
        home,
        settings=SandboxSettings(seed="crash", **settings),
        list_lag_s=10.0 if settings.get("list_lag_s") else 0.0,
    )
    made.write_tiles("a", "b", "c", "d")
    made.write_tiles("a", "d", bucket="other")
    return made


async def end_state(world: Bench) -> Any:
    await world.clock.sleep(120)
    found = await world.call("GET", "/byoc/v1/collections")
    result = []
    for one in found["data"]:
        listed = await world.call("GET", f"/byoc/v1/collections/{one['id']}/tiles")
        shown = sorted(
            (t["path"], t.get("sensingTime"), t["status"], repr(t.get("coverGeometry")))
            for t in listed["data"]
        )
        result.append((one["name"], one["s3Bucket"], one.get("noData"), shown))
    meter = await world.call("GET", "/_sandbox/meter")
    return sorted(result), meter


async def disturbed(world: Bench, phases: tuple[tuple[Any, ...], ...], fate: Fate) -> None:
    for wanted in phases[:-1]:
        applied = await world.apply(*wanted)
        assert applied.report is not None
        assert applied.report.exit_code() == 0
    dying = _Dying(**world.__dict__, fate=fate)
    with contextlib.suppress(Death):
        await dying.apply(*phases[-1], ledger=DyingLedger(world.journal(), fate))


class _Dying(Bench):
    def __init__(self, *, fate: Fate, **fields: Any) -> None:
        self.fate = fate
        super().__init__(**fields)

    def transport(self) -> Any:
        return DyingTransport(super().transport(), self.fate)


async def run(world: Bench, phases: tuple[tuple[Any, ...], ...], fate: Fate) -> tuple[Any, Fate]:
    await disturbed(world, phases, fate)
    again = await world.apply(*phases[-1])
    if again.report is not None:
        assert again.report.exit_code() == 0, [r for r in again.report.results if r.message]
    assert not again.planned.plan.refusals
    last = await world.plan(*phases[-1])
    assert not last.plan.pending, [(str(c.address), c.action, c.reason) for c in last.plan.pending]
    state = await end_state(world)
    world.close()
    return state, fate


def never() -> Fate:
    return Fate(at=0, moment=Moment.BEFORE)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_crash_at_any_request_changes_nothing(tmp_path: Path, phase: str, setting: str) -> None:
    """Every request of a run, three moments each, under each value of the uncertain settings."""

    async def scenario() -> None:
        phases = PHASES[phase]
        undisturbed, fate = await run(bench(tmp_path / "calm", SETTINGS[setting]), phases, never())
        assert fate.seen > 2
        for at in range(1, fate.seen + 1):
            for moment in Moment:
                home = tmp_path / f"{at}-{moment.name}"
                struck = Fate(at, moment)
                state, _ = await run(bench(home, SETTINGS[setting]), phases, struck)
                assert state == undisturbed, f"died {moment.value}: {struck.sent[-1]}"

    asyncio.run(scenario())
