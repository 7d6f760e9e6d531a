"""
Programmed misfortunes: which requests are struck, by what, and how often.

A fault names its requests (method and path as patterns) and which of them it strikes. It is
stored, so that it strikes whichever process is asked; chance is a hash of the directory's seed and
the number of the request, so that two runs with one seed are struck alike. What a fault does to a
request stands in `misfortunes`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import Json, JsonObject

Kind = Literal[
    "400",
    "429",
    "500",
    "502",
    "503",
    "504",
    "latency",
    "before",
    "lost-answer",
    "duplicate",
    "empty",
    "truncated",
    "cut",
]
KINDS: tuple[str, ...] = get_args(Kind)
# What is answered in place of the service, and may strike after it has acted.
REFUSALS = frozenset({"400", "429", "500", "502", "503", "504"})


class ConnectionDroppedError(ConnectionResetError):
    """The connection ended before an answer; in-process callers see this instead of bytes."""


class FaultError(ValueError):
    """A fault that cannot be programmed as asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One misfortune.

    Args:
        kind: a status is answered instead; `latency` delays; `before` drops the connection,
            `lost-answer` serves the request first; `duplicate` delivers it twice; `empty` answers
            without the body, `truncated` with half of its text, `cut` drops the connection there
        method, path: patterns that must match the whole of each; the path is without query and in
            the newer style
        nth: strike from the nth matching request on
        count: how many requests to strike; none: all. Unless stated: 1, or all with `every` or `share`
        every: strike only each so-manieth matching request
        share: strike each matching request with this probability
        seconds: how long the request waits first
        most_seconds: if given, it waits between `seconds` and so many
        retry_after_ms: what a 429 or 503 tells; none: nothing
        served: whether a request that is refused by status was carried out all the same
        shown: which of the two answers of a `duplicate` arrives
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    nth: int = 1
    count: int | None = 1
    every: int = 1
    share: float = 1.0
    seconds: float = 0.0
    most_seconds: float | None = None
    retry_after_ms: int | None = None
    served: bool = False
    shown: Literal["first", "second"] = "second"

    def matches(self, method: str, path: str) -> bool:
        """Whether the request is one of those meant."""
        return bool(re.fullmatch(self.method, method) and re.fullmatch(self.path, path))

    def strikes(self, *, seen: int, fired: int, chance: float) -> bool:
        """
        Whether the matching request number `seen` is struck, after `fired` were.

        Args:
            chance: of this request, at least 0 and below 1
        """
        if seen < self.nth or (self.count is not None and fired >= self.count):
            return False
        return (seen - self.nth) % self.every == 0 and chance < self.share


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that strikes a request, and how long the request waits first, seconds."""

    fault: Fault
    delay_s: float


def chance(seed: str, *parts: str | int) -> float:
    """A number from 0 up to 1 that depends on the parts and on nothing else."""
    text = "\x1f".join([seed, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56


def parse(content: Json) -> Fault:
    """
    The fault that a control request describes.

    Raises:
        FaultError: an unknown kind or member, or a wrong value
    """
    if not isinstance(content, dict) or content.get("kind") not in KINDS:
        msg = f"kind is one of {', '.join(KINDS)}"
        raise FaultError(msg)
    unknown = sorted(content.keys() - set(Fault.__slots__))
    if unknown:
        near = get_close_matches(unknown[0], Fault.__slots__, n=1)
        meant = f"did you mean {near[0]}?" if near else f"a fault has {', '.join(Fault.__slots__)}"
        msg = f"there is no {', '.join(unknown)}; {meant}"
        raise FaultError(msg)
    for name, value in content.items():
        _check(name, value)
    if "count" not in content and content.keys() & {"every", "share"}:
        content = {**content, "count": None}
    fault = Fault(**content)  # type: ignore[arg-type]  # each member was checked by name
    if fault.most_seconds is not None and fault.most_seconds < fault.seconds:
        msg = "most_seconds is not below seconds"
        raise FaultError(msg)
    return fault


def _check(name: str, value: Json) -> None:
    if name == "kind":
        return
    accepts, what = _RULES[name]
    if not accepts(value):
        msg = f"{name} is {what}"
        raise FaultError(msg)


def _is_pattern(value: Json) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def _is_whole(value: Json, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**53


def _is_number(value: Json, *, most: float = 1e9) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


_PATTERN = (_is_pattern, "a pattern that Python's re knows")
_COUNT = (partial(_is_whole, least=1), "a whole number from 1 on")
_RULES: dict[str, tuple[Callable[[Json], bool], str]] = {
    "method": _PATTERN,
    "path": _PATTERN,
    "nth": _COUNT,
    "every": _COUNT,
    "count": (lambda v: v is None or _is_whole(v, least=0), "a whole number from 0 on, or null"),
    "share": (partial(_is_number, most=1), "a number from 0 to 1"),
    "seconds": (_is_number, "a number from 0 on"),
    "most_seconds": (lambda v: v is None or _is_number(v), "a number from 0 on, or null"),
    "retry_after_ms": (
        lambda v: v is None or _is_whole(v, least=0),
        "a whole number from 0 on, or null",
    ),
    "served": (lambda v: isinstance(v, bool), "true or false"),
    "shown": (lambda v: v in ("first", "second"), "first or second"),
}


def program(store: Store, fault: Fault) -> None:
    """Add a fault behind those there are."""
    content: JsonObject = {name: getattr(fault, name) for name in Fault.__slots__}
    store.run("insert into faults (spec) values (?)", encode(content))


def clear(store: Store) -> None:
    """Remove all faults."""
    store.run("delete from faults")


def struck(store: Store, *, method: str, path: str) -> Blow | None:
    """Count the request with every fault that it matches; the first that strikes is returned."""
    if store.row("select 1 from faults limit 1") is None:
        return None
    blow = None
    with store.writing():
        seed = store.seed
        for row in store.rows("select * from faults order by seq"):
            fault = Fault(**decode_object(row["spec"]))  # type: ignore[arg-type]
            if not fault.matches(method, path):
                continue
            seen = row["seen"] + 1
            luck = chance(seed, "fault", row["seq"], seen)
            strikes = blow is None and fault.strikes(seen=seen, fired=row["fired"], chance=luck)
            if strikes:
                blow = Blow(fault, _delay_s(fault, chance(seed, "delay", row["seq"], seen)))
            store.run(
                "update faults set seen = ?, fired = fired + ? where seq = ?",
                seen,
                int(strikes),
                row["seq"],
            )
    return blow


def _delay_s(fault: Fault, luck: float) -> float:
    most = fault.seconds if fault.most_seconds is None else fault.most_seconds
    return fault.seconds + (most - fault.seconds) * luck
