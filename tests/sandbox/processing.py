"""What the tests of pixels share: COGs of known numbers, requests, and answers as arrays."""

from __future__ import annotations

import io
import tarfile
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine, from_origin

from .support import Driver

PROCESS = "/process/v1"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/{}"
WEST, NORTH, PIXEL, SIZE = 500_000, 5_200_000, 10, 512
# All of a tile that `write` makes.
WHOLE = [WEST, NORTH - SIZE * PIXEL, WEST + SIZE * PIXEL, NORTH]
_LARGE_BYTES = 1 << 20
TIFF, PNG, JPEG, JSON = "image/tiff", "image/png", "image/jpeg", "application/json"


def numbers(seed: int, *, size: int = SIZE, low: int = 1, high: int = 10_000) -> np.ndarray:
    """Uneven numbers, the same for one seed; 0 is not among them."""
    return np.random.default_rng(seed).integers(low, high, (size, size)).astype("uint16")


def write(
    path: Path,
    data: np.ndarray,
    *,
    west: float = WEST,
    north: float = NORTH,
    pixel: float = PIXEL,
    epsg: int = 32633,
    nodata: float | None = None,
) -> Path:
    """A COG of these numbers, (row, column) or (band, row, column), with overviews of its own."""
    stack = data[np.newaxis] if data.ndim == 2 else data
    path.parent.mkdir(parents=True, exist_ok=True)
    place = (from_origin(west, north, pixel, pixel), epsg, nodata)
    make = _cog if stack.nbytes < _LARGE_BYTES else _cog.__wrapped__
    path.write_bytes(make(stack.tobytes(), stack.dtype.str, stack.shape, *place))
    return path


@lru_cache(maxsize=32)
def _cog(
    numbers: bytes,
    dtype: str,
    shape: tuple[int, int, int],
    transform: Affine,
    epsg: int,
    nodata: float | None,
) -> bytes:
    # The same few are written for hundreds of tests.
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            count=shape[0],
            height=shape[1],
            width=shape[2],
            dtype=dtype,
            crs=CRS.from_epsg(epsg),
            transform=transform,
            nodata=nodata,
            blocksize=256,
            compress="deflate",
            overview_resampling="NEAREST",
        ) as raster:
            raster.write(np.frombuffer(numbers, dtype).reshape(shape))
        content: bytes = memory.read()
        return content


def collection(api: Driver, tiles: dict[str, str | None], **body: Any) -> str:
    """A collection of tiles by path, each with its sensing time; the type that requests name."""
    made = api.collection(**body)["id"]
    for path, sensed in tiles.items():
        api.tile(made, path, **({} if sensed is None else {"sensingTime": sensed}))
    api.tick(60)
    assert {one["status"] for one in api.tiles(made)["data"]} == {"INGESTED"}
    return f"byoc-{made}"


def script(
    evaluate: str,
    *,
    bands: str = '["B04", "B08"]',
    output: str = '{bands: 1, sampleType: "FLOAT32"}',
    mosaicking: str = "SIMPLE",
    more: str = "",
) -> str:
    return (
        f"//VERSION=3\nfunction setup() {{ return {{input: {bands}, output: {output},"
        f' mosaicking: "{mosaicking}"}}; }}\n'
        "function evaluatePixel(samples, scenes, inputMetadata, customData, outputMetadata) {\n"
        f"{evaluate}\n}}\n{more}"
    )


def body(
    data: str | list[dict[str, Any]],
    evalscript: str,
    *,
    bbox: list[float] | None = None,
    epsg: int = 32633,
    bounds: dict[str, Any] | None = None,
    size: tuple[int, int] | None = (SIZE, SIZE),
    formats: dict[str, str] | None = None,
    item: dict[str, Any] | None = None,
    **output: Any,
) -> dict[str, Any]:
    """A request; `formats` of each identifier, a TIFF of the default unless said."""
    kinds = formats or {"default": TIFF}
    properties = {"crs": EPSG.format(epsg)}
    place = bounds if bounds is not None else {"bbox": bbox or WHOLE, "properties": properties}
    made: dict[str, Any] = {
        "responses": [
            {"identifier": identifier, "format": {"type": kind}}
            for identifier, kind in kinds.items()
        ],
        **output,
    }
    if size is not None:
        made |= {"width": size[0], "height": size[1]}
    items = [{"type": data, **(item or {})}] if isinstance(data, str) else data
    return {"input": {"bounds": place, "data": items}, "evalscript": evalscript, "output": made}


def asked(api: Driver, request: dict[str, Any], *, accept: str = "*/*") -> httpx.Response:
    return api.send("POST", PROCESS, json=request, headers={"accept": accept})


def processed(api: Driver, request: dict[str, Any], *, accept: str = "*/*") -> bytes:
    answer = asked(api, request, accept=accept)
    assert answer.status_code == 200, answer.text
    return answer.content


def image(content: bytes) -> np.ndarray:
    """(band, row, column)."""
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        MemoryFile(content) as memory,
        memory.open() as raster,
    ):
        found: np.ndarray = raster.read()
        return found


def pixels(api: Driver, request: dict[str, Any]) -> np.ndarray:
    """(row, column) of an answer of one band, else (band, row, column)."""
    found = image(processed(api, request))
    return found[0] if len(found) == 1 else found


def members(content: bytes) -> dict[str, bytes]:
    """The files of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = {}
        for name in archive.getnames():
            file = archive.extractfile(name)
            assert file is not None
            found[name] = file.read()
        return found


def refused(api: Driver, request: dict[str, Any], *, accept: str = "*/*") -> dict[str, Any]:
    """The error of a request that is answered with 400."""
    answer = asked(api, request, accept=accept)
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error
