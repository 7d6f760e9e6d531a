"""COGs as they are laid out, read by rasterio and, for the structure of the file, by our own reader of TIFFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shplan.sandbox import cog_writing
from shplan.sandbox.batch_v1_requests import as_version_2
from shplan.sandbox.cog_writing import CogError
from shplan.sandbox.raster_sources import Grid
from shplan.sandbox.tiff import read as structure_of

from . import processing as p
from .features import raster

GRID = Grid(32633, *p.WHOLE, p.SIZE, p.SIZE)
NUMBERS = p.numbers(4)


def cog(data: np.ndarray = NUMBERS, *, no_data: float | None = None, **parameters: Any) -> bytes:
    """A COG of these numbers, (row, column) or (row, column, band)."""
    said = cog_writing.parameters_of({"cogOutput": True, "cogParameters": parameters})
    assert said is not None
    pixels = data[:, :, np.newaxis] if data.ndim == 2 else data
    return cog_writing.encoded(pixels, said, grid=GRID, no_data=no_data)


def test_only_who_asks_for_cogs_gets_them() -> None:
    assert cog_writing.parameters_of({"cogParameters": {"blockxsize": 512}}) is None
    assert cog_writing.parameters_of({"cogOutput": False}) is None


def test_without_parameters_a_cog_has_those_of_the_service() -> None:
    with raster(cog()) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        assert file.block_shapes == [(256, 256)]
        # The first that is not larger than a block is the last.
        assert file.overviews(1) == [2]
        assert file.crs.to_epsg() == 32633
        assert list(file.bounds) == p.WHOLE
        assert np.array_equal(file.read(1), NUMBERS)


def test_version_1_has_larger_blocks_unless_said() -> None:
    grid = {"tilingGrid": {"id": 0, "resolution": 10}}
    said: dict[str, Any] = {"cogOutput": True, "cogParameters": {"blockxsize": 512}}
    output = as_version_2({"processRequest": {}, **grid, "output": said})["output"]
    assert isinstance(output, dict)
    found = cog_writing.parameters_of(output)
    assert found is not None
    assert (found.block, found.smallest) == ((512, 1024), 512)


def test_directories_come_first_and_overviews_from_large_to_small(tmp_path: Path) -> None:
    place = tmp_path / "cog.tif"
    place.write_bytes(cog(overviewMinSize=100))
    structure = structure_of(place)
    assert [one.width for one in structure.images] == [512, 256, 128, 64]
    assert [one.is_overview for one in structure.images] == [False, True, True, True]
    assert {one.tile for one in structure.images} == {(256, 256)}
    # Whoever has the first two kilobytes knows where all pixels lie.
    assert structure.header_bytes < 2048 < len(place.read_bytes())


def test_an_overview_is_the_average_unless_said() -> None:
    small = NUMBERS.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    with raster(cog(), overview_level=0) as file:
        assert np.abs(file.read(1) - small).max() <= 0.5
    with raster(cog(resamplingAlgorithm="nearest"), overview_level=0) as file:
        found = file.read(1)
    # One of the four, and no average.
    corners = NUMBERS.reshape(256, 2, 256, 2).swapaxes(1, 2).reshape(256, 256, 4)
    assert (found[:, :, np.newaxis] == corners).any(axis=2).all()


@pytest.mark.parametrize(
    "name",
    ["nearest", "average", "gauss", "cubic", "cubicspline", "lanczos", "average_magphase", "mode"],
)
def test_every_algorithm_makes_overviews(name: str) -> None:
    with raster(cog(resamplingAlgorithm=name), overview_level=0) as file:
        assert file.shape == (256, 256)
        assert file.read(1).any()


@pytest.mark.parametrize(
    ("parameters", "block", "levels"),
    [
        ({"blockxsize": 512, "blockysize": 128}, (128, 512), [2, 4]),
        ({"blockxsize": 272, "blockysize": 1600}, (1600, 272), [2]),
        ({"blockxsize": 1024, "blockysize": 1024}, (1024, 1024), []),
        ({"blockxsize": 128, "blockysize": 128, "overviewMinSize": 256}, (128, 128), [2]),
        ({"overviewMinSize": 100}, (256, 256), [2, 4, 8]),
        ({"overviewMinSize": 0}, (256, 256), [2, 4, 8, 16, 32, 64, 128, 256, 512]),
        ({"overviewLevels": [7, 3, 3]}, (256, 256), [3, 7]),
        ({"overviewLevels": [1, 2_000_000_000]}, (256, 256), []),
        ({"overviewLevels": []}, (256, 256), []),
    ],
    ids=str,
)
def test_blocks_and_overviews_are_as_requested(
    parameters: dict[str, Any], block: tuple[int, int], levels: list[int]
) -> None:
    with raster(cog(**parameters)) as file:
        assert file.block_shapes == [block]
        assert file.overviews(1) == levels
        assert np.array_equal(file.read(1), NUMBERS)


@pytest.mark.parametrize(
    ("dtype", "predictor"), [("uint8", "2"), ("uint16", "2"), ("int16", "2"), ("float32", "3")]
)
def test_the_predictor_is_that_of_the_sample_type(dtype: str, predictor: str) -> None:
    data = np.dstack([NUMBERS % 251, NUMBERS % 13]).astype(dtype)
    with raster(cog(data)) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == predictor
        assert file.tags(ns="IMAGE_STRUCTURE")["INTERLEAVE"] == "PIXEL"
        assert file.dtypes == (dtype,) * 2
        assert np.array_equal(np.moveaxis(file.read(), 0, -1), data)
    with raster(cog(data, usePredictor=False)) as file:
        assert "PREDICTOR" not in file.tags(ns="IMAGE_STRUCTURE")
        assert np.array_equal(np.moveaxis(file.read(), 0, -1), data)


def test_floats_that_are_no_numbers_are_left_out_of_overviews() -> None:
    data = NUMBERS.astype("float32")
    data[::2] = np.nan
    with raster(cog(data, no_data=np.nan), overview_level=0) as file:
        expected = data[1::2].reshape(256, 256, 2).mean(axis=2)
        assert np.allclose(file.read(1), expected)


def test_many_bands_lie_in_planes_of_their_own() -> None:
    with raster(cog(np.dstack([NUMBERS] * 11))) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["INTERLEAVE"] == "BAND"
        assert file.count == 11


def test_the_same_pixels_have_the_same_bytes() -> None:
    assert cog() == cog()


@pytest.mark.parametrize("side", [2**31 - 16, 65_536])
def test_blocks_without_bound_are_refused(side: int) -> None:
    with pytest.raises(CogError, match=f"{side} x {side} pixels are too large"):
        cog(blockxsize=side, blockysize=side)
