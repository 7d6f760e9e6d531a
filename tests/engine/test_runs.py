"""Plan and apply against the real sandbox: the end states."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shplan.core.change import Reason
from tests.support.bench import Bench, collection, tiles
from tests.support.cogs import cog_bytes


def actions(planned) -> dict[str, str]:
    return {str(c.address): c.action.value for c in planned.plan.changes}


def test_apply_then_plan_is_empty(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.write_tiles("2025/06/01", "2025/06/02")
        wanted = (collection(), tiles("2025/06/01", "2025/06/02"))
        first = await bench.plan(*wanted)
        assert actions(first) == {"ByocCollection/fields": "create", "ByocTiles/fields": "create"}
        applied = await bench.apply(*wanted)
        assert applied.report is not None
        assert [r.message for r in applied.report.results] == ["", ""]
        assert applied.report.exit_code() == 0
        again = await bench.plan(*wanted)
        assert set(actions(again).values()) == {"noop"}
        assert not again.plan.can_apply()
        bench.close()

    asyncio.run(scenario())


def test_a_changed_file_is_ingested_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.write_tiles("a", "b")
        wanted = (collection(), tiles("a", "b"))
        await bench.apply(*wanted)
        file = bench.buckets / "fields" / "b" / "B04.tiff"
        file.write_bytes(cog_bytes(nodata=None))
        planned = await bench.plan(*wanted)
        (change,) = planned.plan.pending
        assert [(m.key, m.operation, m.reason) for m in change.members] == [
            ("b", "reingest", Reason.FILE_CHANGED)
        ]
        await bench.apply(*wanted)
        assert not (await bench.plan(*wanted)).plan.pending
        bench.close()

    asyncio.run(scenario())
