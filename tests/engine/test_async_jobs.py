"""Asynchronous requests: sent once, paid once, and what is gone is decided by its bucket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Reason
from shplan.core.value import Reference, Unknown
from shplan.engine.executor import Ending
from shplan.providers.async_process import API
from shplan.providers.base import ChangeFailedError, Surroundings, Wanted
from shplan.providers.job_refresh import refresh_jobs
from shplan.providers.steps import Fetch, File, Look
from tests.engine.test_jobs import done, failed, on_bench, only, paid
from tests.support.bench import Bench, collection, tiles
from tests.support.delivered import async_body, image
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import IMAGERY
from tests.support.phases import dying

MOSAIC = Address("AsyncProcess", "mosaic")
OPEN = "s3://results/images"


def ready(world: Bench) -> None:
    (world.buckets / "results").mkdir(parents=True, exist_ok=True)


async def sent(world: Bench) -> list[dict[str, Any]]:
    return (await world.call("GET", "/_sandbox/async"))["requests"]


def lose(world: Bench) -> None:
    shutil.rmtree(world.root / world.ledger_name, ignore_errors=True)


async def dies(world: Bench, moment: Moment, *wanted: Any) -> None:
    """Kill the client around the first request, which is the one that pays."""
    fate = Fate(at=1, moment=moment)
    with contextlib.suppress(Death):
        await dying(world, fate).apply(*wanted)
    assert "POST" in str(fate.sent[-1]), fate.sent


@pytest.mark.parametrize(
    "url",
    [
        "s3://results/{{ run.key }}",
        OPEN,
        "s3://results/x/<OUTPUT>",
        "s3://results/x/<OUTPUT>/{{ run.key }}.tif",
        "s3://results/<REQUEST_ID>-<OUTPUT>",
    ],
)
def test_a_request_is_sent_once_and_has_a_receipt(tmp_path: Path, url: str) -> None:
    async def scenario(world: Bench) -> None:
        others = world.buckets / "results" / "x" / "others"
        others.mkdir(parents=True)
        (others / "a.tif").write_bytes(b"")
        change = await only(world, image(url=url))
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        assert [one.operation for one in change.requests] == ["createNewAsyncProcessRequest"]
        before = await paid(world)
        await done(world, image(url=url))
        cost = await paid(world) - before
        change = await only(world, image(url=url))
        assert (change.action, change.reason, change.records) == (Action.NOOP, Reason.RAN, False)
        assert f"billed {cost:g} PU" not in change.notes
        assert f"{cost:g} PU" in change.notes[0]
        await done(world, image("renamed", url=url))
        assert len(await sent(world)) == 1
        run = (await world.journal().runs("sandbox"))[change.key]
        assert run.receipt is not None
        assert (run.receipt.status, run.receipt.cost_pu) == ("DONE", cost)
        assert run.receipt.outputs["files"] == 1

    on_bench(tmp_path, scenario)


SEVERAL = """\
//VERSION=3
function setup() {
  return {input: ["B04"], output: [{id: "red", bands: 1}, {id: "double", bands: 1}]};
}
function evaluatePixel(sample) { return {red: [sample.B04], double: [2 * sample.B04]}; }
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {id: "x", error: {message: "of the user's own"}, costPU: 1};
}
"""


@pytest.mark.parametrize("is_lost", [False, True])
def test_several_outputs_lie_in_one_folder(tmp_path: Path, is_lost: bool) -> None:
    """One of them is a JSON file of the user's own, which says nothing of the request."""
    names = {"red": "image/tiff", "double": "image/png", "userdata": "application/json"}
    responses = [{"identifier": one, "format": {"type": form}} for one, form in names.items()]

    async def scenario(world: Bench) -> None:
        ready(world)
        wanted = replace(image(script=SEVERAL, responses=responses), script=None)
        await done(world, wanted, wait=False)
        await world.clock.sleep(600.0)
        if is_lost:
            lose(world)
        await done(world, wanted)
        (one,) = await sent(world)
        change = await only(world, wanted)
        assert change.notes[0].endswith("3 files")
        assert f"{one['costPU']:g} PU" in change.notes[0]

    on_bench(tmp_path, scenario)


def test_one_that_nobody_waits_for_is_collected_from_its_bucket(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image(), wait=False)
        change = await only(world, image())
        assert (change.action, change.reason, change.waits) == (Action.NOOP, Reason.RUNNING, True)
        assert change.notes == ()
        await world.clock.sleep(600.0)
        change = await only(world, image())
        assert (change.action, change.reason) == (Action.RESUME, Reason.NOT_RECORDED)
        await done(world, image())
        assert len(await sent(world)) == 1
        assert (await only(world, image())).reason is Reason.RAN

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("moment", Moment)
def test_a_death_around_the_request_sends_it_once(
    tmp_path: Path, moment: Moment, is_lost: bool
) -> None:
    """Everything of the run lies in a folder of its own, so that nothing there is proof as well."""

    async def scenario(world: Bench) -> None:
        ready(world)
        before = await paid(world)
        await dies(world, moment, image())
        if is_lost:
            lose(world)
        await done(world, image())
        (one,) = await sent(world)
        assert (one["status"], await paid(world) - before) == ("DONE", one["costPU"])
        assert not (await world.plan(image())).plan.pending

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("later", [0.0, 600.0])
@pytest.mark.parametrize("moment", [Moment.SERVED, Moment.ANSWERED])
def test_without_the_key_in_the_path_the_copy_of_the_request_tells(
    tmp_path: Path, moment: Moment, later: float
) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image("other", day="2025-03-01", url=OPEN))
        await dies(world, moment, image(url=OPEN), image("other", day="2025-03-01", url=OPEN))
        lose(world)
        await world.clock.sleep(later)
        await done(world, image(url=OPEN))
        assert [one["status"] for one in await sent(world)] == ["DONE", "DONE"]

    on_bench(tmp_path, scenario)


def test_a_lost_request_of_which_nothing_tells_is_never_repeated(tmp_path: Path) -> None:
    """The folder is everybody's: that nothing of ours lies there is no proof."""

    async def scenario(world: Bench) -> None:
        ready(world)
        await dies(world, Moment.BEFORE, image(url=OPEN))
        for _ in range(2):
            planned = (await world.plan(image(url=OPEN))).plan
            assert planned.exit_code() == 7
            (change,) = planned.changes
            assert (change.action, change.reason) == (Action.BLOCKED, Reason.OUTCOME_UNKNOWN)
            hint = change.refusals[0].diagnostic.hint
            assert "shplan import AsyncProcess/mosaic ID" in hint
            assert "generation" in hint
            await world.apply(image(url=OPEN))
            assert await sent(world) == []
        await done(world, image(url=OPEN, run={"generation": 2}))
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_a_lost_request_is_none_of_which_the_copy_says_that_it_is_another(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image("other", day="2025-03-01", url=OPEN))
        (other,) = await sent(world)
        await dies(world, Moment.BEFORE, image(url=OPEN))
        with pytest.raises(ChangeFailedError, match=f"{other['id']} asks for something else"):
            await world.confirm(str(MOSAIC), other["id"], image(url=OPEN))
        assert (await world.plan(image(url=OPEN))).plan.exit_code() == 7

    on_bench(tmp_path, scenario)


def test_where_the_bucket_cannot_be_read_a_person_says_how_it_ended(tmp_path: Path) -> None:
    spec = {"gs": {"url": "gs://results/{{ run.key }}", "credentials": "e30="}}

    async def scenario(world: Bench) -> None:
        ready(world)
        wanted = image(delivery=spec)
        applied = await world.apply(wanted)
        assert applied.report is not None
        assert applied.report.exit_code() == 7
        (one,) = await sent(world)
        planned = (await world.plan(wanted)).plan
        assert (planned.exit_code(), planned.changes[0].action) == (7, Action.BLOCKED)
        with pytest.raises(ChangeFailedError, match="neither the ledger nor the bucket"):
            await world.confirm(str(MOSAIC), "0c9f1d0e-0000-4000-8000-000000000000", wanted)
        await world.confirm(str(MOSAIC), one["id"], wanted)
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.NOOP, Reason.RAN)
        assert "what was billed is not known" in change.notes[0]
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_a_person_names_the_request_whose_answer_was_lost(tmp_path: Path) -> None:
    spec = {"gs": {"url": "gs://results/{{ run.key }}", "credentials": "e30="}}

    async def scenario(world: Bench) -> None:
        ready(world)
        wanted = image(delivery=spec)
        await dies(world, Moment.SERVED, wanted)
        (one,) = await sent(world)
        assert (await world.plan(wanted)).plan.exit_code() == 7
        await world.confirm(str(MOSAIC), one["id"], wanted)
        # It runs, and is one that the ledger now knows by its id.
        change = await only(world, wanted)
        assert (change.action, change.reason, change.waits) == (Action.NOOP, Reason.RUNNING, True)
        await world.apply(wanted)
        await world.confirm(str(MOSAIC), one["id"], wanted)
        assert (await only(world, wanted)).reason is Reason.RAN
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario, async_processing_s=60.0)


def test_results_that_were_taken_away_are_not_made_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image(), wait=False)
        await world.clock.sleep(600.0)
        await world.call("GET", "/_sandbox/async")
        shutil.rmtree(world.buckets / "results")
        ready(world)
        planned = (await world.plan(image())).plan
        assert (planned.exit_code(), planned.changes[0].reason) == (7, Reason.OUTCOME_UNKNOWN)
        (one,) = await sent(world)
        await world.confirm(str(MOSAIC), one["id"], image())
        assert (await only(world, image())).reason is Reason.RAN

    on_bench(tmp_path, scenario)


BROKEN = """\
//VERSION=3
function setup() { return {input: ["B04"], output: {bands: 1}}; }
function evaluatePixel(sample) { throw new Error("no such field"); }
"""


def test_a_request_that_failed_is_blocked_and_sent_again_when_asked(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        wrong = image(script=BROKEN, years=0)
        message = await failed(world, wrong)
        assert "no such field" in message
        change = await only(world, wrong)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        assert "no such field" in change.notes[-2]
        again = image(script=BROKEN, years=0, run={"onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        await failed(world, again)
        assert len(await sent(world)) == 2
        assert await paid(world) == 0.0

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("moment", Moment)
def test_a_death_around_another_attempt_sends_it_once(tmp_path: Path, moment: Moment) -> None:
    """What the first attempt left in the same folder is no witness of the second."""

    async def scenario(world: Bench) -> None:
        ready(world)
        again = image(script=BROKEN, years=0, run={"onFailure": "rerun"})
        await failed(world, again)
        await dies(world, moment, again)
        assert "no such field" in await failed(world, again)
        assert len(await sent(world)) == 2

    on_bench(tmp_path, scenario)


def test_who_comes_later_adopts_what_another_has_sent(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image(), wait=False)
        other = world.second("other")
        change = await only(other, image())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        await done(other, image())
        await done(world, image())
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_twins_are_one_request(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image("a"), image("b"))
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("lag_s", [0.0, 10.0])
def test_two_appliers_of_one_ledger_send_one_request(tmp_path: Path, lag_s: float) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        world = replace(world, list_lag_s=lag_s)
        both = (world.apply(image(), lock_timeout_s=600.0) for _ in range(2))
        await asyncio.gather(*both)
        assert not (await world.plan(image())).plan.pending
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_more_requests_than_the_service_takes_at_once(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        wanted = [image(f"i{day}", day=f"2025-06-{day:02d}") for day in range(1, 7)]
        for _ in range(6):
            applied = await world.apply(*wanted)
            if applied.report is None or applied.report.exit_code() == 0:
                break
            await world.clock.sleep(60.0)
        assert not (await world.plan(*wanted)).plan.pending
        assert len(await sent(world)) == 6

    on_bench(tmp_path, scenario, async_concurrent=2.0)


def test_its_key_may_be_known_only_after_a_collection_is_made(tmp_path: Path) -> None:
    collection_id = Reference(Address("ByocCollection", "fields"), ("id",))
    text = "byoc-{{ ref('ByocCollection/fields').id }}"
    unknown = Unknown(text, str(MOSAIC), (collection_id,))
    on = replace(image(data=unknown), references=(collection_id,), depends_on=IMAGERY)
    wanted = (collection(), tiles("a", "b"), on)

    async def scenario(world: Bench) -> None:
        ready(world)
        change = (await world.plan(*wanted)).plan.changes[-1]
        assert (change.action, change.reason) == (Action.RUN, Reason.KEY_UNKNOWN)
        await done(world, *wanted)
        assert not (await world.plan(*wanted)).plan.pending
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_what_failed_for_one_address_is_not_sent_for_its_twin(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        twins = [image(name, script=BROKEN, years=0) for name in ("a", "b")]
        applied = await world.apply(*twins)
        assert applied.report is not None
        assert applied.report.exit_code() == 3
        for change in (await world.plan(*twins)).plan.changes:
            assert change.action is Action.BLOCKED
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_a_person_may_name_what_the_bucket_shows(tmp_path: Path) -> None:
    """The ledger is lost, and the copy of the request says which run it is."""

    async def scenario(world: Bench) -> None:
        ready(world)
        await done(world, image(url=OPEN))
        await done(world, image("other", day="2025-03-01", url=OPEN))
        mine, others = (one["id"] for one in await sent(world))
        lose(world)
        with pytest.raises(ChangeFailedError, match="asks for something else than"):
            await world.confirm(str(MOSAIC), others, image(url=OPEN))
        await world.confirm(str(MOSAIC), mine, image(url=OPEN))
        change = await only(world, image(url=OPEN))
        assert change.reason is Reason.RAN
        assert "what was billed is not known" not in change.notes[0]

    on_bench(tmp_path, scenario)


def test_many_jobs_read_what_lies_below_one_place_once() -> None:
    """Of each copy that lies there, too: none of them knows what the others have read."""
    spread = [
        image(f"i{n}", day=f"2025-{n // 28 + 1:02d}-{n % 28 + 1:02d}", url=OPEN) for n in range(90)
    ]
    wanted = tuple(Wanted(one.address, one, None) for one in spread)
    folder = "images/0c9f1d0e-0000-4000-8000-00000000000"
    files = tuple(File(f"{folder}{n}/request.json", 9, "") for n in range(5))
    copy = json.dumps({"request": {**async_body(url=OPEN), "evalscript": "// [shplan key=0]"}})
    flow = refresh_jobs(API, wanted, Surroundings())
    asked: Counter[type] = Counter()
    step: Any = next(flow)
    with contextlib.suppress(StopIteration):
        while True:
            asked[type(step)] += 1
            step = flow.send(files if isinstance(step, Look) else copy.encode())
    assert asked == {Look: 1, Fetch: 5}


def test_a_lost_answer_is_looked_up_before_anything_is_repeated(tmp_path: Path) -> None:
    fault = {"kind": "lost-answer", "method": "POST", "path": "/async/v1/process"}

    async def scenario(world: Bench) -> None:
        ready(world)
        await world.call("POST", "/_sandbox/faults", fault)
        await done(world, image())
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_a_copy_that_is_half_written_is_no_proof_of_absence(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        await dies(world, Moment.SERVED, image())
        (copy,) = (world.buckets / "results").rglob("request.json")
        copy.write_text(json.dumps({"id": "x"})[:5])
        planned = (await world.plan(image())).plan
        change = planned.changes[0]
        # It still runs, or it is over: either way nobody sends it again.
        assert change.action is not Action.RUN
        assert len(await sent(world)) == 1

    on_bench(tmp_path, scenario)


def test_dearer_than_its_limit_is_not_sent(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        ready(world)
        applied = await world.apply(image(run={"maxPu": 0.001}))
        ended = [] if applied.report is None else applied.report.results
        assert all(one.ending is not Ending.DONE for one in ended)
        assert await sent(world) == []

    on_bench(tmp_path, scenario)
