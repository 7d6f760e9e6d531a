"""What the objects of Batch V1 mean: where a task stands, what it is estimated to cost, its tiles."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.core.value import JsonValue
from shplan.providers.batch_v1 import API, estimate_of, task_of
from shplan.providers.job import Phase

TASK: dict[str, JsonValue] = {
    "id": "0e1d",
    "created": "2025-06-20T08:00:00Z",
    "accountId": "acme",
    "processRequest": {"evalscript": "//VERSION=3"},
    "tilingGrid": {"id": 0, "resolution": 10},
    "output": {"defaultTilePath": "s3://b/x"},
    "description": "NDVI",
    "tileCount": 4,
}


@pytest.mark.parametrize(
    ("status", "action", "phase"),
    [
        ("CREATED", "NONE", Phase.WAITING),
        ("ANALYSING", "ANALYSE", Phase.WAITING),
        ("ANALYSIS_DONE", "ANALYSE", Phase.WAITING),
        # A START is the payment, whatever the status says yet.
        ("CREATED", "START", Phase.RUNNING),
        ("ANALYSING", "START", Phase.RUNNING),
        ("ANALYSIS_DONE", "START", Phase.RUNNING),
        ("PROCESSING", "START", Phase.RUNNING),
        ("DONE", "START", Phase.DONE),
        ("PARTIAL", "START", Phase.PARTLY),
        ("FAILED", "START", Phase.ENDED),
        ("FAILED", "ANALYSE", Phase.ENDED),
        ("CANCELED", "CANCEL", Phase.ENDED),
        # It is completed and then cancelled, and so it never runs.
        ("ANALYSING", "CANCEL", Phase.ENDED),
        ("PROCESSING", "CANCEL", Phase.ENDED),
    ],
)
def test_where_a_task_stands(status: str, action: str, phase: Phase) -> None:
    assert task_of({**TASK, "status": status, "userAction": action}).phase is phase


def test_a_task_is_its_body_and_what_became_of_it() -> None:
    task = task_of({**TASK, "status": "CREATED", "valueEstimate": None, "error": None})
    body = {"processRequest", "tilingGrid", "output", "description"}
    assert task.request is not None
    assert set(task.request) == body
    assert (task.account, task.description, task.estimate_pu) == ("acme", "NDVI", None)
    output: Any = {"collectionId": "0c0c"}
    assert task_of({**TASK, "output": output}).collection == "0c0c"


@pytest.mark.parametrize(
    ("estimated", "cost"), [(None, None), (3000.0, 1000.0), (300.0, 100.0), (0.0, 100.0)]
)
def test_the_estimate_leaves_out_the_discount_and_no_request_is_cheaper_than_the_least(
    estimated: float | None, cost: float | None
) -> None:
    found = estimate_of(task_of({**TASK, "valueEstimate": estimated}))
    assert (None if found is None else found.maximum_pu) == cost
    if found is not None:
        assert sum(term.total_pu for term in found.terms) == found.maximum_pu


def test_tiles_are_named_by_number_and_corner() -> None:
    assert API.parts is not None
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    origin = {"type": "Point", "coordinates": [480960.0, 5090160.0], "crs": crs}
    told: dict[str, JsonValue] = {"id": 7, "status": "FAILED", "error": "no", "origin": origin}  # type: ignore[dict-item]
    part = API.parts.part_of(told)
    assert (part.name, part.cause) == ("7 at 480960, 5090160 EPSG:32633", "no")
    assert API.parts.part_of({"id": 7, "status": "FAILED"}).cause == "no cause given"
    assert API.parts.part_of({"id": 7, "status": "FAILED"}).name == "7"
    over = {status: API.parts.part_of({"id": 7, "status": status}).is_over for status in STATUSES}
    assert over == STATUSES


# The schema calls a tile that is done PROCESSED, the prose DONE.
STATUSES = {
    "PENDING": False,
    "SCHEDULED": False,
    "QUEUED": False,
    "PROCESSING": False,
    "PROCESSED": True,
    "DONE": True,
    "FAILED": True,
}
