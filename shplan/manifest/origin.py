"""
From a path in a manifest to its place in a file: what diagnostics and plans point at.

Positions are computed when the first question comes, once a file; members that come from a table
are found by their row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from shplan.core.diagnostic import SourceSpan
from shplan.core.value import Path
from shplan.manifest.lines import Lines
from shplan.manifest.positions import Place, find
from shplan.manifest.yaml_places import places


class Text:
    """One YAML file and where its values stand."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = Lines(text)

    @cached_property
    def roots(self) -> list[Place]:
        """Return the documents, empty ones included, as `Document.index` counts them."""
        return places(self.text)

    def at(self, offset: int, length: int = 1) -> SourceSpan:
        """Return the span of a stretch."""
        return self.lines.span(self.file, offset, offset + length)


class MemberPlaces(Protocol):
    """Finds the members of a set in the file that lists them."""

    def span(self, index: int, field: str | None) -> SourceSpan:
        """Return the place of a member, or of one of its fields."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """
    The source of one manifest (implements `core.resource.Source`).

    Args:
        text: the file
        document: number of the document in it
        members: where the members stand if a table lists them, by the path of their list
    """

    text: Text
    document: int
    members: Mapping[Path, MemberPlaces] = field(default_factory=dict)

    def span(self, path: Path) -> SourceSpan:
        """Return the place of the nearest node that the file has; of its key where it is no scalar."""
        for prefix, places_of in self.members.items():
            index = path[len(prefix)] if len(path) > len(prefix) else None
            if path[: len(prefix)] == prefix and isinstance(index, int):
                step = path[len(prefix) + 1] if len(path) > len(prefix) + 1 else None
                return places_of.span(index, step if isinstance(step, str) else None)
        place, _ = self._find(path)
        if place.is_scalar and place.end > place.start:
            return self._stretch(place.start, place.end)
        return self._key(place)

    def key(self, path: Path) -> SourceSpan:
        """Return the place of the key at the end of a path, or of the nearest node around it."""
        place, depth = self._find(path)
        return self._key(place) if depth == len(path) else self.span(path)

    def within(self, path: Path, value: str, at: int, length: int) -> SourceSpan:
        """Return the place of a part of a text, or of the whole where the file writes it otherwise."""
        first, last = self.stretch(path)
        whole = self.text.text.find(value, first, last)
        if whole >= 0:
            return self.text.at(whole + at, length)
        # Folded, escaped, or put together: the part itself may still be found.
        part = value[at : at + length]
        found = self.text.text.find(part, first, last)
        again = self.text.text.find(part, found + 1, last) if found >= 0 else -1
        return self.text.at(found, length) if part and found >= 0 > again else self.span(path)

    def stretch(self, path: Path) -> tuple[int, int]:
        """Return the offsets of the nearest node, to blank it out."""
        place, _ = self._find(path)
        return place.start, place.end

    def _find(self, path: Path) -> tuple[Place, int]:
        roots = self.text.roots
        if self.document >= len(roots):
            return Place(0, 1, -1, -1, [], is_scalar=True), 0
        return find(roots[self.document], path)

    def _key(self, place: Place) -> SourceSpan:
        if place.key_start >= 0:
            return self._stretch(place.key_start, place.key_end)
        return self._stretch(place.start, max(place.end, place.start + 1))

    def _stretch(self, first: int, last: int) -> SourceSpan:
        return self.text.lines.span(self.text.file, first, last)
