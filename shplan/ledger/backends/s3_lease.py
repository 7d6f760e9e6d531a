"""
The lease of a ledger in a bucket: an object that says who may write, and that ages.

Its age is the store's own (the time of the answer less the time of the last write), so no clock of
ours decides who is dead. A holder writes it again (`beat`); what is not written for longer than its
time to live is taken over by whoever comes, in the place of exactly the version that was read.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from shplan.core.errors import LedgerError, StorageError
from shplan.ledger.backends.holders import UNKNOWN
from shplan.ledger.backends.seals import seal, unseal
from shplan.ledger.backends.settling import NO_PATIENCE, Patience, put
from shplan.ledger.port import Holder, LeaseLostError
from shplan.storage.objects import Found, Objects
from shplan.storage.port import ConditionError

TTL_S: Final = 60.0
# The store tells its time in whole seconds, twice.
_GRAIN_S = 2.0
_UNSEALED, _FORMAT = 1, 2
_ATTEMPTS = 5


class _LeaseFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What the object holds.

    Args:
        token: of one holding, known to nobody before
        fence: its number
        beat: how often it was written since; no two writes are the same
        ttl_s: how old it becomes
        holder: None: nobody holds it
        dead: earlier holders of whom no entry tells yet
        v: version of this form
    """

    token: str
    fence: int
    beat: int
    ttl_s: float
    v: int
    holder: Holder | None = None
    dead: tuple[Holder, ...] = ()


class _LeaseVersion(msgspec.Struct, frozen=True):
    v: int


class _NewerLeaseError(Exception):
    """The lease was written by a newer shplan."""


class S3Lease:
    """
    The lease.

    Args:
        objects: the bucket
        key: of the object
        monotonic: seconds of a clock that never jumps
        ttl_s: for how long it is believed without a beat
    """

    def __init__(
        self, objects: Objects, key: str, *, monotonic: Callable[[], float], ttl_s: float = TTL_S
    ) -> None:
        self._objects = objects
        self._key = key
        self._monotonic = monotonic
        self._ttl_s = ttl_s
        self._mine: _LeaseFile | None = None
        self._etag = ""
        self._written_at = 0.0

    @property
    def fence(self) -> int:
        """Number of the lease that is held, else 0."""
        return 0 if self._mine is None else self._mine.fence

    @property
    def token(self) -> str:
        """What no other holding has; empty where none is held."""
        return "" if self._mine is None else self._mine.token

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders of whom no entry tells yet."""
        return () if self._mine is None else self._mine.dead

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try to take it; return who has it.

        Raises:
            StorageError: it cannot be read or written
            LedgerError: it is no lease
        """
        other = UNKNOWN
        for _ in range(_ATTEMPTS):
            found = await self._objects.get(self._key)
            record = None if found is None else self._decode(found)
            if record is not None and record.holder is not None:
                other = record.holder
                if found is not None and found.age_s <= record.ttl_s + _GRAIN_S:
                    return other
            try:
                await self._write(_next(record, holder, self._ttl_s), found)
            except ConditionError:
                # Somebody was faster, or let go in this moment.
                continue
            return None
        return other

    async def holder(self) -> Holder | None:
        """
        Return who has it, and has been heard of.

        Raises:
            StorageError: it cannot be read
            LedgerError: it is no lease
        """
        found = await self._objects.get(self._key)
        if found is None:
            return None
        record = self._decode(found)
        return record.holder if found.age_s <= record.ttl_s + _GRAIN_S else None

    async def flaws(self) -> Sequence[str]:
        """
        Say what of it is not as it was written.

        Raises:
            StorageError: it cannot be read
        """
        found = await self._objects.get(self._key)
        try:
            if found is not None:
                _read(found.content)
        except _NewerLeaseError:
            return ()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            name = self._key.rpartition("/")[2]
            return (f"{name} does not say as it was written who holds the ledger",)
        return ()

    async def beat(self) -> None:
        """
        Write it again.

        Raises:
            LeaseLostError: it is not ours any more
            LedgerError: it is unknown whether it is
        """
        await self._rewrite(self._held())

    async def refresh(self, patience: Patience = NO_PATIENCE) -> None:
        """
        Write it again where a beat is due.

        Args:
            patience: with a store that does not answer

        Raises:
            LeaseLostError: it is not ours any more
            LedgerError: it is unknown whether it is
        """
        mine = self._held()
        if self._monotonic() - self._written_at > self._ttl_s / 3:
            await self._rewrite(mine, patience)

    async def bury(self) -> None:
        """
        Forget the dead.

        Raises:
            LeaseLostError: it is not ours any more
        """
        mine = self._held()
        if mine.dead:
            await self._rewrite(msgspec.structs.replace(mine, dead=()))

    async def release(self) -> None:
        """Let go, of what is ours only; where nobody answers it ages instead."""
        if self._mine is not None:
            with contextlib.suppress(LedgerError):
                await self._rewrite(msgspec.structs.replace(self._mine, holder=None))
            self._mine = None

    def lose(self) -> None:
        """Know that it is not ours any more."""
        self._mine = None

    def _held(self) -> _LeaseFile:
        if self._mine is None:
            msg = f"the lease of the ledger {self._objects.name}/{self._key} is not held here"
            raise LeaseLostError(msg)
        return self._mine

    async def _rewrite(self, record: _LeaseFile, patience: Patience = NO_PATIENCE) -> None:
        started = self._monotonic()
        try:
            await self._replace(record, patience)
        except ConditionError as error:
            self._mine = None
            raise LeaseLostError(await self._who()) from error
        except StorageError as error:
            # Written or not: the next beat looks. What is not heard of in time is lost anyway.
            msg = f"the lease cannot be kept: {error}"
            raise LedgerError(msg) from error
        self._written_at = started

    async def _replace(self, record: _LeaseFile, patience: Patience) -> None:
        """Write it in the place of our own last version, also of one whose answer was lost."""
        record = msgspec.structs.replace(record, beat=record.beat + 1)
        content = _encode(record)
        try:
            self._etag = await put(
                self._objects, self._key, content, over=self._etag, patience=patience
            )
        except ConditionError:
            found = await self._objects.get(self._key)
            there = None if found is None else self._decode(found)
            if found is None or there is None or there.token != record.token:
                raise
            record = msgspec.structs.replace(record, beat=there.beat + 1)
            self._etag = await put(self._objects, self._key, _encode(record), over=found.etag)
        self._mine = record

    async def _who(self) -> str:
        msg = "the lease of the ledger was taken over"
        with contextlib.suppress(StorageError, LedgerError):
            found = await self._objects.get(self._key)
            record = None if found is None else self._decode(found)
            if record is not None and record.holder is not None:
                msg += f" by {record.holder}"
        return f"{msg}: this process had not been heard of for longer than {self._ttl_s:g} s"

    async def _write(self, record: _LeaseFile, found: Found | None) -> None:
        started = self._monotonic()
        over = None if found is None else found.etag
        self._etag = await put(self._objects, self._key, _encode(record), over=over)
        self._mine, self._written_at = record, started

    def _decode(self, found: Found) -> _LeaseFile:
        try:
            return _read(found.content)
        except _NewerLeaseError as error:
            msg = f"the object {self._objects.name}/{self._key} {error}"
            raise LedgerError(msg) from error
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            msg = (
                f"the object {self._objects.name}/{self._key} is not the lease of a ledger; "
                "remove it once nobody writes there"
            )
            raise LedgerError(msg) from error


def _next(record: _LeaseFile | None, holder: Holder, ttl_s: float) -> _LeaseFile:
    """Return the lease that follows; who still held the one before is among the dead."""
    fence, dead = (1, ()) if record is None else (record.fence + 1, record.dead)
    if record is not None and record.holder is not None:
        dead = (*dead, record.holder)
    token = secrets.token_hex(16)
    return _LeaseFile(token, fence, 0, ttl_s, _FORMAT, holder, dead)


def _encode(record: _LeaseFile) -> bytes:
    return seal(msgspec.json.encode(record))


def _read(content: bytes) -> _LeaseFile:
    """
    Read a lease; format 1 had no digest.

    Raises:
        _NewerLeaseError: whoever wrote it knows more than we do
        ValueError: it is none, or not as shplan wrote it
    """
    sealed = unseal(content)
    plain = content if sealed is None else sealed
    version = msgspec.json.decode(plain, type=_LeaseVersion).v
    if sealed is not None and version > _FORMAT:
        msg = (
            f"has format {version} and this shplan knows {_FORMAT}: a newer shplan holds the ledger, "
            "or held it last"
        )
        raise _NewerLeaseError(msg)
    record = msgspec.json.decode(plain, type=_LeaseFile)
    if record.v != (_UNSEALED if sealed is None else _FORMAT):
        msg = f"format {record.v}"
        raise ValueError(msg)
    return record
