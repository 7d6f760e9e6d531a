"""
What a batch request may fill a collection with: form of the files, bands, names.

Offline, for both versions of the API. Source: schema BatchV2RasterOutput, the documentation's page
on Batch V2, "BYOC ingestion", and the older batch reference: of several bands version 2 makes `x`,
`x2`, `x3`, ..., version 1 takes outputs of one band only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from shplan.core.diagnostic import Diagnostic
from shplan.core.job_input import ScriptOutput
from shplan.core.resource import Desired
from shplan.core.value import Object, Path, Value, is_known

_USERDATA = "userdata"
_TIFF = "image/tiff"
_MOST_BANDS = 99
# A band is read as `sample.NAME`.
_NAME = re.compile(r"[^\W\d][\w$]*")


def fills_collection(request: Object) -> bool:
    """Tell whether the results of a request are to become tiles of a collection."""
    output = request.get("output")
    if not isinstance(output, dict):
        return False
    return output.get("createCollection") is True or output.get("collectionId") is not None


def check_collection(desired: Desired, *, single_band: bool = False) -> list[Diagnostic]:
    """
    Return what keeps the results of a request from filling a collection, each at its place.

    Args:
        single_band: each output must have one band, and a collection is either made or named:
            version 1
    """
    if not fills_collection(desired.spec):
        return []
    return [
        *_check_choice(desired, single_band=single_band),
        *_check_form(desired),
        *_check_bands(desired, single_band=single_band),
    ]


def _check_choice(desired: Desired, *, single_band: bool) -> Iterator[Diagnostic]:
    output = _output(desired)
    if single_band and output.get("createCollection") is True and output.get("collectionId"):
        yield _wrong(
            desired,
            ("spec", "output", "collectionId"),
            what="both `createCollection: true` and `collectionId` are stated.",
            why="The results fill a new collection, or the one that is named.",
            hint="leave one of them out",
        )


def _check_form(desired: Desired) -> Iterator[Diagnostic]:
    output = _output(desired)
    if output.get("cogOutput") is not True and is_known(output.get("cogOutput")):
        yield _wrong(
            desired,
            ("spec", "output", _asking(output)),
            what="the results are to fill a collection, and `cogOutput` is not true.",
            why="A collection takes cloud optimised GeoTIFFs only.",
            hint="write `cogOutput: true`",
        )
    for index, one in enumerate(_responses(desired)):
        name, media_type = one
        if name != _USERDATA and media_type not in ("", _TIFF):
            yield _wrong(
                desired,
                ("spec", "processRequest", "output", "responses", index, "format"),
                what=f"`{name}` is delivered as {media_type}, which no collection takes.",
                hint=f"write `format: {{type: {_TIFF}}}`",
            )


def _check_bands(desired: Desired, *, single_band: bool) -> Iterator[Diagnostic]:
    if desired.script is None:
        return
    asked = {name: index for index, (name, _) in enumerate(_responses(desired))}
    outputs = [one for one in desired.script.outputs if not asked or one.id in asked]
    makers: dict[str, str] = {}
    for one in outputs:
        place: Path = ("spec", "output", _asking(_output(desired)))
        if one.id in asked:
            place = ("spec", "processRequest", "output", "responses", asked[one.id])
        yield from _check_output(desired, one, place, single_band=single_band)
        for band in _bands(one):
            if makers.setdefault(band, one.id) != one.id:
                yield _wrong(
                    desired,
                    place,
                    what=f"the outputs `{makers[band]}` and `{one.id}` both make a band `{band}`.",
                    why="An output `x` of several bands fills the bands `x`, `x2`, `x3`, ...",
                    hint=f"call `{one.id}` differently in `setup()`",
                )
                break


def _check_output(
    desired: Desired, one: ScriptOutput, place: Path, *, single_band: bool
) -> Iterator[Diagnostic]:
    if single_band and one.bands != 1:
        yield _wrong(
            desired,
            place,
            what=f"the output `{one.id}` has {one.bands} bands; a collection takes one of each.",
            why="Version 1 of the API makes one band of each output.",
            hint="make an output of each band in `setup()`, or use `run: {api: v2}`",
        )
    elif one.bands > _MOST_BANDS:
        yield _wrong(
            desired,
            place,
            what=f"the output `{one.id}` has {one.bands} bands; {_MOST_BANDS} become bands of a"
            " collection.",
        )
    if not _NAME.fullmatch(one.id):
        yield _wrong(
            desired,
            place,
            what=f"the output `{one.id}` has a name that no evalscript can read a band by.",
            hint="call it as a JavaScript identifier is called",
        )


def _bands(output: ScriptOutput) -> Sequence[str]:
    most = min(output.bands, _MOST_BANDS)
    return [output.id, *(f"{output.id}{number}" for number in range(2, most + 1))]


def _asking(output: Mapping[str, Value]) -> str:
    return "createCollection" if output.get("createCollection") is True else "collectionId"


def _output(desired: Desired) -> Object:
    output = desired.spec.get("output")
    return output if isinstance(output, dict) else {}


def _responses(desired: Desired) -> list[tuple[str, str]]:
    value: Value = desired.spec
    for step in ("processRequest", "output", "responses"):
        value = value.get(step) if isinstance(value, dict) else None
    found = []
    for one in value if isinstance(value, list) else ():
        form = one.get("format") if isinstance(one, dict) else None
        media_type = form.get("type") if isinstance(form, dict) else None
        name = one.get("identifier", "default") if isinstance(one, dict) else "default"
        found.append((str(name), media_type if isinstance(media_type, str) else ""))
    return found


def _wrong(desired: Desired, path: Path, *, what: str, why: str = "", hint: str = "") -> Diagnostic:
    return Diagnostic(
        code="batch/collection",
        summary="Collection cannot be filled",
        what=f"{desired.address.base}: {what}",
        why=why,
        hint=hint,
        span=desired.source.span(path),
        address=str(desired.address.base),
    )
