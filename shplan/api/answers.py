"""
Reads answers: JSON, pages of lists, errors in all their shapes, headers.

Pages with known columns are decoded by a typed decoder that builds nothing else,
since a collection may have a million tiles. Whatever leaves this module has lost
its secret members. Source: API description, the list answers and `Error` schemas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from shplan.api.echoes import scrub, scrub_value
from shplan.api.redaction import is_secret_name, may_hold_secrets, redact
from shplan.core.frozen import dataclass
from shplan.core.json_bounds import holds_too_much
from shplan.core.value import JsonValue

Row: TypeAlias = tuple[JsonValue, ...]
_LONGEST_TEXT = 500
_DEEPEST_DETAILS = 5


class MalformedAnswerError(ValueError):
    """An answer is not what the API description promises."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `next_token` is empty on the last."""

    rows: tuple[Row, ...]
    next_token: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the server says is wrong, in one shape whatever the family."""

    message: str
    code: str = ""
    errors: JsonValue = None


def read_json(content: bytes) -> JsonValue:
    """
    Decode a body, without its secret members; None where it is empty.

    Raises:
        MalformedAnswerError: it is not JSON
    """
    if not content.strip():
        return None
    _check_size(content)
    try:
        body = redact(msgspec.json.decode(content))
    except RecursionError as error:
        msg = "the answer is nested too deeply"
        raise MalformedAnswerError(msg) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = "the answer is not JSON"
        raise MalformedAnswerError(msg) from error
    _check_names(body)
    return body


def read_page(content: bytes, columns: tuple[str, ...]) -> Page:
    """
    Decode one page of a list.

    Args:
        content: the body
        columns: members of each object, `a.b` for a member of a member; empty for whole objects

    Raises:
        MalformedAnswerError: it is not a list answer
    """
    return _reader(columns)(content)


def read_error(content: bytes, *, phrase: str, secrets: tuple[str, ...] = ()) -> Complaint:
    """
    Find the server's words in an error body: wrapped, bare, Catalog's, OAuth's, HTML, or none.

    Args:
        content: the body
        phrase: what to say where the body says nothing
        secrets: texts that were sent and must not come back
    """
    try:
        body = read_json(content)
    except MalformedAnswerError:
        body = content[: 40 * _LONGEST_TEXT].decode("utf-8", "replace")
    complaint = _complaint(body, phrase)
    return Complaint(
        message=plain_text(scrub(complaint.message, secrets)) or phrase,
        code=plain_text(scrub(complaint.code, secrets)),
        errors=_plain(_details(scrub_value(complaint.errors, secrets))),
    )


def _plain(value: JsonValue, depth: int = 0) -> JsonValue:
    """Return details whose texts are one short line each; no service nests them deeply."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict | list) and depth >= _DEEPEST_DETAILS:
        return "…"
    if isinstance(value, dict):
        return {plain_text(name): _plain(one, depth + 1) for name, one in value.items()}
    return [_plain(one, depth + 1) for one in value] if isinstance(value, list) else value


def plain_text(text: str) -> str:
    """Return one short line without markup and without control characters."""
    if "<" in text:
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title[1] if title else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"


def read_date(header: str | None) -> str:
    """Return the `Date` header as ISO 8601 in UTC, empty where it is absent or no date."""
    return _iso(header) if header else ""


def read_spent_pu(header: str | None) -> float | None:
    """Read `X-ProcessingUnits-Spent`; None where it is absent or no number."""
    try:
        spent_pu = float(header) if header else None
    except ValueError:
        return None
    return spent_pu if spent_pu is None or 0 <= spent_pu < math.inf else None


@lru_cache(maxsize=8)
def _iso(header: str) -> str:
    try:
        moment = parsedate_to_datetime(header)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, IndexError):
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _complaint(body: JsonValue, phrase: str) -> Complaint:
    if isinstance(body, str):
        return Complaint(body)
    if not isinstance(body, dict):
        return Complaint(phrase)
    error = body.get("error")
    if isinstance(error, dict):
        body = error
    elif isinstance(error, str):
        # Source: RFC 6749 section 5.2.
        return Complaint(_text(body.get("error_description")) or error, code=error)
    message = _text(body.get("message")) or _text(body.get("description"))
    return Complaint(
        message or _text(body.get("reason")) or phrase,
        code=_text(body.get("code")),
        errors=body.get("errors"),
    )


def _details(errors: JsonValue) -> JsonValue:
    """
    The single errors in one form: a list of objects with `parameter` and `violation`, or of texts.

    Source: the API description has an object for `errors`; answers have lists of objects, lists
    of texts, and maps as well.
    """
    if not isinstance(errors, dict):
        return errors
    if isinstance(errors.get("parameter"), str) and "violation" in errors:
        return [errors]
    return [{"parameter": name, "violation": _text(told)} for name, told in errors.items()]


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


# What objects are found and ordered by; a list, a mapping or a secret in such a place is no answer.
NAMES = frozenset({"id", "name", "path", "status", "created", "userAction", "s3Bucket"})
Scalar: TypeAlias = str | int | float | bool | None


def _check_names(member: JsonValue) -> None:
    """
    Check the few members that others rely on.

    Raises:
        MalformedAnswerError: one of them is a list or a mapping
    """
    if isinstance(member, dict) and any(
        isinstance(member.get(name), dict | list) for name in NAMES
    ):
        msg = "the answer has lists or objects where names are due"
        raise MalformedAnswerError(msg)


def _check_size(content: bytes) -> None:
    """
    Check that an answer can be held in memory once it is read.

    Raises:
        MalformedAnswerError: it holds more values than any answer does
    """
    if holds_too_much(content):
        msg = "the answer holds more values than any answer does"
        raise MalformedAnswerError(msg)


class _Links(msgspec.Struct, gc=False):
    nextToken: Any = None  # noqa: N815  the service's spelling


@lru_cache(maxsize=64)
def _reader(columns: tuple[str, ...]) -> Callable[[bytes], Page]:
    row_type = _row_type(columns) if columns else Any
    page_type = msgspec.defstruct(
        "Page",
        [("data", list[row_type]), ("links", _Links | None, None)],  # type: ignore[valid-type]  # made here
    )
    decoder = msgspec.json.Decoder(page_type)
    to_rows = _row_maker(columns)

    def read(content: bytes) -> Page:
        _check_size(content)
        try:
            page: Any = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = "the answer is not a list of objects with `data` and `links`"
            raise MalformedAnswerError(msg) from error
        if not columns:
            for member in page.data:
                _check_names(member)
        rows = to_rows(page.data)
        # Quotes behind a backslash: JSON in a text.
        if (_has_nested(rows) or b'\\"' in content) and may_hold_secrets(content):
            rows = tuple(tuple(redact(cell) for cell in row) for row in rows)
        token = None if page.links is None else page.links.nextToken
        return Page(rows, "" if token is None else str(token))

    return read


_NESTED = frozenset({dict, list})


def _has_nested(rows: tuple[Row, ...]) -> bool:
    return not _NESTED.isdisjoint(map(type, chain.from_iterable(rows)))


def _row_type(columns: tuple[str, ...]) -> Any:
    """Build a struct with just these members; what is absent, or null, is None."""
    members: dict[str, list[str]] = {}
    for column in columns:
        head, _, rest = column.partition(".")
        members.setdefault(head, []).append(rest)
    fields: list[tuple[str, Any, Any]] = []
    for index, (name, rests) in enumerate(members.items()):
        whole: Any = (Scalar if name in NAMES else Any) if "" in rests else None
        fields.append(
            (f"f{index}", whole if whole is not None else _row_type(tuple(rests)) | None, None)
        )
    rename = {f"f{index}": name for index, name in enumerate(members)}
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)


def _row_maker(columns: tuple[str, ...]) -> Callable[[list[Any]], tuple[Row, ...]]:
    if not columns:
        return lambda data: tuple((member,) for member in data)
    steps = _steps(columns)
    secret = [any(map(is_secret_name, column.split("."))) for column in columns]
    if not any("." in column for column in columns) and not any(secret):
        names = [step[0][0] for step in steps]
        get: Callable[[Any], Any] = attrgetter(*names)
        if len(names) == 1:
            return lambda data: tuple(zip(map(get, data)))
        return lambda data: tuple(map(get, data))

    def one(member: Any) -> Row:
        return tuple(
            None if hidden else _reach(member, path)
            for path, hidden in zip(steps, secret, strict=True)
        )

    return lambda data: tuple(map(one, data))


def _steps(columns: tuple[str, ...]) -> list[tuple[tuple[str, str], ...]]:
    """Return for each column its steps, each as (field of the struct, name in a plain object)."""
    heads = list(dict.fromkeys(column.partition(".")[0] for column in columns))
    paths: list[tuple[tuple[str, str], ...]] = []
    for column in columns:
        head, _, rest = column.partition(".")
        step = (f"f{heads.index(head)}", head)
        if not rest:
            paths.append((step,))
            continue
        siblings = [c.partition(".")[2] for c in columns if c.partition(".")[0] == head]
        inner = _steps(tuple(sibling for sibling in siblings if sibling))
        own = [sibling for sibling in siblings if sibling].index(rest)
        paths.append((step, *inner[own]))
    return paths


def _reach(member: Any, path: tuple[tuple[str, str], ...]) -> JsonValue:
    for field, name in path:
        if member is None:
            return None
        member = member.get(name) if isinstance(member, dict) else getattr(member, field, None)
    reached: JsonValue = member
    return reached
