"""A line says what its entry says, in one pinned form, and nothing else is read as an entry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core import line
from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.errors import LedgerError
from shplan.core.resource import MemberRecord, Receipt

TIME = "2025-06-01T10:00:00.000Z"
PREVIOUS = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAME = st.text("abcdefgh-", min_size=1, max_size=5)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
ADDRESS = st.builds(
    Address, st.sampled_from(["ByocTiles", "ByocCollection"]), NAME, st.none() | NAME
)
COUNT = st.integers(0, 2**53)
MEMBER = st.builds(
    MemberRecord,
    id=TEXT,
    stated=st.lists(TEXT, max_size=3).map(tuple),
    digest=TEXT,
    owned=st.booleans(),
    etag=TEXT,
    size_bytes=st.none() | COUNT,
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
SETTLEMENT = st.builds(
    Settlement,
    result=st.sampled_from(Result),
    id=TEXT,
    owned=st.none() | st.booleans(),
    spec=st.none() | OBJECT,
    gone=st.booleans(),
    members=st.dictionaries(TEXT, MEMBER, max_size=3),
    lost_members=TEXTS,
    unsettled=TEXTS,
    prevent_destroy=st.none() | st.booleans(),
    depends_on=st.none() | TEXTS,
    status=st.integers(0, 599),
    cost_pu=st.floats(0, 1e9),
    message=TEXT,
    data=OBJECT,
)
DRAFT = st.builds(
    EntryDraft,
    event=st.sampled_from(Event),
    address=st.none() | ADDRESS,
    plan=TEXT,
    deployment=TEXT,
    operation=TEXT,
    request=TEXT,
    keys=TEXTS,
    data=OBJECT,
    intent=st.none() | COUNT,
    settlement=st.none() | SETTLEMENT,
    server_time=TEXT,
)


@given(
    entry=st.builds(
        LedgerEntry, COUNT, COUNT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2), TEXT, DRAFT
    )
)
def test_what_is_encoded_is_decoded(entry: LedgerEntry) -> None:
    text = line.encode(entry)
    assert line.decode(text) == entry
    assert text.count(b"\n") == 1
    assert line.encode(line.decode(text)) == text


def test_a_receipt_keeps_the_estimate_beside_the_cost() -> None:
    receipt = Receipt("k", 1, "t", "DONE", cost_pu=412.5, estimate_pu=(100, 429, 1430))
    draft = EntryDraft(
        Event.RECEIPT,
        Address("BatchProcess", "ndvi"),
        settlement=Settlement(Result.DONE, receipt=receipt),
        key="k",
        attempt=1,
    )
    entry = LedgerEntry(1, 1, "2025-06-01T00:00:00Z", {}, "", draft)
    text = line.encode(entry)
    assert b'"estimatePu":[100.0,429.0,1430.0]' in text or b'"estimatePu":[100,429,1430]' in text
    assert line.decode(text) == entry
    # What was written before there were estimates.
    before = line.encode(
        replace(
            entry,
            draft=replace(
                draft,
                settlement=Settlement(Result.DONE, receipt=replace(receipt, estimate_pu=None)),
            ),
        )
    )
    assert b"estimatePu" not in before
    settled = line.decode(before).draft.settlement
    assert settled is not None
    assert settled.receipt is not None
    assert settled.receipt.estimate_pu is None


def test_the_form_of_a_line_is_pinned() -> None:
    settlement = Settlement(
        Result.DONE,
        id="b3a1",
        owned=True,
        spec={"name": "Field imagery", "noData": 0.0},
        members={"x": MemberRecord("t1", ("path",), "d1", owned=False, etag="e", size_bytes=7)},
        lost_members=("y",),
        unsettled=("z",),
        prevent_destroy=False,
        depends_on=(),
        status=201,
        cost_pu=1.5,
        message="ok",
        data={"a": None},
    )
    draft = EntryDraft(
        Event.OUTCOME,
        Address("ByocTiles", "fields", "2025"),
        plan="sha256:p",
        deployment="sandbox:1",
        intent=0,
        settlement=settlement,
        server_time="2025-06-01T10:00:00Z",
    )
    entry = LedgerEntry(7, 2, TIME, {"user": "ada", "run": "17"}, PREVIOUS, draft)
    expected = (
        b'{"actor":{"run":"17","user":"ada"},"address":"ByocTiles/fields[2025]",'
        b'"deployment":"sandbox:1","event":"outcome","fence":2,"intent":0,"plan":"sha256:p",'
        b'"previous":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",'
        b'"sequence":7,"serverTime":"2025-06-01T10:00:00Z","settlement":{"costPu":1.5,'
        b'"data":{"a":null},"dependsOn":[],"id":"b3a1","lostMembers":["y"],"members":{"x":'
        b'{"digest":"d1","etag":"e","id":"t1","owned":false,"sizeBytes":7,"stated":["path"]}},'
        b'"message":"ok","owned":true,"preventDestroy":false,"result":"done",'
        b'"spec":{"name":"Field imagery","noData":0},"status":201,"unsettled":["z"]},'
        b'"time":"2025-06-01T10:00:00.000Z","v":1}\n'
    )
    assert line.encode(entry) == expected
    assert line.decode(expected) == entry


def test_a_newer_format_says_so() -> None:
    text = b'{"event":"levitate","fence":1,"magic":true,"sequence":0,"v":2}\n'
    with pytest.raises(line.NewerFormatError, match=r"format 2.*written by a newer shplan"):
        line.decode(text)


@pytest.mark.parametrize(
    "text",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"\xff\n",
        b'{"event":"genesis","fence":1,"previous":"","sequence":0,"time":"","v":0}\n',
        b'{"event":"genesis","extra":1,"fence":1,"previous":"","sequence":0,"time":"","v":1}\n',
        b'{"event":"genesis","fence":1,"previous":"","sequence":"0","time":"","v":1}\n',
        b'{"address":"x","event":"move","fence":1,"previous":"","sequence":0,"time":"","v":1}\n',
        b'{"event":"unheard","fence":1,"previous":"","sequence":0,"time":"","v":1}\n',
        b'{"\xe6":0,"event":"genesis","fence":1,"previous":"","sequence":0,"time":"","v":1}\n',
        b'{"data":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b'},"event":"genesis","v":1}\n',
    ],
    ids=range(11),
)
def test_what_is_no_entry_is_refused(text: bytes) -> None:
    with pytest.raises(line.UnreadableLineError, match="not an entry of format 1"):
        line.decode(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, "\ud800"])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    draft = EntryDraft(Event.INTENT, data={"value": value})
    with pytest.raises(LedgerError, match="entry 3 of the ledger cannot be written"):
        line.encode(LedgerEntry(3, 1, TIME, {}, PREVIOUS, draft))


def test_members_of_a_group_share_what_they_state() -> None:
    members = {key: MemberRecord(key, ("path", "sensingTime")) for key in "ab"}
    draft = EntryDraft(Event.ADOPT, settlement=Settlement(Result.DONE, members=members))
    entry = line.decode(line.encode(LedgerEntry(0, 1, TIME, {}, PREVIOUS, draft)))
    found = entry.draft.settlement
    assert found is not None
    assert found.members["a"].stated is found.members["b"].stated
