"""
A ledger in PostgreSQL: a write is a transaction that has changed something.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.crash.strikes import Moment, Place, Striker
from tests.support.postgres import cluster

SCHEMA = "crash"


class Postgres:
    """A ledger in a schema of a server that was started for it."""

    def __init__(self, home: Path, _: str) -> None:
        self._closing = ExitStack()
        self._cluster = self._closing.enter_context(cluster(home))

    def url(self) -> str:
        where = self._cluster.parameters("postgres")
        return f"postgresql://postgres@{where['host']}:{where['port']}/postgres?schema={SCHEMA}"

    def environment(self) -> dict[str, str]:
        return {}

    def lose(self) -> None:
        with self._connected() as connection:
            connection.execute(f"drop schema if exists {SCHEMA} cascade")

    def save(self) -> Callable[[], None]:
        with self._connected() as connection:
            kept = {table: _copied(connection, table) for table in _tables(connection)}

        def put_back() -> None:
            if not kept:
                self.lose()
                return
            with self._connected() as connection:
                connection.execute(f"truncate {', '.join(kept)} cascade")
                for table, content in kept.items():
                    with connection.cursor().copy(f"copy {table} from stdin") as copy:
                        copy.write(content)

        return put_back

    def _connected(self) -> Any:
        # For each use anew: a connection that is open is no one's to inherit.
        import psycopg

        return psycopg.connect(**self._cluster.parameters("postgres"))

    def strike_writes(self, striker: Striker) -> None:
        from shplan.ledger.backends.postgres_session import Session

        runs = Session.run

        async def run(self: Any, work: Callable[[Any], Any]) -> Any:
            numbers: list[int] = []

            def struck(cursor: Any) -> Any:
                result = work(cursor)
                # Source: PostgreSQL, "Transaction ID and Snapshot Information Functions": what
                # only reads has no number.
                cursor.execute("select pg_current_xact_id_if_assigned()")
                if cursor.fetchone()[0] is not None:
                    numbers.append(striker.begins(Place.WRITE, "transaction"))
                    striker.strike(Place.WRITE, numbers[-1], Moment.TORN)
                return result

            result = await runs(self, struck)
            for number in numbers:
                striker.strike(Place.WRITE, number, Moment.WRITTEN)
            return result

        Session.run = run  # type: ignore[method-assign]

    def close(self) -> None:
        self._closing.close()


def _tables(connection: Any) -> list[str]:
    found = connection.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables"
        " where schemaname = %s order by tablename",
        [SCHEMA],
    )
    return [row[0] for row in found]


def _copied(connection: Any, table: str) -> bytes:
    with connection.cursor().copy(f"copy {table} to stdout") as copy:
        return b"".join(bytes(part) for part in copy)
