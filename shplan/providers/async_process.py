"""
`AsyncProcess`: one asynchronous request for an image that is delivered into a bucket.

Facts: the API description's operations of `/async/v1/process` and the documentation's page on
asynchronous processing. A request runs, and is paid, as it is created; there is no list, nothing
stops it, and the service forgets it when it is over. Its marker is a comment on the last line of its
evalscript, and `{{ run.key }}` in its path where the user writes that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from shplan.core.diagnostic import Diagnostic
from shplan.core.image_size import Sizing
from shplan.core.marker import Marker, script_with_marker
from shplan.core.prices import async_cost
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.providers.async_traces import COPY, ERROR, delivery_of, shown, trace_of, witnesses_of
from shplan.providers.delivery_checks import check_async
from shplan.providers.job import JobApi, Phase, Task
from shplan.providers.job_kind import JobKind
from shplan.providers.job_outcome import Features
from shplan.providers.steps import Flow

REQUESTS = "/async/v1/process"
REQUEST = "/async/v1/process/{requestId}"


def _create(body: Object) -> ApiRequest:
    operation = "createNewAsyncProcessRequest"
    return ApiRequest(operation, "POST", REQUESTS, Effect.CREATE, body=body)


def _get(task: Value) -> ApiRequest:
    return ApiRequest("getStatusAsyncRequest", "GET", REQUEST, Effect.READ, {"requestId": task})


def _never(task: Value) -> NoReturn:
    message = f"asynchronous request {task} is neither analysed, started nor stopped"
    raise AssertionError(message)


def task_of(answered: Mapping[str, JsonValue]) -> Task:
    """Read a request. Source: schema AsyncStatusResponse, which knows one status."""
    return Task(str(answered["id"]), "", Phase.RUNNING, str(answered.get("status") or "RUNNING"))


def _with_marker(body: Object, marker: Marker) -> Object:
    script = body.get("evalscript")
    if not isinstance(script, str):
        return body
    return {**body, "evalscript": script_with_marker(script, str(marker))}


def _no_features(delivery: str, task: str) -> Flow[Features | None]:
    """Return that a request has no features of which some could fail: it fails as a whole."""
    del delivery, task
    yield from ()
    return Features(0, 0)


API = JobApi(
    kind="AsyncProcess",
    api="v1",
    listing=None,
    get=_get,
    analyse=_never,
    start=_never,
    stop=_never,
    create=_create,
    task_of=task_of,
    delivery=delivery_of,
    with_marker=_with_marker,
    skipping=lambda _: None,
    outcome_file=lambda _: "",
    feature_file=lambda _: "",
    sizing=lambda _: Sizing({}),
    price=async_cost,
    copy_prefix="",
    copied_task=lambda _: "",
    starts_at_once=True,
    overwrites=True,
    beside=(COPY, ERROR),
    features=_no_features,
    trace=trace_of,
    witnesses=witnesses_of,
    shown=shown,
)


class AsyncProcess(JobKind):
    """The provider of the kind."""

    def __init__(self) -> None:
        super().__init__(API, script_path=("evalscript",))

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what a schema cannot: times, sizes, outputs, places, keys."""
        return [*super().check(desired, tables), *check_async(desired)]
