"""
`input.bounds` of a request: order, units and reach of its coordinates, rings, and the reference system.

Source: API reference, Process, `input.bounds`: x before y in every reference system, CRS84 where none is named;
the documentation's list of reference systems. Rings are looked at in `request_rings`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shplan.core.frozen import dataclass
from shplan.core.geometry import crs_code
from shplan.core.request_faults import Fault, Faults, at, numbers
from shplan.core.request_rings import (
    DEGREES,
    Position,
    crossing_faults,
    detail_faults,
    listed_numbers,
    meridian_faults,
    ring_faults,
    rings_of,
)
from shplan.core.value import Object, Value

# Source: documentation, "Supported CRS", beside the UTM zones.
_KNOWN: Final = frozenset(
    {4326, 3857, 2154, 2180, 2193, 3003, 3004, 3005, 3006, 3031, 3035, 3161, 3346, 3413, 3416}
    | {3578, 3580, 3765, 3794, 3844, 3912, 3995, 4026, 5514, 28992, 32184}
)
_URL = re.compile(r"https?://www\.opengis\.net/def/crs/(?:OGC/1\.3/CRS84|EPSG/[0-9.]*/[0-9]+)")
_ACROSS = "cut the area at 180 degrees, or give it in metres of a UTM zone (EPSG:32601 or 32660)"
_EDGE_OF_MERCATOR_M = 20_037_508.4
_EARTH_M = 6_378_137.0
_METRES_A_DEGREE = 111_132.0
_REMEMBERED = 32
# A MultiPolygon is a list of polygons, of rings, of positions.
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Area:
    """
    The bounds of a request as they were read.

    Args:
        crs: `EPSG:N` of the coordinates
        extent: (smallest x, smallest y, largest x, largest y) of the image, in their own units; None where unknown
        faults: in the order of the fields
    """

    crs: str = DEGREES
    extent: tuple[float, float, float, float] | None = None
    faults: tuple[Fault, ...] = ()


def read_area(bounds: Value) -> Area:
    """Read the bounds of a request; the instances of a `forEach` share most of theirs, read once."""
    if not isinstance(bounds, dict):
        return Area()
    try:
        return _read(json.dumps(bounds, allow_nan=False))
    except (TypeError, ValueError):
        # Something of it is not known yet.
        return _area(bounds)


@lru_cache(maxsize=_REMEMBERED)
def _read(written: str) -> Area:
    return _area(json.loads(written))


def _area(bounds: Object) -> Area:
    crs, box, geometry = _crs_of(bounds), numbers(bounds.get("bbox")), at(bounds, "geometry")
    if box is not None and len(box) != 4:
        box = None
    rings = list(rings_of(geometry))
    corners = [position for ring in rings for position in ring]
    extent = None
    if box is not None:
        extent = (box[0], box[1], box[2], box[3])
    elif corners:
        across, up = [x for x, _ in corners], [y for _, y in corners]
        extent = (min(across), min(up), max(across), max(up))
    return Area(crs, extent, tuple(_faults(bounds, crs, box, rings, corners)))


def _is_empty(coordinates: Value, depth: int = 0) -> bool:
    """Tell whether lists hold nothing but lists; what is not known yet is something."""
    return (
        isinstance(coordinates, list)
        and depth < _DEEPEST
        and all(_is_empty(one, depth + 1) for one in coordinates)
    )


def _faults(
    bounds: Object,
    crs: str,
    box: list[float] | None,
    rings: list[list[Position]],
    corners: list[Position],
) -> Faults:
    yield from _crs_faults(bounds)
    if box is not None:
        yield from _box_faults(box, crs)
    if not corners:
        if _is_empty(at(bounds, "geometry", "coordinates")):
            yield Fault(
                ("geometry",),
                "area",
                "Geometry without an area",
                "the geometry has no position at all.",
                "What is left of an area after cutting it may be nothing.",
                "leave it out, or look at the file or the query that it comes from",
            )
        return
    yield from _reach_faults(corners, crs, ("geometry",))
    yield from ring_faults(rings)
    yield from detail_faults(corners)
    yield from meridian_faults(rings, crs)
    yield from crossing_faults(bounds.get("geometry"), rings)
    if box is not None:
        yield from _apart_faults(box, corners)


def _crs_of(bounds: Object) -> str:
    """Return what `properties` say, else the geometry, else degrees."""
    named = at(bounds, "properties", "crs")
    if not isinstance(named, str):
        named = at(bounds, "geometry", "crs", "properties", "name")
    return crs_code(named) if isinstance(named, str) else DEGREES


def latitudes(area: Area) -> tuple[float, float] | None:
    """
    Return the southernmost and the northernmost degree of an area, None where that is not easily told.

    In a UTM zone to half a degree: its northings are nearly an arc of the meridian. Source: EPSG Guidance Note 7-2,
    methods 1024 and 9807.
    """
    if area.extent is None:
        return None
    _, low, _, high = area.extent
    if area.crs == DEGREES:
        found = low, high
    elif area.crs == "EPSG:3857":
        found = _from_mercator(low), _from_mercator(high)
    elif area.crs.startswith(("EPSG:326", "EPSG:327")) and is_supported(area.crs):
        false_north = 10_000_000.0 if area.crs.startswith("EPSG:327") else 0.0
        found = (low - false_north) / _METRES_A_DEGREE, (high - false_north) / _METRES_A_DEGREE
    else:
        return None
    return found if -90 <= found[0] <= found[1] <= 90 else None


def _from_mercator(northing: float) -> float:
    bounded = max(-_EDGE_OF_MERCATOR_M, min(northing, _EDGE_OF_MERCATOR_M)) / _EARTH_M
    return math.degrees(math.atan(math.sinh(bounded)))


# --- reference systems ---------------------------------------------------------------------


def _crs_faults(bounds: Object) -> Faults:
    named = at(bounds, "properties", "crs")
    if not isinstance(named, str):
        return
    path = ("properties", "crs")
    code = crs_code(named)
    if not is_supported(code):
        yield Fault(
            path,
            "area",
            "Reference system not supported",
            f"the coordinates are in `{_short(named)}`, which the service does not know.",
            "It knows CRS84, EPSG:4326 and 3857, the UTM zones (32601 to 32660, 32701 to 32760),"
            f" and EPSG:{', '.join(str(one) for one in sorted(_KNOWN - {4326, 3857}))}.",
            "bring the area into one of them, e.g. with `ogr2ogr -t_srs EPSG:4326`",
        )
    elif not _URL.fullmatch(named):
        yield Fault(
            path,
            "area",
            "Reference system in another spelling",
            f"the reference system is written as `{_short(named)}`.",
            "The API names reference systems by URL; other spellings may be refused.",
            f"write `crs: http://www.opengis.net/def/crs/EPSG/0/{code.removeprefix('EPSG:')}`",
            sure=False,
        )
    inner = at(bounds, "geometry", "crs", "properties", "name")
    if isinstance(inner, str) and crs_code(inner) != crs_code(named):
        yield Fault(
            path,
            "area",
            "Two reference systems",
            f"`properties` say `{_short(named)}`, and the geometry itself `{_short(inner)}`.",
            "Only one of them can be right.",
            "state it once, in `properties`",
            sure=False,
        )


def is_supported(crs: str) -> bool:
    """Tell whether requests may use a reference system, `EPSG:N`."""
    digits = crs.removeprefix("EPSG:")
    if not re.fullmatch(r"[0-9]{4,5}", digits):
        return False
    code = int(digits)
    return code in _KNOWN or 32601 <= code <= 32660 or 32701 <= code <= 32760


# --- coordinates ---------------------------------------------------------------------------


def _box_faults(box: list[float], crs: str) -> Faults:
    west, south, east, north = box
    if west < east and south < north:
        yield from _reach_faults([(west, south), (east, north)], crs, ("bbox",))
        return
    if west == east or south == north:
        what, hint = "has no width or no height.", "give it two different corners"
    else:
        what = "does not begin with its smallest x and smallest y."
        across = crs == DEGREES and west > 90 and east < -90
        hint = _ACROSS if across else f"write `bbox: {listed_numbers(_turned(box))}`"
    yield Fault(
        ("bbox",),
        "area",
        "Box without an area",
        f"the bbox {listed_numbers(box)} {what}",
        "Its order is smallest x, smallest y, largest x, largest y; x is the longitude.",
        hint,
    )


def _turned(box: list[float]) -> list[float]:
    west, south, east, north = box
    return [min(west, east), min(south, north), max(west, east), max(south, north)]


def _reach_faults(corners: Sequence[Position], crs: str, path: tuple[str]) -> Faults:
    furthest_x = max(abs(x) for x, _ in corners)
    furthest_y = max(abs(y) for _, y in corners)
    if crs == DEGREES:
        yield from _degree_faults(furthest_x, furthest_y, corners, path)
    elif not is_supported(crs):
        return
    elif furthest_x <= 180 and furthest_y <= 90:
        yield Fault(
            path,
            "area",
            "Coordinates look like degrees",
            f"the coordinates, e.g. {listed_numbers(corners[0])}, are in metres of {crs}.",
            "In degrees they would be a place on the globe; in metres they are a spot at the origin.",
            "leave `properties.crs` out, or write the coordinates in metres",
            sure=False,
        )
    elif crs.startswith(("EPSG:326", "EPSG:327")):
        yield from _zone_faults(furthest_x, corners, crs, path)
    elif crs == "EPSG:3857" and furthest_x > 2 * _EDGE_OF_MERCATOR_M:
        yield _off_the_globe(path, corners, crs)


def _degree_faults(
    furthest_x: float, furthest_y: float, corners: Sequence[Position], path: tuple[str]
) -> Faults:
    if furthest_y <= 90 and furthest_x <= 360:
        if furthest_x > 180:
            furthest = max(corners, key=lambda one: abs(one[0]))
            yield Fault(
                path,
                "area",
                "Longitude beyond 180 degrees",
                f"the area reaches longitude {furthest[0]:g}.",
                "That the service reads longitudes beyond 180 is documented nowhere; the sandbox refuses them.",
                _ACROSS,
                sure=False,
            )
        return
    if furthest_x <= 90 and furthest_y <= 180:
        swapped = [(y, x) for x, y in corners]
        hint = "exchange x and y of every position"
        if path == ("bbox",):
            hint = f"write `bbox: {listed_numbers([*swapped[0], *swapped[1]])}`"
        yield Fault(
            path,
            "area",
            "Latitude before longitude",
            f"the second number of {listed_numbers(corners[-1])} is no latitude.",
            "Coordinates are x, y: longitude first, whatever the registry says of EPSG:4326.",
            hint,
        )
    elif furthest_x > 360 and furthest_y > 90:
        yield Fault(
            path,
            "area",
            "Coordinates are no degrees",
            f"the coordinates, e.g. {listed_numbers(corners[0])}, are read as degrees.",
            "Without `properties.crs` an area is in CRS84, longitude and latitude.",
            "say what they are, e.g."
            " `properties: {crs: http://www.opengis.net/def/crs/EPSG/0/32633}`",
        )
    else:
        yield _off_the_globe(path, corners, "CRS84")


def _zone_faults(
    furthest_x: float, corners: Sequence[Position], crs: str, path: tuple[str]
) -> Faults:
    # A zone is some 700 km wide and 10,000 km high; northings before eastings stand out.
    if furthest_x <= 2_000_000:
        return
    low, high = min(y for _, y in corners), max(y for _, y in corners)
    exchanged = low > 0 and high < 1_000_000
    yield Fault(
        path,
        "area",
        "Coordinates off their zone",
        f"the coordinates, e.g. {listed_numbers(corners[0])}, lie far outside of {crs}.",
        "Eastings of a UTM zone are about 100,000 to 900,000 and stand first.",
        "exchange x and y of every position" if exchanged else "name the zone they are in",
        sure=False,
    )


def _off_the_globe(path: tuple[str], corners: Sequence[Position], crs: str) -> Fault:
    return Fault(
        path,
        "area",
        "Coordinates off the globe",
        f"the coordinates, e.g. {listed_numbers(corners[0])}, lie outside of {crs}.",
        "Longitudes go from -180 to 180, and latitudes from -90 to 90.",
    )


def _apart_faults(box: list[float], corners: Sequence[Position]) -> Faults:
    across, up = [x for x, _ in corners], [y for _, y in corners]
    west, south, east, north = box
    if max(across) < west or min(across) > east or max(up) < south or min(up) > north:
        yield Fault(
            ("geometry",),
            "area",
            "Box and geometry apart",
            "the geometry lies outside of the bbox.",
            "The image covers the bbox, and only what lies inside the geometry has data.",
            "leave one of them out",
            sure=False,
        )


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
