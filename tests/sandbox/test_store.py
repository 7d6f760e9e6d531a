from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import shplan
from tests.support.once import own_stores

from .support import COLLECTIONS, Driver, sandbox

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}

WRITER = """
import asyncio, sys
from pathlib import Path
import httpx
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import StoppedClock

async def main(data, one, name):
    app = create_app(Path(data), clock=StoppedClock())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        for number in range(100):
            body = {"path": f"{name}/{number}"}
            answer = await client.post(f"/byoc/v1/collections/{one}/tiles", json=body)
            assert answer.status_code == 201, answer.text
    close_app(app)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(autouse=True, scope="module")
def stores_of_their_own() -> Iterator[None]:
    with own_stores():
        yield


def test_two_processes_write_one_directory(tmp_path: Path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(WRITER))
    data = tmp_path / "data"
    with sandbox(data) as driver:
        one = driver.login().collection()["id"]
        writers = [
            subprocess.Popen([sys.executable, str(script), str(data), one, name], env=ENVIRONMENT)
            for name in ("left", "right")
        ]
        assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
        dump = driver.get("/_sandbox/dump").json()
    assert len({tile["id"] for tile in dump["tiles"]}) == 200
    assert sorted(tile["seq"] for tile in dump["tiles"]) == list(range(1, 201))
    assert dump["meter"][0]["pu"] == 201


def test_two_applications_share_state_time_and_tokens(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    with sandbox(api.app.state.world.data) as other:
        other.login().tick(4)
        assert api.read(one, tile)["status"] == "FAILED"
        api.configure(second_delete=204)
        for _ in range(2):
            assert other.delete(f"{COLLECTIONS}/{one}").status_code == 204
        assert api.get(COLLECTIONS).json()["data"] == []


def test_page_of_a_hundred_tiles_decodes_none_of_them(api: Driver) -> None:
    """A long list costs as much a page at its end as at its beginning: one range of one tree."""
    one = api.collection()["id"]
    api.tile(one, "a")
    store = api.app.state.world.store
    plan = " ".join(
        row["detail"]
        for row in store.rows(
            "explain query plan select seq, body from tiles where coll = 1 and seq > 5"
            " order by seq asc limit 101"
        )
    )
    assert "PRIMARY KEY (coll=? AND seq>?)" in plan
    assert "TEMP B-TREE" not in plan
    due = store.rows(
        "explain query plan select * from tiles where coll = 1 and outcome is null"
        " and done_ms <= 5 order by done_ms, seq limit 1"
    )
    assert "tiles_due" in " ".join(row["detail"] for row in due)
    assert "TEMP B-TREE" not in " ".join(row["detail"] for row in due)
