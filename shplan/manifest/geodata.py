"""
Geometries from files: `geojson(...)` and `bounds(...)`.

Source: RFC 7946 (coordinates are CRS84, longitude first), the legacy `crs` member of GeoJSON 2008, the
GeoPackage encoding standard 1.3 section 2.1 (binary geometry), and `ProcessRequestInputBounds` of the Process API.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import orjson

from shplan.core.json_bounds import holds_too_much
from shplan.core.value import JsonObject, JsonValue
from shplan.manifest.parse import kind_of
from shplan.manifest.source import FileError
from shplan.manifest.wording import listed

if TYPE_CHECKING:
    import sqlite3

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_CRS84_NAMES = frozenset(
    {
        "urn:ogc:def:crs:ogc:1.3:crs84",
        "urn:ogc:def:crs:ogc::crs84",
        "ogc:crs84",
        "crs84",
        CRS84.lower(),
        # EPSG:4326 in a GeoJSON file has always meant longitude first.
        "urn:ogc:def:crs:epsg::4326",
        "epsg:4326",
        "http://www.opengis.net/def/crs/epsg/0/4326",
    }
)
_GEOMETRIES = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
)
_EPSG = re.compile(r"(?:urn:ogc:def:crs:)?EPSG:(?:[0-9.]*:)?([0-9]+)", re.IGNORECASE)


_DEEPEST = 4
_LONGEST_BLOB = 64 << 20
# A million tiles with covers hold half of it.
_MOST_VALUES = 50_000_000
# Of SQLite's own steps, of which a table takes less than one for each byte.
_STEPS_AT_ONCE = 10_000
_STEPS, _STEPS_PER_BYTE = 10_000_000, 5


class GeometryError(Exception):
    """A file holds no geometry that can be used; the message is a sentence about the file."""

    def __init__(self, what: str, *, hint: str = "", why: str = "") -> None:
        super().__init__(what)
        self.what, self.hint, self.why = what, hint, why


def read_geojson(content: bytes) -> JsonObject:
    """
    Return the one geometry of a GeoJSON text in CRS84.

    Raises:
        GeometryError: no GeoJSON, another CRS, or more than one geometry that cannot be joined
    """
    document = load_json(content)
    refuse_other_crs(document)
    geometry = _single(document)
    check_geometry(geometry)
    return flat(geometry)


def load_json(content: bytes) -> JsonObject:
    """
    Read a JSON object.

    Raises:
        GeometryError: it is none
    """
    if holds_too_much(content, most=_MOST_VALUES):
        msg = f"holds more than {_MOST_VALUES:,} values."
        raise GeometryError(msg, hint="simplify the shapes, or divide the file")
    try:
        document = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        msg = f"is not JSON: {error.msg} on line {error.lineno}, column {error.colno}."
        raise GeometryError(msg) from error
    if not isinstance(document, dict):
        msg = f"holds {kind_of(document)}, not a GeoJSON object."
        raise GeometryError(msg)
    return cast(JsonObject, document)


def refuse_other_crs(document: JsonObject) -> None:
    """
    Check the member `crs` of GeoJSON 2008, which today's files should not have.

    Raises:
        GeometryError: it names another CRS than CRS84
    """
    crs = document.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str) and name.lower() in _CRS84_NAMES:
        return
    msg = f"is in {name if isinstance(name, str) else 'an unnamed CRS'}, not in CRS84 (longitude, latitude in degrees)."
    raise GeometryError(
        msg,
        why="GeoJSON has only CRS84 (RFC 7946), and the API reads the coordinates as such.",
        hint="convert it: ogr2ogr -t_srs EPSG:4326 -lco RFC7946=YES new.geojson old.geojson\n"
        "or keep its CRS in a GeoPackage and write {{ bounds('file.gpkg') }}",
    )


def _single(document: JsonObject) -> JsonObject:
    kind = document.get("type")
    if kind == "FeatureCollection":
        return _joined(features(document))
    if kind == "Feature":
        return of_feature(document)
    if kind in _GEOMETRIES:
        return document
    if kind == "GeometryCollection":
        msg = "holds a GeometryCollection, which the API does not take."
        raise GeometryError(
            msg,
            hint="save the parts as one MultiPolygon",
        )
    raise GeometryError(
        f"is no GeoJSON: its `type` is {kind!r}." if kind else "is no GeoJSON: it has no `type`.",
        hint="it should be a Feature, a FeatureCollection or a geometry",
    )


def features(document: JsonObject) -> list[JsonObject]:
    """
    Return the features of a collection.

    Raises:
        GeometryError: they are no features
    """
    members = document.get("features")
    if not isinstance(members, list):
        msg = "is a FeatureCollection without a list of `features`."
        raise GeometryError(msg)
    for number, member in enumerate(members, start=1):
        if not isinstance(member, dict):
            msg = f"holds {kind_of(member)} as number {number} of its `features`."
            raise GeometryError(msg)
    return cast("list[JsonObject]", members)


def of_feature(feature: JsonObject) -> JsonObject:
    """
    Return the geometry of a feature.

    Raises:
        GeometryError: it has none, or holds features itself
    """
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        msg = "holds a feature without a geometry."
        raise GeometryError(msg)
    if geometry.get("type") in {"Feature", "FeatureCollection"}:
        msg = "holds a feature inside a feature."
        raise GeometryError(msg)
    return _single(geometry)


def _joined(members: list[JsonObject]) -> JsonObject:
    if not members:
        msg = "is a FeatureCollection without any feature."
        raise GeometryError(msg)
    geometries = [of_feature(member) for member in members]
    if len(geometries) == 1:
        return geometries[0]
    kinds = sorted({str(geometry.get("type")) for geometry in geometries})
    if not set(kinds) <= {"Polygon", "MultiPolygon"}:
        msg = f"holds {len(geometries)} features ({', '.join(kinds)}); one geometry is needed here."
        raise GeometryError(
            msg,
            why="Only polygons can be joined into one MultiPolygon.",
            hint="keep one feature in the file, or one file for each and `metadata.forEach`",
        )
    parts: list[JsonValue] = []
    for geometry in geometries:
        coordinates = geometry.get("coordinates")
        if geometry["type"] == "Polygon":
            parts.append(coordinates)
        elif isinstance(coordinates, list):
            parts += coordinates
    return {"type": "MultiPolygon", "coordinates": parts}


def check_geometry(geometry: JsonObject) -> None:
    """
    Check that coordinates are degrees, longitude first.

    Raises:
        GeometryError: they are not
    """
    if not isinstance(geometry.get("coordinates"), list):
        msg = f"holds a {geometry.get('type')} without coordinates."
        raise GeometryError(msg)
    count = 0
    for position in _positions(geometry["coordinates"]):
        count += 1
        _check_position(position)
    if count == 0:
        msg = f"holds a {geometry.get('type')} without coordinates."
        raise GeometryError(msg)


def flat(geometry: JsonObject) -> JsonObject:
    """Return a checked geometry without heights, which the API does not take."""
    coordinates = geometry["coordinates"]
    if all(len(position) == 2 for position in _positions(coordinates)):
        return geometry
    return {**geometry, "coordinates": _flat(coordinates)}


def _flat(value: JsonValue) -> JsonValue:
    if not isinstance(value, list) or not value or isinstance(value[0], list):
        return [_flat(one) for one in value] if isinstance(value, list) else value
    return value[:2]


def _positions(value: JsonValue) -> Iterator[list[JsonValue]]:
    stack: list[tuple[JsonValue, int]] = [(value, 1)]
    while stack:
        node, depth = stack.pop()
        # Source: RFC 7946 section 3.1: a MultiPolygon's positions are the fourth lists.
        if not isinstance(node, list) or depth > _DEEPEST:
            msg = "has coordinates that are no lists of numbers."
            raise GeometryError(msg)
        if node and not isinstance(node[0], list):
            yield node
        else:
            stack.extend((one, depth + 1) for one in reversed(node))


def _check_position(position: list[JsonValue]) -> None:
    numbers = [
        one for one in position if isinstance(one, int | float) and not isinstance(one, bool)
    ]
    if len(numbers) != len(position) or len(position) < 2 or not all(map(math.isfinite, numbers)):
        msg = "has coordinates that are no lists of numbers."
        raise GeometryError(msg)
    x, y = numbers[0], numbers[1]
    if -180 <= x <= 180 and -90 <= y <= 90:
        return
    if max(abs(x), abs(y)) <= 360:
        msg = f"has the position [{x}, {y}], which lies outside of the globe."
        raise GeometryError(
            msg,
            why="Positions are [longitude, latitude]: the first within ±180, the second within ±90.",
            hint="check whether latitude and longitude are swapped, or the area crosses the 180th meridian",
        )
    msg = f"has the position [{x}, {y}], which are no degrees."
    raise GeometryError(
        msg,
        why="GeoJSON has only CRS84 (RFC 7946); these look like metres of a projected CRS.",
        hint="convert it: ogr2ogr -t_srs EPSG:4326 -lco RFC7946=YES new.geojson old.geojson\n"
        "or keep its CRS in a GeoPackage and write {{ bounds('file.gpkg') }}",
    )


def geojson_bounds(content: bytes) -> JsonObject:
    """
    Return a GeoJSON text as the API's `bounds`.

    Raises:
        GeometryError: as `read_geojson`
    """
    geometry = read_geojson(content)
    return {"geometry": geometry, "properties": {"crs": CRS84}}


def geopackage_bounds(path: Path) -> JsonObject:
    """
    Return the geometries of a GeoPackage's only layer as the API's `bounds`, in the layer's CRS.

    Raises:
        GeometryError: no GeoPackage, several layers, or geometries that cannot be joined
    """
    with opened_package(path) as connection:
        table, column, srs = layer_of(connection)
        blobs = _blobs(connection, table, column)
        crs = crs_of(connection, srs)
    return {"geometry": from_blobs(blobs), "properties": {"crs": crs}}


@contextmanager
def opened_package(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Open a GeoPackage for reading, and close it.

    Raises:
        GeometryError: it is none
    """
    import sqlite3  # noqa: PLC0415 - only who has a GeoPackage pays for it

    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        msg = "cannot be opened as a GeoPackage."
        raise GeometryError(msg) from error
    try:
        _restrain(connection, path.stat().st_size)
        yield connection
    except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
        msg = f"is no GeoPackage: {error}."
        raise GeometryError(msg) from error
    finally:
        connection.close()


def _restrain(connection: sqlite3.Connection, size_bytes: int) -> None:
    """Bound what the file can make SQLite do: a table may be a view, which may go on for ever."""
    import sqlite3  # noqa: PLC0415 - as above

    connection.execute("pragma trusted_schema = off")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BLOB)
    steps = iter(range((_STEPS + _STEPS_PER_BYTE * size_bytes) // _STEPS_AT_ONCE))
    # Anything but zero, also the end of the steps, ends the query.
    connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS_AT_ONCE)


def layer_of(connection: sqlite3.Connection, name: str = "") -> tuple[str, str, int]:
    """
    Return table, geometry column and number of the CRS of a layer.

    Args:
        name: of the layer; empty for the only one

    Raises:
        GeometryError: there is none, or several
    """
    rows = connection.execute(
        "select table_name, column_name, srs_id from gpkg_geometry_columns order by table_name"
    ).fetchall()
    if not rows:
        msg = "is a GeoPackage without a layer of features."
        raise GeometryError(msg)
    if name:
        chosen = [row for row in rows if str(row[0]) == name]
        if not chosen:
            msg = f"has no layer {name!r}; it has {listed(str(row[0]) for row in rows)}."
            raise GeometryError(msg)
        rows = chosen
    if len(rows) > 1:
        msg = f"is a GeoPackage with {len(rows)} layers: {listed(str(row[0]) for row in rows)}."
        raise GeometryError(
            msg,
            hint="save the one that is meant to a file of its own",
        )
    return str(rows[0][0]), str(rows[0][1]), int(rows[0][2])


def _blobs(connection: sqlite3.Connection, table: str, column: str) -> list[bytes]:
    name, field = table.replace('"', '""'), column.replace('"', '""')
    query = f'select "{field}" from "{name}" where "{field}" is not null limit 1001'  # noqa: S608 - quoted names
    blobs = []
    for (blob,) in connection.execute(query):
        if not isinstance(blob, bytes):
            msg = "holds a geometry that is not encoded as GeoPackages are."
            raise GeometryError(msg)
        blobs.append(blob)
    if not blobs:
        msg = "is a GeoPackage whose layer has no geometry."
        raise GeometryError(msg)
    if len(blobs) > 1000:
        msg = "holds more than 1000 features; one area is meant here."
        raise GeometryError(
            msg,
            hint="dissolve the layer first",
        )
    return blobs


def crs_of(connection: sqlite3.Connection, srs: int) -> str:
    """
    Return the CRS of a layer as the API names it.

    Raises:
        GeometryError: it has no EPSG code
    """
    row = connection.execute(
        "select organization, organization_coordsys_id from gpkg_spatial_ref_sys where srs_id = ?",
        (srs,),
    ).fetchone()
    if row is None or str(row[0]).upper() != "EPSG":
        msg = "names no EPSG code for its CRS."
        raise GeometryError(
            msg,
            hint="assign one, e.g. ogr2ogr -a_srs EPSG:32633 new.gpkg old.gpkg",
        )
    # A GeoPackage stores x, y whatever the authority says of EPSG:4326: that is CRS84.
    return CRS84 if int(row[1]) == 4326 else f"http://www.opengis.net/def/crs/EPSG/0/{int(row[1])}"


# Source: GeoPackage 1.3, clause 2.1.3.1.1: sizes of the envelope by its indicator.
_ENVELOPES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


_POINT, _LINE, _POLYGON = 1, 2, 3
_LEVELS = 3


def _is_flat_wkb(wkb: bytes) -> bool:
    """
    Tell whether a binary geometry has few levels: GEOS reads it by recursion, without a limit.

    Source: OGC 06-103r4, clause 8.2 (well-known binary), with the types of ISO 19125 (+1000, +2000, +3000).
    """
    position, waiting = 0, [1]
    try:
        while waiting:
            if waiting[-1] == 0:
                waiting.pop()
                continue
            waiting[-1] -= 1
            order = "<" if wkb[position] else ">"
            (kind,) = struct.unpack_from(f"{order}I", wkb, position + 1)
            position += 5
            point_bytes = 8 * (2, 3, 3, 4)[kind // 1000]
            if kind % 1000 == _POINT:
                position += point_bytes
                continue
            (count,) = struct.unpack_from(f"{order}I", wkb, position)
            position += 4
            if kind % 1000 == _LINE:
                position += count * point_bytes
            elif kind % 1000 == _POLYGON:
                for _ in range(count):
                    (points,) = struct.unpack_from(f"{order}I", wkb, position)
                    position += 4 + points * point_bytes
            else:
                waiting.append(count)
            if len(waiting) > _LEVELS:
                return False
    except (struct.error, IndexError):
        return False
    return position <= len(wkb)


def from_blobs(blobs: list[bytes]) -> JsonObject:
    """
    Return binary geometries as one, without heights.

    Raises:
        GeometryError: one of them cannot be read, or they cannot be joined
    """
    import shapely  # noqa: PLC0415 - only who names a GeoPackage pays for it

    geometries = []
    for blob in blobs:
        size = _ENVELOPES.get((blob[3] >> 1) & 7) if blob[:2] == b"GP" and len(blob) > 8 else None
        if size is None:
            msg = "holds a geometry that is not encoded as GeoPackages are."
            raise GeometryError(msg)
        wkb = blob[8 + size :]
        if not _is_flat_wkb(wkb):
            msg = "holds a geometry that cannot be read."
            raise GeometryError(msg)
        try:
            geometry = shapely.force_2d(shapely.from_wkb(wkb))
        except shapely.errors.ShapelyError as error:
            msg = "holds a geometry that cannot be read."
            raise GeometryError(msg) from error
        if not geometry.is_empty:
            geometries.append(cast(JsonObject, orjson.loads(shapely.to_geojson(geometry))))
    return _joined([{"type": "Feature", "geometry": geometry} for geometry in geometries])


def sentence(error: FileError | GeometryError) -> str:
    """Return the error's sentence, which follows the name of the file."""
    text = str(error)
    return text if text.endswith(".") else f"{text}."
