"""What a ledger records: intents open, outcomes teach and close, everything in order."""

from __future__ import annotations

import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core import chain
from shplan.core.address import Address
from shplan.core.chain import EMPTY
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.fold import Fold, fold
from shplan.core.resource import MemberRecord, Recorded

FIELDS = Address("ByocCollection", "fields")
OTHER = Address("ByocCollection", "other")
TILES = Address("ByocTiles", "fields")
HERE = "sandbox:1"


def entries(*drafts: EntryDraft) -> tuple[LedgerEntry, ...]:
    return chain.append(EMPTY, drafts, fence=1, time="", actor={})[0]


def record(*drafts: EntryDraft) -> dict[Address, Recorded]:
    return dict(fold(entries(*drafts), deployment=HERE))


def intent(address: Address = FIELDS, **fields) -> EntryDraft:
    return EntryDraft(Event.INTENT, address, deployment=HERE, operation="create", **fields)


def outcome(
    number: int, address: Address = FIELDS, result: Result = Result.DONE, **fields
) -> EntryDraft:
    settlement = Settlement(result, **fields)
    return EntryDraft(Event.OUTCOME, address, deployment=HERE, intent=number, settlement=settlement)


def event(kind: Event, address: Address = FIELDS, **fields) -> EntryDraft:
    settlement = Settlement(Result.DONE, **fields)
    return EntryDraft(kind, address, deployment=HERE, settlement=settlement)


def move(source: Address, target: Address) -> EntryDraft:
    return EntryDraft(Event.MOVE, target, deployment=HERE, data={"from": str(source)})


def forget(address: Address) -> EntryDraft:
    return EntryDraft(Event.FORGET, address, deployment=HERE)


def members(*keys: str) -> dict[str, MemberRecord]:
    return {key: MemberRecord(f"id-{key}") for key in keys}


def test_an_intent_stays_pending_until_its_outcome() -> None:
    started = intent(plan="p", server_time="t", data={"name": "fields"})
    found = record(EntryDraft(Event.GENESIS), started)[FIELDS]
    (pending,) = found.pending
    assert (pending.sequence, pending.operation, pending.plan) == (1, "create", "p")
    assert (pending.server_time, pending.data, found.id) == ("t", {"name": "fields"}, "")
    done = record(started, outcome(0, id="c1", owned=True, spec={"a": 1}))[FIELDS]
    assert done == Recorded(FIELDS, id="c1", owned=True, spec={"a": 1})


def test_an_unknown_outcome_leaves_the_intent_open_and_still_teaches() -> None:
    found = record(intent(), outcome(0, result=Result.UNKNOWN, data={"seen": 1}))[FIELDS]
    assert [pending.sequence for pending in found.pending] == [0]
    assert found.data == {"seen": 1}
    settled = record(
        intent(), outcome(0, result=Result.UNKNOWN), outcome(0, result=Result.DONE, id="c1")
    )[FIELDS]
    assert (settled.pending, settled.id) == ((), "c1")


@pytest.mark.parametrize("result", [Result.REFUSED, Result.FAILED])
def test_a_refusal_closes_the_intent_and_leaves_no_record_of_nothing(result: Result) -> None:
    assert record(intent(), outcome(0, result=result, message="no")) == {}


@pytest.mark.parametrize("result", list(Result))
def test_only_unsettled_members_stay_open(result: Result) -> None:
    found = record(
        intent(TILES, keys=("a", "b", "c")),
        outcome(0, TILES, result, members=members("a"), unsettled=("c",)),
    )[TILES]
    assert [(p.sequence, p.keys) for p in found.pending] == [(0, ("c",))]
    assert dict(found.members) == members("a")


def test_a_failed_group_teaches_the_members_that_were_made() -> None:
    found = record(
        intent(TILES, keys=("a", "b")), outcome(0, TILES, Result.FAILED, members=members("a"))
    )[TILES]
    assert (dict(found.members), found.pending) == (members("a"), ())


def test_members_come_and_go() -> None:
    found = record(
        outcome(0, TILES, members=members("a", "b")),
        outcome(1, TILES, lost_members=("a", "never"), members={"b": MemberRecord("new")}),
    )[TILES]
    assert dict(found.members) == {"b": MemberRecord("new")}


def test_an_emptied_set_is_still_recorded() -> None:
    found = record(outcome(0, TILES, members=members("a")), outcome(1, TILES, lost_members=("a",)))
    assert dict(found[TILES].members) == {}


@pytest.mark.parametrize("kind", [Event.ADOPT, Event.IMPORT, Event.PROTECT])
def test_some_events_teach_without_an_intent(kind: Event) -> None:
    found = record(
        event(kind, id="c1", prevent_destroy=True, owned=False, depends_on=(str(OTHER),))
    )
    assert found[FIELDS] == Recorded(
        FIELDS, id="c1", owned=False, prevent_destroy=True, depends_on=(OTHER,)
    )


def test_an_import_settles_what_was_open_about_the_object_that_it_confirms() -> None:
    """A person has looked at this one; nothing was said of others."""
    opened = (intent(data={"id": "c1"}), intent(data={"id": "c2"}), intent(data={"name": "c1"}))
    found = record(*opened, event(Event.IMPORT, id="c1"))[FIELDS]
    assert [pending.sequence for pending in found.pending] == [1, 2]
    adopted = record(*opened, event(Event.ADOPT, id="c1"))[FIELDS]
    assert [pending.sequence for pending in adopted.pending] == [0, 1, 2]
    late = record(*opened, event(Event.IMPORT, id="c1"), outcome(0, id="c1"))[FIELDS]
    assert [pending.sequence for pending in late.pending] == [1, 2]


def test_what_a_settlement_leaves_out_stays() -> None:
    found = record(
        outcome(9, id="c1", spec={"a": 1}, owned=False, data={"x": 1, "y": 1}),
        event(Event.PROTECT, prevent_destroy=True),
        outcome(9, owned=True, data={"y": 2}),
    )[FIELDS]
    assert (found.id, found.spec, found.owned, found.prevent_destroy) == (
        "c1",
        {"a": 1},
        True,
        True,
    )
    assert found.data == {"x": 1, "y": 2}


def test_what_is_gone_takes_its_record_and_protections_along() -> None:
    before = event(Event.ADOPT, id="c1", spec={"a": 1}, prevent_destroy=True)
    assert record(before, outcome(9, id="c1", gone=True)) == {}
    again = record(before, outcome(9, gone=True), outcome(10, id="c2"))[FIELDS]
    assert again == Recorded(FIELDS, id="c2")


def test_a_refused_delete_of_what_is_gone_ends_the_record() -> None:
    before = event(Event.ADOPT, id="c1")
    assert record(before, intent(), outcome(1, result=Result.REFUSED, gone=True, status=404)) == {}


def test_what_is_gone_does_not_hide_another_open_intent() -> None:
    found = record(event(Event.ADOPT, id="c1"), intent(), outcome(9, id="c1", gone=True))[FIELDS]
    assert (found.id, [p.sequence for p in found.pending]) == ("", [1])


def test_the_old_object_of_a_replacement_does_not_end_the_new_one() -> None:
    found = record(
        event(Event.ADOPT, id="old"), outcome(8, id="new"), outcome(9, id="old", gone=True)
    )
    assert found[FIELDS].id == "new"


def test_a_move_takes_record_protection_and_open_intents_along() -> None:
    found = record(
        event(Event.ADOPT, id="c1", prevent_destroy=True, owned=True),
        event(Event.ADOPT, TILES, id="t", depends_on=(str(FIELDS),)),
        intent(),
        move(FIELDS, OTHER),
    )
    assert set(found) == {OTHER, TILES}
    assert (found[OTHER].address, found[OTHER].id) == (OTHER, "c1")
    assert (found[OTHER].prevent_destroy, found[OTHER].owned) == (True, True)
    assert [pending.sequence for pending in found[OTHER].pending] == [2]
    assert found[TILES].depends_on == (OTHER,)


@pytest.mark.parametrize("named", [FIELDS, OTHER])
def test_an_outcome_finds_its_intent_after_a_move(named: Address) -> None:
    found = record(intent(), move(FIELDS, OTHER), outcome(0, named, id="c1"))
    assert found == {OTHER: Recorded(OTHER, id="c1")}


def test_a_move_of_nothing_changes_nothing() -> None:
    before = event(Event.ADOPT, id="c1")
    assert record(before, move(OTHER, FIELDS)) == record(before)
    assert record(before, move(FIELDS, FIELDS)) == record(before)


def test_forgetting_drops_everything() -> None:
    assert record(event(Event.ADOPT, id="c1"), intent(), forget(FIELDS), forget(OTHER)) == {}
    late = record(intent(), forget(FIELDS), outcome(0, id="c1"))
    assert late == {FIELDS: Recorded(FIELDS, id="c1")}


def test_entries_of_another_deployment_are_history() -> None:
    adopted = entries(event(Event.ADOPT, id="c1"))
    assert fold(adopted, deployment="sandbox:2") == {}
    assert set(fold(adopted, deployment=HERE)) == {FIELDS}


def test_the_ledgers_own_entries_carry_no_state() -> None:
    assert record(EntryDraft(Event.GENESIS), EntryDraft(Event.RECOVER, data={"head": "x"})) == {}


def test_a_snapshot_does_not_change_afterwards() -> None:
    state = Fold(HERE)
    first, second = entries(
        outcome(5, TILES, members=members("a")), outcome(6, TILES, members=members("b"))
    )
    state.add(first)
    snapshot = state.recorded()
    state.add(second)
    assert dict(snapshot[TILES].members) == members("a")
    assert dict(state.recorded()[TILES].members) == members("a", "b")


PLACES = st.sampled_from([FIELDS, OTHER, TILES])
KEYS = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(tuple)
SETTLEMENTS = st.builds(
    Settlement,
    st.sampled_from(Result),
    id=st.sampled_from(["", "1", "2"]),
    owned=st.none() | st.booleans(),
    gone=st.booleans(),
    members=KEYS.map(lambda keys: members(*keys)),
    lost_members=KEYS,
    unsettled=KEYS,
    prevent_destroy=st.none() | st.booleans(),
    depends_on=st.none() | st.lists(PLACES.map(str), max_size=2).map(tuple),
)
STORIES = st.lists(
    st.one_of(
        st.builds(intent, PLACES, keys=KEYS),
        st.builds(
            EntryDraft,
            st.sampled_from([Event.OUTCOME, Event.ADOPT, Event.IMPORT, Event.PROTECT]),
            PLACES,
            deployment=st.sampled_from([HERE, "other"]),
            intent=st.integers(0, 12),
            settlement=SETTLEMENTS,
        ),
        st.builds(move, PLACES, PLACES),
        st.builds(forget, PLACES),
    ),
    max_size=14,
)


@given(story=STORIES, cut=st.integers(0, 14))
def test_going_on_is_the_same_as_starting_again(story: list[EntryDraft], cut: int) -> None:
    written = entries(*story)
    state = Fold(HERE)
    for entry in written[:cut]:
        state.add(entry)
    middle = dict(state.recorded())
    assert middle == fold(written[:cut], deployment=HERE)
    for entry in written[cut:]:
        state.add(entry)
    assert state.recorded() == fold(written, deployment=HERE)
    assert middle == fold(written[:cut], deployment=HERE)


@given(story=STORIES)
def test_only_outcomes_and_forgetting_close_intents(story: list[EntryDraft]) -> None:
    written = entries(*story)
    closing = {
        entry.draft.intent
        for entry in written
        if entry.draft.event is Event.OUTCOME
        and entry.draft.settlement.result is not Result.UNKNOWN
        and not entry.draft.settlement.unsettled
    }
    forgotten = any(entry.draft.event is Event.FORGET for entry in written)
    still_open = {
        pending.sequence
        for recorded in fold(written, deployment=HERE).values()
        for pending in recorded.pending
    }
    begun = {entry.sequence for entry in written if entry.draft.event is Event.INTENT}
    assert still_open <= begun
    if not forgotten:
        assert begun - closing <= still_open


@given(story=STORIES)
def test_a_record_stands_under_its_own_address(story: list[EntryDraft]) -> None:
    for address, recorded in fold(entries(*story), deployment=HERE).items():
        assert recorded.address == address


def test_ten_thousand_tiles_are_read_and_folded_in_linear_time() -> None:
    def cost_s(groups: int) -> float:
        drafts = []
        for group in range(groups):
            keys = tuple(f"2025/{group:05d}/{number:03d}/(BAND).tiff" for number in range(100))
            drafts.append(intent(TILES, keys=keys))
            drafts.append(outcome(2 * group, TILES, members=members(*keys)))
        lines = chain.append(EMPTY, drafts, fence=1, time="", actor={})[1]
        gc.collect()
        start = time.process_time()
        state, follower = Fold(HERE), chain.Chain()
        for line in lines:
            entry = follower.feed(line)
            assert entry is not None
            state.add(entry)
        spent = time.process_time() - start
        assert len(state.recorded()[TILES].members) == groups * 100
        return spent

    # 15 ms on a slow core; a fold that copies its members at each entry takes far longer.
    assert min(cost_s(100) for _ in range(3)) < 0.2
