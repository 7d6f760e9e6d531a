"""
Benchmark of the Process API: an NDVI of 512 x 512 pixels from a local COG, the whole request; and of the
Statistical API: the same over each day of imagery.

    python benchmarks/process.py [--rounds 15]

What is wanted: a median of 100 ms or less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from shplan.sandbox.testing import Sandbox

NDVI = """//VERSION=3
function setup() { return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}}; }
function evaluatePixel(s) { return [(s.B08 - s.B04) / (s.B08 + s.B04)]; }"""
BBOX = [500_000, 5_094_880, 505_120, 5_100_000]
CRS = "http://www.opengis.net/def/crs/EPSG/0/32633"


def body(kind: str) -> dict[str, object]:
    """The request."""
    bounds = {"bbox": BBOX, "properties": {"crs": CRS}}
    responses = [{"identifier": "default", "format": {"type": "image/tiff"}}]
    return {
        "input": {"bounds": bounds, "data": [{"type": kind}]},
        "evalscript": NDVI,
        "output": {"width": 512, "height": 512, "responses": responses},
    }


STATISTICS = """//VERSION=3
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: [{id: "ndvi", bands: 1}, {id: "dataMask", bands: 1}],
  };
}
function evaluatePixel(s) {
  return {ndvi: [(s.B08 - s.B04) / (s.B08 + s.B04)], dataMask: [s.dataMask]};
}"""


def statistics(kind: str) -> dict[str, object]:
    """The request for every day of the collection, with percentiles and a histogram."""
    bounds = {"bbox": BBOX, "properties": {"crs": CRS}}
    calculations = {
        "statistics": {"default": {"percentiles": {"k": [5, 50, 95]}}},
        "histograms": {"default": {"nBins": 20, "lowEdge": -1.0, "highEdge": 1.0}},
    }
    return {
        "input": {"bounds": bounds, "data": [{"type": kind}]},
        "aggregation": {
            "evalscript": STATISTICS,
            "timeRange": {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
            "aggregationInterval": {"of": "P1D"},
            "width": 512,
            "height": 512,
        },
        "calculations": {"default": calculations},
    }


def took_ms(client: httpx.Client, path: str, request: object, rounds: int) -> list[float]:
    """How long each of the rounds takes, after a first one that is told as well."""
    found = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        client.post(path, json=request).raise_for_status()
        found.append((time.perf_counter() - begun) * 1000)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as data, Sandbox(Path(data)) as sandbox:
        kind = f"byoc-{sandbox.seed()['collection_id']}"
        form = {
            "grant_type": "client_credentials",
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
        }
        token = httpx.post(sandbox.token_url, data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=60) as client:
            images = took_ms(client, "/process/v1", body(kind), rounds)
            series = took_ms(client, "/statistics/v1", statistics(kind), rounds)
            days = len(client.post("/statistics/v1", json=statistics(kind)).json()["data"])
    print(f"NDVI 512 x 512: first {images[0]:.0f} ms, median {median(images[1:]):.0f} ms (100)")
    print(f"Statistics 512 x 512 of {days} days: {median(series[1:]) / days:.0f} ms for each")


if __name__ == "__main__":
    main()
