"""
The public collections by their identifiers, in the order in which they are listed.
"""

from __future__ import annotations

from functools import cache

from shplan.sandbox.scenes import dem, landsat, sentinel1, sentinel2, sentinel3, sentinel5p
from shplan.sandbox.scenes.scene import Mission


@cache
def missions() -> dict[str, Mission]:
    """All public collections."""
    listed: list[Mission] = [
        *sentinel2.missions(),
        *sentinel1.missions(),
        *landsat.missions(),
        *sentinel3.missions(),
        *sentinel5p.missions(),
        *dem.missions(),
    ]
    return {mission.collection: mission for mission in listed}
