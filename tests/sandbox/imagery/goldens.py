"""
Digests of pixels and of the scenes that they belong to.

As a program it prints them all, so that a test can ask a process for them that may use fewer of the
processor's features.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from shplan.sandbox.imagery import reading
from shplan.sandbox.scenes.missions import missions
from tests.sandbox.imagery.places import FARMS, first, grid

# Fields and towns; mountains beside the edge of a zone; snow and ice.
PLACES = (FARMS, (12.02, 46.9), (-38.0, 68.2))


def digest_of(collection: str) -> str:
    """Of all bands of blocks of scenes, and of what the catalogue says of these."""
    digest = hashlib.sha256()
    names = list(reading.bands(collection))
    for place in PLACES:
        scene = first(collection, place, "2022-06-01", "2022-07-01")
        digest.update(f"{scene.id} {scene.at_ms} {scene.footprint.wkt} {scene.box}".encode())
        digest.update(str(missions()[collection].cloud_cover(scene)).encode())
        found = reading.read(scene, names, *grid(place, 45.0, 20), {})
        for name in (*names, "dataMask"):
            digest.update(found[name].astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def plain_features() -> str:
    """What numpy would use of this processor beside what every one has."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[index]
    return " ".join(found.get("found", []))


if __name__ == "__main__":
    print(json.dumps({name: digest_of(name) for name in missions()}))  # noqa: T201  its output
