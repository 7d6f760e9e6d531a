"""Canonical JSON: one form for what means the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.value import (
    NotCanonicalError,
    SecretReference,
    Sensitive,
    Unknown,
    canonical,
    digest,
    is_known,
    printable,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_the_canonical_form_is_a_fixed_point(value) -> None:
    once = canonical(value)
    assert canonical(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), st.integers(0, 9)))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert digest(backwards) == digest(value)


def test_whole_floats_are_integers() -> None:
    assert canonical({"x": 1.0}) == canonical({"x": 1}) == b'{"x":1}'
    assert canonical(True) != canonical(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, -(2**63) - 1])
def test_what_json_cannot_carry_is_refused(value: float) -> None:
    with pytest.raises(NotCanonicalError):
        canonical([value])


def test_a_secret_is_shown_by_where_it_comes_from() -> None:
    secret = Sensitive(("key=", SecretReference("env:KEY")))
    assert str(secret) == repr(secret) == "(sensitive)"
    assert printable({"a": secret}) == {"a": {"$secret": "key={{ secret('env:KEY') }}"}}


def test_an_unknown_is_a_value_of_its_own_type() -> None:
    unknown = Unknown("{{ ref('A/b').id }}", "C/d", ())
    assert str(unknown) == "(known after apply)"
    assert not is_known({"a": [unknown]})
    assert printable(unknown) == {"$unknown": "{{ ref('A/b').id }}"}


@pytest.mark.parametrize("number", [10**16, 2**53, 2**63, -(2**63)])
def test_a_number_has_one_form_whatever_its_type(number: int) -> None:
    assert canonical(float(number)) == canonical(number)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(NotCanonicalError):
        canonical({"text": "\ud800"})


def test_nesting_without_end_is_refused() -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(NotCanonicalError):
        canonical(value)
