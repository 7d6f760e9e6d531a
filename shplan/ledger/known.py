"""
How far a journal was read, and what it comes to up to there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shplan.core.chain import EMPTY, Head
from shplan.core.entry import Event, LedgerEntry
from shplan.core.fold import Fold
from shplan.core.value import JsonValue
from shplan.ledger.port import Mark


@dataclass(slots=True)
class Known:
    """
    How far a journal was read, and the folds up to there, by deployment.

    Every deployment is folded while the lines go by: who asks for the head of a journal asks for
    a fold next, and a second reading would cost as much as the first.

    Args:
        head: the last entry
        end: the place behind it, None while nothing was read
        unsaved_bytes: length of the lines behind the checkpoint, of all where there is none
        saved_bytes: length of that checkpoint
        origin: whose ledger its beginning says it is, None where it says nothing
    """

    head: Head = EMPTY
    end: Mark | None = None
    folds: dict[str, Fold] = field(default_factory=dict)
    unsaved_bytes: int = 0
    saved_bytes: int = 0
    origin: Mapping[str, JsonValue] | None = None

    def take(self, entry: LedgerEntry) -> None:
        """Fold the next entry."""
        if entry.draft.event is Event.GENESIS and self.origin is None:
            self.origin = entry.draft.data
        deployment = entry.draft.deployment
        (self.folds.get(deployment) or self.fold(deployment)).add(entry)

    def fold(self, deployment: str) -> Fold:
        """Return the fold of one deployment."""
        found = self.folds.get(deployment)
        if found is None:
            found = self.folds[deployment] = Fold(deployment)
        return found


def other_origin(said: Mapping[str, JsonValue], expected: Mapping[str, str]) -> str:
    """Say whose a ledger is, where that is somebody else's; older ones do not say it."""
    differs = any(name in said and said[name] != value for name, value in expected.items())
    return ", ".join(f"{name} {said.get(name)}" for name in expected) if differs else ""
