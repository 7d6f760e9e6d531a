"""
How large the images of a request become, and how coarse: limits of pixels and of metres per pixel.

Source: API reference: width and height 1 to 2500 (Process, Statistical) or 10,000 (asynchronous), or `resx` and
`resy` in units of the reference system, whose size is rounded; limits of resolution: table `missions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, cast

from shplan.core.request_area import Area
from shplan.core.request_faults import Fault, Faults, number
from shplan.core.request_rings import DEGREES
from shplan.core.request_times import mission_of
from shplan.core.value import JsonObject, Object, Path, Value

METRES_PER_DEGREE: Final = 111_320.0
# How the service measures an image in degrees is not published; what is well beyond is sure.
_SURELY: Final = 1.25
_EDGE_OF_MERCATOR_M: Final = 20_037_509.0
# Sizes are rounded to whole pixels: an area that fills half of one still has one.
_HALF_A_PIXEL: Final = 0.5


def size_faults(output: Value, area: Area, path: Path, *, most_px: int) -> Faults:
    """
    Return what is wrong with the size of an image.

    Args:
        output: with `width` and `height`, or `resx` and `resy`
        area: the bounds of the request
        path: of `output` in the body
        most_px: the longest side that the API allows
    """
    if not isinstance(output, dict):
        return
    by_pixels = [name for name in ("width", "height") if name in output]
    by_resolution = [name for name in ("resx", "resy") if name in output]
    if by_pixels and by_resolution:
        yield Fault(
            (*path, by_resolution[0]),
            "size",
            "Size stated twice",
            f"`{by_pixels[0]}` and `{by_resolution[0]}` are both stated.",
            "A size is `width` and `height` in pixels, or `resx` and `resy` in units of the"
            " reference system.",
            f"remove `{'`, `'.join(by_pixels)}` or `{'`, `'.join(by_resolution)}`",
        )
        return
    yield from _half_faults(by_pixels, by_resolution, path, most_px)
    yield from _pixel_faults(output, path, most_px)
    yield from _resolution_faults(output, area, path, most_px)


def _half_faults(
    by_pixels: Sequence[str], by_resolution: Sequence[str], path: Path, most_px: int
) -> Faults:
    for given, pair in ((by_pixels, ("width", "height")), (by_resolution, ("resx", "resy"))):
        if len(given) != 1:
            continue
        (lacking,) = set(pair) - set(given)
        assumed = "is 256 then" if lacking in ("width", "height") else f"is `{given[0]}` then"
        refused = most_px > 2500 and lacking in ("width", "height")
        yield Fault(
            (*path, given[0]),
            "size",
            "Half of a size",
            f"`{given[0]}` is stated without `{lacking}`.",
            "There is no default for it." if refused else f"The other one {assumed}.",
            f"state `{lacking}` as well",
            sure=refused,
        )


def _pixel_faults(output: Object, path: Path, most_px: int) -> Faults:
    for name in ("width", "height"):
        stated = number(output.get(name))
        if stated is not None and stated > most_px:
            yield Fault(
                (*path, name),
                "size",
                "Image too large",
                f"`{name}` is {stated:g} pixels; at most {most_px:,} are allowed.",
                _larger(most_px),
            )


def _larger(most_px: int) -> str:
    if most_px > 2500:
        return "Larger areas are processed in tiles, by a BatchProcess."
    return "An AsyncProcess makes up to 10,000, a BatchProcess any number in tiles."


def _resolution_faults(output: Object, area: Area, path: Path, most_px: int) -> Faults:
    extent = area.extent
    if extent is None:
        return
    sides = {"resx": extent[2] - extent[0], "resy": extent[3] - extent[1]}
    in_degrees = area.crs == DEGREES
    for name, length in sides.items():
        stated = number(output.get(name))
        if stated is None or length <= 0:
            continue
        if stated <= 0:
            yield Fault(
                (*path, name),
                "size",
                "Value not allowed",
                f"`{name}` is {stated:g}; it must be greater than 0.",
            )
        elif length / stated >= most_px + 0.5:
            yield _too_fine(name, stated, length, in_degrees, path, most_px)
        elif length / stated < _HALF_A_PIXEL:
            yield _too_coarse(name, stated, length, in_degrees, path, most_px)
            return  # the other one is as wrong
        elif in_degrees and stated >= 1:
            yield Fault(
                (*path, name),
                "size",
                "Resolution in degrees",
                f"`{name}` is {stated:g} degrees, some {stated * METRES_PER_DEGREE:,.0f} m.",
                "Resolutions are in units of the reference system; without one, in degrees.",
                f"for {stated:g} m write {_in_degrees(stated)}, or use a UTM zone",
                sure=False,
            )


def _too_fine(
    name: str, stated: float, length: float, in_degrees: bool, path: Path, most_px: int
) -> Fault:
    pixels = length / stated
    told = f"{round(pixels):,}" if pixels < 1e15 else "more than any number of"
    least = _round_up(length / most_px)
    why = f"At most {most_px:,} are allowed. {_larger(most_px)}"
    if not in_degrees and stated < 0.01:
        why = f"{why} Resolutions are in units of the reference system, here metres."
    return Fault(
        (*path, name),
        "size",
        "Image too large",
        f"`{name}` of {stated:g} makes an image of {told} pixels over this area.",
        why,
        f"write `{name}: {least:g}` or more",
    )


def _too_coarse(
    name: str, stated: float, length: float, in_degrees: bool, path: Path, most_px: int
) -> Fault:
    side = "wide" if name == "resx" else "high"
    words = " of a degree" if length < 1 else " degree" if length == 1 else " degrees"
    unit = words if in_degrees else ""
    hint = ""
    if in_degrees:
        fits = length / (stated / METRES_PER_DEGREE) <= most_px
        metres = f"for {stated:g} m write {_in_degrees(stated)}, or use a UTM zone"
        hint = metres if fits else f"state `width` and `height`, at most {most_px:,}"
    return Fault(
        (*path, name),
        "size",
        "Pixel larger than the area",
        f"`{name}` is {stated:g}{' degrees' if in_degrees else ''}, and the area is"
        f" {length:.6g}{unit} {side}.",
        "Resolutions are in units of the reference system; without one, in degrees.",
        hint,
    )


def _in_degrees(metres: float) -> str:
    return f"{metres / METRES_PER_DEGREE:.7f}".rstrip("0").rstrip(".")


def _round_up(value: float) -> float:
    """Return three digits of a number, upwards, for a hint that holds."""
    scale: float = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.ceil(value / scale) * scale


# --- metres per pixel ----------------------------------------------------------------------


def coarse_faults(
    collection: Value, table: JsonObject, metres: float | None, path: Path, *, limit: float = 0.0
) -> Faults:
    """
    Say that an image is coarser than its collection allows.

    Args:
        metres: on the ground, of a pixel's longer side; None where it is unknown
        limit: metres per pixel of an own collection, 0 where it is not known
    """
    entry = mission_of(collection, table)
    known = (
        number(cast("Value", entry.get("maxMetersPerPixel")))
        if entry is not None
        else limit or None
    )
    if known is None or metres is None or metres <= known:
        return
    quoted = entry is None or entry.get("limit") == "quoted"
    yield Fault(
        path,
        "size",
        "Image too coarse",
        f"a pixel is some {metres:,.0f} m wide; {collection} allows {known:,.0f} m.",
        "The service refuses what its coarsest overviews cannot answer.",
        "make the area smaller or the image larger",
        sure=quoted and metres > _SURELY * known,
    )


def metres_per_pixel(output: Value, area: Area, *, default_px: int | None) -> float | None:
    """
    Return the longer side of a pixel on the ground, in metres; None where it is unknown.

    Args:
        default_px: width and height where the request states no size, None where it has to
    """
    if area.extent is None or not isinstance(output, dict):
        return None
    west, south, east, north = area.extent
    units = _units(area.crs, south, north)
    if units is None or east <= west or north <= south:
        return None
    sizes = []
    for length, unit, pixels, resolution in (
        (east - west, units[0], "width", "resx"),
        (north - south, units[1], "height", "resy"),
    ):
        stated = number(output.get(resolution))
        count = number(output.get(pixels)) or default_px
        if stated is None and ("resx" in output or "resy" in output or not count):
            return None
        size = stated if stated is not None else length / (count or 1)
        sizes.append(size * unit)
    return max(sizes)


def _units(crs: str, south: float, north: float) -> tuple[float, float] | None:
    """Return metres per unit of x and of y in the middle of an area; None for a system without."""
    if crs == DEGREES:
        if not -90 <= south <= north <= 90:
            return None
        widening = math.cos(math.radians((south + north) / 2))
        return METRES_PER_DEGREE * widening, METRES_PER_DEGREE
    if crs == "EPSG:3857" and max(abs(south), abs(north)) < _EDGE_OF_MERCATOR_M:
        # Source: EPSG Guidance Note 7-2, method 1024: its metres shrink away from the equator.
        middle = math.atan(math.sinh((south + north) / 2 / 6_378_137.0))
        return math.cos(middle), math.cos(middle)
    return 1.0, 1.0
