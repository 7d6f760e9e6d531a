"""
`shplan ledger export`: entries out of the ledger, as they stand or as a table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shplan.cli.entries import concerns
from shplan.core.chain import line_hash
from shplan.core.line import decode
from shplan.ledger.journal import Journal
from shplan.views.entries_csv import csv_header, csv_row

Write = Callable[[bytes], object]


async def write_export(
    journal: Journal, *, form: str, address: str | None, out: Path | None
) -> set[str]:
    """
    Write the entries, in constant memory.

    Args:
        form: `jsonl` or `csv`
        address: only the entries of this one
        out: the file, None for stdout

    Returns:
        the addresses that the ledger knows, where none of its entries is of `address`
    """
    known: set[str] = set()
    found = False
    with _output(out) as write:
        if form == "csv":
            write(csv_header().encode())
        async for line in journal.export():
            if address is not None:
                entry = decode(line)
                if not concerns(str(entry.draft.address), address):
                    known.add(str(entry.draft.address))
                    continue
            found = True
            write(line if form == "jsonl" else _row(line))
    return set() if found else known - {"None"}


def _row(line: bytes) -> bytes:
    return csv_row(decode(line), line_hash=line_hash(line)).encode()


@contextmanager
def _output(out: Path | None) -> Iterator[Write]:
    """Open stdout, or a draft that takes the file's place when all of it is on the disk."""
    if out is None:
        yield sys.stdout.buffer.write
        return
    draft = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        with draft.open("xb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
