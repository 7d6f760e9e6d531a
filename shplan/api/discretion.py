"""
What an answer is to shplan, without the secrets that this run has used.

A later answer may repeat what an earlier request carried, so every secret is known here until the
run ends. An answer that is read loses what it repeats; one that becomes a file is refused.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

from shplan.api.answers import (
    NAMES,
    MalformedAnswerError,
    Page,
    Row,
    plain_text,
    read_date,
    read_json,
    read_page,
    read_spent_pu,
)
from shplan.api.auth import Authenticator
from shplan.api.echoes import may_repeat, repeats, scrub, scrub_all
from shplan.api.wire import Received
from shplan.core.frozen import dataclass
from shplan.core.request import Answer
from shplan.core.value import JsonValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    A file that the service answered.

    Args:
        spent_pu: the `X-ProcessingUnits-Spent` header, or None
    """

    content: bytes = field(repr=False)
    spent_pu: float | None


class Discretion:
    """
    Knows the secrets of a run, and keeps them out of what its answers become.

    Args:
        auth: knows the client's secret and its tokens
    """

    def __init__(self, auth: Authenticator) -> None:
        self._auth = auth
        self._revealed: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any text."""
        return (*self._revealed, *self._auth.secrets)

    def reveal(self, secrets: tuple[str, ...]) -> None:
        """Remember what a request carries: a later answer may repeat it."""
        self._revealed = tuple(dict.fromkeys((*self._revealed, *secrets)))

    def text(self, said: str) -> str:
        """Return what was said, in plain text and without secrets."""
        return plain_text(scrub(said, self.secrets))

    def page(self, columns: tuple[str, ...], received: Received) -> Page:
        """Return a page of a list."""
        page = read_page(received.content, columns)
        rows = self._without_secrets(page.rows, received.content)
        if rows is not page.rows:
            named = [at for at, column in enumerate(columns) if column in NAMES]
            for before, after in zip(page.rows, rows, strict=True):
                _require_equal(*([row[at] for at in named] for row in (before, after)))
                _require_names(list(before), list(after))
        return Page(rows, page.next_token)

    def answer(self, columns: tuple[str, ...], received: Received) -> Answer:
        """Return what was answered; with columns, as the rows of a list."""
        rows: tuple[Row, ...] = ()
        body: JsonValue
        if columns:
            page = self.page(columns, received)
            rows = page.rows
            body = {"links": {"nextToken": page.next_token}} if page.next_token else None
        else:
            read = read_json(received.content)
            body = self._without_secrets(read, received.content)
            _require_names(read, body)
        return Answer(
            status=received.status,
            body=body,
            rows=rows,
            server_time=read_date(received.headers.get("date")),
            spent_pu=_spent_pu(received),
        )

    def file_answer(self, received: Received) -> Answer:
        """
        Take an answer as it is: what it holds goes to a file, and no secret may go with it.

        Raises:
            MalformedAnswerError: it repeats a secret that this run has used
        """
        self._require_none(received.content)
        return Answer(
            status=received.status,
            server_time=read_date(received.headers.get("date")),
            spent_pu=_spent_pu(received),
            content=received.content,
            media_type=self.text(_media_type(received)),
        )

    def fetched(self, received: Received) -> Fetched:
        """
        Return an answer as the file that it is.

        Raises:
            MalformedAnswerError: it repeats a secret that this run has used
        """
        self._require_none(received.content)
        return Fetched(received.content, _spent_pu(received))

    def _require_none(self, content: bytes) -> None:
        if repeats(content, self._private):
            msg = "the answer repeats a secret, and is not written to a file"
            raise MalformedAnswerError(msg)

    def _without_secrets(self, value: T, content: bytes) -> T:
        """Replace what an answer repeats of the secrets that this run has used."""
        return scrub_all(value, self._private) if may_repeat(content, self._private) else value

    @property
    def _private(self) -> tuple[str, ...]:
        return (*self._revealed, *self._auth.private)


def _require_names(before: JsonValue, after: JsonValue) -> None:
    """
    Make sure that what objects are found by is as the server said it.

    Raises:
        MalformedAnswerError: a secret was in it, and nothing can be decided by what is left
    """
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for (name, one), other in zip(before.items(), after.values(), strict=False):
            if name in NAMES:
                _require_equal(one, other)
            _require_names(one, other)
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=True):
            _require_names(one, other)


def _require_equal(before: JsonValue, after: JsonValue) -> None:
    if before != after:
        msg = "the answer repeats a secret in the name of an object"
        raise MalformedAnswerError(msg)


def _spent_pu(received: Received) -> float | None:
    return read_spent_pu(received.headers.get("x-processingunits-spent"))


def _media_type(received: Received) -> str:
    return received.headers.get("content-type", "").partition(";")[0].strip().lower()
