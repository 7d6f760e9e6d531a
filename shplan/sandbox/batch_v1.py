"""
How batch requests of version 1 go forward: the steps that `task_settling` takes when they are due.

One tile has its turn after the other; one that got stuck goes back behind all others. Source: the
older batch pages.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

from shplan.sandbox import batch_collection_rows as collections
from shplan.sandbox import (
    batch_fates,
    batch_ingestion,
    batch_requests,
    batch_states,
    batch_v1_features,
    batch_v1_requests,
    delivering,
    units,
)
from shplan.sandbox import batch_v1_rows as rows
from shplan.sandbox import batch_v1_states as states
from shplan.sandbox.grids import grids, tile_id
from shplan.sandbox.task_settling import Step, Steps
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shplan.sandbox.batch_analysis import Analysis, AnalysisError
    from shplan.sandbox.batch_fates import Fate
    from shplan.sandbox.batch_v1_rows import Task, Tile
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

OUT_OF_PU = "The account does not have the processing units that the request is estimated to need."


def _begin(world: World, task: Task, at_ms: int) -> Step[Any] | None:
    """From CREATED to ANALYSING, from ANALYSIS_DONE to PROCESSING; or the end of a CANCELED one."""
    if task.status == states.CANCELED:
        return _finish_tile_in_flight(world, task)
    if task.status != states.CREATED:
        return _begin_processing(world, task, at_ms=at_ms)
    with world.store.writing():
        if rows.TASKS.is_unchanged(world.store, task):
            due_ms = at_ms + round(world.settings.batch_analysing_s * 1000)
            rows.TASKS.change(
                world.store, task, status=states.ANALYSING, since_ms=at_ms, due_ms=due_ms
            )
    return None


def _begin_processing(world: World, task: Task, *, at_ms: int) -> Step[str | None] | None:
    job = batch_v1_features.job_of(task)

    def done(cause: str | None) -> None:
        with world.store.writing():
            if not rows.TASKS.is_unchanged(world.store, task):
                return
            if cause is None:
                begin_run(world, _with_collection(world, task, at_ms=at_ms), at_ms=at_ms)
            else:
                _fail(world, task, cause, at_ms=at_ms)

    if not delivering.has_group(job):
        done(None)
        return None
    return Step(partial(delivering.group_failure, world.storage, job, at_ms=at_ms), done)


def _fail(world: World, task: Task, cause: str, *, at_ms: int) -> None:
    rows.TASKS.change(
        world.store, task, status=states.FAILED, since_ms=at_ms, due_ms=None, error=cause
    )


def begin_run(world: World, task: Task, *, at_ms: int) -> None:
    """Begin to process the tiles that are not processed yet, those that failed among them."""
    retried = rows.retry_failed(world.store, task)
    rows.TASKS.change(
        world.store,
        task,
        **batch_states.run_columns(task.total or 0, settings=world.settings, at_ms=at_ms),
        handled=task.handled - retried,
    )


# The analysis.


def _end_analysis(world: World, task: Task, at_ms: int) -> Step[Analysis | AnalysisError]:
    # Heavy, and opening a sandbox needs none of it.
    from shplan.sandbox import batch_analysis  # noqa: PLC0415

    request = batch_v1_requests.as_version_2(task.content)
    delivery = batch_v1_requests.delivery_of(task.content, task.url, task_id=task.id)
    known = batch_analysis.basis(world, request)

    work = partial(
        batch_analysis.outcome, known, request, delivery=delivery, created_ms=task.created_ms
    )

    def done(found: Analysis | AnalysisError) -> None:
        with world.store.writing():
            if not rows.TASKS.is_unchanged(world.store, task):
                return
            if isinstance(found, batch_analysis.AnalysisError):
                _fail(world, task, str(found), at_ms=at_ms)
            elif (cause := _unfit(world, task, found)) is not None:
                _fail(world, task, cause, at_ms=at_ms)
            else:
                _store_analysis(world, task, found, at_ms=at_ms)

    return Step(work, done)


def _unfit(world: World, task: Task, analysis: Analysis) -> str | None:
    """Why the results cannot be ingested, if they are to be."""
    request = task.content
    if not batch_v1_requests.ingests(request):
        return None
    outputs = batch_v1_requests.asked_outputs(request, analysis.outputs)
    filled = collections.find(world.store, task.collection or "")
    known = None if filled is None or filled.bands is None else decode_object(filled.bands)
    for output in outputs:
        if output.bands != 1:
            return f"Output {output.id} must have one band to be ingested into a collection."
    return batch_ingestion.misfit(outputs, cast("dict[str, JsonObject] | None", known))


def _store_analysis(world: World, task: Task, analysis: Analysis, *, at_ms: int) -> None:
    if task.action == states.START and analysis.estimate > units.left(world, task.account):
        _fail(world, task, OUT_OF_PU, at_ms=at_ms)
        return
    # From here on the estimate is reserved, if the request was started.
    move = states.after_analysis(task.action, settings=world.settings, at_ms=at_ms)
    rows.insert_tiles(world.store, task, _tiles(task, analysis))
    rows.TASKS.change(
        world.store,
        task,
        status=move.status,
        since_ms=at_ms,
        due_ms=move.due_ms,
        total=len(analysis.features),
        scale=analysis.scale,
        estimate=analysis.estimate,
        bands=_bands(task, analysis),
    )


def _bands(task: Task, analysis: Analysis) -> str | None:
    """Bands of a collection that the results can fill, as JSON; none if they can fill none."""
    outputs = batch_v1_requests.asked_outputs(task.content, analysis.outputs)
    if any(output.bands != 1 for output in outputs):
        return None
    return encode(batch_ingestion.configured(outputs))


def _tiles(task: Task, analysis: Analysis) -> Iterator[Tile]:
    from shplan.sandbox.tiles import tiles_within  # noqa: PLC0415 as above

    request = task.content
    grid = grids()[cast("int", batch_v1_requests.grid_of(request)["id"])]
    cells = {cell.name: cell for cell in tiles_within(grid.id, batch_requests.bounds_text(request))}
    for n, feature in enumerate(analysis.features, 1):
        cell = cells[feature.name]
        yield rows.Tile(
            task=task.seq,
            n=n,
            id=tile_id(grid.id, cell.name),
            name=cell.name,
            epsg=cell.epsg,
            west=cell.west,
            south=cell.south,
            size=grid.tile,
            pu=feature.cost,
            tries=0,
            outcome=None,
            error=None,
        )


# The collection that a request fills.


def _with_collection(world: World, task: Task, *, at_ms: int) -> Task:
    """
    The request with its collection made and configured, if it is to fill one.

    When the service makes it, and how it is named, is not documented: we do it as processing
    begins, and name it as the request.
    """
    request = task.content
    if task.bands is None or not batch_v1_requests.ingests(request):
        return task
    if task.collection is None:
        made = collections.insert(
            world.store,
            identifier=world.store.derived("batch-collection", task.id),
            account=task.account,
            name=str(request.get("description") or f"batch-{task.id}"),
            bucket=batch_v1_requests.delivery_of(request, task.url, task_id=task.id).bucket,
            now_ms=at_ms,
        )
        cast("JsonObject", request["output"])["collectionId"] = made.id
        task = replace(task, request=encode(request), collection=made.id)
        rows.TASKS.change(world.store, task, request=task.request, collection=task.collection)
    filled = collections.find(world.store, task.collection or "")
    if filled is not None:
        grid = cast("int", batch_v1_requests.grid_of(request)["id"])
        collections.configure(world.store, filled.seq, grid=grid, bands=task.bands or "{}")
    return task


# Processing.


@dataclass(slots=True)
class _Progress:
    """
    What becomes of a request while tiles are handled.

    Args:
        tried: number, tries, outcome and cause of every tile that had its turn
        turns: how many turns were taken
    """

    handled: int
    fatal: int
    spent: float = 0.0
    turns: int = 0
    tried: dict[int, tuple[int, int, str | None, str | None]] = field(default_factory=dict)


def _process(world: World, task: Task, turns: int) -> Step[dict[int, str]] | None:
    job, source = batch_v1_features.job_of(task), batch_v1_features.source_of(task)
    most = delivering.chunk(repeat(source.size, delivering.MOST_FEATURES))
    limit = most if turns < 0 else min(turns, most)
    # As many as there are turns, so that one that goes back finds its place behind them.
    tiles = {tile.n: tile for tile in rows.pending(world.store, task, limit=limit)}
    progress = _progress(world, task, tiles, limit=limit)

    def done(failed: dict[int, str]) -> None:
        with world.store.writing():
            if rows.TASKS.is_unchanged(world.store, task):
                _take_back(progress, failed, tiles, scale=task.scale)
                _store_progress(world, task, progress)

    over = [n for n, _, outcome, _ in progress.tried.values() if outcome == states.PROCESSED]
    if not over:
        done({})
        return None
    wanted = {n: source.feature(tiles[n]) for n in over}
    return Step(delivering.opened(world, job, wanted).deliver, done)


def _progress(world: World, task: Task, tiles: Mapping[int, Tile], *, limit: int) -> _Progress:
    """What becomes of the tiles if those that are processed can be computed."""
    fates = batch_fates.all_of(world.store)
    progress = _Progress(task.handled, task.fatal)
    queue = [(tile.tries, tile.n, tile) for tile in tiles.values()]
    heapq.heapify(queue)
    while queue and progress.turns != limit:
        tries, n, tile = heapq.heappop(queue)
        tries = _take_turn(task, progress, tile, batch_fates.striking(fates, tile.name), tries)
        if progress.tried[n][2] is None:
            heapq.heappush(queue, (tries, n, tile))
    return progress


def _take_turn(task: Task, progress: _Progress, tile: Tile, fate: Fate | None, tries: int) -> int:
    """What becomes of a tile; how often it was stuck."""
    progress.turns += 1
    if fate is not None and fate.stuck and tries + 1 < states.MOST_TRIES:
        progress.tried[tile.n] = (tile.n, tries + 1, None, None)
        return tries + 1
    progress.handled += 1
    if fate is None:
        progress.spent += tile.pu * task.scale
        progress.tried[tile.n] = (tile.n, tries, states.PROCESSED, None)
    else:
        progress.fatal += 1
        progress.tried[tile.n] = (tile.n, tries + fate.stuck, states.FAILED, fate.cause)
    return tries


def _take_back(
    progress: _Progress, failed: Mapping[int, str], tiles: Mapping[int, Tile], *, scale: float
) -> None:
    """Tiles that could not be computed have failed, and cost nothing."""
    for n, cause in failed.items():
        progress.fatal += 1
        progress.spent -= tiles[n].pu * scale
        progress.tried[n] = (n, progress.tried[n][1], states.FAILED, cause)
    if all(one[2] != states.PROCESSED for one in progress.tried.values()):
        # Nothing, and not what is left of a sum of differences.
        progress.spent = 0.0


def _store_progress(world: World, task: Task, progress: _Progress) -> None:
    rows.settle_tiles(world.store, task, progress.tried.values())
    if progress.spent:
        world.store.charge(task.account, progress.spent, calls=0)
    run_handled = task.run_handled + progress.turns
    run_ms, pace_ms = task.run_ms or 0, task.pace_ms or 0.0
    total = task.total or 0
    is_over = progress.handled >= total
    status = states.ended(total=total, failed=progress.fatal) if is_over else states.PROCESSING
    # A request without any tile is over as soon as its first turn would be.
    over_ms = batch_states.handled_at_ms(run_handled, run_ms=run_ms, pace_ms=pace_ms)
    next_ms = batch_states.handled_at_ms(run_handled + 1, run_ms=run_ms, pace_ms=pace_ms)
    rows.TASKS.change(
        world.store,
        task,
        status=status,
        since_ms=over_ms if is_over else task.since_ms,
        due_ms=None if is_over else next_ms,
        error=_told(progress, total) if is_over else None,
        handled=progress.handled,
        fatal=progress.fatal,
        cost=task.cost + progress.spent,
        run_handled=run_handled,
    )


def _told(progress: _Progress, total: int) -> str | None:
    if not progress.fatal:
        return None
    return f"{progress.fatal} of {total} tiles failed."


def in_flight(world: World, task: Task, *, now_ms: int) -> bool:
    """
    Whether a tile is being processed.

    Source: the batch pages: tiles that are processed or being processed when a request is cancelled
    are charged for. So this one is delivered, by the step that a CANCELED request still has to take.
    """
    moving = rows.front(world.store, task, now_ms=now_ms)
    return any(tile.n in moving for tile in rows.pending(world.store, task, limit=1))


def _finish_tile_in_flight(world: World, task: Task) -> Step[dict[int, str]] | None:
    tiles = {tile.n: tile for tile in rows.pending(world.store, task, limit=1)}
    progress = _Progress(task.handled, task.fatal)
    for tile in tiles.values():
        _take_turn(task, progress, tile, None, tile.tries)

    def done(failed: dict[int, str]) -> None:
        with world.store.writing():
            if not rows.TASKS.is_unchanged(world.store, task):
                return
            _take_back(progress, failed, tiles, scale=task.scale)
            rows.settle_tiles(world.store, task, progress.tried.values())
            if progress.spent:
                world.store.charge(task.account, progress.spent, calls=0)
            rows.TASKS.change(
                world.store,
                task,
                due_ms=None,
                handled=progress.handled,
                fatal=progress.fatal,
                cost=task.cost + progress.spent,
            )

    source = batch_v1_features.source_of(task)
    wanted = {n: source.feature(tile) for n, tile in tiles.items()}
    return Step(delivering.opened(world, batch_v1_features.job_of(task), wanted).deliver, done)


STEPS = Steps(
    table=rows.TASKS, begin=_begin, end_analysis=_end_analysis, process=_process, forget=rows.forget
)
