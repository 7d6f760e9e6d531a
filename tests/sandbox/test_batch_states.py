"""Every action in every state, and the laws of the transitions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import batch_states as states
from shplan.sandbox.batch_states import IllegalActionError, Move, Standing, act
from shplan.sandbox.settings import Settings

SETTINGS = Settings(batch_queued_s=1, batch_restart_after_s=1800)
NOW = 10_000_000
SOON = NOW + 1000

STANDINGS = {
    "created": Standing("CREATED", "NONE", 0),
    "created, analysis asked for": Standing("CREATED", "ANALYSE", 0, SOON - 1),
    "created, start asked for": Standing("CREATED", "START", 0, SOON - 1),
    "analysing": Standing("ANALYSING", "ANALYSE", 0, SOON - 1),
    "analysing, start asked for": Standing("ANALYSING", "START", 0, SOON - 1),
    "analysing, stop asked for": Standing("ANALYSING", "STOP", 0, SOON - 1),
    "analysed": Standing("ANALYSIS_DONE", "ANALYSE", 0),
    "analysed, start asked for": Standing("ANALYSIS_DONE", "START", 0, SOON - 1),
    "processing": Standing("PROCESSING", "START", 0, SOON - 1),
    "done": Standing("DONE", "START", 0),
    "failed in analysis": Standing("FAILED", "ANALYSE", 0),
    "failed after start": Standing("FAILED", "START", 0),
    "stopped by the user": Standing("STOPPED", "STOP", NOW - 1_800_000, None, "USER_ACTION"),
    "stopped just now": Standing("STOPPED", "STOP", NOW - 1_799_999, None, "USER_ACTION"),
    "out of units": Standing("STOPPED", "START", NOW, None, "OUT_OF_PU"),
    "unhealthy": Standing("STOPPED", "START", NOW, None, "UNHEALTHY"),
    "stopped, start asked for": Standing("STOPPED", "START", 0, SOON - 1, "USER_ACTION"),
}
SECOND = "a second start"
STOPPED = Move("STOPPED", None, "USER_ACTION")
# What is not here is illegal.
LEGAL: dict[tuple[str, str], Move | str] = {
    ("created", "ANALYSE"): Move("CREATED", SOON),
    ("created", "START"): Move("CREATED", SOON),
    ("created, analysis asked for", "START"): Move("CREATED", SOON - 1),
    ("created, start asked for", "START"): SECOND,
    ("analysing", "STOP"): Move("ANALYSING", SOON - 1),
    ("analysing, start asked for", "START"): SECOND,
    ("analysing, start asked for", "STOP"): Move("ANALYSING", SOON - 1),
    ("analysed", "START"): Move("ANALYSIS_DONE", SOON),
    ("analysed", "STOP"): STOPPED,
    ("analysed, start asked for", "START"): SECOND,
    ("analysed, start asked for", "STOP"): STOPPED,
    ("processing", "START"): SECOND,
    ("processing", "STOP"): STOPPED,
    ("done", "START"): SECOND,
    ("failed after start", "START"): SECOND,
    ("stopped by the user", "START"): Move("STOPPED", SOON, "USER_ACTION"),
    ("out of units", "START"): Move("STOPPED", SOON, "OUT_OF_PU"),
    ("unhealthy", "START"): Move("STOPPED", SOON, "UNHEALTHY"),
    ("stopped, start asked for", "START"): SECOND,
}


@pytest.mark.parametrize("second_start", ["refuse", "ignore"])
@pytest.mark.parametrize("action", ["ANALYSE", "START", "STOP"])
@pytest.mark.parametrize("place", STANDINGS)
def test_every_action_in_every_state(place: str, action: str, second_start: str) -> None:
    settings = replace(SETTINGS, second_start=second_start)
    standing, expected = STANDINGS[place], LEGAL.get((place, action))
    if expected is None or (expected == SECOND and second_start == "refuse"):
        with pytest.raises(IllegalActionError) as caught:
            act(standing, action, settings=settings, now_ms=NOW)
        assert str(caught.value) == (
            f"It is illegal to change userAction from {standing.action} to {action}"
            f" with task status {standing.status}."
        )
    elif expected == SECOND:
        assert act(standing, action, settings=settings, now_ms=NOW) is None
    else:
        assert act(standing, action, settings=settings, now_ms=NOW) == expected


def test_a_start_during_an_analysis_may_be_taken() -> None:
    settings = replace(SETTINGS, start_while_analysing="accept")
    kept = Move("ANALYSING", SOON - 1)
    assert act(STANDINGS["analysing"], "START", settings=settings, now_ms=NOW) == kept
    with pytest.raises(IllegalActionError):
        act(STANDINGS["analysing, stop asked for"], "START", settings=settings, now_ms=NOW)


@pytest.mark.parametrize(
    ("action", "move"),
    [
        ("ANALYSE", Move("ANALYSIS_DONE", None)),
        ("START", Move("ANALYSIS_DONE", SOON)),
        ("STOP", Move("STOPPED", None, "USER_ACTION")),
    ],
)
def test_after_the_analysis(action: str, move: Move) -> None:
    assert states.after_analysis(action, settings=SETTINGS, at_ms=NOW) == move


@pytest.mark.parametrize("place", STANDINGS)
def test_a_task_is_busy_from_its_start_to_its_end(place: str) -> None:
    busy = place.endswith("start asked for") or place == "processing"
    assert states.is_queued_or_running(STANDINGS[place]) == busy


@given(
    run_ms=st.integers(0, 2**41),
    pace_ms=st.floats(0.001, 1e7),
    count=st.integers(1, 100_000),
)
def test_a_feature_is_handled_when_its_time_has_come_and_not_before(
    run_ms: int, pace_ms: float, count: int
) -> None:
    at_ms = states.handled_at_ms(count, run_ms=run_ms, pace_ms=pace_ms)
    assert states.handled_by(at_ms, run_ms=run_ms, pace_ms=pace_ms) >= count
    assert states.handled_by(at_ms - 1, run_ms=run_ms, pace_ms=pace_ms) < count + 1 / pace_ms


def test_without_a_pace_everything_is_handled_at_once() -> None:
    assert states.handled_by(5, run_ms=5, pace_ms=0.0) == math.inf
    assert states.handled_at_ms(7, run_ms=5, pace_ms=0.0) == 5
