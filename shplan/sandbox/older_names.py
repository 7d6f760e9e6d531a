"""
Older names and spellings in a request, which programs written years ago still send.

Source: the table of collections, its older aliases; `CUSTOM` names the collection in `dataFilter.collectionId`;
the documentation's examples write `orthorectify: "true"`, and Requests Builder states parts of pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shplan.sandbox.wire import Json, JsonObject

NAMES = {
    "S2L1C": "sentinel-2-l1c",
    "S2L2A": "sentinel-2-l2a",
    "S1GRD": "sentinel-1-grd",
    "S3OLCI": "sentinel-3-olci",
    "S3SLSTR": "sentinel-3-slstr",
    "S5PL2": "sentinel-5p-l2",
    "DEM": "dem",
    "MODIS": "modis",
}
CUSTOM, COLLECTION = "CUSTOM", "collectionId"
FLAGS = {"true": True, "false": False}
# Far above what any image may have; the schema says what that is.
MOST = 1e9


def renewed(body: JsonObject) -> JsonObject:
    """The body with the names of today in its data, and itself where it has them already."""
    if isinstance(inner := body.get("processRequest"), dict):
        found = renewed(inner)
        return body if found is inner else {**body, "processRequest": found}
    inputs = body.get("input")
    data = inputs.get("data") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(data, list):
        return body
    body = {
        name: _whole_pixels(content) if name in ("output", "aggregation") else content
        for name, content in body.items()
    }
    items = [_flagged(_renewed(item)) for item in data]
    return {**body, "input": {**inputs, "data": items}}


def _whole_pixels(output: Json) -> Json:
    if not isinstance(output, dict):
        return output
    return {
        name: int(value + 0.5)
        if name in ("width", "height") and isinstance(value, float) and 1 <= value < MOST
        else value
        for name, value in output.items()
    }


def _flagged(item: Json) -> Json:
    processing = item.get("processing") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(processing, dict):
        return item
    flags: JsonObject = {
        name: FLAGS[value] if isinstance(value, str) and value in FLAGS else value
        for name, value in processing.items()
    }
    return {**item, "processing": flags}


def _renewed(item: Json) -> Json:
    if not isinstance(item, dict) or not isinstance(kind := item.get("type"), str):
        return item
    if kind in NAMES:
        return {**item, "type": NAMES[kind]}
    chosen = item.get("dataFilter")
    if kind == CUSTOM and isinstance(chosen, dict) and isinstance(chosen.get(COLLECTION), str):
        return {**item, "type": f"byoc-{chosen[COLLECTION]}"}
    return item
