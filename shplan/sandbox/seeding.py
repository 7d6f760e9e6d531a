"""
Sample data for a sandbox: imagery in a bucket, a collection of it, fields, a batch request.

Made as a client would make it, by the service's own handlers, but without a request: nothing is
listed and nothing charged. Whatever is there already stays, so that seeding twice is seeding once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shplan.sandbox import batch_rows, byoc_rows, lifecycle, sample
from shplan.sandbox.buckets import BAND
from shplan.sandbox.contract import checked
from shplan.sandbox.routes import batch, byoc_collections
from shplan.sandbox.routes.endpoint import Call, Reply
from shplan.sandbox.settings import DEFAULT_CLIENTS
from shplan.sandbox.settling import finish
from shplan.sandbox.wire import decode_object, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

BUCKET = "sample-fields"
RESULTS = "sample-results"
NAME = "Sample fields"
DESCRIPTION = "NDVI of the sample fields"
GEOPACKAGE = "fields.gpkg"
GEOJSON = "fields.geojson"
# Where Sentinel-2 passes at this place; local time of the descending node.
SENSED_AT = "T10:00:00Z"

NDVI = """\
//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(sample) {
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
"""


@dataclass(frozen=True, slots=True)
class Seeded:
    """
    What lies in a sandbox that was seeded.

    Args:
        bucket: with the imagery and the fields
        images: keys of the imagery
        collection_id: of the imagery
        tiles: status of its tiles by path, in the order of their dates
        fields: names of the fields
        geopackage, geojson: keys of the fields
        batch_id: of the batch request, which nobody has started yet
        batch_status: its status, if somebody has
    """

    bucket: str
    images: tuple[str, ...]
    collection_id: str
    tiles: Mapping[str, str]
    fields: tuple[str, ...]
    geopackage: str
    geojson: str
    batch_id: str
    batch_status: str


def seed(world: World) -> Seeded:
    """
    Fill a sandbox with sample data; also while other processes serve its directory.

    Whoever calls has brought tasks up to date.
    """
    fields = sample.fields()
    paths = [f"{date.replace('-', '/')}/{BAND}.tiff" for date in sample.DATES]
    images = _write_files(world, paths, fields)
    with world.store.writing():
        collection = _collection(world)
        for date, path in zip(sample.DATES, paths, strict=True):
            _tile(world, collection, path, parse_instant(date + SENSED_AT))
        batch_id = _batch(world, collection)
    finish(world, {"collection": collection.id})
    task = batch_rows.find(world.store, batch_id)
    assert task is not None  # found or made above
    return Seeded(
        bucket=BUCKET,
        images=images,
        collection_id=collection.id,
        tiles={path: _status(world, collection, path) for path in paths},
        fields=tuple(one.name for one in fields),
        geopackage=GEOPACKAGE,
        geojson=GEOJSON,
        batch_id=batch_id,
        batch_status=task.status,
    )


def _write_files(
    world: World, paths: Sequence[str], fields: Sequence[sample.Field]
) -> tuple[str, ...]:
    """The buckets and what lies in them; returns the keys of the images."""
    world.objects.make_bucket(BUCKET)
    world.objects.make_bucket(RESULTS)
    images = {
        path.replace(BAND, band): partial(sample.cog, band, date_index=index)
        for index, path in enumerate(paths)
        for band in sample.BANDS
    }
    for key, content in images.items():
        _put(world, key, content)
    _put(world, GEOPACKAGE, partial(sample.fields_gpkg, fields))
    _put(world, GEOJSON, partial(sample.fields_geojson, fields))
    return tuple(images)


def _put(world: World, key: str, content: Callable[[], bytes]) -> None:
    if not world.objects.exists(BUCKET, key):
        world.objects.write(BUCKET, key, content())


def _account(world: World) -> str:
    (client,) = DEFAULT_CLIENTS.values()
    return world.account_id(client.account)


def _call(world: World, operation: str, body: JsonObject) -> Call:
    settings = world.settings
    return Call(
        world=world,
        account=_account(world),
        params={},
        query={},
        url="",
        body=checked(operation, body, settings),
        said=frozenset(body),
        now_ms=world.now_ms(),
        settings=settings,
    )


def _collection(world: World) -> Collection:
    query = "select id from collections where account = ? and name = ? and bucket = ? order by seq"
    row = world.store.row(query, _account(world), NAME, BUCKET)
    if row is None:
        bands: JsonObject = {
            band: {"source": band, "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"}
            for band in sample.BANDS
        }
        body: JsonObject = {
            "name": NAME,
            "s3Bucket": BUCKET,
            "noData": 0,
            "additionalData": {"bands": bands},
        }
        reply = byoc_collections.create(_call(world, "createByocCollection", body))
        created = decode_object(reply.text or "")["data"]
        assert isinstance(created, dict)  # as every answer to a create is
        collection_id = str(created["id"])
    else:
        collection_id = str(row["id"])
    collection = byoc_rows.find_collection(world.store, collection_id)
    assert collection is not None  # in this transaction
    return collection


def _tile(world: World, collection: Collection, path: str, sensing_ms: int) -> None:
    """A tile whose ingestion is over now, so that the next look at it reads its files."""
    if byoc_rows.find_tile_by_path(world.store, collection.seq, path) is not None:
        return
    now_ms = world.now_ms()
    tile = byoc_rows.NewTile(
        id=world.store.mint("tile"),
        path=path,
        created_ms=now_ms,
        sensing_ms=sensing_ms,
        cover=None,
        outcome=None,
        facts={},
    )
    instants = lifecycle.Round(now_ms, now_ms, now_ms, now_ms)
    byoc_rows.insert_tile(world.store, collection.seq, tile, instants)


def _status(world: World, collection: Collection, path: str) -> str:
    row = byoc_rows.find_tile_by_path(world.store, collection.seq, path)
    assert row is not None  # found or made before
    return lifecycle.status(
        row["outcome"],
        queued_ms=row["queued_ms"],
        ingesting_ms=row["ingesting_ms"],
        now_ms=world.now_ms(),
    )


def _batch(world: World, collection: Collection) -> str:
    for task in batch_rows.every(world.store):
        known = decode_object(task.request).get("description") == DESCRIPTION
        if known and not task.forgotten and task.account == _account(world):
            return task.id
    delivery: JsonObject = {"s3": {"url": f"s3://{RESULTS}/ndvi", **_CREDENTIALS}}
    source: JsonObject = {"s3": {"url": f"s3://{BUCKET}/{GEOPACKAGE}", **_CREDENTIALS}}
    body: JsonObject = {
        "processRequest": {
            "input": {
                "bounds": {"properties": {"crs": _CRS}, "bbox": _bounds()},
                "data": [
                    {
                        "type": f"byoc-{collection.id}",
                        "dataFilter": {
                            "timeRange": {
                                "from": f"{sample.DATES[0]}T00:00:00Z",
                                "to": f"{sample.DATES[-1]}T23:59:59Z",
                            }
                        },
                    }
                ],
            },
            "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
            "evalscript": NDVI,
        },
        "input": {"type": "geopackage", "features": source},
        "output": {"type": "raster", "delivery": delivery},
        "description": DESCRIPTION,
    }
    reply = batch.create(_call(world, "createNewBatchV2ProcessingRequest", body))
    assert isinstance(reply, Reply)  # as the bucket is a directory
    return str(decode_object(reply.text or "")["id"])


_CREDENTIALS: JsonObject = {"accessKey": "sandbox", "secretAccessKey": "sandbox"}
_CRS = f"http://www.opengis.net/def/crs/EPSG/0/{sample.EPSG}"


def _bounds() -> list[Json]:
    side = sample.SIDE * sample.PIXEL_M
    west, north = sample.WEST_M, sample.NORTH_M
    return [west, north - side, west + side, north]
