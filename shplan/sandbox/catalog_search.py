"""
A search as a value, and the page that answers it.

The service pages by offsets. So that a page costs the same at any depth, each page leaves behind
where it ended: whoever asks for the next one goes on from there, and sees nothing twice when
items come or go meanwhile. Without such a mark the offset is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

from shplan.sandbox.catalog_area import WORLD_KM2, area_of
from shplan.sandbox.catalog_fields import fields_of
from shplan.sandbox.catalog_filters import predicate_of
from shplan.sandbox.catalog_items import Found, Source, TooBroadError
from shplan.sandbox.catalog_time import Span, day_of, day_start_ms, months_of, span_of
from shplan.sandbox.errors import ApiError, bad_payload
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.sandbox.catalog_area import SearchArea
    from shplan.sandbox.catalog_fields import Fields
    from shplan.sandbox.catalog_filters import Predicate
    from shplan.sandbox.catalog_items import Place
    from shplan.sandbox.catalog_marks import Marks
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.wire import Json, JsonObject

# Source: schema `CatalogItemSearchLimit`.
DEFAULT_LIMIT = 10
# Our own bounds.
MAX_OFFSET = 100_000_000
MAX_IDS = 1_000
DATE = "date"


@dataclass(frozen=True, slots=True)
class Search:
    """
    What is searched for.

    Args:
        identity: the same for two pages of one search, and for no other search
        ids: none: any
    """

    identity: str
    source: Source
    area: SearchArea | None
    span: Span
    ids: tuple[str, ...] | None
    limit: int
    offset: int
    fields: Fields | None
    distinct: str | None
    predicate: Predicate | None


@dataclass(frozen=True, slots=True)
class Page:
    """What was found; `next_offset` is None on the last page."""

    found: list[Found]
    values: list[Json]
    next_offset: int | None


def search_of(body: JsonObject, source: Source, *, account: str, settings: Settings) -> Search:
    """
    The search that a valid body describes.

    Raises:
        ApiError: 400
    """
    ids = cast("list[str] | None", body.get("ids") or None)
    if ids is not None and len(ids) > MAX_IDS:
        msg = f"ids must not have more than {MAX_IDS} members."
        raise bad_payload(msg)
    if ids is None and "ids" in body and "datetime" not in body:
        msg = "datetime must not be missing."
        raise bad_payload(msg)
    offset = int(cast("float", body.get("next", 0)))
    if offset > MAX_OFFSET:
        msg = f"next must not be greater than {MAX_OFFSET}."
        raise bad_payload(msg)
    fields, distinct = body.get("fields"), cast("str | None", body.get("distinct"))
    if distinct is not None and distinct != DATE and distinct not in source.distincts:
        known = ", ".join([DATE, *sorted(source.distincts)])
        msg = f"distinct must be one of {known} for this collection."
        raise bad_payload(msg)
    about = {n: v for n, v in body.items() if n not in ("limit", "next", "fields", "collections")}
    return Search(
        identity=encode([account, source.id, about]),
        source=source,
        area=area_of(body),
        span=span_of(str(body["datetime"])) if "datetime" in body else Span(),
        ids=None if ids is None else tuple(dict.fromkeys(ids)),
        limit=int(cast("float", body.get("limit", DEFAULT_LIMIT))),
        offset=offset,
        fields=None if fields is None else fields_of(cast("JsonObject", fields)),
        distinct=distinct,
        predicate=predicate_of(body, source.queryables, settings),
    )


def cost_of(search: Search, *, now_ms: int) -> float:
    """
    Processing units of a search.

    Source: the price list: a hundredth at least and one at most for square kilometres by the
    million, times started months.
    """
    km2 = WORLD_KM2 if search.area is None else search.area.km2
    if search.ids is not None and search.area is None:
        km2 = 0.0
    months = 1
    if search.ids is None or search.span != Span():
        months = months_of(search.span, now_ms=now_ms, first_ms=search.source.first_ms)
    return min(1.0, round(max(km2 / 1e6, 0.01) * months, 6))


def page_of(search: Search, marks: Marks) -> Page:
    """
    One page.

    Raises:
        ApiError: 400, nothing was found where a request may look
    """
    if search.distinct is not None:
        return _distinct_page(search)
    if search.ids is not None:
        found = list(islice(_by_ids(search), search.offset, search.offset + search.limit + 1))
        return _cut(search, found, more=len(found) > search.limit)
    after = marks.place(search.identity, search.offset) if search.offset else None
    skip = search.offset if after is None else 0
    found = []
    more = False
    try:
        for one in _matching(search, after=after, skip=skip):
            if len(found) == search.limit:
                more = True
                break
            found.append(one)
    except TooBroadError as error:
        if not found:
            raise _too_broad() from error
        # A shorter page; whoever asks for the next goes on behind it.
        more = True
    if more:
        marks.remember(search.identity, search.offset + len(found), found[-1].place)
    return _cut(search, found, more=more)


def _cut(search: Search, found: list[Found], *, more: bool) -> Page:
    kept = found[: search.limit]
    return Page(kept, [], search.offset + len(kept) if more else None)


def _matching(search: Search, *, after: Place | None, skip: int) -> Iterator[Found]:
    """All that the search finds behind a place, but for the first few."""
    predicate = search.predicate
    if predicate is None:
        yield from search.source.search(search.area, search.span, after=after, skip=skip)
        return
    everything = search.source.search(search.area, search.span, after=after, skip=0)
    yield from islice((one for one in everything if predicate(one.properties())), skip, None)


def _by_ids(search: Search) -> Iterator[Found]:
    known = [search.source.find(item_id) for item_id in search.ids or ()]
    found = sorted((one for one in known if one is not None), key=lambda one: one.id)
    for one in sorted(found, key=lambda one: one.place[0], reverse=True):
        is_in_time = one.at_ms is None or search.span.has(one.at_ms)
        if not is_in_time or (search.area and not search.area.shape.intersects(one.shape())):
            continue
        if search.predicate is None or search.predicate(one.properties()):
            yield one


def _distinct_page(search: Search) -> Page:
    """Source: answers of the service: `features` are the values themselves."""
    last = search.offset + search.limit
    values: list[Json] = []
    try:
        for value in _dates(search) if search.distinct == DATE else _values(search):
            values.append(value)
            if len(values) > last:
                break
    except TooBroadError as error:
        raise _too_broad() from error
    kept = values[search.offset : last]
    return Page([], kept, last if len(values) > last else None)


def _dates(search: Search) -> Iterator[str]:
    """The days of what is found, the latest first; one look a day."""
    if search.ids is not None:
        days = (day_of(one.at_ms) for one in _by_ids(search) if one.at_ms is not None)
        yield from dict.fromkeys(days)
        return
    span = search.span
    while True:
        first = next(_matching_in(search, span), None)
        if first is None or first.at_ms is None:
            return
        yield day_of(first.at_ms)
        before_ms = day_start_ms(first.at_ms) - 1
        if span.from_ms is not None and before_ms < span.from_ms:
            return
        span = Span(span.from_ms, before_ms)


def _matching_in(search: Search, span: Span) -> Iterator[Found]:
    for one in search.source.search(search.area, span, after=None, skip=0):
        if search.predicate is None or search.predicate(one.properties()):
            yield one


def _values(search: Search) -> Iterator[Json]:
    """The values of a property in the order in which they are met."""
    name = cast("str", search.distinct)
    known, seen = set(map(encode, search.source.distincts[name])), set()
    found = _by_ids(search) if search.ids is not None else _matching_in(search, search.span)
    for one in found:
        value = one.properties().get(name)
        text = encode(value)
        if value is not None and text not in seen:
            seen.add(text)
            yield value
        if known and known <= seen:
            return


def _too_broad() -> ApiError:
    msg = "The search looks at too much and finds too little; narrow its area, time or filter."
    return bad_payload(msg)
