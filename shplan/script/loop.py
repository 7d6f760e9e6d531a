"""
The text of the loop over the pixels: JavaScript, made for the bands and outputs of one request.

A sample is an object literal with the bands as members; where there are several scenes, a list of them. The
values that come back are stored as doubles, pixel by pixel; storing converts as JavaScript does. What is no
list goes to `single`, `whole` and `stray` of `pixels.js`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Up to so many values the stores are written out; beyond, they are a loop.
_UNROLLED = 16


class SourceShape(NamedTuple):
    """
    What one source gives for a pixel.

    Args:
        id: the member under which several sources are told apart
        bands: in the order of the planes
        scenes: how many samples there are, None where a sample stands alone and in no list
    """

    id: str
    bands: tuple[str, ...]
    scenes: int | None


class OutputShape(NamedTuple):
    """The name of an output and how many values it takes."""

    id: str
    bands: int


def loop_source(
    sources: Sequence[SourceShape], outputs: Sequence[OutputShape], *, fused: bool
) -> str:
    """
    Return the text of a function that makes the loop.

    Args:
        fused: whether the samples are told apart by source
    """
    samples, lists = _samples(sources, fused=fused)
    call = f"run({samples}, scenes, inputMetadata, customData, outputMetadata)"
    planes = sum(len(one.bands) for one in sources)
    return _function(planes, [*lists, f"const value = {call};", *_stores(outputs)], outputs)


def simple_loop_source(bands: int, outputs: Sequence[OutputShape]) -> str:
    """Return the text of a function that makes the loop for a script whose bands are its variables."""
    call = f"const value = {_simple_call(bands)};"
    return _function(bands, [call, *_stores(outputs)], outputs)


def probe_source(bands: int) -> str:
    """Return the text of a function that finds how many values a script without outputs returns."""
    return f"""\
(function (run, tools) {{
"use strict";
const isArray = tools.isArray;
return function (count, planes) {{
{_planes(bands)}
for (let i = 0; i < count; i++) {{
const value = {_simple_call(bands)};
if (isArray(value)) return value.length;
if (value !== undefined && value !== null) return 1;
}}
return 0;
}};
}})"""


def _simple_call(bands: int) -> str:
    return f"run({', '.join(f'p{number}[i]' for number in range(bands))})"


def _function(planes: int, body: Sequence[str], outputs: Sequence[OutputShape]) -> str:
    starts = [f"let j{number} = starts[{number}];" for number in range(len(outputs))]
    steps = [f"j{number} += {one.bands};" for number, one in enumerate(outputs)]
    lines = "\n".join((*body, *steps))
    return f"""\
(function (run, tools) {{
"use strict";
const {{isArray, List, single, whole, stray, scenes, inputMetadata, customData, outputMetadata}} = tools;
return function (count, planes, out, starts) {{
{_planes(planes)}
{" ".join(starts)}
for (let i = 0; i < count; i++) {{
{lines}
}}
}};
}})"""


def _planes(count: int) -> str:
    return " ".join(f"const p{number} = planes[{number}];" for number in range(count))


def _samples(sources: Sequence[SourceShape], *, fused: bool) -> tuple[str, list[str]]:
    """Return the expression of the samples, and the statements that make the lists in it."""
    first = 0
    lists: list[str] = []
    members = []
    for number, source in enumerate(sources):
        planes = range(first, first + len(source.bands))
        first = planes.stop
        if source.scenes is None:
            value = _literal(source.bands, planes, "i")
        else:
            value = f"s{number}"
            lists += _list(value, source, planes)
        members.append(f"{_key(source.id)}: {value}" if fused else value)
    return (f"{{{', '.join(members)}}}" if fused else members[0]), lists


def _list(name: str, source: SourceShape, planes: range) -> Iterator[str]:
    yield f"const {name} = new List({source.scenes});"
    sample = _literal(source.bands, planes, "at")
    yield f"for (let s = 0, at = i; s < {source.scenes}; s++, at += count) {name}[s] = {sample};"


def _literal(bands: Sequence[str], planes: range, at: str) -> str:
    members = (f"{_key(one)}: p{plane}[{at}]" for one, plane in zip(bands, planes, strict=True))
    return f"{{{', '.join(members)}}}"


def _key(name: str) -> str:
    # Without brackets this one member would be no member.
    return '["__proto__"]' if name == "__proto__" else json.dumps(name)


def _stores(outputs: Sequence[OutputShape]) -> Iterator[str]:
    if len(outputs) == 1:
        yield f"if (isArray(value)) {{ {_store('value', 0, outputs[0].bands)} }} else"
    yield "if (typeof value === 'object' && value !== null && !isArray(value)) {"
    values = [f"v{number}" for number in range(len(outputs))]
    for value, one in zip(values, outputs, strict=True):
        yield f"const {value} = value[{json.dumps(one.id)}];"
    yield f"if ({' && '.join(f'{value} === undefined' for value in values)}) stray();"
    for number, (value, one) in enumerate(zip(values, outputs, strict=True)):
        place = json.dumps(f" for output {json.dumps(one.id)}")
        yield (
            f"if (isArray({value})) {{ {_store(value, number, one.bands)} }}"
            f" else single({value}, out, j{number}, {one.bands}, {place});"
        )
    yield "} else whole(value, out, starts, i);"


def _store(value: str, output: int, bands: int) -> str:
    if bands > _UNROLLED:
        return f"for (let k = 0; k < {bands}; k++) out[j{output} + k] = {value}[k];"
    return " ".join(f"out[j{output} + {k}] = {value}[{k}];" for k in range(bands))
