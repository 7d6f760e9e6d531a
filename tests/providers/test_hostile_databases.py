"""Databases in buckets can be anybody's: what is read of them ends, and costs no memory."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest

from shplan.core.image_size import Sizing
from shplan.manifest.geodata import GeometryError, geopackage_bounds
from shplan.providers import job_outcome
from shplan.providers.geopackage import count_features, read_features
from tests.support.bounded import in_bounds

RESOLUTION = Sizing({"resolution": 10.0})
ENDLESS = "with recursive r(n) as (select 1 union all select n + 1 from r)"
LAYERS = (
    "create table gpkg_geometry_columns(table_name text, column_name text, srs_id int)",
    "insert into gpkg_geometry_columns values ('t', 'g', 4326)",
)


def database(*statements: str | tuple[str, tuple[object, ...]]) -> bytes:
    connection = sqlite3.connect(":memory:")
    for one in statements:
        connection.execute(*((one,) if isinstance(one, str) else one))
    connection.commit()
    return connection.serialize()


def feature(blob: object, columns: str = "", *values: object) -> bytes:
    marks = ", ".join("?" * (1 + len(values)))
    row = (f"insert into t values ({marks})", (blob, *values))
    return database(*LAYERS, f"create table t(g blob{columns})", row)


@pytest.mark.parametrize("rows", ["where n < 0", ""])
def test_a_view_without_an_end_is_left(rows: str, tmp_path: Path) -> None:
    layers = database(
        f"create view gpkg_geometry_columns as {ENDLESS}"
        f" select 't' as table_name, 'g' as column_name, 4326 as srs_id from r {rows}"
    )
    table = database(
        *LAYERS,
        f"create view t as {ENDLESS} select x'00' as g, n as width, n as height from r {rows}",
    )
    outcomes = database(
        f"create view features as {ENDLESS}"
        f" select n as id, 'x' as name, 'DONE' as status, '' as error from r {rows}"
    )
    (tmp_path / "a.gpkg").write_bytes(layers)

    def area() -> object:
        try:
            return geopackage_bounds(tmp_path / "a.gpkg")
        except GeometryError:
            return None

    for look in (
        lambda: read_features(layers, RESOLUTION),
        lambda: read_features(table, RESOLUTION),
        lambda: count_features(layers),
        lambda: count_features(table),
        lambda: job_outcome.read_features(outcomes),
        area,
    ):
        told = in_bounds(lambda look=look: repr(look()), memory_bytes=512 << 20)  # type: ignore[misc]
        assert told in ("()", "None"), told


HEAD = b"GP\0\x01\0\0\0\0"
BOX = b"GP\0\x03\0\0\0\0"


def multi(depth: int) -> bytes:
    """A MultiPolygon in a MultiPolygon, and so on, each twice."""
    return (b"\x01" + struct.pack("<II", 6, 2)) * depth


@pytest.mark.parametrize(
    "blob",
    [
        b"GP\0",
        HEAD,
        HEAD + b"\x01",
        HEAD + b"\x01" + struct.pack("<II", 9003, 1) + bytes(50),
        HEAD + b"\x01" + struct.pack("<II", 1, 1) + bytes(50),
        HEAD + b"\x01" + struct.pack("<III", 3, 0xFFFFFFFF, 0xFFFFFFFF),
        HEAD + multi(2),
        HEAD + multi(40),
        HEAD + multi(5000),
        BOX + struct.pack("<4d", 0, float("inf"), 0, 1),
        BOX + struct.pack("<4d", 0, float("nan"), 0, 1),
        BOX + struct.pack("<4d", 0, 1e308, -1e308, 1e308),
        "text",
        1,
    ],
    ids=range(14),
)
def test_a_shape_that_is_none_has_no_size(blob: object) -> None:
    told = in_bounds(lambda: repr(read_features(feature(blob), RESOLUTION)))
    assert told == "()"


@pytest.mark.parametrize("size", [(-1000, 1000), (0, 5), (1000, -1)])
def test_no_feature_makes_the_others_cheaper(size: tuple[int, int]) -> None:
    content = feature(None, ", width int, height int", *size)
    assert read_features(content, RESOLUTION) == ()
    assert read_features(feature(None, ", width int, height int", 3, 5), RESOLUTION)
