"""What a verification found, as people, CI and programs read it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shplan.core.anchors import Anchor, Finding
from shplan.core.chain import Damage, DamageKind, Head
from shplan.core.signed_heads import SignatureFinding
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.verification import Report
from shplan.views.verification import (
    markdown_verification,
    printed_end,
    render_verification,
    verification_json,
)

HEX = "46" * 32
HEAD = f"ledger head 5:{HEX}\n"


@dataclass(frozen=True)
class Found:
    entries: int = 6
    segments: int = 1
    head: str = f"sha256:{HEX}"
    damage: Damage | None = None
    place: str = ""
    torn_bytes: int = 0
    head_kept: bool = True
    head_behind: int = 0
    anchors: tuple[Finding, ...] = ()
    checkpoint: CheckpointState = CheckpointState.NONE
    flaws: tuple[str, ...] = ()
    origin: str = ""

    @property
    def proven(self) -> bool:
        return Report(
            self.entries,
            self.segments,
            Head(self.entries - 1, 1, self.head),
            self.damage,
            self.place,
            self.torn_bytes,
            anchors=self.anchors,
            checkpoint=self.checkpoint,
            flaws=self.flaws,
            origin=self.origin,
        ).proven


ANCHOR = Anchor(f"sha256:{HEX}", 5, "--anchor")
MET = Finding(ANCHOR, met=True, what="it is entry 5")
GONE = Finding(ANCHOR, met=False, what="the ledger does not reach entry 5: it ends with entry 2")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Found(), f"Intact: 6 entries in 1 file.\n{HEAD}"),
        (
            Found(entries=1, segments=2, torn_bytes=1),
            (
                f"Intact: 1 entry in 2 files.\nledger head 0:{HEX}\n"
                "The last line is unfinished (1 byte); the next writer cuts it.\n"
            ),
        ),
        (
            Found(head_kept=False),
            (
                f"Intact: 6 entries in 1 file.\n{HEAD}"
                "There is no head file: entries cut off at the end would not be noticed."
                " The next apply that records something writes it.\n"
            ),
        ),
        (
            Found(head_behind=1),
            (
                f"Intact: 6 entries in 1 file.\n{HEAD}"
                "The head file is 1 entry behind, as a power cut leaves it; the next writer mends it.\n"
            ),
        ),
        (
            Found(checkpoint=CheckpointState.UNUSED),
            (
                f"Intact: 6 entries in 1 file.\n{HEAD}"
                "The checkpoint is not one that this version trusts; "
                "the ledger is read whole instead.\n"
            ),
        ),
        (Found(checkpoint=CheckpointState.GOOD), f"Intact: 6 entries in 1 file.\n{HEAD}"),
        (Found(entries=0, head_kept=False), "Intact: 0 entries in 1 file.\n"),
        (
            Found(anchors=(MET,)),
            f"Intact: 6 entries in 1 file.\nAnchored by --anchor: it is entry 5.\n{HEAD}",
        ),
    ],
)
def test_an_intact_ledger(found: Found, told: str) -> None:
    assert render_verification(found) == told
    assert verification_json(found)["intact"] is True
    assert markdown_verification(found).startswith("## The ledger is intact\n")


def test_a_damaged_ledger_says_where_and_what_next() -> None:
    damage = Damage(DamageKind.CHANGED, 3, 3, "the hash of the entry before it differs")
    found = Found(entries=3, damage=damage, place="000001.jsonl:4")
    assert render_verification(found) == (
        "Damaged at 000001.jsonl:4: the hash of the entry before it differs.\n"
        "3 entries before it are intact. To go on from what is intact:\n"
        "  shplan ledger recover\n"
    )
    shown = verification_json(found)
    assert shown["intact"] is False
    assert shown["damage"]["place"] == "000001.jsonl:4"
    assert markdown_verification(found).startswith("## The ledger is not what it was\n")


@pytest.mark.parametrize(
    ("kind", "sequence", "told"),
    [
        # The one behind it, or the head, tells: it was read, and is not intact.
        (DamageKind.CHANGED, 2, "2 entries before it are intact"),
        (DamageKind.CHANGED, 1, "1 entry before it is intact"),
        (DamageKind.CHANGED, 3, "3 entries before it are intact"),
        (DamageKind.DUPLICATED, 1, "3 entries before it are intact"),
        (DamageKind.HEAD, 2, "3 entries before it are intact"),
    ],
)
def test_an_entry_that_was_changed_is_not_counted_as_intact(
    kind: DamageKind, sequence: int, told: str
) -> None:
    found = Found(entries=3, damage=Damage(kind, sequence, 2, "it"), place="0.jsonl:3")
    assert told in render_verification(found)


def test_a_ledger_of_a_newer_version_is_not_called_damaged() -> None:
    damage = Damage(DamageKind.NEWER, 3, 3, "the entry has format 2")
    text = render_verification(Found(entries=3, damage=damage, place="000001.jsonl:4"))
    assert text.startswith("Not read from 000001.jsonl:4 on: the entry has format 2.\n")
    assert "recover" not in text


def test_a_lost_anchor_names_who_has_it_and_what_it_was() -> None:
    found = Found(entries=3, anchors=(GONE,))
    assert render_verification(found) == (
        "Intact: 3 entries in 1 file.\n"
        f"Not anchored: by --anchor the ledger had the head 5:{HEX}, "
        "and the ledger does not reach entry 5: it ends with entry 2.\n"
        "The ledger was cut off, rolled back or written anew since, or it is another one.\n"
        f"ledger head 2:{HEX}\n"
    )
    (shown,) = verification_json(found)["anchors"]
    assert (shown["anchor"], shown["source"], shown["met"]) == (f"5:{HEX}", "--anchor", False)
    assert markdown_verification(found).startswith("## The ledger is not what it was\n")


def test_what_lies_beside_the_entries_and_was_changed_is_told() -> None:
    found = Found(flaws=("lease.json is another", "a \x1b[31m"), origin="project a, environment b")
    assert render_verification(found).splitlines()[:4] == [
        "Intact: 6 entries in 1 file.",
        "It is another ledger: that of project a, environment b.",
        "Somebody was here: lease.json is another.",
        "Somebody was here: a ?[31m.",
    ]
    document = verification_json(found)
    assert (document["intact"], document["proven"]) == (True, False)
    assert document["flaws"] == list(found.flaws)
    assert document["origin"] == found.origin
    assert markdown_verification(found).startswith("## The ledger is not what it was\n")


@pytest.mark.parametrize("state", [CheckpointState.WRONG, CheckpointState.ALTERED])
def test_a_misleading_checkpoint_says_how_to_drop_it(state: CheckpointState) -> None:
    found = Found(checkpoint=state)
    assert render_verification(found).endswith("To drop it:\n  shplan ledger recover\n")
    assert markdown_verification(found).startswith("## The ledger is not what it was\n")


def test_signatures_say_who_when_and_what_nobody_has_signed() -> None:
    holds = SignatureFinding("a.jsonl:1", ANCHOR, "2025-06-01T10:00:00.000Z", "ada@x", True, "")
    fails = SignatureFinding("a.jsonl:2", None, "", "", False, "it is not JSON")
    found = Found(entries=8)
    assert render_verification(found, (holds, fails)).splitlines()[1:4] == [
        "Signed up to entry 5 by ada@x at 2025-06-01T10:00:00.000Z (a.jsonl:1).",
        "Signature at a.jsonl:2 does not hold: it is not JSON.",
        "Nobody has signed the 2 entries after entry 5.",
    ]
    one, other = verification_json(found, (holds, fails))["signatures"]
    assert (one["signer"], one["holds"], other["holds"]) == ("ada@x", True, False)
    assert markdown_verification(found, (holds,)).startswith("## The ledger is intact\n")
    assert markdown_verification(found, (holds, fails)).startswith(
        "## The ledger is not what it was\n"
    )


def test_markdown_has_the_head_to_copy() -> None:
    assert f"ledger head `5:{HEX}`" in markdown_verification(Found())
    assert printed_end(Found(entries=0)) == ""


def test_nobody_breaks_out_of_the_report() -> None:
    name = "a\x1b[31m```\n# b"
    lost = Finding(Anchor(f"sha256:{HEX}", 5, name), met=False, what="gone")
    text = render_verification(Found(anchors=(lost,)))
    assert "\x1b" not in text
    assert "\n# b" not in text
    assert "\n# b" not in markdown_verification(Found(anchors=(lost,)))
