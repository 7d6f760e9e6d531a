"""
What `ledger recover` found and did, as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from shplan.core.anchors import printed_head
from shplan.core.chain import Head
from shplan.views.values import amount, safe

_SHOWN: Final = 20


class Loss(Protocol):
    """A line that is not in the new ledger."""

    @property
    def place(self) -> str:
        """Where it lies in the old one."""
        ...

    @property
    def why(self) -> str:
        """What is wrong with it."""
        ...


class Recovery(Protocol):
    """What was found of the old ledger."""

    @property
    def kept(self) -> int:
        """How many entries are intact."""
        ...

    @property
    def lost(self) -> Sequence[Loss]:
        """The first lines that are not."""
        ...

    @property
    def lost_count(self) -> int:
        """How many there are."""
        ...

    @property
    def old_head(self) -> str:
        """Its hash."""
        ...


def render_recovery(found: Recovery, *, aside: str, end: Head) -> str:
    """
    Word a recovery.

    Args:
        aside: where the old ledger lies
        end: the head of the new one
    """
    kept, lost = amount(found.kept, "intact line"), amount(found.lost_count, "damaged line")
    lines = [f"Kept {kept}; {lost} left out{':' if found.lost else '.'}", *_lost(found)]
    lines += [
        f"The old ledger lies whole in {safe(aside)}.",
        f"Its head was {found.old_head}; entry 0 of the new one names it.",
        f"ledger head {printed_head(end)}",
    ]
    return "\n".join(lines)


def _lost(found: Recovery) -> Iterator[str]:
    shown = found.lost[:_SHOWN]
    yield from (f"  {safe(one.place)}: {safe(one.why)}" for one in shown)
    if found.lost_count > len(shown):
        yield f"  and {found.lost_count - len(shown):,} more"
