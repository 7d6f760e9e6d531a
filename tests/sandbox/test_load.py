"""What keeps the sandbox fast: the work of a request does not grow, and nothing is said twice."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

import shplan
from shplan.sandbox import byoc_rows, lifecycle
from shplan.sandbox.areas import box_hex, repaired
from shplan.sandbox.clock import StoppedClock
from shplan.sandbox.objects import Objects
from shplan.sandbox.paging import Page
from shplan.sandbox.serve import _Gathering
from shplan.sandbox.store import FILE_NAME
from shplan.sandbox.world import World
from tests.support.served import serving

from .support import COLLECTIONS, Driver, sandbox

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}


@pytest.fixture
def many(api: Driver) -> dict[str, Any]:
    """The sample collection with a thousand tiles more."""
    seeded = api.post("/_sandbox/seed").json()
    one = seeded["collection_id"]
    like = api.get(f"{COLLECTIONS}/{one}/tiles").json()["data"][0]["id"]
    body = {"collection": one, "like": like, "count": 1000}
    assert api.post("/_sandbox/populate", body).json() == {"added": 1000}
    return {"id": one, "like": like}


def work(store: Any, ask: Any) -> int:
    """How many steps of SQLite's machine a question takes, in thousands of ten."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._connection.set_progress_handler(count, 10)
    try:
        ask()
    finally:
        store._connection.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("status", [None, *lifecycle.STATUSES])
@pytest.mark.parametrize("backward", [False, True])
def test_a_page_is_as_much_work_at_any_depth(
    api: Driver, many: dict[str, Any], status: str | None, backward: bool
) -> None:
    store = api.app.state.world.store
    coll = byoc_rows.find_collection(store, many["id"])
    assert coll is not None

    def page(seq: int) -> int:
        asked = Page(count=20, key=seq, backward=backward)
        return work(
            store,
            lambda: byoc_rows.tiles_page(
                store, coll.seq, page=asked, until_ms=0, now_ms=0, status=status, descending=False
            ),
        )

    near, middle, far = (page(seq) for seq in (100, 500, 900))
    assert abs(near - far) <= 3
    assert abs(near - middle) <= 3


def test_a_rare_status_is_found_without_looking_at_every_tile(
    api: Driver, many: dict[str, Any]
) -> None:
    store = api.app.state.world.store
    one = f"{COLLECTIONS}/{many['id']}/tiles"
    assert work(store, lambda: api.get(one, status="FAILED")) < 100
    failed = api.tile(many["id"], "nothing/there")
    api.tick(10)
    listed = api.get(one, status="FAILED").json()["data"]
    assert [tile["id"] for tile in listed] == [failed["id"]]


def test_a_list_of_collections_does_not_look_at_each_for_what_is_due(api: Driver) -> None:
    store = api.app.state.world.store

    def asked() -> int:
        return work(store, lambda: api.get(COLLECTIONS, count=5))

    for _ in range(10):
        api.collection()
    few = asked()
    for _ in range(200):
        api.collection()
    assert asked() <= few + 10


def test_tiles_by_the_thousand_are_like_one_that_was_ingested(
    api: Driver, many: dict[str, Any]
) -> None:
    one = f"{COLLECTIONS}/{many['id']}/tiles"
    model = api.get(f"{one}/{many['like']}").json()["data"]
    path = "tiles/0000999/(BAND).tiff"
    (tile,) = api.get(one, path=path).json()["data"]
    differing = {"id", "path", "created", "ingestionStart"}
    assert {k: v for k, v in tile.items() if k not in differing} == {
        k: v for k, v in model.items() if k not in differing
    }
    assert api.get(f"{one}/{tile['id']}").json()["data"] == tile
    body = {"sensingTime": "2025-01-01T00:00:00Z"}
    assert api.put(f"{one}/{tile['id']}", body).status_code == 204


def test_a_directory_of_an_earlier_version_gets_the_indexes_that_it_lacks(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        one = driver.login().collection()["id"]
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.execute("drop index tiles_by_outcome")
        file.execute("pragma user_version = 0")
    file.close()
    with sandbox(tmp_path) as driver:
        listed = driver.login().get(f"{COLLECTIONS}/{one}/tiles", status="FAILED")
        assert listed.json()["data"] == []


def test_what_another_process_changes_counts_from_the_next_request_on(api: Driver) -> None:
    world = api.app.state.world
    other = World(world.data, clock=StoppedClock())
    one = api.collection()["id"]
    other.set_settings(other.settings.patched({"foreign_objects": 404, "get_lag_s": 100.0}))
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 404
    other.tick(200)
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 200
    other.reset()
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 401
    other.close()


def test_what_is_held_is_forgotten_where_it_may_have_changed(tmp_path: Path) -> None:
    """A transaction reads again what a request had read before it."""
    one, other = (World(tmp_path, clock=StoppedClock()) for _ in range(2))
    with one.holding():
        before = one.now_s()
        other.tick(5)
        assert one.now_s() == before
        with one.store.writing():
            assert one.now_s() == before + 5
        one.tick(1)
        assert one.now_s() == before + 6
    one.close()
    other.close()


def test_an_answer_is_sent_in_one_piece_and_before_the_connection_closes() -> None:
    class Transport:
        def __init__(self) -> None:
            self.log: list[object] = []

        def write(self, content: bytes) -> None:
            self.log.append(content)

        def close(self) -> None:
            self.log.append("closed")

    async def answering() -> list[object]:
        transport: Any = Transport()
        gathering = _Gathering(transport, asyncio.get_running_loop())
        for part in (b"head", b"body", b""):
            gathering.write(part)
        assert transport.log == []
        await asyncio.sleep(0)
        gathering.write(b"last")
        gathering.close()
        await asyncio.sleep(0)
        return list(transport.log)

    assert asyncio.run(answering()) == [b"headbody", b"last", "closed"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path) as served, served.client() as client:
        made = set()
        for number in range(50):
            answer = client.post(COLLECTIONS, json={"name": f"n{number}", "s3Bucket": "b"})
            made.add(answer.json()["data"]["id"])
        served.sandbox.kill()
    with serving(tmp_path) as again:
        token = {"authorization": client.headers["authorization"]}
        listed = httpx.get(again.base + COLLECTIONS, headers=token).json()["data"]
        assert {one["id"] for one in listed} == made
        assert sum(one["method"] == "POST" for one in again.requests()) == 51
        assert again.sandbox.meter() == 50


def test_a_served_sandbox_loads_nothing_heavy_before_it_is_needed(tmp_path: Path) -> None:
    """A start is a fraction of a second because of what is left out of it."""
    program = (
        "import sys; from pathlib import Path; from shplan.sandbox.serve import serve\n"
        "def ready(_):\n"
        "    print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
        "    raise KeyboardInterrupt\n"
        "try: serve(Path(sys.argv[1]), s3_port=0, announce=ready)\n"
        "except KeyboardInterrupt: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "starlette" in loaded, done.stderr
    heavy = {"numpy", "pyproj", "rasterio", "shapely", "jsonschema_rs", "yaml", "py_mini_racer"}
    assert loaded & heavy == set()


SIDE = st.floats(-1e7, 1e7)


@given(west=SIDE, south=SIDE, width=st.floats(1e-3, 1e6), height=st.floats(1e-3, 1e6))
def test_a_box_is_written_as_the_library_writes_it(
    west: float, south: float, width: float, height: float
) -> None:
    sides = (west, south, west + width, south + height)
    assert box_hex(*sides) == shapely.box(*sides).wkb_hex


def test_what_is_missing_is_known_by_one_look(tmp_path: Path) -> None:
    """Whatever a key is, it exists if it is found."""
    root = tmp_path / "buckets"
    (root / "b" / "folder").mkdir(parents=True)
    (root / "b" / "folder" / "file").write_text("x")
    (tmp_path / "outside").write_text("x")
    (root / "b" / "out").symlink_to(tmp_path / "outside")
    (root / "b" / "loop").symlink_to(root / "b" / "loop")
    (root / "b" / "in").symlink_to(root / "b" / "folder" / "file")
    objects = Objects(root, scratch=tmp_path)
    keys = ("folder/file", "in", "folder", "folder/", "folder/file/", "folder/file/x", "nothing",
            "out", "loop", "../outside", "../../outside", "a\0b", "x" * 2000, "", ".", "\udc80")  # fmt: skip
    assert [key for key in keys if objects.exists("b", key)] == ["folder/file", "in"]
    assert not objects.exists("none", "folder/file")
    assert not objects.exists("..", "outside")


@pytest.mark.parametrize("count", [60, 2_000, 20_000])
def test_a_tangle_is_not_repaired_and_a_slip_is(count: int) -> None:
    """The time of a repair grows with the crossings: sixty random points have hundreds, ten a few."""
    random = Random(count)
    tangle = [(random.random(), random.random()) for _ in range(count)]
    assert repaired(shapely.Polygon(tangle)) is None
    turns = [2 * math.pi * number / count for number in range(count)]
    circle = [(math.cos(turn), math.sin(turn)) for turn in turns]
    assert repaired(shapely.Polygon(circle)) == shapely.Polygon(circle)
    circle[5], circle[9] = circle[9], circle[5]
    slip = repaired(shapely.Polygon(circle))
    assert slip is not None
    assert slip.is_valid
    assert slip.area == pytest.approx(shapely.Polygon(circle).area, rel=0.1)


def test_a_full_disk_is_told_and_hurts_nothing(api: Driver) -> None:
    """What was answered stays; what does not fit is refused without the advice to reset."""
    connection = api.app.state.world.store._connection
    one = api.collection()["id"]
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages}")
    body = {"name": "x" * 200, "s3Bucket": "full"}
    answers = [api.post(COLLECTIONS, body) for _ in range(300)]
    (refused,) = {answer.text for answer in answers if answer.status_code != 201}
    assert "full" in refused
    assert "reset" not in refused
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 200
    connection.execute("pragma max_page_count = 1000000")
    made = [answer.json()["data"]["id"] for answer in answers if answer.status_code == 201]
    assert all(api.get(f"{COLLECTIONS}/{known}").status_code == 200 for known in [one, *made])
    assert api.post(COLLECTIONS, body).status_code == 201
