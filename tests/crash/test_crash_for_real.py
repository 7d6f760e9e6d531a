"""
The promise, with processes that are really killed: a fixed sample of what `make crash` tries.

The harness is a program of its own, because it forks. What it compares is tested here as well: a
judge that never says no would survive anything.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from shplan.providers.base import Nature
from shplan.providers.registry import PROVIDERS
from tests.crash.choice import Wanted, does, every_case, sample
from tests.crash.grounds import GROUNDS
from tests.crash.judging import differences
from tests.crash.scenarios import SCENARIOS, SETTINGS
from tests.crash.stand import NO_OBJECTS, OWNERS, TASKS, EndState
from tests.crash.strikes import Boundary, Place, Strike, read_trace
from tests.support.samples import some

ROOT = Path(__file__).parents[2]
# What can be done with a kind, so that a scenario does it.
WAYS = {
    Nature.RECONCILED: {"create", "update", "replace", "delete", "import"},
    Nature.JOB: {"run", "resume", "delete", "import"},
    Nature.DATA: {"read"},
    Nature.LOCAL: {"read"},
}


@pytest.mark.parametrize("kind", PROVIDERS)
def test_every_kind_is_killed_in_every_way_it_changes(kind: str) -> None:
    """A new kind joins by its entry in the registry; this says what it still lacks."""
    done = {way for one in SCENARIOS.values() for name, way in one.does if name == kind}
    assert done >= WAYS[PROVIDERS[kind].nature]


def test_every_command_that_writes_is_killed() -> None:
    struck = {one.steps[-1].command[0] for one in SCENARIOS.values()}
    assert struck == {"apply", "destroy", "import"}
    assert any(one.steps[-1].command == ("apply", "plan.json") for one in SCENARIOS.values())


def crash(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.crash", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def crashes(*arguments: str) -> int:
    """Run the harness; returns how many crashes were tried, all of them survived."""
    ended = crash(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = re.search(r"(\d+) crashes tried, (\d+) survived", ended.stdout)
    assert found is not None, ended.stdout
    assert found[1] == found[2]
    return int(found[1])


# What is reconciled, what is paid for, and what answers at once; the ledger kept, and lost.
FEW = (
    "tiles-update/plain/directory/kept",
    "job-two/plain/directory/lost",
    "answer-image/plain/directory/kept",
)


@pytest.mark.timeout(900)
def test_killed_and_run_again_it_is_as_if_nothing_had_happened() -> None:
    """A few deaths of a few cases; of every kind below."""
    assert crashes(*FEW, "--most", "3") >= 7


@pytest.mark.slow
@pytest.mark.sampled
@pytest.mark.timeout(900)
def test_so_it_is_whatever_is_killed() -> None:
    """Every kind: two deaths of each of nine cases; four in `make slow`."""
    most = some(2, thorough=4)
    assert crashes("*/directory/*", "--sample", "9", "--most", str(most)) >= 6 * most


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_so_it_is_wherever_the_ledger_lies() -> None:
    """Two deaths of each of ten cases; three in `make slow`."""
    most = some(2, thorough=3)
    assert crashes("--sample", "10", "--most", str(most)) >= 7 * most - 1


def test_where_there_is_no_time_nothing_is_called_survived() -> None:
    ended = crash("collection-create/plain/directory/kept", "--minutes", "0.0001")
    assert "0 crashes tried, 0 survived." in ended.stdout
    assert "1 cases were not begun." in ended.stdout
    assert ended.returncode == 1


@pytest.mark.parametrize(("only", "about"), [(("*/directory/*",), 9), ((), 10)])
def test_even_a_small_sample_has_every_kind(only: tuple[str, ...], about: int) -> None:
    chosen = sample(Wanted(only).cases(), about=about)
    assert {kind for case in chosen for kind, _ in does(case.scenario)} == set(PROVIDERS)


def test_the_sample_has_every_scenario_and_most_settings() -> None:
    chosen = sample(every_case(), about=len(SCENARIOS) + 20)
    assert {case.scenario for case in chosen} == set(SCENARIOS)
    assert len({case.setting for case in chosen}) > len(SETTINGS) / 2
    assert {case.lost for case in chosen} == {True, False}
    assert {case.ground for case in chosen} == set(GROUNDS)
    assert chosen == sample(every_case(), about=len(SCENARIOS) + 20)


# --- the harness itself ---------------------------------------------------------------------------

CALM = EndState(
    objects=Counter({"collections {name}": 1, "tiles {a}": 2}),
    unstarted=Counter(),
    pu=103.0,
    starts={("0123456789abcdef", 1): 1},
    accepted_starts=1,
)
TWICE = {("0123456789abcdef", 1): 2}
ANOTHER = {**CALM.starts, ("fedcba9876543210", 1): 1}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(CALM, objects=CALM.objects + Counter({"tiles {b}": 1})), "too many: 1 x tiles"),
        (replace(CALM, objects=CALM.objects - Counter({"tiles {a}": 1})), "missing: 1 x tiles"),
        (replace(CALM, unstarted=Counter({"batch_tasks {}": 1})), "never started"),
        (replace(CALM, pu=104.0), "104.0 PU were paid"),
        (replace(CALM, pu=3.0), "3.0 PU were paid"),
        (replace(CALM, starts=TWICE), "not one START"),
        (replace(CALM, starts=ANOTHER), "2 runs were started"),
        (replace(CALM, accepted_starts=2), "2 STARTs were accepted"),
    ],
)
def test_what_is_not_the_same_is_told(found: EndState, said: str) -> None:
    (told,) = differences(CALM, found, lost=False)
    assert said in told


def test_the_same_end_is_the_same() -> None:
    assert list(differences(CALM, CALM, lost=False)) == []


def test_an_answer_that_is_the_product_may_be_paid_for_once_more() -> None:
    again = replace(CALM, pu=CALM.pu + 5)
    assert list(differences(CALM, again, lost=False, further_pu=5.0)) == []
    assert list(differences(CALM, replace(again, pu=again.pu + 1), lost=False, further_pu=5.0))


def test_a_strike_is_named_so_that_it_can_be_repeated() -> None:
    request = Boundary(Place.REQUEST, 7, "POST /byoc")
    written = Boundary(Place.WRITE, 2, "bytes 112")
    named = Boundary(Place.WRITE, 3, "step head.json")
    several = Boundary(Place.WRITE, 4, "lines 900")
    found = (request, written, named, several)
    strikes = [one for boundary in found for one in boundary.strikes()]
    assert len(strikes) == 3 + 2 + 1 + 3
    assert [Strike.parse(str(one)) for one in strikes] == strikes
    case = next(every_case())
    wanted = Wanted((f"{case}@{strikes[1]}",))
    assert wanted.cases() == [case]
    assert wanted.deaths(case, strikes) == [(strikes[1],)]
    both = Wanted((f"{case}@{strikes[1]}+{strikes[3]}",))
    assert both.deaths(case, strikes) == [(strikes[1], strikes[3])]


def test_the_trace_of_a_process_says_where_it_died() -> None:
    text = "request\t1\tGET /x\nwrite\t1\tbytes 5\nkilled\n"
    boundaries = (Boundary(Place.REQUEST, 1, "GET /x"), Boundary(Place.WRITE, 1, "bytes 5"))
    assert read_trace(text) == (boundaries, True)


def test_every_table_of_the_sandbox_is_known_to_the_judge() -> None:
    """Whatever a new family of tables holds is compared; what is a part says of what."""
    from shplan.sandbox.store import _TABLES
    from shplan.sandbox.world import FAMILIES

    tables = {*_TABLES, *(name for family in FAMILIES for name in family.TABLES)}
    assert {*NO_OBJECTS, *OWNERS, *TASKS} <= tables
    parts = {name for name in tables if name.endswith(("_features", "_tiles", "_arrays"))}
    assert parts - NO_OBJECTS <= set(OWNERS)
