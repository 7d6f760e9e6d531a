"""
Values for people: short, on one line, never a secret, and nothing that a terminal obeys.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from shplan.core.cost import pu_text
from shplan.core.geometry import crs_of
from shplan.core.value import (
    KNOWN_AFTER_APPLY,
    SENSITIVE,
    JsonValue,
    Object,
    Sensitive,
    Unknown,
    Value,
    map_leaves,
)

LONGEST = 60
_ARROW = " -> "
_DOTS = "..."
# Less than this of a value tells nothing.
_LEAST = 15
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
# Source: RFC 7946 section 1.4.
_GEOMETRIES = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
)


class Paint:
    """ANSI colours, or none at all."""

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, style: str) -> str:
        """Return the text in a style: `bold`, `dim` or the name of a colour; empty for none."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._color and style else text


def brief(value: Value, *, longest: int = LONGEST) -> str:
    """Return a value on one line, a geometry as what it is, a long one shortened."""
    return _cut(_whole(value), longest)


def contrast(before: Value, after: Value, *, longest: int = 2 * LONGEST) -> str:
    """
    Return `before -> after`, and of long ones what stands around the first difference.

    Args:
        longest: columns for both together
    """
    return _ARROW.join(sides(before, after, longest=longest))


def sides(before: Value, after: Value, *, longest: int = 2 * LONGEST) -> tuple[str, str]:
    """Return both halves of `contrast`, for who shows them one below the other."""
    left, right = _whole(before), _whole(after)
    if _as_geometry(after) is not None:
        return left, f"{'another ' if left == right else ''}{right}"
    if len(left) + len(right) + len(_ARROW) <= longest:
        return left, right
    each = max((longest - len(_ARROW)) // 2, _LEAST)
    start = _first_difference(left, right) - each // 3
    if max(len(left), len(right)) > each and start > len(_DOTS):
        left, right = _DOTS + left[start:], _DOTS + right[start:]
    return _cut(left, each), _cut(right, each)


def pairs(before: Value, after: Value, path: str) -> Iterator[tuple[str, Value, Value]]:
    """Yield what differs between two values by dotted path, in the order of the paths."""
    if not _is_branch(before, after):
        yield path, before, after
        return
    left = before if isinstance(before, dict) else {}
    right = after if isinstance(after, dict) else {}
    for key in sorted(left.keys() | right.keys()):
        inner = left.get(key), right.get(key)
        if inner[0] != inner[1]:
            yield from pairs(*inner, f"{path}.{key}")


def pu(number: float) -> str:
    """Word processing units, as exactly as they are billed: `1.5 PU`, `200,001 PU`."""
    return f"{pu_text(number)} PU"


def amount(number: int, noun: str) -> str:
    """Count a thing: `1 tile`, `12,000 tiles`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clip(text: str, *, longest: int) -> str:
    """Return a sentence on one line, shortened."""
    return _cut(safe(text), longest)


def safe(text: str) -> str:
    """Replace what a terminal would obey or hide: control characters, line breaks, directions."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text)


def _whole(value: Value) -> str:
    if isinstance(value, Unknown):
        return KNOWN_AFTER_APPLY
    if isinstance(value, Sensitive):
        return SENSITIVE
    if value is None:
        return "(none)"
    geometry = _as_geometry(value)
    if geometry is not None:
        return _geometry(geometry)
    return safe(_json(map_leaves(value, _told)))


def _told(leaf: Value) -> Value:
    return str(leaf) if isinstance(leaf, Unknown | Sensitive) else leaf


def _json(value: JsonValue) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        # A server may say what our own manifests may not: an integer over 64 bits.
        return repr(value)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_DOTS)] + _DOTS


def _first_difference(left: str, right: str) -> int:
    both = zip(left, right, strict=False)
    short = min(len(left), len(right))
    return next((at for at, (one, other) in enumerate(both) if one != other), short)


def _is_branch(before: Value, after: Value) -> bool:
    """Tell whether to look inside: an object against an object, or against nothing."""
    sides = [side for side in (before, after) if side is not None]
    return bool(sides) and all(
        isinstance(side, dict) and side and _as_geometry(side) is None for side in sides
    )


def _as_geometry(value: Value) -> Object | None:
    is_one = isinstance(value, dict) and value.get("type") in _GEOMETRIES
    return value if is_one and isinstance(value, dict) and "coordinates" in value else None


def _geometry(value: Object) -> str:
    crs = crs_of(value)
    place = "" if crs == "EPSG:4326" else f" in {crs}"
    return safe(f"{value['type']}, {amount(_points(value['coordinates']), 'point')}{place}")


def _points(coordinates: Value) -> int:
    waiting: list[Value] = [coordinates]
    count = 0
    while waiting:
        value = waiting.pop()
        if not isinstance(value, list) or not value:
            continue
        if isinstance(value[0], list):
            waiting.extend(value)
        else:
            count += 1
    return count
