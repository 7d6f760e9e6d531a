"""
Recordings that are cut along the track: rows, slices, granules, whole half revolutions.

The same spans of time after the node are cut in every revolution, so all tracks leave the same
shapes, turned in longitude. Where they lie is known before any is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.geometry import WGS84
from shplan.sandbox.scenes.orbits import EARTH_KM, Floats, Orbit, sun_elevation_sine
from shplan.sandbox.scenes.passes import Frame, FramesOf
from shplan.sandbox.scenes.shapes import closed_ring, footprint, is_everything
from shplan.sandbox.scenes.utm import edges_in_degrees, to_utm

_STEP_DEG = 2.0
# Straight in degrees is not straight in metres; what is near is looked at closely later.
_FINE_DEG = 0.2
_MARGIN_DEG = 0.05


@dataclass(frozen=True, slots=True)
class Span:
    """
    What is recorded between two instants of every revolution.

    Args:
        from_s: seconds after the node
        left_km: how far the recording reaches to the left of the track; negative for the right
        pad_s: how much of what is before and after belongs to the scene as well
    """

    name: str
    from_s: float
    to_s: float
    left_km: float
    right_km: float
    pad_s: float = 0.0


@dataclass(frozen=True)
class Slices:
    """
    All spans of an orbit.

    Args:
        spans: in the order of time
        lowest_sun: sine of the least height of the sun; none to record by night as well
        raster_m: side of a pixel where scenes are rasters in UTM; none for degrees
    """

    orbit: Orbit
    spans: tuple[Span, ...]
    lowest_sun: float | None
    raster_m: float | None = None

    def frames_over(self, area: BaseGeometry | None) -> FramesOf:
        """The frames of each track that touch an area, the last first."""
        if area is None or is_everything(area):
            every = range(len(self.spans) - 1, -1, -1)
            return lambda track, begin_ms, last_ms: self._lit(every, track, begin_ms, last_ms)
        shapely.prepare(area)
        hits = self._near(area)
        order = {
            int(track): np.flatnonzero(hits[track])[::-1].tolist()
            for track in np.flatnonzero(hits.any(axis=1))
        }
        found: dict[int, list[Frame]] = {}

        def frames(track: int, _begin_ms: int, _last_ms: int) -> Iterator[Frame]:
            if track not in order:
                return
            if track not in found:
                made = (self.frame(track, span) for span in order[track])
                found[track] = [one for one in made if area.intersects(one.footprint)]
            yield from found[track]

        return frames

    def is_recorded(self, frame: Frame, at_ms: int) -> bool:
        """Whether there is light enough for what the frame shows."""
        return self.lowest_sun is None or sun_elevation_sine(*frame.place, at_ms) >= self.lowest_sun

    def frame(self, track: int, index: int) -> Frame:
        """What a span of a track covers."""
        return _frame(self.orbit, self.spans[index], track, self.raster_m)

    def _lit(self, spans: range, track: int, begin_ms: int, last_ms: int) -> Iterator[Frame]:
        node = self.orbit.node_of(track)
        for index in spans:
            span, (lon, lat) = self.spans[index], _middle(self.orbit, self.spans[index])
            at_ms = begin_ms + 1000 * int(span.from_s)
            if at_ms > last_ms:
                continue
            sun = 1.0 if self.lowest_sun is None else sun_elevation_sine(lon + node, lat, at_ms)
            if self.lowest_sun is None or sun >= self.lowest_sun:
                yield self.frame(track, index)

    def _near(self, area: BaseGeometry) -> npt.NDArray[np.bool_]:
        """Which spans of which tracks may touch an area, shape (tracks, spans)."""
        nodes = self.orbit.nodes()[:, None]
        west, south, east, north = self._surroundings
        near = np.zeros((self.orbit.revolutions, len(self.spans)), dtype=bool)
        for part in shapely.get_parts(area).tolist():
            low, bottom, high, top = part.bounds
            inside = (south <= top) & (north >= bottom)
            # The first turn of the circle on which the span does not end before the area begins.
            turns = np.ceil((low - (east + nodes)) / 360.0)
            hits = inside & (west + nodes + 360.0 * turns <= high)
            for span in np.flatnonzero(hits.any(axis=0)):
                tracks = np.flatnonzero(hits[:, span])
                away = nodes[tracks, 0] + 360.0 * turns[tracks, span]
                near[tracks, span] |= self._meets(int(span), part.bounds, away)
        return near

    def _meets(
        self, span: int, bounds: tuple[float, float, float, float], away: Floats
    ) -> npt.NDArray[np.bool_]:
        """Whether a span meets a box, once the box is moved west by each of the longitudes."""
        west, south, east, north = bounds
        bottom, top = np.full(len(away), south), np.full(len(away), north)
        found = np.zeros(len(away), dtype=bool)
        # What goes all around the Earth may meet it on the next turn as well.
        for turn in (0.0, 360.0):
            boxes = shapely.box(west - away - turn, bottom, east - away - turn, top)
            found |= shapely.intersects(self._shapes[span], boxes)
        return found

    @cached_property
    def _shapes(self) -> list[BaseGeometry]:
        """Each span for a node at longitude 0, a little larger than it is."""
        made: dict[Span, BaseGeometry] = {}
        for span in self.spans:
            if (key := replace(span, name="")) not in made:
                step = _STEP_DEG if self.raster_m is None else _FINE_DEG
                shape = closed_ring(*ring(self.orbit, span, step_deg=step))
                made[key] = shape.buffer(_MARGIN_DEG, 2)
                shapely.prepare(made[key])
        return [made[replace(span, name="")] for span in self.spans]

    @cached_property
    def _surroundings(self) -> Floats:
        """West, south, east, north of each span for a node at longitude 0, shape (4, spans)."""
        return np.array([shape.bounds for shape in self._shapes]).T


def ring(
    orbit: Orbit, span: Span, node_deg: float = 0.0, *, step_deg: float = _STEP_DEG
) -> tuple[Floats, Floats]:
    """The edges of a span in degrees, once around and open."""
    per_s = 2.0 * math.pi / orbit.period_s
    first, last = (span.from_s - span.pad_s) * per_s, (span.to_s + span.pad_s) * per_s
    left, right = span.left_km / EARTH_KM, -span.right_km / EARTH_KM
    along = np.linspace(first, last, _points(last - first, step_deg))
    ends = np.linspace(left, right, _points(left - right, step_deg))[1:-1]
    u = np.concatenate([along, np.full(len(ends), last), along[::-1], np.full(len(ends), first)])
    across = np.concatenate(
        [np.full(len(along), left), ends, np.full(len(along), right), ends[::-1]]
    )
    return orbit.abeam(u, across, node_deg)


def _points(length: float, step_deg: float) -> int:
    return max(2, math.ceil(math.degrees(length) / step_deg) + 1)


@lru_cache(maxsize=1_024)
def _middle(orbit: Orbit, span: Span) -> tuple[float, float]:
    """The middle of a span of a track whose node is at longitude 0."""
    lon, lat = orbit.abeam(
        np.array([(span.from_s + span.to_s) * math.pi / orbit.period_s]),
        (span.left_km - span.right_km) / 2.0 / EARTH_KM,
        0.0,
    )
    return float(lon[0]), float(lat[0])


def _frame(orbit: Orbit, span: Span, track: int, raster_m: float | None) -> Frame:
    return replace(_nameless(orbit, replace(span, name=""), track, raster_m), name=span.name)


# What differs by its name only has one shape.
@lru_cache(maxsize=8_192)
def _nameless(orbit: Orbit, span: Span, track: int, raster_m: float | None) -> Frame:
    node = orbit.node_of(track)
    lon, lat = _middle(orbit, span)
    longitude, latitude = ring(orbit, span, node)
    epsg, limits = WGS84, None
    if raster_m is not None:
        epsg = 32601 + int(((lon + node + 180.0) % 360.0) // 6.0)
        x, y = (np.round(axis) for axis in to_utm(epsg, longitude, latitude))
        outline = Polygon(np.column_stack([x, y]))
        longitude, latitude = edges_in_degrees(epsg, outline, lat)
        limits = _snapped(outline.bounds, raster_m)
    else:
        outline = closed_ring(longitude, latitude)
    return Frame(
        name=span.name,
        track=track,
        offset_s=int(span.from_s),
        begin_s=int(span.from_s),
        place=(lon + node, lat),
        epsg=epsg,
        box=limits or outline.bounds,
        outline=outline,
        footprint=footprint(longitude, latitude),
    )


def _snapped(
    bounds: tuple[float, float, float, float], side: float
) -> tuple[float, float, float, float]:
    """Bounds moved outwards to whole pixels."""
    west, south, east, north = bounds
    return (
        math.floor(west / side) * side,
        math.floor(south / side) * side,
        math.ceil(east / side) * side,
        math.ceil(north / side) * side,
    )
