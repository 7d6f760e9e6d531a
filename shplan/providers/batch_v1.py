"""
Batch Processing V1: `BatchProcess` with `run.api: v1`.

The service has dropped it, deployments of one's own and the sandbox still speak it. It differs from
V2 in what decisions look at: its analysis estimates the cost, its tiles are listed with their causes
and costs, it repeats the failed tiles of a task that is partly done, what was cancelled never goes
on, and a task of which no tile was processed can be deleted. Source: the older batch reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from shplan.core.cost import Cost, CostTerm, pu_text
from shplan.core.image_size import batch_sizing
from shplan.core.key_format import put_key
from shplan.core.paths import REQUEST_ID, is_template, template_root
from shplan.core.prices import PriceInput, batch_v2_cost
from shplan.core.request import ApiRequest, Effect
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.batch_v1_body import delivery_of, in_version_2, skipping
from shplan.providers.job import JobApi, Part, Parts, Phase, Task, in_description
from shplan.providers.job_outcome import Trace
from shplan.providers.job_parts import whole_parts
from shplan.providers.job_witness import COPY_PREFIX, copied_task
from shplan.providers.places import bucket_and_key
from shplan.providers.steps import File, Flow, Look

TASKS = "/api/v1/batch/process"
TASK = "/api/v1/batch/process/{requestId}"
TILES = f"{TASK}/tiles"
# What a body has; everything else in an answer is the server's own. Source: BatchProcessRequest.
_BODY = (
    "processRequest",
    "tilingGrid",
    "tilingGridId",
    "resolution",
    "output",
    "bucketName",
    "zarrOutput",
    "description",
)
_COLUMNS = (
    "id",
    "created",
    "status",
    "userAction",
    "userActionUpdated",
    "valueEstimate",
    "error",
    "accountId",
    "userId",
    *_BODY,
)
_TILE_COLUMNS = ("id", "status", "error", "cost", "origin")
_PHASES = {
    "DONE": Phase.DONE,
    "PARTIAL": Phase.PARTLY,
    "FAILED": Phase.ENDED,
    "CANCELED": Phase.ENDED,
}
# The reference calls a tile that is done PROCESSED in its schema and DONE in its prose.
_DONE_TILE = frozenset({"PROCESSED", "DONE"})
# Source: the older batch pages: the estimate leaves out the batch discount, and no batch request
# costs less than 100 PU.
_DISCOUNT = 3
_MINIMUM_PU = 100.0


def _listing() -> ApiRequest:
    return ApiRequest("getAllBatchProcessRequests", "GET", TASKS, Effect.READ, columns=_COLUMNS)


def _create(body: Object) -> ApiRequest:
    return ApiRequest("createNewBatchProcessingRequest", "POST", TASKS, Effect.CREATE, body=body)


def _get(task: Value) -> ApiRequest:
    operation = "getSingleBatchProcessRequestById"
    return ApiRequest(operation, "GET", TASK, Effect.READ, {"requestId": task})


def _delete(task: Value) -> ApiRequest:
    operation = "deleteBatchProcessRequest"
    return ApiRequest(operation, "DELETE", TASK, Effect.DELETE, {"requestId": task})


def _analyse(task: Value) -> ApiRequest:
    return _action("batchAnalyse", "analyse", task)


def _start(task: Value) -> ApiRequest:
    return _action("batchStartProcessRequest", "start", task)


def _cancel(task: Value) -> ApiRequest:
    return _action("batchCancelProcessRequest", "cancel", task)


def _restart(task: Value) -> ApiRequest:
    return _action("batchRestartPartialProcessRequest", "restartpartial", task)


def _action(operation: str, verb: str, task: Value) -> ApiRequest:
    return ApiRequest(operation, "POST", f"{TASK}/{verb}", Effect.ACTION, {"requestId": task})


def _tiles(task: Value) -> ApiRequest:
    return ApiRequest(
        "getAllBatchProcessTiles",
        "GET",
        TILES,
        Effect.READ,
        {"requestId": task},
        columns=_TILE_COLUMNS,
    )


def task_of(listed: Mapping[str, JsonValue]) -> Task:
    """
    Read a task. Source: schema BatchProcessRequest, which is the body and what became of it.

    Whoever sees `userAction: START` sees a task that will be billed, whatever its status says yet.
    """
    status, action = str(listed.get("status")), str(listed.get("userAction") or "NONE")
    output, estimate = listed.get("output"), listed.get("valueEstimate")
    collection = output.get("collectionId") if isinstance(output, dict) else None
    request: JsonObject = {name: listed[name] for name in _BODY if listed.get(name) is not None}
    return Task(
        id=str(listed["id"]),
        created=str(listed.get("created") or ""),
        phase=_phase(status, action),
        status=status,
        analysed=status in ("ANALYSING", "ANALYSIS_DONE") or action == "ANALYSE",
        cause=str(listed.get("error") or ""),
        acted=str(listed.get("userActionUpdated") or ""),
        account=str(listed.get("accountId") or listed.get("userId") or ""),
        description=str(listed.get("description") or ""),
        request=request,
        estimate_pu=_number(estimate),
        collection=collection if isinstance(collection, str) else "",
    )


def _phase(status: str, action: str) -> Phase:
    if status in _PHASES:
        return _PHASES[status]
    if action == "CANCEL":
        # An analysis is completed first; nothing but its end follows.
        return Phase.ENDED
    running = status == "PROCESSING" or action == "START"
    return Phase.RUNNING if running else Phase.WAITING


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def estimate_of(task: Task) -> Cost | None:
    """
    Return what the service estimates a task to cost, None before its analysis.

    `valueEstimate` leaves out the batch discount. For ORBIT and TILE it counts one acquisition for
    three days, so that it is an expectation; it is taken for the maximum all the same, because it
    is the service's word on the matter.
    """
    if task.estimate_pu is None:
        return None
    cost = max(task.estimate_pu / _DISCOUNT, _MINIMUM_PU)
    label = (
        f"process it, as the service estimates: {pu_text(task.estimate_pu)} PU before the discount"
    )
    source = "`valueEstimate`, with the batch discount of a third and the minimum of a request"
    return Cost(cost, cost, cost, (CostTerm(label, 1, cost, source),))


def _part_of(listed: Mapping[str, JsonValue]) -> Part:
    status = str(listed.get("status"))
    failed = status == "FAILED"
    cost = _number(listed.get("cost"))
    return Part(
        _named(listed),
        is_over=failed or status in _DONE_TILE,
        cause=str(listed.get("error") or "no cause given") if failed else None,
        cost_pu=cost or 0.0,
    )


def _named(listed: Mapping[str, JsonValue]) -> str:
    """Name a tile: answers have no `tileName`, and its corner is what people find it by."""
    origin = listed.get("origin")
    corner = origin.get("coordinates") if isinstance(origin, dict) else None
    if not isinstance(corner, list) or len(corner) != 2:
        return str(listed["id"])
    x, y = (f"{one:.10g}" if isinstance(one, int | float) else str(one) for one in corner)
    return f"{listed['id']} at {x}, {y}{_crs(cast('JsonObject', origin))}"


def _crs(origin: JsonObject) -> str:
    crs = origin.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    code = str(name or "").rpartition(":")[2]
    return f" EPSG:{code}" if code.isdecimal() else ""


def _price(asked: PriceInput) -> Cost | None:
    """Return our own price, which holds until the service has estimated it."""
    return batch_v2_cost(replace(asked, request=in_version_2(asked.request)))


def _trace(given: RunInput, key: RunKey, task: str) -> Flow[Trace | None]:
    """
    Say what the bucket tells of a task that is gone: that it was started, and what it delivered.

    Version 1 leaves no execution database: whoever knows how many tiles there can be knows
    whether all are there, and nobody whether one that is not has failed.
    """
    delivery = put_key(delivery_of(given.request), key.short).replace(REQUEST_ID, task)
    folder = delivery if is_template(delivery) else f"{delivery.rstrip('/')}/{task}/"
    bucket, prefix = bucket_and_key(template_root(folder) if is_template(folder) else folder)
    files: tuple[File, ...] | None = (yield Look(bucket, prefix)) if bucket else None
    delivered = [one.key for one in files or () if not copied_task(one.key.rpartition("/")[2])]
    if not delivered:
        return None
    whole = whole_parts(
        in_version_2(given.request),
        delivery_of(given.request),
        key=key.short,
        task=task,
        files=delivered,
    )
    return Trace(Phase.RUNNING, whole=whole)


API = JobApi(
    kind="BatchProcess",
    api="v1",
    listing=_listing(),
    get=_get,
    analyse=_analyse,
    start=_start,
    stop=_cancel,
    create=_create,
    task_of=task_of,
    delivery=delivery_of,
    with_marker=in_description,
    skipping=skipping,
    outcome_file=lambda _: "",
    feature_file=lambda _: "",
    sizing=batch_sizing,
    price=_price,
    copy_prefix=COPY_PREFIX,
    copied_task=copied_task,
    again=_restart,
    delete=_delete,
    stopped="CANCELED",
    resumes=False,
    estimate=estimate_of,
    parts=Parts(_tiles, _part_of, "tile"),
    trace=_trace,
    in_common_words=in_version_2,
)
