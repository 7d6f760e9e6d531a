"""
Small records beside the lines, with a digest over every byte of what they say.

Lines prove each other. What lies beside them and is compared with no line (a token, who holds the
ledger) has to prove itself, else nobody would see that it was changed. A seal names no author:
whoever may write can seal again, as they can write another chain.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_SEAL: Final = re.compile(rb',"digest":"(sha256:[0-9a-f]{64})"\}\n?')
_SEAL_BYTES: Final = len(',"digest":"sha256:') + 64 + len('"}\n')


def seal(record: bytes) -> bytes:
    """Return a JSON object that is not empty with its digest as the last field, as a line."""
    return record[:-1] + f',"digest":"{_digest(record)}"}}\n'.encode()


def unseal(content: bytes) -> bytes | None:
    """
    Return the object without its digest, None where it has none.

    Raises:
        ValueError: the digest is of something else
    """
    found = _SEAL.fullmatch(content, max(len(content) - _SEAL_BYTES, 0))
    if found is None:
        return None
    record = content[: found.start()] + b"}"
    if seal(record) != content:
        msg = "its digest is of something else"
        raise ValueError(msg)
    return record


def _digest(record: bytes) -> str:
    return f"sha256:{hashlib.sha256(record).hexdigest()}"
