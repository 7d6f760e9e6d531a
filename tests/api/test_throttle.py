"""Laws of the bucket, on a clock that is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.api.throttle import close, per_minute, take, unlimited

GAPS = st.lists(st.floats(0, 5), min_size=1, max_size=80)


@given(GAPS, st.floats(30, 600), st.integers(1, 20))
def test_no_window_sees_more_than_burst_and_rate(
    gaps: list[float], rate: float, burst: int
) -> None:
    """Whenever requests come, between any two departures no more leave than the rate allows."""
    bucket = per_minute(rate, burst=burst)
    now_s = 0.0
    departures: list[float] = []
    for gap in gaps:
        now_s += gap
        bucket, wait_s = take(bucket, now_s=now_s)
        departures.append(now_s + wait_s)
    for first, start in enumerate(departures):
        for last in range(first, len(departures)):
            allowed = burst + (departures[last] - start) * rate / 60
            assert last - first + 1 <= allowed + 1e-6


@given(GAPS, st.floats(30, 600))
def test_who_comes_first_leaves_first(gaps: list[float], rate: float) -> None:
    bucket = per_minute(rate, burst=2)
    now_s = 0.0
    before_s = 0.0
    for gap in gaps:
        now_s += gap
        bucket, wait_s = take(bucket, now_s=now_s)
        assert now_s + wait_s >= before_s - 1e-9
        before_s = now_s + wait_s


@given(st.floats(30, 600), st.integers(1, 20), st.floats(60, 1e6))
def test_a_pause_earns_no_more_than_a_burst(rate: float, burst: int, pause_s: float) -> None:
    bucket, _ = take(per_minute(rate, burst=burst), now_s=0)
    waits = []
    for _ in range(burst + 1):
        bucket, wait_s = take(bucket, now_s=pause_s)
        waits.append(wait_s)
    assert waits[:burst] == [0.0] * burst
    assert waits[burst] > 0


@given(st.floats(0, 1000), st.floats(0, 100), st.floats(0, 200))
def test_nobody_leaves_before_the_servers_pause_is_over(
    now_s: float, pause_s: float, later_s: float
) -> None:
    for bucket in (unlimited(), per_minute(600, burst=10)):
        closed = close(bucket, now_s=now_s, seconds=pause_s)
        _, wait_s = take(closed, now_s=now_s + later_s)
        assert wait_s >= pause_s - later_s - 1e-6


def test_without_a_rate_nobody_waits() -> None:
    bucket = unlimited()
    for _ in range(1000):
        bucket, wait_s = take(bucket, now_s=1.0)
        assert wait_s == 0.0


def test_a_clock_that_stands_still_or_goes_back_earns_nothing() -> None:
    bucket, first_s = take(per_minute(60, burst=1), now_s=10)
    bucket, second_s = take(bucket, now_s=10)
    bucket, third_s = take(bucket, now_s=9)
    assert (first_s, second_s, third_s) == (0.0, 1.0, 2.0)
