"""
Whether the formats that a request names can hold the outputs of its script: sample types and numbers of bands.

What a script writes beside its outputs is called `userdata`, and is JSON: nothing else is, and it is nothing else.

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
_JSON: Final = "application/json"
USERDATA: Final = "userdata"
# However a script comes by its metadata, this is the member that it writes.
_WRITES_USERDATA = re.compile(r"\buserData\b|\bupdateOutputMetadata\b")
_NAMES: Mapping[str, str] = MappingProxyType({_PNG: "PNG", _JPEG: "JPEG"})
_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {_PNG: ("AUTO", "UINT8", "UINT16"), _JPEG: ("AUTO", "UINT8")}
)
_BANDS: Mapping[str, tuple[int, ...]] = MappingProxyType({_PNG: (1, 2, 3, 4), _JPEG: (1, 3)})
# No image of these formats has more channels, alpha included.
_MOST_CHANNELS: Final = 4


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
    if stated is None:
        asked = [(path, "default", _PNG)] if isinstance(output, dict) else []
    else:
        asked = [
            ((*path, "responses", index), *_response(one))
            for index, one in enumerate(stated if isinstance(stated, list) else ())
        ]
    for place, name, form in asked:
        yield from _userdata_faults(place, name, form, text)
        held = known.get(name)
        if held is None or form not in _NAMES:
            continue
        if held.sample_type not in _TYPES[form]:
            yield _wrong_type(place, held, form)
        elif not script.changes and held.bands not in _BANDS[form]:
            yield _wrong_bands(place, held, form)


def _userdata_faults(place: Path, name: str, form: str, text: Value) -> Faults:
    if name == USERDATA and isinstance(text, str) and not _WRITES_USERDATA.search(text):
        yield Fault(
            place,
            "format",
            "No user data",
            f"the response `{USERDATA}` is asked for, and the evalscript writes none.",
            "It is what the script puts into `outputMetadata.userData`.",
            "add `function updateOutputMetadata(scenes, inputMetadata, outputMetadata)`, or leave it out",
            sure=False,
        )
    if name == USERDATA and form and form != _JSON:
        yield Fault(
            place,
            "format",
            "User data as an image",
            f"the response `{USERDATA}` is asked for as {form[:40]}.",
            "User data are an object of the script, which is written as JSON.",
            f"write `format: {{type: {_JSON}}}`",
            sure=False,
        )
    elif form == _JSON and name and name != USERDATA:
        yield Fault(
            place,
            "format",
            "Image as JSON",
            f"the output `{name[:80]}` is asked for as JSON.",
            f"Only `{USERDATA}` is given as JSON.",
            f"write `format: {{type: {_TIFF}}}`",
            sure=False,
        )


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
    *others, last = (str(one) for one in _BANDS[form])
    fitting = f"{', '.join(others)} or {last} bands"
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
