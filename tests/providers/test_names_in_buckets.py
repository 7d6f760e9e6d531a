"""Names are compared with templates of any number of gaps, in a time that grows with their lengths alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.paths import has_parts
from shplan.providers.async_traces import is_output
from shplan.providers.places import names_of
from tests.support.bounded import bounded

PARTS = st.lists(st.text("ab/", max_size=3), min_size=1, max_size=5)


@given(PARTS, st.text("ab/", max_size=12), st.integers(0, 2))
def test_parts_are_found_as_an_expression_finds_them(
    parts: list[str], text: str, least: int
) -> None:
    gap = f".{{{least},}}"
    expected = re.fullmatch(gap.join(map(re.escape, parts)), text, re.DOTALL) is not None
    assert has_parts(text, parts, least=least) is expected


@given(PARTS, st.text("ab/", max_size=12))
def test_names_are_those_of_an_expression(parts: list[str], name: str) -> None:
    expected = re.fullmatch("[^/]+".join(map(re.escape, parts)), name) is not None
    assert names_of("<x>".join(parts)).fit(name) is expected


@pytest.mark.parametrize("gaps", [1, 20, 2000])
def test_many_gaps_take_no_time(gaps: int) -> None:
    with bounded():
        assert not has_parts("a" * 5000 + "b", ["a"] * gaps + ["c", "b"])
        assert not names_of("<x>a" * gaps + "c").fit("a" * 5000)
        template = "<OUTPUT>" * gaps
        assert not is_output("a.aa" * 250 + "/", template=template, identifier="a")


@given(
    st.lists(st.sampled_from(["", "a", ".", "/b"]), min_size=1, max_size=4),
    st.text("ab./", max_size=10),
)
def test_outputs_are_named_with_an_extension_or_without(parts: list[str], name: str) -> None:
    output = r"a(?:\.[A-Za-z0-9]+)?"
    expected = re.fullmatch(output.join(map(re.escape, parts)), name) is not None
    assert is_output(name, template="<OUTPUT>".join(parts), identifier="a") is expected
