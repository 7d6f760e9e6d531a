"""Functions by arithmetic alone: as near to the truth as those of libraries."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import imagery, scenes
from shplan.sandbox.scenes import exact
from shplan.sandbox.scenes.noise import Floats

OF_ONE: list[tuple[Callable[[Floats], Floats], Callable[[float], float], float]] = [
    (exact.sine, math.sin, 40.0),
    (exact.cosine, math.cos, 40.0),
    (exact.arctan, math.atan, 1e6),
    (exact.arcsin, math.asin, 1.0),
    (exact.arccos, math.acos, 1.0),
    (exact.exp, math.exp, 30.0),
    (exact.arsinh, math.asinh, 1e4),
    (lambda x: exact.sinh_cosh(x)[0], math.sinh, 5.0),
    (lambda x: exact.sinh_cosh(x)[1], math.cosh, 5.0),
    (lambda x: exact.log(np.abs(x) + 1e-9), lambda x: math.log(abs(x) + 1e-9), 1e6),
]


@pytest.mark.parametrize(("mine", "true", "most"), OF_ONE)
def test_functions_are_right_to_fourteen_digits(
    mine: Callable[[Floats], Floats], true: Callable[[float], float], most: float
) -> None:
    steps = np.linspace(-1.0, 1.0, 1_001)
    at = np.concatenate([steps * most, steps**3 * most, steps * 1e-6])
    expected = np.array([true(one) for one in at.tolist()])
    assert np.abs(mine(at) - expected).max() <= 1e-14 * max(1.0, np.abs(expected).max())
    assert np.allclose(mine(at), expected, rtol=1e-13, atol=3e-15)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_directions_are_right_in_all_quarters(y: float, x: float) -> None:
    found = float(exact.arctan2(np.array([y]), np.array([x]))[0])
    # Nothing has no sign here, so what looks west has one angle.
    assert found == pytest.approx(math.atan2(y + 0.0, x + 0.0), abs=1e-14) or (x == 0.0 == y)


FORBIDDEN = {
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "hypot", "cbrt", "einsum",
    "dot", "matmul", "linalg", "polyfit", "mean", "std", "var", "fft", "interp", "random",
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for room in (imagery, scenes) for path in sorted(Path(room.__path__[0]).glob("*.py"))],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_pixels_and_scenes_are_made_by_arithmetic_alone(path: Path) -> None:
    """Functions that round as a library or a processor likes are called nowhere."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "np"
    }
    assert not used & FORBIDDEN
