"""What a GeoPackage says of a request's cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from shplan.core.image_size import Sizing
from shplan.core.job_cost import Features
from shplan.providers.geopackage import bounds_of, read_features
from tests.support.geopackages import write

BOX = (500_000, 5_150_000, 501_000, 5_152_000)


def sizes(found: tuple[Features, ...]) -> dict[tuple[int, int], int]:
    return {(one.width_px, one.height_px): one.count for one in found}


def test_sizes_come_from_the_feature_and_else_from_the_defaults(tmp_path: Path) -> None:
    content = write(
        tmp_path / "a.gpkg",
        [
            {"identifier": "sized", "box": BOX, "width": 7, "height": 9, "resolution": 10.0},
            {"identifier": "resolved", "box": BOX, "resolution": 100.0},
            {"identifier": "default", "box": BOX},
            {"identifier": "another", "box": BOX},
        ],
    )
    found = read_features(content, Sizing({"width": 5, "height": 6}, filtered=False))
    assert sizes(found) == {(7, 9): 1, (10, 20): 1, (5, 6): 2}
    assert [one.least for one in found] == [one.count for one in found]
    found = read_features(content, Sizing({"resolution": 300}, filtered=True))
    assert sizes(found) == {(7, 9): 1, (10, 20): 1, (4, 7): 2}
    assert {one.least for one in found} == {0}


@pytest.mark.parametrize("shape", ["box", "multi"])
@pytest.mark.parametrize("envelopes", [True, False])
def test_boxes_are_read_with_and_without_an_envelope(
    tmp_path: Path, shape: str, *, envelopes: bool
) -> None:
    features = [{"identifier": "a", "box": BOX}]
    content = write(tmp_path / "a.gpkg", features, envelopes=envelopes, shape=shape)
    assert sizes(read_features(content, Sizing({"resolution": 100}, filtered=False))) == {
        (10, 20): 1
    }


@pytest.mark.parametrize(
    "content", [b"", b"not a database", b"SQLite format 3\x00" + b"\x00" * 200]
)
def test_what_is_no_geopackage_tells_nothing(content: bytes) -> None:
    assert read_features(content, Sizing({"resolution": 10}, filtered=False)) == ()


def test_a_feature_without_any_size_tells_nothing(tmp_path: Path) -> None:
    content = write(tmp_path / "a.gpkg", [{"identifier": "a", "box": BOX}])
    assert read_features(content, Sizing({}, filtered=False)) == ()


def test_where_features_lie_is_the_box_of_all(tmp_path: Path) -> None:
    boxes = [
        {"box": (500_000, 5_000_000, 500_100, 5_000_200)},
        {"box": (499_000, 5_001_000, 499_500, 5_002_000)},
    ]
    for envelopes in (True, False):
        found = bounds_of(write(tmp_path / "f.gpkg", boxes, envelopes=envelopes))
        assert found == {
            "bbox": [499_000, 5_000_000, 500_100, 5_002_000],
            "properties": {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"},
        }


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_where_nothing_lies_nobody_knows(content: bytes, tmp_path: Path) -> None:
    assert bounds_of(content) is None
    assert bounds_of(write(tmp_path / "f.gpkg", [])) is None
