"""Jobs that are answered at once, against the real sandbox: files, receipts, and what is paid."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.drift import drifted
from shplan.core.errors import OutputError
from shplan.core.files import FileDraft, Prepare
from shplan.core.policy import Policies
from shplan.core.status import statuses
from shplan.engine.executor import Ending
from shplan.providers.base import ChangeFailedError
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.storage.project_files import ProjectFiles
from shplan.views.plan_markdown import render_markdown
from shplan.views.plan_text import render_plan
from tests.support.bench import Bench
from tests.support.immediate import (
    NUMBERS,
    numbers,
    picture,
    process,
    receipt,
    statistics,
    tree,
)

Scenario = Callable[[Bench], Awaitable[None]]
PNG, TIFF = "image/png", "image/tiff"
SEVERAL = (("default", PNG), ("mask", TIFF), ("userdata", "application/json"))
FOREVER = {"materialize": True}
FLAKY = (
    NUMBERS.replace(
        "function evaluatePixel(sample) {",
        """\
function preProcessScenes(collections) {
  if (collections.from.getUTCDate() === 11) { throw new Error("no luck today"); }
  return collections;
}
function evaluatePixel(sample) {""",
    )
    .replace("input: [", 'mosaicking: "ORBIT", input: [')
    .replace(
        "evaluatePixel(sample) {\n  return {default: [sample.B08 - sample.B04], dataMask: [sample.dataMask]};",
        "evaluatePixel(samples) {\n  return {default: [samples.length], dataMask: [1]};",
    )
)


def on_bench(
    home: Path, scenario: Scenario, *, bench: type[Bench] = Bench, **settings: Any
) -> None:
    async def run() -> None:
        world = bench(home, settings=SandboxSettings(seed="immediate", **settings))
        world.project.mkdir()
        try:
            await scenario(world)
        finally:
            world.close()

    asyncio.run(run())


async def only(world: Bench, *wanted: Any, **more: Any) -> Change:
    (change,) = (await world.plan(*wanted, **more)).plan.changes
    return change


async def paid(world: Bench) -> float:
    return float((await world.call("GET", "/_sandbox/meter"))["pu"])


async def asked(world: Bench) -> int:
    requests = (await world.call("GET", "/_sandbox/requests"))["requests"]
    return sum(one["path"] in ("/process/v1", "/statistics/v1") for one in requests)


async def strike(world: Bench, kind: str, **more: Any) -> None:
    fault = {"kind": kind, "method": "POST", "path": "/(process|statistics)/v1", **more}
    await world.call("POST", "/_sandbox/faults", fault)


async def done(world: Bench, *wanted: Any, **more: Any) -> None:
    applied = await world.apply(*wanted, **more)
    if applied.report is None:
        assert not applied.planned.plan.refusals
        return
    assert applied.report.exit_code() == 0, [r.message for r in applied.report.results]


async def failed(world: Bench, *wanted: Any, **more: Any) -> str:
    applied = await world.apply(*wanted, **more)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    (message,) = [r.message for r in applied.report.results if r.ending is Ending.FAILED]
    return message


async def settled(world: Bench, *wanted: Any) -> None:
    """Nothing is left to do for these."""
    for change in (await world.plan(*wanted)).plan.changes:
        assert change.action is Action.NOOP, (change.address, change.reason, change.notes)
        assert not change.drifted


# --- the answer and its receipt ------------------------------------------------------------


def test_an_answer_is_written_once_with_its_receipt_beside_it(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        change = await only(world, process())
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        assert any("paid again" in note for note in change.notes)
        await done(world, process())
        cost = await paid(world)
        content = (world.project / "out/ndvi.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        told = receipt(world.project, "out/ndvi.png")
        (file,) = told["files"]
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["sizeBytes"] == len(content)
        assert told["costPu"] == pytest.approx(cost)
        assert told["request"]["output"] == {"width": 8, "height": 8}
        await settled(world, process())
        await done(world, process())
        assert (await asked(world), await paid(world)) == (1, cost)
        assert sorted(tree(world.project)) == ["out/ndvi.png", "out/ndvi.png.receipt.json"]

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize(
    ("output", "paths"),
    [
        ({"dir": "out"}, ["out/default.png", "out/mask.tif", "out/userdata.json"]),
        (
            {"files": {"default": "a.png", "mask": "b/m.tiff", "userdata": "c.json"}},
            ["a.png", "b/m.tiff", "c.json"],
        ),
        ("all.tar", ["all.tar"]),
    ],
)
def test_several_responses_are_several_files_or_one_archive(
    tmp_path: Path, output: Any, paths: list[str]
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = process(output, spec=picture(*SEVERAL))
        await done(world, wanted)
        files = {n: c for n, c in tree(world.project).items() if not n.endswith(".receipt.json")}
        assert sorted(files) == paths
        if output == "all.tar":
            with tarfile.open(fileobj=io.BytesIO(files["all.tar"])) as archive:
                assert archive.getnames() == ["default.png", "mask.tif", "userdata.json"]
        else:
            first, second, third = (files[path] for path in paths)
            assert first.startswith(b"\x89PNG")
            assert second[:2] in (b"II", b"MM")
            assert json.loads(third) == {"told": "once"}
        await settled(world, wanted)
        assert await asked(world) == 1

    on_bench(tmp_path, scenario)


def test_numbers_are_a_row_for_each_interval_output_and_band(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ask = {"default": {"statistics": {"default": {"percentiles": {"k": [5, 50]}}}}}
        wanted = statistics("out/{{ run.key }}.csv", spec=numbers(calculations=ask), key="12")
        await done(world, wanted)
        (path,) = (p for p in tree(world.project) if p.endswith(".csv"))
        rows = list(csv.DictReader(io.StringIO((world.project / path).read_text())))
        assert {row["feature"] for row in rows} == {"12"}
        assert {(row["output"], row["band"]) for row in rows} == {("default", "B0")}
        assert len({row["from"] for row in rows}) == len(rows) == 3
        assert all(float(row["p5"]) <= float(row["p50"]) <= float(row["max"]) for row in rows)
        await settled(world, wanted)

    on_bench(tmp_path, scenario)


def test_one_request_of_several_addresses_is_asked_once_for_all_their_files(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (
            statistics("out/a.json", name="a"),
            statistics("out/b.csv", name="b"),
            statistics("out/c.parquet", name="c"),
            statistics("out/d.csv", name="d"),
        )
        await done(world, *wanted)
        assert await asked(world) == 1
        files = tree(world.project)
        assert json.loads(files["out/a.json"])["status"] == "OK"
        assert files["out/c.parquet"].startswith(b"PAR1")
        assert b"\nb," in files["out/b.csv"]
        assert b"\nd," in files["out/d.csv"]
        await settled(world, *wanted)

    on_bench(tmp_path, scenario)


def test_who_asks_for_the_same_later_has_it_for_nothing(tmp_path: Path) -> None:
    """The same file is copied, and a table is made of the answer where that lies in the project."""

    async def scenario(world: Bench) -> None:
        first = (process("a.png", name="a"), statistics("a.json", name="a"))
        await done(world, *first)
        cost = await paid(world)
        more = (*first, process("b.png", name="b"), statistics("b.csv", name="b"))
        planned = {str(c.address): c for c in (await world.plan(*more)).plan.changes}
        assert planned["Process/b"].action is Action.RESUME
        assert planned["Process/b"].requests == ()
        await done(world, *more)
        assert await paid(world) == cost
        files = tree(world.project)
        assert files["a.png"] == files["b.png"]
        assert b"\nb,2025-06-01" in files["b.csv"]
        await settled(world, *more)

    on_bench(tmp_path, scenario)


# --- drift ---------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [None, b"something else"])
def test_a_lost_or_changed_file_is_drift_and_comes_back_where_that_is_asked_for(
    tmp_path: Path, changed: bytes | None
) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        cost, before = await paid(world), tree(world.project)
        place = world.project / "out/ndvi.png"
        if changed is None:
            place.unlink()
        else:
            place.write_bytes(changed)
        plan = (await world.plan(process())).plan
        (change,) = drifted(plan).changes
        assert (change.action, change.reason) == (Action.NOOP, Reason.ANSWER_LOST)
        assert not plan.can_apply()
        assert any("materialize" in note for note in change.notes)
        again = await only(world, process(run=FOREVER))
        assert (again.action, again.attempt) == (Action.RUN, 2)
        await done(world, process(run=FOREVER))
        assert await paid(world) == pytest.approx(2 * cost)
        assert tree(world.project)["out/ndvi.png"] == before["out/ndvi.png"]
        await settled(world, process(run=FOREVER))
        await done(world, process(run=FOREVER))
        assert await asked(world) == 2

    on_bench(tmp_path, scenario)


def test_a_new_request_takes_the_place_of_its_own_file_and_of_no_other(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        other = process(spec=picture(year=1986))
        await done(world, other)
        await settled(world, other)
        place = world.project / "out/ndvi.png"
        place.write_bytes(b"retouched")
        third = process(spec=picture(year=1987))
        change = await only(world, third)
        (refusal,) = change.refusals
        assert refusal.diagnostic.code == "run/output-taken"
        assert "changed since" in refusal.diagnostic.what
        assert place.read_bytes() == b"retouched"

    on_bench(tmp_path, scenario)


def test_a_file_that_nobody_of_ours_has_written_is_left_alone(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        place = world.project / "out/ndvi.png"
        place.parent.mkdir()
        place.write_bytes(b"\x89PNG\r\n\x1a\n by hand, to IEND")
        (refusal,) = (await only(world, process())).refusals
        assert refusal.diagnostic.code == "run/output-taken"
        await world.confirm("Process/ndvi", "out/ndvi.png", process())
        await settled(world, process())
        assert await asked(world) == 0
        assert place.read_bytes().endswith(b"IEND")

    on_bench(tmp_path, scenario)


def test_the_command_that_settles_it_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        (world.project / "out").mkdir()
        (world.project / "out/a b.png").write_bytes(b"somebody's")
        (refusal,) = (await only(world, process("out/a b.png", key="x"))).refusals
        assert "shplan import 'Process/ndvi[x]' 'out/a b.png'" in refusal.diagnostic.hint

    on_bench(tmp_path, scenario)


def test_only_what_lies_at_the_place_can_be_imported(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        with pytest.raises(ChangeFailedError, match="is not there"):
            await world.confirm("Process/ndvi", "out/ndvi.png", process())
        (world.project / "out").mkdir()
        (world.project / "out/ndvi.png").write_bytes(b"no picture")
        with pytest.raises(ChangeFailedError, match="is no png"):
            await world.confirm("Process/ndvi", "out/ndvi.png", process())
        with pytest.raises(ChangeFailedError, match="is not where"):
            await world.confirm("Process/ndvi", "elsewhere.png", process())

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("what", ["link", "link above", "directory"])
def test_nothing_is_written_through_links_or_over_directories(tmp_path: Path, what: str) -> None:
    async def scenario(world: Bench) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        if what == "link above":
            (world.project / "out").symlink_to(outside, target_is_directory=True)
        else:
            (world.project / "out").mkdir()
            place = world.project / "out/ndvi.png"
            if what == "link":
                place.symlink_to(outside / "ndvi.png")
            else:
                place.mkdir()
        (refusal,) = (await only(world, process())).refusals
        assert refusal.diagnostic.code == "run/output-taken"
        assert await asked(world) == 0
        assert list(outside.iterdir()) == []

    on_bench(tmp_path, scenario)


def test_a_job_that_nobody_declares_any_more_leaves_its_files(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        before = tree(world.project)
        change = await only(world)
        assert change.action is Action.FORGET
        await done(world)
        assert tree(world.project) == before
        # Declared again it is what it was.
        await done(world, process())
        assert await asked(world) == 1

    on_bench(tmp_path, scenario)


# --- lost ledgers, lost answers ------------------------------------------------------------


def test_a_lost_ledger_costs_nothing_where_the_receipt_files_are(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (process(), statistics())
        await done(world, *wanted)
        cost = await paid(world)
        shutil.rmtree(tmp_path / "ledger")
        planned = (await world.plan(*wanted)).plan
        assert {change.action for change in planned.changes} == {Action.ADOPT}
        await done(world, *wanted)
        await settled(world, *wanted)
        assert await paid(world) == cost

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("tampered", ["key", "parts", "nonsense", "gone"])
def test_without_its_receipt_file_a_lost_ledger_costs_one_answer(
    tmp_path: Path, tampered: str
) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        cost = await paid(world)
        shutil.rmtree(tmp_path / "ledger")
        beside = world.project / "out/ndvi.png.receipt.json"
        if tampered == "gone":
            beside.unlink()
            (world.project / "out/ndvi.png").unlink()
        elif tampered == "nonsense":
            beside.write_text('{"format": "shplan/receipt/v1"')
            (world.project / "out/ndvi.png").unlink()
        else:
            told = json.loads(beside.read_text())
            told[tampered] = "sha256:0" if tampered == "key" else {**told["parts"], "api": "v9"}
            beside.write_text(json.dumps(told))
            (world.project / "out/ndvi.png").unlink()
        assert (await only(world, process())).action is Action.RUN
        await done(world, process())
        await settled(world, process())
        assert await paid(world) == pytest.approx(2 * cost)

    on_bench(tmp_path, scenario)


class Dying(ProjectFiles):
    """Files of a machine that dies at the n-th step of writing, before it is done."""

    def __init__(self, root: Path, at: int) -> None:
        super().__init__(root)
        self._left = at

    def _step(self) -> None:
        if not self._left:
            raise DeathError
        self._left -= 1

    def _write_part(self, draft: FileDraft) -> None:
        self._step()
        super()._write_part(draft)

    def _put_in_place(self, draft: FileDraft) -> None:
        self._step()
        super()._put_in_place(draft)


class DeathError(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("ledger", ["kept", "lost"])
@pytest.mark.parametrize(("at", "answers"), [(0, 2), (1, 2), (2, 2), (3, 1)])
def test_a_death_before_the_receipt_file_costs_one_answer_and_later_nothing(
    tmp_path: Path, at: int, answers: int, ledger: str
) -> None:
    """Two parts, then the receipt file, then the image: what is there is found."""

    async def scenario(world: Bench) -> None:
        with pytest.raises(DeathError):
            await world.apply(process(), files=Dying(world.project, at))
        if ledger == "lost":
            shutil.rmtree(tmp_path / "ledger")
        await done(world, process())
        told = receipt(world.project, "out/ndvi.png")
        assert await paid(world) == pytest.approx(answers * told["costPu"])
        await settled(world, process())
        assert sorted(tree(world.project)) == ["out/ndvi.png", "out/ndvi.png.receipt.json"]

    on_bench(tmp_path, scenario)


def test_what_comes_to_lie_there_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    """The answer waits beside it, and is put there for nothing once the place is free."""

    class Meddled(ProjectFiles):
        def _put_in_place(self, draft: FileDraft) -> None:
            if draft.path.endswith(".png"):
                (self._root / draft.path).write_bytes(b"somebody's")
            super()._put_in_place(draft)

    async def scenario(world: Bench) -> None:
        assert "meanwhile" in await failed(world, process(), files=Meddled(world.project))
        place = world.project / "out/ndvi.png"
        assert place.read_bytes() == b"somebody's"
        assert [r.diagnostic.code for r in (await only(world, process())).refusals]
        place.unlink()
        assert (await only(world, process())).action is Action.RESUME
        await done(world, process())
        await settled(world, process())
        assert await asked(world) == 1

    on_bench(tmp_path, scenario)


def test_where_nothing_can_be_written_nothing_is_asked(tmp_path: Path) -> None:
    """Or every apply, of a machine that tries again and again, would pay and lose an answer."""

    class Full(ProjectFiles):
        def prepare(self, step: Prepare) -> None:
            message = f"{step.paths[0]} cannot be written: No space left on device"
            raise OutputError(message)

    async def scenario(world: Bench) -> None:
        message = await failed(world, process(), files=Full(world.project))
        assert message == (
            "out/ndvi.png cannot be written: No space left on device; nothing was asked"
        )
        assert await asked(world) == 0
        assert (await only(world, process())).reason is Reason.NEVER_RUN
        await done(world, process())
        assert await asked(world) == 1

    on_bench(tmp_path, scenario)


def test_a_lost_answer_is_paid_once_more_and_no_oftener(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, "lost-answer")
        await done(world, process())
        assert await asked(world) == 2
        told = receipt(world.project, "out/ndvi.png")
        assert await paid(world) == pytest.approx(2 * told["costPu"])
        await settled(world, process())

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize(("answers", "asked_for"), [(1.5, 1), (2.0, 2), (5.0, 3)])
def test_lost_answers_are_never_paid_past_the_budget_of_an_apply(
    tmp_path: Path, answers: float, asked_for: int
) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, "lost-answer", count=3)
        each = (await only(world, process())).cost.maximum_pu
        budget = Policies(budget_max_pu=answers * each)
        message = await failed(world, process(), policies=budget)
        assert ("would pass the budget of" in message) == (asked_for < 3)
        assert await asked(world) == asked_for
        assert await paid(world) <= answers * each
        # What a later apply pays is its own budget's.
        await world.call("DELETE", "/_sandbox/faults")
        await done(world, process(), policies=budget)
        await settled(world, process())

    on_bench(tmp_path, scenario)


def test_two_that_lose_their_answers_share_what_is_left_of_the_budget(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = [
            process(f"out/{name}.png", name=name, spec=picture(year=year))
            for name, year in (("a", 1985), ("b", 1986))
        ]
        await strike(world, "lost-answer", count=2)
        each = (await only(world, wanted[0])).cost.maximum_pu
        await failed(world, *wanted, policies=Policies(budget_max_pu=3 * each))
        assert await asked(world) == 3

    on_bench(tmp_path, scenario)


def test_answers_that_are_lost_for_ever_are_given_up(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, "lost-answer", count=3)
        assert "3 times" in await failed(world, process())
        change = await only(world, process())
        assert (change.action, change.reason) == (Action.RUN, Reason.ANSWER_LOST)
        assert any("lost" in note for note in change.notes)
        await done(world, process())
        assert await asked(world) == 4

    on_bench(tmp_path, scenario)


def test_a_refusal_costs_nothing_and_is_asked_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, "400")
        await failed(world, process())
        assert await paid(world) == 0
        assert tree(world.project) == {}
        again = await only(world, process())
        assert again.reason is Reason.NEVER_RUN
        assert again.notes[0].startswith("the server refused it before, which costs nothing: ")
        await done(world, process())
        await settled(world, process())

    on_bench(tmp_path, scenario)


def test_what_was_lost_before_a_refusal_may_be_paid_all_the_same(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, "lost-answer")
        await strike(world, "400", nth=2)
        await failed(world, process())
        assert await paid(world) > 0
        again = await only(world, process())
        assert again.reason is Reason.ANSWER_LOST
        assert "its answer was lost" in again.notes[0]

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["empty", "truncated", "cut", "502"])
@pytest.mark.parametrize("make", [process, statistics])
def test_an_answer_that_is_cut_off_is_a_lost_one(
    tmp_path: Path, kind: str, make: Callable[..., Any]
) -> None:
    async def scenario(world: Bench) -> None:
        await strike(world, kind, **({"served": True} if kind == "502" else {}))
        await done(world, make())
        assert await asked(world) == 2
        await settled(world, make())

    on_bench(tmp_path, scenario)


def test_numbers_of_which_all_failed_are_not_written_and_block(tmp_path: Path) -> None:
    """It may have been paid, so it is not asked for again without a word."""

    async def scenario(world: Bench) -> None:
        wanted = statistics(spec=numbers(script=FLAKY.replace("=== 11", "> 0")))
        assert "all 3 intervals failed" in await failed(world, wanted)
        assert tree(world.project) == {}
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        rerun = replace(wanted, run={**wanted.run, "onFailure": "rerun"})
        assert (await only(world, rerun)).attempt == 2

    on_bench(tmp_path, scenario)


# --- numbers that failed -------------------------------------------------------------------


def test_intervals_that_failed_are_in_the_receipt_with_their_causes(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = statistics(spec=numbers(script=FLAKY))
        assert "1 intervals failed" in await failed(world, wanted)
        told = receipt(world.project, "out/ndvi.csv")
        assert told["status"] == "PARTIAL"
        ((interval, cause),) = told["failed"].items()
        assert interval.startswith("2025-06-11")
        assert "EXECUTION_ERROR" in cause
        rows = list(csv.DictReader(io.StringIO((world.project / "out/ndvi.csv").read_text())))
        assert [bool(row["error"]) for row in rows].count(True) == 1
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        assert any("onFailure: rerun" in note for note in change.notes)
        again = await only(world, replace(wanted, run={**wanted.run, "onFailure": "rerun"}))
        assert (again.action, again.attempt) == (Action.RUN, 2)

    on_bench(tmp_path, scenario)


# --- many ----------------------------------------------------------------------------------


class Crowded(Bench):
    """A bench that knows how many requests were under way at once."""

    most = 0
    _now = 0

    def transport(self) -> Any:
        inner = super().transport()
        send = inner.send

        async def counted(method: str, url: str, **more: Any) -> Any:
            asks = "/process" in url
            self._now += asks
            self.most = max(self.most, self._now)
            try:
                return await send(method, url, **more)
            finally:
                self._now -= asks

        inner.send = counted
        return inner


@pytest.mark.slow
def test_a_hundred_are_asked_side_by_side_within_the_limit_of_the_rate(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        assert isinstance(world, Crowded)
        wanted = [
            process(f"out/{number}.png", key=str(number), spec=picture(size=1 + number))
            for number in range(100)
        ]
        await done(world, *wanted)
        requests = (await world.call("GET", "/_sandbox/requests"))["requests"]
        statuses = [one["status"] for one in requests if one["path"] == "/process/v1"]
        assert statuses.count(200) == 100
        assert world.most == 8
        assert len(tree(world.project)) == 200
        await settled(world, *wanted)

    on_bench(tmp_path, scenario, bench=Crowded, requests_per_minute=600)


def test_references_see_the_file_its_digest_and_its_cost(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        planned = await world.plan(process())
        known = planned.attributes[Address("Process", "ndvi")]
        content = (world.project / "out/ndvi.png").read_bytes()
        assert known["path"] == "out/ndvi.png"
        assert known["sha256"] == hashlib.sha256(content).hexdigest()
        assert known["digest"] == f"sha256:{known['sha256']}"
        assert known["cost"] == receipt(world.project, "out/ndvi.png")["costPu"]

    on_bench(tmp_path, scenario)


def test_an_answer_that_is_longer_than_anybody_takes_is_asked_for_once(tmp_path: Path) -> None:
    class Short(Bench):
        def transport(self) -> Any:
            inner = super().transport()
            inner._longest_bytes = 2_000  # a token fits, an image of this size does not
            return inner

    async def scenario(world: Bench) -> None:
        wanted = process("out/ndvi.tar", spec=picture(*SEVERAL, size=64))
        assert "longer than 2000 bytes" in await failed(world, wanted)
        assert await asked(world) == 1
        assert (await only(world, wanted)).reason is Reason.RUN_FAILED

    on_bench(tmp_path, scenario, bench=Short)


def test_a_plan_says_in_words_what_is_lost(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, process())
        (world.project / "out/ndvi.png").unlink()
        plan = (await world.plan(process())).plan
        text = render_plan(plan, width=100, color=False)
        assert "Process/ndvi   noop: its answer is gone or was changed" in text
        assert "out/ndvi.png is missing" in text
        assert "1 job has an answer that is gone or changed: left alone." in text
        assert "as declared" not in text
        assert "Gone or changed" in render_markdown(plan)
        (row,) = statuses(plan)
        assert (row.state, "materialize" in row.detail) == ("drifted", True)

    on_bench(tmp_path, scenario)


def test_of_what_has_its_receipt_file_the_catalogue_is_not_asked(tmp_path: Path) -> None:
    """A search is paid as well, and what is adopted has no price."""

    async def searches(world: Bench) -> int:
        requests = (await world.call("GET", "/_sandbox/requests"))["requests"]
        return sum(one["path"].endswith("/search") for one in requests)

    async def scenario(world: Bench) -> None:
        await done(world, statistics(), asks_catalogue=True)
        before = await searches(world)
        assert before > 0
        shutil.rmtree(tmp_path / "ledger")
        change = await only(world, statistics(), asks_catalogue=True)
        assert change.action is Action.ADOPT
        assert await searches(world) == before

    on_bench(tmp_path, scenario)
