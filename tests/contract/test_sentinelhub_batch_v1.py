"""The unmodified `sentinelhub` package 3.11.1, the last one that speaks Batch V1, over a real port."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shplan.sandbox.address import Address
from tests.support.served import serving

PROGRAM = Path(__file__).with_name("sentinelhub_v1.py")
CLIENT = Path(sys.prefix) / "clients" / "sentinelhub-3.11.1"
CHECKS = re.findall(r"^def (check_\w+)", PROGRAM.read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each check came to, in one run of the program, whoever of several workers made it."""
    if not (CLIENT / "sentinelhub").is_dir():
        pytest.fail(f"{CLIENT} holds no sentinelhub 3.11.1; run `make install`", pytrace=False)
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    kept = shared / "sentinelhub-3.11.1.json"
    with (shared / "sentinelhub-3.11.1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            kept.write_text(run(tmp_path_factory))
    return json.loads(kept.read_text())


def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the program against a sandbox of its own; what it prints."""
    home = tmp_path_factory.mktemp("home")
    with serving(tmp_path_factory.mktemp("served")) as served:
        (home / "profile.toml").write_text(Address(served.base).as_toml())
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("SH_")}
        environment = {
            **inherited,
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "PYTHONPATH": str(CLIENT),
            "XDG_CONFIG_HOME": str(home),
        }
        command = [sys.executable, str(PROGRAM), str(home / "profile.toml")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=110, check=False
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("check", CHECKS)
def test_the_client(results: Any, check: str) -> None:
    assert results[check] is None, results[check]


def test_every_check_was_made(results: Any) -> None:
    assert list(results) == CHECKS
    assert len(CHECKS) > 20
