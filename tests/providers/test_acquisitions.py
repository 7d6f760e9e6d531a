"""How many acquisitions a request reads: what is asked, how often, and what an answer is worth."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from shplan.core.acquisitions import Catalogue, search_of
from shplan.core.cost import Cost
from shplan.core.errors import NoAnswerError, RefusedError
from shplan.core.job_cost import Features
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.prices import (
    PriceInput,
    batch_statistics_cost,
    batch_v2_cost,
    process_cost,
    searches,
    statistics_cost,
)
from shplan.core.request import Answer
from shplan.core.value import Unknown
from shplan.providers.acquisitions import MOST_PAGES, MOST_SEARCHES, ask_catalogue
from shplan.schema.store import table

TABLES = {"tiling-grids": table("tiling-grids")}
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
DATA: dict[str, Any] = {"type": "sentinel-2-l2a", "dataFilter": {"timeRange": JUNE}}
BOUNDS = {"bbox": [14.5, 46.0, 14.6, 46.1]}
LATER = "2026-01-01T00:00:00Z"


def script(mosaicking: str = "ORBIT", *, chooses: bool = False) -> ScriptShape:
    given = (ScriptInput(None, ("B02", "B03", "B04"), mosaicking),)
    return ScriptShape(given, (ScriptOutput("default", 1, "UINT8"),), chooses)


def image(**data: Any) -> dict[str, Any]:
    response = {"identifier": "default", "format": {"type": "image/png"}}
    return {
        "input": {"bounds": BOUNDS, "data": [{**DATA, **data}]},
        "output": {"width": 512, "height": 512, "responses": [response]},
    }


def asked(
    request: Any, shape: ScriptShape, days: dict[str, int] | None, now: str = LATER
) -> PriceInput:
    given = PriceInput(request, shape, TABLES)
    if days is None:
        return given
    (search,) = searches(given)
    return PriceInput(request, shape, TABLES, catalogue=Catalogue({search.key: days}, now))


def levels(cost: Cost | None) -> tuple[float, float, float]:
    assert cost is not None
    return cost.levels


FIVE = {"2025-06-01": 2, "2025-06-06": 2, "2025-06-11": 1, "2025-06-16": 2, "2025-06-21": 2}


def test_what_is_listed_is_known_exactly() -> None:
    assert levels(process_cost(asked(image(), script(), None))) == (0.005, 10, 30)
    cost = process_cost(asked(image(), script(), FIVE))
    assert levels(cost) == (5, 5, 5)
    assert cost is not None
    (told,) = [one for one in cost.terms[0].factors if one.label.startswith("samples")]
    assert told.label == "samples with mosaicking ORBIT: 5 days with acquisitions"
    assert "as the catalogue lists them" in told.source
    assert levels(process_cost(asked(image(), script("TILE"), FIVE))) == (9, 9, 9)


def test_a_script_that_chooses_may_read_less() -> None:
    assert levels(process_cost(asked(image(), script(chooses=True), FIVE))) == (0.005, 5, 5)


@pytest.mark.parametrize("now", ["", "2025-07-15T00:00:00Z"])
def test_more_may_come_where_the_time_is_not_long_over(now: str) -> None:
    assert levels(process_cost(asked(image(), script(), FIVE, now))) == (0.005, 10, 30)


def test_tiles_of_ones_own_may_come_at_any_time() -> None:
    own = image(type="byoc-1234")
    assert levels(process_cost(asked(own, script("TILE"), FIVE))) == (0.005, 10, 180)
    many = {f"2025-06-{day:02}": 20 for day in range(1, 31)}
    assert levels(process_cost(asked(own, script("TILE"), many))) == (0.005, 600, 600)


def test_nothing_listed_may_be_billed_as_one() -> None:
    assert levels(process_cost(asked(image(), script(), {}))) == (0.005, 0.005, 1)


def test_statistics_count_by_interval() -> None:
    request = {
        "input": image()["input"],
        "aggregation": {
            "timeRange": {"from": JUNE["from"], "to": "2025-07-01T00:00:00Z"},
            "aggregationInterval": {"of": "P10D"},
            "width": 512,
            "height": 512,
        },
    }
    expected = {"SIMPLE": 3, "ORBIT": 5, "TILE": 9}
    for mosaicking, number in expected.items():
        cost = statistics_cost(asked(request, script(mosaicking), FIVE))
        assert levels(cost) == (0.01, number, number)


def test_batches_are_at_most_what_the_service_estimates_or_what_is_listed() -> None:
    request = {
        "processRequest": image(),
        "input": {"type": "tiling-grid", "id": 2, "resolution": 30},
        "output": {},
    }
    assumed = levels(batch_v2_cost(asked(request, script(), None)))
    listed = levels(batch_v2_cost(asked(request, script(), FIVE)))
    assert listed[1] == pytest.approx(assumed[1] / 2)
    assert listed[2] == pytest.approx(assumed[2] / 3)
    # Tiles are processed whole: what lies around the area is asked about as well.
    (search,) = searches(PriceInput(request, script(), TABLES))
    west, south, east, north = search.body["bbox"]  # type: ignore[misc]
    assert west < 13.5 and south < 45.2 and east > 15.6 and north > 46.9  # noqa: PT018


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("input", "bounds"), Unknown("", "", ())),
        (("input", "bounds"), {"bbox": [170, 0, 190, 10]}),
        (("input", "data", 0, "type"), Unknown("", "", ())),
        (("input", "data", 0, "type"), "dem"),
        (("input", "data", 0, "dataFilter"), {}),
        (("input", "data", 0, "dataFilter", "timeRange", "to"), ".."),
    ],
)
def test_what_is_not_known_is_not_asked(path: tuple[Any, ...], value: Any) -> None:
    request: Any = copy.deepcopy(image())
    at = request
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert searches(PriceInput(request, script())) == ()


def test_one_sample_asks_nothing() -> None:
    assert searches(PriceInput(image(), script("SIMPLE"))) == ()


def test_clouds_are_filtered_as_the_request_filters_them() -> None:
    chosen = {"timeRange": JUNE, "maxCloudCoverage": 20}
    search = search_of(BOUNDS, {"type": "x", "dataFilter": chosen}, (JUNE["from"], JUNE["to"]))
    assert search is not None
    assert search.body["filter"] == "eo:cloud_cover <= 20"


# --- asking --------------------------------------------------------------------------------


def page(*days: str, after: object = None) -> Answer:
    features: list[Any] = [{"properties": {"datetime": f"{day}T10:00:00Z"}} for day in days]
    body: Any = {"features": features, "context": {"next": after} if after else {}}
    return Answer(200, body, server_time=LATER)


def asking(
    questions: list[PriceInput], *answers: Answer | Exception
) -> tuple[Catalogue, list[Any]]:
    """Return what is learnt, and the bodies that were sent."""
    flow, sent = ask_catalogue(questions, now=""), []
    try:
        step: Any = next(flow)
        for one in answers:
            sent.append(step.request.body)
            step = flow.throw(one) if isinstance(one, Exception) else flow.send(one)
    except StopIteration as over:
        return over.value, sent
    raise AssertionError("more was asked")


def test_all_pages_are_counted_once_for_equal_questions() -> None:
    one = PriceInput(image(), script())
    found, sent = asking(
        [one, one], page("2025-06-01", "2025-06-01", after=100), page("2025-06-06")
    )
    assert list(found.days.values()) == [{"2025-06-01": 2, "2025-06-06": 1}]
    assert found.now == LATER
    assert [body.get("next") for body in sent] == [None, 100]


def test_a_page_without_end_is_not_followed_for_ever() -> None:
    found, _ = asking([PriceInput(image(), script())], *[page("2025-06-01", after=1)] * MOST_PAGES)
    assert found.days == {}


def of_areas(number: int) -> list[PriceInput]:
    areas = []
    for n in range(number):
        request = image()
        request["input"] = {**request["input"], "bounds": {"bbox": [n, 0, n + 1, 1]}}
        areas.append(PriceInput(request, script()))
    return areas


def test_few_questions_are_asked() -> None:
    far = [one for one in of_areas(120) if one.request["input"]["bounds"]["bbox"][0] % 2 == 0]  # type: ignore[index,call-overload]
    found, sent = asking(far, *[page("2025-06-01")] * MOST_SEARCHES)
    assert len(found.days) == len(sent) == MOST_SEARCHES
    assert not found.at_most


def test_neighbours_are_asked_about_together_where_they_are_many() -> None:
    """Then the answer is of more than each reads: no more is sure, and no more is expected."""
    fields = []
    for n in range(200):
        request = image()
        west = 14.5 + n / 500
        bounds = {"bbox": [west, 46.1, west + 0.001, 46.101]}
        request["input"] = {**request["input"], "bounds": bounds}
        fields.append(PriceInput(request, script()))
    found, (body,) = asking(fields, page(*(f"2025-06-{day:02}" for day in range(1, 21))))
    assert body["bbox"] == [14.5, 46.1, 14.899, 46.101]
    assert len(found.days) == 200
    for one in fields[:3]:
        told = process_cost(replace(one, catalogue=found))
        assert levels(told) == (0.005, 10, 20)


def test_a_catalogue_that_knows_no_clouds_is_asked_without() -> None:
    chosen = {"timeRange": JUNE, "maxCloudCoverage": 20}
    one = PriceInput(image(dataFilter=chosen), script())
    refused = RefusedError("filter names 'eo:cloud_cover'", status=400)
    found, (first, second) = asking([one], refused, page("2025-06-01", "2025-06-06"))
    assert "filter" in first and not {name for name in second if name.startswith("filter")}  # noqa: PT018
    assert levels(process_cost(replace(one, catalogue=found))) == (0.005, 2, 2)
    # Another refusal is not about the clouds.
    gone, _ = asking([one], RefusedError("no such collection", status=404))
    assert gone.days == {}


def test_features_of_a_file_are_asked_about_where_they_lie() -> None:
    crs = {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"}
    request = {
        "input": {"data": [DATA]},
        "aggregation": {
            "timeRange": {"from": JUNE["from"], "to": "2025-07-01T00:00:00Z"},
            "aggregationInterval": {"of": "P1D"},
        },
    }
    features = (Features(4000, 512, 512),)
    blind = PriceInput(request, script("SIMPLE"), features=features)
    assert searches(blind) == ()
    assert levels(batch_statistics_cost(blind)) == (100, 40_000, 120_000)
    around = {"bbox": [480_000, 5_100_000, 500_000, 5_120_000], "properties": crs}
    known = replace(blind, around=around)
    found, (body,) = asking([known], page(*FIVE))
    assert body["bbox"] == pytest.approx([14.727, 46.042, 15.013, 46.241], abs=5e-3)
    assert levels(batch_statistics_cost(replace(known, catalogue=found))) == (100, 20_000, 20_000)
    # Over a whole country each day may show some of them, and none of them all.
    wide = replace(known, around={**around, "bbox": [200_000, 5_000_000, 800_000, 5_400_000]})
    found, _ = asking([wide], page(*(f"2025-06-{day:02}" for day in range(1, 31))))
    assert levels(batch_statistics_cost(replace(wide, catalogue=found))) == (100, 40_000, 120_000)


def test_a_refusal_costs_its_own_answer_and_silence_all_that_follow() -> None:
    refused = RefusedError("no such collection", status=404)
    found, _ = asking(of_areas(2), refused, page("2025-06-01"))
    assert len(found.days) == 1
    found, _ = asking(of_areas(3), page("2025-06-01"), NoAnswerError("no answer"))
    assert len(found.days) == 1
