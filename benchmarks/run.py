"""
Benchmarks: ratios against a floor measured in the same run, never single times.

    python benchmarks/run.py [--rounds 5] [--tiles 10000]

Measures whole processes from outside (CPU time, peak memory), in turn, and prints medians. Both
sides run from compiled bytecode, as an installed program does, wherever it may be written.
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
from typing import Any

HERE = Path(__file__).parent
SENSED = "2025-06-01T10:00:00Z"
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
"""
FROM_CSV = "  from: {csv: tiles.csv}\n"
MOST_RATIO, MOST_MB, MOST_HELP_MS = 1.5, 80, 150


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


@dataclass
class Bench:
    """A project whose tiles are all there: a plan finds nothing to do."""

    home: Path
    base: str
    collection: str
    manifest: Path
    paths: list[str]

    def from_yaml(self) -> Path:
        """State the tiles in the manifest; return the file that a floor reads."""
        self.manifest.write_text(COLLECTION + TILES + rows(self.paths))
        return self.manifest

    def from_csv(self) -> Path:
        """State the same tiles in a table."""
        self.manifest.write_text(COLLECTION + TILES + FROM_CSV)
        table = self.manifest.with_name("tiles.csv")
        lines = (f"{path},{SENSED}\n" for path in self.paths)
        table.write_text("path,sensingTime\n" + "".join(lines))
        return table


def prepare(home: Path, base: str, count: int) -> Bench:
    """Make a project of so many tiles, and apply it."""
    (home / "manifests").mkdir(parents=True)
    (home / "shplan.yaml").write_text(PROJECT.format(base=base))
    manifest = home / "manifests" / "fields.yaml"
    write_cog(home.parent / "sandbox" / "buckets" / "fields" / "t" / "00000")
    paths = [f"t/{number:05d}" for number in range(count)]
    manifest.write_text(COLLECTION + TILES + rows(paths[:1]))
    apply(home)
    access = token(base)
    collections = call(base, "GET", "/api/v1/byoc/collections", token=access)
    collection = collections["data"][0]["id"]
    tiles = call(base, "GET", f"/api/v1/byoc/collections/{collection}/tiles", token=access)
    first = tiles["data"][0]["id"]
    listed = [f"{path}/(BAND).tiff" for path in paths[1:]]
    call(
        base,
        "POST",
        "/_sandbox/populate",
        {"collection": collection, "like": first, "paths": listed},
    )
    bench = Bench(home, base, collection, manifest, [f"{path}/(BAND).tiff" for path in paths])
    bench.from_yaml()
    apply(home)
    return bench


def apply(home: Path) -> None:
    command = [sys.executable, "-m", "shplan", "apply", "--auto-approve"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def rows(paths: list[str]) -> str:
    lines = (f'  - {{path: "{path}", sensingTime: "{SENSED}"}}\n' for path in paths)
    return "  tiles:\n" + "".join(lines)


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
    return sum(1 for one in listed if one["method"] == "GET" and "/tiles?" in one["path"])


def median(values: list[float]) -> float:
    return statistics.median(values)


def bench_plan(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch, sandbox(Path(scratch) / "sandbox") as base:
        bench = prepare(Path(scratch) / "project", base, count)
        print(f"plan of {count:,} unchanged tiles: medians of {rounds} rounds, the floor in each")
        print(
            "             CPU s: floor  shplan   ratio (min, max)    MB: floor  shplan   tile lists"
        )
        for name, state in (("from YAML", bench.from_yaml), ("from CSV", bench.from_csv)):
            print(f"  {name:<11}{compared(bench, state(), rounds)}")
    print(
        f"  wanted from YAML: ratio at most {MOST_RATIO}, at most {MOST_MB} MB, {count // 100} lists"
    )


def compared(bench: Bench, stated: Path, rounds: int) -> str:
    """Measure a plan beside the floor that reads the same file, in turn."""
    floor = [sys.executable, str(HERE / "floor.py"), str(stated), bench.base, bench.collection]
    plan = [sys.executable, "-m", "shplan", "plan", "--detailed-exitcode"]
    call(bench.base, "POST", "/_sandbox/settings", {"log_requests": True})
    call(bench.base, "DELETE", "/_sandbox/requests")
    measure(plan, cwd=bench.home)
    requests = tile_lists(bench.base)
    # Remembering requests is the server's work, and it would grow from round to round.
    call(bench.base, "POST", "/_sandbox/settings", {"log_requests": False})
    measure(floor)
    pairs = [(measure(floor), measure(plan, cwd=bench.home)) for _ in range(rounds)]
    assert all(one.code == 0 and other.code == 0 for one, other in pairs), "something differed"
    floors, plans = zip(*pairs, strict=True)
    ratios = [other.cpu_s / one.cpu_s for one, other in pairs]
    return (
        f"{median([one.cpu_s for one in floors]):>13.2f}"
        f"{median([one.cpu_s for one in plans]):>8.2f}"
        f"{median(ratios):>8.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
        f"{median([one.peak_mb for one in floors]):>13.0f}"
        f"{median([one.peak_mb for one in plans]):>8.0f}{requests:>13}"
    )


def bench_start(rounds: int) -> None:
    empty = [sys.executable, "-c", "pass"]
    help_ = [sys.executable, "-m", "shplan", "--help"]
    measure(help_)
    pairs = [(measure(empty), measure(help_)) for _ in range(rounds * 3)]
    more = [(other.wall_s - one.wall_s) * 1000 for one, other in pairs]
    print(
        f"shplan --help: {median(more):.0f} ms more than an empty Python "
        f"({rounds * 3} rounds, median; wanted: at most {MOST_HELP_MS})"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=10_000)
    given = parser.parse_args()
    os.environ |= {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as bytecode:
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode
        bench_start(given.rounds)
        bench_plan(given.rounds, given.tiles)


if __name__ == "__main__":
    main()
