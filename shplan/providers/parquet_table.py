"""
A table of statistics as Parquet: the same table gives the same bytes.

pyarrow is loaded by the first table that is wanted in this form.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shplan.providers.answers import BadAnswerError
from shplan.providers.statistics_table import Cell, Sort, Table


def parquet_bytes(table: Table) -> bytes:
    """
    Return a table as Parquet: instants in UTC, bins as a list of structures.

    Raises:
        BadAnswerError: an interval's end is no instant
    """
    import pyarrow as pa  # noqa: PLC0415 - 40 MB of libraries, for who wants this form
    import pyarrow.parquet as pq  # noqa: PLC0415

    types = {
        Sort.TEXT: pa.string(),
        Sort.INSTANT: pa.timestamp("ms", tz="UTC"),
        Sort.NUMBER: pa.float64(),
        Sort.COUNT: pa.int64(),
        Sort.BINS: pa.list_(
            pa.struct(
                [("lowEdge", pa.float64()), ("highEdge", pa.float64()), ("count", pa.int64())]
            )
        ),
    }
    schema = pa.schema([(name, types[sort]) for name, sort in table.columns.items()])
    arrays = [
        pa.array([_cell(row[at], sort) for row in table.rows], type=types[sort])
        for at, sort in enumerate(table.columns.values())
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="snappy")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _cell(cell: Cell, sort: Sort) -> Any:
    if cell is None:
        return None
    if sort is Sort.INSTANT:
        return _instant(str(cell))
    if isinstance(cell, tuple):
        names = ("lowEdge", "highEdge", "count")
        return [dict(zip(names, one, strict=True)) for one in cell]
    return cell


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no instant"
        raise BadAnswerError(message) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
