from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.answers import (
    Complaint,
    MalformedAnswerError,
    plain_text,
    read_date,
    read_error,
    read_json,
    read_page,
    read_spent_pu,
)
from shplan.core.value import JsonValue


def page_of(*data: object, **links: object) -> bytes:
    return orjson.dumps({"data": data, "links": links})


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (("id",), ("1",)),
        (("id", "path"), ("1", "p")),
        (("path", "id"), ("p", "1")),
        (("id", "absent"), ("1", None)),
        (("additionalData",), ({"cause": {"text": "t"}, "n": 1},)),
        (("additionalData.n", "id"), (1, "1")),
        (("additionalData.cause.text",), ("t",)),
        (("additionalData.n", "additionalData.cause.text"), (1, "t")),
        (("additionalData", "additionalData.n"), ({"cause": {"text": "t"}, "n": 1}, 1)),
        (("additionalData.n", "id", "additionalData"), (1, "1", {"cause": {"text": "t"}, "n": 1})),
        (("nothing.at.all", "none.x"), (None, None)),
        (("@id",), ("u",)),
    ],
)
def test_rows_have_the_columns_in_their_order(
    columns: tuple[str, ...], row: tuple[JsonValue, ...]
) -> None:
    member = {
        "id": "1",
        "path": "p",
        "additionalData": {"cause": {"text": "t"}, "n": 1},
        "none": None,
        "@id": "u",
    }
    assert read_page(page_of(member), columns).rows == (row,)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.none() | st.integers(0, 9) | st.text(max_size=3) | st.just({"a": 1, "x": None}),
        ),
        max_size=4,
    )
)
def test_columns_are_what_the_whole_object_has(members: list[dict[str, JsonValue]]) -> None:
    """The typed decoder and the plain one say the same."""
    whole = read_page(page_of(*members), ()).rows
    assert whole == tuple((member,) for member in members)
    rows = read_page(page_of(*members), ("c", "a")).rows
    assert rows == tuple((member.get("c"), member.get("a")) for member in members)


def test_a_member_of_what_is_no_object_is_malformed_or_none() -> None:
    assert read_page(page_of({"a": None}), ("a.b",)).rows == ((None,),)
    with pytest.raises(MalformedAnswerError):
        read_page(page_of({"a": 5}), ("a.b",))
    assert read_page(page_of({"a": 5}), ("a", "a.b")).rows == ((5, None),)


def test_secret_members_do_not_come_out_of_a_page() -> None:
    member = {
        "id": "1",
        "s3": {"url": "s3://b", "secretAccessKey": "canary"},
        "accessKey": "canary",
    }
    assert read_page(page_of(member), ("id", "s3", "accessKey", "s3.secretAccessKey")).rows == (
        ("1", {"url": "s3://b"}, None, None),
    )
    assert read_page(page_of(member), ()).rows == (({"id": "1", "s3": {"url": "s3://b"}},),)
    escaped = b'{"data":[{"s3":{"secret\\u0041ccessKey":"canary"}}]}'
    assert read_page(escaped, ("s3",)).rows == (({},),)


@pytest.mark.parametrize(
    ("content", "token"),
    [
        (b'{"data":[]}', ""),
        (b'{"data":[],"links":null}', ""),
        (b'{"data":[],"links":{}}', ""),
        (b'{"data":[],"links":{"nextToken":null}}', ""),
        (b'{"data":[],"links":{"nextToken":""}}', ""),
        (b'{"data":[],"links":{"nextToken":"abc","@id":"x"},"more":1}', "abc"),
        (b'{"data":[],"links":{"nextToken":17}}', "17"),
    ],
)
def test_the_last_page_has_no_token(content: bytes, token: str) -> None:
    assert read_page(content, ("id",)).next_token == token


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"data":{}}', b'{"data":[1]}', b"<html>", b'{"data":[', b"\xff"],
)
def test_what_is_no_list_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        read_page(content, ("id",))


def test_json_is_read_without_secrets() -> None:
    assert read_json(b'{"data":{"id":"1","credentials":"canary"}}') == {"data": {"id": "1"}}
    assert read_json(b"  ") is None
    with pytest.raises(MalformedAnswerError):
        read_json(b"{")


BAD = "COMMON_BAD_PAYLOAD"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            {"error": {"status": 400, "reason": "Bad Request", "message": "no", "code": BAD}},
            Complaint("no", BAD),
        ),
        (
            {"status": 429, "reason": "Too Many", "message": "slow", "code": "R"},
            Complaint("slow", "R"),
        ),
        ({"error": {"status": 400, "reason": "Bad Request"}}, Complaint("Bad Request")),
        (
            {
                "error": {
                    "message": "no",
                    "code": BAD,
                    "errors": [{"parameter": "a->b", "violation": "v"}],
                }
            },
            Complaint("no", BAD, [{"parameter": "a->b", "violation": "v"}]),
        ),
        ({"error": {"message": "no", "errors": ["x"]}}, Complaint("no", "", ["x"])),
        ({"code": 404, "description": "not here"}, Complaint("not here", "404")),
        (
            {"error": "invalid_client", "error_description": "wrong"},
            Complaint("wrong", "invalid_client"),
        ),
        ({"error": "invalid_client"}, Complaint("invalid_client", "invalid_client")),
        ([1], Complaint("phrase")),
        ({}, Complaint("phrase")),
        (None, Complaint("phrase")),
        ({"error": {"message": "a\x1b[31m\nb"}}, Complaint("a [31m b")),
        ({"error": {"message": "key canary is wrong"}}, Complaint("key (sensitive) is wrong")),
        (
            {"error": {"message": "m", "errors": {"accessKey": "k", "x": "canary"}}},
            Complaint("m", "", [{"parameter": "x", "violation": "(sensitive)"}]),
        ),
    ],
)
def test_the_servers_words_are_found_in_every_shape(body: object, complaint: Complaint) -> None:
    content = orjson.dumps(body)
    assert read_error(content, phrase="phrase", secrets=("canary",)) == complaint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "phrase"),
        (b"upstream gone", "upstream gone"),
        (b"<html><head><title>502 Bad\nGateway</title></head><body>x", "502 Bad Gateway"),
        (b"<html><style>p{}</style><p>Service <b>down</b></p>", "Service down"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"<>", "phrase"),
    ],
)
def test_pages_of_gateways_become_one_line(content: bytes, message: str) -> None:
    assert read_error(content, phrase="phrase").message == message


@given(st.text(max_size=2000))
def test_a_servers_text_is_one_short_printable_line(text: str) -> None:
    line = plain_text(text)
    assert len(line) <= 500
    assert line.isprintable()


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Sun, 01 Jun 2025 10:00:00 GMT", "2025-06-01T10:00:00Z"),
        ("Sun, 01 Jun 2025 10:00:00 +0200", "2025-06-01T08:00:00Z"),
        ("yesterday", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_reads_the_date_in_utc(header: str | None, moment: str) -> None:
    assert read_date(header) == moment


@pytest.mark.parametrize(
    ("header", "spent"), [("0.33", 0.33), ("x", None), ("", None), (None, None)]
)
def test_reads_the_units_spent(header: str | None, spent: float | None) -> None:
    assert read_spent_pu(header) == spent
