"""
A drawn project on a sandbox of its own: its files, its imagery, and what somebody else made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shplan.core.address import Address
from shplan.core.diagnostic import has_errors
from shplan.core.plan import Plan, plan_json
from shplan.engine.planning import Planned
from shplan.engine.runs import Applied
from shplan.manifest.load import Loaded
from tests.support.bench import Bench
from tests.support.cubes import write_cube
from tests.support.imagery import lay_out
from tests.support.strategies import (
    PLAIN,
    PLAIN_IDS,
    SHARED_ID,
    SHARED_MATERIAL,
    SHARED_NAME,
    Project,
)


@dataclass
class Stage:
    """
    One sandbox and the directory of one project.

    Args:
        shared_id: of the collection that somebody else made, if the project refers to one
        plain_ids: the same of collections without tiles, by kind
    """

    bench: Bench
    shared_id: str = SHARED_ID
    strangers: set[str] = field(default_factory=set)
    plain_ids: dict[str, str] = field(default_factory=lambda: dict(PLAIN_IDS))

    @classmethod
    async def open(cls, home: Path, project: Project, **settings: Any) -> Stage:
        bench = Bench(home, **settings)
        lay_out(bench.buckets)
        stage = cls(bench)
        if project.shared:
            body = {"name": SHARED_NAME, "s3Bucket": SHARED_MATERIAL.bucket}
            made = await bench.call("POST", "/byoc/v1/collections", body)
            stage.shared_id = made["data"]["id"]
            stage.strangers.add(stage.shared_id)
        write_cube(bench.buckets / "cubes" / "a.zarr")
        for kind in project.shared_plain:
            where, body = PLAIN[kind]
            made = await bench.call("POST", where, {"name": SHARED_NAME, **body})
            stage.plain_ids[kind] = made["data"]["id"]
            stage.strangers.add(made["data"]["id"])
        return stage

    def load(self, project: Project, *, seed: int | None = None, where: str = "project") -> Loaded:
        root = self.bench.root / (where if seed is None else f"{where}-{seed}")
        project.write(root, shared_id=self.shared_id, plain_ids=self.plain_ids, seed=seed)
        loaded = project.load(root)
        assert not has_errors(loaded.diagnostics), [str(d.what) for d in loaded.diagnostics]
        return loaded

    async def plan(self, loaded: Loaded) -> Planned:
        return await self.bench.plan(*loaded.resources, resolver=loaded.resolver)

    async def apply(self, loaded: Loaded) -> Applied:
        return await self.bench.apply(*loaded.resources, resolver=loaded.resolver)

    async def collections(self) -> list[dict[str, Any]]:
        await self.bench.clock.sleep(120)
        found = await self.bench.call("GET", "/byoc/v1/collections?count=100")
        return sorted(found["data"], key=lambda one: one["id"])

    async def tiles(self, collection: str) -> list[dict[str, Any]]:
        path = f"/byoc/v1/collections/{collection}/tiles?count=100"
        return (await self.bench.call("GET", path))["data"]

    async def holdings(self) -> dict[str, list[dict[str, Any]]]:
        return {one["id"]: await self.tiles(one["id"]) for one in await self.collections()}

    async def plain(self) -> dict[str, dict[str, Any]]:
        """The collections without tiles, by id."""
        await self.bench.clock.sleep(120)
        found = [await self.bench.call("GET", f"{where}?count=100") for where, _ in PLAIN.values()]
        return {one["id"]: one for listed in found for one in listed["data"]}

    def close(self) -> None:
        self.bench.close()


def bytes_of(plan: Plan) -> bytes:
    """A plan as it is saved and shown, places in files included."""
    return orjson.dumps(plan_json(plan), option=orjson.OPT_SORT_KEYS)


def essence_of(plan: Plan) -> bytes:
    """The same without the places, which a shuffled file changes."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in value.items() if k not in ("source", "span")}
        return [stripped(one) for one in value] if isinstance(value, list) else value

    return orjson.dumps(stripped(plan_json(plan)), option=orjson.OPT_SORT_KEYS)


async def ledger_agrees(stage: Stage) -> None:
    """The ledger is intact, and what it binds is what the server has."""
    journal = stage.bench.journal()
    report = await journal.verify()
    assert report.damage is None, report
    recorded = await journal.recorded("sandbox")
    holdings = await stage.holdings()
    bound = {record.id for record in recorded.values() if record.address.kind == "ByocCollection"}
    assert bound == holdings.keys() - stage.strangers
    plain = {record.id for record in recorded.values() if record.address.kind in PLAIN}
    assert plain == (await stage.plain()).keys() - stage.strangers
    tiles = {
        member.id
        for record in recorded.values()
        if record.address.kind == "ByocTiles"
        for member in record.members.values()
    }
    assert tiles == {tile["id"] for listed in holdings.values() for tile in listed}
    assert not any(record.pending for record in recorded.values())


def addresses(loaded: Loaded) -> set[Address]:
    return {desired.address for desired in loaded.resources}
