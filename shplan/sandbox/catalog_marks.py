"""
Where pages of searches ended: what makes the next page cost as much as the first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shplan.sandbox.catalog_items import Place

KEPT_MARKS = 10_000


class Marks:
    """Where the latest pages ended, by search and offset; the oldest give way."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[str, int], Place] = OrderedDict()

    def place(self, identity: str, offset: int) -> Place | None:
        """Where the page before this offset ended, if that is remembered."""
        return self._places.get((identity, offset))

    def remember(self, identity: str, offset: int, place: Place) -> None:
        """Keep where a page ended."""
        self._places[identity, offset] = place
        self._places.move_to_end((identity, offset))
        if len(self._places) > KEPT_MARKS:
            self._places.popitem(last=False)
