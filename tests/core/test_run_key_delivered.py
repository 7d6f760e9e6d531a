"""Run keys of asynchronous and of batch statistical requests: what counts, and what says nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.marker import make_marker, script_with_marker
from shplan.core.run_key import RunInput, canonical_request, key_of_echo, run_key
from tests.support.delivered import async_body, statistics_body

SHA = "ab" * 32
Edit = Callable[[Any], None]


def given_statistics(request: Any) -> RunInput:
    files = {"s3://areas/fields.gpkg": SHA}
    return RunInput("BatchStatistics", "v1", "sandbox", request, files=files)


def given_async(request: Any) -> RunInput:
    return RunInput("AsyncProcess", "v1", "sandbox", request)


def histogram(low: Any) -> Any:
    bins = {"nBins": 5, "lowEdge": low, "highEdge": 10}
    return {"default": {"histograms": {"default": bins}}}


def set_at(*path: Any, value: Any) -> Edit:
    def edit(body: Any) -> None:
        for step in path[:-1]:
            body = body[step] if isinstance(body, list) else body.setdefault(step, {})
        body[path[-1]] = value

    return edit


S3 = ("output", "s3")
DELIVERY = ("output", "delivery", "s3")
SILENT: list[tuple[Any, Any, Edit]] = [
    (given_statistics, statistics_body, set_at(*S3, "iamRoleARN", value="arn:aws:iam::2:role/x")),
    (
        given_statistics,
        statistics_body,
        set_at("aggregation", "aggregationInterval", "lastIntervalBehavior", value="SKIP"),
    ),
    (
        given_statistics,
        statistics_body,
        set_at("aggregation", "timeRange", "to", value="1985-06-02T01:59:59+02:00"),
    ),
    (given_statistics, statistics_body, set_at("calculations", value={})),
    (given_statistics, statistics_body, set_at("calculations", value=None)),
    (
        given_statistics,
        statistics_body,
        set_at("input", "data", 0, "processing", value={"upsampling": "NEAREST"}),
    ),
    (given_async, async_body, set_at(*DELIVERY, "iamRoleARN", value="arn:aws:iam::2:role/x")),
    (given_async, async_body, set_at("output", "width", value=16.0)),
    (given_async, async_body, set_at("output", "resx", value=None)),
]
TELLING: list[tuple[Any, Any, Edit]] = [
    (given_statistics, statistics_body, set_at("aggregation", "resx", value=61)),
    (given_statistics, statistics_body, set_at("calculations", value=histogram(0))),
    (given_statistics, statistics_body, set_at(*S3, "url", value="s3://results/elsewhere")),
    (
        given_statistics,
        statistics_body,
        set_at("aggregation", "aggregationInterval", "lastIntervalBehavior", value="EXTEND"),
    ),
    (given_async, async_body, set_at("output", "width", value=17)),
    (given_async, async_body, set_at(*DELIVERY, "url", value="s3://results/elsewhere")),
    (
        given_async,
        async_body,
        set_at("output", "responses", 0, "format", value={"type": "image/png"}),
    ),
]


@pytest.mark.parametrize(("given", "body", "edit"), SILENT)
def test_what_says_nothing_is_no_other_run(given: Any, body: Any, edit: Edit) -> None:
    edited = copy.deepcopy(body())
    edit(edited)
    assert run_key(given(edited)) == run_key(given(body()))


@pytest.mark.parametrize(("given", "body", "edit"), TELLING)
def test_what_counts_is_another_run(given: Any, body: Any, edit: Edit) -> None:
    edited = copy.deepcopy(body())
    edit(edited)
    assert run_key(given(edited)).digest != run_key(given(body())).digest


def test_the_arithmetic_of_a_histogram_counts() -> None:
    """The service counts in integers where the edges are integers, and else in floats."""
    integers = run_key(given_statistics(statistics_body(calculations=histogram(0))))
    floats = run_key(given_statistics(statistics_body(calculations=histogram(0.0))))
    assert integers.digest != floats.digest


@pytest.mark.parametrize(
    ("given", "body"), [(given_statistics, statistics_body), (given_async, async_body)]
)
def test_the_form_is_the_form_of_itself(given: Any, body: Any) -> None:
    one = given(body(**({"calculations": histogram(0.0)} if body is statistics_body else {})))
    form = canonical_request(one.kind, one.api, one.request)
    assert canonical_request(one.kind, one.api, form) == form  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [None, 90])
def test_a_format_may_state_its_default(quality: int | None) -> None:
    stated = {"type": "image/jpeg"} | ({} if quality is None else {"quality": quality})
    plain = async_body(responses=[{"identifier": "a", "format": {"type": "image/jpeg"}}])
    other = async_body(responses=[{"identifier": "a", "format": stated}])
    assert run_key(given_async(plain)) == run_key(given_async(other))
    png = async_body(responses=[{"identifier": "a", "format": {"type": "image/png"}}])
    silent = async_body(responses=[{"identifier": "a"}])
    assert run_key(given_async(png)) == run_key(given_async(silent))


@pytest.mark.parametrize(
    ("given", "body", "path"),
    [(given_statistics, statistics_body, ("aggregation",)), (given_async, async_body, ())],
)
def test_what_was_sent_gives_the_key_back(given: Any, body: Any, path: tuple[str, ...]) -> None:
    """With the marker on the last line of the script, the key in its path, and no secrets."""
    stated = given(body(url="s3://results/{{ run.key }}/x"))
    key = run_key(stated)
    address = Address(stated.kind, "one")
    marker = make_marker(project="p", address=address, key=key.short, attempt=1)
    echo = copy.deepcopy(body(url=f"s3://results/{key.short}/x"))
    held = echo[path[0]] if path else echo
    held["evalscript"] = script_with_marker(held["evalscript"], marker)
    place = echo["output"] if path else echo["output"]["delivery"]
    del place["s3"]["iamRoleARN"]
    assert key_of_echo(echo, stated, key=key.short) == key
