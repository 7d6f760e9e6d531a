from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import StoppedClock
from shplan.sandbox.faults import ConnectionDroppedError, chance
from shplan.sandbox.settings import Settings

from .support import COLLECTIONS, Driver, sandbox


def program(api: Driver, **fault: Any) -> None:
    answer = api.post("/_sandbox/faults", fault)
    assert answer.status_code == 200, answer.text


def statuses(api: Driver, count: int) -> list[int]:
    return [api.get(COLLECTIONS).status_code for _ in range(count)]


@pytest.mark.parametrize("kind", ["400", "429", "500", "502", "503", "504"])
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
        {"kind": "500", "share": 1.5},
        {"kind": "500", "share": True},
        {"kind": "500", "count": -1},
        {"kind": "500", "every": 10**400},
        {"kind": "latency", "seconds": 2, "most_seconds": 1},
        {"kind": "duplicate", "shown": "third"},
        {"faults": {}},
        {"faults": [1]},
    ],
)
def test_fault_that_cannot_be_is_refused(api: Driver, fault: dict[str, Any]) -> None:
    assert api.post("/_sandbox/faults", fault).status_code == 400


def test_control_is_never_struck(api: Driver) -> None:
    program(api, kind="500", count=None)
    assert api.get("/_sandbox/instance").status_code == 200


# Answers that are no answers.


def test_spurious_refusal_names_a_body_that_was_there(api: Driver) -> None:
    """One of the service's own, seen in the wild: the same request passes when it is repeated."""
    program(api, kind="400", method="POST", path=COLLECTIONS)
    answer = api.post(COLLECTIONS, {"name": "a", "s3Bucket": "b"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "COMMON_BAD_PAYLOAD")
    assert api.get(COLLECTIONS).json()["data"] == []


@pytest.mark.parametrize("kind", ["502", "504"])
def test_gateways_answer_no_json(api: Driver, kind: str) -> None:
    program(api, kind=kind)
    answer = api.get(COLLECTIONS)
    assert answer.headers["content-type"].startswith("text/html")
    assert "date" in answer.headers


def test_refusal_after_the_deed(api: Driver) -> None:
    """What a gateway's timeout hides: the service went on."""
    program(api, kind="504", method="POST", path=COLLECTIONS, served=True)
    assert api.post(COLLECTIONS, {"name": "a", "s3Bucket": "b"}).status_code == 504
    assert [one["name"] for one in api.get(COLLECTIONS).json()["data"]] == ["a"]
    assert api.get("/_sandbox/requests").json()["requests"][-2]["status"] == 201


@pytest.mark.parametrize(
    ("shown", "status"), [({"shown": "first"}, 204), ({"shown": "second"}, 404), ({}, 404)]
)
def test_duplicate_is_served_twice_and_answered_once(
    api: Driver, shown: dict[str, Any], status: int
) -> None:
    one = api.collection()["id"]
    program(api, kind="duplicate", method="DELETE", **shown)
    assert api.delete(f"{COLLECTIONS}/{one}").status_code == status
    listed = api.get("/_sandbox/requests").json()["requests"][-2:]
    assert [entry["status"] for entry in listed] == [204, 404]


def test_duplicate_of_a_create_makes_two(api: Driver) -> None:
    program(api, kind="duplicate", method="POST", path=COLLECTIONS)
    told = api.collection()["id"]
    made = [one["id"] for one in api.get(COLLECTIONS).json()["data"]]
    assert len(made) == 2
    assert told in made
    assert api.get("/_sandbox/meter").json()["pu"] == 2


def test_answer_without_its_body(api: Driver) -> None:
    program(api, kind="empty")
    api.lenient = True
    answer = api.get(COLLECTIONS)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_answer_with_half_of_its_text_is_no_json(api: Driver) -> None:
    whole = api.get(COLLECTIONS).content
    program(api, kind="truncated")
    api.lenient = True
    answer = api.get(COLLECTIONS)
    assert answer.status_code == 200
    assert answer.content == whole[: len(whole) // 2]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_answer_cut_in_the_middle_was_given(api: Driver) -> None:
    program(api, kind="cut", method="POST", path=COLLECTIONS)
    with pytest.raises(ConnectionDroppedError):
        api.collection()
    assert len(api.get(COLLECTIONS).json()["data"]) == 1


@pytest.mark.parametrize("kind", ["cut", "truncated", "empty"])
def test_answer_without_a_body_can_be_maimed_as_well(api: Driver, kind: str) -> None:
    one = api.collection()["id"]
    program(api, kind=kind, method="DELETE")
    if kind == "cut":
        with pytest.raises(ConnectionDroppedError):
            api.delete(f"{COLLECTIONS}/{one}")
    else:
        assert api.delete(f"{COLLECTIONS}/{one}").status_code == 204
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 404


# Chance.


def struck(tmp_path: Any, name: str, seed: str, **fault: Any) -> list[int]:
    with sandbox(tmp_path / name, settings=Settings(seed=seed)) as driver:
        program(driver.login(), kind="503", **fault)
        return statuses(driver, 60)


def test_chance_is_the_same_for_one_seed_and_differs_for_another(tmp_path: Any) -> None:
    first = struck(tmp_path, "a", "s", share=0.3)
    assert first == struck(tmp_path, "b", "s", share=0.3)
    assert first != struck(tmp_path, "c", "t", share=0.3)
    assert 5 < first.count(503) < 35


@pytest.mark.parametrize(("share", "expected"), [(0, {200}), (1, {503})])
def test_no_chance_and_certainty(tmp_path: Any, share: float, expected: set[int]) -> None:
    assert set(struck(tmp_path, "a", "s", share=share)) == expected


def test_two_faults_of_one_share_do_not_strike_together(api: Driver) -> None:
    for _ in range(2):
        program(api, kind="503", share=0.5, path=COLLECTIONS)
    assert statuses(api, 40).count(503) > 22  # a half, and a half of the rest


@given(st.text(), st.integers(0, 2**60))
def test_chance_is_a_number_below_one(seed: str, number: int) -> None:
    assert 0 <= chance(seed.encode("utf-8", "replace").decode(), "fault", number) < 1


def test_delay_by_chance_stays_within_its_range(api: Driver) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    app = create_app(api.app.state.world.data, clock=StoppedClock(), sleep=sleep)
    second = Driver(app).login()
    program(api, kind="latency", seconds=1, most_seconds=3, count=None)
    program(api, kind="500")
    assert set(statuses(second, 20)) == {200}
    assert len(set(slept)) == 20
    assert 1 <= min(slept) < 1.5 < 2.5 < max(slept) <= 3
    second.close()
    close_app(app)
