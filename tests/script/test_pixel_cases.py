"""Each script of the table gives its pixels, under both engines."""

from __future__ import annotations

import numpy as np
import pytest

from shplan.script import Worker
from tests.script.pixel_cases import CASES
from tests.script.pixels import render


@pytest.mark.parametrize("name", CASES)
def test_the_pixels_come_out(name: str, worker: Worker) -> None:
    case = CASES[name]
    given = case.given
    if case.bands:
        with worker.begin(case.text, bands=case.bands) as rendering:
            (used,) = rendering.facts.inputs
        given = [{band: given[0][band] for band in used.bands}]
    if case.kept is not None:
        with worker.begin(case.text) as rendering:
            assert rendering.scenes(case.collections).kept == (tuple(case.kept),)
    rendered = render(worker, case.text, given, case.collections, bands=case.bands, **case.options)
    found = {one.facts.id: one.pixels[0, 0] for one in rendered.outputs}
    assert list(found) == list(case.values)
    for output, values in case.values.items():
        np.testing.assert_array_equal(found[output], np.asarray(values, np.float64))
    assert rendered.user_data == case.user_data
