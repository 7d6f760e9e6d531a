"""A server that is killed while it computes: the next one does it again, and it is paid for once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.served import Served, serving

from . import processing as p
from .support import BUCKET, COLLECTIONS
from .test_async_process import ASYNC, body, delivered

SLOW = p.script(
    "for (let i = 0; i < 300; i++) { samples.B04 += i % 2 ? 1 : -1; } return [samples.B04];",
    bands='["B04"]',
    output='{bands: 1, sampleType: "UINT16"}',
)


def _created(on: Served, api: httpx.Client) -> str:
    made = api.post(COLLECTIONS, json={"name": "fields", "s3Bucket": BUCKET}).json()["data"]["id"]
    tile = {"path": "a", "sensingTime": "2025-06-01T10:00:00Z"}
    assert api.post(f"{COLLECTIONS}/{made}/tiles", json=tile).status_code == 201
    on.tick(120)
    answer = api.post(ASYNC, json=body(f"byoc-{made}", SLOW, size=(600, 600)))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def _ended(api: httpx.Client, made: str) -> None:
    until = time.monotonic() + 120
    while api.get(f"{ASYNC}/{made}").status_code == 200:
        assert time.monotonic() < until


@pytest.mark.parametrize("after_s", [0.0, 0.3])
def test_killed_while_it_computes(tmp_path: Path, after_s: float) -> None:
    p.write(tmp_path / "buckets" / BUCKET / "a/B04.tif", p.numbers(4))
    with serving(tmp_path, seed="killed", stopped=True) as first:
        with first.client() as api:
            made = _created(first, api)
            spent = first.sandbox.meter()
            first.tick(60)
            _look(lambda: api.get(f"{ASYNC}/{made}"))
            time.sleep(after_s)
            first.sandbox.kill()
    with serving(tmp_path, seed="killed", stopped=True) as second, second.client() as api:
        _ended(api, made)
        assert second.sandbox.meter() == spent + 10
        found = delivered(tmp_path)
        assert list(found) == [f"out/{made}/default.tif", f"out/{made}/request.json"]
        assert (p.image(found[f"out/{made}/default.tif"])[0] > 0).all()
        # Whoever looks again, finds and pays no more.
        second.tick(600)
        assert api.get(f"{ASYNC}/{made}").status_code == 404
        assert second.sandbox.meter() == spent + 10


def _look(ask: Callable[[], httpx.Response]) -> None:
    """Ask in a thread of its own, which lives as long as the server does."""

    def run() -> None:
        with contextlib.suppress(httpx.HTTPError):
            ask()

    threading.Thread(target=run, daemon=True).start()
