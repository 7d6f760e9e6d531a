"""
Drift: what the server has changed since the last apply, out of everything a plan shows.
"""

from __future__ import annotations

from dataclasses import replace

from shplan.core.change import Change, Reason
from shplan.core.plan import Plan

_BY_THE_SERVER = frozenset(
    {Reason.GONE, Reason.INGESTION_FAILED, Reason.FILE_CHANGED, Reason.IMPORT_FAILED}
)


def drifted(plan: Plan) -> Plan:
    """Return the plan with only those changes that undo what somebody else did."""
    return replace(plan, changes=tuple(change for change in plan.changes if has_drifted(change)))


def has_drifted(change: Change) -> bool:
    """
    Tell whether observed differs from recorded.

    A field counts where the manifest still says what was last applied; a member where the
    server lost it or its ingestion failed.
    """
    if change.reason in _BY_THE_SERVER:
        return True
    if any(member.reason in _BY_THE_SERVER for member in change.members):
        return True
    return change.drifted
