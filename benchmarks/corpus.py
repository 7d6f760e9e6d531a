"""
Run a folder of evalscripts on synthetic pixels and count how they end.

    python benchmarks/corpus.py [DIR] [--engine v8] [--list]

The folder is nobody's but its owner's: nothing of it is kept. Every script is given a few pixels of plausible values
for every band that it asks for. One that asks for several scenes is given three of one summer, and one for each day
that its text names: published scripts choose theirs by the days of a flood or a fire. A simple script, which declares
no bands, is given those of all public collections, and whatever else it misses that is called like one.

The exit code is 0 whatever the scripts do: the counts are what is looked at. It is 1 for a fault of our own.
"""

from __future__ import annotations

import argparse
import codecs
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shplan.manifest.script_values import days_of, scenes_of, span_of
from shplan.sandbox.imagery import reading
from shplan.script import Fault, InputFacts, Limits, ScriptError, Worker
from shplan.script.rendering import Collection, Rendering

SIZE = 8
LIMITS = Limits(time_s=5, pixels_s=20)
SUFFIXES = {".js", ".mjs", ".txt", ".evalscript"}
MOST_BYTES = 16 << 20
COLLECTIONS = (
    *("sentinel-1-grd", "sentinel-2-l1c", "sentinel-2-l2a", "sentinel-3-olci"),
    *("sentinel-3-olci-l2", "sentinel-3-slstr", "sentinel-5p-l2", "landsat-ot-l1"),
    *("landsat-ot-l2", "dem"),
)
BANDS = frozenset(name for one in COLLECTIONS for name in reading.bands(one)) | {"dataMask"}
# Bands of commercial and own data; nobody lists them.
BAND = re.compile(r"[A-Z]\w*", re.ASCII)
UNDEFINED = re.compile(r"ReferenceError: '?(\w+)'? is not defined")
MOST_BANDS = 40
MASKS = {"dataMask", "CLM"}
CLASSES = {"SCL": 12}


@dataclass
class Tally:
    """
    How scripts ended.

    Args:
        counts: by outcome, and of which kind of script they were
        listed: a line for each that gave no values
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the totals, the most frequent outcome first."""
        yield f"{self.counts.total()} scripts"
        by_outcome: Counter[str] = Counter()
        for (outcome, _), count in self.counts.items():
            by_outcome[outcome] += count
        for outcome, count in by_outcome.most_common():
            kinds = [
                f"{number} {kind}"
                for (one, kind), number in sorted(self.counts.items(), key=lambda item: item[0][1])
                if one == outcome and kind
            ]
            yield f"{count:6d} {outcome}" + (f" ({', '.join(kinds)})" if kinds else "")


def plane_of(band: str, count: int) -> np.ndarray:
    """Return plausible values of a band, the same each time."""
    rng = np.random.default_rng(zlib.crc32(band.encode()))
    if band in MASKS:
        return rng.integers(0, 2, (count, SIZE, SIZE)).astype(np.uint8)
    if band in CLASSES:
        return rng.integers(0, CLASSES[band], (count, SIZE, SIZE)).astype(np.uint8)
    return rng.uniform(0.01, 0.6, (count, SIZE, SIZE))


@dataclass(frozen=True)
class Input:
    """What a script reads of one source, whichever of its inputs say so."""

    name: str
    mosaicking: str
    bands: tuple[str, ...]


def inputs_of(declared: Sequence[InputFacts]) -> list[Input]:
    """Return the sources of a script: one for each name, and one for all inputs without."""
    found: dict[str, Input] = {}
    for one in declared:
        known = found.get(one.datasource)
        bands = (*(known.bands if known else ()), *one.bands)
        mosaicking = known.mosaicking if known else one.mosaicking
        found[one.datasource] = Input(one.datasource, mosaicking, tuple(dict.fromkeys(bands)))
    return list(found.values())


def run(worker: Worker, text: str) -> str:
    """
    Run a script as a whole and return of which kind it is.

    Raises:
        ScriptError: it cannot be run, or it fails; its `kind` says of which kind it is, if that is known
    """
    bands = set(BANDS)
    while True:
        kind = ""
        try:
            with worker.begin(text, bands=sorted(bands)) as rendering:
                kind = "simple" if rendering.facts.is_simple else "with setup()"
                render(rendering, days_of(text))
                return kind
        except ScriptError as error:
            missing = UNDEFINED.match(error.message)
            is_band = kind == "simple" and missing and BAND.fullmatch(missing[1])
            if not is_band or len(bands) > len(BANDS) + MOST_BANDS:
                error.add_note(kind)
                raise
            assert missing is not None
            bands.add(missing[1])


def render(rendering: Rendering, days: Sequence[str]) -> None:
    """
    Run a script that was read on its scenes and their pixels.

    Raises:
        ScriptError: it fails
    """
    inputs = inputs_of(rendering.facts.inputs)
    since, until = span_of(days)
    collections = [
        Collection(
            one.name or str(number),
            one.mosaicking,
            scenes_of(one.mosaicking, days),
            since,
            until,
        )
        for number, one in enumerate(inputs)
    ]
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


def scripts_in(folder: Path) -> list[Path]:
    """Return the files that may be scripts, those in folders of its folders included."""
    return sorted(
        one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file()
    )


def text_of(path: Path) -> str:
    """
    Return what a file says, in whichever of the usual encodings.

    Raises:
        OSError: it cannot be read, or nobody would write so much
    """
    if path.stat().st_size > MOST_BYTES:
        msg = "larger than any script"
        raise OSError(msg)
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def ending(worker: Worker, path: Path) -> tuple[str, str, str]:
    """Return how a script ends, of which kind it is if that is known, and why there are no values."""
    try:
        return "values", run(worker, text_of(path)), ""
    except ScriptError as error:
        own = error.fault is Fault.ENGINE
        return "internal" if own else error.fault.value, error.__notes__[-1], str(error)
    except OSError as error:
        return "unreadable", "", f"unreadable: {error}"
    except Exception as error:  # noqa: BLE001 the next script is not to suffer for it
        return "internal", "", f"internal: {type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--engine", choices=("v8", "quickjs"))
    parser.add_argument(
        "--list", action="store_true", help="name what did not give values, and why"
    )
    given = parser.parse_args()
    if given.folder is None:
        print("no folder given: nothing to run. Name one: make corpus DIR=scripts")
        return 0
    if not given.folder.is_dir():
        print(f"no folder {given.folder}: nothing to run")
        return 0
    tally = Tally()
    with Worker(limits=LIMITS, engine=given.engine) as worker:
        for path in scripts_in(given.folder):
            outcome, kind, why = ending(worker, path)
            tally.counts[outcome, kind] += 1
            if why and given.list:
                print(f"{path.relative_to(given.folder)}: {why}", flush=True)
    print(*tally.lines(), sep="\n")
    return 1 if any(outcome == "internal" for outcome, _ in tally.counts) else 0


if __name__ == "__main__":
    raise SystemExit(main())
