"""Plan and apply against the real sandbox: the end states."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Reason
from shplan.core.errors import LedgerError
from shplan.engine.executor import Ending
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


class _Broken:
    """A ledger whose disk is full from the n-th append on."""

    def __init__(self, inner, left: int) -> None:
        self._inner = inner
        self.left = left
        self.private = inner.private

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def lease(self, *, timeout_s: float, **more: Any):
        return _BrokenLease(self._inner.lease(timeout_s=timeout_s, **more), self)


class _BrokenLease:
    def __init__(self, inner, ledger: _Broken) -> None:
        self._inner = inner
        self._ledger = ledger

    async def append(self, drafts):
        self._ledger.left -= 1
        if self._ledger.left < 0:
            raise LedgerError("the disk is full")
        return await self._inner.append(drafts)

    async def __aenter__(self):
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(*error)


def test_nothing_more_is_sent_once_the_ledger_cannot_be_written(tmp_path: Path) -> None:
    """Not by the changes beside the one that failed, either: they no longer hold the lease."""

    async def scenario() -> None:
        for left in range(6):
            bench = Bench(tmp_path / str(left))
            wanted = [
                replace(collection(f"c{n}"), spec={"name": f"Fields {n}", "s3Bucket": "fields"})
                for n in range(4)
            ]
            if left == 0:
                # Nothing was sent: there is nothing to report but the error.
                with pytest.raises(LedgerError, match="disk is full"):
                    await bench.apply(*wanted, ledger=_Broken(bench.journal(), left))
            else:
                done = await bench.apply(*wanted, ledger=_Broken(bench.journal(), left))
                assert done.report is not None
                assert (done.report.unusable, done.report.exit_code()) == ("the disk is full", 3)
                endings = {one.ending for one in done.report.results}
                assert endings <= {Ending.DONE, Ending.UNKNOWN, Ending.LEFT}
                assert Ending.UNKNOWN in endings
            asked = len((await bench.call("GET", "/_sandbox/requests"))["requests"])
            for _ in range(200):
                await asyncio.sleep(0)
            told = (await bench.call("GET", "/_sandbox/requests"))["requests"][asked:]
            assert [one["path"] for one in told if "/byoc/" in one["path"]] == []
            again = await bench.apply(*wanted)
            assert again.report is not None
            assert again.report.exit_code() == 0
            made = (await bench.call("GET", "/byoc/v1/collections"))["data"]
            assert len(made) == 4
            bench.close()

    asyncio.run(scenario())
