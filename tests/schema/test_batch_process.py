"""The form of batch jobs: what the unmodified Python client sends is a `spec`, what cannot be meant is refused."""

from __future__ import annotations

import jsonschema_rs
import pytest
from sentinelhub import (
    CRS,
    BBox,
    DataCollection,
    Geometry,
    MimeType,
    SentinelHubRequest,
    SHConfig,
)
from sentinelhub.api.batch import BatchProcessClient
from sentinelhub.api.utils import remove_undefined, s3_specification
from shapely.geometry import box

from shplan.schema import store
from shplan.schema.tree import JsonValue, Schema, as_object, copy
from tests.schema.support import client_body, faults, paths

_BUCKET = s3_specification("s3://acme/ndvi", "key", "secret", region="eu-central-1")
_ROLE = s3_specification("s3://acme/fields.gpkg", iam_role_arn="arn:aws:iam::1:role/shplan")
_GRID = BatchProcessClient.tiling_grid_input(0, 10, buffer_x=5, buffer_y=5)
_RASTER = BatchProcessClient.raster_output(_BUCKET)
_ARRAY: Schema = {"dtype": "<f4", "order": "C", "chunks": [1, 1002, 1002], "fill_value": -1}


def _process(
    collection: DataCollection = DataCollection.SENTINEL2_L2A, **options: object
) -> JsonValue:
    """Return what the client makes of a request to be run in a batch."""
    request = SentinelHubRequest(
        evalscript="//VERSION=3",
        input_data=[SentinelHubRequest.input_data(collection, **options)],
        responses=[SentinelHubRequest.output_response("default", MimeType.TIFF)],
        geometry=Geometry(box(13, 45, 14, 46), CRS.WGS84),
        bbox=BBox((13, 45, 14, 46), CRS.WGS84),
        config=SHConfig(),
    )
    return request.download_list[0].post_values


def _job(run: JsonValue = None, **spec: JsonValue) -> Schema:
    body = {"processRequest": _process(), "input": _GRID, "output": _RASTER, **spec}
    job: Schema = {
        "apiVersion": "shplan/v1",
        "kind": "BatchProcess",
        "metadata": {"name": "ndvi"},
        "spec": copy(remove_undefined(body)),
    }
    return job if run is None else {**job, "run": run}


def _edited(path: str, value: JsonValue) -> Schema:
    """Return a right job with one value set; None takes it away."""
    job = _job()
    *above, last = path.split(".")
    node: JsonValue = job
    for step in above:
        node = node[int(step)] if isinstance(node, list) else as_object(node)[step]
    if value is None:
        del as_object(node)[last]
    else:
        as_object(node)[last] = value
    return job


def _both(document: Schema) -> tuple[list[str], list[str]]:
    return faults(store.manifest_schema("BatchProcess"), document), faults(
        store.dispatch_schema(), document
    )


@pytest.mark.parametrize(
    ("place", "result"),
    [
        (_GRID, _RASTER),
        (BatchProcessClient.geopackage_input(_ROLE), _RASTER),
        (
            _GRID,
            BatchProcessClient.raster_output(
                _BUCKET,
                overwrite=True,
                skip_existing=False,
                cog_output=True,
                cog_parameters={"overviewLevels": [2, 4], "blockxsize": 512, "usePredictor": False},
                create_collection=True,
                collection_id="7453e962-0ee5-4f74-8227-89759fbe9ba9",
            ),
        ),
        (
            BatchProcessClient.geopackage_input(_ROLE),
            BatchProcessClient.zarr_output(
                _BUCKET,
                group={"zarr_format": 2, "coordinates": {"origin": "bottomLeft"}},
                array_overrides={"default": {**_ARRAY, "customAttributes": {"units": "1"}}},
                arrayParameters=_ARRAY,
            ),
        ),
    ],
)
def test_what_the_client_sends_is_a_spec(place: Schema, result: Schema) -> None:
    job = _job(input=place, output=result, instanceType="normal", description="Of June")
    assert _both(job) == ([], [])


@pytest.mark.parametrize("name", ["batch", "batch-gpkg", "batch-zarr"])
def test_what_the_client_sent_is_a_spec(name: str) -> None:
    assert _both({**_job(), "spec": client_body(name)}) == ([], [])


@pytest.mark.parametrize("collection", list(DataCollection), ids=lambda one: one.name)
def test_every_collection_of_the_client_is_taken(collection: DataCollection) -> None:
    options: dict[str, object] = {"upsampling": "BILINEAR", "downsampling": "BICUBIC"}
    if not collection.is_timeless:
        options |= {"time_interval": ("2025-06-01", ".."), "mosaicking_order": "leastRecent"}
    if collection.has_cloud_coverage:
        options |= {"maxcc": 0.5}
    assert _both(_job(processRequest=_process(collection, **options))) == ([], [])


def test_collections_of_ones_own_are_taken_by_their_id() -> None:
    own = "7453e962-0ee5-4f74-8227-89759fbe9ba9"
    for collection in (DataCollection.define_byoc(own), DataCollection.define_batch(own)):
        assert _both(_job(processRequest=_process(collection))) == ([], [])


def test_one_manifest_for_many_months_completes_in_an_editor() -> None:
    data: Schema = {
        "type": "byoc-{{ ref('ByocCollection/fields').id }}",
        "dataFilter": {
            "timeRange": {
                "from": "{{ each.month }}-01T00:00:00Z",
                "to": "{{ month_end(each.month) }}",
            }
        },
    }
    process: Schema = {
        "input": {
            "bounds": {"geometry": "{{ geojson('../aoi/farm.geojson') }}"},
            "data": [data],
        },
        "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
        "evalscript": "{{ ref('Evalscript/ndvi') }}",
    }
    job = _job(
        processRequest=process,
        input={"type": "tiling-grid", "id": 0, "resolution": 10},
        output={"type": "raster", "delivery": {"s3": {"url": "s3://acme-out/{{ each.month }}"}}},
        run={"maxPu": 500, "timeout": "6h"},
    )
    job["metadata"] = {
        "name": "ndvi",
        "forEach": {"month": ["2025-06", "2025-07"]},
        "dependsOn": ["ByocTiles/fields"],
    }
    assert faults(store.manifest_schema("BatchProcess", expressions=True), job) == []
    assert faults(store.dispatch_schema(), job) == []


def test_the_body_may_consist_of_expressions_in_an_editor() -> None:
    expression = "{{ var.it }}"
    schema = store.manifest_schema("BatchProcess", expressions=True)
    for path in (
        "spec.processRequest",
        "spec.processRequest.input.bounds",
        "spec.processRequest.input.bounds.bbox",
        "spec.processRequest.input.data",
        "spec.processRequest.input.data.0.type",
        "spec.processRequest.input.data.0.dataFilter",
        "spec.processRequest.evalscript",
        "spec.input.resolution",
        "spec.output.delivery",
        "spec.output.delivery.s3.secretAccessKey",
    ):
        assert paths(schema, _edited(path, expression)) == [], path
    options: Schema = dict.fromkeys(("start", "generation", "maxPu", "timeout"), expression)
    assert paths(schema, _job(run=options)) == []
    assert paths(schema, _job(run={"api": expression})) == ["run/api"]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("spec.processRequest.output.width", 512, "spec/processRequest/output"),
        ("spec.processRequest.input.bounds", None, "spec/processRequest/input"),
        ("spec.processRequest.input.data.0.processing", {"upsample": "NEAREST"}, "spec/processRequest/input/data/0/processing"),
        ("spec.processRequest.input.data.0.type", "sentinel-2", "spec/processRequest/input/data/0/type"),
        (
            "spec.processRequest.input.data.0.dataFilter",
            {"mosaickingOrder": "leastClouds"},
            "spec/processRequest/input/data/0/dataFilter/mosaickingOrder",
        ),
        (
            "spec.processRequest.output.responses.0.format.type",
            "image/png",
            "spec/processRequest/output/responses/0/format/type",
        ),
        ("spec.input.type", "grid", "spec/input/type"),
        ("spec.input.resolution", None, "spec/input"),
        ("spec.input.features", {}, "spec/input"),
        ("spec.output.type", None, "spec/output"),
        ("spec.output.delivery", None, "spec/output"),
        ("spec.output.delivery", {}, "spec/output/delivery"),
        ("spec.output.delivery.gs", {"url": "gs://a/b", "credentials": "c"}, "spec/output/delivery"),
        ("spec.output.group", {"zarr_format": 2}, "spec/output"),
        ("spec.tilingGrid", {}, "spec"),
        ("spec.id", "7453e962-0ee5-4f74-8227-89759fbe9ba9", "spec"),
    ],
)  # fmt: skip
def test_a_fault_in_the_body_is_reported_once_and_where_it_is(
    path: str, value: JsonValue, where: str
) -> None:
    document = _edited(path, value)
    assert paths(store.manifest_schema("BatchProcess"), document) == [where]
    assert len(faults(store.manifest_schema("BatchProcess"), document)) == 1


_RUNS: list[tuple[str, list[JsonValue], list[JsonValue]]] = [
    ("start", ["auto", "analyse", "manual"], ["analyze", "", True]),
    ("generation", [1, 7], [0, 1.5, "1"]),
    ("triggers", [{}, {"season": "2025", "pass": 2, "late": True}], [["a"], {"a": [1]}, {"a": {}}]),
    ("timeout", ["6h", "1h30m"], [6, "6 hours"]),
    ("maxPu", [0.5, 500], [0, -1, "500"]),
    ("onFailure", ["block", "rerun"], ["retry"]),
    ("onRemove", ["keep", "stop"], ["delete"]),
    ("api", ["v2"], ["v3", 2]),
    ("files", [{}, {"s3://b/a.gpkg": "0f" * 32, "gs://b/a": "a" * 64}], [{"s3://b/a": "A" * 64}]),
    ("files", [{}], [{"a.gpkg": "a" * 64}, {"s3://b": "a" * 64}, {"s3://b/a": "a" * 63}]),
]


@pytest.mark.parametrize(("option", "right", "wrong"), _RUNS)
def test_options_of_a_run(option: str, right: list[JsonValue], wrong: list[JsonValue]) -> None:
    for value in right:
        assert _both(_job(run={option: value})) == ([], []), value
    for value in wrong:
        (place,) = paths(store.manifest_schema("BatchProcess"), _job(run={option: value}))
        assert place.startswith(f"run/{option}"), value


def test_every_option_of_a_run_has_its_cases() -> None:
    definitions = as_object(store.manifest_schema("BatchProcess")["$defs"])
    known = as_object(as_object(definitions["BatchProcessRun"])["properties"])
    assert set(known) == {option for option, _, _ in _RUNS}


def test_a_script_is_a_file() -> None:
    script: Schema = {
        "apiVersion": "shplan/v1",
        "kind": "Evalscript",
        "metadata": {"name": "ndvi"},
        "spec": {"file": "../evalscripts/ndvi.js"},
    }
    schema = store.manifest_schema("Evalscript")
    assert faults(schema, script) == []
    for wrong in ({}, {"file": ""}, {"file": 1}, {"file": "a.js", "text": "//VERSION=3"}):
        assert len(faults(schema, {**script, "spec": wrong})) == 1, wrong
    assert paths(schema, {**script, "run": {}}) == [""]


def test_secrets_are_texts_to_the_schema() -> None:
    """That only secret(...) may stand there is said by who knows where a value came from."""
    definitions = as_object(store.manifest_schema("BatchProcess")["$defs"])
    for definition, member in (
        ("S3BucketInfo", "accessKey"),
        ("S3BucketInfo", "secretAccessKey"),
        ("GSBucketInfo", "credentials"),
    ):
        schema = as_object(as_object(as_object(definitions[definition])["properties"])[member])
        assert set(schema) == {"type", "description"}
        assert jsonschema_rs.is_valid(schema, "deferred 1")
