"""Ctrl-C once lets what is in flight end; twice stops at once; the same command resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import SystemClock
from tests.cli.conftest import Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def start(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "shplan", "apply", "--auto-approve", "--log", "json"]
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until_waiting(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    deadline = time.monotonic() + 30
    for line in process.stderr:
        assert time.monotonic() < deadline
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        # The collection waits too, for a moment, before there is any tile.
        if (said["event"], said["address"]) == ("Waiting", "ByocTiles/fields"):
            return
    raise AssertionError("it never waited")


def slow(project: Project, waiting_s: float) -> None:
    settings = project.root / ".shplan" / "sandbox" / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"waiting_s": waiting_s, "queued_s": 0.0, "ingesting_s": 0.0}))


def later(project: Project) -> None:
    """Move the sandbox's time past every ingestion."""
    app = create_app(project.root / ".shplan" / "sandbox", clock=SystemClock())
    app.state.world.tick(7200.0)
    close_app(app)


@pytest.mark.parametrize(
    "signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)]
)
def test_interrupted_while_waiting_and_resumed(project: Project, signals: tuple[int, ...]) -> None:
    slow(project, 3600.0)
    process = start(project.root)
    until_waiting(process)
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert project.run("ledger", "verify").code == 0
    later(project)
    again = project.run("apply", "--auto-approve")
    assert again.code == 0, again.out + again.err
    assert project.run("plan", "--detailed-exitcode").code == 0
