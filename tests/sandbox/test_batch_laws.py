"""What holds for every sequence of actions and every passing of time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox.settings import Settings

from .batches import act, create, pu, read
from .support import Driver, sandbox

# Which task, what is done to it, and the seconds that pass then.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["analyse", "start", "start", "stop", "fail", "spare", "wait"]),
        st.sampled_from([0.0, 0.5, 1.0, 2.5, 5.0, 30.0]),
    ),
    max_size=14,
)
KNOBS = st.fixed_dictionaries(
    {
        "second_start": st.sampled_from(["refuse", "ignore"]),
        "start_while_analysing": st.sampled_from(["refuse", "accept"]),
        "batch_restart_after_s": st.sampled_from([0.0, 3.0]),
        "batch_queued_s": st.sampled_from([0.0, 1.0]),
        "batch_processing_s": st.sampled_from([0.0, 4.0]),
        "account_pu": st.sampled_from([None, 60.0, 130.0]),
    }
)
# Whatever the service may show after what.
FOLLOWING = {
    "CREATED": {"ANALYSING"},
    "ANALYSING": {"ANALYSIS_DONE", "STOPPED", "FAILED"},
    "ANALYSIS_DONE": {"PROCESSING", "STOPPED"},
    "PROCESSING": {"DONE", "STOPPED"},
    "STOPPED": {"PROCESSING"},
    "DONE": set(),
    "FAILED": set(),
}


def reachable(status: str) -> set[str]:
    found, fresh = {status}, {status}
    while fresh:
        fresh = {after for one in fresh for after in FOLLOWING[one]} - found
        found |= fresh
    return found


def run(steps: list[Any], knobs: dict[str, Any], *, look: bool) -> tuple[list[Any], float]:
    """What becomes of two tasks; looked at after every step, or only at the end."""
    with tempfile.TemporaryDirectory() as place:
        known = Settings(seed="law", batch_required_pu=0, log_requests=False, **knobs)
        with sandbox(Path(place), settings=known) as api:
            api.login()
            tasks = [create(api, url=f"s3://results/{n}") for n in range(2)]
            before = [read(api, task) for task in tasks]
            for number, action, seconds in steps:
                if action == "fail":
                    api.post("/_sandbox/batch", {"features": ["33N_5_51"]})
                elif action == "spare":
                    api.delete("/_sandbox/batch")
                elif action != "wait":
                    act(api, tasks[number], action)
                if look:
                    now = [read(api, task) for task in tasks]
                    check(api, before, now, knobs)
                    before = now
                # Behind the back of whatever looks.
                api.app.state.world.tick(seconds)
            return [read(api, task) for task in tasks], pu(api)


def check(api: Driver, before: list[Any], now: list[Any], knobs: dict[str, Any]) -> None:
    spent = pu(api)
    assert spent == pytest.approx(sum(task["costPU"] for task in now))
    assert knobs["account_pu"] is None or spent <= knobs["account_pu"] + 1e-6
    for old, new in zip(before, now, strict=True):
        assert new["status"] in reachable(old["status"])
        # Two features, raised to the minimum of a hundred units.
        assert old["costPU"] <= new["costPU"] <= 100
        assert new["costPU"] in (0, 50, 100)
        assert old["lastUpdated"] <= new["lastUpdated"]
        if new["status"] == "DONE":
            assert new["completionPercentage"] == 100
        assert ("stoppedStatusReason" in new) == (new["status"] == "STOPPED")


@settings(max_examples=25)
@given(steps=STEPS, knobs=KNOBS)
def test_nothing_is_paid_twice_and_looking_changes_nothing(
    steps: list[Any], knobs: dict[str, Any]
) -> None:
    assert run(steps, knobs, look=True) == run(steps, knobs, look=False)
