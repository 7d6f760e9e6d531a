"""
Which source a data set of a request has: the table of the kinds of collections with pixels.
"""

# ruff: noqa: EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import (
    batch_collection_rows,
    batch_raster,
    byoc_raster,
    byoc_rows,
    ingestion,
    public_raster,
    zarr_ingestion,
    zarr_raster,
    zarr_rows,
)
from shplan.sandbox.areas import to_wgs84
from shplan.sandbox.errors import bad_payload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shplan.sandbox.areas import Area
    from shplan.sandbox.process_requests import DataSet
    from shplan.sandbox.raster_sources import RasterSource
    from shplan.sandbox.world import World

    Opener = Callable[[World, str, DataSet, Area], RasterSource]


def opened(
    world: World, account: str, data: Sequence[DataSet], area: Area, epsg: int
) -> list[RasterSource]:
    """
    The source of each data set; they need no store afterwards.

    Args:
        account: whose collections may be read
        area: in the CRS of the EPSG code

    Raises:
        ApiError: 400, there is no such collection
    """
    degrees = to_wgs84(area, epsg)
    return [_opener(one.type)(world, account, one, degrees) for one in data]


def _opener(kind: str) -> Opener:
    """A whole name, or the beginning of one."""
    if public_raster.is_public(kind):
        return _public
    for prefix, opener in OPENERS.items():
        if kind.startswith(prefix):
            return opener
    raise bad_payload(f"The data of {kind} cannot be processed.")


def _public(world: World, _account: str, data: DataSet, _area: Area) -> RasterSource:
    return public_raster.open_source(data, place="input->data", now_ms=world.now_ms())


def _byoc(world: World, account: str, data: DataSet, area: Area) -> RasterSource:
    identifier = data.type.removeprefix(byoc_raster.PREFIX)
    ingestion.settle(world, identifier)
    found = byoc_rows.find_collection(world.store, identifier)
    if found is None or found.account != account:
        raise bad_payload(f"Collection {identifier} not found.")
    return byoc_raster.open_source(
        world.store,
        found,
        world.storage,
        area,
        from_ms=data.from_ms,
        to_ms=data.to_ms,
    )


def _batch(world: World, account: str, data: DataSet, area: Area) -> RasterSource:
    identifier = data.type.removeprefix(batch_collection_rows.PREFIX)
    found = batch_collection_rows.find(world.store, identifier)
    if found is None or found.account != account:
        raise bad_payload(f"Collection {identifier} not found.")
    return batch_raster.open_source(world.store, found, world.storage, area)


def _zarr(world: World, account: str, data: DataSet, _area: Area) -> RasterSource:
    identifier = data.type.removeprefix(zarr_raster.PREFIX)
    zarr_ingestion.settle(world)
    found = zarr_rows.find(world.store, identifier)
    if found is None or found.account != account:
        raise bad_payload(f"Collection {identifier} not found.")
    if found.status(world.now_ms()) != zarr_rows.INGESTED:
        raise bad_payload(f"Collection {identifier} is not ingested.")
    return zarr_raster.open_source(world.store, found, world.storage)


OPENERS: dict[str, Opener] = {
    byoc_raster.PREFIX: _byoc,
    batch_collection_rows.PREFIX: _batch,
    zarr_raster.PREFIX: _zarr,
}
