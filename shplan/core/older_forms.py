"""
Spellings of a request that the service takes and its description no longer has, rewritten as it has them.

Examples of the documentation write `orthorectify: "true"`, programs of old name `S2L2A`, and Requests Builder states
heights like 343.697; GeoJSON of other programs has heights above the sea, of which requests know nothing. One spelling is sent and keyed, so that two of them are one run; each is told as a warning.

Source: the documentation's examples of Process and Statistical; the table of collections, its aliases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from shplan.core.request_faults import Fault, at, number
from shplan.core.value import Object, Path, Value

_CUSTOM: Final = "CUSTOM"
_COLLECTION: Final = "collectionId"
_PREVIEW: Final = "previewMode"
# Numbers of a position and of a box that have heights.
_HIGH: Final = 3
_SOLID: Final = 6
_BOOLEANS: Final = {"true": True, "false": False}
# Where a request for pixels or numbers stands in the body, and where it says how large its images are.
_REQUESTS: Final[tuple[Path, ...]] = ((), ("processRequest",))
_SIZES: Final = ("output", "aggregation")


def renewed(spec: Object, names: Mapping[str, str]) -> tuple[Object, list[Fault]]:
    """
    Return a body in the description's spelling, and what was rewritten.

    Args:
        spec: untouched; what is not rewritten is shared with it
        names: collections by their older names
    """
    told: list[Fault] = []
    for root in _REQUESTS:
        data = at(spec, *root, "input", "data")
        for index, item in enumerate(data if isinstance(data, list) else ()):
            if isinstance(item, dict):
                here = (*root, "input", "data", index)
                spec = _put(spec, here, _item(item, here, names, told))
        bounds = at(spec, *root, "input", "bounds")
        if isinstance(bounds, dict):
            here = (*root, "input", "bounds")
            spec = _put(spec, here, _level(bounds, here, told))
        for name in _SIZES:
            sized = at(spec, *root, name)
            if isinstance(sized, dict):
                spec = _put(spec, (*root, name), _sized(sized, (*root, name), told))
    return spec, told


def _item(item: Object, path: Path, names: Mapping[str, str], told: list[Fault]) -> Object:
    made = _named(item, path, names, told)
    chosen, processing = made.get("dataFilter"), made.get("processing")
    if isinstance(chosen, dict) and isinstance(chosen.get(_PREVIEW), str):
        told.append(_older((*path, "dataFilter", _PREVIEW), f"`{_PREVIEW}`", "remove it"))
        made = {**made, "dataFilter": _without(chosen, _PREVIEW)}
    if isinstance(processing, dict):
        made = _put(made, ("processing",), _flags(processing, (*path, "processing"), told))
    return made


def _level(bounds: Object, path: Path, told: list[Fault]) -> Object:
    """Leave out heights, as RFC 7946 puts them third in a position, and third and last in a box."""
    made, box, geometry = bounds, bounds.get("bbox"), bounds.get("geometry")
    if isinstance(box, list) and len(box) == _SOLID and all(number(one) is not None for one in box):
        made = {**made, "bbox": [*box[:2], *box[3:5]]}
        told.append(_with_heights((*path, "bbox")))
    positions = at(geometry, "coordinates")
    if isinstance(geometry, dict) and _has_heights(positions):
        made = {**made, "geometry": {**geometry, "coordinates": _flat(positions)}}
        told.append(_with_heights((*path, "geometry")))
    return made


def _has_heights(value: Value) -> bool:
    """Tell it by the first position of each ring, as one program writes them all alike."""
    if not isinstance(value, list) or not value:
        return False
    if number(value[0]) is not None:
        return len(value) == _HIGH and all(number(one) is not None for one in value)
    if isinstance(value[0], list) and value[0] and number(value[0][0]) is not None:
        return _has_heights(value[0])
    return any(_has_heights(one) for one in value)


def _flat(value: Value) -> Value:
    if not isinstance(value, list) or not value:
        return value
    if number(value[0]) is not None:
        return value[:2] if len(value) == _HIGH else value
    return [_flat(one) for one in value]


def _with_heights(path: Path) -> Fault:
    return Fault(
        path,
        "area",
        "Heights left out",
        f"`{path[-1]}` has heights, which the service does not take.",
        "Positions are x and y; what is sent has no heights.",
        "remove them",
        sure=False,
    )


def _named(item: Object, path: Path, names: Mapping[str, str], told: list[Fault]) -> Object:
    stated, chosen = item.get("type"), item.get("dataFilter")
    if not isinstance(stated, str):
        return item
    name = names.get(stated)
    own = at(chosen, _COLLECTION)
    if stated == _CUSTOM and isinstance(chosen, dict) and isinstance(own, str):
        name = f"byoc-{own}"
        item = {**item, "dataFilter": _without(chosen, _COLLECTION)}
    if name is None:
        return item
    told.append(_older((*path, "type"), f"the collection `{stated}`", f"write `type: {name}`"))
    return {**item, "type": name}


def _flags(processing: Object, path: Path, told: list[Fault]) -> Object:
    """Make truths of texts; nothing of a collection's processing is a text that says `true`."""
    made = processing
    for name, value in processing.items():
        if isinstance(value, str) and value in _BOOLEANS:
            hint = f"write `{name}: {value}` without quotes"
            told.append(_older((*path, name), f'"{value}" as a text', hint))
            made = {**made, name: _BOOLEANS[value]}
    return made


def _sized(output: Object, path: Path, told: list[Fault]) -> Object:
    """Make whole pixels of broken ones; a size below one is left to the schema to refuse."""
    made = output
    for name in ("width", "height"):
        value = output.get(name)
        found = number(value)
        if found is None or not isinstance(value, float) or found < 1:
            continue
        whole = math.floor(found + 0.5)
        made = {**made, name: whole}
        if found != whole:
            told.append(
                Fault(
                    (*path, name),
                    "size",
                    "Part of a pixel",
                    f"`{name}` is {found:g}, and images have whole pixels.",
                    f"{whole} is sent.",
                    f"write `{name}: {whole}`",
                    sure=False,
                )
            )
    return made


def _older(path: Path, what: str, hint: str) -> Fault:
    return Fault(
        path,
        "deprecated",
        "Field on its way out",
        f"{what} is an older form that may be refused one day.",
        hint=hint,
        sure=False,
    )


def _put(value: Object, path: Path, member: Object) -> Object:
    """Return a body with another member at a path, itself where it has that one already."""
    if at(value, *path) is member:
        return value
    made = _replaced(value, path, member)
    assert isinstance(made, dict), "a path begins in a mapping"
    return made


def _replaced(value: Value, path: Path, member: Value) -> Value:
    if not path:
        return member
    step, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(step, int):
        return [*value[:step], _replaced(value[step], rest, member), *value[step + 1 :]]
    assert isinstance(value, dict), "the path was found in it"
    return {**value, str(step): _replaced(value[str(step)], rest, member)}


def _without(value: Object, name: str) -> Object:
    return {key: member for key, member in value.items() if key != name}
