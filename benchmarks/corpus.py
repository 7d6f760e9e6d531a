"""
Run a folder of evalscripts on synthetic pixels and count how they end.

    python benchmarks/corpus.py DIR [--engine v8] [--list]

The folder is nobody's but its owner's: nothing of it is kept. Every script is given a few pixels of plausible values
for every band that it asks for, and three scenes where it asks for several; a simple script is given every
variable that looks like a band. The exit code is 0 whatever the scripts do: the counts are what is looked at.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import numpy as np

from shplan.script import InputFacts, Limits, ScriptError, Worker
from shplan.script.rendering import Collection, Json

SIZE = 8
SINCE, UNTIL = "2025-05-01T00:00:00Z", "2025-06-30T23:59:59Z"
DAYS = ("2025-06-28", "2025-06-13", "2025-05-19")
LIMITS = Limits(time_s=5, pixels_s=20)
# What may be a band in a script that declares none.
BAND = re.compile(r"\b(?:[A-Z][A-Z0-9_a-z]*\d*|dataMask)\b")
SUFFIXES = {".js", ".txt", ".evalscript"}


def scenes_of(mosaicking: str) -> tuple[dict[str, Json], ...]:
    """Return what is told of three scenes."""
    if mosaicking == "SIMPLE":
        return ()
    tiles: list[dict[str, Json]] = [
        {
            "date": f"{day}T10:00:00Z",
            "cloudCoverage": 7.5,
            "dataPath": f"s3://scenes/{day}",
            "shId": n,
        }
        for n, day in enumerate(DAYS)
    ]
    if mosaicking == "TILE":
        return tuple(tiles)
    return tuple(
        {"dateFrom": f"{day}T00:00:00Z", "dateTo": f"{day}T23:59:59Z", "tiles": [tile]}
        for day, tile in zip(DAYS, tiles, strict=True)
    )


def plane_of(band: str, count: int) -> np.ndarray:
    """Return plausible values of a band, the same each time."""
    seed = sum(band.encode())
    rng = np.random.default_rng(seed)
    if band in ("dataMask", "CLM"):
        return rng.integers(0, 2, (count, SIZE, SIZE)).astype(np.uint8)
    if band == "SCL":
        return rng.integers(0, 12, (count, SIZE, SIZE)).astype(np.uint8)
    return rng.uniform(0.01, 0.6, (count, SIZE, SIZE))


def run(worker: Worker, text: str) -> None:
    """
    Run a script as a whole.

    Raises:
        ScriptError: it cannot be run, or it fails
    """
    with worker.begin(text, bands=sorted(set(BAND.findall(text)))) as rendering:
        inputs = rendering.facts.inputs
        collections = [_collection(one, number) for number, one in enumerate(inputs)]
        prepared = rendering.scenes(
            collections,
            fused=len(inputs) > 1,
            input_metadata={"serviceVersion": "1", "normalizationFactor": 0.0001},
        )
        planes = []
        for one, kept in zip(inputs, prepared.kept, strict=True):
            count = 1 if one.mosaicking == "SIMPLE" else len(kept)
            planes.append({band: plane_of(band, count) for band in one.bands})
        rendering.render(planes, height=SIZE, width=SIZE)


def _collection(given: InputFacts, number: int) -> Collection:
    name = given.datasource or str(number)
    return Collection(name, given.mosaicking, scenes_of(given.mosaicking), SINCE, UNTIL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=("v8", "quickjs"))
    parser.add_argument(
        "--list", action="store_true", help="name what did not give values, and why"
    )
    given = parser.parse_args()
    if not given.folder.is_dir():
        print(f"no folder {given.folder}: nothing to run")
        return
    paths = sorted(one for one in given.folder.rglob("*") if one.suffix in SUFFIXES)
    counts: Counter[str] = Counter()
    with Worker(limits=LIMITS, engine=given.engine) as worker:
        for path in paths:
            try:
                run(worker, path.read_text("utf-8", errors="replace"))
                counts["values"] += 1
            except ScriptError as error:
                counts[error.fault.value] += 1
                if given.list:
                    print(f"{path.relative_to(given.folder)}: {error}")
    print(f"{len(paths)} scripts")
    for outcome, count in counts.most_common():
        print(f"{count:6d} {outcome}")


if __name__ == "__main__":
    main()
