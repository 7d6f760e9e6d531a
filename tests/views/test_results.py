"""The report of an apply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.cost import Cost
from shplan.core.plan import Plan
from shplan.views.results import render_results
from shplan.views.results_markdown import render_results_markdown
from tests.views.plans import FIELDS, ORCHARDS, TILES, inputs


class Ending(Enum):
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    STALE = "stale"
    LEFT = "left for later"
    UNKNOWN = "unknown"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class One:
    change: Change
    ending: Ending = Ending.DONE
    message: str = ""
    cost_pu: float = 0.0


@dataclass(frozen=True)
class Whole:
    results: Sequence[One]
    interrupted: bool = False
    cost_pu: float = 0.0
    locked: str = ""
    unusable: str = ""


def change(address: Address, action: Action = Action.CREATE) -> Change:
    return Change(address, action, Reason.NOT_FOUND)


def told(*results: One, **whole: Any) -> str:
    return render_results(Whole(results, **whole), color=False)


def test_what_is_done_is_one_line() -> None:
    report = told(
        One(change(FIELDS)), One(change(TILES)), One(change(ORCHARDS, Action.UPDATE)), cost_pu=4
    )
    assert report == "Done: 2 created, 1 updated; 4 PU spent.\n"


RUN = Change(
    Address("BatchProcess", "ndvi"),
    Action.RUN,
    Reason.NEVER_RUN,
    cost=Cost(100, 429, 1430),
)


def test_what_a_run_has_cost_stands_beside_its_estimate() -> None:
    report = told(One(change(FIELDS), cost_pu=1), One(RUN, cost_pu=412.5), cost_pu=413.5)
    assert report.splitlines() == [
        "Done: 1 created, 1 run; 413.5 PU spent.",
        "  BatchProcess/ndvi: 412.5 PU; estimated 100 to 1,430 PU, 429 PU expected",
    ]
    text = render_results_markdown(
        Whole([One(RUN, cost_pu=412.5)]), Plan(inputs(), (replace(RUN, requests=()),))
    )
    assert "- `BatchProcess/ndvi: 412.5 PU; estimated 100 to 1,430 PU, 429 PU expected`" in text


def test_the_dearest_runs_are_named_and_the_others_counted() -> None:
    runs = [
        One(replace(RUN, address=Address("BatchProcess", "ndvi", str(n))), cost_pu=n)
        for n in range(1, 26)
    ]
    lines = told(*runs).splitlines()[1:]
    assert lines[0].startswith("  BatchProcess/ndvi[25]: 25 PU")
    assert (len(lines), lines[-1]) == (21, "  and 5 more runs")


def test_what_may_be_paid_besides_is_said_where_money_can_be_out() -> None:
    free = replace(RUN, cost=Cost())
    unpriced = replace(RUN, cost=Cost(), unpriced=True)
    failed, lost = Ending.FAILED, Ending.UNKNOWN
    for one in (One(free, lost), One(RUN, failed)):
        assert "; 0 PU spent.\n" in told(one)
    partly = told(One(RUN, lost, cost_pu=30), cost_pu=30)
    assert "; 30 PU spent for sure, and up to 1,400 PU for 1 unknown.\n" in partly
    dear = told(One(unpriced, lost))
    assert "; 0 PU spent for sure, and nobody can say how much for 1 unknown.\n" in dear


def test_what_only_a_person_can_decide_is_not_said_to_resume() -> None:
    report = told(One(RUN, Ending.UNDECIDED, "its answer was lost"))
    assert report.splitlines() == [
        "  BatchProcess/ndvi: undecided: its answer was lost",
        "Not done: 1 undecided; 0 PU spent for sure, and up to 1,430 PU for 1 undecided.",
        "What is undecided is not repeated: it may be paid already. A person says what became of it.",
    ]


def test_nothing_is_done_when_nothing_changed() -> None:
    assert told() == "Done: nothing changed; 0 PU spent.\n"


def test_what_did_not_end_well_is_named_the_worst_first() -> None:
    report = told(
        One(change(ORCHARDS)),
        One(change(TILES), Ending.SKIPPED, f"{FIELDS} did not end well"),
        One(change(Address("ByocCollection", "x")), Ending.UNKNOWN, "no answer within 30 s"),
        One(change(FIELDS), Ending.FAILED, "the bucket does not exist"),
        cost_pu=1.5,
    )
    assert report == (
        "  ByocCollection/fields: failed: the bucket does not exist\n"
        "  ByocCollection/x: unknown: no answer within 30 s\n"
        "  ByocTiles/fields: skipped: ByocCollection/fields did not end well\n"
        "Partly done: 1 created, 1 failed, 1 unknown, 1 skipped; 1.5 PU spent.\n"
        "No answer came for what is unknown: it is looked up before anything is repeated.\n"
        "What was done is recorded. The same command resumes what is left.\n"
    )


def test_the_same_command_is_not_recommended_where_only_a_run_failed() -> None:
    job = change(Address("BatchProcess", "ndvi"), Action.RUN)
    report = told(One(job, Ending.FAILED, "task 1: FAILED"), One(change(FIELDS)))
    assert report.splitlines()[-1].startswith("`shplan plan` says which of these runs")
    more = told(One(job, Ending.FAILED), One(change(FIELDS), Ending.FAILED))
    assert more.splitlines()[-1].endswith("The same command resumes what is left.")


def test_what_others_changed_meanwhile_is_told_with_the_way_on() -> None:
    report = told(
        One(change(FIELDS)),
        One(change(TILES), Ending.STALE, "not sent: bob wrote `outcome` of ByocTiles/fields"),
    )
    assert report == (
        "  ByocTiles/fields: stale: not sent: bob wrote `outcome` of ByocTiles/fields\n"
        "Partly done: 1 created, 1 stale; 0 PU spent.\n"
        "What is stale was changed by others while this apply waited: `shplan plan` shows what is"
        " left.\n"
        "What was done is recorded. The same command resumes what is left.\n"
    )


def test_a_ledger_that_cannot_be_had_again_ends_the_apply_and_nothing_else() -> None:
    report = told(
        One(change(FIELDS)),
        One(change(TILES), Ending.LEFT, "the ledger is held by others"),
        locked="held by process 7 of bob",
    )
    assert report == (
        "  ByocTiles/fields: left for later: the ledger is held by others\n"
        "Stopped: 1 created, 1 left for later; 0 PU spent.\n"
        "Others hold the ledger. What was started runs on; the same command goes on from there,"
        " and pays for nothing twice.\n"
    )


def test_a_ledger_that_fails_ends_the_apply_and_says_what_is_in_doubt() -> None:
    dear = replace(RUN, cost=Cost(maximum_pu=100.0))
    report = told(
        One(change(FIELDS)),
        One(dear, Ending.UNKNOWN, "the ledger was lost meanwhile"),
        unusable="the ledger s3://ledgers/demo cannot be written",
        cost_pu=1,
    )
    assert report == (
        "  BatchProcess/ndvi: unknown: the ledger was lost meanwhile\n"
        "Stopped: 1 created, 1 unknown; 1 PU spent for sure, and up to 100 PU for 1 unknown.\n"
        "No answer came for what is unknown: it is looked up before anything is repeated.\n"
        "The ledger failed, so nothing more was sent. What was started runs on; the same command"
        " goes on from there once the ledger can be used, and pays for nothing twice.\n"
    )


def test_an_interrupted_apply_says_so() -> None:
    report = told(
        One(change(FIELDS)),
        One(change(TILES), Ending.INTERRUPTED, "interrupted before it began"),
        interrupted=True,
        cost_pu=1,
    )
    assert report == (
        "  ByocTiles/fields: interrupted: interrupted before it began\n"
        "Interrupted: 1 created, 1 interrupted; 1 PU spent.\n"
        "What was done is recorded. The same command resumes what is left.\n"
    )


def test_only_failures_are_not_called_done() -> None:
    report = told(One(change(FIELDS), Ending.FAILED, "no"))
    assert report.splitlines()[1] == "Not done: 1 failed; 0 PU spent."


def test_the_second_half_of_a_replacement_is_not_counted_again() -> None:
    new = change(FIELDS, Action.REPLACE)
    old = replace(change(FIELDS, Action.DELETE), deposed=True)
    assert told(One(new), One(old)) == "Done: 1 replaced; 0 PU spent.\n"


@pytest.mark.parametrize("message", ["a\nb", "\x1b[31mred", "x" * 5000])
def test_the_servers_words_stay_on_one_line(message: str) -> None:
    first, *rest = told(One(change(FIELDS), Ending.FAILED, message)).splitlines()
    assert first.isprintable()
    assert len(first) < 400
    assert len(rest) == 2


def test_colour_is_only_there_when_asked_for() -> None:
    report = Whole([One(change(FIELDS), Ending.FAILED, "no")])
    assert "\x1b[31mfailed\x1b[0m" in render_results(report, color=True)
    assert "\x1b" not in render_results(report, color=False)


def as_markdown(*results: One, limit: int = 60_000, problems: str = "") -> str:
    report = Whole(results, cost_pu=3)
    plan = Plan(inputs(), tuple(one.change for one in results))
    return render_results_markdown(report, plan, problems=problems, limit=limit)


def test_markdown_says_the_end_first_and_what_is_left() -> None:
    told = as_markdown(
        One(change(ORCHARDS)),
        One(change(TILES), Ending.SKIPPED),
        One(change(FIELDS), Ending.FAILED, "no bucket `x`"),
        problems="error[apply/refused]: The server refused\n  ```\n",
    )
    assert told == (
        "## Partly done: `farm` on `sandbox`\n\n"
        "1 created, 1 failed, 1 skipped; 3 PU spent.\n\n"
        "- **failed** `ByocCollection/fields`: `` no bucket `x` ``\n"
        "- **skipped** `ByocTiles/fields`\n\n"
        "````text\nerror[apply/refused]: The server refused\n  ```\n````\n\n"
        "What was done is recorded. The same command resumes what is left.\n"
    )


@given(
    st.lists(st.text(max_size=400), max_size=12),
    st.text(max_size=4_000),
    st.sampled_from([2_000, 60_000]),
)
def test_markdown_fits_and_counts_every_failure(
    messages: list[str], problems: str, limit: int
) -> None:
    failed = [One(change(FIELDS), Ending.FAILED, one) for one in messages]
    told = as_markdown(*failed, problems=problems, limit=limit)
    assert len(told) <= limit
    rest = [int(number) for number in re.findall(r"^- and (\d+) more$", told, re.MULTILINE)]
    assert told.count("- **failed** ") + sum(rest) == len(failed)
    tokens = MarkdownIt("commonmark").parse(told)
    inner = [two.type for one in tokens for two in (one, *(one.children or []))]
    assert {"html_block", "html_inline", "link_open", "image"}.isdisjoint(inner)
