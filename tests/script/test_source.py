"""Version lines, and places that engines count in their own units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.script.source import (
    is_name,
    is_older,
    names_in,
    own_place,
    place_of,
    place_of_units,
    unreadable,
    version_of,
)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("//VERSION=3", 3),
        ("//VERSION=3 (auto-converted from 1)", 3),
        ("// VERSION=3", 3),
        ("//VERSION = 3", 3),
        ("  //VERSION=3", 3),
        ("//version=3", None),
        ("\ufeff//VERSION=3\r\n", 3),
        ("//VERSION=2", 2),
        ("//VERSION=30", 30),
        ("//VERSION=3.1", None),
        ("//VERSION=3.Snow of mine", 3),
        ("//VERSION=", None),
        ("//VERSION 3", None),
        ("/*VERSION=3*/", None),
        ("\n \r\n\t//VERSION=3", 3),
        ("// of mine\n//VERSION=3", None),
        ("var a; //VERSION=3", None),
        ("", None),
    ],
)
def test_the_first_line_that_is_not_empty_says_the_version(line: str, version: int | None) -> None:
    assert version_of(line) == version


TEXTS = st.text(alphabet="a\t é\u20ac\U0001f6f0\n", max_size=40)


@given(TEXTS, st.data(), st.sampled_from(["utf-8", "utf-16-le"]))
def test_a_place_is_found_again_from_an_engines_count(
    text: str, data: st.DataObject, encoding: str
) -> None:
    offset = data.draw(st.integers(0, len(text)))
    line, column = place_of(text, offset)
    before = text[:offset].rsplit("\n", 1)[-1]
    units = len(before.encode(encoding)) // (1 if encoding == "utf-8" else 2)
    counted = units + 1 + (len("prefix") if line == 1 else 0)
    assert own_place(text, "prefix", line, counted, encoding=encoding) == (line, column)


@given(TEXTS, st.data())
def test_an_offset_in_units_of_javascript_is_the_same_place(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    units = len(text[:offset].encode("utf-16-le")) // 2
    assert place_of_units(text, units) == place_of(text, offset)


@given(TEXTS, st.integers(1, 90), st.none() | st.integers(1, 90))
def test_every_place_lies_in_the_text(text: str, line: int, column: int | None) -> None:
    lines = text.split("\n")
    found_line, found_column = own_place(text, "(", line, column, encoding="utf-8")
    assert 1 <= found_line <= len(lines)
    assert found_column is None or 1 <= found_column <= len(lines[found_line - 1]) + 1


@given(TEXTS)
def test_text_is_readable(text: str) -> None:
    assert unreadable(text) is None
    assert unreadable(text + "\0") == place_of(text, len(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("return [B04]; // B02", {"return", "B04"}),
        ("/* B02\n B03 */ B04 /* B05", {"B04"}),
        ("f('// ', B04)", {"f", "B04"}),
        ('f("/*", B04, "*/")', {"f", "B04"}),
        ("'it\\'s // ' + B04", {"it", "s", "B04"}),
        ("x.B04 + 2e3", {"x", "B04", "e3"}),
        ("`${B04}`", {"$", "B04"}),
        ("$a + _b", {"$a", "_b"}),
    ],
)
def test_names_are_those_outside_of_comments(text: str, names: set[str]) -> None:
    assert names_in(text) == names


def test_names_are_found_in_no_time_in_whatever_text() -> None:
    for text in ("/*" * 200_000, "'" * 200_001, '"\\' * 200_000, "// " * 200_000, "a" * 400_000):
        assert len(names_in(text)) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("function setup(ds) { setInputComponents([ds.B04]); }", True),
        ("setOutputComponentCount(3);", True),
        ("function setup(ds) { return {}; }", False),
        ("mysetInputComponents();", False),
        (
            "function setup(d) { return {components: [d.B04], output: [{componentCount: 1}]}; }",
            True,
        ),
        ("({'componentCount' : 3})", True),
        ("const componentCount = 3;", False),
    ],
)
def test_older_dialects_are_known_by_what_they_call(text: str, expected: bool) -> None:
    assert is_older(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("B04", True), ("_x$", True), ("4B", False), ("a b", False), ("", False)]
)
def test_a_band_that_is_no_name_is_no_variable(text: str, expected: bool) -> None:
    assert is_name(text) is expected
