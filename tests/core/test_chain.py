"""Laws of the chain: what is written is read, and whatever is done to a line is found."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from shplan.core import chain
from shplan.core.address import Address
from shplan.core.chain import EMPTY, Chain, DamageKind, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry

TIME = "2025-06-01T10:00:00.000Z"
ACTOR = {"user": "ada", "run": "17"}

DRAFTS = st.lists(
    st.builds(EntryDraft, st.sampled_from(Event), plan=st.text(st.characters(codec="utf-8"))),
    max_size=5,
)


def write(*drafts: EntryDraft) -> tuple[tuple[LedgerEntry, ...], list[bytes], Head]:
    entries, lines, head = chain.append(EMPTY, drafts, fence=1, time=TIME, actor=ACTOR)
    return entries, list(lines), head


def small(count: int = 5) -> tuple[list[bytes], Head]:
    fields = Address("ByocCollection", "fields")
    drafts = [EntryDraft(Event.INTENT, fields, operation=f"o{number}") for number in range(count)]
    _, lines, head = write(EntryDraft(Event.GENESIS), *drafts)
    return lines, head


@given(drafts=DRAFTS, cut=st.integers(0, 5))
def test_appending_in_parts_gives_the_same_bytes(drafts: list[EntryDraft], cut: int) -> None:
    _, lines, head = write(*drafts)
    _, first, middle = write(*drafts[:cut])
    _, second, end = chain.append(middle, drafts[cut:], fence=1, time=TIME, actor=ACTOR)
    assert (first + list(second), end) == (lines, head)
    verdict = chain.verify(lines, acknowledged=head)
    assert (verdict.head, verdict.damage, verdict.torn_bytes) == (head, None, 0)


def test_every_changed_byte_is_found() -> None:
    lines, head = small()
    whole = b"".join(lines)
    for position in range(len(whole)):
        for flip in (0x01, 0x20):
            changed = bytearray(whole)
            changed[position] ^= flip
            verdict = chain.verify(bytes(changed).splitlines(keepends=True), acknowledged=head)
            assert verdict.damage is not None, (position, flip)


def test_every_changed_byte_before_the_last_line_is_found_without_a_head() -> None:
    lines, _ = small()
    whole = b"".join(lines)
    for position in range(len(whole) - len(lines[-1])):
        changed = bytearray(whole)
        changed[position] ^= 0x01
        # splitlines() would see other line ends than a file does
        parts = [part + b"\n" for part in bytes(changed).split(b"\n")[:-1]]
        assert chain.verify(parts).damage is not None, position


def test_every_dropped_line_is_found() -> None:
    lines, head = small()
    for index in range(len(lines)):
        damage = chain.verify(lines[:index] + lines[index + 1 :], acknowledged=head).damage
        assert damage is not None
        last = index == len(lines) - 1
        assert damage.kind is (DamageKind.CUT if last else DamageKind.DROPPED)
        assert damage.sequence == index


def test_every_swap_is_found() -> None:
    lines, head = small()
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            swapped = list(lines)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            damage = chain.verify(swapped, acknowledged=head).damage
            assert damage is not None
            assert (damage.kind, damage.sequence, damage.line) == (DamageKind.REORDERED, one, one)


def test_every_duplicate_is_found() -> None:
    lines, head = small()
    for copied in range(len(lines)):
        for place in range(copied + 1, len(lines) + 1):
            damage = chain.verify(
                [*lines[:place], lines[copied], *lines[place:]], acknowledged=head
            ).damage
            assert damage is not None
            assert damage.kind is DamageKind.DUPLICATED
            assert (damage.sequence, damage.line) == (copied, place)


@given(data=st.data())
def test_no_rearrangement_of_the_lines_is_intact(data: st.DataObject) -> None:
    lines, head = small()
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=8).filter(lambda x: x != lines))
    assert chain.verify(chosen, acknowledged=head).damage is not None


def test_every_cut_is_found_by_the_head() -> None:
    lines, head = small()
    for length in range(len(lines)):
        damage = chain.verify(lines[:length], acknowledged=head).damage
        assert damage is not None
        assert (damage.kind, damage.sequence) == (DamageKind.CUT, length)
        several = f"entries {length} to {head.sequence} were cut off"
        one = f"entry {length} was cut off"
        assert (several if length < head.sequence else one) in damage.what


def test_a_torn_last_line_is_not_damage_unless_the_head_had_it() -> None:
    lines, head = small()
    _, before = small(4)
    for length in range(1, len(lines[-1])):
        torn = [*lines[:-1], lines[-1][:length]]
        verdict = chain.verify(torn, acknowledged=before)
        assert (verdict.damage, verdict.torn_bytes, verdict.head) == (None, length, before)
        damage = chain.verify(torn, acknowledged=head).damage
        assert damage is not None
        assert damage.kind is DamageKind.CUT


def test_a_torn_line_that_others_follow_is_damage() -> None:
    lines, _ = small()
    damage = chain.verify([lines[0], lines[1][:-1], lines[2]]).damage
    assert damage is not None
    assert (damage.kind, damage.sequence, damage.line) == (DamageKind.CHANGED, 1, 1)


def test_a_head_of_another_ledger_is_found() -> None:
    lines, head = small()
    other = dataclasses.replace(head, sequence=2)
    damage = chain.verify(lines, acknowledged=other).damage
    assert damage is not None
    assert (damage.kind, damage.sequence, damage.line) == (DamageKind.CHANGED, 2, 2)


def test_a_changed_entry_is_blamed_not_the_one_behind_it() -> None:
    lines, head = small()
    lines[2] = lines[2].replace(b'"o1"', b'"xx"')
    verdict = chain.verify(lines, acknowledged=head)
    assert verdict.damage is not None
    assert (verdict.damage.kind, verdict.damage.sequence, verdict.damage.line) == (
        DamageKind.CHANGED,
        2,
        2,
    )


def test_a_later_entry_under_an_earlier_lease_is_found() -> None:
    _, first, head = chain.append(EMPTY, [EntryDraft(Event.GENESIS)], fence=2, time=TIME, actor={})
    _, second, _ = chain.append(head, [EntryDraft(Event.FORGET)], fence=1, time=TIME, actor={})
    damage = chain.verify([*first, *second]).damage
    assert damage is not None
    assert damage.what == "entry 1 was written under lease 1, after 2"


def test_a_chain_can_be_followed_in_parts() -> None:
    lines, head = small()
    first = Chain()
    for line in lines[:3]:
        assert first.feed(line) is not None
    second = Chain(first.finish().head, acknowledged=head)
    for line in lines[3:]:
        assert second.feed(line) is not None
    assert second.finish() == chain.verify(lines, acknowledged=head)


def test_a_newer_format_is_told_apart_from_a_change() -> None:
    damage = chain.verify([b'{"event":"levitate","sequence":0,"v":2}\n']).damage
    assert damage is not None
    assert damage.kind is DamageKind.NEWER


def test_the_hash_is_over_the_line_without_its_feed() -> None:
    # Source: FIPS 180-4, the digest of "abc".
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert chain.line_hash(b"abc\n") == chain.line_hash(b"abc") == expected
