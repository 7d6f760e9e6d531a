"""
A fingerprint of a set of ids, of the same few bytes for three and for a million.

Ids come page by page, in an order that nobody promises, so what is kept is a sum: of the SHA-256
of each id, modulo 2^256, and how many there were. Two sets of ids that a service has made have the
same fingerprint only if they are the same set.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS = 1 << 256
_TEXT = re.compile("([0-9]{1,18}):([0-9a-f]{64})")


class Fingerprint:
    """
    Takes ids in any order, each once, and tells what they are together.

    Args:
        ids: the first ones
    """

    __slots__ = ("_is_exact", "_sum", "total")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._sum = 0
        self._is_exact = True
        self.total = 0
        for one in ids:
            self.add(one)

    @classmethod
    def read(cls, value: object) -> Fingerprint:
        """
        Return what `text` was written for; a plain number, as older ledgers have, counts only.

        Anything else is the fingerprint of none, which allows nothing.
        """
        made = cls()
        if isinstance(value, int):
            made.total, made._is_exact = max(value, 0), False
        elif isinstance(value, str) and (parts := _TEXT.fullmatch(value)):
            made.total, made._sum = int(parts[1]), int(parts[2], 16)
        return made

    def add(self, one: str) -> None:
        """Take in one id."""
        self.total += 1
        self._sum += int.from_bytes(sha256(one.encode("utf-8", "surrogatepass")).digest(), "big")

    def join(self, other: Fingerprint) -> None:
        """Take in what another has taken, which shares none with this one."""
        self.total += other.total
        self._sum += other._sum
        self._is_exact = self._is_exact and other._is_exact

    @property
    def text(self) -> str:
        """The number of ids and what they are, e.g. `3:9f...`; empty for none at all."""
        return f"{self.total}:{self._sum % _MODULUS:064x}" if self.total else ""

    def beyond(self, earlier: Fingerprint) -> int:
        """
        Return how many came since an earlier look, at least.

        One where there are no more than there were, and not the same: some are gone, and nothing
        says for how many others they made room. None where there are none at all.
        """
        more = max(self.total - earlier.total, 0)
        if more or not self.total or not earlier._is_exact:
            return more
        return 0 if self.text == earlier.text else 1
