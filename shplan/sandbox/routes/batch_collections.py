"""
Batch collections of version 1: what a batch request fills so that its results are data again.

Source: the older batch reference, and what the Python client 3.11.1 sends and reads. Only the name
can be changed, and only what no request holds on to can be deleted.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import batch_collection_rows as rows
from shplan.sandbox import batch_v1_rows
from shplan.sandbox.errors import conflict, forbidden, not_found, violation
from shplan.sandbox.lists import terms_of
from shplan.sandbox.paging import page
from shplan.sandbox.routes import tasks
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.batch_collection_rows import BatchCollection
    from shplan.sandbox.world import World

BASE = "/api/v1/batch/collections"


def routes(world: World) -> list[Route]:
    """The routes of batch collections."""
    table = {
        BASE: {
            "GET": Operation(list_collections),
            "POST": Operation(create, body="createNewBatchCollection"),
        },
        f"{BASE}/{{batch_collection}}": {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateBatchCollection"),
            "DELETE": Operation(delete),
        },
    }
    return [route(world, path, operations) for path, operations in table.items()]


def owned(call: Call) -> BatchCollection:
    """
    The caller's collection.

    Raises:
        ApiError: 404 if there is none, 403 (or 404, by a setting) if it is somebody else's
    """
    identifier = call.params["batch_collection"]
    found = rows.find(call.store, identifier)
    visible_ms = call.now_ms - round(call.settings.get_lag_s * 1000)
    is_foreign = found is not None and found.account != call.account
    if is_foreign and call.settings.foreign_objects == 403:
        raise forbidden()
    if found is None or is_foreign or found.created_ms > visible_ms:
        raise not_found(f"Collection {identifier} not found.")
    return found


def _answer(status: int, collection: BatchCollection) -> Reply:
    """
    One collection, in both forms that are known.

    The reference shows it bare, the client reads `data`.
    """
    content = collection.as_json()
    return Reply(status, encode({"data": content, **content}))


def _name(call: Call) -> str:
    name = str(call.body["name"])
    if not name.strip():
        raise violation("name", "must not be blank")
    return name


def list_collections(call: Call) -> Reply:
    """A page of collections by identifier, which is not the order of their creation."""
    asked = page(call.query, key=str)
    found, more = rows.page(
        call.store,
        account=call.account,
        until_ms=call.now_ms - round(call.settings.list_lag_s * 1000),
        asked=asked,
        terms=terms_of(call.query.get("search", "")),
    )
    texts = [encode(one.as_json()) for one in found]
    return tasks.listing(call, asked, texts, keys=[one.id for one in found], more=more)


def create(call: Call) -> Reply:
    """A new collection; names may repeat."""
    bucket = str(call.body["s3Bucket"])
    if not bucket.strip():
        raise violation("s3Bucket", "must not be blank")
    with call.store.writing():
        made = rows.insert(
            call.store,
            identifier=call.store.mint("batch-collection"),
            account=call.account,
            name=_name(call),
            bucket=bucket,
            now_ms=call.now_ms,
        )
    return _answer(201, made)


def get(call: Call) -> Reply:
    """One collection."""
    return _answer(200, owned(call))


def update(call: Call) -> Reply:
    """Overwrite the name, and nothing else."""
    rows.rename(call.store, owned(call).seq, _name(call))
    return Reply(204)


def delete(call: Call) -> Reply:
    """Remove a collection that no request uses, but those that failed or were cancelled."""
    with call.store.writing():
        found = owned(call)
        if batch_v1_rows.is_collection_used(call.store, found.id):
            raise conflict("A batch request uses this collection.")
        rows.delete(call.store, found.seq)
    return Reply(204)
