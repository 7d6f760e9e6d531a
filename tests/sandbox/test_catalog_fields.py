from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.catalog_fields import DEFAULTS, fields_of, listed
from shplan.sandbox.errors import ApiError

from .catalogs import BBOX, DECEMBER, Catalogue
from .support import Driver

ITEM: Any = {
    "stac_version": "1.0.0",
    "stac_extensions": [],
    "type": "Feature",
    "id": "x",
    "collection": "c",
    "geometry": {"type": "Point"},
    "bbox": [0, 0, 0, 0],
    "properties": {"datetime": "2020-01-01T00:00:00Z", "eo:cloud_cover": 5, "gsd": 10},
    "assets": {"data": {}},
    "links": [],
}
PATHS = [name for name in ITEM if name != "properties"] + [
    f"properties.{name}" for name in ITEM["properties"]
]
ASKED = st.lists(st.sampled_from([*PATHS, "properties", "nothing", "properties.nothing", ""]))


def paths(item: Any) -> set[str]:
    own = {name for name in item if name != "properties"}
    return own | {f"properties.{name}" for name in item.get("properties", {})}


def shaped(include: list[str] | None = None, exclude: list[str] | None = None) -> set[str]:
    asked: Any = {"include": include, "exclude": exclude}
    return paths(fields_of({n: v for n, v in asked.items() if v is not None}).of(ITEM))


def test_an_empty_object_means_the_default_set() -> None:
    assert shaped() == shaped([], []) == set(DEFAULTS)


@given(ASKED)
def test_include_adds_to_the_default_set(include: list[str]) -> None:
    known = {path for path in PATHS if path in include}
    if "properties" in include:
        known |= {path for path in PATHS if path.startswith("properties.")}
    assert shaped(include) == set(DEFAULTS) | known


@given(ASKED)
def test_exclude_takes_from_the_default_set(exclude: list[str]) -> None:
    gone = set(exclude)
    if "properties" in exclude:
        gone |= {path for path in PATHS if path.startswith("properties.")}
    assert shaped(None, exclude) == set(DEFAULTS) - gone


@given(ASKED, ASKED)
def test_what_both_name_is_left_out(include: list[str], exclude: list[str]) -> None:
    both = set(include) & set(exclude)
    assert not shaped(include, exclude) & both
    alone = {path for path in PATHS if path in include} - set(exclude)
    assert alone <= shaped(include, exclude)


@given(ASKED, ASKED)
def test_order_and_repetition_do_not_matter(include: list[str], exclude: list[str]) -> None:
    assert shaped(include, exclude) == shaped(include[::-1] * 2, exclude[::-1] * 2)


def test_more_precise_path_decides() -> None:
    assert "properties.datetime" not in shaped(["properties"], ["properties.datetime"])
    assert shaped(["properties.gsd"], ["properties"]) == {
        *(name for name in DEFAULTS if name != "properties.datetime"),
        "properties.gsd",
    }


@given(ASKED, ASKED)
def test_a_comma_list_says_the_same(include: list[str], exclude: list[str]) -> None:
    text = ",".join([*include, *(f"-{name}" for name in exclude if name)])
    asked = listed(text)
    assert asked["include"] == [name for name in include if name]
    assert asked["exclude"] == [name for name in exclude if name]


def test_properties_may_be_left_out_whole() -> None:
    assert "properties" not in fields_of({"exclude": ["properties"]}).of(ITEM)


def test_too_many_paths_are_refused() -> None:
    with pytest.raises(ApiError):
        fields_of({"include": ["x"] * 1001})


def test_fields_of_a_search(api: Driver, tmp_path: Path) -> None:
    """The example of the reference, and everything where the parameter is absent."""
    catalogue = Catalogue(api, tmp_path)
    fields = "id,type,-geometry,bbox,properties,-links,-assets"
    query = {"collections": "sentinel-2-l2a", "bbox": "13,45,14,46", "datetime": DECEMBER}
    one = catalogue.get("/search", **query, fields=fields, limit=1).json()["features"][0]
    whole = catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=1)["features"][0]
    assert one == {name: whole[name] for name in ("id", "type", "bbox", "properties")}
    assert set(whole) == set(ITEM)
