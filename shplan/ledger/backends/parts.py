"""
Under which names a ledger's lines lie in a bucket, and which of them a reader takes; pure.

    00000000000000000412.jsonl                               what one append wrote, from entry 412 on
    00000000000000000000-00000000000000000411.1.jsonl        what was put together, of tier 1

Objects that were put together may stand beside what they were made of, as long as somebody is
about to remove that. They hold the same bytes, so a reader takes the larger ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from shplan.core.frozen import dataclass

# A reader holds some of them in memory; ten million entries are a thousand objects.
PACK_BYTES: Final = 8 * 2**20
_DIGITS = 20
_NAME = re.compile(r"([0-9]{20})(?:-([0-9]{20})\.([1-9][0-9]?))?\.jsonl")


@dataclass(frozen=True, slots=True)
class Part:
    """
    One object with lines.

    Args:
        name: without the folder
        first: number of its first entry
        last: of its last one; -1 for what one append wrote, whose name does not tell
        tier: how often it was put together
        size_bytes: of its content
    """

    name: str
    first: int
    last: int
    tier: int
    size_bytes: int


def append_name(first: int) -> str:
    """Return the name for what one append writes."""
    return f"{first:0{_DIGITS}d}.jsonl"


def pack_name(first: int, last: int, tier: int) -> str:
    """Return the name for what was put together."""
    return f"{first:0{_DIGITS}d}-{last:0{_DIGITS}d}.{tier}.jsonl"


def parse(name: str, size_bytes: int) -> Part | None:
    """Return the part of this name; None for a name that is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    first, last, tier = found.groups()
    if last is None:
        return Part(name, int(first), -1, 0, size_bytes)
    return Part(name, int(first), int(last), int(tier), size_bytes)


def arrange(parts: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """
    Return the parts that hold the ledger, in order, and those that others hold as well.

    Two of what was put together may overlap, where two writers each thought that it was theirs to
    do: the later one goes on where the earlier one ends.
    """
    everything = sorted(parts, key=lambda part: (part.first, -part.last))
    taken: list[Part] = []
    spare: list[Part] = []
    reach = -1
    for part in everything:
        covered = part.last <= reach if part.last >= 0 else part.first <= reach
        (spare if covered else taken).append(part)
        reach = max(reach, part.last)
    return taken, spare


def holder_of(parts: Sequence[Part], sequence: int) -> int | None:
    """Return which of the arranged parts begins with this entry, or holds it."""
    for index, part in enumerate(parts):
        if part.first == sequence or part.first <= sequence <= part.last:
            return index
    return None


def to_merge(parts: Sequence[Part], *, fan: int, pack_bytes: int = PACK_BYTES) -> list[list[Part]]:
    """
    Return groups of neighbours that should become one each; none while there are few.

    A tier is put together once it has `fan` members, into parts of the next one: each byte is
    written about as often as the number of tiers, and the number of objects stays small.

    Args:
        parts: arranged
        fan: how many of one tier are too many
        pack_bytes: what is put together is no larger; what is half as large is left alone
    """
    for tier in sorted({part.tier for part in parts}):
        run = [part for part in parts if part.tier == tier]
        loose = [part for part in run if part.tier == 0 or 2 * part.size_bytes < pack_bytes]
        if len(loose) >= fan:
            groups = [group for group in _groups(parts, loose, pack_bytes) if len(group) > 1]
            if groups:
                return groups
    return []


def _groups(parts: Sequence[Part], loose: Sequence[Part], pack_bytes: int) -> list[list[Part]]:
    wanted = {part.name for part in loose}
    groups: list[list[Part]] = [[]]
    size = 0
    for part in parts:
        fits = part.name in wanted and size + part.size_bytes <= pack_bytes
        if not fits and groups[-1]:
            groups.append([])
            size = 0
        if part.name in wanted:
            groups[-1].append(part)
            size += part.size_bytes
    return groups
