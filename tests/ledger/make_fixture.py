"""
Writes the ledgers of this version, which every later version has to read.

    python -m tests.ledger.make_fixture

They hold every event and every field of an entry, in each state that a directory can be found in.
At a release they are made for the last time; from then on they are never changed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path

from shplan import __version__
from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.resource import MemberRecord, Receipt
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.journal import Journal

from .support import HandClock

FIXTURES = Path(__file__).parent / "fixtures"
DEPLOYMENTS = ("aws-eu-central-1", "sandbox:1")
FIELDS = Address("ByocCollection", "fields")
TILES = Address("ByocTiles", "fields")
NDVI = Address("BatchProcess", "ndvi", "2025-06")
ACTOR = {"user": "ada", "ciRun": "4711", "commit": "0123456789abcdef0123456789abcdef01234567"}
KEY = "1:sha256:" + "c" * 64
PLAN = "sha256:" + "a" * 64

MEMBERS = {
    "t/1": MemberRecord("tile-1", ("path", "sensingTime"), "sha256:01", etag="e1", size_bytes=1024),
    "t/2": MemberRecord("tile-2", ("path",), "sha256:02", owned=False),
}
RECEIPT = Receipt(
    KEY,
    1,
    "task-1",
    "PARTIAL",
    parts={"kind": "BatchProcess", "generation": 1},
    request={"input": {"bounds": {"bbox": [14.5, 46, 15, 46.25]}}},
    cost_pu=12.5,
    outputs={"template": "s3://acme-out/ndvi", "files": 2},
    failed={"33TVM_1": "no data"},
    account="account-1",
    estimate_pu=(10.0, 11.5, 30.0),
    estimate_terms=(
        {"label": "process tiles", "count": 2, "each": 15.0, "source": "tiles of the grid"},
    ),
)


def story(deployment: str) -> list[list[EntryDraft]]:
    """What three leases write of one deployment; intents are named by their place in a lease."""

    def entry(event: Event, address: Address, **more: object) -> EntryDraft:
        return EntryDraft(event, address, plan=PLAN, deployment=deployment, **more)  # type: ignore[arg-type]

    def settled(result: Result, **more: object) -> Settlement:
        return Settlement(result, **more)  # type: ignore[arg-type]

    run = {"key": KEY, "attempt": 1}
    return [
        [
            entry(
                Event.INTENT, FIELDS, operation="create", request="sha256:" + "b" * 64,
                data={"name": "Felder", "note": "ä 1.5e-7 \u2028"},
                server_time="2025-06-01T09:59:59Z",
            ),
            entry(
                Event.OUTCOME, FIELDS, intent=0,
                settlement=settled(
                    Result.DONE, id="c-1", owned=True, status=201, cost_pu=1.0,
                    spec={"name": "Felder", "s3Bucket": "fields", "noData": -1.5},
                    prevent_destroy=True, depends_on=("ByocCollection/other",),
                    data={"seen": [1, None, True]},
                ),
            ),
            entry(Event.INTENT, TILES, operation="create", keys=("t/1", "t/2", "t/3")),
            entry(
                Event.OUTCOME, TILES, intent=2,
                settlement=settled(Result.UNKNOWN, members=MEMBERS, unsettled=("t/3",)),
            ),
            entry(
                Event.ADOPT, TILES,
                settlement=settled(Result.DONE, members={"t/3": MemberRecord("tile-3")},
                                   lost_members=("t/2",)),
            ),
        ],
        [
            entry(Event.INTENT, NDVI, operation="create", **run),
            entry(
                Event.OUTCOME, NDVI, intent=0, operation="create", **run,
                settlement=settled(Result.DONE, id="task-1", owned=True, status=201),
            ),
            entry(Event.INTENT, NDVI, operation="start", data={"task": "task-1"}, **run),
            entry(
                Event.OUTCOME, NDVI, intent=2, operation="start", **run,
                settlement=settled(Result.DONE, id="task-1", status=204),
            ),
            entry(Event.INTENT, NDVI, operation="stop", data={"maxPu": 10}, **run),
            entry(
                Event.OUTCOME, NDVI, intent=4, operation="stop", **run,
                settlement=settled(Result.REFUSED, status=409, message="it has ended"),
            ),
            entry(
                Event.RECEIPT, NDVI, **run,
                settlement=settled(Result.DONE, id="task-1", receipt=RECEIPT,
                                   data={"ended": "PARTIAL", "cause": "1 feature failed"}),
            ),
        ],
        [
            entry(Event.IMPORT, Address("ByocCollection", "old"),
                  settlement=settled(Result.DONE, id="c-0", owned=True)),
            entry(Event.PROTECT, FIELDS, settlement=settled(Result.DONE, prevent_destroy=False)),
            entry(Event.MOVE, Address("ByocCollection", "moved"),
                  data={"from": "ByocCollection/old"}),
            entry(Event.INTENT, Address("ByocCollection", "gone"), operation="delete"),
            entry(
                Event.OUTCOME, Address("ByocCollection", "gone"), intent=3,
                settlement=settled(Result.FAILED, message="kein Zugriff", gone=True),
            ),
            entry(Event.FORGET, Address("ByocCollection", "forgotten")),
            entry(Event.INTENT, FIELDS, operation="update"),
        ],
    ]  # fmt: skip


def others() -> list[EntryDraft]:
    """Events that concern the ledger itself, so that none is missing whatever is added."""
    told = {draft.event for lease in story("") for draft in lease}
    own = (Event.GENESIS, Event.RECOVER, Event.CHECKPOINT)
    dead = {"pid": 7, "user": "bob", "host": "old", "since": "2025-05-31T10:00:00.000Z"}
    data = {Event.TAKEOVER: {"holder": dead}}
    return [
        EntryDraft(event, data=data.get(event, {}))
        for event in Event
        if event not in told and event not in own
    ]


def journal(path: Path, *, segment_bytes: int = 2**20, checkpoint_bytes: int = 2**20) -> Journal:
    backend = DirectoryBackend(path, segment_bytes=segment_bytes)
    return Journal(backend, clock=HandClock(), actor=ACTOR, checkpoint_bytes=checkpoint_bytes)


async def write_story(path: Path, **options: int) -> None:
    for deployment in DEPLOYMENTS:
        for lease in [*story(deployment), others()]:
            ledger = journal(path, **options)
            async with ledger.lease(timeout_s=0) as held:
                first = (await ledger.end()).sequence + 1
                first += first == 0
                numbered = [
                    draft if draft.intent is None else _pointing(draft, first + draft.intent)
                    for draft in lease
                ]
                await held.append(numbered)


def _pointing(draft: EntryDraft, intent: int) -> EntryDraft:
    from dataclasses import replace

    return replace(draft, intent=intent)


def make(home: Path) -> None:
    """Write every directory and what it comes to."""
    asyncio.run(write_story(home / "whole", segment_bytes=3000))
    asyncio.run(write_story(home / "checkpoint", checkpoint_bytes=1))
    asyncio.run(write_story(home / "torn"))
    segment = home / "torn" / "00000000.jsonl"
    whole = segment.read_bytes()
    *lines, last = whole.splitlines(keepends=True)
    # As a power cut leaves it: the head was not reached.
    asyncio.run(_head_of(home / "torn", lines))
    segment.write_bytes(b"".join(lines) + last[: len(last) // 2])
    asyncio.run(write_story(home / "recovered"))
    segment = home / "recovered" / "00000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b"task-1", b"task-9", 1))
    asyncio.run(journal(home / "recovered").recover(timeout_s=0))
    for path in home.iterdir():
        for name in ("lock", "holder.json"):
            (path / name).unlink(missing_ok=True)
        expected = json.dumps(asyncio.run(told(path)), indent=1, sort_keys=True, ensure_ascii=False)
        (home / f"{path.name}.json").write_text(expected + "\n", encoding="utf-8")


async def _head_of(path: Path, lines: list[bytes]) -> None:
    (path / "head.json").unlink()
    (path / "00000000.jsonl").write_bytes(b"".join(lines))
    async with journal(path).lease(timeout_s=0):
        pass


async def told(path: Path) -> dict[str, object]:
    """What a ledger says of itself, and what it comes to, without what is as ever."""
    ledger = journal(path)
    report = await ledger.verify()
    return {
        "entries": report.entries,
        "head": report.head,
        "tornBytes": report.torn_bytes,
        "intact": report.damage is None,
        "recorded": {one: plain(dict(await ledger.recorded(one))) for one in DEPLOYMENTS},
        "runs": {one: plain(dict(await ledger.runs(one))) for one in DEPLOYMENTS},
    }


def plain(value: object) -> object:
    """Print values as JSON; a field that has its default is left out, so that fields may be added."""
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        stated = {one.name: getattr(value, one.name) for one in fields(value)}
        return {
            one.name: plain(stated[one.name])
            for one in fields(value)
            if stated[one.name] != _default(one)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def _default(one: Field[object]) -> object:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default


def main() -> None:
    home = FIXTURES / __version__
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    make(home)
    sys.stdout.write(f"wrote {home.relative_to(Path.cwd())}\n")


if __name__ == "__main__":
    main()
