"""
Driving the flows of providers that only read: the refresh, side by side.

Also the replies to reading steps for the executor, which adds acting and noting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from shplan.core.errors import ApiError, StorageError
from shplan.core.files import Inspect
from shplan.core.value import JsonValue
from shplan.providers.steps import (
    Fetch,
    File,
    Flow,
    Look,
    Progress,
    Read,
    Reply,
    Rows,
    Scan,
    Step,
    Survey,
    Together,
    Wait,
)

if TYPE_CHECKING:
    from shplan.core.request import Answer
    from shplan.engine.ports import Api, Clock, ProjectFiles, Storage

T = TypeVar("T")
Perform = Callable[[Step], Awaitable[object]]


async def drive(flow: Flow[T], perform: Perform) -> T:
    """
    Run a flow to its end: perform each step, send its reply in, throw its refusals in.

    Raises:
        ApiError, ChangeFailedError: what the flow lets pass
    """
    try:
        step = next(flow)
        while True:
            try:
                reply = await perform(step)
            except ApiError as error:
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as end:
        return cast("T", end.value)


_Question: TypeAlias = tuple[str, Callable[[Rows], object]]


class SharedLists:
    """
    Lists that many ask for at the same time, each read once for all of them.

    Whoever asks is answered by a reading that begins after the question: one that is under way may
    have passed the place where something has changed since.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._next: dict[_Question, asyncio.Task[object]] = {}
        self._under_way: dict[_Question, asyncio.Lock] = {}

    async def read(self, survey: Survey) -> object:
        """Read a list; the reading is shared by all that ask before it begins."""
        question = (survey.request.digest, survey.index)
        if question not in self._next:
            self._next[question] = asyncio.create_task(self._read(question, survey))
        # Shielded: one that is cancelled does not take the answer away from the others.
        return await asyncio.shield(self._next[question])

    async def _read(self, question: _Question, survey: Survey) -> object:
        async with self._under_way.setdefault(question, asyncio.Lock()):
            del self._next[question]
            rows: list[tuple[JsonValue, ...]] = []
            await self._api.scan(survey.request, rows.extend)
            return survey.index(tuple(rows))


class Reader:
    """
    Performs reading steps; the number of requests in flight is bounded.

    Args:
        paid: what was answered before to what is asked once; None: everything is asked anew
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        parallelism: int,
        storage: Storage | None = None,
        shared: SharedLists | None = None,
        files: ProjectFiles | None = None,
        paid: dict[str, Answer] | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._storage = storage
        self._files = files
        self._slots = asyncio.Semaphore(parallelism)
        self._shared = shared or SharedLists(api)
        self._paid = paid

    @property
    def server_time(self) -> str:
        """The latest `Date` the server sent, ISO 8601 in UTC, or empty."""
        return self._api.server_time

    async def perform(self, step: Step) -> object:
        """
        Perform one reading step.

        Raises:
            TypeError: the step has an effect; a refresh never has
        """
        match step:
            case Read() | Scan():
                return await self.read(step)
            case Survey():
                return await self._shared.read(step)
            case Together(steps=steps):
                return await self._together(steps)
            case Look(bucket=bucket, prefix=prefix):
                return await self._look(bucket, prefix)
            case Fetch(bucket=bucket, key=key):
                return await self._fetch(bucket, key)
            case Inspect():
                return {} if self._files is None else self._files.inspect(step)
            case Wait(seconds=seconds):
                await self._clock.sleep(seconds)
                return None
            case Progress():
                return None
            case _:
                message = f"a refresh does not {type(step).__name__.lower()}"
                raise TypeError(message)

    async def read(self, step: Read | Scan) -> object:
        """Send one reading request, or read all pages of a list."""
        async with self._slots:
            if isinstance(step, Scan):
                return await self._api.scan(step.request, step.sink)
            if not step.once or self._paid is None:
                return await self._api.send(step.request)
            name = step.request.digest
            if name not in self._paid:
                self._paid[name] = await self._api.send(step.request)
            return self._paid[name]

    async def _fetch(self, bucket: str, key: str) -> bytes | None:
        if self._storage is None:
            return None
        try:
            return await self._storage.get(bucket, key)
        except StorageError:
            return None

    async def _look(self, bucket: str, prefix: str) -> tuple[File, ...] | None:
        """List a bucket; one that cannot be read is said so, it is no error of a plan."""
        if self._storage is None:
            return None
        try:
            found = await self._storage.list(bucket, prefix)
        except StorageError:
            return None
        return tuple(File(one.key, one.size_bytes, one.etag) for one in found)

    async def _together(self, steps: tuple[Read | Scan, ...]) -> tuple[object, ...]:
        return tuple(await asyncio.gather(*(self._reply(step) for step in steps)))

    async def _reply(self, step: Read | Scan) -> Reply | object:
        try:
            return await self.read(step)
        except ApiError as error:
            return error
