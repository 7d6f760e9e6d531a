"""
From tracks to scenes: which satellite passes when, newest first.

What lies below a track is the same in every cycle; only instants change. So a search finds the
frames of each track once, and then counts revolutions backwards. Nothing is made before it is
asked for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes.instants import ms
from shplan.sandbox.scenes.orbits import DAY_MS, Orbit
from shplan.sandbox.scenes.scene import Scene


@dataclass(frozen=True, slots=True)
class Flight:
    """
    One satellite in an orbit.

    Args:
        platform: as the catalogue spells it
        node_ms: an instant at which it began track 0
        from_ms: first and last instant of its service
        first_orbit: number, since the launch, of the revolution that began at `node_ms`
    """

    platform: str
    node_ms: int
    from_ms: int
    to_ms: int
    first_orbit: int = 0

    def begin_ms(self, orbit: Orbit, number: int) -> int:
        """When a revolution began, in whole seconds; they are counted from `node_ms`."""
        begun = self.node_ms + number * orbit.days * DAY_MS // orbit.revolutions
        return begun // 1000 * 1000

    def number_at(self, orbit: Orbit, at_ms: int) -> int:
        """The revolution that was under way; of two at the very border, the later one."""
        return ((at_ms - self.node_ms + 1000) * orbit.revolutions) // (orbit.days * DAY_MS)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """
    What one scene of a track covers, in every cycle the same.

    Args:
        name: of a tile, a row, a slice
        offset_s: from the node to the scene
        begin_s: from the node to the beginning of the recording that the scene is part of
        place: longitude and latitude of its middle, degrees
    """

    name: str
    track: int
    offset_s: int
    begin_s: int
    place: tuple[float, float]
    epsg: int
    box: tuple[float, float, float, float]
    outline: BaseGeometry
    footprint: BaseGeometry


# Satellites that still fly.
FOREVER_MS = ms("2100-01-01")

FramesOf = Callable[[int, int, int], Iterable[Frame]]
SceneOf = Callable[[Flight, int, Frame], Scene | None]


def search(
    orbit: Orbit,
    flights: Iterable[Flight],
    frames_of: FramesOf,
    scene_of: SceneOf,
    *,
    from_ms: int,
    to_ms: int,
) -> Iterator[Scene]:
    """
    Scenes of a range of time, the newest first, those of one instant by identifier.

    Args:
        frames_of: the frames of a track that are asked for, the last first; given the track, the
            instant at which the revolution begins, and the last instant that is of interest
        scene_of: the scene of a revolution and a frame; none if nothing was recorded
    """
    streams = [
        _of_flight(orbit, flight, frames_of, scene_of, from_ms=from_ms, to_ms=to_ms)
        for flight in flights
    ]
    return heapq.merge(*streams, key=_order)


def find(
    orbit: Orbit,
    flights: Iterable[Flight],
    frame: Frame,
    scene_of: SceneOf,
    *,
    scene_id: str,
    from_ms: int,
    to_ms: int,
) -> Scene | None:
    """The scene of a frame that has the identifier, if there is one in a short range of time."""

    def only(track: int, _begin_ms: int, _last_ms: int) -> Iterable[Frame]:
        return (frame,) if track == frame.track else ()

    found = search(orbit, flights, only, scene_of, from_ms=from_ms, to_ms=to_ms)
    return next((scene for scene in found if scene.id == scene_id), None)


def _order(scene: Scene) -> tuple[int, str]:
    return (-scene.at_ms, scene.id)


def _of_flight(
    orbit: Orbit,
    flight: Flight,
    frames_of: FramesOf,
    scene_of: SceneOf,
    *,
    from_ms: int,
    to_ms: int,
) -> Iterator[Scene]:
    first, last = max(from_ms, flight.from_ms), min(to_ms, flight.to_ms)
    if first > last:
        return
    for number in range(flight.number_at(orbit, last), flight.number_at(orbit, first) - 2, -1):
        begin_ms = flight.begin_ms(orbit, number)
        for frame in frames_of(number % orbit.revolutions, begin_ms, last):
            at_ms = begin_ms + 1000 * frame.offset_s
            if at_ms < first:
                break
            if at_ms <= last and (scene := scene_of(flight, number, frame)) is not None:
                yield scene
