"""
Sentinel-1: radar slices to the right of the track, by day and by night.

Each satellite passes again after twelve days; two share the orbit, six days apart. Between the
polar regions the wide swath is recorded in both vertical polarisations, in slices of 25 seconds;
beyond, the extra wide one in horizontal ones, in slices of a minute. Source: Sentinel-1 Product
Specification (modes, names of products); ESA's published numbering of orbits.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes.describing import collection, one_of
from shplan.sandbox.scenes.instants import compact, day, ms, parse_compact
from shplan.sandbox.scenes.orbits import DAY_MS, Orbit
from shplan.sandbox.scenes.passes import FOREVER_MS, Flight, Frame, find, search
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.slices import Slices, Span
from shplan.sandbox.wire import JsonObject

# Fitted to orbit 30639 of the first satellite, track 117, which came up over the Alps at about
# 17:07 on 2020-01-03: at the equator it is six in the evening by the sun.
_DAYS, _TRACKS = 12, 175
_NODE_117_DEG = 16.55
ORBIT = Orbit(_TRACKS, _DAYS, 98.18, _NODE_117_DEG + 360.0 * (116 * _DAYS % _TRACKS) / _TRACKS)
_NODE_MS = ms("2020-01-03T16:53:48") - 116 * _DAYS * DAY_MS // _TRACKS
_OTHER_MS = _NODE_MS + 6 * DAY_MS
FLIGHTS = (
    Flight("sentinel-1a", _NODE_MS, ms("2014-10-03"), FOREVER_MS, 30_523),
    Flight("sentinel-1b", _OTHER_MS, ms("2016-09-26"), ms("2021-12-23T06:53:00"), 19_627),
    # The third took the place of the second; its launch was on 2024-12-05.
    Flight("sentinel-1c", _OTHER_MS, ms("2025-03-26"), FOREVER_MS, -26_253),
)


@dataclass(frozen=True, slots=True)
class _Mode:
    """A mode: kilometres from the track to both edges, and what its products say."""

    near_km: float
    far_km: float
    slice_s: float
    name: str
    polarization: str
    polarizations: tuple[str, str]
    timeliness: str
    resolution: str
    pixel_m: int


_WIDE = _Mode(350.0, 600.0, 25.0, "IW_GRDH_1SDV", "DV", ("VV", "VH"), "Fast24h", "HIGH", 10)
_EXTRA = _Mode(240.0, 650.0, 60.0, "EW_GRDM_1SDH", "DH", ("HH", "HV"), "NRT3h", "MEDIUM", 40)
_NORTH_DEG, _SOUTH_DEG = 68.0, -60.0
_ID = re.compile(
    r"S1([ABC])_(?:IW|EW)_GRD[HM]_1SD[VH]_(\d{8}T\d{6})_\d{8}T\d{6}_(\d{6})_[0-9A-F]{6}_[0-9A-F]{4}"
)


def _spans() -> tuple[Span, ...]:
    """One slice after the other around the Earth, in the mode of where it begins."""
    spans: list[Span] = []
    since = 0.0
    while since < ORBIT.period_s:
        u = np.array([2.0 * np.pi * since / ORBIT.period_s])
        latitude = float(ORBIT.abeam(u, 0.0, 0.0)[1][0])
        mode = _WIDE if _SOUTH_DEG <= latitude <= _NORTH_DEG else _EXTRA
        until = min(since + mode.slice_s, ORBIT.period_s)
        # Radar looks to the right: what is on the left of its swath is still right of the track.
        spans.append(Span(f"{mode.name}-{len(spans)}", since, until, -mode.near_km, mode.far_km))
        since = until
    return tuple(spans)


_MODES = {mode.name: mode for mode in (_WIDE, _EXTRA)}


@cache
def slices() -> Slices:
    """All slices of a revolution."""
    return Slices(ORBIT, _spans(), None)


@cache
def _index_of() -> dict[int, int]:
    """Whole seconds after the node to the slice that begins there."""
    return {int(span.from_s): index for index, span in enumerate(slices().spans)}


@dataclass(frozen=True, slots=True)
class Sentinel1:
    """The collection of detected images."""

    collection: str
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str]
    has_clouds: bool = False

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Scenes that touch an area, the newest first, those of one instant by identifier."""
        frames = slices().frames_over(area)
        return search(ORBIT, FLIGHTS, frames, self._scene, from_ms=from_ms, to_ms=to_ms)

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier; none if nothing was recorded under it."""
        match = _ID.fullmatch(scene_id)
        at_ms = parse_compact(match[2]) if match else None
        if match is None or at_ms is None:
            return None
        flight = FLIGHTS["ABC".index(match[1])]
        number = int(match[3]) - flight.first_orbit
        index = _index_of().get((at_ms - flight.begin_ms(ORBIT, number)) // 1000)
        if index is None:
            return None
        frame = slices().frame(number % _TRACKS, index)
        return find(
            ORBIT, FLIGHTS, frame, self._scene, scene_id=scene_id, from_ms=at_ms, to_ms=at_ms
        )

    def cloud_cover(self, scene: Scene) -> float:
        """Nothing: radar sees through clouds."""
        return 0.0

    def _scene(self, flight: Flight, number: int, frame: Frame) -> Scene:
        begin_ms = flight.begin_ms(ORBIT, number)
        at_ms = begin_ms + 1000 * frame.offset_s
        product, _, index = frame.name.partition("-")
        mode, span = _MODES[product], slices().spans[int(index)]
        orbit = flight.first_orbit + number
        # A recording goes on for some minutes; its number grows with the orbit's.
        datatake = orbit * 8 + frame.offset_s * 8 // int(ORBIT.period_s + 1)
        stem = (
            f"S1{flight.platform[-1].upper()}_{mode.name}_{compact(at_ms)}"
            f"_{compact(begin_ms + 1000 * int(span.to_s))}_{orbit:06d}_{datatake:06X}"
        )
        name = f"{stem}_{zlib.crc32(stem.encode()) & 0xFFFF:04X}"
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
                "instruments": ["c-sar"],
                "constellation": "sentinel-1",
                "gsd": mode.pixel_m,
                "sat:orbit_state": "ascending" if rises else "descending",
                "sat:absolute_orbit": orbit,
                "sat:relative_orbit": frame.track + 1,
                "sar:instrument_mode": mode.name[:2],
                "sar:frequency_band": "C",
                "sar:center_frequency": 5.405,
                "sar:product_type": "GRD",
                "sar:polarizations": list(mode.polarizations),
                "s1:polarization": mode.polarization,
                "s1:resolution": mode.resolution,
                "s1:timeliness": mode.timeliness,
            },
            href=f"s3://sentinel-s1-l1c/GRD/{day(at_ms)}/{mode.name[:2]}/{mode.polarization}/{name}/",
        )


_STATES = ["ascending", "descending"]
_INSTRUMENT_MODES = ["SM", "IW", "EW", "WV", "EN", "AN", "IM"]
_TIMELINESS = ["NRT10m", "NRT1h", "NRT3h", "Fast24h", "Offline", "Reprocessing", "ArchNormal"]
_RESOLUTIONS = ["HIGH", "MEDIUM", "FULL"]
_POLARIZATIONS = ["SH", "SV", "DH", "DV", "HH", "HV", "VV", "VH"]


def missions() -> list[Sentinel1]:
    """The one collection."""
    described = collection(
        "sentinel-1-grd",
        title="Sentinel 1 GRD",
        text="Radar images of Sentinel-1, detected and projected to the ground",
        bbox=(-180.0, -85.0, 180.0, 85.0),
        begin="2014-10-03",
        provider=("ESA", "https://sentinels.copernicus.eu/"),
        citation="Modified Copernicus Sentinel data [Year]/Sentinel Hub",
        summaries={
            "platform": [flight.platform for flight in FLIGHTS],
            "instruments": ["c-sar"],
            "constellation": ["sentinel-1"],
            "sat:orbit_state": [*_STATES],
            "sar:instrument_mode": [*_INSTRUMENT_MODES],
            "sar:frequency_band": ["C"],
            "sar:center_frequency": [5.405],
            "sar:product_type": ["GRD"],
            "sar:polarizations": ["HH", "HV", "VH", "VV"],
            "sar:pixel_spacing_range": [10, 40],
            "sar:pixel_spacing_azimuth": [10, 40],
            "s1:timeliness": [*_TIMELINESS],
            "s1:resolution": [*_RESOLUTIONS],
            "s1:polarization": [*_POLARIZATIONS],
        },
    )
    queryables: JsonObject = {
        "sar:instrument_mode": one_of(_INSTRUMENT_MODES, "How the radar recorded"),
        "sat:orbit_state": one_of(_STATES, "Whether the satellite flew north or south"),
        "s1:polarization": one_of(_POLARIZATIONS, "What was sent and received"),
        "s1:resolution": one_of(_RESOLUTIONS, "Class of resolution"),
        "s1:timeliness": one_of(_TIMELINESS, "How soon the product was made"),
    }
    distincts = frozenset({"sar:instrument_mode", "sat:orbit_state", "s1:polarization"})
    return [Sentinel1("sentinel-1-grd", described, queryables, distincts)]
