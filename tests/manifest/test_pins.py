"""`shplan.lock`: the same bytes for the same pins, and nothing else than what was pulled."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.catalog_items import Findings
from shplan.manifest.pins import Lock, LockError, Pin, parse_lock, render_lock

SCENES = Address("CatalogSearch", "scenes")


def pin(*ids: str, time: str = "2025-06-01T00:00:00Z") -> Pin:
    items = [{"id": one, "properties": {"datetime": time}} for one in ids]
    return Pin.of("sandbox", {"collections": ["a"]}, Findings.of(items).as_json())


PINS = st.builds(
    lambda ids: pin(*ids), st.lists(st.sampled_from("abcdefg"), unique=True, max_size=4)
)
NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)
LOCKS = st.builds(
    Lock, st.dictionaries(NAMES, st.dictionaries(NAMES, PINS, min_size=1, max_size=3), max_size=3)
)


@given(LOCKS)
def test_what_was_written_is_read(lock: Lock) -> None:
    written = render_lock(lock)
    assert parse_lock(written.decode()) == lock
    assert render_lock(parse_lock(written.decode())) == written


@given(LOCKS, PINS)
def test_a_pull_changes_no_other_entry(lock: Lock, new: Pin) -> None:
    after = parse_lock(render_lock(lock.with_pin("prod", SCENES, new)).decode())
    assert after.pin("prod", SCENES) == new
    for environment, entries in lock.pins.items():
        for name, entry in entries.items():
            if (environment, name) != ("prod", str(SCENES)):
                assert after.pins[environment][name] == entry


def test_an_item_more_is_a_line_more() -> None:
    """Whoever reviews or merges the file sees the items that came."""
    before = render_lock(Lock().with_pin("prod", SCENES, pin("a", "c"))).decode().splitlines()
    after = render_lock(Lock().with_pin("prod", SCENES, pin("a", "b", "c"))).decode().splitlines()
    came = [line for line in after if line not in before]
    assert len(came) == 2  # the item, and the digest
    assert '"b"' in came[0]


def test_an_edited_pin_is_noticed_and_kept_as_it_is() -> None:
    text = render_lock(Lock().with_pin("prod", SCENES, pin("a", "b"))).decode()
    edited = parse_lock(text.replace('"id":"b"', '"id":"x"'))
    found = edited.pin("prod", SCENES)
    assert found is not None
    assert not found.is_whole
    # Another pull does not sign what somebody else has edited.
    other = edited.with_pin("prod", Address("CatalogSearch", "other"), pin("c"))
    again = parse_lock(render_lock(other).decode()).pin("prod", SCENES)
    assert again == found


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("{", "is not JSON", 1),
        ('{\n<<<<<<< HEAD\n"format": 1', "merge that was not finished", 2),
        ("[]", "is no list of pins", 1),
        ('{"format": 2, "pins": {}}', "has format 2", 1),
        ('{"format": 1, "pins": {"a": 3}}', "no list of pins for a", 1),
        ('{"format": 1, "pins": {"a": {\n"K/x": 3}}}', "no question in the entry of K/x", 2),
        ('{"format": 1, "format": 1, "pins": {}}', "has format twice", 1),
        ("[" * 100_000, "nested too deeply", 1),
    ],
)
def test_what_is_no_lock_is_refused_with_its_line(text: str, said: str, line: int) -> None:
    with pytest.raises(LockError, match=said) as caught:
        parse_lock(text)
    assert caught.value.line == line


def test_no_number_at_all_is_no_digest() -> None:
    text = render_lock(Lock().with_pin("prod", SCENES, pin("a"))).decode()
    found = parse_lock(text.replace('"id":"a"', '"id":NaN')).pin("prod", SCENES)
    assert found is not None
    assert not found.is_whole


def test_an_empty_file_holds_nothing() -> None:
    assert parse_lock("\n") == Lock()
    assert json.loads(render_lock(Lock())) == {"format": 1, "pins": {}}
