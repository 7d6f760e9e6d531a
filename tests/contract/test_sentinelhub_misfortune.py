"""How the unmodified `sentinelhub` package takes rate limits, failures and refusals of the sandbox."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from sentinelhub import BatchProcessClient, SentinelHubBYOC, SHConfig
from sentinelhub.exceptions import (
    DownloadFailedException,
    OutOfRequestsException,
    SHRateLimitWarning,
)

from tests.support.served import Served

LIST = "/byoc/v1/collections"


@pytest.fixture
def byoc(config: SHConfig, served: Served) -> SentinelHubBYOC:
    """With a token already, so that what follows strikes requests alone."""
    client = SentinelHubBYOC(config=config)
    client.client.get_session()
    return client


def statuses(served: Served, path: str = LIST) -> list[Any]:
    return [one["status"] for one in served.requests(path)]


def said(caught: pytest.ExceptionInfo[DownloadFailedException]) -> Any:
    """What the server said, as the client's message quotes it."""
    quoted = str(caught.value).partition('Server response: "')[2].removesuffix('"')
    return json.loads(quoted)


def test_retry_after_counts_milliseconds(byoc: SentinelHubBYOC, served: Served) -> None:
    served.fault("429", path=LIST, retry_after_ms=400)
    begun = time.monotonic()
    with pytest.warns(SHRateLimitWarning):
        assert list(byoc.iter_collections()) == []
    assert 0.4 <= time.monotonic() - begun < 10
    assert statuses(served) == [429, 200]


def test_without_retry_after_the_client_waits_by_itself(
    byoc: SentinelHubBYOC, served: Served
) -> None:
    byoc.client.default_retry_time = 100  # milliseconds; half a minute by default
    served.fault("429", path=LIST, count=2)
    with pytest.warns(SHRateLimitWarning) as warned:
        assert list(byoc.iter_collections()) == []
    assert len(warned) == 2
    assert statuses(served) == [429, 429, 200]


def test_a_rate_limit_slows_the_client_down_and_no_more(
    byoc: SentinelHubBYOC, served: Served
) -> None:
    """Four a minute, where a minute takes a second."""
    served.configure(requests_per_minute=4, speed=60)
    with pytest.warns(SHRateLimitWarning):
        assert [list(byoc.iter_collections()) for _ in range(6)] == [[]] * 6
    seen = statuses(served)
    assert seen.count(200) == 6
    assert 1 <= seen.count(429) <= 4
    assert set(seen) == {200, 429}


def test_units_are_limited_by_the_minute_as_well(byoc: SentinelHubBYOC, served: Served) -> None:
    served.configure(pu_per_minute=2, speed=60)
    bodies = [{"name": str(number), "s3Bucket": "b"} for number in range(3)]
    with pytest.warns(SHRateLimitWarning):
        assert len([byoc.create_collection(body) for body in bodies]) == 3
    assert len(list(byoc.iter_collections())) == 3


def test_the_client_can_give_up(config: SHConfig, served: Served) -> None:
    config.max_retries = 2
    byoc = SentinelHubBYOC(config=config)
    byoc.client.get_session()
    served.fault("429", path=LIST, count=None, retry_after_ms=1)
    with pytest.warns(SHRateLimitWarning), pytest.raises(OutOfRequestsException):
        list(byoc.iter_collections())
    assert statuses(served) == [429, 429]


@pytest.mark.parametrize("wrapped", [True, False])
def test_both_forms_of_a_429_do(byoc: SentinelHubBYOC, served: Served, wrapped: bool) -> None:
    served.configure(error_429_wrapped=wrapped)
    served.fault("429", path=LIST, retry_after_ms=1)
    with pytest.warns(SHRateLimitWarning):
        assert list(byoc.iter_collections()) == []


@pytest.mark.parametrize("kind", ["500", "503", "before"])
def test_failures_of_the_server_are_tried_again(
    byoc: SentinelHubBYOC, served: Served, kind: str
) -> None:
    served.fault(kind, path=LIST, count=2)
    assert list(byoc.iter_collections()) == []
    assert len(statuses(served)) == 3


@pytest.mark.parametrize("status", [500, 503])
def test_in_the_end_the_server_is_quoted(
    byoc: SentinelHubBYOC, served: Served, status: int
) -> None:
    served.fault(str(status), path=LIST, count=None)
    with pytest.raises(DownloadFailedException) as caught:
        list(byoc.iter_collections())
    assert statuses(served) == [status] * 3
    assert said(caught)["status"] == status
    assert said(caught)["code"] == "COMMON_EXCEPTION"


def test_a_lost_connection_is_named_as_such(byoc: SentinelHubBYOC, served: Served) -> None:
    served.fault("before", path=LIST, count=None)
    with pytest.raises(DownloadFailedException, match="internet connection") as caught:
        list(byoc.iter_collections())
    assert isinstance(caught.value.request_exception, requests.ConnectionError)


def test_a_slow_answer_is_not_waited_for(config: SHConfig, served: Served) -> None:
    config.download_timeout_seconds = 0.3
    byoc = SentinelHubBYOC(config=config)
    served.fault("latency", path=LIST, seconds=2)
    assert list(byoc.iter_collections()) == []
    # The request that was given up is served late; it must not be one of the next test's.
    until = time.monotonic() + 20
    while len(served.requests(LIST)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(served.requests(LIST)) == 2


def test_an_answer_that_is_lost_after_a_create_leaves_two(
    byoc: SentinelHubBYOC, served: Served
) -> None:
    """The client repeats every verb, and the service knows no idempotency key."""
    served.fault("lost-answer", method="POST", path=LIST)
    byoc.create_collection({"name": "twice", "s3Bucket": "imagery"})
    assert [one["name"] for one in byoc.iter_collections()] == ["twice", "twice"]


@pytest.mark.parametrize(
    ("status", "code", "ask"),
    [
        (404, "COMMON_NOT_FOUND", lambda byoc: byoc.get_collection("no-such")),
        (400, "COMMON_BAD_PAYLOAD", lambda byoc: byoc.create_collection({"name": "x"})),
        (400, "COMMON_BAD_PAYLOAD", lambda byoc: list(byoc.iter_collections(count=101))),
        (400, "COMMON_BAD_PAYLOAD", lambda byoc: byoc.client.get_json(
            f"{byoc.service_url}/collections?viewtoken=x", use_session=True)),
        (405, "COMMON_METHOD_NOT_ALLOWED", lambda byoc: byoc.client.get_json(
            f"{byoc.service_url}/collections", request_type="DELETE", use_session=True)),
        (404, "COMMON_NOT_FOUND", lambda byoc: byoc.client.get_json(
            f"{byoc.service_url}/nothing", use_session=True)),
    ],
)  # fmt: skip
def test_a_refusal_is_told_at_once(
    byoc: SentinelHubBYOC, served: Served, status: int, code: str, ask: Any
) -> None:
    with pytest.raises(DownloadFailedException) as caught:
        ask(byoc)
    assert caught.value.request_exception.response.status_code == status
    error = said(caught)
    assert (error["status"], error["code"]) == (status, code)
    assert error["reason"] == requests.status_codes._codes[status][0].replace("_", " ").title()
    assert error["message"]
    assert statuses(served, "/byoc/")[-1] == status
    assert len(served.requests("/byoc/")) == 1


def test_what_is_wrong_is_named_by_its_place(byoc: SentinelHubBYOC, served: Served) -> None:
    bands = {"B04": {"source": "B04", "bandIndex": 1, "bitDepth": 12, "sampleFormat": "UINT"}}
    with pytest.raises(DownloadFailedException) as caught:
        byoc.create_collection({"name": "x", "s3Bucket": "b", "additionalData": {"bands": bands}})
    ((parameter, violation),) = said(caught)["errors"].items()
    assert parameter == "additionalData->bands->B04->bitDepth"
    assert "12" in violation


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("list", [{"parameter": "s3Bucket", "violation": "must not be missing"}]),
        ("texts", ["s3Bucket: must not be missing"]),
        ("object", {"s3Bucket": "must not be missing"}),
    ],
)
def test_details_come_in_any_form_that_was_seen(
    byoc: SentinelHubBYOC, served: Served, form: str, expected: Any
) -> None:
    served.configure(error_details=form)
    with pytest.raises(DownloadFailedException) as caught:
        byoc.create_collection({"name": "x"})
    assert said(caught)["errors"] == expected


def test_what_belongs_to_others_is_forbidden(config: SHConfig, served: Served) -> None:
    served.configure(clients={"other": {"secret": "s", "account": "other"}})
    made = SentinelHubBYOC(config=config).create_collection({"name": "mine", "s3Bucket": "b"})
    config.sh_client_id, config.sh_client_secret = "other", "s"
    byoc = SentinelHubBYOC(config=config)
    for ask in (byoc.get_collection, byoc.delete_collection):
        with pytest.raises(DownloadFailedException) as caught:
            ask(made)
        assert said(caught)["code"] == "COMMON_INSUFFICIENT_PERMISSIONS"
        assert caught.value.request_exception.response.status_code == 403
    assert list(byoc.iter_collections()) == []


def test_units_that_are_used_up_are_a_403(config: SHConfig, served: Served) -> None:
    served.configure(account_pu=999)
    batch = BatchProcessClient(config=config)
    delivery = batch.s3_specification("s3://b/x", access_key="a", secret_access_key="b")
    process = {
        "input": {"bounds": {"bbox": [14, 46, 14.1, 46.1]}, "data": [{"type": "sentinel-2-l2a"}]},
        "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
        "evalscript": "//VERSION=3",
    }
    with pytest.raises(DownloadFailedException) as caught:
        batch.create(
            process,
            input=batch.tiling_grid_input(2, 120),
            output=batch.raster_output(delivery),
        )
    assert said(caught)["code"] == "ACCESS_INSUFFICIENT_PROCESSING_UNITS"
    assert caught.value.request_exception.response.status_code == 403


def test_without_units_nothing_that_costs_is_done(byoc: SentinelHubBYOC, served: Served) -> None:
    served.configure(account_pu=1)
    made = byoc.create_collection({"name": "x", "s3Bucket": "b"})
    for ask in (
        lambda: byoc.create_collection({"name": "y", "s3Bucket": "b"}),
        lambda: byoc.delete_collection(made),
    ):
        with pytest.raises(DownloadFailedException) as caught:
            ask()
        assert said(caught)["code"] == "ACCESS_INSUFFICIENT_PROCESSING_UNITS"
    assert [one["name"] for one in byoc.iter_collections()] == ["x"]


def test_units_spent_are_told_in_a_header(byoc: SentinelHubBYOC, served: Served) -> None:
    headers = byoc.client.get_session().session_headers
    address = f"{byoc.service_url}/collections"
    made = requests.post(address, json={"name": "x", "s3Bucket": "b"}, headers=headers, timeout=9)
    assert float(made.headers["X-ProcessingUnits-Spent"]) == 1
    assert (
        "X-ProcessingUnits-Spent" not in requests.get(address, headers=headers, timeout=9).headers
    )
