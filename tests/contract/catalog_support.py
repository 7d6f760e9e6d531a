"""A sandbox in a process of its own, with a collection of tiles to search in."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import shplan
from tests.sandbox.support import BUCKET, COLLECTIONS, TOKEN, write_cog

_SERVER = """
import sys
from pathlib import Path
from shplan.sandbox.serve import serve

serve(Path(sys.argv[1]), announce=lambda text: print(text, flush=True))
"""
TILES = 23


@dataclass(frozen=True)
class CatalogServer:
    """Where the sandbox is, a token for it, and what is in its only collection."""

    base: str
    token: str
    collection: str
    tiles: tuple[str, ...]

    @property
    def root(self) -> str:
        return f"{self.base}/catalog/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])


@contextmanager
def serving_catalog(data: Path) -> Iterator[CatalogServer]:
    """Start a sandbox with a collection of tiles, one each day from west to east; and end it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    command = [sys.executable, "-c", _SERVER, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        profile = ""
        while not (line := process.stdout.readline()).startswith("export"):
            assert line, "the sandbox did not start"
            profile += line
        try:
            yield _filled(tomllib.loads(profile)["sandbox"]["sh_base_url"], data)
        finally:
            process.terminate()
            assert process.wait(timeout=10) in (0, -15)


def _filled(base: str, data: Path) -> CatalogServer:
    form = {
        "grant_type": "client_credentials",
        "client_id": "sandbox",
        "client_secret": "sandbox",
    }
    with httpx.Client(base_url=base, trust_env=False) as http:
        token = http.post(TOKEN, data=form).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        made = _ok(http.post(COLLECTIONS, json={"name": "days", "s3Bucket": BUCKET}))
        collection = made["data"]["id"]
        tiles = []
        for day in range(1, TILES + 1):
            folder = data / "buckets" / BUCKET / f"{day}"
            write_cog(folder / "B04.tiff", west=300_000.0 + 10_000 * day)
            sensed = f"2024-05-{day:02d}T10:00:00Z"
            body = {"path": str(day), "sensingTime": sensed}
            tiles.append(
                _ok(http.post(f"{COLLECTIONS}/{collection}/tiles", json=body))["data"]["id"]
            )
        _ok(http.post("/_sandbox/tick", json={"seconds": 60}))
    return CatalogServer(base, token, f"byoc-{collection}", tuple(tiles))


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()
