"""
The head of the ledger as commands print it: what CI printed is an anchor that CI has kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shplan.engine.world import World
    from shplan.ledger.journal import Journal


async def head_after(journal: Journal) -> str:
    """Return the head as `ledger verify --anchor` takes it; empty where there is none to tell."""
    from shplan.core.errors import LedgerError  # noqa: PLC0415

    try:
        end = await journal.end()
    except LedgerError:
        # What was done is reported all the same; the next command says what is wrong.
        return ""
    return await head_of(journal, end.hash)


async def head_of(journal: Journal, stated: str) -> str:
    """
    Return the head that a plan was computed from, with its number if it is the head still.

    Args:
        stated: its hash
    """
    from shplan.core.anchors import Anchor  # noqa: PLC0415
    from shplan.core.chain import EMPTY  # noqa: PLC0415

    if stated in ("", EMPTY.hash):
        return ""
    end = await journal.end()
    return str(Anchor(stated, end.sequence if end.hash == stated else None))


def say_asked(world: World) -> None:
    """Say on stderr what it has cost to ask: a plan changes nothing, and is not free of charge."""
    from shplan.cli.output import say  # noqa: PLC0415
    from shplan.views.values import amount, pu  # noqa: PLC0415

    if world.asked_pu:
        pages = amount(len(world.paid), "page")
        say(f"Asking the catalogue has cost {pu(world.asked_pu)} ({pages})")


def say_head(head: str) -> None:
    """Say it on stderr, where logs keep it and no program takes it for data."""
    from shplan.cli.output import say  # noqa: PLC0415

    if head:
        say(f"ledger head {head}")
