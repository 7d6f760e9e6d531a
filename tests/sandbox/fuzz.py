"""Requests that no client should send: made from the published schemas, then damaged."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from shplan.schema.store import Operation, operations, request_schema

# What stands where something else was expected.
JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 10**18, 10**30, 10**308, 1e308, -1e-320, 2**31, 2**63,
    "", " ", "\0", "a\0b", "\ud800", "é" * 3, "١", "A" * 20_000, "../../../../etc/passwd", "/etc/passwd",
    "%2e%2e%2f", "..\\..\\x", "NaN", "Infinity", "1e999", "9999-12-31T23:59:59-12:00", "0000-00-00T00:00:00Z",
    "2024-13-01T00:00:00Z", "s3://", "s3://../x", "s3://b/../../x", "s3://b/a\0", "gs://b//", "byoc-", "byoc-../x",
    "' or 1=1 --", "<requestId>", "<tileName>/<outputId>", "{{7*7}}", "//VERSION=3", "\u202e", "null",
    [], {}, [[]], [None], [{}], {"": None}, {"a": {"b": []}}, [[[[[[1]]]]]], [0] * 3000, {"$ref": "#"},
    {"type": "Polygon", "coordinates": []}, {"type": "Polygon", "coordinates": [[[0, 0]]]},
]  # fmt: skip

# Bodies that are no bodies, or were one before something cut, doubled or bent them.
RAW: list[bytes] = [
    b"", b" ", b"\0", b"null", b"true", b"1", b'"a"', b"[]", b"{}", b"{", b'{"a"', b'{"a":', b'{"a":1', b"{]",
    b'{"a":1,}', b'{"a":01}', b"{'a':1}", b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}',
    b'{"a":"\xff"}', b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":"\x01"}',
    b'{"name":"a","name":"b","name":null,"s3Bucket":"b"}', b'{"a":1}{"b":2}', b"{}" * 3,
    b'{"a":' + b"9" * 400 + b"}", b'{"a":' + b"9" * 5000 + b"}", b'{"a":0.' + b"9" * 50_000 + b"}",
    b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 500 + b"]" * 500, b'{"name":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"a":"' + b"x" * 3_000_000 + b'"}', b'{"a":[' + b"0," * 300_000 + b"0]}", b'{"a":[' + b"{}," * 100_000 + b"{}]}",
    b'{"__proto__":{"x":1},"constructor":1}', b"<?xml version='1.0'?><a/>", b"a=b&c=d", b"--x\r\n\r\n--x--",
]  # fmt: skip


def with_bodies() -> dict[str, Operation]:
    """Every operation that takes a JSON body."""
    return {name: one for name, one in operations().items() if request_schema(name) is not None}


class Maker:
    """Bodies of one operation; the same number gives the same body."""

    def __init__(self, operation_id: str) -> None:
        schema = request_schema(operation_id)
        assert schema is not None
        self._root: Any = schema
        self._name = operation_id

    def body(self, number: int, known: Any = None) -> bytes:
        """A body; of `known`, if that is given, else of the schema, and mostly damaged."""
        rng = Random(f"{self._name}/{number}")
        value = copy.deepcopy(known) if known is not None else self._value(self._root, rng, 0)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            value = _damaged(value, rng)
        text = json.dumps(value)
        if rng.random() < 0.05:
            text = text[: rng.randrange(len(text) + 1)]
        return text.encode()

    def _value(self, schema: Any, rng: Random, depth: int) -> Any:
        schema = self._resolved(schema)
        for name in ("oneOf", "anyOf"):
            if name in schema:
                rest = {key: value for key, value in schema.items() if key != name}
                return self._value({**rest, **self._resolved(rng.choice(schema[name]))}, rng, depth)
        for part in map(self._resolved, schema.get("allOf", [])):
            merged = {**schema.get("properties", {}), **part.get("properties", {})}
            required = [*schema.get("required", []), *part.get("required", [])]
            schema = {**part, **schema, "properties": merged, "required": required}
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = rng.choice(kind)
        return self._of_kind(kind, schema, rng, depth)

    def _of_kind(self, kind: str, schema: Any, rng: Random, depth: int) -> Any:
        if kind == "object":
            required = set(schema.get("required", []))
            return {
                name: self._value(inner, rng, depth + 1)
                for name, inner in schema.get("properties", {}).items()
                if name in required or (depth < 6 and rng.random() < 0.4)
            }
        if kind == "array":
            least = schema.get("minItems", 0)
            count = min(least + rng.randrange(3), schema.get("maxItems", 9)) if depth < 8 else least
            return [self._value(schema.get("items", {}), rng, depth + 1) for _ in range(count)]
        if kind in ("number", "integer"):
            least, most = schema.get("minimum", -3), schema.get("maximum", 400)
            number = rng.uniform(least, max(least, most))
            return round(number) if kind == "integer" else number
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "null":
            return None
        return _text(schema.get("format"), rng)

    def _resolved(self, schema: Any) -> Any:
        while isinstance(schema, dict) and "$ref" in schema:
            target = self._root
            for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            schema = target
        return schema if isinstance(schema, dict) else {}


def _text(form: str | None, rng: Random) -> str:
    if form == "date-time":
        return f"20{rng.randrange(15, 25)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}T00:00:00Z"
    if form == "uuid":
        return f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
    return rng.choice(
        ["a", "name", "s3://results/x", "s3://b/c.gpkg", "//VERSION=3\nfunction setup(){}", "B04"]
    )


def _damaged(value: Any, rng: Random) -> Any:
    """The value with one of its parts replaced, dropped, doubled or wrapped."""
    places = list(_places(value, ()))
    place = rng.choice(places)
    if not place:
        return copy.deepcopy(rng.choice(JUNK)) if rng.random() < 0.3 else value
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    step = place[-1]
    how = rng.random()
    if how < 0.6:
        holder[step] = copy.deepcopy(rng.choice(JUNK))
    elif how < 0.75:
        del holder[step]
    elif how < 0.85:
        holder[step] = [holder[step]]
    elif how < 0.93 and isinstance(holder, dict):
        holder[str(step) + rng.choice(["\0", "x", "é", " "])] = holder[step]
    elif isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[:1]) * rng.choice((1, 200)))
    else:
        holder[step] = {str(step): holder[step]}
    return value


def _places(value: Any, place: tuple[Any, ...]) -> Any:
    yield place
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, content in inner:
        yield from _places(content, (*place, step))
