"""
Whether the formats that a request names can hold the outputs of its script: sample types and numbers of bands.

Source: documentation of evalscripts, `sampleType`: a JPEG cannot be FLOAT32, a TIFF holds anything. That a PNG holds
integers of 8 and 16 bits alone, and a JPEG those of 8, is what the formats are; what the service does with others
is not published, so that it is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_faults import Fault, Faults, at
from shplan.core.value import Path, Value

_PNG, _JPEG, _TIFF = "image/png", "image/jpeg", "image/tiff"
_NAMES: Mapping[str, str] = MappingProxyType({_PNG: "PNG", _JPEG: "JPEG"})
_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {_PNG: ("AUTO", "UINT8", "UINT16"), _JPEG: ("AUTO", "UINT8")}
)
_BANDS: Mapping[str, tuple[int, ...]] = MappingProxyType({_PNG: (1, 2, 3, 4), _JPEG: (1, 3)})
# No image of these formats has more channels, alpha included.
_MOST_CHANNELS: Final = 4
# A function of this name may change how many bands an output has.
_CHANGES = re.compile(r"\bupdateOutput\b")


def format_faults(output: Value, script: ScriptShape, text: Value, path: Path) -> Faults:
    """
    Return which responses name a format that cannot hold their output.

    Args:
        output: of the request, with `responses`
        text: the script itself, where it is known
        path: of `output` in the body
    """
    stated = at(output, "responses")
    known = {one.id: one for one in script.outputs}
    fixed = isinstance(text, str) and _CHANGES.search(text) is None
    if stated is None:
        asked = [(path, "default", _PNG)] if isinstance(output, dict) else []
    else:
        asked = [
            ((*path, "responses", index), *_response(one))
            for index, one in enumerate(stated if isinstance(stated, list) else ())
        ]
    for place, name, form in asked:
        held = known.get(name)
        if held is None or form not in _NAMES:
            continue
        if held.sample_type not in _TYPES[form]:
            yield _wrong_type(place, held, form)
        elif fixed and held.bands not in _BANDS[form]:
            yield _wrong_bands(place, held, form)


def _response(one: Value) -> tuple[str, str]:
    name, form = at(one, "identifier"), at(one, "format", "type")
    stated = isinstance(one, dict) and "format" in one
    if not stated:
        form = _PNG
    unnamed = isinstance(one, dict) and "identifier" not in one
    return (
        name if isinstance(name, str) else "default" if unnamed else "",
        form if isinstance(form, str) else "",
    )


def _wrong_type(place: Path, held: ScriptOutput, form: str) -> Fault:
    fitting = ", ".join(_TYPES[form])
    return Fault(
        place,
        "format",
        "Format cannot hold the output",
        f"output `{held.id}` is {held.sample_type}, and a {_NAMES[form]} cannot hold that.",
        f"A {_NAMES[form]} holds {fitting}; a TIFF holds every sample type.",
        f"write `format: {{type: {_TIFF}}}`, or another `sampleType` in `setup()`",
        sure=form == _JPEG and held.sample_type == "FLOAT32",
    )


def _wrong_bands(place: Path, held: ScriptOutput, form: str) -> Fault:
    fitting = " or ".join(str(one) for one in _BANDS[form])
    bands = "band" if held.bands == 1 else "bands"
    return Fault(
        place,
        "format",
        "Format cannot hold the output",
        f"output `{held.id}` has {held.bands} {bands}, and a {_NAMES[form]} cannot hold that.",
        f"A {_NAMES[form]} has {fitting}; a TIFF has any number of bands.",
        f"write `format: {{type: {_TIFF}}}`, or other `bands` in `setup()`",
        sure=held.bands > _MOST_CHANNELS,
    )
