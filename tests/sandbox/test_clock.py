from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.clock import Anchor, StoppedClock, SystemClock
from shplan.sandbox.settings import Settings

from .support import sandbox


class HandClock:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.at_s = 1_735_689_600.0

    def now(self) -> float:
        return self.at_s


@given(speed=st.floats(0.1, 1000), first=st.floats(0, 1e6), later=st.floats(0, 1e6))
def test_moving_an_anchor_changes_no_instant(speed: float, first: float, later: float) -> None:
    anchor = Anchor(clock_s=0.0, sandbox_s=5.0, speed=speed)
    moved = anchor.moved(clock_s=first)
    expected = anchor.at(first + later)
    assert abs(moved.at(first + later) - expected) <= 1e-9 * max(1.0, expected)


def test_speed_is_sandbox_seconds_for_each_second(tmp_path: Path) -> None:
    clock = HandClock()
    with sandbox(tmp_path, clock=clock, settings=Settings(speed=60.0)) as driver:
        clock.at_s += 1
        assert driver.get("/_sandbox/instance").json()["now"] == "2025-01-01T00:01:00.000Z"
        driver.configure(speed=1)
        assert driver.get("/_sandbox/instance").json()["now"] == "2025-01-01T00:01:00.000Z"
        clock.at_s += 1
        assert driver.get("/_sandbox/instance").json()["now"] == "2025-01-01T00:01:01.000Z"


def test_time_goes_on_while_nobody_has_the_directory_open(tmp_path: Path) -> None:
    clock = HandClock()
    with sandbox(tmp_path, clock=clock) as driver:
        driver.login()
        one = driver.collection()["id"]
        tile = driver.tile(one, "a")["id"]
    clock.at_s += 10
    with sandbox(tmp_path, clock=clock) as driver:
        assert driver.login().read(one, tile)["status"] == "FAILED"


def test_clocks_give_seconds(tmp_path: Path) -> None:
    assert SystemClock(offset_s=3600).now() - SystemClock().now() > 3599
    assert StoppedClock(5).now() == 5
