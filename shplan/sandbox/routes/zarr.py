"""
Zarr import: collections and their arrays; create, list, get, rename, delete, reingest.

Source: Zarr operations of the OpenAPI document; the page on Zarr import. What ingestion finds is
decided elsewhere. Paths are in the newer style; the older is an alias.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import byoc_rows, zarr_rows
from shplan.sandbox.checks import TILE_CRS
from shplan.sandbox.errors import bad_payload, forbidden, not_found, violation
from shplan.sandbox.geometry import epsg_of_name
from shplan.sandbox.lists import terms_of
from shplan.sandbox.paging import links, page
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route
from shplan.sandbox.wire import encode
from shplan.sandbox.zarr_rows import ZarrRound

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World
    from shplan.sandbox.zarr_rows import ZarrCollection

# The page on processing units tells a price for BYOC only; this family is its sibling.
CALL_PU = 1.0


def routes(world: World) -> list[Route]:
    """The routes of the family."""
    base, one = "/zarr/v1/collections", "/zarr/v1/collections/{zarr}"
    table = {
        base: {
            "GET": Operation(list_collections),
            "POST": Operation(create, body="createZarrCollection", cost_pu=CALL_PU),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateZarrCollectionById", cost_pu=CALL_PU),
            "DELETE": Operation(delete, cost_pu=CALL_PU),
        },
        f"{one}/reingest": {"PUT": Operation(reingest, cost_pu=CALL_PU)},
        f"{one}/arrays": {"GET": Operation(list_arrays)},
        f"{one}/arrays/{{array}}": {"GET": Operation(get_array)},
    }
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


def _visible_until(call: Call, lag_s: float) -> int:
    return call.now_ms - round(lag_s * 1000)


def _owned(call: Call) -> ZarrCollection:
    collection_id = call.params["zarr"]
    collection = zarr_rows.find(call.store, collection_id)
    if collection is None or collection.created_ms > _visible_until(call, call.settings.get_lag_s):
        raise not_found(f"Collection {collection_id} not found.")
    if collection.account != call.account:
        if call.settings.foreign_objects == 403:
            raise forbidden()
        raise not_found(f"Collection {collection_id} not found.")
    return collection


def list_collections(call: Call) -> Reply:
    """
    A page of collections by identifier.

    Source: the document declares the media type `aplication/json`, a slip of the pen.
    """
    asked = page(call.query, key=str)
    found, more = zarr_rows.page_of_account(
        call.store,
        account=call.account,
        until_ms=_visible_until(call, call.settings.list_lag_s),
        page=asked,
        terms=terms_of(call.query.get("search", "")),
    )
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    data: list[Json] = [collection.as_json(now_ms=call.now_ms) for collection in found]
    content: JsonObject = {
        "data": data,
        "links": links(call.url, asked, first=first, last=last, more=more),
    }
    return Reply(200, encode(content))


def create(call: Call) -> Reply:
    """A new collection, whose ingestion begins by itself."""
    for field in ("name", "s3Bucket"):
        if not str(call.body[field]).strip():
            raise violation(field, "must not be blank")
    path = str(call.body["path"])
    if not path.endswith("/") or path.startswith("/"):
        raise violation("path", "must end with a slash and not start with one")
    epsg = epsg_of_name(str(call.body["crs"]))
    if epsg is None or epsg not in TILE_CRS:
        raise violation("crs", "must be WGS84, Web Mercator, a UTM zone or EPSG:3035")
    collection = zarr_rows.insert(
        call.store,
        collection_id=call.store.mint("zarr"),
        account=call.account,
        body=call.body,
        epsg=epsg,
        instants=_round(call, created_s=call.settings.zarr_created_s),
    )
    # The answer says CREATED also where that takes no time at all.
    content = collection.as_json(now_ms=collection.round.ingesting_ms - 1)
    return Reply(201, encode({"data": content}))


def _round(call: Call, *, created_s: float) -> ZarrRound:
    ingesting_ms = call.now_ms + round(created_s * 1000)
    done_ms = ingesting_ms + round(call.settings.zarr_ingesting_s * 1000)
    return ZarrRound(call.now_ms, ingesting_ms, done_ms)


def get(call: Call) -> Reply:
    """One collection."""
    return Reply(200, encode({"data": _owned(call).as_json(now_ms=call.now_ms)}))


def update(call: Call) -> Reply:
    """Rename it. Source: schema `ZarrCollectionUpdatePayload`, which has the name only."""
    collection = _owned(call)
    name = str(call.body["name"])
    if not name.strip():
        raise violation("name", "must not be blank")
    zarr_rows.rename(call.store, collection.seq, name)
    return Reply(204)


def delete(call: Call) -> Reply:
    """Remove a collection; what lies in the bucket stays."""
    collection_id = call.params["zarr"].lower()
    grave = byoc_rows.buried_ms(call.store, kind="zarr", parent="", name=collection_id)
    if grave is not None and grave[0] == call.account and call.settings.second_delete == 204:
        return Reply(204)
    collection = _owned(call)
    zarr_rows.delete(call.store, collection.seq)
    byoc_rows.bury(
        call.store,
        kind="zarr",
        parent="",
        name=collection.id,
        account=call.account,
        now_ms=call.now_ms,
    )
    return Reply(204)


def reingest(call: Call) -> Reply:
    """
    Send a collection round again, for new chunks and a longer time axis.

    Source: the document has no 400 here. While an ingestion runs there is nothing to do: it reads
    the group when it ends.
    """
    collection = _owned(call)
    if collection.outcome is None:
        if call.settings.zarr_reingest_running == "refuse":
            raise bad_payload("The collection is being ingested.")
        return Reply(200, encode({"data": collection.as_json(now_ms=call.now_ms)}))
    zarr_rows.start_round(call.store, collection.seq, _round(call, created_s=0.0))
    fresh = _owned(call)
    return Reply(200, encode({"data": fresh.as_json(now_ms=call.now_ms)}))


def list_arrays(call: Call) -> Reply:
    """A page of the arrays that were ingested, by name."""
    asked = page(call.query, key=str)
    collection = _owned(call)
    terms = terms_of(call.query.get("search", ""))
    found, more = zarr_rows.arrays_page(call.store, collection.seq, page=asked, terms=terms)
    first, last = (found[0]["name"], found[-1]["name"]) if found else (None, None)
    around = encode(links(call.url, asked, first=first, last=last, more=more))
    data = ",".join(zarr_rows.array_text(row, collection) for row in found)
    return Reply(200, f'{{"data":[{data}],"links":{around}}}')


def get_array(call: Call) -> Reply:
    """One array that was ingested."""
    collection = _owned(call)
    name = call.params["array"]
    row = zarr_rows.find_array(call.store, collection.seq, name)
    if row is None:
        raise not_found(f"Array {name} not found.")
    return Reply(200, f'{{"data":{zarr_rows.array_text(row, collection)}}}')
