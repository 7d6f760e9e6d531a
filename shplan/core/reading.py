"""
What a data kind gave: the answer to a question, and who gave it.
"""

from __future__ import annotations

from typing import cast

from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, Value, digest


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One answer.

    Args:
        question: digest of what was asked
        content: the answer in its one form
        asked: the service said so just now; else it is pinned, or published
    """

    question: str
    content: JsonObject
    asked: bool = True

    @property
    def digest(self) -> str:
        """The digest of the answer: what a plan was computed from."""
        return digest(cast("Value", self.content))
