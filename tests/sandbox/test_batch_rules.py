"""What a batch request may say: Zarr arrays, COGs, access, placeholders, collections, bodies in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import batch_zarr, multipart

from .batches import NDVI, TASKS, analysed, body, create, read, script
from .support import Driver, violations, write_cog

ROLE = {"iamRoleARN": "arn:aws:iam::123456789012:role/writer"}
KEYS = {"accessKey": "a", "secretAccessKey": "b"}
ARRAY = {"dtype": "|u1", "order": "C", "chunks": [1, 1000, 500], "fill_value": 0}
LAEA = {"id": 6, "resolution": 50}


def zarr(
    array: Any = None, *, outputs: tuple[str, ...] = ("default",), **more: Any
) -> dict[str, Any]:
    """A request for Zarr on a grid whose tiles have 2000 x 2000 pixels."""
    output = {"type": "zarr", "group": {"zarr_format": 2}}
    if array is not None:
        output["arrayParameters"] = array
    return {
        "output": {**output, **more},
        "responses": [{"identifier": one, "format": {"type": "zarr/array"}} for one in outputs],
        "grid": LAEA,
        "url": "s3://results/<requestId>",
    }


def complaint(api: Driver, **parts: Any) -> tuple[str, str]:
    answer = api.post(TASKS, body(**parts))
    assert answer.status_code == 400, answer.text
    (found,) = violations(answer).items()
    return found


# Zarr.


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"dtype": "|u2"}, "dtype"),
        ({"dtype": "float32"}, "dtype"),
        ({"order": "F"}, "order"),
        ({"chunks": [2, 1000, 1000]}, "chunks"),
        ({"chunks": [1, 300, 1000]}, "chunks"),
        ({"chunks": [1, 1000, 4000]}, "chunks"),
        ({"chunks": [1, 0, 1000]}, "chunks"),
        ({"chunks": [1, -1000, 1000]}, "chunks"),
        ({"fill_value": 256}, "fill_value"),
        ({"fill_value": -1}, "fill_value"),
        ({"fill_value": 0.5}, "fill_value"),
        ({"dtype": "<i2", "fill_value": 32_768}, "fill_value"),
        ({"dtype": "|i1", "fill_value": -129}, "fill_value"),
        ({"dtype": ">f4", "fill_value": 1e39}, "fill_value"),
    ],
    ids=str,
)
def test_arrays_that_cannot_be(api: Driver, change: dict[str, Any], member: str) -> None:
    assert complaint(api, **zarr({**ARRAY, **change}))[0] == f"output->arrayParameters->{member}"


@pytest.mark.parametrize(
    "change",
    [
        {"fill_value": 255},
        {"dtype": "<f8", "fill_value": 1e39},
        {"dtype": ">i2", "fill_value": -1.0},
    ],
    ids=str,
)
def test_arrays_that_can_be(api: Driver, change: dict[str, Any]) -> None:
    create(api, **zarr({**ARRAY, **change}))


def test_buffers_are_part_of_the_tiles_that_chunks_divide(api: Driver) -> None:
    parts = zarr({**ARRAY, "chunks": [1, 2020, 2010]})
    parts["grid"] = {**LAEA, "bufferX": 5, "bufferY": 10}
    create(api, **parts)
    parts["grid"] = {**LAEA, "bufferX": 10, "bufferY": 5}
    assert complaint(api, **parts)[0].endswith("chunks")


@pytest.mark.parametrize("member", sorted(ARRAY))
def test_what_the_parameters_lack_the_overrides_must_have(api: Driver, member: str) -> None:
    rest = {name: value for name, value in ARRAY.items() if name != member}
    assert complaint(api, **zarr())[0].startswith("output->arrayParameters")
    create(api, **zarr(arrayOverrides={"default": ARRAY}))
    named = complaint(api, **zarr(arrayOverrides={"default": rest}))
    assert named == (
        f"output->arrayParameters->{member}",
        "must not be missing; array default has none",
    )
    both = {"default": {member: ARRAY[member]}}
    # The form of the parameters that all arrays share is whole, or it is not there.
    assert complaint(api, **zarr(rest, arrayOverrides=both))[1] == "must not be missing"


def test_each_output_is_an_array(api: Driver) -> None:
    outputs = ("red", "blue")
    create(api, **zarr(ARRAY, outputs=outputs))
    own = {"red": ARRAY}
    assert "array blue" in complaint(api, **zarr(outputs=outputs, arrayOverrides=own))[1]
    named, _ = complaint(api, **zarr(ARRAY, arrayOverrides={"other": ARRAY}))
    assert named == "output->arrayOverrides->other"


def test_the_spelling_of_the_released_client_is_understood(api: Driver) -> None:
    create(api, **zarr(arrayParameter=ARRAY))
    assert complaint(api, **zarr(arrayParameter={**ARRAY, "order": 1}))[0].endswith("order")
    for wrong in (5, "x", [], {**ARRAY, "chunks": "x"}, {**ARRAY, "fill_value": True}):
        assert complaint(api, **zarr(arrayParameter=wrong))[0].startswith("output->array")


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"grid": {"id": 2, "resolution": 120}}, "input->id"),
        (
            {"source": {"type": "geopackage", "features": {"s3": {"url": "s3://b/x.gpkg"}}}},
            "input->type",
        ),
        ({"url": "s3://results/<tileName>"}, "output->delivery->url"),
        ({"url": "s3://results/<requestID>"}, "output->delivery->url"),
    ],
    ids=str,
)
def test_where_zarr_cannot_go(api: Driver, parts: dict[str, Any], named: str) -> None:
    assert complaint(api, **{**zarr(ARRAY), **parts})[0] == named


@pytest.mark.parametrize(
    ("sample_type", "fitting"),
    [
        ("UINT8", "|u1 <u2 >u2 <i2 >i2"),
        ("AUTO", "|u1 <u2 >u2 <i2 >i2"),
        ("INT8", "|i1 <i2 >i2"),
        ("UINT16", "<u2 >u2"),
        ("INT16", "<i2 >i2"),
        ("FLOAT32", ""),
    ],
)
def test_data_types_must_hold_the_samples(api: Driver, sample_type: str, fitting: str) -> None:
    found = set()
    for dtype in ("|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<f4", ">f4", "<f8", ">f8"):
        if batch_zarr.fits({"dtype": dtype}, sample_type):
            found.add(dtype)
    assert found == {*fitting.split(), "<f4", ">f4", "<f8", ">f8"}
    text = script(f"{{input: ['B04'], output: {{bands: 1, sampleType: '{sample_type}'}}}}")
    wrong = "|i1" if sample_type != "INT8" else "|u1"
    task = analysed(api, evalscript=text, **zarr({**ARRAY, "dtype": wrong}))
    assert (task["status"], wrong in task["error"]) == ("FAILED", True)
    assert (
        analysed(api, evalscript=text, **zarr({**ARRAY, "dtype": "<f4"}))["status"]
        == "ANALYSIS_DONE"
    )


# Access, placeholders and COGs.


@pytest.mark.parametrize(
    "delivery",
    [
        {"s3": {"url": "s3://results/x"}},
        {"s3": {"url": "s3://results/x", **ROLE, **KEYS}},
        {"s3": {"url": "s3://results/x", **ROLE, "accessKey": "a"}},
        {"s3": {"url": "s3://results/x", "secretAccessKey": "a"}},
        {"s3": {"url": "gs://results/x", **KEYS}},
        {"gs": {"url": "s3://results/x", "credentials": "e30="}},
        {"gs": {"url": "gs://results/x"}},
        {},
    ],
    ids=str,
)
def test_one_way_into_the_bucket(api: Driver, delivery: dict[str, Any]) -> None:
    answer = api.post(TASKS, body(output={"delivery": delivery}))
    assert answer.status_code == 400
    assert "delivery" in next(iter(violations(answer)))


@pytest.mark.parametrize("access", [ROLE, KEYS, {**KEYS, "region": "eu-central-1"}], ids=str)
def test_ways_into_the_bucket(api: Driver, access: dict[str, Any]) -> None:
    create(api, output={"delivery": {"s3": {"url": "s3://results/x", **access}}})


@pytest.mark.parametrize(
    "defaults",
    [{"width": 5}, {"height": 5}, {"width": 5, "height": 5, "resolution": 1}, {"width": 3501, "height": 1},
     {"resolution": 0}],
    ids=str,
)  # fmt: skip
def test_defaults_that_contradict_each_other(api: Driver, defaults: dict[str, Any]) -> None:
    source = {"type": "geopackage", "features": {"s3": {"url": "s3://b/x.gpkg"}}}
    assert complaint(api, source={**source, "defaults": defaults})[0].startswith("input->defaults")


def test_a_package_needs_no_bounds(api: Driver) -> None:
    sent = body(source={"type": "geopackage", "features": {"s3": {"url": "s3://b/x.gpkg"}}})
    del sent["processRequest"]["input"]["bounds"]
    task = api.post(TASKS, sent).json()["id"]
    assert api.post(f"{TASKS}/{task}/analyse").status_code == 204
    api.tick(10)
    assert "cannot be read" in read(api, task)["error"]
    assert api.post(TASKS, {**sent, "input": body()["input"]}).status_code == 400


@pytest.mark.parametrize(
    "template", ["<tileName>/<tileId>", "<tileName>-<requestid>", "<tileName><>", "<tileName>/<ID>"]
)
def test_unknown_placeholders(api: Driver, template: str) -> None:
    named, told = complaint(api, url=f"s3://results/{template}.tif")
    assert named == "output->delivery->url"
    assert "placeholder" in told


@pytest.mark.parametrize(
    ("parameters", "member"),
    [
        ({"blockxsize": 100}, "blockxsize"),
        ({"blockysize": 0}, "blockysize"),
        ({"blockysize": -256}, "blockysize"),
        ({"overviewLevels": [2, 0]}, "overviewLevels"),
        ({"overviewLevels": "2"}, "overviewLevels"),
        ({"resamplingAlgorithm": "best"}, "resamplingAlgorithm"),
        ({"usePredictor": "yes"}, "usePredictor"),
    ],
    ids=str,
)
def test_cog_parameters(api: Driver, parameters: dict[str, Any], member: str) -> None:
    output = {"cogOutput": True, "cogParameters": parameters}
    assert complaint(api, output=output)[0] == f"output->cogParameters->{member}"


# Results that become tiles.


def test_outputs_of_several_bands_are_numbered(api: Driver) -> None:
    parts = {
        "output": {"cogOutput": True, "createCollection": True},
        "responses": [{"identifier": one, "format": {"type": "image/tiff"}} for one in ("x", "x2")],
        "url": "s3://results/<requestId>/<tileName>/<outputId>.tif",
    }
    text = "{input: ['B04'], output: [{id: 'x', bands: %d}, {id: 'x2', bands: 1}]}"
    assert analysed(api, evalscript=script(text % 1), **parts)["status"] == "ANALYSIS_DONE"
    failed = analysed(api, evalscript=script(text % 2), **parts)
    assert failed["error"] == "Outputs x and x2 both have a band x2."
    del parts["output"]["createCollection"]
    parts["url"] = "s3://results/b/<requestId>/<tileName>/<outputId>.tif"
    assert analysed(api, evalscript=script(text % 2), **parts)["status"] == "ANALYSIS_DONE"


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ("{id: 'RED', bands: 1, sampleType: 'UINT16'}", None),
        ("{id: 'RED', bands: 2, sampleType: 'UINT16'}", "no band RED2"),
        ("{id: 'NIR', bands: 1, sampleType: 'UINT16'}", "no band NIR"),
        ("{id: 'RED', bands: 1, sampleType: 'INT16'}", "samples of INT16"),
        ("{id: 'RED', bands: 1}", "samples of AUTO"),
    ],
)
def test_outputs_must_fit_the_collection(
    api: Driver, bucket: Any, setup: str, told: str | None
) -> None:
    write_cog(bucket / "a/RED.tif")
    collection = api.collection()["id"]
    api.tile(collection, "a")
    api.tick(10)
    name = setup.split("'")[1]
    task = analysed(
        api,
        evalscript=script(f"{{input: ['B04'], output: {setup}}}"),
        responses=[{"identifier": name, "format": {"type": "image/tiff"}}],
        output={"cogOutput": True, "collectionId": collection},
    )
    assert task.get("error") is None if told is None else told in task["error"]


def test_a_collection_may_be_gone_when_the_analysis_looks(api: Driver) -> None:
    collection = api.collection()["id"]
    task = create(api, output={"cogOutput": True, "collectionId": collection})
    api.delete(f"/byoc/v1/collections/{collection}")
    api.post(f"{TASKS}/{task}/analyse")
    api.tick(10)
    assert read(api, task)["error"] == f"The collection {collection} does not exist."


# Bodies in parts.


def in_parts(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    lines = []
    for name, content in parts:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'
        )
        lines += [head.encode(), content, b"\r\n"]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()])


def send(api: Driver, content: bytes, kind: str = "multipart/form-data; boundary=b") -> Any:
    return api.send("POST", TASKS, content=content, headers={"content-type": kind})


def test_the_evalscript_may_come_in_a_part_of_its_own(api: Driver) -> None:
    sent = body()
    whole = json.dumps(sent).encode()
    del sent["processRequest"]["evalscript"]
    bare = json.dumps(sent).encode()
    for parts in (
        [("request", bare), ("evalscript", NDVI.encode())],
        [("evalscript", NDVI.encode()), ("request", bare)],
        [("request", whole)],
    ):
        answer = send(api, in_parts(*parts))
        assert answer.status_code == 201, answer.text
        assert answer.json()["request"]["processRequest"]["evalscript"] == NDVI
    assert send(api, in_parts(("request", bare))).status_code == 400
    quoted = send(
        api, in_parts(("request", whole), boundary="a b"), 'multipart/form-data; boundary="a b"'
    )
    assert quoted.status_code == 201


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"--b--",
        b"--b\r\n\r\n{}\r\n--b--",
        in_parts(("evalscript", NDVI.encode())),
        in_parts(("request", b"{")),
        in_parts(("request", b"[]")),
        in_parts(("request", b"{}")),
        in_parts(("request", b'{"processRequest": 5}'), ("evalscript", b"x")),
        in_parts(("request", b"{}"), ("request", b"{}")),
        in_parts(("request", b'{"processRequest": {}}'), ("evalscript", b"\xff")),
        in_parts(("request", b"{}"))[:-6],
        in_parts(("request", b"{}"), boundary="other"),
    ],
    ids=str,
)
def test_broken_bodies_in_parts(api: Driver, content: bytes) -> None:
    answer = send(api, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "COMMON_BAD_PAYLOAD")
    assert send(api, content, "multipart/form-data").status_code == 400


def test_only_some_requests_come_in_parts(api: Driver) -> None:
    task = create(api)
    answer = api.send(
        "PUT",
        f"{TASKS}/{task}",
        content=in_parts(("request", b"{}")),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 415


def test_an_empty_body_is_told_as_such(api: Driver) -> None:
    """Whatever its content type: the service says so even where a client sent something."""
    for headers in ({}, {"content-type": "application/json"}, {"content-type": "text/plain"}):
        answer = api.send("POST", TASKS, headers=headers)
        assert answer.status_code == 400
        assert "non-empty" in answer.json()["error"]["message"]


@given(
    st.dictionaries(
        st.text("abc-_.", min_size=1), st.binary().filter(lambda c: b"\r\n--" not in c), min_size=1
    ),
    st.text("abcdef0123456789", min_size=1, max_size=70),
)
def test_parts_come_out_as_they_went_in(found: dict[str, bytes], boundary: str) -> None:
    content = in_parts(*found.items(), boundary=boundary)
    assert multipart.parts(f"multipart/form-data; boundary={boundary}", content) == found


@given(st.binary(), st.text())
def test_any_bytes_are_parts_or_refused(content: bytes, header: str) -> None:
    for kind in (header, "multipart/form-data; boundary=b"):
        for whole in (content, b"--b" + content + b"\r\n--b--"):
            try:
                assert multipart.parts(kind, whole)
            except ValueError:
                continue
