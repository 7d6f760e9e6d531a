"""
Sentinel-5P: gases of the air, one item for each product and revolution.

The whole Earth every day, where there is light: the day side moves north and south with the sun,
month by month. What was recorded early was processed again. Source: Sentinel-5P Level 2 Product
User Manuals (names of products); the mission's orbit, half past one in the afternoon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes.describing import collection, one_of
from shplan.sandbox.scenes.instants import compact, moment, ms, parse_compact
from shplan.sandbox.scenes.orbits import Orbit
from shplan.sandbox.scenes.passes import FOREVER_MS, Flight, Frame, FramesOf, find, search
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.slices import Slices, Span
from shplan.sandbox.wire import JsonObject

ORBIT = Orbit(revolutions=227, days=16, inclination_deg=98.74, node_deg=22.5)
FLIGHTS = (Flight("sentinel-5p", ms("2020-01-01T12:00:00"), ms("2018-04-30"), FOREVER_MS, 11_487),)
_HALF_SWATH_KM = 1_300.0
_REPROCESSED_UNTIL_MS = ms("2018-11-28")
_TYPES = ("AER_AI", "CH4", "CLOUD", "CO", "HCHO", "NO2", "O3", "SO2")
# Degrees: where the sun stands over head in the middle of each month, and how far from there on it
# is high enough.
_SUN_DEG = (-21, -13, -2, 9, 19, 23, 21, 14, 3, -9, -18, -23)
_LIGHT_DEG = 82
_ID = re.compile(
    r"S5P_(?:OFFL|RPRO)_L2__([A-Z][A-Z0-9_]{5})_(\d{8}T\d{6})_\d{8}T\d{6}_(\d{5})_\d\d_\d{6}_\d{8}T\d{6}"
)


def _slices(sun_deg: int) -> Slices:
    """The day side of the revolution, which begins after the node that the orbit is counted from."""
    per_deg = ORBIT.period_s / 360.0
    first, last = (360 + sun_deg - _LIGHT_DEG) * per_deg, (360 + sun_deg + _LIGHT_DEG) * per_deg
    # All at one instant, which are listed by name; spans are read backwards.
    names = sorted((name.ljust(6, "_") for name in _TYPES), reverse=True)
    return Slices(
        ORBIT,
        tuple(Span(name, first, last, _HALF_SWATH_KM, _HALF_SWATH_KM) for name in names),
        None,
    )


SLICES = tuple(_slices(degrees) for degrees in _SUN_DEG)


def _month(begin_ms: int) -> int:
    return moment(begin_ms).month - 1


@dataclass(frozen=True, slots=True)
class Sentinel5P:
    """The collection of level 2."""

    collection: str
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str]
    has_clouds: bool = False

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Scenes that touch an area, the newest first, those of one instant by identifier."""
        months: dict[int, FramesOf] = {}

        def frames(track: int, begin_ms: int, last_ms: int) -> Iterable[Frame]:
            month = _month(begin_ms)
            if month not in months:
                months[month] = SLICES[month].frames_over(area)
            return months[month](track, begin_ms, last_ms)

        return search(ORBIT, FLIGHTS, frames, self._scene, from_ms=from_ms, to_ms=to_ms)

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier; none if nothing was recorded under it."""
        match = _ID.fullmatch(scene_id)
        at_ms = parse_compact(match[2]) if match else None
        if match is None or at_ms is None:
            return None
        flight = FLIGHTS[0]
        number = int(match[3]) - flight.first_orbit
        slices = SLICES[_month(flight.begin_ms(ORBIT, number))]
        names = [span.name for span in slices.spans]
        if match[1] not in names:
            return None
        frame = slices.frame(number % ORBIT.revolutions, names.index(match[1]))
        return find(
            ORBIT, FLIGHTS, frame, self._scene, scene_id=scene_id, from_ms=at_ms, to_ms=at_ms
        )

    def cloud_cover(self, scene: Scene) -> float:
        """Nothing: clouds are a product of their own here."""
        return 0.0

    def _scene(self, flight: Flight, number: int, frame: Frame) -> Scene:
        begin_ms = flight.begin_ms(ORBIT, number)
        at_ms = begin_ms + 1000 * frame.offset_s
        span = SLICES[_month(begin_ms)].spans[0]
        timeliness = "RPRO" if at_ms < _REPROCESSED_UNTIL_MS else "OFFL"
        product = frame.name.rstrip("_")
        orbit = flight.first_orbit + number
        made = compact(at_ms + 2 * 86_400_000 + orbit * 7_919 % 7_200 * 1000)
        name = (
            f"S5P_{timeliness}_L2__{frame.name}_{compact(at_ms)}"
            f"_{compact(begin_ms + 1000 * int(span.to_s))}_{orbit:05d}_01_010302_{made}"
        )
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
                "instruments": ["tropomi"],
                "constellation": "sentinel-5p",
                "gsd": 5500,
                "sat:orbit_state": "ascending",
                "sat:absolute_orbit": orbit,
                "s5p:type": product,
                "s5p:timeliness": timeliness,
            },
            href=f"s3://EODATA/Sentinel-5P/TROPOMI/L2__{frame.name}/{moment(at_ms):%Y/%m/%d}/{name}/",
        )


def missions() -> list[Sentinel5P]:
    """The one collection."""
    timeliness = ["NRTI", "OFFL", "RPRO"]
    described = collection(
        "sentinel-5p-l2",
        title="Sentinel 5 Precursor",
        text="Gases, aerosols and clouds as Sentinel-5P measures them, product by product",
        bbox=(-180.0, -90.0, 180.0, 90.0),
        begin=moment(FLIGHTS[0].from_ms).date().isoformat(),
        provider=("ESA", "https://sentinels.copernicus.eu/"),
        citation="Modified Copernicus Sentinel data [Year]/Sentinel Hub",
        summaries={
            "platform": ["sentinel-5p"],
            "instruments": ["tropomi"],
            "constellation": ["sentinel-5p"],
            "gsd": [5500],
            "s5p:type": [*_TYPES],
            "s5p:timeliness": [*timeliness],
        },
    )
    queryables: JsonObject = {
        "sat:absolute_orbit": {
            "description": "Revolutions since the launch",
            "type": "integer",
            "minimum": 0,
        },
        "s5p:timeliness": one_of(timeliness, "How soon the product was made"),
        "s5p:type": one_of([*_TYPES], "What was measured"),
    }
    return [Sentinel5P("sentinel-5p-l2", described, queryables, frozenset({"s5p:type"}))]
