"""A signed head is read as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.signed_heads import SignedHead, Statement, parse

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
STATEMENTS = st.builds(Statement, TEXT, TEXT, st.integers(0, 10**17), HEX, TEXT)
SIGNED = st.builds(SignedHead, STATEMENTS, TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(signed=SIGNED)
def test_what_is_written_is_read(signed: SignedHead) -> None:
    assert parse(signed.line()) == signed
    assert signed.line().count(b"\n") == 1
    assert parse(signed.line()[:-1]) == signed


def test_what_is_signed_is_pinned() -> None:
    statement = Statement("demo", "prod", 412, "sha256:" + "a" * 64, "2025-06-01T10:00:00.000Z")
    assert statement.content() == (
        b'{"environment":"prod","hash":"sha256:' + b"a" * 64 + b'","project":"demo",'
        b'"sequence":412,"time":"2025-06-01T10:00:00.000Z","v":1}\n'
    )


@given(one=STATEMENTS, other=STATEMENTS)
def test_two_statements_are_never_the_same_bytes(one: Statement, other: Statement) -> None:
    assert (one == other) is (one.content() == other.content())


@given(signed=SIGNED, which=st.integers(0, 7), value=JSON)
def test_another_field_or_value_is_refused_or_another_head(
    signed: SignedHead, which: int, value: object
) -> None:
    record = json.loads(signed.line())
    record[[*sorted(record), "extra"][which]] = value
    try:
        found = parse(json.dumps(record).encode())
    except ValueError:
        return
    assert json.loads(found.line()) == record


@given(content=st.binary(max_size=40))
def test_whatever_is_no_signed_head_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        parse(content)


def test_a_newer_format_says_so() -> None:
    with pytest.raises(ValueError, match="format 2 and this shplan knows 1: a newer shplan"):
        parse(b'{"v":2,"anything":[]}')
