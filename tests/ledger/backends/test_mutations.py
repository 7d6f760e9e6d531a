"""
Every altered byte of a ledger in a bucket, and every altered row of one in PostgreSQL, is reported.

What stands in a directory is altered in `tests/ledger/test_mutations.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from shplan.core.chain import DamageKind
from shplan.core.errors import LedgerError
from tests.ledger.backends.places import BucketPlace, Place, PostgresPlace, journal
from tests.ledger.support import adopt, intent, run, write
from tests.ledger.test_mutations import mutations


async def three_leases(place: Place) -> None:
    for drafts in ([intent(), adopt(1)], [adopt(2)], [intent("delete"), adopt(3)]):
        await write(journal(place), *drafts)


async def is_reported(place: Place) -> bool:
    try:
        return (await journal(place).verify()).damage is not None
    except LedgerError:
        return True


def test_every_changed_byte_of_every_object_is_reported() -> None:
    """But for the lease's own token in the head, which tells two writers apart and proves nothing."""
    place = BucketPlace(fan=100)

    async def story() -> int:
        await three_leases(place)
        whole = dict(place.bucket.objects)
        count = 0
        for key in (key for key in whole if "/1/" in key):
            content = whole[key][0]
            for what, changed in mutations(content):
                if changed == content or _token_alone(content, changed):
                    continue
                count += 1
                place.bucket.objects = {**whole, key: (changed, 10_000 + count, 0.0)}
                assert await is_reported(place), (key, what)
        return count

    assert run(story()) > 15_000


def _token_alone(content: bytes, changed: bytes) -> bool:
    before, name, rest = content.partition(b'"token":"')
    behind = rest[rest.index(b'"') :] if name else b""
    return bool(name) and changed.startswith(before + name) and changed.endswith(behind)


ENTRY = "UPDATE ledger.ledger_entry SET "
HEAD = "UPDATE ledger.ledger_head SET "


@pytest.mark.parametrize(
    "change",
    [
        f"{ENTRY} sequence = 99 WHERE sequence = 5",
        f"{ENTRY} sequence = sequence + 1000",
        f"{ENTRY} sequence = -7 WHERE sequence = 0",
        f"{ENTRY} line = '' WHERE sequence = 2",
        f"{ENTRY} line = line || 'x' WHERE sequence = 5",
        "DELETE FROM ledger.ledger_entry WHERE sequence = 5",
        "DELETE FROM ledger.ledger_entry WHERE sequence = 3",
        (
            "INSERT INTO ledger.ledger_entry"
            " SELECT 6, line FROM ledger.ledger_entry WHERE sequence = 5"
        ),
        (
            f"{ENTRY} line = (SELECT line FROM ledger.ledger_entry WHERE sequence = 1)"
            " WHERE sequence = 2"
        ),
        "TRUNCATE ledger.ledger_entry",
        f"{HEAD} version = 0",
        f"{HEAD} version = 2",
        f"{HEAD} sequence = 4",
        f"{HEAD} fence = 77",
        f"{HEAD} hash = 'sha256:0'",
    ],
)
def test_every_altered_row_is_reported(table: PostgresPlace, change: str) -> None:
    run(three_leases(table))
    _do(table, change)
    assert run(is_reported(table))


def test_a_row_under_another_number_is_named(table: PostgresPlace) -> None:
    """The chain is whole: it would break with the next entry, which has its own number."""
    run(three_leases(table))
    _do(table, f"{ENTRY} sequence = 99 WHERE sequence = 5")
    damage = run(journal(table).verify()).damage
    assert damage is not None
    assert damage.kind is DamageKind.RENAMED
    assert run(journal(table).recover(timeout_s=0)) is not None
    run(write(journal(table), adopt(9)))
    assert run(journal(table).verify()).proven


def test_an_emptied_row_behind_the_last_is_cut_off_by_the_next_writer(table: PostgresPlace) -> None:
    run(three_leases(table))
    _do(table, "INSERT INTO ledger.ledger_entry VALUES (6, '')")
    assert run(journal(table).verify()).torn_bytes == 1
    run(write(journal(table), adopt(9)))
    assert run(journal(table).verify()).proven


def test_tables_of_a_version_that_never_was_can_be_recovered(table: PostgresPlace) -> None:
    run(three_leases(table))
    _do(table, f"{HEAD} version = 0")
    assert run(journal(table).recover(timeout_s=0)) is not None
    assert run(journal(table).verify()).proven


@pytest.mark.slow
def test_every_changed_byte_of_every_row_is_reported(table: PostgresPlace) -> None:
    """One bit of each byte; what the chain makes of the others is tried in a directory."""
    import psycopg

    async def story(connection: psycopg.Connection) -> int:
        await three_leases(table)
        rows = connection.execute("SELECT sequence, line FROM ledger.ledger_entry").fetchall()
        query = "UPDATE ledger.ledger_entry SET line = %s WHERE sequence = %s"
        count = 0
        for number, line in rows:
            for at in range(0, len(line), 3):
                changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
                connection.execute(query, (changed, number))
                assert await is_reported(table), (number, at)
                count += 1
            connection.execute(query, (line, number))
        assert (await journal(table).verify()).proven
        return count

    with psycopg.connect(autocommit=True, **_libpq(table.parameters)) as connection:
        assert asyncio.run(story(connection)) > 400


def _do(table: PostgresPlace, statement: str) -> None:
    import psycopg

    with psycopg.connect(autocommit=True, **_libpq(table.parameters)) as connection:
        connection.execute(statement.encode())


def _libpq(parameters: Mapping[str, str]) -> dict[str, str]:
    return dict(parameters)
