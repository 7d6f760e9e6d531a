"""Plan and apply against the real sandbox: the end states."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shplan.core.change import Action
from tests.support.bench import Bench, collection, tiles


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
