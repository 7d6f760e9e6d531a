"""`status --watch` looks until nothing is in progress, and no longer than it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.cli.options import Options
from shplan.cli.project import open_project
from shplan.cli.session import is_near
from shplan.cli.watch import Pace, watch
from shplan.core.address import Address
from shplan.core.status import Status
from tests.cli.conftest import Project
from tests.cli.test_interrupt import later, slow, start, until_waiting
from tests.support.clock import ManualClock

TILES = Address("ByocTiles", "fields")


class Seen:
    """Keeps what it was shown."""

    def __init__(self) -> None:
        self.looks: list[Sequence[Status]] = []
        self.closed = 0

    def show(self, rows: Sequence[Status]) -> None:
        self.looks.append(rows)

    def close(self) -> None:
        self.closed += 1


def row(*, waits: bool) -> Status:
    return Status(TILES, "ingesting" if waits else "up to date", "", "", {}, waits=waits)


def watched(busy_s: float, *, interval_s: float, timeout_s: float, look_s: float = 0.0):
    """Watch something that is in progress for so long, with a clock that nobody waits for."""
    import asyncio

    clock, seen = ManualClock(), Seen()
    start_s = clock.monotonic()

    async def look() -> Sequence[Status]:
        await clock.sleep(look_s)
        return (row(waits=clock.monotonic() - start_s < busy_s),)

    pace = Pace(interval_s, timeout_s)
    running = asyncio.run(watch(look, seen, clock=clock, pace=pace))
    return running, seen, clock.monotonic() - start_s


def test_it_ends_with_what_it_waits_for() -> None:
    running, seen, took_s = watched(25, interval_s=10, timeout_s=3_600)
    assert (running, took_s) == ((), 30)
    assert [one.waits for (one,) in seen.looks] == [True, True, True, False]
    assert seen.closed == 1


def test_it_gives_up_in_time_and_says_what_still_runs() -> None:
    running, seen, took_s = watched(1e9, interval_s=10, timeout_s=65)
    assert [one.address for one in running] == [TILES]
    assert (took_s, len(seen.looks), seen.closed) == (60, 7, 1)


@given(st.floats(0, 500), st.floats(0.5, 50), st.floats(0, 300), st.sampled_from([0.0, 0.25, 7.0]))
def test_it_never_takes_longer_than_it_may(
    busy_s: float, interval_s: float, timeout_s: float, look_s: float
) -> None:
    running, seen, took_s = watched(
        busy_s, interval_s=interval_s, timeout_s=timeout_s, look_s=look_s
    )
    # What has begun is looked at to its end.
    assert took_s <= timeout_s + look_s + 0.001
    assert bool(running) == seen.looks[-1][0].waits
    assert all(rows[0].waits for rows in seen.looks[:-1])


def test_what_does_not_run_is_looked_at_once(project: Project) -> None:
    project.run("apply", "--auto-approve")
    once = project.run("status", "--watch")
    assert once.code == 0
    assert [line.split()[0] for line in once.out.splitlines()[:2]] == [
        "ByocCollection/fields",
        "ByocTiles/fields",
    ]
    assert once.out.endswith("\n2 of 2 resources are as declared.\n")


def test_an_ingestion_is_watched_until_it_is_over(project: Project) -> None:
    slow(project, waiting_s=3_600.0)
    process = start(project.root)
    until_waiting(process)
    process.kill()
    process.communicate()
    said = project.run("status", "--watch", "--interval", "0.01", "--timeout", "0.02")
    assert said.code == 3
    assert "ByocTiles/fields       ingesting   2 tiles, 2 being ingested\n" in said.out
    assert said.err == "Still in progress after 0.02 s: ByocTiles/fields.\n"
    later(project)
    done = project.run("status", "--watch", "--format", "json")
    assert done.code == 0
    assert [json.loads(line)["state"] for line in done.out.splitlines()] == ["up to date"] * 2


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_who_interrupts_stops_looking_and_nothing_else(project: Project) -> None:
    slow(project, waiting_s=3_600.0)
    process = start(project.root)
    until_waiting(process)
    process.kill()
    process.communicate()
    command = [sys.executable, "-m", "shplan", "status", "--watch", "--interval", "1h"]
    watching = subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    first = watching.stdout.readline()
    second = watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    rest, said = watching.communicate(timeout=60)
    assert ("ByocCollection/fields" in first, "ingesting" in second) == (True, True)
    assert (watching.returncode, rest, said) == (130, "", "\ninterrupted\n")


@pytest.mark.parametrize("interval", ["0", "0s"])
def test_without_a_pause_it_would_never_let_go(project: Project, interval: str) -> None:
    said = project.run("status", "--watch", "--interval", interval)
    assert said.code == 1
    assert "--interval must be longer" in said.err


def test_only_this_machine_is_asked_every_second(project: Project) -> None:
    assert is_near(open_project(Options()))
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\nspec:\n"
        "  defaultEnvironment: prod\n  environments:\n"
        "    prod: {deployment: cdse}\n"
        "    near: {baseUrl: 'http://127.0.0.1:1', tokenUrl: 'http://127.0.0.1:1/token'}\n"
    )
    assert not is_near(open_project(Options()))
    assert is_near(open_project(Options(environment="near")))
