"""
Draw what a batch job delivered: `python scripts/picture.py RESULT.tif PICTURE.png [LEAST GREATEST]`.

Takes the first band of a GeoTIFF, cuts off what has no data around it, and paints it in the colours of
`shplan evalscript render`; no data are transparent.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import get_data_window

from shplan.core.pictures import PALETTE


def painted(values: np.ndarray, least: float, greatest: float) -> np.ndarray:
    """
    Paint numbers, NaN for no data.

    Returns:
        red, green, blue and alpha, (band, row, column), uint8
    """
    share = np.clip((values - least) / (greatest - least), 0, 1)
    places = [place for place, _ in PALETTE]
    colours = [
        np.interp(share, places, [colour[channel] for _, colour in PALETTE]) for channel in range(3)
    ]
    alpha = np.where(np.isnan(values), 0, 255)
    picture = np.stack([*np.where(np.isnan(values), 0, colours), alpha])
    return np.floor(picture + 0.5).astype("uint8")


def draw(result: Path, picture: Path, *, least: float, greatest: float) -> None:
    """Draw one file."""
    with rasterio.open(result) as raster:
        whole = raster.read(1, masked=True).astype("float64").filled(np.nan)
    window = get_data_window(np.nan_to_num(whole, nan=-9e9), nodata=-9e9)
    colours = painted(whole[window.toslices()], least, greatest)
    picture.parent.mkdir(parents=True, exist_ok=True)
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        rasterio.open(
            picture,
            "w",
            driver="PNG",
            count=4,
            height=colours.shape[1],
            width=colours.shape[2],
            dtype="uint8",
        ) as raster,
    ):
        raster.write(colours)


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("range", type=float, nargs="*", default=[0.0, 1.0])
    given = parser.parse_args()
    least, greatest = given.range
    draw(given.result, given.picture, least=least, greatest=greatest)


if __name__ == "__main__":
    main()
