"""
`shplan init`: a new project that works at once, on the sandbox, with real imagery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

TEMPLATE = Path(__file__).parent / "template"
BUCKET = Path(".shplan/sandbox/buckets/fields")
# Where the manifests of the template tell editors to look; made anew on every machine.
SCHEMA = Path(".shplan/schema.json")
# Acquisitions that the template declares, and the bands of each.
DATES = ("2025/06/01", "2025/06/11")
BANDS = ("B04", "B08")
IGNORED = ".shplan/\n"
# A corner near Ljubljana in EPSG:32633, metres; 512 x 512 pixels of 10 m.
WEST_M, NORTH_M, PIXEL_M, SIZE = 461_000.0, 5_101_000.0, 10.0, 512


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the project; the directory's by default.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(directory: Path, *, name: str | None, force: bool) -> int:
    """
    Make a new project in DIR that works at once, on the sandbox.

    Writes a collection with two tiles, an area of interest, and small real COGs into the
    sandbox's bucket.
    """
    from shplan.cli.embedded import require_packages  # noqa: PLC0415

    require_packages()
    called = name or project_name(directory.resolve().name)
    files = dict(texts(called))
    there = sorted(path for path in files if (directory / path).exists())
    if there and not force:
        listed = "".join(f"\n  {directory / path}" for path in there)
        message = f"these files are there already:{listed}\nUse --force to overwrite them."
        raise click.ClickException(message)
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    write_imagery(directory / BUCKET)
    write_schema(directory / SCHEMA)
    where = "" if directory == Path() else f"  cd {directory}\n"
    click.echo(f"Project {called} is ready, with two real tiles in the sandbox's bucket. Next:\n")
    click.echo(f"{where}  shplan plan\n  shplan apply")
    return 0


def project_name(directory: str) -> str:
    """Make a valid name of a directory's: letters, digits, dots, dashes and underscores."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", directory).strip("-._")
    return kept or "project"


def texts(name: str) -> Iterator[tuple[str, str]]:
    """Yield each file of the template with its content, by its path in the project."""
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(TEMPLATE).as_posix(), text.replace("@NAME@", name)
    yield ".gitignore", IGNORED


def write_schema(target: Path) -> None:
    """Write the schema of all kinds for the editors of this machine."""
    import shutil  # noqa: PLC0415

    from shplan.schema.store import path_of  # noqa: PLC0415

    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path_of("shplan"), target)


def write_imagery(bucket: Path) -> None:
    """Write one COG for each date and band; the same bytes every time."""
    for index, date in enumerate(DATES):
        for band_index, band in enumerate(BANDS):
            target = bucket / date / f"{band}.tiff"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(cog(greenness=index * 3 + band_index * 5))


def cog(*, greenness: int) -> bytes:
    """
    Return a cloud-optimised GeoTIFF of a patchwork of fields.

    Pixels: (512, 512), uint16, no-data 0, EPSG:32633, internal tiles of 256, overviews.
    Integer arithmetic only, so that every machine makes the same bytes.
    """
    import numpy as np  # noqa: PLC0415
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.io import MemoryFile  # noqa: PLC0415
    from rasterio.transform import from_origin  # noqa: PLC0415

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
