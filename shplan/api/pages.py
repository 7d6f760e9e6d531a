"""
The pages of a list, one after the other, until the server says that there is no other.

Source: API description, list answers: the last page is the one without `links.nextToken`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shplan.api.answers import Page, Row
from shplan.core.errors import NoAnswerError
from shplan.core.request import ApiRequest

# Source: API description, `count` of the list operations: 100 is the most.
PAGE_SIZE = 100
# No list has so many pages in a row that are empty or repeat the one before; a server that goes
# on is broken. Nor has any so many pages: a collection of a million tiles has ten thousand.
_MOST_IDLE_PAGES = 100
_MOST_PAGES = 100_000


def page_query(request: ApiRequest, token: str) -> tuple[tuple[str, str], ...]:
    """Return the query that asks for the page of a token; the first page has none."""
    query = request.query
    if not any(name == "count" for name, _ in query):
        query = (*query, ("count", str(PAGE_SIZE)))
    return (*query, ("viewtoken", token)) if token else query


async def read_pages(
    operation: str, read: Callable[[str], Awaitable[Page]], sink: Callable[[tuple[Row, ...]], None]
) -> int:
    """
    Read all pages, hand each page's rows to `sink`, return their number.

    Raises:
        NoAnswerError: the server's pages lead in a circle
    """
    total = 0
    idle = 0
    before: tuple[Row, ...] = ()
    token = ""
    seen: set[str] = set()
    while True:
        page = await read(token)
        total += len(page.rows)
        if page.rows:
            sink(page.rows)
        token = page.next_token
        if not token:
            return total
        idle = idle + 1 if not page.rows or page.rows == before else 0
        before = page.rows
        if token in seen or idle > _MOST_IDLE_PAGES or len(seen) > _MOST_PAGES:
            msg = f"{operation}: the server's pages lead in a circle"
            raise NoAnswerError(msg)
        seen.add(token)
