"""
What came of the crashes: counted by kind, scenario, setting and place of the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.scenarios import SCENARIOS
from tests.crash.trials import Case


@dataclass
class Tally:
    """
    Crashes tried and survived.

    Args:
        missed: trials in which nobody died: what runs side by side does not come by every boundary
            each time
        failures: one command each that repeats it
        left: cases that were not begun, because the time was over
    """

    tried: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    failures: list[str] = field(default_factory=list)
    left: int = 0

    def count(self, case: Case, *, survived: bool) -> None:
        for name in _names(case):
            self.tried[name] += 1
            self.survived[name] += survived

    def add(self, other: Tally) -> None:
        self.tried += other.tried
        self.survived += other.survived
        self.missed += other.missed
        self.failures += other.failures
        self.left += other.left

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self)))

    @classmethod
    def read(cls, path: Path) -> Tally:
        content = json.loads(path.read_text())
        return cls(
            Counter(content["tried"]),
            Counter(content["survived"]),
            content["missed"],
            content["failures"],
            content["left"],
        )

    def lines(self) -> Iterable[str]:
        """A table for people."""
        for name in sorted(self.tried):
            if name != "crashes":
                yield f"  {name:<44}{self.tried[name]:>7} tried{self.survived[name]:>7} survived"
        yield f"{self.tried['crashes']} crashes tried, {self.survived['crashes']} survived."
        if self.missed:
            yield f"{self.missed} more ended before they came to where they were to die."
        if self.left:
            yield f"{self.left} cases were not begun: the time was over."
        if self.failures:
            yield "To repeat those that were not survived:"
            yield from (f"  python -m tests.crash '{one}'" for one in self.failures)


def _names(case: Case) -> list[str]:
    kinds = {kind for kind, _ in SCENARIOS[case.scenario].does}
    return [
        "crashes",
        f"ledger in {case.ground}",
        f"ledger {'lost' if case.lost else 'kept'}",
        f"scenario {case.scenario}",
        f"setting {case.setting}",
        *(f"kind {kind}" for kind in kinds),
    ]
