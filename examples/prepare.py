"""
Lay out what an example finds when it begins: `python examples/prepare.py 01-first-collection`.

Imagery in the sandbox's buckets, a collection of somebody else, an earlier apply. The tests call the same
functions. Nothing here belongs into a repository: all of it is made below `.shplan/`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

HERE = Path(__file__).parent
SANDBOX = Path(".shplan/sandbox")
# What starts the command line.
SHPLAN = (sys.executable, "-m", "shplan")
# A corner near Ljubljana in EPSG:32633, metres; 512 x 512 pixels of 10 m.
WEST_M, NORTH_M, PIXEL_M, SIZE = 461_000.0, 5_101_000.0, 10.0, 512
# What lies in the buckets of an example: bucket, folders, bands.
IMAGERY: dict[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = {
    "01-first-collection": (("acme-fields", ("2025/06/01", "2025/06/11"), ("B04", "B08")),),
    "02-tiles-from-csv": (
        ("acme-orchards", ("2025/06/01", "2025/06/11", "2025/06/21"), ("B04", "B08")),
    ),
    "26-tiles-from-a-bucket": (("acme-orchards", ("2025/06/01", "2025/06/11"), ("B04", "B08")),),
    "03-tiles-from-geojson": (("acme-meadows", ("2025/06/01", "2025/06/11"), ("B04",)),),
    "04-for-each": (
        ("acme-north", ("2025/06/01",), ("B04",)),
        ("acme-south", ("2025/06/01",), ("B04",)),
    ),
    "05-environments-and-variables": (("acme-2024", ("2024/06/01",), ("B04",)),),
    "06-unmanaged-collection": (("shared", ("2025/06/01",), ("B04",)),),
    "07-moved-and-forget": (("acme-vineyards", ("2025/06/01",), ("B04",)),),
    # Jobs on a public collection find nothing in a bucket.
    "08-evalscript-and-batch": (),
    "09-batch-on-own-imagery": (("acme-orchards", ("2025/06/01", "2025/06/11"), ("B04", "B08")),),
    "10-many-jobs": (),
    "11-rerun-and-limits": (),
    "16-figure-of-a-field": (),
    "17-time-series-of-fields": (),
    "18-asynchronous-image": (),
    "19-batch-statistics": (),
    "20-zarr-group": (),
    "21-batch-collection": (),
    "24-pinned-scenes": (),
    "27-batch-v1": (),
    "25-results-as-a-collection": (),
}
# What else lies there, from the example's own directory: bucket, and the file.
FILES = {"19-batch-statistics": (("acme-areas", "areas/fields.gpkg"),)}
# Zarr groups: bucket, path, arrays.
GROUPS = {"20-zarr-group": ("acme-cubes", "soil/2025.zarr", ("moisture", "temperature"))}
# Somebody else's collections, as the body of the request that makes them.
FOREIGN = {"06-unmanaged-collection": {"name": "Shared by everybody", "s3Bucket": "shared"}}


def prepare(name: str, home: Path) -> None:
    """Lay out everything that the example finds, in its directory or a copy of it."""
    # The earlier repository is applied first: its `.shplan` becomes this one's.
    start = home / "before" if (home / "before").is_dir() else home
    write_imagery(name, start / SANDBOX / "buckets")
    for bucket, file in FILES.get(name, ()):
        target = start / SANDBOX / "buckets" / bucket / Path(file).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home / file, target)
    if name in GROUPS:
        bucket, path, arrays = GROUPS[name]
        write_group(start / SANDBOX / "buckets" / bucket / path, arrays)
    if name in FOREIGN:
        asyncio.run(share(home / SANDBOX, FOREIGN[name]))
    if start != home:
        run_shplan(start, "apply", "--auto-approve")
        shutil.move(start / ".shplan", home / ".shplan")


def write_imagery(name: str, buckets: Path) -> None:
    """Write one COG for each folder and band; the same bytes every time."""
    for bucket, folders, bands in IMAGERY[name]:
        for index, folder in enumerate(folders):
            for band_index, band in enumerate(bands):
                target = buckets / bucket / folder / f"{band}.tiff"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(cog(greenness=index * 3 + band_index * 5))


def cog(*, greenness: int) -> bytes:
    """
    Return a cloud-optimised GeoTIFF of a patchwork of fields.

    Pixels: (512, 512), uint16, no-data 0, EPSG:32633, internal tiles of 256, overviews.
    Integer arithmetic only, so that every machine makes the same bytes.
    """
    rows, columns = np.indices((SIZE, SIZE))
    field = (rows // 40) * 13 + (columns // 56) * 7
    texture = (rows * 31 + columns * 17) % 11
    pixels = ((field * 37 + greenness * 101) % 1800 + 200 + texture * 6).astype("uint16")
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=SIZE,
            height=SIZE,
            count=1,
            dtype="uint16",
            crs=CRS.from_epsg(32633),
            transform=from_origin(WEST_M, NORTH_M, PIXEL_M, PIXEL_M),
            nodata=0,
            blocksize=256,
            compress="DEFLATE",
            overview_resampling="NEAREST",
        ) as raster:
            raster.write(pixels, 1)
        content: bytes = memory.read()
        return content


def write_group(home: Path, arrays: tuple[str, ...]) -> None:
    """Write a Zarr group of two days in June; 64 x 64 pixels of 100 m."""
    import zarr  # noqa: PLC0415 - as the other examples need none of it

    side, pixel_m = 64, 100.0
    centres = pixel_m * (np.arange(side) + 0.5)
    days = {"units": "days since 2025-06-01", "calendar": "proleptic_gregorian"}
    group = zarr.open_group(home, mode="w", zarr_format=2)

    def write(name: str, values: np.ndarray, axes: list[str], **more: object) -> None:
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, **more)
        array[...] = values
        array.attrs["_ARRAY_DIMENSIONS"] = axes

    write("x", WEST_M + centres, ["x"])
    write("y", NORTH_M - centres, ["y"])
    write("time", np.array([4, 14], dtype="i8"), ["time"])
    group["time"].attrs.update(days)
    for number, name in enumerate(arrays):
        values = np.full((2, side, side), 0.25 * (number + 1), dtype="f4")
        write(name, values, ["time", "y", "x"], chunks=(1, side, side), fill_value=-1)


async def share(data: Path, body: dict[str, str]) -> None:
    """Make a collection as another user of the sandbox."""
    import httpx  # noqa: PLC0415 - as the other examples need none of it

    from shplan.sandbox.app import close_app, create_app  # noqa: PLC0415 - the same
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415 - the same
    from shplan.sandbox.settings import Settings  # noqa: PLC0415 - the same

    app = create_app(data, clock=SystemClock(), settings=Settings(seed="shared", speed=20))
    transport = httpx.ASGITransport(app)
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        token = (await client.post("/oauth/token", data=form)).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        made = await client.post("/byoc/v1/collections", json=body, headers=headers)
        made.raise_for_status()
    close_app(app)


def run_shplan(home: Path, *arguments: str, code: int = 0) -> str:
    """
    Run a command as a person would, without settings of this machine.

    Returns:
        what it wrote to stdout

    Raises:
        SystemExit: it left with another exit code
    """
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SH_", "SHPLAN_")) and key != "CI"
    }
    command = [*SHPLAN, *arguments]
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != code:
        shown = " ".join(("shplan", *arguments))
        message = f"{shown}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        raise SystemExit(message)
    return done.stdout


def main(arguments: list[str]) -> int:
    """Prepare one example where it stands."""
    if len(arguments) != 1 or arguments[0] not in IMAGERY:
        sys.stderr.write(f"usage: prepare.py EXAMPLE, one of: {', '.join(IMAGERY)}\n")
        return 1
    home = HERE / arguments[0]
    if (home / ".shplan").exists():
        sys.stderr.write(f"{home / '.shplan'} is there already; remove it to begin again\n")
        return 1
    prepare(arguments[0], home)
    sys.stderr.write(f"{arguments[0]} is prepared\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
