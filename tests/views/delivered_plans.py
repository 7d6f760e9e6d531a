"""
Plans with asynchronous requests and batch statistics for the tests of views, as `job_plans`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shplan.core.change import Change
from shplan.core.job_cost import Features
from shplan.core.plan import Plan
from shplan.core.planner import assemble
from shplan.core.resource import Desired, Receipt
from shplan.core.run_key import run_key
from shplan.core.runs import Attempt, RunRecord
from shplan.providers import async_process, batch_statistics
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.job import JobApi, JobView, Phase, Task, input_of
from shplan.providers.job_decide import decide_job
from shplan.providers.observation import Binding, Observed
from tests.support.delivered import image, statistics
from tests.support.jobs import SHAPE
from tests.views.plans import at, inputs

REQUEST = "0c9f1d0e-7a53-4b5e-9d3f-2f0e6a1b4c77"
STARTED = {"attempts": {1: Attempt((REQUEST,), frozenset({REQUEST}), frozenset({REQUEST}))}}
SILENT = {"attempts": {1: Attempt((), frozenset({""}))}}


def decided(
    api: JobApi, desired: Desired, *tasks: Task, run: Mapping[str, Any] | None = None, **view: Any
) -> Change:
    files = {"s3://areas/fields.gpkg": "ab" * 32} if api.kind == "BatchStatistics" else {}
    given = input_of(api, desired.spec, desired.run, deployment="sandbox", files=files)
    key = run_key(given)
    record = None if run is None else RunRecord(key.digest, **run)
    seen = JobView(given, key, record, tasks, **view)
    around = Surroundings(runs={} if record is None else {key.digest: record})
    observed = Observed(REQUEST, {}, Binding.RECORDED, detail=seen)
    change = decide_job(api, Wanted(desired.address, desired, None), observed, around)
    return replace(change, source=at(10, file="manifests/all.yaml"))


def planned(*changes: Change) -> Plan:
    return Plan(inputs(), assemble(changes, moved={}))


def images() -> Plan:
    """The first time, with and without the key in the path; running; failed; to be sent again."""
    failed = Task(REQUEST, "", Phase.ENDED, "FAILED", cause="no such field")
    running = Task(REQUEST, "", Phase.RUNNING, "RUNNING")
    rerun = {"onFailure": "rerun"}
    api = async_process.API
    return planned(
        decided(api, image("first", years=0, width=2048, height=2048)),
        decided(api, image("open", url="s3://results/open")),
        decided(api, image("running", day="2025-07-01"), running, run=STARTED),
        decided(api, image("failed", day="2025-07-02"), failed, run=STARTED),
        decided(api, image("again", day="2025-07-03", run=rerun), failed, run=STARTED),
    )


def images_unknown() -> Plan:
    """One vanished and left nothing; of one not even the id is known."""
    api = async_process.API
    return planned(
        decided(api, image("gone", day="2025-07-04"), run=STARTED, lost=(REQUEST,)),
        decided(api, image("lost", day="2025-07-05"), run=SILENT, lost=("",)),
    )


def of_fields() -> Plan:
    """The first time; finished and not recorded; partly failed, and to be made again."""
    api = batch_statistics.API
    sizes = (Features(120, 40, 30), Features(3, 400, 300))
    parts = Receipt("sha256:" + "5" * 64, 1, REQUEST, "PARTIAL", failed={"f7": "no imagery there"})
    done = Task(REQUEST, "2025-06-20T08:00:00Z", Phase.DONE, "DONE", cost_pu=312.5)
    partly = {"attempts": {}, "receipt": parts}
    first = replace(statistics("first", years=0), script=SHAPE)
    again = statistics("again", day="2025-06-13", run={"onFailure": "rerun"})
    return planned(
        decided(api, first, features=sizes),
        decided(api, statistics("finished", day="2025-06-11"), done, run=STARTED),
        decided(api, statistics("partial", day="2025-06-12"), run=partly),
        decided(api, replace(again, script=SHAPE), run=partly, features=sizes),
    )


SCENES: dict[str, Callable[[], Plan]] = {
    "image-runs": images,
    "image-outcome-unknown": images_unknown,
    "statistics-runs": of_fields,
}
