"""What holds for every image: the same bytes, however it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shplan.script import Fault, Limits, ScriptError, Worker
from shplan.script.rendering import Collection
from tests.script.pixel_cases import orbits
from tests.script.pixels import render, v3
from tests.script.scripts import ENGINES
from tests.script.test_worker import needs_proc, process_of

SCRIPT = v3(
    "const v = (samples.B08 - samples.B04) / (samples.B08 + samples.B04);"
    " return {default: [v, Math.sqrt(samples.B04), v > 0.3], index: viz.process(v)};",
    output='[{id: "default", bands: 3}, {id: "index", bands: 3}]',
    top="const viz = ColorRampVisualizer.createBlueRed(-1, 1);",
)
MANY = v3(
    "let best = NaN; for (const s of samples) if (!(s.B04 <= best)) best = s.B04; return [best, samples.length];",
    mosaicking="ORBIT",
    output="{bands: 2}",
)
TYPES = [np.float32, np.float64, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32]
VALUES = st.floats(-2, 2, width=32)


@pytest.fixture(scope="module")
def rows() -> Iterator[Worker]:
    """A worker that hands over a row at a time."""
    with Worker(limits=Limits(time_s=20, block_mb=0)) as worker:
        yield worker


def images(*, bands: int = 2) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.just(bands), st.integers(1, 5), st.integers(1, 6))
    return shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=VALUES))


def both(worker: Worker, image: np.ndarray, text: str = SCRIPT) -> list[bytes]:
    rendered = render(worker, text, {"B04": image[0], "B08": image[1]})
    return [one.pixels.tobytes() for one in rendered.outputs]


@given(images())
@settings(max_examples=30, deadline=None)
def test_the_same_twice_is_the_same_bytes(workers: dict[str, Worker], image: np.ndarray) -> None:
    """Under either engine, NaN included."""
    found = [both(workers[engine], image) for engine in (*ENGINES, *ENGINES)]
    assert found == [found[0]] * 4


@given(images(), st.data())
@settings(max_examples=30, deadline=None)
def test_an_image_cut_in_rows_has_the_same_pixels(
    workers: dict[str, Worker], rows: Worker, image: np.ndarray, data: st.DataObject
) -> None:
    """By us, or by who asks."""
    whole = render(workers["v8"], SCRIPT, {"B04": image[0], "B08": image[1]})
    cut = data.draw(st.integers(0, image.shape[1]))
    parts = [
        render(workers["v8"], SCRIPT, {"B04": part[0], "B08": part[1]})
        for part in (image[:, :cut], image[:, cut:])
        if part.size
    ]
    assert both(rows, image) == [one.pixels.tobytes() for one in whole.outputs]
    for number, one in enumerate(whole.outputs):
        joined = np.concatenate([part.outputs[number].pixels for part in parts])
        assert joined.tobytes() == one.pixels.tobytes()


@given(images())
@settings(max_examples=20, deadline=None)
def test_the_order_of_bands_does_not_matter(workers: dict[str, Worker], image: np.ndarray) -> None:
    there = render(workers["v8"], SCRIPT, {"B04": image[0], "B08": image[1]})
    back = render(workers["quickjs"], SCRIPT, {"B08": image[1], "B04": image[0]})
    for one, other in zip(there.outputs, back.outputs, strict=True):
        assert one.pixels.tobytes() == other.pixels.tobytes()


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_scenes_come_in_order_at_every_pixel(
    workers: dict[str, Worker], rows: Worker, scenes: int, height: int, width: int, chance: object
) -> None:
    seed = chance.randrange(1 << 30)  # type: ignore[attr-defined]
    b04 = np.random.default_rng(seed).random((scenes, height, width))
    days = tuple(f"2025-06-{day:02d}" for day in range(scenes, 0, -1))
    collection = Collection("", "ORBIT", orbits(*days))  # type: ignore[arg-type]
    for one in (workers["v8"], workers["quickjs"], rows):
        pixels = render(one, MANY, {"B04": b04}, collection).outputs[0].pixels
        assert np.array_equal(pixels[..., 0], b04.max(axis=0))
        assert np.all(pixels[..., 1] == scenes)


@pytest.mark.parametrize("dtype", [*TYPES, np.bool_, np.int64, np.float16, ">f4", ">u2"])
def test_numbers_are_the_same_in_every_type(dtype: object, worker: Worker) -> None:
    """Also next to a plane of another, and where rows leave an odd number of bytes."""
    small = np.array([[0, 1, 1], [1, 0, 1], [0, 1, 0]])
    b08 = np.array([[0.25, -1, 1e300]] * 3)
    text = v3("return [samples.B04, samples.B08, samples.B04 + 1];", output="{bands: 3}")
    pixels = render(worker, text, {"B04": small.astype(dtype), "B08": b08}).outputs[0].pixels  # type: ignore[call-overload]
    assert np.array_equal(pixels[..., 0], small)
    assert np.array_equal(pixels[..., 1], b08)
    assert np.array_equal(pixels[..., 2], small + 1)


def test_what_is_not_contiguous_is_handed_over_as_it_is_seen(worker: Worker) -> None:
    image = np.arange(24.0).reshape(4, 6)
    text = v3("return [samples.B04, samples.B08];", output="{bands: 2}")
    pixels = (
        render(worker, text, {"B04": image[::2, ::-2], "B08": image.T[:3, 1:3].T}).outputs[0].pixels
    )
    assert np.array_equal(pixels[..., 0], image[::2, ::-2])
    assert np.array_equal(pixels[..., 1], image.T[:3, 1:3].T)


def test_no_pixel_sees_what_another_did_to_its_samples(worker: Worker) -> None:
    text = v3(
        "const before = samples[0].B04 + samples.length; samples[0].B04 = 99; samples.push({}); return [before];",
        mosaicking="ORBIT",
    )
    collection = Collection("", "ORBIT", orbits("2025-06-01"))  # type: ignore[arg-type]
    pixels = (
        render(worker, text, {"B04": np.array([[[1.0, 2.0, 3.0]]])}, collection).outputs[0].pixels
    )
    assert pixels.ravel().tolist() == [2, 3, 4]


def test_the_top_level_runs_once_for_all_blocks(rows: Worker) -> None:
    text = v3("n++; return [n];", top="let n = 0;")
    pixels = (
        render(rows, text, {"B04": np.zeros((3, 2)), "B08": np.zeros((3, 2))}).outputs[0].pixels
    )
    assert pixels.ravel().tolist() == [1, 2, 3, 4, 5, 6]


def test_a_simple_script_is_asked_until_it_tells_its_bands(rows: Worker) -> None:
    """The first rows are outside of what is looked at."""
    text = "if (dataMask) return [B04, B04, 1];"
    given = {
        "B04": np.array([[1.0], [2.0], [3.0]]),
        "dataMask": np.array([[0], [0], [1]], np.uint8),
    }
    pixels = render(rows, text, given, bands=["B04", "dataMask"]).outputs[0].pixels
    assert pixels.shape == (3, 1, 3)
    assert np.isnan(pixels[:2]).all()
    assert pixels[2, 0].tolist() == [3, 3, 1]


def test_no_plane_at_all_is_no_hindrance(worker: Worker) -> None:
    """A script that reads nothing, as one over no scenes does."""
    with worker.begin(v3("return [7];", mosaicking="ORBIT")) as rendering:
        rendering.scenes([Collection("", "ORBIT")])
        pixels = rendering.render([{}], height=2, width=3).outputs[0].pixels
    assert pixels.tolist() == [[[7]] * 3] * 2


def test_what_is_asked_of_one_rendering_after_another_began_is_refused(worker: Worker) -> None:
    first = worker.begin(v3("return [1];"))
    second = worker.begin(v3("return [2];"))
    with pytest.raises(ScriptError) as caught:
        first.render([{"B04": np.zeros((1, 1))}], height=1, width=1)
    assert caught.value.fault is Fault.ENGINE
    assert (
        second.render([{"B04": np.zeros((1, 1))}], height=1, width=1).outputs[0].pixels[0, 0, 0]
        == 2
    )


def test_bands_of_a_simple_script_are_found_by_their_names(worker: Worker) -> None:
    given = {"B08": np.array([[8.0]]), "B04": np.array([[4.0]]), "B02": np.array([[2.0]])}
    pixels = render(worker, "return [B04, B08];", given, bands=list(given)).outputs[0].pixels
    assert pixels.tolist() == [[[4, 8]]]


@needs_proc
def test_more_memory_is_allowed_as_pixels_need_it() -> None:
    text = v3("return [samples.B04];")
    with Worker(engine="quickjs", limits=Limits(time_s=20, data_mb=300)) as worker:
        image = np.zeros((1000, 1000))
        assert render(worker, text, {"B04": image, "B08": image}).outputs[0].pixels.sum() == 0
        lines = Path(f"/proc/{process_of(worker).pid}/limits").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith("Max data size"))
    assert int(line.split()[3]) == (300 << 20) + 8 * 24 * 1000 * 1000
