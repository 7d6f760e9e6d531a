"""
Made-up pixels for an evalscript that is only looked at: plausible values of its bands, the same each time.

Plausible means that the branches of published scripts are taken: masks are on and off, classes go through their
numbers, indices through their range. What a band holds is told by the collection's table, else by its unit and name.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final

from shplan.manifest.collections import Collection, published
from shplan.schema.store import table
from shplan.script import InputFacts
from shplan.script.probing import Samples

if TYPE_CHECKING:
    from shplan.script.rendering import Json

PIXELS: Final = 240
DAYS: Final = ("2025-06-28", "2025-06-13", "2025-05-19")
# The same day of each month of two years, for scripts that compare months or years.
MANY_DAYS: Final = tuple(
    f"{count // 12}-{count % 12 + 1:02}-28" for count in range(2025 * 12 + 5, 2023 * 12 + 4, -1)
)
_FIRST_DAY, _LAST_DAY = "2025-05-01", "2025-06-30"
# A script that lists the days of ten years is told of the first of them.
_MOST_DAYS = 60
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)", re.ASCII)
# Source: documentation, "Sentinel-2 L2A"; Planet, "Usable Data Mask".
_MASKS = frozenset(["dataMask", "clear"])
_HIDDEN = frozenset(["CLM", "shadowMask"])
_CLASSES: Mapping[str, int] = {
    "SCL": 12,
    "cloud_mask": 8,
    "cloud": 2,
    "shadow": 2,
    "snow": 2,
    "light_haze": 2,
    "heavy_haze": 2,
    "haze_light": 2,
    "haze_heavy": 2,
}
_BY_NAME: Mapping[str, tuple[float, float]] = {
    "CLP": (0, 255),
    "CLD": (0, 100),
    "SNW": (0, 100),
    "DEM": (-20, 3500),
    "LST": (230, 330),
    "localIncidenceAngle": (15, 60),
    # The instrument looks down, and passes by day; azimuths go all around.
    "viewZenithMean": (0, 12),
    "sunZenithAngles": (15, 80),
    "viewAzimuthMean": (0, 360),
    "sunAzimuthAngles": (0, 360),
    "VV": (0.0005, 0.5),
    "HH": (0.0005, 0.5),
    "VH": (0.0002, 0.12),
    "HV": (0.0002, 0.12),
    "BQA": (0, 65535),
    "QA": (0, 255),
    "SR_QA_AEROSOL": (0, 255),
    # Source: Planet, "Usable Data Mask".
    "udm1": (0, 255),
    "confidence": (0, 100),
    "QUALITY_FLAGS": (0, 2**31),
}
# No unit of the service: of bands whose values are kept in a byte.
BYTES: Final = "BYTES"
_BY_UNIT: Mapping[str, tuple[float, float]] = {
    BYTES: (0, 255),
    "REFLECTANCE": (0, 1),
    "DN": (0, 10000),
    "DEGREES": (0, 180),
    "PERCENT": (0, 100),
    "LINEAR_POWER": (0.0005, 0.8),
    "BRIGHTNESS_TEMPERATURE": (230, 330),
    "SURFACE_TEMPERATURE": (230, 330),
    "RADIANCE": (0, 300),
    "METERS": (0, 9000),
    "PASCALS": (10000, 105000),
    "HECTOPASCALS": (870, 1080),
    "PPB": (1700, 2000),
    "MOL_M2": (0, 0.2),
    "INDEX": (-2, 5),
    "OPTICAL_DEPTH": (0, 3),
    "KG_M2": (0, 60),
    "KELVIN": (0, 10),
    "ATMCM": (0.2, 0.5),
    "GRAMS_CM2": (0, 6),
}
_FRACTION = (0.0, 1.0)
# Most of the ground is dark, and to a radar darker still: what brightens it is not cut off for that.
_RADAR = frozenset(["VV", "VH", "HH", "HV"])
_ALIKE = 0.15
_MASKED = 0.125


def samples_of(
    given: InputFacts,
    scenes: int,
    collection: Collection | None,
    *,
    number: int = 0,
    unit: str = "",
) -> Samples:
    """
    Return the pixels of an input.

    Args:
        scenes: how many samples a pixel has
        collection: what it reads, where that is known
        number: which input it is: two that read the same band see two images
        unit: of the bands of which nobody knows one, nor how large its digital numbers are; empty for fractions
    """
    bands = tuple(dict.fromkeys(given.bands))
    units = dict(zip(given.bands, given.units, strict=False))
    planes = [
        [
            _plane(band, _range(band, units.get(band, ""), collection, unit), f"{number}/{scene}")
            for band in bands
        ]
        for scene in range(scenes)
    ]
    pixels = [
        [
            [0.0 if _is_empty(pixel, scene) else plane[pixel] for plane in planes[scene]]
            for scene in range(scenes)
        ]
        for pixel in range(PIXELS)
    ]
    return Samples(bands, pixels)


def days_of(text: str) -> list[str]:
    """
    Return the days of a script's scenes, latest first: three of one summer, and those that its text names.

    Published scripts choose theirs by the days of a flood or a fire.
    """
    days = set(DAYS)
    for year, _, month, day in _DAY.findall(text):
        try:
            days.add(date(int(year), int(month), int(day)).isoformat())
        except ValueError:
            continue
        if len(days) == _MOST_DAYS:
            break
    return sorted(days, reverse=True)


def span_of(days: Sequence[str]) -> tuple[str, str]:
    """Return the instants that were asked for, from and to, where scenes of these days were found."""
    return (
        f"{min(_FIRST_DAY, *days)}T00:00:00Z",
        f"{max(_LAST_DAY, *days)}T23:59:59Z",
    )


def scenes_of(mosaicking: str, days: Sequence[str] = DAYS) -> tuple[dict[str, Json], ...]:
    """Return what is told of a scene for each day; of a single sample nothing is."""
    if mosaicking == "SIMPLE":
        return ()
    tiles = [_tile(number, day) for number, day in enumerate(days)]
    if mosaicking == "TILE":
        return tuple(tiles)
    return tuple(
        {"dateFrom": f"{day}T00:00:00Z", "dateTo": f"{day}T23:59:59Z", "tiles": [dict(tile)]}
        for day, tile in zip(days, tiles, strict=True)
    )


def _tile(number: int, day: str) -> dict[str, Json]:
    # As products are called: by one of two satellites, the begin and the end of a pass, also at night.
    product = f"S3{'AB'[number % 2]}_{day.replace('-', '')}T013000_T133000"
    return {
        "date": f"{day}T10:00:00Z",
        "cloudCoverage": 7.5,
        "dataPath": f"s3://scenes/{product}",
        "tileOriginalId": product,
        "productId": product,
        "shId": number,
    }


def _range(name: str, unit: str, collection: Collection | None, other: str) -> tuple[float, float]:
    if name in _RADAR and other and collection is None:
        return _BY_UNIT[other]  # Mosaics of other radars come in numbers of their own.
    if name in _BY_NAME:
        return _BY_NAME[name]
    known = () if collection is None else collection.units(name)
    unit = unit.upper() or (known[0] if known else _usual_unit(name)) or other
    if unit == "DN" and other and name not in public_bands():
        unit = other  # The numbers of a band of one's own may be classes, percents or millimetres.
    return _BY_UNIT.get(unit, _FRACTION)


@cache
def public_bands() -> frozenset[str]:
    """Return the names of the bands of all public collections."""
    every = published(table("collections")).values()
    return frozenset(name for one in every for name in one.bands)


@cache
def _usual_unit(name: str) -> str:
    """Return what a band comes in unless a script asks otherwise, where all collections that have it agree."""
    every = published(table("collections")).values()
    found = {units[0] for units in (one.units(name) for one in every) if units}
    return found.pop() if len(found) == 1 else ""


def _plane(name: str, limits: tuple[float, float], image: str) -> list[float]:
    """Return a value of a band for each pixel of an image."""
    shares = _shares(f"{image}/{name}")
    if name in _MASKS:
        # Mostly valid: a mask that is off in every second pixel would hide the rest.
        return [float(share >= _MASKED) for share in shares]
    if name in _HIDDEN:
        return [float(share < _MASKED) for share in shares]
    if name in _CLASSES:
        return [float(int(share * _CLASSES[name])) for share in shares]
    if name in _RADAR:
        # What is bright in one polarisation is so in the other, more or less.
        echoes = _shares(f"{image}/echo")
        shares = tuple(
            ((_ALIKE * own + echo) % 1.0) ** 3 for own, echo in zip(shares, echoes, strict=True)
        )
    elif limits == _FRACTION:
        shares = tuple(share**2 for share in shares)
    least, greatest = limits
    return [least + (greatest - least) * share for share in shares]


def _is_empty(pixel: int, scene: int) -> bool:
    """Tell whether a sample has no data, which are zero in every band: now and then one of each scene."""
    return (pixel + 7 * scene) % 29 == 28


@cache
def _shares(key: str) -> tuple[float, ...]:
    """
    Return a number from 0 to 1 for each pixel, the same each time.

    No two keys have anything to do with each other. Were they of one sequence, the difference of two bands would
    be the same at all pixels, and with it every index of them.
    """
    drawn = hashlib.shake_128(key.encode()).digest(4 * PIXELS)
    return tuple(one / 2**32 for one in struct.unpack(f">{PIXELS}I", drawn))
