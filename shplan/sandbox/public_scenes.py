"""
Which scenes of a public collection a data set is made of: those that the catalogue lists, filtered and in order.

They are found one by one, the first without the rest. Source: the pages on the collections and the schemas
`*Filtering`; that the newest are found first and no more of them are looked at than it takes is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.catalog_public import PublicSource
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError
from shplan.sandbox.imagery.sentinel5p import product_of
from shplan.sandbox.raster_sources import LEAST_CC, LEAST_RECENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shplan.sandbox.areas import Area
    from shplan.sandbox.scenes.scene import Mission, Scene
    from shplan.sandbox.wire import JsonObject

    Keeps = Callable[[Scene], bool]

# Our own bound of one data set.
MOST_LOOKED_AT = 60_000
_DAY_MS = 86_400_000
# Orbits repeat within a month, and light within a year: what was not seen for so long never is.
_LONG_MS = 400 * _DAY_MS
_FIRST_STEP_MS = 16 * _DAY_MS
# Members of `dataFilter`, and the properties of scenes that they are about.
_PROPERTIES = {
    "acquisitionMode": "sar:instrument_mode",
    "polarization": "s1:polarization",
    "resolution": "s1:resolution",
    "orbitDirection": "sat:orbit_state",
}
_TIMELINESS = {"sentinel-1-grd": "s1:timeliness", "sentinel-5p-l2": "s5p:timeliness"}
_RADAR_BANDS = {"VV", "VH", "HH", "HV"}
# As names of Landsat scenes end.
_TIERS = {"TIER_1": ("_T1",), "TIER_1_AND_RT": ("_T1", "_RT"), "ALL_TIERS": ("_T1", "_T2", "_RT")}


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What scenes must be like, and which come first.

    Args:
        from_ms: the first instant; none: the beginning
        to_ms: the last instant
        max_cloud: in percent; of those scenes of which it is known
    """

    from_ms: int | None
    to_ms: int
    order: str
    max_cloud: float
    keeps: Keeps


def keeping(collection: str, chosen: JsonObject, bands: Sequence[str]) -> Keeps:
    """
    What `dataFilter` and the bands that are read ask of the properties of a scene.

    Args:
        chosen: the members of `dataFilter`
        bands: as the script names them
    """
    wanted = {_PROPERTIES[name]: chosen[name] for name in _PROPERTIES if name in chosen}
    if "timeliness" in chosen and collection in _TIMELINESS:
        wanted[_TIMELINESS[collection]] = chosen["timeliness"]
    products = {product_of(one) for one in bands if one != "dataMask"}
    received = _RADAR_BANDS.intersection(bands)
    endings = _TIERS[str(chosen.get("tiers", "ALL_TIERS"))]

    def keeps(scene: Scene) -> bool:
        known = scene.properties
        if any(str(known.get(name)).lower() != str(one).lower() for name, one in wanted.items()):
            return False
        if collection == "sentinel-5p-l2":
            return not products or known["s5p:type"] in products
        if collection == "sentinel-1-grd":
            return not received or bool(
                received.intersection(cast("list[str]", known["sar:polarizations"]))
            )
        return not collection.startswith("landsat") or scene.id.endswith(endings)

    return keeps


def chosen_scenes(mission: Mission, area: Area, choice: Choice) -> Iterator[Scene]:
    """
    Find scenes in the order in which they are used.

    Args:
        area: in longitude and latitude

    Raises:
        ApiError: 400, while they are found: there are too many
    """
    found = _fitting(mission, _listed(mission, area, choice), choice)
    if choice.order == LEAST_CC and mission.has_clouds:
        found = iter(sorted(found, key=mission.cloud_cover))
    yield from found


def for_mosaic(scenes: Iterator[Scene], *, is_patient: bool) -> Iterator[Scene]:
    """
    Scenes of which one mosaic is made, the first of each outline: others have no place left.

    Args:
        scenes: the first of which is used where several are
        is_patient: whether an outline may appear long after the last new one
    """
    seen: set[tuple[int, bytes]] = set()
    last_ms: int | None = None
    for scene in scenes:
        outline = scene.epsg, scene.outline.wkb
        if outline not in seen:
            seen.add(outline)
            last_ms = scene.at_ms
            yield scene
        elif not is_patient and abs(scene.at_ms - (last_ms or 0)) > _LONG_MS:
            return


def _listed(mission: Mission, area: Area, choice: Choice) -> Iterator[Scene]:
    """All scenes of an area and a range of time, by time."""
    first_ms = PublicSource(mission, choice.to_ms).first_ms
    from_ms = first_ms if choice.from_ms is None else max(choice.from_ms, first_ms)
    if choice.order != LEAST_RECENT:
        yield from mission.scenes(area, from_ms=from_ms, to_ms=choice.to_ms)
        return
    # Missions tell the newest first: the oldest are found in ranges that grow.
    step_ms = _FIRST_STEP_MS
    while from_ms <= choice.to_ms:
        last_ms = min(from_ms + step_ms - 1, choice.to_ms)
        yield from reversed(list(mission.scenes(area, from_ms=from_ms, to_ms=last_ms)))
        from_ms, step_ms = last_ms + 1, 2 * step_ms


def _fitting(mission: Mission, scenes: Iterator[Scene], choice: Choice) -> Iterator[Scene]:
    clouds_matter = mission.has_clouds and choice.max_cloud < 100.0
    for number, scene in enumerate(scenes):
        if number >= MOST_LOOKED_AT:
            msg = "The request looks at too many scenes; narrow its area, time range or filters."
            raise ApiError(400, RENDERER_EXCEPTION, msg)
        if not choice.keeps(scene):
            continue
        if clouds_matter and mission.cloud_cover(scene) > choice.max_cloud:
            continue
        yield scene
