"""
Whether the files of a batch request can hold the outputs of its script: arrays of Zarr by their `dtype`, and COGs.

Source: API description, `dtype` of BatchV2ZarrOutputArrayParameters, which lists what each is allowed for, and
`cogOutput` of BatchV2RasterOutput: TIFF alone, and never INT8.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_faults import Fault, Faults, at
from shplan.core.value import Object, Path, Value

_ALL: Final = frozenset(["UINT8", "AUTO", "INT8", "UINT16", "INT16", "FLOAT32"])
_HELD: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "|u1": frozenset(["UINT8", "AUTO"]),
        "|i1": frozenset(["INT8"]),
        "<u2": frozenset(["UINT16", "UINT8", "AUTO"]),
        "<i2": frozenset(["INT16", "UINT8", "INT8", "AUTO"]),
        "<f4": _ALL,
        "<f8": _ALL,
    }
)
_OWN: Mapping[str, str] = MappingProxyType(
    {
        "UINT8": "|u1",
        "AUTO": "|u1",
        "INT8": "|i1",
        "UINT16": "<u2",
        "INT16": "<i2",
        "FLOAT32": "<f4",
    }
)
_TIFF: Final = "image/tiff"
_USERDATA: Final = "userdata"


def array_faults(spec: Object, script: ScriptShape | None) -> Faults:
    """
    Return which outputs the files cannot hold.

    Args:
        spec: the body of a batch request, version 2
        script: None where it is not known
    """
    output = at(spec, "output")
    kind, responses = at(output, "type"), at(spec, "processRequest", "output", "responses")
    known = {} if script is None else {one.id: one for one in script.outputs}
    for index, one in enumerate(responses if isinstance(responses, list) else ()):
        name = at(one, "identifier") or "default"
        if name == _USERDATA:
            continue
        held = known.get(name) if isinstance(name, str) else None
        if kind == "zarr" and held is not None:
            yield from _dtype_faults(output, held)
        elif at(output, "cogOutput") is True:
            place = ("processRequest", "output", "responses", index)
            yield from _cog_faults(at(one, "format", "type"), held, place)


def _dtype_faults(output: Value, held: ScriptOutput) -> Faults:
    path: Path = ("output", "arrayParameters", "dtype")
    stated = at(output, "arrayParameters", "dtype")
    own = at(output, "arrayOverrides", held.id, "dtype")
    if own is not None:
        path, stated = ("output", "arrayOverrides", held.id, "dtype"), own
    if not isinstance(stated, str):
        return
    fitting = _HELD.get(stated.replace(">", "<"))
    if fitting is None:
        yield Fault(
            path,
            "format",
            "No such type of array",
            f"`dtype` is `{stated[:40]}`.",
            f"There are {', '.join(f'`{one}`' for one in _HELD)}, those of several bytes with > as well.",
            f'write `dtype: "{_OWN.get(held.sample_type, "<f4")}"`',
        )
    elif held.sample_type in _ALL and held.sample_type not in fitting:
        yield Fault(
            path,
            "format",
            "Format cannot hold the output",
            f"output `{held.id}` is {held.sample_type}, and an array of `{stated}` cannot hold that.",
            "The service fails the request in its analysis.",
            f'write `dtype: "{_OWN[held.sample_type]}"`',
        )


def _cog_faults(form: Value, held: ScriptOutput | None, path: Path) -> Faults:
    if isinstance(form, str) and form != _TIFF:
        yield Fault(
            path,
            "format",
            "Format cannot hold the output",
            f"`cogOutput` is true, and a response is asked for as {form[:40]}.",
            "COGs are TIFFs; with it all outputs are.",
            f"write `format: {{type: {_TIFF}}}`, or leave `cogOutput` out",
        )
    if held is not None and held.sample_type == "INT8":
        yield Fault(
            path,
            "format",
            "Format cannot hold the output",
            f"output `{held.id}` is INT8, which a COG cannot hold.",
            "The service fails the request in its analysis.",
            'write `sampleType: "INT16"` in `setup()`, or leave `cogOutput` out',
        )
