"""
How asynchronous requests go forward: the one step that `task_settling` takes when a request is due.

Pixels are computed and files written in a thread; then what they cost and that the request is over are stored in one
transaction. Whoever dies before that does all of it again: the same bytes, paid once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

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
    from shplan.sandbox.scripts import Scripts
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

OUT_OF_PU = "There are insufficient processing units available in your account."


@dataclass(frozen=True, slots=True)
class _Over:
    """How a request ended: what it cost, or why there are no results."""

    cost_pu: float = 0.0
    cause: str | None = None


def _begin(world: World, request: Request, at_ms: int) -> Step[_Over]:
    job = _Job(
        request,
        *_opened(world, request),
        script=_script(world, request),
        scripts=world.scripts,
        storage=world.storage,
        left_pu=units.left(world, request.account),
        has_discount=world.settings.async_discount,
        location=world.settings.location,
    )

    def store(over: _Over) -> None:
        with world.store.writing():
            if not rows.REQUESTS.is_unchanged(world.store, request):
                return
            if over.cause is None:
                world.store.charge(request.account, over.cost_pu)
                rows.finish(world.store, request, at_ms=at_ms, cost_pu=over.cost_pu)
            else:
                rows.finish(world.store, request, at_ms=at_ms, error=over.cause)

    return Step(job.done, store)


def _opened(world: World, request: Request) -> tuple[ProcessRequest, FeatureWork]:
    """What is asked for, and what computes it."""
    # Images and JavaScript, and opening a sandbox needs none.
    from shplan.sandbox import feature_files  # noqa: PLC0415

    body = request.content
    asked = async_requests.read(body, evalscript=str(body.get("evalscript", "")))
    return asked, feature_files.opened_request(world, request.account, asked)


def _script(world: World, request: Request) -> ScriptText | None:
    """Where the evalscript lies that a request refers to; none: it has one."""
    if async_requests.REFERENCE not in request.content:
        return None
    place = async_requests.script_place(request.content)
    most_bytes = round(world.settings.most_body_mb * 1e6)
    return ScriptText("", place, world.storage, most_bytes)


@dataclass(frozen=True, slots=True)
class _Job:
    """
    A request that is ready to be computed and delivered.

    Args:
        script: where the evalscript lies; none: in the request
        left_pu: what the account has
    """

    request: Request
    asked: ProcessRequest
    work: FeatureWork
    script: ScriptText | None
    scripts: Scripts
    storage: Storage
    left_pu: float
    has_discount: bool
    location: str

    def done(self) -> _Over:
        """Compute it, and write its files; for a thread, and never raises."""
        delivered = self._computed()
        if delivered.failure is not None:
            return self._failed(delivered.failure)
        cost_pu = metering.async_pu(
            delivered.full_pu,
            width=self.asked.grid.width,
            height=self.asked.grid.height,
            has_discount=self.has_discount,
        )
        cost_pu += metering.delivery_pu(
            cast("JsonObject", cast("JsonObject", self.request.content["output"])["delivery"]),
            location=self.location,
            delivered_bytes=sum(len(one.content) for one in delivered.files),
        )
        if self.left_pu < cost_pu:
            return self._failed(OUT_OF_PU)
        try:
            async_files.write_results(self.storage, self.request, delivered.files)
            async_files.write_request(self.storage, self.request, cost_pu=cost_pu)
        except (ObjectStoreError, OSError) as error:
            return self._failed(f"The results cannot be written: {error}")
        return _Over(cost_pu)

    def _computed(self) -> Delivered:
        from shplan.sandbox.feature_files import Delivered  # noqa: PLC0415 as above

        try:
            work = self.work
            if self.script is not None and work.request is not None:
                read = replace(work.request, evalscript=self.script.read())
                work = replace(work, request=read)
            with self.scripts.worker() as worker:
                return work.files(worker)
        except ScriptTextError as error:
            return Delivered(failure=str(error))
        except Exception:  # noqa: BLE001 one bad request must not keep others from being served
            return Delivered(failure=UNFORESEEN)

    def _failed(self, cause: str) -> _Over:
        # A bucket that vanished meanwhile takes no error either.
        with suppress(ObjectStoreError, OSError):
            async_files.write_error(self.storage, self.request, cause)
        return _Over(cause=cause)


def _nothing(world: World, request: Request, at_ms: int) -> None:
    """A request has no such step: it knows one status."""


def _forget(store: Store, settings: Settings, now_ms: int) -> None:
    """A request is forgotten as it ends."""


STEPS = Steps(
    table=rows.REQUESTS, begin=_begin, end_analysis=_nothing, process=_nothing, forget=_forget
)
