"""
Buckets full of real COGs, written once a session and hard-linked into each test's world.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.cogs import cog_bytes

FOLDERS = ("2025/06/01", "2025/06/02", "2025/06/03", "late season")


@dataclass(frozen=True)
class Material:
    """
    One bucket: the same folders everywhere, each with one file a band.

    Args:
        bits, form: what a band's configuration says of these files
        nodata: the files' own nodata tag
    """

    bucket: str
    bands: tuple[str, ...]
    dtype: str
    bits: int
    form: str
    nodata: int | None
    no_data_values: tuple[float, ...]


MATERIALS = (
    Material("fields", ("B04", "B08"), "uint16", 16, "UINT", 0, (0, 1, 65535)),
    Material("fields-copy", ("B04", "B08"), "uint16", 16, "UINT", 0, (0, 1, 65535)),
    Material("bytes", ("B04",), "uint8", 8, "UINT", None, (0, 255)),
    Material("signed", ("B04", "B08"), "int16", 16, "INT", -1, (-1, -32768, 0)),
    Material("heights", ("B04",), "float32", 32, "FLOAT", None, (-9999, 0, 0.5)),
)


@cache
def library() -> Path:
    """Write every bucket once; the directory lives as long as the process."""
    home = Path(tempfile.mkdtemp(prefix="imagery-"))
    for material in MATERIALS:
        content = cog_bytes(dtype=material.dtype, nodata=material.nodata)
        for folder in FOLDERS:
            place = home / material.bucket / folder
            place.mkdir(parents=True)
            for band in material.bands:
                (place / f"{band}.tiff").write_bytes(content)
    return home


def lay_out(buckets: Path, *names: str) -> None:
    """Link buckets into a sandbox's data directory; all of them where none is named."""
    chosen = names or tuple(material.bucket for material in MATERIALS)
    for name in chosen:
        shutil.copytree(library() / name, buckets / name, copy_function=_link)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
    return target
