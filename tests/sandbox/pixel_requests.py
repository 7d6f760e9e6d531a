"""One good request of every family that reads pixels: what tests damage, and what they ask about."""

from __future__ import annotations

from typing import Any

from . import processing, statistical
from .support import BUCKET

# Sixteen pixels each way.
CORNER = (500_000, 5_199_840, 500_160, 5_200_000)
# What a GeoPackage `fields.gpkg` in the bucket is to hold.
FIELD = {"box": CORNER, "identifier": "f"}


def _image(data: str, band: str) -> dict[str, Any]:
    """A Process request for a corner of a tile, with most of what one may say."""
    text = processing.script(
        f"return {{default: [samples[0].{band}], dataMask: [samples[0].dataMask]}};",
        bands=f'["{band}", "dataMask"]',
        output='[{id: "default", bands: 1, sampleType: "UINT16"}, {id: "dataMask", bands: 1}]',
        mosaicking="ORBIT",
    )
    item = {
        "id": "a",
        "dataFilter": {
            "timeRange": {"from": "2024-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z"},
            "mosaickingOrder": "leastRecent",
        },
        "processing": {"upsampling": "BILINEAR", "downsampling": "NEAREST"},
    }
    return processing.body(data, text, item=item, bbox=list(CORNER), size=(16, 16))


def requests_of(data: str, *, band: str = "B1") -> dict[str, Any]:
    """
    A body that passes of every family that reads pixels, by operation.

    Args:
        data: the type of the data: a collection of the tile that `support.write_cog` makes
        band: what it is called there
    """
    image = _image(data, band)
    access = {"accessKey": "key", "secretAccessKey": "secret"}
    delivery = {"delivery": {"s3": {"url": "s3://results/out", **access}}}
    text = statistical.script(
        f"return {{raw: [samples.{band}], dataMask: [samples.dataMask]}};",
        bands=f'["{band}", "dataMask"]',
    )
    year = ("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z")
    statistics = statistical.body(
        data,
        text,
        of="P1M",
        time=year,
        bounds=image["input"]["bounds"],
        size=None,
        resx=10,
        resy=10,
        calculations={"default": {"histograms": {"default": {"nBins": 3}}}},
    )
    features = {"s3": {"url": f"s3://{BUCKET}/fields.gpkg", **access}}
    return {
        "process": image,
        "createNewAsyncProcessRequest": {**image, "output": {**image["output"], **delivery}},
        "submitStatisticalRequest": statistics,
        "createNewBatchStatisticsRequest": {
            **statistics,
            "input": {"features": features, "data": statistics["input"]["data"]},
            "output": {"s3": {"url": "s3://results/stats", **access}},
        },
    }
