"""Places for a ledger, one for each backend, and what can happen to a holder there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shplan.core.chain import Head
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.postgres import PostgresBackend
from shplan.ledger.backends.postgres_session import Server
from shplan.ledger.backends.postgres_tables import Most
from shplan.ledger.backends.s3 import S3Backend
from shplan.ledger.backends.settling import NO_PATIENCE, Patience
from shplan.ledger.journal import Journal
from shplan.ledger.port import Backend, Mark
from tests.ledger.backends.memory import Bucket, MemoryObjects
from tests.ledger.support import HandClock

TTL_S = 60.0


class Place(Protocol):
    """One ledger; every backend is another process's."""

    def backend(self) -> Backend: ...

    async def die(self, holder: Backend) -> None:
        """The holder's process ends, and nobody tidies up."""

    async def lose(self, holder: Backend) -> None:
        """The lease ends under a holder that lives on and does not know."""


def journal(place: Place, user: str = "ada") -> Journal:
    return Journal(place.backend(), clock=HandClock(), actor={"user": user})


async def lines(place: Place, start: Mark | None = None) -> list[bytes]:
    """What a reader finds."""
    backend = place.backend()
    await backend.head()
    return [line async for segment in backend.segments(start) for line in segment.lines]


async def kept(place: Place) -> Head | None:
    return await place.backend().head()


class DirectoryPlace:
    def __init__(self, path: Path) -> None:
        self.path = path

    def backend(self) -> DirectoryBackend:
        return DirectoryBackend(self.path, name="the ledger", segment_bytes=700)

    async def die(self, holder: DirectoryBackend) -> None:
        holder._lock.release()

    async def lose(self, holder: DirectoryBackend) -> None:
        # No lock of an operating system is lost; somebody can only remove the file.
        (self.path / "lock").unlink()


class BucketPlace:
    def __init__(self, *, fan: int = 3, page: int = 1000) -> None:
        self.bucket = Bucket(page=page)
        self.fan = fan

    def backend(
        self, objects: MemoryObjects | None = None, *, patience: Patience = NO_PATIENCE
    ) -> S3Backend:
        return S3Backend(
            MemoryObjects(self.bucket) if objects is None else objects,
            "ledgers/prod",
            ttl_s=TTL_S,
            fan=self.fan,
            patience=patience,
            # A holder that stands still does not see time pass.
            monotonic=lambda: 0.0,
        )

    async def die(self, holder: S3Backend) -> None:
        self.bucket.now_s += TTL_S + 3

    async def lose(self, holder: S3Backend) -> None:
        self.bucket.now_s += TTL_S + 3


class PostgresPlace:
    """
    Args:
        parameters: of libpq
        schema: of this ledger alone
    """

    def __init__(self, parameters: Mapping[str, str], schema: str = "ledger") -> None:
        self.parameters = parameters
        self.schema = schema

    def backend(self) -> PostgresBackend:
        server = Server(self.parameters, name="the ledger")
        return PostgresBackend(server, self.schema, name="the ledger", page=Most(4))

    async def die(self, holder: PostgresBackend) -> None:
        await self._terminate(holder)
        holder._lease._session._connection.close()

    async def lose(self, holder: PostgresBackend) -> None:
        await self._terminate(holder)

    async def _terminate(self, holder: PostgresBackend) -> None:
        import psycopg

        assert holder._lease._session is not None
        pid = holder._lease._session._connection.info.backend_pid
        with psycopg.connect(autocommit=True, **self.parameters) as other:
            gone = other.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,)).fetchone()
        # A server that is busy may take its time; its locks are free only then.
        assert gone == (True,)


class Schemas:
    """Ledgers in one database, a schema for each."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._numbers = itertools.count()

    def place(self) -> PostgresPlace:
        return PostgresPlace(self._parameters, f"ledger_{next(self._numbers)}")
