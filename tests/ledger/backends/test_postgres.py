"""A ledger in PostgreSQL: the connection breaks anywhere, rights are few, tables are of the future."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event
from shplan.core.errors import LeaseEndedError, LedgerError
from shplan.ledger.backends.postgres import PostgresBackend
from shplan.ledger.backends.postgres_session import Server
from shplan.ledger.backends.postgres_tables import Most
from shplan.ledger.journal import Journal
from shplan.ledger.port import LeaseLostError
from tests.ledger.backends.places import PostgresPlace, Schemas, journal, lines
from tests.ledger.support import HandClock, adopt, drafts_of, read, run, write
from tests.support.proxies import Break, Proxy, proxied

# How a lease goes: append twice, let go, and once more.
LEASES = [[[adopt(1)], [adopt(2), adopt(3)]], [[adopt(4)]]]
EVERYTHING = [draft for batches in LEASES for batch in batches for draft in batch]


def through(proxy: Proxy, place: PostgresPlace) -> Journal:
    plain = {"port": str(proxy.port), "sslmode": "disable", "gssencmode": "disable"}
    server = Server({**place.parameters, **plain}, name="the ledger")
    backend = PostgresBackend(server, place.schema, name="the ledger", page=Most(4))
    return Journal(backend, clock=HandClock(), actor={"user": "ada"})


async def append_all(ledger: Journal) -> tuple[list[EntryDraft], LedgerError | None]:
    """Return what was acknowledged, and what ended it."""
    acknowledged: list[EntryDraft] = []
    try:
        for batches in LEASES:
            async with ledger.lease(timeout_s=0) as lease:
                for batch in batches:
                    await lease.append(batch)
                    acknowledged += batch
    except LedgerError as error:
        return acknowledged, error
    return acknowledged, None


@pytest.mark.parametrize("kind", list(Break))
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_connection_that_breaks_anywhere_loses_nothing_acknowledged(
    database: Mapping[str, str], kind: Break, every: int
) -> None:
    schemas = Schemas(database)
    with proxied(int(database["port"])) as proxy:
        run(append_all(through(proxy, schemas.place())))
        total = proxy.requests
        assert total > 15
        for number in range(0, total, every):
            place = schemas.place()
            proxy.kind, proxy.break_at, proxy.requests = kind, number, 0
            acknowledged, error = run(append_all(through(proxy, place)))
            found = drafts_of(run(read(journal(place))))
            assert found[: len(acknowledged)] == acknowledged, number
            assert found == EVERYTHING[: len(found)], number
            if error is not None and "nothing was written" in str(error):
                assert found == acknowledged, number
            if error is not None and "the entry is there" in str(error):
                assert len(found) > len(acknowledged), number
            run(_write_once_free(place))
            assert drafts_of(run(read(journal(place)))) == [*found, adopt(9)], number
            assert run(journal(place).verify()).damage is None, number


async def _write_once_free(place: PostgresPlace) -> None:
    # The server finds in a moment that the other session has ended.
    ledger = Journal(place.backend(), clock=_Patient(), actor={"user": "bob"})
    async with ledger.lease(timeout_s=60) as lease:
        await lease.append([adopt(9)])


class _Patient(HandClock):
    async def sleep(self, seconds: float) -> None:
        import asyncio

        self.slept_s += 0.01
        await asyncio.sleep(0.01)


def test_an_append_whose_answer_was_lost_is_found_and_the_lease_goes_on(
    table: PostgresPlace,
) -> None:
    """The commit happened; nobody else was here; so nobody has to start again."""
    with proxied(int(table.parameters["port"])) as proxy:

        async def story() -> None:
            async with through(proxy, table).lease(timeout_s=0) as lease:
                await lease.append([adopt(1)])
                # One statement, and its answer is lost.
                proxy.kind, proxy.break_at = Break.AFTER, proxy.requests
                await lease.append([adopt(2)])
                await lease.append([adopt(3)])

        run(story())
        assert proxy.break_at is not None
        assert proxy.requests > proxy.break_at
    assert drafts_of(run(read(journal(table)))) == [adopt(1), adopt(2), adopt(3)]
    run(write(journal(table), adopt(4)))


@pytest.mark.parametrize("most", [Most(1), Most(2), Most(100, size_bytes=1), Most(3, 1000)])
def test_entries_are_read_some_at_a_time_whatever_their_length(
    table: PostgresPlace, most: Most
) -> None:
    """So many rows or so many bytes, whichever are less, and all of them in the end."""
    drafts = [adopt(number, Address("A", "x" * 400 * (number % 4) + "y")) for number in range(12)]
    run(write(journal(table), *drafts))
    server = Server(table.parameters, name="the ledger")
    backend = PostgresBackend(server, table.schema, name="the ledger", page=most)

    async def pages() -> list[list[bytes]]:
        return [list(one.lines) async for one in backend.segments(None)]

    found = run(pages())
    assert [line for page in found for line in page] == run(lines(table))
    assert max(map(len, found)) <= most.rows
    # One line may be longer than that; two are not read beyond it.
    assert all(sum(map(len, page[:-1])) < most.size_bytes for page in found)


def test_a_connection_that_ended_ends_the_lease(table: PostgresPlace) -> None:
    async def story() -> None:
        backend = table.backend()
        async with Journal(backend, clock=HandClock(), actor={}).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            await table.lose(backend)
            with pytest.raises(LeaseEndedError, match="with the connection the lease is lost"):
                await backend.beat()
            with pytest.raises(LedgerError):
                await lease.append([adopt(2)])

    run(story())
    assert drafts_of(run(read(journal(table)))) == [adopt(1)]


def test_an_append_that_never_arrived_says_so(table: PostgresPlace) -> None:
    async def story() -> None:
        backend = table.backend()
        async with Journal(backend, clock=HandClock(), actor={}).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            await table.lose(backend)
            with pytest.raises(LeaseEndedError, match="nothing was written, and the lease is lost"):
                await lease.append([adopt(2)])
            # Nor does whoever looks then say that others have it.
            with pytest.raises(LeaseEndedError):
                await backend.beat()

    run(story())
    assert drafts_of(run(read(journal(table)))) == [adopt(1)]


def test_a_lock_that_a_pooler_loses_is_no_right_to_write(table: PostgresPlace) -> None:
    """The session lives on, somebody else has the lock: the lease's number refuses the first."""

    async def story() -> None:
        backend = table.backend()
        async with Journal(backend, clock=HandClock(), actor={"user": "ada"}).lease(
            timeout_s=0
        ) as lease:
            await lease.append([adopt(1)])
            backend._lease._session._connection.execute("SELECT pg_advisory_unlock_all()")
            async with journal(table, "bob").lease(timeout_s=0) as other:
                with pytest.raises(LeaseLostError, match="taken over by process .* of bob"):
                    await lease.append([adopt(2)])
                await other.append([adopt(3)])

    run(story())
    assert drafts_of(run(read(journal(table)))) == [adopt(1), adopt(3)]


CHILD = """
import asyncio, os, sys
from pathlib import Path
from shplan.cli.clock import SystemClock
from shplan.cli.ledgers import open_backend
from shplan.core.entry import EntryDraft, Event
from shplan.ledger.journal import Journal

async def main():
    backend = open_backend(sys.argv[1], root=Path(), default="", environment=os.environ)
    ledger = Journal(backend, clock=SystemClock(), actor={"user": "child"})
    async with ledger.lease(timeout_s=60) as lease:
        while True:
            (entry,) = await lease.append([EntryDraft(Event.FORGET)])
            print(entry.sequence, flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_writer_that_is_killed_is_replaced_and_loses_nothing(table: PostgresPlace) -> None:
    where = table.parameters
    url = f"postgresql://postgres@127.0.0.1:{where['port']}/{where['dbname']}?schema=ledger"
    command = [sys.executable, "-c", CHILD, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(5):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        told = [line for line in child.stdout.read().split() if line]
    last = int(told[-1]) if told else 5
    run(_write_once_free(table))
    entries = run(read(journal(table)))
    takeovers = [one for one in entries if one.draft.event is Event.TAKEOVER]
    assert [one.draft.data["holder"]["pid"] for one in takeovers] == [child.pid]
    assert takeovers[0].sequence - 1 in (last, last + 1)
    assert run(journal(table).verify()).damage is None


# Rights.


def as_user(place: PostgresPlace, user: str, *grants: str) -> PostgresPlace:
    """The same ledger for somebody else, who has these rights alone."""
    with psycopg.connect(autocommit=True, **place.parameters) as connection:
        name = f"{user}_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {name} LOGIN")
        for grant in grants:
            connection.execute(f"GRANT {grant} TO {name}")
    return PostgresPlace({**place.parameters, "user": name}, place.schema)


def forget_user(place: PostgresPlace) -> None:
    admin = {**place.parameters, "user": "postgres"}
    with psycopg.connect(autocommit=True, **admin) as connection:
        connection.execute(f"DROP OWNED BY {place.parameters['user']}")
        connection.execute(f"DROP ROLE {place.parameters['user']}")


READS = ("USAGE ON SCHEMA ledger", "SELECT ON ledger.ledger_entry, ledger.ledger_head")
# As docs/ledger.md grants them.
WRITES = (*READS, "INSERT ON ledger.ledger_entry", "INSERT, UPDATE ON ledger.ledger_head")


def test_reading_needs_no_right_to_write_also_after_a_recovery(table: PostgresPlace) -> None:
    run(write(journal(table), adopt(1)))
    reader = as_user(table, "reader", *READS)
    try:
        assert drafts_of(run(read(journal(reader)))) == [adopt(1)]
        with pytest.raises(LedgerError, match="no permission"):
            run(write(journal(reader), adopt(2)))
        with psycopg.connect(autocommit=True, **table.parameters) as connection:
            connection.execute("UPDATE ledger.ledger_entry SET line = 'x' WHERE sequence = 1")
        done = run(journal(table).recover(timeout_s=0))
        assert done is not None
        assert "ledger.ledger_entry_1 and ledger.ledger_head_1" in done.aside
        assert run(journal(reader).verify()).damage is None
        with psycopg.connect(autocommit=True, **table.parameters) as connection:
            (line,) = connection.execute(
                "SELECT line FROM ledger.ledger_entry_1 WHERE sequence = 1"
            ).fetchone() or (None,)
        assert line == b"x"
    finally:
        forget_user(reader)


def test_writing_needs_no_right_to_make_or_to_remove(table: PostgresPlace) -> None:
    run(write(journal(table), adopt(1)))
    writer = as_user(table, "writer", *WRITES)
    try:
        run(write(journal(writer), adopt(2)))
    finally:
        forget_user(writer)
    assert drafts_of(run(read(journal(table)))) == [adopt(1), adopt(2)]


def test_who_may_not_make_the_tables_is_told(table: PostgresPlace) -> None:
    stranger = as_user(table, "stranger")
    try:
        assert run(journal(stranger).verify()).entries == 0
        with pytest.raises(LedgerError, match="no permission"):
            run(write(journal(stranger), adopt(1)))
    finally:
        forget_user(stranger)


def test_a_reader_makes_nothing(table: PostgresPlace) -> None:
    run(journal(table).verify())
    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        found = connection.execute("SELECT to_regnamespace('ledger')").fetchone()
    assert found == (None,)


def test_tables_of_a_newer_shplan_are_left_alone(table: PostgresPlace) -> None:
    run(write(journal(table), adopt(1)))
    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        connection.execute("UPDATE ledger.ledger_head SET version = 3")
    for work in (read(journal(table)), write(journal(table), adopt(2))):
        with pytest.raises(LedgerError, match="written by a newer shplan"):
            run(work)


def test_one_transaction_an_append(table: PostgresPlace) -> None:
    """Lines and head are there together, or neither."""
    run(write(journal(table), adopt(1)))
    before = run(read(journal(table)))
    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        connection.execute(
            "ALTER TABLE ledger.ledger_entry ADD CHECK (sequence <> 3)"  # the second line of two
        )
        with pytest.raises(LedgerError):
            run(write(journal(table), adopt(2), adopt(3)))
        assert run(read(journal(table))) == before
        assert run(journal(table).verify()).damage is None


def test_a_row_that_is_gone_is_found(table: PostgresPlace) -> None:
    run(write(journal(table), adopt(1), adopt(2), adopt(3)))
    with psycopg.connect(autocommit=True, **table.parameters) as connection:
        connection.execute("DELETE FROM ledger.ledger_entry WHERE sequence = 2")
    report = run(journal(table).verify())
    assert report.damage is not None
    assert (report.damage.sequence, report.place) == (2, "entries-3:1")


def test_nobody_answers(tmp_path: Path) -> None:
    with proxied(1) as proxy:
        port = str(proxy.port)
    server = Server({"host": "127.0.0.1", "port": port, "dbname": "x"}, name="the ledger")
    ledger = Journal(
        PostgresBackend(server, "ledger", name="the ledger"), clock=HandClock(), actor={}
    )
    with pytest.raises(LedgerError, match="the ledger the ledger cannot be reached"):
        run(ledger.verify())
