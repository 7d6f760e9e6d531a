"""
Lists of things as text: the status of resources, entries of the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from shplan.core.cost_form import levels_json
from shplan.core.entry import Event, LedgerEntry, Result, Settlement
from shplan.core.resource import Receipt
from shplan.core.status import Status
from shplan.core.value import JsonObject, JsonValue
from shplan.views.values import Paint, amount, clip, pu, safe

_COLORS = {
    "up to date": "green",
    "done": "green",
    "running": "cyan",
    "waiting": "yellow",
    "not run": "yellow",
    "unmanaged": "green",
    "read": "green",
    "differs": "yellow",
    "not read": "yellow",
    "ingesting": "cyan",
    "absent": "cyan",
    "drifted": "yellow",
    "pending": "yellow",
    "blocked": "red",
}
_UNSETTLED = ("drifted", "pending", "absent", "blocked", "not run")
_SETTLED = ("up to date", "unmanaged", "done", "read", "differs")
# Past this, one long address would push every other line off the screen.
_WIDEST_ADDRESS = 48


def render_status(
    rows: Sequence[Status], *, width: int, color: bool, plan: str = "shplan plan"
) -> str:
    """
    Return one line a resource, one that counts them, and what to type next.

    Args:
        plan: the command that shows what differs
    """
    if not rows:
        return "Nothing is declared and nothing is recorded.\n"
    lines = status_lines(rows, among=rows, width=width, color=color)
    return "\n".join([*lines, "", *status_summary(rows, plan=plan)]) + "\n"


def status_lines(
    rows: Iterable[Status], *, among: Sequence[Status], width: int, color: bool
) -> list[str]:
    """
    Return one line a resource.

    Args:
        among: all of them, which the columns fit
    """
    paint = Paint(color=color)
    column = _column(safe(str(row.address)) for row in among)
    state = max((len(row.state) for row in among), default=0)
    lines = []
    for row in rows:
        known = f"{safe(str(row.address)):<{column}}  "
        parts = [safe(row.id), _members(row), safe(row.detail)]
        detail = "  ".join(part for part in parts if part)
        room = max(width - len(known) - state - 2, 40)
        shown = paint(f"{row.state:<{state}}", _COLORS.get(row.state, ""))
        lines.append(f"{known}{shown}  {clip(detail, longest=room)}".rstrip())
    return lines


def status_summary(rows: Sequence[Status], *, plan: str = "shplan plan") -> Iterator[str]:
    """Yield how many are as declared, and what to type next."""
    counted = Counter(row.state for row in rows)
    settled = sum(counted[state] for state in _SETTLED)
    verb = "is" if settled == 1 == len(rows) else "are"
    yield f"{settled:,} of {amount(len(rows), 'resource')} {verb} as declared."
    if counted["running"]:
        yield f"{counted['running']:,} running; `shplan status --watch` looks until they have ended."
    if any(counted[state] for state in _UNSETTLED):
        yield f"What differs, and what apply would do:\n  {plan}"


def _column(texts: Iterable[str]) -> int:
    return min(max((len(text) for text in texts), default=0), _WIDEST_ADDRESS)


def status_json(rows: Sequence[Status]) -> list[JsonValue]:
    """Return the same for programs."""
    return [row_json(row) for row in rows]


def row_json(row: Status) -> JsonObject:
    """Return one of them."""
    return {
        "address": str(row.address),
        "state": row.state,
        "detail": row.detail,
        "id": row.id,
        "counts": {**row.counts},
        **_billed(row.receipt),
    }


def _billed(receipt: Receipt | None) -> JsonObject:
    """Return what a run has cost beside its estimate, each null where nobody has said it."""
    if receipt is None:
        return {}
    estimate = receipt.estimate_pu
    levels = None if estimate is None else levels_json(estimate)
    return {"costPU": receipt.cost_pu, "estimatePU": levels}


def _members(row: Status) -> str:
    declared = row.counts.get("declared")
    unmanaged = row.counts.get("unmanaged")
    text = amount(declared, "tile") if isinstance(declared, int) else ""
    ingesting = row.counts.get("ingesting")
    text += f", {ingesting:,} being ingested" if isinstance(ingesting, int) and ingesting else ""
    return text + (f" (+{unmanaged:,} unmanaged)" if isinstance(unmanaged, int) else "")


def render_entries(entries: Iterable[LedgerEntry], *, width: int, color: bool) -> str:
    """
    Return one line an entry: number, time, event, address, what was learnt.

    Ids stay whole, because people look for them; only a message is shortened.
    """
    listed = list(entries)
    if not listed:
        return "The ledger is empty.\n"
    column = address_column(str(entry.draft.address or "") for entry in listed)
    return "".join(render_entry(one, column=column, width=width, color=color) for one in listed)


def address_column(addresses: Iterable[str]) -> int:
    """Return how wide the column of these addresses is."""
    return _column(safe(address) for address in addresses)


def render_entry(entry: LedgerEntry, *, column: int, width: int, color: bool) -> str:
    """Return the line of one entry; a ledger may be too long to be held at once."""
    return f"{_entry(entry, Paint(color=color), column, width)}\n"


def _entry(entry: LedgerEntry, paint: Paint, column: int, width: int) -> str:
    draft = entry.draft
    # To the second: the milliseconds are in the ledger, and in `--format json`.
    time = safe(entry.time[:19].replace("T", " ")) + "Z"
    address = safe(str(draft.address or ""))
    head = f"{entry.sequence:>5}  {time}  {draft.event.value:<8}  {address:<{column}}  "
    text = safe(" ".join(_facts(entry)))
    settled = draft.settlement
    if settled is None:
        return (head + text).rstrip()
    if settled.message:
        room = max(width - len(head) - len(text) - 2, 40)
        text += f": {clip(settled.message, longest=room)}"
    return head + paint(text, _RESULTS.get(settled.result, ""))


_RESULTS = {Result.REFUSED: "red", Result.FAILED: "yellow", Result.UNKNOWN: "magenta"}


def _facts(entry: LedgerEntry) -> Iterator[str]:
    draft = entry.draft
    if draft.operation:
        yield draft.operation
    if draft.keys:
        yield amount(len(draft.keys), "tile")
    if "from" in draft.data:
        yield f"from {draft.data['from']}"
    if draft.event is Event.TAKEOVER:
        yield f"from {_dead(draft.data)}"
    if draft.intent is not None:
        yield f"of {draft.intent}"
    if draft.settlement is not None:
        yield ", ".join(_learnt(draft.settlement))


def _dead(data: JsonObject) -> str:
    holder = data.get("holder")
    told = holder if isinstance(holder, dict) else {}
    who, where = told.get("user") or "somebody", told.get("host") or "another machine"
    return f"process {told.get('pid', 0)} of {who} on {where}, which ended without letting go"


def _learnt(settled: Settlement) -> Iterator[str]:
    made = settled.data.get("made")
    provisional = bool(made) and settled.result is Result.UNKNOWN
    ended = "made" if provisional else settled.result.value
    found = str(made) if provisional else settled.id
    if settled.receipt is not None and settled.receipt.failed:
        ended = "partly done"
    yield f"{ended} {found}".rstrip()
    if provisional:
        yield "not bound yet"
    if settled.members:
        yield amount(len(settled.members), "tile")
    if settled.lost_members:
        yield f"{amount(len(settled.lost_members), 'tile')} gone"
    if settled.cost_pu:
        yield pu(settled.cost_pu)


def entry_json(entry: LedgerEntry) -> JsonObject:
    """Return an entry as the ledger holds it."""
    import orjson  # noqa: PLC0415

    from shplan.core.line import encode  # noqa: PLC0415

    shown: JsonObject = orjson.loads(encode(entry))
    return shown
