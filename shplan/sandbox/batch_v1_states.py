"""
The states of a batch request of version 1: what an action does, and how processing ends.

Pure, and what both versions have in common stands in `batch_states`. Source: the older batch
pages: a request may be cancelled until it is over, its analysis is completed first, and only what
was partly processed is restarted. What START does when it comes twice is a setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import batch_states
from shplan.sandbox.batch_states import IllegalActionError, Move, Standing

if TYPE_CHECKING:
    from shplan.sandbox.settings import Settings

CREATED = batch_states.CREATED
ANALYSING = batch_states.ANALYSING
ANALYSIS_DONE = batch_states.ANALYSIS_DONE
PROCESSING = batch_states.PROCESSING
DONE = batch_states.DONE
FAILED = batch_states.FAILED
PARTIAL = "PARTIAL"
CANCELED = "CANCELED"
STATUSES = (CREATED, ANALYSING, ANALYSIS_DONE, PROCESSING, DONE, PARTIAL, FAILED, CANCELED)

ANALYSE = batch_states.ANALYSE
START = batch_states.START
CANCEL = "CANCEL"
# An action of the API, no `userAction`: the request stays one that was started.
RESTART = "RESTART"

PENDING = "PENDING"
SCHEDULED = "SCHEDULED"
QUEUED = "QUEUED"
PROCESSED = "PROCESSED"
TILE_STATUSES = (PENDING, SCHEDULED, QUEUED, PROCESSING, PROCESSED, FAILED)
# What the next tiles are doing while a request is processed, the very next one first.
FRONT = (PROCESSING, QUEUED, SCHEDULED)
# A tile that got stuck goes back two times and fails the third time. Source: the batch pages.
MOST_TRIES = 3


def act(standing: Standing, wanted: str, *, settings: Settings, now_ms: int) -> Move | None:
    """
    What an action does to a request.

    Returns:
        none if it is accepted without any effect

    Raises:
        IllegalActionError: it is not allowed now
    """
    if wanted == RESTART:
        return _restarted(standing)
    if wanted == CANCEL:
        move = _canceled(standing)
    elif wanted == ANALYSE:
        move = batch_states.analysed(standing, settings, now_ms)
    elif standing.action == START:
        if settings.second_start == "ignore":
            return None
        move = None
    else:
        move = batch_states.started(standing, settings, now_ms)
    if move is None:
        raise batch_states.illegal(standing, wanted)
    return move


def _canceled(standing: Standing) -> Move | None:
    if standing.status == ANALYSING and standing.action != CANCEL:
        return Move(ANALYSING, standing.due_ms)
    if standing.status in (CREATED, ANALYSIS_DONE, PROCESSING):
        return Move(CANCELED, None)
    return None


def _restarted(standing: Standing) -> Move:
    if standing.status != PARTIAL:
        msg = (
            "A restart needs a request that was processed in part, with status PARTIAL;"
            f" this one has status {standing.status}."
        )
        raise IllegalActionError(msg)
    return Move(PROCESSING, None)


def after_analysis(action: str, *, settings: Settings, at_ms: int) -> Move:
    """Where a request goes when its analysis succeeded."""
    if action == CANCEL:
        return Move(CANCELED, None)
    return batch_states.after_analysis(action, settings=settings, at_ms=at_ms)


def ended(*, total: int, failed: int) -> str:
    """The status of a request all of whose tiles are over."""
    if not failed:
        return DONE
    return FAILED if failed == total else PARTIAL


def is_at_rest(standing: Standing) -> bool:
    """Whether nothing happens to the request by itself, so that it may be deleted."""
    return standing.due_ms is None and standing.status not in (ANALYSING, PROCESSING)
