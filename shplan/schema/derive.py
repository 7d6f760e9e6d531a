"""
`schemas/api`: JSON Schema 2020-12 for every request, answer and parameter, from the extract.

The overlays correct the document first; then sums are dissolved (`flatten`), choices made explicit (`choose`)
and OpenAPI's own words removed. One file an API family holds the definitions, `operations.json` says which of
them belong to which operation. Nothing is closed against unknown fields here: the service ignores them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shplan.schema.choose import choose
from shplan.schema.flatten import flatten
from shplan.schema.overlays import OVERLAYS, Overlay
from shplan.schema.tree import (
    DEFS,
    DIALECT,
    JsonValue,
    Schema,
    as_list,
    as_object,
    as_text,
    bundle,
    copy,
    map_subschemas,
    references,
    subschemas,
)

_COMPONENT = "#/components/schemas/"
_FORMATS = {"date-time": "date-time", "uuid": "uuid", "UUID": "uuid", "uri": "uri", "url": "uri"}
# The current path's beginning, the file of its family, and the older beginning of the same service.
FAMILIES = (
    ("/process/v1", "process", "/api/v1/process"),
    ("/catalog/v1", "catalog", "/api/v1/catalog/1.0.0"),
    ("/async/v1", "async", "/api/v1/async"),
    ("/batch/v2", "batch-v2", "/api/v2/batch"),
    ("/api/v1/batch", "batch-v1", ""),
    ("/statistics/batch/v1", "batch-statistics", "/api/v1/statistics/batch"),
    ("/statistics/v1", "statistics", "/api/v1/statistics"),
    ("/byoc/v1", "byoc", "/api/v1/byoc"),
    ("/zarr/v1", "zarr", "/api/v1/zarr"),
    ("/api/v1/dataimport", "dataimport", ""),
    ("/api/v1/metadata", "metadata", ""),
)


@dataclass(frozen=True, slots=True)
class Api:
    """
    What the service's description comes to.

    Args:
        pool: every definition by name, referring to `#/$defs/NAME`
        operations: the entries of `operations.json` by operationId
    """

    pool: dict[str, Schema]
    operations: dict[str, Schema]

    def family(self, name: str) -> Schema:
        """Return the file of one API family: the definitions that its operations need."""
        members = [entry for entry in self.operations.values() if entry["family"] == name]
        roots = sorted({root for entry in members for root in _roots(entry)})
        wanted: list[JsonValue] = [{"$ref": DEFS + root} for root in roots]
        defs = bundle({"anyOf": wanted}, self.pool).get("$defs", {})
        return {"$schema": DIALECT, "$defs": defs}

    def request(self, operation_id: str) -> Schema:
        """Return the self-contained schema of an operation's JSON body."""
        name = as_text(as_object(self.operations[operation_id]["request"])["application/json"])
        return bundle({"$schema": DIALECT, "$ref": DEFS + name}, self.pool)

    def response(self, operation_id: str, status: int) -> Schema:
        """Return the self-contained schema of the JSON body of an operation's answer."""
        contents = as_object(as_object(self.operations[operation_id]["responses"])[str(status)])
        name = next(as_text(ref) for media, ref in contents.items() if media.endswith("json"))
        return bundle({"$schema": DIALECT, "$ref": DEFS + name}, self.pool)


def derive(extract: Schema, overlays: Sequence[Overlay] = OVERLAYS) -> Api:
    """
    Derive the schemas of the whole service.

    Args:
        extract: what `extract.py` wrote, with the operations that were added to it
        overlays: the corrections to apply, in order

    Raises:
        SchemaSourceError: the extract does not have the expected form
    """
    document = as_object(copy(extract))
    for overlay in overlays:
        overlay.apply(document)
    published = {n: _refer(as_object(s)) for n, s in as_object(document["schemas"]).items()}
    operations = {
        as_text(operation["operationId"]): _entry(document, path, method, operation, published)
        for path, method, operation in _operations(document)
    }
    flat = {name: flatten(schema, published) for name, schema in published.items()}
    chosen = {name: choose(schema, flat) for name, schema in flat.items()}
    pool = {name: _normal(schema, chosen) for name, schema in chosen.items()}
    for entry in operations.values():
        _finish(entry, pool)
    return Api(pool, operations)


def files(api: Api) -> dict[str, JsonValue]:
    """Return the content of every file of `schemas/api`, by path below `schemas/`."""
    index: Schema = {"operations": dict(api.operations)}
    families = {family for _, family, _ in FAMILIES}
    return {
        "api/operations.json": index,
        **{f"api/{name}.json": api.family(name) for name in sorted(families)},
    }


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in as_object(document["paths"]).items():
        for method, operation in as_object(item).items():
            yield path, method.upper(), as_object(operation)


def _entry(
    document: Schema, path: str, method: str, operation: Schema, published: dict[str, Schema]
) -> Schema:
    name = as_text(operation["operationId"])
    start, family, older = next(known for known in FAMILIES if path.startswith(known[0]))
    responses: Schema = {
        status: _content(_shared(document, "responses", answer), f"{name}.{status}", published)
        for status, answer in as_object(operation["responses"]).items()
    }
    return {
        "method": method,
        "path": path,
        "aliases": [older + path.removeprefix(start)] if older else [],
        "family": family,
        "parameters": [_parameter(document, p) for p in as_list(operation.get("parameters", []))],
        "request": _content(
            as_object(operation.get("requestBody", {})), f"{name}.request", published
        ),
        "responses": responses,
        "readOnly": [],
    }


def _shared(document: Schema, group: str, item: JsonValue) -> Schema:
    target = as_object(item).get("$ref")
    if not isinstance(target, str):
        return as_object(item)
    return as_object(as_object(document[group])[target.rpartition("/")[2]])


def _parameter(document: Schema, item: JsonValue) -> Schema:
    parameter = _shared(document, "parameters", item)
    location = as_text(parameter["in"])
    return {
        "name": parameter["name"],
        "in": location,
        "required": bool(parameter.get("required", False)),
        "explode": bool(parameter.get("explode", location == "query")),
        "schema": _refer(_parameter_schema(parameter)),
    }


def _parameter_schema(parameter: Schema) -> Schema:
    """A parameter has a schema, or a media type that has one."""
    if "schema" in parameter:
        return as_object(parameter["schema"])
    (part,) = as_object(parameter["content"]).values()
    return as_object(as_object(part)["schema"])


def _content(body: Schema, name: str, published: dict[str, Schema]) -> Schema:
    """Name the schema of each JSON body; what is not JSON has none."""
    content = as_object(body.get("content", {}))
    return {
        media: _named(media, as_object(part), name, published) for media, part in content.items()
    }


def _named(media: str, part: Schema, name: str, published: dict[str, Schema]) -> JsonValue:
    schema = _refer(as_object(part["schema"]))
    if not media.endswith("json") or schema.get("type") == "string":
        return None
    target = schema.get("$ref")
    if isinstance(target, str):
        return target.removeprefix(DEFS)
    published[name] = schema
    return name


def _refer(schema: Schema) -> Schema:
    changed = map_subschemas(schema, _refer)
    if "$ref" in changed:
        changed["$ref"] = DEFS + as_text(changed["$ref"]).removeprefix(_COMPONENT)
    if "discriminator" in changed:
        mapping = as_object(as_object(changed["discriminator"])["mapping"])
        named: Schema = {k: DEFS + as_text(v).removeprefix(_COMPONENT) for k, v in mapping.items()}
        changed["discriminator"] = {**as_object(changed["discriminator"]), "mapping": named}
    return changed


def _normal(schema: Schema, pool: dict[str, Schema]) -> Schema:
    changed = map_subschemas(schema, lambda sub: _normal(sub, pool))
    form = changed.pop("format", None)
    if form == "integer" and changed.get("type") == "number":
        changed["type"] = "integer"
    if isinstance(form, str) and form in _FORMATS:
        changed["format"] = _FORMATS[form]
    target = changed.get("$ref")
    if isinstance(target, str) and pool[target.removeprefix(DEFS)].get("readOnly"):
        changed["readOnly"] = True
    return {key: value for key, value in changed.items() if not key.startswith("x-")}


def _finish(entry: Schema, pool: dict[str, Schema]) -> None:
    for item in map(as_object, as_list(entry["parameters"])):
        normal = _normal(choose(flatten(as_object(item["schema"]), pool), pool), pool)
        item["schema"] = bundle(normal, pool)
    body = as_object(entry["request"]).get("application/json")
    if isinstance(body, str):
        entry["readOnly"] = [".".join(path) for path in _read_only(pool[body], pool, ())]


def _read_only(
    schema: Schema, pool: dict[str, Schema], seen: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    target = schema.get("$ref")
    if isinstance(target, str):
        name = target.removeprefix(DEFS)
        if name not in seen:
            yield from _read_only(pool[name], pool, (*seen, name))
    for where, sub in subschemas(schema):
        step = where[-1:] if where[0] == "properties" else ("*",)
        if where[0] == "properties" and sub.get("readOnly"):
            yield step
        elif where[0] in {"properties", "additionalProperties", "items"}:
            yield from (step + rest for rest in _read_only(sub, pool, seen))


def _roots(entry: Schema) -> Iterator[str]:
    contents = [
        as_object(entry["request"]),
        *map(as_object, as_object(entry["responses"]).values()),
    ]
    for content in contents:
        yield from (name for name in content.values() if isinstance(name, str))
    for item in map(as_object, as_list(entry["parameters"])):
        yield from (ref.removeprefix(DEFS) for ref in references(as_object(item["schema"])))
