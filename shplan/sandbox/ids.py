"""
Identifiers from a seed and a counter, in the form of a version 4 UUID.

Two runs with one seed mint the same identifiers in the same order. The counter is kept
with the data, in the transaction that uses it.
"""

from __future__ import annotations

import hashlib
from uuid import UUID


def seeded_uuid(*parts: str | int) -> str:
    """A UUID that depends on the parts and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in the usual form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
