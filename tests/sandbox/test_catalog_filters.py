from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox.catalog_filters import MAX_DEPTH, MAX_PARENTHESES, as_json, predicate_of
from shplan.sandbox.errors import ApiError
from shplan.sandbox.settings import Settings
from tests.support.bounded import bounded

from .catalogs import BBOX, S2, SUMMER, Catalogue
from .support import Driver

QUERYABLES: Any = {
    "eo:cloud_cover": {"type": "number"},
    "gsd": {"type": "integer"},
    "sat:orbit_state": {"type": "string", "enum": ["ascending", "descending"]},
}
NUMBERS = st.integers(0, 20) | st.sampled_from([0.5, 1.25, 19.75])
WORDS = st.sampled_from(["ascending", "descending", "it's"])
ITEMS = st.fixed_dictionaries(
    {},
    optional={"eo:cloud_cover": NUMBERS, "gsd": NUMBERS, "sat:orbit_state": WORDS},
)
SIGNS = ["=", "<>", "<", "<=", ">", ">="]


@pytest.fixture
def catalogue(api: Driver, tmp_path: Path) -> Catalogue:
    return Catalogue(api, tmp_path)


def holds(expression: Any, properties: Any, **changes: Any) -> Any:
    found = predicate_of({"filter": as_json(expression)}, QUERYABLES, Settings().patched(changes))
    assert found is not None
    return found(properties)


def compared(name: str, sign: str, value: Any) -> tuple[str, Any]:
    shown = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
    return f"{name} {sign} {shown}", {"op": sign, "args": [{"property": name}, value]}


def conjoined(parts: list[tuple[str, Any]]) -> tuple[str, Any]:
    return (
        " AND ".join(f"({text})" for text, _ in parts),
        {"op": "and", "args": [tree for _, tree in parts]},
    )


def ranged(name: str, low: Any, high: Any) -> tuple[str, Any]:
    return (
        f"{name} BETWEEN {low!r} AND {high!r}",
        {"op": "between", "args": [{"property": name}, low, high]},
    )


NAMES = st.sampled_from(["eo:cloud_cover", "gsd"])
LEAVES = (
    st.builds(compared, NAMES, st.sampled_from(SIGNS), NUMBERS)
    | st.builds(compared, st.just("sat:orbit_state"), st.sampled_from(SIGNS), WORDS)
    | st.builds(ranged, NAMES, NUMBERS, NUMBERS)
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(conjoined, st.lists(inner, min_size=2, max_size=3))
        | inner.map(lambda one: (f"NOT ({one[0]})", {"op": "not", "args": [one[1]]}))
    ),
    max_leaves=4,
)


@given(FILTERS, ITEMS)
def test_text_and_json_say_the_same(both: tuple[str, Any], properties: Any) -> None:
    text, tree = both
    if text.count("(") <= MAX_PARENTHESES:
        assert holds(text, properties) == holds(tree, properties)


@given(FILTERS, ITEMS)
def test_not_turns_what_is_known(both: tuple[str, Any], properties: Any) -> None:
    _, tree = both
    value = holds(tree, properties)
    turned = holds({"op": "not", "args": [tree]}, properties)
    assert turned == (None if value is None else not value)


@given(st.lists(FILTERS, min_size=1, max_size=3), ITEMS)
def test_and_holds_where_all_hold(several: list[tuple[str, Any]], properties: Any) -> None:
    trees = [tree for _, tree in several]
    whole = holds({"op": "and", "args": trees}, properties)
    assert (whole is True) == all(holds(tree, properties) is True for tree in trees)


@given(NAMES, NUMBERS, NUMBERS, ITEMS)
def test_between_is_two_comparisons(name: str, low: Any, high: Any, properties: Any) -> None:
    both = [compared(name, ">=", low)[1], compared(name, "<=", high)[1]]
    assert holds(ranged(name, low, high)[1], properties) == holds(
        {"op": "and", "args": both}, properties
    )


@given(st.sampled_from(SIGNS), NUMBERS)
def test_item_without_the_property_is_never_found(sign: str, value: Any) -> None:
    assert holds(compared("gsd", sign, value)[1], {}) is None
    assert holds({"op": "not", "args": [compared("gsd", sign, value)[1]]}, {}) is None


def test_property_may_stand_on_either_side() -> None:
    assert holds("10 > eo:cloud_cover", {"eo:cloud_cover": 5})
    assert not holds("10 > eo:cloud_cover", {"eo:cloud_cover": 15})
    assert holds('"eo:cloud_cover" = gsd', {"eo:cloud_cover": 10, "gsd": 10})


@pytest.mark.parametrize(
    "wrong",
    [
        "nothing = 1",
        "eo:cloud_cover = NaN",
        "eo:cloud_cover < 'ten'",
        "sat:orbit_state = 1",
        "1 = 'a'",
    ],
)
def test_names_and_types_must_fit(wrong: str) -> None:
    with pytest.raises(ApiError):
        holds(wrong, {})


def test_logic_may_be_held_to_and() -> None:
    clear = "eo:cloud_cover < 5 and gsd = 10"
    assert holds(clear, {"eo:cloud_cover": 1, "gsd": 10}, catalog_logic="and")
    for text in ("not (gsd = 10)", "gsd = 10 and not (gsd = 5)"):
        assert holds(text, {"gsd": 10}) in (True, False)
        with pytest.raises(ApiError):
            holds(text, {"gsd": 10}, catalog_logic="and")


# Searches.


@pytest.mark.parametrize(
    ("given_filter", "language"),
    [
        ("eo:cloud_cover < 20", "cql2-text"),
        ("eo:cloud_cover < 20", None),
        ({"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]}, "cql2-json"),
        ({"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]}, None),
        # What the `sentinelhub` package makes of one filter.
        ({"op": "and", "args": [{"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]}]}, None),
    ],
    ids=str,
)
def test_search_keeps_what_the_filter_keeps(
    catalogue: Catalogue, given_filter: Any, language: str | None
) -> None:
    about: dict[str, Any] = {"bbox": BBOX, "datetime": SUMMER, "limit": 100}
    everything = catalogue.search(**about)["features"]
    clear = [one["id"] for one in everything if one["properties"]["eo:cloud_cover"] < 20]
    extra = {} if language is None else {"filter-lang": language}
    for limit in (2, 100):
        about["limit"] = limit
        assert catalogue.ids(filter=given_filter, **about, **extra) == clear
    assert 0 < len(clear) < len(everything)


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": "eo:cloud_cover < 20", "filter-lang": "cql2-json"},
        {"filter": {"op": "=", "args": [1, 1]}, "filter-lang": "cql2-text"},
        {"filter": "eo:cloud_cover < 20", "filter-lang": "cql-text"},
        {
            "filter": "eo:cloud_cover < 20",
            "filter-crs": "http://www.opengis.net/def/crs/EPSG/0/4326",
        },
        {"filter": "eo:cloud_cover < 20", "filter-crs": "nonsense"},
        {"filter": ""},
        {"filter": "eo:cloud_cover"},
        {"filter": "eo:cloud_cover <"},
        {"filter": "eo:cloud_cover < 20 or eo:cloud_cover > 80"},
        {"filter": "eo:cloud_cover in (1, 2)"},
        {"filter": "eo:cloud_cover like '1%'"},
        {"filter": "eo:cloud_cover is null"},
        {"filter": "eo:cloud_cover = true"},
        {"filter": "eo:cloud_cover = 1 + 2"},
        {"filter": "eo:cloud_cover < 1e999"},
        {"filter": "s_intersects(geometry, POINT(1 1))"},
        {"filter": "datetime > TIMESTAMP('2020-01-01T00:00:00Z')"},
        {"filter": "nothing = 1"},
        {"filter": []},
        {"filter": 5},
        {"filter": {}},
        {"filter": {"op": "or", "args": []}},
        {"filter": {"op": "and", "args": []}},
        {"filter": {"op": "and"}},
        {"filter": {"op": "=", "args": [{"property": "eo:cloud_cover"}]}},
        {"filter": {"op": "between", "args": [{"property": "eo:cloud_cover"}, 1, "b"]}},
        {"filter": {"op": "=", "args": [{"property": ["eo:cloud_cover"]}, 1]}},
        {"filter": {"op": "=", "args": {"property": "eo:cloud_cover"}}},
        {"filter": {"op": ["="], "args": [1, 1]}},
    ],
    ids=str,
)
def test_wrong_filters_are_refused(catalogue: Catalogue, wrong: Any) -> None:
    catalogue.refused(collections=[S2], bbox=BBOX, datetime=SUMMER, **wrong)


def deep(op: str, depth: int) -> Any:
    value: Any = {"op": "=", "args": [{"property": "eo:cloud_cover"}, 1]}
    for _ in range(depth):
        value = {"op": op, "args": [value]}
    return value


HOSTILE: dict[str, Any] = {
    "open": "(" * 300,
    "closed": ")" * 300,
    "deep": "(" * 3000 + "gsd = 1" + ")" * 3000,
    "deep and wrong": "(" * 8 + "gsd = " + ")" * 8,
    "many deep and wrong": " and ".join(["((((((((gsd = 1))))))))"] * 100) + " and ((((((((gsd =",
    "not": "not " * 1000 + "gsd = 1",
    "not in parentheses": "not (" * 40 + "gsd = 1" + ")" * 40,
    "minus": "gsd = " + "-" * 4000 + "1",
    "minus apart": "gsd = " + "- " * 2000 + "1",
    "powers": "gsd = " + "1 ^ " * 1000 + "1",
    "sum": "gsd = " + "1 + " * 1000 + "1",
    "ands": " and ".join(["gsd = 1"] * 400),
    "long": "gsd = 1 and " * 100_000 + "gsd = 1",
    "word": "gsd = '" + "x" * 1_000_000 + "'",
    "quotes": "'" * 4001,
    "brackets": "[" * 300,
    "calls": "f(" * 300,
    "json not": deep("not", 40),
    "json and": deep("and", 400),
    "json wide": {"op": "and", "args": [deep("not", 1)] * 5000},
    "digits": "gsd = " + "9" * 4000,
    "zero": "gsd = \x00",
    "lone": "gsd = 1 \U0001f600",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_filters_are_answered_at_once(catalogue: Catalogue, name: str) -> None:
    with bounded():
        answer = catalogue.post(
            collections=[S2], bbox=BBOX, datetime=SUMMER, filter=HOSTILE[name], limit=1
        )
    assert answer.status_code == 400


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "(",
                ")",
                "(",
                "and",
                "not",
                "gsd",
                "=",
                "<",
                "1",
                "'a'",
                "between",
                "-",
                "[",
                "]",
                ",",
            ]
            + ["*", "^", "in", "f(", "POINT", "like", "or", "is", "null", "casei(", "DATE(", "."]
        ),
        max_size=60,
    )
)
def test_any_text_is_read_or_refused_in_bounded_time(words: list[str]) -> None:
    with bounded(), suppress(ApiError):
        as_json(" ".join(words))


def test_bounds_leave_room_for_real_filters() -> None:
    text = " and ".join(["(gsd = 10)"] * 50)
    assert holds(text, {"gsd": 10})
    assert holds("(" * MAX_PARENTHESES + "gsd = 10" + ")" * MAX_PARENTHESES, {"gsd": 10})
    assert holds(deep("not", MAX_DEPTH - 3), {"eo:cloud_cover": 2})
