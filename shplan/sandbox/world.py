"""
One open sandbox: its directory, its store, its settings and its time.

Everything that changes with time is computed here from what is stored and the injected
clock; there is no background task.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shplan.sandbox import (
    async_rows,
    batch_collection_rows,
    batch_fates,
    batch_rows,
    batch_statistics_rows,
    batch_v1_rows,
    byoc_rows,
    sensed_tiles,
    zarr_rows,
)
from shplan.sandbox.ids import seeded_uuid
from shplan.sandbox.limits import Allowance, take
from shplan.sandbox.objects import Objects
from shplan.sandbox.scratch import clean
from shplan.sandbox.scripts import WorkerScripts
from shplan.sandbox.settings import Settings, SettingsFile
from shplan.sandbox.storage import Storage
from shplan.sandbox.store import Store
from shplan.script.limits import Limits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from shplan.sandbox.clock import Clock
    from shplan.sandbox.remote_buckets import RemoteBuckets
    from shplan.sandbox.scripts import Scripts


# The tiles before their order, which takes them in where a directory had no such order yet.
FAMILIES = (
    byoc_rows,
    sensed_tiles,
    batch_rows,
    batch_fates,
    batch_collection_rows,
    batch_v1_rows,
    batch_statistics_rows,
    zarr_rows,
    async_rows,
)


class World:
    """What every handler needs, shared by all requests of one process."""

    def __init__(
        self,
        data: Path,
        *,
        clock: Clock,
        settings: Settings | None = None,
        scripts: Scripts | None = None,
        remote: RemoteBuckets | None = None,
    ) -> None:
        self.data = data
        self.buckets = data / "buckets"
        self.buckets.mkdir(parents=True, exist_ok=True)
        clean(data)
        self.objects = Objects(self.buckets, scratch=data)
        self.remote = remote
        self._clock = clock
        self._file = SettingsFile(data)
        self._held: Settings | None = None
        # What brings the tasks of an account up to date at the moment; see `settling`.
        self.settling: dict[str, asyncio.Task[None]] = {}
        self.is_closed = False
        self.store = Store(data, families=FAMILIES)
        if settings is not None and settings != self._file.read():
            self._file.write(settings)
        self.scripts = scripts or WorkerScripts(self._limits)
        self.store.found(seed=self.settings.seed, clock_s=clock.now(), speed=self.settings.speed)

    def close(self) -> None:
        """Close the files, and end the processes that run evalscripts."""
        self.is_closed = True
        self.scripts.close()
        self.store.close()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Look once whether another process has changed the settings or the run of time."""
        with self.store.remembering():
            self._held = self._file.read()
            try:
                yield
            finally:
                self._held = None

    @property
    def storage(self) -> Storage:
        """The buckets, as the settings stand now; what asks them in a thread keeps it."""
        makes_buckets = self.settings.missing_bucket == "create"
        return Storage(self.objects, self.remote, makes_buckets=makes_buckets)

    @property
    def settings(self) -> Settings:
        """The settings as they stand now."""
        return self._held or self._file.read()

    def set_settings(self, settings: Settings) -> None:
        """Store other settings; a change of speed leaves the present instant as it is."""
        with self.store.writing():
            anchor = self.store.anchor()
            self.store.set_anchor(anchor.moved(clock_s=self._clock.now(), speed=settings.speed))
            self._file.write(settings)
            self._held = None

    def _limits(self) -> Limits:
        """What a script may use up, as the settings stand now."""
        now = self.settings
        return Limits(time_s=now.script_s, pixels_s=now.pixels_s, million_s=now.pixels_million_s)

    def now_s(self) -> float:
        """Sandbox time, seconds since 1970."""
        anchor = self.store.anchor()
        if anchor.speed != self.settings.speed:
            # The file was edited by hand, or by the caller that opened this directory.
            anchor = anchor.moved(clock_s=self._clock.now(), speed=self.settings.speed)
            self.store.set_anchor(anchor)
        return anchor.at(self._clock.now())

    def now_ms(self) -> int:
        """Sandbox time, whole milliseconds since 1970."""
        return round(self.now_s() * 1000)

    def tick(self, seconds: float) -> None:
        """Move time forward for everybody on this directory."""
        with self.store.writing():
            anchor = self.store.anchor()
            self.store.set_anchor(anchor.moved(clock_s=self._clock.now(), by_s=seconds))

    def reset(self) -> None:
        """Forget all state; settings and files in buckets stay."""
        clock_s = self._clock.now()
        anchor = self.store.anchor().moved(clock_s=clock_s, speed=self.settings.speed)
        fresh = type(anchor)(clock_s=clock_s, sandbox_s=clock_s, speed=anchor.speed)
        self.store.reset(seed=self.settings.seed, anchor=fresh)

    def account_id(self, name: str) -> str:
        """The identifier of an account, the same for one name in every sandbox."""
        return seeded_uuid("account", name)

    def allow(self, name: str, *, wanted: float, per_minute: float | None) -> int | None:
        """
        Take from an allowance.

        Returns:
            None if it was there, else the milliseconds of the client's time to wait
        """
        if per_minute is None:
            return None
        with self.store.writing():
            row = self.store.row("select tokens, at_ms from allowances where name = ?", name)
            known = None if row is None else Allowance(row["tokens"], row["at_ms"])
            grant = take(known, wanted=wanted, per_minute=per_minute, now_ms=self.now_ms())
            self.store.run(
                "insert or replace into allowances values (?, ?, ?)",
                name,
                grant.left.tokens,
                grant.left.at_ms,
            )
        if grant.wait_ms is None:
            return None
        return max(1, round(grant.wait_ms / self.settings.speed))
