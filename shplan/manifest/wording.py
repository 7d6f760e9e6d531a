"""
Words for messages: names in quotes, values for sentences, the name that was probably meant.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterable

from shplan.core import nearest as core_nearest
from shplan.core.nearest import folded
from shplan.core.value import JsonValue, Path
from shplan.manifest.parse import kind_of


def dotted(path: Path) -> str:
    """Return a path as people write it: `spec.tiles[3].path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the document"


_MOST_NAMES = 400
_LONGEST_NAME = 200


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that was probably meant; letter case and separators weigh nothing."""
    wanted = folded(name)
    # The comparison is quadratic in a name's length, and there may be a message for each name.
    if len(wanted) > _LONGEST_NAME:
        return None
    by_folded: dict[str, str] = {}
    for candidate in sorted(candidates):
        by_folded.setdefault(folded(candidate), candidate)
    near = [one for one in _neighbours(wanted, by_folded) if len(one) <= _LONGEST_NAME]
    found = core_nearest.nearest(wanted, near)
    return None if found is None else by_folded[found]


def _neighbours(name: str, known: Collection[str]) -> Iterable[str]:
    """Return all names where they are few, else those that begin or end most alike."""
    if len(known) <= _MOST_NAMES:
        return known
    forth, back = sorted(known), sorted(one[::-1] for one in known)
    half = _MOST_NAMES // 16
    at, from_end = bisect(forth, name), bisect(back, name[::-1])
    ending_alike = (one[::-1] for one in back[max(from_end - half, 0) : from_end + half])
    return sorted({*forth[max(at - half, 0) : at + half], *ending_alike})


def listed(names: Iterable[str], *, limit: int = 12) -> str:
    """Return names in back quotes, joined by commas, cut after some."""
    known = list(names)
    shown = ", ".join(f"`{name}`" for name in known[:limit])
    return f"{shown} and {len(known) - limit} more" if len(known) > limit else shown


def shown(value: JsonValue) -> str:
    """Return a value for a sentence, cut where it is long."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return '"' + text.replace("\n", " ") + '"'
    if isinstance(value, dict | list):
        return kind_of(value)
    return (
        {True: "true", False: "false", None: "null"}.get(value, str(value))
        if (value is None or isinstance(value, bool))
        else str(value)
    )


def plain(value: JsonValue) -> str:
    """Return a value as it is written in YAML."""
    return value if isinstance(value, str) else shown(value)


def either(names: list[str]) -> str:
    """Return names joined by commas and an `or`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" or {names[-1]}"
