"""
Benchmark of the Process API: an NDVI of 512 x 512 pixels from a local COG, the whole request.

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


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as data, Sandbox(Path(data)) as sandbox:
        request = body(f"byoc-{sandbox.seed()['collection_id']}")
        form = {
            "grant_type": "client_credentials",
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
        }
        token = httpx.post(sandbox.token_url, data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        took_ms = []
        with httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=60) as client:
            for _ in range(rounds + 1):
                begun = time.perf_counter()
                client.post("/process/v1", json=request).raise_for_status()
                took_ms.append((time.perf_counter() - begun) * 1000)
    print(f"NDVI 512 x 512: first {took_ms[0]:.0f} ms, median {median(took_ms[1:]):.0f} ms (100)")


if __name__ == "__main__":
    main()
