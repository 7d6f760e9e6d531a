"""
Lies, in every place: each is whole in itself, and something says that it is not what was written.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shplan.core.anchors import Anchor
from shplan.core.chain import DamageKind, Head
from shplan.core.entry import LedgerEntry
from shplan.core.errors import LedgerError
from shplan.ledger import checkpoint
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.journal import Journal
from shplan.ledger.known import Known
from shplan.ledger.port import Holder
from shplan.ledger.reading import read as read_from
from shplan.ledger.verification import Report
from tests.ledger.backends.places import (
    BucketPlace,
    DirectoryPlace,
    Place,
    PostgresPlace,
    journal,
    lines,
)
from tests.ledger.support import HandClock, adopt, run, write

OURS = {"project": "fields", "environment": "prod"}


def of_project(place: Place, project: str = "fields", **options: Any) -> Journal:
    origin = {**OURS, "project": project}
    return Journal(
        place.backend(), clock=HandClock(), actor={"user": "ada"}, origin=origin, **options
    )


def verified(place: Place, *anchors: Anchor) -> Report:
    return run(of_project(place).verify(anchors))


def head_of(place: Place) -> Head:
    return verified(place).end


def anchor(head: Head) -> Anchor:
    return Anchor.parse(f"{head.sequence}:{head.hash}", source="CI")


class Copy:
    """A place as it was at some moment, with all that lies there."""

    def __init__(self, place: Place, scratch: Path) -> None:
        self._place = place
        if isinstance(place, DirectoryPlace):
            self._files = Path(shutil.copytree(place.path, scratch / "copy"))
        elif isinstance(place, BucketPlace):
            self._objects = dict(place.bucket.objects)
        else:
            _do(place, "CREATE SCHEMA copy")
            for table in ("ledger_entry", "ledger_head"):
                _do(place, f"CREATE TABLE copy.{table} AS TABLE ledger.{table}")

    def put_back(self) -> None:
        place = self._place
        if isinstance(place, DirectoryPlace):
            shutil.rmtree(place.path)
            shutil.copytree(self._files, place.path)
        elif isinstance(place, BucketPlace):
            place.bucket.objects = dict(self._objects)
        else:
            for table in ("ledger_entry", "ledger_head"):
                _do(place, f"DELETE FROM ledger.{table}")
                _do(place, f"INSERT INTO ledger.{table} SELECT * FROM copy.{table}")


def _do(place: Place, statement: str) -> None:
    assert isinstance(place, PostgresPlace)
    with psycopg.connect(autocommit=True, **place.parameters) as connection:
        connection.execute(statement.encode())


def test_a_checkpoint_that_says_other_things_than_the_entries_is_found(place: Place) -> None:
    """Also where an entry vouches for it, as only whoever may write can make one."""

    async def story() -> None:
        await write(of_project(place), adopt(1), adopt(2))
        known = Known()
        reading = await read_from(place.backend(), known.take)
        known.head, known.end = reading.verdict.head, reading.end
        known.take(LedgerEntry(9, 1, "", {}, "", adopt(666)))
        made = checkpoint.encode(known)
        await write(of_project(place), checkpoint.draft(made))
        forger = place.backend()
        assert await forger.acquire(_me()) is None
        await forger.keep_checkpoint(made)
        await forger.release()

    run(story())
    report = verified(place)
    assert (report.damage, report.checkpoint) == (None, CheckpointState.WRONG)
    assert not report.proven
    assert run(of_project(place).recover(timeout_s=0)) is None
    assert verified(place).proven


def _me() -> Holder:
    return Holder(7, "eve", "here", "2025-06-01T10:00:00.000Z")


def test_a_ledger_of_an_older_time_is_found_by_every_later_anchor(
    place: Place, tmp_path: Path
) -> None:
    """Lines, head, lease and checkpoint put back together: nothing in it tells, an anchor does."""
    run(write(of_project(place), adopt(1)))
    old, copy = head_of(place), Copy(place, tmp_path)
    run(write(of_project(place), adopt(2)))
    new = head_of(place)
    assert verified(place, anchor(old), anchor(new)).proven
    copy.put_back()
    report = verified(place, anchor(old), anchor(new))
    assert report.damage is None
    assert [one.met for one in report.anchors] == [True, False]
    assert not report.proven


def test_lines_and_head_of_an_older_time_are_found_by_a_newer_checkpoint(
    place: Place, tmp_path: Path
) -> None:
    """Whoever cuts off the end and forgets what was made of it."""
    run(write(of_project(place), adopt(1)))
    old = Copy(place, tmp_path)
    run(write(of_project(place, checkpoint_bytes=1), adopt(2)))
    kept = run(place.backend().checkpoint())
    assert kept is not None
    old.put_back()

    async def keep() -> None:
        holder = place.backend()
        await holder.head()
        assert await holder.acquire(_me()) is None
        await holder.keep_checkpoint(kept)
        await holder.release()

    run(keep())
    report = verified(place)
    assert (report.damage, report.checkpoint) == (None, CheckpointState.ALTERED)
    assert not report.proven


def test_the_ledger_of_another_project_is_told(place: Place) -> None:
    run(write(of_project(place, "other"), adopt(1)))
    report = verified(place)
    assert (report.damage, report.proven) == (None, False)
    assert report.origin == "project other, environment prod"
    assert run(of_project(place, "other").verify()).proven
    # Of a ledger that nobody asked about, and of one from before, nothing is said.
    assert run(journal(place).verify()).proven


@pytest.mark.parametrize("checkpoint_bytes", [1, 10**6])
def test_nobody_goes_by_the_ledger_of_another_project(place: Place, checkpoint_bytes: int) -> None:
    """It says what to change and to delete; also where only its checkpoint is read."""
    run(write(of_project(place, "other", checkpoint_bytes=checkpoint_bytes), adopt(1)))
    before = run(lines(place))
    guarded = of_project(place, own_only=True)
    for asked in (guarded.head(), guarded.recorded("sandbox"), write(guarded, adopt(2))):
        with pytest.raises(LedgerError, match="is the ledger of project other, environment prod"):
            run(asked)
    # Nobody is in its way, either.
    theirs = of_project(place, "other", own_only=True)
    run(write(theirs, adopt(3)))
    assert run(lines(place))[: len(before)] == before
    assert [one.draft for one in run(_all(theirs)) if one.draft.address] == [adopt(1), adopt(3)]
    assert run(_all(guarded))


async def _all(ledger: Journal) -> list[LedgerEntry]:
    return [entry async for entry in ledger.entries()]


def test_a_ledger_that_does_not_say_whose_it_is_is_taken_as_it_is(place: Place) -> None:
    run(write(journal(place), adopt(1)))
    assert verified(place).proven


@pytest.mark.parametrize("at", [1, 2])
def test_entries_of_another_project_are_found_wherever_they_are_put(
    place: Place, at: int, tmp_path: Path
) -> None:
    run(write(of_project(place), adopt(1), adopt(2), adopt(3)))
    other = DirectoryPlace(tmp_path / "other")
    run(write(of_project(other, "other"), adopt(1), adopt(2), adopt(3)))
    ours, theirs = run(lines(place)), run(lines(other))
    assert len(ours) == len(theirs) == 4
    _put(place, [*ours[:at], theirs[at], *ours[at + 1 :]])
    report = verified(place)
    assert report.damage is not None
    assert report.damage.kind is DamageKind.CHANGED
    _put(place, [*ours[:at], *theirs[at:]])
    assert verified(place).damage is not None
    _put(place, ours)
    assert verified(place).proven


def _put(place: Place, every: list[bytes]) -> None:
    """Put lines where those of the ledger lie: one object, one file, a row each."""
    if isinstance(place, DirectoryPlace):
        for file in place.path.glob("*.jsonl"):
            file.unlink()
        (place.path / "00000000.jsonl").write_bytes(b"".join(every))
    elif isinstance(place, BucketPlace):
        (key,) = (key for key in place.bucket.objects if "/entries/" in key)
        place.bucket.objects[key] = (b"".join(every), 99, 0.0)
    else:
        assert isinstance(place, PostgresPlace)
        with psycopg.connect(autocommit=True, **place.parameters) as connection:
            for number, line in enumerate(every):
                query = "UPDATE ledger.ledger_entry SET line = %s WHERE sequence = %s"
                connection.execute(query, (line, number))


def test_two_objects_that_changed_places_are_found() -> None:
    place = BucketPlace(fan=100)
    for number in range(4):
        run(write(of_project(place), adopt(number)))
    keys = sorted(key for key in place.bucket.objects if "/entries/" in key)
    whole = dict(place.bucket.objects)
    for one, other in zip(keys, keys[1:], strict=False):
        place.bucket.objects = {**whole, one: whole[other], other: whole[one]}
        assert verified(place).damage is not None


def test_two_rows_that_changed_places_are_found(table: PostgresPlace) -> None:
    run(write(of_project(table), adopt(1), adopt(2), adopt(3)))
    for one, other in ((0, 1), (1, 2), (2, 3)):
        swap = (
            f"UPDATE ledger.ledger_entry SET line = (SELECT line FROM ledger.ledger_entry AS o"
            f" WHERE o.sequence = {one} + {other} - ledger_entry.sequence)"
            f" WHERE sequence IN ({one}, {other})"
        )
        _do(table, swap)
        assert verified(table).damage is not None
        _do(table, swap)
        assert verified(table).proven


def test_a_head_of_an_older_time_is_said_and_mended(place: Place) -> None:
    """The entries are all there: it is what a writer leaves that died between both."""
    run(write(of_project(place), adopt(1)))
    old = head_of(place)
    run(write(of_project(place), adopt(2)))

    async def put_back() -> None:
        forger = place.backend()
        await forger.head()
        assert await forger.acquire(_me()) is None
        await forger.head()
        reading = await read_from(forger, lambda _: None)
        await forger.repair(reading.end, old)
        await forger.release()

    run(put_back())
    report = verified(place)
    assert (report.damage, report.head_behind) == (None, 1)
    run(write(of_project(place), adopt(3)))
    assert (verified(place).head_behind, verified(place).proven) == (0, True)
