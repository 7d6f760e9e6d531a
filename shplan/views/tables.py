"""
Lists of things as text: the status of resources, entries of the ledger, its verification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from shplan.core.chain import Damage
from shplan.core.entry import LedgerEntry, Result, Settlement
from shplan.core.status import Status
from shplan.core.value import JsonObject, JsonValue

_COLORS = {"up to date": "32", "drifted": "33", "pending": "33", "absent": "36", "blocked": "31"}


def render_status(rows: Sequence[Status], *, width: int, color: bool) -> str:
    """Return one line a resource, and one that counts them."""
    if not rows:
        return "Nothing is declared and nothing is recorded.\n"
    longest = max(len(str(row.address)) for row in rows)
    lines = []
    for row in rows:
        state = f"{row.state:<10}"
        shown = f"\x1b[{_COLORS.get(row.state, '0')}m{state}\x1b[0m" if color else state
        detail = "  ".join(part for part in (row.id, _members(row), row.detail) if part)
        lines.append(f"{row.address!s:<{longest}}  {shown}  {detail}".rstrip()[: width + 20])
    settled = sum(row.state in ("up to date", "unmanaged") for row in rows)
    lines.append(f"\n{settled} of {len(rows)} resources are as declared.")
    return "\n".join(lines) + "\n"


def status_json(rows: Sequence[Status]) -> list[JsonValue]:
    """Return the same for programs."""
    return [
        {
            "address": str(row.address),
            "state": row.state,
            "detail": row.detail,
            "id": row.id,
            "counts": {**row.counts},
        }
        for row in rows
    ]


def _members(row: Status) -> str:
    declared = row.counts.get("declared")
    unmanaged = row.counts.get("unmanaged")
    text = f"{declared:,} tiles" if isinstance(declared, int) else ""
    return text + (f" (+{unmanaged:,} unmanaged)" if isinstance(unmanaged, int) else "")


def render_entries(entries: Iterable[LedgerEntry], *, width: int, color: bool) -> str:
    """Return one line an entry: number, time, event, address, what was learnt."""
    del color
    lines = [_entry(entry)[:width] for entry in entries]
    return "\n".join(lines or ["The ledger is empty."]) + "\n"


def _entry(entry: LedgerEntry) -> str:
    draft = entry.draft
    head = f"{entry.sequence:>5}  {entry.time}  {draft.event.value:<8}"
    return f"{head}  {draft.address or ''!s:<28}  {' '.join(_facts(entry))}".rstrip()


def _facts(entry: LedgerEntry) -> Iterator[str]:
    draft = entry.draft
    if draft.operation:
        yield draft.operation
    if draft.keys:
        yield f"{len(draft.keys)} tiles"
    if draft.intent is not None:
        yield f"of {draft.intent}"
    if draft.settlement is not None:
        yield from _learnt(draft.settlement)


def _learnt(settled: Settlement) -> Iterator[str]:
    made = settled.data.get("made")
    provisional = bool(made) and settled.result is Result.UNKNOWN
    yield f"made {made}, not bound yet" if provisional else settled.result.value
    counted = (
        (len(settled.members), "tiles"),
        (len(settled.lost_members), "tiles gone"),
        (settled.cost_pu, "PU"),
    )
    yield from (settled.id,) if settled.id else ()
    yield from (f"{number:g} {what}" for number, what in counted if number)
    yield from (settled.message,) if settled.message else ()


def entry_json(entry: LedgerEntry) -> JsonObject:
    """Return an entry as the ledger holds it."""
    import orjson  # noqa: PLC0415

    from shplan.core.line import encode  # noqa: PLC0415

    shown: JsonObject = orjson.loads(encode(entry))
    return shown


class Verification(Protocol):
    """What `ledger verify` found."""

    @property
    def entries(self) -> int: ...

    @property
    def segments(self) -> int: ...

    @property
    def head(self) -> str: ...

    @property
    def damage(self) -> Damage | None: ...

    @property
    def place(self) -> str: ...

    @property
    def torn_bytes(self) -> int: ...


def render_verification(report: Verification) -> str:
    """Word a verification: intact, or the first damage and the way on."""
    if report.damage is None:
        torn = (
            f"\nThe last line is unfinished ({report.torn_bytes} bytes); the next writer cuts it."
        )
        files = "file" if report.segments == 1 else "files"
        return (
            f"Intact: {report.entries} entries in {report.segments} {files}.\nhead {report.head}"
            + (torn if report.torn_bytes else "")
            + "\n"
        )
    return (
        f"Damaged at {report.place}: {report.damage.what}.\n"
        f"{report.entries} entries before it are intact. To go on from what is intact:\n"
        "  shplan ledger recover\n"
    )


def verification_json(report: Verification) -> JsonObject:
    """Return the same for programs."""
    damage = report.damage
    return {
        "intact": damage is None,
        "entries": report.entries,
        "segments": report.segments,
        "head": report.head,
        "tornBytes": report.torn_bytes,
        "damage": None
        if damage is None
        else {"kind": damage.kind.name.lower(), "place": report.place, "what": damage.what},
    }
