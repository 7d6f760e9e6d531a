"""
Who holds a ledger, written where the others see it; what is left behind tells that somebody died.
"""

from __future__ import annotations

import msgspec

from shplan.ledger.port import Holder

UNKNOWN = Holder(pid=0, user="", host="", since="")


class Signature(msgspec.Struct, frozen=True):
    """
    A holder as it signs.

    Args:
        dead: those who died before, until an entry tells of them
    """

    pid: int
    user: str
    host: str
    since: str
    dead: tuple[Holder, ...] = ()

    @property
    def holder(self) -> Holder:
        """Who signed."""
        return Holder(pid=self.pid, user=self.user, host=self.host, since=self.since)


def sign(holder: Holder, dead: tuple[Holder, ...] = ()) -> bytes:
    """Return what a holder leaves for others to read."""
    return msgspec.json.encode(Signature(holder.pid, holder.user, holder.host, holder.since, dead))


def signed(content: bytes) -> Signature | None:
    """Return who signed, None where nobody can tell."""
    try:
        return msgspec.json.decode(content, type=Signature)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def left_behind(signature: Signature | None) -> tuple[Holder, ...]:
    """Return who died, the last one being whoever signed."""
    return () if signature is None else (*signature.dead, signature.holder)


def testament(dead: tuple[Holder, ...]) -> bytes | None:
    """Return what has to stay behind where no entry tells of the dead yet, None for nothing."""
    if not dead:
        return None
    *others, last = dead
    return sign(last, tuple(others))
