"""What others have written meanwhile, and which changes may not be sent after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.fold import Fold
from shplan.core.others import Others, of_run_alone, staleness, told
from shplan.core.resource import Receipt

FIELDS = Address("ByocCollection", "fields")
TILES = Address("ByocTiles", "fields")
NDVI = Address("BatchProcess", "ndvi")
DONE = Settlement(Result.DONE)


def entry(event: Event, address: Address | None, **more: object) -> LedgerEntry:
    draft = EntryDraft(event, address, deployment="here", **more)  # type: ignore[arg-type]
    return LedgerEntry(7, 2, "2026-01-01T00:00:00.000Z", {"user": "bob"}, "", draft)


def gathered(*entries: LedgerEntry) -> Others:
    others = Others("here")
    others.take(entries)
    return others


def stale(
    change: Change, *entries: LedgerEntry, needs: tuple[Address, ...] = (), run: str = ""
) -> LedgerEntry | None:
    return staleness(
        change,
        gathered(*entries),
        needs=needs,
        runs={NDVI: run} if run else {},
        removes=change.action is Action.DELETE,
    )


UPDATE = Change(FIELDS, Action.UPDATE, Reason.DIFFERS)
RUN = Change(NDVI, Action.RUN, Reason.NOT_FOUND)
CREATES = entry(Event.INTENT, FIELDS, operation="create")
STARTS = entry(Event.INTENT, NDVI, operation="start", key="k1", attempt=1)


def test_what_others_wrote_about_it_or_about_what_it_needs_makes_a_change_stale() -> None:
    assert stale(UPDATE, CREATES) == CREATES
    assert stale(replace(UPDATE, address=TILES), CREATES, needs=(FIELDS,)) == CREATES
    assert stale(replace(UPDATE, address=TILES), CREATES) is None
    assert stale(UPDATE) is None


def test_entries_of_another_deployment_are_history() -> None:
    elsewhere = replace(CREATES, draft=replace(CREATES.draft, deployment="there"))
    assert stale(UPDATE, elsewhere) is None
    assert not gathered(elsewhere)


def test_a_move_is_about_both_addresses() -> None:
    moved = entry(Event.MOVE, TILES, data={"from": str(FIELDS)})
    assert stale(UPDATE, moved) == moved
    assert stale(replace(UPDATE, address=TILES), moved) == moved
    move = Change(NDVI, Action.MOVE, Reason.RENAMED, current={"from": str(FIELDS)})
    assert stale(move, CREATES) == CREATES


@pytest.mark.parametrize(
    "about",
    [
        STARTS,
        entry(Event.ADOPT, NDVI, settlement=replace(DONE, id="t", data={"key": "k1"})),
        entry(Event.OUTCOME, NDVI, intent=3, settlement=Settlement(Result.FAILED, message="late")),
    ],
)
def test_what_tells_of_the_same_run_changes_nothing(about: LedgerEntry) -> None:
    after = replace(UPDATE, depends_on=(NDVI,))
    assert stale(RUN, about, run="k1") is None
    assert stale(after, about, needs=(NDVI,), run="k1") is None
    assert stale(RUN, about) is None, "its key is not known yet"


def test_another_run_at_the_same_address_does() -> None:
    assert stale(RUN, STARTS, run="k2") == STARTS
    assert stale(RUN, entry(Event.FORGET, NDVI), run="k1") is not None


def test_what_others_built_on_it_keeps_a_delete_from_being_sent() -> None:
    built = entry(Event.OUTCOME, TILES, settlement=replace(DONE, depends_on=(str(FIELDS),)))
    delete = replace(UPDATE, action=Action.DELETE)
    assert stale(delete, built) == built
    assert stale(UPDATE, built) is None


def test_who_wrote_what_and_when_is_told() -> None:
    assert told(CREATES) == (
        "bob wrote `intent create` of ByocCollection/fields at 2026-01-01T00:00:00.000Z"
    )
    by_ci = replace(CREATES, actor={"user": "ci", "ciRun": "17"})
    assert told(by_ci).startswith("ci (CI run 17) wrote")
    assert told(replace(CREATES, actor={})).startswith("somebody wrote")


RECEIPT = Receipt(id="t1", key="k1", attempt=1, status="DONE")


def test_a_receipt_without_an_address_counts_for_its_run_and_binds_nothing() -> None:
    full = replace(DONE, id="t1", owned=True, spec={"a": 1}, data={"key": "k1"}, receipt=RECEIPT)
    alone = of_run_alone(full)
    assert alone == replace(DONE, id="t1", receipt=RECEIPT)
    fold = Fold("here")
    fold.add(entry(Event.RECEIPT, None, key="k1", attempt=1, settlement=alone))
    assert fold.recorded() == {}
    assert fold.runs()["k1"].receipt == RECEIPT


def test_an_outcome_without_an_address_still_closes_its_intent() -> None:
    fold = Fold("here")
    fold.add(replace(STARTS, sequence=3))
    settled = replace(DONE, id="t1")
    about = entry(
        Event.OUTCOME, None, intent=3, operation="start", key="k1", attempt=1, settlement=settled
    )
    fold.add(about)
    assert not any(record.pending for record in fold.recorded().values())
    assert fold.runs()["k1"].attempts[1].confirmed == {"t1"}
