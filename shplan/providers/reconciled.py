"""
The default parts of reconciled kinds: act once, and find out when no answer comes.

The flows here repeat a request only after a look at the server has shown that it
did not happen, so that its price is paid once as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, cast

from shplan.core.cost import BYOC_CALL_PU
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError
from shplan.core.request import Answer, ApiRequest
from shplan.core.value import JsonObject, Object, printable
from shplan.providers.base import ChangeFailedError
from shplan.providers.steps import Act, Flow, Note, Read, Reply, Step, Wait

MAX_REPEATS = 3


def read_or_none(request: ApiRequest) -> Flow[Answer | None]:
    """Read one object; None where the server has none (404)."""
    try:
        answer: Answer = yield Read(request)
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
    return answer


def data_object(answer: Answer | None) -> Object | None:
    """Unwrap the `data` of a single object. Source: schema BYOCCollectionResponse."""
    body = None if answer is None else answer.body
    data = body.get("data") if isinstance(body, dict) else None
    return cast("Object", data) if isinstance(data, dict) else None


def act_until_seen(
    act: Act,
    *,
    settled: Callable[[], Flow[Settlement | None]],
    lag_s: float = 0.0,
) -> Generator[Step, Any, Reply]:
    """
    Send one request with an effect; where no answer comes, look before repeating it.

    Args:
        act: with exactly one request
        settled: looks at the server; returns what the ledger is to learn when the effect
            is there, None when it is not
        lag_s: how long to wait before absence counts

    Returns:
        the answer, a refusal, or an empty answer where the look found the effect

    Raises:
        ChangeFailedError: no answer and no effect, several times over
    """
    for _ in range(MAX_REPEATS):
        (reply,) = cast("tuple[Reply, ...]", (yield act))
        if not isinstance(reply, NoAnswerError):
            return reply
        if lag_s:
            yield Wait(lag_s, "the answer was lost; looking whether it happened")
        learnt = yield from settled()
        if learnt is not None:
            yield Note(Event.OUTCOME, learnt)
            return Answer(status=learnt.status, body=None)
        yield Note(Event.OUTCOME, Settlement(Result.FAILED, message="no answer, no effect"))
    message = f"{act.operation}: the server gave no answer {MAX_REPEATS} times, without effect"
    raise ChangeFailedError(message)


def failure(reply: Reply) -> Settlement | None:
    """Return what a refusal or a lost answer teaches the ledger; None for an answer."""
    if isinstance(reply, Answer):
        return None
    if isinstance(reply, NoAnswerError):
        return Settlement(Result.UNKNOWN, message=str(reply))
    status = reply.status if isinstance(reply, RefusedError) else 0
    return Settlement(Result.REFUSED, status=status, message=str(reply))


def cost_of(replies: tuple[Reply, ...], *, each_pu: float = BYOC_CALL_PU) -> float:
    """Return the processing units spent: the server's own figure, else a price for each success."""
    return sum(
        (each_pu if reply.spent_pu is None else reply.spent_pu)
        for reply in replies
        if isinstance(reply, Answer)
    )


def raise_refusal(reply: Reply) -> Answer:
    """Return an answer; raise anything else."""
    if isinstance(reply, ApiError):
        raise reply
    return reply


def nothing() -> Flow[Object]:
    """Do nothing to what is only referred to: not even the ledger binds it."""
    yield from ()
    return {}


def stated_record(spec: Object) -> JsonObject:
    """Return the stated fields as the ledger keeps them: no unknowns, secrets by name."""
    shown = printable(spec)
    return shown if isinstance(shown, dict) else {}
