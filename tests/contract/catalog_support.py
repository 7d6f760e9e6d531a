"""A sandbox in a process of its own, with a collection of tiles to search in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.sandbox.support import BUCKET, COLLECTIONS, write_cog
from tests.support.served import Served, serving

TILES = 23


@dataclass(frozen=True)
class CatalogServer:
    """The sandbox, a token for it, and what is in its only collection."""

    served: Served
    token: str
    collection: str
    tiles: tuple[str, ...]

    @property
    def base(self) -> str:
        return self.served.base

    @property
    def root(self) -> str:
        return f"{self.base}/catalog/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving_catalog(data: Path) -> Iterator[CatalogServer]:
    """Start a sandbox with a collection of tiles, one each day from west to east; and end it."""
    # As in the fixtures of the other clients: identifiers that no other collection has.
    with serving(data, seed=str(data)) as served:
        yield _filled(served)


def _filled(served: Served) -> CatalogServer:
    with served.client() as http:
        made = _ok(http.post(COLLECTIONS, json={"name": "days", "s3Bucket": BUCKET}))
        collection = made["data"]["id"]
        tiles = []
        for day in range(1, TILES + 1):
            folder = served.data / "buckets" / BUCKET / f"{day}"
            write_cog(folder / "B04.tiff", west=300_000.0 + 10_000 * day)
            sensed = f"2024-05-{day:02d}T10:00:00Z"
            body = {"path": str(day), "sensingTime": sensed}
            tiles.append(
                _ok(http.post(f"{COLLECTIONS}/{collection}/tiles", json=body))["data"]["id"]
            )
    served.tick(60)
    return CatalogServer(served, served.token(), f"byoc-{collection}", tuple(tiles))


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()
