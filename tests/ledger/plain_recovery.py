"""
Recovery as one would write it if memory were no matter: what the one that streams is held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.line import decode
from shplan.core.value import JsonObject

_LOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Lost:
    """A line that is not in the new ledger: where it lies in the old one, and why."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Rescued:
    """The new ledger: its lines, its head, how many entries came from the old one."""

    lines: tuple[bytes, ...]
    head: Head
    kept: int
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    place: str
    entry: LedgerEntry
    hash: str


def salvage(
    lines: Sequence[tuple[str, bytes]],
    *,
    acknowledged: Head | None,
    time: str,
    actor: Mapping[str, str],
) -> Rescued:
    """
    Chain the intact entries anew, behind an entry that names the old head.

    Args:
        lines: place and bytes of every line that is there
        acknowledged: the head that was kept, if it could be read
        time: of the first entry; the others keep theirs
        actor: of the first entry
    """
    found, lost = _decode_all(lines)
    intact, unconfirmed = _confirmed(found, acknowledged)
    lost = (*lost, *unconfirmed)
    fence = 1 + max(
        [item.entry.fence for item in intact]
        + ([acknowledged.fence] if acknowledged is not None else [0])
    )
    first = EntryDraft(Event.RECOVER, data=_account(acknowledged, intact, lost))
    head, written = _chain_one(EMPTY, first, fence=fence, time=time, actor=actor)
    new_lines = [written]
    numbers: dict[int, int] = {}
    for item in intact:
        draft = replace(item.entry.draft, intent=_renumbered(item.entry.draft.intent, numbers))
        head, written = _chain_one(
            head, draft, fence=fence, time=item.entry.time, actor=item.entry.actor
        )
        numbers[item.entry.sequence] = head.sequence
        new_lines.append(written)
    return Rescued(tuple(new_lines), head, len(intact), lost)


def _decode_all(
    lines: Iterable[tuple[str, bytes]],
) -> tuple[list[_Found], tuple[Lost, ...]]:
    found: list[_Found] = []
    lost: list[Lost] = []
    for place, line in lines:
        if not line.endswith(b"\n"):
            lost.append(Lost(place, "the line is unfinished"))
            continue
        try:
            found.append(_Found(place, decode(line), chain.line_hash(line)))
        except LedgerError as error:
            lost.append(Lost(place, str(error)))
    return found, tuple(lost)


def _confirmed(
    found: Sequence[_Found], acknowledged: Head | None
) -> tuple[list[_Found], tuple[Lost, ...]]:
    """
    Part the intact entries from the rest, repetitions left out.

    From the end to the beginning: an entry is intact when the intact one behind it, or the head,
    names its hash. Where nothing stands behind it, its own link must fit what stands before it.
    """
    at: dict[int, list[_Found]] = {}
    for item in found:
        at.setdefault(item.entry.sequence, []).append(item)
    intact: dict[int, _Found] = {}
    for sequence in sorted(at, reverse=True):
        named = _named(sequence, intact, acknowledged)
        for item in at[sequence]:
            if item.hash == named if named else _fits(item, at.get(sequence - 1, [])):
                intact[sequence] = item
                break
    kept = {(number, item.hash) for number, item in intact.items()}
    lost = tuple(
        Lost(item.place, f"nothing confirms entry {item.entry.sequence}")
        for item in found
        if (item.entry.sequence, item.hash) not in kept
    )
    return [intact[number] for number in sorted(intact)], lost


def _named(sequence: int, intact: Mapping[int, _Found], acknowledged: Head | None) -> str:
    if acknowledged is not None and acknowledged.sequence == sequence:
        return acknowledged.hash
    behind = intact.get(sequence + 1)
    return "" if behind is None else behind.entry.previous


def _fits(item: _Found, before: Sequence[_Found]) -> bool:
    if item.entry.sequence == 0:
        return item.entry.previous == EMPTY.hash
    return not before or any(item.entry.previous == other.hash for other in before)


def _account(
    acknowledged: Head | None, intact: Sequence[_Found], lost: Sequence[Lost]
) -> JsonObject:
    head = acknowledged.hash if acknowledged is not None else EMPTY.hash
    if acknowledged is None and intact:
        head = intact[-1].hash
    return {
        "head": head,
        "kept": len(intact),
        "lost": len(lost),
        "lostAt": [item.place for item in lost[:_LOST_SHOWN]],
    }


def _renumbered(intent: int | None, numbers: Mapping[int, int]) -> int | None:
    # The outcome of a lost intent still teaches what it says.
    return None if intent is None else numbers.get(intent)


def _chain_one(
    head: Head, draft: EntryDraft, *, fence: int, time: str, actor: Mapping[str, str]
) -> tuple[Head, bytes]:
    _, lines, head = chain.append(head, [draft], fence=fence, time=time, actor=actor)
    return head, lines[0]
