"""
The corrections to the published description: what real requests and answers show it to be wrong about.

Taken literally the document refuses nearly every legitimate request. Each overlay changes the extract in one
place, has an id and a reason, a test with a body that a real client sends, and a row in `PROVENANCE.md`, which
is generated from this table. What the sandbox does beyond a schema (dropping nulls) is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shplan.schema.tree import JsonValue, Schema, SchemaSourceError, as_list, as_object, copy

_DATE_TIME_OR_OPEN = (
    r"^(?:\.\.|\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2}))$"
)
# Letters beyond ASCII are valid in a JavaScript identifier, so what is refused is listed instead.
_IDENTIFIER = r"^[^\s\d!-#%-/:-@\[-^`{-~][^\s!-#%-/:-@\[-^`{-~]*$"


@dataclass(frozen=True, slots=True)
class Overlay:
    """
    One correction.

    Args:
        id: stable name
        where: the schema and member concerned
        published: what the document says
        real: what the service takes or gives, and who shows it
        change: what the derived schema says instead
        apply: makes the change in an extract, in place
    """

    id: str
    where: str
    published: str
    real: str
    change: str
    apply: Callable[[Schema], None]


def _at(document: Schema, *path: str) -> Schema:
    node: JsonValue = document
    for step in path:
        if not isinstance(node, dict) or step not in node:
            msg = f"an overlay expects {'/'.join(path)}, which the document does not have"
            raise SchemaSourceError(msg)
        node = node[step]
    return as_object(node)


def _schema(document: Schema, name: str, *path: str) -> Schema:
    return _at(document, "schemas", name, *path)


def _properties(document: Schema, name: str) -> Schema:
    return _schema(document, name, "properties")


def _no_longer_required(document: Schema, name: str, member: str) -> None:
    required = as_list(_schema(document, name)["required"])
    required.remove(member)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _choice(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _data_types(document: Schema) -> None:
    member = as_object(as_list(_schema(document, "BYOCDataset")["allOf"])[0])
    _at(member, "properties", "type")["pattern"] = "^(?:byoc|batch|zarr)-"


def _sentinel_3_and_5p(document: Schema) -> None:
    schemas = _at(document, "schemas")
    recent = {**_choice("mostRecent", "leastRecent"), "default": "mostRecent"}
    clouds = {**_choice("mostRecent", "leastRecent", "leastCC"), "default": "mostRecent"}
    cloudy: Schema = {"mosaickingOrder": clouds, "maxCloudCoverage": _ref("MaxCloudCoverage")}
    orbit = _choice("ASCENDING", "DESCENDING")
    timely = _choice("NRTI", "OFFL", "RPRO")
    added: dict[str, tuple[str, Schema, str]] = {
        "S3OlciDataset": ("sentinel-3-olci", {"mosaickingOrder": recent}, "BaseDatasetProcessing"),
        "S3OlciL2Dataset": ("sentinel-3-olci-l2", cloudy, "BaseDatasetProcessing"),
        "S3SlstrDataset": (
            "sentinel-3-slstr",
            {**cloudy, "orbitDirection": orbit},
            "S3SlstrProcessing",
        ),
        "S3SlstrL2Dataset": (
            "sentinel-3-slstr-l2",
            {**cloudy, "orbitDirection": orbit},
            "BaseDatasetProcessing",
        ),
        "S3SynL2Dataset": (
            "sentinel-3-synergy-l2",
            {"mosaickingOrder": recent},
            "BaseDatasetProcessing",
        ),
        "S5PDataset": (
            "sentinel-5p-l2",
            {"mosaickingOrder": recent, "timeliness": timely},
            "S5PProcessing",
        ),
    }
    for name, (kind, members, processing) in added.items():
        filtering: Schema = {"timeRange": _ref("TimeRange"), **members}
        schemas[name.replace("Dataset", "Filtering")] = {"type": "object", "properties": filtering}
        own: Schema = {
            "type": _choice(kind),
            "dataFilter": _ref(name.replace("Dataset", "Filtering")),
            "processing": _ref(processing),
        }
        schemas[name] = {"allOf": [_ref("BaseDataset"), {"type": "object", "properties": own}]}
    branches = as_list(_schema(document, "ProcessRequestInputData", "items")["oneOf"])
    branches[-1:-1] = [_ref(name) for name in added]


def _dem_time_range(document: Schema) -> None:
    _properties(document, "DEMFiltering")["timeRange"] = _ref("TimeRange")


def _response_identifier(document: Schema) -> None:
    for name in (
        "ProcessRequestOutputResponse",
        "ProcessRequestOutputBatchResponse",
        "ProcessRequestOutputBatchV2Response",
    ):
        del _schema(document, name, "properties", "identifier")["enum"]


def _raster_group(document: Schema) -> None:
    _no_longer_required(document, "BatchV2RasterOutput", "group")


def _instance_type(document: Schema) -> None:
    _properties(document, "BatchV2ProcessRequest")["instanceType"] = _choice("normal", "large")


def _batch_bounds(document: Schema) -> None:
    _no_longer_required(document, "ProcessRequestInputForBatchV2", "bounds")
    request = _schema(document, "BatchV2ProcessRequest")
    request["if"] = _below({"const": "tiling-grid"}, "input", "type")
    # These name one member of many: what they do not name stays allowed where definitions are closed.
    needed: Schema = {"properties": {"input": {"required": ["bounds"]}}}
    request["then"] = {"properties": {"processRequest": {"additionalProperties": True, **needed}}}


_ZARR = (
    ("BatchV2ZarrOutputGroup", "BatchV2ZarrOutputArrayParameters", "BatchV2ArrayOverride"),
    ("Group", "ArrayParameters", "ArrayOverride"),
)


def _zarr_objects(document: Schema) -> None:
    for group, parameters, _ in _ZARR:
        _schema(document, group)["type"] = "object"
        _schema(document, group, "properties", "coordinates")["type"] = "object"
        _schema(document, parameters)["type"] = "object"


def _array_overrides(document: Schema) -> None:
    for _, parameters, override in _ZARR:
        every = _schema(document, parameters)
        single = {key: value for key, value in every.items() if key != "required"}
        as_list(_schema(document, override)["allOf"])[0] = copy(single)


def _below(test: Schema, *path: str) -> Schema:
    """Return the condition that the member at a path is there and passes a test."""
    for name in reversed(path):
        test = {"type": "object", "properties": {name: test}, "required": [name]}
    return test


def _filter_language(document: Schema) -> None:
    body = _schema(document, "CatalogItemSearchFilterSearchBody")
    properties = _at(body, "properties")
    json_form = properties["filter"]
    properties["filter"] = {"type": ["string", "object"]}
    language: Schema = {
        "properties": {"filter-lang": {"const": "cql2-text"}},
        "required": ["filter-lang"],
    }
    body["if"] = language
    body["then"] = {"properties": {"filter": {"type": "string"}}}
    body["else"] = {"properties": {"filter": json_form}}


def _single_and(document: Schema) -> None:
    _schema(document, "Cql2AndExpression", "properties", "args")["minItems"] = 1


def _property_operands(document: Schema) -> None:
    expression = _schema(document, "Cql2ScalarExpression")
    expression["anyOf"] = expression.pop("oneOf")


def _search_by_ids(document: Schema) -> None:
    _no_longer_required(document, "CatalogItemSearchSearchBody", "datetime")
    body = _schema(document, "CatalogItemSearchSearchBody")
    body["if"] = {"required": ["ids"]}
    body["else"] = {"required": ["datetime"]}


def _search_paging(document: Schema) -> None:
    body = _schema(document, "CatalogItemSearchSearchBody")
    body["properties"] = {"next": {"type": "integer", "minimum": 0}}


def _percentiles(document: Schema) -> None:
    k = _schema(document, "StatisticsDefinition", "properties", "percentiles", "properties", "k")
    _at(k, "items")["maximum"] = 100


def _not_a_number(document: Schema) -> None:
    stats = _schema(document, "BandStatistics", "properties", "stats", "properties")
    for name in ("min", "max", "mean", "stDev"):
        stats[name] = {
            "type": ["number", "string"],
            "not": {"type": "string", "not": {"const": "NaN"}},
        }
    _at(stats, "percentiles")["additionalProperties"] = stats["mean"]


def _open_time_range(document: Schema) -> None:
    for member in ("from", "to"):
        schema = _schema(document, "TimeRange", "properties", member)
        del schema["format"]
        schema["pattern"] = _DATE_TIME_OR_OPEN


def _cost_spelling(document: Schema) -> None:
    properties = _properties(document, "BatchStatisticsTaskStatusDto")
    properties["costPU"] = properties["costPu"]


def _error_details(document: Schema) -> None:
    _properties(document, "Boom")["errors"] = {"type": ["object", "array"]}


def _read_only_members(document: Schema) -> None:
    _schema(document, "BYOCCollection", "properties", "isConfigured")["readOnly"] = True
    _schema(document, "BYOCTile", "properties", "additionalData")["readOnly"] = True


def _geometry_crs(document: Schema) -> None:
    name: Schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
    }
    _at(document, "schemas")["GeometryCrs"] = {
        "type": "object",
        "required": ["type", "properties"],
        "properties": {"type": _choice("name"), "properties": name},
    }
    for shape in ("Polygon", "MultiPolygon"):
        _properties(document, shape)["crs"] = _ref("GeometryCrs")


def _geometry_members(document: Schema) -> None:
    for shape in ("Polygon", "MultiPolygon"):
        _schema(document, shape)["required"] = ["type", "coordinates"]


def _band_names(document: Schema) -> None:
    bands = _schema(document, "BYOCCollectionAdditionalData", "properties", "bands")
    bands["propertyNames"] = {"pattern": _IDENTIFIER}
    bands["maxProperties"] = 100


def _storage_identifier(document: Schema) -> None:
    properties = _properties(document, "BYOCCollectionAdditionalData")
    properties["storageIdentifier"] = {"type": "string"}


def _zarr_media_type(document: Schema) -> None:
    content = _at(document, "paths", "/zarr/v1/collections", "get", "responses", "200", "content")
    content["application/json"] = content.pop("aplication/json")


def _search_results(document: Schema) -> None:
    results = _schema(document, "SearchResults")
    results["anyOf"] = results.pop("oneOf")
    planet = as_object(as_list(_schema(document, "PlanetSearchResults")["allOf"])[1])
    del _at(planet, "properties")["<other fields>"]


OVERLAYS: tuple[Overlay, ...] = (
    Overlay(
        "data-types",
        "ProcessRequestInputData, BYOCDataset.type",
        "`oneOf` of all data sets, of which `BYOCDataset` takes any `type`",
        "every known `type` matches two branches and is refused; the clients send `sentinel-2-l2a`, `byoc-<id>`, ...",
        "`BYOCDataset` takes `byoc-`, `batch-` and `zarr-` types only, and `type` chooses the branch",
        _data_types,
    ),
    Overlay(
        "data-sentinel-3-5p",
        "ProcessRequestInputData",
        "no Sentinel-3 and Sentinel-5P data sets, although their processing options are defined",
        "the Copernicus Data Space deployment serves them and the clients send them",
        "data sets for `sentinel-3-olci`, `sentinel-3-olci-l2`, `sentinel-3-slstr`,"
        " `sentinel-3-slstr-l2`, `sentinel-3-synergy-l2`, `sentinel-5p-l2`",
        _sentinel_3_and_5p,
    ),
    Overlay(
        "dem-time-range",
        "DEMFiltering.timeRange",
        "no such member",
        "the Python client sends the time range of a request for elevation as well",
        "an optional time range",
        _dem_time_range,
    ),
    Overlay(
        "response-identifier",
        "ProcessRequestOutputResponse.identifier and its two batch forms",
        "an enum of a placeholder and `userdata`",
        "any output id of the evalscript; the clients send `default`",
        "any text",
        _response_identifier,
    ),
    Overlay(
        "raster-without-group",
        "BatchV2RasterOutput",
        "requires `group`",
        "never sent: it belongs to Zarr output",
        "not required",
        _raster_group,
    ),
    Overlay(
        "batch-instance-type",
        "BatchV2ProcessRequest.instanceType",
        "no such member",
        "the Python client always sends `normal`; the vendor's web reference also has `large`",
        "an optional enum of both",
        _instance_type,
    ),
    Overlay(
        "batch-bounds",
        "ProcessRequestInputForBatchV2.bounds",
        "required",
        "the document's own prose: with a GeoPackage they may be left out, then all its features are processed",
        "required with a tiling grid",
        _batch_bounds,
    ),
    Overlay(
        "zarr-objects",
        "BatchV2ZarrOutputGroup, BatchV2ZarrOutputArrayParameters; Group, ArrayParameters of version 1",
        "members, but no type, so that any text or number passes",
        "objects",
        "an object",
        _zarr_objects,
    ),
    Overlay(
        "zarr-array-overrides",
        "BatchV2ArrayOverride; ArrayOverride of version 1",
        "requires every field of an array",
        "the document's own prose: `arrayOverrides` change single values of `arrayParameters`",
        "no field is required",
        _array_overrides,
    ),
    Overlay(
        "catalog-filter-language",
        "CatalogItemSearchFilterSearchBody.filter",
        "CQL2 JSON only",
        "a text with `filter-lang: cql2-text`, the Python client's default",
        "`filter-lang` chooses text or JSON; JSON if it is absent",
        _filter_language,
    ),
    Overlay(
        "catalog-and-of-one",
        "Cql2AndExpression.args",
        "at least two arguments",
        "clients make an `and` of one argument when the collection's own filter stands alone",
        "at least one",
        _single_and,
    ),
    Overlay(
        "catalog-property-operand",
        "Cql2ScalarExpression",
        "`oneOf` of two branches that both take a property reference",
        "every comparison with a property is refused",
        "`anyOf`",
        _property_operands,
    ),
    Overlay(
        "catalog-search-by-ids",
        "CatalogItemSearchSearchBody.datetime",
        "required",
        "searches by `ids` work without it and the Python client sends none",
        "required unless `ids` is there",
        _search_by_ids,
    ),
    Overlay(
        "catalog-search-next",
        "CatalogItemSearchSearchBody.next",
        "no such member",
        "the way to the next page, taken from the answer's `context.next`",
        "an optional integer",
        _search_paging,
    ),
    Overlay(
        "percentiles-to-100",
        "StatisticsDefinition.percentiles.k",
        "0 to 1",
        "5, 50, 95: the vendor's examples, the client's tests, and answers with the key `5.0`",
        "0 to 100",
        _percentiles,
    ),
    Overlay(
        "statistics-nan",
        "BandStatistics.stats",
        "numbers",
        'intervals without valid samples give the text `"NaN"`',
        'a number or `"NaN"`',
        _not_a_number,
    ),
    Overlay(
        "open-time-range",
        "TimeRange.from, TimeRange.to",
        "a date-time",
        "`..` for an open end is sent by the clients and taken",
        "a date-time with an offset, or `..`",
        _open_time_range,
    ),
    Overlay(
        "statistics-cost-spelling",
        "BatchStatisticsTaskStatusDto",
        "`costPu`",
        "answers carry `costPU`, which the Python client reads",
        "both",
        _cost_spelling,
    ),
    Overlay(
        "error-details",
        "Boom.errors",
        "an object",
        "a list of objects with `parameter` and `violation`, a list of texts, or a map: all three stand in"
        " answers that are quoted in public",
        "a list or an object",
        _error_details,
    ),
    Overlay(
        "byoc-read-only",
        "BYOCCollection.isConfigured, BYOCTile.additionalData",
        "not marked read-only",
        "set by the service alone; the clients send them back as they came, or as null",
        "`readOnly`",
        _read_only_members,
    ),
    Overlay(
        "geometry-crs",
        "Polygon.crs, MultiPolygon.crs",
        "no such member",
        "cover geometries are sent and answered with the member `crs` of the older GeoJSON",
        "an optional named CRS",
        _geometry_crs,
    ),
    Overlay(
        "geometry-members",
        "Polygon, MultiPolygon",
        "nothing is required",
        "RFC 7946, section 3.1: a geometry has `type` and `coordinates`; the clients always send both",
        "both required",
        _geometry_members,
    ),
    Overlay(
        "byoc-band-names",
        "BYOCCollectionAdditionalData.bands",
        "any names, any number",
        "the documentation of BYOC: JavaScript identifiers, at most 100",
        "a pattern for the names and a limit",
        _band_names,
    ),
    Overlay(
        "byoc-storage-identifier",
        "BYOCCollectionAdditionalData.storageIdentifier",
        "no such member",
        "the Copernicus Data Space's description has it, for its shared store",
        "an optional text",
        _storage_identifier,
    ),
    Overlay(
        "zarr-media-type",
        "GET /zarr/v1/collections",
        "the media type is misspelt",
        "JSON",
        "`application/json`",
        _zarr_media_type,
    ),
    Overlay(
        "import-search-results",
        "SearchResults",
        "`oneOf` of two branches that take the same answers; a placeholder as a property",
        "every answer of a search matches both and is refused",
        "`anyOf`, without the placeholder",
        _search_results,
    ),
)
