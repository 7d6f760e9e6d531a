"""
One script over the pixels of one test: what goes in, what comes out, and how they differ.

Numbers are handed over as they are stated, and compared as the script returned them: before a
sample type would round or clamp them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shplan.script.errors import ScriptError
from shplan.script.rendering import Collection, Json, Rendered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shplan.script.facts import ScriptFacts
    from shplan.script.rendering import Rendering
    from shplan.script.worker import Worker

_MASK = "dataMask"
_SIMPLE, _ORBIT = "SIMPLE", "ORBIT"
_MOST_TOLD = 5


class CaseError(Exception):
    """
    A test does not fit its script; the message says how.

    Args:
        path: which input, from the test on: source, scene, band
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Given:
    """
    What a source gives a script.

    Args:
        scenes: of each, the values of each band: a number, a row, or (row, column)
        told: what the script is told of each
    """

    scenes: Sequence[Mapping[str, NDArray[np.float64]]]
    told: Sequence[Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Produced:
    """
    What a script made of a test.

    Args:
        shape: of its pixels as they were stated: none for one pixel, a length, or rows and columns
    """

    facts: ScriptFacts
    rendered: Rendered
    shape: tuple[int, ...]


def given_of(scenes: Sequence[Mapping[str, object]], told: Sequence[Mapping[str, Json]]) -> Given:
    """Return what a source gives, from numbers, lists of them, and lists of lists."""
    return Given(
        [{name: np.asarray(value, np.float64) for name, value in one.items()} for one in scenes],
        told,
    )


def produce(
    worker: Worker,
    text: str,
    given: Mapping[str, Given],
    *,
    since: str | None = None,
    until: str | None = None,
) -> Produced:
    """
    Run a script on the pixels of a test.

    Args:
        given: by source, in order; a single one has the key ""

    Raises:
        ScriptError: the script failed
        CaseError: the test gives not what the script asks for
    """
    bands = [name for one in given.values() for scene in one.scenes for name in scene]
    with worker.begin(text, bands=[*bands, _MASK]) as rendering:
        asked = _asked(rendering, given)
        shape = _shape(given)
        fused = len(given) > 1
        collections = [
            Collection(key, mosaicking, _scenes(mosaicking, given[name].told), since, until)
            for key, name, mosaicking, _ in asked
        ]
        prepared = rendering.scenes(collections, fused=fused)
        rows, columns = (1, 1, *shape)[-2:]
        planes = [
            _planes(name, given[name], wanted, kept, mosaicking, (rows, columns))
            for (_, name, mosaicking, wanted), kept in zip(asked, prepared.kept, strict=True)
        ]
        rendered = rendering.render(planes, height=rows, width=columns)
        return Produced(rendering.facts, rendered, shape)


def differences(
    produced: Produced, expected: Mapping[str, Any], *, tolerance: float
) -> Iterator[str]:
    """
    Yield how the values differ from those that were expected.

    Args:
        expected: by output; the key "" is the only output, or `default`. Lists, nested as pixels
            are, with a list for each pixel where the output has several bands; a single value
            counts for all pixels
    """
    outputs = {one.facts.id: one for one in produced.rendered.outputs}
    for name, value in expected.items():
        wanted = name or (next(iter(outputs)) if len(outputs) == 1 else "default")
        if wanted not in outputs:
            yield f"the script has no output {wanted}; it has {', '.join(outputs)}"
            continue
        pixels = outputs[wanted].pixels
        actual = pixels.reshape(*produced.shape, pixels.shape[-1])
        yield from _compared(wanted, np.asarray(value, np.float64), actual, tolerance)


def _asked(
    rendering: Rendering, given: Mapping[str, Given]
) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return what each source is to give: its key, its name in the test, mosaicking and bands."""
    found: dict[str, tuple[str, str, str, tuple[str, ...]]] = {}
    for number, one in enumerate(rendering.facts.inputs):
        key = one.datasource or str(number)
        name = "" if len(given) == 1 and "" in given else key
        if name not in given:
            message = f"the script reads the source {key}, of which the test says nothing"
            raise CaseError(message, "sources")
        before = found.get(name)
        bands = (*(before[3] if before else ()), *one.bands)
        found[name] = (key, name, one.mosaicking, tuple(dict.fromkeys(bands)))
    strays = [name for name in given if name not in found]
    if strays and rendering.facts.inputs:
        message = f"the script reads no source {strays[0]}; it reads {', '.join(found)}"
        raise CaseError(message, "sources", strays[0])
    return list(found.values())


def _scenes(mosaicking: str, told: Sequence[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    """
    Return what a script is told of scenes.

    Source: Evalscript V3: of an orbit its day, with its tiles; of a tile its instant.
    """
    tiles: list[dict[str, Json]] = []
    for one in told:
        at = str(one.get("date") or "")
        tiles.append({**one, "date": at if "T" in at or not at else f"{at}T00:00:00Z"})
    if mosaicking != _ORBIT:
        return tuple({k: v for k, v in one.items() if k != "date" or v} for one in tiles)
    return tuple(
        {
            "dateFrom": f"{str(one['date'])[:10]}T00:00:00Z",
            "dateTo": f"{str(one['date'])[:10]}T23:59:59Z",
            "tiles": [one],
        }
        if one["date"]
        else {"tiles": [{k: v for k, v in one.items() if k != "date"}]}
        for one in tiles
    )


def _shape(given: Mapping[str, Given]) -> tuple[int, ...]:
    """
    Return the shape of the pixels: that of the bands that are no single numbers.

    Raises:
        CaseError: two bands have different ones
    """
    shape: tuple[int, ...] = ()
    for name, source in given.items():
        for number, scene in enumerate(source.scenes):
            for band, values in scene.items():
                if values.ndim > 2:
                    message = f"{band} has more than rows and columns"
                    raise CaseError(message, name, number, band)
                if values.ndim and shape and values.shape != shape:
                    message = f"{band} has {_sized(values.shape)}, others have {_sized(shape)}"
                    raise CaseError(message, name, number, band)
                shape = values.shape or shape
    return shape


def _sized(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) + " values"


def _planes(
    name: str,
    given: Given,
    wanted: Sequence[str],
    kept: Sequence[int],
    mosaicking: str,
    size: tuple[int, int],
) -> dict[str, NDArray[np.float64]]:
    """Return each band's numbers: (scene, row, column), or (row, column) of a single sample."""
    single = mosaicking == _SIMPLE
    if single and len(given.scenes) != 1:
        message = f"the script reads one sample, and the test gives {len(given.scenes)}"
        raise CaseError(message, name)
    for number, scene in enumerate(given.scenes):
        _check_bands(name, number, scene, wanted)
    chosen = given.scenes if single else [given.scenes[one] for one in kept]
    found = {}
    for band in wanted:
        layers = [np.broadcast_to(one.get(band, np.float64(1)), size) for one in chosen]
        stack = np.array(layers, np.float64).reshape(len(layers), *size)
        found[band] = stack[0] if single else stack
    return found


def _check_bands(
    name: str, number: int, scene: Mapping[str, NDArray[np.float64]], wanted: Sequence[str]
) -> None:
    # Where a test says nothing of it, all data are valid.
    missing = [one for one in wanted if one not in scene and one != _MASK]
    if missing:
        message = f"the script reads {missing[0]}, of which the test says nothing"
        raise CaseError(message, name, number)
    strays = [one for one in scene if one not in wanted and one != _MASK]
    if strays:
        message = f"the script reads no band {strays[0]}; it reads {', '.join(wanted)}"
        raise CaseError(message, name, number, strays[0])


def _compared(
    name: str, expected: NDArray[np.float64], actual: NDArray[np.float64], tolerance: float
) -> Iterator[str]:
    fitted = _fitted(expected, actual.shape)
    if fitted is None:
        bands = f", {actual.shape[-1]} bands each" if actual.shape[-1] != 1 else ""
        pixels = _sized(actual.shape[:-1]) if actual.ndim > 1 else "one value"
        wanted = _sized(expected.shape) if expected.ndim else "one value"
        yield f"{name}: {wanted} were expected, the script made {pixels}{bands}"
        return
    near = np.isclose(actual, fitted, rtol=0.0, atol=tolerance, equal_nan=True)
    places = np.argwhere(~near)
    for place in places[:_MOST_TOLD]:
        at = tuple(int(one) for one in place)
        wanted_value, value = float(fitted[at]), float(actual[at])
        off = (
            f" (off by {abs(value - wanted_value):.6g})"
            if np.isfinite(value - wanted_value)
            else ""
        )
        where = _where(at, actual.shape)
        yield f"{name}{where}: expected {_shown(wanted_value)}, got {_shown(value)}{off}"
    if len(places) > _MOST_TOLD:
        yield f"{name}: and {len(places) - _MOST_TOLD} more of {actual.size} values differ"


def _fitted(expected: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Return the expected values as (row, column, band); None where they do not fit."""
    if expected.shape == shape:
        return expected
    if shape[-1] == 1 and expected.shape == shape[:-1]:
        return expected[..., np.newaxis]
    if expected.ndim == 0 or expected.shape == shape[-1:]:
        return np.broadcast_to(expected, shape)
    # One pixel may be written as a row, or an image, of one.
    if len(shape) == 1 and expected.shape in ((1, *shape), (1, 1, *shape)):
        return expected.reshape(shape)
    return None


def _where(at: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Word a place, counted from 1 as people count pixels."""
    *pixel, band = at
    words = []
    if len(pixel) == 1:
        words.append(f"pixel {pixel[0] + 1}")
    elif pixel:
        words.append(f"row {pixel[0] + 1}, column {pixel[1] + 1}")
    if shape[-1] > 1:
        words.append(f"band {band + 1}")
    return f" at {', '.join(words)}" if words else ""


def _shown(value: float) -> str:
    return "no number" if np.isnan(value) else f"{value:.9g}"


__all__ = ["CaseError", "Given", "Produced", "ScriptError", "differences", "given_of", "produce"]
