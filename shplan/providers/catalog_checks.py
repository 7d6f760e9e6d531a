"""
What can be said of a search of the catalogue before it is sent: its area, its time, its filter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from shplan.core.catalog_filter import Fault, Known, faults_of, language_fault
from shplan.core.compare import instant
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.resource import Desired, FineSource
from shplan.core.value import Object, Path, Value, is_known
from shplan.providers.data import Tables

_DATE: Final = "date"
_OPEN: Final = ("", "..")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_search(desired: Desired, tables: Tables) -> list[Diagnostic]:
    """Return everything that is wrong with a search, as far as it is known."""
    spec = desired.spec
    collection = _collection(spec)
    known = Known.of(tables["catalog"], collection)
    return [
        *_area(desired),
        *_time(desired),
        *_filter(desired, known, collection),
        *_distinct(desired, known, collection),
    ]


def _area(desired: Desired) -> Iterator[Diagnostic]:
    spec = desired.spec
    if "bbox" in spec and "intersects" in spec:
        yield _wrong(
            desired,
            ("spec", "intersects"),
            "has both `bbox` and `intersects`.",
            why="A search has one area; the service refuses two.",
            hint="remove one of them",
        )
    bbox = spec.get("bbox")
    if not isinstance(bbox, list) or not all(isinstance(one, int | float) for one in bbox):
        return
    numbers = [float(one) for one in bbox if isinstance(one, int | float)]
    if len(numbers) not in (4, 6):
        yield _wrong(
            desired,
            ("spec", "bbox"),
            f"has a `bbox` of {len(numbers)} numbers; it must have 4 (or 6, with heights).",
            hint="write [west, south, east, north]",
        )
        return
    half = len(numbers) // 2
    south, north = numbers[1], numbers[half + 1]
    if south > north:
        yield _wrong(
            desired,
            ("spec", "bbox"),
            f"has a `bbox` whose south, {south:g}, lies north of its north, {north:g}.",
            hint="write [west, south, east, north]",
        )
    elif not (south >= -90 and north <= 90) or any(abs(numbers[at]) > 360 for at in (0, half)):
        yield _wrong(
            desired,
            ("spec", "bbox"),
            "has a `bbox` that does not lie on the globe.",
            why="Its numbers are degrees, longitude first, whatever CRS the data has.",
            hint="write [west, south, east, north] in degrees",
        )


def _time(desired: Desired) -> Iterator[Diagnostic]:
    stated = desired.spec.get("datetime")
    if not isinstance(stated, str):
        return
    path: Path = ("spec", "datetime")
    ends = stated.split("/")
    if len(ends) > 2:
        yield _wrong(desired, path, "has a `datetime` with more than one `/`.", hint=_INTERVAL)
        return
    for end in ends:
        is_open = len(ends) == 2 and end in _OPEN
        if is_open or instant(end) is not None:
            continue
        hint = f"write {end}T00:00:00Z" if _DAY.fullmatch(end) else _INTERVAL
        yield _wrong(
            desired,
            path,
            f"has a `datetime` with {end!r}, which is no instant.",
            hint=hint,
            inside=end,
        )
        return
    if len(ends) == 2 and all(end in _OPEN for end in ends):
        yield _wrong(desired, path, "has a `datetime` that is open at both ends.", hint=_INTERVAL)
        return
    first, last = instant(ends[0]), instant(ends[-1])
    if first is not None and last is not None and first > last:
        yield _wrong(desired, path, "has a `datetime` that ends before it begins.", hint=_INTERVAL)


_INTERVAL: Final = "write e.g. 2025-06-01T00:00:00Z/2025-06-30T23:59:59Z, with `..` for an open end"


def _filter(desired: Desired, known: Known, collection: str) -> Iterator[Diagnostic]:
    stated = desired.spec.get("filter")
    if stated is None or not is_known(stated):
        return
    told = language_fault(desired.spec)
    if told:
        yield _wrong(desired, ("spec", "filter-lang"), f": {told}", hint="remove `filter-lang`")
    for fault in faults_of(stated, known, collection=collection):
        yield _faulty(desired, fault, stated)


def _faulty(desired: Desired, fault: Fault, stated: Value) -> Diagnostic:
    path: Path = ("spec", "filter", *fault.path)
    span = desired.source.span(path)
    if isinstance(stated, str) and isinstance(desired.source, FineSource):
        span = desired.source.within(path, stated, fault.at, fault.length)
    near = difflib.get_close_matches(fault.written, fault.near, n=1, cutoff=0.4)
    hint = fault.hint
    if not hint and near:
        hint = f"did you mean `{near[0]}`?"
    elif not hint and fault.near:
        hint = "there are " + ", ".join(f"`{one}`" for one in fault.near)
    return Diagnostic(
        "catalog/filter",
        "Filter not understood by the catalogue",
        f"the filter of {desired.address.base}: {fault.what}",
        why="It is CQL2, of which the service knows comparisons, `between`, `and` and `not`."
        if not fault.near
        else "",
        hint=hint,
        span=span,
        address=str(desired.address.base),
    )


def _distinct(desired: Desired, known: Known, collection: str) -> Iterator[Diagnostic]:
    stated = desired.spec.get("distinct")
    if not isinstance(stated, str) or known.properties is None:
        return
    names = (_DATE, *known.distinct)
    if stated not in names:
        near = difflib.get_close_matches(stated, names, n=1, cutoff=0.4)
        listed = ", ".join(f"`{one}`" for one in names)
        yield _wrong(
            desired,
            ("spec", "distinct"),
            f"asks {collection} for the distinct values of `{stated}`.",
            why="The service lists the values of few properties.",
            hint=f"did you mean `{near[0]}`?" if near else f"there are {listed}",
        )


def _collection(spec: Object) -> str:
    listed = spec.get("collections")
    first = listed[0] if isinstance(listed, list) and listed else ""
    return first if isinstance(first, str) else ""


def _wrong(
    desired: Desired, path: Path, what: str, *, why: str = "", hint: str = "", inside: str = ""
) -> Diagnostic:
    span: SourceSpan = desired.source.span(path)
    stated = desired.spec.get(str(path[1]))
    if inside and isinstance(stated, str) and isinstance(desired.source, FineSource):
        span = desired.source.within(path, stated, stated.index(inside), len(inside))
    return Diagnostic(
        "catalog/search",
        "Search that the catalogue refuses",
        f"{desired.address.base}{'' if what.startswith(':') else ' '}{what}",
        why=why,
        hint=hint,
        span=span,
        address=str(desired.address.base),
    )
