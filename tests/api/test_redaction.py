from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.redaction import (
    SECRET_NAMES,
    is_secret_name,
    may_hold_secrets,
    redact,
    scrub,
    scrub_value,
)
from shplan.core.value import JsonValue

SPELLINGS = st.sampled_from(
    ["secretAccessKey", "accessKey", "AccessKey", "secret_access_key", "client_secret", "password"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | SPELLINGS, inner, max_size=3)
    ),
    max_leaves=12,
)


def names_in(value: JsonValue) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(names_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    return set()


@given(JSON)
def test_no_secret_name_is_left_at_any_depth(value: JsonValue) -> None:
    left = redact(value)
    assert not any(map(is_secret_name, names_in(left)))
    assert redact(left) == left


@given(JSON)
def test_the_quick_look_never_misses_a_secret_name(value: JsonValue) -> None:
    if any(map(is_secret_name, names_in(value))):
        assert may_hold_secrets(orjson.dumps(value))


def test_the_quick_look_knows_every_secret_name() -> None:
    for name in SECRET_NAMES:
        assert may_hold_secrets(b'{"%b":1}' % name.upper().encode())
    assert may_hold_secrets(b'{"p\\u0061ssword":1}')
    assert not may_hold_secrets(b'{"data":[{"path":"x/(BAND).tiff"}],"links":{"nextToken":"y"}}')


def test_paging_and_ordinary_members_stay() -> None:
    body: JsonValue = {"links": {"nextToken": "t"}, "data": [{"key": 1, "tokens": 2, "path": "p"}]}
    assert redact(body) == body


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-1=", "Authorization: Bearer (sensitive)"),
        ("no access to s3 with canary-1", "no access to s3 with (sensitive)"),
        ("at https://u:pw@host/x", "at https://(sensitive)@host/x"),
        ("https://b/k?X-Amz-Signature=ab12&x=1", "https://b/k?X-Amz-Signature=(sensitive)&x=1"),
        ('{"secretAccessKey": "abc", "a": 1}', '{"secretAccessKey": "(sensitive)", "a": 1}'),
        ("client_secret=abc&x=1", "client_secret=(sensitive)&x=1"),
        ("path x/(BAND).tiff not found", "path x/(BAND).tiff not found"),
    ],
)
def test_texts_lose_their_secrets(text: str, shown: str) -> None:
    assert scrub(text, ("canary-1", "x")) == shown


def test_values_lose_known_secrets() -> None:
    value: JsonValue = {"a": ["canary-1", 1, None], "b": {"c": "x canary-1"}}
    assert scrub_value(value, ("canary-1",)) == {
        "a": ["(sensitive)", 1, None],
        "b": {"c": "x (sensitive)"},
    }
