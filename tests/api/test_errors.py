from __future__ import annotations

import pytest

from shplan.api.answers import Complaint
from shplan.api.errors import Asked, FailedAttempt, error_of, failure_of_status
from shplan.api.retry import Failure
from shplan.core.errors import (
    ApiError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from shplan.core.request import Effect


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        *[
            (status, Failure.REFUSED)
            for status in (301, 302, 307, 308, 400, 402, 403, 404, 409, 422)
        ],
        (401, Failure.EXPIRED),
        (429, Failure.THROTTLED),
        *[(status, Failure.BROKEN) for status in (101, 303, 408, 500, 502, 503, 504, 599)],
    ],
)
def test_each_status_is_one_kind_of_failure(status: int, failure: Failure) -> None:
    assert failure_of_status(status) is failure


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.REFUSED, RefusedError),
        (Failure.EXPIRED, RefusedError),
        (Failure.THROTTLED, ThrottledError),
        (Failure.UNREACHABLE, UnreachableError),
        (Failure.IMPOSSIBLE, UnreachableError),
        (Failure.LOST, NoAnswerError),
        (Failure.BROKEN, NoAnswerError),
    ],
)
def test_each_failure_has_its_error(failure: Failure, kind: type[ApiError], effect: Effect) -> None:
    failed = FailedAttempt(failure, Complaint("words", "CODE", ["e"]), status=418)
    error = error_of(failed, Asked("op", effect), given_up="tired", attempts=3)
    assert type(error) is kind
    assert "words" in str(error)
    if isinstance(error, RefusedError):
        assert (error.status, error.code, error.errors) == (418, "CODE", ["e"])
    else:
        assert str(error).startswith("op: words (3 attempts)")
    if isinstance(error, NoAnswerError):
        assert ("may have been carried out" in str(error)) is (effect is not Effect.READ)
