"""
Asks the catalogue how many acquisitions requests read, so that their price is no guess.

Source: API description, `postCatalogItemSearch`: pages of a hundred, `context.next`. A search costs
from 0.01 to 1 PU, so few are made, each once; what is not answered stays assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import cast

from shplan.core.acquisitions import Catalogue, Search, days_of
from shplan.core.errors import ApiError, NoAnswerError, RefusedError, UnreachableError
from shplan.core.prices import PriceInput, searches
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import JsonObject, JsonValue, Value, canonical
from shplan.providers.steps import Flow, Read

SEARCH = "/catalog/v1/search"
MOST_SEARCHES = 20
MOST_PAGES = 10
_CELL_DEGREES = 2.0
_BAD_REQUEST = 400


def ask_catalogue(asked: Iterable[PriceInput], *, now: str) -> Flow[Catalogue]:
    """
    Ask about all these requests, equal searches once; a catalogue that fails is asked no more.

    Args:
        now: the server's `Date`, ISO 8601, or empty
    """
    wanted = {search.key: search for one in asked for search in searches(one)}
    days: dict[str, dict[str, int]] = {}
    at_most: set[str] = set()
    for body, keys, is_wider in _joined(wanted)[:MOST_SEARCHES]:
        try:
            found, at, whatever_clouds = yield from _answered(body)
        except (NoAnswerError, UnreachableError):
            break
        except ApiError:
            # A collection that the catalogue does not have: others it may have.
            continue
        now = at or now
        if found is not None:
            days |= dict.fromkeys(keys, found)
            if is_wider or whatever_clouds:
                at_most.update(keys)
    return Catalogue(days, now, frozenset(at_most))


def _joined(wanted: Mapping[str, Search]) -> list[tuple[JsonObject, list[str], bool]]:
    """
    Return what is asked, the searches that it answers, and whether it asks for more than they do.

    Where there are too many searches, those of neighbouring areas become one.
    """
    if len(wanted) <= MOST_SEARCHES:
        return [(search.body, [key], False) for key, search in wanted.items()]
    neighbours: dict[tuple[str, int, int], list[str]] = {}
    for key, search in wanted.items():
        west, south, east, north = _box(search)
        rest: JsonObject = {name: one for name, one in search.body.items() if name != "bbox"}
        cell = (
            int((west + east) // (2 * _CELL_DEGREES)),
            int((south + north) // (2 * _CELL_DEGREES)),
        )
        neighbours.setdefault((canonical(cast("Value", rest)).decode(), *cell), []).append(key)
    # Most first, where not all can be asked.
    ranked = sorted(neighbours.values(), key=lambda keys: -len(keys))
    return [
        (
            wanted[keys[0]].body | {"bbox": _around([wanted[key] for key in keys])},
            keys,
            len(keys) > 1,
        )
        for keys in ranked
    ]


def _around(searches_: list[Search]) -> list[JsonValue]:
    boxes = [_box(search) for search in searches_]
    west, south, east, north = zip(*boxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def _box(search: Search) -> tuple[float, float, float, float]:
    return cast(
        "tuple[float, float, float, float]", tuple(cast("list[float]", search.body["bbox"]))
    )


def _answered(body: JsonObject) -> Flow[tuple[dict[str, int] | None, str, bool]]:
    """Ask once more without the clouds where the catalogue does not know those of a collection."""
    try:
        found, at = yield from _days(body)
    except RefusedError as error:
        if "filter" not in body or error.status != _BAD_REQUEST:
            raise
        plain: JsonObject = {
            name: one for name, one in body.items() if not name.startswith("filter")
        }
        found, at = yield from _days(plain)
        return found, at, True
    return found, at, False


def _days(search: JsonObject) -> Flow[tuple[dict[str, int] | None, str]]:
    """
    Return how many scenes each day has, and the server's time.

    None where there are more scenes than anybody counts.
    """
    at = ""
    counts: Counter[str] = Counter()
    token: object = None
    for _ in range(MOST_PAGES):
        body: JsonObject = {**search}
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
