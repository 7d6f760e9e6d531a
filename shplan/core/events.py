"""
What happens while a plan is made or applied, as values that views render.
"""

from __future__ import annotations

from typing import TypeAlias

from shplan.core.address import Address
from shplan.core.change import Action
from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """A change is being carried out."""

    address: Address
    action: Action
    members: int = 0


@dataclass(frozen=True, slots=True)
class ChangeProgress:
    """A change got so far."""

    address: Address
    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change waits for time to pass; `reason` says for what."""

    address: Address
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ChangeFinished:
    """
    A change ended.

    Args:
        outcome: `done`, `failed`, `skipped`, `stale`, `interrupted` or `unknown`
        message: why, where it is not `done`
        cost_pu: processing units spent
        seconds: how long it took
    """

    address: Address
    action: Action
    outcome: str
    message: str = ""
    cost_pu: float = 0.0
    seconds: float = 0.0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request is sent again after a pause."""

    operation: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BucketUnreadable:
    """A bucket was asked and cannot be read; `message` says why. Told once for each bucket."""

    bucket: str
    message: str


@dataclass(frozen=True, slots=True)
class ReceiptFileNotice:
    """A receipt file does not count, or cannot be written; `message` says why. Told once for each."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class LedgerHeld:
    """Somebody else writes to the ledger, and is waited for, at most so long."""

    holder: str
    seconds: float


Event: TypeAlias = (
    ChangeStarted
    | ChangeProgress
    | Waiting
    | ChangeFinished
    | Retrying
    | BucketUnreadable
    | ReceiptFileNotice
    | LedgerHeld
)
