"""
Sessions with PostgreSQL: opened with the settings that a ledger relies on, used in threads.

Password, service and certificates are found by libpq itself where its users keep them (PGPASSWORD,
~/.pgpass, PGSERVICE, ...) and are never seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from shplan.core.errors import LedgerError
from shplan.storage.threads import Threads, whole

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    Cursor_: TypeAlias = Cursor[TupleRow]

T = TypeVar("T")
CONNECT_TIMEOUT_S: Final = 10
_LOCK_WAIT_S = 10
_STATEMENT_S = 120
# A machine that vanished is found out by both sides within this time.
_SILENCE_S = 30
# Source: PostgreSQL, "libpq", Parameter Key Words.
_FIXED: Final = {
    "application_name": "shplan",
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "client_encoding": "utf8",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": str(_SILENCE_S * 1000),
}
# Source: PostgreSQL, "Server Configuration". An acknowledged entry has reached the disk.
_SETTINGS: Final = (
    f"SET statement_timeout = '{_STATEMENT_S}s'",
    f"SET lock_timeout = '{_LOCK_WAIT_S}s'",
    f"SET idle_in_transaction_session_timeout = '{_SILENCE_S}s'",
    "SET tcp_keepalives_idle = 15",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    (
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    ),
)


class SessionLostError(LedgerError):
    """The connection ended: whether the last statement was carried out is not known."""


class Session:
    """One connection; its calls run one after the other."""

    def __init__(self, connection: Connection[TupleRow], threads: Threads, name: str) -> None:
        self._connection = connection
        self._threads = threads
        self._name = name

    async def run(self, work: Callable[[Cursor_], T]) -> T:
        """
        Do some work in one transaction, to its end also where whoever asked is cancelled.

        Raises:
            SessionLostError: the connection ended
            LedgerError: the server refused
        """

        def call() -> T:
            with self._connection.transaction():
                return self._with_cursor(work)

        return await self._whole(call)

    async def ask(self, work: Callable[[Cursor_], T]) -> T:
        """
        Do work that is one statement: a transaction of its own, in one way there and back.

        Raises:
            SessionLostError: the connection ended
            LedgerError: the server refused
        """
        return await self._whole(lambda: self._with_cursor(work))

    async def _whole(self, call: Callable[[], T]) -> T:
        def named() -> T:
            with translated(self._name):
                return call()

        return await whole(self._threads.run(named))

    def _with_cursor(self, work: Callable[[Cursor_], T]) -> T:
        with self._connection.cursor() as cursor:
            return work(cursor)

    async def close(self) -> None:
        """End it, and with it whatever it locks."""
        await whole(self._threads.run(self._connection.close))


class Server:
    """
    A database, and how to get there.

    Args:
        parameters: those of libpq, without any secret
        name: what messages call the ledger
    """

    def __init__(self, parameters: Mapping[str, str], *, name: str) -> None:
        self._parameters = {**_FIXED, **parameters}
        self._name = name
        self._threads = Threads(4)

    async def open(self) -> Session:
        """
        Open a session.

        Raises:
            LedgerError: nobody answers, or the user is not let in
        """
        return await whole(self._open())

    async def _open(self) -> Session:
        connection = await self._threads.run(self._connect)
        return Session(connection, self._threads, self._name)

    def _connect(self) -> Connection[TupleRow]:
        import psycopg  # noqa: PLC0415 - rarely needed, and dear

        with translated(self._name):
            connection = psycopg.connect(autocommit=True, **self._parameters)  # type: ignore[arg-type]  # names of libpq
            try:
                # One way there and back for all.
                connection.execute("; ".join(_SETTINGS))
            except BaseException:
                connection.close()
                raise
            return connection


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Translate what psycopg raises."""
    import psycopg  # noqa: PLC0415

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        msg = f"the ledger {name} cannot be used: no permission ({error.diag.message_primary})"
        raise LedgerError(msg) from error
    except psycopg.errors.LockNotAvailable as error:
        msg = f"the ledger {name} is kept busy by somebody else's transaction"
        raise LedgerError(msg) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        # The first line names host and reason; what follows are hints, and other attempts.
        said = (str(error).splitlines() or [""])[0].strip()
        msg = f"the ledger {name} cannot be reached: {said}"
        raise SessionLostError(msg) from error
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        msg = f"the ledger {name} cannot be used: {said}"
        raise LedgerError(msg) from error


def is_missing(error: LedgerError) -> bool:
    """Tell whether there is no such table or schema yet."""
    import psycopg  # noqa: PLC0415

    missing = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
    return isinstance(error.__cause__, missing)
