"""
What one apply may still pay: its budget, without what its plan has counted.

A plan is compared with the budget before anything is sent. What it cannot know is how often an
answer will be lost on its way, and asked for and paid again.
"""

from __future__ import annotations

from dataclasses import dataclass

from shplan.core.cost import is_over


@dataclass(slots=True)
class Purse:
    """
    Counts what is paid beside the plan.

    Args:
        budget_pu: processing units that one apply may cost; None is no limit
        counted_pu: what is counted already: the maximum of the plan, what was started before, and
            what is paid beside it
    """

    budget_pu: float | None = None
    counted_pu: float = 0.0

    def refusal(self, pu: float) -> float | None:
        """Count a payment and return None; or return the budget that it would pass."""
        if self.budget_pu is not None and is_over(self.counted_pu + pu, self.budget_pu):
            return self.budget_pu
        self.counted_pu += pu
        return None
