from __future__ import annotations

from typing import Any

import pytest

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import StoppedClock
from shplan.sandbox.faults import ConnectionDroppedError

from .support import COLLECTIONS, Driver


def program(api: Driver, **fault: Any) -> None:
    answer = api.post("/_sandbox/faults", fault)
    assert answer.status_code == 200, answer.text


def statuses(api: Driver, count: int) -> list[int]:
    return [api.get(COLLECTIONS).status_code for _ in range(count)]


@pytest.mark.parametrize("kind", ["429", "500", "503"])
def test_refusal_strikes_once_unless_told_otherwise(api: Driver, kind: str) -> None:
    program(api, kind=kind)
    assert statuses(api, 2) == [int(kind), 200]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"nth": 3}, [200, 200, 503, 200, 200]),
        ({"count": 2}, [503, 503, 200, 200, 200]),
        ({"nth": 2, "count": 2}, [200, 503, 503, 200, 200]),
        ({"every": 2, "count": None}, [503, 200, 503, 200, 503]),
        ({"method": "POST"}, [200, 200, 200, 200, 200]),
        ({"path": ".*/tiles"}, [200, 200, 200, 200, 200]),
        ({"method": "GET", "path": "/byoc/.*"}, [503, 200, 200, 200, 200]),
    ],
)
def test_fault_chooses_its_requests(
    api: Driver, which: dict[str, Any], expected: list[int]
) -> None:
    program(api, kind="503", **which)
    assert statuses(api, 5) == expected


def test_429_tells_how_long_to_wait_if_asked(api: Driver) -> None:
    program(api, kind="429", retry_after_ms=3398)
    assert api.get(COLLECTIONS).headers["retry-after"] == "3398"


def test_lost_answer_was_served(api: Driver) -> None:
    program(api, kind="lost-answer", method="POST", path=COLLECTIONS)
    with pytest.raises(ConnectionDroppedError):
        api.collection()
    assert len(api.get(COLLECTIONS).json()["data"]) == 1
    assert api.get("/_sandbox/meter").json()["pu"] == 1


def test_request_dropped_before_was_not_served(api: Driver) -> None:
    program(api, kind="before", method="POST", path=COLLECTIONS)
    with pytest.raises(ConnectionDroppedError):
        api.collection()
    assert api.get(COLLECTIONS).json()["data"] == []
    assert api.get("/_sandbox/meter").json()["pu"] == 0


def test_faults_are_listed_with_the_requests_they_struck(api: Driver) -> None:
    program(api, kind="lost-answer")
    with pytest.raises(ConnectionDroppedError):
        api.get(COLLECTIONS)
    last = api.get("/_sandbox/requests").json()["requests"][-1]
    assert (last["status"], last["fault"]) == (200, "lost-answer")
    (fault,) = api.get("/_sandbox/faults").json()["faults"]
    assert (fault["seen"], fault["fired"]) == (1, 1)


def test_several_faults_are_programmed_at_once_and_cleared(api: Driver) -> None:
    body = {"faults": [{"kind": "500", "nth": 1}, {"kind": "503", "nth": 2}]}
    assert api.post("/_sandbox/faults", body).status_code == 200
    assert statuses(api, 3) == [500, 503, 200]
    program(api, kind="500", count=None)
    api.delete("/_sandbox/faults")
    assert statuses(api, 1) == [200]


def test_latency_delays_the_answer_by_the_injected_sleep(api: Driver) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    app = create_app(api.app.state.world.data, clock=StoppedClock(), sleep=sleep)
    second = Driver(app).login()
    program(api, kind="latency", seconds=2.5)
    assert statuses(second, 1) == [200]
    assert slept == [2.5]
    second.close()
    close_app(app)


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "x"},
        {"kind": "500", "path": "("},
        {"kind": "500", "nth": 0},
        {"kind": "500", "a": 1},
    ],
)
def test_fault_that_cannot_be_is_refused(api: Driver, fault: dict[str, Any]) -> None:
    assert api.post("/_sandbox/faults", fault).status_code == 400


def test_control_is_never_struck(api: Driver) -> None:
    program(api, kind="500", count=None)
    assert api.get("/_sandbox/instance").status_code == 200
