"""
What `ledger verify` found, as text, Markdown and JSON: the chain, its anchors, its signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

from shplan.core.anchors import Anchor, Finding
from shplan.core.chain import Damage, DamageKind
from shplan.core.signed_heads import SignatureFinding
from shplan.core.value import JsonObject
from shplan.views.markdown import code, fenced
from shplan.views.values import amount, safe


class Verification(Protocol):
    """What was found of the chain."""

    @property
    def entries(self) -> int:
        """Number of intact entries before the first damage."""
        ...

    @property
    def segments(self) -> int:
        """Number of segments."""
        ...

    @property
    def head(self) -> str:
        """Hash of the last intact entry."""
        ...

    @property
    def damage(self) -> Damage | None:
        """The first damage."""
        ...

    @property
    def place(self) -> str:
        """File and line of it."""
        ...

    @property
    def torn_bytes(self) -> int:
        """Length of an unfinished last line."""
        ...

    @property
    def head_kept(self) -> bool:
        """There is a head beside the journal."""
        ...

    @property
    def head_behind(self) -> int:
        """Entries behind that head."""
        ...

    @property
    def anchors(self) -> Sequence[Finding]:
        """What became of each anchor."""
        ...

    @property
    def checkpoint(self) -> Enum:
        """`none`, `good`, `unused`, `altered` or `wrong`."""
        ...

    @property
    def flaws(self) -> Sequence[str]:
        """What lies beside it and is not as it was written."""
        ...

    @property
    def origin(self) -> str:
        """Whose ledger it says it is, if that is somebody else's."""
        ...

    @property
    def proven(self) -> bool:
        """Nothing was changed, and every anchor is met."""
        ...


def printed_end(report: Verification) -> str:
    """Return the head as it is handed to `--anchor`, empty for an empty ledger."""
    return str(Anchor(report.head, report.entries - 1)) if report.entries else ""


def is_proven(report: Verification, signatures: Sequence[SignatureFinding] = ()) -> bool:
    """Tell whether nothing was changed, and everything that was asked for holds."""
    return report.proven and all(one.holds for one in signatures)


RECOVER = "shplan ledger recover"


def render_verification(
    report: Verification,
    signatures: Sequence[SignatureFinding] = (),
    *,
    recover: str = RECOVER,
) -> str:
    """
    Word a verification: intact, or the first damage and the way on; then what is beside it.

    Args:
        recover: the command that sets this ledger aside
    """
    if report.damage is not None and report.damage.kind is DamageKind.NEWER:
        lines = [
            f"Not read from {safe(report.place)} on: {safe(report.damage.what)}.",
            "Nothing is changed. A newer shplan reads it.",
        ]
    elif report.damage is not None:
        sound = _sound(report)
        intact = f"{_entries(sound)} before it {'is' if sound == 1 else 'are'} intact."
        lines = [
            f"Damaged at {safe(report.place)}: {safe(report.damage.what)}.",
            f"{intact} To go on from what is intact:",
            f"  {recover}",
        ]
    else:
        files = amount(report.segments, "file")
        lines = [f"Intact: {_entries(report.entries)} in {files}."]
    lines += _anchored(report.anchors)
    lines += _signed(report, signatures)
    if report.origin:
        lines.append(f"It is another ledger: that of {safe(report.origin)}.")
    lines += (f"Somebody was here: {safe(one)}." for one in report.flaws)
    if report.damage is None:
        lines += [f"ledger head {printed_end(report)}"] if report.entries else []
        lines += _notes(report, recover)
    return "\n".join(lines) + "\n"


def markdown_verification(
    report: Verification,
    signatures: Sequence[SignatureFinding] = (),
    *,
    recover: str = RECOVER,
) -> str:
    """Return a verification as Markdown, for the summary of a job of CI."""
    head = f"## The ledger is {'intact' if is_proven(report, signatures) else 'not what it was'}"
    text = render_verification(report, signatures, recover=recover)
    parts = [head, fenced(text.splitlines(), "text")]
    if printed_end(report) and report.damage is None:
        parts.append(f"ledger head {code(printed_end(report))}")
    return "\n\n".join(parts) + "\n"


def verification_json(
    report: Verification, signatures: Sequence[SignatureFinding] = ()
) -> JsonObject:
    """Return the same for programs."""
    damage = report.damage
    return {
        "intact": damage is None,
        "proven": is_proven(report, signatures),
        "entries": report.entries,
        "segments": report.segments,
        "head": report.head,
        "ledgerHead": printed_end(report),
        "tornBytes": report.torn_bytes,
        "headKept": report.head_kept,
        "headBehind": report.head_behind,
        "checkpoint": str(report.checkpoint.value),
        "flaws": list(report.flaws),
        "origin": report.origin,
        "anchors": [
            {
                "anchor": str(one.anchor),
                "source": one.anchor.source,
                "met": one.met,
                "what": one.what,
            }
            for one in report.anchors
        ],
        "signatures": [
            {
                "place": one.place,
                "anchor": "" if one.anchor is None else str(one.anchor),
                "time": one.time,
                "signer": one.signer,
                "holds": one.holds,
                "what": one.what,
            }
            for one in signatures
        ],
        "damage": None
        if damage is None
        else {"kind": damage.kind.name.lower(), "place": report.place, "what": damage.what},
    }


def _anchored(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        source = safe(one.anchor.source)
        ledger = f"the ledger had the head {one.anchor}"
        if one.met:
            yield f"Anchored by {source}: {one.what}."
        else:
            yield f"Not anchored: by {source} {ledger}, and {one.what}."
    if not all(one.met for one in findings):
        yield "The ledger was cut off, rolled back or written anew since, or it is another one."


def _signed(report: Verification, signatures: Sequence[SignatureFinding]) -> Iterator[str]:
    for one in signatures:
        place = safe(one.place)
        if one.holds and one.anchor is not None:
            number = one.anchor.sequence
            yield f"Signed up to entry {number} by {safe(one.signer)} at {one.time} ({place})."
        else:
            yield f"Signature at {place} does not hold: {safe(one.what)}."
    last = max(
        (one.anchor.sequence or 0 for one in signatures if one.holds and one.anchor is not None),
        default=None,
    )
    if last is not None and report.entries - 1 > last:
        yield f"Nobody has signed the {_entries(report.entries - 1 - last)} after entry {last}."


def _notes(report: Verification, recover: str) -> Iterator[str]:
    if report.torn_bytes:
        torn = amount(report.torn_bytes, "byte")
        yield f"The last line is unfinished ({torn}); the next writer cuts it."
    if report.entries and not report.head_kept:
        yield (
            "There is no head file: entries cut off at the end would not be noticed."
            " The next apply that records something writes it."
        )
    elif report.head_behind:
        behind = _entries(report.head_behind)
        yield f"The head file is {behind} behind, as a power cut leaves it; the next writer mends it."
    if report.checkpoint.value == "unused":
        yield "The checkpoint is not one that this version trusts; the ledger is read whole instead."
    elif report.checkpoint.value == "altered":
        yield (
            "The checkpoint is not one that was written here: no entry vouches for it, and no reader"
            f" uses it. Was the ledger rolled back? To drop it:\n  {recover}"
        )
    elif report.checkpoint.value == "wrong":
        yield (
            "The checkpoint is not what the entries come to, and readers start there. To drop it:\n"
            f"  {recover}"
        )


def _sound(report: Verification) -> int:
    """
    Count the entries before the damage.

    An entry is found to be changed by the one behind it, and was counted as read by then.
    """
    damage = report.damage
    if damage is None or damage.kind is not DamageKind.CHANGED:
        return report.entries
    return min(damage.sequence, report.entries)


def _entries(number: int) -> str:
    return f"{number:,} entry" if number == 1 else f"{number:,} entries"
