"""
`BatchProcess`: a Batch Processing V2 task, or one of V1 with `run.api: v1` (`batch_v1`).

Facts: the API description's operations of `/batch/v2/process` and the documentation's page on
Batch V2. There is no DELETE: a task that is no longer wanted can only be stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from shplan.core.diagnostic import Diagnostic
from shplan.core.image_size import batch_sizing
from shplan.core.prices import batch_v2_cost
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.batch_checks import check_batch
from shplan.providers.batch_collection_checks import check_collection
from shplan.providers.job import JobApi, Phase, Task, in_description
from shplan.providers.job_kind import JobKind
from shplan.providers.job_witness import COPY_PREFIX, copied_task
from shplan.providers.places import url_of

V1, V2 = "v1", "v2"
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
        phase=phase_of(status, action, str(listed.get("stoppedStatusReason") or "")),
        status=status,
        analysed=status in ("ANALYSING", "ANALYSIS_DONE") or action == "ANALYSE",
        percent=float(percent) if isinstance(percent, int | float) else 0.0,
        cost_pu=float(cost) if isinstance(cost, int | float) else None,
        cause=_cause(listed),
        acted=str(listed.get("userActionUpdated") or ""),
        account=str(account or ""),
        description=str(description or ""),
        request=echo,
        collection=_collection_of(echo),
    )


def phase_of(status: str, action: str, stopped: str) -> Phase:
    """Return where a task stands, by its status, its last user action, and why it was stopped."""
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
    return url_of(output.get("delivery") if isinstance(output, dict) else None)


def feature_file_of(spec: Object) -> str:
    """Return the URL of the GeoPackage that a request processes, empty for a tiling grid."""
    wanted = spec.get("input")
    return url_of(wanted.get("features") if isinstance(wanted, dict) else None)


def _skipping(body: Object) -> Object | None:
    """
    Leave alone what an earlier attempt has delivered; a Zarr group has no such option.

    Source: schemas BatchV2RasterOutput, BatchV2ZarrOutput.
    """
    output = cast("Object", body.get("output") or {})
    if output.get("type") == "zarr":
        return None
    return {**body, "output": {**output, "skipExisting": True}}


def _collection_of(request: JsonObject | None) -> str:
    """Return the collection that a task fills, as its echo says: it was named, or it was made."""
    output = (request or {}).get("output")
    collection = output.get("collectionId") if isinstance(output, dict) else None
    return collection if isinstance(collection, str) else ""


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
    with_marker=in_description,
    skipping=_skipping,
    outcome_file=lambda task: f"execution-{task}.sqlite",
    feature_file=feature_file_of,
    sizing=batch_sizing,
    price=batch_v2_cost,
    copy_prefix=COPY_PREFIX,
    copied_task=copied_task,
)


class BatchProcess(JobKind):
    """The provider of the kind."""

    def __init__(self) -> None:
        super().__init__(API, script_path=("processRequest", "evalscript"))

    def api_of(self, version: object) -> JobApi:
        """Return Batch V2, or V1 where that is asked for."""
        if version != V1:
            return super().api_of(version)
        from shplan.providers import batch_v1  # noqa: PLC0415 - where it is asked for

        return batch_v1.API

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what a schema cannot: grid, area, outputs, places, keys, and what means nothing."""
        found = super().check(desired, tables)
        if desired.run.get("api") == V1:
            from shplan.providers.batch_v1_checks import check_batch_v1  # noqa: PLC0415 - if asked

            return [*found, *check_batch_v1(desired, tables)]
        return [*found, *check_batch(desired, tables), *check_collection(desired)]
