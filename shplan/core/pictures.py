"""
Pictures for people: the request that draws what an evalscript makes of a place, and its colours.

The script stays as it is and is wrapped in another, which asks it and paints its answer: one band in colours from
bare soil to dense vegetation, three or four as red, green, blue and alpha. So the service itself makes the picture.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from typing import cast

from shplan.core.errors import PlanError
from shplan.core.frozen import dataclass
from shplan.core.request import ApiRequest, Effect
from shplan.core.value import JsonObject, JsonValue, Value

# Source: the Process API: at most so many pixels each way.
MOST_PIXELS = 2500
DEFAULT_PIXELS = 512
PNG = "image/png"
# From the least value to the greatest: bare soil, straw, sprouting, growing, dense.
PALETTE: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (0.0, (126, 82, 48)),
    (0.2, (200, 160, 104)),
    (0.4, (240, 228, 164)),
    (0.6, (160, 196, 98)),
    (0.8, (52, 134, 62)),
    (1.0, (6, 70, 40)),
)
_VERSION = re.compile(r"\A\ufeff?[^\n]*VERSION[^\n]*")
_SCENES = re.compile(r"\bpreProcessScenes\b")
# Source: the pages on CRS: what has degrees. Everything else is measured in metres.
_DEGREES = ("4326", "CRS84")
_WRAPPED = """//VERSION=3
var shplanScript = (function () {%(script)s
return {setup: setup, evaluatePixel: evaluatePixel%(more)s};
})();
var shplanOutput = (function () {
  var all = [].concat(shplanScript.setup().output), found = all[0];
  all.forEach(function (one) { if (one.id === undefined || one.id === "default") found = one; });
  var scales = {UINT8: 255, UINT16: 65535};
  return {
    id: found.id === undefined ? "default" : found.id,
    scale: scales[String(found.sampleType).toUpperCase()] || 1,
  };
})();
var shplanPalette = %(palette)s;
function shplanColour(value) {
  var share = Math.min(Math.max((value - %(least)s) / %(span)s, 0), 1), k = 1;
  while (k < shplanPalette.length - 1 && share > shplanPalette[k][0]) k++;
  var low = shplanPalette[k - 1], high = shplanPalette[k], way = (share - low[0]) / (high[0] - low[0]);
  return low[1].map(function (from, c) { return (from + (high[1][c] - from) * way) / 255; });
}
function setup() {
  var own = shplanScript.setup();
  return {input: own.input, mosaicking: own.mosaicking, output: {bands: 4}};
}
function evaluatePixel(samples, scenes, inputMetadata, customData, outputMetadata) {
  var value = shplanScript.evaluatePixel(samples, scenes, inputMetadata, customData, outputMetadata);
  if (value === null || value === undefined) return [0, 0, 0, 0];
  if (typeof value === "object" && !Array.isArray(value)) value = value[shplanOutput.id];
  var numbers = [].concat(value).map(Number);
  if (!numbers.length || numbers.some(isNaN)) return [0, 0, 0, 0];
  if (numbers.length < 3) return shplanColour(numbers[0]).concat(1);
  var painted = numbers.slice(0, 4).map(function (one) { return one / shplanOutput.scale; });
  return painted.length < 4 ? painted.concat(1) : painted;
}
%(functions)s"""

# The name may stand in a comment alone: then what the script hands over is this very function.
_CHOOSING = """function preProcessScenes(collections) {
  var choose = shplanScript.preProcessScenes;
  return choose === preProcessScenes ? collections : choose(collections);
}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """
    What is to be drawn.

    Args:
        side: of the longer side of the picture, in pixels
        least: the value of a single band that has the first colour
        greatest: that which has the last one
    """

    side: int = DEFAULT_PIXELS
    least: float = 0.0
    greatest: float = 1.0


def picture_request(process: JsonObject, picture: Picture) -> ApiRequest:
    """
    Return the request that draws what a Process request computes.

    Args:
        process: the body of a Process request, or the `processRequest` of a job

    Raises:
        PlanError: it names no place, or its evalscript is none that can be wrapped
    """
    script = process.get("evalscript")
    if not isinstance(script, str) or not re.search(r"\bsetup\b", script):
        msg = "the request has no evalscript with setup() and evaluatePixel()"
        raise PlanError(msg)
    source = process.get("input")
    bounds = source.get("bounds") if isinstance(source, dict) else None
    if not isinstance(bounds, dict):
        msg = "the request names no place in input.bounds"
        raise PlanError(msg)
    width, height = proportions(bounds, picture.side)
    responses: list[JsonValue] = [{"identifier": "default", "format": {"type": PNG}}]
    body: JsonObject = {
        "input": source,
        "output": {"width": width, "height": height, "responses": responses},
        "evalscript": painted(script, picture),
    }
    return ApiRequest("process", "POST", "/process/v1", Effect.READ, body=cast("Value", body))


def script_request(
    script: str, *, source: JsonObject, output: JsonObject, identifier: str, media_type: str
) -> ApiRequest:
    """
    Return the request that renders a script as it is.

    Args:
        source: `input` of the request
        output: the size, as the API's `output` has it
        identifier: of the script's output
    """
    responses: list[JsonValue] = [{"identifier": identifier, "format": {"type": media_type}}]
    body: JsonObject = {
        "input": source,
        "output": {**output, "responses": responses},
        "evalscript": script,
    }
    return ApiRequest("process", "POST", "/process/v1", Effect.READ, body=cast("Value", body))


def painted(script: str, picture: Picture) -> str:
    """Return the evalscript that paints what another one returns."""
    has_scenes = _SCENES.search(script) is not None
    return _WRAPPED % {
        # The line of the version stays empty, so that the other lines keep their numbers but for one.
        "script": _VERSION.sub("", script, count=1),
        "more": ", preProcessScenes: preProcessScenes" if has_scenes else "",
        "palette": json.dumps(PALETTE),
        "least": repr(float(picture.least)),
        "span": repr(float(picture.greatest - picture.least)),
        "functions": _CHOOSING if has_scenes else "",
    }


def proportions(bounds: JsonObject, side: int) -> tuple[int, int]:
    """Width and height in the proportions that the place has on the ground."""
    sides = list(_extent(bounds))
    if not sides:
        msg = "the request's bounds have neither a bbox nor a geometry"
        raise PlanError(msg)
    west, east = min(x for x, _ in sides), max(x for x, _ in sides)
    south, north = min(y for _, y in sides), max(y for _, y in sides)
    across, down = east - west, north - south
    properties = bounds.get("properties")
    crs = str(properties.get("crs", "CRS84")) if isinstance(properties, dict) else "CRS84"
    if crs.endswith(_DEGREES):
        across *= math.cos(math.radians((south + north) / 2))
    longest = max(across, down)
    if not longest > 0:
        msg = "the request's bounds have no extent"
        raise PlanError(msg)
    width, height = (max(1, round(side * length / longest)) for length in (across, down))
    return width, height


def _extent(bounds: JsonObject) -> Iterator[tuple[float, float]]:
    """Corners of the box, or every point of the geometry."""
    box = bounds.get("bbox")
    if isinstance(box, list) and len(box) == 4:
        west, south, east, north = (float(cast("float", one)) for one in box)
        yield from ((west, south), (east, north))
        return
    geometry = bounds.get("geometry")
    if isinstance(geometry, dict):
        yield from _points(geometry.get("coordinates"))


def _points(value: JsonValue) -> Iterator[tuple[float, float]]:
    if not isinstance(value, list):
        return
    if len(value) >= 2 and all(isinstance(one, int | float) for one in value[:2]):
        yield float(cast("float", value[0])), float(cast("float", value[1]))
        return
    for one in value:
        yield from _points(one)


# Source: PNG specification (ISO/IEC 15948): bits of a sample, and colour types with an alpha channel.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES_WITH_ALPHA = {4: 2, 6: 4}
_MOST_AT_ONCE_BYTES = 1 << 20


def is_empty(png: bytes) -> bool:
    """
    Tell whether nothing is drawn in a PNG: all of it is transparent and black, as where there are no data.

    Such an image holds zeros alone, whichever way its rows were filtered, so that none has to be put together.
    """
    if not png.startswith(_SIGNATURE) or len(png) < 33:
        return False
    width, _, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    samples = _SAMPLES_WITH_ALPHA.get(colour)
    if samples is None or interlaced:
        return False
    row_bytes = 1 + width * samples * depth // 8
    packed, at = bytearray(), len(_SIGNATURE)
    while at + 8 <= len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        if kind == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    return _holds_zeros(bytes(packed), row_bytes)


def _holds_zeros(packed: bytes, row_bytes: int) -> bool:
    """Tell whether rows hold nothing but zeros, behind the number of its filter that each begins with."""
    unpacking, position = zlib.decompressobj(), 0
    try:
        while packed and not unpacking.eof:
            part = unpacking.decompress(packed, _MOST_AT_ONCE_BYTES)
            packed = unpacking.unconsumed_tail
            found = bytearray(part)
            for first in range(-position % row_bytes, len(found), row_bytes):
                found[first] = 0
            if any(found):
                return False
            position += len(part)
    except zlib.error:
        return False
    return position > 0
