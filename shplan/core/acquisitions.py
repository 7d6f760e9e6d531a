"""
How many acquisitions a request reads: what the catalogue is asked, and what its answer says.

Only what depends on their number asks: mosaicking ORBIT and TILE, and statistics over intervals.
Source: Catalog API: `collections`, `bbox` in CRS84, `datetime`, `filter` in CQL2 text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from shplan.core.areas import DEGREES, NotAnAreaError, area_of
from shplan.core.compare import instant
from shplan.core.geometry import crs_code, crs_of
from shplan.core.grids import aoi_of, grid_by_id
from shplan.core.job_cost import Samples
from shplan.core.statistic_intervals import Intervals
from shplan.core.value import JsonObject, JsonValue, Object, Value, canonical, is_known

PAGE = 100
# An assumption: what was taken so long ago is in the catalogue, and nothing more will come.
SETTLED_AFTER = timedelta(days=30)
_OWN = ("byoc-", "batch-", "zarr-")
_TIMELESS = ("dem",)
_M_PER_DEGREE = 111_320.0
# What a pass of Sentinel-2 sees from side to side.
_PASS_M = 290_000.0
_SOURCE = "data samples per pixel; acquisitions as the catalogue lists them"


@dataclass(frozen=True, slots=True)
class Search:
    """
    What the catalogue is asked about one collection of a request.

    Args:
        body: of the search, without paging
        own: a collection of one's own, to which tiles may be added at any time
        until: the end of the time that is asked about
        exact: the area is that of the request, and no larger
        at_least: what the number cannot fall short of: the service's own estimate for batch
        wide: what is read at once is a small part of the area
    """

    body: JsonObject
    own: bool
    until: datetime
    exact: bool = False
    at_least: int = 0
    wide: bool = False

    @property
    def key(self) -> str:
        """What equal searches have in common."""
        return canonical(cast("Value", self.body)).decode()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """
    What the catalogue has answered.

    Args:
        days: by search: how many scenes each day of UTC has; a search without answer is missing
        now: the server's `Date`, ISO 8601, or empty
        at_most: searches of which more was asked than is read: of a larger area, under any clouds
    """

    days: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    now: str = ""
    at_most: frozenset[str] = frozenset()

    def is_settled(self, search: Search) -> bool:
        """Tell whether no more acquisitions will come."""
        now = instant(self.now)
        return now is not None and not search.own and search.until + SETTLED_AFTER <= now


def search_of(
    bounds: Value,
    data: Object,
    span: tuple[str, str],
    *,
    margin_m: float = 0.0,
    estimated: bool = False,
) -> Search | None:
    """
    Return what is to be asked; None where the place, the time or the collection is not known.

    Args:
        bounds: `input.bounds` of the request
        data: an entry of `input.data`
        span: the time that is read
        margin_m: how far beyond the area data may be read
        estimated: the service estimates one sample for three days, whatever there is
    """
    kind, place = data.get("type"), _place(bounds, margin_m)
    since, until = (instant(one) for one in span)
    if not isinstance(kind, str) or kind in _TIMELESS or place is None:
        return None
    if since is None or until is None or until < since:
        return None
    box, exact = place
    body: JsonObject = {
        "collections": [kind],
        "bbox": cast("list[JsonValue]", box),
        "datetime": f"{_told(since)}/{_told(until)}",
        "limit": PAGE,
        "fields": {"include": ["properties.datetime"], "exclude": ["geometry", "assets", "links"]},
    }
    chosen = data.get("dataFilter")
    cloud = chosen.get("maxCloudCoverage") if isinstance(chosen, dict) else None
    if isinstance(cloud, int | float) and not isinstance(cloud, bool) and cloud < 100:
        body |= {"filter": f"eo:cloud_cover <= {cloud:g}", "filter-lang": "cql2-text"}
    days = (until.date() - since.date()).days + 1
    least = math.ceil(days / 3) if estimated else 0
    is_wide = bool(margin_m) and _reaches_far(box)
    return Search(body, kind.startswith(_OWN), until, exact and not margin_m, least, is_wide)


def margin_of(request: Object, table: JsonObject) -> float | None:
    """
    Return how far the tiles of a batch request may reach beyond its area, in metres.

    None where that is not known: features of a file lie anywhere.
    """
    wanted = request.get("input")
    number = wanted.get("id") if isinstance(wanted, dict) else None
    grid = grid_by_id(table, number) if isinstance(number, int) else None
    if grid is None:
        return None
    assert isinstance(wanted, dict), "it has a grid"
    buffers = [wanted.get("bufferX"), wanted.get("bufferY")]
    most = max(one if isinstance(one, int) else 0 for one in buffers)
    resolution = wanted.get("resolution")
    size = max(grid.tile_width, grid.tile_height)
    size += most * (resolution if isinstance(resolution, int | float) else 0.0)
    # Tiles stand askew to degrees, by some degrees at the borders of a zone.
    return 1.1 * (size if grid.unit == "METRE" else size * _M_PER_DEGREE)


def counted(
    assumed: Samples, mosaicking: str, search: Search | None, catalogue: Catalogue, *, whole: bool
) -> Samples:
    """
    Return the samples of ORBIT or TILE as the catalogue counts them, else as they were assumed.

    Args:
        whole: the script reads every scene that there is, and of the very place
    """
    days = None if search is None else catalogue.days.get(search.key)
    if search is None or days is None or mosaicking not in ("ORBIT", "TILE"):
        return assumed
    number = len(days) if mosaicking == "ORBIT" else sum(days.values())
    noun = "days with acquisitions" if mosaicking == "ORBIT" else "scenes"
    label = f"samples with mosaicking {mosaicking}: {number} {noun}"
    # The page does not tell what no sample at all costs: as much as one, at most.
    return _settled(
        assumed,
        number,
        max(number, 1),
        label=label,
        search=search,
        catalogue=catalogue,
        whole=whole,
    )


def counted_intervals(
    assumed: Samples,
    mosaicking: str,
    search: Search | None,
    catalogue: Catalogue,
    cut: Intervals,
    *,
    fused: bool,
) -> Samples:
    """
    Return the samples of statistics as the catalogue counts them, else as they were assumed.

    Args:
        fused: other collections may have data in an interval in which this one has none
    """
    days = None if search is None else catalogue.days.get(search.key)
    if search is None or days is None:
        return assumed
    each = [_in_interval(days, first, last, mosaicking) for first, last in cut.spans]
    number, most = sum(each), sum(max(one, int(fused)) for one in each)
    label = f"samples with mosaicking {mosaicking} in {cut.count} intervals: {number} as listed"
    return _settled(
        assumed, number, most, label=label, search=search, catalogue=catalogue, whole=False
    )


def _in_interval(days: Mapping[str, int], first: str, last: str, mosaicking: str) -> int:
    inside = [number for day, number in days.items() if first <= day <= last]
    if mosaicking == "TILE":
        return sum(inside)
    return len(inside) if mosaicking == "ORBIT" else min(len(inside), 1)


def _settled(
    assumed: Samples,
    number: int,
    most: int,
    *,
    label: str,
    search: Search,
    catalogue: Catalogue,
    whole: bool,
) -> Samples:
    most, source = max(most, search.at_least), _SOURCE
    expected = number
    if not catalogue.is_settled(search):
        most, source = max(most, assumed.maximum), f"{_SOURCE}; more may come, to what is assumed"
        expected = min(max(number, assumed.expected), most)
    elif search.at_least > number:
        source = f"{_SOURCE}; the service itself estimates one for 3 days"
    loose = search.wide or search.key in catalogue.at_most
    if loose and number > assumed.expected:
        source = f"{source}; of more than is read, so that as many are expected as are assumed"
        expected = min(assumed.expected, most)
    exact = whole and search.exact and not loose
    least = number if exact and catalogue.is_settled(search) else 0
    return replace(
        assumed, minimum=least, expected=expected, maximum=most, label=label, source=source
    )


def days_of(features: list[JsonValue]) -> Iterator[str]:
    """Yield the day of each item of a page, in UTC."""
    for one in features:
        properties = one.get("properties") if isinstance(one, dict) else None
        text = properties.get("datetime") if isinstance(properties, dict) else None
        at = instant(text) if isinstance(text, str) else None
        if at is not None:
            yield at.date().isoformat()


def _reaches_far(box: list[float]) -> bool:
    """Tell whether a box is wider or higher than one pass sees."""
    west, south, east, north = (math.radians(one) for one in box)
    nearest = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
    across, down = (east - west) * math.cos(nearest), north - south
    return max(math.degrees(across), math.degrees(down)) * _M_PER_DEGREE > _PASS_M


def _place(bounds: Value, margin_m: float) -> tuple[list[float], bool] | None:
    """Return the box that an area lies in, and whether it is the area."""
    read = aoi_of(bounds)
    if read is None or not is_known(bounds):
        return None
    area, crs = read
    code = crs_code(crs) if crs else crs_of(area) if isinstance(area, dict) else DEGREES
    try:
        west, south, east, north = area_of(area, crs=code).degrees.bounds
    except NotAnAreaError:
        return None
    if margin_m:
        up = margin_m / _M_PER_DEGREE
        furthest = min(max(abs(south), abs(north)) + up, 89.0)
        aside = up / math.cos(math.radians(furthest))
        west, south, east, north = west - aside, south - up, east + aside, north + up
    if not (west >= -180 and east <= 180):
        return None
    box = [west, max(south, -90.0), east, min(north, 90.0)]
    return [round(one, 7) for one in box], isinstance(area, list) and code == DEGREES


def _told(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
