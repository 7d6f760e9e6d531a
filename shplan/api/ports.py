"""
What this room needs of the world: time and secrets, handed in.

The engine has ports of the same shape; they stand here again because `api`
does not know the engine. One object fulfils both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shplan.core.value import Sensitive


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Secrets(Protocol):
    """Resolves secrets, at the moment of a request."""

    def reveal(self, value: Sensitive) -> str:
        """
        Return the text with its secrets in place.

        Raises:
            CredentialsError: a secret is not there
        """
        ...
