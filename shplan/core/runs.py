"""
What the ledger knows of runs: by run key, whatever address they were made for.

A job runs once for each key. Addresses come and go (a rename, another manifest with the same
request), the run stays: so its attempts, its STARTs and its receipt are folded by key, beside what
is recorded of addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType

from shplan.core.entry import Event, LedgerEntry, Result, Settlement
from shplan.core.frozen import dataclass
from shplan.core.resource import Receipt

START = "start"
# A request that is answered at once with what it was made for: asking is the payment.
ASK = "ask"
PAYMENTS = frozenset({START, ASK})
CREATE = "create"
STOP = "stop"


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt of a run.

    Args:
        ids: tasks that the ledger knows for it, in the order of becoming known
        started: tasks whose START was written down; it may have been carried out. An empty id is
            that of a request which starts as it is created, and whose answer nobody has seen.
        confirmed: those of them whose START the server has answered
        ended: how it ended, in the server's words (`FAILED`, `STOPPED`), empty while it has not
        cause: why, as the server said
        stopped_over_pu: the `maxPu` that it passed when shplan stopped it, None otherwise
        billed_pu: what its task had cost when it ended without being done
        asked: requests for an answer that were not refused: each of them may have been paid
        refused: why the latest of them was, in the server's words
    """

    ids: tuple[str, ...] = ()
    started: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    ended: str = ""
    cause: str = ""
    stopped_over_pu: float | None = None
    billed_pu: float = 0.0
    asked: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """
    What the ledger says of one run key.

    Args:
        attempts: by number, from 1
        receipt: of the attempt that is wholly done, else of the latest that has one
        started_at: number of the entry that says of the latest START, 0 for none
    """

    key: str
    attempts: Mapping[int, Attempt] = field(default_factory=dict)
    receipt: Receipt | None = None
    started_at: int = 0

    @property
    def latest(self) -> int:
        """The number of the latest attempt, 0 before the first."""
        return max(self.attempts, default=0)

    def is_settled(self, number: int) -> bool:
        """Tell whether an attempt, or a later one, has its receipt."""
        return self.receipt is not None and number <= self.receipt.attempt

    def seen_by(self, account: str) -> RunRecord:
        """Return what counts for an account: not the receipt of a task that is known to be another's."""
        receipt = self.receipt
        if receipt is None or not account or receipt.account in ("", account):
            return self
        return replace(self, receipt=None)

    @property
    def started(self) -> frozenset[str]:
        """Every task for which a START was written down."""
        return frozenset[str]().union(*(one.started for one in self.attempts.values()))

    def billed_pu(self, task: str) -> float:
        """What a task has cost in all that ended before, done or not."""
        receipt = self.receipt
        own = receipt.cost_pu if receipt is not None and receipt.id == task else None
        ended = (one.billed_pu for one in self.attempts.values() if task in one.ids)
        return max((own or 0.0, *ended))

    @property
    def ids(self) -> frozenset[str]:
        """Every task that the ledger knows for this run."""
        return frozenset(made for one in self.attempts.values() for made in one.ids)


_NONE = Attempt()


class RunFold:
    """The runs so far; an incremental fold, as `fold.Fold` is."""

    __slots__ = ("_runs",)

    def __init__(self, runs: Mapping[str, RunRecord] | None = None) -> None:
        self._runs: dict[str, RunRecord] = dict(runs or {})

    def add(self, entry: LedgerEntry) -> None:
        """Take in the next entry of one deployment."""
        draft = entry.draft
        receipt = None if draft.settlement is None else draft.settlement.receipt
        if not draft.key and receipt is None:
            return
        if draft.key and draft.attempt:
            self._attempted(draft.key, draft.attempt, entry)
        if receipt is not None:
            known = self._runs.get(receipt.key) or RunRecord(receipt.key)
            if known.receipt is None or rank(receipt) >= rank(known.receipt):
                self._runs[receipt.key] = RunRecord(
                    known.key, known.attempts, receipt, known.started_at
                )

    def runs(self) -> Mapping[str, RunRecord]:
        """Return the state as it is now; what is added later does not show in it."""
        return MappingProxyType(dict(self._runs))

    def _attempted(self, key: str, number: int, entry: LedgerEntry) -> None:
        known = self._runs.get(key) or RunRecord(key)
        before = known.attempts.get(number)
        attempt = _after(before or _NONE, entry)
        paid = entry.draft.operation in PAYMENTS
        started_at = entry.sequence if paid else known.started_at
        if attempt is before and started_at == known.started_at:
            return
        # Not `replace`, which takes ten times as long: a million entries pass.
        attempts = {**known.attempts, number: attempt}
        self._runs[key] = RunRecord(key, attempts, known.receipt, started_at)


def rank(receipt: Receipt) -> tuple[bool, int]:
    """Order receipts: what is wholly done stays so, whatever is learnt of other attempts."""
    return (receipt.status == "DONE", receipt.attempt)


def outranks(receipt: Receipt, known: RunRecord | None) -> bool:
    """Tell whether a receipt says more of its run than is known."""
    return known is None or known.receipt is None or rank(receipt) > rank(known.receipt)


def _after(attempt: Attempt, entry: LedgerEntry) -> Attempt:
    draft = entry.draft
    if draft.event is Event.INTENT:
        return _intended(attempt, draft.operation, draft.data)
    settlement = draft.settlement
    if settlement is None:
        return attempt
    known = _with_id(attempt, settlement.id)
    if draft.operation == START:
        known = _start_settled(known, settlement)
    if draft.operation == ASK and settlement.result is Result.REFUSED:
        known = replace(known, asked=max(known.asked - 1, 0), refused=settlement.message)
    ended, cause = settlement.data.get("ended"), settlement.data.get("cause")
    if isinstance(ended, str):
        billed = settlement.data.get("billedPu")
        known = replace(
            known,
            ended=ended,
            cause=cause if isinstance(cause, str) else "",
            billed_pu=float(billed) if isinstance(billed, int | float) else 0.0,
        )
    return known


def _intended(attempt: Attempt, operation: str, data: Mapping[str, object]) -> Attempt:
    task = data.get("task")
    if operation == START and isinstance(task, str):
        known = _with_id(attempt, task)
        if task in known.started and not known.ended:
            return known
        # A START of a stopped task is an attempt of its own: what ended before is over.
        return replace(known, started=known.started | {task}, ended="")
    if operation == ASK:
        return replace(attempt, asked=attempt.asked + 1)
    limit = data.get("maxPu")
    if operation == STOP and isinstance(limit, int | float):
        return replace(attempt, stopped_over_pu=float(limit))
    return attempt


def _start_settled(attempt: Attempt, settlement: Settlement) -> Attempt:
    if settlement.result is Result.DONE:
        # Also what somebody else has started, and we have adopted: it is paid.
        started = {settlement.id}
        if started <= attempt.started and started <= attempt.confirmed:
            return attempt
        return replace(
            attempt,
            started=(attempt.started - {""}) | started,
            confirmed=attempt.confirmed | started,
        )
    if settlement.result in (Result.REFUSED, Result.FAILED):
        # The server said no, or a look has shown that it did not happen.
        return replace(attempt, started=attempt.started - {settlement.id})
    return attempt


def _with_id(attempt: Attempt, task: str) -> Attempt:
    if not task or task in attempt.ids:
        return attempt
    return replace(attempt, ids=(*attempt.ids, task))
