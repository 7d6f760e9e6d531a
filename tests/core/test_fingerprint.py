"""What a fingerprint tells of two looks at one set of ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.fingerprint import Fingerprint

_IDS = st.sets(st.text(max_size=4), max_size=6)


@given(_IDS, st.randoms(use_true_random=False))
def test_the_order_of_ids_does_not_matter(ids, order) -> None:
    shuffled = sorted(ids)
    order.shuffle(shuffled)
    assert Fingerprint(shuffled).text == Fingerprint(sorted(ids)).text


@given(_IDS, _IDS)
def test_nothing_came_only_if_it_is_the_same_set_or_empty(now, earlier) -> None:
    came = Fingerprint(now).beyond(Fingerprint(earlier))
    assert (came == 0) == (now == earlier or not now)
    # A lower bound, except where some are gone: then nobody can say, and one is assumed.
    assert came <= max(len(now - earlier), 1)


@given(_IDS)
def test_reading_what_was_written_is_the_same_set(ids) -> None:
    made = Fingerprint(ids)
    assert Fingerprint.read(made.text).text == made.text
    assert made.beyond(Fingerprint.read(made.text)) == 0


@given(_IDS, _IDS)
def test_two_that_share_nothing_are_joined_into_one(some, others) -> None:
    joined = Fingerprint(some)
    joined.join(Fingerprint(others - some))
    assert joined.text == Fingerprint(some | others).text


def test_a_plain_number_of_an_older_ledger_counts_only() -> None:
    assert Fingerprint(("a", "b")).beyond(Fingerprint.read(2)) == 0
    assert Fingerprint(("a", "b", "c")).beyond(Fingerprint.read(2)) == 1


def test_what_is_no_fingerprint_allows_nothing() -> None:
    for value in (None, "", "3", "x:y", "3:" + "g" * 64, -1, "9" * 5000 + ":" + "0" * 64, [1]):
        assert Fingerprint(("a",)).beyond(Fingerprint.read(value)) == 1, value
