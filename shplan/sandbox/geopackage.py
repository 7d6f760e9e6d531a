"""
GeoPackages: features read from a bucket, and the feature manifest written into one.

SQLite files by the OGC's standard. Source: OGC 12-128r19, sections 1.1.1 (identification), 1.1.2
(`gpkg_spatial_ref_sys`), 1.1.3 (`gpkg_contents`), 2.1 (features; the blob's header in 2.1.3);
the batch pages for the columns that features must have.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import shapely

from shplan.sandbox.areas import repaired
from shplan.sandbox.geometry import SUPPORTED, WGS84, well_known_text
from shplan.sandbox.wire import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MOST_FEATURES = 700_000
MOST_PIXELS = 3500

# Our own bounds: what 700,000 features need is half of the steps.
_MOST_VALUE_BYTES = 20_000_000
_STEP, _MOST_STEPS = 100_000, 400

APPLICATION_ID = 0x47504B47  # "GPKG"
VERSION = 10300
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)


class GeoPackageError(Exception):
    """Why a GeoPackage cannot be used, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a feature's size is made from where the file does not say; pixels, CRS units."""

    width: int | None = None
    height: int | None = None
    resolution: float | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One feature: its identifier, CRS by EPSG code, outline, and size in pixels."""

    identifier: str
    epsg: int
    outline: Any
    width: int
    height: int


def read(path: Path, defaults: Size) -> list[Shape]:
    """
    All features of a file, table by table.

    Raises:
        GeoPackageError: it is none, or breaks a rule of the service
    """
    with _opened(path) as file:
        shapes = list(_shapes(file, defaults))
    if len({shape.identifier for shape in shapes}) != len(shapes):
        msg = "The identifiers of the GeoPackage's features are not unique."
        raise GeoPackageError(msg)
    return shapes


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as file:
            file.row_factory = sqlite3.Row
            file.text_factory = _text
            _bound(file)
            yield file
    except sqlite3.Error as error:
        msg = f"The GeoPackage cannot be read: {error}"
        raise GeoPackageError(msg) from error


def _bound(file: sqlite3.Connection) -> None:
    """A file may define views: none runs for ever, takes all memory or reaches beyond the file."""
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE_BYTES)
    file.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    file.execute("pragma trusted_schema = off")
    steps = itertools.count()
    file.set_progress_handler(lambda: next(steps) >= _MOST_STEPS, _STEP)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _shapes(file: sqlite3.Connection, defaults: Size) -> Iterator[Shape]:
    for row, table in _rows(file, _tables(file)):
        yield _shape(row, table, defaults)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of features: its name, the columns of geometry and key, and its CRS by EPSG code."""

    name: str
    geometry: str
    key: str
    epsg: int


def _tables(file: sqlite3.Connection) -> list[_Table]:
    tables = file.execute(
        "select g.table_name, g.column_name, g.geometry_type_name, s.organization,"
        " s.organization_coordsys_id from gpkg_geometry_columns g"
        " join gpkg_contents c on c.table_name = g.table_name and c.data_type = 'features'"
        " join gpkg_spatial_ref_sys s on s.srs_id = g.srs_id order by g.table_name"
    ).fetchall()
    if not tables:
        msg = "The GeoPackage has no table of features."
        raise GeoPackageError(msg)
    return [
        _Table(
            name=str(table["table_name"]),
            geometry=str(table["column_name"]),
            key=_key_of(file, str(table["table_name"])),
            epsg=_epsg_of(table),
        )
        for table in tables
    ]


def _key_of(file: sqlite3.Connection, name: str) -> str:
    """The column that tells features apart: `id`, or the primary key under another name."""
    columns = file.execute("select name, pk from pragma_table_info(?)", (name,)).fetchall()
    keys = [str(one["name"]) for one in columns if one["pk"]]
    return "id" if "id" in [one["name"] for one in columns] else (keys or ["rowid"])[0]


def _rows(
    file: sqlite3.Connection, tables: list[_Table]
) -> Iterator[tuple[dict[str, Any], _Table]]:
    count = 0
    for table in tables:
        for row in file.execute(f"select * from {_quoted(table.name)}"):  # noqa: S608 quoted
            count += 1
            if count > MOST_FEATURES:
                msg = f"The GeoPackage has more than {MOST_FEATURES} features."
                raise GeoPackageError(msg)
            yield dict(row), table


@dataclass(frozen=True, slots=True)
class Zone:
    """
    A feature over which statistics are made.

    Args:
        id: as the file has it
        identifier: none where the file has none
        outline: in the CRS of the EPSG code
    """

    id: int | str
    identifier: str | None
    epsg: int
    outline: Any


def zones(path: Path) -> list[Zone]:
    """
    All features of a file for statistics, which has one CRS.

    Raises:
        GeoPackageError: it is none, or breaks a rule of the service
    """
    with _opened(path) as file:
        tables = _tables(file)
        if len({table.epsg for table in tables}) > 1:
            msg = "The features of the GeoPackage must have one CRS."
            raise GeoPackageError(msg)
        return [_zone(row, table) for row, table in _rows(file, tables)]


def _zone(row: dict[str, Any], table: _Table) -> Zone:
    found = row.get(table.key)
    if not isinstance(found, int | str) or found == "":
        msg = f"A feature of the GeoPackage has no {table.key}."
        raise GeoPackageError(msg)
    identifier = row.get("identifier")
    return Zone(
        id=found,
        identifier=None if identifier is None else str(identifier),
        epsg=table.epsg,
        outline=_outline(row.get(table.geometry), str(found)),
    )


def _epsg_of(table: sqlite3.Row) -> int:
    kind = str(table["geometry_type_name"]).upper()
    if kind not in ("POLYGON", "MULTIPOLYGON"):
        msg = f"The geometries of {table['table_name']} are of type {kind}, not of polygons."
        raise GeoPackageError(msg)
    code = table["organization_coordsys_id"]
    if str(table["organization"]).upper() != "EPSG" or code not in SUPPORTED:
        msg = f"The CRS of {table['table_name']} is not supported."
        raise GeoPackageError(msg)
    return int(code)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shape(row: dict[str, Any], table: _Table, defaults: Size) -> Shape:
    identifier = row.get("identifier")
    if not isinstance(identifier, str) or not identifier:
        msg = "A feature of the GeoPackage has no identifier."
        raise GeoPackageError(msg)
    outline = _outline(row.get(table.geometry), identifier)
    width, height = _size(row, outline, identifier, defaults)
    if not (1 <= width <= MOST_PIXELS and 1 <= height <= MOST_PIXELS):
        msg = f"Feature {identifier} has {width} x {height} pixels; at most {MOST_PIXELS} are allowed."
        raise GeoPackageError(msg)
    return Shape(identifier, table.epsg, outline, width, height)


def _outline(blob: object, identifier: str) -> Any:
    msg = f"Feature {identifier} of the GeoPackage has no readable polygon."
    try:
        if not isinstance(blob, bytes) or blob[:2] != b"GP":
            raise GeoPackageError(msg)
        outline: Any = shapely.from_wkb(blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :])
        outline = repaired(outline)
    except (IndexError, AttributeError, shapely.errors.ShapelyError) as error:
        raise GeoPackageError(msg) from error
    if (
        outline is None
        or outline.is_empty
        or not outline.area > 0
        or not all(abs(n) < 1e9 for n in outline.bounds)
    ):
        raise GeoPackageError(msg)
    return outline


def _size(row: dict[str, Any], outline: Any, identifier: str, defaults: Size) -> tuple[int, int]:
    """Width and height win over a resolution, the file's values over the defaults."""
    for width, height, resolution in (
        (row.get("width"), row.get("height"), row.get("resolution")),
        (defaults.width, defaults.height, defaults.resolution),
    ):
        if isinstance(width, int) and isinstance(height, int):
            return width, height
        if isinstance(resolution, int | float) and resolution > 0:
            west, south, east, north = outline.bounds
            sides = ((east - west) / resolution, (north - south) / resolution)
            return max(1, round(min(sides[0], 1e9))), max(1, round(min(sides[1], 1e9)))
    msg = f"Feature {identifier} has neither width and height nor a resolution."
    raise GeoPackageError(msg)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row of a feature manifest; `shape` is WKB in hexadecimal."""

    output: str
    identifier: str
    path: str
    width: int
    height: int
    epsg: int
    shape: str


_TABLES = """
create table gpkg_spatial_ref_sys (srs_name text not null, srs_id integer primary key,
  organization text not null, organization_coordsys_id integer not null,
  definition text not null, description text);
create table gpkg_contents (table_name text not null primary key, data_type text not null,
  identifier text unique, description text default '', last_change datetime not null,
  min_x double, min_y double, max_x double, max_y double, srs_id integer);
create table gpkg_geometry_columns (table_name text not null, column_name text not null,
  geometry_type_name text not null, srs_id integer not null, z tinyint not null,
  m tinyint not null, primary key (table_name, column_name));
"""
_UNDEFINED = ((-1, "Undefined Cartesian SRS"), (0, "Undefined geographic SRS"))


def manifest(rows: Iterable[ManifestRow], *, changed_ms: int) -> bytes:
    """The bytes of a feature manifest: a table for each CRS, in the order of the codes."""
    by_epsg: dict[int, list[ManifestRow]] = {4326: []}
    for row in rows:
        by_epsg.setdefault(row.epsg, []).append(row)
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        _write_head(file)
        for epsg, listed in sorted(by_epsg.items()):
            _write_crs(file, epsg)
            if listed:
                _write_table(file, epsg, listed, changed_ms)
        file.commit()
        return file.serialize()


def _write_head(file: sqlite3.Connection) -> None:
    file.execute(f"pragma application_id = {APPLICATION_ID}")
    file.execute(f"pragma user_version = {VERSION}")
    file.executescript(_TABLES)
    file.executemany(
        "insert into gpkg_spatial_ref_sys values (?, ?, 'NONE', ?, 'undefined', null)",
        [(name, code, code) for code, name in _UNDEFINED],
    )


def _write_crs(file: sqlite3.Connection, epsg: int) -> None:
    file.execute(
        "insert into gpkg_spatial_ref_sys values (?, ?, 'EPSG', ?, ?, null)",
        (f"EPSG:{epsg}", epsg, epsg, well_known_text(epsg)),
    )


def features(shapes: Sequence[Shape], *, table: str, changed_ms: int) -> bytes:
    """The bytes of a GeoPackage that a batch request can read: polygons of one CRS, one table."""
    epsg = shapes[0].epsg
    bounds = shapely.total_bounds([shape.outline for shape in shapes])
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        _write_head(file)
        if epsg != WGS84:
            _write_crs(file, WGS84)
        _write_crs(file, epsg)
        file.execute(
            "insert into gpkg_contents values (?, 'features', ?, '', ?, ?, ?, ?, ?, ?)",
            (table, table, instant(changed_ms), *map(float, bounds), epsg),
        )
        file.execute(
            "insert into gpkg_geometry_columns values (?, 'geom', 'POLYGON', ?, 0, 0)",
            (table, epsg),
        )
        file.execute(
            f"create table {_quoted(table)} (fid integer primary key autoincrement not null,"
            " geom blob, identifier text, width integer, height integer)"
        )
        file.executemany(
            f"insert into {_quoted(table)} (geom, identifier, width, height)"  # noqa: S608 quoted
            " values (?, ?, ?, ?)",
            [
                (_header(epsg) + shape.outline.wkb, shape.identifier, shape.width, shape.height)
                for shape in shapes
            ],
        )
        file.commit()
        return file.serialize()


def _write_table(
    file: sqlite3.Connection, epsg: int, rows: list[ManifestRow], changed_ms: int
) -> None:
    name = f"feature_{epsg}"
    blobs = [_blob(row) for row in rows]
    bounds = shapely.total_bounds(shapely.from_wkb([bytes.fromhex(row.shape) for row in rows]))
    file.execute(
        "insert into gpkg_contents values (?, 'features', ?, '', ?, ?, ?, ?, ?, ?)",
        (name, name, instant(changed_ms), *map(float, bounds), epsg),
    )
    file.execute(
        "insert into gpkg_geometry_columns values (?, 'geometry', 'GEOMETRY', ?, 0, 0)",
        (name, epsg),
    )
    file.execute(
        f"create table {name} (fid integer primary key autoincrement not null, outputId text,"
        " identifier text, path text, width integer, height integer, geometry blob)"
    )
    file.executemany(
        f"insert into {name} (outputId, identifier, path, width, height, geometry)"  # noqa: S608
        " values (?, ?, ?, ?, ?, ?)",
        [
            (row.output, row.identifier, row.path, row.width, row.height, blob)
            for row, blob in zip(rows, blobs, strict=True)
        ],
    )


def _blob(row: ManifestRow) -> bytes:
    return _header(row.epsg) + bytes.fromhex(row.shape)


def _header(epsg: int) -> bytes:
    """Magic, version 0, flags: little endian, no envelope."""
    return b"GP\x00\x01" + struct.pack("<i", epsg)
