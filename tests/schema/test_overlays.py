"""Every overlay against a body that a real client sends: refused without it, accepted with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shplan.schema.compose import closed
from shplan.schema.derive import Api
from shplan.schema.overlays import OVERLAYS
from shplan.schema.store import table
from shplan.schema.tree import JsonValue, Schema, SchemaSourceError, as_list, as_object, copy
from tests.schema.support import client_body, derived, extract, faults, paths

Look = Callable[[Api], Schema]


def _request(operation: str) -> Look:
    return lambda api: api.request(operation)


def _closed_request(operation: str) -> Look:
    return lambda api: closed(api.request(operation))


def _response(operation: str, status: int) -> Look:
    return lambda api: api.response(operation, status)


def _closed_response(operation: str, status: int) -> Look:
    return lambda api: closed(api.response(operation, status))


def _process(data: JsonValue) -> JsonValue:
    body = as_object(copy(client_body("process")))
    as_object(body["input"])["data"] = [data]
    return body


def _search(changes: Schema) -> JsonValue:
    return {**as_object(client_body("catalog-time")), **changes}


def _statistics(stats: Schema) -> JsonValue:
    outputs: Schema = {"default": {"bands": {"B0": {"stats": stats}}}}
    return {"data": [{"outputs": outputs}], "status": "OK"}


def _batch(name: str, **changes: JsonValue) -> Schema:
    return {**as_object(copy(client_body(name))), **changes}


def _without_bounds(name: str) -> Schema:
    body = _batch(name)
    del as_object(as_object(body["processRequest"])["input"])["bounds"]
    return body


def _overriding(override: Schema) -> Schema:
    body = _batch("batch-zarr")
    as_object(body["output"])["arrayOverrides"] = {"ndvi": override}
    return body


def _grouped(group: JsonValue) -> Schema:
    body = _batch("batch-zarr")
    as_object(body["output"])["group"] = group
    return body


_COMPARISON: Schema = {"op": "=", "args": [{"property": "sat:orbit_state"}, "ascending"]}

LOOSENED: dict[str, tuple[Look, JsonValue]] = {
    "data-types": (_request("submitStatisticalRequest"), client_body("statistics")),
    "data-sentinel-3-5p": (_request("process"), _process(client_body("data-s3"))),
    "dem-time-range": (_closed_request("process"), _process(client_body("data-dem"))),
    "response-identifier": (_request("process"), client_body("process")),
    "raster-without-group": (
        _request("createNewBatchV2ProcessingRequest"),
        client_body("batch"),
    ),
    "batch-instance-type": (
        _closed_request("createNewBatchV2ProcessingRequest"),
        client_body("batch"),
    ),
    "batch-bounds": (
        _closed_request("createNewBatchV2ProcessingRequest"),
        _without_bounds("batch-gpkg"),
    ),
    "zarr-array-overrides": (
        _closed_request("createNewBatchV2ProcessingRequest"),
        _overriding({"fill_value": 0}),
    ),
    "catalog-filter-language": (_request("postCatalogItemSearch"), client_body("catalog-time")),
    "catalog-and-of-one": (
        _request("postCatalogItemSearch"),
        _search({"filter": {"op": "and", "args": [_COMPARISON]}, "filter-lang": "cql2-json"}),
    ),
    "catalog-property-operand": (
        _request("postCatalogItemSearch"),
        client_body("catalog-s1-json"),
    ),
    "catalog-search-by-ids": (_request("postCatalogItemSearch"), client_body("catalog-ids")),
    "catalog-search-next": (_closed_request("postCatalogItemSearch"), _search({"next": 100})),
    "percentiles-to-100": (_request("submitStatisticalRequest"), client_body("statistics")),
    "statistics-nan": (
        _response("submitStatisticalRequest", 200),
        _statistics({"min": "NaN", "mean": "NaN", "percentiles": {"5.0": "NaN"}}),
    ),
    "open-time-range": (_request("process"), client_body("process-byoc")),
    "statistics-cost-spelling": (
        _closed_response("getSingleBatchStatisticalRequestById", 200),
        {"id": "7453e962-0ee5-4f74-8227-89759fbe9ba9", "status": "DONE", "costPU": 12.5},
    ),
    "error-details": (
        _response("createByocCollection", 400),
        {"error": {"errors": [{"parameter": "output->resx", "violation": "must be positive"}]}},
    ),
    "geometry-crs": (
        _closed_request("updateByocCollectionTileById"),
        {"coverGeometry": as_object(client_body("byoc-tile"))["coverGeometry"]},
    ),
    "byoc-storage-identifier": (
        _closed_request("createByocCollection"),
        {"name": "n", "s3Bucket": "b", "additionalData": {"storageIdentifier": "eodata"}},
    ),
    "import-search-results": (
        _response("dataImport_searchData", 200),
        {"features": [{"id": "a"}], "links": {}},
    ),
}
TIGHTENED: dict[str, tuple[Look, JsonValue, JsonValue]] = {
    "zarr-objects": (
        _request("createNewBatchV2ProcessingRequest"),
        client_body("batch-zarr"),
        _grouped("any"),
    ),
    "geometry-members": (
        _request("updateByocCollectionTileById"),
        client_body("byoc-tile-update"),
        {"coverGeometry": {"type": "Polygon"}},
    ),
    "byoc-band-names": (
        _request("createByocCollection"),
        {
            "name": "n",
            "s3Bucket": "b",
            "additionalData": {"bands": {"B01": {"bitDepth": 8, "sampleFormat": "UINT"}}},
        },
        {
            "name": "n",
            "s3Bucket": "b",
            "additionalData": {"bands": {"1-a": {"bitDepth": 8, "sampleFormat": "UINT"}}},
        },
    ),
}

# Overlays that change what is said about a body, not which bodies pass; each has a test of its own below.
MARKED = {"byoc-read-only", "zarr-media-type"}


def test_every_overlay_has_a_case() -> None:
    ids = [overlay.id for overlay in OVERLAYS]
    assert len(ids) == len(set(ids))
    assert set(ids) == {*LOOSENED, *TIGHTENED, *MARKED}


@pytest.mark.parametrize("overlay", sorted(LOOSENED))
def test_a_real_body_is_refused_without_the_overlay_and_accepted_with_it(overlay: str) -> None:
    look, body = LOOSENED[overlay]
    assert faults(look(derived(without=overlay)), body) != []
    assert faults(look(derived()), body) == []


@pytest.mark.parametrize("overlay", sorted(TIGHTENED))
def test_a_body_that_cannot_be_meant_passes_without_the_overlay_only(overlay: str) -> None:
    look, good, bad = TIGHTENED[overlay]
    assert faults(look(derived(without=overlay)), bad) == []
    assert faults(look(derived()), bad) != []
    assert faults(look(derived()), good) == []


def test_a_tiling_grid_needs_bounds_all_the_same() -> None:
    schema = derived().request("createNewBatchV2ProcessingRequest")
    assert paths(schema, _without_bounds("batch")) == ["processRequest/input"]
    assert paths(schema, client_body("batch")) == []


def test_members_set_by_the_service_are_marked() -> None:
    """The client sends `additionalData: null` with each new tile; it may be dropped because it is marked."""
    for operation, member in (
        ("createByocCollection", "isConfigured"),
        ("createByocCollectionTile", "additionalData"),
    ):
        assert member in as_list(derived().operations[operation]["readOnly"])
        assert member not in as_list(
            derived(without="byoc-read-only").operations[operation]["readOnly"]
        )


def test_the_misspelt_media_type_is_corrected() -> None:
    def media(api: Api) -> list[str]:
        responses = as_object(api.operations["getZarrCollections"]["responses"])
        return list(as_object(responses["200"]))

    assert media(derived(without="zarr-media-type")) == ["aplication/json"]
    assert media(derived()) == ["application/json"]


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("process", "process"),
        ("process", "process-byoc"),
        ("submitStatisticalRequest", "statistics"),
        ("createNewAsyncProcessRequest", "async"),
        ("createNewBatchV2ProcessingRequest", "batch"),
        ("createNewBatchV2ProcessingRequest", "batch-gpkg"),
        ("createNewBatchV2ProcessingRequest", "batch-zarr"),
        ("createNewBatchStatisticsRequest", "batch-statistics"),
        ("postCatalogItemSearch", "catalog-time"),
        ("postCatalogItemSearch", "catalog-ids"),
        ("postCatalogItemSearch", "catalog-json"),
        ("updateByocCollectionTileById", "byoc-tile-update"),
    ],
)
def test_what_the_client_sends_is_accepted_as_it_is(operation: str, name: str) -> None:
    assert faults(derived().request(operation), client_body(name)) == []


@pytest.mark.parametrize(
    "data", ["data-s3", "data-s5", "data-olci", "data-s1", "data-dem", "data-hls"]
)
def test_every_data_set_of_the_client_is_accepted(data: str) -> None:
    assert faults(closed(derived().request("process")), _process(client_body(data))) == []


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("createByocCollection", "byoc-collection"),
        ("createByocCollection", "byoc-collection-bands"),
        ("updateByocCollectionById", "byoc-update"),
        ("createByocCollectionTile", "byoc-tile"),
    ],
)
def test_nulls_and_read_only_members_are_dropped_before_validating(
    operation: str, name: str
) -> None:
    """The rule for servers that PROVENANCE states, with the bodies that need it."""
    body = client_body(name)
    schema = derived().request(operation)
    read_only = {str(path) for path in as_list(derived().operations[operation]["readOnly"])}
    assert faults(schema, body) != []
    assert faults(schema, _as_served(body, read_only)) == []


def test_an_overlay_that_no_longer_fits_the_document_says_so() -> None:
    document = as_object(copy(extract()))
    del as_object(document["schemas"])["Cql2AndExpression"]
    overlay = next(overlay for overlay in OVERLAYS if overlay.id == "catalog-and-of-one")
    with pytest.raises(SchemaSourceError, match="Cql2AndExpression"):
        overlay.apply(document)


def _as_served(body: JsonValue, read_only: set[str], path: str = "") -> JsonValue:
    if not isinstance(body, dict):
        return body
    kept: Schema = {}
    for key, value in body.items():
        where = f"{path}.{key}" if path else key
        if value is not None and where not in read_only:
            kept[key] = _as_served(value, read_only, where)
    return kept


@pytest.mark.parametrize(
    "kind", [str(as_object(one)["type"]) for one in as_list(table("missions")["missions"])]
)
def test_every_published_collection_is_a_type_that_requests_may_name(kind: str) -> None:
    assert not faults(closed(derived().request("process")), _process({"type": kind}))
