"""
The states of a batch task: what an action does, and what follows by itself.

Pure: values of a stored task and the settings in, the next values out. Source: the batch pages'
state diagram; answers that name `userAction` and status when an action is illegal. What the pages
leave open (a second START, a START during analysis, the wait after a stop) is a setting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shplan.sandbox.settings import Settings

CREATED = "CREATED"
ANALYSING = "ANALYSING"
ANALYSIS_DONE = "ANALYSIS_DONE"
PROCESSING = "PROCESSING"
DONE = "DONE"
FAILED = "FAILED"
STOPPED = "STOPPED"
STATUSES = (CREATED, ANALYSING, ANALYSIS_DONE, PROCESSING, DONE, FAILED, STOPPED)

NONE = "NONE"
ANALYSE = "ANALYSE"
START = "START"
STOP = "STOP"

OUT_OF_PU = "OUT_OF_PU"
USER_ACTION = "USER_ACTION"
UNHEALTHY = "UNHEALTHY"

# Of a run that begins with failures, so many are told one by one.
MOST_FAILURES = 100


class IllegalActionError(ValueError):
    """An action that the task's state does not allow, in the words of the answer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What of a task decides about an action.

    Args:
        action: the last one that was accepted
        since_ms: when the status was reached
        due_ms: when something happens by itself; none: the task is at rest
        reason: why it is STOPPED
    """

    status: str
    action: str
    since_ms: int
    due_ms: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Status and due time after an action or a transition, and why if it is STOPPED."""

    status: str
    due_ms: int | None
    reason: str | None = None


def act(standing: Standing, wanted: str, *, settings: Settings, now_ms: int) -> Move | None:
    """
    What an action does to a task.

    Returns:
        none if it is accepted without any effect

    Raises:
        IllegalActionError: it is not allowed now
    """
    if wanted == ANALYSE:
        move = analysed(standing, settings, now_ms)
    elif wanted == STOP:
        move = _stopped(standing)
    elif _is_started(standing):
        if settings.second_start == "ignore":
            return None
        move = None
    else:
        move = _restarted(standing, settings, now_ms) or started(standing, settings, now_ms)
    if move is None:
        raise illegal(standing, wanted)
    return move


def illegal(standing: Standing, wanted: str) -> IllegalActionError:
    """The refusal of an action."""
    return IllegalActionError(
        f"It is illegal to change userAction from {standing.action} to {wanted}"
        f" with task status {standing.status}."
    )


def _is_started(standing: Standing) -> bool:
    """Whether a START counts already: it waits, runs, or is over; not if the task stopped."""
    return standing.action == START and (standing.status != STOPPED or standing.due_ms is not None)


def is_queued_or_running(standing: Standing) -> bool:
    """Whether the task is processed or waits for it. Source: `updateBatchV2ProcessRequest`."""
    return standing.status == PROCESSING or (
        standing.action == START and standing.due_ms is not None
    )


def _soon(settings: Settings, now_ms: int) -> int:
    return now_ms + round(settings.batch_queued_s * 1000)


def analysed(standing: Standing, settings: Settings, now_ms: int) -> Move | None:
    """What ANALYSE does; none: it is illegal."""
    if (standing.status, standing.action) != (CREATED, NONE):
        return None
    return Move(CREATED, _soon(settings, now_ms))


def _stopped(standing: Standing) -> Move | None:
    if standing.status == ANALYSING and standing.action != STOP:
        # The analysis is completed first.
        return Move(ANALYSING, standing.due_ms)
    if standing.status in (ANALYSIS_DONE, PROCESSING):
        return Move(STOPPED, None, USER_ACTION)
    return None


def started(standing: Standing, settings: Settings, now_ms: int) -> Move | None:
    """What the first START does; none: it is illegal."""
    soon = _soon(settings, now_ms)
    if standing.status == CREATED:
        return Move(CREATED, soon if standing.due_ms is None else standing.due_ms)
    if standing.status == ANALYSIS_DONE:
        return Move(ANALYSIS_DONE, soon)
    if standing.status == ANALYSING:
        accepted = standing.action == ANALYSE and settings.start_while_analysing == "accept"
        return Move(ANALYSING, standing.due_ms) if accepted else None
    return None


def _restarted(standing: Standing, settings: Settings, now_ms: int) -> Move | None:
    if standing.status != STOPPED:
        return None
    until_ms = standing.since_ms + round(settings.batch_restart_after_s * 1000)
    if standing.reason == USER_ACTION and now_ms < until_ms:
        return None
    return Move(STOPPED, _soon(settings, now_ms), standing.reason)


def after_analysis(action: str, *, settings: Settings, at_ms: int) -> Move:
    """Where a task goes when its analysis succeeded."""
    if action == STOP:
        return Move(STOPPED, None, USER_ACTION)
    if action == START:
        return Move(ANALYSIS_DONE, _soon(settings, at_ms))
    return Move(ANALYSIS_DONE, None)


def run_columns(total: int, *, settings: Settings, at_ms: int) -> dict[str, str | int | float]:
    """What is stored of a task whose processing begins, over so many features."""
    pace_ms = settings.batch_processing_s * 1000 / total if total else 0.0
    return {
        "status": PROCESSING,
        "since_ms": at_ms,
        "due_ms": handled_at_ms(1, run_ms=at_ms, pace_ms=pace_ms),
        "run_ms": at_ms,
        "pace_ms": pace_ms,
        "run_handled": 0,
        "fatal": 0,
    }


class Running(Protocol):
    """What of a stored task says how far its run is; instants in milliseconds since 1970."""

    @property
    def since_ms(self) -> int:
        """When the status was reached."""

    @property
    def total(self) -> int | None:
        """How many features it has."""

    @property
    def run_ms(self) -> int | None:
        """When processing last began."""

    @property
    def pace_ms(self) -> float | None:
        """The time for a feature."""

    @property
    def run_handled(self) -> int:
        """How many features were handled since."""


def turn_columns(
    task: Running, count: int, *, handled: int, stopped: tuple[str, int] | None, done: str = DONE
) -> dict[str, str | int | None]:
    """
    What is stored of a task after so many features had their turn.

    Args:
        handled: features that are done or failed, of all runs
        stopped: why the task is stopped, and at which instant; none: it goes on, or is over
        done: the status where all features are handled
    """
    run_handled, run_ms, pace_ms = task.run_handled + count, task.run_ms or 0, task.pace_ms or 0.0
    at_ms = handled_at_ms(run_handled, run_ms=run_ms, pace_ms=pace_ms)
    found: dict[str, str | int | None] = {"run_handled": run_handled, "handled": handled}
    if stopped is not None:
        reason, at_ms = stopped
        found |= {"status": STOPPED, "reason": reason, "since_ms": at_ms, "due_ms": None}
    elif handled >= (task.total or 0):
        found |= {"status": done, "reason": None, "since_ms": at_ms, "due_ms": None}
    else:
        due_ms = handled_at_ms(run_handled + 1, run_ms=run_ms, pace_ms=pace_ms)
        found |= {"status": PROCESSING, "reason": None, "since_ms": task.since_ms, "due_ms": due_ms}
    return {**found, "updated_ms": at_ms}


def is_unhealthy(failed: int, *, handled: int, share: float) -> bool:
    """
    Whether features of a run keep failing, so that it is not gone on with, however many there are.

    Each of them may take all the time that a script has. That it is so, and from how many on, are choices of ours.
    """
    return failed >= MOST_FAILURES and failed > share * handled


def handled_by(now_ms: int, *, run_ms: int, pace_ms: float) -> float:
    """How many features a run that began at `run_ms` has handled; infinite without a pace."""
    if pace_ms <= 0:
        return math.inf
    return math.floor((now_ms - run_ms) / pace_ms + 1e-9)


def handled_at_ms(count: int, *, run_ms: int, pace_ms: float) -> int:
    """When the run's feature of this number, from 1, is handled."""
    return run_ms + math.ceil(count * pace_ms)
