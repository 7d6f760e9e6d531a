"""
The one place that knows where schema files lie, and the only way to them.

In an installed shplan they are package data (`shplan/schema/data`), in a checkout the top-level `schemas/`.
Files are read when they are first asked for and kept; each is small, so that asking for one kind never
parses the others. What is returned is shared: treat it as read-only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import cast

from shplan.schema.tree import DEFS, DIALECT, Schema, as_list, as_object, as_text, bundle

EXTRACT = "source/openapi.extract.json"
OPERATIONS = "api/operations.json"
DISPATCH = "shplan"


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of an operation.

    Args:
        location: `query`, `path` or `header`
        explode: whether a list is sent as repeated parameters (else joined by commas)
        schema: self-contained, for the parsed value
    """

    name: str
    location: str
    required: bool
    explode: bool
    schema: Schema


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation of the service.

    Args:
        path: as the current specification has it, e.g. `/byoc/v1/collections/{collectionId}`
        aliases: the same operation's older paths, which all released clients use
        family: name of the file in `schemas/api` that holds its schemas
        request_media_types: what it reads, empty if it takes no body
        responses: status to media types, e.g. `{201: ("application/json",)}`; empty: no body
        read_only: dotted paths in the request body that only the server sets, `*` for any key
    """

    operation_id: str
    method: str
    path: str
    aliases: tuple[str, ...]
    family: str
    parameters: tuple[Parameter, ...]
    request_media_types: tuple[str, ...]
    responses: Mapping[int, tuple[str, ...]]
    read_only: tuple[str, ...]

    @property
    def statuses(self) -> tuple[int, ...]:
        """The documented statuses, in ascending order."""
        return tuple(sorted(self.responses))


class UnknownSchemaError(LookupError):
    """There is no schema, kind or operation of this name."""


@cache
def root() -> Path:
    """Return the directory that holds `api/`, `manifest/` and `source/`."""
    installed = Path(__file__).parent / "data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schemas"


@cache
def manifest_kinds() -> tuple[str, ...]:
    """Return every kind that a document can have, `Project` included, sorted."""
    names = {path.stem for path in (root() / "manifest").glob("*.json")}
    return tuple(sorted(names - {DISPATCH}))


def manifest_schema(kind: str, *, expressions: bool = False) -> Schema:
    """
    Return the self-contained schema of one kind's documents.

    Args:
        kind: e.g. `ByocCollection` or `Project`
        expressions: whether a text with `{{` may stand where another type is expected: as editors
            see a manifest; without it the schema describes the evaluated document

    Raises:
        UnknownSchemaError: there is no such kind
    """
    if kind not in manifest_kinds():
        msg = f"there is no kind {kind!r}"
        raise UnknownSchemaError(msg)
    return _load(f"manifest/{kind}.json" if expressions else f"manifest/strict/{kind}.json")


def dispatch_schema() -> Schema:
    """Return the editors' schema of a document of any kind, which chooses by `kind`."""
    return _load(f"manifest/{DISPATCH}.json")


def path_of(kind: str) -> Path:
    """Return the file of a kind's editor schema; `shplan` is the one for every kind."""
    if kind != DISPATCH and kind not in manifest_kinds():
        msg = f"there is no kind {kind!r}"
        raise UnknownSchemaError(msg)
    return root() / "manifest" / f"{kind}.json"


@cache
def operations() -> Mapping[str, Operation]:
    """Return every operation of the service by its operationId."""
    index = as_object(_load(OPERATIONS)["operations"])
    return MappingProxyType(
        {name: _operation(name, as_object(entry)) for name, entry in index.items()}
    )


@cache
def request_schema(operation_id: str) -> Schema | None:
    """
    Return the self-contained schema of an operation's JSON body, or None if it takes none.

    Unknown fields pass, as on the service. Fields that only the server sets are marked `readOnly`.

    Raises:
        UnknownSchemaError: there is no such operation
    """
    return _body(operation_id, _entry(operation_id).get("request"))


@cache
def response_schema(operation_id: str, status: int) -> Schema | None:
    """
    Return the self-contained schema of an answer's JSON body, or None if none is documented.

    Raises:
        UnknownSchemaError: there is no such operation
    """
    responses = as_object(_entry(operation_id)["responses"])
    return _body(operation_id, responses.get(str(status)))


@cache
def table(name: str) -> Schema:
    """
    Return a published table of the service as data, e.g. `tiling-grids`.

    Raises:
        UnknownSchemaError: there is no such table
    """
    if not (root() / "tables" / f"{name}.json").is_file():
        msg = f"there is no table {name!r}"
        raise UnknownSchemaError(msg)
    return _load(f"tables/{name}.json")


class Tables(Mapping[str, Schema]):
    """The published tables by name; each file is read when it is asked for."""

    def __getitem__(self, name: str) -> Schema:
        return table(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in (root() / "tables").glob("*.json")))

    def __len__(self) -> int:
        return len(list(iter(self)))


@cache
def tables() -> Tables:
    """Return the published tables of the service."""
    return Tables()


@cache
def _load(name: str) -> Schema:
    return cast(Schema, json.loads((root() / name).read_bytes()))


def _entry(operation_id: str) -> Schema:
    index = as_object(_load(OPERATIONS)["operations"])
    if operation_id not in index:
        msg = f"there is no operation {operation_id!r}"
        raise UnknownSchemaError(msg)
    return as_object(index[operation_id])


def _body(operation_id: str, content: object) -> Schema | None:
    if not isinstance(content, dict):
        return None
    name = next((ref for media, ref in content.items() if media.endswith("json")), None)
    if not isinstance(name, str):
        return None
    family = as_object(_load(f"api/{_entry(operation_id)['family']}.json")["$defs"])
    pool = {key: as_object(value) for key, value in family.items()}
    return bundle({"$schema": DIALECT, "$ref": DEFS + name}, pool)


def _operation(name: str, entry: Schema) -> Operation:
    return Operation(
        operation_id=name,
        method=as_text(entry["method"]),
        path=as_text(entry["path"]),
        aliases=tuple(as_text(alias) for alias in as_list(entry["aliases"])),
        family=as_text(entry["family"]),
        parameters=tuple(_parameter(as_object(item)) for item in as_list(entry["parameters"])),
        request_media_types=tuple(as_object(entry["request"])),
        responses={int(s): tuple(as_object(c)) for s, c in as_object(entry["responses"]).items()},
        read_only=tuple(as_text(path) for path in as_list(entry["readOnly"])),
    )


def _parameter(item: Schema) -> Parameter:
    return Parameter(
        name=as_text(item["name"]),
        location=as_text(item["in"]),
        required=bool(item["required"]),
        explode=bool(item["explode"]),
        schema=as_object(item["schema"]),
    )
