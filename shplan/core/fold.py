"""
From entries to what is recorded: a fold over the ledger, one deployment at a time.

An intent opens something that may have happened; its outcome teaches and closes it. The fold is
incremental, so that a reader continues where it stopped. How entries are written and chained is
`chain.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import assert_never, cast

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.resource import MemberRecord, PendingIntent, Recorded
from shplan.core.runs import RunFold, RunRecord
from shplan.core.value import JsonObject, Object


def fold(entries: Iterable[LedgerEntry], *, deployment: str) -> Mapping[Address, Recorded]:
    """Return what the entries of one deployment record; the others are history."""
    state = Fold(deployment)
    for entry in entries:
        state.add(entry)
    return state.recorded()


class Fold:
    """
    The fold so far.

    Args:
        deployment: entries of any other are ignored
        records, runs: what an earlier fold had come to, in its order
    """

    __slots__ = ("_deployment", "_open", "_records", "_runs")

    def __init__(
        self,
        deployment: str,
        records: Mapping[Address, Record] | None = None,
        runs: Mapping[str, RunRecord] | None = None,
    ) -> None:
        self._deployment = deployment
        self._records: dict[Address, Record] = dict(records or {})
        self._open: dict[int, Address] = {
            number: address
            for address, record in self._records.items()
            for number in record.pending
        }
        self._runs = RunFold(runs)

    def add(self, entry: LedgerEntry) -> None:
        """Take in the next entry."""
        draft = entry.draft
        if draft.deployment != self._deployment:
            return
        settlement = draft.settlement
        if draft.key or (settlement is not None and settlement.receipt is not None):
            self._runs.add(entry)
        if draft.address is None:
            self._of_run_alone(draft)
            return
        # The frequent first: each case is a comparison, and a million entries pass.
        match draft.event:
            case Event.INTENT:
                self._intend(entry, draft.address)
            case Event.OUTCOME:
                self._settle_intent(entry, draft.address)
            case Event.GENESIS | Event.RECOVER | Event.TAKEOVER | Event.CHECKPOINT:
                pass
            case Event.ADOPT | Event.IMPORT | Event.PROTECT | Event.RECEIPT:
                before = self._records.get(draft.address)
                confirmed = draft.event is Event.IMPORT
                self._learn(draft.address, before, settlement, confirmed=confirmed)
            case Event.MOVE:
                self._move(draft.data, draft.address)
            case Event.FORGET:
                self._forget(draft.address)
            case _:
                assert_never(draft.event)

    def recorded(self) -> Mapping[Address, Recorded]:
        """Return the state as it is now; what is added later does not show in it."""
        return MappingProxyType(
            {address: record.freeze(address) for address, record in self._records.items()}
        )

    def records(self) -> Mapping[Address, Record]:
        """Return what the fold is made of, in its order: with the runs, all that it knows."""
        return self._records

    def runs(self) -> Mapping[str, RunRecord]:
        """Return every run by its key, whatever became of its address."""
        return self._runs.runs()

    def _of_run_alone(self, draft: EntryDraft) -> None:
        # Whoever wrote it had lost the address to others; the intent is still its own.
        address = None if draft.intent is None else self._open.get(draft.intent)
        record = None if address is None else self._records.get(address)
        if draft.event is Event.OUTCOME and draft.intent is not None and record is not None:
            self._close(draft.intent, record, draft.settlement)

    def _intend(self, entry: LedgerEntry, address: Address) -> None:
        draft = entry.draft
        record = self._records.get(address)
        if record is None:
            record = self._records[address] = Record()
        record.pending[entry.sequence] = PendingIntent(
            entry.sequence,
            draft.operation,
            draft.data,
            draft.server_time,
            draft.plan,
            draft.keys,
        )
        self._open[entry.sequence] = address

    def _settle_intent(self, entry: LedgerEntry, stated: Address) -> None:
        # Each look-up hashes an address: with one of them an outcome takes half the time.
        number, settlement = entry.draft.intent, entry.draft.settlement
        # A MOVE between intent and outcome takes the intent along.
        address = stated if number is None else self._open.get(number, stated)
        record = self._records.get(address)
        if number is not None and record is not None:
            self._close(number, record, settlement)
        learnt = self._learn(address, record, settlement)
        if settlement is not None and settlement.result is Result.DONE:
            changed = learnt if address is stated else self._records.get(stated)
            if changed is not None:
                changed.changed = entry.sequence

    def _close(self, number: int, record: Record, settlement: Settlement | None) -> None:
        intent = record.pending.get(number)
        if intent is None:
            return
        left = _left_open(intent, settlement)
        if left is None:
            del record.pending[number]
            del self._open[number]
        else:
            record.pending[number] = left

    def _learn(
        self,
        address: Address,
        before: Record | None,
        settlement: Settlement | None,
        *,
        confirmed: bool = False,
    ) -> Record | None:
        """Return the record that an address has then, None where nothing is recorded of it."""
        record = Record() if before is None else before
        if settlement is not None:
            if confirmed:
                self._confirm(record, settlement.id)
            record = record.after(settlement)
        if not (record.known or record.pending):
            self._records.pop(address, None)
            return None
        if record is not before:
            self._records[address] = record
        return record

    def _confirm(self, record: Record, confirmed: str) -> None:
        """Close what was open about an object that a person has looked at: that decides it."""
        for number, intent in list(record.pending.items()):
            if intent.data and intent.data.get("id") == confirmed:
                del record.pending[number]
                del self._open[number]

    def _move(self, data: JsonObject, target: Address) -> None:
        source = Address.parse(str(data["from"]))
        if source == target or source not in self._records:
            return
        record = self._records.pop(source)
        replaced = self._records.get(target)
        if replaced is not None:
            record.pending = {**replaced.pending, **record.pending}
        self._records[target] = record
        for number in record.pending:
            self._open[number] = target
        for other in self._records.values():
            other.rename_dependency(source, target)

    def _forget(self, address: Address) -> None:
        record = self._records.pop(address, None)
        for number in () if record is None else record.pending:
            del self._open[number]


@dataclass(slots=True)
class Record:
    """
    What is known of one address while folding.

    Args:
        known: some settlement spoke of it
        members_shared: a snapshot shows the same members
    """

    known: bool = False
    id: str = ""
    owned: bool = False
    spec: JsonObject = field(default_factory=dict)
    prevent_destroy: bool = False
    depends_on: tuple[Address, ...] = ()
    members: dict[str, MemberRecord] = field(default_factory=dict)
    members_shared: bool = field(default=False, compare=False)
    pending: dict[int, PendingIntent] = field(default_factory=dict)
    data: JsonObject = field(default_factory=dict)
    changed: int = 0

    def after(self, settlement: Settlement) -> Record:
        """Return the record that a settlement leaves: this one, or a new one."""
        if not settlement.gone:
            self._learn(settlement)
            return self
        if settlement.id and self.id and settlement.id != self.id:
            # The old object of a replacement: the record is already the new one's.
            return self
        return Record(pending=self.pending)

    def _learn(self, settlement: Settlement) -> None:
        self.known = self.known or _states_something(settlement)
        if settlement.id:
            self.id = settlement.id
        if settlement.owned is not None:
            self.owned = settlement.owned
        if settlement.spec is not None:
            self.spec = settlement.spec
        if settlement.prevent_destroy is not None:
            self.prevent_destroy = settlement.prevent_destroy
        if settlement.depends_on is not None:
            self.depends_on = tuple(Address.parse(text) for text in settlement.depends_on)
        if settlement.data:
            self.data = {**self.data, **settlement.data}
        if settlement.members or settlement.lost_members:
            self._learn_members(settlement)

    def freeze(self, address: Address) -> Recorded:
        """Return the record as the rest of shplan sees it."""
        # A million members are not copied for a snapshot, but before the next change to them.
        self.members_shared = True
        return Recorded(
            address=address,
            id=self.id,
            owned=self.owned,
            spec=cast("Object", self.spec),
            prevent_destroy=self.prevent_destroy,
            depends_on=self.depends_on,
            members=MappingProxyType(self.members),
            pending=tuple(self.pending.values()),
            data=self.data,
            changed=self.changed,
        )

    def rename_dependency(self, source: Address, target: Address) -> None:
        """Follow a move of something that this depends on."""
        if source in self.depends_on:
            self.depends_on = tuple(
                target if address == source else address for address in self.depends_on
            )

    def _learn_members(self, settlement: Settlement) -> None:
        if self.members_shared:
            self.members = dict(self.members)
            self.members_shared = False
        for key in settlement.lost_members:
            self.members.pop(key, None)
        self.members.update(settlement.members)


def _left_open(intent: PendingIntent, settlement: Settlement | None) -> PendingIntent | None:
    """Return what stays open of an intent after its outcome, None when nothing does."""
    if settlement is None:
        return None
    if settlement.unsettled:
        return replace(intent, keys=settlement.unsettled)
    return intent if settlement.result is Result.UNKNOWN else None


def _states_something(settlement: Settlement) -> bool:
    return (
        settlement.result is Result.DONE
        or bool(settlement.id or settlement.members or settlement.data or settlement.owned)
        or settlement.spec is not None
        or settlement.prevent_destroy is not None
    )
