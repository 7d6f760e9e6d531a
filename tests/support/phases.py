"""
The runs that laws disturb: what is applied in which order, under which settings, and how it ends.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shplan.core.address import Address
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.clock import ManualClock
from tests.support.cogs import cog_bytes
from tests.support.dying import Death, DyingLedger, DyingTransport, Fate, Moment

COVER = {
    "type": "Polygon",
    "coordinates": [[[15.0, 46.0], [15.05, 46.0], [15.05, 46.03], [15.0, 46.03], [15.0, 46.0]]],
}
LATER = "2025-07-01T00:00:00Z"


def tile(path: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "sensingTime": "2025-06-01T10:00:00Z", **fields}


@dataclass(frozen=True)
class Run:
    """
    One apply.

    Args:
        before: what somebody else does first
        more: what the session is told beside the resources
    """

    wanted: tuple[Any, ...]
    before: Callable[[Bench], Awaitable[None]] | None = None
    more: dict[str, Any] = field(default_factory=dict)


def runs(*wanted: tuple[Any, ...]) -> tuple[Run, ...]:
    return tuple(Run(one) for one in wanted)


def renamed(one: Any, **spec: Any) -> Any:
    return replace(one, spec={**one.spec, **spec})


async def made_by_hand(world: Bench) -> None:
    """What the manifests describe is there already, one tile differently."""
    body = {"name": "Field imagery", "s3Bucket": "fields"}
    made = await world.call("POST", "/byoc/v1/collections", body)
    for path, time in (("a", "2025-06-01T10:00:00Z"), ("b", LATER)):
        where = f"/byoc/v1/collections/{made['data']['id']}/tiles"
        await world.call("POST", where, {"path": path, "sensingTime": time})
    await world.clock.sleep(60)


async def left_unread(world: Bench) -> None:
    """A file that cannot be ingested, and one that nobody knows."""
    (world.buckets / "fields" / "b" / "B04.tiff").write_bytes(b"not a raster")


async def repaired(world: Bench) -> None:
    await world.clock.sleep(60)
    (world.buckets / "fields" / "b" / "B04.tiff").write_bytes(cog_bytes())


async def added_by_hand(world: Bench) -> None:
    (one,) = (await world.call("GET", "/byoc/v1/collections"))["data"]
    await world.call("POST", f"/byoc/v1/collections/{one['id']}/tiles", {"path": "d"})
    await world.clock.sleep(60)


ONE = (
    collection(noData=0),
    tiles("a", "b", tile("c", sensingTime="2025-06-03T00:00:00Z", coverGeometry=COVER)),
)
TWO = (
    renamed(ONE[0], name="Renamed", noData=5),
    tiles("a", tile("b", sensingTime=LATER), "d"),
)
# The bucket differs and the collection has tiles: everything is replaced.
THREE = (renamed(ONE[0], name="Renamed", s3Bucket="other"), tiles("a", "d"))
BESIDE = renamed(collection("beside"), name="Beside", s3Bucket="other")
SEVERAL = (
    collection(),
    BESIDE,
    renamed(collection("empty"), name="Empty", s3Bucket="other"),
    tiles("a", "b"),
    tiles("c", name="more"),
    tiles("a", "d", name="beside", of="beside"),
)
MOVED = (
    replace(collection(), address=Address("ByocCollection", "moved"), spec=TWO[0].spec),
    tiles("a", "b", of="moved"),
)
GUARDED = (collection(prevent=True), tiles("a", "b", prevent=True))
PHASES: dict[str, tuple[Run, ...]] = {
    "create": runs(ONE),
    "update": runs(ONE, TWO),
    "replace": runs(TWO, THREE),
    "destroy": runs(ONE, ()),
    "adopt": (Run((collection(), tiles("a", "b")), made_by_hand),),
    "reingest": (
        Run((collection(), tiles("a", "b")), left_unread),
        Run((collection(), tiles("a", "b")), repaired),
    ),
    "several": runs(SEVERAL),
    "several change": runs(SEVERAL, (SEVERAL[0], renamed(BESIDE, noData=7), *SEVERAL[3:])),
    "exclusive": (
        Run((collection(), tiles("a", "b"))),
        Run((collection(), tiles("a", exclusive=True)), added_by_hand),
    ),
    "moved": (
        Run(ONE),
        Run(MOVED, more={"moved": {ONE[0].address: MOVED[0].address}}),
    ),
    "unprotect": runs(GUARDED, (collection(), tiles("a", "b"))),
    "unprotect and strip": runs(
        GUARDED, (collection(), tiles("a", "b")), (collection(), tiles("a"))
    ),
    "unprotect and destroy": runs(GUARDED, (collection(), tiles("a", "b")), ()),
    "change of home": runs(
        (collection(), BESIDE, tiles("a", "d")),
        (collection(), BESIDE, tiles("a", "d", of="beside")),
    ),
    "loss of home": runs(
        (collection(), BESIDE, tiles("a", "d", of="beside")),
        (collection(), tiles("a", "d")),
    ),
    "respelled": runs((collection(), tiles("a", "b")), (collection(), tiles("a/(BAND).tiff", "b"))),
}
# Each value of every setting that the reference is unsure of, and what depends on it.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unique names": {"unique_collection_names": True},
    "colliding spellings": {"folder_path_collides": True},
    "deleted paths stay taken": {"deleted_path_blocked_s": 5.0},
    "put moves paths": {"tile_put_path": "honour"},
    "buckets never change": {"bucket_change": "never"},
    "sample format optional": {"sample_format_required": False},
    "second delete is done": {"second_delete": 204},
    "bare 429": {"error_429_wrapped": False},
    "bare 401": {"error_401_body": False},
    "frozen is a conflict": {"frozen_change_status": 409},
    "omitted time stays": {"tile_put_omitted_sensing_time": "keep"},
    "unknown fields refused": {"unknown_fields": "refuse"},
    "foreign is hidden": {"foreign_objects": 404},
    "lagging lists": {"list_lag_s": 8.0, "path_lag_s": 8.0},
    "lagging everything": {"list_lag_s": 8.0, "path_lag_s": 8.0, "get_lag_s": 8.0},
}


# A replacement has the old one's name, so where names are unique it cannot be made.
PAIRS = [
    (phase, setting)
    for phase in PHASES
    for setting in SETTINGS
    if (phase, setting) != ("replace", "unique names")
]


def bench(home: Path, settings: dict[str, Any]) -> Bench:
    made = Bench(
        home,
        settings=SandboxSettings(seed="crash", **settings),
        list_lag_s=10.0 if settings.get("list_lag_s") else 0.0,
    )
    made.write_tiles("a", "b", "c", "d")
    made.write_tiles("a", "d", bucket="other")
    return made


# Closed worlds: where their time stood, and how they were made.
_BEGUN: dict[Path, Bench] = {}


async def copied(
    home: Path, name: str, make: Callable[[Path], Bench], begin: Callable[[Bench], Awaitable[None]]
) -> Bench:
    """
    A world in which something was done already.

    It is done once for all worlds that lie beside each other, under a name that no other has there;
    then each of them is a copy, as the same commands would make it.
    """
    kept = home.parent / f"before {name}"
    if not kept.exists():
        world = make(kept)
        try:
            await begin(world)
        finally:
            world.close()
        _BEGUN[kept] = world
    shutil.copytree(kept, home)
    begun = _BEGUN[kept]
    return replace(begun, root=home, clock=ManualClock(begun.clock.at_s), app=None)


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


class _Dying(Bench):
    def __init__(self, *, fate: Fate, **fields: Any) -> None:
        self.fate = fate
        super().__init__(**fields)

    def transport(self) -> Any:
        return DyingTransport(super().transport(), self.fate)

    def journal(self) -> Any:
        return DyingLedger(super().journal(), self.fate)


def dying(world: Bench, fate: Fate) -> Bench:
    return _Dying(**world.__dict__, fate=fate)


async def prepared(world: Bench, phase: tuple[Run, ...]) -> None:
    """Everything before the apply that is struck."""
    for one in phase[:-1]:
        if one.before is not None:
            await one.before(world)
        await world.apply(*one.wanted, **one.more)
    last = phase[-1]
    if last.before is not None:
        await last.before(world)


# How runs end that nobody disturbs, and after how many requests: the same whoever asks.
_CALM: dict[tuple[str, str], tuple[Any, int]] = {}


async def undisturbed(home: Path, name: str, setting: str) -> tuple[Any, int]:
    """How a run ends when nobody dies, and how many requests it makes; it is run but once."""
    if (name, setting) not in _CALM:
        calm = never()
        _CALM[name, setting] = await struck(home / "calm", name, setting, calm), calm.seen
    return _CALM[name, setting]


async def ready(home: Path, name: str, setting: str) -> Bench:
    """A world up to the apply that is struck."""

    async def begin(world: Bench) -> None:
        await prepared(world, PHASES[name])

    return await copied(
        home, f"{name}, {setting}", lambda kept: bench(kept, SETTINGS[setting]), begin
    )


async def ended(world: Bench, last: Run) -> Any:
    """Run again, undisturbed; the end state, after which nothing is left to do."""
    again = await world.apply(*last.wanted, **last.more)
    assert not again.planned.plan.refusals, again.planned.plan.refusals
    if again.report is not None:
        failures = [(str(r.change.address), r.message, r.faults) for r in again.report.results]
        assert again.report.exit_code() == 0, failures
    plan = (await world.plan(*last.wanted, **last.more)).plan
    assert not plan.pending, [(str(c.address), c.action, c.reason) for c in plan.pending]
    report = await world.journal().verify()
    assert report.damage is None
    recorded = await world.journal().recorded("sandbox")
    assert not any(record.pending for record in recorded.values())
    return await end_state(world)


async def struck(home: Path, name: str, setting: str, *fates: Fate) -> Any:
    """One run that dies as often as there are fates, each time a new process."""
    world = await ready(home, name, setting)
    try:
        last = PHASES[name][-1]
        for fate in fates:
            with contextlib.suppress(Death):
                await dying(world, fate).apply(*last.wanted, **last.more)
        return await ended(world, last)
    finally:
        world.close()


def never() -> Fate:
    return Fate(at=0, moment=Moment.BEFORE)
