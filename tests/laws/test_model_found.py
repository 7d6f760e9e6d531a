"""
What the model test has found, one shrunk sequence a test: each says what would be lost or wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from shplan.engine.runs import confirm
from tests.support.bench import Bench, collection, tiles

RENAMED = replace(collection("renamed"), spec=collection().spec)
OTHER = replace(collection("other"), spec={"name": "Other", "s3Bucket": "fields"})


def played(home: Path, play: Callable[[Bench], Awaitable[None]]) -> None:
    async def scenario() -> None:
        bench = Bench(home)
        for bucket in ("fields", "other"):
            bench.write_tiles("a", "b", "c", bucket=bucket, bands=("B04", "B08"))
        try:
            await play(bench)
        finally:
            bench.close()

    asyncio.run(scenario())


async def done(bench: Bench, *wanted: Any, **more: Any) -> None:
    """Apply; it ends well, and nothing is left to do."""
    applied = await bench.apply(*wanted, **more)
    assert not applied.planned.plan.refusals
    if applied.report is not None:
        assert applied.report.exit_code() == 0, applied.report.results
    plan = (await bench.plan(*wanted, **more)).plan
    assert not plan.pending, [(str(c.address), c.action, c.reason) for c in plan.pending]


async def ids(bench: Bench) -> dict[str, str]:
    listed = (await bench.call("GET", "/byoc/v1/collections"))["data"]
    return {one["name"]: one["id"] for one in listed}


async def paths(bench: Bench, home: str) -> list[str]:
    listed = (await bench.call("GET", f"/byoc/v1/collections/{home}/tiles"))["data"]
    return sorted(tile["path"].partition("/(")[0] for tile in listed)


def test_a_set_that_moves_to_where_somebody_has_its_path_keeps_what_it_adopts(
    tmp_path: Path,
) -> None:
    """The delete in the old collection took the adopted tile of the same path out of the ledger."""

    async def play(bench: Bench) -> None:
        await done(bench, collection(), OTHER, tiles("a"))
        home = (await ids(bench))["Other"]
        body = {"path": "a", "sensingTime": "2025-06-01T10:00:00Z"}
        await bench.call("POST", f"/byoc/v1/collections/{home}/tiles", body)
        await bench.clock.sleep(60)
        await done(bench, collection(), OTHER, tiles("a", of="other"))
        assert await paths(bench, home) == ["a"]
        assert await paths(bench, (await ids(bench))["Field imagery"]) == []

    played(tmp_path, play)


def test_a_protected_set_keeps_its_collection_from_being_replaced(tmp_path: Path) -> None:
    """The replacement deleted the old collection, and with it every tile of the set."""

    async def play(bench: Bench) -> None:
        kept = tiles("a", prevent=True)
        await done(bench, collection(), kept)
        elsewhere = replace(collection(), spec={"name": "Field imagery", "s3Bucket": "other"})
        for wanted in ((elsewhere, kept), (elsewhere, tiles("a"))):
            refused = await bench.apply(*wanted)
            assert refused.report is None
            assert refused.planned.plan.exit_code() == 5
        (home,) = (await ids(bench)).values()
        assert await paths(bench, home) == ["a"]
        # Without the protection it is replaced.
        await done(bench, collection(), tiles("a"))
        await done(bench, elsewhere, tiles("a"))

    played(tmp_path, play)


def test_a_protected_set_keeps_its_collection_when_it_belongs_to_another(tmp_path: Path) -> None:
    """Its former collection is no longer declared, and was deleted with the protected tiles."""

    async def play(bench: Bench) -> None:
        kept = tiles("a", prevent=True)
        await done(bench, collection(), OTHER, kept)
        refused = await bench.apply(OTHER, tiles("a", of="other", prevent=True))
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5
        assert await paths(bench, (await ids(bench))["Field imagery"]) == ["a"]

    played(tmp_path, play)


def named(name: str, title: str, bucket: str = "fields") -> Any:
    return replace(collection(name), spec={"name": title, "s3Bucket": bucket})


def test_a_new_collection_does_not_bind_the_one_that_gets_its_name_meanwhile(
    tmp_path: Path,
) -> None:
    """The new one took the renamed one for its rival, lost, and both addresses had one object."""

    async def play(bench: Bench) -> None:
        await done(bench, named("first", "North"))
        wanted = (named("first", "South"), named("second", "South"))
        await done(bench, *wanted)
        recorded = await bench.journal().recorded("sandbox")
        bound = {record.id for record in recorded.values()}
        assert len(bound) == 2
        listed = (await bench.call("GET", "/byoc/v1/collections"))["data"]
        assert {one["id"] for one in listed} == bound

    played(tmp_path, play)


def test_a_replacement_and_a_new_collection_of_one_name_are_refused(tmp_path: Path) -> None:
    """Each would take what the other makes for its own."""

    async def play(bench: Bench) -> None:
        await done(bench, named("first", "North"), tiles("a", of="first"))
        wanted = (named("first", "North", "other"), named("second", "North", "other"))
        refused = await bench.apply(*wanted, tiles("a", of="first"))
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5

    played(tmp_path, play)


def test_an_import_at_a_new_name_carries_the_rename_out(tmp_path: Path) -> None:
    """Else the ledger would bind the object to both names, and delete it with either."""

    async def play(bench: Bench) -> None:
        await done(bench, collection())
        (made,) = (await ids(bench)).values()
        moved = {collection().address: RENAMED.address}
        async with bench.exchange() as exchange:
            session = bench.session(exchange, [RENAMED], moved=moved)
            await confirm(session, RENAMED.address, made, lock_timeout_s=0.0)
        recorded = await bench.journal().recorded("sandbox")
        assert {address: one.id for address, one in recorded.items()} == {RENAMED.address: made}
        await done(bench, RENAMED, moved=moved)
        assert list((await ids(bench)).values()) == [made]

    played(tmp_path, play)
