"""Receipts as files: written after the ledger, counted where it is silent, believed only where they fit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action, Change, Reason
from shplan.core.entry import Event
from shplan.core.errors import OutputError
from shplan.core.events import ReceiptFileNotice
from shplan.core.files import Write
from shplan.providers.receipt_file import Scope
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.storage.project_files import ProjectFiles
from tests.engine.test_immediate import DeathError, Dying
from tests.engine.test_jobs import done, failed, only, paid
from tests.support.bench import Bench, Recorder, collection, tiles
from tests.support.delivered import image, statistics, write_fields
from tests.support.dying import Death, Fate, Moment
from tests.support.immediate import process
from tests.support.jobs import IMAGERY, TWO_TILES, job, job_on, job_v1
from tests.support.phases import dying

OURS = Scope("test", "sandbox", "sandbox:one", "sandbox")
Scenario = Callable[[Bench], Awaitable[None]]
KINDS = {
    "BatchProcess": job(),
    "BatchProcess of V1": job_v1(),
    "BatchStatistics": statistics(),
    "AsyncProcess": image(),
    "Process": process(),
}


def on_bench(home: Path, scenario: Scenario, *, scope: Scope = OURS, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="receipts", **settings), receipts=scope)
        (bench.buckets / "results").mkdir(parents=True)
        write_fields(bench)
        bench.write_tiles("a", "b", bands=("B04", "B08"))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


def folder(world: Bench) -> Path:
    return world.project / "receipts"


def files(world: Bench) -> dict[str, bytes]:
    found = sorted(path for path in folder(world).rglob("*") if path.is_file())
    return {path.relative_to(folder(world)).as_posix(): path.read_bytes() for path in found}


def the_file(world: Bench) -> Path:
    (name,) = files(world)
    return folder(world) / name


def elsewhere(home: Path, world: Bench, scenario: Scenario, *, scope: Scope = OURS) -> None:
    """The same project on a machine and a sandbox of which nothing but the files is known."""
    shutil.copytree(world.project, home / "project")
    on_bench(home, scenario, scope=scope)


async def told(world: Bench, *wanted: Any) -> tuple[Change, list[str]]:
    """What is planned, and what is said of receipt files beside."""
    heard = Recorder()
    change = await only(world, *wanted, events=heard)
    return change, [one.message for one in heard.events if isinstance(one, ReceiptFileNotice)]


async def requests(world: Bench) -> list[str]:
    asked = (await world.call("GET", "/_sandbox/requests"))["requests"]
    return [
        one["path"] for one in asked if "_sandbox" not in one["path"] and "oauth" not in one["path"]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_else_is_lost_the_file_has_paid_already(tmp_path: Path, kind: str) -> None:
    """No ledger, no task, nothing in the bucket: the plan says adopt, and nobody is asked for it."""
    wanted = KINDS[kind]
    kept: list[Bench] = []

    async def first(world: Bench) -> None:
        kept.append(world)
        assert (await told(world, wanted))[0].action is Action.RUN
        await done(world, wanted)
        assert await paid(world) > 0
        change, _ = await told(world, wanted)
        place = f"sandbox/{kind.split(maxsplit=1)[0]}/{wanted.address.name}/"
        assert list(files(world)) == [f"{place}{change.key.removeprefix('sha256:')[:16]}.json"]
        for beside in world.project.rglob("*.receipt.json"):
            beside.unlink()

    async def second(world: Bench) -> None:
        before = await requests(world)
        change, heard = await told(world, wanted)
        assert (change.action, change.reason) == (Action.ADOPT, Reason.RECEIPT_FILE)
        assert (
            change.notes[0]
            == f"receipts/{next(iter(files(world)))} has its receipt: nothing is paid again"
        )
        assert (change.cost.maximum_pu, change.requests, heard) == (0.0, (), [])
        kept_files = files(world)
        await done(world, wanted)
        change, _ = await told(world, wanted)
        assert (change.action, change.reason, change.records) == (Action.NOOP, Reason.RAN, False)
        assert files(world) == kept_files
        assert await requests(world) == before
        assert await paid(world) == 0.0
        # By now it is in the ledger, and the file may go.
        shutil.rmtree(folder(world))
        assert (await told(world, wanted))[0].action is Action.NOOP
        assert (await world.apply(wanted)).report is None
        assert files(world) == kept_files

    on_bench(tmp_path / "first", first)
    elsewhere(tmp_path / "second", kept[0], second)


@pytest.mark.parametrize("at", [0, 1])
def test_a_death_between_the_ledger_and_the_file_loses_only_the_file(
    tmp_path: Path, at: int
) -> None:
    async def scenario(world: Bench) -> None:
        for at in (0, 1):
            with pytest.raises(DeathError):
                await world.apply(job(), files=Dying(world.project, at))
            assert list(files(world)) in (
                [],
                [one for one in files(world) if one.endswith(".part")],
            )
        cost = await paid(world)
        assert (await only(world, job())).action is Action.NOOP
        assert (await world.apply(job())).report is None
        assert json.loads(the_file(world).read_bytes())["costPu"] == cost
        written = files(world)
        await world.apply(job())
        assert files(world) == written
        assert await paid(world) == cost

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, 7))
def test_wherever_an_apply_dies_it_is_paid_once_and_has_its_file(
    tmp_path: Path, at: int, moment: Moment
) -> None:
    async def scenario(world: Bench) -> None:
        with contextlib.suppress(Death):
            await dying(world, Fate(at=at, moment=moment)).apply(job())
        await world.apply(job())
        cost = await paid(world)
        assert json.loads(the_file(world).read_bytes())["costPu"] == cost
        shutil.rmtree(world.root / "ledger")
        await done(world, job())
        assert await paid(world) == cost

    on_bench(tmp_path, scenario)


def test_an_adoption_that_dies_is_repeated(tmp_path: Path) -> None:
    """The receipt is in the ledger, the address is not yet bound to it: the next apply does that."""

    async def scenario(world: Bench) -> None:
        await done(world, job())
        cost = await paid(world)
        shutil.rmtree(world.root / "ledger")
        runs = await world.journal().runs("sandbox:one")
        assert not runs
        change = await only(world, job())
        assert change.action is Action.ADOPT
        await done(world, job())
        entries = [entry async for entry in world.journal().entries()]
        events = [(one.draft.event, str(one.draft.address)) for one in entries]
        assert events[-2:] == [(Event.RECEIPT, "None"), (Event.ADOPT, "BatchProcess/ndvi")]
        assert entries[-2].draft.data == {"receiptFile": f"receipts/{next(iter(files(world)))}"}
        assert await paid(world) == cost

    on_bench(tmp_path, scenario)


def changed(place: Path, **fields: Any) -> None:
    place.write_text(json.dumps({**json.loads(place.read_bytes()), **fields}))


WRONG = {
    "another request": (
        {"parts": {"kind": "BatchProcess"}},
        "does not hold what gives its key: it was changed",
    ),
    "another key": (
        {"key": "sha256:" + "0" * 64},
        "does not hold what gives its key: it was changed",
    ),
    "another project": ({"project": "other"}, "is of project other, and this is test"),
    "another environment": ({"environment": "prod"}, "is of environment prod, and this is sandbox"),
    "another deployment": (
        {"deployment": "main"},
        "is of deployment main, and this is sandbox:one",
    ),
    "no attempt": ({"attempt": 0}, "does not hold what gives its key: it was changed"),
    "an open state": ({"status": "RUNNING"}, "does not hold what gives its key: it was changed"),
    "another form": ({"format": "else"}, "is no receipt file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_does_not_fit_does_not_count_and_is_told(tmp_path: Path, case: str) -> None:
    fields, why = WRONG[case]

    async def first(world: Bench) -> None:
        kept.append(world)
        await done(world, job())
        changed(the_file(world), **fields)

    async def second(world: Bench) -> None:
        change, heard = await told(world, job())
        said = f"receipts/{next(iter(files(world)))} does not count as a receipt: it {why}"
        assert (change.action, change.reason, heard) == (Action.RUN, Reason.NEVER_RUN, [said])
        assert change.notes[0] == said
        await done(world, job())
        assert await paid(world) > 0
        # What was written as one is ours, and written anew; what was not stays as it is.
        anew = case != "another form"
        after = json.loads(the_file(world).read_bytes())
        assert (after["format"] == "shplan/receipt/v1") == anew
        shutil.rmtree(world.root / "ledger")
        change, heard = await told(world, job())
        assert (heard == []) == anew
        assert change.action is Action.ADOPT
        assert change.reason is (Reason.RECEIPT_FILE if anew else Reason.OTHERS_TASK)

    kept: list[Bench] = []
    on_bench(tmp_path / "first", first)
    elsewhere(tmp_path / "second", kept[0], second)


def test_a_reset_sandbox_has_no_receipts_and_nothing_is_said(tmp_path: Path) -> None:
    kept: list[Bench] = []

    async def first(world: Bench) -> None:
        kept.append(world)
        await done(world, job())

    async def second(world: Bench) -> None:
        change, heard = await told(world, job())
        assert (change.action, change.reason, heard) == (Action.RUN, Reason.NEVER_RUN, [])
        await done(world, job())
        assert await paid(world) > 0
        assert json.loads(the_file(world).read_bytes())["deployment"] == "sandbox:two"

    on_bench(tmp_path / "first", first)
    later = replace(OURS, deployment="sandbox:two")
    elsewhere(tmp_path / "second", kept[0], second, scope=later)


def test_environments_have_their_receipts_apart(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        other = replace(world.second("other"), receipts=replace(OURS, environment="Other place"))
        shutil.copytree(folder(world) / "sandbox", folder(world) / "_", dirs_exist_ok=True)
        change, heard = await told(other, job())
        # The server knows the task still: that is another way of being found.
        assert (change.action, change.reason, heard) == (Action.ADOPT, Reason.OTHERS_TASK, [])
        await done(other, job())
        shutil.rmtree(folder(world) / "_")
        homes = {name.split("/")[0] for name in files(world)}
        assert len(homes) == 2
        assert "sandbox" in homes

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["file", "link", "directory", "link above"])
def test_what_lies_in_the_place_and_is_no_receipt_stays(tmp_path: Path, kind: str) -> None:
    async def scenario(world: Bench) -> None:
        key = (await only(world, job())).key.removeprefix("sha256:")[:16]
        place = folder(world) / "sandbox" / "BatchProcess" / "ndvi" / f"{key}.json"
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "mine").write_text("mine")
        place.parent.parent.mkdir(parents=True)
        if kind == "link above":
            place.parent.symlink_to(outside)
        else:
            place.parent.mkdir()
        if kind == "file":
            place.write_text("mine")
        elif kind == "directory":
            place.mkdir()
        elif kind == "link":
            place.symlink_to(outside / "mine")
        heard = Recorder()
        await done(world, job(), events=heard)
        notices = {one.message for one in heard.events if isinstance(one, ReceiptFileNotice)}
        about = [one for one in notices if "written over" in one or "ledger alone" in one]
        assert len(about) == 1, notices
        assert f"receipts/sandbox/BatchProcess/ndvi/{key}.json" in about[0]
        assert {path.name: path.read_text() for path in outside.iterdir()} == {"mine": "mine"}
        if kind == "file":
            assert place.read_text() == "mine"
        assert (await only(world, job())).action is Action.NOOP

    on_bench(tmp_path, scenario)


def test_a_key_that_is_learnt_on_the_way_is_looked_up_in_the_files_as_well(tmp_path: Path) -> None:
    """The plan says run, since it knows no id yet; the apply finds the receipt, and pays nothing."""

    async def scenario(world: Bench) -> None:
        wanted = (collection(), tiles("a", "b"), job_on(depends_on=IMAGERY))
        await done(world, *wanted)
        cost = await paid(world)
        later = job_on(name="later", depends_on=IMAGERY)
        shutil.rmtree(world.root / "ledger")
        await done(world, *wanted[:2], later)
        assert await paid(world) == cost

    on_bench(tmp_path, scenario)


def test_an_older_key_is_history_and_another_generation_is_paid(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(url="s3://results/{{ run.key }}"))
        cost = await paid(world)
        shutil.rmtree(world.root / "ledger")
        again = job(url="s3://results/{{ run.key }}", run={"generation": 2})
        change, heard = await told(world, again)
        assert (change.action, change.reason, heard) == (Action.RUN, Reason.NEVER_RUN, [])
        await done(world, again)
        assert await paid(world) == 2 * cost
        assert len(files(world)) == 2
        # What is removed from the manifests keeps its files.
        await world.apply()
        assert len(files(world)) == 2

    on_bench(tmp_path, scenario)


def test_a_partial_receipt_says_what_has_failed_and_the_whole_one_takes_its_place(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=TWO_TILES)
        await world.call("POST", "/_sandbox/batch", {"features": ["33N_24_254"], "cause": "none"})
        await failed(world, wanted)
        await world.call("DELETE", "/_sandbox/batch")
        partial = json.loads(the_file(world).read_bytes())
        assert (partial["status"], partial["attempt"]) == ("PARTIAL", 1)
        cost = await paid(world)
        shutil.rmtree(world.root / "ledger")
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        assert change.notes[0].endswith("has its receipt: attempt 1")
        again = job_v1(area=TWO_TILES, run={"onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert change.notes[0].endswith("has its receipt: attempt 1")
        await done(world, again)
        whole = json.loads(the_file(world).read_bytes())
        assert (whole["status"], whole["attempt"]) == ("DONE", 2)
        # Each tile was paid once.
        assert await paid(world) == 2 * cost

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("account", ["other", ""])
def test_a_file_counts_unless_the_tasks_of_its_run_are_another_accounts(
    tmp_path: Path, account: str
) -> None:
    """Who is known to have run it themselves needs no receipt of others, and pays nothing for it."""

    async def scenario(world: Bench) -> None:
        await done(world, job())
        cost = await paid(world)
        ours = the_file(world).read_bytes()
        changed(the_file(world), account=account, status="PARTIAL")
        shutil.rmtree(world.root / "ledger")
        change = await only(world, job())
        path = f"receipts/{next(iter(files(world)))}"
        if not account:
            # Nobody knows whose it is.
            assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
            return
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        mine = json.loads(ours)["account"]
        why = f"it is of account other, and this is {mine}"
        assert change.notes[0] == f"{path} does not count as a receipt: {why}"
        await done(world, job())
        assert (await only(world, job())).action is Action.NOOP
        assert await paid(world) == cost
        entries = [entry async for entry in world.journal().entries()]
        assert not [one for one in entries if "receiptFile" in one.draft.data]
        assert the_file(world).read_bytes() == ours
        # Of one that is wholly done no task is asked for, so nobody knows either: it counts.
        changed(the_file(world), account="other")
        shutil.rmtree(world.root / "ledger")
        change = await only(world, job())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.RECEIPT_FILE)

    on_bench(tmp_path, scenario)


def test_a_ledger_that_knows_less_than_a_file_goes_by_the_file(tmp_path: Path) -> None:
    """A colleague's receipt of the whole run came with a pull; the own ledger ends with a part."""

    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=TWO_TILES)
        await world.call("POST", "/_sandbox/batch", {"features": ["33N_24_254"], "cause": "none"})
        await failed(world, wanted)
        await world.call("DELETE", "/_sandbox/batch")
        shutil.copytree(world.root / "ledger", world.root / "before")
        again = job_v1(area=TWO_TILES, run={"onFailure": "rerun"})
        await done(world, again)
        cost = await paid(world)
        whole = files(world)
        behind = world.second("before")
        change = await only(behind, again)
        assert (change.action, change.reason) == (Action.ADOPT, Reason.RECEIPT_FILE)
        await done(behind, again)
        assert await paid(world) == cost
        assert files(world) == whole

    on_bench(tmp_path, scenario)


def test_an_imported_run_has_its_file(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        quiet = replace(world, receipts=None)
        await done(quiet, job())
        (task,) = (await world.call("GET", "/batch/v2/process"))["data"]
        shutil.rmtree(world.root / "ledger")
        assert files(world) == {}
        await world.confirm("BatchProcess/ndvi", task["id"], job())
        await world.apply(job())
        assert json.loads(the_file(world).read_bytes())["id"] == task["id"]

    on_bench(tmp_path, scenario)


def test_twins_have_a_file_each_and_are_paid_once(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        both = (job(), job("other", key="33TWN/a"))
        await done(world, *both)
        await world.apply(*both)
        cost = await paid(world)
        written = files(world)
        assert len(written) == 2
        (one, another) = (json.loads(content) for content in written.values())
        assert {one["address"], another["address"]} == {
            "BatchProcess/ndvi",
            "BatchProcess/other[33TWN/a]",
        }
        shutil.rmtree(world.root / "ledger")
        await done(world, *both)
        assert await paid(world) == cost
        assert files(world) == written

    on_bench(tmp_path, scenario)


def test_an_answer_that_is_gone_is_not_asked_for_again_where_its_receipt_is_there(
    tmp_path: Path,
) -> None:
    """The receipts are committed, the answers are not: what was paid is said to be missing."""

    async def scenario(world: Bench) -> None:
        await done(world, process())
        cost = await paid(world)
        shutil.rmtree(world.root / "ledger")
        shutil.rmtree(world.project / "out")
        change = await only(world, process())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.RECEIPT_FILE)
        assert any(note.endswith(" is missing") for note in change.notes)
        await done(world, process())
        change = await only(world, process())
        assert (change.action, change.reason) == (Action.NOOP, Reason.ANSWER_LOST)
        assert await paid(world) == cost
        again = process(run={"materialize": True})
        assert (await only(world, again)).action is Action.RUN
        await done(world, again)
        assert await paid(world) == 2 * cost
        told = json.loads(the_file(world).read_bytes())
        assert told["attempt"] == 2

    on_bench(tmp_path, scenario)


def test_a_receipt_that_cannot_be_written_fails_nothing_and_is_written_later(
    tmp_path: Path,
) -> None:
    class Full(ProjectFiles):
        def write(self, step: Write) -> None:
            message = f"{step.files[0].path} cannot be written: No space left on device"
            raise OutputError(message)

    async def scenario(world: Bench) -> None:
        heard = Recorder()
        await done(world, job(), files=Full(world.project), events=heard)
        (notice,) = [one for one in heard.events if isinstance(one, ReceiptFileNotice)]
        assert notice.message.endswith(
            "No space left on device; the receipt is in the ledger alone"
        )
        assert files(world) == {}
        assert (await world.apply(job())).report is None
        assert the_file(world).exists()

    on_bench(tmp_path, scenario)


def test_receipts_are_kept_of_a_project_that_begins_to_keep_them(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        silent = replace(world, receipts=None)
        await done(silent, job(), image())
        assert files(world) == {}
        # The same deployment; without files it is the bench's plain one.
        plain = replace(world, receipts=replace(OURS, deployment="sandbox"))
        assert (await plain.apply(job(), image())).report is None
        kinds = {name.split("/")[1] for name in files(world)}
        assert kinds == {"BatchProcess", "AsyncProcess"}

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("linked", ["receipts", "receipts/sandbox", "the file"])
def test_what_is_reached_through_a_link_does_not_count_and_is_told(
    tmp_path: Path, linked: str
) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        place = the_file(world) if linked == "the file" else world.project / linked
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
        shutil.rmtree(world.root / "ledger")
        change, heard = await told(world, job())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        (said,) = heard
        assert "a link, and nothing is written through links" in said
        assert said.startswith("receipts/sandbox")

    on_bench(tmp_path, scenario)
