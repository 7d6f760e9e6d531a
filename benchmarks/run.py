"""
Benchmarks: ratios against a floor measured in the same run, never single times.

    python benchmarks/run.py [--rounds 5] [--tiles 10000]

Measures whole processes from outside (CPU time, peak memory), in turn, and prints medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: bench}}
spec:
  environments:
    bench: {{baseUrl: "{base}", tokenUrl: "{base}/oauth/token"}}
  defaultEnvironment: bench
"""
COLLECTION = """\
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: fields}
spec: {name: Bench, s3Bucket: fields}
"""
TILES = """\
---
apiVersion: shplan/v1
kind: ByocTiles
metadata: {name: fields}
spec:
  collection: "{{ ref('ByocCollection/fields').id }}"
  tiles:
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
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    return Measured(
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        wall,
        os.waitstatus_to_exitcode(status),
    )


@contextmanager
def sandbox(data: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "shplan",
        "sandbox",
        "serve",
        "--port",
        "0",
        "--data",
        str(data),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
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


def call(base: str, method: str, path: str, body: object = None, token: str = "") -> object:
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


def prepare(home: Path, base: str, count: int) -> tuple[Path, str]:
    """Make a project of so many tiles, applied, so that a plan finds nothing to do."""
    (home / "manifests").mkdir(parents=True)
    (home / "shplan.yaml").write_text(PROJECT.format(base=base))
    manifest = home / "manifests" / "fields.yaml"
    run = [sys.executable, "-m", "shplan", "apply", "--auto-approve"]
    write_cog(home.parent / "sandbox" / "buckets" / "fields" / "t" / "00000")
    paths = [f"t/{number:05d}" for number in range(count)]
    manifest.write_text(COLLECTION + TILES + rows(paths[:1]))
    subprocess.run(run, cwd=home, check=True, stdout=subprocess.DEVNULL)
    access = token(base)
    collections = call(base, "GET", "/api/v1/byoc/collections", token=access)
    collection = collections["data"][0]["id"]  # type: ignore[index]
    tiles = call(base, "GET", f"/api/v1/byoc/collections/{collection}/tiles", token=access)
    first = tiles["data"][0]["id"]  # type: ignore[index]
    listed = [f"{path}/(BAND).tiff" for path in paths[1:]]
    call(
        base,
        "POST",
        "/_sandbox/populate",
        {"collection": collection, "like": first, "paths": listed},
    )
    manifest.write_text(COLLECTION + TILES + rows([f"{path}/(BAND).tiff" for path in paths]))
    subprocess.run(run, cwd=home, check=True, stdout=subprocess.DEVNULL)
    return manifest, collection


def rows(paths: list[str]) -> str:
    return "".join(f'  - {{path: "{p}", sensingTime: "2025-06-01T10:00:00Z"}}\n' for p in paths)


def write_cog(folder: Path) -> None:
    """Write one COG, in a process of its own: a child starts with its parent's peak memory."""
    folder.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from tests.support.cogs import cog_bytes;"
        "Path(sys.argv[1]).write_bytes(cog_bytes())"
    )
    command = [sys.executable, "-c", code, str(folder / "B04.tiff")]
    subprocess.run(command, cwd=HERE.parent, check=True)


def tile_lists(base: str) -> int:
    seen = call(base, "GET", "/_sandbox/requests")
    listed = seen["requests"] if isinstance(seen, dict) else seen
    return sum(1 for one in listed if one["method"] == "GET" and "/tiles?" in one["path"])  # type: ignore[union-attr]


def median(values: list[float]) -> float:
    return statistics.median(values)


def bench_plan(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch, sandbox(Path(scratch) / "sandbox") as base:
        home = Path(scratch) / "project"
        manifest, collection = prepare(home, base, count)
        floor = [sys.executable, str(HERE / "floor.py"), str(manifest), base, collection]
        plan = [sys.executable, "-m", "shplan", "plan", "--detailed-exitcode"]
        call(base, "DELETE", "/_sandbox/requests")
        measure(plan, cwd=home)
        requests = tile_lists(base)
        call(base, "POST", "/_sandbox/settings", {"log_requests": False})
        pairs = [(measure(floor), measure(plan, cwd=home)) for _ in range(rounds)]
    assert all(one.code == 0 and other.code == 0 for one, other in pairs), "something differed"
    ratios = [other.cpu_s / one.cpu_s for one, other in pairs]
    print(f"plan of {count:,} unchanged tiles ({rounds} rounds, medians)")
    print(f"  tile-list requests  {requests}")
    print(f"  CPU floor           {median([one.cpu_s for one, _ in pairs]):.2f} s")
    print(f"  CPU shplan plan     {median([two.cpu_s for _, two in pairs]):.2f} s")
    print(
        f"  ratio               {median(ratios):.2f}  (min {min(ratios):.2f}, max {max(ratios):.2f})"
    )
    print(f"  peak memory floor   {median([one.peak_mb for one, _ in pairs]):.0f} MB")
    print(f"  peak memory shplan  {median([two.peak_mb for _, two in pairs]):.0f} MB")


def bench_start(rounds: int) -> None:
    empty = [sys.executable, "-c", "pass"]
    help_ = [sys.executable, "-m", "shplan", "--help"]
    pairs = [(measure(empty), measure(help_)) for _ in range(rounds * 3)]
    more = [(other.wall_s - one.wall_s) * 1000 for one, other in pairs]
    print(f"shplan --help: {median(more):.0f} ms more than an empty Python ({rounds * 3} rounds)")


def main() -> None:
    os.environ |= {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=10_000)
    given = parser.parse_args()
    bench_start(given.rounds)
    bench_plan(given.rounds, given.tiles)


if __name__ == "__main__":
    main()
