"""
A ledger of a million entries: folded, verified, recovered, gone on with, against a floor.

    python benchmarks/ledger.py [--entries 1000000] [--rounds 3] [--places directory,s3,postgresql]

The floor does what any reader must: read lines, follow the chain of hashes, decode four fields,
keep one number for each address. Whole processes are measured from outside: CPU is theirs, in
user and system; the wall's time includes whoever serves the place, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import msgspec
from ledger_places import KINDS, lines, opened, places, stopwatch
from measuring import Measured, measure, median

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.resource import Receipt
from shplan.ledger.journal import Journal

HERE = "aws-eu-central-1"
ADDRESSES = 1000
BATCH = 1000
PLAN, REQUEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
WHERE = {"directory": "a directory", "s3": "a bucket", "postgresql": "PostgreSQL"}
WANTED_S, WANTED_RATIO, WANTED_MS = 10, 6.0, 1.0


class Clock:
    def now(self) -> datetime:
        return datetime(2025, 6, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class RunFields(TypedDict, total=False):
    """What an entry of a run has besides; empty for what is no run."""

    key: str
    attempt: int


def journal(place: str, *, checkpoint_bytes: int) -> Journal:
    actor = {"user": "ada", "commit": "0" * 40}
    return Journal(opened(place), clock=Clock(), actor=actor, checkpoint_bytes=checkpoint_bytes)


def drafts(first: int) -> list[EntryDraft]:
    """A batch: intents and outcomes of collections, and now and then a run and its receipt."""
    made: list[EntryDraft] = []
    for number in range(first, first + BATCH, 2):
        which = number // 2 % ADDRESSES
        address = Address("ByocCollection" if which % 10 else "BatchProcess", f"r{which}")
        run: RunFields = {"key": f"1:sha256:{which:064d}", "attempt": 1} if which % 10 == 0 else {}
        made.append(intent(address, run))
        # Entry 0 is the ledger's own.
        made.append(outcome(address, run, of=number + 1))
    return made


def intent(address: Address, run: RunFields) -> EntryDraft:
    return EntryDraft(
        Event.INTENT, address, plan=PLAN, deployment=HERE,
        operation="start" if run else "update", request=REQUEST,
        data={"task": "task-1"} if run else {}, **run,
    )  # fmt: skip


def outcome(address: Address, run: RunFields, *, of: int) -> EntryDraft:
    settled = Settlement(
        Result.DONE, id="task-1" if run else "c-1", status=200, cost_pu=1.0,
        spec=None if run else {"name": f"version {of}"},
        receipt=Receipt(str(run["key"]), 1, "task-1", "DONE", cost_pu=2.5) if run else None,
    )  # fmt: skip
    return EntryDraft(
        Event.OUTCOME, address, plan=PLAN, deployment=HERE,
        operation="start" if run else "", intent=of, settlement=settled, **run,
    )  # fmt: skip


async def written(place: str, entries: int) -> None:
    async with journal(place, checkpoint_bytes=sys.maxsize).lease(timeout_s=0) as lease:
        for first in range(0, entries, BATCH):
            await lease.append(drafts(first))


def appends(place: str) -> int:
    """Return how many are measured: over HTTP each takes its time."""
    return 200 if place.startswith("s3://") else 2000


async def appended(place: str) -> tuple[float, float]:
    """Append one by one; return milliseconds of CPU and of the wall. A checkpoint is left behind."""
    count = appends(place)
    some = (drafts(0) * (count // BATCH + 1))[: count + 1]
    async with journal(place, checkpoint_bytes=1).lease(timeout_s=0) as lease:
        await lease.append(some[:1])
        cpu_s, wall_s = stopwatch()
        for draft in some[1:]:
            await lease.append([draft])
        cpu, wall = stopwatch()
        return (cpu - cpu_s) * 1000 / count, (wall - wall_s) * 1000 / count


# What is measured, each as a process of its own.


def floor(place: str) -> int:
    class Line(msgspec.Struct, gc=False):
        sequence: int
        previous: str
        event: str
        address: str | None = None

    decoder = msgspec.json.Decoder(Line)
    kept: dict[str | None, int] = {}
    before = hashlib.sha256(b"").hexdigest()
    for line in lines(place):
        entry = decoder.decode(line)
        assert entry.previous[7:] == before
        before = hashlib.sha256(line[:-1]).hexdigest()
        kept[entry.address] = entry.sequence
    return len(kept)


def fold(place: str) -> int:
    ledger = Journal(opened(place), clock=Clock(), actor={})
    return len(asyncio.run(ledger.recorded(HERE)))


def verify(place: str) -> int:
    report = asyncio.run(Journal(opened(place), clock=Clock(), actor={}).verify())
    assert report.proven
    return report.entries


def recover(place: str) -> int:
    """Recover a ledger, all of which is intact but for one line."""
    ledger = Journal(opened(place), clock=Clock(), actor={})
    done = asyncio.run(ledger.recover(timeout_s=0))
    assert done is not None
    assert done.findings.lost_count == 1
    return done.findings.kept


def append(place: str) -> int:
    print(*asyncio.run(appended(place)))
    return appends(place)


PARTS = {"floor": floor, "fold": fold, "verify": verify, "append": append, "recover": recover}


# A child starts with its parent's peak memory, so whatever is large happens in a child.


def made(place: str, entries: int) -> None:
    command = [sys.executable, __file__, "--build", str(entries), place]
    subprocess.run(command, check=True)


def append_ms(place: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "--part", "append", place]
    told = subprocess.run(command, check=True, capture_output=True).stdout
    cpu, wall = map(float, told.split())
    return cpu, wall


def measured(part: str, place: str) -> Measured:
    found = measure([sys.executable, __file__, "--part", part, place])
    assert found.code == 0, part
    return found


def shown(name: str, runs: list[Measured], floors: list[Measured]) -> str:
    ratios = [one.cpu_s / other.cpu_s for one, other in zip(runs, floors, strict=False)]
    return (
        f"  {name:<28}{median([one.cpu_s for one in runs]):>8.2f} s"
        f"{median([one.wall_s for one in runs]):>8.2f} s"
        f"{median(ratios):>8.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
        f"{median([one.peak_mb for one in runs]):>9.0f} MB"
    )


def bench(kind: str, entries: int, rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        places(kind, Path(scratch)) as (small, large),
    ):
        made(small, entries // 10)
        made(large, entries)
        print(f"a ledger of {entries:,} entries, {ADDRESSES:,} addresses, in {WHERE[kind]}:")
        print(f"  {'':<28}{'CPU':>8}{'wall':>10}  {'ratio to the floor':>20}{'peak':>9}")
        measured("floor", large)
        floors = [measured("floor", large) for _ in range(rounds)]
        folds = [measured("fold", large) for _ in range(rounds)]
        tenth = [measured("fold", small) for _ in range(rounds)]
        verified = [measured("verify", large) for _ in range(rounds)]
        cpu_ms, wall_ms = append_ms(large)
        short = [measured("fold", large) for _ in range(rounds)]
        print(shown("floor", floors, floors))
        print(shown("fold", folds, floors))
        print(shown("fold of a tenth of them", tenth, floors))
        print(shown("verify", verified, floors))
        print(shown("fold from a checkpoint", short, floors))
        if kind == "directory":
            spoil(Path(large))
            print(shown("recover", [measured("recover", large)], floors))
        print(f"  one append: {cpu_ms:.2f} ms of CPU, {wall_ms:.2f} ms in all, without a sync")


def spoil(path: Path) -> None:
    """Change one byte of a line in the middle."""
    segments = sorted(path.glob("*.jsonl"))
    with segments[len(segments) // 2].open("r+b") as file:
        file.readline()
        file.seek(file.tell() + 20)
        file.write(b"!")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", type=int, default=0, help="write so many entries to the path")
    parser.add_argument("--part", choices=PARTS, help="one measurement, in this process")
    parser.add_argument("--places", default=",".join(KINDS), help="which of them, with commas")
    parser.add_argument("place", nargs="?")
    given = parser.parse_args()
    if given.build:
        asyncio.run(written(given.place, given.build))
        return
    if given.part:
        assert PARTS[given.part](given.place) > 0
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for kind in given.places.split(","):
        bench(kind, given.entries // BATCH * BATCH, given.rounds)
    print(
        f"wanted: the fold under {WANTED_S} s on a quiet machine and {WANTED_RATIO} times the floor of "
        f"a directory, no more memory than for a tenth, appends under {WANTED_MS:g} ms of CPU there"
    )


if __name__ == "__main__":
    main()
