"""
BYOC tiles: create, list, get, update, delete, reingest.

Source: BYOC operations of the OpenAPI document; the BYOC page on tiles; the reference's open
questions, each of which is a setting. What ingestion finds is decided elsewhere.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import lifecycle
from shplan.sandbox.buckets import BAND, EXTENSIONS
from shplan.sandbox.errors import bad_payload, conflict, not_found, violation
from shplan.sandbox.geometry import cover_in_crs84
from shplan.sandbox.paging import links, page
from shplan.sandbox.routes.byoc_collections import owned
from shplan.sandbox.routes.endpoint import BYOC_CALL_PU, Call, Operation, Reply, route
from shplan.sandbox.wire import decode_object, encode, instant, parse_instant

if TYPE_CHECKING:
    from sqlite3 import Row

    from starlette.routing import Route

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

ORDERS = {"created:asc": False, "created:desc": True}

_PATH = re.compile(r"([^/](/?[^/])*)?")
_IN_FOLDER = re.compile(r"(.*)/\(BAND\)(\.\w+)?")


def routes(world: World) -> list[Route]:
    """The routes of tiles."""
    base = "/byoc/v1/collections/{collection}/tiles"
    one = f"{base}/{{tile}}"
    table = {
        base: {
            "GET": Operation(list_tiles),
            "POST": Operation(create, body="createByocCollectionTile", cost_pu=BYOC_CALL_PU),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateByocCollectionTileById", cost_pu=BYOC_CALL_PU),
            "DELETE": Operation(delete, cost_pu=BYOC_CALL_PU),
        },
        f"{one}/reingest": {"POST": Operation(reingest, cost_pu=BYOC_CALL_PU)},
    }
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


def list_tiles(call: Call) -> Reply:
    """A page of tiles by creation, put together from their stored texts."""
    asked = page(call.query, key=int)
    order, status = call.query.get("sort", "created:asc"), call.query.get("status")
    if order not in ORDERS:
        raise violation("sort", f"must be one of {', '.join(ORDERS)}")
    # The document declares the status as JSON, so that quotes around it are to be expected.
    status = None if status is None else status.strip('"')
    if status is not None and status not in lifecycle.STATUSES:
        raise violation("status", f"must be one of {', '.join(lifecycle.STATUSES)}")
    collection = owned(call, call.params["collection"])
    if "path" in call.query:
        found, more = _by_path(call, collection, status), False
    else:
        found, more = rows.tiles_page(
            call.store,
            collection.seq,
            page=asked,
            until_ms=call.now_ms - round(call.settings.list_lag_s * 1000),
            status=status,
            now_ms=call.now_ms,
            descending=ORDERS[order],
        )
    first, last = (found[0]["seq"], found[-1]["seq"]) if found else (None, None)
    around = encode(links(call.url, asked, first=first, last=last, more=more))
    data = ",".join(rows.shown(row, now_ms=call.now_ms) for row in found)
    return Reply(200, f'{{"data":[{data}],"links":{around}}}')


def _by_path(call: Call, collection: Collection, status: str | None) -> list[Row]:
    row = rows.find_tile_by_path(call.store, collection.seq, call.query["path"])
    if row is None or row["created_ms"] > call.now_ms - round(call.settings.path_lag_s * 1000):
        return []
    present = lifecycle.status(
        row["outcome"],
        queued_ms=row["queued_ms"],
        ingesting_ms=row["ingesting_ms"],
        now_ms=call.now_ms,
    )
    return [row] if status in (None, present) else []


def create(call: Call) -> Reply:
    """A new tile, WAITING for its ingestion; its path is taken from now on."""
    collection = owned(call, call.params["collection"])
    path = str(call.body["path"])
    if not path or not _PATH.fullmatch(path):
        raise violation("path", "must not start or end with a slash, nor have two in a row")
    _refuse_taken_path(call, collection, path)
    tile = rows.NewTile(
        id=call.store.mint("tile"),
        path=path,
        created_ms=call.now_ms,
        sensing_ms=_sensing_ms(call.body),
        cover=_cover(call.body),
        outcome=None,
        facts={},
    )
    instants = lifecycle.plan_round(call.settings, now_ms=call.now_ms)
    row = rows.insert_tile(call.store, collection.seq, tile, instants)
    _touch(call, collection)
    # The answer says WAITING also where waiting takes no time at all.
    text = rows.shown(row, now_ms=row["queued_ms"] - 1)
    return Reply(201, f'{{"data":{text}}}')


def _refuse_taken_path(
    call: Call, collection: Collection, path: str, *, beside: str | None = None
) -> None:
    spellings = _spellings(path) if call.settings.folder_path_collides else [path]
    marks = ", ".join("?" for _ in spellings)
    taken = call.store.row(
        f"select 1 from tiles where coll = ? and path in ({marks}) and id <> ?",  # noqa: S608
        collection.seq,
        *spellings,
        beside or "",
    )
    blocked_ms = round(call.settings.deleted_path_blocked_s * 1000)
    grave = rows.buried_ms(call.store, kind="path", parent=collection.id, name=path)
    if taken is not None or (grave is not None and call.now_ms < grave[1] + blocked_ms):
        raise conflict(f"A tile with the path {path} already exists in this collection.")


def _spellings(path: str) -> list[str]:
    """The path as a folder and with the placeholder, with each extension."""
    match = _IN_FOLDER.fullmatch(path)
    if match is None and BAND in path:
        return [path]
    folder = path if match is None else match[1]
    in_folder = f"{folder}/{BAND}"
    return [path, folder, in_folder, *(f"{in_folder}.{ending}" for ending in EXTENSIONS)]


def _sensing_ms(body: JsonObject) -> int | None:
    value = body.get("sensingTime")
    if value is None:
        return None
    try:
        sensing_ms = parse_instant(str(value))
        instant(sensing_ms)
    except (ValueError, OverflowError) as error:
        raise violation("sensingTime", "is not a date-time with an offset") from error
    return sensing_ms


def _cover(body: JsonObject) -> JsonObject | None:
    value = body.get("coverGeometry")
    return None if value is None else cover_in_crs84(cast("JsonObject", value))


def _touch(call: Call, collection: Collection) -> None:
    due_ms = call.now_ms + round(call.settings.metadata_refresh_s * 1000)
    rows.touch_metadata(call.store, collection.seq, due_ms=due_ms)


def tile_of(call: Call, collection: Collection) -> Row:
    """
    The tile that the path names.

    Raises:
        ApiError: 404
    """
    tile_id = call.params["tile"]
    row = rows.find_tile(call.store, collection.seq, tile_id)
    if row is None or row["created_ms"] > call.now_ms - round(call.settings.get_lag_s * 1000):
        raise not_found(f"Tile {tile_id} not found.")
    return row


def get(call: Call) -> Reply:
    """One tile."""
    row = tile_of(call, owned(call, call.params["collection"]))
    return Reply(200, f'{{"data":{rows.shown(row, now_ms=call.now_ms)}}}')


def update(call: Call) -> Reply:
    """
    Overwrite cover geometry and sensing time.

    Source: schema `BYOCTileUpdatePayload`: an omitted cover geometry becomes the tile's
    bounding box again.
    """
    collection = owned(call, call.params["collection"])
    row = tile_of(call, collection)
    cover = _cover(call.body)
    facts = decode_object(row["facts"])
    if cover is None and "tileGeometry" in facts:
        facts["coverGeometry"] = facts["tileGeometry"]
    keeps = "sensingTime" not in call.said and call.settings.tile_put_omitted_sensing_time == "keep"
    sensing_ms = row["sensing_ms"] if keeps else _sensing_ms(call.body)
    path = _path_after(call, collection, row)
    rows.rewrite_tile(
        call.store,
        row,
        cover=None if cover is None else encode(cover),
        sensing_ms=sensing_ms,
        facts=encode(facts),
        path=path,
    )
    if path != row["path"]:
        _start_round(call, collection, row["id"])
    _touch(call, collection)
    return Reply(204)


def _path_after(call: Call, collection: Collection, row: Row) -> str:
    given = call.body.get("path", row["path"])
    if call.settings.tile_put_path == "ignore" or given == row["path"]:
        return str(row["path"])
    if not isinstance(given, str) or not given or not _PATH.fullmatch(given):
        raise violation("path", "must not start or end with a slash, nor have two in a row")
    _refuse_taken_path(call, collection, given, beside=row["id"])
    return given


def delete(call: Call) -> Reply:
    """Remove a tile; what lies in the bucket stays."""
    collection = owned(call, call.params["collection"])
    tile_id = call.params["tile"].lower()
    grave = rows.buried_ms(call.store, kind="tile", parent=collection.id, name=tile_id)
    if grave is not None and call.settings.second_delete == 204:
        return Reply(204)
    row = tile_of(call, collection)
    rows.delete_tile(call.store, row)
    for kind, name in (("tile", row["id"]), ("path", row["path"])):
        rows.bury(
            call.store,
            kind=kind,
            parent=collection.id,
            name=name,
            account=call.account,
            now_ms=call.now_ms,
        )
    _touch(call, collection)
    return Reply(204)


def reingest(call: Call) -> Reply:
    """Send a tile that is ingested or failed round again; in any other state it is a 400."""
    collection = owned(call, call.params["collection"])
    row = tile_of(call, collection)
    if row["outcome"] is None:
        msg = "Only tiles that are INGESTED or FAILED can be reingested."
        raise bad_payload(msg)
    _start_round(call, collection, row["id"])
    _touch(call, collection)
    return Reply(204)


def _start_round(call: Call, collection: Collection, tile_id: str) -> None:
    row = rows.find_tile(call.store, collection.seq, tile_id)
    assert row is not None
    facts = decode_object(row["facts"])
    additional = facts.get("additionalData")
    if isinstance(additional, dict):
        kept: dict[str, Json] = {
            name: value for name, value in additional.items() if name != "failedIngestionCause"
        }
        facts["additionalData"] = kept
    instants = lifecycle.plan_round(call.settings, now_ms=call.now_ms)
    rows.rewrite_tile(
        call.store,
        row,
        facts=encode(facts),
        outcome=None,
        round_ms=instants.asked_ms,
        queued_ms=instants.queued_ms,
        ingesting_ms=instants.ingesting_ms,
        done_ms=instants.done_ms,
    )
