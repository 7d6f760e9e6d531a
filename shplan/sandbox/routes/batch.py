"""
Batch processing, version 2: create, list, get, update, the three actions, and the tiling grids.

Source: the `batch_v2` operations of the OpenAPI document; the batch pages; the reference's open
questions, each of which is a setting. There is no DELETE. Paths are in the newer style; the older
is an alias.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import batch_files, batch_requests, byoc_rows
from shplan.sandbox import batch_rows as rows
from shplan.sandbox import batch_states as states
from shplan.sandbox.batch_states import IllegalActionError
from shplan.sandbox.errors import (
    BAD_PAYLOAD,
    INSUFFICIENT_PROCESSING_UNITS,
    ApiError,
    bad_payload,
    forbidden,
    not_found,
    violation,
)
from shplan.sandbox.grids import grids
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.paging import links, page
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.batch_rows import Task
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World


def routes(world: World) -> list[Route]:
    """The routes of tasks and tiling grids."""
    base, one = "/batch/v2/process", "/batch/v2/process/{task}"
    table = {
        base: {
            "GET": Operation(list_tasks),
            "POST": Operation(create, body="createNewBatchV2ProcessingRequest"),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateBatchV2ProcessRequest"),
        },
        f"{one}/analyse": {"POST": Operation(analyse)},
        f"{one}/start": {"POST": Operation(start)},
        f"{one}/stop": {"POST": Operation(stop)},
        "/batch/v2/tilinggrids": {"GET": Operation(list_grids)},
        "/batch/v2/tilinggrids/{grid}": {"GET": Operation(get_grid)},
    }
    return [route(world, path, operations) for path, operations in table.items()]


def owned(call: Call) -> Task:
    """
    The caller's task.

    Raises:
        ApiError: 404 if there is none, 403 (or 404, by a setting) if it is somebody else's
    """
    task = rows.find(call.store, call.params["task"])
    visible_ms = call.now_ms - round(call.settings.get_lag_s * 1000)
    if task is None or task.created_ms > visible_ms:
        raise not_found(f"Batch request {call.params['task']} not found.")
    if task.account != call.account:
        if call.settings.foreign_objects == 403:
            raise forbidden()
        raise not_found(f"Batch request {call.params['task']} not found.")
    return task


def create(call: Call) -> Reply:
    """A new task, never started by itself; the copy of its request is written at once."""
    _refuse_the_poor(call)
    batch_requests.check(call.body)
    for collection_id in batch_requests.collections_of(call.body):
        collection = byoc_rows.find_collection(call.store, collection_id)
        if collection is None or collection.account != call.account:
            raise bad_payload(f"Collection {collection_id} not found.")
    with call.store.writing():
        task = rows.insert(
            call.store,
            task_id=call.store.mint("batch"),
            account=call.account,
            request=call.body if call.settings.echo_secrets else rows.masked(call.body),
            now_ms=call.now_ms,
        )
        try:
            batch_files.write_request(call.world, task)
        except ObjectStoreError as error:
            raise violation("output->delivery", f"cannot be written to: {error}") from error
    return Reply(201, task.as_text())


def _refuse_the_poor(call: Call) -> None:
    """Source: the batch pages: an account needs 1000 processing units to create a task."""
    limit, required = call.settings.account_pu, call.settings.batch_required_pu
    if limit is None or limit - call.store.charged(call.account) >= required:
        return
    msg = "There are insufficient processing units available in your account."
    raise ApiError(403, INSUFFICIENT_PROCESSING_UNITS, msg)


def list_tasks(call: Call) -> Reply:
    """A page of the caller's tasks, with their requests."""
    asked = page(call.query, key=str)
    order = call.query.get("sort", call.settings.batch_list_order)
    if order not in rows.ORDERS and "sort" in call.query:
        raise violation("sort", f"must be one of {', '.join(rows.ORDERS)}")
    found = rows.page(
        call.store,
        account=call.account,
        until_ms=call.now_ms - round(call.settings.list_lag_s * 1000),
        asked=asked,
        order=order,
    )
    if found is None:
        raise violation("viewtoken", "is not a token of this list")
    tasks, more = found
    ends = [rows.key_of(task, order) for task in (tasks[0], tasks[-1])] if tasks else [None, None]
    around = links(call.url, asked, first=ends[0], last=ends[1], more=more)
    data = ",".join(task.as_text() for task in tasks)
    return Reply(200, f'{{"data":[{data}],"links":{encode(around)}}}')


def get(call: Call) -> Reply:
    """One task."""
    return Reply(200, owned(call).as_text())


def update(call: Call) -> Reply:
    """Overwrite the description, and nothing else; an omitted one stays."""
    with call.store.writing():
        task = owned(call)
        if states.is_queued_or_running(task.standing):
            msg = f"A request with userAction {task.action} and status {task.status} cannot be updated."
            raise ApiError(409, BAD_PAYLOAD, msg)
        request = task.content
        if "description" in call.body:
            request["description"] = call.body["description"]
            rows.change(call.store, task, request=encode(request), updated_ms=call.now_ms)
    return Reply(200, encode(request))


def analyse(call: Call) -> Reply:
    """Ask for the analysis."""
    return _act(call, states.ANALYSE)


def start(call: Call) -> Reply:
    """Ask for processing, after an analysis if there was none; this is what costs."""
    return _act(call, states.START)


def stop(call: Call) -> Reply:
    """Stop; an analysis that runs is completed first."""
    return _act(call, states.STOP)


def _act(call: Call, wanted: str) -> Reply:
    with call.store.writing():
        task = owned(call)
        try:
            move = states.act(task.standing, wanted, settings=call.settings, now_ms=call.now_ms)
        except IllegalActionError as error:
            raise bad_payload(str(error)) from error
        if move is not None:
            since_ms = task.since_ms if move.status == task.status else call.now_ms
            rows.change(
                call.store,
                task,
                status=move.status,
                since_ms=since_ms,
                due_ms=move.due_ms,
                reason=move.reason,
                action=wanted,
                action_ms=call.now_ms,
                updated_ms=call.now_ms,
                starts=task.starts + (wanted == states.START),
            )
    return Reply(204)


def list_grids(call: Call) -> Reply:
    """A page of tiling grids by identifier."""
    asked = page(call.query, key=int)
    beyond = [
        identifier
        for identifier in sorted(grids())
        if asked.key is None
        or (identifier < int(asked.key) if asked.backward else identifier > int(asked.key))
    ]
    found = beyond[-asked.count :] if asked.backward else beyond[: asked.count]
    first, last = (found[0], found[-1]) if found else (None, None)
    content: JsonObject = {
        "data": [grids()[identifier].as_json() for identifier in found],
        "links": links(call.url, asked, first=first, last=last, more=len(beyond) > len(found)),
    }
    return Reply(200, encode(content))


def get_grid(call: Call) -> Reply:
    """
    One tiling grid.

    Source: operation `getBatchV2TilingGridProperties`, which knows 400 and no 404.
    """
    text = call.params["grid"]
    known = {str(identifier): grid for identifier, grid in grids().items()}
    if text not in known:
        raise violation("id", "is not the id of a tiling grid")
    return Reply(200, encode(known[text].as_json()))
