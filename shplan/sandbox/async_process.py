"""
How asynchronous requests go forward: the one step that `task_settling` takes when a request is due.

Pixels are computed in a thread; what they cost and that the request is over are stored in one transaction, with the
files. Whoever dies before that does all of it again: the same bytes, paid once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from shplan.sandbox import async_files, async_requests, metering, units
from shplan.sandbox import async_rows as rows
from shplan.sandbox.delivering import UNFORESEEN
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.script_texts import ScriptText, ScriptTextError
from shplan.sandbox.task_settling import Step, Steps

if TYPE_CHECKING:
    from shplan.sandbox.async_rows import Request
    from shplan.sandbox.feature_files import Delivered, FeatureWork
    from shplan.sandbox.process_requests import ProcessRequest
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store
    from shplan.sandbox.world import World

OUT_OF_PU = "There are insufficient processing units available in your account."


def _begin(world: World, request: Request, at_ms: int) -> Step[Delivered]:
    from shplan.sandbox.feature_files import Delivered  # noqa: PLC0415 as below

    asked, work = _opened(world, request)
    scripts = world.scripts

    def compute() -> Delivered:
        try:
            with scripts.worker() as worker:
                return work.files(worker)
        except Exception:  # noqa: BLE001 one bad request must not keep others from being served
            return Delivered(failure=UNFORESEEN)

    def store(delivered: Delivered) -> None:
        with world.store.writing():
            if rows.REQUESTS.is_unchanged(world.store, request):
                _finish(world, request, asked, delivered, at_ms=at_ms)

    return Step(compute, store)


def _opened(world: World, request: Request) -> tuple[ProcessRequest, FeatureWork]:
    """What is asked for, and what computes it."""
    # Images and JavaScript, and opening a sandbox needs none.
    from shplan.sandbox import feature_files  # noqa: PLC0415

    body = request.content
    asked = async_requests.read(body, evalscript=str(body.get("evalscript", "")))
    try:
        if async_requests.REFERENCE in body:
            asked = replace(asked, evalscript=_script(world, request))
    except ScriptTextError as error:
        return asked, feature_files.FeatureWork(None, failure=str(error))
    return asked, feature_files.opened_request(world, request.account, asked)


def _script(world: World, request: Request) -> str:
    """
    The evalscript that a request refers to, as it lies there now.

    Raises:
        ScriptTextError: it cannot be read
    """
    place = async_requests.script_place(request.content)
    most_bytes = round(world.settings.most_body_mb * 1e6)
    return ScriptText("", place, world.objects, most_bytes).read()


def _finish(
    world: World, request: Request, asked: ProcessRequest, delivered: Delivered, *, at_ms: int
) -> None:
    cost_pu, cause = 0.0, delivered.failure
    if cause is None:
        cost_pu = metering.async_pu(
            delivered.full_pu,
            width=asked.grid.width,
            height=asked.grid.height,
            has_discount=world.settings.async_discount,
        )
        cause = _delivered(world, request, delivered, cost_pu=cost_pu)
    if cause is None:
        world.store.charge(request.account, cost_pu)
        rows.finish(world.store, request, at_ms=at_ms, cost_pu=cost_pu)
        return
    # A bucket that vanished meanwhile takes no error either.
    with suppress(ObjectStoreError, OSError):
        async_files.write_error(world, request, cause)
    rows.finish(world.store, request, at_ms=at_ms, error=cause)


def _delivered(
    world: World, request: Request, delivered: Delivered, *, cost_pu: float
) -> str | None:
    """Write the results; returns why that cannot be."""
    if units.left(world, request.account) < cost_pu:
        return OUT_OF_PU
    try:
        async_files.write_results(world, request, delivered.files)
        async_files.write_request(world, request, cost_pu=cost_pu)
    except (ObjectStoreError, OSError) as error:
        return f"The results cannot be written: {error}"
    return None


def _nothing(world: World, request: Request, at_ms: int) -> None:
    """A request has no such step: it knows one status."""


def _forget(store: Store, settings: Settings, now_ms: int) -> None:
    """A request is forgotten as it ends."""


STEPS = Steps(
    table=rows.REQUESTS, begin=_begin, end_analysis=_nothing, process=_nothing, forget=_forget
)
