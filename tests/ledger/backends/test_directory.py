"""A ledger on a disk: cut the power at any step, fill the disk, kill the holder."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from shplan.core.entry import EntryDraft, Event
from shplan.core.errors import LedgerError, LockedError
from shplan.ledger.journal import Journal
from shplan.ledger.port import Holder

from ..support import (  # noqa: TID252 - the tests are no installed package
    HERE,
    CountedFiles,
    PowerCutError,
    adopt,
    backend,
    content,
    drafts_of,
    journal,
    read,
    run,
    write,
)

BATCHES = [[adopt(1)], [adopt(2), adopt(3)], [adopt(4)]]


async def append_all(ledger: Journal) -> list[EntryDraft]:
    """Return what was acknowledged before the power was cut, or before the disk refused."""
    acknowledged: list[EntryDraft] = []
    try:
        for batch in BATCHES:
            async with ledger.lease(timeout_s=0) as lease:
                await lease.append(batch)
                acknowledged += batch
    except PowerCutError:
        ledger._backend._lock.release()
    except LedgerError as error:
        if "cannot be written: No space left on device" not in str(error):
            raise
    return acknowledged


def steps_of(tmp_path: Path, segment_bytes: int) -> int:
    files = CountedFiles()
    run(append_all(journal(tmp_path / "rehearsal", files, segment_bytes=segment_bytes)))
    return len(files.steps)


@pytest.mark.parametrize("segment_bytes", [1, 10**6])
@pytest.mark.parametrize("error", [PowerCutError, OSError])
def test_a_failure_at_any_step_loses_nothing_acknowledged(
    tmp_path: Path, segment_bytes: int, error: type[BaseException]
) -> None:
    everything = [draft for batch in BATCHES for draft in batch]
    total = steps_of(tmp_path, segment_bytes)
    assert total > 15
    for step in range(total):
        path = tmp_path / str(step)
        files = CountedFiles(step, error)
        acknowledged = run(append_all(journal(path, files, segment_bytes=segment_bytes)))
        found = drafts_of(run(read(journal(path))))
        assert found[: len(acknowledged)] == acknowledged, step
        assert found == everything[: len(found)], step
        run(write(journal(path, segment_bytes=segment_bytes), adopt(9)))
        assert drafts_of(run(read(journal(path)))) == [*found, adopt(9)], step
        report = run(journal(path).verify())
        assert (report.damage, report.torn_bytes) == (None, 0), step


@pytest.mark.parametrize("segment_bytes", [1, 10**6])
def test_a_head_whose_new_name_was_lost_with_the_power_is_only_behind(
    tmp_path: Path, segment_bytes: int
) -> None:
    for step in range(steps_of(tmp_path, segment_bytes)):
        path = tmp_path / str(step)
        run(write(journal(path, segment_bytes=segment_bytes), adopt(0)))
        head = (path / "head.json").read_bytes()
        dying = journal(path, CountedFiles(step), segment_bytes=segment_bytes)
        acknowledged = run(append_all(dying))
        (path / "head.json").write_bytes(head)
        found = drafts_of(run(read(journal(path))))
        assert found[: 1 + len(acknowledged)] == [adopt(0), *acknowledged]


def test_a_refused_write_leaves_nothing_half_believed(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    run(write(journal(path), adopt(1)))
    before = content(path)

    async def story(fail_after: int) -> None:
        files = CountedFiles(error=OSError)
        ledger = journal(path, files)
        async with ledger.lease(timeout_s=0) as lease:
            files.fail_at = len(files.steps) + fail_after
            with pytest.raises(LedgerError, match="No space left on device"):
                await lease.append([adopt(2)])
            with pytest.raises(LedgerError, match="after a write had failed"):
                await lease.append([adopt(3)])
            assert (await ledger.recorded(HERE)) == (await journal(path).recorded(HERE))

    for fail_after in (0, 1):  # the write, its sync
        run(story(fail_after))
        assert content(path) == before


def test_lines_and_their_files_name_are_kept_before_the_head(tmp_path: Path) -> None:
    files = CountedFiles()
    run(write(journal(tmp_path, files), adopt(1)))
    head = ["remove", "write", "sync", "rename"]
    assert files.steps == ["make_directory", "write", "sync", "name", "sync", *head, "remove"]


def test_what_a_dead_writer_left_is_kept_before_the_head(tmp_path: Path) -> None:
    run(write(journal(tmp_path), adopt(1)))
    (tmp_path / "head.json").unlink()
    with (tmp_path / "00000000.jsonl").open("ab") as file:
        file.write(b"torn")
    files = CountedFiles()

    async def enter() -> None:
        async with journal(tmp_path, files).lease(timeout_s=0):
            head = ["remove", "write", "sync", "rename"]
            assert files.steps == ["make_directory", "truncate", "sync", "name", "sync", *head]

    run(enter())


def test_a_place_that_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ledger = journal(tmp_path / "file")
    with pytest.raises(LedgerError, match=r"\.shplan/ledger cannot be read: Not a directory"):
        run(ledger.head())
    with pytest.raises(LedgerError, match=r"\.shplan/ledger cannot be written"):
        run(write(ledger, adopt(1)))


def test_a_missing_right_is_said(tmp_path: Path) -> None:
    class Forbidden(CountedFiles):
        def make_directory(self, path: Path) -> None:
            raise PermissionError(13, "Permission denied")

    with pytest.raises(LedgerError, match="cannot be written: Permission denied"):
        run(write(journal(tmp_path / "ledger", Forbidden()), adopt(1)))


def test_other_files_in_the_directory_are_no_segments(tmp_path: Path) -> None:
    run(write(journal(tmp_path), adopt(1)))
    for name in ("notes.jsonl", "00000000.jsonl.bak", "1.jsonl"):
        (tmp_path / name).write_text("not an entry\n")
    assert drafts_of(run(read(journal(tmp_path)))) == [adopt(1)]


def test_who_reads_while_an_entry_is_written_sees_no_half_of_it(tmp_path: Path) -> None:
    """The file of a long entry grows by pages, and a reader may come between two of them."""
    run(write(journal(tmp_path), adopt(1)))
    run(write(journal(tmp_path), adopt(2)))
    (segment,) = tmp_path.glob("0*.jsonl")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])

    async def meanwhile() -> list[bytes]:
        found: list[bytes] = []
        async for part in backend(tmp_path).segments(None):
            for line in part.lines:
                found.append(line)
                if not line.endswith(b"\n"):
                    segment.write_bytes(whole)
        return found

    assert run(meanwhile()) == whole[:-20].splitlines(keepends=True)
    assert content(tmp_path)[segment.name] == whole


CHILD = textwrap.dedent(
    """
    import asyncio, sys, time
    from datetime import UTC, datetime
    from pathlib import Path
    from shplan.core.entry import EntryDraft, Event
    from shplan.ledger.backends.directory import DirectoryBackend
    from shplan.ledger.journal import Journal

    class Clock:
        def now(self): return datetime.now(UTC)
        def monotonic(self): return time.monotonic()
        async def sleep(self, seconds): await asyncio.sleep(seconds)

    async def main(path, leases, appends):
        ledger = Journal(DirectoryBackend(Path(path)), clock=Clock(), actor={"user": "child"})
        for _ in range(leases):
            async with ledger.lease(timeout_s=60) as lease:
                print("held", flush=True)
                for _ in range(appends):
                    (entry,) = await lease.append([EntryDraft(Event.FORGET)])
                    print(entry.sequence, flush=True)
                if not appends:
                    sys.stdin.read()
            await asyncio.sleep(0.01)

    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    """
)


def start(path: Path, *, leases: int, appends: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(leases), str(appends)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with start(tmp_path, leases=1, appends=0) as child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {child.pid} of child on "):
            run(write(journal(tmp_path), adopt(1)))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    run(write(journal(tmp_path), adopt(1)))
    _, told, entry = run(read(journal(tmp_path)))
    assert told.draft.event is Event.TAKEOVER
    dead = told.draft.data["holder"]
    assert (dead["pid"], dead["user"]) == (child.pid, "child")
    assert told.fence == entry.fence
    run(write(journal(tmp_path), adopt(2)))
    assert len(run(read(journal(tmp_path)))) == 4


def test_the_dead_of_whom_no_entry_tells_yet_are_not_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        one = backend(tmp_path)
        await one.acquire(Holder(1, "ada", "here", "now"))
        one._lock.release()
        two = backend(tmp_path)
        await two.acquire(Holder(2, "bob", "here", "later"))
        assert [holder.pid for holder in two.dead] == [1]
        two._lock.release()
        three = backend(tmp_path)
        await three.acquire(Holder(3, "eve", "here", "at last"))
        assert [holder.pid for holder in three.dead] == [1, 2]
        await three.release()

    run(story())
    run(write(journal(tmp_path), adopt(1)))
    told = [entry.draft.data["holder"]["pid"] for entry in run(read(journal(tmp_path)))[1:3]]
    assert told == [1, 2]
    assert not (tmp_path / "holder.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_writer_loses_nothing_that_it_was_told_is_kept(tmp_path: Path) -> None:
    with start(tmp_path, leases=1, appends=10**6) as child:
        assert child.stdout.readline() == "held\n"
        for _ in range(20):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        told = [line for line in child.stdout.read().split("\n") if line]
    last = int(told[-1]) if told else 20
    entries = run(read(journal(tmp_path)))
    assert len(entries) - 1 in (last, last + 1)
    run(write(journal(tmp_path), adopt(1)))
    assert run(journal(tmp_path).verify()).damage is None


def test_processes_that_compete_take_turns(tmp_path: Path) -> None:
    children = [start(tmp_path, leases=4, appends=3) for _ in range(3)]
    written = [
        int(line)
        for child in children
        for line in child.communicate()[0].splitlines()
        if line != "held"
    ]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(written) == list(range(1, 37))
    entries = run(read(journal(tmp_path)))
    assert len(entries) == 37
    assert {entry.fence for entry in entries} == set(range(1, 13))
    for fence in range(1, 13):
        turn = [entry.sequence for entry in entries[1:] if entry.fence == fence]
        assert turn == list(range(turn[0], turn[0] + 3))


def test_who_holds_it_is_seen_without_trying_the_lock(tmp_path: Path) -> None:
    path = tmp_path
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    async def scenario() -> None:
        mine, others = backend(path), backend(path)
        assert await others.holder() is None
        me = Holder(os.getpid(), "ada", platform.node(), "2026")
        assert await mine.acquire(me) is None
        assert await others.holder() == me
        await mine.release()
        assert await others.holder() is None
        # One that died without letting go, here; of another machine nobody can know.
        gone = Holder(ended.pid, "ada", platform.node(), "2026")
        for holder, seen in ((gone, None), (replace(gone, host="far"), replace(gone, host="far"))):
            dying = backend(path)
            assert await dying.acquire(holder) is None
            dying._lock.release()
            assert await others.holder() == seen

    run(scenario())
