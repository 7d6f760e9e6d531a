"""
Laws of prices: what the sandbox's meter counts lies between the least and the most of ours.

The meter is other code, which sees the acquisitions; the client sees the request and `setup()` alone.
The least that a request costs would hide all of this from requests that are quickly answered: the
meter counts without it, and ours is compared without its last term.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.acquisitions import Catalogue
from shplan.core.cost import Cost, CostTerm
from shplan.core.image_size import statistics_sizing
from shplan.core.job_cost import ASYNC, BATCH, BATCH_STATISTICS, PROCESS, STATISTICS, Tariff
from shplan.core.prices import (
    PriceInput,
    async_cost,
    batch_statistics_cost,
    batch_v1_cost,
    batch_v2_cost,
    process_cost,
    statistics_cost,
)
from shplan.core.request import Answer
from shplan.manifest.scripts import Scripts
from shplan.providers.acquisitions import ask_catalogue
from shplan.providers.geopackage import bounds_of, read_features
from shplan.sandbox import metering
from shplan.schema.store import table
from tests.sandbox import batches, batches_v1
from tests.sandbox import processing as p
from tests.sandbox.support import BUCKET, Driver, sandbox
from tests.support import geopackages

TABLES = {"tiling-grids": table("tiling-grids")}
KEYS = {"accessKey": "key", "secretAccessKey": "secret"}
S2, S1, S5P, DEM = "sentinel-2-l2a", "sentinel-1-grd", "sentinel-5p-l2", "dem"
OLCI, LANDSAT = "sentinel-3-olci", "landsat-ot-l1"
BANDS = {
    S2: ("B02", "B04", "B08", "SCL", "dataMask"),
    S1: ("VV", "VH", "dataMask"),
    S5P: ("NO2", "dataMask"),
    DEM: ("DEM", "dataMask"),
    OLCI: ("B01", "B05", "dataMask"),
    LANDSAT: ("B01", "B02", "BQA"),
}
FORMATS = {"UINT8": (p.PNG, p.JPEG, p.TIFF), "FLOAT32": (p.TIFF,), "AUTO": (p.PNG, p.TIFF)}
# Corners of areas in the zone, metres.
WEST, SOUTH = 480_000, 5_100_000
AREA = [14.6, 46.5, 15.4, 46.9]
POINTS = [[WEST, SOUTH], [WEST + 3000, SOUTH + 500], [WEST + 1000, SOUTH + 4000], [WEST, SOUTH]]
MINIMUMS = ("MINIMUM_PU", "PROCESS_MINIMUM_PU", "ASYNC_MINIMUM_PU", "STATISTICS_MINIMUM_PU")


@pytest.fixture(scope="module")
def api() -> Iterator[Driver]:
    """One sandbox for all that is drawn, with more features than one file would need."""
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patched:
        for name in MINIMUMS:
            patched.setattr(metering, name, 0.0)
        place = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        driver = opened.enter_context(sandbox(place)).login()
        driver.configure(batch_required_pu=0)
        (place / "buckets" / BUCKET).mkdir(parents=True)
        (place / "buckets" / BUCKET / "fields.gpkg").write_bytes(GPKG)
        yield driver


@pytest.fixture(scope="module")
def scripts() -> Iterator[Scripts]:
    opened = Scripts()
    yield opened
    opened.close()


def _fields() -> bytes:
    boxes = [(0, 0, 120, 95), (300, 10, 1500, 2005), (-40, 0, 1, 1)]
    fields = [
        {"box": (WEST + a, SOUTH + b, WEST + c, SOUTH + d), "identifier": f"f{n}"}
        for n, (a, b, c, d) in enumerate(boxes)
    ]
    with tempfile.TemporaryDirectory() as place:
        return geopackages.write(Path(place) / "fields.gpkg", fields)


GPKG = _fields()


@st.composite
def datasets(draw: st.DrawFn, *, most: int = 2) -> list[dict[str, Any]]:
    """Data sets, each with the time and the options that it may have."""
    kinds = draw(st.lists(st.sampled_from(sorted(BANDS)), min_size=1, max_size=most))
    first, days = draw(st.integers(1, 20)), draw(st.integers(0, 6))
    span = {"from": f"2023-06-{first:02}T00:00:00Z", "to": f"2023-06-{first + days:02}T23:59:59Z"}
    found = []
    for number, kind in enumerate(kinds):
        item: dict[str, Any] = {"type": kind, "id": f"d{number}"}
        if kind != DEM:
            item["dataFilter"] = {"timeRange": span}
        if kind == S1:
            item["processing"] = draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "orthorectify": st.booleans(),
                        "backCoeff": st.sampled_from(["SIGMA0_ELLIPSOID", "GAMMA0_TERRAIN"]),
                        "speckleFilter": st.sampled_from(
                            [{"type": "NONE"}, {"type": "LEE", "windowSizeX": 3, "windowSizeY": 3}]
                        ),
                    },
                )
            )
            if item["processing"].get("backCoeff") == "GAMMA0_TERRAIN":
                item["processing"]["orthorectify"] = True
        found.append(item)
    return found


@st.composite
def evalscripts(
    draw: st.DrawFn, data: list[dict[str, Any]], *, returns: str, output: str, drops: bool = True
) -> str:
    """A script that reads every data set, some of them by more than one input object."""
    inputs = []
    for item in data:
        kind = item["type"]
        mosaicking = draw(st.sampled_from(["SIMPLE", "ORBIT", "TILE"])) if kind != DEM else "SIMPLE"
        for _ in range(draw(st.integers(1, 2)) if len(data) > 1 else 1):
            bands = draw(st.lists(st.sampled_from(BANDS[kind]), min_size=1, max_size=4))
            # A data set is read in one way.
            inputs.append(
                f'{{bands: {bands}, datasource: "{item["id"]}", mosaicking: "{mosaicking}"}}'
            )
    drops = drops and draw(st.booleans())
    listed = ", ".join(inputs)
    text = (
        f"//VERSION=3\nfunction setup() {{ return {{input: [{listed}], output: {output}}}; }}\n"
        f"function evaluatePixel() {{ return {returns}; }}\n"
    )
    if drops and len(data) == 1 and '"ORBIT"' in listed:
        text += (
            "function preProcessScenes(c) {"
            " c.scenes.orbits = c.scenes.orbits.slice(0, 1); return c; }\n"
        )
    return text


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return draw(
            st.fixed_dictionaries(
                {}, optional={n: st.integers(3, 180) for n in ("width", "height")}
            )
        )
    return {"resx": draw(st.sampled_from([17.5, 30, 100])), "resy": draw(st.sampled_from([20, 61]))}


@st.composite
def bounds(draw: st.DrawFn) -> dict[str, Any]:
    crs = {"crs": p.EPSG.format(32633)}
    if draw(st.booleans()):
        return {"geometry": {"type": "Polygon", "coordinates": [POINTS]}, "properties": crs}
    across, down = draw(st.integers(100, 4000)), draw(st.integers(100, 4000))
    return {"bbox": [WEST, SOUTH, WEST + across, SOUTH + down], "properties": crs}


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    """Process requests."""
    data = draw(datasets())
    types = draw(st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=3))
    names = ["default", *(f"more{n}" for n in range(1, len(types)))]
    made = ", ".join(
        f'{{id: "{name}", bands: 1, sampleType: "{one}"}}'
        for name, one in zip(names, types, strict=True)
    )
    returns = f"{{{', '.join(f'{name}: [1]' for name in names)}}}"
    text = draw(evalscripts(data, returns=returns, output=f"[{made}]"))
    # A response for some of the outputs: several of them come as an archive.
    responses = [
        {"identifier": name, "format": {"type": draw(st.sampled_from(FORMATS[one]))}}
        for name, one in zip(names, types, strict=True)
        if name == "default" or draw(st.booleans())
    ]
    return {
        "input": {"bounds": draw(bounds()), "data": data},
        "evalscript": text,
        "output": {"responses": responses, **draw(sizes())},
    }


@st.composite
def delivered(draw: st.DrawFn) -> dict[str, Any]:
    """Asynchronous requests, of up to what the minimum does not hide."""
    request = draw(images())
    size = {"width": draw(st.integers(80, 700)), "height": draw(st.integers(80, 700))}
    place = {"url": "s3://results/<REQUEST_ID>/<OUTPUT>", **KEYS}
    # What leaves the region of the deployment is paid by the megabyte.
    if draw(st.booleans()):
        place["region"] = draw(st.sampled_from(["eu-central-1", "us-east-1"]))
    delivery = {"s3": place}
    output = {"responses": request["output"]["responses"], **size, "delivery": delivery}
    return {**request, "output": output}


@st.composite
def measured(draw: st.DrawFn) -> dict[str, Any]:
    """Statistical requests."""
    data = draw(datasets())
    outputs = '[{id: "raw", bands: 1}, {id: "dataMask", bands: 1}]'
    returns = "{raw: [1], dataMask: [1]}"
    first, days = draw(st.integers(1, 15)), draw(st.integers(1, 13))
    until = draw(st.sampled_from(["T00:00:00Z", "T12:30:00Z", "T23:59:59Z"]))
    by = {"of": draw(st.sampled_from(["P1D", "P3D", "P1W", "PT36H", "P1M"]))}
    if draw(st.booleans()):
        by["lastIntervalBehavior"] = draw(st.sampled_from(["SKIP", "SHORTEN", "EXTEND"]))
    return {
        "input": {"bounds": draw(bounds()), "data": data},
        "aggregation": {
            "evalscript": draw(evalscripts(data, returns=returns, output=outputs)),
            "timeRange": {
                "from": f"2023-06-{first:02}T06:00:00Z",
                "to": f"2023-06-{first + days:02}{until}",
            },
            "aggregationInterval": by,
            **draw(sizes()),
        },
    }


@st.composite
def grids(draw: st.DrawFn) -> tuple[Any, str, dict[str, Any]]:
    """What a batch reads, its script and its grid."""
    data = [one for one in draw(datasets()) if one["type"] != DEM] or [{"type": S2, "id": "d0"}]
    span = {
        "from": "2010-06-01T00:00:00Z",
        "to": draw(st.sampled_from(["2010-06-01T23:59:59Z", "2010-06-09T23:59:59Z"])),
    }
    for one in data:
        one["dataFilter"] = {"timeRange": span}
    sample_type = draw(st.sampled_from(sorted(FORMATS)))
    output = f'{{bands: 1, sampleType: "{sample_type}"}}'
    text = draw(evalscripts(data, returns="[1]", output=output, drops=False))
    grid = {
        "id": 2,
        "resolution": draw(st.sampled_from([240, 360])),
        "bufferX": draw(st.integers(0, 9)),
    }
    return data, text, grid


def holds(cost: Cost | None, metered: float, tariff: Tariff) -> None:
    """The law."""
    assert cost is not None
    terms = [term for term in cost.terms if not term.label.startswith("reach the minimum")]
    # The minimum is that of the request; what is delivered abroad is paid besides.
    abroad = added_up([term for term in terms if term.label.startswith("deliver")])
    made = added_up([term for term in terms if not term.label.startswith("deliver")])
    least, likely, most = (a + b for a, b in zip(made, abroad, strict=True))
    assert least <= likely <= most
    # Answers of batches are rounded.
    assert least - 1e-5 <= metered <= most + 1e-5
    raised = [max(a, tariff.minimum_pu) + b for a, b in zip(made, abroad, strict=True)]
    assert cost.levels == pytest.approx(raised)


def added_up(terms: list[CostTerm]) -> tuple[float, float, float]:
    return (
        sum(term.least_pu for term in terms),
        sum(term.likely_pu for term in terms),
        sum(term.total_pu for term in terms),
    )


def asked_catalogue(api: Driver, asked: PriceInput) -> Catalogue:
    """Ask the sandbox's catalogue, as a plan does."""

    def answer(step: Any) -> Answer:
        found = api.post(step.request.path, step.request.body)
        assert found.status_code == 200, found.text
        # Long after anything that is drawn.
        return Answer(200, found.json(), server_time="2026-01-01T00:00:00Z")

    flow = ask_catalogue([asked], now="")
    try:
        step = next(flow)
        while True:
            step = flow.send(answer(step))
    except StopIteration as over:
        found: Catalogue = over.value
        return found


def narrower(api: Driver, asked: PriceInput, price: Callable[[PriceInput], Cost | None]) -> Cost:
    """Return the price with the catalogue's word, which makes nothing wider that is sure."""
    cost = price(asked)
    informed = price(replace(asked, catalogue=asked_catalogue(api, asked)))
    assert cost is not None
    assert informed is not None
    assert cost.minimum_pu <= informed.minimum_pu
    # How many tiles a day has is an assumption, which the catalogue corrects.
    if "TILE" not in str(asked.script):
        assert informed.maximum_pu <= cost.maximum_pu
    return informed


def priced(
    scripts: Scripts,
    price: Callable[[PriceInput], Cost | None],
    request: Any,
    text: str,
    **more: Any,
) -> Cost | None:
    shape = scripts.shape(text)
    assert shape is not None
    return price(PriceInput(request, shape, TABLES, **more))


def answered(api: Driver, path: str, request: Any) -> float:
    several = len(request.get("output", {}).get("responses", ())) > 1
    headers = {"accept": "application/tar"} if several else {}
    answer = api.login().send("POST", path, json=request, headers=headers)
    assert answer.status_code == 200, answer.text
    return float(answer.headers["x-processingunits-spent"])


def meter(api: Driver) -> float:
    return float(api.get("/_sandbox/meter").json()["pu"])


@given(request=images())
def test_images(api: Driver, scripts: Scripts, request: Any) -> None:
    metered = answered(api, p.PROCESS, request)
    holds(priced(scripts, process_cost, request, request["evalscript"]), metered, PROCESS)
    shape = scripts.shape(request["evalscript"])
    assert shape is not None
    holds(narrower(api, PriceInput(request, shape), process_cost), metered, PROCESS)


@pytest.mark.parametrize("kind", ["SIMPLE", "ORBIT", "TILE"])
def test_where_all_is_known_the_price_is_exact(api: Driver, scripts: Scripts, kind: str) -> None:
    """One collection, a box, a time that is long over, and a script that reads whatever there is."""
    text = (
        f'//VERSION=3\nfunction setup() {{ return {{input: [{{bands: ["B02", "B04"], mosaicking: "{kind}"}}],'
        ' output: {bands: 1, sampleType: "UINT8"}}; }\nfunction evaluatePixel() { return [1]; }\n'
    )
    span = {"from": "2023-06-01T00:00:00Z", "to": "2023-06-20T23:59:59Z"}
    data = [{"type": S2, "dataFilter": {"timeRange": span}}]
    box = {"bbox": [14.7, 46.1, 14.72, 46.12]}
    responses = [{"identifier": "default", "format": {"type": p.PNG}}]
    output = {"width": 60, "height": 50, "responses": responses}
    request = {"input": {"bounds": box, "data": data}, "evalscript": text, "output": output}
    shape = scripts.shape(text)
    assert shape is not None
    cost = narrower(api, PriceInput(request, shape), process_cost)
    assert cost.minimum_pu == cost.expected_pu == cost.maximum_pu
    assert answered(api, p.PROCESS, request) == pytest.approx(cost.expected_pu)


@given(request=measured())
def test_statistics(api: Driver, scripts: Scripts, request: Any) -> None:
    metered = answered(api, "/statistics/v1", request)
    text = request["aggregation"]["evalscript"]
    holds(priced(scripts, statistics_cost, request, text), metered, STATISTICS)
    shape = scripts.shape(text)
    assert shape is not None
    holds(narrower(api, PriceInput(request, shape), statistics_cost), metered, STATISTICS)


@given(request=delivered())
def test_asynchronous_images(api: Driver, scripts: Scripts, request: Any) -> None:
    cost = priced(
        scripts, async_cost, request, request["evalscript"], deployment="aws-eu-central-1"
    )
    before = meter(api)
    answer = api.login().post("/async/v1/process", request)
    assert answer.status_code == 200, answer.text
    api.tick(60)
    assert api.get(f"/async/v1/process/{answer.json()['id']}").status_code == 404
    holds(cost, meter(api) - before, ASYNC)


@settings(max_examples=6)
@given(request=measured())
def test_statistics_of_features(api: Driver, scripts: Scripts, request: Any) -> None:
    place = {"s3": {"url": f"s3://{BUCKET}/fields.gpkg", **KEYS}}
    batch = {
        "input": {"features": place, "data": request["input"]["data"]},
        "aggregation": request["aggregation"],
        "output": {"s3": {"url": "s3://results/<REQUEST_ID>/<ID>.json", **KEYS}},
    }
    features = read_features(GPKG, statistics_sizing(batch))
    text = request["aggregation"]["evalscript"]
    cost = priced(scripts, batch_statistics_cost, batch, text, features=features)
    task = over(api, "/statistics/batch/v1", batch)
    assert task["status"] == "DONE"
    holds(cost, task["costPu"], BATCH_STATISTICS)
    shape = scripts.shape(text)
    assert shape is not None
    asked = PriceInput(batch, shape, TABLES, features=features, around=bounds_of(GPKG))
    holds(narrower(api, asked, batch_statistics_cost), task["costPu"], BATCH_STATISTICS)


@settings(max_examples=6)
@given(drawn=grids())
def test_batches(api: Driver, scripts: Scripts, drawn: Any) -> None:
    """Both versions of batch processing, of one area, over a time of which there are no scenes."""
    data, text, grid = drawn
    parts = {"evalscript": text, "data": data, "grid": grid, "bbox": AREA}
    newer = batches.body(url="s3://results/<requestId>/<tileName>_<outputId>.tif", **parts)
    task = over(api, batches.TASKS, newer)
    assert task["status"] == "DONE", task
    holds(priced(scripts, batch_v2_cost, newer, text), task["costPU"], BATCH)
    shape = scripts.shape(text)
    assert shape is not None
    asked = PriceInput(newer, shape, TABLES)
    holds(narrower(api, asked, batch_v2_cost), task["costPU"], BATCH)
    older = batches_v1.body(path="s3://results/<requestId>/<tileName>_<outputId>.tif", **parts)
    before = meter(api)
    over(api, batches_v1.REQUESTS, older)
    holds(priced(scripts, batch_v1_cost, older, text), meter(api) - before, BATCH)


def over(api: Driver, path: str, body: Any) -> Any:
    # Its time runs while tasks run, and tokens end.
    answer = api.login().post(path, body)
    assert answer.status_code == 201, answer.text
    task = answer.json()["id"]
    assert api.post(f"{path}/{task}/start").status_code == 204
    for _ in range(3):
        api.tick(120)
        found = api.login().get(f"{path}/{task}").json()
        if found["status"] not in (
            "CREATED",
            "ANALYSING",
            "ANALYSIS_DONE",
            "PROCESSING",
            "ANALYSIS",
        ):
            return found
    return found
