"""
What means nothing for a job, of whichever kind it is.
"""

from __future__ import annotations

from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired


def check_ignoring(desired: Desired) -> list[Diagnostic]:
    """Say that `ignoreChanges` cannot be meant: nothing of a job is compared."""
    if not desired.lifecycle.ignore_changes:
        return []
    return [
        Diagnostic(
            code="run/ignore-changes",
            summary="Nothing to ignore",
            what=f"{desired.address} is a job, and `ignoreChanges` says nothing of jobs.",
            why="A job is not compared field by field: another request is another run.",
            hint="remove it",
            span=desired.source.span(("metadata", "lifecycle", "ignoreChanges")),
            address=str(desired.address.base),
        )
    ]


__all__ = ["check_ignoring"]
