"""
What all lists of the service have in common: the words of a search, and a page by key.

Source: parameters `search` and `viewtoken`. A page is read by key, never by offset, so that the
last one costs as much as the first.
"""

# ruff: noqa: EM101  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shplan.sandbox.errors import violation

if TYPE_CHECKING:
    from sqlite3 import Row

    from shplan.sandbox.paging import Page
    from shplan.sandbox.store import Store, Value

# Our own bound: the reference names none.
MAX_SEARCH_WORDS = 100

Terms = list[list[str]]


def terms_of(search: str) -> Terms:
    """
    Groups of words: those joined by a pipe mean any, by an ampersand or a space all.

    Raises:
        ApiError: 400, too many words
    """
    groups = [re.split(r"[&\s]+", group.strip("& \t")) for group in search.split("|")]
    terms = [words for group in groups if (words := [word for word in group if word])]
    if sum(map(len, terms)) > MAX_SEARCH_WORDS:
        raise violation("search", f"must have at most {MAX_SEARCH_WORDS} words")
    return terms


def named(terms: Terms, *, column: str = "name") -> tuple[str, list[Value]]:
    """The condition, and its values, that any group has all its words in the column."""
    if not terms:
        return "", []
    groups = ["(" + " and ".join(f"instr(lower({column}), ?) > 0" for _ in g) + ")" for g in terms]
    return f" and ({' or '.join(groups)})", [word.lower() for group in terms for word in group]


def keyset(
    store: Store, query: str, values: list[Value], page: Page, key: str, *, descending: bool = False
) -> tuple[list[Row], bool]:
    """
    One page of a query by the column `key`, and whether there are more.

    Args:
        query: ends in its conditions
        descending: the list goes from the last key to the first
    """
    downward = descending != page.backward
    if page.key is not None:
        query += f" and {key} {'<' if downward else '>'} ?"
        values = [*values, page.key]
    query += f" order by {key} {'desc' if downward else 'asc'} limit {page.count + 1}"
    rows = store.rows(query, *values)
    more = len(rows) > page.count
    rows = rows[: page.count]
    return (rows[::-1] if page.backward else rows), more
