"""
Whether the files of a tile may be ingested, and what follows from them: pure decisions.

Source: the BYOC page on COG requirements, on band configuration and on automatic
configuration by the first tile. The wording of causes is ours; the service's is free text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, cast

from shplan.sandbox import geometry
from shplan.sandbox.buckets import IngestionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shplan.sandbox.cog import RasterFile
    from shplan.sandbox.geometry import Box
    from shplan.sandbox.tiff import Image
    from shplan.sandbox.wire import Json, JsonObject

MAX_HEADER_BYTES = 1024 * 1024
TILE_PIXELS = range(256, 2049)
MAX_CHUNKY_BANDS = 10
MAX_BANDS = 100
TILE_CRS = frozenset({4326, 3857, 3035, *range(32601, 32661), *range(32701, 32761)})
# none, LZW, DEFLATE, PIXTIFF_ZIP, PACKBITS, ZSTD
COMPRESSIONS = frozenset({1, 5, 8, 32946, 32773, 50000})
COMPRESSIONS_OF_ANY_PHOTOMETRIC = frozenset({1, 8, 32946, 50000})
FORMATS = {1: "UINT", 2: "INT", 3: "FLOAT"}
# Our own bound: the reference says that too few overviews give a warning, not how few.
COARSE_ENOUGH_PIXELS = 1024
MIN_OVERVIEW_PIXELS = 256

_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|[$][\w$]*")
_RESERVED = frozenset(
    [
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)

Bands = dict[str, "JsonObject"]


@dataclass(frozen=True, slots=True)
class Ingestion:
    """
    What a successful ingestion leaves behind.

    Args:
        facts: of the tile: CRS, geometries, metadata of its files
        bands: the collection's bands afterwards
        no_data: the collection's value afterwards
    """

    facts: JsonObject
    bands: Bands
    no_data: float | None


def is_band_name(name: str) -> bool:
    """Whether an evalscript can use the name: a JavaScript identifier, not a reserved word."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED


def is_output_name(name: str) -> bool:
    """
    Whether a batch task's output can be a band: by that name, which may be a reserved word.

    Assumption: the usual output is called `default`, which is one.
    """
    return _IDENTIFIER.fullmatch(name) is not None


def ingest(
    files: Sequence[RasterFile],
    *,
    bands: Mapping[str, JsonObject] | None,
    no_data: float | None,
    allow_nan: bool,
) -> Ingestion:
    """
    Check the files of a tile against the rules and the collection's configuration.

    Args:
        files: at least one
        bands: the configuration; none: the files make it
        no_data: the collection's value
        allow_nan: whether a nodata tag that is NaN passes

    Raises:
        IngestionError: a rule is broken
    """
    for file in files:
        _check_structure(file)
        _check_place(file)
        if file.no_data is not None and math.isnan(file.no_data) and not allow_nan:
            _fail(file, "has NaN as its nodata value; NaN is always no data and may not be set")
    _check_together(files)
    if bands:
        configured = _check_bands(files, bands)
    else:
        configured, no_data = _configure(files, no_data)
    return Ingestion(facts=_facts(files), bands=configured, no_data=no_data)


def _fail(file: RasterFile, what: str) -> None:
    msg = f"The file of band {file.source} {what}."
    raise IngestionError(msg)


def _check_structure(file: RasterFile) -> None:
    if file.structure.header_bytes > MAX_HEADER_BYTES:
        _fail(file, f"has a header of {file.structure.header_bytes} bytes; 1 MB is the limit")
    for image in file.structure.images:
        if image.is_mask:
            continue
        if image.tile is None:
            _fail(file, "is not tiled internally; it is no cloud optimized GeoTIFF")
        elif any(side not in TILE_PIXELS for side in image.tile):
            size = "x".join(map(str, image.tile))
            _fail(file, f"has internal tiles of {size} pixels; 256 to 2048 are allowed")
        if image.compression not in COMPRESSIONS:
            _fail(file, f"is compressed with scheme {image.compression}, which is not supported")
        if image.photometric not in (1, 2) and (
            image.compression not in COMPRESSIONS_OF_ANY_PHOTOMETRIC
        ):
            _fail(file, "has a photometric interpretation that its compression does not allow")
    main = _main(file)
    if not main.planar and main.samples > MAX_CHUNKY_BANDS:
        _fail(file, f"has {main.samples} bands in chunky order; {MAX_CHUNKY_BANDS} are allowed")


def _main(file: RasterFile) -> Image:
    for image in file.structure.images:
        if not image.is_overview and not image.is_mask:
            return image
    msg = f"The file of band {file.source} holds no image."
    raise IngestionError(msg)


def _check_place(file: RasterFile) -> None:
    if file.epsg not in TILE_CRS:
        _fail(file, "has no CRS" if file.epsg is None else f"is in EPSG:{file.epsg}; not supported")
    if not file.is_upright:
        _fail(file, "is rotated or upside down")
    if crosses_pole(cast("int", file.epsg), file.box):
        _fail(file, "crosses a pole")


def crosses_pole(epsg: int, box: Box) -> bool:
    """Whether a pole lies inside a box, whose CRS is one of those that tiles may have."""
    if epsg == geometry.WGS84:
        return box.south < -90 or box.north > 90
    if epsg == 3857:
        return False
    to_crs = geometry.transformer(geometry.WGS84, epsg)
    for latitude in (90.0, -90.0):
        x, y = to_crs(0.0, latitude)
        if box.west <= x <= box.east and box.south <= y <= box.north:
            return True
    return False


def _check_together(files: Sequence[RasterFile]) -> None:
    if len({file.epsg for file in files}) > 1:
        msg = "The files of the tile are not in the same CRS."
        raise IngestionError(msg)
    common = files[0].box
    for file in files[1:]:
        common = common.intersection(file.box)
    for file in files:
        width, height = file.pixel
        # A millionth of a pixel lets coordinates pass that were rounded when written.
        apart = max(
            abs(file.box.west - common.west) / width,
            abs(file.box.east - common.east) / width,
            abs(file.box.south - common.south) / height,
            abs(file.box.north - common.north) / height,
        )
        if apart > 1 + 1e-6:
            _fail(file, "has a bounding box more than one pixel off that of the others")


def _depth_and_format(file: RasterFile, index: int) -> tuple[int, str]:
    image = _main(file)
    bits, form = image.bits[index - 1], FORMATS.get(image.sample_format[index - 1])
    if form == "UINT" and bits in (1, 2, 4):
        bits = 8
    if form is None or bits not in (8, 16, 32) or (form == "FLOAT" and bits != 32):
        _fail(file, f"has samples of {bits} bits of a kind that is not supported")
    return bits, str(form)


def _check_bands(files: Sequence[RasterFile], bands: Mapping[str, JsonObject]) -> Bands:
    by_source = {file.source: file for file in files}
    configured: Bands = {}
    for name, known in bands.items():
        band = dict(known)
        file = by_source[str(band["source"])]
        index = cast("int", band["bandIndex"])
        if index > _main(file).samples:
            _fail(file, f"has no band number {index}, which {name} needs")
        depth, form = _depth_and_format(file, index)
        if depth != band["bitDepth"]:
            _fail(file, f"has {depth} bits, but band {name} is configured with {band['bitDepth']}")
        if band.setdefault("sampleFormat", form) != form:
            _fail(file, f"is {form}, but band {name} is configured as {band['sampleFormat']}")
        configured[name] = band
    return configured


def _configure(files: Sequence[RasterFile], no_data: float | None) -> tuple[Bands, float | None]:
    bands: Bands = {}
    for file in files:
        count = _main(file).samples
        for index in range(1, count + 1):
            name = file.source if count == 1 else f"{file.source}_{index}"
            if not is_band_name(name):
                _fail(file, "has a name that cannot be a band's name in an evalscript")
            depth, form = _depth_and_format(file, index)
            bands[name] = {
                "source": file.source,
                "bandIndex": index,
                "bitDepth": depth,
                "sampleFormat": form,
            }
    if len(bands) > MAX_BANDS:
        msg = f"The files have {len(bands)} bands; a collection has at most {MAX_BANDS}."
        raise IngestionError(msg)
    if no_data is not None:
        return bands, no_data
    values = {file.source: _settable(file.no_data) for file in files}
    if len(set(values.values())) == 1:
        return bands, values[files[0].source]
    for band in bands.values():
        value = values[str(band["source"])]
        if value is not None:
            band["noData"] = value
    return bands, None


def _settable(value: float | None) -> float | None:
    """A number as JSON has it; NaN is always no data and is not stored."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _facts(files: Sequence[RasterFile]) -> JsonObject:
    first = files[0]
    around, common = first.box, first.box
    for file in files[1:]:
        around, common = around.union(file.box), common.intersection(file.box)
    epsg = cast("int", first.epsg)
    finest = min(_metres(file.epsg, file.pixel) for file in files)
    coarsest = median(_metres(file.epsg, _coarsest_pixel(file)) for file in files)
    metadata: JsonObject = {
        file.source: {"headerSize": file.structure.header_bytes, "etag": file.etag}
        for file in files
    }
    additional: JsonObject = {
        "filesMetadata": metadata,
        "minMetersPerPixel": finest,
        "maxMetersPerPixel": coarsest,
    }
    warnings = [text for file in files if (text := _overview_warning(file))]
    if warnings:
        additional["warnings"] = " ".join(warnings)
    bare = around.polygon()
    extent = geometry.bounds(
        geometry.projected(common.polygon(), source=epsg, target=geometry.WGS84)
    )
    sides: list[Json] = [extent.west, extent.south, extent.east, extent.north]
    measures = (extent.west, extent.south, extent.east, extent.north, finest, coarsest)
    if not all(map(math.isfinite, measures)):
        _fail(first, "lies where there is no place on Earth")
    return {
        "epsg": epsg,
        "tileGeometry": bare,
        "coverGeometry": common.polygon(),
        "extent": sides,
        "additionalData": additional,
    }


def _metres(epsg: int | None, pixel: tuple[float, float]) -> float:
    factor = geometry.METRES_PER_DEGREE if epsg == geometry.WGS84 else 1.0
    return max(pixel) * factor


def _overviews(file: RasterFile) -> list[Image]:
    return [image for image in file.structure.images if image.is_overview and not image.is_mask]


def _coarsest_pixel(file: RasterFile) -> tuple[float, float]:
    """Source: the resolution limit counts overviews at least 256 pixels wide or high."""
    main = _main(file)
    usable = [o for o in _overviews(file) if max(o.width, o.height) >= MIN_OVERVIEW_PIXELS]
    smallest = min(usable, key=lambda image: image.width, default=main)
    return (
        file.pixel[0] * main.width / smallest.width,
        file.pixel[1] * main.height / smallest.height,
    )


def _overview_warning(file: RasterFile) -> str | None:
    levels = [_main(file), *_overviews(file)]
    coarsest = min(max(image.width, image.height) for image in levels)
    if coarsest <= COARSE_ENOUGH_PIXELS:
        return None
    return (
        f"The file of band {file.source} has too few overviews: the coarsest is {coarsest} pixels."
    )
