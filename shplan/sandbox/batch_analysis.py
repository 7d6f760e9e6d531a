"""
The analysis of a batch task: which features it has and what they cost, or why it failed.

Reads the evalscript, the grid or the GeoPackage, and looks for files that are in the way, in a
thread: what it needs of the store is read before. Source: the batch pages (what an analysis checks); schema `BatchV2RasterOutput` for
`overwrite` and `skipExisting`; `BatchV2ZarrOutput` for the folder that must be empty.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are the task's error

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import (
    areas,
    batch_ingestion,
    batch_paths,
    batch_requests,
    batch_zarr,
    byoc_rows,
    geopackage,
    ingestion,
    metering,
    public_raster,
)
from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.batch_rows import Feature
from shplan.sandbox.geopackage import GeoPackageError, Size
from shplan.sandbox.grids import grids
from shplan.sandbox.imagery import reading
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.scripts import ScriptFailedError
from shplan.sandbox.tiles import TooManyTilesError, tiles_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shplan.sandbox.batch_paths import Delivery
    from shplan.sandbox.metering import Tariff
    from shplan.sandbox.scripts import Scripts
    from shplan.sandbox.storage import Bucket, Storage
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World
    from shplan.script.facts import OutputFacts, ScriptFacts

ESTIMATED_EVERY_DAYS = 3.0
_BYOC = batch_requests.BYOC


# A bug of the sandbox.
UNFORESEEN = "The task cannot be analysed."


class AnalysisError(Exception):
    """Why a task failed, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Basis:
    """
    What an analysis reads, none of it in the store.

    Args:
        bands: of each collection that the request names, by its identifier; none: it has none yet
    """

    scripts: Scripts
    storage: Storage
    bands: Mapping[str, Mapping[str, JsonObject] | None]
    acquisition_every_days: float


def basis(world: World, request: JsonObject) -> Basis:
    """Read from the store what the analysis of a request, as version 2 has it, needs of it."""
    process = cast("JsonObject", request["processRequest"])
    data = cast("list[JsonObject]", cast("JsonObject", process["input"])["data"])
    output = cast("JsonObject", request["output"])
    named = [str(one["type"]) for one in data]
    wanted = [name.removeprefix(_BYOC) for name in named if name.startswith(_BYOC)]
    if output.get("collectionId") is not None:
        wanted.append(str(output["collectionId"]))
    bands = {}
    for identifier in wanted:
        ingestion.settle(world, identifier)
        if (found := byoc_rows.find_collection(world.store, identifier)) is not None:
            bands[identifier] = found.bands
    return Basis(world.scripts, world.storage, bands, world.settings.acquisition_every_days)


@dataclass(frozen=True, slots=True)
class Analysis:
    """
    What the analysis of a task found.

    Args:
        features: those that have to be processed
        scale: what their units are multiplied by
        estimate: units of all of them, as version 1 estimates
        outputs: what the evalscript says of its outputs
    """

    features: list[Feature]
    scale: float
    estimate: float
    outputs: tuple[OutputFacts, ...]


def outcome(
    known: Basis, request: JsonObject, *, delivery: Delivery, created_ms: int
) -> Analysis | AnalysisError:
    """What the analysis of a task comes to, as `analyse`; never raises."""
    try:
        return analyse(known, request, delivery=delivery, created_ms=created_ms)
    except AnalysisError as error:
        return error
    except Exception:  # noqa: BLE001 one bad task must not keep others from being served
        return AnalysisError(UNFORESEEN)


def analyse(known: Basis, request: JsonObject, *, delivery: Delivery, created_ms: int) -> Analysis:
    """
    Analyse a task.

    Args:
        request: as version 2 has it
        delivery: where its results go
        created_ms: when it was created

    Raises:
        AnalysisError: it failed
    """
    process = cast("JsonObject", request["processRequest"])
    try:
        facts = known.scripts.facts(str(process["evalscript"]))
    except ScriptFailedError as error:
        raise AnalysisError(f"The evalscript failed: {error}") from error
    _check_script(request, facts)
    check_bands(known, process, facts)
    _check_ingestion(known, request, facts, delivery)
    tariff = metering.tariff(
        process,
        facts,
        now_ms=created_ms,
        acquisition_every_days=known.acquisition_every_days,
    )
    features = list(_features(known.storage, request, tariff))
    if not features:
        raise AnalysisError("No feature of the input intersects the area of interest.")
    kept = _without_existing(known.storage, request, delivery, features)
    return Analysis(
        features=kept,
        scale=metering.raise_to_minimum([one.cost for one in kept]),
        estimate=_estimate(process, facts, kept, created_ms=created_ms),
        outputs=tuple(facts.outputs),
    )


def _estimate(
    process: JsonObject, facts: ScriptFacts, features: list[Feature], *, created_ms: int
) -> float:
    """
    What version 1 tells after the analysis.

    Source: its pages: the discount is left out, and ORBIT and TILE count as one sample in three
    days, so that 1 to 31 January are ten.
    """
    tariff = metering.tariff(
        process,
        facts,
        now_ms=created_ms,
        acquisition_every_days=ESTIMATED_EVERY_DAYS,
        rounding=math.floor,
    )
    full = math.fsum(tariff.full_pu(width=one.width, height=one.height) for one in features)
    return max(full, metering.MINIMUM_PU) if features else 0.0


def _check_script(request: JsonObject, facts: ScriptFacts) -> None:
    process = cast("JsonObject", request["processRequest"])
    output = cast("JsonObject", request["output"])
    outputs = {one.id: one for one in facts.outputs}
    for identifier, _ in metering.responses(process):
        if identifier == batch_requests.USERDATA:
            continue
        if identifier not in outputs:
            raise AnalysisError(f"Output {identifier} is requested, but missing from setup().")
        found = outputs[identifier]
        if output.get("cogOutput") and found.sample_type == "INT8":
            raise AnalysisError(f"Output {identifier} is INT8, which a COG cannot hold.")
        if output["type"] == "zarr":
            _check_array(output, found, cast("JsonObject", request["input"]))


def _check_array(output: JsonObject, found: OutputFacts, source: JsonObject) -> None:
    if found.bands != 1:
        raise AnalysisError(f"Output {found.id} must have one band to become a Zarr array.")
    array = batch_zarr.array_of(output, found.id)
    if not batch_zarr.fits(array, found.sample_type):
        dtype, kind = array["dtype"], found.sample_type
        raise AnalysisError(f"Output {found.id} is {kind}, which an array of {dtype} cannot hold.")
    grid = grids()[cast("int", source["id"])]
    if cause := batch_zarr.misfit(array, found.id, grid=grid, source=source):
        raise AnalysisError(cause)


def _check_ingestion(
    known: Basis, request: JsonObject, facts: ScriptFacts, delivery: Delivery
) -> None:
    """Results that become tiles must be bands that the collection can have."""
    output = cast("JsonObject", request["output"])
    wanted = output.get("collectionId")
    if wanted is None and not output.get("createCollection"):
        return
    if batch_paths.OUTPUT not in delivery.template:
        raise AnalysisError(
            f"Files can be ingested only if {batch_paths.OUTPUT} is in their names."
        )
    process = cast("JsonObject", request["processRequest"])
    asked = {name for name, _ in metering.responses(process)}
    if wanted is not None and str(wanted) not in known.bands:
        raise AnalysisError(f"The collection {wanted} does not exist.")
    bands = None if wanted is None else known.bands[str(wanted)]
    outputs = [one for one in facts.outputs if one.id in asked]
    if cause := batch_ingestion.misfit(outputs, bands):
        raise AnalysisError(cause)


def check_bands(known: Basis, process: JsonObject, facts: ScriptFacts) -> None:
    """
    Check that each data set has the bands that the script reads of it.

    Raises:
        AnalysisError: there is no such band
    """
    data = cast("list[JsonObject]", cast("JsonObject", process["input"])["data"])
    identifiers = {str(one["id"]) for one in data if "id" in one}
    for index, one in enumerate(facts.inputs):
        if one.datasource and one.datasource not in identifiers:
            raise AnalysisError(f"Datasource {one.datasource} of setup() is not in the request.")
        chosen = [entry for entry in data if entry.get("id") == one.datasource]
        source = str((chosen or data)[0 if chosen else min(index, len(data) - 1)]["type"])
        bands = _bands_of(known, source)
        unknown = [name for name in one.bands if name not in {*(bands or {}), "dataMask"}]
        if bands is None or (bands and unknown):
            raise AnalysisError(f"{source} has no band {(unknown or list(one.bands))[0]}.")


def _bands_of(known: Basis, source: str) -> Mapping[str, object] | None:
    """Bands of what a data set names, empty where nobody can tell yet; none: there is no such collection."""
    if source.startswith(_BYOC):
        identifier = source.removeprefix(_BYOC)
        return (known.bands[identifier] or {}) if identifier in known.bands else None
    return reading.bands(source) if public_raster.is_public(source) else {}


def _features(storage: Storage, request: JsonObject, tariff: Tariff) -> Iterator[Feature]:
    source = cast("JsonObject", request["input"])
    if source["type"] == "tiling-grid":
        yield from _grid_features(request, source, tariff)
    else:
        yield from _package_features(storage, request, source, tariff)


def _grid_features(request: JsonObject, source: JsonObject, tariff: Tariff) -> Iterator[Feature]:
    grid = grids()[cast("int", source["id"])]
    resolution = cast("float", source["resolution"])
    buffers = [cast("int", source.get(name, 0)) for name in ("bufferX", "bufferY")]
    inner = round(grid.tile / resolution)
    width, height = (inner + 2 * pixels for pixels in buffers)
    pu = tariff.feature_pu(width=width, height=height)
    around_x, around_y = (pixels * resolution for pixels in buffers)
    try:
        tiles = tiles_within(grid.id, batch_requests.bounds_text(request))
    except TooManyTilesError:
        raise AnalysisError("The area of interest touches too many tiles.") from None
    for tile in tiles:
        shape = areas.box_hex(
            tile.west - around_x,
            tile.south - around_y,
            tile.west + grid.tile + around_x,
            tile.south + grid.tile + around_y,
        )
        yield Feature(tile.name, tile.epsg, shape, width, height, pu)


def _package_features(
    storage: Storage, request: JsonObject, source: JsonObject, tariff: Tariff
) -> Iterator[Feature]:
    place = batch_requests.reference(source["features"])
    defaults = cast("JsonObject", source.get("defaults", {}))
    size = Size(
        width=cast("int | None", defaults.get("width")),
        height=cast("int | None", defaults.get("height")),
        resolution=cast("float | None", defaults.get("resolution")),
    )
    try:
        with storage.on_disk(place) as path:
            shapes = geopackage.read(path, size)
    except ObjectStoreError as error:
        raise AnalysisError(f"The GeoPackage {place.url} cannot be read: {error}") from error
    except GeoPackageError as error:
        raise AnalysisError(str(error)) from error
    interest = areas.area_of_text(batch_requests.bounds_text(request))
    by_epsg: dict[int, areas.Area] = {}
    for shape in shapes:
        if interest is not None:
            if shape.epsg not in by_epsg:
                by_epsg[shape.epsg] = areas.moved(
                    interest[0], source=interest[1], target=shape.epsg
                )
            if not areas.share_area(by_epsg[shape.epsg], shape.outline):
                continue
        pu = tariff.feature_pu(width=shape.width, height=shape.height)
        yield Feature(
            shape.identifier, shape.epsg, shape.outline.wkb_hex, shape.width, shape.height, pu
        )


def _without_existing(
    storage: Storage, request: JsonObject, delivery: Delivery, features: list[Feature]
) -> list[Feature]:
    """
    The features whose outputs do not lie there yet, if those that do may be skipped.

    Raises:
        AnalysisError: files are in the way
    """
    output = cast("JsonObject", request["output"])
    try:
        bucket = storage.bucket(delivery.bucket)
        bucket.check()
        if output["type"] == "zarr":
            _refuse_zarr_remains(bucket, delivery)
            return features
        return _kept(bucket, request, delivery, features)
    except ObjectStoreError as error:
        cause = "." if error.status == 404 else f": {error}"
        raise AnalysisError(f"The bucket {delivery.bucket} cannot be written to{cause}") from error


def _kept(
    bucket: Bucket, request: JsonObject, delivery: Delivery, features: list[Feature]
) -> list[Feature]:
    output = cast("JsonObject", request["output"])
    asked = metering.responses(cast("JsonObject", request["processRequest"]))
    keys = {
        feature.name: [
            delivery.output(tile=feature.name, output=identifier, media_type=media_type).key
            for identifier, media_type in asked
        ]
        for feature in features
    }
    for name, named in keys.items():
        if unsafe := [key for key in named if not is_safe_key(key)]:
            raise AnalysisError(f"Feature {name} would be written to {unsafe[0]}.")
    there = bucket.present([key for named in keys.values() for key in named])
    kept = []
    for feature in features:
        named = keys[feature.name]
        found = [key for key in named if key in there]
        if output.get("skipExisting") and len(found) == len(named):
            continue
        if found and not output.get("overwrite"):
            raise AnalysisError(f"The file {found[0]} exists already.")
        kept.append(feature)
    return kept


def _refuse_zarr_remains(bucket: Bucket, delivery: Delivery) -> None:
    base = f"{delivery.root}/" if delivery.root else ""
    for key in bucket.keys(base):
        inner = key.removeprefix(base)
        if "/" in inner or inner.startswith(".z"):
            raise AnalysisError(f"The folder of the Zarr output is not empty: {key} exists.")
