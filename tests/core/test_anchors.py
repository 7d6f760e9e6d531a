"""Anchors are read as commands print them, and found where the ledger still has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core import chain
from shplan.core.anchors import Anchor, Watch, printed_head
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def story(count: int) -> tuple[list[LedgerEntry], list[Head]]:
    heads, entries, head = [], [], EMPTY
    for number in range(count):
        draft = EntryDraft(Event.INTENT, operation=f"o{number}")
        (entry,), _, head = chain.append(head, [draft], fence=1, time="", actor={})
        entries.append(entry)
        heads.append(head)
    return entries, heads


def findings(entries: list[LedgerEntry], end: Head, *anchors: Anchor):
    watch = Watch(anchors)
    for entry in entries:
        watch.take(entry)
    return watch.findings(end)


@given(sequence=st.integers(0, 10**18 - 1), digits=HEX)
def test_what_is_printed_is_read(sequence: int, digits: str) -> None:
    head = Head(sequence, 3, f"sha256:{digits}")
    read = Anchor.parse(printed_head(head), source="x")
    assert read == Anchor(head.hash, sequence, "x")
    assert Anchor.parse(f" {sequence}:sha256:{digits}\n") == Anchor(head.hash, sequence)
    assert Anchor.parse(f"ledger head {printed_head(head)}\n", source="x") == read
    assert Anchor.parse(digits) == Anchor.parse(head.hash) == Anchor(head.hash)


@pytest.mark.parametrize(
    "text",
    ["", "412", "412:", "412:ab12", ":" + "a" * 64, "-1:" + "a" * 64, "1:" + "A" * 64,
     "1:" + "a" * 65, "1:md5:" + "a" * 64, "1:" + "a" * 64 + ":", "x" * 64, "head 1:" + "a" * 64, "١:" + "a" * 64],
)  # fmt: skip
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no head of a ledger"):
        Anchor.parse(text)


@given(count=st.integers(1, 6), cut=st.integers(0, 6))
def test_a_ledger_has_the_heads_up_to_its_end_and_no_other(count: int, cut: int) -> None:
    entries, heads = story(count)
    kept = entries[: min(cut, count)]
    end = heads[len(kept) - 1] if kept else EMPTY
    for number, head in enumerate(heads):
        numbered, bare = findings(kept, end, Anchor(head.hash, head.sequence), Anchor(head.hash))
        assert numbered.met is bare.met is (number < len(kept))


def test_a_hash_under_another_number_is_none() -> None:
    entries, heads = story(3)
    wrong, other, empty = findings(
        entries, heads[-1],
        Anchor(heads[0].hash, 2), Anchor("sha256:" + "0" * 64, 1), Anchor(EMPTY.hash),
    )  # fmt: skip
    assert (wrong.met, wrong.what) == (False, "that hash is of entry 0")
    assert (other.met, other.what) == (False, "entry 1 is another one now")
    assert (empty.met, empty.what) == (True, "the ledger was empty then")
