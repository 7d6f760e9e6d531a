"""What is wrong with a request of any kind is found offline, at its place; what the service takes is no error."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from shplan.core.address import Address
from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_area import latitudes, read_area
from shplan.core.request_sizes import size_faults
from shplan.core.request_times import span_of
from shplan.core.resource import Desired
from shplan.core.value import Reference, Unknown
from shplan.manifest.load import load
from shplan.providers.registry import PROVIDERS
from shplan.providers.request_checks import check_requests
from shplan.sandbox.errors import ApiError
from shplan.sandbox.process_requests import grid_of
from shplan.schema.store import tables
from tests.support.bench import FlatSource
from tests.support.bounded import bounded
from tests.support.jobs import job

AREA = [14.5, 46.05, 14.513, 46.06]
RANGE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
UTM33 = "http://www.opengis.net/def/crs/EPSG/0/32633"


def process(**bounds: Any) -> Any:
    """The body of a Process request, which has nothing wrong with it."""
    data = [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": dict(RANGE)}}]
    return {
        "input": {"bounds": bounds or {"bbox": AREA}, "data": data},
        "output": {"width": 100, "height": 100},
        "evalscript": "//VERSION=3",
    }


def statistics(of: str = "P10D", **aggregation: Any) -> Any:
    data = [{"type": "sentinel-2-l2a"}]
    within = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
    stated = {"timeRange": within, "aggregationInterval": {"of": of}, "width": 10, "height": 10}
    return {"input": {"bounds": {"bbox": AREA}, "data": data}, "aggregation": stated | aggregation}


def told(spec: Any, deployment: str = "aws-eu-central-1") -> list[tuple[str, str]]:
    desired = Desired(Address("Any", "thing"), spec, FlatSource())
    found = check_requests(desired, tables(), deployment=deployment)
    return [(one.severity.value, one.summary) for one in found]


def test_good_requests_are_good() -> None:
    assert told(process()) == []
    assert (
        told(process(bbox=[465_000, 5_100_000, 466_000, 5_101_000], properties={"crs": UTM33}))
        == []
    )
    assert told(statistics()) == []
    assert told(statistics("P1M")) == []
    # Across the antimeridian, in one piece: nobody documents it, and the sandbox refuses it.
    beyond = [("warning", "Longitude beyond 180 degrees")]
    assert told(process(bbox=[179.9, 10, 180.1, 10.2])) == beyond


RING = [[14.5, 46.05], [14.513, 46.05], [14.513, 46.06], [14.5, 46.06], [14.5, 46.05]]


def polygon(*rings: Any) -> Any:
    return {"type": "Polygon", "coordinates": list(rings)}


@pytest.mark.parametrize(
    ("bounds", "severity", "summary"),
    [
        ({"bbox": [14.513, 46.05, 14.5, 46.06]}, "error", "Box without an area"),
        ({"bbox": [14.5, 46.05, 14.5, 46.06]}, "error", "Box without an area"),
        ({"bbox": [46.05, 114.5, 46.06, 114.513]}, "error", "Latitude before longitude"),
        ({"bbox": [465000, 5100000, 466000, 5101000]}, "error", "Coordinates are no degrees"),
        ({"bbox": [-200, 91, -199, 92]}, "error", "Coordinates off the globe"),
        ({"bbox": AREA, "properties": {"crs": UTM33}}, "warning", "Coordinates look like degrees"),
        (
            {"bbox": [5100000, 465000, 5101000, 466000], "properties": {"crs": UTM33}},
            "warning",
            "Coordinates off their zone",
        ),
        (
            {"bbox": AREA, "properties": {"crs": "http://www.opengis.net/def/crs/EPSG/0/4258"}},
            "error",
            "Reference system not supported",
        ),
        ({"bbox": AREA, "properties": {"crs": "wgs"}}, "error", "Reference system not supported"),
        (
            {"bbox": AREA, "properties": {"crs": "EPSG:4326"}},
            "warning",
            "Reference system in another spelling",
        ),
        ({"geometry": polygon(RING[:-1])}, "error", "Ring is not closed"),
        ({"geometry": polygon([RING[0], RING[1], RING[0]])}, "error", "Ring without an area"),
        (
            {"geometry": polygon([RING[0], RING[2], RING[1], RING[3], RING[0]])},
            "warning",
            "Geometry crosses itself",
        ),
        (
            {"geometry": polygon(RING, [[0, 0], [1, 0], [1, 1], [0, 0]])},
            "warning",
            "Geometry crosses itself",
        ),
        (
            {"geometry": polygon([[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]])},
            "warning",
            "Geometry around the globe",
        ),
        ({"bbox": [0, 0, 1, 1], "geometry": polygon(RING)}, "warning", "Box and geometry apart"),
        ({"bbox": [14, 85, 15, 86]}, "warning", "Area that the collection does not reach"),
    ],
)
def test_each_fault_of_an_area(bounds: Any, severity: str, summary: str) -> None:
    assert (severity, summary) in told(process(**bounds))


def test_a_box_that_is_turned_round_is_written_right_in_the_hint() -> None:
    across = {"bbox": [179, 10, -179, 11]}
    (fault,) = read_area(across).faults
    assert fault.hint.startswith("cut the area at 180 degrees")
    (fault,) = read_area({"bbox": [15, 46, 14, 45]}).faults
    assert fault.hint == "write `bbox: [14, 45, 15, 46]`"


@pytest.mark.parametrize(
    ("output", "severity", "summary"),
    [
        ({"width": 100, "height": 100, "resx": 0.001}, "error", "Size stated twice"),
        ({"width": 3000, "height": 100}, "error", "Image too large"),
        ({"width": 100}, "warning", "Half of a size"),
        ({"resx": 0.001}, "warning", "Half of a size"),
        ({"resx": 0.000001, "resy": 0.000001}, "error", "Image too large"),
        ({"resx": 10, "resy": 10}, "error", "Pixel larger than the area"),
        ({"resx": 0, "resy": 1e-4}, "error", "Value not allowed"),
    ],
)
def test_each_fault_of_a_size(output: Any, severity: str, summary: str) -> None:
    assert (severity, summary) in told({**process(), "output": output})
    asked = statistics()
    kept = {name: asked["aggregation"][name] for name in ("timeRange", "aggregationInterval")}
    assert (severity, summary) in told({**asked, "aggregation": {**kept, **output}})


def test_images_that_are_coarser_than_the_collection() -> None:
    """Source: what the service has been quoted with, for Sentinel-2; for others it is assumed."""
    wide = process(bbox=[10, 45, 14, 48])
    assert told({**wide, "output": {"width": 256, "height": 256}}) == []
    assert told({**wide, "output": {"width": 190, "height": 190}}) == [
        ("warning", "Image too coarse")
    ]
    assert told({**wide, "output": {"width": 50, "height": 50}}) == [("error", "Image too coarse")]
    wide["input"]["data"][0]["type"] = "sentinel-1-grd"
    assert told({**wide, "output": {"width": 50, "height": 50}}) == [
        ("warning", "Image too coarse")
    ]


def test_an_asynchronous_image_may_be_larger() -> None:
    place = {"s3": {"url": "s3://results/x", "accessKey": "a", "secretAccessKey": "b"}}
    wide = {"width": 9000, "height": 9000, "delivery": place}
    assert told({**process(), "output": wide}) == []
    assert told({**process(), "output": {**wide, "width": 10001}}) == [("error", "Image too large")]
    assert told({**process(), "output": {"width": 100, "delivery": place}}) == [
        ("error", "Half of a size")
    ]


def test_degrees_that_were_meant_as_metres() -> None:
    whole = process(bbox=[-100, -50, 100, 50])
    whole["input"]["data"][0]["type"] = "modis"
    assert ("warning", "Resolution in degrees") in told(
        {**whole, "output": {"resx": 10, "resy": 10}}, ""
    )


@pytest.mark.parametrize(
    ("within", "severity", "summary"),
    [
        (
            {"from": "2025-06-02T00:00:00Z", "to": "2025-06-01T00:00:00Z"},
            "error",
            "Time range turned round",
        ),
        (
            {"from": "2025-06-02T00:00:00Z", "to": "2025-06-02T00:00:00Z"},
            "warning",
            "Time range of an instant",
        ),
        (
            {"from": "2010-06-01T00:00:00Z", "to": "2010-06-30T00:00:00Z"},
            "warning",
            "Time range before the mission",
        ),
        (
            {"from": "2025-06-01T00:00:00Z", "to": "2025-06-31T00:00:00Z"},
            "error",
            "No such instant",
        ),
    ],
)
def test_each_fault_of_a_time_range(within: Any, severity: str, summary: str) -> None:
    spec = process()
    spec["input"]["data"][0]["dataFilter"]["timeRange"] = within
    assert told(spec) == [(severity, summary)]
    batch = {"processRequest": {**spec, "output": {}}}
    assert told(batch) == [(severity, summary)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (statistics("PT1H"), [("error", "Interval shorter than a day")]),
        (statistics("P1DT12H"), [("error", "Not an interval")]),
        (statistics("10 days"), [("error", "Not an interval")]),
        (statistics("P0D"), [("error", "Not an interval")]),
        (statistics("P40D"), [("error", "Interval longer than the time range")]),
        (statistics("P7D"), [("warning", "End of the time range left out")]),
        (statistics("P29D"), []),
        (
            statistics(aggregationInterval={"of": "P7D", "lastIntervalBehavior": "EXTEND"}),
            [],
        ),
        (
            statistics(timeRange={"from": "2025-06-02T00:00:00Z", "to": "2025-06-01T00:00:00Z"}),
            [("error", "Time range turned round")],
        ),
    ],
)
def test_intervals_of_statistics(spec: Any, expected: list[tuple[str, str]]) -> None:
    assert told(spec) == expected


def test_the_time_range_of_an_input_is_not_that_of_statistics() -> None:
    spec = statistics()
    spec["input"]["data"][0]["dataFilter"] = {"timeRange": dict(RANGE)}
    assert told(spec) == [("warning", "Time range not used")]


@pytest.mark.parametrize(
    ("place", "deployment", "expected"),
    [
        ({"url": "https://out.s3.eu-central-1.amazonaws.com/a"}, "", "Not a place on S3"),
        ({"url": " s3://out/a"}, "", "Not a place on S3"),
        ({"url": "s3:///a"}, "", "Bucket not named"),
        ({"url": "s3://out\\a\\b"}, "", "Backslashes in a path"),
        ({"url": "s3://out/a", "iamRoleARN": "role/r"}, "", "Not the name of a role"),
        ({"url": "s3://out/a//b"}, "", "Empty name in a path"),
        ({"url": "s3://out/a/"}, "", "Slash at the end"),
        ({"url": "s3://ab12:out/a"}, "aws-eu-central-1", "Bucket of another deployment"),
        ({"url": "s3://out/a"}, "cdse", "Bucket without its project"),
        ({"url": "s3://p:out/a", "iamRoleARN": "arn"}, "cdse", "Access not offered here"),
        ({"url": "s3://Out_put/a"}, "aws-eu-central-1", "Name no bucket has"),
        (
            {"url": "s3://out/a", "region": "us-west-2"},
            "aws-eu-central-1",
            "Bucket in another region",
        ),
    ],
)
def test_each_fault_of_a_place(place: Any, deployment: str, expected: str) -> None:
    keys = {} if "iamRoleARN" in place else {"accessKey": "a", "secretAccessKey": "b"}
    spec = {"output": {"delivery": {"s3": {**place, **keys}}}}
    assert [summary for _, summary in told(spec, deployment)] == [expected]


def test_a_store_that_cdse_does_not_reach() -> None:
    spec = {"output": {"delivery": {"gs": {"url": "gs://b/x", "credentials": "x"}}}}
    assert told(spec, "cdse") == [("error", "Store not offered here")]
    assert told(spec, "aws-eu-central-1") == []
    spec = {"output": {"delivery": {"gs": {"url": "s3://b/x", "credentials": "x"}}}}
    assert told(spec) == [("error", "Not a place on Google Cloud Storage")]


@pytest.mark.parametrize("scheme", ["S3://", " s3://"])
def test_a_place_on_s3_that_begins_a_little_otherwise(scheme: str) -> None:
    desired = replace(job(), spec={"output": {"delivery": {"s3": {"url": f"{scheme}out/a"}}}})
    first, *_ = check_requests(desired, tables(), deployment="")
    assert first.hint.startswith("begin it with `s3://`")


@pytest.mark.parametrize("coordinates", [[], [[]], [[[]]]])
@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
def test_a_geometry_without_any_position(kind: str, coordinates: Any) -> None:
    spec = process(geometry={"type": kind, "coordinates": coordinates})
    assert told(spec) == [("error", "Geometry without an area")]


def test_an_address_becomes_a_place_in_the_hint() -> None:
    place = {"url": "https://s3.waw3-1.cloudferro.com/out/a/b?X-Amz-Signature=canary-signature"}
    desired = replace(job(), spec={"output": {"delivery": {"s3": place}}})
    first, *_ = check_requests(desired, tables(), deployment="cdse")
    assert first.hint == "write `url: s3://out/a/b`"
    assert "canary" not in f"{first.what}{first.why}{first.hint}"


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("byoc-7453e962-0ee5-4f74-8227-89759fbe9ba9", False),
        ("byoc-fields", True),
        ("zarr-", True),
    ],
)
def test_a_name_in_the_place_of_an_id(kind: str, *, wrong: bool) -> None:
    spec = process()
    spec["input"]["data"][0]["type"] = kind
    assert told(spec) == ([("warning", "Not the id of a collection")] if wrong else [])


def test_collections_of_other_deployments_and_older_names() -> None:
    spec = process()
    spec["input"]["data"][0]["type"] = "landsat-8-l1c"
    assert told(spec, "cdse") == [
        ("warning", "Collection of another deployment"),
        ("warning", "Field on its way out"),
    ]
    older = {"processRequest": {}, "bucketName": "results"}
    assert told(older) == [("warning", "Field on its way out")]


def test_inputs_have_ids_of_their_own() -> None:
    spec = process()
    one = spec["input"]["data"][0]
    spec["input"]["data"] = [{**one, "id": "a"}, {**one, "id": "b"}, one, one]
    assert told(spec) == []
    spec["input"]["data"].append({**one, "id": "a"})
    assert told(spec) == [("warning", "Two inputs of one id")]


def formats(
    sample_type: str, bands: int, *forms: str, changes: bool = False, **held: Any
) -> list[tuple[str, str]]:
    """What is told of the output `default` in some formats; without any, in what is answered by default."""
    spec = process()
    if forms:
        spec["output"]["responses"] = [
            {"identifier": "default", "format": {"type": form}} for form in forms
        ]
    spec |= held
    shape = ScriptShape((), (ScriptOutput("default", bands, sample_type),), changes=changes)
    desired = Desired(Address("Any", "thing"), spec, FlatSource(), script=shape)
    found = check_requests(desired, tables(), deployment="")
    return [(one.severity.value, one.code) for one in found]


@pytest.mark.parametrize(
    ("sample_type", "bands", "forms", "wanted"),
    [
        ("AUTO", 3, ("image/png", "image/jpeg", "image/tiff"), []),
        ("UINT16", 4, ("image/png", "image/tiff"), []),
        ("FLOAT32", 200, ("image/tiff",), []),
        ("FLOAT32", 1, ("image/jpeg",), ["error"]),
        ("FLOAT32", 1, ("image/png",), ["warning"]),
        ("FLOAT32", 1, (), ["warning"]),
        ("UINT16", 1, ("image/jpeg",), ["warning"]),
        ("UINT8", 4, ("image/jpeg",), ["warning"]),
        ("UINT8", 5, ("image/jpeg",), ["error"]),
        ("UINT8", 5, ("image/png",), ["error"]),
        ("UINT8", 5, ("application/json",), ["warning"]),
    ],
)
def test_formats_hold_the_outputs(
    sample_type: str, bands: int, forms: tuple[str, ...], wanted: list[str]
) -> None:
    assert formats(sample_type, bands, *forms) == [(one, "request/format") for one in wanted]


def test_what_a_function_changes_and_numbers_are_not_held_against_a_format() -> None:
    assert formats("UINT8", 9, "image/png", changes=True) == []
    told_of = "//VERSION=3\nfunction updateOutputMetadata(scenes) {}"
    assert formats("UINT8", 9, "image/png", script=told_of) == [("error", "request/format")]
    numbers = formats("FLOAT32", 1, aggregation={})
    assert ("warning", "request/format") not in numbers


def test_what_is_not_known_yet_is_no_fault() -> None:
    unknown = Unknown("{{ ref('A/b').id }}", "A/b", (Reference(Address("A", "b"), ("id",)),))
    good = process()
    for path in (
        ("input", "bounds"),
        ("input", "bounds", "bbox"),
        ("input", "data"),
        ("input", "data", 0, "dataFilter", "timeRange"),
        ("input", "data", 0, "dataFilter", "timeRange", "to"),
        ("output",),
        ("output", "width"),
    ):
        spec = copy.deepcopy(good)
        inner: Any = spec
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = unknown
        assert told(spec) == [], path


def test_an_outline_in_great_detail_takes_no_time() -> None:
    ring = [[14 + at / 1e6, 46 + (at % 7) / 1e7] for at in range(200_000)]
    with bounded("an outline of 200,000 vertices"):
        found = told(process(geometry=polygon([*ring, [14.2, 45.0], ring[0]])))
    assert ("warning", "Geometry in great detail") in found


@given(st.text("PTYMWDHS0123456789", max_size=30))
def test_any_text_is_an_interval_or_none(text: str) -> None:
    span = span_of(text)
    assert span is None or span.months + span.days + span.seconds > 0


NUMBER = st.one_of(
    st.integers(-200, 200), st.floats(-95, 95), st.sampled_from([0, 180, -180, 500_000, 5_000_000])
)
POINT = st.tuples(NUMBER, NUMBER).map(list)
BOX = st.lists(NUMBER, min_size=4, max_size=4)
GEOMETRY = st.lists(POINT, min_size=2, max_size=6).flatmap(
    lambda points: st.sampled_from([points, [*points, points[0]]]).map(polygon)
)
CRS = st.sampled_from(
    [None, UTM33, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
    + [f"http://www.opengis.net/def/crs/EPSG/0/{code}" for code in (4326, 3857, 3035, 4258, 2154)]
)
SIZE = st.one_of(st.integers(1, 3000), st.floats(1e-5, 100))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Any, Any]:
    bounds: Any = draw(
        st.one_of(
            st.fixed_dictionaries({"bbox": BOX}),
            st.fixed_dictionaries({"geometry": GEOMETRY}),
            st.fixed_dictionaries({"bbox": BOX, "geometry": GEOMETRY}),
        )
    )
    if (crs := draw(CRS)) is not None:
        bounds["properties"] = {"crs": crs}
    names = draw(st.sampled_from([("width", "height"), ("resx", "resy"), ("width", "resy"), ()]))
    # More pixels are refused by the schema, before anybody makes a grid of them.
    sizes = st.integers(1, 2500) if names[:1] == ("width",) else st.floats(1e-5, 100)
    return bounds, {name: draw(sizes) for name in names}


@settings(max_examples=200, deadline=None)
@given(requests())
def test_what_the_service_takes_is_no_error(request_: tuple[Any, Any]) -> None:
    """The sandbox reads the same body by its own code; what it accepts we do not refuse."""
    bounds, output = request_
    try:
        grid, _, _ = grid_of(bounds, output)
    except ApiError:
        return
    faults = [
        *read_area(bounds).faults,
        *size_faults(output, read_area(bounds), ("output",), most_px=2500),
    ]
    # It makes one pixel of what is smaller than a pixel, which nobody can mean.
    sure = [one for one in faults if one.sure and one.summary != "Pixel larger than the area"]
    assert sure == [], (grid, bounds, output)


@pytest.mark.parametrize(
    "example", sorted(Path("examples").glob("[0-9]*")), ids=lambda one: one.name
)
def test_examples_have_nothing_wrong(example: Path) -> None:
    loaded = load(example, registry=PROVIDERS)
    assert [one for one in loaded.diagnostics if one.code.startswith("request/")] == []


def test_a_model_of_heights_has_no_time_and_statistics_state_one_all_the_same() -> None:
    spec = process()
    spec["input"]["data"][0]["type"] = "dem"
    assert told(spec) == [("warning", "Time range without a meaning")]
    spec = statistics()
    spec["input"]["data"][0]["type"] = "dem"
    assert told(spec) == []


def test_a_range_lies_within_the_mission() -> None:
    spec = process()
    (one,) = spec["input"]["data"]
    one |= {"type": "landsat-tm-l1"}
    one["dataFilter"]["timeRange"] = {"from": "2012-01-01T00:00:00Z", "to": ".."}
    assert told(spec, "") == []
    one["dataFilter"]["timeRange"] = {"from": "2014-01-01T00:00:00Z", "to": ".."}
    assert told(spec, "") == [("warning", "Time range after the mission")]
    one["dataFilter"]["timeRange"] = {"from": "..", "to": "1980-01-01T00:00:00Z"}
    assert told(spec, "") == [("warning", "Time range before the mission")]


@pytest.mark.parametrize(
    ("code", "box", "is_reached"),
    [
        (3857, [0, -2e7, 1e5, -1.95e7], False),
        (3857, [0, 1e7, 1e5, 1.001e7], True),
        (32733, [400_000, 500_000, 410_000, 510_000], False),
        (32733, [400_000, 700_000, 410_000, 710_000], True),
        (32633, [400_000, 9_450_000, 410_000, 9_455_000], False),
        (32633, [400_000, 9_300_000, 410_000, 9_310_000], True),
        (3413, [0, 0, 10_000, 10_000], True),
    ],
)
def test_areas_in_metres_are_held_against_the_reach_of_a_collection(
    code: int, box: list[float], is_reached: bool
) -> None:
    crs = f"http://www.opengis.net/def/crs/EPSG/0/{code}"
    spec = process(bbox=box, properties={"crs": crs})
    wanted = [] if is_reached else [("warning", "Area that the collection does not reach")]
    assert told(spec) == wanted


@given(
    st.sampled_from([4326, 3857, *range(32601, 32661), *range(32701, 32761)]),
    st.floats(-79.9, 83.9),
    st.floats(-2.9, 2.9),
)
def test_latitudes_are_nearly_those_that_a_projection_gives(
    code: int, latitude: float, across: float
) -> None:
    zone = (code % 100 if code > 32600 else 33) * 6 - 183
    if code > 32600 and (latitude < 0) != (code > 32700):
        latitude = -latitude
    forth = Transformer.from_crs(4326, code, always_xy=True)
    x, y = forth.transform(zone + across, latitude)
    crs = f"http://www.opengis.net/def/crs/EPSG/0/{code}"
    found = latitudes(
        read_area({"bbox": [x - 1e-9, y - 1e-9, x + 1e-9, y + 1e-9], "properties": {"crs": crs}})
    )
    if found is not None:
        assert abs(found[0] - latitude) < (0.5 if code > 32600 else 1e-6)


@pytest.mark.parametrize(
    ("kind", "offered", "lacking"),
    [
        ("BatchStatistics", ("aws-eu-central-1", "cdse", "sandbox", ""), ("aws-us-west-2",)),
        ("BatchCollection", ("aws-eu-central-1", "aws-us-west-2", "sandbox", ""), ("cdse",)),
        ("BatchProcess", ("aws-eu-central-1", "aws-us-west-2", "cdse"), ()),
    ],
)
def test_a_deployment_offers_a_kind_or_not(
    kind: str, offered: tuple[str, ...], lacking: tuple[str, ...]
) -> None:
    desired = Desired(Address(kind, "thing"), {}, FlatSource())
    for deployment in (*offered, *lacking):
        found = check_requests(desired, tables(), deployment=deployment)
        assert [one.code for one in found] == ["request/deployment"] * (deployment in lacking)
