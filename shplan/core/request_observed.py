"""
A request against what the service says of its own collections: where they lie, when they were sensed, how coarse.

Known only after a refresh, and changed by every tile that comes: so these are remarks of a plan, and refuse nothing.
Source: API description, BYOC collections: `additionalData.extent` (WGS84), `fromSensingTime`, `toSensingTime`,
`maxMetersPerPixel` (never stricter than 500 m).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shplan.core.compare import instant
from shplan.core.grids import grid_by_id
from shplan.core.request_area import Area, read_area
from shplan.core.request_faults import at, number
from shplan.core.request_rings import DEGREES
from shplan.core.request_sizes import METRES_PER_DEGREE, metres_per_pixel
from shplan.core.request_times import ends_of
from shplan.core.value import JsonObject, Object, Value

_NEVER_STRICTER_M = 500.0


def observed_notes(
    request: Object, objects: Mapping[str, Object], table: JsonObject | None
) -> tuple[str, ...]:
    """
    Return what the collections of a request, as they are now, cannot give it.

    Args:
        request: the body, with `input.data` or `processRequest`
        objects: what was observed, by id
        table: the tiling grids
    """
    inner = at(request, "processRequest")
    body = inner if isinstance(inner, dict) else request
    area = read_area(at(body, "input", "bounds"))
    data = at(body, "input", "data")
    notes: dict[str, None] = {}
    for one in data if isinstance(data, list) else ():
        kind = at(one, "type")
        observed = objects.get(kind.partition("-")[2]) if isinstance(kind, str) else None
        known = at(observed, "additionalData")
        if observed is None or not isinstance(known, dict):
            continue
        name = at(observed, "name") or kind
        metres = _metres(request, body, area, table)
        within = at(body, "aggregation", "timeRange") or at(one, "dataFilter", "timeRange")
        for note in (*_place(area, known), *_time(within, known), *_detail(metres, known)):
            notes[f"{name} {note}"] = None
    return tuple(notes)


def _place(area: Area, known: Object) -> Iterator[str]:
    extent = at(known, "extent")
    covered = read_area({"geometry": extent}) if isinstance(extent, dict) else Area()
    if area.extent is None or covered.extent is None or area.crs != DEGREES:
        return
    if covered.crs != DEGREES:
        return
    west, south, east, north = covered.extent
    left, low, right, high = area.extent
    if right < west or left > east or high < south or low > north:
        told = (
            f"has no imagery in the area: it covers longitudes {west:.6g} to {east:.6g}"
            f" and latitudes {south:.6g} to {north:.6g}"
        )
        exchanged = west <= low and high <= east and south <= left and right <= north
        yield f"{told}; the area is there if its x and y are exchanged" if exchanged else told


def _time(within: Value, known: Object) -> Iterator[str]:
    since, until = ends_of(within)
    begins, ends = known.get("fromSensingTime"), known.get("toSensingTime")
    first = instant(begins) if isinstance(begins, str) else None
    last = instant(ends) if isinstance(ends, str) else None
    # Tiles without a time take part in every range.
    if known.get("hasSensingTimes") != "YES" or first is None or last is None:
        return
    if (until is not None and until < first) or (since is not None and since > last):
        yield f"has no imagery in the time range: it was sensed from {begins} to {ends}"


def _detail(metres: float | None, known: Object) -> Iterator[str]:
    stated = number(known.get("maxMetersPerPixel"))
    if stated is None or metres is None:
        return
    limit = max(stated, _NEVER_STRICTER_M)
    if metres > limit:
        yield f"gives at most {limit:,.0f} m per pixel, and {metres:,.0f} m are asked for"


def _metres(request: Object, body: Object, area: Area, table: JsonObject | None) -> float | None:
    """Return metres per pixel: of the grid's tiles, else of the image."""
    wanted = at(request, "input")
    resolution, grid = number(at(wanted, "resolution")), at(wanted, "id")
    if resolution is not None and isinstance(grid, int) and table is not None:
        found = grid_by_id(table, grid)
        if found is None:
            return None
        return resolution * (METRES_PER_DEGREE if found.unit == "DEGREE" else 1.0)
    output = at(body, "aggregation") or at(body, "output")
    return metres_per_pixel(output, area, default_px=None)
