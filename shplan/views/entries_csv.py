"""
Entries of the ledger as a table for spreadsheets: RFC 4180, one row an entry.

The table informs; what proves is the lines themselves (`ledger export`), whose hashes stand in it.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from shplan.core.entry import LedgerEntry, Settlement

# In order; docs/ledger.md says what each of them holds.
COLUMNS: Final = (
    "sequence",
    "time",
    "event",
    "address",
    "operation",
    "result",
    "id",
    "status",
    "cost_pu",
    "intent",
    "members",
    "lost_members",
    "key",
    "attempt",
    "message",
    "plan",
    "request",
    "deployment",
    "server_time",
    "user",
    "ci_run",
    "commit",
    "fence",
    "previous",
    "hash",
)
# A spreadsheet takes a cell that begins so for a formula, and a server's words may begin so. East
# Asian ones take the wide forms as well; blanks before it may be trimmed on the way there.
# Source: OWASP, "CSV Injection".
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What spreadsheets show as text begins so; so whoever reads by program takes exactly one away.
_TEXT: Final = "'"


def csv_header() -> str:
    """Return the first row."""
    return _row(COLUMNS)


def csv_row(entry: LedgerEntry, *, line_hash: str) -> str:
    """
    Return the row of an entry; what it does not say is an empty cell.

    Args:
        line_hash: of its line, which the next entry names
    """
    draft = entry.draft
    return _row(
        (
            entry.sequence,
            entry.time,
            draft.event.value,
            draft.address,
            draft.operation,
            *_learnt(draft.settlement),
            draft.intent,
            len(draft.keys) or _number(draft.settlement, "members"),
            _number(draft.settlement, "lost_members"),
            draft.key,
            draft.attempt or None,
            "" if draft.settlement is None else draft.settlement.message,
            draft.plan,
            draft.request,
            draft.deployment,
            draft.server_time,
            *(entry.actor.get(name) for name in ("user", "ciRun", "commit")),
            entry.fence,
            entry.previous,
            line_hash,
        )
    )


def _learnt(settled: Settlement | None) -> tuple[object, ...]:
    """Return result, id, status and cost; the cost of a run stands in its receipt."""
    if settled is None:
        return (None,) * 4
    cost_pu = settled.cost_pu
    if settled.receipt is not None:
        cost_pu = settled.receipt.cost_pu or cost_pu
    return settled.result.value, settled.id, settled.status or None, cost_pu or None


def _number(settled: Settlement | None, name: str) -> int | None:
    return None if settled is None else len(getattr(settled, name)) or None


def _row(cells: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return text.getvalue()


def _cell(value: object) -> str:
    shown = "" if value is None else str(value)
    is_risky = shown.startswith((*_FORMULA, _TEXT)) or shown.lstrip().startswith(_FORMULA)
    return _TEXT + shown if is_risky else shown
