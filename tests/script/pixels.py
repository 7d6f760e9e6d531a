"""Scripts over a few pixels: what tests of rendering share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from shplan.script import Worker
from shplan.script.rendering import Collection, Rendered

ALONE = Collection()


def v3(
    evaluate: str,
    *,
    input: str = '["B04", "B08"]',  # noqa: A002 as the member is called
    output: str = "{bands: 1}",
    mosaicking: str = "SIMPLE",
    top: str = "",
    more: str = "",
) -> str:
    """`evaluate` is the body of evaluatePixel() and stands on line 6."""
    return (
        f"//VERSION=3\n{top}\nfunction setup() {{\n"
        f"  return {{input: {input}, output: {output}, mosaicking: {mosaicking!r}}}; }}\n"
        f"function evaluatePixel(samples, scenes, inputMetadata, customData, outputMetadata) {{\n"
        f"{evaluate}\n}}\n{more}"
    )


def planes(height: int, width: int, **bands: ArrayLike) -> dict[str, np.ndarray]:
    """Bands as planes; a number is the same everywhere."""
    return {
        name: np.broadcast_to(np.asarray(value, np.float64), (height, width)).copy()
        for name, value in bands.items()
    }


def stacked(height: int, width: int, scenes: int, **bands: ArrayLike) -> dict[str, np.ndarray]:
    """Bands of several scenes: one number for each."""
    shape = (scenes, height, width)
    return {
        name: np.broadcast_to(
            np.asarray(values, np.float64).reshape(-1, 1, 1)[:scenes], shape
        ).copy()
        if scenes
        else np.empty(shape)
        for name, values in bands.items()
    }


def render(
    worker: Worker,
    text: str,
    given: Mapping[str, np.ndarray] | Sequence[Mapping[str, np.ndarray]],
    collections: Sequence[Collection] | Collection = ALONE,
    *,
    bands: Sequence[str] = (),
    **options: object,
) -> Rendered:
    """Run a script as a whole."""
    sources = [given] if isinstance(given, Mapping) else list(given)
    several = [collections] if isinstance(collections, Collection) else list(collections)
    height, width = next((one.shape[-2:] for source in sources for one in source.values()), (1, 1))
    with worker.begin(text, bands=bands) as rendering:
        rendering.scenes(several, **options)  # type: ignore[arg-type]
        return rendering.render(sources, height=height, width=width)


def first(rendered: Rendered, output: int = 0) -> list[float]:
    """The values of the first pixel."""
    return [float(one) for one in rendered.outputs[output].pixels[0, 0]]
