"""What a recovery found and did, as people read it."""

from __future__ import annotations

from shplan.core.chain import Head
from shplan.ledger.recovery import Findings, Lost
from shplan.views.recovery import render_recovery

HEX = "46" * 32
END = Head(7, 3, f"sha256:{HEX}")
OLD = Head(9, 2, "sha256:" + "1" * 64)


def test_it_names_what_was_left_out() -> None:
    lost = (Lost("00000000.jsonl:4", "nothing confirms entry 3"), Lost("a\x1b:1", "it is \x07"))
    found = Findings((), lost, 2, OLD)
    assert render_recovery(found, aside="x/damaged-1", end=END).splitlines() == [
        "Kept 0 intact lines; 2 damaged lines left out:",
        "  00000000.jsonl:4: nothing confirms entry 3",
        "  a?:1: it is ?",
        "The old ledger lies whole in x/damaged-1.",
        f"Its head was {OLD.hash}; entry 0 of the new one names it.",
        f"ledger head 7:{HEX}",
    ]


def test_it_names_some_and_counts_all() -> None:
    lost = tuple(Lost(f"a:{number}", "torn") for number in range(100))
    told = render_recovery(Findings((), lost, 12_345, OLD), aside="x", end=END).splitlines()
    assert told[0] == "Kept 0 intact lines; 12,345 damaged lines left out:"
    assert told[20:22] == ["  a:19: torn", "  and 12,325 more"]


def test_nothing_is_lost_where_the_head_alone_was_broken() -> None:
    told = render_recovery(Findings((), (), 0, None), aside="x", end=END)
    assert told.startswith("Kept 0 intact lines; 0 damaged lines left out.\nThe old ledger")
