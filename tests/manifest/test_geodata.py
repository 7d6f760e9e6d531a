"""What `bounds(...)` reads from a GeoPackage (real files, written here by SQLite itself), and heights."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from shplan.manifest.geodata import CRS84, GeometryError, geopackage_bounds, read_geojson
from shplan.manifest.members import read_features

UTM33 = "http://www.opengis.net/def/crs/EPSG/0/32633"
Make = Callable[..., Path]


def blob(x: float, y: float) -> bytes:
    """Source: GeoPackage 1.3, clause 2.1.3: header without envelope, then WKB of a point."""
    return b"GP\0\1" + struct.pack("<i", 32633) + struct.pack("<BIdd", 1, 1, x, y)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(*blobs: bytes, code: int = 32633, layers: int = 1) -> Path:
        path = tmp_path / "area.gpkg"
        with closing(sqlite3.connect(path)) as file:
            file.executescript(
                "create table gpkg_geometry_columns (table_name, column_name, srs_id);"
                "create table gpkg_spatial_ref_sys"
                " (srs_id, organization, organization_coordsys_id);"
                "create table area (geom)"
            )
            file.execute("insert into gpkg_spatial_ref_sys values (7, 'epsg', ?)", (code,))
            for number in range(layers):
                layer = "area" if number == 0 else f"area{number}"
                file.execute("insert into gpkg_geometry_columns values (?, 'geom', 7)", (layer,))
            file.executemany("insert into area values (?)", [(one,) for one in blobs])
            file.commit()
        return path

    return write


def test_one_geometry_comes_with_the_crs_of_its_layer(make: Make) -> None:
    bounds = geopackage_bounds(make(blob(500000, 5400000)))
    assert bounds == {
        "geometry": {"type": "Point", "coordinates": [500000.0, 5400000.0]},
        "properties": {"crs": UTM33},
    }


def test_epsg_4326_is_longitude_first_in_a_geopackage(make: Make) -> None:
    assert geopackage_bounds(make(blob(15, 46), code=4326))["properties"] == {"crs": CRS84}


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "area.gpkg"
    path.write_text("no database, and longer than the header of one " * 9)
    with pytest.raises(GeometryError, match="is no GeoPackage"):
        geopackage_bounds(path)


def test_a_file_that_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="cannot be opened"):
        geopackage_bounds(tmp_path / "missing.gpkg")


def test_several_layers_are_refused(make: Make) -> None:
    with pytest.raises(GeometryError, match="2 layers"):
        geopackage_bounds(make(blob(1, 2), layers=2))


def test_a_layer_without_geometry_is_refused(make: Make) -> None:
    with pytest.raises(GeometryError, match="no geometry"):
        geopackage_bounds(make())


def test_what_is_not_encoded_as_geopackages_are_is_refused(make: Make) -> None:
    with pytest.raises(GeometryError, match="not encoded"):
        geopackage_bounds(make(b"POINT (1 2)"))


def test_heights_are_left_out() -> None:
    ring = [[14, 46, 300], [15, 46, 301], [15, 47], [14, 46, 300]]
    found = read_geojson(orjson.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert found["coordinates"] == [[[14, 46], [15, 46], [15, 47], [14, 46]]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    table = {"type": "FeatureCollection", "features": [{**feature, "properties": {"path": "a"}}]}
    rows, problems = read_features(orjson.dumps(table), file="tiles.geojson")
    assert not problems
    assert rows[0]["coverGeometry"]["coordinates"] == found["coordinates"]  # type: ignore[index,call-overload]
