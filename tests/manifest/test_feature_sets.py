"""What `features(...)` reads: each feature by a property, with its geometry, CRS and properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shplan.manifest.feature_sets import geojson_features, geopackage_features
from shplan.manifest.geodata import CRS84, GeometryError
from tests.support import geopackages

UTM33 = "http://www.opengis.net/def/crs/EPSG/0/32633"
SQUARE = {"type": "Polygon", "coordinates": [[[14, 46], [15, 46], [15, 47], [14, 46]]]}


def feature(geometry: Any = SQUARE, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(*members: Any, **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": members, **more}).encode()


def test_features_come_by_a_property() -> None:
    found = geojson_features(collection(feature(id=7, crop="maize"), feature(id="b")), key="id")
    assert list(found) == ["7", "b"]
    assert found["7"] == {
        "geometry": SQUARE,
        "crs": CRS84,
        "bounds": {"geometry": SQUARE, "properties": {"crs": CRS84}},
        "properties": {"id": 7, "crop": "maize"},
    }


def test_a_feature_may_have_its_id_beside_its_properties() -> None:
    content = collection({**feature(name="x"), "id": 3}, {**feature(id=5), "id": 4})
    assert list(geojson_features(content, key="id")) == ["3", "5"]


def test_whole_numbers_are_keys_however_they_are_written() -> None:
    assert list(geojson_features(collection(feature(n=12.0)), key="n")) == ["12"]


def test_one_feature_alone_is_a_collection_of_one() -> None:
    content = json.dumps(feature(id=1)).encode()
    assert list(geojson_features(content, key="id")) == ["1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (collection(feature(id=1), feature(id=1)), "twice: in feature 1 and in 2"),
        (collection(feature(id=1), feature(id="1")), "twice"),
        (collection(feature(name="x")), "no property 'id' in feature 1"),
        (collection(feature(id=None)), "no usable 'id'"),
        (collection(feature(id=1.5)), "no usable 'id'"),
        (collection(feature(id=True)), "no usable 'id'"),
        (collection(feature(id=" ")), "no usable 'id'"),
        (collection(feature(id=[1])), "no usable 'id'"),
        (collection(), "no feature"),
        (collection(feature(None, id=1)), "without a geometry"),
        (collection({"type": "Feature", "geometry": SQUARE, "properties": None}), "no property"),
        (json.dumps(SQUARE).encode(), "holds no features"),
        (
            collection(feature(id=1), crs={"type": "name", "properties": {"name": "EPSG:3857"}}),
            "not in CRS84",
        ),
        (collection(feature({"type": "Point", "coordinates": [500000, 5e6]}, id=1)), "no degrees"),
    ],
)
def test_what_cannot_be_told_apart_or_read_is_said(content: bytes, told: str) -> None:
    with pytest.raises(GeometryError, match=told):
        geojson_features(content, key="id")


def test_a_near_name_is_meant() -> None:
    with pytest.raises(GeometryError) as refused:
        geojson_features(collection(feature(field_id=1)), key="fieldid")
    assert "field_id" in refused.value.hint


def boxes(path: Path, *features: dict[str, Any]) -> Path:
    west = 500_000
    rows = [
        {"box": (west + 100 * n, 5_100_000, west + 100 * n + 50, 5_100_050), **one}
        for n, one in enumerate(features)
    ]
    geopackages.write(path, rows)
    return path


def test_a_geopackage_keeps_the_crs_of_its_layer(tmp_path: Path) -> None:
    path = boxes(tmp_path / "fields.gpkg", {"identifier": "north"}, {"identifier": "south"})
    found = geopackage_features(path, key="identifier")
    assert list(found) == ["north", "south"]
    north: Any = found["north"]
    assert north["crs"] == UTM33
    assert north["bounds"] == {"geometry": north["geometry"], "properties": {"crs": UTM33}}
    assert north["properties"] == {"id": 1, "identifier": "north"}
    # The table's own number is a key as well.
    assert list(geopackage_features(path, key="id")) == ["1", "2"]


def test_a_layer_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = boxes(tmp_path / "fields.gpkg", {"identifier": "north"})
    assert list(geopackage_features(path, key="id", layer="f")) == ["1"]
    with pytest.raises(GeometryError, match="no layer 'g'; it has"):
        geopackage_features(path, key="id", layer="g")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = boxes(tmp_path / "fields.gpkg", {"identifier": "north"})
    with pytest.raises(GeometryError, match="no property 'identifer'"):
        geopackage_features(path, key="identifer")
