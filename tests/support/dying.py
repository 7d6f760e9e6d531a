"""
A process that dies at its n-th request: before it leaves, after it was served, or after the answer.

A dead process sends nothing and writes nothing, so transport and ledger die together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Moment(Enum):
    """When, around its n-th request, the process dies."""

    BEFORE = "before it is sent"
    SERVED = "after it was served, before the answer"
    ANSWERED = "after the answer, before the ledger"


class Death(BaseException):
    """The process is gone."""


@dataclass
class Fate:
    """When to die; counts every request but those for a token."""

    at: int
    moment: Moment
    seen: int = 0
    dead: bool = False
    sent: list[str] = field(default_factory=list)

    def live(self) -> None:
        if self.dead:
            raise Death


class DyingTransport:
    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes
    ) -> Any:
        fate = self._fate
        fate.live()
        if url.endswith("/token"):
            return await self._inner.send(method, url, headers=headers, content=content)
        fate.seen += 1
        fate.sent.append(f"{method} {url}")
        fatal = fate.seen == fate.at
        if fatal and fate.moment is Moment.BEFORE:
            fate.dead = True
            raise Death
        answer = await self._inner.send(method, url, headers=headers, content=content)
        fate.live()
        if fatal:
            fate.dead = True
            if fate.moment is Moment.SERVED:
                raise Death
        return answer

    async def close(self) -> None:
        await self._inner.close()


class DyingLedger:
    """A ledger whose writer can die; reading goes on, as the next process would read."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate
        self.private = inner.private
        self.sure_s = inner.sure_s

    async def head(self) -> str:
        return await self._inner.head()

    async def recorded(self, deployment: str) -> Any:
        return await self._inner.recorded(deployment)

    async def runs(self, deployment: str) -> Any:
        return await self._inner.runs(deployment)

    async def others(self) -> Any:
        self._fate.live()
        return await self._inner.others()

    async def beat(self) -> None:
        self._fate.live()
        await self._inner.beat()

    def lease(self, *, timeout_s: float, **more: Any) -> Any:
        return _DyingLease(self._inner.lease(timeout_s=timeout_s, **more), self._fate)


class _DyingLease:
    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def append(self, drafts: Any) -> Any:
        self._fate.live()
        return await self._inner.append(drafts)

    async def __aenter__(self) -> Any:
        self._fate.live()
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        # The operating system releases a dead holder's lock.
        await self._inner.__aexit__(*error)
