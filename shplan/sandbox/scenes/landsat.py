"""
Landsat 8 and 9: paths and rows of the second Worldwide Reference System.

Each passes again after 16 days, eight days after the other. A path is a track, a row one of 248
steps along it; what is recorded by day is cut there, with some overlap, into rasters in UTM of the
northern kind on both halves of the Earth. Both levels tell of the same recordings. Source: USGS,
Landsat Collection 2 Level-1 Data Format Control Book; the definition of WRS-2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes import sampling
from shplan.sandbox.scenes.describing import CLOUD_COVER, bands, collection
from shplan.sandbox.scenes.instants import compact_day, moment, ms, parse_day
from shplan.sandbox.scenes.orbits import DAY_MS, Orbit
from shplan.sandbox.scenes.passes import FOREVER_MS, Flight, Frame, find, search
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.slices import Slices, Span
from shplan.sandbox.wire import Json, JsonObject

_PATHS, _ROWS, _DAYS = 233, 248, 16
# Each revolution comes down 16 paths further west.
_STEP = 16
# Source: WRS-2, path 1 comes down over the equator at 64.6 degrees west, at row 60.
_PATH_1_DEG, _EQUATOR_ROW = -64.6, 60
ORBIT = Orbit(
    revolutions=_PATHS,
    days=_DAYS,
    inclination_deg=98.2,
    node_deg=_PATH_1_DEG - 180.0 + 180.0 * _DAYS / _PATHS,
)
# Fitted to path 44, which came down on 2014-03-18 over California, at about 10:11 by the sun.
_PATH_44 = next(track for track in range(_PATHS) if track * _STEP % _PATHS == 43)
_NODE_MS = ms("2014-03-18T18:05:36") - _PATH_44 * _DAYS * DAY_MS // _PATHS
FLIGHTS = (
    Flight("landsat-8", _NODE_MS, ms("2013-04-11"), FOREVER_MS),
    Flight("landsat-9", _NODE_MS + 8 * DAY_MS, ms("2021-10-31"), FOREVER_MS),
)
_HALF_SWATH_KM = 92.5
_OVERLAP_S = 1.6
_LOWEST_SUN = 0.087
# Days from the recording to the product.
_DELAY_DAYS = {"L1TP": 12, "L2SP": 14}
# Name, common name, centre and width in micrometres. Source: USGS, Landsat 8 Data Users Handbook.
_REFLECTED = (
    ("B01", "coastal", 0.443, 0.016), ("B02", "blue", 0.482, 0.06), ("B03", "green", 0.561, 0.057),
    ("B04", "red", 0.655, 0.037), ("B05", "nir08", 0.865, 0.028), ("B06", "swir16", 1.609, 0.085),
    ("B07", "swir22", 2.201, 0.187),
)  # fmt: skip
_THERMAL = ("B10", "lwir11", 10.895, 0.59)
_BANDS = bands(
    *_REFLECTED, ("B08", "pan", 0.59, 0.172), ("B09", "cirrus", 1.373, 0.02), _THERMAL,
    ("B11", "lwir12", 12.005, 1.01),
)  # fmt: skip
_SURFACE = bands(*_REFLECTED, _THERMAL)
_ID = re.compile(r"LC0[89]_(L1TP|L2SP)_(\d{3})(\d{3})_(\d{8})_\d{8}_02_T1")


def _spans() -> tuple[Span, ...]:
    """Rows 1 to 122, which are passed from north to south."""
    step = ORBIT.period_s / _ROWS
    middle = ORBIT.period_s / 2
    return tuple(
        Span(
            name=f"{row:03d}",
            from_s=middle + (row - _EQUATOR_ROW - 0.5) * step,
            to_s=middle + (row - _EQUATOR_ROW + 0.5) * step,
            left_km=_HALF_SWATH_KM,
            right_km=_HALF_SWATH_KM,
            pad_s=_OVERLAP_S,
        )
        for row in range(1, 123)
    )


SLICES = Slices(ORBIT, _spans(), _LOWEST_SUN, raster_m=30.0)


@dataclass(frozen=True, slots=True)
class Landsat:
    """
    One of both levels.

    Args:
        level: `L1TP` or `L2SP`
    """

    collection: str
    level: str
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str] = frozenset()
    has_clouds: bool = True

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Scenes that touch an area, the newest first, those of one instant by identifier."""
        frames = SLICES.frames_over(area)
        return search(ORBIT, FLIGHTS, frames, self._scene, from_ms=from_ms, to_ms=to_ms)

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier; none if nothing was recorded under it."""
        match = _ID.fullmatch(scene_id)
        if match is None or match[1] != self.level:
            return None
        path, row = int(match[2]), int(match[3])
        if not (1 <= path <= _PATHS and 1 <= row <= len(SLICES.spans)):
            return None
        track = next(one for one in range(_PATHS) if one * _STEP % _PATHS == path - 1)
        frame = SLICES.frame(track, row - 1)
        begin_ms = parse_day(match[4])
        if begin_ms is None:
            return None
        to_ms = begin_ms + DAY_MS - 1
        return find(
            ORBIT, FLIGHTS, frame, self._scene, scene_id=scene_id, from_ms=begin_ms, to_ms=to_ms
        )

    def cloud_cover(self, scene: Scene) -> float:
        """Percent of the footprint under cloud, to two digits."""
        return sampling.cloud_cover(scene)

    def _scene(self, flight: Flight, number: int, frame: Frame) -> Scene | None:
        at_ms = flight.begin_ms(ORBIT, number) + 1000 * frame.offset_s
        if not SLICES.is_recorded(frame, at_ms):
            return None
        path = frame.track * _STEP % _PATHS + 1
        made = compact_day(at_ms + _DELAY_DAYS[self.level] * DAY_MS)
        satellite = flight.platform[-1]
        name = (
            f"LC0{satellite}_{self.level}_{path:03d}{frame.name}_{compact_day(at_ms)}_{made}_02_T1"
        )
        standard = f"level-{self.level[1]}/standard/oli-tirs/{moment(at_ms).year}"
        return Scene(
            id=name,
            collection=self.collection,
            at_ms=at_ms,
            footprint=frame.footprint,
            epsg=frame.epsg,
            box=frame.box,
            outline=frame.outline,
            properties={
                "platform": flight.platform,
                "instruments": ["oli", "tirs"],
                "constellation": "landsat",
                "gsd": 30,
            },
            href=f"s3://usgs-landsat/collection02/{standard}/{path:03d}/{frame.name}/{name}/",
        )


def missions() -> list[Landsat]:
    """Level 1 and level 2."""
    return [
        _mission("landsat-ot-l1", "L1TP", "level 1: top of the atmosphere", _BANDS),
        _mission("landsat-ot-l2", "L2SP", "level 2: surface reflectance and temperature", _SURFACE),
    ]


def _mission(name: str, level: str, text: str, eo_bands: Json) -> Landsat:
    described = collection(
        name,
        title=f"Landsat 8-9 OLI-TIRS L{level[1]}",
        text=f"Images of Landsat 8 and 9, collection 2, {text}",
        bbox=(-180.0, -82.0, 180.0, 82.0),
        begin=moment(FLIGHTS[0].from_ms).date().isoformat(),
        provider=("USGS", "https://www.usgs.gov/landsat-missions"),
        summaries={
            "platform": [flight.platform for flight in FLIGHTS],
            "instruments": ["oli", "tirs"],
            "constellation": ["landsat"],
            "gsd": [30],
            "eo:cloud_cover": {"minimum": 0, "maximum": 100},
            "eo:bands": eo_bands,
        },
    )
    return Landsat(name, level, described, {"eo:cloud_cover": CLOUD_COVER})
