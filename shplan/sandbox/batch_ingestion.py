"""
Results of a batch task as bands of a BYOC collection: which they are, and whether they fit.

Source: the batch pages: an output of several bands, `x`, becomes `x`, `x2`, `x3`, ... up to 99, and
a band that another output is named after fails the analysis; a collection that exists must have a
band of each name and type. Samples of AUTO are written as UINT8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox.checks import is_output_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shplan.sandbox.wire import JsonObject
    from shplan.script.facts import OutputFacts

MOST_BANDS = 99
_TYPES = {
    "AUTO": (8, "UINT"),
    "UINT8": (8, "UINT"),
    "INT8": (8, "INT"),
    "UINT16": (16, "UINT"),
    "INT16": (16, "INT"),
    "FLOAT32": (32, "FLOAT"),
}


def misfit(outputs: Sequence[OutputFacts], known: Mapping[str, JsonObject] | None) -> str | None:
    """
    Why outputs cannot become bands, in words for the task's owner; none if they can.

    Args:
        known: bands of the collection that takes them; none: it takes any
    """
    found: dict[str, OutputFacts] = {}
    for output in outputs:
        if not is_output_name(output.id):
            return f"Output {output.id} has a name that cannot be a band's name in an evalscript."
        if output.bands > MOST_BANDS:
            return f"Output {output.id} has {output.bands} bands; {MOST_BANDS} can be ingested."
        for name in _bands(output):
            if name in found:
                return f"Outputs {found[name].id} and {output.id} both have a band {name}."
            found[name] = output
    for name, output in found.items() if known else ():
        band = (known or {}).get(name)
        if band is None:
            return f"The collection has no band {name}."
        if (band["bitDepth"], band.get("sampleFormat")) != _TYPES[output.sample_type]:
            return f"Band {name} of the collection cannot hold samples of {output.sample_type}."
    return None


def configured(outputs: Sequence[OutputFacts]) -> JsonObject:
    """The bands of a collection that outputs make."""
    bands: JsonObject = {}
    for output in outputs:
        depth, form = _TYPES[output.sample_type]
        for index, name in enumerate(_bands(output), 1):
            bands[name] = {
                "source": output.id,
                "bandIndex": index,
                "bitDepth": depth,
                "sampleFormat": form,
            }
    return bands


def _bands(output: OutputFacts) -> list[str]:
    return [output.id, *(f"{output.id}{number}" for number in range(2, output.bands + 1))]
