"""What the tests of public collections share: places, requests on them, and what the catalogue lists there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from . import processing as p
from .support import Driver

L1C, L2A, S1, DEM = "sentinel-2-l1c", "sentinel-2-l2a", "sentinel-1-grd", "dem"
S5P, SLSTR, OLCI = "sentinel-5p-l2", "sentinel-3-slstr", "sentinel-3-olci"
L8, L8_SURFACE = "landsat-ot-l1", "landsat-ot-l2"
# A square of native pixels of 10 metres, in the zone of its tile.
UTM, PLACE = 32633, [480_000.0, 5_100_000.0, 480_320.0, 5_100_320.0]
SIZE = (32, 32)
SUMMER = ("2023-06-01T00:00:00Z", "2023-07-31T23:59:59Z")
WINTER = ("2021-11-01T00:00:00Z", "2022-02-28T23:59:59Z")
HEARD = "outputMetadata.userData = {scenes: scenes.tiles || scenes.orbits};"


def item(
    kind: str,
    span: tuple[str, str] | None = SUMMER,
    *,
    processing: dict[str, Any] | None = None,
    **chosen: Any,
) -> dict[str, Any]:
    """A data set: its filter, and what is done with it."""
    if span is not None:
        chosen["timeRange"] = {"from": span[0], "to": span[1]}
    return {"type": kind, "dataFilter": chosen, "processing": processing or {}}


def numbers(
    api: Driver,
    data: dict[str, Any],
    *bands: str,
    units: str = "",
    bbox: list[float] | None = None,
    epsg: int = UTM,
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """Bands of one mosaic as 32-bit numbers, (band, row, column), or (row, column) of one."""
    named = json.dumps(list(bands))
    asked = f'[{{bands: {named}, units: "{units}"}}]' if units else named
    values = ", ".join(f"samples.{one}" for one in bands)
    output = f'{{bands: {len(bands)}, sampleType: "FLOAT32"}}'
    text = p.script(f"return [{values}];", bands=asked, output=output)
    return p.pixels(api, p.body([data], text, bbox=bbox or PLACE, epsg=epsg, size=size))


def layers(
    api: Driver, data: dict[str, Any], *bands: str, mosaicking: str = "TILE", count: int = 3
) -> np.ndarray:
    """Bands of the first samples, one sample after the other: (sample x band, row, column)."""
    values = ", ".join(f"samples[{n}].{one}" for n in range(count) for one in bands)
    output = f'{{bands: {count * len(bands)}, sampleType: "FLOAT32"}}'
    text = p.script(f"return [{values}];", bands=json.dumps(list(bands)), output=output,
                    mosaicking=mosaicking)  # fmt: skip
    return p.image(p.processed(api, p.body([data], text, bbox=PLACE, epsg=UTM, size=SIZE)))


def heard(
    api: Driver,
    data: dict[str, Any],
    *,
    bands: str = '["dataMask"]',
    mosaicking: str = "TILE",
    bbox: list[float] | None = None,
    epsg: int = UTM,
) -> list[dict[str, Any]]:
    """The scenes that a script is told of."""
    text = p.script(HEARD, bands=bands, output="{bands: 1}", mosaicking=mosaicking)
    request = p.body([data], text, bbox=bbox or PLACE, epsg=epsg, size=(1, 1),
                     formats={"userdata": p.JSON})  # fmt: skip
    found: list[dict[str, Any]] = json.loads(p.processed(api, request))["scenes"]
    return found


def listed(
    api: Driver, kind: str, span: tuple[str, str], *, bbox: list[float], cql: str | None = None
) -> list[dict[str, Any]]:
    """What the catalogue lists of an area and a time, the newest first."""
    body: dict[str, Any] = {
        "collections": [kind],
        "datetime": "/".join(span),
        "bbox": bbox,
        "limit": 100,
    }
    if cql is not None:
        body |= {"filter": cql, "filter-lang": "cql2-text"}
    found: list[dict[str, Any]] = api.send("POST", "/catalog/v1/search", json=body).json()[
        "features"
    ]
    return found
