"""
The ports of the engine: what it needs of the world, without knowing who gives it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, LedgerEntry
from shplan.core.events import Event
from shplan.core.files import FileFound, Inspect, Prepare, Write
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Desired, Recorded
from shplan.core.runs import RunRecord
from shplan.core.value import JsonValue, Object, Sensitive, Value


class Api(Protocol):
    """The service. Retries what is safe to retry, translates every error into an `ApiError`."""

    @property
    def server_time(self) -> str:
        """The latest `Date` the server sent, ISO 8601 in UTC, or empty."""
        ...

    async def send(
        self, request: ApiRequest, *, still: Callable[[], Awaitable[None]] | None = None
    ) -> Answer:
        """
        Send one request; it holds no unknowns, and its secrets are resolved while sending.

        Args:
            still: asked right before each attempt, after all waiting; what it raises ends the
                sending with nothing sent by that attempt

        Raises:
            RefusedError: the server answered no
            ThrottledError: the server kept asking to come back later
            NoAnswerError: no answer came; a request with an effect may have been carried out
        """
        ...

    async def scan(
        self, request: ApiRequest, sink: Callable[[tuple[tuple[JsonValue, ...], ...]], None]
    ) -> int:
        """Read all pages of a list, hand each page's rows to `sink`, return their number."""
        ...


class Lease(Protocol):
    """The right to append, held while changes are sent."""

    async def append(self, drafts: Sequence[EntryDraft]) -> tuple[LedgerEntry, ...]:
        """Write entries and wait until they are on disk: one uninterruptible step."""
        ...

    async def __aenter__(self) -> Lease: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Ledger(Protocol):
    """
    The ledger of one environment.

    Attributes:
        private: only this machine can see it
        sure_s: for how long after a beat nobody else acts under another lease
    """

    private: bool
    sure_s: float

    async def head(self) -> str:
        """Return the hash of the last entry, the genesis hash of an empty ledger."""
        ...

    async def recorded(self, deployment: str) -> Mapping[Address, Recorded]:
        """
        Fold the entries of one deployment into what is recorded.

        Raises:
            DamagedLedgerError: an entry was changed, dropped, reordered or cut off
        """
        ...

    async def runs(self, deployment: str) -> Mapping[str, RunRecord]:
        """
        Return what the entries of one deployment know of runs, by key.

        Raises:
            DamagedLedgerError: as `recorded`
        """
        ...

    async def others(self) -> tuple[LedgerEntry, ...]:
        """
        Return what others have appended since the last lease was given back.

        Raises:
            LedgerError: the ledger is not the one that was left
        """
        ...

    async def beat(self) -> bool:
        """
        Say that the holder of the lease lives; return whether the lease is known to be held.

        Raises:
            LockedError: somebody else has it by now
        """
        ...

    def lease(self, *, timeout_s: float, waiting: Callable[[str], None] | None = None) -> Lease:
        """
        Return the lease, to be entered with `async with`.

        Args:
            timeout_s: how long to wait on entering while somebody else has it
            waiting: is told who, once, if there is anything to wait for

        Raises:
            LockedError: on entering, somebody else held it longer than `timeout_s`
        """
        ...


class Storage(Protocol):
    """A bucket that can be read (and written, for our own files)."""

    async def head(self, bucket: str, key: str) -> StoredObject | None: ...

    async def get(self, bucket: str, key: str) -> bytes: ...

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]: ...

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject: ...


class ProjectFiles(Protocol):
    """The files of the project that answers and receipts go to."""

    def below(self, directory: str) -> tuple[str, ...]:
        """Return what lies below a directory and is none, sorted; no link is followed."""
        ...

    def inspect(self, step: Inspect) -> Mapping[str, FileFound]:
        """Look at files; writes nothing."""
        ...

    def prepare(self, step: Prepare) -> None:
        """
        Make directories, and try whether there is room in them; nothing of it is left.

        Raises:
            OutputError: something cannot be written there
        """
        ...

    def write(self, step: Write) -> None:
        """
        Write files, and wait until they are on disk.

        Raises:
            OutputError: one of them cannot be written, or something else lies there
        """
        ...


class StoredObject(Protocol):
    """One object in a bucket: its key, its size and its ETag without quotes."""

    @property
    def key(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def etag(self) -> str: ...


class Resolver(Protocol):
    """Fills unknown values; the manifest room implements it."""

    def fill(self, desired: Desired, attributes: Mapping[Address, Object]) -> Desired:
        """
        Return the resource with every unknown evaluated that these attributes allow.

        Raises:
            ManifestError: an attribute does not exist, or an expression fails on its value
        """
        ...

    def fill_value(self, value: Value, attributes: Mapping[Address, Object]) -> Value:
        """The same for one value."""
        ...

    def check(self, address: Address, attributes: Mapping[Address, Object]) -> None:
        """
        Check a resource once more, with what is known of those that it refers to.

        Raises:
            ManifestError: it does not fit them
        """
        ...


class Secrets(Protocol):
    """Resolves secrets, at the moment of a request."""

    def reveal(self, value: Sensitive) -> str:
        """
        Return the text with its secrets in place.

        Raises:
            CredentialsError: a secret is not there
        """
        ...


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class EventSink(Protocol):
    """Is told what happens."""

    def emit(self, event: Event) -> None:
        """Take note; never raises."""
        ...
