"""A checkpoint is a shortcut: whoever starts there knows what everybody else knows, or it is not used."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.resource import MemberRecord, Receipt
from shplan.ledger import checkpoint
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.journal import Journal
from shplan.ledger.known import Known
from shplan.ledger.port import Mark

from .support import (
    FIELDS,
    HERE,
    CountedFiles,
    CountedReadings,
    HandClock,
    PowerCutError,
    adopt,
    content,
    intent,
    journal,
    read,
    run,
    write,
)

CHECKPOINT = "checkpoint.json"
SEGMENT = "00000000.jsonl"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def eager(path: Path, files: CountedFiles | None = None, **options: int) -> Journal:
    """A ledger that makes a checkpoint whenever a lease ends."""
    return journal(path, files, checkpoint_bytes=1, **options)


def without(path: Path, *names: str) -> Path:
    """The same ledger, with these files gone."""
    other = path.with_name(f"{path.name}-copy")
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(path, other)
    for name in names:
        (other / name).unlink()
    return other


def counted(path: Path) -> tuple[Journal, CountedReadings]:
    backend = CountedReadings(path)
    return Journal(backend, clock=HandClock(), actor={}), backend


def state(path: Path) -> CheckpointState:
    return run(journal(path).verify()).checkpoint


# What is known is the same, whatever the entries say.

ADDRESSES = st.sampled_from(
    [FIELDS, Address("ByocTiles", "fields"), Address("BatchProcess", "ndvi", "2025-06")]
)
NAMES = st.sampled_from("abc")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2**53)
    | st.floats(0, 9)
    | st.text("aä\n", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=2)
MEMBERS = st.builds(
    MemberRecord,
    id=NAMES,
    stated=st.lists(NAMES, max_size=2).map(tuple),
    digest=NAMES,
    owned=st.booleans(),
    etag=st.text("ab", max_size=1),
    size_bytes=st.none() | st.integers(0, 9),
)
RECEIPTS = st.builds(
    Receipt,
    key=NAMES,
    attempt=st.integers(1, 2),
    id=NAMES,
    status=st.sampled_from(["DONE", "PARTIAL"]),
    parts=OBJECTS,
    request=OBJECTS,
    cost_pu=st.none() | st.floats(0, 9),
    outputs=OBJECTS,
    failed=st.dictionaries(NAMES, NAMES, max_size=1),
    account=st.text("ab", max_size=1),
)
SETTLEMENTS = st.builds(
    Settlement,
    result=st.sampled_from(Result),
    id=st.text("abc", max_size=1),
    owned=st.none() | st.booleans(),
    spec=st.none() | OBJECTS,
    gone=st.booleans(),
    members=st.dictionaries(NAMES, MEMBERS, max_size=3),
    lost_members=st.lists(NAMES, max_size=2).map(tuple),
    unsettled=st.lists(NAMES, max_size=2).map(tuple),
    prevent_destroy=st.none() | st.booleans(),
    depends_on=st.none() | st.lists(ADDRESSES.map(str), max_size=2).map(tuple),
    cost_pu=st.floats(0, 9),
    data=st.dictionaries(st.sampled_from(["ended", "cause", "made"]), NAMES, max_size=2),
    receipt=st.none() | RECEIPTS,
)
HERE_OR_THERE = st.sampled_from([HERE, "elsewhere"])
RUN = {"key": st.sampled_from(["", "k1", "k2"]), "attempt": st.integers(0, 2)}
INTENTS = st.builds(
    EntryDraft,
    st.just(Event.INTENT),
    ADDRESSES,
    deployment=HERE_OR_THERE,
    operation=st.sampled_from(["create", "start", "stop"]),
    keys=st.lists(NAMES, max_size=2).map(tuple),
    data=st.fixed_dictionaries({}, optional={"task": NAMES, "maxPu": st.integers(1, 9)}),
    plan=NAMES,
    server_time=NAMES,
    **RUN,
)
OUTCOMES = st.builds(
    EntryDraft,
    st.sampled_from([Event.OUTCOME, Event.ADOPT, Event.IMPORT, Event.PROTECT, Event.RECEIPT]),
    # None: whoever wrote it had lost the address to others.
    ADDRESSES | st.none(),
    deployment=HERE_OR_THERE,
    operation=st.sampled_from(["", "start"]),
    intent=st.none() | st.integers(1, 8),
    settlement=SETTLEMENTS,
    **RUN,
)
MOVES = st.builds(
    EntryDraft,
    st.just(Event.MOVE),
    ADDRESSES,
    deployment=HERE_OR_THERE,
    data=st.fixed_dictionaries({"from": ADDRESSES.map(str)}),
)
FORGOTTEN = st.builds(EntryDraft, st.just(Event.FORGET), ADDRESSES, deployment=HERE_OR_THERE)
BATCHES = st.lists(
    st.lists(INTENTS | OUTCOMES | MOVES | FORGOTTEN, min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES, eager_after=st.integers(0, 4), one_writer=st.booleans())
def test_who_starts_at_a_checkpoint_knows_what_everybody_knows(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[EntryDraft]],
    eager_after: int,
    one_writer: bool,
) -> None:
    path = tmp_path_factory.mktemp("ledger")
    writer = eager(path)
    for number, batch in enumerate(batches):
        fresh = eager(path) if number < eager_after else journal(path)
        run(write(writer if one_writer else fresh, *batch))
    assert state(path) is (
        CheckpointState.GOOD if one_writer or eager_after else CheckpointState.NONE
    )
    whole = journal(without(path, *([CHECKPOINT] if (path / CHECKPOINT).exists() else [])))
    for deployment in (HERE, "elsewhere"):
        short = journal(path)
        assert list(run(short.recorded(deployment)).items()) == list(
            run(whole.recorded(deployment)).items()
        )
        assert list(run(short.runs(deployment)).items()) == list(
            run(whole.runs(deployment)).items()
        )
    assert run(journal(path).head()) == run(whole.head())


def test_a_checkpoint_names_its_entry_and_is_named_by_the_next(path: Path) -> None:
    run(write(eager(path), adopt(1)))
    saved = json.loads((path / CHECKPOINT).read_bytes())
    *_, last = run(read(journal(path)))
    assert saved["head"]["sequence"] == 1
    assert saved["head"]["hash"] == last.previous
    assert (last.sequence, last.draft.event) == (2, Event.CHECKPOINT)
    assert run(journal(path).verify()).damage is None


def test_a_short_journal_has_none(path: Path) -> None:
    run(write(journal(path), *map(adopt, range(50))))
    assert not (path / CHECKPOINT).exists()
    assert state(path) is CheckpointState.NONE


def test_a_reader_starts_there_and_writes_nothing(path: Path) -> None:
    run(write(eager(path), adopt(1)))
    run(write(journal(path), adopt(2)))
    before = content(path)
    ledger, backend = counted(path)
    assert run(ledger.recorded(HERE))[FIELDS].id == "id-2"
    assert run(ledger.runs(HERE)) == {}
    assert backend.from_the_beginning == 0
    assert content(path) == before


def test_the_next_is_made_when_the_journal_has_grown_as_much_as_the_last_is_long(
    path: Path,
) -> None:
    big = EntryDraft(
        Event.ADOPT, FIELDS, deployment=HERE,
        settlement=Settlement(Result.DONE, id="c", spec={"text": "x" * 4000}),
    )  # fmt: skip
    run(write(eager(path), big))
    first = (path / CHECKPOINT).read_bytes()
    writings = 0
    while (path / CHECKPOINT).read_bytes() == first:
        run(write(eager(path), adopt(writings)))
        writings += 1
    lines = (path / SEGMENT).read_bytes().splitlines(keepends=True)
    grown = sum(len(line) for line in lines[2:-1])
    assert grown >= len(first)
    assert grown - len(lines[-2]) - len(lines[-3]) < len(first)


def test_one_lease_makes_at_most_one(path: Path) -> None:
    async def story() -> None:
        async with eager(path).lease(timeout_s=0) as lease:
            for number in range(5):
                await lease.append([adopt(number)])

    run(story())
    events = [entry.draft.event for entry in run(read(journal(path)))]
    assert events.count(Event.CHECKPOINT) == 1
    assert events[-1] is Event.CHECKPOINT


def test_a_lease_that_wrote_nothing_makes_none(path: Path) -> None:
    async def story() -> None:
        async with eager(path).lease(timeout_s=0):
            pass

    run(story())
    assert not (path / SEGMENT).exists()
    run(write(eager(path), adopt(1)))
    before = content(path)
    run(story())
    assert content(path) == before


# It is believed only as it was written.


def test_a_changed_byte_makes_it_worthless_and_harms_nobody(path: Path) -> None:
    run(write(eager(path), intent(), adopt(1)))
    run(write(journal(path), adopt(2)))
    whole = (path / CHECKPOINT).read_bytes()
    expected = run(journal(without(path, CHECKPOINT)).recorded(HERE))

    async def story() -> None:
        for position in range(len(whole)):
            for changed in (
                whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :],
                whole[:position] + whole[position + 1 :],
                whole[:position] + whole[position : position + 1] + whole[position:],
            ):
                if changed == whole:
                    continue
                (path / CHECKPOINT).write_bytes(changed)
                ledger, backend = counted(path)
                assert await ledger.recorded(HERE) == expected, (position, changed)
                assert backend.from_the_beginning == 1, (position, changed)
        report = await journal(path).verify()
        assert (report.checkpoint, report.proven) == (CheckpointState.ALTERED, False)

    asyncio.run(story())


@pytest.mark.parametrize("name", ["format", "shplan"])
def test_one_of_another_version_is_ignored(path: Path, name: str) -> None:
    """Also one that the ledger names: what entries come to is the matter of the code that folds."""
    run(write(journal(path), adopt(1)))
    known = known_of(path)
    record = json.loads(checkpoint.encode(known))
    record[name] = 99 if name == "format" else "0.0.0"
    forge(path, json.dumps(record).encode())
    ledger, backend = counted(path)
    assert run(ledger.recorded(HERE))[FIELDS].id == "id-1"
    assert backend.from_the_beginning == 1
    assert state(path) is CheckpointState.UNUSED


def known_of(path: Path) -> Known:
    entries = run(read(journal(path)))
    known = Known()
    for entry in entries:
        known.take(entry)
    report = run(journal(path).verify())
    known.head = report.end
    known.end = Mark(SEGMENT, (path / SEGMENT).stat().st_size)
    return known


def forge(path: Path, made: bytes) -> tuple[LedgerEntry, ...]:
    """Write a checkpoint and the entry that vouches for it, as only a bug or a forger would."""
    (path / CHECKPOINT).write_bytes(made)
    return run(write(journal(path), checkpoint.draft(made)))


def test_one_that_is_named_and_not_what_the_entries_come_to_is_found_and_dropped(
    path: Path,
) -> None:
    run(write(journal(path), adopt(1)))
    known = known_of(path)
    known.take(LedgerEntry(9, 1, "", {}, "", adopt(666)))
    forge(path, checkpoint.encode(known))
    report = run(journal(path).verify())
    assert (report.damage, report.checkpoint) == (None, CheckpointState.WRONG)
    assert not report.proven
    assert run(journal(path).recover(timeout_s=0)) is None
    assert state(path) is CheckpointState.NONE
    assert run(journal(path).recorded(HERE))[FIELDS].id == "id-1"


def test_one_of_a_journal_that_was_rolled_back_is_not_used(path: Path) -> None:
    run(write(journal(path), adopt(1)))
    before = content(path)
    run(write(eager(path), adopt(2)))
    for name in (SEGMENT, "head.json"):
        (path / name).write_bytes(before[name])
    assert run(journal(path).recorded(HERE))[FIELDS].id == "id-1"
    assert state(path) is CheckpointState.ALTERED
    run(write(journal(path), adopt(3), adopt(4), adopt(5)))
    assert run(journal(path).recorded(HERE))[FIELDS].id == "id-5"
    assert state(path) is CheckpointState.ALTERED


def test_damage_before_it_is_found_by_verify(path: Path) -> None:
    run(write(eager(path), adopt(1)))
    run(write(journal(path), adopt(2)))
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-1", b"id-7"))
    assert run(journal(path).recorded(HERE))[FIELDS].id == "id-2"
    assert run(journal(path).verify()).damage is not None


def test_damage_behind_it_is_found_by_every_reader(path: Path) -> None:
    run(write(eager(path), adopt(1)))
    run(write(journal(path), adopt(2)))
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-2", b"id-7"))
    with pytest.raises(Exception, match="is not the one that the head file names"):
        run(journal(path).recorded(HERE))


def test_a_recovery_leaves_none_behind(path: Path) -> None:
    run(write(eager(path), adopt(1)))
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-1", b"id-7"))
    done = run(journal(path).recover(timeout_s=0))
    assert not (path / CHECKPOINT).exists()
    assert (path / Path(done.aside).name / CHECKPOINT).exists()
    report = run(journal(path).verify())
    assert (report.damage, report.checkpoint) == (None, CheckpointState.NONE)


# What dies while one is made leaves a ledger that is whole.


def steps_of_a_checkpoint(path: Path) -> tuple[int, int]:
    plain, files = CountedFiles(), CountedFiles()
    run(write(journal(path / "plain", plain), adopt(1)))
    run(write(eager(path / "eager", files), adopt(1)))
    return len(plain.steps), len(files.steps)


def test_a_power_cut_at_any_step_leaves_a_whole_ledger(tmp_path: Path) -> None:
    first, last = steps_of_a_checkpoint(tmp_path)
    assert last - first >= 8
    # Of a lease that begins where another ended: its directory is there.
    for step in range(last - first + 8):
        path = tmp_path / f"cut-{step}"
        run(write(eager(path), intent()))
        files = CountedFiles()
        ledger = eager(path, files)
        run(ledger.head())
        files.fail_at = len(files.steps) + step
        with pytest.raises(PowerCutError):
            run(write(ledger, adopt(1), adopt(2)))
        ledger._backend._lock.release()
        report = run(journal(path).verify())
        assert report.damage is None
        assert report.checkpoint in (CheckpointState.GOOD, CheckpointState.UNUSED)
        run(write(eager(path), adopt(3)))
        assert run(journal(path).recorded(HERE))[FIELDS].id == "id-3"
        assert state(path) is CheckpointState.GOOD


def test_a_disk_that_has_no_room_for_it_does_not_fail_what_was_done(tmp_path: Path) -> None:
    first, last = steps_of_a_checkpoint(tmp_path)
    for step in range(first, last):
        path = tmp_path / f"full-{step}"
        files = CountedFiles(step, OSError)
        run(write(eager(path, files), adopt(1)))
        assert run(journal(path).recorded(HERE))[FIELDS].id == "id-1"
        run(write(eager(path), adopt(2)))
        assert run(journal(path).recorded(HERE))[FIELDS].id == "id-2"
        assert run(journal(path).verify()).damage is None


def test_a_lease_that_failed_makes_none(path: Path) -> None:
    async def story() -> None:
        async with eager(path).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            raise ValueError

    with pytest.raises(ValueError):
        run(story())
    assert not (path / CHECKPOINT).exists()


@pytest.mark.parametrize("made", [b"", b"{}", b"\x00" * 40, b"[" * 100_000])
def test_what_is_no_checkpoint_is_none(made: bytes) -> None:
    assert checkpoint.decode(made) is None


def test_an_address_that_is_none_makes_it_none() -> None:
    known = Known(Head(0, 1, EMPTY.hash), Mark(SEGMENT, 1))
    made = checkpoint.encode(known)
    broken = made.replace(b'"folds":{}', b'"folds":{"x":{"records":[{"address":"nowhere"}]}}')
    assert broken != made
    assert checkpoint.decode(made) is not None
    assert checkpoint.decode(broken) is None
