"""A status that is looked at again and again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.status import Status
from shplan.views.tables import render_status, row_json
from shplan.views.watching import ChangedLines, JsonLines, Redrawn, changed
from tests.views.plans import FIELDS, ID, TILES

QUIET = Status(FIELDS, "up to date", "", ID, {})
BUSY = Status(TILES, "ingesting", "", "", {"declared": 2}, waits=True)
DONE = replace(BUSY, state="up to date", waits=False)


def test_without_a_terminal_only_what_changed_is_written() -> None:
    written: list[str] = []
    lines = ChangedLines(written.append, width=100)
    for rows in ((QUIET, BUSY), (QUIET, BUSY), (QUIET, DONE)):
        lines.show(rows)
    lines.close()
    assert "".join(written) == (
        f"ByocCollection/fields  up to date  {ID}\n"
        "ByocTiles/fields       ingesting   2 tiles\n"
        "ByocTiles/fields       up to date  2 tiles\n"
        "\n2 of 2 resources are as declared.\n"
    )


def test_programs_get_one_object_a_line() -> None:
    written: list[str] = []
    lines = JsonLines(written.append)
    for rows in ((QUIET, BUSY), (QUIET, BUSY), (QUIET, DONE)):
        lines.show(rows)
    assert all(one.endswith("\n") and one.count("\n") == 1 for one in written)
    assert [json.loads(one) for one in written] == [row_json(one) for one in (QUIET, BUSY, DONE)]


def test_a_terminal_is_redrawn_whole_and_says_what_it_waits_for() -> None:
    written: list[str] = []
    screen = Redrawn(written.append, width=100, color=False, again="Looking again.")
    screen.show((QUIET, BUSY))
    screen.show((QUIET, DONE))
    busy = render_status((QUIET, BUSY), width=100, color=False) + "Looking again.\n"
    done = render_status((QUIET, DONE), width=100, color=False)
    assert written == [f"\x1b[2J\x1b[H{busy}", f"\x1b[H\x1b[J{done}"]


def test_a_terminal_is_not_cleared_for_a_single_look() -> None:
    written: list[str] = []
    Redrawn(written.append, width=100, color=False, again="").show((QUIET, DONE))
    assert written == [render_status((QUIET, DONE), width=100, color=False)]


def test_nothing_declared_is_no_error() -> None:
    written: list[str] = []
    lines = ChangedLines(written.append, width=100)
    lines.show(())
    lines.close()
    assert "".join(written) == "\n0 of 0 resources are as declared.\n"


ROWS = st.dictionaries(
    st.builds(Address, st.just("ByocTiles"), st.sampled_from("abcd")),
    st.tuples(st.sampled_from(["absent", "ingesting", "up to date"]), st.integers(0, 2)),
).map(
    lambda drawn: tuple(
        Status(address, state, "", "", {"declared": number})
        for address, (state, number) in sorted(drawn.items())
    )
)


@given(st.lists(ROWS))
def test_who_reads_only_the_changes_knows_everything(looks: list[Sequence[Status]]) -> None:
    known: dict[Address, Status] = {}
    last: Sequence[Status] = ()
    for rows in looks:
        news = list(changed(last, rows))
        assert len({one.address for one in news}) == len(news)
        known |= {one.address: one for one in news}
        known = {address: one for address, one in known.items() if one.state != "gone"}
        assert known == {one.address: one for one in rows}
        last = rows
    assert list(changed(last, last)) == []
