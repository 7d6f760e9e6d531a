"""
Batch processing, version 1: requests, their actions and tiles, and the tiling grids.

The service dropped it, clients still speak it. Source: the older batch reference; the batch pages;
what the Python client 3.11.1 sends and reads. It exists under the older paths alone.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_collection_rows as collections
from shplan.sandbox import batch_files, batch_requests, batch_states, batch_v1, units
from shplan.sandbox import batch_v1_requests as requests
from shplan.sandbox import batch_v1_rows as rows
from shplan.sandbox import batch_v1_states as states
from shplan.sandbox.batch_states import IllegalActionError
from shplan.sandbox.errors import (
    bad_payload,
    not_found,
    violation,
)
from shplan.sandbox.lists import named, terms_of
from shplan.sandbox.paging import page
from shplan.sandbox.routes import batch, tasks
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, route
from shplan.sandbox.task_table import Condition
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.batch_collection_rows import BatchCollection
    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.batch_v1_rows import Task
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

BASE = "/api/v1/batch"


def routes(world: World) -> list[Route]:
    """The routes of requests, tiles and tiling grids."""
    one = f"{BASE}/process/{{task}}"
    table = {
        f"{BASE}/process": {
            "GET": Operation(list_requests),
            "POST": Operation(
                create,
                body="createNewBatchProcessingRequest",
                script_at=("processRequest", "evalscript"),
            ),
        },
        one: {
            "GET": Operation(get),
            "PUT": Operation(update, body="updateBatchProcessRequest"),
            "DELETE": Operation(delete),
        },
        f"{one}/analyse": {"POST": Operation(analyse)},
        f"{one}/start": {"POST": Operation(start)},
        f"{one}/cancel": {"POST": Operation(cancel)},
        f"{one}/restartpartial": {"POST": Operation(restart)},
        f"{one}/tiles": {"GET": Operation(list_tiles)},
        f"{one}/tiles/{{tile}}": {"GET": Operation(get_tile)},
        f"{BASE}/tilinggrids": {"GET": Operation(batch.list_grids)},
        f"{BASE}/tilinggrids/{{grid}}": {"GET": Operation(batch.get_grid)},
    }
    return [route(world, path, operations) for path, operations in table.items()]


def owned(call: Call) -> Task:
    """
    The caller's request.

    Raises:
        ApiError: as for `tasks.owned`
    """
    return tasks.owned(call, rows.TASKS, "task")


def create(call: Call) -> Reply | Later:
    """A new request, never started by itself; the copy of it is written at once."""
    collection = _collection_of(call, call.body)
    url = requests.url_of(call.body, collection)
    requests.check(call.body, url, collection)
    _refuse_unknown_data(call)
    side = requests.tile_pixels(call.body)

    def copy(task_id: str) -> tuple[Place, bytes]:
        delivery = requests.delivery_of(call.body, url, task_id=task_id)
        return batch_files.copy(delivery, task_id, call.body)

    def insert(task_id: str) -> Reply:
        task = rows.TASKS.insert(
            call.store,
            id=task_id,
            account=call.account,
            created_ms=call.now_ms,
            status=states.CREATED,
            since_ms=call.now_ms,
            request=encode(call.body),
            description=str(call.body.get("description", "")),
            collection=None if collection is None else collection.id,
            url=url,
            width=side,
            height=side,
            expected=requests.expected_tiles(call.body),
        )
        return Reply(201, task.as_text())

    return tasks.created(call, "batch", copy, insert, place=requests.target_of(call.body))


def _collection_of(call: Call, body: JsonObject) -> BatchCollection | None:
    """The batch collection that a request fills, which must be the caller's."""
    output = body.get("output")
    said = output.get("collectionId") if isinstance(output, dict) else None
    return None if said is None else _own_collection(call, str(said))


def _own_collection(call: Call, collection_id: str) -> BatchCollection:
    found = collections.find(call.store, collection_id)
    if found is None or found.account != call.account:
        raise bad_payload(f"Collection {collection_id} not found.")
    return found


def _refuse_unknown_data(call: Call) -> None:
    process = cast("JsonObject", call.body["processRequest"])
    for one in cast("list[JsonObject]", cast("JsonObject", process["input"])["data"]):
        kind = str(one["type"])
        if kind.startswith(collections.PREFIX):
            _own_collection(call, kind.removeprefix(collections.PREFIX))
        elif kind.startswith(batch_requests.BYOC):
            tasks.refuse_unknown_byoc(call, kind.removeprefix(batch_requests.BYOC))


def list_requests(call: Call) -> Reply:
    """A page of the caller's requests, by collection, user and words of the description."""
    conditions = []
    if call.query.get("collectionId"):
        conditions.append(Condition("collection = ?", (call.query["collectionId"].lower(),)))
    user = call.query.get("userid", "").lower()
    if user and user != collections.user_of(call.account):
        conditions.append(Condition("0"))
    text, words = named(terms_of(call.query.get("search", "")), column="description")
    conditions.append(Condition(f"1{text}", tuple(words)))
    return tasks.listed(call, rows.TASKS, conditions=tuple(conditions))


def get(call: Call) -> Reply:
    """One request."""
    return Reply(200, owned(call).as_text())


def update(call: Call) -> Reply:
    """Overwrite the description and the collection, and nothing else; what is omitted stays."""
    with call.store.writing():
        task = owned(call)
        if batch_states.is_queued_or_running(task.standing):
            raise tasks.busy(task, "updated")
        request = task.content
        if "description" in call.body:
            request["description"] = call.body["description"]
        output = cast("JsonObject", call.body.get("output", {}))
        if "collectionId" in output:
            _change_collection(call, task, request, output["collectionId"])
        filled = _collection_of(call, request)
        rows.TASKS.change(
            call.store,
            task,
            request=encode(request),
            description=str(request.get("description", "")),
            collection=None if filled is None else filled.id,
        )
        return Reply(200, owned(call).as_text())


def _change_collection(call: Call, task: Task, request: JsonObject, collection_id: object) -> None:
    output = request.get("output")
    if not isinstance(output, dict):
        raise violation("output->collectionId", "needs a request that was created with output")
    output.pop("collectionId", None)
    if collection_id is not None:
        output["collectionId"] = str(collection_id)
        if task.total is not None and task.bands is None:
            raise violation("output->collectionId", "needs a request whose outputs have one band")
    requests.check_ingestion(request, _collection_of(call, request))


def delete(call: Call) -> Reply:
    """Remove what costs nothing to lose: it is at rest, and none of its tiles was processed."""
    with call.store.writing():
        task = owned(call)
        if not states.is_at_rest(task.standing) or task.handled > task.fatal:
            raise tasks.busy(task, "deleted")
        rows.TASKS.change(call.store, task, forgotten=1)
    return Reply(204)


def analyse(call: Call) -> Reply:
    """Ask for the analysis."""
    return _act(call, states.ANALYSE)


def start(call: Call) -> Reply:
    """Ask for processing, after an analysis if there was none; the estimate is reserved."""
    return _act(call, states.START)


def cancel(call: Call) -> Reply:
    """Give up; an analysis that runs is completed first, and what was reserved is free again."""
    return _act(call, states.CANCEL)


def _act(call: Call, wanted: str) -> Reply:
    with call.store.writing():
        task = owned(call)
        try:
            move = states.act(task.standing, wanted, settings=call.settings, now_ms=call.now_ms)
        except IllegalActionError as error:
            raise bad_payload(str(error)) from error
        if move is None:
            return Reply(204)
        if wanted == states.START:
            _refuse_the_poor(call, task, task.estimate or 0.0)
        columns = tasks.columns_of(call, task, wanted=wanted, move=move)
        if task.status == states.PROCESSING and batch_v1.in_flight(
            call.world, task, now_ms=call.now_ms
        ):
            columns["due_ms"] = call.now_ms
        rows.TASKS.change(call.store, task, **columns)
    return Reply(204)


def restart(call: Call) -> Reply:
    """Process again what failed of a request that was processed in part."""
    with call.store.writing():
        task = owned(call)
        try:
            states.act(task.standing, states.RESTART, settings=call.settings, now_ms=call.now_ms)
        except IllegalActionError as error:
            raise bad_payload(str(error)) from error
        _refuse_the_poor(call, task, (task.estimate or 0.0) * task.fatal / (task.total or 1))
        rows.TASKS.change(call.store, task, action=states.START, action_ms=call.now_ms, error=None)
        batch_v1.begin_run(call.world, task, at_ms=call.now_ms)
    return Reply(204)


def _refuse_the_poor(call: Call, task: Task, needed: float) -> None:
    """What a request is estimated to cost is reserved, so it must be there."""
    if needed > units.left(call.world, call.account, beside=task.seq):
        raise units.insufficient()


def list_tiles(call: Call) -> Reply:
    """A page of a request's tiles; there are none before its analysis."""
    task = owned(call)
    asked = page(call.query, key=int)
    status = call.query.get("status")
    if status is not None and status not in states.TILE_STATUSES:
        raise violation("status", f"must be one of {', '.join(states.TILE_STATUSES)}")
    moving = rows.front(call.store, task, now_ms=call.now_ms)
    found, more = rows.tiles_page(call.store, task, asked=asked, status=status, moving=moving)
    texts = [encode(tile.as_json(task, status=_status(tile, moving))) for tile in found]
    return tasks.listing(call, asked, texts, keys=[tile.n for tile in found], more=more)


def _status(tile: rows.Tile, moving: dict[int, str]) -> str:
    return tile.outcome or moving.get(tile.n, states.PENDING)


def get_tile(call: Call) -> Reply:
    """One tile of a request."""
    task = owned(call)
    text = call.params["tile"]
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    tile = rows.find_tile(call.store, task, int(text)) if is_number else None
    if tile is None:
        raise not_found(f"Tile {text} of batch request {task.id} not found.")
    moving = rows.front(call.store, task, now_ms=call.now_ms)
    return Reply(200, encode(tile.as_json(task, status=_status(tile, moving))))
