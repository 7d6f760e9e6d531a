"""The search for canaries finds those that a test leaves: a check of the check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.canaries import leaks, planted

CANARY = "canary" + "-5d10-planted"
HEAD = """\
import base64, os, subprocess, sys
from tests.support.canaries import planted

CANARY = "canary" + "-5d10-planted"
"""
TEST = """
def test_{number}(tmp_path, tmp_path_factory):
    {body}
"""
LEAKS = {
    "a file": "(tmp_path / 'plan.json').write_text(CANARY)",
    "a file deep below": "d = tmp_path / 'a' / '.b'; d.mkdir(parents=True); (d / 'x').write_text(CANARY)",
    "the end of a large file": "(tmp_path / 'x').write_bytes(b'x' * (16 * 2**20 - 3) + CANARY.encode())",
    "base 64": "(tmp_path / 'x').write_bytes(base64.b64encode(b'id:' + CANARY.encode()))",
    "UTF-16": "(tmp_path / 'x').write_bytes(bytes(1001) + CANARY.encode('utf-16-le'))",
    "stdout": "print(CANARY)",
    "stderr": "print(CANARY, file=sys.stderr)",
    "a log": "import logging; logging.warning(CANARY)",
    "another program": "subprocess.run([sys.executable, '-c', f'open({str(tmp_path)!r} + \"/x\", \"w\").write({CANARY!r})'])",
}
SHARED = {
    "a shared directory": "(tmp_path_factory.mktemp('s') / 'x').write_text(CANARY)",
    "nothing": "pass",
}
CLEAN = {
    "nothing": "(tmp_path / 'plan.json').write_text('nothing')",
    "what was planted": "planted(tmp_path / 'key', CANARY)",
    "below what was planted": "d = tmp_path / 'd'; d.mkdir(); planted(d); (d / 'x').write_text(CANARY)",
}


def outcomes(root: Path, bodies: dict[str, str]) -> dict[str, str]:
    """How each of some tests ends, the last of them with the session."""
    tests = "".join(TEST.format(number=n, body=body) for n, body in enumerate(bodies.values()))
    (root / "test_it.py").write_text(HEAD + tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "tests.support.canaries"]
        + ["-p", "no:cacheprovider", f"--basetemp={root / 'base'}", str(root / "test_it.py")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=250,
    )
    ends = dict.fromkeys(bodies, "")
    for line in done.stdout.splitlines():
        match = re.match(r"(ERROR|FAILED) \S+::test_(\d+)(?: - (.*))?", line)
        if match:
            ends[list(bodies)[int(match[2])]] += f"{match[1]} {match[3]}"
    assert f"{len(bodies)} passed" in done.stdout, done.stdout
    return ends


def test_a_canary_that_is_left_is_a_failure(tmp_path: Path) -> None:
    planted(tmp_path)
    ends = outcomes(tmp_path, LEAKS)
    assert {what for what, end in ends.items() if "a canary" in end} == {*LEAKS}, ends


def test_one_that_is_left_for_all_is_found_at_the_end(tmp_path: Path) -> None:
    planted(tmp_path)
    ends = outcomes(tmp_path, SHARED)
    first, last = ends.values()
    assert not first
    assert last.startswith("ERROR AssertionError: a canary is left in ")


def test_no_other_test_fails(tmp_path: Path) -> None:
    planted(tmp_path)
    assert set(outcomes(tmp_path, CLEAN).values()) == {""}


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    assert leaks(tmp_path) == []
