"""Receipt files: the same bytes, names that every file system takes, and nothing else counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.resource import Receipt
from shplan.core.value import canonical, digest
from shplan.providers.receipt_file import (
    Scope,
    kept_text,
    path_of,
    read_kept,
    short_key_of,
    step_of,
)

SCOPE = Scope("demo", "prod", "sandbox:one", "sandbox")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
VALUES = st.recursive(
    LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
ADDRESSES = st.builds(Address, st.just("BatchProcess"), st.just("ndvi"), st.none() | TEXTS)
PU = st.floats(0, 1e9)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    parts: Any = draw(OBJECTS)
    return Receipt(
        key=digest(parts),
        attempt=draw(st.integers(1, 99)),
        id=draw(TEXTS),
        status=draw(st.sampled_from(["DONE", "PARTIAL"])),
        parts=parts,
        request=draw(OBJECTS),
        cost_pu=draw(st.none() | PU),
        outputs=draw(OBJECTS),
        failed=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        account=draw(TEXTS),
        estimate_pu=draw(st.none() | st.tuples(PU, PU, PU)),
    )


def short(receipt: Receipt) -> str:
    return short_key_of(path_of("r", Address("A", "b"), receipt.key))


@given(receipts(), ADDRESSES)
def test_what_is_written_is_read_again(receipt: Receipt, address: Address) -> None:
    told = read_kept(kept_text(address, receipt, SCOPE), SCOPE, short=short(receipt))
    assert (told.receipt, told.why) == (receipt, "")


@given(receipts())
def test_what_the_ledger_gives_back_makes_the_same_bytes(receipt: Receipt) -> None:
    """A ledger writes in canonical form, in which fields have another order."""
    ordered = replace(
        receipt,
        parts=json.loads(canonical(receipt.parts)),
        request=json.loads(canonical(receipt.request)),
        outputs=json.loads(canonical(receipt.outputs)),
        failed=dict(sorted(receipt.failed.items())),
    )
    address = Address("BatchProcess", "ndvi")
    assert kept_text(address, ordered, SCOPE) == kept_text(address, receipt, SCOPE)


@given(receipts(), st.data())
def test_other_parts_do_not_count(receipt: Receipt, data: st.DataObject) -> None:
    document = json.loads(kept_text(Address("BatchProcess", "ndvi"), receipt, SCOPE))
    document["parts"][data.draw(TEXTS)] = "put in"
    told = read_kept(json.dumps(document).encode(), SCOPE, short=short(receipt))
    same = digest(document["parts"]) == receipt.key
    assert (told.receipt is not None) == same


@given(receipts(), st.data())
def test_what_was_cut_or_merged_is_an_answer_not_an_error(
    receipt: Receipt, data: st.DataObject
) -> None:
    content = kept_text(Address("BatchProcess", "ndvi"), receipt, SCOPE)
    cut = content[: data.draw(st.integers(0, len(content) - 2))]
    for broken in (cut, b"<<<<<<< ours\n" + content, b"", b"[" * 100_000):
        told = read_kept(broken, SCOPE, short=short(receipt))
        assert told.receipt is None
        assert told.why


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("ndvi", "ndvi"),
        ("2025-06-01", "2025-06-01"),
        ("a.b_c-d", "a.b_c-d"),
        ("33TWN", "33TWN-e50dc158"),
        ("33twn", "33twn"),
        ("a/b", "a_b-c14cddc0"),
        ("..", "_-5ec1f7e7"),
        (".git", "git-4d0a4dff"),
        ("con", "_con-1143da2b"),
        ("nul.txt", "_nul.txt-7f3cbdd5"),
        ("trailing.", "trailing-44c12a4e"),
        ("grün", "gr_n-fe263064"),
    ],
)
def test_names_of_directories(text: str, step: str) -> None:
    assert step_of(text) == step


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_name_is_one_on_every_file_system(one: str, other: str) -> None:
    names = step_of(one), step_of(other)
    for name in names:
        assert len(name) <= 100
        assert name.isascii()
        assert not set(name) & set('<>:"/\\|?* []\0')
        assert name not in ("", ".", "..")
        assert name == name.strip(". ")
        assert name.lower().partition(".")[0] not in ("con", "prn", "aux", "nul", "com1", "lpt1")
    if one != other:
        assert names[0].lower() != names[1].lower()


@given(st.text(alphabet="aAbB._-/", max_size=6), st.text(alphabet="aAbB._-/", max_size=6))
def test_names_that_look_alike_are_told_apart(one: str, other: str) -> None:
    assert (one == other) == (step_of(one).lower() == step_of(other).lower())


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("r/prod/BatchProcess/a/0123456789abcdef.json", "0123456789abcdef"),
        ("r/prod/BatchProcess/a/0123456789ABCDEF.json", ""),
        ("r/prod/BatchProcess/a/0123456789abcdef.json.orig", ""),
        ("r/prod/BatchProcess/a/.0123456789abcdef.json.0123456789abcdef.part", ""),
        ("r/prod/README.json", ""),
    ],
)
def test_only_a_key_names_a_receipt_file(path: str, key: str) -> None:
    assert short_key_of(path) == key
