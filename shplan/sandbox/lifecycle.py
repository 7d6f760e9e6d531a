"""
The states of a tile as a function of stored instants and the time.

WAITING, QUEUED, INGESTING pass by themselves; the end is what the check of the files found.
Source: schema `BYOCTileStatus`; how long each lasts is a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shplan.sandbox.settings import Settings

WAITING = "WAITING"
QUEUED = "QUEUED"
INGESTING = "INGESTING"
INGESTED = "INGESTED"
FAILED = "FAILED"
STATUSES = (WAITING, QUEUED, INGESTING, INGESTED, FAILED)


@dataclass(frozen=True, slots=True)
class Round:
    """The instants of one ingestion, in milliseconds: asked for, queued, begun, over."""

    asked_ms: int
    queued_ms: int
    ingesting_ms: int
    done_ms: int


def plan_round(settings: Settings, *, now_ms: int) -> Round:
    """The instants of an ingestion that is asked for now."""
    queued = now_ms + round(settings.waiting_s * 1000)
    ingesting = queued + round(settings.queued_s * 1000)
    done = ingesting + round(settings.ingesting_s * 1000)
    return Round(asked_ms=now_ms, queued_ms=queued, ingesting_ms=ingesting, done_ms=done)


def status(outcome: str | None, *, queued_ms: int, ingesting_ms: int, now_ms: int) -> str:
    """
    The status to show.

    `outcome` is INGESTED or FAILED once the files were checked, else none.
    """
    if outcome is not None:
        return outcome
    if now_ms < queued_ms:
        return WAITING
    return QUEUED if now_ms < ingesting_ms else INGESTING
