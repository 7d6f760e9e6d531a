"""What is wrong with a batch request is found offline, at its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shplan.core.diagnostic import Severity
from shplan.providers.batch_checks import check_batch
from shplan.providers.request_checks import check_requests
from shplan.schema.store import tables
from tests.support.jobs import body, job


def changed(path: str, value: Any) -> Any:
    """A good request with one member changed; None takes it away."""
    spec = copy.deepcopy(body())
    *steps, last = path.split("/")
    inner: Any = spec
    for step in steps:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return job(spec=spec)


def found(desired: Any) -> list[str]:
    told = check_batch(desired, tables()) + check_requests(desired, tables(), deployment="")
    # The scenes of these jobs are older than any mission, which is no more than a warning.
    return [one.summary for one in told if one.severity is Severity.ERROR]


def test_a_good_request_is_good() -> None:
    assert found(job()) == []
    assert found(job(url="s3://b/<requestId>/<tileName>.tif")) == []


@pytest.mark.parametrize(
    ("path", "value", "summary"),
    [
        ("input/id", 4, "No such tiling grid"),
        ("input/resolution", 15, "Resolution not offered"),
        ("input/bufferX", -1, "Value not allowed"),
        ("processRequest/input/bounds", {}, "Area missing"),
        (
            "processRequest/input/bounds/geometry",
            {"type": "Polygon", "coordinates": [[[0, 85], [1, 85], [1, 86], [0, 86], [0, 85]]]},
            "Area outside of the grid",
        ),
        (
            "processRequest/input/data/0/dataFilter/timeRange",
            {"from": "2025-06-02T00:00:00Z", "to": "2025-06-01T00:00:00Z"},
            "Time range turned round",
        ),
        ("processRequest/output/responses/0/identifier", "ndvi", "No such output"),
        ("output/delivery/s3/url", "results/x", "Not a place on S3"),
        (
            "output/delivery/s3/url",
            "s3://b/<REQUEST_ID>/<tileName>.tif",
            "Output path cannot be used",
        ),
        ("output/delivery/s3/url", "s3://b/fixed.<format>", "Output path cannot be used"),
        ("output/delivery/s3/iamRoleARN", None, "No access to the bucket"),
    ],
)
def test_each_fault_is_found_by_itself(path: str, value: Any, summary: str) -> None:
    assert found(changed(path, value)) == [summary]


def test_half_of_a_key_pair_is_none() -> None:
    delivery = {"url": "s3://b/x", "accessKey": "A"}
    assert found(changed("output/delivery/s3", delivery)) == ["Half of a key pair"]


def test_the_same_response_twice() -> None:
    one = {"identifier": "default", "format": {"type": "image/tiff"}}
    twice = found(changed("processRequest/output/responses", [one, one]))
    assert twice == ["Response asked for twice"]


def test_the_metadata_of_a_script_are_no_output_of_it() -> None:
    one = {"identifier": "default", "format": {"type": "image/tiff"}}
    more = {"identifier": "userdata", "format": {"type": "application/json"}}
    spec = changed("processRequest/output/responses", [one, more])
    assert found(spec) == []
