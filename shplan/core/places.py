"""
Where runs have delivered to: who asks whether a place is taken is not compared with all of them.

Two templates can name one object only if the fixed text that one begins with begins the other's,
so that runs are found by how their template begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from shplan.core.paths import fixed_start, same_places
from shplan.core.resource import Receipt
from shplan.core.runs import RunRecord


class TakenPlaces:
    """The delivery templates of all receipts, by their fixed beginning."""

    __slots__ = ("_by_start", "_starts")

    def __init__(self, runs: Mapping[str, RunRecord]) -> None:
        self._by_start: dict[str, list[tuple[int, str, Receipt]]] = {}
        for at, run in enumerate(runs.values()):
            template = None if run.receipt is None else run.receipt.outputs.get("template")
            if run.receipt is not None and isinstance(template, str):
                start = fixed_start(template)
                self._by_start.setdefault(start, []).append((at, template, run.receipt))
        self._starts = sorted(self._by_start)

    def taken(self, delivery: str, *, key: str) -> Receipt | None:
        """
        Return the receipt of the first other run that may have written where this one would.

        Args:
            delivery: the template of the one that asks
            key: its run key; what it has written itself does not count
        """
        rivals = (
            (at, receipt)
            for at, template, receipt in self._near(fixed_start(delivery))
            if receipt.key != key and same_places(template, delivery)
        )
        return min(rivals, key=lambda one: one[0], default=(0, None))[1]

    def _near(self, start: str) -> Iterator[tuple[int, str, Receipt]]:
        for length in range(len(start)):
            yield from self._by_start.get(start[:length], ())
        at = bisect_left(self._starts, start)
        while at < len(self._starts) and self._starts[at].startswith(start):
            yield from self._by_start[self._starts[at]]
            at += 1
