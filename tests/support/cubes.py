"""
A small Zarr group, written by hand: where no thread may be, the zarr package is not at home.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIDE = 4
_EAST, _NORTH, _PIXEL = 500_005.0, 5_200_295.0, 10.0


def write_cube(group: Path, *, bands: Sequence[str] = ("B04", "B08")) -> Path:
    """Write a group of EPSG:32633 without time, whose arrays have 4 by 4 pixels of 10 m."""
    group.mkdir(parents=True, exist_ok=True)
    (group / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    (group / ".zattrs").write_text(json.dumps({"title": "fields"}))
    _write(group / "x", [_EAST + _PIXEL * at for at in range(SIDE)], ["x"], "<f8", "d")
    _write(group / "y", [_NORTH - _PIXEL * at for at in range(SIDE)], ["y"], "<f8", "d")
    for band in bands:
        _write(group / band, [1.0] * SIDE * SIDE, ["y", "x"], "<f4", "f")
    return group


def _write(array: Path, values: list[float], axes: list[str], dtype: str, code: str) -> None:
    shape = [SIDE] * len(axes)
    metadata: dict[str, Any] = {
        "zarr_format": 2,
        "shape": shape,
        "chunks": shape,
        "dtype": dtype,
        "compressor": None,
        "fill_value": -1,
        "order": "C",
        "filters": None,
    }
    array.mkdir(exist_ok=True)
    (array / ".zarray").write_text(json.dumps(metadata))
    (array / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": axes}))
    chunk = ".".join("0" for _ in axes)
    (array / chunk).write_bytes(struct.pack(f"<{len(values)}{code}", *values))
