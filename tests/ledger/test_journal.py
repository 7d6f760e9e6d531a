"""The ledger as its users see it: what was appended is read, and whatever was done to it is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.chain import EMPTY, DamageKind
from shplan.core.entry import EntryDraft, Event
from shplan.core.errors import DamagedLedgerError, LedgerError, LockedError
from shplan.core.resource import Recorded
from shplan.ledger.journal import Journal

from .support import (
    FIELDS,
    HERE,
    CountedFiles,
    CountedReadings,
    HandClock,
    adopt,
    content,
    drafts_of,
    intent,
    journal,
    read,
    run,
    write,
)

SEGMENT = "00000000.jsonl"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def test_an_empty_ledger_is_read_without_being_made(path: Path) -> None:
    ledger = journal(path)
    assert run(ledger.head()) == EMPTY.hash
    assert run(ledger.recorded(HERE)) == {}
    assert run(ledger.verify()).entries == 0
    assert run(read(ledger)) == []
    assert not path.exists()


def test_a_directory_is_private(path: Path) -> None:
    assert journal(path).private


def test_entries_get_number_lease_time_actor_and_link(path: Path) -> None:
    ledger = journal(path)
    first = run(write(ledger, intent(), intent("start")))
    second = run(write(ledger, adopt(1)))
    genesis, *others = run(read(journal(path)))
    assert genesis.draft == EntryDraft(Event.GENESIS)
    assert others == [*first, *second]
    assert [entry.sequence for entry in others] == [1, 2, 3]
    assert [entry.fence for entry in others] == [1, 1, 2]
    assert {entry.time for entry in others} == {"2025-06-01T10:00:00.000Z"}
    assert {json.dumps(dict(entry.actor)) for entry in others} == {'{"user": "ada"}'}


def test_what_is_recorded_is_the_fold_of_what_is_there(path: Path) -> None:
    ledger = journal(path)
    run(write(ledger, adopt(1)))
    assert run(ledger.recorded(HERE)) == {FIELDS: Recorded(FIELDS, id="id-1")}
    assert run(ledger.recorded("elsewhere")) == {}
    run(write(ledger, adopt(2)))
    assert run(ledger.recorded(HERE)) == {FIELDS: Recorded(FIELDS, id="id-2")}
    assert run(journal(path).recorded(HERE)) == run(ledger.recorded(HERE))


def test_the_head_and_what_is_recorded_cost_one_reading(path: Path) -> None:
    run(write(journal(path), adopt(1)))
    counted = CountedReadings(path)
    ledger = Journal(counted, clock=HandClock(), actor={})
    head = run(ledger.head())
    assert run(ledger.recorded(HERE)) == {FIELDS: Recorded(FIELDS, id="id-1")}
    assert run(ledger.recorded("elsewhere")) == {}
    assert run(ledger.head()) == head
    assert counted.from_the_beginning == 1


def test_a_reader_sees_what_another_appends(path: Path) -> None:
    reader, writer = journal(path), journal(path)
    heads = set()
    for number in range(4):
        run(write(writer, adopt(number)))
        assert run(reader.recorded(HERE))[FIELDS].id == f"id-{number}"
        assert run(reader.head()) == run(writer.head())
        heads.add(run(reader.head()))
    assert len(heads) == 4


def test_the_holder_sees_its_own_entries(path: Path) -> None:
    async def story() -> None:
        ledger = journal(path)
        async with ledger.lease(timeout_s=0) as lease:
            before = await ledger.head()
            await lease.append([adopt(1)])
            assert (await ledger.recorded(HERE))[FIELDS].id == "id-1"
            assert await ledger.head() != before
            assert await lease.append([]) == ()

    run(story())


def test_reading_needs_no_right_to_write(path: Path) -> None:
    run(write(journal(path), adopt(1)))
    before = {file: file.stat().st_mtime_ns for file in [path, *path.iterdir()]}
    files = CountedFiles()
    ledger = journal(path, files)
    run(ledger.recorded(HERE))
    run(ledger.head())
    run(ledger.verify())
    run(read(ledger))
    assert files.steps == []
    assert {file: file.stat().st_mtime_ns for file in [path, *path.iterdir()]} == before


def test_an_append_costs_one_write_and_two_syncs_whatever_its_length(path: Path) -> None:
    async def story(files: CountedFiles, drafts: list[EntryDraft]) -> list[str]:
        async with journal(path, files).lease(timeout_s=0) as lease:
            await lease.append([adopt(0)])
            start = len(files.steps)
            await lease.append(drafts)
            return files.steps[start:]

    for count in (1, 100):
        steps = run(story(CountedFiles(), [adopt(number) for number in range(count)]))
        assert steps == ["write", "sync", "remove", "write", "sync", "rename"]


def test_an_append_never_suspends(path: Path) -> None:
    async def story() -> None:
        async with journal(path).lease(timeout_s=0) as lease:
            step = lease.append([adopt(1)])
            with pytest.raises(StopIteration):
                step.send(None)

    run(story())


def test_segments_follow_each_other(path: Path) -> None:
    for number in range(6):
        run(write(journal(path, segment_bytes=500), adopt(number)))
    names = sorted(file.name for file in path.glob("*.jsonl"))
    assert len(names) > 1
    for name in names:
        first = json.loads((path / name).read_bytes().splitlines()[0])
        assert name == f"{first['sequence']:08d}.jsonl"
    assert drafts_of(run(read(journal(path)))) == [adopt(number) for number in range(6)]
    assert run(journal(path).verify()).segments == len(names)


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=5),
    segment_bytes=st.integers(1, 2000),
)
def test_what_is_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], segment_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("ledger")
    ledger = journal(path, segment_bytes=segment_bytes)
    for batch in batches:
        run(write(ledger, *map(adopt, batch)))
    expected = [adopt(number) for batch in batches for number in batch]
    assert drafts_of(run(read(journal(path)))) == expected
    report = run(journal(path).verify())
    assert (report.damage, report.head) == (None, run(ledger.head()))
    assert run(journal(path).recorded(HERE)) == run(ledger.recorded(HERE))


def test_an_export_is_the_lines_themselves(path: Path) -> None:
    async def story() -> bytes:
        return b"".join([line async for line in journal(path).export()])

    run(write(journal(path, segment_bytes=1), adopt(1)))
    run(write(journal(path, segment_bytes=1), adopt(2)))
    segments = sorted(path.glob("*.jsonl"))
    assert len(segments) == 2
    assert run(story()) == b"".join(segment.read_bytes() for segment in segments)


# Damage.


def story_of_three(path: Path) -> None:
    for number in (1, 2, 3):
        run(write(journal(path), adopt(number)))


def complaint_of(path: Path) -> str:
    with pytest.raises(DamagedLedgerError) as caught:
        run(journal(path).recorded(HERE))
    with pytest.raises(DamagedLedgerError):
        run(write(journal(path), adopt(9)))
    with pytest.raises(DamagedLedgerError):
        run(read(journal(path)))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "ledger/damaged"
    assert "shplan ledger recover" in diagnostic.hint
    return str(caught.value)


def test_a_changed_line_is_named(path: Path) -> None:
    story_of_three(path)
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-2", b"id-7"))
    message = complaint_of(path)
    assert "(00000000.jsonl:3)" in message
    assert "entry 2 is not the one that entry 3 was chained to" in message
    report = run(journal(path).verify())
    assert (report.place, report.damage.kind) == ("00000000.jsonl:3", DamageKind.CHANGED)


def test_a_changed_last_line_is_found_by_the_head_file(path: Path) -> None:
    story_of_three(path)
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-3", b"id-7"))
    assert "(00000000.jsonl:4): entry 3 is not the one that the head file names" in complaint_of(
        path
    )


def test_a_cut_tail_is_found_by_the_head_file(path: Path) -> None:
    story_of_three(path)
    file = path / SEGMENT
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    assert "(head.json)" in complaint_of(path)
    assert "entries 2 to 3 were cut off" in complaint_of(path)


def test_a_ledger_whose_segments_are_gone_is_found_by_the_head_file(path: Path) -> None:
    story_of_three(path)
    (path / SEGMENT).unlink()
    assert "the journal has no entry and the head file says" in complaint_of(path)
    assert "entries 0 to 3 were cut off" in complaint_of(path)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_segment_is_named(path: Path, lost: int) -> None:
    for number in range(4):
        run(write(journal(path, segment_bytes=1), adopt(number)))
    segments = sorted(path.glob("*.jsonl"))
    first = int(segments[lost].stem)
    segments[lost].unlink()
    assert f"{segments[lost + 1].name}:1): entry {first} is missing" in complaint_of(path)


@pytest.mark.parametrize("broken", [b"", b"{}", b"\x00" * 40, b'{"sequence":"1"}'])
def test_a_head_file_that_is_none_is_named(path: Path, broken: bytes) -> None:
    story_of_three(path)
    (path / "head.json").write_bytes(broken)
    assert "head.json is not the head of a ledger" in complaint_of(path)
    assert run(journal(path).verify()).damage.kind is DamageKind.HEAD


def test_damage_behind_a_reader_that_goes_on_is_found(path: Path) -> None:
    ledger = journal(path)
    story_of_three(path)
    run(ledger.recorded(HERE))
    file = path / SEGMENT
    file.write_bytes(file.read_bytes().replace(b"id-3", b"id-7"))
    with pytest.raises(DamagedLedgerError):
        run(journal(path).head())
    (path / "head.json").unlink()
    run(write(journal(path), adopt(4)))
    # Its own memory no longer fits the journal, so it reads from the beginning.
    assert run(ledger.recorded(HERE))[FIELDS].id == "id-4"
    assert run(ledger.head()) == run(journal(path).head())


def test_a_reader_goes_on_after_a_recovery_that_shortened_the_journal(path: Path) -> None:
    ledger = journal(path)
    story_of_three(path)
    run(ledger.recorded(HERE))
    file = path / SEGMENT
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    run(journal(path).recover(timeout_s=0))
    assert run(ledger.recorded(HERE))[FIELDS].id == "id-1"


def test_a_reader_whose_segment_has_vanished_says_what_is_cut(path: Path) -> None:
    ledger = journal(path)
    story_of_three(path)
    run(ledger.recorded(HERE))
    (path / SEGMENT).unlink()
    with pytest.raises(DamagedLedgerError, match="entries 0 to 3 were cut off"):
        run(ledger.recorded(HERE))


def test_a_newer_format_is_not_called_damage(path: Path) -> None:
    path.mkdir()
    (path / SEGMENT).write_bytes(b'{"sequence":0,"v":2}\n')
    with pytest.raises(LedgerError, match="written by a newer shplan") as caught:
        run(journal(path).recorded(HERE))
    assert not isinstance(caught.value, DamagedLedgerError)
    with pytest.raises(LedgerError, match="written by a newer shplan"):
        run(journal(path).recover(timeout_s=0))
    assert (path / SEGMENT).read_bytes() == b'{"sequence":0,"v":2}\n'


# Torn lines and heads that are behind.


def test_a_torn_line_is_repaired_at_every_offset_and_loses_nothing_acknowledged(path: Path) -> None:
    run(write(journal(path), adopt(1)))
    acknowledged = content(path)
    run(write(journal(path), adopt(2)))
    whole = (path / SEGMENT).read_bytes()
    done = len(acknowledged[SEGMENT])
    for length in range(done, len(whole) + 1):
        (path / SEGMENT).write_bytes(whole[:length])
        (path / "head.json").write_bytes(acknowledged["head.json"])
        survived = [adopt(1)] + [adopt(2)] * (length == len(whole))
        assert drafts_of(run(read(journal(path)))) == survived
        assert run(journal(path).verify()).torn_bytes == (length - done) % (len(whole) - done)
        run(write(journal(path), adopt(3)))
        assert drafts_of(run(read(journal(path)))) == [*survived, adopt(3)]
        report = run(journal(path).verify())
        assert (report.damage, report.torn_bytes) == (None, 0)


def test_a_torn_line_that_was_acknowledged_is_damage(path: Path) -> None:
    story_of_three(path)
    file = path / SEGMENT
    file.write_bytes(file.read_bytes()[:-1])
    assert "entry 3 was cut off" in complaint_of(path)


def test_a_torn_first_line_is_repaired(path: Path) -> None:
    path.mkdir()
    (path / SEGMENT).write_bytes(b'{"actor":{"us')
    assert run(read(journal(path))) == []
    run(write(journal(path), adopt(1)))
    assert drafts_of(run(read(journal(path)))) == [adopt(1)]


def test_a_segment_that_was_begun_and_not_written_is_taken_up(path: Path) -> None:
    run(write(journal(path), adopt(1)))
    (path / "00000002.jsonl").write_bytes(b"")
    run(write(journal(path), adopt(2)))
    assert drafts_of(run(read(journal(path)))) == [adopt(1), adopt(2)]
    assert (path / "00000002.jsonl").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("head", ["older", "missing"])
def test_a_head_that_is_behind_is_repaired_by_the_next_writer(path: Path, head: str) -> None:
    run(write(journal(path), adopt(1)))
    older = (path / "head.json").read_bytes()
    run(write(journal(path), adopt(2)))
    newest = (path / "head.json").read_bytes()
    if head == "older":
        (path / "head.json").write_bytes(older)
    else:
        (path / "head.json").unlink()
    assert run(journal(path).recorded(HERE))[FIELDS].id == "id-2"

    async def enter() -> None:
        async with journal(path).lease(timeout_s=0):
            pass

    run(enter())
    assert (path / "head.json").read_bytes() == newest


# Who may write.


def test_only_one_may_hold_it_and_the_other_learns_who(path: Path) -> None:
    async def story() -> str:
        async with journal(path, user="ada").lease(timeout_s=0):
            with pytest.raises(LockedError) as caught:
                async with journal(path, user="bob").lease(timeout_s=0):
                    pass
        async with journal(path, user="bob").lease(timeout_s=0):
            pass
        return str(caught.value)

    message = run(story())
    assert f"held by process {os.getpid()} of ada on " in message
    assert "since 2025-06-01T10:00:00.000Z" in message
    assert ".shplan/ledger" in message


def test_the_lease_is_waited_for(path: Path) -> None:
    async def story() -> float:
        waiting = journal(path)
        clock = HandClock()
        waiting._tail.clock = clock
        held = journal(path).lease(timeout_s=0)
        await held.__aenter__()
        with pytest.raises(LockedError, match="waited 5 s"):
            async with waiting.lease(timeout_s=5):
                pass
        waited_s = clock.slept_s
        await held.__aexit__(None, None, None)
        async with waiting.lease(timeout_s=5):
            pass
        return waited_s

    assert run(story()) == pytest.approx(5)


def test_nothing_is_written_outside_a_lease(path: Path) -> None:
    async def story() -> None:
        lease = journal(path).lease(timeout_s=0)
        with pytest.raises(LedgerError, match="without a lease"):
            await lease.append([adopt(1)])
        async with lease:
            pass
        with pytest.raises(LedgerError, match="without a lease"):
            await lease.append([adopt(1)])

    run(story())
    assert run(read(journal(path))) == []


def test_a_lease_on_a_damaged_ledger_is_given_back(path: Path) -> None:
    story_of_three(path)
    whole = content(path)
    (path / SEGMENT).write_bytes(b"")
    with pytest.raises(DamagedLedgerError):
        run(write(journal(path), adopt(4)))
    (path / SEGMENT).write_bytes(whole[SEGMENT])
    run(write(journal(path), adopt(4)))


@pytest.mark.parametrize("touched", [SEGMENT, "head.json"])
def test_a_change_of_either_file_under_a_lease_is_noticed(path: Path, touched: str) -> None:
    async def story() -> None:
        await write(journal(path), adopt(1))
        await write(journal(path), adopt(2))
        async with journal(path).lease(timeout_s=0) as lease:
            await lease.append([adopt(3)])
            file = path / touched
            if touched == SEGMENT:
                file.write_bytes(file.read_bytes() + b"x")
            else:
                file.write_bytes(file.read_bytes().replace(b'"sequence":3', b'"sequence":2'))
            with pytest.raises(LedgerError, match="somebody else wrote"):
                await lease.append([adopt(4)])

    run(story())


def test_a_writer_that_the_lock_did_not_keep_out_is_noticed(path: Path) -> None:
    async def story() -> None:
        async with journal(path).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            (path / "lock").unlink()
            await write(journal(path), adopt(2))
            with pytest.raises(LedgerError, match="somebody else wrote"):
                await lease.append([adopt(3)])
            with pytest.raises(LedgerError, match="after a write had failed"):
                await lease.append([adopt(4)])

    run(story())
    assert drafts_of(run(read(journal(path)))) == [adopt(1), adopt(2)]


# Nothing but what was given.


def test_no_secret_of_the_environment_reaches_a_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SH_CLIENT_SECRET", "canary-4711")
    monkeypatch.setenv("USER", "canary-4711")

    async def story() -> None:
        async with journal(path).lease(timeout_s=0) as lease:
            await lease.append([intent()])
            assert b"canary-4711" not in b"".join(content(path).values())

    run(story())
    assert b"canary-4711" not in b"".join(content(path).values())


def test_what_others_have_appended_since_the_lease_was_given_back_is_read(path: Path) -> None:
    async def scenario() -> None:
        mine, others = journal(path), journal(path, user="bob")
        for number in range(3):
            async with mine.lease(timeout_s=0) as lease:
                told = await mine.others() if number else ()
                assert [entry.actor["user"] for entry in told] == ["bob"] * number
                await lease.append([adopt(number)])
            for _ in range(number + 1):
                await write(others, adopt(9))
        async with mine.lease(timeout_s=0):
            assert len(await mine.others()) == 3

    run(scenario())


def test_a_ledger_that_is_not_the_one_that_was_left_is_noticed(path: Path, tmp_path: Path) -> None:
    """Put back from an older copy, or written anew, while nobody held it."""

    async def scenario(number: int) -> None:
        here = path / str(number)
        mine = journal(here)
        await write(mine, adopt(1))
        copy = content(here)
        await write(mine, adopt(2))
        for name in content(here):
            (here / name).unlink()
        if number:
            for name, data in copy.items():
                (here / name).write_bytes(data)
        else:
            await write(journal(here, user="bob"), adopt(3), adopt(4), adopt(5))
        async with mine.lease(timeout_s=0):
            with pytest.raises(LedgerError):
                await mine.others()

    for number in range(2):
        run(scenario(number))
