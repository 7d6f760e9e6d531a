"""
Asks the catalogue how many acquisitions requests read, so that their price is no guess.

Source: API description, `postCatalogItemSearch`: pages of a hundred, `context.next`. A search costs
from 0.01 to 1 PU, so few are made, each once; what is not answered stays assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import cast

from shplan.core.acquisitions import Catalogue, Search, days_of
from shplan.core.errors import ApiError, NoAnswerError, UnreachableError
from shplan.core.prices import PriceInput, searches
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import JsonObject, Value
from shplan.providers.steps import Flow, Read

SEARCH = "/catalog/v1/search"
MOST_SEARCHES = 20
MOST_PAGES = 10


def ask_catalogue(asked: Iterable[PriceInput], *, now: str) -> Flow[Catalogue]:
    """
    Ask about all these requests, equal searches once; a catalogue that fails is asked no more.

    Args:
        now: the server's `Date`, ISO 8601, or empty
    """
    wanted = {search.key: search for one in asked for search in searches(one)}
    days: dict[str, dict[str, int]] = {}
    for key, search in list(wanted.items())[:MOST_SEARCHES]:
        try:
            found, at = yield from _days(search)
        except (NoAnswerError, UnreachableError):
            break
        except ApiError:
            # A collection that the catalogue does not have: others it may have.
            continue
        now = at or now
        if found is not None:
            days[key] = found
    return Catalogue(days, now)


def _days(search: Search) -> Flow[tuple[dict[str, int] | None, str]]:
    """
    Return how many scenes each day has, and the server's time.

    None where there are more scenes than anybody counts.
    """
    at = ""
    counts: Counter[str] = Counter()
    token: object = None
    for _ in range(MOST_PAGES):
        body: JsonObject = {**search.body}
        if isinstance(token, int | str):
            body["next"] = token
        request = ApiRequest(
            "postCatalogItemSearch", "POST", SEARCH, Effect.READ, body=cast("Value", body)
        )
        answer: Answer = yield Read(request, once=True)
        at = answer.server_time
        page = answer.body if isinstance(answer.body, dict) else {}
        features = page.get("features")
        if not isinstance(features, list):
            return None, at
        counts.update(days_of(features))
        context = page.get("context")
        token = context.get("next") if isinstance(context, dict) else None
        if token is None:
            return dict(sorted(counts.items())), at
    return None, at
