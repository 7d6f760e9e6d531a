"""A damaged ledger is set aside whole; what is intact goes on in a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.errors import LedgerError

from .support import (
    FIELDS,
    HERE,
    CountedFiles,
    PowerCutError,
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
    path = tmp_path / "ledger"
    for number in range(5):
        run(write(journal(path, user=f"user-{number}"), adopt(number)))
    return path


def lines(path: Path) -> list[bytes]:
    return (path / SEGMENT).read_bytes().splitlines(keepends=True)


def recover_without(path: Path, *lost: int) -> None:
    """Recover, and find all but the lost numbers, in order, under their own actors."""
    old = {name: data for name, data in content(path).items() if name in (SEGMENT, "head.json")}
    done = run(journal(path).recover(timeout_s=0))
    assert done is not None
    kept = [number for number in range(5) if number not in lost]
    first, *others = run(read(journal(path)))
    others = [entry for entry in others if entry.draft.event is not Event.GENESIS]
    assert [entry.draft for entry in others] == [adopt(number) for number in kept]
    assert [entry.actor["user"] for entry in others] == [f"user-{number}" for number in kept]
    assert first.draft.event is Event.RECOVER
    assert str(first.draft.data["head"]).startswith("sha256:")
    assert run(journal(path).verify()).damage is None
    assert run(journal(path).head()) == done.end.hash
    assert done.aside == ".shplan/ledger/damaged-1"
    assert content(path / "damaged-1") == old
    run(write(journal(path), adopt(9)))
    assert drafts_of(run(read(journal(path))))[-1] == adopt(9)


def test_an_intact_ledger_is_left_alone(path: Path) -> None:
    before = content(path)
    assert run(journal(path).recover(timeout_s=0)) is None
    assert content(path) == before


def test_a_changed_entry_alone_is_lost(path: Path) -> None:
    (path / SEGMENT).write_bytes(b"".join(lines(path)).replace(b"id-2", b"id-x"))
    recover_without(path, 2)


def test_a_changed_last_entry_alone_is_lost(path: Path) -> None:
    (path / SEGMENT).write_bytes(b"".join(lines(path)).replace(b"id-4", b"id-x"))
    recover_without(path, 4)


def test_a_line_of_garbage_alone_is_lost(path: Path) -> None:
    parts = lines(path)
    parts[3] = b"garbage\n"
    (path / SEGMENT).write_bytes(b"".join(parts))
    recover_without(path, 2)


def test_a_dropped_entry_alone_is_lost(path: Path) -> None:
    parts = lines(path)
    del parts[3]
    (path / SEGMENT).write_bytes(b"".join(parts))
    recover_without(path, 2)


def test_a_cut_tail_alone_is_lost(path: Path) -> None:
    (path / SEGMENT).write_bytes(b"".join(lines(path)[:4]) + lines(path)[4][:20])
    recover_without(path, 3, 4)


def test_what_was_only_moved_or_repeated_is_kept(path: Path) -> None:
    parts = lines(path)
    parts[1], parts[4] = parts[4], parts[1]
    (path / SEGMENT).write_bytes(b"".join([*parts, parts[2]]))
    recover_without(path)


def test_a_broken_head_file_costs_no_entry(path: Path) -> None:
    (path / "head.json").write_bytes(b"?")
    recover_without(path)


def test_what_was_lost_is_named(path: Path) -> None:
    (path / SEGMENT).write_bytes(b"".join(lines(path)).replace(b"id-2", b"id-x"))
    done = run(journal(path).recover(timeout_s=0))
    assert done is not None
    assert [(lost.place, lost.why) for lost in done.findings.lost] == [
        ("00000000.jsonl:4", "nothing confirms entry 3")
    ]
    assert done.findings.kept == 5
    assert run(read(journal(path)))[0].draft.data["lostAt"] == ["00000000.jsonl:4"]


def test_outcomes_keep_their_intents_under_new_numbers(tmp_path: Path) -> None:
    path = tmp_path / "fresh"
    (_, second) = run(write(journal(path), intent(), intent("start")))
    settled = Settlement(Result.DONE, id="c1")
    run(
        write(
            journal(path),
            EntryDraft(
                Event.OUTCOME, FIELDS, deployment=HERE, intent=second.sequence, settlement=settled
            ),
        )
    )
    (path / "head.json").write_bytes(b"?")
    run(journal(path).recover(timeout_s=0))
    recorded = run(journal(path).recorded(HERE))[FIELDS]
    assert recorded.id == "c1"
    assert [pending.operation for pending in recorded.pending] == ["create"]


def test_the_outcome_of_a_lost_intent_still_teaches(tmp_path: Path) -> None:
    path = tmp_path / "fresh"
    run(write(journal(path), adopt(1)))
    run(write(journal(path), intent(), intent("start")))
    settled = Settlement(Result.DONE, id="c1")
    outcome = EntryDraft(Event.OUTCOME, FIELDS, deployment=HERE, intent=2, settlement=settled)
    run(write(journal(path), outcome))
    parts = lines(path)
    parts[2] = b"garbage\n"
    (path / SEGMENT).write_bytes(b"".join(parts))
    run(journal(path).recover(timeout_s=0))
    recorded = run(journal(path).recorded(HERE))[FIELDS]
    assert recorded.id == "c1"
    assert [pending.operation for pending in recorded.pending] == ["start"]


def test_a_last_entry_that_fits_nothing_is_lost_even_without_a_head(path: Path) -> None:
    parts = lines(path)
    old = parts[4].split(b'"previous":"')[1][:20]
    parts[5] = parts[5].replace(parts[5].split(b'"previous":"')[1][:20], old)
    (path / SEGMENT).write_bytes(b"".join(parts))
    (path / "head.json").unlink()
    done = run(journal(path).recover(timeout_s=0))
    assert done is not None
    assert [lost.place for lost in done.findings.lost] == ["00000000.jsonl:6"]
    assert drafts_of(run(read(journal(path)))) == [adopt(number) for number in range(4)]


def test_each_recovery_gets_its_own_place(path: Path) -> None:
    for number in (1, 2):
        (path / "head.json").write_bytes(b"?")
        done = run(journal(path).recover(timeout_s=0))
        assert done is not None
        assert done.aside.endswith(f"damaged-{number}")
    names = {file.name for file in path.iterdir()}
    assert names >= {"damaged-1", "damaged-2"}
    # Nothing is left that looks as if it were still to be done.
    assert "recovering" not in names


def test_a_power_cut_at_any_step_of_a_recovery_loses_nothing(tmp_path: Path) -> None:
    step = 0
    while True:
        path = tmp_path / str(step)
        for number in range(3):
            run(write(journal(path, segment_bytes=1), adopt(number)))
        (path / "head.json").write_bytes(b"?")
        old = {name: data for name, data in content(path).items() if name != "lock"}
        files = CountedFiles(step)
        dying = journal(path, files, segment_bytes=1)
        try:
            run(dying.recover(timeout_s=0))
        except PowerCutError:
            dying._backend._lock.release()
        else:
            break
        try:
            damaged = run(journal(path).verify()).damage is not None
        except LedgerError as error:
            if "recovery of the ledger .shplan/ledger was interrupted" not in str(error):
                raise
            damaged = True
        if damaged:
            run(journal(path).recover(timeout_s=0))
        assert drafts_of(run(read(journal(path)))) == [adopt(number) for number in range(3)]
        assert content(path / "damaged-1") == old
        assert run(journal(path).verify()).damage is None
        step += 1
    assert step > 15
