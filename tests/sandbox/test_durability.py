"""Several servers on one directory, and servers that are killed: what was acknowledged is there, once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from shplan.sandbox.store import FILE_NAME, Store, discard_damaged
from tests.support.once import own_stores
from tests.support.samples import some
from tests.support.served import Served, serving

from . import batches
from .support import BUCKET, COLLECTIONS, sandbox


@pytest.fixture(autouse=True, scope="module")
def stores_of_their_own() -> Iterator[None]:
    with own_stores():
        yield


@dataclass(slots=True)
class Record:
    """What a client asked for, and what of it was acknowledged."""

    asked: list[str] = field(default_factory=list)
    collections: dict[str, str] = field(default_factory=dict)
    tiles: dict[str, tuple[str, str]] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)


def work(on: Served, name: str, record: Record, until: threading.Event, *, most: int) -> None:
    """Create one thing after the other; a lost connection is the end."""
    rng = Random(name)
    with (
        contextlib.suppress(httpx.TransportError),
        on.client() as api,
        httpx.Client(timeout=60) as s3,
    ):
        one = ""
        for number in range(most):
            if until.is_set():
                return
            label = f"{name}-{number}"
            record.asked.append(label)
            kind = (
                rng.choice(("collection", "tile", "tile", "task", "object"))
                if one
                else "collection"
            )
            if kind == "collection":
                answer = api.post(COLLECTIONS, json={"name": label, "s3Bucket": BUCKET})
                one = record.collections[label] = answer.json()["data"]["id"]
            elif kind == "tile":
                answer = api.post(f"{COLLECTIONS}/{one}/tiles", json={"path": label})
                record.tiles[label] = (one, answer.json()["data"]["id"])
            elif kind == "task":
                answer = api.post(batches.TASKS, json=batches.body(description=label))
                record.tasks[label] = answer.json()["id"]
            else:
                content = rng.randbytes(rng.choice((10, 100_000)))
                answer = s3.put(f"{on.s3}/{BUCKET}/{name}/{number}", content=content)
                record.objects[f"{name}/{number}"] = hashlib.md5(content).hexdigest()
            assert answer.status_code in (200, 201), answer.text


def everything_is_there(data: Path, records: list[Record]) -> None:
    with contextlib.closing(sqlite3.connect(data / "sandbox.sqlite")) as file:
        assert file.execute("pragma integrity_check").fetchall() == [("ok",)]
        rows: dict[str, list[Any]] = {
            "collections": file.execute("select name, id from collections").fetchall(),
            "tiles": file.execute("select path, id from tiles").fetchall(),
            "tasks": [
                (request.partition('"description":"')[2].partition('"')[0], identifier)
                for request, identifier in file.execute("select request, id from batch_tasks")
            ],
        }
    asked = {label for record in records for label in record.asked}
    for kind, found in rows.items():
        assert max(Counter(name for name, _ in found).values(), default=1) == 1, f"{kind} twice"
        assert {name for name, _ in found} <= asked
    for record in records:
        assert record.collections.items() <= dict(rows["collections"]).items()
        assert {label: tile for label, (_, tile) in record.tiles.items()}.items() <= dict(
            rows["tiles"]
        ).items()
        assert record.tasks.items() <= dict(rows["tasks"]).items()
        for key, digest in record.objects.items():
            assert hashlib.md5((data / "buckets" / BUCKET / key).read_bytes()).hexdigest() == digest
    ids = [identifier for found in rows.values() for _, identifier in found]
    assert len(set(ids)) == len(ids)


def two_servers(data: Path, *, most: int) -> None:
    (data / "buckets" / BUCKET).mkdir(parents=True)
    records = [Record() for _ in range(6)]
    with serving(data) as first, serving(data) as second, ThreadPoolExecutor(6) as pool:
        waiting = [
            pool.submit(work, (first, second)[n % 2], f"w{n}", record, threading.Event(), most=most)
            for n, record in enumerate(records)
        ]
        for one in waiting:
            one.result()
        with second.client() as client:
            for record in records:
                for collection, tile in record.tiles.values():
                    assert client.get(f"{COLLECTIONS}/{collection}/tiles/{tile}").status_code == 200
    assert all(len(record.asked) == most for record in records)
    everything_is_there(data, records)


def test_two_servers_on_one_directory_lose_and_double_nothing(tmp_path: Path) -> None:
    two_servers(tmp_path, most=15)


@pytest.mark.slow
def test_two_servers_on_one_directory_under_load(tmp_path: Path) -> None:
    two_servers(tmp_path, most=some(150, thorough=400))


def test_two_servers_start_a_task_once(tmp_path: Path) -> None:
    with serving(tmp_path) as first, serving(tmp_path) as second:
        with first.client() as one, second.client() as other, ThreadPoolExecutor(8) as pool:
            for _ in range(2):
                task = one.post(batches.TASKS, json=batches.body()).json()["id"]
                path = f"{batches.TASKS}/{task}/start"
                answers = pool.map(lambda client, path=path: client.post(path), [one, other] * 4)
                assert sorted(answer.status_code for answer in answers) == [204] + [400] * 7


def test_conditional_puts_of_two_servers_have_one_winner(tmp_path: Path) -> None:
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    with serving(tmp_path) as first, serving(tmp_path) as second, ThreadPoolExecutor(8) as pool:
        for number in range(2):
            urls = [f"{on.s3}/{BUCKET}/head-{number}" for on in (first, second)] * 4

            def put(url: str) -> int:
                return httpx.put(url, content=b"x", headers={"if-none-match": "*"}).status_code

            assert sorted(pool.map(put, urls)) == [200] + [412] * 7


def kills(data: Path, *, count: int, seed: str) -> None:
    (data / "buckets" / BUCKET).mkdir(parents=True)
    rng, records = Random(seed), []
    for number in range(count):
        until = threading.Event()
        with serving(data) as running, ThreadPoolExecutor(4) as pool:
            batch = [Record() for _ in range(4)]
            waiting = [
                pool.submit(work, running, f"k{number}w{n}", record, until, most=10**6)
                for n, record in enumerate(batch)
            ]
            # However slow the machine is: something was acknowledged.
            while not any(record.collections for record in batch):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
            running.sandbox.kill()
            until.set()
            for one in waiting:
                one.result()
            records += batch
    assert any(record.collections for record in records)
    everything_is_there(data, records)
    with sandbox(data):
        assert [path.name for path in data.iterdir() if "scratch" in path.name] == []
    with serving(data) as running, running.client() as client:
        for record in records:
            for identifier in record.collections.values():
                assert client.get(f"{COLLECTIONS}/{identifier}").status_code == 200
            for identifier in record.tasks.values():
                assert client.get(f"{batches.TASKS}/{identifier}").status_code == 200


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed here")
def test_killed_servers_keep_what_they_acknowledged(tmp_path: Path) -> None:
    kills(tmp_path, count=1, seed="few")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed here")
def test_servers_killed_many_times_keep_what_they_acknowledged(tmp_path: Path) -> None:
    """Killed eight times; in `make slow` twenty-five times."""
    kills(tmp_path, count=some(8, thorough=25), seed="many")


# What a process that died leaves behind.

_HOLDER = """
import sys, time
from pathlib import Path
from shplan.sandbox.scratch import scratch_file

held = [scratch_file(Path(sys.argv[1]), "object") for _ in range(2)]
held[0][0].write(b"half")
held[0][0].flush()
print("ready", flush=True)
time.sleep(60)
"""


def test_half_written_files_are_cleaned_when_their_writer_is_gone(tmp_path: Path) -> None:
    (tmp_path / ".object.77").write_bytes(b"of an earlier version")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            with sandbox(tmp_path):
                # Of a writer that lives nothing is taken.
                left = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))
                assert len(left) == 2
                assert all("scratch" in name for name in left)
        finally:
            process.kill()
    with sandbox(tmp_path):
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_large_objects_pass_in_pieces(tmp_path: Path) -> None:
    """Neither way is an object held in memory: the server grows by less than half of it."""
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    piece, count = os.urandom(1_000_000), 40
    with serving(tmp_path) as running:
        url = f"{running.s3}/{BUCKET}/large"
        assert httpx.put(url, content=b"x").status_code == 200
        before = _peak_kb(running.sandbox.pid)
        assert httpx.put(url, content=(piece for _ in range(count)), timeout=60).status_code == 200
        digest = hashlib.md5()
        with httpx.stream("GET", url, timeout=60) as answer:
            for part in answer.iter_bytes():
                digest.update(part)
        assert digest.digest() == hashlib.md5(piece * count).digest()
        assert (
            httpx.get(url, headers={"range": "bytes=999999-1000000"}).content
            == piece[-1:] + piece[:1]
        )
        assert _peak_kb(running.sandbox.pid) - before < 20_000


def _peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("memory is looked up where /proc is")
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


def test_object_that_is_too_large_is_refused_and_forgotten(tmp_path: Path) -> None:
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    with serving(tmp_path, most_object_mb=1) as running:
        url = f"{running.s3}/{BUCKET}/large"
        for content in (b"x" * 1_500_000, iter([b"x" * 500_000] * 4)):
            answer = httpx.put(url, content=content, timeout=60)
            assert (answer.status_code, "EntityTooLarge" in answer.text) == (400, True)
        assert httpx.get(url).status_code == 404
        answer = httpx.post(f"{running.base}{COLLECTIONS}", content=b"x" * 25_000_000, timeout=60)
        assert answer.status_code == 413


# Two that begin at once, and files that something else has damaged.


def test_servers_that_begin_at_once_on_a_new_directory_agree(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shplan.sandbox.world import World;"
        "from shplan.sandbox.clock import SystemClock;"
        "w = World(Path(sys.argv[1]), clock=SystemClock()); print(w.store.instance, w.store.mint('x'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program, str(tmp_path / "new")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    told = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert len({instance for instance, _ in told}) == 1
    assert len({minted for _, minted in told}) == 4


def test_one_that_begins_while_another_writes_the_new_file_waits_for_it(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("begin immediate")
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(lambda: Store(tmp_path).close())
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.2)
        other.execute("commit")
        other.close()
        opening.result(timeout=30)
    assert sqlite3.connect(tmp_path / FILE_NAME).execute("pragma journal_mode").fetchone() == (
        "wal",
    )


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"speed": 0}', b"\xff"])
def test_settings_damaged_while_they_are_used_are_told(tmp_path: Path, content: bytes) -> None:
    with sandbox(tmp_path) as driver:
        driver.login().lenient = True
        (tmp_path / "settings.json").write_bytes(content)
        for path in (COLLECTIONS, "/_sandbox/instance"):
            answer = driver.get(path)
            assert answer.status_code == 500
            assert "delete it for the defaults" in answer.json()["error"]["message"]
        (tmp_path / "settings.json").unlink()
        assert driver.get(COLLECTIONS).status_code == 200


def test_database_damaged_while_it_is_used_is_told(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        driver.login().collection()
        driver.lenient = True
        driver.app.state.world.store.run("pragma wal_checkpoint(truncate)")
        size = (tmp_path / "sandbox.sqlite").stat().st_size
        (tmp_path / "sandbox.sqlite").write_bytes(b"\xff" * size)
        with sandbox(tmp_path / "other") as other:
            assert other.login().get(COLLECTIONS).status_code == 200
        driver.app.state.world.store.run("pragma cache_size=0")
        driver.app.state.world.store.run("pragma shrink_memory")
        answer = driver.get(COLLECTIONS)
        assert answer.status_code == 500
        assert "shplan sandbox reset" in answer.json()["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 9000, b"SQLite format 3\0" + b"\xff" * 9000])
@pytest.mark.parametrize("name", ["sandbox.sqlite", "sandbox.sqlite-wal", "sandbox.sqlite-shm"])
def test_damaged_database_is_discarded_by_a_reset(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with sandbox(tmp_path) as driver:
        driver.login().collection()
    (tmp_path / name).write_bytes(content)
    discard_damaged(tmp_path)
    with sandbox(tmp_path) as driver:
        driver.post("/_sandbox/reset")
        assert driver.login().collection()
