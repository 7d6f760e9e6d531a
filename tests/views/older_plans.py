"""Plans of Batch V1: its estimate, failed tiles that are restarted alone, a task that is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.plan import Plan
from shplan.core.planner import assemble
from shplan.core.resource import Desired, Receipt, Recorded
from shplan.core.run_key import run_key
from shplan.core.runs import Attempt, RunRecord
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.batch_v1 import API
from shplan.providers.job import JobView, Phase, Task, input_of
from shplan.providers.job_decide import decide_job
from shplan.providers.observation import Binding, Observed
from shplan.schema.store import table
from tests.support.jobs import TWO_TILES, job_v1
from tests.views.plans import at, inputs

TASK = "5f2a1e9c-2e2b-4a36-9b87-0c3a1f0d7e11"
FAILED = {
    "4242 at 480960, 5090160 EPSG:32633": "no imagery there",
    "4243 at 501000, 5090160 EPSG:32633": "no imagery there",
}


def task(phase: Phase, status: str, **more: Any) -> Task:
    return Task(TASK, "2025-06-20T08:00:00Z", phase, status, **more)


def decided(
    desired: Desired, *tasks: Task, attempts: Any = None, receipt: Receipt | None = None
) -> Change:
    """Decide about one job; `receipt` is that of its own run, but for its key."""
    given = input_of(API, desired.spec, desired.run, deployment="sandbox", files={})
    key = run_key(given)
    kept = None if receipt is None else replace(receipt, key=key.digest, parts=key.parts)
    run = RunRecord(key.digest, attempts or {}, kept) if attempts or kept else None
    around = Surroundings(
        runs={} if run is None else {key.digest: run},
        tables={"tiling-grids": table("tiling-grids")},
    )
    seen = Observed(TASK, {}, Binding.RECORDED, detail=JobView(given, key, run, tasks))
    change = decide_job(API, Wanted(desired.address, desired, None), seen, around)
    return replace(change, source=at(10, file="manifests/ndvi.yaml"))


def planned(*changes: Change) -> Plan:
    return Plan(inputs(), assemble(changes, moved={}))


def first() -> Plan:
    """One that never ran, and one that the service has analysed and estimated."""
    analysed = task(Phase.WAITING, "ANALYSIS_DONE", analysed=True, estimate_pu=812.4)
    return planned(
        decided(job_v1("new", area=TWO_TILES, cogOutput=True, createCollection=True)),
        decided(job_v1("analysed", day="2025-06-11"), analysed, attempts={1: Attempt(ids=(TASK,))}),
    )


def partly() -> Plan:
    """Failed tiles: blocked, restarted alone, and made again by another task."""
    parts = Receipt(
        "", 1, TASK, "PARTIAL", failed=FAILED, outputs={"parts": 8, "failed": 2, "acted": "then"}
    )
    known = task(Phase.PARTLY, "PARTIAL", acted="then", estimate_pu=2400.0)
    rerun = {"onFailure": "rerun"}
    there = {"url": "s3://results/p/<tileName>.tif"}
    return planned(
        decided(job_v1("blocked"), known, receipt=parts),
        decided(job_v1("restarted", day="2025-06-11", run=rerun), known, receipt=parts),
        decided(job_v1("forgotten", day="2025-06-21", run=rerun, **there), receipt=parts),
    )


def removed() -> Plan:
    """Without its manifest a task is deleted, if nothing of it was processed."""
    changes = []
    for name, phase in (("analysed", Phase.WAITING), ("running", Phase.RUNNING)):
        data = {"key": "sha256:" + "5" * 64, "onRemove": "delete", "api": "v1"}
        recorded = Recorded(Address("BatchProcess", name), TASK, data=data)
        view = JobView(tasks=(task(phase, "PROCESSING"),))
        seen = Observed(TASK, {}, Binding.RECORDED, detail=view)
        wanted = Wanted(recorded.address, None, recorded)
        changes.append(decide_job(API, wanted, seen, Surroundings()))
    return planned(*changes)


OLDER: dict[str, Callable[[], Plan]] = {
    "job-v1-first-run": first,
    "job-v1-partly-done": partly,
    "job-v1-removed": removed,
}
