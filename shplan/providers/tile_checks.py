"""
What can be said of declared tiles without a server, and no schema can say.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from shplan.core.compare import instant
from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired
from shplan.core.value import Object, Value
from shplan.providers.tile_join import COVER, TIME
from shplan.providers.tile_requests import text_of

# Source: documentation of BYOC, "coverGeometry".
_MOST_POINTS = 100


def check_covers(desired: Desired) -> Iterator[Diagnostic]:
    """Find cover geometries that the service would refuse: open rings, too many points."""
    for at, member in enumerate(desired.members):
        cover = member.get(COVER)
        if not isinstance(cover, dict):
            continue
        said = partial(_wrong_cover, desired, at)
        points = _points(cover)
        if points > _MOST_POINTS:
            yield said(
                "Cover geometry has too many points",
                f"has {points} points",
                f"The service takes at most {_MOST_POINTS}.",
                "simplify it; it decides only which tile wins where tiles overlap",
            )
        elif not all(map(_is_closed, _rings(cover))):
            yield said(
                "Cover geometry is not closed",
                "has a ring that does not end where it begins",
                "A ring has at least four positions, and the last is the first (RFC 7946).",
                "repeat the first position at the end of the ring",
            )


def _wrong_cover(
    desired: Desired, at: int, summary: str, what: str, why: str, hint: str
) -> Diagnostic:
    return Diagnostic(
        code="manifest/cover-geometry",
        summary=summary,
        what=f"the cover geometry of {text_of(desired.members[at]['path'])} {what}.",
        why=why,
        hint=hint,
        span=desired.source.span(("spec", "tiles", at, COVER)),
        address=str(desired.address),
    )


def check_times(desired: Desired) -> Iterator[Diagnostic]:
    """Find the instants that RFC 3339 has and the service has not: leap seconds, the year 0."""
    for at, member in enumerate(desired.members):
        time = member.get(TIME)
        odd = isinstance(time, str) and (time[17:19] == "60" or time[:4] == "0000")
        if odd and instant(text_of(time)) is None:
            yield Diagnostic(
                code="manifest/value",
                summary="Value not allowed",
                what=f"the sensing time of {text_of(member['path'])} is {time}.",
                why="The service counts neither leap seconds nor a year 0.",
                hint="write the second before or after",
                span=desired.source.span(("spec", "tiles", at, TIME)),
                address=str(desired.address),
            )


def _rings(cover: Object) -> Iterator[Value]:
    coordinates = cover.get("coordinates")
    polygons = [coordinates] if cover.get("type") == "Polygon" else coordinates
    for polygon in polygons if isinstance(polygons, list) else ():
        yield from polygon if isinstance(polygon, list) else ()


def _is_closed(ring: Value) -> bool:
    """Tell whether a ring is closed; what is no list of known positions is judged elsewhere."""
    if not isinstance(ring, list) or not all(isinstance(position, list) for position in ring):
        return True
    return len(ring) >= 4 and ring[0] == ring[-1]


def _points(cover: Object) -> int:
    coordinates = cover.get("coordinates")
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
