"""
Every altered byte of a ledger in a bucket, and altered rows of one in PostgreSQL, are reported.

What stands in a directory is altered in `tests/ledger/test_mutations.py`.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from shplan.core.chain import DamageKind
from shplan.core.errors import LedgerError
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.journal import Journal
from shplan.ledger.tail import CHECKPOINT_BYTES
from tests.ledger.backends.places import BucketPlace, Place, PostgresPlace, journal
from tests.ledger.support import HandClock, adopt, intent, read, run, write
from tests.ledger.test_mutations import mutations
from tests.support.samples import some


async def three_leases(place: Place) -> None:
    """Three leases, the second of which leaves a checkpoint behind."""
    for drafts, checkpoint_bytes in (
        ([intent(), adopt(1)], CHECKPOINT_BYTES),
        ([adopt(2)], 1),
        ([intent("delete"), adopt(3)], CHECKPOINT_BYTES),
    ):
        ledger = Journal(
            place.backend(),
            clock=HandClock(),
            actor={"user": "ada"},
            checkpoint_bytes=checkpoint_bytes,
        )
        await write(ledger, *drafts)
    report = await journal(place).verify()
    assert (report.checkpoint, report.proven) == (CheckpointState.GOOD, True)


async def is_reported(place: Place) -> bool:
    """Verify leaves with 1, or cannot even begin."""
    try:
        return not (await journal(place).verify()).proven
    except LedgerError:
        return True


@pytest.mark.sampled
def test_every_changed_byte_of_every_object_is_reported() -> None:
    """
    Whatever it is: lines, head, checkpoint, lease, the question to the store.

    Each byte in some ways, and the next one in others; in `make slow` each in all of them.
    """
    step = some(5, thorough=1)
    place = BucketPlace(fan=100)

    async def story() -> int:
        await three_leases(place)
        whole = dict(place.bucket.objects)
        names = {key.removeprefix("ledgers/prod/") for key in whole}
        assert {"lease.json", "probe.txt", "1/head.json", "1/checkpoint.json"} < names
        count = 0
        for key in whole:
            content = whole[key][0]
            for what, changed in itertools.islice(mutations(content), 0, None, step):
                if changed == content:
                    continue
                count += 1
                place.bucket.objects = {**whole, key: (changed, 10_000 + count, 0.0)}
                assert await is_reported(place), (key, what)
        return count

    assert run(story()) > 30_000 // step


def test_what_stands_beside_what_was_put_together_is_compared_with_it() -> None:
    """It holds the same bytes until it is removed, and no reader takes it."""
    place = BucketPlace(fan=2)

    async def story() -> None:
        await three_leases(place)
        folder = "ledgers/prod/1/entries/"
        (pack,) = (key for key in place.bucket.objects if "-" in key and key.startswith(folder))
        lines = place.bucket.objects[pack][0].splitlines(keepends=True)
        for number in (0, 2, 4):
            spare = f"{folder}{number:020d}.jsonl"
            place.bucket.objects[spare] = (lines[number], 1, 0.0)
            assert (await journal(place).verify()).proven
            for changed in (lines[number - 1], lines[number][:-1], b"", lines[number] + b"\n"):
                place.bucket.objects[spare] = (changed, 2, 0.0)
                (flaw,) = (await journal(place).verify()).flaws
                assert spare.removeprefix(folder) in flaw
            del place.bucket.objects[spare]

    run(story())


ENTRY = "UPDATE ledger.ledger_entry SET "
HEAD = "UPDATE ledger.ledger_head SET "
UNBOUND = (
    "ALTER TABLE ledger.ledger_entry DROP CONSTRAINT IF EXISTS ledger_entry_pkey,"
    " ALTER sequence DROP NOT NULL, ALTER line DROP NOT NULL;"
    "ALTER TABLE ledger.ledger_head DROP CONSTRAINT IF EXISTS ledger_head_pkey;"
)
DISTINCT = (
    "CREATE TABLE ledger.distinct AS SELECT DISTINCT * FROM ledger.ledger_entry;"
    "TRUNCATE ledger.ledger_entry;"
    "INSERT INTO ledger.ledger_entry SELECT * FROM ledger.distinct;"
    "DROP TABLE ledger.distinct"
)


@pytest.mark.parametrize(
    "change",
    [
        f"{ENTRY} sequence = 99 WHERE sequence = 6",
        f"{ENTRY} sequence = sequence + 1000",
        f"{ENTRY} sequence = -7 WHERE sequence = 0",
        f"{ENTRY} line = '' WHERE sequence = 2",
        f"{ENTRY} line = line || 'x' WHERE sequence = 6",
        "DELETE FROM ledger.ledger_entry WHERE sequence = 6",
        "DELETE FROM ledger.ledger_entry WHERE sequence = 3",
        (
            "INSERT INTO ledger.ledger_entry"
            " SELECT 7, line FROM ledger.ledger_entry WHERE sequence = 6"
        ),
        (
            f"{ENTRY} line = (SELECT line FROM ledger.ledger_entry WHERE sequence = 1)"
            " WHERE sequence = 2"
        ),
        "TRUNCATE ledger.ledger_entry",
        f"{HEAD} version = 0",
        f"{HEAD} version = 1",
        f"{HEAD} version = 3",
        f"{HEAD} sequence = 4",
        f"{HEAD} fence = 77",
        f"{HEAD} hash = 'sha256:0'",
        f"{HEAD} lease = lease + 1",
        f"{HEAD} lease = lease - 1",
        f"{HEAD} lease = 0",
        f"{HEAD} holder = NULL",
        f"{HEAD} holder = ''",
        f"{HEAD} holder = holder || 'x'",
        f"{HEAD} checkpoint = checkpoint || ' '",
        f"{HEAD} checkpoint = 'x'",
        "ALTER TABLE ledger.ledger_entry DROP CONSTRAINT ledger_entry_pkey",
        "ALTER TABLE ledger.ledger_head DROP CONSTRAINT ledger_head_pkey",
        f"{UNBOUND} INSERT INTO ledger.ledger_entry VALUES (NULL, 'x')",
        f"{UNBOUND} {ENTRY} line = NULL WHERE sequence = 4",
        (
            f"{UNBOUND} INSERT INTO ledger.ledger_entry"
            " SELECT -1, line FROM ledger.ledger_entry WHERE sequence = 0"
        ),
        f"{UNBOUND} INSERT INTO ledger.ledger_head SELECT * FROM ledger.ledger_head",
        (
            f"{UNBOUND} INSERT INTO ledger.ledger_head"
            " SELECT one, version, -1, 0, hash, 0 FROM ledger.ledger_head"
        ),
    ],
)
def test_every_altered_row_is_reported(table: PostgresPlace, change: str) -> None:
    run(three_leases(table))
    _do(table, change)
    assert run(is_reported(table))


@pytest.mark.parametrize("copies", [1, 4, 9])
def test_a_row_that_is_there_twice_is_reported_wherever_a_page_ends(
    table: PostgresPlace, copies: int
) -> None:
    """As a table holds it that was restored without its key; a page has four rows."""
    run(three_leases(table))
    entries = run(journal(table).verify()).entries
    assert entries == 7
    for number in range(entries):
        copy = (
            f"{UNBOUND} INSERT INTO ledger.ledger_entry SELECT sequence, line FROM"
            f" ledger.ledger_entry, generate_series(1, {copies}) WHERE sequence = {number}"
        )
        _do(table, copy)
        damage = run(journal(table).verify()).damage
        assert damage is not None
        assert (damage.kind, damage.sequence) == (DamageKind.DUPLICATED, number)
        _do(table, DISTINCT)


def test_tables_without_their_keys_are_recovered(table: PostgresPlace) -> None:
    run(three_leases(table))
    before = run(read(journal(table)))
    _do(
        table,
        f"{UNBOUND} INSERT INTO ledger.ledger_entry SELECT * FROM ledger.ledger_entry;"
        " INSERT INTO ledger.ledger_head SELECT * FROM ledger.ledger_head",
    )
    done = run(journal(table).recover(timeout_s=0))
    assert done is not None
    assert (done.findings.kept, done.findings.lost_count) == (len(before), 0)
    assert run(journal(table).verify()).proven
    assert [one.draft for one in run(read(journal(table)))[1:]] == [one.draft for one in before]
    for _ in range(2):
        run(write(journal(table), adopt(9)))
    assert run(journal(table).verify()).proven


def test_a_row_under_another_number_is_named(table: PostgresPlace) -> None:
    """The chain is whole: it would break with the next entry, which has its own number."""
    run(three_leases(table))
    _do(table, f"{ENTRY} sequence = 99 WHERE sequence = 6")
    damage = run(journal(table).verify()).damage
    assert damage is not None
    assert damage.kind is DamageKind.RENAMED
    assert run(journal(table).recover(timeout_s=0)) is not None
    run(write(journal(table), adopt(9)))
    assert run(journal(table).verify()).proven


def test_an_emptied_row_behind_the_last_is_cut_off_by_the_next_writer(table: PostgresPlace) -> None:
    run(three_leases(table))
    _do(table, "INSERT INTO ledger.ledger_entry VALUES (7, '')")
    assert run(journal(table).verify()).torn_bytes == 1
    run(write(journal(table), adopt(9)))
    assert run(journal(table).verify()).proven


def test_tables_of_a_version_that_never_was_can_be_recovered(table: PostgresPlace) -> None:
    run(three_leases(table))
    _do(table, f"{HEAD} version = 0")
    assert run(journal(table).recover(timeout_s=0)) is not None
    assert run(journal(table).verify()).proven


@pytest.mark.slow
def test_a_changed_bit_anywhere_in_a_row_is_reported(table: PostgresPlace) -> None:
    """One bit of every fifth byte: each costs a connection, and every byte is tried in a directory."""
    import psycopg

    async def story(connection: psycopg.Connection) -> int:
        await three_leases(table)
        rows = connection.execute("SELECT sequence, line FROM ledger.ledger_entry").fetchall()
        query = "UPDATE ledger.ledger_entry SET line = %s WHERE sequence = %s"
        count = 0
        for number, line in rows:
            for at in range(0, len(line), 5):
                changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
                connection.execute(query, (changed, number))
                assert await is_reported(table), (number, at)
                count += 1
            connection.execute(query, (line, number))
        assert (await journal(table).verify()).proven
        return count

    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        assert asyncio.run(story(connection)) > 250


def _do(table: PostgresPlace, statement: str) -> None:
    import psycopg

    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        connection.execute(statement.encode())
