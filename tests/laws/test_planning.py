"""
Laws of planning, over projects drawn from the manifest schemas.

Every drawn project is applied to a sandbox of its own and must reach its end state there.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from shplan.core.change import Action
from shplan.core.compare import tile_folder
from shplan.core.diagnostic import has_errors
from shplan.core.resource import Desired
from shplan.core.value import canonical
from shplan.manifest.load import Loaded
from shplan.manifest.rewrite import format_project
from shplan.providers.base import Nature
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import manifest_kinds
from tests.support.samples import is_thorough
from tests.support.schemas import optional_properties, sightings
from tests.support.stage import Stage, bytes_of, essence_of, ledger_agrees
from tests.support.strategies import PLAIN, Project, histories, projects


def drawn(number: int, *, thorough: int = 4) -> Any:
    """A fixed number of the same examples in every run; so many times as many where laws are thorough."""
    return settings(
        max_examples=number * (thorough if is_thorough() else 1),
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def on_stage(project: Project, play: Callable[[Stage, Loaded], Awaitable[None]]) -> None:
    async def played(home: Path) -> None:
        stage = await Stage.open(home, project)
        try:
            await play(stage, stage.load(project))
        finally:
            stage.close()

    with tempfile.TemporaryDirectory() as home:
        asyncio.run(played(Path(home)))


async def applied(stage: Stage, loaded: Loaded) -> None:
    done = await stage.apply(loaded)
    assert not done.planned.plan.refusals, done.planned.plan.refusals
    if done.report is not None:
        failures = [(str(r.change.address), r.message, r.faults) for r in done.report.results]
        assert done.report.exit_code() == 0, failures


async def nothing_pending(stage: Stage, loaded: Loaded) -> None:
    again = (await stage.plan(loaded)).plan
    assert not again.refusals
    assert not again.pending, [
        (str(c.address), c.action, c.reason, c.fields) for c in again.pending
    ]


def test_every_optional_property_of_every_kind_occurs_set_and_unset(tmp_path: Path) -> None:
    """The strategies reach everything that the schemas have; a new property fails here first."""
    # What jobs may have set is the matter of their own laws (`test_job_crash`, `engine/test_jobs`).
    reconciled = {k for k, one in PROVIDERS.items() if one.nature is Nature.RECONCILED}
    drawable = [kind for kind in manifest_kinds() if kind in {"Project", *reconciled}]
    seen: Counter[tuple[str, bool]] = Counter()

    @drawn(320, thorough=1)
    @given(projects())
    def draw(project: Project) -> None:
        for document in project.documents:
            seen.update(sightings(document["kind"], document))
        project.write(tmp_path)
        loaded = project.load(tmp_path)
        assert not has_errors(loaded.diagnostics), [d.what for d in loaded.diagnostics]

    draw()
    wanted = {path for kind in drawable for path in optional_properties(kind)}
    assert len(wanted) > 60
    missing = {(path, how) for path in wanted for how in (True, False) if not seen[path, how]}
    assert not missing


def test_apply_then_plan_is_empty_and_every_tile_is_ingested() -> None:
    ended: Counter[str] = Counter()

    @drawn(9, thorough=3)
    @given(projects())
    def law(project: Project) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            await applied(stage, loaded)
            await nothing_pending(stage, loaded)
            for listed in (await stage.holdings()).values():
                ended.update(tile["status"] for tile in listed)
            await as_declared(stage, loaded)
            await ledger_agrees(stage)
            await nothing_pending(stage, loaded)

        on_stage(project, play)

    law()
    assert set(ended) == {"INGESTED"}
    assert ended["INGESTED"] > 20


async def as_declared(stage: Stage, loaded: Loaded) -> None:
    """Every tile that a manifest declares is on the server, and no other; so is each name."""
    declared = Counter(
        tile_folder(str(member["path"])) for one in loaded.resources for member in one.members
    )
    holdings = await stage.holdings()
    there = Counter(tile_folder(t["path"]) for listed in holdings.values() for t in listed)
    assert there == declared
    managed = [
        one.spec["name"]
        for one in loaded.resources
        if one.address.kind == "ByocCollection" and one.lifecycle.managed
    ]
    found = [c["name"] for c in await stage.collections() if c["id"] not in stage.strangers]
    assert sorted(found) == sorted(managed)
    stated = [
        one.spec["name"]
        for one in loaded.resources
        if one.address.kind in PLAIN and one.lifecycle.managed
    ]
    plain = {i: one for i, one in (await stage.plain()).items() if i not in stage.strangers}
    assert sorted(str(one["name"]) for one in plain.values()) == sorted(map(str, stated))
    assert {one.get("status", "INGESTED") for one in plain.values()} <= {"INGESTED"}


def test_planning_twice_gives_the_same_bytes_in_any_order_of_files_and_keys() -> None:
    @drawn(5)
    @given(projects())
    def law(project: Project) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            for _ in range(2):  # before anything is there, and afterwards
                plan = (await stage.plan(loaded)).plan
                assert bytes_of((await stage.plan(loaded)).plan) == bytes_of(plan)
                for seed in (1, 2):
                    shuffled = (await stage.plan(stage.load(project, seed=seed))).plan
                    assert essence_of(shuffled) == essence_of(plan)
                    assert shuffled.digest == plan.digest
                await applied(stage, loaded)

        on_stage(project, play)

    law()


def test_normalising_twice_is_normalising_once() -> None:
    """Of files, of values, and of what the server makes of them."""

    @drawn(5)
    @given(projects())
    def law(project: Project) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            before = essence_of((await stage.plan(loaded)).plan)
            root = loaded.root
            format_project(root, write=True)
            assert format_project(root, write=True).changed == ()
            formatted = project.load(root)
            assert essence_of((await stage.plan(formatted)).plan) == before
            for document in project.documents:
                once = canonical(document)
                import orjson

                assert canonical(orjson.loads(once)) == once
            await applied(stage, formatted)
            answered = await from_answers(stage, formatted)
            plan = (await stage.bench.plan(*answered, resolver=formatted.resolver)).plan
            assert {c.action for c in plan.changes} <= {Action.NOOP, Action.READ}, plan.pending

        on_stage(project, play)

    law()


WRITABLE = ("name", "s3Bucket", "noData", "additionalData")
WRITABLE_DATA = ("bands", "storageIdentifier")
WRITABLE_TILE = ("path", "sensingTime", "coverGeometry")


async def from_answers(stage: Stage, loaded: Loaded) -> list[Desired]:
    """The same project, stating what the server says of it, to the last digit."""
    recorded = await stage.bench.journal().recorded("sandbox")
    collections = {one["id"]: one for one in await stage.collections()}
    holdings = {tile["id"]: tile for listed in (await stage.holdings()).values() for tile in listed}
    plain = await stage.plain()
    answered = []
    for one in loaded.resources:
        if not one.lifecycle.managed:
            answered.append(one)
        elif one.address.kind == "ByocCollection":
            body = collections[recorded[one.address].id]
            spec = {name: body[name] for name in WRITABLE if name in body}
            if "additionalData" in spec:
                data = spec["additionalData"]
                spec["additionalData"] = {n: data[n] for n in WRITABLE_DATA if n in data}
            answered.append(replace(one, spec=spec))
        elif one.address.kind in PLAIN:
            body = plain[recorded[one.address].id]
            answered.append(replace(one, spec={name: body[name] for name in one.spec}))
        else:
            tiles = [holdings[m.id] for m in recorded[one.address].members.values()]
            members = [{n: tile[n] for n in WRITABLE_TILE if n in tile} for tile in tiles]
            answered.append(replace(one, members=members))
    return answered


def test_a_lost_ledger_is_found_again_without_sending_anything() -> None:
    @drawn(5)
    @given(projects())
    def law(project: Project) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            await applied(stage, loaded)
            before = await stage.holdings(), await stage.bench.call("GET", "/_sandbox/meter")
            bench = stage.bench
            stage.bench = bench.second("another-ledger")
            await applied(stage, loaded)
            await nothing_pending(stage, loaded)
            after = await stage.holdings(), await bench.call("GET", "/_sandbox/meter")
            assert after == before
            await ledger_agrees(stage)

        on_stage(project, play)

    law()


def test_destroy_leaves_nothing_of_ours_and_everything_of_others() -> None:
    ended: Counter[str] = Counter()

    @drawn(9)
    @given(projects())
    def law(project: Project) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            await applied(stage, loaded)
            before = await stage.holdings()
            gone = await stage.bench.apply(resolver=loaded.resolver)
            after = await stage.holdings()
            if any(protects(one) for one in loaded.resources):
                ended["refused"] += 1
                assert after == before
                assert gone.planned.plan.exit_code() == 5
            else:
                ended["destroyed"] += 1
                assert {*after, *await stage.plain()} == stage.strangers
                assert not any(after.values())
            await ledger_agrees(stage)

        on_stage(project, play)

    law()
    assert min(ended["refused"], ended["destroyed"]) > 2


def protects(one: Desired) -> bool:
    return one.lifecycle.managed and one.lifecycle.prevent_destroy


def edited(number: int) -> None:
    ended: Counter[str] = Counter()

    @drawn(number)
    @given(histories())
    def law(versions: list[Project]) -> None:
        async def play(stage: Stage, loaded: Loaded) -> None:
            for version in versions:
                await applied(stage, stage.load(version))
            long = await stated_state(stage, stage.load(versions[-1]))
            await nothing_pending(stage, stage.load(versions[-1]))
            await ledger_agrees(stage)
            with tempfile.TemporaryDirectory() as home:
                fresh = await Stage.open(Path(home), versions[-1])
                try:
                    alone = fresh.load(versions[-1])
                    await applied(fresh, alone)
                    assert long == await stated_state(fresh, alone)
                finally:
                    fresh.close()
            ended.update(str(len(tiles)) for _, tiles in long)

        on_stage(versions[0], play)

    law()
    assert len(ended) > 1


def test_any_sequence_of_edits_ends_where_the_last_one_alone_ends() -> None:
    edited(5)


@pytest.mark.slow
def test_many_sequences_of_edits_end_where_the_last_one_alone_ends() -> None:
    edited(12)


async def stated_state(stage: Stage, loaded: Loaded) -> list[Any]:
    """What is there, without ids and times, and of a collection only what the manifest states."""
    stated = {one.spec["name"]: one.spec for one in loaded.resources if "name" in one.spec}
    result = []
    for one in await stage.collections():
        spec = stated[one["name"]]
        shown = canonical(_stated_part(spec, one))
        result.append((shown, sorted(_tile(t) for t in await stage.tiles(one["id"]))))
    return sorted(result)


def _stated_part(spec: Any, observed: Any) -> Any:
    if isinstance(spec, dict):
        here = observed if isinstance(observed, dict) else {}
        return {name: _stated_part(member, here.get(name)) for name, member in spec.items()}
    return observed


def _tile(tile: dict[str, Any]) -> tuple[str, str, str, str]:
    cover = repr(_rounded(tile["coverGeometry"]["coordinates"]))
    return tile_folder(tile["path"]), str(tile["sensingTime"]), tile["status"], cover


def _rounded(value: Any) -> Any:
    return [_rounded(one) for one in value] if isinstance(value, list) else round(value, 1) + 0.0
