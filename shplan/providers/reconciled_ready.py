"""
Waiting until an object can be used: what the service does with it by itself once it was made.

What failed is done once more by a request of its own; a failure is a failed change with the
service's cause. Dependents wait for this. Whether a request without an answer was carried out is
told by what it changes: the object is under way, or no longer failed, or failed for another cause.
Where it is as it was, nothing tells, and a person decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, UndecidedError
from shplan.core.resource import Recorded
from shplan.core.value import JsonObject, Object, digest
from shplan.providers.base import ChangeFailedError, Fault, Settings
from shplan.providers.reconciled import cost_of, failure, raise_refusal, read_or_none
from shplan.providers.reconciled_api import ObjectApi, PreparationApi, Stage
from shplan.providers.steps import Act, Flow, Note, Progress, Reply, Wait

AGAIN = "reingest"


def failure_of(preparation: PreparationApi, observed: Object) -> str:
    """Return the digest of a failure's cause, by which it is known again; empty where there is none."""
    if preparation.stage(observed) is not Stage.FAILED:
        return ""
    return digest({"cause": preparation.cause(observed)})


def lost_again(api: ObjectApi, recorded: Recorded | None, observed: Object) -> bool:
    """
    Tell whether a request to prepare an object once more may have been carried out, unnoticed.

    Its intent has no outcome, nothing was learnt about the address since, and the object has failed
    for the very cause that it had before.
    """
    if recorded is None or api.preparation is None:
        return False
    failed = failure_of(api.preparation, observed)
    return bool(failed) and any(
        intent.operation == AGAIN
        and intent.sequence > recorded.changed
        and intent.data == {"id": observed["id"], "failed": failed}
        for intent in recorded.pending
    )


def undecided_again(api: ObjectApi, address: Address, object_id: str) -> Diagnostic:
    """Say that nobody but a person can tell whether an object was prepared once more (exit 7)."""
    noun = cast("PreparationApi", api.preparation).noun
    return Diagnostic(
        code="plan/repeated",
        summary="Outcome of a repetition unknown",
        what=(
            f"{address}: {api.noun} {object_id} was to have its {noun} repeated, and no answer came."
            " It has failed for the same cause as before: once more, or still."
        ),
        why=f"To repeat the {noun} without knowing could pay for it twice.",
        hint=(
            f"see in the dashboard how it is, repair what failed, then shplan import '{address}'"
            f" {object_id}: the next apply repeats the {noun}"
        ),
        address=str(address),
    )


def begin_again(api: ObjectApi, change: Change, settings: Settings) -> Flow[None]:
    """
    Have an object prepared once more that had failed.

    Raises:
        UndecidedError: no answer came, and nothing tells whether it happened
    """
    preparation = cast("PreparationApi", api.preparation)
    failed = str(change.current.get("failed") or "")
    learnt = Settlement(Result.DONE, status=200)

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        return replace(learnt, cost_pu=cost_of(replies, each_pu=api.call_pu))

    data: JsonObject = {"id": change.id, "failed": failed}
    act = Act(AGAIN, (preparation.again(change.id),), settle, data=data)
    (reply,) = cast("tuple[Reply, ...]", (yield act))
    if not isinstance(reply, NoAnswerError):
        raise_refusal(reply)
        return
    for wait_s in (0.0, max(settings.list_lag_s, settings.poll_s)):
        if wait_s:
            yield Wait(wait_s, "the answer was lost; looking whether it happened")
        now = api.object_of((yield from read_or_none(api.get(change.id))))
        if now is None or failure_of(preparation, now) != failed:
            yield Note(Event.OUTCOME, learnt)
            return
    # The intent stays open: the next plan asks the same.
    diagnostic = undecided_again(api, change.address, change.id)
    message = f"{diagnostic.what} {diagnostic.hint}"
    raise UndecidedError(message)


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
