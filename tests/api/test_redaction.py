from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.answers import MalformedAnswerError, read_json, read_page
from shplan.api.redaction import SECRET_NAMES, is_secret_name, may_hold_secrets, redact
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


def test_a_secret_member_of_json_in_a_text_is_removed() -> None:
    inner = json.dumps({"secretAccessKey": "canary", "url": "s3://x"})
    assert redact({"request": inner}) == {"request": '{"url":"s3://x"}'}
    script = "function setup() { return {secret: 1}; }"
    assert redact({"evalscript": script, "text": "{secret"}) == {
        "evalscript": script,
        "text": "{secret",
    }


def test_what_is_nested_without_end_is_no_answer() -> None:
    with pytest.raises(MalformedAnswerError, match="nested"):
        read_json(b"[" * 400 + b"]" * 400)
    with pytest.raises(MalformedAnswerError):
        read_json(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    with pytest.raises(MalformedAnswerError):
        read_page(b'{"data":' + b"[" * 100_000, ("id",))


def test_what_objects_are_found_by_is_no_list() -> None:
    with pytest.raises(MalformedAnswerError):
        read_json(b'{"id": {"a": 1}}')
    for columns in ((), ("id",), ("id", "name")):
        with pytest.raises(MalformedAnswerError):
            read_page(b'{"data": [{"id": ["x"], "name": "a"}]}', columns)
    assert read_page(b'{"data": [{"id": 7}]}', ("id",)).rows == ((7,),)
