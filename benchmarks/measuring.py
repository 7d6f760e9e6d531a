"""
What every benchmark needs: whole processes measured from outside, a served sandbox, its API.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: bench}}
spec:
  environments:
    bench: {{baseUrl: "{base}", tokenUrl: "{base}/oauth/token"}}
  defaultEnvironment: bench
"""


@dataclass
class Measured:
    cpu_s: float
    peak_mb: float
    wall_s: float
    code: int


def measure(command: list[str], **options: object) -> Measured:
    """Run a command as a whole process and ask the operating system what it took."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )  # type: ignore[call-overload]  # options are passed on as they come
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    return Measured(
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        wall,
        os.waitstatus_to_exitcode(status),
    )


def shplan(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "shplan", *arguments]


@contextmanager
def sandbox(data: Path) -> Iterator[str]:
    command = shplan("sandbox", "serve", "--port", "0", "--data", str(data))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        base = ""
        for line in server.stdout:
            if "http://" in line:
                base = "http://" + line.split("http://", 1)[1].split('"')[0].split("/")[0].strip()
                break
        yield base
    finally:
        server.terminate()
        server.wait()


def call(base: str, method: str, path: str, body: object = None, token: str = "") -> Any:
    request = urllib.request.Request(base + path, method=method)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def token(base: str) -> str:
    form = b"grant_type=client_credentials&client_id=sandbox&client_secret=sandbox"
    with urllib.request.urlopen(base + "/oauth/token", form) as answer:
        found: str = json.loads(answer.read())["access_token"]
    return found


def make_project(home: Path, base: str) -> Path:
    """Make a project without manifests; return the folder for them."""
    manifests = home / "manifests"
    manifests.mkdir(parents=True)
    (home / "shplan.yaml").write_text(PROJECT.format(base=base))
    return manifests


def apply(home: Path) -> None:
    command = shplan("apply", "--auto-approve")
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def requests(base: str) -> list[tuple[str, str]]:
    """Return method and path of every request since the list was emptied."""
    seen = call(base, "GET", "/_sandbox/requests")["requests"]
    return [(one["method"], one["path"]) for one in seen]


def forget_requests(base: str) -> None:
    call(base, "DELETE", "/_sandbox/requests")


def median(values: list[float]) -> float:
    return statistics.median(values)
