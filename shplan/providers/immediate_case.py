"""
One declared job that is answered at once, and everything that a decision about it may look at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from shplan.core.change import Change
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Value
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.immediate import (
    ImmediateApi,
    ImmediateView,
    as_json,
    directory_of,
    label_of,
    recorded_files,
)
from shplan.providers.immediate_receipt import files_of, kept_of
from shplan.providers.job_case import beginning


@dataclass(frozen=True, slots=True)
class ImmediateOptions:
    """The `run` options of a manifest, defaults filled in."""

    max_pu: float | None = None
    reruns: bool = False
    materializes: bool = False

    @classmethod
    def of(cls, run: Object) -> ImmediateOptions:
        """Read them; unknown values were refused while loading."""
        limit = run.get("maxPu")
        return cls(
            max_pu=float(limit) if isinstance(limit, int | float) else None,
            reruns=run.get("onFailure") == "rerun",
            materializes=run.get("materialize") is True,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One declared job, and everything that a decision about it may look at."""

    api: ImmediateApi
    wanted: Wanted
    desired: Desired
    view: ImmediateView
    surroundings: Surroundings
    options: ImmediateOptions
    base: Change

    @property
    def label(self) -> str:
        """What tables call the feature."""
        return label_of(self.wanted.address)

    @property
    def key(self) -> str:
        """The run key, empty while it is not known."""
        return "" if self.view.key is None else self.view.key.digest


def case_of(
    api: ImmediateApi,
    wanted: Wanted,
    desired: Desired,
    view: ImmediateView,
    surroundings: Surroundings,
) -> Case:
    """Put together what a decision looks at, and the change that it begins with."""
    current: Object = {
        "run": {**desired.run},
        "directory": directory_of(desired),
        "ours": cast("Value", _ours(wanted, view)),
        "files": cast("Value", _recorded(wanted, view)),
        "twins": [[str(twin.address), as_json(twin.places)] for twin in view.twins],
    }
    former = _former(wanted, view, surroundings)
    base = beginning(desired, key=view.key, current=current, former=former)
    base = replace(base, receipt=view.receipt)
    return Case(
        api,
        wanted,
        desired,
        view,
        surroundings,
        ImmediateOptions.of(desired.run),
        base,
    )


def _ours(wanted: Wanted, view: ImmediateView) -> dict[str, list[str]]:
    """Return what may be written over at each path: what a run of ours has written there."""
    recorded = () if wanted.recorded is None else kept_of(wanted.recorded.data.get("files"))
    found: dict[str, set[str]] = {}
    for one in (*recorded, *files_of(view.witness)):
        found.setdefault(one.path, set()).add(one.sha256)
    for path in (*found, *(() if view.places is None else view.places.paths)):
        found.setdefault(path, set()).update(view.ours.get(path, ()))
    return {path: sorted(digests) for path, digests in sorted(found.items()) if digests}


def _recorded(wanted: Wanted, view: ImmediateView) -> list[JsonObject]:
    key = "" if view.key is None else view.key.digest
    return [one.as_json() for one in recorded_files(wanted.recorded, key)]


def _former(wanted: Wanted, view: ImmediateView, surroundings: Surroundings) -> JsonObject:
    """Return the parts of the key that this address ran under before, if it was another one."""
    recorded = "" if wanted.recorded is None else str(wanted.recorded.data.get("key", ""))
    run = surroundings.runs.get(recorded)
    if run is None or run.receipt is None or (view.key is not None and view.key.digest == recorded):
        return {}
    return run.receipt.parts
