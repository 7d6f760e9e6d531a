"""
What the machine of commands has found, one shrunk sequence a test: each says what would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.cost import calls
from shplan.core.planner import assemble
from tests.crash.scenarios import with_areas
from tests.support.model_commands import Said, Town
from tests.support.model_files import COLLECTION, IMAGE, V1, V2, Files, Holder, Work

KEY = {"KEY": "canary-found"}
ID = {"ID": "who we are to the bucket"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town")
    with_areas(made)  # type: ignore[arg-type]  # all it asks for is `buckets`
    yield made
    made.close()


def say(town: Town, *things: Holder | Work, **more: float) -> Path:
    root = town.home / "A"
    if not root.exists():
        town.checkout("A")
    files = Files({one.address: one for one in things}, budget_pu=more.get("budget_pu"))
    files.write(root, ledger=".shplan/ledger")
    return root


def sent(town: Town) -> list[str]:
    """What the server has taken, by the last word of its path."""
    done = [one for one in town.log if one.status is not None and one.status < 400]
    return sorted(one.path.rpartition("/")[2] for one in done if one.method == "POST")


def apply(town: Town, root: Path, **secrets: str) -> Said:
    return town.run(root, "apply", "--auto-approve", secrets=ID | secrets)


def test_a_secret_that_is_not_set_fails_its_job_and_stops_no_other(town: Town) -> None:
    """The whole apply ended with an error, in the middle of what others were sending."""
    held = Holder(COLLECTION, "one", "North", "fields")
    root = say(town, held, Work(V2, "one", 1985), Work(IMAGE, "one", 1985), Work(V1, "two", 1986))
    ended = apply(town, root)
    assert ended.code == 3, ended
    assert "secret('env:KEY') is not set" in ended.out + ended.err
    assert "export KEY=" in ended.out + ended.err
    others = ["analyse", "collections", "process", "process", "start"]
    assert sent(town) == others
    # With the secret only what is left is done.
    assert apply(town, root, **KEY).code == 0
    assert sent(town) == sorted([*others, "process", "start"])
    assert town.run(root, "plan", "--detailed-exitcode", secrets=ID | KEY).code == 0


@pytest.mark.parametrize("api", [V2, V1])
@pytest.mark.parametrize("starts", [("manual", "auto"), ("auto", "manual"), ("analyse", "auto")])
def test_of_two_that_ask_for_one_run_the_one_that_starts_it_is_shown_and_counted(
    town: Town, api: str, starts: tuple[str, str]
) -> None:
    """The first address made a task for both, and the other's START was neither planned nor priced."""
    works = [Work(api, name, 1985, start=how) for name, how in zip(("a", "b"), starts, strict=True)]
    root = say(town, *works, budget_pu=50.0)
    assert apply(town, root, **KEY).code == 5
    assert sent(town) == []
    say(town, *works)
    assert apply(town, root, **KEY).code == 0
    assert town.run(root, "plan", "--detailed-exitcode", secrets=ID | KEY).code == 0
    assert sent(town).count("start") == 1


def test_of_two_that_ask_for_one_run_the_first_may_depend_on_the_second(town: Town) -> None:
    """Each then waited for the other, and the plan ended as a bug."""
    root = say(town, Work(V2, "a", 1985), Work(V2, "b", 1985))
    jobs = root / "manifests" / "jobs.yaml"
    text = jobs.read_text()
    assert text.count("  name: a\n") == 1
    jobs.write_text(text.replace("  name: a\n", "  dependsOn: [BatchProcess/b]\n  name: a\n"))
    assert town.run(root, "plan", "--detailed-exitcode", secrets=ID | KEY).code == 2
    assert apply(town, root, **KEY).code == 0
    assert town.run(root, "plan", "--detailed-exitcode", secrets=ID | KEY).code == 0
    assert sent(town).count("start") == 1


NAMES = "abcdefg"


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Change, ...]:
    """Runs, some of which are one run, in whatever order their names and their needs are."""
    order = draw(st.permutations(NAMES))
    made = []
    for at, name in enumerate(order):
        needs = draw(st.sets(st.sampled_from(order[:at]))) if at else set()
        dear = draw(st.booleans())
        one = Change(
            Address(V2, name),
            Action.RUN,
            Reason.NEVER_RUN,
            key=draw(st.sampled_from(("x", "y", "z"))),
            depends_on=tuple(sorted(Address(V2, other) for other in needs)),
        )
        made.append(replace(one, cost=calls(1, label="run")) if dear else one)
    return tuple(made)


@given(jobs())
def test_each_run_has_one_maker_and_nobody_waits_for_whom_waits_for_him(
    changes: tuple[Change, ...],
) -> None:
    """Whatever depends on whatever: the plan has an order, and keeps every dependency."""
    planned = assemble(changes, moved={})
    assert len(planned) == len(changes)
    place = {change.address: at for at, change in enumerate(planned)}
    for change in planned:
        assert all(place[other] < place[change.address] for other in change.depends_on)
    makers = [change.key for change in planned if change.action is Action.RUN]
    assert sorted(makers) == sorted({change.key for change in changes})
