"""Run keys: what says the same has one key, what says something else another, for ever."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.key_format import canonical_instant
from shplan.core.marker import make_marker, with_marker
from shplan.core.run_key import (
    KEY_FORMAT,
    RUN_KEY_PLACEHOLDER,
    MissingFileDigestError,
    NoFormError,
    RunInput,
    UnknownPartError,
    canonical_request,
    content_digest,
    differing_parts,
    key_of_echo,
    likeness,
    referred_files,
    run_key,
)
from shplan.core.value import (
    Reference,
    SecretReference,
    Sensitive,
    Unknown,
    Value,
    canonical,
    printable,
)

SCRIPT = """//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(s) {
  return [(s.B08 - s.B04) / (s.B08 + s.B04)];
}
"""
SQUARE = [[14.0, 45.0], [15.0, 45.0], [15.0, 46.0], [14.0, 46.0], [14.0, 45.0]]
HOLE = [[14.2, 45.2], [14.2, 45.4], [14.4, 45.4], [14.4, 45.2], [14.2, 45.2]]
OTHER = [[14.6, 45.6], [14.8, 45.6], [14.8, 45.8], [14.6, 45.6]]
SHA = "ab" * 32


def request() -> dict[str, Any]:
    return {
        "processRequest": {
            "input": {
                "bounds": {
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": copy.deepcopy([SQUARE, HOLE, OTHER]),
                    }
                },
                "data": [
                    {
                        "type": "sentinel-2-l2a",
                        "dataFilter": {
                            "timeRange": {
                                "from": "2025-06-01T00:00:00Z",
                                "to": "2025-06-30T23:59:59Z",
                            }
                        },
                    }
                ],
            },
            "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
            "evalscript": SCRIPT,
        },
        "input": {"type": "tiling-grid", "id": 0, "resolution": 10},
        "output": {
            "type": "raster",
            "delivery": {
                "s3": {
                    "url": "s3://acme-out/ndvi/<tileName>/<outputId>.tif",
                    "accessKey": "AKIA-OLD",
                    "secretAccessKey": Sensitive((SecretReference("env:KEY"),)),
                    "region": "eu-central-1",
                }
            },
        },
    }


def given_input(**other: Any) -> RunInput:
    base = RunInput("BatchProcess", "v2", "aws-eu-central-1", request())
    return replace(base, **other)


def with_member(path: str, value: Any) -> RunInput:
    """Change one member of the request; a dotted path, `-` at its end to append."""
    changed = request()
    *parents, last = path.split(".")
    node: Any = changed
    for step in parents:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    if value is REMOVED:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return given_input(request=changed)


REMOVED = object()
DATA = "processRequest.input.data.0"
BOUNDS = "processRequest.input.bounds"
S3 = "output.delivery.s3"
GEOMETRY = f"{BOUNDS}.geometry"


def crs(name: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": name}}


SAME = [
    ("processRequest.evalscript", SCRIPT.replace("return [", "return /* NDVI */ [")),
    ("processRequest.evalscript", SCRIPT.replace("\n", "\r\n").replace("  ", "\t")),
    ("processRequest.evalscript", SCRIPT + "// the end\n"),
    ("description", "June, again"),
    ("description", None),
    (f"{S3}.accessKey", "AKIA-NEW"),
    (f"{S3}.accessKey", REMOVED),
    (f"{S3}.secretAccessKey", Sensitive(("x", SecretReference("env:OTHER")))),
    (f"{S3}.secretAccessKey", Unknown("{{ ref('A/b').id }}", "C/d", ())),
    (f"{S3}.iamRoleARN", "arn:aws:iam::1:role/delivery"),
    ("output.overwrite", True),
    ("output.skipExisting", True),
    (f"{DATA}.dataFilter.timeRange.from", "2025-06-01T02:00:00.000+02:00"),
    (f"{DATA}.dataFilter.timeRange.from", "2025-05-31t22:30:00.0-01:30"),
    (f"{DATA}.dataFilter.timeRange.to", "2025-06-30T23:59:59.0000009z"),
    (f"{DATA}.dataFilter.mosaickingOrder", "mostRecent"),
    (f"{DATA}.dataFilter.maxCloudCoverage", 100),
    (f"{DATA}.dataFilter.maxCloudCoverage", 100.0),
    (f"{DATA}.dataFilter.tiers", "ALL_TIERS"),
    (f"{DATA}.processing", {}),
    (f"{DATA}.processing", {"upsampling": "NEAREST", "downsampling": "NEAREST"}),
    (f"{DATA}.processing.harmonizeValues", True),
    (f"{DATA}.processing", {"backCoeff": "GAMMA0_ELLIPSOID", "orthorectify": False}),
    (
        f"{DATA}.processing",
        {"radiometricTerrainOversampling": 2, "speckleFilter": {"type": "NONE"}},
    ),
    (f"{DATA}.processing", {"view": "NADIR"}),
    (f"{DATA}.processing", {"clampNegative": False, "egm": False}),
    (f"{DATA}.id", None),
    (f"{BOUNDS}.properties", {"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}),
    (f"{BOUNDS}.properties", {"crs": "urn:ogc:def:crs:OGC:1.3:CRS84"}),
    (f"{BOUNDS}.properties", {"crs": "http://www.opengis.net/def/crs/EPSG/0/4326"}),
    (f"{BOUNDS}.properties", {}),
    (f"{GEOMETRY}.crs", crs("urn:ogc:def:crs:OGC:1.3:CRS84")),
    (f"{GEOMETRY}.coordinates", [SQUARE, OTHER, HOLE]),
    (f"{GEOMETRY}.coordinates", [SQUARE[::-1], HOLE[2:] + HOLE[1:3], OTHER]),
    (GEOMETRY, {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE, OTHER]]}),
    (f"{GEOMETRY}.coordinates.0", [[int(x), int(y)] for x, y in SQUARE]),
    ("input.resolution", 10.0),
    ("input.id", -0.0),
    ("input.bufferX", 0),
    ("input.bufferY", 0),
    ("input.defaults", {}),
    ("output.cogOutput", False),
    ("output.createCollection", False),
    ("output.cogParameters", {}),
    ("output.cogParameters", {"blockxsize": 256, "blockysize": 256, "usePredictor": True}),
    ("output.cogParameters", {"resamplingAlgorithm": "average", "overviewMinSize": 256}),
    ("instanceType", "normal"),
]
OTHERS = [
    ("processRequest.evalscript", SCRIPT.replace("return [", "return\n [")),
    ("processRequest.evalscript", SCRIPT.replace("//VERSION=3\n", "")),
    ("processRequest.evalscript", SCRIPT.replace("//VERSION=3", "//VERSION=2")),
    ("processRequest.evalscript", SCRIPT.replace('"B08"', '"B08", "B11"')),
    ("processRequest.evalscript", SCRIPT.replace("bands: 1", "bands: 2")),
    (f"{DATA}.type", "sentinel-2-l1c"),
    (f"{DATA}.id", "s2"),
    (f"{DATA}.dataFilter.timeRange.from", "2025-06-01T00:00:01Z"),
    (f"{DATA}.dataFilter.timeRange.from", "2025-06-01T00:00:00+02:00"),
    (f"{DATA}.dataFilter.timeRange.to", "2025-06-30T23:59:59.999Z"),
    (f"{DATA}.dataFilter.timeRange.to", ".."),
    (f"{DATA}.dataFilter.mosaickingOrder", "leastCC"),
    (f"{DATA}.dataFilter.maxCloudCoverage", 99.9),
    (f"{DATA}.dataFilter.demInstance", "MAPZEN"),
    (f"{DATA}.processing", {"harmonizeValues": False}),
    (f"{DATA}.processing", {"speckleFilter": {"type": "LEE", "windowSizeX": 3, "windowSizeY": 3}}),
    (f"{DATA}.processing", {"minQa": 50}),
    (f"{BOUNDS}.properties", {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"}),
    (f"{BOUNDS}.bbox", [14, 45, 15, 46]),
    (f"{GEOMETRY}.crs", crs("urn:ogc:def:crs:EPSG::3857")),
    (f"{GEOMETRY}.coordinates", [SQUARE, HOLE]),
    (f"{GEOMETRY}.coordinates.0.1", [15.0, 45.0000001]),
    (GEOMETRY, {"type": "MultiPolygon", "coordinates": [[SQUARE], [OTHER]]}),
    ("processRequest.output.responses.0.identifier", "index"),
    ("processRequest.output.responses.0.format.type", "zarr/array"),
    ("input.resolution", 20),
    ("input.id", 1),
    ("input.bufferX", 1),
    (f"{S3}.url", "s3://acme-out/other/<tileName>/<outputId>.tif"),
    (f"{S3}.url", "s3://acme-out/{{ run.key }}/<tileName>/<outputId>.tif"),
    (f"{S3}.region", "us-west-2"),
    ("output.cogOutput", True),
    ("output.createCollection", True),
    ("output.collectionId", "00000000-0000-4000-8000-000000000000"),
    ("output.cogParameters", {"overviewLevels": []}),
    ("output.cogParameters", {"blockxsize": 512}),
    ("output.cogParameters", {"overviewMinSize": 128}),
    ("instanceType", "large"),
    ("somethingNew", True),
]


@pytest.mark.parametrize(("path", "value"), SAME)
def test_what_says_the_same_has_the_same_key(path: str, value: Any) -> None:
    assert run_key(with_member(path, value)) == run_key(given_input())


@pytest.mark.parametrize(("path", "value"), OTHERS)
def test_what_says_something_else_has_another_key(path: str, value: Any) -> None:
    assert run_key(with_member(path, value)).digest != run_key(given_input()).digest


def test_no_two_of_the_others_share_a_key() -> None:
    keys = [run_key(with_member(path, value)).digest for path, value in OTHERS]
    assert len(set(keys)) == len(OTHERS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (BOUNDS, "everywhere"),
        (GEOMETRY, "everywhere"),
        (GEOMETRY, {"type": "Point", "coordinates": [14, 45]}),
        (GEOMETRY, {"type": "Polygon", "coordinates": [[["x", "y"]]], "crs": "EPSG:3857"}),
        (f"{BOUNDS}.properties", {"crs": 4326}),
        (f"{DATA}.dataFilter", "all"),
        (f"{DATA}.dataFilter.timeRange.from", {"at": ["dawn"]}),
        ("processRequest.input.data", ["sentinel-2-l2a"]),
        ("processRequest.evalscript", 3),
        ("processRequest.evalscript", {"$secret": SCRIPT + "1"}),
        ("output.cogParameters", "best"),
        ("output.cogParameters", {"blockxsize": "wide"}),
        ("output", "anywhere"),
    ],
)
def test_what_the_api_will_refuse_has_a_key_as_it_stands(path: str, value: Any) -> None:
    """Whether a request is valid is not for the key to say."""
    changed = with_member(path, value)
    assert run_key(changed).digest != run_key(given_input()).digest
    once = canonical_request("BatchProcess", "v2", changed.request)
    assert canonical_request("BatchProcess", "v2", once) == once  # type: ignore[arg-type]
    assert key_of_echo(json.loads(canonical(changed.request)), changed, key="") == run_key(changed)


def test_a_secret_in_a_script_is_no_text_of_it() -> None:
    """The receipt keeps the reference, and keys the same."""
    secret = Sensitive((SCRIPT, SecretReference("env:TOKEN")))
    stated = with_member("processRequest.evalscript", secret)
    kept = json.loads(canonical(stated.request))
    assert run_key(stated) == run_key(replace(stated, request=kept))
    assert run_key(stated).digest != run_key(given_input()).digest


@pytest.mark.parametrize(
    "other",
    [
        {"deployment": "cdse"},
        {"generation": 2},
        {"triggers": ["fields ingested 2025-07-01"]},
        {"triggers": {"season": 2025}},
    ],
)
def test_what_stands_beside_the_request_counts(other: dict[str, Any]) -> None:
    assert run_key(given_input(**other)).digest != run_key(given_input()).digest


def test_no_triggers_are_no_triggers() -> None:
    assert run_key(given_input(triggers={})) == run_key(given_input(triggers=[]))
    assert run_key(given_input(triggers={"a": 1, "b": 2.0})) == run_key(
        given_input(triggers={"b": 2, "a": 1})
    )


def test_a_key_says_what_it_is_made_of() -> None:
    key = run_key(given_input(triggers=["x"]))
    assert key.digest.startswith("sha256:" + key.short)
    assert len(key.short) == 16
    assert list(key.parts) == [
        *("format", "kind", "api", "generation", "triggers", "deployment", "request", "files")
    ]
    text = json.dumps(key.parts)
    assert "evaluatePixel" not in text
    assert "AKIA" not in text
    assert "env:KEY" not in text


def test_what_is_not_known_yet_has_no_key() -> None:
    unknown = Unknown(
        "byoc-{{ ref('ByocCollection/b').id }}", "A/b", (Reference(Address("A", "b")),)
    )
    with pytest.raises(UnknownPartError, match="known only after apply"):
        run_key(with_member(f"{DATA}.type", unknown))


def test_other_kinds_have_no_keys_yet() -> None:
    with pytest.raises(NoFormError):
        run_key(given_input(kind="ByocCollection"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-01T00:00:00Z", "2025-06-01T00:00:00Z"),
        ("2025-06-01T00:00:00.120+00:00", "2025-06-01T00:00:00.12Z"),
        ("2025-06-01T00:00:00.1239999Z", "2025-06-01T00:00:00.123Z"),
        ("2025-01-01T00:30:00+01:00", "2024-12-31T23:30:00Z"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("2025-06-01", "2025-06-01"),
        ("..", ".."),
    ],
)
def test_instants_have_one_form(text: str, expected: str) -> None:
    assert canonical_instant(text) == expected
    assert canonical_instant(expected) == expected


# Files


def geopackage(**files: str) -> RunInput:
    changed = request()
    changed["input"] = {"type": "geopackage", "features": {"s3": {"url": "s3://acme/aoi.gpkg"}}}
    changed["processRequest"]["evalscriptReference"] = {"s3": {"url": "s3://acme/ndvi.js"}}
    del changed["processRequest"]["evalscript"]
    digests = {"s3://acme/aoi.gpkg": SHA, "s3://acme/ndvi.js": SHA} | files
    return given_input(request=changed, files=digests)


def test_a_referred_file_counts_with_its_content() -> None:
    key = run_key(geopackage())
    assert referred_files("BatchProcess", "v2", geopackage().request) == (
        "s3://acme/aoi.gpkg",
        "s3://acme/ndvi.js",
    )
    for url in ("s3://acme/aoi.gpkg", "s3://acme/ndvi.js"):
        assert run_key(geopackage(**{url: "cd" * 32})).digest != key.digest
    assert run_key(geopackage(**{"s3://acme/aoi.gpkg": SHA.upper()})) == key
    assert run_key(geopackage(**{"s3://acme/aoi.gpkg": "sha256:" + SHA})) == key
    assert run_key(geopackage(**{"s3://acme/unused": "cd" * 32})) == key


def test_a_file_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(MissingFileDigestError, match="s3://acme/ndvi.js") as error:
        run_key(replace(geopackage(), files={"s3://acme/aoi.gpkg": SHA}))
    assert error.value.url == "s3://acme/ndvi.js"


# Content


def test_the_content_digest_is_the_same_in_every_environment() -> None:
    one = given_input()
    elsewhere = with_member("output.delivery", {"gs": {"url": "gs://other/<tileName>"}})
    elsewhere = replace(elsewhere, deployment="cdse")
    assert run_key(one).digest != run_key(elsewhere).digest
    assert content_digest(one, request_by_address=one.request) == content_digest(
        elsewhere, request_by_address=elsewhere.request
    )


def test_the_content_digest_takes_references_by_address() -> None:
    def digest_of(id_: str, **other: Any) -> str:
        by_id, by_address = (
            with_member(f"{DATA}.type", f"byoc-{text}") for text in (id_, "ByocCollection/b.id")
        )
        return content_digest(replace(by_id, **other), request_by_address=by_address.request)

    assert digest_of("1") == digest_of("2")
    assert digest_of("1") != digest_of("1", generation=2)
    assert digest_of("1") != digest_of("1", triggers=["x"])


def test_the_content_digest_takes_files_by_content() -> None:
    one, other = geopackage(), geopackage()
    other.request["input"]["features"]["s3"]["url"] = "s3://prod/aoi.gpkg"  # type: ignore[index, call-overload]
    other = replace(other, files={**other.files, "s3://prod/aoi.gpkg": SHA})
    assert content_digest(one, request_by_address=one.request) == content_digest(
        other, request_by_address=one.request
    )
    changed = replace(one, files={**one.files, "s3://acme/aoi.gpkg": "cd" * 32})
    assert content_digest(one, request_by_address=one.request) != content_digest(
        changed, request_by_address=one.request
    )


# Why


def test_why_two_keys_differ() -> None:
    old = run_key(given_input()).parts
    changed = with_member(f"{DATA}.dataFilter.maxCloudCoverage", 20)
    new = run_key(replace(changed, generation=2, triggers=["x"])).parts
    assert differing_parts(old, new) == (
        ("generation", 1, 2),
        ("request.processRequest.input.data.0.dataFilter.maxCloudCoverage", None, 20),
        ("triggers", [], ["x"]),
    )
    assert differing_parts(new, old)[0] == ("generation", 2, 1)
    assert differing_parts(old, old) == ()


def test_lists_that_are_no_objects_differ_whole() -> None:
    assert differing_parts({"a": [[1, 2], [3]]}, {"a": [[1, 2], [4]]}) == (
        ("a", [[1, 2], [3]], [[1, 2], [4]]),
    )
    assert differing_parts({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 2}]}) == (
        ("a", [{"b": 1}], [{"b": 1}, {"b": 2}]),
    )
    assert differing_parts({"a": 1}, {"a": True}) == (("a", 1, True),)


# Echoes


def echo_of(given: RunInput) -> dict[str, Any]:
    """A server's echo: canonical values and secrets gone, as a plain JSON document."""
    found: dict[str, Any] = json.loads(canonical(given.request))
    found["output"]["delivery"]["s3"]["secretAccessKey"] = "***"
    return found


def test_an_echo_has_the_key_of_its_manifest() -> None:
    given = given_input(generation=3, triggers=["x"])
    echo = echo_of(given)
    marker = make_marker(
        project="p", address=Address("BatchProcess", "n"), key=run_key(given).short, attempt=1
    )
    echo["description"] = with_marker("June", marker)
    echo["processRequest"]["evalscript"] += "\n// " + marker
    assert key_of_echo(echo, given, key=run_key(given).short) == run_key(given)


def test_an_echo_of_another_request_has_another_key() -> None:
    echo = echo_of(with_member("input.resolution", 20))
    assert key_of_echo(echo, given_input(), key="0" * 16).digest != run_key(given_input()).digest


def test_the_key_in_a_delivery_path_is_put_back() -> None:
    given = with_member(f"{S3}.url", "s3://acme/{{run.key}}/<tileName>.tif")
    key = run_key(given)
    assert RUN_KEY_PLACEHOLDER in json.dumps(key.parts)
    echo = echo_of(given)
    echo["output"]["delivery"]["s3"]["url"] = f"s3://acme/{key.short}/<tileName>.tif"
    assert key_of_echo(echo, given, key=key.short) == key
    assert key_of_echo(echo, given, key="0" * 16).digest != key.digest
    # A manifest that spells a key out means that path and no other.
    spelt = with_member(f"{S3}.url", f"s3://acme/{key.short}/<tileName>.tif")
    assert key_of_echo(echo_of(spelt), spelt, key=key.short) == run_key(spelt)


@pytest.mark.parametrize(
    ("deployment", "dem", "same"),
    [
        ("aws-eu-central-1", "MAPZEN", True),
        ("aws-eu-central-1", "COPERNICUS_30", False),
        ("cdse", "COPERNICUS_30", True),
        ("cdse", "MAPZEN", False),
        ("sandbox", "MAPZEN", True),
    ],
)
def test_a_server_fills_in_its_own_dem(deployment: str, dem: str, same: bool) -> None:
    given = given_input(deployment=deployment)
    echo = echo_of(given)
    echo["processRequest"]["input"]["data"][0]["dataFilter"]["demInstance"] = dem
    assert (key_of_echo(echo, given, key="0" * 16) == run_key(given)) == same


def test_what_the_manifest_states_is_not_filled_in() -> None:
    given = with_member(f"{S3}.region", "eu-central-1")
    echo = echo_of(given)
    echo["output"]["delivery"]["s3"]["region"] = "us-west-2"
    assert key_of_echo(echo, given, key="0" * 16).digest != run_key(given).digest
    silent = with_member(f"{S3}.region", REMOVED)
    assert key_of_echo(echo, silent, key="0" * 16) == run_key(silent)


def test_an_echo_that_refers_to_other_files_is_another_request() -> None:
    given = geopackage()
    echo = echo_of(given)
    assert key_of_echo(echo, given, key="0" * 16) == run_key(given)
    echo["input"]["features"]["s3"]["url"] = "s3://strange/aoi.gpkg"
    assert key_of_echo(echo, given, key="0" * 16).digest != run_key(given).digest


def test_a_secret_outside_the_credentials_is_put_back() -> None:
    secret = Sensitive(("s3://", SecretReference("env:BUCKET"), "/<tileName>"))
    given = with_member(f"{S3}.url", secret)
    echo = echo_of(given)
    echo["output"]["delivery"]["s3"]["url"] = "s3://hidden/<tileName>"
    assert key_of_echo(echo, given, key="0" * 16) == run_key(given)


# Laws

INSTANTS = [
    ("2025-06-01T00:00:00Z", "2025-06-01T00:00:00.000Z"),
    ("2025-06-01T02:00:00+02:00", "2025-06-01T00:00:00Z"),
]
ORDER = st.sampled_from(["mostRecent", "leastRecent", "leastCC"])
METHOD = st.sampled_from(["NEAREST", "BILINEAR"])
FILTERS = st.fixed_dictionaries(
    {"timeRange": st.sampled_from(INSTANTS).map(lambda two: {"from": two[0], "to": ".."})},
    optional={"mosaickingOrder": ORDER, "maxCloudCoverage": st.sampled_from([100, 100.0, 40])},
)
PROCESSING = st.fixed_dictionaries(
    {},
    optional={
        "upsampling": METHOD,
        "harmonizeValues": st.booleans(),
        "orthorectify": st.booleans(),
        "speckleFilter": st.just({"type": "NONE"}),
    },
)
DATA_ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["sentinel-2-l2a", "sentinel-1-grd", "byoc-1"])},
    optional={"dataFilter": FILTERS, "processing": PROCESSING, "id": st.sampled_from(["a", None])},
)
COORDINATES = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=3, max_size=5)
BOUNDS_OF = st.fixed_dictionaries(
    {},
    optional={
        "bbox": st.just([0, 0, 1.0, 2.5]),
        "geometry": COORDINATES.map(lambda ring: {"type": "Polygon", "coordinates": [ring]}),
        "properties": st.sampled_from([{}, {"crs": "EPSG:3857"}, {"crs": "EPSG:4326"}]),
    },
)
OUTPUTS = st.fixed_dictionaries(
    {"type": st.just("raster"), "delivery": st.just({"s3": {"url": "s3://b/{{ run.key }}/p"}})},
    optional={
        "overwrite": st.booleans(),
        "cogOutput": st.booleans(),
        "cogParameters": st.sampled_from([{}, {"blockxsize": 512}, {"overviewMinSize": 256}]),
        "createCollection": st.booleans(),
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "processRequest": st.fixed_dictionaries(
            {
                "input": st.fixed_dictionaries(
                    {"bounds": BOUNDS_OF, "data": st.lists(DATA_ITEMS, min_size=1, max_size=2)}
                ),
                "evalscript": st.sampled_from([SCRIPT, "return [B04]"]),
            }
        ),
        "input": st.fixed_dictionaries(
            {"type": st.just("tiling-grid"), "id": st.integers(0, 2)},
            optional={"bufferX": st.integers(0, 1)},
        ),
        "output": OUTPUTS,
    },
    optional={"description": st.text(max_size=3), "instanceType": st.just("normal")},
)


def shuffled(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict):
        names = data.draw(st.permutations(sorted(value)))
        return {name: shuffled(value[name], data) for name in names}
    return [shuffled(one, data) for one in value] if isinstance(value, list) else value


@given(REQUESTS)
def test_canonical_twice_is_canonical_once(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    once = canonical_request("BatchProcess", "v2", body)
    assert canonical_request("BatchProcess", "v2", once) == once  # type: ignore[arg-type]
    assert body == before


@given(REQUESTS, st.data())
def test_the_order_of_keys_does_not_matter(body: dict[str, Any], data: st.DataObject) -> None:
    given_one, other = given_input(request=body), given_input(request=shuffled(body, data))
    assert run_key(given_one) == run_key(other)


@given(REQUESTS, st.data())
def test_an_echo_with_defaults_filled_in_has_the_same_key(
    body: dict[str, Any], data: st.DataObject
) -> None:
    """The server says what the manifest left unsaid, in its own spelling."""
    given_one = given_input(request=body, triggers=["t"])
    key = run_key(given_one)
    echo = json.loads(json.dumps(body).replace("{{ run.key }}", key.short))
    fills(echo, data)
    assert key_of_echo(shuffled(echo, data), given_one, key=key.short) == key


def fills(echo: dict[str, Any], data: st.DataObject) -> None:
    def maybe(node: dict[str, Any], **defaults: Any) -> None:
        for name, value in defaults.items():
            if data.draw(st.booleans()):
                node.setdefault(name, value)

    for item in echo["processRequest"]["input"]["data"]:
        maybe(item, dataFilter={}, processing={}, id=None)
        if "dataFilter" in item:
            maybe(item["dataFilter"], mosaickingOrder="mostRecent", maxCloudCoverage=100.0)
            maybe(item["dataFilter"], demInstance="MAPZEN")
            if "timeRange" in item["dataFilter"]:
                times = item["dataFilter"]["timeRange"]
                times["from"] = dict(INSTANTS)[times["from"]]
        if "processing" in item:
            maybe(item["processing"], upsampling="NEAREST", harmonizeValues=True, minQa=75)
            maybe(item["processing"], demInstance="MAPZEN", orthorectify=False)
    bounds = echo["processRequest"]["input"]["bounds"]
    maybe(bounds, properties={"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"})
    maybe(echo, description="theirs [shplan x=y]", instanceType="normal")
    maybe(echo["input"], bufferX=0, bufferY=0)
    maybe(echo["output"], overwrite=False, skipExisting=False, cogOutput=False, cogParameters={})
    if "cogParameters" in echo["output"]:
        maybe(echo["output"]["cogParameters"], blockxsize=256, blockysize=256, usePredictor=True)
    maybe(echo["output"]["delivery"]["s3"], region="eu-central-1", accessKey="****")


# Batch V1


def older(**more: Any) -> RunInput:
    output = {"defaultTilePath": "s3://acme/{{ run.key }}", **more.pop("output", {})}
    body = {
        "processRequest": request()["processRequest"],
        "tilingGrid": {"id": 0, "resolution": 10},
        "output": output,
        **more,
    }
    return RunInput("BatchProcess", "v1", "sandbox", body)


def test_a_request_of_version_1_has_its_own_defaults() -> None:
    key = run_key(older()).digest
    for same in (
        older(tilingGrid={"id": 0, "resolution": 10.0, "bufferX": 0, "bufferY": 0}),
        older(output={"cogOutput": False, "createCollection": False}),
        older(output={"overwrite": True, "skipExisting": True}),
        older(description="something else"),
    ):
        assert run_key(same).digest == key
    cog = {"cogOutput": True}
    blocks = {"blockxsize": 1024, "blockysize": 1024, "overviewMinSize": 1024}
    keys = [
        run_key(older(output=cog)).digest,
        run_key(older(output={**cog, "cogParameters": blocks})).digest,
        run_key(older(output={**cog, "cogParameters": {"blockxsize": 256}})).digest,
        run_key(older(tilingGrid={"id": 1, "resolution": 10})).digest,
        run_key(older(output={"defaultTilePath": "s3://acme/other"})).digest,
        key,
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(keys) - 1
    # The version is a part of the key: the same body under the other one is another run.
    assert run_key(replace(older(), api="v2")).digest != key


def test_the_echo_of_version_1_gives_the_key_whatever_the_server_has_filled_in() -> None:
    made = older(output={"cogOutput": True, "createCollection": True})
    key = run_key(made)
    echo = json.loads(json.dumps(made.request).replace("{{ run.key }}", key.short))
    echo["output"] |= {"collectionId": "0e1d", "overwrite": False}
    echo |= {"tilingGridId": 0, "resolution": 10.0, "description": "[shplan ...]"}
    echo["tilingGrid"] |= {"bufferX": 0, "bufferY": 0}
    assert key_of_echo(echo, made, key=key.short).digest == key.digest
    echo["tilingGrid"]["id"] = 1
    assert key_of_echo(echo, made, key=key.short).digest != key.digest


# Golden keys

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "keys").glob("*.json"))


def golden_input(document: dict[str, Any]) -> RunInput:
    return RunInput(**document["input"])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_keys_do_not_move(path: Path) -> None:
    """A key that moves runs, and pays for, everything again: no golden file is ever rewritten."""
    document = json.loads(path.read_text())
    given_one = golden_input(document)
    key = run_key(given_one)
    what_to_do = (
        f"the key of {path.name} moved. Keys of format {KEY_FORMAT} are in people's ledgers:"
        " do not change this file, but raise KEY_FORMAT, keep the tables of the old format,"
        " and add golden keys of the new one"
    )
    assert document["format"] == key.parts["format"], what_to_do
    assert document["key"] == key.digest, what_to_do
    content = content_digest(given_one, request_by_address=given_one.request)
    assert document["content"] == content, what_to_do


def test_golden_keys_are_many_and_distinct() -> None:
    keys = [json.loads(path.read_text())["key"] for path in GOLDEN]
    assert len(keys) == len(set(keys)) >= 12


@pytest.mark.timeout(20)
def test_a_thousand_jobs_are_keyed_in_no_time() -> None:
    """One script of 4 kB, a thousand months: the tokens are read once."""
    script = SCRIPT + "// a comment that fills the script up to its size\n" * 80
    bodies: list[dict[str, Value]] = []
    for number in range(1000):
        body = request()
        body["processRequest"]["evalscript"] = f"{script} "
        body["input"]["id"] = number
        bodies.append(body)
    assert len({run_key(given_input(request=body)).digest for body in bodies}) == 1000


# --- likeness ------------------------------------------------------------------------------

_WORDS = ["x", "default", "{{ run.key }}", "s3://b/{{ run.key }}/y", None, 1, [1, 2], []]
_STATED = st.recursive(
    st.sampled_from(_WORDS) | st.just(Sensitive((SecretReference("env:A"),))),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["identifier", "format", "url"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(_STATED, _STATED, _STATED)
def test_inputs_of_one_likeness_read_an_echo_alike(left: Value, right: Value, seen: Value) -> None:
    """So that a task's echo is keyed once for a thousand jobs."""

    def like(responses: Value) -> RunInput:
        output = {"responses": responses}
        return RunInput("BatchProcess", "v2", "sandbox", {"processRequest": {"output": output}})

    key = "0123456789abcdef"
    echo: Any = {"processRequest": {"output": {"responses": printable(seen)}}}
    if likeness(like(left), key=key) == likeness(like(right), key=key):
        assert key_of_echo(echo, like(left), key=key) == key_of_echo(echo, like(right), key=key)


def test_a_likeness_does_not_see_values_and_sees_what_is_silent() -> None:
    stated, moved = request(), request()
    moved["processRequest"]["input"]["data"][0]["type"] = "landsat-ot-l1"
    moved["processRequest"]["input"]["bounds"]["geometry"]["coordinates"] = [SQUARE]
    keys = [
        likeness(given_input(request=one), key="k")
        for one in (stated, moved, {**stated, "output": {}})
    ]
    assert keys[0] == keys[1] != keys[2]
