"""The pixels that are made up for a look at a script take the branches that real ones take."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shplan.manifest.script_values import samples_of
from shplan.script import InputFacts


def columns(*bands: str, scenes: int = 1, number: int = 0) -> list[list[float]]:
    """Return the values of each band at each pixel, scene after scene."""
    given = InputFacts(bands, (), "", "ORBIT", ())
    pixels = samples_of(given, scenes, None, number=number).pixels
    return [
        [float(pixel[scene][band] or 0.0) for pixel in pixels]
        for scene in range(scenes)
        for band in range(len(bands))
    ]


@pytest.mark.parametrize("pair", [("B04", "B08"), ("B03", "B04"), ("red", "nir")])
def test_an_index_of_two_bands_goes_through_its_range(pair: tuple[str, str]) -> None:
    """A threshold anywhere in the middle has pixels on both of its sides."""
    one, other = columns(*pair)
    found = [(b - a) / (a + b) for a, b in zip(one, other, strict=True) if a + b]
    steps = [-1.0, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0]
    assert all(any(low <= index <= high for index in found) for low, high in pairwise(steps))


def test_two_inputs_and_two_days_are_not_the_same_image() -> None:
    (first,), (second,) = columns("DEM"), columns("DEM", number=1)
    early, late = columns("B04", scenes=2)
    for one, other in ((first, second), (early, late)):
        gaps = [a - b for a, b in zip(one, other, strict=True)]
        assert len({round(gap, 6) for gap in gaps}) > len(gaps) / 2


def test_every_class_is_in_every_scene() -> None:
    for found in columns("SCL", scenes=3):
        assert set(found) == set(range(12))


@pytest.mark.parametrize(
    ("name", "usual"), [("dataMask", 1.0), ("clear", 1.0), ("CLM", 0.0), ("shadowMask", 0.0)]
)
def test_most_of_the_ground_is_seen(name: str, usual: float) -> None:
    (found,) = columns(name)
    assert set(found) == {0.0, 1.0}
    assert found.count(usual) > len(found) / 2


@pytest.mark.parametrize("name", ["QA", "SR_QA_AEROSOL", "udm1"])
def test_what_the_service_keeps_in_a_byte_fits_there(name: str) -> None:
    (found,) = columns(name)
    assert 128 < max(found) <= 255


@pytest.mark.parametrize("scenes", [1, 2, 28, 29, 58])
def test_every_scene_has_data_at_most_pixels_and_none_at_some(scenes: int) -> None:
    for found in columns("B04", scenes=scenes):
        assert 0 < found.count(0.0) < len(found) / 8


def test_the_same_pixels_are_made_up_each_time() -> None:
    assert columns("B04", "VV", "SCL", scenes=2) == columns("B04", "VV", "SCL", scenes=2)
