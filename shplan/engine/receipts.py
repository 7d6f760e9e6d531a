"""
Receipts beside the ledger: files of the project that say what it says, and count where it is silent.

The ledger comes first. A file is written after the ledger's entry, so that whoever dies in between
has lost only the file, which the next apply writes again. What a file knows and the ledger does not
is taken as if the ledger had it, and recorded by the apply that first acts on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.errors import OutputError
from shplan.core.events import ReceiptFileNotice
from shplan.core.files import FileDraft, FileFound, Inspect, Write
from shplan.core.frozen import dataclass
from shplan.core.resource import Receipt
from shplan.core.run_key import SHORT_LENGTH
from shplan.core.runs import RunRecord, outranks
from shplan.providers.answer_places import part_of
from shplan.providers.immediate_receipt import LONGEST_BYTES, is_receipt
from shplan.providers.receipt_file import (
    Scope,
    folder_of,
    kept_text,
    path_of,
    read_kept,
    short_key_of,
)

if TYPE_CHECKING:
    from shplan.engine.ports import EventSink, ProjectFiles

_GONE = frozenset({Action.DELETE, Action.FORGET})


@dataclass(frozen=True, slots=True)
class Witness:
    """A receipt that a file has, and where it lies."""

    path: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Witnesses:
    """
    What receipt files say that the ledger does not.

    Args:
        receipts: by run key
        ignored: what is told of files that do not count, by the beginning of the key
    """

    receipts: Mapping[str, Witness] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)

    def over(self, runs: Mapping[str, RunRecord]) -> Mapping[str, RunRecord]:
        """Return what is known of runs, as if the ledger had these receipts."""
        if not self.receipts:
            return runs
        more = {
            key: replace(runs.get(key) or RunRecord(key), receipt=one.receipt)
            for key, one in self.receipts.items()
            if outranks(one.receipt, runs.get(key))
        }
        return {**runs, **more}

    def told(self, change: Change) -> Change:
        """Return a change that says which file it goes by, or which one does not count."""
        if not change.key or change.action in _GONE:
            return change
        witness = self.receipts.get(change.key)
        if witness is not None and _is_foreign(witness, change):
            whose = f"it is of account {witness.receipt.account}, and this is {change.current['account']}"
            note = f"{witness.path} does not count as a receipt: {whose}"
            return replace(change, notes=(note, *change.notes))
        if witness is not None:
            # What failed in part, or whose answer is gone, may be made and paid again.
            pays = bool(change.requests) or change.action is Action.BLOCKED
            paid = f"attempt {witness.receipt.attempt}" if pays else "nothing is paid again"
            note = f"{witness.path} has its receipt: {paid}"
            told = replace(change, notes=(note, *change.notes))
            if change.action is not Action.NOOP:
                return told
            return replace(told, action=Action.ADOPT, reason=Reason.RECEIPT_FILE, records=True)
        ignored = self.ignored.get(_short(change.key))
        if ignored is None or change.action is not Action.RUN:
            return change
        return replace(change, notes=(ignored, *change.notes))

    def counting(self, changes: Iterable[Change]) -> Witnesses:
        """Leave out what is another account's, as these changes know."""
        foreign = {
            change.key
            for change in changes
            if change.key in self.receipts and _is_foreign(self.receipts[change.key], change)
        }
        kept = {key: one for key, one in self.receipts.items() if key not in foreign}
        return replace(self, receipts=kept)


def _is_foreign(witness: Witness, change: Change) -> bool:
    """Tell whether the tasks of the run are seen in another account than the receipt's."""
    return change.current.get("account") not in (None, witness.receipt.account)


class ReceiptFiles:
    """
    The receipt files of one environment.

    Args:
        directory: below the project, as `receipts:` says it
        events: is told of files that do not count and of places that are taken, once each
    """

    def __init__(
        self,
        files: ProjectFiles,
        directory: str,
        scope: Scope,
        events: EventSink,
    ) -> None:
        self._files = files
        self._folder = folder_of(directory, scope.environment)
        self._scope = scope
        self._events = events
        self._said: set[str] = set()

    def witnesses(self, runs: Mapping[str, RunRecord]) -> Witnesses:
        """
        Return what the files say that the ledger does not.

        Those of runs that the ledger knows to be done are not even read.
        """
        done = {_short(run.key) for run in runs.values() if _is_done(run)}
        self._tell_obstacle()
        listed = self._files.below(self._folder)
        keyed = ((path, short_key_of(path)) for path in listed)
        wanted = tuple(path for path, short in keyed if short and short not in done)
        found = self._inspected(wanted)
        receipts: dict[str, Witness] = {}
        ignored: dict[str, str] = {}
        for path in wanted:
            if path not in found:
                continue
            told = self._read(path, found[path])
            if told is None:
                continue
            if isinstance(told, str):
                ignored.setdefault(short_key_of(path), told)
                continue
            known = receipts.get(told.key)
            before = RunRecord(told.key, receipt=known.receipt) if known else runs.get(told.key)
            if outranks(told, before):
                receipts[told.key] = Witness(path, told)
        return Witnesses(receipts, ignored)

    def keep(self, address: Address, receipt: Receipt) -> None:
        """
        Write what the ledger has recorded; what is there already, or tells of more, stays.

        A file of somebody else in the place is told and never written over.
        """
        path = path_of(self._folder, address, receipt.key)
        content = kept_text(address, receipt, self._scope)
        there = self._inspected((path,)).get(path)
        replaces = frozenset[str]()
        if there is not None:
            if there.content == content:
                return
            if there.obstacle:
                self._tell(path, f"{path} {there.obstacle}; the receipt is in the ledger alone")
                return
            if not is_receipt(there.content):
                self._tell(path, f"{path} is no receipt file, and is not written over")
                return
            told = read_kept(there.content, self._scope, short=_short(receipt.key)).receipt
            if told is not None and outranks(told, RunRecord(receipt.key, receipt=receipt)):
                return
            replaces = frozenset({there.sha256})
        draft = FileDraft(path, part_of(path, _short(receipt.key)), content, replaces)
        try:
            self._files.write(Write((draft,)))
        except OutputError as error:
            self._tell(path, f"{error}; the receipt is in the ledger alone")

    def keep_all(self, changes: Iterable[Change], runs: Mapping[str, RunRecord]) -> None:
        """Write what is missing of the runs that a plan is about."""
        for change in changes:
            run = runs.get(change.key) if change.key else None
            if run is not None and run.receipt is not None and change.action not in _GONE:
                self.keep(change.address, run.receipt)

    def _tell_obstacle(self) -> None:
        """Say that the folder is not even looked into, where it lies behind a link."""
        inside = f"{self._folder}/receipts"
        there = self._inspected((inside,)).get(inside)
        if there is not None and there.obstacle:
            self._tell(inside, f"{self._folder} holds no receipts: what is in it {there.obstacle}")

    def _inspected(self, paths: tuple[str, ...]) -> Mapping[str, FileFound]:
        return self._files.inspect(Inspect(paths, frozenset(paths), LONGEST_BYTES))

    def _read(self, path: str, found: FileFound) -> Receipt | str | None:
        """Return a receipt, or what is told of a file that does not count; None for history."""
        if found.obstacle:
            why = found.obstacle
        else:
            told = read_kept(found.content, self._scope, short=short_key_of(path))
            if not told.why:
                return told.receipt
            why = told.why
        message = f"{path} does not count as a receipt: it {why}"
        self._tell(path, message)
        return message

    def _tell(self, path: str, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._events.emit(ReceiptFileNotice(path, message))


def _short(key: str) -> str:
    return key.removeprefix("sha256:")[:SHORT_LENGTH]


def _is_done(run: RunRecord) -> bool:
    return run.receipt is not None and run.receipt.status == "DONE"


__all__ = ["ReceiptFiles", "Witness", "Witnesses"]
