"""
Sentinel-3: granules of three minutes from the colour and the temperature instrument.

Both satellites fly the same tracks, thirteen days apart, and pass again after 27 days. The colour
instrument (OLCI) records by day and looks away from the sun, to the right of a descending track;
the temperature instrument (SLSTR) records always. Source: Sentinel-3 PDGS File Naming Convention;
the User Handbooks of both instruments (swaths).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes import sampling
from shplan.sandbox.scenes.describing import CLOUD_COVER, collection, one_of
from shplan.sandbox.scenes.instants import compact, moment, ms, parse_compact
from shplan.sandbox.scenes.orbits import DAY_MS, Orbit
from shplan.sandbox.scenes.passes import FOREVER_MS, Flight, Frame, find, search
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.slices import Slices, Span
from shplan.sandbox.wire import Json, JsonObject

# Ten in the morning by the sun where a track comes down over the equator, so ten in the evening
# where it begins.
ORBIT = Orbit(revolutions=385, days=27, inclination_deg=98.65, node_deg=180.0)
_NODE_MS = ms("2016-02-22T10:00:00")
# Cycles are counted from the first pass of each satellite: the second came 30 cycles later.
FLIGHTS = (
    Flight("sentinel-3a", _NODE_MS, ms("2016-04-20"), FOREVER_MS),
    Flight("sentinel-3b", _NODE_MS + (30 * 27 + 13) * DAY_MS, ms("2018-06-01"), FOREVER_MS),
)
_GRANULE_S = 180
_LOWEST_SUN = 0.1736
_ID = re.compile(
    r"S3([AB])_(OL_1_EFR|OL_2_LFR|SL_1_RBT|SL_2_LST|SY_2_SYN)____(\d{8}T\d{6})_\d{8}T\d{6}_\d{8}T\d{6}"
    r"_\d{4}_\d{3}_(\d{3})_(\d{4})_LN1_O_NT_\d{3}\.SEN3"
)


def _spans(first_s: int, last_s: int, *, left_km: float, right_km: float) -> tuple[Span, ...]:
    ends = [*range(first_s, last_s, _GRANULE_S), last_s]
    return tuple(
        Span(f"{begin:04d}", begin, end, left_km, right_km) for begin, end in pairwise(ends)
    )


# The day side, and a whole revolution.
_COLOUR = Slices(ORBIT, _spans(1_260, 4_860, left_km=440.0, right_km=830.0), _LOWEST_SUN)
_TEMPERATURE = Slices(ORBIT, _spans(0, int(ORBIT.period_s), left_km=540.0, right_km=880.0), None)
# The same seen by the one that looks behind: 740 kilometres.
_OBLIQUE = Slices(ORBIT, _spans(0, int(ORBIT.period_s), left_km=370.0, right_km=370.0), None)


@dataclass(frozen=True, slots=True)
class Sentinel3:
    """
    A collection of one instrument and level.

    Args:
        product: as names of products begin after the satellite
        instrument: as the catalogue spells it
    """

    collection: str
    product: str
    instrument: str
    gsd_m: int
    slices: Slices
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str]
    has_clouds: bool

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Scenes that touch an area, the newest first, those of one instant by identifier."""
        frames = self.slices.frames_over(area)
        return search(ORBIT, FLIGHTS, frames, self._scene, from_ms=from_ms, to_ms=to_ms)

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier; none if nothing was recorded under it."""
        match = _ID.fullmatch(scene_id)
        at_ms = parse_compact(match[3]) if match else None
        if match is None or at_ms is None or match[2] != self.product:
            return None
        names = [span.name for span in self.slices.spans]
        track = int(match[4]) - 1
        if match[5] not in names or not 0 <= track < ORBIT.revolutions:
            return None
        frame = self.slices.frame(track, names.index(match[5]))
        return find(
            ORBIT, FLIGHTS, frame, self._scene, scene_id=scene_id, from_ms=at_ms, to_ms=at_ms
        )

    def cloud_cover(self, scene: Scene) -> float:
        """Percent of the footprint under cloud, to two digits."""
        return sampling.cloud_cover(scene)

    def _scene(self, flight: Flight, number: int, frame: Frame) -> Scene | None:
        at_ms = flight.begin_ms(ORBIT, number) + 1000 * frame.offset_s
        if not self.slices.is_recorded(frame, at_ms):
            return None
        span = next(one for one in self.slices.spans if one.name == frame.name)
        length_s = int(span.to_s) - int(span.from_s)
        made_ms = at_ms + 28 * 3_600_000 + number * 7_919 % 7_200 * 1000
        name = (
            f"S3{flight.platform[-1].upper()}_{self.product}____{compact(at_ms)}"
            f"_{compact(at_ms + 1000 * length_s)}_{compact(made_ms)}_{length_s - 1:04d}"
            f"_{number // ORBIT.revolutions + 1:03d}_{frame.track + 1:03d}_{frame.name}"
            "_LN1_O_NT_002.SEN3"
        )
        quarter = ORBIT.period_s / 4.0
        rises = not quarter <= (span.from_s + span.to_s) / 2.0 < 3.0 * quarter
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
                "instruments": [self.instrument],
                "constellation": "sentinel-3",
                "gsd": self.gsd_m,
                "sat:orbit_state": "ascending" if rises else "descending",
                "sat:relative_orbit": frame.track + 1,
            },
            href=f"s3://EODATA/Sentinel-3/{self.instrument.upper()}/{self.product}___"
            f"/{moment(at_ms):%Y/%m/%d}/{name}/",
        )


def oblique(scene: Scene) -> Scene:
    """What the oblique view of the temperature instrument has of a scene of it."""
    match = _ID.fullmatch(scene.id)
    assert match is not None  # as it was named here
    names = [span.name for span in _OBLIQUE.spans]
    frame = _OBLIQUE.frame(int(match[4]) - 1, names.index(match[5]))
    return replace(
        scene, footprint=frame.footprint, epsg=frame.epsg, box=frame.box, outline=frame.outline
    )


_STATE = one_of(["ascending", "descending"], "Whether the satellite flew north or south")


def missions() -> list[Sentinel3]:
    """Colours of both levels, temperatures of both, and what both instruments saw together by day."""
    return [
        _mission("sentinel-3-olci", "OL_1_EFR", "olci", 300, _COLOUR, "colours of land and sea", {}),
        _mission("sentinel-3-olci-l2", "OL_2_LFR", "olci", 300, _COLOUR, "what plants and water "
                 "reveal by their colours", {"eo:cloud_cover": CLOUD_COVER}),
        _mission("sentinel-3-slstr", "SL_1_RBT", "slstr", 500, _TEMPERATURE, "reflectances and "
                 "temperatures", {"eo:cloud_cover": CLOUD_COVER, "sat:orbit_state": _STATE}),
        _mission("sentinel-3-slstr-l2", "SL_2_LST", "slstr", 1000, _TEMPERATURE, "temperatures of "
                 "the land", {"eo:cloud_cover": CLOUD_COVER, "sat:orbit_state": _STATE}),
        _mission("sentinel-3-synergy-l2", "SY_2_SYN", "synergy", 300, _COLOUR, "colours of the "
                 "land without the air", {}),
    ]  # fmt: skip


def _mission(
    name: str,
    product: str,
    instrument: str,
    gsd_m: int,
    slices: Slices,
    text: str,
    queryables: JsonObject,
) -> Sentinel3:
    clouds = "eo:cloud_cover" in queryables
    states: list[Json] = ["descending"] if slices is _COLOUR else ["ascending", "descending"]
    summaries: JsonObject = {
        "platform": [flight.platform for flight in FLIGHTS],
        "instruments": [instrument],
        "constellation": ["sentinel-3"],
        "gsd": [gsd_m],
        "sat:orbit_state": states,
    }
    if clouds:
        summaries["eo:cloud_cover"] = {"minimum": 0, "maximum": 100}
    described = collection(
        name,
        title=f"Sentinel 3 {instrument.upper()} L{product[3]}",
        text=f"Images of Sentinel-3, instrument {instrument.upper()}: {text}",
        bbox=(-180.0, -90.0, 180.0, 90.0),
        begin=moment(FLIGHTS[0].from_ms).date().isoformat(),
        provider=("ESA", "https://sentinels.copernicus.eu/"),
        citation="Modified Copernicus Sentinel data [Year]/Sentinel Hub",
        summaries=summaries,
    )
    distincts = frozenset({"sat:orbit_state"} & queryables.keys())
    return Sentinel3(
        name, product, instrument, gsd_m, slices, described, queryables, distincts, clouds
    )
