"""
What crosses the wire: JSON text and instants, in the spelling of the service.

Instants are kept as whole milliseconds since 1970 and printed in UTC with a `Z`.
The rules are the sandbox's own; the client's normalisation stands elsewhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, cast

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

# Our own bound; the deepest request of the service, with a MultiPolygon in it, has a dozen levels.
MOST_LEVELS = 100
# Below 2**63, which is where integers of the database end.
EXACT_DIGITS = 18

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(value: Json) -> str:
    """JSON text without white space; NaN and infinity are no JSON and raise `ValueError`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode(text: str | bytes) -> Json:
    """
    The value of a JSON text that somebody else wrote; of a name that stands twice the last counts.

    Whole numbers of more digits than are kept exactly become floating point numbers.

    Raises:
        ValueError: the text is no JSON, or holds what cannot be stored and printed again: NaN and
            infinity (also as a number too large), half a surrogate pair, nesting without end
    """
    try:
        value = cast(
            "Json", json.loads(text, parse_constant=_refuse_constant, parse_int=_whole_number)
        )
        levels = _levels(value)
    except RecursionError:
        levels = MOST_LEVELS + 1
    if levels > MOST_LEVELS:
        msg = "nested too deeply"
        raise ValueError(msg)
    encode(value).encode()
    return value


def _refuse_constant(name: str) -> float:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= EXACT_DIGITS else float(digits)


def _levels(value: Json) -> int:
    """How deep lists and objects lie in each other, counted no further than is needed."""
    levels = 0
    containers = [value] if isinstance(value, list | dict) else []
    while containers and levels <= MOST_LEVELS:
        levels += 1
        containers = [
            child
            for container in containers
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, list | dict)
        ]
    return levels


def decode_object(text: str) -> JsonObject:
    """The object of a JSON text that this program wrote itself."""
    return cast("JsonObject", json.loads(text))


def instant(at_ms: int) -> str:
    """
    An instant in ISO 8601, UTC, with milliseconds.

    Source: answers of the service, which end in `Z`.
    """
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> int:
    """
    The milliseconds of an RFC 3339 date-time; finer digits are cut off.

    Raises:
        ValueError: no date-time, or one without an offset
    """
    # RFC 3339 section 5.6: `t` and `z` may be small.
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        msg = "a date-time needs an offset"
        raise ValueError(msg)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
