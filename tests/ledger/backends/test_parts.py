"""Names of objects with lines: whatever was put together, every entry is read once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.ledger.backends.parts import (
    Part,
    append_name,
    arrange,
    holder_of,
    pack_name,
    parse,
    to_merge,
)

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=40)


def singles(sizes: list[int]) -> list[Part]:
    """What appends of so many entries leave, each entry ten bytes long."""
    parts: list[Part] = []
    first = 0
    for size in sizes:
        parts.append(Part(append_name(first), first, -1, 0, 10 * size))
        first += size
    return parts


def end_of(parts: list[Part], part: Part) -> int:
    return part.last if part.last >= 0 else part.first + part.size_bytes // 10 - 1


def joined(parts: list[Part], group: list[Part]) -> Part:
    first, last = group[0].first, end_of(parts, group[-1])
    size, tier = sum(part.size_bytes for part in group), group[0].tier + 1
    return Part(pack_name(first, last, tier), first, last, tier, size)


def read(parts: list[Part]) -> list[int]:
    """The entries in the order in which a reader meets them."""
    found: list[int] = []
    for part in arrange(parts)[0]:
        found += range(max(part.first, len(found)), end_of(parts, part) + 1)
    return found


@given(SIZES, st.integers(2, 5), st.integers(20, 400), st.data())
def test_every_entry_is_read_once_at_every_moment_of_a_merge(
    sizes: list[int], fan: int, pack_bytes: int, data: st.DataObject
) -> None:
    parts, everything = singles(sizes), list(range(sum(sizes)))
    while groups := to_merge(arrange(parts)[0], fan=fan, pack_bytes=pack_bytes):
        for group in groups:
            assert len(group) > 1
            assert len({part.tier for part in group}) == 1
            assert sum(part.size_bytes for part in group) <= pack_bytes
            pack = joined(parts, group)
            parts.append(pack)
            assert read(parts) == everything
            assert set(group) <= set(arrange(parts)[1])
            # Some of what it was made of is removed now, the rest later or never.
            for part in group:
                if data.draw(st.booleans()):
                    parts.remove(part)
            assert read(parts) == everything
    assert holder_of(arrange(parts)[0], 0) == 0


@given(SIZES, st.integers(2, 5))
def test_no_tier_keeps_as_many_as_are_put_together(sizes: list[int], fan: int) -> None:
    parts = singles(sizes)
    while groups := to_merge(parts, fan=fan):
        for group in groups:
            pack = joined(parts, group)
            parts = [part for part in parts if part not in group] + [pack]
        parts = arrange(parts)[0]
    for tier in {part.tier for part in parts}:
        assert sum(part.tier == tier for part in parts) < fan


@given(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(1, 99))
def test_a_name_is_read_as_it_was_written(first: int, more: int, tier: int) -> None:
    assert parse(append_name(first), 7) == Part(append_name(first), first, -1, 0, 7)
    name = pack_name(first, first + more, tier)
    assert parse(name, 7) == Part(name, first, first + more, tier, 7)
    assert parse(name + ".new", 7) is None
    assert parse(name[1:], 7) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=8))
def test_what_overlaps_is_read_without_a_repetition(spans: list[tuple[int, int]]) -> None:
    """Two writers each put together what they thought was theirs."""
    base = Part(pack_name(0, 60, 1), 0, 60, 1, 610)
    parts = [base] + [
        Part(pack_name(first, first + more, 1), first, first + more, 1, 10 * (more + 1))
        for first, more in spans
    ]
    assert read(parts) == list(range(max([60, *(first + more for first, more in spans)]) + 1))
