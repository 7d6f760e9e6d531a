"""
One declared job, its `run` options, and everything that a decision about it may look at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shplan.core.change import Action, Change, Reason
from shplan.core.duration import seconds_of
from shplan.core.planner import dependencies
from shplan.core.resource import Desired
from shplan.core.run_key import RunKey
from shplan.core.value import JsonObject, Object
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.job import JobApi, JobView, Task


def beginning(
    desired: Desired, *, key: RunKey | None, current: Object, former: JsonObject
) -> Change:
    """
    Return the change that a decision about a job of any kind begins with: nothing is to be done.

    Args:
        key: None while something of it is not known
        former: the parts of the key that the address ran under before, if it was another one
    """
    return Change(
        desired.address,
        Action.NOOP,
        Reason.RAN,
        depends_on=dependencies(desired),
        # With its unknowns: they are filled before the key is taken of it.
        record={**desired.spec},
        prevent_destroy=desired.lifecycle.prevent_destroy,
        current=current,
        key="" if key is None else key.digest,
        parts={} if key is None else key.parts,
        former=former,
    )


@dataclass(frozen=True, slots=True)
class Options:
    """The `run` options of a manifest, defaults filled in."""

    start: str = "auto"
    max_pu: float | None = None
    timeout_s: float | None = None
    reruns: bool = False
    on_remove: str = "keep"

    @classmethod
    def of(cls, run: Object) -> Options:
        """Read them; unknown values were refused while loading."""
        limit, timeout = run.get("maxPu"), run.get("timeout")
        return cls(
            start=str(run.get("start", "auto")),
            max_pu=float(limit) if isinstance(limit, int | float) else None,
            timeout_s=seconds_of(timeout) if isinstance(timeout, str) else None,
            reruns=run.get("onFailure") == "rerun",
            on_remove=str(run.get("onRemove", "keep")),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One declared job, and everything that a decision about it may look at."""

    api: JobApi
    wanted: Wanted
    desired: Desired
    view: JobView
    surroundings: Surroundings
    options: Options
    base: Change

    @property
    def spec(self) -> Object:
        """The request, as the manifest has it."""
        return self.desired.spec

    def task(self, change: Change, task: Task) -> Change:
        """Point a change at a task."""
        return replace(change, id=task.id, current={**change.current, "task": task.id})
