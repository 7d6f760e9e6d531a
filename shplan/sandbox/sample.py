"""
The pixels and outlines of the sample data: a patchwork of fields that green up and are harvested.

Integer arithmetic only, so that the same libraries make the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import shapely

from shplan.sandbox import geometry, geopackage
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.wire import Json, JsonObject

EPSG = 32633
WEST_M, NORTH_M, PIXEL_M, SIDE = 500_000, 5_100_000, 10, 512
FIELD_PX = 64
FIELDS_A_SIDE = SIDE // FIELD_PX
# Reflectance times 10,000: of bare soil, and what a fifth of full growth adds.
BANDS = {"B02": (900, -90), "B03": (1100, -60), "B04": (1400, -210), "B08": (1900, 480)}
DATES = ("2025-06-01", "2025-06-11", "2025-06-21")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, and its outline in the CRS of the images, metres."""

    name: str
    box: tuple[int, int, int, int]


def fields() -> list[Field]:
    """Every third field of the patchwork, row by row, with a way around each."""
    found = []
    side, margin = FIELD_PX * PIXEL_M, 2 * PIXEL_M
    for number in range(0, FIELDS_A_SIDE**2, 3):
        row, column = divmod(number, FIELDS_A_SIDE)
        west, north = WEST_M + column * side, NORTH_M - row * side
        box = (west + margin, north - side + margin, west + side - margin, north - margin)
        found.append(Field(f"field-{number:02d}", box))
    return found


def cog(band: str, *, date_index: int) -> bytes:
    """
    A cloud-optimised GeoTIFF of one band on one date.

    Pixels: (512, 512), uint16, no-data 0, EPSG:32633, internal tiles of 256, overviews.
    """
    import numpy as np  # noqa: PLC0415 only who seeds needs images
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.io import MemoryFile  # noqa: PLC0415
    from rasterio.transform import from_origin  # noqa: PLC0415

    soil, growth = BANDS[band]
    rows, columns = np.indices((SIDE, SIDE))
    number = (rows // FIELD_PX) * FIELDS_A_SIDE + columns // FIELD_PX
    stage = (number * 7 // 3 + date_index * 2) % 6
    texture = (rows * 31 + columns * 17) % 11
    pixels = (soil + stage * growth + texture * 6).astype("uint16")
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=SIDE,
            height=SIDE,
            count=1,
            dtype="uint16",
            crs=CRS.from_epsg(EPSG),
            transform=from_origin(WEST_M, NORTH_M, PIXEL_M, PIXEL_M),
            nodata=0,
            blocksize=256,
            compress="DEFLATE",
            overview_resampling="NEAREST",
        ) as raster:
            raster.write(pixels, 1)
        content: bytes = memory.read()
        return content


def fields_gpkg(found: Sequence[Field]) -> bytes:
    """A GeoPackage of fields, with the columns that a batch request reads."""
    shapes = [
        geopackage.Shape(one.name, EPSG, shapely.box(*one.box), *_pixels(one.box)) for one in found
    ]
    return geopackage.features(shapes, table="fields", changed_ms=0)


def _pixels(box: tuple[int, int, int, int]) -> tuple[int, int]:
    west, south, east, north = box
    return (east - west) // PIXEL_M, (north - south) // PIXEL_M


def fields_geojson(found: Sequence[Field]) -> bytes:
    """The same fields as GeoJSON, longitude first."""
    features: list[Json] = [
        {
            "type": "Feature",
            "properties": {"identifier": one.name},
            "geometry": _in_degrees(one.box),
        }
        for one in found
    ]
    return encode({"type": "FeatureCollection", "features": features}).encode()


def _in_degrees(box: tuple[int, int, int, int]) -> JsonObject:
    polygon = geometry.Box(*box).polygon()
    moved = geometry.projected(polygon, source=EPSG, target=geometry.WGS84)
    rings = cast("list[list[list[float]]]", moved["coordinates"])
    # A centimetre, below which projections of different versions disagree.
    rounded: list[Json] = [
        [[round(degrees, 7) for degrees in position] for position in ring] for ring in rings
    ]
    return {"type": "Polygon", "coordinates": rounded}
