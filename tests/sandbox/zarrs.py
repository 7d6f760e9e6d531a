"""Zarr groups for the sandbox's tests: written by the zarr package, then broken by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from .support import BUCKET, Driver

ZARRS = "/zarr/v1/collections"
PATH = "cubes/fields.zarr/"
UTM = "http://www.opengis.net/def/crs/EPSG/0/32633"
DIMENSIONS = ["time", "y", "x"]


def write_array(
    group: Path,
    name: str,
    values: Any,
    *,
    dimensions: Sequence[str] | None,
    chunks: tuple[int, ...] | None = None,
    attributes: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """One array of a group."""
    values = np.asarray(values)
    array = zarr.open_group(group, mode="a", zarr_format=2).create_array(
        name, shape=values.shape, chunks=chunks or values.shape, dtype=values.dtype, **options
    )
    array[...] = values
    array.attrs.update(attributes or {})
    if dimensions is not None:
        array.attrs["_ARRAY_DIMENSIONS"] = list(dimensions)


def write_group(
    bucket: Path,
    *,
    path: str = PATH,
    names: tuple[str, str] = ("x", "y"),
    columns: Any = None,
    rows: Any = None,
    times: Any = (0, 5, 17),
    bands: Sequence[str] = ("B04", "B08"),
) -> Path:
    """A group that obeys all rules: by default 40 by 30 pixels of 10 m in UTM, three instants."""
    group = bucket / path
    across, down = names
    columns = 500_005.0 + 10.0 * np.arange(40) if columns is None else np.asarray(columns)
    rows = 5_200_295.0 - 10.0 * np.arange(30) if rows is None else np.asarray(rows)
    zarr.open_group(group, mode="w", zarr_format=2).attrs["title"] = "fields"
    write_array(group, across, columns, dimensions=[across])
    write_array(group, down, rows, dimensions=[down])
    depth: tuple[int, ...] = ()
    if times is not None:
        units = {"units": "days since 2024-01-01", "calendar": "proleptic_gregorian"}
        values = np.asarray(times, dtype="i8")
        write_array(group, "time", values, dimensions=["time"], attributes=units)
        depth = (len(times),)
    for name in bands:
        shape = (*depth, len(rows), len(columns))
        write_array(
            group,
            name,
            np.ones(shape, dtype="f4"),
            dimensions=[*(["time"] if depth else []), down, across],
            chunks=(*([1] if depth else []), 20, 20),
            fill_value=-1,
        )
    return group


def edit(file: Path, **changes: Any) -> None:
    """Change members of a metadata file; `...` takes one away."""
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def create(api: Driver, *, path: str = PATH, crs: str = UTM, **body: Any) -> Any:
    """A collection, not ingested yet."""
    whole = {"name": "fields", "s3Bucket": BUCKET, "path": path, "crs": crs, **body}
    answer = api.post(ZARRS, whole)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def read(api: Driver, collection: str) -> Any:
    answer = api.get(f"{ZARRS}/{collection}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def ingested(api: Driver, **options: Any) -> Any:
    """A collection after its time, however it ended."""
    one = create(api, **options)
    api.tick(3)
    return read(api, one["id"])


def reingested(api: Driver, collection: str) -> Any:
    answer = api.send("PUT", f"{ZARRS}/{collection}/reingest")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["status"] == "INGESTING"
    api.tick(2)
    return read(api, collection)


Breaker = Callable[[Path], None]
