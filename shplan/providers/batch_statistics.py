"""
`BatchStatistics`: a task of the Batch Statistical API.

Facts: the API description's operations of `/statistics/batch/v1` and the documentation's page on
batch statistics. A request has no description: its marker is a comment on the last line of its
evalscript, and a script that lies in a bucket carries none. There is no DELETE.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from shplan.core.compare import instant
from shplan.core.diagnostic import Diagnostic
from shplan.core.image_size import statistics_sizing
from shplan.core.key_format import holds_key, put_key
from shplan.core.marker import Marker, read_script_marker, script_with_marker
from shplan.core.prices import batch_statistics_cost
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.batch_process import phase_of
from shplan.providers.delivery_checks import check_statistics
from shplan.providers.job import JobApi, Phase, Task
from shplan.providers.job_kind import JobKind
from shplan.providers.places import url_of
from shplan.providers.statistics_results import results_of, trace_of, witnesses_of

TASKS = "/statistics/batch/v1"
TASK = "/statistics/batch/v1/{requestId}"
# Source: documentation of batch statistics; a longer script lies in a bucket.
MOST_SCRIPT_BYTES = 32 * 1024
# Source: schema S3BucketInfoTemplated: what a plain prefix is equivalent to.
BELOW_PREFIX = "/<REQUEST_ID>/<ID>.json"
PLACEHOLDERS = ("<REQUEST_ID>", "<ID>", "<IDENTIFIER>")
PARTIAL, OUT_OF_PU = "PARTIAL", "OUT_OF_PU"
_USUAL_MARKER_BYTES = 200
_COLUMNS = (
    "id",
    "created",
    "status",
    "userAction",
    "userActionUpdated",
    "lastUpdated",
    "completionPercentage",
    "costPu",
    "costPU",
    "error",
    "stoppedStatusReason",
    "projectId",
    "domainAccountId",
    "request",
)


def _listing() -> ApiRequest:
    return ApiRequest("searchBatchStatisticsRequests", "GET", TASKS, Effect.READ, columns=_COLUMNS)


def _create(body: Object) -> ApiRequest:
    operation = "createNewBatchStatisticsRequest"
    return ApiRequest(operation, "POST", TASKS, Effect.CREATE, body=body)


def _get(task: Value) -> ApiRequest:
    operation = "getSingleBatchStatisticalRequestById"
    return ApiRequest(operation, "GET", TASK, Effect.READ, {"requestId": task})


def _analyse(task: Value) -> ApiRequest:
    return _action("batchStatisticalAnalyse", "analyse", task)


def _start(task: Value) -> ApiRequest:
    return _action("batchStartStatisticalRequest", "start", task)


def _stop(task: Value) -> ApiRequest:
    return _action("batchStopStatisticalRequest", "stop", task)


def _action(operation: str, verb: str, task: Value) -> ApiRequest:
    return ApiRequest(operation, "POST", f"{TASK}/{verb}", Effect.ACTION, {"requestId": task})


def task_of(listed: Mapping[str, JsonValue]) -> Task:
    """
    Read a task. Source: schema BatchStatisticsTaskDto.

    The document spells the cost `costPu`, answers of the service `costPU`. PARTIAL, which only the
    document knows, is done: the failed features are told by their files.
    """
    status, action = str(listed.get("status")), str(listed.get("userAction") or "NONE")
    request = listed.get("request")
    echo = request if isinstance(request, dict) else None
    cost, percent = listed.get("costPu", listed.get("costPU")), listed.get("completionPercentage")
    if cost is None:
        cost = listed.get("costPU")
    stopped = str(listed.get("stoppedStatusReason") or "")
    causes = (listed.get("error"), stopped)
    return Task(
        id=str(listed["id"]),
        created=str(listed.get("created") or ""),
        phase=Phase.DONE if status == PARTIAL else phase_of(status, action, stopped),
        status=status,
        analysed=status in ("ANALYSING", "ANALYSIS_DONE") or action == "ANALYSE",
        percent=float(percent) if isinstance(percent, int | float) else 0.0,
        cost_pu=float(cost) if isinstance(cost, int | float) else None,
        cause="; ".join(str(one) for one in causes if one),
        acted=str(listed.get("userActionUpdated") or ""),
        restart_at=_restart_at(listed) if stopped == OUT_OF_PU else "",
        account=str(listed.get("projectId") or listed.get("domainAccountId") or ""),
        description=_marker_in(echo),
        request=echo,
    )


def _restart_at(listed: Mapping[str, JsonValue]) -> str:
    """Source: documentation of batch statistics: who ran out of units waits for an hour."""
    stopped = instant(str(listed.get("lastUpdated") or ""))
    return "" if stopped is None else (stopped + timedelta(hours=1)).isoformat()


def _marker_in(echo: JsonObject | None) -> str:
    aggregation = (echo or {}).get("aggregation")
    script = aggregation.get("evalscript") if isinstance(aggregation, dict) else None
    marker = read_script_marker(script) if isinstance(script, str) else None
    return "" if marker is None else str(marker)


def _with_marker(body: Object, marker: Marker) -> Object:
    """Write the marker into the script, unless that would make it longer than the service takes."""
    aggregation = body.get("aggregation")
    script = aggregation.get("evalscript") if isinstance(aggregation, dict) else None
    if not isinstance(script, str):
        return body
    marked = script_with_marker(script, str(marker))
    if len(marked.encode()) >= MOST_SCRIPT_BYTES:
        return body
    return {**body, "aggregation": {**cast("Object", aggregation), "evalscript": marked}}


def delivery_of(spec: Object) -> str:
    """Return the template that results go to, empty where none is stated or it is not known."""
    url = url_of(spec.get("output"))
    return url if not url or "<" in url else url.rstrip("/") + BELOW_PREFIX


def feature_file_of(spec: Object) -> str:
    """Return the URL of the GeoPackage whose features are measured."""
    wanted = spec.get("input")
    return url_of(wanted.get("features") if isinstance(wanted, dict) else None)


def _shown(spec: Object, key: str) -> tuple[str, ...]:
    features, delivery = feature_file_of(spec), delivery_of(spec)
    told = (
        features and f"measures the features of {features}",
        delivery and f"delivers {put_key(delivery, key) if key else delivery}",
        "" if holds_key(delivery) or _takes_marker(spec) else _UNNAMED,
    )
    return tuple(one for one in told if one)


_UNNAMED = (
    "nothing of it can carry its key: without the ledger it would be paid again; write"
    " `{{ run.key }}` into its path"
)


def _takes_marker(spec: Object) -> bool:
    """Tell whether a marker of the usual length fits into the script; an unknown one may be short."""
    aggregation = spec.get("aggregation")
    if not isinstance(aggregation, dict) or "evalscriptReference" in aggregation:
        return False
    script = aggregation.get("evalscript")
    room = MOST_SCRIPT_BYTES - _USUAL_MARKER_BYTES
    return not isinstance(script, str) or len(script.encode(errors="replace")) < room


API = JobApi(
    kind="BatchStatistics",
    api="v1",
    listing=_listing(),
    get=_get,
    analyse=_analyse,
    start=_start,
    stop=_stop,
    create=_create,
    task_of=task_of,
    delivery=delivery_of,
    with_marker=_with_marker,
    skipping=lambda _: None,
    outcome_file=lambda _: "",
    feature_file=feature_file_of,
    sizing=statistics_sizing,
    price=batch_statistics_cost,
    copy_prefix="",
    copied_task=lambda _: "",
    overwrites=True,
    beside=(),
    features=results_of,
    trace=lambda given, key, task: trace_of(given, key, task, delivery=delivery_of(given.request)),
    witnesses=lambda given, key, known: witnesses_of(
        key, known, delivery=delivery_of(given.request)
    ),
    shown=_shown,
)


class BatchStatistics(JobKind):
    """The provider of the kind."""

    def __init__(self) -> None:
        super().__init__(API, script_path=("aggregation", "evalscript"))

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what a schema cannot: times, sizes, outputs, places, keys."""
        return [*super().check(desired, tables), *check_statistics(desired)]
