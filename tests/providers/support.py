"""Two ways to watch a provider: against the real sandbox, and step by step by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.errors import ApiError
from shplan.core.resource import Desired, Lifecycle, Recorded
from shplan.engine.performer import Interrupt
from shplan.engine.planning import Planned
from shplan.engine.runs import Applied, apply
from shplan.providers.steps import Fetch, File, Flow, Look, Scan
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench

COLLECTIONS = "/byoc/v1/collections"


def on_sandbox(
    list_lag_s: float = 0.0, **settings: Any
) -> Callable[[Callable[[Bench], Awaitable[None]]], Callable[[Path], None]]:
    """Run a test against a fresh sandbox with these settings."""

    def wrap(test: Callable[[Bench], Awaitable[None]]) -> Callable[[Path], None]:
        def run(tmp_path: Path) -> None:
            world = Bench(
                tmp_path, settings=SandboxSettings(seed="test", **settings), list_lag_s=list_lag_s
            )
            try:
                asyncio.run(test(world))
            finally:
                world.close()

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return wrap


async def done(world: Bench, *resources: Desired, **more: Any) -> Applied:
    """Apply, and insist that it went well."""
    applied = await world.apply(*resources, **more)
    assert not applied.planned.plan.refusals, applied.planned.plan.refusals
    if applied.report is not None:
        assert applied.report.exit_code() == 0, [r for r in applied.report.results if r.message]
    return applied


async def settled(world: Bench, *resources: Desired) -> None:
    """Insist that nothing is left to do."""
    plan = (await world.plan(*resources)).plan
    assert not plan.pending, [(str(c.address), c.action, c.reason, c.fields) for c in plan.pending]
    assert not plan.blocked


async def apply_after(
    world: Bench, meanwhile: Callable[[], Awaitable[object]], *resources: Desired
) -> Applied:
    """Apply, while somebody else does something between the plan and the first request."""

    async def approve(_: Planned) -> bool:
        await meanwhile()
        return True

    async with world.exchange() as exchange:
        session = world.session(exchange, resources)
        return await apply(session, approve, lock_timeout_s=0.0, interrupt=Interrupt())


async def imported(world: Bench, desired: Desired, confirmed: str, *others: Desired) -> None:
    """`shplan import ADDRESS ID`."""
    await world.confirm(str(desired.address), confirmed, desired, *others)


async def meter_pu(world: Bench) -> float:
    return (await world.call("GET", "/_sandbox/meter"))["pu"]


async def collections(world: Bench) -> list[Any]:
    return (await world.call("GET", COLLECTIONS))["data"]


async def only_collection(world: Bench) -> Any:
    (one,) = await collections(world)
    return one


async def listed_tiles(world: Bench, collection: str) -> dict[str, Any]:
    found = await world.call("GET", f"{COLLECTIONS}/{collection}/tiles")
    return {tile["path"]: tile for tile in found["data"]}


async def strangers_collection(
    world: Bench, name: str = "Field imagery", bucket: str = "fields", **more: Any
) -> str:
    body = {"name": name, "s3Bucket": bucket, **more}
    return (await world.call("POST", COLLECTIONS, body))["data"]["id"]


async def strangers_tile(world: Bench, collection: str, path: str, **more: Any) -> str:
    made = await world.call("POST", f"{COLLECTIONS}/{collection}/tiles", {"path": path, **more})
    await world.clock.sleep(30)
    return made["data"]["id"]


def the(planned: Planned | Applied, kind: str, name: str = "fields") -> Change:
    """Return the one change of an address."""
    plan = planned.planned.plan if isinstance(planned, Applied) else planned.plan
    (one,) = [c for c in plan.changes if c.address == Address(kind, name) and not c.deposed]
    return one


def codes(planned: Planned | Applied) -> list[str]:
    plan = planned.planned.plan if isinstance(planned, Applied) else planned.plan
    return [refusal.diagnostic.code for refusal in plan.refusals]


def unmanaged(desired: Desired, **spec: Any) -> Desired:
    return replace(desired, spec=spec, lifecycle=Lifecycle(managed=False))


class ByHand:
    """Drives a flow step by step: what it asks is recorded, what it is told is scripted."""

    def __init__(self, flow: Flow[Any]) -> None:
        self._flow: Generator[Any, Any, Any] = flow
        self.step: Any = None
        self.result: Any = None
        self.ended = False
        self._move(lambda: next(self._flow))

    def reply(self, answer: Any = None) -> Any:
        """Answer the step in hand and return the next one; an `ApiError` is thrown."""
        if isinstance(answer, ApiError):
            self._move(lambda: self._flow.throw(answer))
        else:
            self._move(lambda: self._flow.send(answer))
        return self.step

    def rows(self, *rows: tuple[Any, ...]) -> Any:
        """Answer a scan with one page."""
        assert isinstance(self.step, Scan), self.step
        self.step.sink(rows)
        return self.reply(len(rows))

    def _move(self, go: Callable[[], Any]) -> None:
        try:
            self.step = go()
        except StopIteration as end:
            self.step, self.result, self.ended = None, end.value, True


def recorded(address: Address, **fields: Any) -> Recorded:
    return Recorded(address, **fields)


def rows_of(*listed: dict[str, Any], columns: Iterable[str]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(one.get(name) for name in columns) for one in listed)


def driven(flow: Any, files: Mapping[str, bytes]) -> Any:
    """Return what a flow comes to that only lists and reads these files of a bucket."""
    reply: Any = None
    while True:
        try:
            step = flow.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(step, Look):
            found = (File(key, len(files[key]), "") for key in sorted(files))
            reply = tuple(file for file in found if file.key.startswith(step.prefix))
        else:
            assert isinstance(step, Fetch)
            reply = files[step.key]
