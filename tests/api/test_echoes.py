"""Whatever the spelling, a server that repeats a secret is not quoted with it."""

from __future__ import annotations

import base64
import html
import json
import re
import textwrap
from collections.abc import Callable
from typing import cast
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.answers import MalformedAnswerError
from shplan.api.auth import Authenticator
from shplan.api.credentials import Credentials
from shplan.api.discretion import Discretion
from shplan.api.echoes import forms, scrub, scrub_value
from shplan.api.wire import Received
from shplan.core.request import Answer
from shplan.core.value import JsonValue
from tests.support.bounded import bounded


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


ECHOED = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=8, max_size=40)


@given(ECHOED, st.text(max_size=5), st.text(max_size=5))
def test_a_secret_is_found_in_every_form_of_an_echo(secret: str, before: str, after: str) -> None:
    text = f"{before}{secret}{after}"
    once = json.dumps(text)
    echoes = (
        text,
        once,
        json.dumps(once),
        json.dumps(text, ensure_ascii=False),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(f"id:{secret}".encode()).decode(),
        base64.b64encode(f"i:{secret}:x".encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    )
    for echo in echoes:
        assert not set(forms([secret])) & set(_parts(scrub(echo, [secret]), forms([secret]))), echo


def _parts(text: str, found: tuple[str, ...]) -> list[str]:
    return [one for one in found if one in text.replace("(sensitive)", "\0")]


def test_base_64_of_a_secret_is_replaced_wherever_it_begins() -> None:
    secret = "canary-in-base-64!"
    for before in ("", "a", "ab", "abc", "id:"):
        for after in ("", "x", "xy"):
            echo = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
            shown = scrub(f"Basic {echo}", [secret])
            assert "(sensitive)" in shown
            assert len(shown) < len(echo), shown


def _units(text: str) -> list[str]:
    content = text.encode("utf-16-be")
    return [content[at : at + 2].hex() for at in range(0, len(content), 2)]


# A secret as keys of AWS are, a key as of a certificate, and a document of credentials.
KEY = "canary-wJalr/XUtn+FEMI K7'MDENG&bPx\\é\U0001f30d"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON, every character": lambda text: "".join(f"\\u{one}" for one in _units(text)),
    "JSON, in capitals": lambda text: "".join(f"\\u{one.upper()}" for one in _units(text)),
    "JSON in JSON": lambda text: json.dumps("".join(f"\\u{one}" for one in _units(text)))[1:-1],
    "JSON, slashes as some write them": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "a script": lambda text: "".join(f"\\x{b:02x}" if b < 128 else chr(b) for b in map(ord, text)),
    "a URL, every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "a URL, small letters": lambda text: quote(text, safe="").replace("%2F", "%2f"),
    "a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "a form": lambda text: quote_plus(text).replace("%2F", "%2f"),
    "a page": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "a page, hexadecimal": lambda text: "".join(f"&#X{ord(one):X};" for one in text),
    "a page, by names": lambda text: html.escape(text).replace("/", "&sol;").replace("+", "&plus;"),
    "a page in JSON": lambda text: json.dumps(html.escape(text).replace("/", "&#47;"))[1:-1],
    "a URL in JSON": lambda text: quote(text, safe="/").replace("/", "\\/"),
    "hexadecimal digits": lambda text: text.encode().hex(),
    "hexadecimal digits, in capitals": lambda text: text.encode().hex().upper(),
    "base 64 in a URL": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "base 64 in lines": lambda text: "\n".join(
        textwrap.wrap(base64.b64encode(text.encode()).decode(), 20)
    ),
    "base 64 in lines in JSON": lambda text: "\\r\\n".join(
        textwrap.wrap(base64.b64encode(text.encode()).decode(), 20)
    ),
    "capitals": str.upper,
    "small letters": str.lower,
    "lines": lambda text: text[:9] + "\n  " + text[9:],
}


# The last character of base 64 may stand for two bits of the secret.
SHOWN = re.compile(r"before \(sensitive\)(.?(=|%3D)*) after")


def _body(told: str) -> list[bytes]:
    """The echo as a body, as JSON has it already and as a member of an object."""
    raw = ('{"told": "before ' + told + ' after"}').encode()
    try:
        json.loads(raw)
    except ValueError:
        raw = b""
    return [one for one in (raw, json.dumps({"told": f"before {told} after"}).encode()) if one]


async def _no_token(_: bytes) -> bytes:
    raise AssertionError


class _Clock:
    def monotonic(self) -> float:
        return 0.0


def _discretion(*secrets: str) -> Discretion:
    clock: object = _Clock()
    auth = Authenticator(Credentials("id", "client-secret", "a test"), _no_token, clock)  # type: ignore[arg-type]
    found = Discretion(auth)
    found.reveal(secrets)
    return found


def _answer(body: bytes, *secrets: str) -> Answer:
    return _discretion(*secrets).answer((), Received(200, {}, body))


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("secret", [KEY, "canary/short+"])
def test_a_secret_is_found_however_it_is_spelled(name: str, secret: str) -> None:
    told = SPELLINGS[name](secret)
    assert SHOWN.fullmatch(scrub(f"before {told} after", [secret]))
    for body in _body(told):
        shown = cast("dict[str, str]", _answer(body, secret).body)
        assert SHOWN.fullmatch(shown["told"]), shown


PRIVATE = textwrap.wrap(base64.b64encode(bytes(range(200))).decode(), 64)
PEM = "\n".join(("-----BEGIN PRIVATE KEY-----", *PRIVATE, "-----END PRIVATE KEY-----", ""))
ACCOUNT = json.dumps({"type": "service_account", "project_id": "fields", "private_key": PEM})


@pytest.mark.parametrize("secret", [PEM, ACCOUNT, base64.b64encode(ACCOUNT.encode()).decode()])
def test_a_part_of_a_secret_is_one_itself(secret: str) -> None:
    for line in PRIVATE[:-1]:
        assert scrub(f"bad line {line}", [secret]).startswith("bad line (sensitive)")
    for told in (PEM, PEM.replace("\n", " "), PEM.replace("\n", "\r\n"), json.dumps(PEM)):
        shown = scrub(f"no {told}", [secret])
        assert not any(line[:12] in shown for line in PRIVATE), shown
    assert scrub("-----BEGIN PRIVATE KEY-----", [secret]) == "-----BEGIN PRIVATE KEY-----"
    assert scrub("no service_account of fields", [secret]) == "no service_account of fields"


ORDINARY = st.text(st.sampled_from("ab01%&\\+/;u x\n#"), max_size=60)


@given(ORDINARY)
def test_what_repeats_nothing_stays_as_it_is(text: str) -> None:
    assert scrub(text, ["canary-secret", "canary%41&amp;\\u0041"]) == text
    body = json.dumps({"told": text}).encode()
    assert _answer(body, "canary-secret").body == {"told": text}


@pytest.mark.parametrize(
    "content",
    [
        "\\" * 500_000,
        "&#" * 300_000,
        "&#" + "9" * 5000 + ";&#x" + "f" * 5000 + ";&#" + "0" * 900_000,
        "%25" * 300_000,
        "\\u0041" * 100_000,
        " " * 1_000_000,
    ],
)
def test_a_text_of_escapes_takes_no_time(content: str) -> None:
    with bounded():
        scrub(content, [KEY, PEM])
        scrub(content[: 1 << 16], [KEY, PEM])


def test_a_file_that_repeats_a_secret_is_refused_however_it_is_spelled() -> None:
    """Of pictures and archives the bytes are looked at, of texts what they say."""
    discretion = _discretion("canary/key-1")
    for content in (b'{"a":"canary\\/key-1"}', b"\0canary/key-1", b"&#99;anary/key-1"):
        with pytest.raises(MalformedAnswerError, match="repeats a secret"):
            discretion.file_answer(Received(200, {}, content))
    kept = discretion.file_answer(Received(200, {"content-type": "a/canary/key-1; x"}, b"\\"))
    assert kept.content == b"\\"
    assert kept.media_type == "a/(sensitive)"


def test_a_secret_that_is_a_word_changes_no_value_that_is_compared() -> None:
    """Whose key is `test` has a bucket `test-fields`; it is not taken for another one."""
    body = {"id": "test-1", "s3Bucket": "test", "note": "test", "url": "s3://test-fields/x"}
    with pytest.raises(MalformedAnswerError, match="name of an object"):
        _answer(json.dumps(body).encode(), "test")
    del body["s3Bucket"]
    assert _answer(json.dumps(body).encode(), "test").body == {**body, "note": "(sensitive)"}


@pytest.mark.parametrize("columns", [("id", "name"), ("name",), ("id",)])
def test_a_page_whose_names_repeat_a_secret_is_none(columns: tuple[str, ...]) -> None:
    discretion = _discretion("canary-key-1")
    page = json.dumps({"data": [{"id": "canary-key-1", "name": "x canary-key-1"}]}).encode()
    with pytest.raises(MalformedAnswerError, match="name of an object"):
        discretion.page(columns, Received(200, {}, page))
    other = json.dumps({"data": [{"id": "a", "name": "b", "told": "canary-key-1"}]}).encode()
    assert (
        discretion.page((*columns, "told"), Received(200, {}, other)).rows[0][-1] == "(sensitive)"
    )
