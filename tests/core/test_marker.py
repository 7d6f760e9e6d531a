"""Markers: written once, read whatever people made of the text around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.marker import (
    Marker,
    make_marker,
    read_marker,
    read_script_marker,
    script_with_marker,
    script_without_marker,
    with_marker,
    without_marker,
)
from shplan.core.tokens import tokens

KEY = "0123456789abcdef"
MARKER = Marker("fields", Address("BatchProcess", "ndvi", "2025-06"), KEY, 2)
TEXT = str(MARKER)

NAMES = st.text(st.characters(exclude_characters="[]/", exclude_categories=["Zs"]), min_size=1)
KEYS = st.none() | st.text(st.characters(exclude_characters="[]"), min_size=1)
MARKERS = st.builds(
    Marker,
    st.text(min_size=1),
    st.builds(Address, st.sampled_from(["BatchProcess", "Process"]), NAMES, KEYS),
    st.text("0123456789abcdef", min_size=16, max_size=64),
    st.integers(1, 10_000),
)
TEXTS = st.text() | st.lists(
    st.sampled_from(["[", "]", "[shplan", " ", "\n", "x", "key=", KEY, TEXT, "[shplan x=[", "é"])
).map("".join)


def test_a_marker_is_for_people_too() -> None:
    assert with_marker("NDVI of June", TEXT) == (
        "NDVI of June"
        " [shplan project=fields address=BatchProcess/ndvi[2025-06] key=0123456789abcdef attempt=2]"
    )


@given(MARKERS, TEXTS)
def test_what_is_written_is_read(marker: Marker, description: str) -> None:
    text = with_marker(description, str(marker))
    assert read_marker(text) == marker
    assert without_marker(text) == description
    assert str(marker).isascii()
    assert len(str(marker).splitlines()) == 1


@given(MARKERS, TEXTS, TEXTS.filter(lambda text: read_marker(text) is None))
def test_people_may_write_around_it(marker: Marker, before: str, after: str) -> None:
    assert read_marker(f"{before} {marker} {after}") == marker


@given(TEXTS)
def test_any_text_can_be_read(text: str) -> None:
    if read_marker(text) is None:
        assert without_marker(text) == text
        assert read_marker(text.replace(KEY, "")) is None


def test_the_last_marker_counts() -> None:
    other = make_marker(
        project="fields", address=Address("BatchProcess", "ndvi"), key=KEY, attempt=1
    )
    text = with_marker(with_marker("copied", other), TEXT)
    assert read_marker(text) == MARKER
    assert read_marker(without_marker(text)) == Marker(
        "fields", Address("BatchProcess", "ndvi"), KEY
    )


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("key=", "shade=green urgent key="),
        TEXT[:-1] + " v=2 more=[x]]",
        TEXT.replace(" ", "\n  "),
        f"[[{TEXT}]]",
        f"[shplan note] {TEXT}",
        f"{TEXT} [shplan]",
        f"{TEXT} [shplan project=x]",
        f"[shplan project=x {TEXT}",
        "[shplan attempt=2 key=0123456789abcdef address=BatchProcess/ndvi[2025-06] project=fields]",
    ],
)
def test_other_versions_and_people_are_understood(text: str) -> None:
    assert read_marker(text) == MARKER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shplan",
        TEXT.replace("project=fields ", ""),
        TEXT.replace("address=BatchProcess/ndvi[2025-06] ", ""),
        TEXT.replace(KEY, KEY[:-1]),
        TEXT.replace(KEY, "g" * 16),
        TEXT.replace("attempt=2", "attempt=0"),
        TEXT.replace("attempt=2", "attempt=two"),
        TEXT.replace("/ndvi", ""),
        TEXT.removesuffix("]"),
    ],
)
def test_half_a_marker_is_none(text: str) -> None:
    assert read_marker(text) is None
    assert without_marker(text) == text


def test_without_a_count_it_is_the_first_attempt() -> None:
    found = read_marker(TEXT.replace(" attempt=2", ""))
    assert found is not None
    assert found.attempt == 1


@given(MARKERS, st.text())
def test_a_script_carries_one_on_its_last_line(marker: Marker, script: str) -> None:
    text = script_with_marker(script, str(marker))
    assert read_script_marker(text) == marker
    assert read_script_marker(text + "\n  \n") == marker
    assert script_without_marker(text) == script


def test_a_marker_changes_no_token() -> None:
    script = "//VERSION=3\nfunction evaluatePixel(s) {\n  return [s.B04 / 2]\n}"
    assert tokens(script_with_marker(script, TEXT)) == tokens(script)
    assert read_script_marker(script) is None
    assert script_without_marker(script) == script
    assert read_script_marker(f"x // {TEXT}") is None


def test_a_long_description_takes_no_time() -> None:
    """Read in linear time, whatever people paste."""
    for part in ("[shplan ", "[shplan a=[", "[shplan" + " " * 50, "[shplan a a a a a "):
        assert read_marker(part * 20_000) is None
