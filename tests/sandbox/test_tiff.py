from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shplan.sandbox import tiff

from .support import write_cog


def test_header_of_a_cog_ends_where_its_data_begins(tmp_path: Path) -> None:
    file = write_cog(tmp_path / "a.tif", size=1024)
    with rasterio.open(file) as raster:
        offsets = [
            int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1, ovr=level))
            for level in range(len(raster.overviews(1)))
        ]
        offsets.append(int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1)))
    # The data of a tile is led by its size in four bytes.
    assert 0 <= min(offsets) - 4 - tiff.read(file).header_bytes < 16


def test_images_are_told_apart(tmp_path: Path) -> None:
    file = write_cog(tmp_path / "a.tif", size=1024, bands=3, dtype="uint8", add_mask="YES")
    main, *others = tiff.read(file).images
    assert (main.width, main.height, main.tile) == (1024, 1024, (256, 256))
    assert (main.samples, main.bits, main.sample_format) == (3, (8, 8, 8), (1, 1, 1))
    assert not main.is_overview
    assert [image.width for image in others if image.is_overview] == [512, 256]


@pytest.mark.parametrize("content", [b"", b"II*", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"PNG" * 9])
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(content)
    with pytest.raises(tiff.TiffError):
        tiff.read(file)


def test_directories_in_a_circle_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    entry = b"\x00\x01\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00"
    other = b"\x01\x01\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00"
    file.write_bytes(b"II*\0\x08\0\0\0" + b"\x02\0" + entry + other + b"\x08\0\0\0")
    with pytest.raises(tiff.TiffError, match="do not end"):
        tiff.read(file)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.data())
def test_damage_is_an_error_of_our_own(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "sound.tif"
    if not file.exists():
        write_cog(file)
    content = bytearray(file.read_bytes()[:2000])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(content)
    with suppress(tiff.TiffError):
        assert tiff.read(damaged).images is not None
