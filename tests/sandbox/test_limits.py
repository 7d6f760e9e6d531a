from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.limits import Allowance, refill, take


@given(
    per_minute=st.floats(1, 1000),
    steps=st.lists(st.tuples(st.integers(0, 60_000), st.floats(0, 5)), max_size=50),
)
def test_no_more_than_burst_and_refill_is_ever_granted(
    per_minute: float, steps: list[tuple[int, float]]
) -> None:
    allowance, now_ms, granted = None, 0, 0.0
    for gap_ms, wanted in steps:
        now_ms += gap_ms
        grant = take(allowance, wanted=wanted, per_minute=per_minute, now_ms=now_ms)
        granted += wanted if grant.wait_ms is None else 0.0
        allowance = grant.left
        assert -1e-6 <= allowance.tokens <= per_minute
    assert granted <= per_minute * (1 + now_ms / 60_000) + 1e-6


@given(per_minute=st.floats(1, 1000), tokens=st.floats(0, 1))
def test_waiting_as_told_is_enough(per_minute: float, tokens: float) -> None:
    left = Allowance(min(tokens, per_minute), 0)
    grant = take(left, wanted=1.0, per_minute=per_minute, now_ms=0)
    if grant.wait_ms is not None:
        later = take(grant.left, wanted=1.0, per_minute=per_minute, now_ms=grant.wait_ms)
        assert later.wait_ms is None


@given(per_minute=st.floats(5e-324, 1e-9))
def test_next_to_nothing_is_waited_for_and_does_not_overflow(per_minute: float) -> None:
    wait_ms = take(None, wanted=1.0, per_minute=per_minute, now_ms=0).wait_ms
    assert wait_ms is not None
    assert wait_ms >= 1


def test_unused_allowance_does_not_pile_up() -> None:
    assert refill(Allowance(10, 0), per_minute=10, now_ms=3_600_000).tokens == 10
