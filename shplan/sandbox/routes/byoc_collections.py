"""
BYOC collections: create, list, get, update, delete, copy of tiles, and the global listing.

Source: BYOC operations of the OpenAPI document; the BYOC page on configuration; the reference's
open questions, each of which is a setting. Paths are in the newer style; the older is an alias.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import ingestion, lifecycle
from shplan.sandbox.byoc_rows import STORAGE
from shplan.sandbox.checks import MAX_BANDS, is_band_name
from shplan.sandbox.errors import (
    ApiError,
    bad_payload,
    conflict,
    forbidden,
    not_found,
    violation,
)
from shplan.sandbox.lists import terms_of
from shplan.sandbox.paging import links, page
from shplan.sandbox.routes.endpoint import BYOC_CALL_PU, Call, Operation, Reply, route
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from collections.abc import Container

    from starlette.routing import Route

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.checks import Bands
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def routes(world: World) -> list[Route]:
    """The routes of collections."""
    base, one = "/byoc/v1/collections", "/byoc/v1/collections/{collection}"
    table = {
        base: {
            "GET": Operation(list_collections),
            "POST": Operation(create, body="createByocCollection", cost_pu=BYOC_CALL_PU),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateByocCollectionById", cost_pu=BYOC_CALL_PU),
            "DELETE": Operation(delete, cost_pu=BYOC_CALL_PU),
        },
        f"{one}/copyTiles": {"POST": Operation(copy_tiles, cost_pu=BYOC_CALL_PU)},
        "/byoc/v1/global": {"GET": Operation(list_global)},
        "/byoc/v1/global/{collection}": {"GET": Operation(get_global)},
    }
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


def owned(call: Call, collection_id: str) -> Collection:
    """
    The caller's collection.

    Raises:
        ApiError: 404 if there is none, 403 (or 404, by a setting) if it is somebody else's
    """
    collection = rows.find_collection(call.store, collection_id)
    if collection is None or collection.created_ms > _visible_until(call, call.settings.get_lag_s):
        raise not_found(f"Collection {collection_id} not found.")
    if collection.account != call.account:
        if call.settings.foreign_objects == 403:
            raise forbidden()
        raise not_found(f"Collection {collection_id} not found.")
    return collection


def _visible_until(call: Call, lag_s: float) -> int:
    return call.now_ms - round(lag_s * 1000)


def list_collections(call: Call) -> Reply:
    """A page of collections by identifier, which is not the order of their creation."""
    asked = page(call.query, key=str)
    ingestion.settle_account(call.world, call.account)
    found, more = rows.collections_page(
        call.store,
        account=call.account,
        until_ms=_visible_until(call, call.settings.list_lag_s),
        page=asked,
        terms=terms_of(call.query.get("search", "")),
    )
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    data: list[Json] = [collection.as_json() for collection in found]
    content: JsonObject = {
        "data": data,
        "links": links(call.url, asked, first=first, last=last, more=more),
    }
    return Reply(200, encode(content))


def create(call: Call) -> Reply:
    """A new collection; names may repeat unless a setting forbids it."""
    name = str(call.body["name"])
    if not name.strip() or not str(call.body["s3Bucket"]).strip():
        raise violation("name" if not name.strip() else "s3Bucket", "must not be blank")
    _refuse_taken_name(call, name, beside=None)
    bands = _bands_of(call.body.get("additionalData"))
    no_data = cast("float | None", call.body.get("noData"))
    _check_no_data(bands, no_data)
    values: JsonObject = {
        "name": name,
        "bucket": str(call.body["s3Bucket"]),
        "no_data": no_data,
        "bands": cast("JsonObject", bands) or None,
        "metadata": _storage_of(call.body.get("additionalData")),
    }
    collection = rows.insert_collection(
        call.store,
        collection_id=call.store.mint("collection"),
        account=call.account,
        now_ms=call.now_ms,
        values=values,
    )
    return Reply(201, encode({"data": collection.as_json()}))


def _refuse_taken_name(call: Call, name: str, *, beside: str | None) -> None:
    if not call.settings.unique_collection_names:
        return
    row = call.store.row(
        "select 1 from collections where account = ? and name = ? and id <> ?",
        call.account,
        name,
        beside or "",
    )
    if row is not None:
        raise conflict(f"A collection with the name {name} already exists.")


def get(call: Call) -> Reply:
    """One collection."""
    return Reply(200, encode({"data": owned(call, call.params["collection"]).as_json()}))


def update(call: Call) -> Reply:
    """
    Overwrite name, bucket and no-data value; bands only if `additionalData` is given.

    Source: schema `BYOCCollectionUpdatePayload`: an omitted `noData` is deleted, omitted
    `additionalData` leaves the bands, the bucket may change only while there are no tiles.
    """
    collection = owned(call, call.params["collection"])
    name, bucket = str(call.body["name"]), str(call.body["s3Bucket"])
    is_empty = not rows.has_tiles(call.store, collection.seq)
    if bucket != collection.bucket and not (
        is_empty and call.settings.bucket_change == "when_empty"
    ):
        raise _frozen(call, "s3Bucket", "cannot be changed")
    if name != collection.name:
        _refuse_taken_name(call, name, beside=collection.id)
    bands, metadata = collection.bands, collection.metadata
    if "additionalData" in call.body:
        kept = {name: value for name, value in metadata.items() if name != STORAGE}
        metadata = {**kept, **_storage_of(call.body["additionalData"])}
        # Outputs of batch tasks made bands by names that nobody may give.
        given = _bands_of(call.body["additionalData"], known=collection.bands or {}) or {}
        bands = _changed_bands(call, collection.bands or {}, given, is_empty=is_empty) or None
    no_data = cast("float | None", call.body.get("noData"))
    _check_no_data(bands, no_data)
    rows.update_collection(
        call.store, collection.seq, name=name, bucket=bucket, no_data=no_data, bands=bands
    )
    rows.set_metadata(call.store, collection.seq, metadata)
    return Reply(204)


def _frozen(call: Call, parameter: str, text: str) -> ApiError:
    error = violation(parameter, text)
    error.status = call.settings.frozen_change_status
    return error


def _storage_of(additional: Json) -> JsonObject:
    """What a user may state beside the bands."""
    stated = additional.get(STORAGE) if isinstance(additional, dict) else None
    return {} if stated is None else {STORAGE: stated}


def _bands_of(additional: Json, *, known: Container[str] = ()) -> Bands | None:
    """
    Bands as the service keeps them: source and index filled in.

    Args:
        known: names that are there already
    """
    given = additional.get("bands") if isinstance(additional, dict) else None
    if not isinstance(given, dict):
        return None
    if len(given) > MAX_BANDS:
        raise violation("additionalData->bands", f"must have at most {MAX_BANDS} bands")
    bands: Bands = {}
    for name, band in given.items():
        if name not in known and not is_band_name(name):
            raise violation(f"additionalData->bands->{name}", "is not a valid band name")
        content = cast("JsonObject", band)
        if content.get("sampleFormat") == "FLOAT" and content["bitDepth"] != 32:
            raise violation(f"additionalData->bands->{name}->bitDepth", "must be 32 for FLOAT")
        bands[name] = {"source": name, "bandIndex": 1, **content}
        index = bands[name]["bandIndex"]
        # The document says only that these are integers, which 1.0 is as well.
        bands[name]["bitDepth"] = int(cast("float", content["bitDepth"]))
        if not isinstance(index, int | float) or index < 1:
            raise violation(f"additionalData->bands->{name}->bandIndex", "counts from 1")
        bands[name]["bandIndex"] = int(index)
    return bands


def _check_no_data(bands: Bands | None, no_data: float | None) -> None:
    if no_data is not None and any("noData" in band for band in (bands or {}).values()):
        msg = "noData is set either for the collection or for its bands, not for both."
        raise bad_payload(msg)


def _changed_bands(call: Call, current: Bands, given: Bands, *, is_empty: bool) -> Bands:
    """
    The bands after an update.

    Once a tile was added, bands may be renamed and left out and their no-data value set; a
    sample format that is set never changes. A band is known by its source and index.
    """
    known = {(band["source"], band["bandIndex"]): band for band in current.values()}
    if not given and current and not is_empty:
        raise _frozen(call, "additionalData->bands", "cannot be removed while there are tiles")
    changed: Bands = {}
    for name, band in given.items():
        before = known.get((band["source"], band["bandIndex"]))
        place = f"additionalData->bands->{name}"
        if before is None:
            if not is_empty:
                raise _frozen(call, place, "cannot be added, or have its source or index changed")
            changed[name] = band
            continue
        after = {**band}
        if "sampleFormat" in before:
            after.setdefault("sampleFormat", before["sampleFormat"])
            if after["sampleFormat"] != before["sampleFormat"]:
                raise _frozen(call, f"{place}->sampleFormat", "cannot be changed once set")
        if after["bitDepth"] != before["bitDepth"] and not is_empty:
            raise _frozen(call, f"{place}->bitDepth", "cannot be changed")
        changed[name] = after
    return changed


def delete(call: Call) -> Reply:
    """Remove a collection with all its tiles; what lies in the bucket stays."""
    collection_id = call.params["collection"].lower()
    grave = rows.buried_ms(call.store, kind="collection", parent="", name=collection_id)
    if grave is not None and grave[0] == call.account and call.settings.second_delete == 204:
        return Reply(204)
    collection = owned(call, collection_id)
    rows.delete_collection(call.store, collection.seq)
    rows.bury(
        call.store,
        kind="collection",
        parent="",
        name=collection.id,
        account=call.account,
        now_ms=call.now_ms,
    )
    return Reply(204)


def copy_tiles(call: Call) -> Reply:
    """
    Copy ingested tiles whose path the target does not have.

    Source: operation `copyByocCollectionTiles`: bands of both must agree, or the target has none.
    """
    source = owned(call, call.params["collection"])
    wanted = call.query.get("toCollection")
    if not wanted:
        raise violation("toCollection", "must not be missing")
    ingestion.settle(call.world, wanted)
    target = owned(call, wanted)
    if target.bands and _types(target.bands) != _types(source.bands or {}):
        msg = "The bands of the target collection differ from those of the source collection."
        raise bad_payload(msg)
    if not target.bands and source.bands:
        _configure_like(call, target, source)
    _copy(call, source, target)
    return Reply(204)


def _configure_like(call: Call, target: Collection, source: Collection) -> None:
    """Give a collection without bands those of another; a value of its own for no data stays."""
    bands = cast("Bands", source.bands)
    no_data = source.no_data
    if target.no_data is not None:
        no_data = target.no_data
        # A value stands on the collection or on its bands, never on both.
        bands = {
            name: {key: value for key, value in band.items() if key != "noData"}
            for name, band in bands.items()
        }
    rows.update_collection(
        call.store,
        target.seq,
        name=target.name,
        bucket=target.bucket,
        no_data=no_data,
        bands=bands,
    )


def _types(bands: Bands) -> dict[str, tuple[Json, Json]]:
    return {name: (band["bitDepth"], band.get("sampleFormat")) for name, band in bands.items()}


def _copy(call: Call, source: Collection, target: Collection) -> None:
    tiles = call.store.rows(
        "select * from tiles where coll = ? and outcome = ? and path not in"
        " (select path from tiles where coll = ?) order by seq",
        source.seq,
        lifecycle.INGESTED,
        target.seq,
    )
    instants = lifecycle.Round(call.now_ms, call.now_ms, call.now_ms, call.now_ms)
    for tile in tiles:
        copied = rows.NewTile(
            id=call.store.mint("tile"),
            path=tile["path"],
            created_ms=call.now_ms,
            sensing_ms=tile["sensing_ms"],
            cover=None if tile["cover"] is None else decode_object(tile["cover"]),
            outcome=lifecycle.INGESTED,
            facts=decode_object(tile["facts"]),
        )
        rows.insert_tile(call.store, target.seq, copied, instants)
    if tiles:
        due_ms = call.now_ms + round(call.settings.metadata_refresh_s * 1000)
        rows.touch_metadata(call.store, target.seq, due_ms=due_ms)


def list_global(call: Call) -> Reply:
    """
    Collections of all deployments, as two official tools ask for them.

    Source: byoc-tool and the JavaScript client; not in the OpenAPI document.
    """
    ids = call.query.get("ids")
    if ids is None:
        reply = list_collections(call)
        content = decode_object(reply.text or "")
        for entry in cast("list[JsonObject]", content["data"]):
            entry["location"] = call.settings.location
        return Reply(200, encode(content))
    ingestion.settle_account(call.world, call.account)
    found = [rows.find_collection(call.store, name) for name in ids.split(",") if name]
    data: list[Json] = [
        {**collection.as_json(), "location": call.settings.location}
        for collection in found
        if collection is not None
        and collection.account == call.account
        and collection.created_ms <= _visible_until(call, call.settings.get_lag_s)
    ]
    return Reply(200, encode({"data": data}))


def get_global(call: Call) -> Reply:
    """One collection with the deployment on which it lives."""
    collection = owned(call, call.params["collection"])
    content: JsonObject = {**collection.as_json(), "location": call.settings.location}
    return Reply(200, encode({"data": content}))
