"""
The features of a GeoPackage that a batch request processes: how many, of which size in pixels.

Source: OGC 12-128r19 (feature tables, the blob's header), and the documentation's page on Batch V2
for the columns: `width` and `height`, or `resolution`; the request's `defaults` fill gaps.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from typing import cast

from shplan.core.image_size import Sizing
from shplan.core.job_cost import Features
from shplan.core.value import Object
from shplan.providers.databases import Database, opened

# Length of the envelope in a blob's header by its indicator. Source: OGC 12-128r19, 2.1.3.
_ENVELOPES = {1: 4, 2: 6, 3: 6, 4: 8}
_HEADER = 8
_RESOLUTIONS = ("resolution", "resx", "resy")


def read_features(content: bytes, sizing: Sizing) -> tuple[Features, ...]:
    """
    Count the features of each size; empty where the file cannot be read as a GeoPackage.

    Args:
        sizing: how large a raster each feature has
    """
    if not content:
        return ()
    try:
        with opened(content) as database:
            sizes = Counter(_sizes(database, sizing))
    except (sqlite3.Error, struct.error, ArithmeticError, LookupError, ValueError):
        return ()
    counted = "features of the GeoPackage"
    if sizing.filtered:
        counted += ", at most: the area may leave some out"
    return tuple(
        Features(count, width, height, 0 if sizing.filtered else count, counted, "features")
        for (width, height), count in sorted(sizes.items())
    )


def bounds_of(content: bytes) -> Object | None:
    """
    Return where the features lie, as `input.bounds` of a request says it; None where nobody knows.
    """
    if not content:
        return None
    west = south = math.inf
    east = north = -math.inf
    codes: set[int] = set()
    try:
        with opened(content) as database:
            for code, box in _boxes(database):
                codes.add(code)
                west, east = min(west, box[0]), max(east, box[1])
                south, north = min(south, box[2]), max(north, box[3])
    except (sqlite3.Error, struct.error, ArithmeticError, LookupError, ValueError):
        return None
    if len(codes) != 1:
        return None
    crs = f"http://www.opengis.net/def/crs/EPSG/0/{codes.pop()}"
    return {"bbox": [west, south, east, north], "properties": {"crs": crs}}


def _boxes(database: Database) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yield the EPSG code and the box of each feature: west, east, south, north."""
    systems = (
        "select g.table_name, g.column_name, s.organization_coordsys_id"
        " from gpkg_geometry_columns g join gpkg_spatial_ref_sys s on s.srs_id = g.srs_id"
        " where lower(s.organization) = 'epsg'"
    )
    for table, column, code in list(database.rows(systems)):
        # Identifiers are quoted; there is no other way to name a table in SQL.
        query = f"select {_quoted(column)} from {_quoted(table)}"  # noqa: S608
        for (blob,) in database.rows(query):
            box = _envelope(blob)
            if isinstance(code, int) and all(math.isfinite(one) for one in box):
                yield code, box


def _sizes(database: Database, sizing: Sizing) -> Iterator[tuple[int, int]]:
    layers = "select table_name, column_name from gpkg_geometry_columns order by table_name"
    for table, column in list(database.rows(layers)):
        known = {str(row[1]) for row in database.rows(f"pragma table_info({_quoted(table)})")}
        wanted = [
            _quoted(name) if name in known and sizing.has_columns else "null"
            for name in ("width", "height", "resolution")
        ]
        # Identifiers are quoted; there is no other way to name a table in SQL.
        query = f"select {', '.join(wanted)}, {_quoted(column)} from {_quoted(table)}"  # noqa: S608
        for width, height, resolution, blob in database.rows(query):
            yield _size(width, height, resolution, blob, sizing)


def _quoted(name: object) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _size(
    width: object, height: object, resolution: object, blob: object, sizing: Sizing
) -> tuple[int, int]:
    """Width and height win over a resolution; what the file lacks the request's defaults have."""
    if isinstance(width, int) and isinstance(height, int):
        if min(width, height) < 1:
            # It would make the cost of the others smaller.
            message = "a feature has no pixels"
            raise ValueError(message)
        return width, height
    if isinstance(resolution, int | float) and resolution > 0:
        return _of_resolution(float(resolution), float(resolution), blob, sizing)
    defaults = sizing.stated
    stated = (defaults.get("width"), defaults.get("height"))
    if all(isinstance(one, int) for one in stated):
        return cast("tuple[int, int]", stated)
    found = next((defaults[name] for name in _RESOLUTIONS if name in defaults), None)
    across, down = (defaults.get(name, found) for name in ("resx", "resy"))
    if isinstance(across, int | float) and isinstance(down, int | float) and min(across, down) > 0:
        return _of_resolution(float(across), float(down), blob, sizing)
    message = "a feature has no size"
    raise ValueError(message)


def _of_resolution(across: float, down: float, blob: object, sizing: Sizing) -> tuple[int, int]:
    """Return the pixels that the bounding box takes."""
    west, east, south, north = _envelope(blob)
    width, height = (east - west) / across, (north - south) / down
    if sizing.to_nearest:
        return max(math.floor(width + 0.5), 1), max(math.floor(height + 0.5), 1)
    return max(math.ceil(width - 1e-6), 1), max(math.ceil(height - 1e-6), 1)


def _envelope(blob: object) -> tuple[float, float, float, float]:
    """Return west, east, south, north of a geometry, from its header or from its points."""
    if not isinstance(blob, bytes) or blob[:2] != b"GP":
        message = "not the blob of a geometry"
        raise ValueError(message)
    flags = blob[3]
    order = "<" if flags & 1 else ">"
    length = _ENVELOPES.get((flags >> 1) & 7, 0)
    if length:
        west, east, south, north, *_ = struct.unpack_from(f"{order}{length}d", blob, _HEADER)
        return west, east, south, north
    points = list(_points(blob, _HEADER))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), max(xs), min(ys), max(ys)


def _points(blob: bytes, at: int, *, inner: bool = False) -> Iterator[tuple[float, float]]:
    """Yield the points of a Polygon or MultiPolygon. Source: OGC 06-103r4, well-known binary."""
    order = "<" if blob[at] else ">"
    (code, count) = struct.unpack_from(f"{order}II", blob, at + 1)
    at += 9
    dimensions = {0: 2, 1: 3, 2: 3, 3: 4}[code // 1000]
    if code % 1000 == 6 and not inner:
        for _ in range(count):
            yield from _points(blob, at, inner=True)
            at = _end(blob, at)
        return
    if code % 1000 != 3:
        message = "neither a Polygon nor a MultiPolygon of such"
        raise ValueError(message)
    for _ in range(count):
        (number,) = struct.unpack_from(f"{order}I", blob, at)
        values = struct.unpack_from(f"{order}{number * dimensions}d", blob, at + 4)
        yield from zip(values[::dimensions], values[1::dimensions], strict=True)
        at += 4 + number * dimensions * 8


def _end(blob: bytes, at: int) -> int:
    """Return where a polygon of a MultiPolygon ends."""
    order = "<" if blob[at] else ">"
    (code, rings) = struct.unpack_from(f"{order}II", blob, at + 1)
    dimensions = {0: 2, 1: 3, 2: 3, 3: 4}[code // 1000]
    at += 9
    for _ in range(rings):
        (number,) = struct.unpack_from(f"{order}I", blob, at)
        at += 4 + number * dimensions * 8
    return at


def count_features(content: bytes) -> int | None:
    """Count the features of all layers; None where the file cannot be read as a GeoPackage."""
    if not content:
        return None
    try:
        with opened(content) as database:
            layers = list(database.rows("select distinct table_name from gpkg_geometry_columns"))
            # Identifiers are quoted; there is no other way to name a table in SQL.
            counts = [
                count
                for (table,) in layers
                for (count,) in database.rows(f"select count(*) from {_quoted(table)}")  # noqa: S608
            ]
    except sqlite3.Error:
        return None
    return sum(int(count) for count in counts)
