"""
The public collections by their identifiers, in the order in which they are listed.
"""

from __future__ import annotations

from functools import cache

from shplan.sandbox.scenes import landsat, sentinel2
from shplan.sandbox.scenes.scene import Mission


@cache
def missions() -> dict[str, Mission]:
    """All public collections."""
    listed: list[Mission] = [
        *sentinel2.missions(),
        *landsat.missions(),
    ]
    return {mission.collection: mission for mission in listed}
