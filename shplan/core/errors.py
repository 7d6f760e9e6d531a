"""
The errors of shplan.

    ShplanError
    ├── ManifestError        the repository is wrong (carries diagnostics)
    ├── PlanError            a plan cannot be made or may not be applied (carries diagnostics)
    │   ├── StalePlanError       what was reviewed is not what would be done
    │   ├── ProtectedError       a policy, a budget or a protection refuses
    │   └── UndecidedError       an outcome is unknown and a person must decide
    ├── ApiError             the server, or the way to it
    │   ├── RefusedError         the server answered no: nothing happened
    │   ├── ThrottledError       the server asked to come back later, too often
    │   ├── UnreachableError     the request never left: nothing happened
    │   └── NoAnswerError        no answer: it may have happened
    ├── CredentialsError     no credentials, or they may not go to this host
    │   └── SecretError          a secret of one request cannot be had: that one never left
    ├── LedgerError          the ledger cannot be read or written
    │   ├── DamagedLedgerError   an entry was changed, dropped, reordered or cut off
    │   ├── LockedError          somebody else holds the ledger
    │   └── LeaseEndedError      the lease ended with the way to the ledger; it may be free
    ├── OutputError          a file of the project cannot be written
    └── StorageError         a bucket cannot be read or written
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.core.diagnostic import Diagnostic
    from shplan.core.value import JsonValue


class ShplanError(Exception):
    """
    What shplan expects to go wrong; everything else is a bug.

    Attributes:
        texts: files that the diagnostics point into, for whoever shows their lines
    """

    def __init__(self, message: str, *, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics
        self.texts: Mapping[str, str] = {}


class ManifestError(ShplanError):
    """The repository is wrong; the diagnostics say where."""


class PlanError(ShplanError):
    """A plan cannot be made, or may not be applied."""


class StalePlanError(PlanError):
    """What was reviewed is not what would be done."""


class ProtectedError(PlanError):
    """A policy, a budget or a protection refuses."""


class UndecidedError(PlanError):
    """An outcome is unknown and a person must decide."""


class ApiError(ShplanError):
    """The server, or the way to it, failed."""


class RefusedError(ApiError):
    """
    The server answered no: nothing happened.

    Args:
        message: the server's own text, without secrets
        status: HTTP status
        code: the service's error code, e.g. `COMMON_BAD_PAYLOAD`, or empty
        errors: the service's `errors`, a list of objects with `parameter` and `violation`, or of
            texts
    """

    def __init__(
        self, message: str, *, status: int, code: str = "", errors: JsonValue = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.errors = errors

    @property
    def violations(self) -> tuple[str, ...]:
        """
        What the server says beside its message, which alone is often "Invalid request".

        Source: API description, error `errors`: objects with `parameter` and `violation`, or texts.
        """
        found = []
        for one in self.errors if isinstance(self.errors, list) else ():
            told = one.get("violation") if isinstance(one, dict) else one
            named = one.get("parameter") if isinstance(one, dict) else None
            if isinstance(told, str):
                found.append(f"{named}: {told}" if isinstance(named, str) else told)
        return tuple(found)

    @property
    def said(self) -> str:
        """All that the server says, in a line."""
        return ": ".join([str(self).rstrip("."), *filter(None, ["; ".join(self.violations)])])


class ThrottledError(ApiError):
    """The server asked to come back later more often than we are willing to; nothing happened."""


class UnreachableError(ApiError):
    """The request never left (refused connection, name, certificate): nothing happened."""


class NoAnswerError(ApiError):
    """
    No answer came: the request may have been carried out.

    Args:
        permanent: it would not come another time either: it is longer than we take
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class CredentialsError(ShplanError):
    """There are no credentials, the server refuses them, or they may not be sent to this host."""


class SecretError(CredentialsError, UnreachableError):
    """A secret that a request names cannot be had: this request never left, others may."""


class LedgerError(ShplanError):
    """The ledger cannot be read or written."""


class DamagedLedgerError(LedgerError):
    """An entry of the ledger was changed, dropped, reordered or cut off."""


class LockedError(LedgerError):
    """Somebody else holds the ledger."""


class LeaseEndedError(LedgerError):
    """The lease ended with the way to the ledger: it may be free, and is not held here."""


class StorageError(ShplanError):
    """A bucket cannot be read or written."""


class OutputError(ShplanError):
    """A file that an answer goes to cannot be written, or is in somebody's use."""
