"""
The answer of the Statistical API as a table: one row for each interval, output, band and feature.

Source: schema StatisticalResponse and the statistics pages: an interval has its outputs or its error,
numbers may be the text `NaN`, percentiles are keyed by texts such as `33.0`, and the counts outside of
a histogram are called `overflow` in the schema and `overflowCount` in examples.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from shplan.core.value import JsonObject
from shplan.providers.answers import BadAnswerError, read_json

OK: Final = "OK"
PARTIAL: Final = "PARTIAL"
FAILED: Final = "FAILED"
_STATS: Final = ("min", "max", "mean", "stDev")
_COUNTS: Final = ("sampleCount", "noDataCount")
_OUTSIDE: Final = ("underflow", "overflow")
_SPECIAL: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LONGEST_CAUSE: Final = 300

Bin: TypeAlias = tuple[float | None, float | None, int | None]
Cell: TypeAlias = "str | float | int | tuple[Bin, ...] | None"


class Sort(Enum):
    """What a column holds."""

    TEXT = "text"
    INSTANT = "instant"
    NUMBER = "number"
    COUNT = "count"
    BINS = "bins"


@dataclass(frozen=True, slots=True)
class Table:
    """
    Columns and rows.

    Args:
        columns: name to what it holds, in order
        rows: one cell for each column
    """

    columns: Mapping[str, Sort]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """
    An answer that was read.

    Args:
        status: `OK`, `PARTIAL` or `FAILED`
        failed: causes by interval, `FROM/TO`
        data: the intervals as they were answered
    """

    status: str
    failed: Mapping[str, str]
    data: tuple[JsonObject, ...]


def read_numbers(content: bytes) -> Numbers:
    """
    Read an answer.

    Raises:
        BadAnswerError: it is none of the Statistical API
    """
    body = read_json(content)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(data, list):
        msg = "the answer has no list of intervals (`data`)"
        raise BadAnswerError(msg)
    failed: dict[str, str] = {}
    for one in data:
        since, until = _interval(one)
        if "error" in one:
            failed[f"{since}/{until}"] = _cause(one["error"])
    stated = body.get("status")
    status = stated if stated in (OK, PARTIAL, FAILED) else OK
    if failed and status == OK:
        # Whatever it says of itself: not all of it is there.
        status = FAILED if len(failed) == len(data) else PARTIAL
    return Numbers(str(status), failed, tuple(data))


def table_of(numbers: Numbers, calculations: object, *, label: str) -> Table:
    """
    Return the rows of an answer, in its order; a failed interval is one row with its error.

    Args:
        calculations: what the request asked for, so that an answer without data has its columns
        label: of the feature: the key of the instance, or the name of the resource
    """
    rows = [row for one in numbers.data for row in _rows(one)]
    percentiles = _percentiles(calculations, rows)
    bins = _asks_histograms(calculations) or any("bins" in row for row in rows)
    columns: dict[str, Sort] = {
        "feature": Sort.TEXT,
        "from": Sort.INSTANT,
        "to": Sort.INSTANT,
        "output": Sort.TEXT,
        "band": Sort.TEXT,
        **dict.fromkeys(_STATS, Sort.NUMBER),
        **dict.fromkeys(_COUNTS, Sort.COUNT),
        **{f"p{k}": Sort.NUMBER for k in percentiles},
        **({"histogram": Sort.BINS, **dict.fromkeys(_OUTSIDE, Sort.COUNT)} if bins else {}),
        "error": Sort.TEXT,
    }
    names = [(name, "bins" if name == "histogram" else name) for name in columns]
    cells = (tuple({"feature": label, **row}.get(key) for _, key in names) for row in rows)
    return Table(columns, tuple(cells))


def csv_text(table: Table) -> bytes:
    """Return a table as CSV (RFC 4180, but with line feeds): bins as JSON, absent values empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return text.getvalue().encode()


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        return json.dumps([list(one) for one in cell], separators=(",", ":"))
    if isinstance(cell, float):
        return "NaN" if cell != cell else repr(cell)  # noqa: PLR0124 - what NaN is known by
    return str(cell)


# --- intervals -----------------------------------------------------------------------------


def _interval(one: object) -> tuple[str, str]:
    interval = one.get("interval") if isinstance(one, dict) else None
    ends = [interval.get(name) if isinstance(interval, dict) else None for name in ("from", "to")]
    if not all(isinstance(end, str) for end in ends):
        msg = "the answer has an interval without `from` and `to`"
        raise BadAnswerError(msg)
    return str(ends[0]), str(ends[1])


def _cause(error: object) -> str:
    if not isinstance(error, dict):
        return "no cause given"
    told = [error.get(name) for name in ("type", "message")]
    text = ": ".join(" ".join(str(one).split()) for one in told if one)
    return text[:_LONGEST_CAUSE] or "no cause given"


def _rows(one: JsonObject) -> Iterator[dict[str, Cell]]:
    since, until = _interval(one)
    ends: dict[str, Cell] = {"from": since, "to": until}
    if "error" in one:
        yield {**ends, "error": _cause(one["error"])}
        return
    for output, content in _items(one.get("outputs")):
        for band, told in _items(_member(content, "bands")):
            yield {**ends, "output": output, "band": band, **_band(told)}


def _band(told: object) -> dict[str, Cell]:
    stats, histogram = _member(told, "stats"), _member(told, "histogram")
    cells: dict[str, Cell] = {name: _number(_member(stats, name)) for name in _STATS}
    cells |= {name: _count(_member(stats, name)) for name in _COUNTS}
    for k, value in _items(_member(stats, "percentiles")):
        cells[f"p{_percentile(k)}"] = _number(value)
    if isinstance(histogram, dict):
        bins = histogram.get("bins")
        cells["bins"] = tuple(_bin(item) for item in (bins if isinstance(bins, list) else ()))
        for name in _OUTSIDE:
            cells[name] = _count(histogram.get(name, histogram.get(f"{name}Count")))
    return cells


def _bin(item: object) -> Bin:
    edges = (_number(_member(item, "lowEdge")), _number(_member(item, "highEdge")))
    return (*edges, _count(_member(item, "count")))


# --- what was asked for --------------------------------------------------------------------


def _percentiles(calculations: object, rows: Iterable[Mapping[str, Cell]]) -> list[str]:
    """Return the percentiles that were asked for, or answered, by size, as columns name them."""
    wanted: set[str] = set()
    for _, one in _items(calculations):
        for _, statistics in _items(_member(one, "statistics")):
            ks = _member(_member(statistics, "percentiles"), "k")
            wanted |= {_percentile(k) for k in (ks if isinstance(ks, list) else ())}
    for row in rows:
        wanted |= {name[1:] for name in row if name[:1] == "p" and name[1:2].isdigit()}
    return sorted(wanted, key=lambda k: (_size(k), k))


def _asks_histograms(calculations: object) -> bool:
    return any(_member(one, "histograms") for _, one in _items(calculations))


def _percentile(k: object) -> str:
    """Write `33.0` as 33."""
    number = _size(k)
    return f"{number:g}" if number == number else str(k)  # noqa: PLR0124 - as above


def _size(k: object) -> float:
    try:
        return float(str(k))
    except ValueError:
        return float("nan")


# --- values --------------------------------------------------------------------------------


def _items(value: object) -> Iterable[tuple[str, object]]:
    return value.items() if isinstance(value, dict) else ()


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return _SPECIAL.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == number // 1 else None


__all__ = [
    "Cell",
    "Numbers",
    "Sort",
    "Table",
    "csv_text",
    "read_numbers",
    "table_of",
]
