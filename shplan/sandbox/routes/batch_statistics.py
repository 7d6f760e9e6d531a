"""
Batch statistics: create, list, get, status, and the three actions.

Source: the `batch_statistical` operations of the OpenAPI document; the pages on batch statistics. There is no PUT and
no DELETE. `cancel` is what older clients call `stop`. Paths are in the newer style; the older is an alias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_states, batch_statistics_requests, batch_statistics_states, units
from shplan.sandbox import batch_statistics_rows as rows
from shplan.sandbox.batch_requests import BYOC
from shplan.sandbox.masking import masked
from shplan.sandbox.routes import tasks
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

ANALYSE, START, STOP = batch_states.ANALYSE, batch_states.START, batch_states.STOP


def routes(world: World) -> list[Route]:
    """The routes of tasks."""
    base, one = "/statistics/batch/v1", "/statistics/batch/v1/{task}"
    create_one = Operation(
        create,
        body="createNewBatchStatisticsRequest",
        script_at=("aggregation", "evalscript"),
    )
    table = {
        base: {"GET": Operation(list_tasks), "POST": create_one},
        one: {"GET": Operation(get)},
        f"{one}/status": {"GET": Operation(status)},
        f"{one}/analyse": {"POST": Operation(analyse)},
        f"{one}/start": {"POST": Operation(start)},
        f"{one}/stop": {"POST": Operation(stop)},
        f"{one}/cancel": {"POST": Operation(stop)},
    }
    return [route(world, path, operations) for path, operations in table.items()]


def owned(call: Call) -> rows.Task:
    """
    The caller's task.

    Raises:
        ApiError: as for `tasks.owned`
    """
    return tasks.owned(call, rows.TASKS, "task")


def create(call: Call) -> Reply:
    """A new task, never started by itself."""
    _refuse_the_poor(call)
    batch_statistics_requests.check(call.body)
    data = cast("list[JsonObject]", cast("JsonObject", call.body["input"])["data"])
    for kind in (str(one["type"]) for one in data):
        if kind.startswith(BYOC):
            tasks.refuse_unknown_byoc(call, kind.removeprefix(BYOC))
    with call.store.writing():
        task = rows.insert(
            call.store,
            task_id=call.store.mint("batch-statistics"),
            account=call.account,
            request=call.body if call.settings.echo_secrets else masked(call.body),
            now_ms=call.now_ms,
        )
    return Reply(201, task.as_text())


def _refuse_the_poor(call: Call) -> None:
    """Source: the pages on batch statistics: so many units are needed to create, analyse and start."""
    if units.left(call.world, call.account) < call.settings.batch_required_pu:
        raise units.insufficient()


def list_tasks(call: Call) -> Reply:
    """A page of the caller's tasks, with their requests."""
    return tasks.listed(call, rows.TASKS)


def get(call: Call) -> Reply:
    """One task."""
    return Reply(200, owned(call).as_text())


def status(call: Call) -> Reply:
    """What of a task changes, without its request; clients ask for it again and again."""
    return Reply(200, owned(call).status_text())


def analyse(call: Call) -> Reply:
    """Ask for the analysis."""
    return _act(call, ANALYSE)


def start(call: Call) -> Reply:
    """Ask for processing, after an analysis if there was none; this is what costs."""
    return _act(call, START)


def stop(call: Call) -> Reply:
    """Stop; an analysis that runs is completed first."""
    return _act(call, STOP)


def _act(call: Call, wanted: str) -> Reply:
    owned(call)
    if wanted != STOP:
        _refuse_the_poor(call)
    return tasks.acted(call, rows.TASKS, "task", wanted, decide=batch_statistics_states.act)
