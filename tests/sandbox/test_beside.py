"""Work beside the loop keeps nobody waiting, and ends as if it had been done at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from shplan.sandbox import catalog_public
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.beside import beside
from shplan.sandbox.clock import StoppedClock

FORM = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
SEARCH = {"collections": ["sentinel-2-l2a"], "datetime": "2024-06-01T00:00:00Z/..", "limit": 1}


def test_what_the_work_returns_and_raises() -> None:
    def fail() -> int:
        msg = "as it was"
        raise ValueError(msg)

    assert asyncio.run(beside(lambda: 7)) == 7
    with pytest.raises(ValueError, match="as it was"):
        asyncio.run(beside(fail))


def test_the_loop_goes_on_and_work_is_done_one_after_the_other() -> None:
    order: list[int] = []
    free = threading.Event()

    def first() -> None:
        assert free.wait(30)
        order.append(1)

    async def both() -> None:
        one = asyncio.create_task(beside(first))
        await asyncio.sleep(0.05)
        two = asyncio.create_task(beside(lambda: order.append(2)))
        await asyncio.sleep(0.05)
        assert order == []
        free.set()
        await asyncio.gather(one, two)

    asyncio.run(both())
    assert order == [1, 2]


def test_others_are_served_while_somebody_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that takes as long as the test wants, and a token meanwhile."""
    begun, free = threading.Event(), threading.Event()
    search = catalog_public.PublicSource.search

    def slow(self: catalog_public.PublicSource, *args: object, **more: object) -> object:
        begun.set()
        assert free.wait(30)
        return search(self, *args, **more)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(catalog_public.PublicSource, "search", slow)
    app = create_app(tmp_path, clock=StoppedClock())

    async def run() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            token = (await client.post("/oauth/token", data=FORM)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            found = asyncio.create_task(
                client.post("/catalog/v1/search", json=SEARCH, headers=headers)
            )
            assert await asyncio.to_thread(begun.wait, 30)
            assert (await client.post("/oauth/token", data=FORM)).status_code == 200
            assert not found.done()
            free.set()
            assert len((await found).json()["features"]) == 1

    asyncio.run(run())
    close_app(app)
