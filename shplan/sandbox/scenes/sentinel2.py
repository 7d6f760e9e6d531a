"""
Sentinel-2: what its satellites have recorded, tile by tile.

Two satellites share one orbit, half a revolution apart, and each passes again after ten days. All
that lies under the swath by day is recorded, cut into the tiles of the military grid; a datatake
is one uninterrupted recording. Level 1C and level 2A tell of the same recordings. Source:
Sentinel-2 User Handbook and Products Specification (orbit, swath, names of products).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import numpy as np
import shapely
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes import sampling
from shplan.sandbox.scenes.describing import CLOUD_COVER, bands, collection
from shplan.sandbox.scenes.instants import compact, day, ms, parse_compact
from shplan.sandbox.scenes.mgrs import NORTH, SOUTH, Ints, tile_table
from shplan.sandbox.scenes.orbits import EARTH_KM, Floats, Orbit, sun_elevation_sine, turned
from shplan.sandbox.scenes.passes import FOREVER_MS, Flight, Frame, FramesOf, find, search
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.shapes import footprint, is_everything, polygons
from shplan.sandbox.scenes.utm import edges_in_degrees, to_utm
from shplan.sandbox.wire import JsonObject

# Fitted to one published scene of 2020: where its edge cuts the tile, and when it was recorded.
ORBIT = Orbit(revolutions=143, days=10, inclination_deg=98.62, node_deg=1.0090)
_NODE_MS = ms("2020-12-29T09:40:41") - 21 * 10 * 86_400_000 // 143
_HALF_CYCLE_MS = 5 * 86_400_000
_HALF_SWATH = 145.0 / EARTH_KM
# From the middle of a tile to its corner, and a little more.
_REACH = 80.0 / EARTH_KM
# The third satellite took the place of the first.
FLIGHTS = (
    Flight("sentinel-2a", _NODE_MS + _HALF_CYCLE_MS, ms("2015-06-27T00:00:00"), ms("2025-01-21T00:00:00") - 1),
    Flight("sentinel-2b", _NODE_MS, ms("2017-03-15T00:00:00"), FOREVER_MS),
    Flight("sentinel-2c", _NODE_MS + _HALF_CYCLE_MS, ms("2025-01-21T00:00:00"), FOREVER_MS),
)  # fmt: skip
# Nothing is recorded in the dark, nor in the last light.
_LOWEST_SUN = 0.035
_LEAST_AREA_M2 = 1e6
# Few tiles are looked through for all tracks at once, many for one track after the other.
_FEW = 60
_CHUNK_S = 80
_DAYSIDE = (1_300, 4_800)
# Angles at which recordings begin, before each track's own shift, in degrees.
_BEGINNINGS = (38.9, 78.1, 117.3, 156.5, 195.7, 234.9, 274.1)
# First day, and the processing baselines of both levels.
_BASELINES = (
    ("2015-01-01", "0204", "0204"), ("2017-10-23", "0206", "0206"), ("2018-11-06", "0207", "0211"),
    ("2019-07-08", "0208", "0213"), ("2020-02-04", "0209", "0214"), ("2021-03-30", "0300", "0300"),
    ("2021-06-30", "0301", "0301"), ("2022-01-25", "0400", "0400"), ("2022-12-06", "0509", "0509"),
    ("2023-12-13", "0510", "0510"), ("2024-07-23", "0511", "0511"),
)  # fmt: skip
# Name, common name, centre and width in micrometres. Source: the service's collection of level 2A;
# B10 from the Sentinel-2 User Handbook.
_BANDS: tuple[tuple[str, str | None, float, float], ...] = (
    ("B01", "coastal", 0.4427, 0.021), ("B02", "blue", 0.4924, 0.066),
    ("B03", "green", 0.5598, 0.036), ("B04", "red", 0.6646, 0.031), ("B05", None, 0.7041, 0.015),
    ("B06", None, 0.7405, 0.015), ("B07", None, 0.7828, 0.02), ("B08", "nir", 0.8328, 0.106),
    ("B8A", "nir08", 0.8647, 0.021), ("B09", "nir09", 0.9451, 0.02),
    ("B10", "cirrus", 1.3735, 0.031), ("B11", "swir16", 1.6137, 0.091),
    ("B12", "swir22", 2.2024, 0.175),
)  # fmt: skip
_ID = re.compile(r"S2([ABC])_MSIL(1C|2A)_(\d{8}T\d{6})_N(\d{4})_R(\d{3})_T(\w{5})_(\d{8}T\d{6})")


@dataclass(frozen=True, slots=True)
class Sentinel2:
    """
    One of both levels.

    Args:
        level: `1C` or `2A`
        from_ms: the first instant of the collection
    """

    collection: str
    level: str
    from_ms: int
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str] = frozenset()
    has_clouds: bool = True

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Scenes that touch an area, the newest first, those of one instant by identifier."""
        first = max(from_ms, self.from_ms)
        frames = _frames_over(area)
        return search(ORBIT, FLIGHTS, frames, self._scene, from_ms=first, to_ms=to_ms)

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier; none if nothing was recorded under it."""
        match = _ID.fullmatch(scene_id)
        begun_ms = parse_compact(match[3]) if match else None
        tile = tile_table().index_of(match[6]) if match else None
        if match is None or tile is None or begun_ms is None or match[2] != self.level:
            return None
        track = int(match[5]) - 1
        frame = frame_of(tile, track) if 0 <= track < ORBIT.revolutions else None
        if frame is None:
            return None
        at_ms = begun_ms + 1000 * (frame.offset_s - frame.begin_s)
        if at_ms < self.from_ms:
            return None
        return find(
            ORBIT, FLIGHTS, frame, self._scene, scene_id=scene_id, from_ms=at_ms, to_ms=at_ms
        )

    def cloud_cover(self, scene: Scene) -> float:
        """Percent of the footprint under cloud, to two digits."""
        return sampling.cloud_cover(scene)

    def _scene(self, flight: Flight, number: int, frame: Frame) -> Scene | None:
        begin_ms = flight.begin_ms(ORBIT, number)
        at_ms = begin_ms + 1000 * frame.offset_s
        if not _is_day(frame.place, at_ms):
            return None
        begun_ms = begin_ms + 1000 * frame.begin_s
        letter = flight.platform[-1].upper()
        baseline, delay_s = self._baseline(at_ms), self._delay_s(number, frame)
        made = compact(begun_ms + 1000 * delay_s)
        name = frame.name
        return Scene(
            id=f"S2{letter}_MSIL{self.level}_{compact(begun_ms)}_N{baseline}"
            f"_R{frame.track + 1:03d}_T{name}_{made}",
            collection=self.collection,
            at_ms=at_ms,
            footprint=frame.footprint,
            epsg=frame.epsg,
            box=frame.box,
            outline=frame.outline,
            properties={
                "platform": flight.platform,
                "instruments": ["msi"],
                "constellation": "sentinel-2",
                "gsd": 10,
            },
            href=f"s3://sentinel-s2-l{self.level.lower()}/tiles/{int(name[:2])}/{name[2]}/{name[3:]}"
            f"/{day(at_ms)}/0/",
        )

    def _baseline(self, at_ms: int) -> str:
        column = 1 if self.level == "1C" else 2
        return next(one for one in reversed(_BASELINES) if ms(one[0]) <= at_ms)[column]

    def _delay_s(self, number: int, frame: Frame) -> int:
        """Seconds from the beginning of the recording to the finished product."""
        spread = number * 7_919 + frame.begin_s * 104_729
        return (4_000 if self.level == "1C" else 7_200) + spread % 3_600


def _frames_over(area: BaseGeometry | None) -> FramesOf:
    """The frames of each track that touch an area."""
    table = tile_table()
    if area is None or is_everything(area):
        world = np.arange(len(table.zone))
        return partial(_in_chunks, world, _anything)
    touched = [table.touching(part.bounds) for part in shapely.get_parts(area).tolist()]
    tiles = np.unique(np.concatenate(touched)) if touched else np.array([], dtype=np.int64)
    shapely.prepare(area)

    def meets(frame: Frame) -> bool:
        return bool(area.intersects(frame.footprint))

    if len(tiles) <= _FEW:
        found: dict[int, list[Frame]] = {}
        for tile in tiles:
            for frame in frames_of_tile(int(tile)):
                if meets(frame):
                    found.setdefault(frame.track, []).append(frame)
        for frames in found.values():
            frames.sort(key=_order)
        return lambda track, _begin_ms, _last_ms: found.get(track, ())
    return partial(_in_chunks, tiles, meets)


def _anything(_frame: Frame) -> bool:
    return True


def _order(frame: Frame) -> tuple[int, int, str]:
    """The last first; within a second as identifiers are ordered."""
    return (-frame.offset_s, frame.begin_s, frame.name)


def _in_chunks(
    tiles: Ints, meets: Callable[[Frame], bool], track: int, begin_ms: int, last_ms: int
) -> Iterator[Frame]:
    """The frames of one track by day, made from the last to the first as they are asked for."""
    table, period = tile_table(), ORBIT.period_s
    centres = table.centre[tiles]
    node = ORBIT.node_of(track)
    for since in range(_DAYSIDE[1] - _CHUNK_S, _DAYSIDE[0] - _CHUNK_S, -_CHUNK_S):
        position = turned(_middle(since), -node)[0]
        reach = _HALF_SWATH + _REACH + math.pi * _CHUNK_S / period + 0.01
        near = np.flatnonzero(centres @ position > math.cos(reach))
        if not len(near):
            continue
        u, across = ORBIT.locate(turned(centres[near], node), descending=True)
        offset = np.floor(u * (period / (2 * math.pi)))
        hit = (offset >= since) & (offset < since + _CHUNK_S)
        hit &= np.abs(across) <= _HALF_SWATH + _REACH
        lit = (
            int(tile)
            for tile, offset_s in zip(tiles[near[hit]], offset[hit], strict=True)
            if (at_ms := begin_ms + 1000 * int(offset_s)) <= last_ms
            and _is_day(table.place(int(tile)), at_ms)
        )
        frames = (frame_of(tile, track) for tile in lit)
        yield from sorted((one for one in frames if one is not None and meets(one)), key=_order)


@cache
def _middle(since: int) -> Floats:
    """Where the middle of a chunk is, for a track whose node is at longitude 0."""
    return ORBIT.motion(np.array([2 * math.pi * (since + _CHUNK_S / 2) / ORBIT.period_s]))[0]


def _is_day(place: tuple[float, float], at_ms: int) -> bool:
    return sun_elevation_sine(*place, at_ms) >= _LOWEST_SUN


@lru_cache(maxsize=4_096)
def frames_of_tile(tile: int) -> tuple[Frame, ...]:
    """The frames that all tracks leave of a tile, which is given by its place in the table."""
    centre = np.broadcast_to(tile_table().centre[tile], (ORBIT.revolutions, 3))
    _u, across = ORBIT.locate(turned(centre, ORBIT.nodes()), descending=True)
    tracks = np.flatnonzero(np.abs(across) <= _HALF_SWATH + _REACH)
    frames = (frame_of(tile, int(track)) for track in tracks)
    return tuple(frame for frame in frames if frame is not None)


@lru_cache(maxsize=16_384)
def frame_of(tile: int, track: int) -> Frame | None:
    """What a track leaves of a tile; none if they do not meet."""
    table, node = tile_table(), ORBIT.node_of(track)
    found, _ = ORBIT.locate(turned(table.centre[tile : tile + 1], node), descending=True)
    u = float(found[0])
    if math.isnan(u):
        return None
    known = table.tile(tile)
    outline = _outline(u, node, known.epsg, known.box)
    if outline is None:
        return None
    place = table.place(tile)
    longitude, latitude = edges_in_degrees(known.epsg, outline, place[1])
    offset_s = math.floor(u * ORBIT.period_s / (2 * math.pi))
    return Frame(
        name=known.name,
        track=track,
        offset_s=offset_s,
        begin_s=_begin_s(track, offset_s),
        place=place,
        epsg=known.epsg,
        box=known.box,
        outline=outline,
        footprint=footprint(longitude, latitude),
    )


def _outline(
    u: float, node: float, epsg: int, limits: tuple[float, float, float, float]
) -> Polygon | None:
    """The part of a tile under the swath, in whole metres."""
    along = u + np.linspace(-1.6, 1.6, 9) * _REACH
    around = np.concatenate([along, along[::-1]])
    sides = np.repeat([_HALF_SWATH, -_HALF_SWATH], len(along))
    x, y = to_utm(epsg, *ORBIT.abeam(around, sides, node))
    swath = Polygon(np.column_stack([np.round(x), np.round(y)]))
    parts = polygons(swath.intersection(box(*limits)))
    if len(parts) != 1:
        return None
    outline = shapely.transform(parts[0], np.round)
    return outline if outline.is_valid and outline.area >= _LEAST_AREA_M2 else None


def _begin_s(track: int, offset_s: int) -> int:
    """When the recording began to which an instant belongs, both counted from the node."""
    shift = 10.0 * ((track - 21) * 7 % 143) / 143
    begun = [int((one + shift) / 360.0 * ORBIT.period_s) for one in _BEGINNINGS]
    return max(one for one in begun if one <= offset_s)


def missions() -> list[Sentinel2]:
    """Level 1C and level 2A."""
    return [
        _mission("sentinel-2-l1c", "1C", "2015-11-01", "top of the atmosphere", 13),
        _mission("sentinel-2-l2a", "2A", "2016-11-01", "bottom of the atmosphere", 12),
    ]


def _mission(name: str, level: str, begin: str, where: str, count: int) -> Sentinel2:
    eo_bands = bands(*(one for one in _BANDS if count == 13 or one[0] != "B10"))
    summaries: JsonObject = {
        "platform": [flight.platform for flight in FLIGHTS],
        "instruments": ["msi"],
        "constellation": ["sentinel-2"],
        "gsd": [10],
        "eo:cloud_cover": {"minimum": 0, "maximum": 100},
        "eo:bands": eo_bands,
    }
    described = collection(
        name,
        title=f"Sentinel 2 L{level}",
        text=f"Optical images of Sentinel-2, level {level}: {where}, {count} bands, tile by tile",
        bbox=(-180.0, SOUTH, 180.0, NORTH),
        begin=begin,
        provider=("ESA", "https://sentinels.copernicus.eu/"),
        citation="Modified Copernicus Sentinel data [Year]/Sentinel Hub",
        summaries=summaries,
    )
    return Sentinel2(name, level, ms(begin), described, {"eo:cloud_cover": CLOUD_COVER})
