"""
The head of a ledger in a bucket, as an object: format 2, and what format 1 was.

Number, lease and hash are compared with the entries. The token is compared with nothing, so the
object is sealed as a whole; format 1 was not.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shplan.core.chain import Head
from shplan.core.errors import DamagedLedgerError, LedgerError
from shplan.ledger.backends.seals import seal, unseal

FORMAT: Final = 2
_UNSEALED: Final = 1


class _HeadFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fence: int
    hash: str
    sequence: int
    # Of the lease under which it was written: no two writers write the same head.
    token: str
    v: int


class _HeadVersion(msgspec.Struct, frozen=True):
    v: int


def encode(head: Head, *, token: str) -> bytes:
    """Return the object."""
    return seal(msgspec.json.encode(_HeadFile(head.fence, head.hash, head.sequence, token, FORMAT)))


def decode(content: bytes, *, place: str) -> Head:
    """
    Read the object.

    Args:
        place: what messages call it

    Raises:
        DamagedLedgerError: it is no head, or not as shplan wrote it
        LedgerError: it was written by a newer shplan
    """
    try:
        version = msgspec.json.decode(content, type=_HeadVersion).v
        if version > FORMAT:
            msg = (
                f"the object {place} has format {version} and this shplan knows {FORMAT}: "
                "it was written by a newer shplan"
            )
            raise LedgerError(msg)
        record = content if version == _UNSEALED else unseal(content)
        read = None if record is None else msgspec.json.decode(record, type=_HeadFile)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        msg = f"the object {place} is not the head of a ledger: {error}"
        raise DamagedLedgerError(msg) from error
    if read is None or content != _written(read):
        # It says the same in other bytes: shplan did not write them.
        msg = f"the object {place} is not as shplan writes it"
        raise DamagedLedgerError(msg)
    return Head(read.sequence, read.fence, read.hash)


def _written(record: _HeadFile) -> bytes | None:
    """Return the bytes of a record in its own format, None for a format that never was."""
    line = msgspec.json.encode(record)
    return {_UNSEALED: line + b"\n", FORMAT: seal(line)}.get(record.v)
