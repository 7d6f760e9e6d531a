"""
A SQLite database that lay in a bucket, opened so that nothing in it runs for ever.

A table of such a file may be a view, which may go on without an end; so what a query may do is
bounded, and so are its rows: no table has more of them than its file has bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LONGEST_VALUE = 64 << 20
# Of SQLite's own steps, of which a table takes less than one for each byte.
_STEPS_AT_ONCE = 10_000
_STEPS, _STEPS_PER_BYTE = 10_000_000, 5


class Database:
    """
    What is read of one file.

    Args:
        content: of the file
        connection: to it
    """

    def __init__(self, content: bytes, connection: sqlite3.Connection) -> None:
        self._left = len(content)
        self._connection = connection

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """
        Yield what a query gives.

        Raises:
            sqlite3.Error: it gives nothing, or more than the file can hold
        """
        for row in self._connection.execute(query):
            self._left -= 1
            if self._left < 0:
                message = "more rows than the file has bytes"
                raise sqlite3.DataError(message)
            yield row


@contextmanager
def opened(content: bytes) -> Iterator[Database]:
    """
    Open the content of a file, and close it.

    Raises:
        sqlite3.Error: it is no database
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content)
        connection.execute("pragma trusted_schema = off")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        most = _STEPS + _STEPS_PER_BYTE * len(content)
        steps = iter(range(most // _STEPS_AT_ONCE))
        # Anything but zero, also the end of the steps, ends the query.
        connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS_AT_ONCE)
        yield Database(content, connection)
    finally:
        connection.close()
