"""
Turns failures into the errors that the rest of shplan knows, with words for people.

Which failure it was has been decided before; here it only gets its class. The
distinction that matters is whether anything can have happened on the server.
"""

from __future__ import annotations

from dataclasses import dataclass

from shplan.api.answers import Complaint
from shplan.api.retry import NOTHING_HAPPENED, Failure
from shplan.core.errors import (
    ApiError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from shplan.core.request import Effect


class FailedAttempt(Exception):  # noqa: N818  never leaves this room
    """
    One attempt failed.

    Args:
        complaint: the server's words, or ours
        status: HTTP status, 0 where there was no answer
        retry_after_s: what the server asked for
        permanent: it would end so another time as well
    """

    def __init__(
        self,
        failure: Failure,
        complaint: Complaint,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(complaint.message)
        self.failure = failure
        self.complaint = complaint
        self.status = status
        self.retry_after_s = retry_after_s
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, for messages and for what may follow."""

    operation: str
    effect: Effect


def failure_of_status(status: int) -> Failure:
    """
    Classify a status that is not 2xx.

    A 303 says that something was done, and a 408 comes from gateways after the request was
    passed on: both leave open what happened. Other redirects did nothing, and are not
    followed, because the token would go along.
    """
    if status == 429:
        return Failure.THROTTLED
    if status == 401:
        return Failure.EXPIRED
    if status >= 500 or status in {303, 408} or status < 200:
        return Failure.BROKEN
    return Failure.REFUSED


def error_of(failed: FailedAttempt, asked: Asked, *, given_up: str, attempts: int) -> ApiError:
    """Return the error to raise when a request is not repeated any more."""
    if failed.failure in {Failure.REFUSED, Failure.EXPIRED}:
        return RefusedError(
            failed.complaint.message,
            status=failed.status,
            code=failed.complaint.code,
            errors=failed.complaint.errors,
        )
    text = f"{asked.operation}: {failed.complaint.message}{_counted(attempts)}"
    if failed.failure is Failure.THROTTLED:
        return ThrottledError(f"{text}; given up, as {given_up}")
    if failed.failure in NOTHING_HAPPENED:
        return UnreachableError(f"{text}; nothing was sent")
    if asked.effect is Effect.READ:
        return NoAnswerError(text)
    return NoAnswerError(f"{text}; it may have been carried out", permanent=failed.permanent)


def _counted(attempts: int) -> str:
    return "" if attempts <= 1 else f" ({attempts} attempts)"
