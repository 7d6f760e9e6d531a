"""
A ledger of a million entries: folded, verified, gone on with, against a floor of the same run.

    python benchmarks/ledger.py [--entries 1000000] [--rounds 3]

The floor does what any reader must: read lines, follow the chain of hashes, decode four fields,
keep one number for each address. Whole processes are measured from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import msgspec
from measuring import Measured, measure, median

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.resource import Receipt
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.files import Files
from shplan.ledger.journal import Journal

HERE = "aws-eu-central-1"
ADDRESSES = 1000
BATCH = 1000
APPENDS = 2000
PLAN, REQUEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
WANTED_S, WANTED_RATIO, WANTED_MS = 10, 6.0, 1.0


class Clock:
    def now(self) -> datetime:
        return datetime(2025, 6, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Unsynced(Files):
    """Waits for no disk: what is measured is our part."""

    def sync(self, descriptor: int) -> None:
        return


class RunFields(TypedDict, total=False):
    """What an entry of a run has besides; empty for what is no run."""

    key: str
    attempt: int


def journal(path: Path, *, checkpoint_bytes: int) -> Journal:
    backend = DirectoryBackend(path, files=Unsynced())
    actor = {"user": "ada", "commit": "0" * 40}
    return Journal(backend, clock=Clock(), actor=actor, checkpoint_bytes=checkpoint_bytes)


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


async def written(path: Path, entries: int) -> None:
    async with journal(path, checkpoint_bytes=sys.maxsize).lease(timeout_s=0) as lease:
        for first in range(0, entries, BATCH):
            await lease.append(drafts(first))


async def appended(path: Path) -> float:
    """Append one by one; return milliseconds of our own for each. A checkpoint is left behind."""
    some = (drafts(0) * (APPENDS // BATCH + 1))[: APPENDS + 1]
    async with journal(path, checkpoint_bytes=1).lease(timeout_s=0) as lease:
        await lease.append(some[:1])
        started = time.process_time()
        for draft in some[1:]:
            await lease.append([draft])
        return (time.process_time() - started) * 1000 / APPENDS


# What is measured, each as a process of its own.


def floor(path: Path) -> int:
    class Line(msgspec.Struct, gc=False):
        sequence: int
        previous: str
        event: str
        address: str | None = None

    decoder = msgspec.json.Decoder(Line)
    kept: dict[str | None, int] = {}
    before = hashlib.sha256(b"").hexdigest()
    for segment in sorted(path.glob("*.jsonl")):
        with segment.open("rb") as file:
            for line in file:
                entry = decoder.decode(line)
                assert entry.previous[7:] == before
                before = hashlib.sha256(line[:-1]).hexdigest()
                kept[entry.address] = entry.sequence
    return len(kept)


def fold(path: Path) -> int:
    ledger = Journal(DirectoryBackend(path), clock=Clock(), actor={})
    return len(asyncio.run(ledger.recorded(HERE)))


def verify(path: Path) -> int:
    report = asyncio.run(Journal(DirectoryBackend(path), clock=Clock(), actor={}).verify())
    assert report.proven
    return report.entries


def build(path: Path, entries: int) -> int:
    asyncio.run(written(path, entries))
    return entries


def append(path: Path) -> int:
    print(f"{asyncio.run(appended(path)):.2f}")
    return APPENDS


PARTS = {"floor": floor, "fold": fold, "verify": verify, "append": append}


# A child starts with its parent's peak memory, so whatever is large happens in a child.


def made(path: Path, entries: int) -> None:
    command = [sys.executable, __file__, "--build", str(entries), str(path)]
    subprocess.run(command, check=True)


def append_ms(path: Path) -> float:
    command = [sys.executable, __file__, "--part", "append", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def measured(part: str, path: Path) -> Measured:
    found = measure([sys.executable, __file__, "--part", part, str(path)])
    assert found.code == 0, part
    return found


def shown(name: str, runs: list[Measured], floors: list[Measured]) -> str:
    ratios = [one.cpu_s / other.cpu_s for one, other in zip(runs, floors, strict=True)]
    return (
        f"  {name:<28}{median([one.cpu_s for one in runs]):>8.2f} s"
        f"{median(ratios):>8.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
        f"{median([one.peak_mb for one in runs]):>9.0f} MB"
    )


def bench(entries: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        made(small, entries // 10)
        made(large, entries)
        size_mb = sum(file.stat().st_size for file in large.iterdir()) / 2**20
        print(f"a ledger of {entries:,} entries ({size_mb:.0f} MB), {ADDRESSES:,} addresses:")
        print(f"  {'':<28}{'CPU':>8}  {'ratio to the floor':>20}{'peak':>9}")
        measured("floor", large)
        floors = [measured("floor", large) for _ in range(rounds)]
        folds = [measured("fold", large) for _ in range(rounds)]
        tenth = [measured("fold", small) for _ in range(rounds)]
        verified = [measured("verify", large) for _ in range(rounds)]
        own_ms = append_ms(large)
        content = json.loads((large / "checkpoint.json").read_bytes())
        assert content["head"]["sequence"] == entries + APPENDS + 1
        short = [measured("fold", large) for _ in range(rounds)]
        print(shown("floor", floors, floors))
        print(shown("fold", folds, floors))
        print(shown("fold of a tenth of them", tenth, floors))
        print(shown("verify", verified, floors))
        print(shown("fold from a checkpoint", short, floors))
        print(f"  one append, apart from the disk: {own_ms:.2f} ms")
        print(
            f"  wanted: the fold under {WANTED_S} s on a quiet machine and {WANTED_RATIO} times "
            f"the floor, no more memory than for a tenth, appends under {WANTED_MS:g} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", type=int, default=0, help="write so many entries to the path")
    parser.add_argument("--part", choices=PARTS, help="one measurement, in this process")
    parser.add_argument("path", type=Path, nargs="?")
    given = parser.parse_args()
    if given.build:
        build(given.path, given.build)
        return
    if given.part:
        assert PARTS[given.part](given.path) > 0
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    bench(given.entries // BATCH * BATCH, given.rounds)


if __name__ == "__main__":
    main()
