"""What a JSON text can hold is known before it is read, and never too small a number."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.answers import MalformedAnswerError, read_json, read_page
from shplan.core.json_bounds import MOST_VALUES, holds_too_much, read_bounded, values_at_most
from shplan.core.value import JsonValue
from shplan.manifest.geodata import GeometryError, load_json
from shplan.providers.answers import BadAnswerError
from shplan.providers.answers import read_json as read_answer

JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


def count(value: JsonValue) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


@given(JSON)
def test_no_text_holds_more_than_is_counted(value: JsonValue) -> None:
    content = json.dumps(value).encode()
    assert count(value) <= values_at_most(content)
    assert read_bounded(content) == value
    assert holds_too_much(content, most=values_at_most(content)) is False


def test_what_holds_too_much_is_not_read() -> None:
    """Read, it would take six times as much memory as there are bytes."""
    wide = b"[" + b"[]," * (MOST_VALUES // 2) + b"0]"
    with pytest.raises(MalformedAnswerError, match="more values"):
        read_json(wide)
    with pytest.raises(MalformedAnswerError, match="more values"):
        read_page(b'{"data": ' + wide + b"}", ())
    with pytest.raises(BadAnswerError, match="more values"):
        read_answer(wide)
    with pytest.raises(ValueError, match="more values"):
        read_bounded(wide)
    with pytest.raises(GeometryError, match="more than 50,000,000 values"):
        load_json(b'{"a": ' + wide * 6 + b"}")
