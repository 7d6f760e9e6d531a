"""The table of states of a request of version 1, as decisions on values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import batch_v1_states as states
from shplan.sandbox.batch_states import IllegalActionError, Move, Standing
from shplan.sandbox.settings import Settings

NOW = 1_000_000
ACTIONS = ("ANALYSE", "START", "CANCEL", "RESTART")
OVER = ("DONE", "PARTIAL", "FAILED", "CANCELED")


def standing(status: str, action: str, *, due: bool = False) -> Standing:
    return Standing(status, action, since_ms=NOW - 10, due_ms=NOW + 5 if due else None)


def act(at: Standing, wanted: str) -> Move | None:
    return states.act(at, wanted, settings=Settings(batch_queued_s=1), now_ms=NOW)


@pytest.mark.parametrize(
    ("at", "wanted", "move"),
    [
        (standing("CREATED", "NONE"), "ANALYSE", Move("CREATED", NOW + 1000)),
        (standing("CREATED", "NONE"), "START", Move("CREATED", NOW + 1000)),
        # An analysis that was asked for comes no later because of a START.
        (standing("CREATED", "ANALYSE", due=True), "START", Move("CREATED", NOW + 5)),
        (standing("ANALYSIS_DONE", "ANALYSE"), "START", Move("ANALYSIS_DONE", NOW + 1000)),
        (standing("CREATED", "NONE"), "CANCEL", Move("CANCELED", None)),
        (standing("CREATED", "START", due=True), "CANCEL", Move("CANCELED", None)),
        (standing("ANALYSING", "START", due=True), "CANCEL", Move("ANALYSING", NOW + 5)),
        (standing("ANALYSIS_DONE", "ANALYSE"), "CANCEL", Move("CANCELED", None)),
        (standing("PROCESSING", "START", due=True), "CANCEL", Move("CANCELED", None)),
        (standing("PARTIAL", "START"), "RESTART", Move("PROCESSING", None)),
    ],
)
def test_what_an_action_does(at: Standing, wanted: str, move: Move) -> None:
    assert act(at, wanted) == move


@pytest.mark.parametrize("status", OVER)
@pytest.mark.parametrize("wanted", ["ANALYSE", "START", "CANCEL"])
def test_nothing_but_a_restart_is_done_to_what_is_over(status: str, wanted: str) -> None:
    action = "CANCEL" if status == "CANCELED" else "START"
    with pytest.raises(IllegalActionError, match=f"from {action} to {wanted} .* status {status}"):
        act(standing(status, action), wanted)


@given(
    status=st.sampled_from(states.STATUSES),
    action=st.sampled_from(["NONE", "ANALYSE", "START", "CANCEL"]),
    wanted=st.sampled_from(ACTIONS),
    due=st.booleans(),
)
def test_an_action_is_refused_or_leads_to_a_status_that_may_follow(
    status: str, action: str, wanted: str, due: bool
) -> None:
    """No action skips the analysis, and none makes a request come back but a restart."""
    try:
        move = act(standing(status, action, due=due), wanted)
    except IllegalActionError:
        return
    assert move is not None
    assert move.status in {status, "CANCELED"} or (status, wanted) == ("PARTIAL", "RESTART")
    if move.status == "CANCELED":
        assert wanted == "CANCEL"
        assert move.due_ms is None


@pytest.mark.parametrize(
    ("action", "move"),
    [
        ("ANALYSE", Move("ANALYSIS_DONE", None)),
        ("START", Move("ANALYSIS_DONE", NOW + 1000)),
        ("CANCEL", Move("CANCELED", None)),
    ],
)
def test_where_an_analysis_leads(action: str, move: Move) -> None:
    assert states.after_analysis(action, settings=Settings(), at_ms=NOW) == move


@given(total=st.integers(0, 50), data=st.data())
def test_how_processing_ends(total: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, total))
    status = states.ended(total=total, failed=failed)
    assert (status == "DONE") == (failed == 0)
    assert (status == "FAILED") == (0 < failed == total)
    assert (status == "PARTIAL") == (0 < failed < total)
