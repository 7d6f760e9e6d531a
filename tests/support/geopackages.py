"""GeoPackages as other programs write them, without any code of the client or the sandbox."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Any

import shapely

_TABLES = """
create table gpkg_spatial_ref_sys (srs_name text, srs_id integer primary key, organization text,
  organization_coordsys_id integer, definition text, description text);
create table gpkg_contents (table_name text primary key, data_type text, identifier text,
  description text, last_change text, min_x double, min_y double, max_x double, max_y double,
  srs_id integer);
create table gpkg_geometry_columns (table_name text, column_name text, geometry_type_name text,
  srs_id integer, z integer, m integer);
"""


def write(
    path: Path,
    features: list[dict[str, Any]],
    *,
    epsg: int = 32633,
    envelopes: bool = True,
    shape: str = "box",
) -> bytes:
    """Write one layer; each feature has a `box` in metres and any of the service's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    columns = sorted({name for one in features for name in one} - {"box"})
    with sqlite3.connect(path) as file:
        file.executescript("pragma application_id = 1196444487;" + _TABLES)
        file.execute(
            "insert into gpkg_spatial_ref_sys values (?, ?, 'EPSG', ?, '', '')",
            (str(epsg), epsg, epsg),
        )
        file.execute(
            "insert into gpkg_contents values ('f', 'features', 'f', '', '', 0, 0, 0, 0, ?)",
            (epsg,),
        )
        kind = "POLYGON" if shape == "box" else "MULTIPOLYGON"
        file.execute(
            "insert into gpkg_geometry_columns values ('f', 'geom', ?, ?, 0, 0)", (kind, epsg)
        )
        named = "".join(f", {name}" for name in columns)
        file.execute(f"create table f (id integer primary key, geom blob{named})")
        for one in features:
            box = shapely.box(*one["box"])
            drawn = box if shape == "box" else shapely.MultiPolygon([box])
            west, south, east, north = box.bounds
            head = b"GP\x00\x03" if envelopes else b"GP\x00\x01"
            edges = struct.pack("<4d", west, east, south, north) if envelopes else b""
            blob = head + struct.pack("<i", epsg) + edges + drawn.wkb
            marks = ", ?" * len(columns)
            file.execute(
                f"insert into f (geom{named}) values (?{marks})",
                [blob, *(one.get(name) for name in columns)],
            )
    return path.read_bytes()
