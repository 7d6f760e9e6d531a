"""
`shplan ledger show`: entries as lines or as one JSON document, written while they are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from textwrap import indent

import orjson

from shplan.cli.options import Options
from shplan.cli.output import use_color, width, write_now
from shplan.core.address import Address
from shplan.core.entry import LedgerEntry
from shplan.ledger.journal import Journal
from shplan.views.tables import address_column, entry_json, render_entry

# So many are written at once: a ledger may have a million, and each writing costs.
_TOGETHER = 500


async def show_entries(journal: Journal, options: Options, *, address: str | None) -> set[str]:
    """
    Write the entries, in memory that grows with addresses alone.

    Args:
        address: only the entries of this one

    Returns:
        the addresses that the ledger knows, where none of its entries is of `address`
    """
    met: set[Address | None] = set()
    # Read whole before the first line is written: damage is an error, not a half document.
    await journal.scan(lambda entry: met.add(entry.draft.address))
    known = {str(one) for one in met if one is not None}
    shown = {one for one in known if address is None or concerns(one, address)}
    if address is not None and known and not shown:
        return known
    entries = _selected(journal, shown, every=address is None)
    if options.output == "json":
        await _write(entries, _as_json, opening="[\n", between=",\n", closing="\n]\n", none="[]\n")
        return set()
    column, columns, color = address_column(shown), width(), use_color(options)

    def line(entry: LedgerEntry) -> str:
        return render_entry(entry, column=column, width=columns, color=color)

    await _write(entries, line, none="The ledger is empty.\n")
    return set()


def concerns(address: str, wanted: str) -> bool:
    """Tell whether an address is the wanted one, or an instance of it."""
    return address == wanted or address.startswith(f"{wanted}[")


async def _selected(
    journal: Journal, shown: set[str], *, every: bool
) -> AsyncIterator[LedgerEntry]:
    async for entry in journal.entries():
        if every or str(entry.draft.address) in shown:
            yield entry


async def _write(
    entries: AsyncIterator[LedgerEntry],
    form: Callable[[LedgerEntry], str],
    *,
    opening: str = "",
    between: str = "",
    closing: str = "",
    none: str,
) -> None:
    begun = False
    waiting: list[str] = []
    async for entry in entries:
        waiting.append((between if begun else opening) + form(entry))
        begun = True
        if len(waiting) == _TOGETHER:
            write_now("".join(waiting))
            waiting.clear()
    write_now("".join(waiting) + (closing if begun else none))


def _as_json(entry: LedgerEntry) -> str:
    """Return an entry as it stands in a list that `write_json` writes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return indent(orjson.dumps(entry_json(entry), option=options).decode(), "  ")
