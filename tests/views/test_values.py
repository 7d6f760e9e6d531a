"""Values for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.value import SecretReference, Sensitive, Unknown, Value
from shplan.views.values import Paint, amount, brief, clip, contrast, pairs, pu, safe
from tests.views.plans import square

UNKNOWN = Unknown("{{ x }}", "A/b", ())
SENSITIVE = Sensitive(("hunter2", SecretReference("env:HUNTER2")))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "(none)"),
        (True, "true"),
        (0, "0"),
        (0.5, "0.5"),
        ("0", '"0"'),
        ("", '""'),
        ("two\nlines", '"two\\nlines"'),
        ("a\u202eb\x9b", '"a?b?"'),
        (UNKNOWN, "(known after apply)"),
        (SENSITIVE, "(sensitive)"),
        ({"b": SENSITIVE, "a": [UNKNOWN]}, '{"a":["(known after apply)"],"b":"(sensitive)"}'),
        ({}, "{}"),
        (2**70, str(2**70)),
        (square(14), "Polygon, 5 points"),
        (square(14, "EPSG::32633"), "Polygon, 5 points in EPSG:32633"),
        ({"type": "Point", "coordinates": [1, 2]}, "Point, 1 point"),
        ({"type": "MultiPolygon", "coordinates": []}, "MultiPolygon, 0 points"),
        ({"type": "s3", "coordinates": 1}, '{"coordinates":1,"type":"s3"}'),
    ],
)
def test_a_value_is_told_on_one_line(value: Value, told: str) -> None:
    assert brief(value) == told


def test_a_long_value_is_shortened() -> None:
    assert brief("x" * 100, longest=10) == '"xxxxxx...'


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (1, 2, "1 -> 2"),
        (1, None, "1 -> (none)"),
        ("1", 1, '"1" -> 1'),
        (square(1), square(2), "Polygon, 5 points -> another Polygon, 5 points"),
        (None, square(2), "(none) -> Polygon, 5 points"),
        ("a" * 50 + "b" + "z" * 50, "a" * 50 + "c", '...aaaaaabzzzzzzz... -> ...aaaaaac"'),
        ("a" * 50, "b", '"aaaaaaaaaaaaaaaa... -> "b"'),
    ],
)
def test_two_values_are_told_from_where_they_differ(before: Value, after: Value, told: str) -> None:
    assert contrast(before, after, longest=44) == told


@given(*[st.text("ab", max_size=60)] * 3)
def test_what_differs_looks_different(common: str, before: str, after: str) -> None:
    """A shortened text that hides the only difference would tell nothing."""
    left, right = contrast(common + before, common + after, longest=40).split(" -> ")
    assert (left == right) == (before == after)


@given(st.recursive(st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
def test_equal_values_have_no_pairs_that_differ(value: Value) -> None:
    assert all(before == after for _, before, after in pairs(value, value, "spec"))


def test_objects_are_compared_inside() -> None:
    before: Value = {"same": 1, "gone": {"a": 1}, "other": [1]}
    after: Value = {"same": 1, "new": {"b": {}}, "other": [2]}
    assert [*pairs(before, after, "s")] == [
        ("s.gone.a", 1, None),
        ("s.new.b", None, {}),
        ("s.other", [1], [2]),
    ]


def test_a_geometry_is_not_looked_into() -> None:
    assert [*pairs(None, square(1), "g")] == [("g", None, square(1))]


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 PU"), (1, "1 PU"), (1.5, "1.5 PU"), (200_001, "200,001 PU"), (0.001, "0.001 PU")],
)
def test_processing_units_are_told_as_they_are_billed(number: float, told: str) -> None:
    assert pu(number) == told


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 tiles"), (1, "1 tile"), (12_000, "12,000 tiles")]
)
def test_things_are_counted(number: int, told: str) -> None:
    assert amount(number, "tile") == told


@given(st.text())
def test_safe_text_is_one_line_that_no_terminal_obeys(text: str) -> None:
    told = safe(text)
    assert told.isprintable()
    assert len(told) == len(text)
    assert safe(told) == told


def test_a_sentence_is_clipped() -> None:
    assert clip("one\ntwo three", longest=10) == "one two..."


def test_paint_without_colour_is_the_text() -> None:
    assert Paint(color=False)("x", "red") == "x"
    assert Paint(color=True)("x", "red") == "\x1b[31mx\x1b[0m"
    assert Paint(color=True)("x", "") == "x"
