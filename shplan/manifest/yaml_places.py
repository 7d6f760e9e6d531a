"""Where each value of a YAML text stands: a second walk over its events, made only when somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from typing import cast

from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from shplan.core.frozen import dataclass
from shplan.manifest.positions import NO_CHILDREN, Children, Place

# Deeper than this nothing is read.
MAX_DEPTH = 100


def places(text: str) -> list[Place]:
    """Return where each document stands, empty ones included, as far as the file can be read."""
    walk = _Walk(cast("Callable[[], Event]", CParser(text).get_event))
    with suppress(YAMLError):
        walk.stream()
    return walk.roots


@dataclass(slots=True)
class _Walk:
    """Reads the events a second time, for offsets only."""

    following: Callable[[], Event]
    roots: list[Place] = field(default_factory=list)
    anchors: dict[str, Children] = field(default_factory=dict)

    def stream(self) -> None:
        while not isinstance(event := self.following(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self.anchors = {}
                self.roots.append(self.node(self.following(), (-1, -1), 0))

    def node(self, event: Event, key: tuple[int, int], depth: int) -> Place:
        first, last = start_of(event), end_of(event)
        if isinstance(event, ScalarEvent):
            return Place(first, last, *key, NO_CHILDREN, is_scalar=True)
        if isinstance(event, AliasEvent):
            # An alias is a place of its own; what lies below it stands at the anchor.
            below = self.anchors.get(event.anchor or "", NO_CHILDREN)
            return Place(first, last, *key, below, is_scalar=True)
        if depth >= MAX_DEPTH:
            skip(self.following)
            return Place(first, last, *key, NO_CHILDREN, is_scalar=True)
        is_mapping = isinstance(event, MappingStartEvent)
        children, end = self.mapping(depth) if is_mapping else self.sequence(depth)
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self.anchors[event.anchor] = children
        return Place(first, end, *key, children, is_scalar=False)

    def mapping(self, depth: int) -> tuple[Children, int]:
        members: dict[str, Place] = {}
        while not isinstance(event := self.following(), MappingEndEvent):
            key = (start_of(event), end_of(event))
            if not isinstance(event, ScalarEvent):
                self.node(event, (-1, -1), depth + 1)
            place = self.node(self.following(), key, depth + 1)
            if isinstance(event, ScalarEvent):
                members[event.value] = place
        return members, end_of(event)

    def sequence(self, depth: int) -> tuple[Children, int]:
        items: list[Place] = []
        while not isinstance(event := self.following(), SequenceEndEvent):
            items.append(self.node(event, (-1, -1), depth + 1))
        return items, end_of(event)


def start_of(event: Event) -> int:
    """Return the offset of the first character of an event."""
    mark = event.start_mark
    assert mark is not None
    return mark.index


def end_of(event: Event) -> int:
    """Return the offset after the last character of an event."""
    mark = event.end_mark
    assert mark is not None
    return mark.index


def skip(following: Callable[[], Event]) -> None:
    """Read to the end of a container whose start was just read, without recursion."""
    depth = 1
    while depth:
        event = following()
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
