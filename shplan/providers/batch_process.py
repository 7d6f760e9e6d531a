"""
`BatchProcess`: a Batch Processing V2 task.

Facts: the API description's operations of `/batch/v2/process` and the documentation's page on
Batch V2. There is no DELETE: a task that is no longer wanted can only be stopped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.fields import FieldRules
from shplan.core.image_size import batch_sizing
from shplan.core.marker import Marker, with_marker
from shplan.core.prices import batch_v2_cost
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, Path, Value
from shplan.providers.base import (
    Flow,
    Nature,
    Observation,
    Observed,
    Settings,
    Surroundings,
    Wanted,
)
from shplan.providers.batch_checks import check_batch
from shplan.providers.job import JobApi, Phase, Task, refresh_jobs, view_of
from shplan.providers.job_apply import apply_job
from shplan.providers.job_confirm import confirm_job
from shplan.providers.job_decide import decide_job

TASKS = "/batch/v2/process"
TASK = "/batch/v2/process/{taskId}"
_COLUMNS = (
    "id",
    "created",
    "status",
    "userAction",
    "userActionUpdated",
    "completionPercentage",
    "costPU",
    "error",
    "stoppedStatusReason",
    "projectId",
    "domainAccountId",
    "description",
    "request",
)
_COPY = re.compile(r"request-([0-9a-fA-F-]{36})\.json")
_ENDED = frozenset({"FAILED", "STOPPED"})


def _listing() -> ApiRequest:
    return ApiRequest("getAllBatchV2ProcessRequests", "GET", TASKS, Effect.READ, columns=_COLUMNS)


def _create(body: Object) -> ApiRequest:
    operation = "createNewBatchV2ProcessingRequest"
    return ApiRequest(operation, "POST", TASKS, Effect.CREATE, body=body)


def _get(task: Value) -> ApiRequest:
    operation = "getSingleBatchV2ProcessTaskById"
    return ApiRequest(operation, "GET", TASK, Effect.READ, {"taskId": task})


def _analyse(task: Value) -> ApiRequest:
    return _action("batchV2Analyse", "analyse", task)


def _start(task: Value) -> ApiRequest:
    return _action("batchV2StartProcessRequest", "start", task)


def _stop(task: Value) -> ApiRequest:
    return _action("batchV2StopProcessRequest", "stop", task)


def _action(operation: str, verb: str, task: Value) -> ApiRequest:
    return ApiRequest(operation, "POST", f"{TASK}/{verb}", Effect.ACTION, {"taskId": task})


def task_of(listed: Mapping[str, JsonValue]) -> Task:
    """
    Read a task. Source: schema BatchV2ProcessTask.

    Whoever sees `userAction: START` sees a task that will be billed, whatever its status says
    yet: it may stay CREATED for minutes.
    """
    status, action = str(listed.get("status")), str(listed.get("userAction") or "NONE")
    request = listed.get("request")
    echo = request if isinstance(request, dict) else None
    description = listed.get("description") or (echo or {}).get("description")
    cost, percent = listed.get("costPU"), listed.get("completionPercentage")
    account = listed.get("projectId") or listed.get("domainAccountId")
    return Task(
        id=str(listed["id"]),
        created=str(listed.get("created") or ""),
        phase=_phase(status, action, str(listed.get("stoppedStatusReason") or "")),
        status=status,
        analysed=status in ("ANALYSING", "ANALYSIS_DONE") or action == "ANALYSE",
        percent=float(percent) if isinstance(percent, int | float) else 0.0,
        cost_pu=float(cost) if isinstance(cost, int | float) else None,
        cause=_cause(listed),
        acted=str(listed.get("userActionUpdated") or ""),
        account=str(account or ""),
        description=str(description or ""),
        request=echo,
    )


def _phase(status: str, action: str, stopped: str) -> Phase:
    if status == "DONE":
        return Phase.DONE
    if (status, action, stopped) == ("STOPPED", "START", "USER_ACTION"):
        # Somebody stopped it and somebody started it again; the status lags behind.
        return Phase.RUNNING
    if status in _ENDED:
        return Phase.ENDED
    if status == "PROCESSING" or action == "START":
        return Phase.RUNNING
    return Phase.WAITING


def _cause(listed: Mapping[str, JsonValue]) -> str:
    parts = (listed.get("error"), listed.get("stoppedStatusReason"))
    return "; ".join(str(part) for part in parts if part)


def delivery_of(spec: Object) -> str:
    """Return the URL that results go to, empty where none is stated or it is not known."""
    output = spec.get("output")
    delivery = output.get("delivery") if isinstance(output, dict) else None
    for store in ("s3", "gs"):
        place = delivery.get(store) if isinstance(delivery, dict) else None
        url = place.get("url") if isinstance(place, dict) else None
        if isinstance(url, str):
            return url
    return ""


def feature_file_of(spec: Object) -> str:
    """Return the URL of the GeoPackage that a request processes, empty for a tiling grid."""
    wanted = spec.get("input")
    features = wanted.get("features") if isinstance(wanted, dict) else None
    for store in ("s3", "gs"):
        place = features.get(store) if isinstance(features, dict) else None
        url = place.get("url") if isinstance(place, dict) else None
        if isinstance(url, str):
            return url
    return ""


def _with_marker(body: Object, marker: Marker) -> Object:
    description = body.get("description")
    text = description if isinstance(description, str) else ""
    return {**body, "description": with_marker(text, str(marker))}


def _skipping(body: Object) -> Object:
    """Leave alone what an earlier attempt has delivered. Source: schema BatchV2RasterOutput."""
    output = cast("Object", body.get("output") or {})
    return {**body, "output": {**output, "skipExisting": True}}


def _copied_task(name: str) -> str:
    """Read the name of a file: whose request it is a copy of. The form is an assumption."""
    match = _COPY.fullmatch(name)
    return "" if match is None else match[1].lower()


API = JobApi(
    kind="BatchProcess",
    api="v2",
    listing=_listing(),
    get=_get,
    analyse=_analyse,
    start=_start,
    stop=_stop,
    create=_create,
    task_of=task_of,
    delivery=delivery_of,
    with_marker=_with_marker,
    skipping=_skipping,
    outcome_file=lambda task: f"execution-{task}.sqlite",
    feature_file=feature_file_of,
    sizing=batch_sizing,
    price=batch_v2_cost,
    copy_prefix="request-",
    copied_task=_copied_task,
)


class BatchProcess:
    """The provider of the kind."""

    kind = "BatchProcess"
    nature = Nature.JOB
    natural_key: tuple[str, ...] = ()
    members_field: str | None = None
    script_path: Path | None = ("processRequest", "evalscript")
    text_field: str | None = None
    secret_fields = frozenset({"accessKey", "secretAccessKey", "credentials"})
    # A job is compared by its run key, never field by field.
    rules = FieldRules()

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what a schema cannot: grid, area, outputs, places, keys, and what means nothing."""
        return [*_ignoring(desired), *check_batch(desired, tables)]

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Find all tasks by one list; a job that has its receipt is not looked for."""
        return refresh_jobs(API, wanted, surroundings)

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Decide by the run key; see `job_decide`."""
        return (decide_job(API, wanted, observation, surroundings),)

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see: nothing before the run has its receipt."""
        run = view_of(observation).run if isinstance(observation, Observed) else None
        receipt = None if run is None else run.receipt
        if receipt is None or change.action is not Action.NOOP:
            return None
        return {"id": receipt.id, "key": receipt.key, "status": receipt.status}

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry one change out."""
        return apply_job(API, change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Bind a task by its id: what its echo or the ledger shows to be this run."""
        return confirm_job(API, desired, confirmed, surroundings)


def _ignoring(desired: Desired) -> list[Diagnostic]:
    if not desired.lifecycle.ignore_changes:
        return []
    return [
        Diagnostic(
            code="run/ignore-changes",
            summary="Nothing to ignore",
            what=f"{desired.address} is a job, and `ignoreChanges` says nothing of jobs.",
            why="A job is not compared field by field: another request is another run.",
            hint="remove it",
            span=desired.source.span(("metadata", "lifecycle", "ignoreChanges")),
            address=str(desired.address.base),
        )
    ]
