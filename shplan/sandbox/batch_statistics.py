"""
How batch statistical tasks go forward: the steps that `task_settling` takes when they are due.

Statistics are computed in a thread, and the files of features written in one; then what they cost and that they are
handled is stored in one transaction. Whoever dies before that does all of it again: the same bytes, paid once. Source: the pages on batch
statistics: a task costs at least 100 units, and stops when the account falls below what a task needs to start.
Assumptions: a feature that fails costs nothing, and its file says why; what is missing to the least price is paid
when the task is done; files that lie there are overwritten.
"""

# ruff: noqa: EM102, TRY003  the texts are the task's error

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_fates, batch_statistics_requests, metering, units
from shplan.sandbox import batch_states as states
from shplan.sandbox import batch_statistics_rows as rows
from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.script_texts import ScriptText, ScriptTextError
from shplan.sandbox.task_settling import Step, Steps
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.batch_analysis import Basis
    from shplan.sandbox.batch_statistics_requests import Delivery
    from shplan.sandbox.batch_statistics_rows import Feature, Task
    from shplan.sandbox.feature_statistics import Result
    from shplan.sandbox.geopackage import Zone
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

# So many features, or intervals of all of them, are computed before anything is stored.
_AT_ONCE, _INTERVALS_AT_ONCE = 16, 64


KEEP_FAILING = "Too many features failed; their files say why."


class TaskError(Exception):
    """Why a task failed, in words for its owner."""


def _begin(world: World, task: Task, at_ms: int) -> None:
    """From CREATED to ANALYSING, from ANALYSIS_DONE or STOPPED to PROCESSING."""
    if task.status == states.CREATED:
        due_ms = at_ms + round(world.settings.batch_analysing_s * 1000)
        columns: dict[str, str | int | float] = {
            "status": states.ANALYSING,
            "since_ms": at_ms,
            "due_ms": due_ms,
        }
    else:
        columns = {
            **states.run_columns(task.total or 0, settings=world.settings, at_ms=at_ms),
            # What failed was delivered as a failure, and is not tried again.
            "fatal": task.fatal,
        }
    with world.store.writing():
        if rows.TASKS.is_unchanged(world.store, task):
            rows.TASKS.change(world.store, task, **columns, reason=None, updated_ms=at_ms)


# The analysis.


def _script_of(world: World, request: JsonObject) -> ScriptText:
    wanted = cast("JsonObject", request["aggregation"])
    return ScriptText(
        text=str(wanted.get("evalscript", "")),
        place=batch_statistics_requests.script_place(request),
        storage=world.storage,
        most_bytes=round(world.settings.most_body_mb * 1e6),
    )


def _is_strict(world: World) -> bool:
    return world.settings.histogram_mismatch == "refuse"


def _end_analysis(world: World, task: Task, at_ms: int) -> Step[list[Feature] | TaskError]:
    # Heavy, and opening a sandbox needs none of it.
    from shplan.sandbox import batch_analysis  # noqa: PLC0415

    request = task.content
    script, is_strict = _script_of(world, request), _is_strict(world)
    delivery = batch_statistics_requests.delivery_of(request, task_id=task.id)
    data = cast("JsonObject", request["input"])["data"]
    process: JsonObject = {"input": {"data": data}}
    known = batch_analysis.basis(world, {"processRequest": process, "output": {}})

    def work() -> list[Feature] | TaskError:
        try:
            _check_script(known, script.read(), request, process, is_strict=is_strict)
            _check_bucket(known.storage, delivery)
            return _features(known.storage, request, delivery)
        except ScriptTextError as error:
            return TaskError(str(error))
        except TaskError as error:
            return error
        except Exception:  # noqa: BLE001 one bad task must not keep others from being served
            return TaskError(batch_analysis.UNFORESEEN)

    def done(found: list[Feature] | TaskError) -> None:
        with world.store.writing():
            if rows.TASKS.is_unchanged(world.store, task):
                _store_analysis(world, task, found, at_ms=at_ms)

    return Step(work, done)


def _check_script(
    known: Basis, text: str, request: JsonObject, process: JsonObject, *, is_strict: bool
) -> None:
    from shplan.sandbox import batch_analysis, statistics_requests  # noqa: PLC0415 as above
    from shplan.sandbox.scripts import ScriptFailedError  # noqa: PLC0415 as above

    try:
        facts = known.scripts.facts(text)
    except ScriptFailedError as error:
        raise TaskError(f"The evalscript failed: {error}") from error
    calculations = cast("JsonObject", request.get("calculations", {}))
    try:
        statistics_requests.measured(facts.outputs, calculations, is_strict=is_strict)
        batch_analysis.check_bands(known, process, facts)
    except ApiError as error:
        raise TaskError(error.sentence()) from error
    except batch_analysis.AnalysisError as error:
        raise TaskError(str(error)) from error


def _check_bucket(storage: Storage, delivery: Delivery) -> None:
    try:
        storage.check_writable(delivery.bucket)
    except ObjectStoreError as error:
        cause = "." if error.status == 404 else f": {error}"
        raise TaskError(f"The bucket {delivery.bucket} cannot be written to{cause}") from error


def _features(storage: Storage, request: JsonObject, delivery: Delivery) -> list[Feature]:
    from shplan.sandbox import geopackage  # noqa: PLC0415 as above

    place = batch_statistics_requests.features_place(request)
    try:
        with storage.on_disk(place) as path:
            zones = geopackage.zones(path)
    except ObjectStoreError as error:
        raise TaskError(f"The GeoPackage {place.url} cannot be read: {error}") from error
    except geopackage.GeoPackageError as error:
        raise TaskError(str(error)) from error
    if not zones:
        raise TaskError(f"The GeoPackage {place.url} has no features.")
    _check_keys(zones, delivery)
    return [
        rows.Feature(n, zone.id, zone.identifier, zone.epsg, zone.outline.wkb_hex)
        for n, zone in enumerate(zones, 1)
    ]


def _check_keys(zones: Sequence[Zone], delivery: Delivery) -> None:
    keys = set()
    for zone in zones:
        if delivery.needs_identifier and not zone.identifier:
            raise TaskError(f"Feature {zone.id} of the GeoPackage has no identifier.")
        key = delivery.result(zone.id, zone.identifier).key
        if not is_safe_key(key):
            raise TaskError(f"Feature {zone.id} would be written to {key}.")
        if key in keys:
            raise TaskError(f"Several features would be written to {key}.")
        keys.add(key)


def _store_analysis(
    world: World, task: Task, found: list[Feature] | TaskError, *, at_ms: int
) -> None:
    if isinstance(found, TaskError):
        rows.TASKS.change(
            world.store, task, status=states.FAILED, since_ms=at_ms, updated_ms=at_ms,
            due_ms=None, error=str(found),
        )  # fmt: skip
        return
    move = states.after_analysis(task.action, settings=world.settings, at_ms=at_ms)
    rows.insert_features(world.store, task, found)
    rows.TASKS.change(
        world.store,
        task,
        status=move.status,
        since_ms=at_ms,
        updated_ms=at_ms,
        due_ms=move.due_ms,
        reason=move.reason,
        total=len(found),
    )


# Processing.


def _process(world: World, task: Task, turns: int) -> Step[list[Result]]:
    # Heavy, as above.
    from shplan.sandbox import feature_statistics  # noqa: PLC0415

    request = task.content
    aggregation = batch_statistics_requests.aggregation_of(request, evalscript="")
    limit = _at_once(len(aggregation.intervals))
    features = rows.pending(world.store, task, limit=limit if turns < 0 else min(turns, limit))
    fates = batch_fates.all_of(world.store)
    wanted = cast("JsonObject", request["aggregation"])
    doomed, works = [], []
    for feature in features:
        fate = batch_fates.striking(fates, feature.identifier or str(feature.id))
        if fate is not None:
            error = ApiError(500, RENDERER_EXCEPTION, fate.cause)
            doomed.append(feature_statistics.failed(feature, error))
        else:
            works.append(
                feature_statistics.opened(world, task.account, wanted, aggregation, feature)
            )
    script, scripts, is_strict = _script_of(world, request), world.scripts, _is_strict(world)

    def work() -> list[Result]:
        try:
            text = script.read()
        except ScriptTextError as error:
            cause = ApiError(400, RENDERER_EXCEPTION, str(error))
            return [*doomed, *(feature_statistics.failed(one.feature, cause) for one in works)]
        with scripts.worker() as worker:
            return [*doomed, *(one.result(worker, text, is_strict=is_strict) for one in works)]

    def done(results: list[Result]) -> Step[_Progress] | None:
        if not rows.TASKS.is_unchanged(world.store, task):
            return None
        return _delivering(world, task, sorted(results, key=lambda one: one.feature.n))

    return Step(work, done)


def _delivering(world: World, task: Task, results: Sequence[Result]) -> Step[_Progress]:
    """Write the files of features, as many as the account can pay for."""
    run = _Run(
        task=task,
        storage=world.storage,
        left_pu=units.left(world, task.account),
        floor_pu=world.settings.batch_required_pu,
        unhealthy_share=world.settings.unhealthy_share,
    )

    def done(progress: _Progress) -> None:
        with world.store.writing():
            if rows.TASKS.is_unchanged(world.store, task):
                _store_progress(world, task, progress)

    return Step(partial(run.progress, results), done)


def _at_once(intervals: int) -> int:
    return max(1, min(_AT_ONCE, _INTERVALS_AT_ONCE // max(1, intervals)))


@dataclass(slots=True)
class _Progress:
    """
    What becomes of a task while features are handled.

    Args:
        left: units that the account has, infinite without a limit
        stopped: why the task is stopped, and at which instant
        failed: at which instant it has failed, because its features do
    """

    left: float
    handled: int
    fatal: int
    spent: float = 0.0
    outcomes: list[tuple[int, str, str | None]] = field(default_factory=list)
    stopped: tuple[str, int] | None = None
    failed: int | None = None

    def handle(self, result: Result, failure: str | None) -> None:
        """A feature had its turn."""
        self.handled += 1
        outcome = rows.DONE if failure is None else rows.FATAL
        self.outcomes.append((result.feature.n, outcome, failure))
        if failure is None:
            self.left -= result.full_pu
            self.spent += result.full_pu
        else:
            self.fatal += 1


@dataclass(frozen=True, slots=True)
class _Run:
    """
    What decides how a task goes on, none of it in the store.

    Args:
        left_pu: units that the account has, infinite without a limit
        floor_pu: units below which it stops
        unhealthy_share: where a larger share of features keeps failing, the task has failed
    """

    task: Task
    storage: Storage
    left_pu: float
    floor_pu: float
    unhealthy_share: float

    def progress(self, results: Sequence[Result]) -> _Progress:
        """Write the files of features in turn; for a thread."""
        task = self.task
        delivery = batch_statistics_requests.delivery_of(task.content, task_id=task.id)
        progress = _Progress(self.left_pu, task.handled, task.fatal)
        for number, result in enumerate(results, task.run_handled + 1):
            at_ms = states.handled_at_ms(
                number, run_ms=task.run_ms or 0, pace_ms=task.pace_ms or 0.0
            )
            if result.full_pu > progress.left:
                progress.stopped = states.OUT_OF_PU, at_ms
                break
            undelivered = _undelivered(self.storage, delivery, result)
            progress.handle(result, result.failure or undelivered)
            if progress.handled >= (task.total or 0):
                break
            if states.is_unhealthy(
                progress.fatal, handled=progress.handled, share=self.unhealthy_share
            ):
                progress.failed = at_ms
                break
            if progress.left < self.floor_pu:
                progress.stopped = states.OUT_OF_PU, at_ms
                break
        return progress


def _undelivered(storage: Storage, delivery: Delivery, result: Result) -> str | None:
    """Write the file of a feature; returns why that cannot be."""
    place = delivery.result(result.feature.id, result.feature.identifier)
    try:
        storage.put(place, encode(result.content).encode() + b"\n")
    except ObjectStoreError as error:
        return f"The file {place.url} cannot be written: {error}"
    except OSError:
        return f"The file {place.url} cannot be written."
    return None


def _store_progress(world: World, task: Task, progress: _Progress) -> None:
    rows.settle_features(world.store, task, progress.outcomes)
    is_partial = progress.fatal and world.settings.statistics_partial
    if progress.handled >= (task.total or 0):
        progress.spent += max(0.0, metering.MINIMUM_PU - task.cost - progress.spent)
    if progress.spent:
        world.store.charge(task.account, progress.spent, calls=0)
    columns = states.turn_columns(
        task,
        len(progress.outcomes),
        handled=progress.handled,
        stopped=progress.stopped,
        done=rows.PARTIAL if is_partial else states.DONE,
    )
    if progress.failed is not None:
        # The document has no UNHEALTHY here.
        at_ms = progress.failed
        columns |= {
            "status": states.FAILED,
            "since_ms": at_ms,
            "due_ms": None,
            "error": KEEP_FAILING,
        }
    rows.TASKS.change(
        world.store, task, **columns, fatal=progress.fatal, cost=task.cost + progress.spent
    )


STEPS = Steps(
    table=rows.TASKS, begin=_begin, end_analysis=_end_analysis, process=_process, forget=rows.forget
)
