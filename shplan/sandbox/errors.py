"""
Refusals of the service, in its own body shape.

Source: schema of error answers and its `code` enumeration; the page on rate limiting for
the form without wrapper.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shplan.sandbox.wire import Json, JsonObject

# Source: answers that are quoted in public; the document declares an object.
Details = Literal["object", "list", "texts"]

BAD_PAYLOAD = "COMMON_BAD_PAYLOAD"
NOT_FOUND = "COMMON_NOT_FOUND"
UNIQUE_KEY_VIOLATION = "COMMON_UNIQUE_KEY_VIOLATION"
INSUFFICIENT_PERMISSIONS = "COMMON_INSUFFICIENT_PERMISSIONS"
METHOD_NOT_ALLOWED = "COMMON_METHOD_NOT_ALLOWED"
UNSUPPORTED_MEDIA_TYPE = "COMMON_UNSUPPORTED_MEDIA_TYPE"
UNAUTHORIZED = "COMMON_UNAUTHORIZED"
EXCEPTION = "COMMON_EXCEPTION"
RENDERER_EXCEPTION = "RENDERER_EXCEPTION"
RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
INSUFFICIENT_PROCESSING_UNITS = "ACCESS_INSUFFICIENT_PROCESSING_UNITS"


class ApiError(Exception):
    """A request that the service answers with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors
        self.headers = dict(headers or {})

    def content(self, *, details: Details = "object") -> JsonObject:
        """Status, reason, message, code, and the single errors where there are any."""
        content: JsonObject = {
            "status": self.status,
            "reason": HTTPStatus(self.status).phrase,
            "message": self.message,
            "code": self.code,
        }
        if self.errors:
            content["errors"] = _FORMS[details](self.errors)
        return content

    def sentence(self) -> str:
        """What an answer would tell in several members."""
        told = _texts(self.errors or [])
        return "; ".join(told) or self.message


def _texts(errors: list[Json]) -> list[str]:
    return [f"{one['parameter']}: {one['violation']}" for one in errors if isinstance(one, dict)]


def _by_parameter(errors: list[Json]) -> Json:
    found: dict[str, Json] = {}
    for one in errors:
        if isinstance(one, dict):
            name, told = str(one["parameter"]), str(one["violation"])
            found[name] = f"{found[name]}; {told}" if name in found else told
    return found


_FORMS: dict[Details, Callable[[list[Json]], Json]] = {
    "list": lambda errors: errors,
    "texts": lambda errors: [*_texts(errors)],
    "object": _by_parameter,
}


def bad_payload(message: str, *, errors: list[Json] | None = None) -> ApiError:
    """400: the request is wrong in itself."""
    return ApiError(400, BAD_PAYLOAD, message, errors=errors)


def violation(parameter: str, text: str) -> ApiError:
    """400 for one parameter; `parameter` has its steps separated by `->`."""
    return bad_payload("Invalid request", errors=[{"parameter": parameter, "violation": text}])


def not_found(message: str) -> ApiError:
    """404: there is no such thing."""
    return ApiError(404, NOT_FOUND, message)


def conflict(message: str) -> ApiError:
    """409: something unique would exist twice."""
    return ApiError(409, UNIQUE_KEY_VIOLATION, message)


def forbidden(message: str = "You are not authorized to perform this action.") -> ApiError:
    """403: it belongs to somebody else."""
    return ApiError(403, INSUFFICIENT_PERMISSIONS, message)


def unauthorized(message: str) -> ApiError:
    """401: no token, or one that does not count."""
    return ApiError(401, UNAUTHORIZED, message)
