"""What holds for every sequence of actions on requests of version 1 and every passing of time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox.settings import Settings

from .batches import pu
from .batches_v1 import EAST, REQUESTS, WEST, act, create, fail, tiles
from .support import Driver, sandbox

ACTIONS = ["analyse", "start", "start", "cancel", "restartpartial"]
# Which request, what is done to it, and the seconds that pass then.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([*ACTIONS, "delete", "fail", "stuck", "spare", "wait", "wait"]),
        st.sampled_from([0.0, 0.5, 1.0, 2.5, 5.0, 30.0]),
    ),
    max_size=16,
)
KNOBS = st.fixed_dictionaries(
    {
        "second_start": st.sampled_from(["refuse", "ignore"]),
        "start_while_analysing": st.sampled_from(["refuse", "accept"]),
        "batch_queued_s": st.sampled_from([0.0, 1.0]),
        "batch_processing_s": st.sampled_from([0.0, 4.0]),
        "account_pu": st.sampled_from([None, 60.0, 130.0, 210.0]),
    }
)
# Whatever the service may show after what.
FOLLOWING = {
    "CREATED": {"ANALYSING", "CANCELED", "gone"},
    "ANALYSING": {"ANALYSIS_DONE", "CANCELED", "FAILED"},
    "ANALYSIS_DONE": {"PROCESSING", "CANCELED", "gone"},
    "PROCESSING": {"DONE", "PARTIAL", "FAILED", "CANCELED"},
    "PARTIAL": {"PROCESSING"},
    "DONE": set(),
    "FAILED": {"gone"},
    "CANCELED": {"gone"},
    "gone": set(),
}


def reachable(status: str) -> set[str]:
    found, fresh = {status}, {status}
    while fresh:
        fresh = {after for one in fresh for after in FOLLOWING[one]} - found
        found |= fresh
    return found


def look_at(api: Driver, request: str) -> tuple[Any, list[Any]]:
    answer = api.get(f"{REQUESTS}/{request}")
    if answer.status_code == 404:
        return {"status": "gone"}, []
    return answer.json(), tiles(api, request)


def run(steps: list[Any], knobs: dict[str, Any], *, look: bool) -> tuple[list[Any], float]:
    """What becomes of two requests; looked at after every step, or only at the end."""
    with tempfile.TemporaryDirectory() as place:
        known = Settings(seed="law", log_requests=False, **knobs)
        with sandbox(Path(place), settings=known) as api:
            api.login()
            requests = [create(api, path=f"s3://results/{n}") for n in range(2)]
            before = [look_at(api, one) for one in requests]
            for number, action, seconds in steps:
                take(api, requests[number], action)
                if look:
                    now = [look_at(api, one) for one in requests]
                    check(api, before, now, knobs)
                    before = now
                # Behind the back of whatever looks.
                api.app.state.world.tick(seconds)
            return [look_at(api, one) for one in requests], pu(api)


def take(api: Driver, request: str, action: str) -> None:
    if action in ("fail", "stuck"):
        fail(api, EAST if action == "fail" else WEST, stuck=action == "stuck")
    elif action == "spare":
        api.delete("/_sandbox/batch")
    elif action == "delete":
        assert api.delete(f"{REQUESTS}/{request}").status_code in (204, 404, 409)
    elif action != "wait":
        assert act(api, request, action) in (204, 400, 403, 404)


def check(api: Driver, before: list[Any], now: list[Any], knobs: dict[str, Any]) -> None:
    spent = pu(api)
    # Every tile is paid for once, when it is processed; two tiles cost the minimum together.
    assert spent == pytest.approx(sum(tile["cost"] for _, found in now for tile in found))
    assert knobs["account_pu"] is None or spent <= knobs["account_pu"] + 1e-6
    for (old, old_tiles), (new, new_tiles) in zip(before, now, strict=True):
        assert new["status"] in reachable(old["status"])
        for tile in new_tiles:
            assert tile["cost"] == (50 if tile["status"] == "PROCESSED" else 0)
            assert ("error" in tile) == (tile["status"] == "FAILED")
        paid = {tile["id"] for tile in old_tiles if tile["status"] == "PROCESSED"}
        assert paid <= {tile["id"] for tile in new_tiles if tile["status"] == "PROCESSED"}
        check_counts(new, [tile["status"] for tile in new_tiles])


def check_counts(request: Any, statuses: list[str]) -> None:
    status = request["status"]
    if status in ("CREATED", "ANALYSING", "gone"):
        assert statuses == []
        return
    assert len(statuses) in (0, 2)
    ended = {one for one in statuses if one in ("PROCESSED", "FAILED")}
    moving = {one for one in statuses if one in ("SCHEDULED", "QUEUED", "PROCESSING")}
    assert not moving or status == "PROCESSING"
    assert statuses.count("PROCESSING") <= 1
    if statuses and status in ("DONE", "PARTIAL"):
        assert ended == ({"PROCESSED"} if status == "DONE" else {"PROCESSED", "FAILED"})
    if statuses and status == "FAILED":
        assert ended == {"FAILED"}
    assert request["tileCount"] == 2
    assert "error" not in request or status in ("PARTIAL", "FAILED")


@settings(max_examples=15)
@given(steps=STEPS, knobs=KNOBS)
def test_nothing_is_paid_twice_and_looking_changes_nothing(
    steps: list[Any], knobs: dict[str, Any]
) -> None:
    assert run(steps, knobs, look=True) == run(steps, knobs, look=False)
