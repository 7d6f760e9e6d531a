"""
Requests to the service and its answers, as values.

A provider makes requests, a plan shows them, the executor sends them: all three
speak of the same value. Paths and operation ids are those of the published API
description; a deployment maps them to the paths that it serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import cast

from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, JsonValue, Value, canonical, digest, printable


class Effect(Enum):
    """What a request does on the server, which decides what may follow a lost answer."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """
    One request of the published API.

    Args:
        operation: the `operationId` of the API description
        path: the template, e.g. `/byoc/v1/collections/{collectionId}/tiles`
        parameters: values of the template's names; unknown while an id is not made yet
        body: the JSON body, with unknowns and secrets, or None for no body
        columns: the members of `data[]` that are needed, so that the answer's pages can be
            decoded without building the rest; empty for everything
        accept: the media type of an answer that is a file; empty for JSON that is read
    """

    operation: str
    method: str
    path: str
    effect: Effect
    parameters: Mapping[str, Value] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    body: Value = None
    columns: tuple[str, ...] = ()
    accept: str = ""

    def as_json(self) -> JsonObject:
        """Return the form that plans show and digests cover: secrets and unknowns by name."""
        shown: JsonObject = {
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "parameters": printable(dict(self.parameters)),
        }
        if self.query:
            shown["query"] = [list(pair) for pair in self.query]
        if self.accept:
            shown["accept"] = self.accept
        if self.body is not None:
            shown["body"] = printable(self.body)
        return shown

    @property
    def digest(self) -> str:
        """The digest of everything that the server would see, secrets by name."""
        return digest(cast("Value", self.as_json()))

    @property
    def size_bytes(self) -> int:
        """The size of the canonical body."""
        return 0 if self.body is None else len(canonical(self.body))


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A successful answer.

    Args:
        status: HTTP status, 2xx
        body: the decoded JSON, None when empty; for a request with columns only what paging needs
        rows: with columns, one tuple a member of `data[]`
        server_time: the `Date` header as ISO 8601 in UTC, or empty
        spent_pu: the `X-ProcessingUnits-Spent` header, or None
        content: the bytes of a file, where the request asked for one
        media_type: what the server says that they are, without parameters
    """

    status: int
    body: JsonValue = None
    rows: tuple[tuple[JsonValue, ...], ...] = ()
    server_time: str = ""
    spent_pu: float | None = None
    content: bytes = field(default=b"", repr=False)
    media_type: str = ""
