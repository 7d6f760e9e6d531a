"""
Batch processing, version 2: create, list, get, update, the three actions, and the tiling grids.

Source: the `batch_v2` operations of the OpenAPI document; the batch pages; the reference's open
questions, each of which is a setting. There is no DELETE. Paths are in the newer style; the older
is an alias.
"""

# ruff: noqa: EM101  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import batch_files, batch_requests, units
from shplan.sandbox import batch_rows as rows
from shplan.sandbox import batch_states as states
from shplan.sandbox.errors import violation
from shplan.sandbox.grids import grids
from shplan.sandbox.lists import named, terms_of
from shplan.sandbox.masking import masked
from shplan.sandbox.paging import page
from shplan.sandbox.routes import tasks
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, route
from shplan.sandbox.task_table import Condition
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.batch_rows import Task
    from shplan.sandbox.world import World


DESCRIPTION = "json_extract(request, '$.description')"


def routes(world: World) -> list[Route]:
    """The routes of tasks and tiling grids."""
    base, one = "/batch/v2/process", "/batch/v2/process/{task}"
    table = {
        base: {
            "GET": Operation(list_tasks),
            "POST": Operation(
                create,
                body="createNewBatchV2ProcessingRequest",
                script_at=("processRequest", "evalscript"),
            ),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateBatchV2ProcessRequest"),
        },
        f"{one}/analyse": {"POST": Operation(analyse)},
        f"{one}/start": {"POST": Operation(start)},
        f"{one}/stop": {"POST": Operation(stop)},
    }
    grids = {
        "/batch/v2/tilinggrids": {"GET": Operation(list_grids)},
        "/batch/v2/tilinggrids/{grid}": {"GET": Operation(get_grid)},
    }
    return [
        *(route(world, path, operations) for path, operations in table.items()),
        *(route(world, path, operations, tells_tasks=False) for path, operations in grids.items()),
    ]


def owned(call: Call) -> Task:
    """
    The caller's task.

    Raises:
        ApiError: as for `tasks.owned`
    """
    return tasks.owned(call, rows.TASKS, "task")


def create(call: Call) -> Reply | Later:
    """A new task, never started by itself; the copy of its request is written at once."""
    _refuse_the_poor(call)
    batch_requests.check(call.body)
    for collection_id in batch_requests.collections_of(call.body):
        tasks.refuse_unknown_byoc(call, collection_id)
    request = call.body if call.settings.echo_secrets else masked(call.body)

    def copy(task_id: str) -> tuple[Place, bytes]:
        delivery = batch_requests.delivery_of(request, task_id=task_id)
        return batch_files.copy(delivery, task_id, request)

    def insert(task_id: str) -> Reply:
        task = rows.insert(
            call.store,
            task_id=task_id,
            account=call.account,
            request=request,
            now_ms=call.now_ms,
        )
        return Reply(201, task.as_text())

    return tasks.created(call, "batch", copy, insert, place="output->delivery")


def _refuse_the_poor(call: Call) -> None:
    """Source: the batch pages: an account needs 1000 processing units to create a task."""
    if units.left(call.world, call.account) < call.settings.batch_required_pu:
        raise units.insufficient()


def list_tasks(call: Call) -> Reply:
    """
    A page of the caller's tasks, with their requests.

    Source: the parameters `search` and `userid`, which the document dropped and the released
    Python client sends; a search is one of descriptions, a user is an account here.
    """
    text, words = named(terms_of(call.query.get("search", "")), column=DESCRIPTION)
    conditions = [Condition(f"1{text}", tuple(words))]
    if "userid" in call.query:
        conditions.append(Condition("account = ?", (call.query["userid"].lower(),)))
    return tasks.listed(call, rows.TASKS, conditions=tuple(conditions))


def get(call: Call) -> Reply:
    """One task."""
    return Reply(200, owned(call).as_text())


def update(call: Call) -> Reply:
    """Overwrite the description, and nothing else; an omitted one stays."""
    with call.store.writing():
        task = owned(call)
        if states.is_queued_or_running(task.standing):
            raise tasks.busy(task, "updated")
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
    return tasks.acted(call, rows.TASKS, "task", wanted, decide=states.act)


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
    texts = [encode(grids()[identifier].as_json()) for identifier in found]
    return tasks.listing(call, asked, texts, keys=found, more=len(beyond) > len(found))


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
