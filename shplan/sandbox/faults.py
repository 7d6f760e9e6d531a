"""
Programmed misfortunes: refusals, delays, and answers that never arrive.

A fault names the requests it strikes (method and path as patterns) and which of them. It is
stored, so that it strikes whichever process is asked. How a connection is dropped depends on
the server; without one, `ConnectionDroppedError` is what the transport turns into a read error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

Kind = Literal["429", "500", "503", "latency", "lost-answer", "before"]


class ConnectionDroppedError(ConnectionResetError):
    """The connection ended before an answer; in-process callers see this instead of bytes."""


class FaultError(ValueError):
    """A fault that cannot be programmed as asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One misfortune.

    Args:
        kind: `lost-answer` serves the request and drops the connection, `before` drops it first
        method, path: patterns that must match the whole of each; the path is without query
        nth: strike from the nth matching request on
        count: how many requests to strike; none: all
        every: strike only each so-manieth matching request
        seconds: how long `latency` delays the answer
        retry_after_ms: what a 429 tells; none: nothing
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    nth: int = 1
    count: int | None = 1
    every: int = 1
    seconds: float = 0.0
    retry_after_ms: int | None = None

    def matches(self, method: str, path: str) -> bool:
        """Whether the request is one of those meant."""
        return bool(re.fullmatch(self.method, method) and re.fullmatch(self.path, path))

    def strikes(self, *, seen: int, fired: int) -> bool:
        """Whether the matching request number `seen` is struck, after `fired` were."""
        if seen < self.nth or (self.count is not None and fired >= self.count):
            return False
        return (seen - self.nth) % self.every == 0


def parse(content: JsonObject) -> Fault:
    """
    The fault that a control request describes.

    Raises:
        FaultError: an unknown kind or member, or a wrong value
    """
    if content.get("kind") not in get_args(Kind):
        msg = f"kind is one of {', '.join(get_args(Kind))}"
        raise FaultError(msg)
    unknown = sorted(content.keys() - set(Fault.__slots__))
    if unknown:
        msg = f"there is no {', '.join(unknown)}; a fault has {', '.join(Fault.__slots__)}"
        raise FaultError(msg)
    try:
        fault = Fault(**content)  # type: ignore[arg-type]  # checked below
        re.compile(fault.method), re.compile(fault.path)
        sound = fault.nth >= 1 and fault.every >= 1 and fault.seconds >= 0
    except (TypeError, re.error) as error:
        raise FaultError(str(error)) from error
    if not sound:
        msg = "nth and every start at 1, seconds at 0"
        raise FaultError(msg)
    return fault


def program(store: Store, fault: Fault) -> None:
    """Add a fault behind those there are."""
    content: JsonObject = {name: getattr(fault, name) for name in Fault.__slots__}
    store.run("insert into faults (spec) values (?)", encode(content))


def clear(store: Store) -> None:
    """Remove all faults."""
    store.run("delete from faults")


def struck(store: Store, *, method: str, path: str) -> Fault | None:
    """Count the request with every fault that it matches; the first that strikes is returned."""
    if store.row("select 1 from faults limit 1") is None:
        return None
    chosen = None
    with store.writing():
        for row in store.rows("select * from faults order by seq"):
            fault = Fault(**decode_object(row["spec"]))  # type: ignore[arg-type]
            if not fault.matches(method, path):
                continue
            seen = row["seen"] + 1
            strikes = chosen is None and fault.strikes(seen=seen, fired=row["fired"])
            chosen = fault if strikes else chosen
            store.run(
                "update faults set seen = ?, fired = fired + ? where seq = ?",
                seen,
                int(strikes),
                row["seq"],
            )
    return chosen
