"""What the tests of delivered files share: a feature opened and computed, without any task around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from shapely import Polygon, box

from shplan.sandbox import feature_files
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.feature_files import Delivered
from shplan.sandbox.world import World

from . import processing as p
from .support import Driver, StoppedClock, shared_scripts

CREATED_MS = 1_750_000_000_000


class Deliverer:
    """A sandbox with its world, for an account that is logged in."""

    def __init__(self, world: World, api: Driver) -> None:
        self.world = world
        self.api = api

    def deliver(
        self,
        request: dict[str, Any],
        *,
        shape: Polygon | None = None,
        epsg: int = 32633,
        size: tuple[int, int] = (p.SIZE, p.SIZE),
    ) -> Delivered:
        """One feature of a task, in the loop and in a thread one after the other."""
        work = feature_files.opened(
            self.world,
            self.world.account_id("sandbox"),
            request["processRequest"],
            epsg=epsg,
            shape=(box(*p.WHOLE) if shape is None else shape).wkb_hex,
            width=size[0],
            height=size[1],
            form=feature_files.form_of(request, created_ms=CREATED_MS),
        )
        with self.world.scripts.worker() as worker:
            return work.files(worker)


@contextmanager
def delivering(data: Path) -> Iterator[Deliverer]:
    app = create_app(data, clock=StoppedClock(), scripts=shared_scripts())
    driver = Driver(app)
    try:
        yield Deliverer(app.state.world, driver.login())
    finally:
        driver.close()
        close_app(app)


def task(
    data: str,
    evalscript: str,
    *,
    formats: dict[str, str] | None = None,
    item: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    bounds: dict[str, Any] | None = None,
    **output: Any,
) -> dict[str, Any]:
    """A request of version 2 as far as the files of its features go."""
    kinds = formats or {"default": p.TIFF}
    responses = [{"identifier": name, "format": {"type": kind}} for name, kind in kinds.items()]
    return {
        "processRequest": {
            "input": {"bounds": bounds or {}, "data": [{"type": data, **(item or {})}]},
            "output": {"responses": responses},
            "evalscript": evalscript,
        },
        "input": source or {"type": "tiling-grid", "id": 0, "resolution": 10},
        "output": {"type": "raster", **output},
    }


@contextmanager
def raster(content: bytes, **options: Any) -> Iterator[rasterio.DatasetReader]:
    """A file, open."""
    with rasterio.MemoryFile(content) as memory, memory.open(**options) as file:
        yield file


def band(content: bytes) -> np.ndarray:
    """(row, column) of the first band."""
    with raster(content) as file:
        found: np.ndarray = file.read(1)
        return found
