"""Scripts over pixels, from the facts to the values."""

from __future__ import annotations

import numpy as np
import pytest

from shplan.script import Fault, ScriptError, Worker
from tests.script.pixels import first, planes, render, v3

NDVI = v3("return [(samples.B08 - samples.B04) / (samples.B08 + samples.B04)];")


def test_ndvi_is_that_of_numpy(worker: Worker) -> None:
    rng = np.random.default_rng(7)
    b04, b08 = rng.random((2, 40, 30))
    rendered = render(worker, NDVI, {"B04": b04, "B08": b08})
    (output,) = rendered.outputs
    assert output.facts.id == "default"
    assert output.pixels.shape == (40, 30, 1)
    assert np.array_equal(output.pixels[..., 0], (b08 - b04) / (b08 + b04))


def test_a_simple_script_uses_what_it_names(worker: Worker) -> None:
    text = "let v = B04 * 2.5; // not B02\nreturn [v, B03, 1];"
    with worker.begin(text, bands=("B02", "B03", "B04")) as rendering:
        assert rendering.facts.inputs[0].bands == ("B03", "B04")
        given = planes(1, 2, B03=3, B04=4)
        rendered = rendering.render([given], height=1, width=2)
    assert first(rendered) == [10, 3, 1]


def test_what_is_thrown_for_a_pixel_has_its_line(worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        render(worker, v3("\nreturn [samples.B99.x];"), planes(1, 1, B04=1, B08=2))
    assert (caught.value.fault, caught.value.line) == (Fault.RUNTIME, 7)
