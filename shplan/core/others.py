"""
What others have written into the ledger while a walk had let go of it, and what that makes stale.

A walk lets go of the ledger while it only waits. What it then finds when it takes it again is
gathered here by what it is about (design, "The ledger").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.entry import Event, LedgerEntry, Result, Settlement


class Others:
    """
    The entries of others, in their order.

    Args:
        deployment: entries of any other are history
    """

    __slots__ = ("_about", "_building_on", "_deployment")

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._about: dict[Address, list[LedgerEntry]] = {}
        self._building_on: dict[Address, LedgerEntry] = {}

    def __bool__(self) -> bool:
        return bool(self._about)

    def take(self, entries: Iterable[LedgerEntry]) -> None:
        """Take in what was read."""
        for entry in entries:
            draft = entry.draft
            if draft.address is None or draft.deployment != self._deployment:
                continue
            self._about.setdefault(draft.address, []).append(entry)
            source = draft.data.get("from")
            if draft.event is Event.MOVE and isinstance(source, str):
                self._about.setdefault(Address.parse(source), []).append(entry)
            learnt = draft.settlement
            for on in () if learnt is None else learnt.depends_on or ():
                self._building_on.setdefault(Address.parse(on), entry)

    def wrote(self, address: Address, *, run: str = "") -> LedgerEntry | None:
        """
        Return the latest entry about an address that does not only tell of one run.

        A run is one for everybody: whoever tells the ledger of it has changed nothing.

        Args:
            run: the run key; empty while it is not known, when entries about any run tell nothing
        """
        found = (one for one in reversed(self._about.get(address, ())) if not _is_of_run(one, run))
        return next(found, None)

    def bound(self, address: Address) -> bool:
        """Tell whether others have said what is applied at an address."""
        return any(
            entry.draft.settlement is not None and entry.draft.settlement.spec is not None
            for entry in self._about.get(address, ())
        )

    def builds_on(self, address: Address) -> LedgerEntry | None:
        """Return an entry about something that depends on an address."""
        return self._building_on.get(address)


def staleness(
    change: Change,
    others: Others,
    *,
    needs: Iterable[Address],
    runs: Mapping[Address, str],
    removes: bool,
) -> LedgerEntry | None:
    """
    Return what others have written that a change may no longer be sent after, None for nothing.

    Args:
        needs: everything that it depends on, directly or not
        runs: which run each address of the walk is known to be about
        removes: it ends an object, so that what others have built on it counts as well
    """
    source = change.current.get("from")
    moved = (Address.parse(source),) if isinstance(source, str) else ()
    for address in (change.address, *moved, *sorted(needs)):
        found = others.wrote(address, run=runs.get(address, ""))
        if found is not None:
            return found
    return others.builds_on(change.address) if removes else None


def told(entry: LedgerEntry) -> str:
    """Say who wrote what and when, in a few words."""
    draft, actor = entry.draft, entry.actor
    who = actor.get("user") or "somebody"
    if "ciRun" in actor:
        who = f"{who} (CI run {actor['ciRun']})"
    what = " ".join(word for word in (draft.event.value, draft.operation) if word)
    return f"{who} wrote `{what}` of {draft.address} at {entry.time}"


def of_run_alone(settlement: Settlement | None) -> Settlement | None:
    """Return what is learnt of a run, without what would be said of its address."""
    if settlement is None:
        return None
    data = {name: said for name, said in settlement.data.items() if name in ("ended", "cause")}
    return Settlement(
        settlement.result,
        id=settlement.id,
        status=settlement.status,
        cost_pu=settlement.cost_pu,
        message=settlement.message,
        data=data,
        receipt=settlement.receipt,
    )


def _is_of_run(entry: LedgerEntry, run: str) -> bool:
    draft, learnt = entry.draft, entry.draft.settlement
    named = draft.key or ("" if learnt is None else learnt.data.get("key", ""))
    if named:
        return not run or named == run
    return _only_closes(entry)


def _only_closes(entry: LedgerEntry) -> bool:
    """Tell whether an entry says only that an older intent was looked up."""
    learnt = entry.draft.settlement
    if entry.draft.event is not Event.OUTCOME or learnt is None:
        return False
    return learnt.result is Result.FAILED and not (learnt.id or learnt.data or learnt.members)
