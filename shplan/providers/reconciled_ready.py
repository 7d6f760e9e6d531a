"""
Waiting until an object can be used: what the service does with it by itself once it was made.

What failed is done once more by a request of its own; a failure is a failed change with the
service's cause. Dependents wait for this.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.change import Change
from shplan.core.entry import Result, Settlement
from shplan.core.value import Object
from shplan.providers.base import ChangeFailedError, Fault, Settings
from shplan.providers.reconciled import (
    act_until_seen,
    cost_of,
    failure,
    raise_refusal,
    read_or_none,
)
from shplan.providers.reconciled_api import ObjectApi, PreparationApi, Stage
from shplan.providers.steps import Act, Flow, Progress, Reply, Wait


def begin_again(api: ObjectApi, change: Change) -> Flow[None]:
    """
    Have an object prepared once more that had failed.

    After a lost answer one that is FAILED still, or again, is sent once more: nothing tells the
    two apart, and one that nobody ever prepares would be worse than a price paid twice.
    """
    preparation = cast("PreparationApi", api.preparation)
    learnt = Settlement(Result.DONE, status=200)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        return replace(learnt, cost_pu=cost_of(replies, each_pu=api.call_pu))

    def seen() -> Flow[Settlement | None]:
        now = api.object_of((yield from read_or_none(api.get(change.id))))
        happened = now is not None and preparation.stage(now) is not Stage.FAILED
        return learnt if happened else None

    act = Act("reingest", (preparation.again(change.id),), settle, data={"id": change.id})
    raise_refusal((yield from act_until_seen(act, settled=seen)))


def await_ready(api: ObjectApi, object_id: str, settings: Settings) -> Flow[Object]:
    """
    Wait until an object can be used.

    Returns:
        the object as it is then

    Raises:
        ChangeFailedError: it cannot be, or not in time; or somebody has deleted it
    """
    preparation = cast("PreparationApi", api.preparation)
    name = f"{preparation.noun} of {api.noun} {object_id}"
    waited_s = 0.0
    while True:
        now = api.object_of((yield from read_or_none(api.get(object_id))))
        stage = Stage.UNDER_WAY if now is None else preparation.stage(now)
        # A 404 right after a create means "not yet".
        if now is None and waited_s > settings.list_lag_s:
            message = f"{api.noun} {object_id} is gone, though nobody here deleted it"
            raise ChangeFailedError(message)
        if now is not None and stage is not Stage.UNDER_WAY:
            break
        if waited_s >= settings.timeout_s:
            message = f"{name} is not over yet; the same command resumes"
            raise ChangeFailedError(message)
        yield Progress(0, 1, preparation.noun)
        yield Wait(settings.poll_s, f"{name} is under way", looks=True)
        waited_s += settings.poll_s
    if stage is Stage.FAILED:
        message = f"{preparation.noun} failed: {preparation.cause(now) or 'no cause given'}"
        said = f"{message}\n{preparation.way_on}"
        raise ChangeFailedError(message, faults=(Fault(("spec",), said),))
    yield Progress(1, 1, preparation.noun)
    return now
