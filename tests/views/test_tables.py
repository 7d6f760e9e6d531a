"""Lists of things as text: status, entries of the ledger."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.resource import MemberRecord, Receipt
from shplan.core.status import Status
from shplan.views.tables import (
    render_entries,
    render_status,
    status_json,
)
from tests.views.plans import FIELDS, ID, TILES

ROWS = (
    Status(FIELDS, "up to date", "", ID, {}),
    Status(Address("ByocCollection", "region", "north"), "drifted", "update: name, noData", ID, {}),
    Status(TILES, "absent", "no such object exists", "", {"declared": 12_000, "unmanaged": 3}),
)


def entry(number: int, draft: EntryDraft) -> LedgerEntry:
    return LedgerEntry(number, 1, "2026-11-24T03:33:25.638Z", {"user": "ada"}, "sha256:0", draft)


ENTRIES = (
    entry(0, EntryDraft(Event.GENESIS)),
    entry(1, EntryDraft(Event.INTENT, FIELDS, operation="create")),
    entry(
        2,
        EntryDraft(
            Event.OUTCOME, FIELDS, intent=1, settlement=Settlement(Result.DONE, id=ID, cost_pu=1)
        ),
    ),
    entry(3, EntryDraft(Event.INTENT, TILES, operation="create", keys=("a", "b"))),
    entry(
        4,
        EntryDraft(
            Event.OUTCOME,
            TILES,
            intent=3,
            settlement=Settlement(
                Result.REFUSED,
                members={"a": MemberRecord("1")},
                lost_members=("x", "y"),
                message="the bucket\nis not readable " + "x" * 200,
            ),
        ),
    ),
    entry(5, EntryDraft(Event.MOVE, FIELDS, data={"from": "ByocCollection/images"})),
    entry(
        6,
        EntryDraft(
            Event.OUTCOME,
            FIELDS,
            intent=1,
            settlement=Settlement(Result.UNKNOWN, data={"made": ID}),
        ),
    ),
)


def test_status_is_one_line_a_resource() -> None:
    assert render_status(ROWS, width=100, color=False) == (
        f"ByocCollection/fields         up to date  {ID}\n"
        f"ByocCollection/region[north]  drifted     {ID}  update: name, noData\n"
        "ByocTiles/fields              absent      12,000 tiles (+3 unmanaged)  no such object exists\n"
        "\n"
        "1 of 3 resources are as declared.\n"
        "What differs, and what apply would do:\n"
        "  shplan plan\n"
    )


def test_where_all_is_as_declared_nothing_is_left_to_type() -> None:
    told = render_status(ROWS[:1], width=100, color=False)
    assert told.endswith("\n\n1 of 1 resource is as declared.\n")


def test_jobs_that_are_done_are_as_declared_and_those_that_never_ran_are_not() -> None:
    jobs = [
        Status(Address("BatchProcess", state), state, "", "", {})
        for state in ("done", "running", "waiting", "not run")
    ]
    told = [render_status((one,), width=100, color=False).split("\n\n")[1] for one in jobs]
    assert told[0] == "1 of 1 resource is as declared.\n"
    assert told[2] == "0 of 1 resource are as declared.\n"
    assert told[1] == told[2] + "1 running; `shplan status --watch` looks until they have ended.\n"
    assert told[3].endswith("shplan plan\n")


def test_a_run_that_is_partly_done_is_not_called_done() -> None:
    for failed, word in (({}, "done"), ({"33UVP_1": "no imagery"}, "partly done")):
        receipt = Receipt("sha256:1", 1, ID, "DONE", failed=failed)
        settled = Settlement(Result.DONE, id=ID, receipt=receipt)
        told = render_entries(
            [entry(1, EntryDraft(Event.RECEIPT, FIELDS, settlement=settled))],
            width=100,
            color=False,
        )
        assert f"ByocCollection/fields  {word} {ID}\n" in told


def test_without_resources_status_says_so() -> None:
    told = render_status((), width=100, color=False)
    assert told == "Nothing is declared and nothing is recorded.\n"


@given(st.text(), st.text(), st.integers(20, 200))
def test_colour_is_never_cut_in_two(detail: str, id_: str, width: int) -> None:
    """A terminal that is left in colour stays so for everything after it."""
    row = Status(FIELDS, "drifted", detail, id_, {})
    coloured = render_status((row,), width=width, color=True)
    assert coloured.count("\x1b[33m") == coloured.count("\x1b[0m") == 1
    plain = render_status((row,), width=width, color=False)
    assert coloured.replace("\x1b[33m", "").replace("\x1b[0m", "") == plain
    assert all(one.isprintable() or one == "\n" for one in plain)


def test_status_for_programs() -> None:
    assert status_json(ROWS)[2] == {
        "address": "ByocTiles/fields",
        "state": "absent",
        "detail": "no such object exists",
        "id": "",
        "counts": {"declared": 12_000, "unmanaged": 3},
    }


def test_entries_are_one_line_each_with_whole_ids() -> None:
    lines = render_entries(ENTRIES, width=100, color=False).splitlines()
    head = "2026-11-24 03:33:25Z"
    assert lines[:4] == [
        f"    0  {head}  genesis",
        f"    1  {head}  intent    ByocCollection/fields  create",
        f"    2  {head}  outcome   ByocCollection/fields  of 1 done {ID}, 1 PU",
        f"    3  {head}  intent    ByocTiles/fields       create 2 tiles",
    ]
    assert lines[4].startswith(
        f"    4  {head}  outcome   ByocTiles/fields       "
        "of 3 refused, 1 tile, 2 tiles gone: the bucket is not readable xxx"
    )
    assert lines[4].endswith("...")
    assert lines[5:] == [
        f"    5  {head}  move      ByocCollection/fields  from ByocCollection/images",
        f"    6  {head}  outcome   ByocCollection/fields  of 1 made {ID}, not bound yet",
    ]


def test_a_lease_that_was_taken_over_names_who_had_it() -> None:
    dead = {"pid": 4711, "user": "ada", "host": "lab\x1b[1m", "since": "2026-11-24T03:00:00.000Z"}
    draft = EntryDraft(Event.TAKEOVER, data={"holder": dead})
    told = render_entries([entry(7, draft)], width=100, color=False)
    assert "takeover" in told
    assert "from process 4711 of ada on lab" in told
    assert "\x1b" not in told


def test_an_empty_ledger_says_so() -> None:
    assert render_entries((), width=100, color=False) == "The ledger is empty.\n"


def test_what_went_wrong_is_coloured() -> None:
    lines = render_entries(ENTRIES, width=100, color=True).splitlines()
    assert [("\x1b[" in line) for line in lines] == [False] * 4 + [True, False, True]
