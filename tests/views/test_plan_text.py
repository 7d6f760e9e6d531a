"""
A plan as text and as JSON, against goldens.

`SHPLAN_GOLDEN=1 pytest tests/views` writes them anew; the difference is reviewed as code.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.change import Action, Change, Reason
from shplan.core.plan import Plan, plan_json
from shplan.core.value import SecretReference, Sensitive
from shplan.views.plan_text import COLORS, SIGNS, render_plan
from tests.support.bounded import bounded
from tests.views.job_plans import SCENES
from tests.views.plans import FIELDS, field, first_apply, inputs, many_tiles, tile

GOLDEN = Path(__file__).parents[1] / "golden" / "plan"
WIDTH = 100


def text(plan: Plan, *, color: bool = False) -> str:
    return render_plan(plan, width=WIDTH, color=color)


def golden(path: Path, told: bytes) -> bytes:
    if os.environ.get("SHPLAN_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(told)
    return path.read_bytes()


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_text_is_exactly_this(scene: str) -> None:
    told = text(SCENES[scene]()).encode()
    assert told.decode() == golden(GOLDEN / scene / "expected.txt", told).decode()


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_json_is_exactly_this(scene: str) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    told = orjson.dumps(plan_json(SCENES[scene]()), option=options)
    assert told == golden(GOLDEN / scene / "expected.json", told)


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(SCENES)


def test_every_action_has_a_sign() -> None:
    assert set(SIGNS) == set(Action)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_colour_adds_nothing_but_colour(scene: str) -> None:
    plain, coloured = text(SCENES[scene]()), text(SCENES[scene](), color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    for code in ("0", "1", "2", *(str(number) for number in range(31, 37))):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_lines_stay_within_the_width(scene: str) -> None:
    """Only what is to be pasted, the line that counts every action, and refusals may be longer."""
    blocks = [one for one in text(SCENES[scene]()).split("\n\n") if not one.startswith("error[")]
    lines = [line for line in "\n".join(blocks).splitlines() if len(line) > WIDTH]
    assert [line for line in lines if not line.startswith(("  hint", "Plan:"))] == []


def test_a_removal_is_red() -> None:
    assert COLORS[Action.DELETE] == COLORS[Action.REPLACE] == "red"


def test_ten_thousand_tiles_are_short_and_quick() -> None:
    plan = many_tiles(10_000)
    with bounded():
        told = text(plan)
    assert len(told.splitlines()) < 30
    assert "... and 9,995 more" in told
    assert "Tiles: 10,000 to create, 7 to delete, 2 to reingest of 12,500 declared." in told


def test_what_only_the_ledger_notes_is_not_listed() -> None:
    """A path that is only spelled otherwise changes nothing on the server."""
    change = Change(
        FIELDS, Action.UPDATE, Reason.DIFFERS, members=(tile("a", "respell"), tile("b"))
    )
    assert "respell" not in text(Plan(inputs(), (change,)))


def test_an_object_with_many_fields_is_cut() -> None:
    bands = {f"B{number:02}": {"bitDepth": 16} for number in range(100)}
    change = Change(FIELDS, Action.CREATE, Reason.NOT_FOUND, fields=(field("bands", None, bands),))
    told = text(Plan(inputs(), (change,)))
    assert "      ... and 70 more lines\n" in told


def test_an_empty_plan_says_that_nothing_changes() -> None:
    assert text(Plan(inputs(), ())) == "No changes.\n"


@pytest.mark.parametrize(
    ("environment", "default", "command"),
    [
        ("sandbox", "sandbox", "shplan apply"),
        ("prod", "sandbox", "shplan apply -e prod"),
        ("prod", "prod", "shplan apply"),
        ("sandbox", "prod", "shplan apply -e sandbox"),
    ],
)
def test_the_next_command_works_on_the_same_environment(
    environment: str, default: str, command: str
) -> None:
    """What is typed next does what was shown, not something elsewhere."""
    plan = replace(first_apply(), inputs=inputs(environment=environment))
    told = render_plan(plan, width=WIDTH, color=False, default_environment=default)
    assert told.splitlines()[-1].strip() == command


def test_the_next_command_works_on_the_same_selection() -> None:
    plan = replace(first_apply(), inputs=inputs(select=("ByocCollection/*",), exclude=("state:x",)))
    expected = "shplan apply --select 'ByocCollection/*' --exclude state:x"
    assert text(plan).splitlines()[-1].strip() == expected


def test_without_the_next_step_the_plan_ends_with_its_cost() -> None:
    told = render_plan(first_apply(), width=WIDTH, color=False, next_step=False)
    assert told.splitlines()[-1] == "Costs 3 PU."


@given(st.text(), st.text(min_size=1), st.text())
def test_nothing_that_a_terminal_obeys_and_no_secret_gets_through(
    hostile: str, name: str, message: str
) -> None:
    """Whatever names, values and the server's words are."""
    secret = Sensitive((f"hunter2{hostile}", SecretReference("env:HUNTER2")))
    change = Change(
        FIELDS,
        Action.UPDATE,
        Reason.DIFFERS,
        fields=(field(name, {name: [hostile, secret]}, {name: [secret, message]}),),
        members=(tile(hostile, "reingest", detail=message), tile(name)),
        notes=(message,),
        id=hostile,
    )
    told = text(Plan(inputs(environment=name, select=(hostile,)), (change,)))
    assert all(one.isprintable() or one == "\n" for one in told)
    assert "hunter2" not in told
    assert "HUNTER2" not in told


@given(st.permutations(["s3Bucket", "name", "bands"]))
def test_the_order_of_keys_does_not_matter(keys: list[str]) -> None:
    spec = {key: dict.fromkeys(keys, 1) for key in keys}
    change = Change(FIELDS, Action.CREATE, Reason.NOT_FOUND, fields=(field("spec", None, spec),))
    expected = {key: dict.fromkeys(sorted(keys), 1) for key in sorted(keys)}
    other = replace(change, fields=(field("spec", None, expected),))
    assert text(Plan(inputs(), (change,))) == text(Plan(inputs(), (other,)))
