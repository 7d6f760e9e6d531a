"""A bucket in memory that obeys conditions, stops at any request, and lets requests take turns."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from shplan.core.errors import StorageError
from shplan.storage.objects import Found
from shplan.storage.port import ConditionError, StoredObject, UnansweredError


class KilledError(BaseException):
    """The process ends."""


class Trouble(Enum):
    """What becomes of one request."""

    NEVER_ARRIVES = "never arrives"
    ANSWER_LOST = "acts, and the answer is lost"
    SENT_AGAIN = "acts, the answer is lost, and the library sends it again"
    KILLED_BEFORE = "the process ends before it is sent"
    KILLED_AFTER = "it acts, and the process ends"
    LATE = "no answer comes, and it acts later, while others do"


@dataclass
class Bucket:
    """
    The objects, as the store has them.

    Args:
        now_s: the store's clock
        page: how many objects one page of a listing has; between pages others write
    """

    now_s: float = 1000.0
    page: int = 1000
    objects: dict[str, tuple[bytes, int, float]] = field(default_factory=dict)
    writes: int = 0
    late: list[tuple[int, str, bytes, str | None]] = field(default_factory=list)

    def pass_time(self) -> None:
        """One request more: what is on its way comes nearer, and arrives."""
        self.late = [(left - 1, *rest) for left, *rest in self.late]  # type: ignore[misc]
        arrived = [one for one in self.late if one[0] < 0]
        self.late = [one for one in self.late if one[0] >= 0]
        for _, key, content, over in arrived:
            with contextlib.suppress(ConditionError):
                self.put(key, content, over)

    def put(self, key: str, content: bytes, over: str | None) -> str:
        there = self.objects.get(key)
        if (None if there is None else _etag(there)) != over:
            raise ConditionError("not as expected")
        self.writes += 1
        self.objects[key] = (content, self.writes, self.now_s)
        return _etag(self.objects[key])

    def content(self) -> dict[str, bytes]:
        return {key: value[0] for key, value in sorted(self.objects.items())}


def _etag(there: tuple[bytes, int, float]) -> str:
    # As S3's: the same for the same content.
    return hashlib.md5(there[0], usedforsecurity=False).hexdigest()


async def _no_turn() -> None:
    return None


class MemoryObjects:
    """
    One process's way to a bucket.

    Args:
        turn: awaited before every request, so that a test decides who is next
        trouble: what becomes of the n-th request that writes
        delay: after how many requests of anybody what is late arrives
        is_down: whether nobody answers now; then a write may be carried out all the same
    """

    name = "s3://bucket"

    def __init__(
        self,
        bucket: Bucket,
        *,
        turn: Callable[[], Awaitable[None]] = _no_turn,
        trouble: dict[int, Trouble] | None = None,
        delay: int = 0,
        is_down: Callable[[], bool] = lambda: False,
    ) -> None:
        self.bucket = bucket
        self.turn = turn
        self.trouble = trouble or {}
        self.delay = delay
        self.is_down = is_down
        self.acts_while_down = False
        self.wrote: list[str] = []
        self.dead = False

    async def get(self, key: str) -> Found | None:
        await self._alive()
        if self.is_down():
            raise UnansweredError("no answer")
        there = self.bucket.objects.get(key)
        if there is None:
            return None
        return Found(there[0], _etag(there), self.bucket.now_s - there[2])

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        found = [await self.get(key) for key in keys]
        return [None if one is None else one.content for one in found]

    async def list(self, prefix: str) -> Sequence[StoredObject]:
        listed: list[StoredObject] = []
        last = ""
        while True:
            await self._alive()
            keys = [k for k in sorted(self.bucket.objects) if k.startswith(prefix) and k > last]
            for key in keys[: self.bucket.page]:
                there = self.bucket.objects[key]
                listed.append(StoredObject(key, len(there[0]), _etag(there)))
            if len(keys) <= self.bucket.page:
                return listed
            last = keys[self.bucket.page - 1]

    async def folders(self, prefix: str) -> Sequence[str]:
        await self._alive()
        rests = [k.removeprefix(prefix) for k in self.bucket.objects if k.startswith(prefix)]
        return sorted({rest.partition("/")[0] for rest in rests if "/" in rest})

    async def put(self, key: str, content: bytes, *, over: str | None) -> str:
        trouble = await self._write(f"put {key}")
        if self.is_down():
            if self.acts_while_down:
                with contextlib.suppress(ConditionError):
                    self.bucket.put(key, content, over)
            raise UnansweredError("no answer")
        if trouble is Trouble.LATE:
            self.bucket.late.append((self.delay, key, content, over))
            raise StorageError("no answer")
        try:
            etag = self.bucket.put(key, content, over)
        except ConditionError:
            self._answer(trouble)
            raise
        if trouble is Trouble.SENT_AGAIN:
            return self.bucket.put(key, content, over)
        self._answer(trouble)
        return etag

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            trouble = await self._write(f"delete {key}")
            self.bucket.objects.pop(key, None)
            self._answer(trouble)

    async def _write(self, what: str) -> Trouble | None:
        await self._alive()
        trouble = self.trouble.get(len(self.wrote))
        self.wrote.append(what)
        if trouble is Trouble.KILLED_BEFORE:
            self.dead = True
            raise KilledError
        if trouble is Trouble.NEVER_ARRIVES:
            raise StorageError("no answer")
        return trouble

    def _answer(self, trouble: Trouble | None) -> None:
        if trouble is Trouble.KILLED_AFTER:
            self.dead = True
            raise KilledError
        if trouble is Trouble.ANSWER_LOST:
            raise StorageError("no answer")

    async def _alive(self) -> None:
        await self.turn()
        if self.dead:
            raise KilledError
        self.bucket.pass_time()
        await asyncio.sleep(0)
