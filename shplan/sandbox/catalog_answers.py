"""
What the catalogue answers: landing page, conformance, collections, queryables, items, searches.

Loaded with the first request for it, as geometry and filters are heavy (`routes.catalog`).

Source: catalog operations of the OpenAPI document; STAC API 1.0.0; the Catalog page. Links are in
the path style in which the request came.
"""

# ruff: noqa: EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import catalog_byoc, catalog_items, catalog_public, ingestion
from shplan.sandbox.catalog_items import GEO_JSON, JSON, SCHEMA_JSON, Found, Source, link
from shplan.sandbox.catalog_requests import asked, posted
from shplan.sandbox.catalog_search import Page, Search, cost_of, page_of, search_of
from shplan.sandbox.errors import ApiError, bad_payload, not_found
from shplan.sandbox.routes.byoc_collections import owned
from shplan.sandbox.routes.endpoint import Call, Later, Reply, afford
from shplan.sandbox.wire import encode, instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from shplan.sandbox.catalog_marks import Marks
    from shplan.sandbox.wire import Json, JsonObject

BASE = "/catalog/v1"
_STYLES = ("/api/v1/catalog/1.0.0", BASE)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#fields",
    "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
)


def landing(call: Call) -> Reply:
    """Where everything else is; asks for no token."""
    base = _base(call)
    search = f"{base}/search"
    links: list[Json] = [
        link("root", base, JSON),
        link("self", base, JSON),
        link("data", f"{base}/collections", JSON),
        link("conformance", f"{base}/conformance", JSON),
        link("search", search, GEO_JSON, title="STAC search", method="GET"),
        link("search", search, GEO_JSON, title="STAC search", method="POST"),
    ]
    links += [
        link(
            "child",
            f"{base}/collections/{source.id}",
            JSON,
            title=str(source.description()["title"]),
        )
        for source in catalog_public.listed(now_ms=call.now_ms)
    ]
    links += [
        link("service-desc", _SERVICE_DESC, 'application/vnd.oai.openapi;version="3.1"'),
        link("service-doc", _SERVICE_DOC, "text/html"),
    ]
    content: JsonObject = {
        "type": "Catalog",
        "stac_version": catalog_items.STAC_VERSION,
        "id": "sentinel-hub",
        "title": "Sentinel Hub STAC catalog",
        "description": "Public collections and those of your account, as items of STAC",
        "conformsTo": list(CONFORMANCE),
        "links": links,
    }
    return Reply(200, encode(content))


# The description of this API is the service's own; the sandbox holds an extract only.
_SERVICE_DOC = "https://docs.sentinel-hub.com/api/latest/reference/"
_SERVICE_DESC = _SERVICE_DOC


def conformance(_: Call) -> Reply:
    """The classes of the standards that this follows; asks for no token."""
    return Reply(200, encode({"conformsTo": list(CONFORMANCE)}))


def list_collections(call: Call) -> Reply:
    """The public collections, then those of the account."""
    base = _base(call)
    ingestion.settle_account(call.world, call.account)
    sources: list[Source] = [*catalog_public.listed(now_ms=call.now_ms)]
    sources += catalog_byoc.listed(call.store, account=call.account)
    links: list[Json] = [
        link("root", base, JSON),
        link("self", f"{base}/collections", JSON),
        link("parent", base, JSON),
    ]
    found: list[Json] = [catalog_items.collection(source, base) for source in sources]
    return Reply(200, encode({"links": links, "collections": found}))


def get_collection(call: Call) -> Reply:
    """One collection."""
    return Reply(200, encode(catalog_items.collection(_source_in_path(call), _base(call))))


def get_queryables(call: Call) -> Reply:
    """What the filters of a collection may name."""
    source = _source_in_path(call)
    address = f"{_base(call)}/collections/{source.id}/queryables"
    return Reply(200, encode(catalog_items.queryables(source, address)), media_type=SCHEMA_JSON)


def list_items(call: Call, *, marks: Marks) -> Reply | Later:
    """A page of a collection's items; no time and no area means all of them."""
    source = _source_in_path(call)
    query = {n: v for n, v in call.query.items() if n in ("limit", "next", "bbox", "datetime")}
    body = asked({"datetime": "../..", **query, "collections": source.id}, call.settings)
    search = search_of(body, source, account=call.account, settings=call.settings)
    base = _base(call)

    def answer(found: _Found) -> Reply:
        links: list[Json] = [
            link("root", base, JSON),
            link("self", _address(call), GEO_JSON),
            link("parent", f"{base}/collections/{source.id}", JSON),
            *_next_by_get(call, found.page),
        ]
        content: JsonObject = {
            "type": "FeatureCollection",
            "features": found.features,
            "links": links,
            "timeStamp": instant(call.now_ms),
            "numberReturned": len(found.page.found),
        }
        return Reply(200, encode(content), media_type=GEO_JSON)

    return _searched(search, marks, base, answer)


def get_item(call: Call) -> Reply:
    """One item."""
    source = _source_in_path(call)
    found = source.find(call.params["item_id"])
    if found is None:
        raise not_found(f"Item {call.params['item_id']} not found.")
    return Reply(200, encode(catalog_items.item(source, found, _base(call))), media_type=GEO_JSON)


def get_search(call: Call, *, marks: Marks) -> Reply | Later:
    """A page of a search whose next page is another address."""
    search = _search(call, asked(call.query, call.settings))
    return _found(call, search, marks, by_post=False)


def post_search(call: Call, *, marks: Marks) -> Reply | Later:
    """A page of a search whose next page is the same body with another `next`."""
    body = posted(call.content, call.headers.get("content-type", ""), call.settings)
    return _found(call, _search(call, body), marks, by_post=True)


def _search(call: Call, body: JsonObject) -> Search:
    collection_id = cast("list[str]", body["collections"])[0]
    try:
        source = _source(call, collection_id)
    except ApiError as error:
        # Source: responses of the search: an unknown collection makes the request wrong.
        if error.status != 404:
            raise
        raise bad_payload(f"Collection {collection_id} does not exist.") from error
    return search_of(body, source, account=call.account, settings=call.settings)


def _found(call: Call, search: Search, marks: Marks, *, by_post: bool) -> Reply | Later:
    cost_pu = cost_of(search, now_ms=call.now_ms) if call.settings.catalog_costs else 0.0
    if cost_pu:
        afford(call, cost_pu)

    def answer(found: _Found) -> Reply:
        page, features = found.page, found.features
        links: list[Json] = [link("self", _address(call), GEO_JSON)]
        links += _next_by_post(call, page) if by_post else _next_by_get(call, page)
        context: JsonObject = {"limit": search.limit, "returned": len(features)}
        if page.next_offset is not None:
            context = {"next": page.next_offset, **context}
        content: JsonObject = {
            "type": "FeatureCollection",
            "features": features,
            "links": links,
            "context": context,
        }
        headers = {}
        if cost_pu:
            with call.store.writing():
                call.store.charge(call.account, cost_pu)
            headers["X-ProcessingUnits-Spent"] = str(cost_pu)
        return Reply(200, encode(content), media_type=GEO_JSON, headers=headers)

    return _searched(search, marks, _base(call), answer)


@dataclass(frozen=True, slots=True)
class _Found:
    page: Page
    features: list[Json]


def _searched(
    search: Search, marks: Marks, base: str, answer: Callable[[_Found], Reply]
) -> Reply | Later:
    """What a search finds: at once in the store, beside the loop what is computed."""

    def work() -> _Found:
        page = page_of(search, marks)
        return _Found(page, page.values if search.distinct else _features(search, page, base))

    return answer(work()) if search.source.is_stored else Later(work, answer)


def _features(search: Search, page: Page, base: str) -> list[Json]:
    def shaped(found: Found) -> JsonObject:
        item = catalog_items.item(search.source, found, base)
        return item if search.fields is None else search.fields.of(item)

    return [shaped(found) for found in page.found]


def _source_in_path(call: Call) -> Source:
    return _source(call, call.params["collection_id"])


def _source(call: Call, collection_id: str) -> Source:
    """
    The collection of an identifier, up to date; every kind of collection has its own prefix.

    Raises:
        ApiError: 404, 403
    """
    public = catalog_public.find(collection_id, now_ms=call.now_ms)
    if public is not None:
        return public
    bare = collection_id.removeprefix(catalog_byoc.PREFIX).lower()
    if not _UUID.fullmatch(bare):
        raise not_found(f"Collection {collection_id} not found.")
    ingestion.settle(call.world, owned(call, bare).id)
    stored = rows.find_collection(call.store, bare)
    if stored is None:
        raise not_found(f"Collection {collection_id} not found.")
    return catalog_byoc.ByocSource(call.store, stored)


def _base(call: Call) -> str:
    """The address of the catalogue as the caller wrote it."""
    parts = urlsplit(call.url)
    style = next((style for style in _STYLES if parts.path.startswith(style)), BASE)
    return f"{parts.scheme}://{parts.netloc}{style}"


def _address(call: Call, **changes: int) -> str:
    """The address of this request, its query spelled in one way, with some parameters changed."""
    parts = urlsplit(call.url)
    query = [(n, v) for n, v in parse_qsl(parts.query, keep_blank_values=True) if n not in changes]
    query += [(name, str(value)) for name, value in changes.items()]
    tail = f"?{urlencode(query)}" if query else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{tail}"


def _next_by_get(call: Call, page: Page) -> list[Json]:
    if page.next_offset is None:
        return []
    address = _address(call, next=page.next_offset)
    return [link("next", address, GEO_JSON, title="Next set of results")]


def _next_by_post(call: Call, page: Page) -> list[Json]:
    if page.next_offset is None:
        return []
    body: JsonObject = {"next": page.next_offset}
    more: JsonObject = {"method": "POST", "body": body, "merge": True}
    return [link("next", _address(call), GEO_JSON, title="Next set of results", **more)]
