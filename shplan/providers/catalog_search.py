"""
`CatalogSearch`: a search of the catalogue, whose items feed other manifests and can be pinned.

All pages are read. Source: operation `postCatalogItemSearch`; a page names the offset of the next one in
`context.next`, and the last page names none.
"""

from __future__ import annotations

import math
from typing import Final, cast

from shplan.core.catalog_items import Difference, Findings, difference, worded
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic
from shplan.core.prices import catalogue_cost
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.base import ChangeFailedError
from shplan.providers.catalog_checks import check_search
from shplan.providers.data import PIN, DataProvider, Tables
from shplan.providers.steps import Flow, Read

# Source: schema `CatalogItemSearchLimit`, the most that a page may have.
PAGE: Final = 100
# Our own bounds: what a manifest can sensibly be made of.
MAX_ITEMS: Final = 20_000
MAX_PAGES: Final = 2_000
_PAGING: Final = frozenset({PIN, "limit", "filter-lang"})


class CatalogSearch(DataProvider):
    """The provider of the kind."""

    kind = "CatalogSearch"
    can_be_pinned = True
    names = frozenset(Findings().attributes())

    def check(self, desired: Desired, tables: Tables) -> list[Diagnostic]:
        """Check the area, the time and the filter."""
        return check_search(desired, tables)

    def question(self, spec: Object) -> JsonObject:
        """Return the search without what only says how its answer comes: the size of its pages."""
        return cast(
            "JsonObject", {name: spec[name] for name in sorted(spec) if name not in _PAGING}
        )

    def read(self, spec: Object, tables: Tables) -> Flow[JsonObject]:
        """Read all pages."""
        del tables
        features: list[JsonValue] = []
        seen: set[JsonValue] = set()
        offset: JsonValue = None
        for _ in range(MAX_PAGES):
            answer: Answer = yield Read(_request(spec, offset), once=True)
            page = answer.body if isinstance(answer.body, dict) else {}
            listed = page.get("features")
            features += listed if isinstance(listed, list) else []
            if len(features) > MAX_ITEMS:
                break
            context = page.get("context")
            offset = context.get("next") if isinstance(context, dict) else None
            if offset is None:
                return Findings.of(features, collection=_collection(spec)).as_json()
            if not isinstance(offset, int | str) or offset in seen:
                message = (
                    f"the catalogue's page {len(seen) + 1} names a next page that was read before"
                )
                raise ChangeFailedError(message)
            seen.add(offset)
        message = (
            f"the search finds more than {MAX_ITEMS:,} items, or has more than {MAX_PAGES:,} pages; "
            "narrow its area, its time or its filter"
        )
        raise ChangeFailedError(message)

    def body(self, spec: Object) -> Object:
        """Return the body of the first page's request."""
        body = _request(spec, None).body
        assert isinstance(body, dict)
        return body

    def seen(self, content: JsonObject) -> Object:
        """Return the items, by themselves and by id, and what is asked of them most."""
        return Findings.from_json(content).attributes()

    def compared(self, known: JsonObject, answer: JsonObject) -> tuple[str, ...]:
        """Say which items the catalogue has gained, lost and changed since they were pinned."""
        differs = self.difference(known, answer)
        told = (
            ("has in addition", differs.added),
            ("no longer has", differs.removed),
            ("says something else of", differs.changed),
        )
        return tuple(
            f"the catalogue {what} {len(names):,}: {worded(names)}" for what, names in told if names
        )

    def difference(self, before: JsonObject, after: JsonObject) -> Difference:
        """Return which items, or values, one answer has and another has not."""
        return difference(Findings.from_json(before), Findings.from_json(after))

    def count(self, content: JsonObject) -> int:
        """Return how many items, or values, there are."""
        found = Findings.from_json(content)
        return len(found.items) + len(found.values)

    def told(self, content: JsonObject) -> tuple[str, ...]:
        """Count what was found."""
        found = Findings.from_json(content)
        noun = "value" if found.values else "item"
        number = len(found.values) or len(found.items)
        return (f"{number:,} {noun}" + ("" if number == 1 else "s"),)

    def price(self, spec: Object, content: JsonObject) -> Cost:
        """Return the price of all its pages."""
        stated = spec.get("limit")
        size = stated if isinstance(stated, int) and stated > 0 else PAGE
        pages = max(math.ceil(self.count(content) / size), 1)
        return catalogue_cost(spec, pages=pages)


def _request(spec: Object, offset: JsonValue) -> ApiRequest:
    body: Object = {"limit": PAGE, **{name: value for name, value in spec.items() if name != PIN}}
    if isinstance(body.get("filter"), str):
        # Without it the service takes a filter for JSON.
        body.setdefault("filter-lang", "cql2-text")
    elif "filter" in body:
        body.setdefault("filter-lang", "cql2-json")
    if offset is not None:
        body["next"] = cast("Value", offset)
    return ApiRequest("postCatalogItemSearch", "POST", "/catalog/v1/search", Effect.READ, body=body)


def _collection(spec: Object) -> str:
    listed = spec.get("collections")
    first = listed[0] if isinstance(listed, list) and listed else ""
    return first if isinstance(first, str) else ""
