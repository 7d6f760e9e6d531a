"""
How batch tasks of version 2 go forward: the steps that `task_settling` takes when they are due.

One step is a change of status, or the features of one task that were handled since somebody last
looked; each is stored with what it cost in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from shplan.sandbox import (
    batch_fates,
    batch_files,
    batch_filling,
    batch_ingestion,
    batch_requests,
    delivering,
    metering,
    units,
)
from shplan.sandbox import batch_rows as rows
from shplan.sandbox import batch_states as states
from shplan.sandbox.delivering import Told
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.task_settling import Step, Steps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shplan.sandbox.batch_analysis import Analysis, AnalysisError
    from shplan.sandbox.batch_rows import Feature, Task
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

MOST_AT_EACH_CHUNK = 1000


def _begin(world: World, task: Task, at_ms: int) -> Step[str | None] | None:
    """From CREATED to ANALYSING, from ANALYSIS_DONE or STOPPED to PROCESSING."""
    if task.status != states.CREATED:
        return _begin_run(world, task, at_ms=at_ms)
    with world.store.writing():
        if rows.TASKS.is_unchanged(world.store, task):
            rows.change(
                world.store,
                task,
                status=states.ANALYSING,
                since_ms=at_ms,
                updated_ms=at_ms,
                due_ms=at_ms + round(world.settings.batch_analysing_s * 1000),
            )
    return None


def _begin_run(world: World, task: Task, *, at_ms: int) -> Step[str | None]:
    job, storage = _job(task), world.storage
    features = batch_files.listed(world.store, task, rows.retried(world.store, task))

    def work() -> str | None:
        if delivering.has_group(job):
            cause = delivering.group_failure(storage, job, at_ms=at_ms)
            if cause is not None:
                return cause
        batch_files.write_execution(storage, task, features)
        return None

    def done(cause: str | None) -> None:
        with world.store.writing():
            if not rows.TASKS.is_unchanged(world.store, task):
                return
            if cause is None:
                _store_run(world, task, at_ms=at_ms)
            else:
                _fail(world, task, cause, at_ms=at_ms)

    return Step(work, done)


def _store_run(world: World, task: Task, *, at_ms: int) -> None:
    retried = rows.retry_failed(world.store, task)
    rows.change(
        world.store,
        task,
        **states.run_columns(task.total or 0, settings=world.settings, at_ms=at_ms),
        updated_ms=at_ms,
        reason=None,
        handled=task.handled - retried,
    )
    batch_filling.begin(world, task, at_ms=at_ms)


def _end_analysis(world: World, task: Task, at_ms: int) -> Step[Analysis | AnalysisError]:
    # Heavy, and opening a sandbox needs none of it.
    from shplan.sandbox import batch_analysis  # noqa: PLC0415

    request = task.content
    delivery = batch_requests.delivery_of(request, task_id=task.id)
    known = batch_analysis.basis(world, request)

    def work() -> Analysis | AnalysisError:
        found = batch_analysis.outcome(
            known, request, delivery=delivery, created_ms=task.created_ms
        )
        if isinstance(found, batch_analysis.AnalysisError):
            return found
        try:
            batch_files.write_manifest(known.storage, task, found.features, at_ms=at_ms)
        except (ObjectStoreError, OSError) as error:
            return batch_analysis.AnalysisError(f"The feature manifest cannot be written: {error}")
        return found

    def done(found: Analysis | AnalysisError) -> None:
        with world.store.writing():
            if not rows.TASKS.is_unchanged(world.store, task):
                return
            if isinstance(found, batch_analysis.AnalysisError):
                _fail(world, task, str(found), at_ms=at_ms)
                return
            _store_analysis(world, task, found, at_ms=at_ms)

    return Step(work, done)


def _store_analysis(world: World, task: Task, analysis: Analysis, *, at_ms: int) -> None:
    move = states.after_analysis(task.action, settings=world.settings, at_ms=at_ms)
    rows.insert_features(world.store, task, analysis.features)
    if batch_filling.fills(task.content):
        asked = {name for name, _ in metering.responses(_process_request(task))}
        outputs = [one for one in analysis.outputs if one.id in asked]
        rows.set_bands(world.store, task, batch_ingestion.configured(outputs))
    rows.change(
        world.store,
        task,
        status=move.status,
        since_ms=at_ms,
        updated_ms=at_ms,
        due_ms=move.due_ms,
        reason=move.reason,
        total=len(analysis.features),
        scale=analysis.scale,
    )


def _fail(world: World, task: Task, cause: str, *, at_ms: int) -> None:
    rows.change(
        world.store,
        task,
        status=states.FAILED,
        since_ms=at_ms,
        updated_ms=at_ms,
        due_ms=None,
        error=cause,
    )


@dataclass(slots=True)
class _Progress:
    """
    What becomes of a task while features are handled.

    Args:
        left: units that the account has, infinite without a limit
        outcomes: number, outcome and cause of every feature that had its turn
        done: names of those that are done, and when
        stopped: why the task is stopped, and at which instant
    """

    left: float
    handled: int
    fatal: int
    spent: float
    outcomes: list[tuple[int, str, str | None]]
    done: list[tuple[str, int]]
    stopped: tuple[str, int] | None = None


def _process(world: World, task: Task, turns: int) -> Step[Any] | None:
    features = _features(world, task, turns)
    fates = batch_fates.all_of(world.store)
    struck = {n: batch_fates.striking(fates, one.name) for n, one in features.items()}
    doomed = {n: fate.cause for n, fate in struck.items() if fate is not None}

    def done(told: Told) -> Step[None] | None:
        if not rows.TASKS.is_unchanged(world.store, task):
            return None
        failed = {**told.failed, **doomed}
        return _recorded(world, task, _progress(world, task, features, failed, told.empty))

    handled = _progress(world, task, features, doomed).outcomes
    wanted = {n: features[n] for n, outcome, _ in handled if outcome == rows.DONE}
    if not wanted:
        return done(Told())
    return Step(delivering.opened(world, _job(task), wanted).told, done)


def _recorded(world: World, task: Task, progress: _Progress) -> Step[None] | None:
    """Write the execution database as it will be, where it is time for that, and store the progress."""

    def done(_: None) -> None:
        with world.store.writing():
            if rows.TASKS.is_unchanged(world.store, task):
                _store_progress(world, task, progress)
                batch_filling.add(world, task, progress.done)

    due_ms = cast("int | None", _columns(task, progress)["due_ms"])
    # Of many features the database is written once the task is up to date, not at each chunk.
    if due_ms is not None and due_ms <= world.now_ms() and (task.total or 0) > MOST_AT_EACH_CHUNK:
        done(None)
        return None
    changed = {n: (outcome, cause) for n, outcome, cause in progress.outcomes}
    features = batch_files.listed(world.store, task, changed)
    return Step(partial(batch_files.write_execution, world.storage, task, features), done)


def _features(world: World, task: Task, turns: int) -> dict[int, Feature]:
    """The features whose turn it is, as many as are handled before it is stored."""
    most = delivering.MOST_FEATURES if turns < 0 else min(turns, delivering.MOST_FEATURES)
    found = rows.pending(world.store, task, limit=most)
    count = delivering.chunk((one.width, one.height) for one in found.values())
    return dict(islice(found.items(), count))


def _process_request(task: Task) -> JsonObject:
    return cast("JsonObject", task.content["processRequest"])


def _job(task: Task) -> delivering.Job:
    request = task.content
    delivery = batch_requests.delivery_of(request, task_id=task.id)
    return delivering.Job(task.account, request, delivery, task.created_ms)


def _progress(
    world: World,
    task: Task,
    features: Mapping[int, Feature],
    failed: Mapping[int, str],
    empty: Collection[int] = (),
) -> _Progress:
    """What becomes of the task if these features fail, by their numbers, and these are empty."""
    progress = _Progress(units.left(world, task.account), task.handled, task.fatal, 0.0, [], [])
    for number, (n, feature) in enumerate(features.items(), task.run_handled + 1):
        at_ms = states.handled_at_ms(number, run_ms=task.run_ms or 0, pace_ms=task.pace_ms or 0.0)
        pu = feature.cost * task.scale
        cause = failed.get(n)
        if cause is None and pu > progress.left:
            progress.stopped = (states.OUT_OF_PU, at_ms)
            break
        progress.handled += 1
        if cause is None:
            progress.left -= pu
            progress.spent += pu
            progress.outcomes.append((n, rows.DONE, delivering.NO_DATA if n in empty else None))
            progress.done.append((feature.name, at_ms))
            continue
        progress.fatal += 1
        progress.outcomes.append((n, rows.FATAL, cause))
        share = world.settings.unhealthy_share
        if progress.fatal > share * (task.total or 0) or states.is_unhealthy(
            progress.fatal, handled=number, share=share
        ):
            progress.stopped = (states.UNHEALTHY, at_ms)
            break
    return progress


def _store_progress(world: World, task: Task, progress: _Progress) -> None:
    rows.settle_features(world.store, task, progress.outcomes)
    if progress.spent:
        world.store.charge(task.account, progress.spent, calls=0)
    columns = _columns(task, progress)
    rows.change(world.store, task, **columns, fatal=progress.fatal, cost=task.cost + progress.spent)


def _columns(task: Task, progress: _Progress) -> dict[str, str | int | None]:
    return states.turn_columns(
        task, len(progress.outcomes), handled=progress.handled, stopped=progress.stopped
    )


STEPS = Steps(
    table=rows.TASKS, begin=_begin, end_analysis=_end_analysis, process=_process, forget=rows.forget
)
