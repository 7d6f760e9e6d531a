"""Carrying out, step by step: groups, lost answers, refusals, and waiting for ingestion."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, MemberChange, Reason
from shplan.core.entry import Event, Result
from shplan.core.errors import NoAnswerError, RefusedError, ThrottledError
from shplan.core.request import Answer
from shplan.core.value import Object
from shplan.providers.base import ChangeFailedError, Settings
from shplan.providers.byoc_tiles import ByocTiles
from shplan.providers.steps import Act, File, Look, Note, Progress, Read, Scan, Together, Wait
from shplan.providers.tile_requests import create_tile, delete_tile, reingest_tile, update_tile
from tests.providers.support import ByHand

TILES = Address("ByocTiles", "fields")
LOST = NoAnswerError("lost")
NO_LAG = Settings(list_lag_s=0)


def creation(path: str, index: int = 0) -> MemberChange:
    request = create_tile("c1", {"path": path})
    return MemberChange(
        path,
        Action.CREATE,
        Reason.NOT_FOUND,
        request=request,
        operation="create",
        stated=("sensingTime",),
        digest=f"digest of {path}",
        index=index,
    )


def updating(body: Object, *fields: FieldChange, owned: bool = True) -> MemberChange:
    return MemberChange(
        "a",
        Action.UPDATE,
        Reason.DIFFERS,
        id="t1",
        fields=fields,
        operation="update",
        request=update_tile("c1", "t1", body),
        owned=owned,
        index=0,
        etag="e",
        size_bytes=1,
    )


def reingestion(reason: Reason, *, sent: bool = True) -> MemberChange:
    return MemberChange(
        "a",
        Action.UPDATE,
        reason,
        id="t1",
        operation="reingest",
        detail="no file",
        request=reingest_tile("c1", "t1") if sent else None,
        index=0,
    )


def deletion(path: str = "a", tile: str = "t1") -> MemberChange:
    return MemberChange(
        path,
        Action.DELETE,
        Reason.NO_LONGER_DECLARED,
        id=tile,
        operation="delete",
        request=delete_tile("c1", tile),
    )


def adoption(*, owned: bool) -> MemberChange:
    return MemberChange("a", Action.ADOPT, Reason.SAME_KEY, id="t1", operation="adopt", owned=owned)


def change(*members: MemberChange, action: Action = Action.UPDATE, **more: Any) -> Change:
    record: Object = {"collection": "c1", "paths": "p"}
    return Change(
        TILES, action, Reason.MEMBERS_DIFFER, members=members, record=record, records=True, **more
    )


def begin(*members: MemberChange, settings: Settings = NO_LAG, **more: Any) -> ByHand:
    return ByHand(ByocTiles().apply(change(*members, **more), settings))


def made(tile: str) -> Answer:
    return Answer(201, {"data": {"id": tile}})


def told(hand: ByHand) -> Any:
    """Pass over what only shows progress."""
    while isinstance(hand.step, Progress):
        hand.reply()
    return hand.step


def looked_up(hand: ByHand, **found: str) -> Any:
    """Answer what is looked up by path, whatever spellings are asked for; return the next step."""
    while isinstance(told(hand), Together):
        paths = [dict(read.request.query)["path"] for read in hand.step.steps]
        hand.reply(tuple(Answer(200, rows=((found[p], p),) if p in found else ()) for p in paths))
    return told(hand)


def ingested(hand: ByHand, *failed: tuple[str, str, str]) -> None:
    """Let the three lists of what is on its way be empty, and show what failed."""
    for status in ("WAITING", "QUEUED", "INGESTING"):
        assert isinstance(told(hand), Scan)
        assert hand.step.request.query == (("status", status),)
        hand.rows()
    told(hand)
    assert hand.step.request.query == (("status", "FAILED"),)
    hand.rows(*failed)


def test_a_hundred_tiles_share_one_intent() -> None:
    hand = begin(*(creation(f"t{n}", n) for n in range(101)))
    act = hand.step
    assert isinstance(act, Act)
    assert (len(act.requests), len(act.keys), act.data) == (100, 100, {"collection": "c1"})
    hand.reply(tuple(made(f"id{n}") for n in range(100)))
    assert len(told(hand).requests) == 1


def test_what_was_made_is_recorded_even_when_a_neighbour_was_refused() -> None:
    hand = begin(creation("a"), creation("b", 1), creation("c", 2))
    refusal = RefusedError(
        "wrong", status=400, errors=[{"parameter": "coverGeometry->type", "violation": "must be"}]
    )
    replies = (made("t1"), refusal, ThrottledError("busy"))
    learnt = hand.step.settle(replies)
    assert (learnt.result, learnt.status, learnt.cost_pu) == (Result.DONE, 400, 1.0)
    assert {path: record.id for path, record in learnt.members.items()} == {"a": "t1"}
    assert learnt.members["a"].digest == "digest of a"
    hand.reply(replies)
    with pytest.raises(ChangeFailedError, match="2 of 3 tiles failed") as failed:
        ingested(hand)
    assert [fault.path for fault in failed.value.faults] == [
        ("spec", "tiles", 1, "coverGeometry", "type"),
        ("spec", "tiles", 2),
    ]
    assert failed.value.faults[0].what == "b: coverGeometry->type: must be"


def test_a_refusal_of_everything_teaches_nothing() -> None:
    hand = begin(creation("a"))
    learnt = hand.step.settle((RefusedError("wrong", status=400),))
    assert (learnt.result, dict(learnt.members), learnt.message) == (Result.REFUSED, {}, "wrong")


UNKNOWN_HOME = RefusedError("create: 404", status=404)


def test_a_collection_that_is_not_there_for_all_yet_is_waited_for_once() -> None:
    hand = begin(creation("a"), creation("b", 1), settings=Settings(list_lag_s=20))
    assert isinstance(told(hand), Act)
    assert isinstance(hand.reply((UNKNOWN_HOME, UNKNOWN_HOME)), Wait)
    assert hand.step.seconds == 20
    again = hand.reply()
    assert isinstance(again, Act)
    assert again.keys == ("a", "b")
    assert isinstance(hand.reply((UNKNOWN_HOME, UNKNOWN_HOME)), Progress)
    with pytest.raises(ChangeFailedError, match="2 of 2 tiles failed"):
        hand.reply()


def test_where_nothing_lags_an_unknown_collection_is_a_refusal() -> None:
    hand = begin(creation("a"))
    told(hand)
    assert isinstance(hand.reply((UNKNOWN_HOME,)), Progress)
    with pytest.raises(ChangeFailedError, match="1 of 1"):
        hand.reply()


def test_lost_creates_are_looked_up_by_path_in_every_spelling_and_only_the_rest_repeated() -> None:
    hand = begin(creation("a"), creation("b", 1), settings=Settings(list_lag_s=20))
    learnt = hand.step.settle((LOST, LOST))
    assert (learnt.result, learnt.unsettled) == (Result.UNKNOWN, ("a", "b"))
    hand.reply((LOST, LOST))
    wait = told(hand)
    assert isinstance(wait, Wait)
    assert wait.seconds == 20
    assert isinstance(hand.reply(), Together)
    note = looked_up(hand, a="t1")
    assert isinstance(note, Note)
    assert {path: one.id for path, one in note.settlement.members.items()} == {"a": "t1"}
    act = hand.reply()
    assert act.keys == ("b",)
    hand.reply((made("t2"),))
    assert told(hand).reason == "new tiles may not be listed yet"
    hand.reply()
    ingested(hand)
    assert hand.ended


def test_answers_that_never_come_are_given_up() -> None:
    hand = begin(creation("a"))
    for attempt in range(3):
        assert isinstance(told(hand), Act)
        hand.reply((LOST,))
        assert isinstance(looked_up(hand), Note)
        if attempt < 2:
            hand.reply()
    with pytest.raises(ChangeFailedError) as failed:
        hand.reply()
    assert "no effect" in failed.value.faults[0].what


def test_a_look_that_fails_fails_the_change_and_leaves_the_intent_open() -> None:
    hand = begin(creation("a"))
    hand.reply((LOST,))
    told(hand)
    with pytest.raises(ThrottledError):
        hand.reply((ThrottledError("busy"),) * len(hand.step.steps))


@pytest.mark.parametrize(
    ("fields", "body", "now", "happened"),
    [
        (
            (),
            {"sensingTime": "2025-01-01T00:00:00Z"},
            {"sensingTime": "2025-01-01T00:00:00.000Z"},
            True,
        ),
        ((), {"sensingTime": "2025-01-01T00:00:00Z"}, {"sensingTime": None}, False),
        ((), {"sensingTime": None}, {}, True),
        # A reset cover cannot be told from the body: it is the tile's own geometry then.
        (
            (FieldChange(("coverGeometry",), {}, None, Reason.NO_LONGER_STATED, cleared=True),),
            {"sensingTime": None},
            {"coverGeometry": {"type": "x"}, "tileGeometry": {"type": "x"}},
            True,
        ),
        (
            (FieldChange(("coverGeometry",), {}, None, Reason.NO_LONGER_STATED, cleared=True),),
            {"sensingTime": None},
            {"coverGeometry": {"type": "y"}, "tileGeometry": {"type": "x"}},
            False,
        ),
    ],
)
def test_a_lost_update_is_repeated_only_if_it_did_not_happen(
    fields: tuple[FieldChange, ...], body: Object, now: Object, happened: bool
) -> None:
    hand = begin(updating(body, *fields))
    hand.reply((LOST,))
    assert isinstance(told(hand), Read)
    note = hand.reply(Answer(200, {"data": {"id": "t1", **now}}))
    assert bool(note.settlement.members) is happened
    assert isinstance(hand.reply(), Act) is not happened


def test_an_update_keeps_whose_a_tile_is_and_what_its_file_was() -> None:
    for owned in (True, False):
        hand = begin(updating({"sensingTime": None}, owned=owned))
        record = hand.step.settle((Answer(204),)).members["a"]
        assert (record.owned, record.etag, record.size_bytes) == (owned, "e", 1)


@pytest.mark.parametrize(
    ("reason", "status", "happened"),
    [
        (Reason.INGESTION_FAILED, "FAILED", False),
        (Reason.INGESTION_FAILED, "QUEUED", True),
        (Reason.INGESTION_FAILED, "INGESTED", True),
        # It was INGESTED before: nothing tells that it was sent round, and a changed file
        # that is never read would be worse than a price paid twice.
        (Reason.FILE_CHANGED, "INGESTED", False),
        (Reason.FILE_CHANGED, "WAITING", True),
    ],
)
def test_a_lost_reingestion_is_repeated_unless_it_certainly_happened(
    reason: Reason, status: str, happened: bool
) -> None:
    hand = begin(reingestion(reason))
    hand.reply((LOST,))
    told(hand)
    hand.reply(Answer(200, {"data": {"id": "t1", "status": status}}))
    assert isinstance(hand.reply(), Act) is not happened


def test_a_delete_of_what_is_gone_has_happened() -> None:
    hand = begin(deletion("a", "t1"), deletion("b", "t2"))
    gone = RefusedError("not found", status=404)
    assert hand.step.settle((gone, Answer(204))).lost_members == ("a", "b")
    hand.reply((gone, Answer(204)))
    told(hand)
    assert hand.ended


def test_a_lost_delete_is_looked_for() -> None:
    hand = begin(deletion("a", "t1"), deletion("b", "t2"))
    hand.reply((LOST, LOST))
    told(hand)
    hand.reply(RefusedError("not found", status=404))
    note = hand.reply(Answer(200, {"data": {"id": "t2"}}))
    assert note.settlement.lost_members == ("a",)
    assert hand.reply().keys == ("b",)


def test_deleting_a_set_forgets_it_only_when_everything_went() -> None:
    hand = begin(deletion(), action=Action.DELETE)
    hand.reply((Answer(204),))
    assert told(hand).event is Event.FORGET
    hand.reply()
    assert hand.ended
    hand = begin(deletion(), action=Action.DELETE)
    hand.reply((RefusedError("no", status=403),))
    with pytest.raises(ChangeFailedError):
        told(hand)


def test_adopting_says_whose_it_is() -> None:
    for owned in (True, False):
        note = begin(adoption(owned=owned)).step
        assert (note.event, note.settlement.members["a"].owned) == (Event.ADOPT, owned)


def test_a_taken_path_is_bound_without_owning_or_refused() -> None:
    hand = begin(creation("a"), settings=Settings(list_lag_s=20))
    conflict = RefusedError("taken", status=409)
    hand.reply((conflict,))
    assert isinstance(looked_up(hand), Wait)
    hand.reply()
    note = looked_up(hand, a="t9")
    assert (note.settlement.members["a"].id, note.settlement.members["a"].owned) == ("t9", False)
    hand = begin(creation("a"))
    hand.reply((conflict,))
    with pytest.raises(ChangeFailedError):
        looked_up(hand)


def test_what_failed_under_a_saved_plan_is_said_and_not_sent() -> None:
    hand = begin(creation("b", 1), reingestion(Reason.INGESTION_FAILED, sent=False))
    assert hand.step.keys == ("b",)
    hand.reply((made("t2"),))
    with pytest.raises(ChangeFailedError) as failed:
        ingested(hand)
    assert failed.value.faults[0].what == "a: ingestion failed: no file"


def test_a_failed_ingestion_is_placed_on_its_manifest() -> None:
    hand = begin(creation("a"), current={"ingesting": ["t7"]})
    hand.reply((made("t1"),))
    with pytest.raises(ChangeFailedError) as failed:
        ingested(hand, ("t1", "a", "no file"), ("t7", "z", ""), ("theirs", "x", "no file"))
    assert [(fault.path, fault.what) for fault in failed.value.faults] == [
        (("spec", "tiles", 0), "a: ingestion failed: no file"),
        (("spec",), "z: ingestion failed: no cause given"),
    ]


def test_waiting_ends_when_it_takes_too_long() -> None:
    hand = begin(
        current={"ingesting": ["t1"]}, settings=Settings(list_lag_s=0, timeout_s=2, poll_s=2)
    )
    told(hand).event  # noqa: B018 - the ledger is told where the set is
    hand.reply()
    for _ in range(2):
        told(hand)
        hand.rows(("t1",))
        hand.rows()
        hand.rows()
        if isinstance(told(hand), Wait):
            hand.reply()
            break
    told(hand)
    hand.rows(("t1",))
    hand.rows()
    hand.rows()
    with pytest.raises(ChangeFailedError, match="the same command resumes"):
        told(hand)


def test_files_are_looked_at_before_anything_is_ingested() -> None:
    hand = begin(creation("x/a"), settings=Settings(list_lag_s=0, reads_buckets=True))
    assert isinstance(hand.step, Read)
    look = hand.reply(Answer(200, {"data": {"id": "c1", "s3Bucket": "fields"}}))
    assert look == Look("fields", "x/a")
    act = hand.reply((File("x/a/B04.tiff", 10, "e1"), File("x/a/B04.tiff.aux.xml", 5, "e2")))
    record = act.settle((made("t1"),)).members["x/a"]
    assert (record.size_bytes, record.etag[:7]) == (10, "sha256:")


def test_a_bucket_that_cannot_be_read_is_no_error() -> None:
    hand = begin(creation("a"), settings=Settings(list_lag_s=0, reads_buckets=True))
    hand.reply(Answer(200, {"data": {"id": "c1", "s3Bucket": "fields"}}))
    assert hand.reply(None).settle((made("t1"),)).members["a"].etag == ""
    gone = begin(creation("a"), settings=Settings(list_lag_s=0, reads_buckets=True))
    assert isinstance(gone.reply(RefusedError("not found", status=404)), Act)
