"""
Who holds a ledger, written where the others see it; what is left behind tells that somebody died.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shplan.ledger.backends.seals import seal, unseal
from shplan.ledger.port import Holder

UNKNOWN = Holder(pid=0, user="", host="", since="")
UNSEALED: Final = 1
_FORMAT: Final = 2


class Signature(msgspec.Struct, frozen=True):
    """
    A holder as it signs.

    Args:
        pid: 0: nobody holds it
        dead: those who died before, until an entry tells of them
        lease: number of the lease, where the place has one
        v: of this form; 1, which had no digest, did not name itself
    """

    pid: int
    user: str
    host: str
    since: str
    dead: tuple[Holder, ...] = ()
    lease: int = 0
    v: int = UNSEALED

    @property
    def holder(self) -> Holder:
        """Who signed."""
        return Holder(pid=self.pid, user=self.user, host=self.host, since=self.since)


def sign(holder: Holder, dead: tuple[Holder, ...] = (), *, lease: int = 0) -> bytes:
    """Return what a holder leaves for others to read."""
    one = Signature(holder.pid, holder.user, holder.host, holder.since, dead, lease, _FORMAT)
    return seal(msgspec.json.encode(one))


def signed(content: bytes) -> Signature | None:
    """Return who signed, None where nobody can tell."""
    try:
        sealed = unseal(content)
        one = msgspec.json.decode(content if sealed is None else sealed, type=Signature)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return one if one.v == (UNSEALED if sealed is None else _FORMAT) else None


def left_behind(signature: Signature | None) -> tuple[Holder, ...]:
    """Return who died, the last one being whoever signed."""
    if signature is None:
        return ()
    return (*signature.dead, signature.holder) if signature.pid else signature.dead


def testament(dead: tuple[Holder, ...]) -> bytes | None:
    """Return what has to stay behind where no entry tells of the dead yet, None for nothing."""
    if not dead:
        return None
    *others, last = dead
    return sign(last, tuple(others))
