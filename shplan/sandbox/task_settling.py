"""
Tasks brought up to date: whatever was due before now happens, in the order in which it was.

Nothing waits for its time in the background. One step is a change of status, or what was handled of
one task since somebody last looked; each is stored with what it cost in one transaction. The tasks
of all APIs go forward together, because they spend the units of the same accounts; those of different
accounts have nothing to do with each other. What takes long
(evalscripts, pixels, files) is the work of a step, which a thread does; see `settling`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shplan.sandbox.batch_states import ANALYSING, PROCESSING, handled_by
from shplan.sandbox.task_table import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store
    from shplan.sandbox.task_table import TaskTable
    from shplan.sandbox.world import World

T = TypeVar("T", bound=Stored)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Step(Generic[R]):
    """
    A step whose outcome has to be worked out before it is stored.

    A process that dies between the two does the work again, so it leaves the same files.

    Args:
        work: runs in a thread; asks neither the store nor the settings, and raises nothing that
            one task must not do to all others
        done: stores what the work returned, in one transaction; nothing if the task is not what it
            was when the step began, because somebody acted on it or did the same step. Where what
            is to be stored has to be written into a bucket first, it returns that as a further step
    """

    work: Callable[[], R]
    done: Callable[[R], Step[Any] | None]


@dataclass(frozen=True, slots=True)
class Steps(Generic[T]):
    """
    How the tasks of one API go forward; a step without work has happened when nothing is returned.

    Args:
        begin: leaves a status in which the task waited, at the given instant
        end_analysis: the same for ANALYSING
        process: gives at most so many features of a task in PROCESSING their turn, at least one;
            -1: as many as it likes
        forget: drops what is no longer kept at an instant
    """

    table: TaskTable[T]
    begin: Callable[[World, T, int], Step[Any] | None]
    end_analysis: Callable[[World, T, int], Step[Any] | None]
    process: Callable[[World, T, int], Step[Any] | None]
    forget: Callable[[Store, Settings, int], None]


def next_step(
    world: World, apis: Sequence[Steps[Any]], *, account: str | None = None
) -> Step[Any] | None:
    """
    Take every step that is due, up to one that needs work.

    Args:
        account: whose tasks; none: everybody's

    Returns:
        that one; none: these APIs are up to date
    """
    now_ms = world.now_ms()
    # Where an account can run out of units, each thing that is handled is a step of its own.
    is_limited = world.settings.account_pu is not None
    while (found := _first(world, apis, account, now_ms=now_ms)) is not None:
        steps, task = found
        if task.status == ANALYSING:
            step = steps.end_analysis(world, task, task.due_ms)
        elif task.status == PROCESSING:
            step = steps.process(world, task, 1 if is_limited else _turns(task, now_ms))
        else:
            step = steps.begin(world, task, task.due_ms)
        if step is not None:
            return step
    forget(world, apis)
    return None


def forget(world: World, apis: Sequence[Steps[Any]]) -> None:
    """Drop what is no longer kept."""
    for steps in apis:
        steps.forget(world.store, world.settings, world.now_ms())


def settle_at_once(world: World, apis: Sequence[Steps[Any]]) -> None:
    """Bring every task of these APIs up to date; the caller waits for all work."""
    step = next_step(world, apis)
    while step is not None:
        step = step.done(step.work()) or next_step(world, apis)


def due_accounts(world: World, apis: Sequence[Steps[Any]]) -> list[str]:
    """The accounts of whose tasks anything is due, in order."""
    now_ms = world.now_ms()
    return sorted({one for steps in apis for one in steps.table.due(world.store, now_ms=now_ms)})


def _turns(task: Any, now_ms: int) -> int:
    """How many features had their turn by now, of which nobody knows yet; -1: all."""
    count = handled_by(now_ms, run_ms=task.run_ms, pace_ms=task.pace_ms)
    return -1 if math.isinf(count) else max(1, int(count) - task.run_handled)


def _first(
    world: World, apis: Sequence[Steps[Any]], account: str | None, *, now_ms: int
) -> tuple[Steps[Any], Any] | None:
    found = [
        (steps, steps.table.first_due(world.store, now_ms=now_ms, account=account))
        for steps in apis
    ]
    due = [(steps, task) for steps, task in found if task is not None]
    return min(due, key=lambda one: (one[1].due_ms, one[1].created_ms), default=None)
