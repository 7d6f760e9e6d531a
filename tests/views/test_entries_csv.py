"""The table of entries: read back by any reader of CSV, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.resource import MemberRecord, Receipt
from shplan.views.entries_csv import COLUMNS, csv_header, csv_row

FIELDS = Address("ByocCollection", "fields")
HASH = "sha256:" + "1" * 64
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - as meant
PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


def read(entry: LedgerEntry) -> dict[str, str]:
    text = csv_header() + csv_row(entry, line_hash=HASH)
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return row


def entry(draft: EntryDraft, **actor: str) -> LedgerEntry:
    return LedgerEntry(7, 2, "2025-06-01T10:00:00.000Z", actor, "sha256:0", draft)


def test_a_row_holds_what_the_entry_says() -> None:
    settlement = Settlement(
        Result.DONE, id="c-1", status=201, cost_pu=1.5, message="made",
        members={"a": MemberRecord("t")}, lost_members=("b", "c"),
    )  # fmt: skip
    draft = EntryDraft(
        Event.OUTCOME, FIELDS, plan="sha256:p", deployment="aws", operation="create",
        request="sha256:r", intent=3, settlement=settlement, server_time="then", key="k", attempt=2,
    )  # fmt: skip
    row = read(entry(draft, user="ada", ciRun="9", commit="abc"))
    assert tuple(row) == COLUMNS
    assert row == {
        "sequence": "7",
        "time": "2025-06-01T10:00:00.000Z",
        "event": "outcome",
        "address": "ByocCollection/fields",
        "operation": "create",
        "result": "done",
        "id": "c-1",
        "status": "201",
        "cost_pu": "1.5",
        "intent": "3",
        "members": "1",
        "lost_members": "2",
        "key": "k",
        "attempt": "2",
        "message": "made",
        "plan": "sha256:p",
        "request": "sha256:r",
        "deployment": "aws",
        "server_time": "then",
        "user": "ada",
        "ci_run": "9",
        "commit": "abc",
        "fence": "2",
        "previous": "sha256:0",
        "hash": HASH,
    }


def test_what_an_entry_does_not_say_is_an_empty_cell() -> None:
    row = read(entry(EntryDraft(Event.GENESIS)))
    said = {"sequence", "time", "event", "fence", "previous", "hash"}
    assert {name for name, cell in row.items() if cell} == said


def test_an_intent_counts_its_members_and_a_receipt_its_cost() -> None:
    intent = EntryDraft(Event.INTENT, FIELDS, operation="create", keys=("a", "b"))
    assert read(entry(intent))["members"] == "2"
    receipt = Receipt("k", 1, "task-1", "DONE", cost_pu=12.5)
    settled = Settlement(Result.DONE, id="task-1", receipt=receipt)
    assert read(entry(EntryDraft(Event.RECEIPT, FIELDS, settlement=settled)))["cost_pu"] == "12.5"


@pytest.mark.parametrize("start", [*DANGEROUS, " =", "\xa0=", "\x0b@", "'="])
def test_a_cell_is_never_a_formula(start: str) -> None:
    settlement = Settlement(Result.REFUSED, id=f"{start}1+1", message=f'{start}HYPERLINK("x")')
    draft = EntryDraft(Event.OUTCOME, FIELDS, deployment=f"{start}x", settlement=settlement)
    row = read(entry(draft, user=f"{start}ada"))
    for name in ("id", "message", "deployment", "user"):
        assert row[name].startswith(f"'{start}"), name


TEXT = st.tuples(
    st.sampled_from(["", *DANGEROUS, " ", "'"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
).map("".join)


@given(message=TEXT, user=TEXT)
def test_a_row_is_read_back_whatever_is_in_it(message: str, user: str) -> None:
    """Source: RFC 4180, section 2: rows end with CRLF, quotes are doubled."""
    settlement = Settlement(Result.REFUSED, message=message)
    made = entry(EntryDraft(Event.OUTCOME, FIELDS, settlement=settlement), user=user)
    assert csv_row(made, line_hash=HASH).endswith("\r\n")
    row = read(made)
    for cell, text in ((row["message"], message), (row["user"], user)):
        # One is taken away by whoever reads by program, and all is as it was.
        assert cell.removeprefix("'") == text
        assert not cell.lstrip().startswith(DANGEROUS)


def test_the_page_says_what_each_column_holds() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## As a table", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    named = [name.strip("` ") for row in rows for name in row.split(",")]
    assert named == list(COLUMNS)
