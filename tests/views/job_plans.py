"""
Plans with jobs for the tests of views: each scene is what `decide_job` says of one situation.

What the ledger and the server say is made up here; the decisions, the costs and the order are the
project's own, so that a golden shows what a person sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.plan import Plan
from shplan.core.planner import assemble
from shplan.core.resource import Desired, Receipt, Recorded
from shplan.core.run_key import run_key
from shplan.core.runs import Attempt, RunRecord
from shplan.core.value import JsonObject
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.batch_process import API
from shplan.providers.job import JobView, Phase, Task, input_of
from shplan.providers.job_decide import decide_job
from shplan.providers.observation import Binding, Observed
from shplan.schema.store import table
from tests.support import jobs
from tests.views.delivered_plans import SCENES as DELIVERED
from tests.views.object_plans import SCENES as OBJECTS
from tests.views.older_plans import OLDER
from tests.views.plans import SCENES as PLAIN
from tests.views.plans import at, inputs

TASK = "7b7a0c5e-55a5-4d6e-9c0e-3d1c26b0a1f4"
CREATED = "2025-06-20T08:00:00Z"
# Of a size that costs something.
body, job, job_on = (
    partial(one, resolution=10, years=0) for one in (jobs.body, jobs.job, jobs.job_on)
)
PERIOD = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}


@cache
def _grids() -> JsonObject:
    return table("tiling-grids")


def task(phase: Phase, status: str, **more: Any) -> Task:
    return Task(TASK, CREATED, phase, status, **more)


def decided(
    desired: Desired,
    *tasks: Task,
    run: Mapping[str, Any] | None = None,
    receipts: tuple[Receipt, ...] = (),
    recorded: Recorded | None = None,
    unknown: bool = False,
) -> Change:
    """
    Decide about one job.

    Args:
        tasks: those of the run, as the server lists them
        run: what the ledger knows of the run (`RunRecord`), but its key
        receipts: of other runs
        unknown: the key depends on an id of this plan
    """
    runs = {one.key: RunRecord(one.key, {1: Attempt()}, one) for one in receipts}
    view = JobView(tasks=tasks)
    if not unknown:
        given = input_of(API, desired.spec, desired.run, deployment="sandbox", files={})
        key = run_key(given)
        record = None if run is None else RunRecord(key.digest, **run)
        runs |= {} if record is None else {key.digest: record}
        view = JobView(given, key, record, tasks)
    around = Surroundings(
        runs=runs, tables={"tiling-grids": _grids()}, now="2025-06-20T08:10:00+00:00"
    )
    wanted = Wanted(desired.address, desired, recorded)
    seen = Observed(TASK, {}, Binding.RECORDED, detail=view)
    return replace(decide_job(API, wanted, seen, around), source=at(10, file="manifests/ndvi.yaml"))


def removed(*, on_remove: str, running: bool) -> Change:
    """Decide about a job that no manifest declares any more."""
    recorded = Recorded(
        Address("BatchProcess", "old"),
        TASK,
        data={"key": "sha256:" + "5" * 64, "onRemove": on_remove},
    )
    tasks = (task(Phase.RUNNING, "PROCESSING", percent=40.0),) if running else ()
    view = JobView(tasks=tasks)
    seen = Observed(TASK, {}, Binding.RECORDED, detail=view)
    return decide_job(API, Wanted(recorded.address, None, recorded), seen, Surroundings())


def planned(*changes: Change, **given: Any) -> Plan:
    return Plan(inputs(**given), assemble(changes, moved={}))


def month(name: str, key: str | None = None, **more: Any) -> Desired:
    """A job over a month, whose cost depends on the number of acquisitions."""
    desired = job(name, key=key, **more)
    script = desired.script
    assert script is not None
    orbit = replace(script, inputs=tuple(one._replace(mosaicking="ORBIT") for one in script.inputs))
    spec: Any = body(day="2025-06-01", url=f"s3://results/{name}/{key or 'all'}")
    spec["processRequest"]["input"]["data"][0]["dataFilter"]["timeRange"] = PERIOD
    return replace(desired, spec=spec, script=orbit)


def receipt(status: str = "DONE", **more: Any) -> Receipt:
    given = input_of(API, job().spec, {}, deployment="sandbox", files={})
    key = run_key(given)
    return Receipt(key.digest, 1, TASK, status, parts=key.parts, **more)


def first_run() -> Plan:
    """A job on a public collection, and one on a collection of this plan."""
    return planned(decided(month("ndvi", "2025-06")), decided(job_on(name="own"), unknown=True))


def changed_request() -> Plan:
    """An edit makes another run; the receipt of the earlier one stays as history."""
    before = receipt()
    desired = job(day="2025-07-01")
    recorded = Recorded(desired.address, TASK, data={"key": before.key})
    return planned(decided(desired, receipts=(before,), recorded=recorded))


def resumed() -> Plan:
    """One was created and not started, one has finished while nobody looked."""
    known = {"attempts": {1: Attempt(ids=(TASK,))}}
    started = {"attempts": {1: Attempt((TASK,), frozenset({TASK}), frozenset({TASK}))}}
    return planned(
        decided(job("created"), task(Phase.WAITING, "ANALYSIS_DONE", analysed=True), run=known),
        decided(job("finished", day="2025-06-11"), task(Phase.DONE, "DONE"), run=started),
    )


def adopted() -> Plan:
    """A task with the same request, made by somebody else: finished, and running."""
    running = task(Phase.RUNNING, "PROCESSING", percent=12.0)
    return planned(
        decided(job("finished"), task(Phase.DONE, "DONE", cost_pu=99.5)),
        decided(job("running", day="2025-06-11"), running),
    )


def blocked() -> Plan:
    """What failed, what was stopped, and what is only partly done."""
    known = {"attempts": {1: Attempt((TASK,), frozenset({TASK}), frozenset({TASK}))}}
    failed = task(Phase.ENDED, "FAILED", cause="the bucket refused: AccessDenied")
    stopped = task(Phase.ENDED, "STOPPED", cause="OUT_OF_PU", acted="2025-06-20T08:05:00Z")
    parts = receipt("PARTIAL", failed={"33UVP_1": "no imagery there", "33UVP_2": "time out"})
    return planned(
        decided(job("failed", day="2025-06-11"), failed, run=known),
        decided(job("stopped", day="2025-06-21"), stopped, run=known),
        decided(job("partial"), run={"attempts": {}, "receipt": parts}),
    )


def another_attempt() -> Plan:
    """The same three, with `onFailure: rerun`; a stopped task cannot be started again yet."""
    rerun = {"onFailure": "rerun"}
    known = {"attempts": {1: Attempt((TASK,), frozenset({TASK}), frozenset({TASK}))}}
    failed = task(Phase.ENDED, "FAILED", cause="the bucket refused: AccessDenied")
    stopped = task(Phase.ENDED, "STOPPED", cause="USER_ACTION", acted="2025-06-20T08:05:00Z")
    parts = receipt("PARTIAL", failed={"33UVP_1": "no imagery there", "33UVP_2": "time out"})
    return planned(
        decided(job("failed", day="2025-06-11", run=rerun), failed, run=known),
        decided(job("stopped", day="2025-06-21", run=rerun), stopped, run=known),
        decided(
            job("partial", url="s3://results/p/<tileName>.tif", run=rerun),
            run={"attempts": {}, "receipt": parts},
        ),
    )


def too_dear() -> Plan:
    """Over its own `maxPu`: the maximum counts."""
    return planned(decided(month("ndvi", "2025-06", run={"maxPu": 100})))


def places_taken() -> Plan:
    """Another generation would deliver to where the first one has."""
    there = "s3://results/<tileName>.tif"
    first = replace(receipt(), outputs={"template": there})
    return planned(decided(job(url=there, run={"generation": 2}), receipts=(first,)))


def running() -> Plan:
    """Started and not finished, and one that nobody has started: nothing is sent."""
    known = {"attempts": {1: Attempt((TASK,), frozenset({TASK}), frozenset({TASK}))}}
    waiting = job("later", day="2025-06-11", run={"start": "manual"})
    return planned(
        decided(job(), task(Phase.RUNNING, "PROCESSING", percent=40.0), run=known),
        decided(waiting, task(Phase.WAITING, "CREATED"), run={"attempts": {1: Attempt((TASK,))}}),
    )


def same_run() -> Plan:
    """Two addresses that ask for the same are one run, and paid once."""
    return planned(decided(job("a")), decided(job("b")))


def outcome_unknown() -> Plan:
    """It was started, the task is gone, and the bucket says nothing: a person must decide."""
    known = {"attempts": {1: Attempt((TASK,), frozenset({TASK}), frozenset({TASK}))}}
    return planned(decided(job(), run=known))


def removed_jobs() -> Plan:
    """Without a manifest a job is let go of, or stopped where that was asked for."""
    kept = replace(removed(on_remove="keep", running=True), address=Address("BatchProcess", "kept"))
    return planned(removed(on_remove="stop", running=True), kept)


_JOBS: dict[str, Callable[[], Plan]] = {
    "job-adopted": adopted,
    "job-another-attempt": another_attempt,
    "job-blocked": blocked,
    "job-changed-request": changed_request,
    "job-first-run": first_run,
    "job-outcome-unknown": outcome_unknown,
    "job-places-taken": places_taken,
    "job-removed": removed_jobs,
    "job-resumed": resumed,
    "job-running": running,
    "job-same-run": same_run,
    "job-too-dear": too_dear,
}

# Every scene there is.
SCENES: dict[str, Callable[[], Plan]] = {
    **PLAIN,
    **_JOBS,
    **DELIVERED,
    **OBJECTS,
    **OLDER,
}
