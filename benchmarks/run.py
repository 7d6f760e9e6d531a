"""
Benchmarks: ratios against a floor measured in the same run, never single times.

    python benchmarks/run.py [--rounds 5] [--tiles 10000] [--jobs 1000] [--requests 6000]

Measures whole processes from outside (CPU time, peak memory), in turn, and prints medians. Both
sides run from compiled bytecode, as an installed program does, wherever it may be written. Jobs
have no floor: a quarter, a half and all of them are compared, per job.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs import bench_jobs
from measuring import (
    apply,
    call,
    forget_requests,
    make_project,
    measure,
    median,
    requests,
    sandbox,
    shplan,
    token,
)
from sandbox import bench_sandbox

HERE = Path(__file__).parent
SENSED = "2025-06-01T10:00:00Z"
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
    manifest = make_project(home, base) / "fields.yaml"
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
    return sum(1 for method, path in requests(base) if method == "GET" and "/tiles?" in path)


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
    plan = shplan("plan", "--detailed-exitcode")
    call(bench.base, "POST", "/_sandbox/settings", {"log_requests": True})
    forget_requests(bench.base)
    measure(plan, cwd=bench.home)
    lists = tile_lists(bench.base)
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
        f"{median([one.peak_mb for one in plans]):>8.0f}{lists:>13}"
    )


def bench_start(rounds: int) -> None:
    empty = [sys.executable, "-c", "pass"]
    help_ = shplan("--help")
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
    parser.add_argument("--jobs", type=int, default=1000, help="0 leaves them out")
    parser.add_argument("--requests", type=int, default=6000, help="0 leaves the server out")
    parser.add_argument("--served-tiles", type=int, default=100_000, help="0 leaves them out")
    given = parser.parse_args()
    os.environ |= {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as bytecode:
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode
        bench_start(given.rounds)
        if given.requests:
            bench_sandbox(given.rounds, given.requests, given.served_tiles)
        bench_plan(given.rounds, given.tiles)
        if given.jobs:
            bench_jobs(given.rounds, given.jobs)


if __name__ == "__main__":
    main()
