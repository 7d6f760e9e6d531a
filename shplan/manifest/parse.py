"""
YAML text to plain values: the core schema of YAML 1.2, from libyaml's events.

Rules: YAML 1.2.2 section 10.3 (core schema). Values are plain lists and dictionaries; where each of
them stands is found by a second walk over the events (`places`), which costs nothing until
somebody asks. Expressions are only noticed here; `expressions.py` evaluates them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, cast

from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
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

from shplan.core.diagnostic import Diagnostic
from shplan.core.frozen import dataclass
from shplan.core.value import JsonValue
from shplan.manifest.lines import Lines
from shplan.manifest.scalars import NUMERIC_START, WORDS, scalar
from shplan.manifest.yaml_places import MAX_DEPTH, end_of, skip, start_of

if TYPE_CHECKING:
    from shplan.manifest.yaml_errors import Problem

# A document may repeat itself through aliases; this is how far that may go.
MAX_EXPANDED_NODES = 5_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """
    One YAML document.

    Args:
        value: plain data; equal anchors are one shared object
        index: its number among the documents of its file, from 0
        start: offset of its first character
        dynamic: ids of the containers that hold an expression somewhere below
    """

    value: JsonValue
    index: int
    start: int
    dynamic: frozenset[int]


@dataclass(slots=True)
class Parsed:
    """What one file holds, as far as it could be read."""

    documents: list[Document] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    complete: bool = True


def parse(text: str, *, file: str) -> Parsed:
    """
    Read every document of a file; empty ones are skipped.

    Args:
        text: without a byte order mark
        file: path relative to the project, for messages
    """
    parsed = Parsed()
    builder = _Builder(text, file, parsed)
    try:
        builder.stream()
    except YAMLError as error:
        from shplan.manifest.yaml_errors import syntax_error  # noqa: PLC0415 - only when wrong

        parsed.diagnostics.append(syntax_error(_problem(error), builder.lines, file))
        parsed.complete = False
    return parsed


def _problem(error: YAMLError) -> Problem:
    from shplan.manifest.yaml_errors import Problem  # noqa: PLC0415 - only when wrong

    if not isinstance(error, MarkedYAMLError):  # the reader: an unprintable character
        return Problem(str(getattr(error, "reason", error)), int(getattr(error, "position", 0)))
    mark, context = error.problem_mark, error.context_mark
    return Problem(
        str(error.problem or ""),
        mark.index if mark else 0,
        str(error.context or ""),
        context.index if context else None,
    )


class _Builder:
    """Builds values while it reads events; one file, once."""

    def __init__(self, text: str, file: str, parsed: Parsed) -> None:
        self.lines = Lines(text)
        self._text = text
        self._file = file
        self._parsed = parsed
        self._parser = CParser(text)
        self._next = cast("Callable[[], Event]", self._parser.get_event)
        self._anchors: dict[str, JsonValue] = {}
        self._open: set[str] = set()
        self._plain: dict[str, JsonValue] = {}
        self._dynamic: set[int] = set()
        self._expressions = 0
        self._aliases = False

    def stream(self) -> None:
        index = 0
        while True:
            event = self._next()
            if isinstance(event, StreamEndEvent):
                return
            if isinstance(event, DocumentStartEvent):
                self._document(event, index)
                index += 1

    def _document(self, start: DocumentStartEvent, index: int) -> None:
        self._anchors, self._open, self._dynamic = {}, set(), set()
        self._aliases = False
        event = self._next()
        offset = start_of(event)
        value = self._node(event, 0)
        end = self._next()
        assert isinstance(end, DocumentEndEvent)
        if value is None and isinstance(event, ScalarEvent):
            return
        size, depth = _expanded(value) if self._aliases else (0, 0)
        if depth > MAX_DEPTH:
            self._complain(
                "manifest/too-deep",
                "Nesting too deep",
                start_of(start),
                offset + 1,
                f"with its aliases written out, values are nested {depth:,} levels deep; "
                f"{MAX_DEPTH} are the most.",
                "",
                "",
            )
            return
        if size > MAX_EXPANDED_NODES:
            self._complain(
                "manifest/too-large",
                "Document too large",
                start_of(start),
                offset + 1,
                f"with its aliases written out, this document has more than "
                f"{MAX_EXPANDED_NODES:,} values.",
                "Aliases that hold aliases multiply.",
                "write the values where they are needed",
            )
            return
        self._parsed.documents.append(Document(value, index, offset, frozenset(self._dynamic)))

    def _node(self, event: Event, depth: int) -> JsonValue:
        if isinstance(event, ScalarEvent):
            if event.anchor is None and event.tag is None:
                return self._scalar(event)
            value = self._scalar(event)
        elif isinstance(event, AliasEvent):
            return self._alias(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            value = self._container(event, depth)
        else:  # pragma: no cover - libyaml sends nothing else where a node is due
            msg = f"unexpected event {event!r}"
            raise TypeError(msg)
        if event.tag is not None:
            self._refuse_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _container(self, event: MappingStartEvent | SequenceStartEvent, depth: int) -> JsonValue:
        if depth >= MAX_DEPTH:
            return self._too_deep(event)
        before = self._expressions
        if event.anchor is not None:
            self._open.add(event.anchor)
        value: JsonValue = (
            self._mapping(event, depth)
            if isinstance(event, MappingStartEvent)
            else self._sequence(depth)
        )
        if event.anchor is not None:
            self._open.discard(event.anchor)
        if self._expressions != before:
            self._dynamic.add(id(value))
        return value

    def _sequence(self, depth: int) -> list[JsonValue]:
        items: list[JsonValue] = []
        following, node = self._next, self._node
        while not isinstance(event := following(), SequenceEndEvent):
            items.append(node(event, depth + 1))
        return items

    def _mapping(self, start: MappingStartEvent, depth: int) -> dict[str, JsonValue]:
        members: dict[str, JsonValue] = {}
        first: dict[str, Event] = {}
        following, node = self._next, self._node
        while not isinstance(event := following(), MappingEndEvent):
            key = self._key(event, start, depth)
            if key is None:
                node(following(), depth + 1)
                continue
            if key in members:
                self._duplicate(key, start_of(first[key]), event)
            first[key] = event
            members[key] = node(following(), depth + 1)
        return members

    def _key(self, event: Event, start: MappingStartEvent, depth: int) -> str | None:
        """Return the key, or None after a complaint (its value is then read and dropped)."""
        if not isinstance(event, ScalarEvent):
            self._no_scalar_key(event, start, depth)
            return None
        key = event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = key
        if event.tag is not None:
            self._refuse_tag(event)
        if event.style:
            return self._clean_key(event)
        if key == "<<":
            self._refuse_merge(event)
            return None
        if key in WORDS or key[0] in NUMERIC_START:
            return self._number_key(event)
        return self._clean_key(event)

    def _clean_key(self, event: ScalarEvent) -> str | None:
        key: str = event.value
        if "{{" in key:
            self._complain(
                "manifest/expression-in-key",
                "Expression in a key",
                start_of(event),
                end_of(event),
                f"the key {_shown(key)} holds an expression.",
                "Expressions stand only in values, so that a manifest's shape can be read from it.",
                "write the key out, or use `metadata.forEach` for several resources",
            )
            return None
        return key

    def _number_key(self, event: ScalarEvent) -> str | None:
        try:
            value = scalar(event.value)
        except ValueError:
            value = 0
        if isinstance(value, str):
            return self._clean_key(event)
        self._complain(
            "manifest/key-not-text",
            "Key is not a text",
            start_of(event),
            max(end_of(event), start_of(event) + 1),
            f"the key `{event.value}` is {kind_of(value)}; keys must be texts.",
            "JSON, which the API speaks, has no other keys.",
            f'write `"{event.value}":`' if event.value else "give the key a name",
        )
        return None

    def _scalar(self, event: ScalarEvent) -> JsonValue:
        text: str = event.value
        if event.style:
            if "{{" in text or "{%" in text or "{#" in text:
                self._expressions += 1
            return text
        known = self._plain
        if text in known:
            return known[text]
        if "{{" in text or "{%" in text or "{#" in text:
            self._expressions += 1
            return text
        try:
            value = known[text] = scalar(text)
        except ValueError as error:
            self._complain(
                "manifest/number",
                "Number cannot be represented",
                start_of(event),
                end_of(event),
                f"{text[:40]} {error}.",
                "",
                f'write "{text}" with quotes if a text is meant' if len(text) < 40 else "",
            )
            return 0
        return value

    def _alias(self, event: AliasEvent) -> JsonValue:
        name = event.anchor or ""
        self._aliases = True
        if name in self._anchors and name not in self._open:
            value = self._anchors[name]
            if id(value) in self._dynamic or (isinstance(value, str) and "{{" in value):
                self._expressions += 1
            return value
        what = (
            f"`*{name}` stands inside the value that it names."
            if name in self._open
            else f"`*{name}` refers to an anchor that this document does not have above this line."
        )
        self._complain(
            "manifest/alias",
            "Alias cannot be resolved",
            start_of(event),
            end_of(event),
            what,
            "An alias repeats a value that was marked with `&name` earlier in the same document.",
            f'write "*{name}" with quotes if a text is meant',
        )
        return None

    def _too_deep(self, event: NodeEvent) -> JsonValue:
        self._complain(
            "manifest/too-deep",
            "Nesting too deep",
            start_of(event),
            start_of(event) + 1,
            f"values are nested more than {MAX_DEPTH} levels deep here.",
            "",
            "",
        )
        skip(self._next)
        return None

    def _no_scalar_key(self, event: Event, start: MappingStartEvent, depth: int) -> None:
        first = start_of(event)
        unquoted = (
            isinstance(event, MappingStartEvent)
            and self._text[first : first + 1] == "{"
            and self._text[first - 1 : first] == "{"
            and start_of(start) == first - 1
        )
        mute = len(self._parsed.diagnostics)
        if isinstance(event, AliasEvent):
            self._alias(event)
        else:
            self._node(event, depth + 1)
        del self._parsed.diagnostics[mute:]
        if unquoted:
            self._unquoted(first - 1)
            return
        self._complain(
            "manifest/key-not-text",
            "Key is not a text",
            first,
            first + 1,
            "a list, a mapping or an alias is used as a key here; keys must be texts.",
            "JSON, which the API speaks, has no other keys.",
            "write the key out as a text",
        )

    def _unquoted(self, first: int) -> None:
        line_end = self.lines.end_of_line(first)
        close = self._text.find("}}", first, line_end)
        last = close + 2 if close >= 0 else line_end
        expression = self._text[first:last]
        self._complain(
            "manifest/unquoted-expression",
            "Expression without quotes",
            first,
            last,
            f"{expression} stands without quotes.",
            "YAML reads a brace at the start of a value as the beginning of a mapping.",
            f"write {quoted(expression)}",
        )

    def _refuse_tag(self, event: NodeEvent) -> None:
        first = start_of(event)
        self._complain(
            "manifest/tag",
            "Tag not supported",
            first,
            self._word_end(first),
            f"the tag `{self._text[first : self._word_end(first)]}` has no meaning here.",
            "Manifests hold only what JSON has: texts, numbers, booleans, null, lists, mappings.",
            'leave the tag out; for a text, write the value in quotes ("...")',
        )

    def _word_end(self, first: int) -> int:
        match = re.compile(r"[^\s,\]}]+").match(self._text, first)
        return match.end() if match else first + 1

    def _refuse_merge(self, event: ScalarEvent) -> None:
        self._complain(
            "manifest/merge-key",
            "Merge key not supported",
            start_of(event),
            end_of(event),
            "`<<` merges another mapping into this one.",
            "Merge keys were part of YAML 1.1; YAML 1.2 has none, and editors disagree about them.",
            "repeat the fields, use an alias for a whole value (`key: *name`), or `metadata.forEach`",
        )

    def _duplicate(self, key: str, first: int, event: Event) -> None:
        here, there = start_of(event), self.lines.span(self._file, first, first + len(key))
        self._parsed.diagnostics.append(
            Diagnostic(
                "manifest/duplicate-key",
                "Key given twice",
                what=f"the key `{key}` stands here a second time; it was given on line "
                f"{there.line} already.",
                why="Only one of the two values could count.",
                hint="remove one of them",
                span=self.lines.span(self._file, here, end_of(event)),
                related=(there,),
            )
        )

    def _complain(
        self, code: str, summary: str, first: int, last: int, what: str, why: str, hint: str
    ) -> None:
        self._parsed.diagnostics.append(
            Diagnostic(
                code, summary, what, why, hint, span=self.lines.span(self._file, first, last)
            )
        )


def kind_of(value: object) -> str:
    """Name the type of a value as a sentence wants it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def quoted(text: str) -> str:
    """Return a YAML scalar in double quotes, or in single ones where that is shorter."""
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _shown(text: str) -> str:
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def _expanded(value: JsonValue) -> tuple[int, int]:
    """Count the values of a tree, and its levels, as if every alias were written out."""
    known: dict[int, tuple[int, int]] = {}

    def measure(node: JsonValue) -> tuple[int, int]:
        if not isinstance(node, dict | list):
            return 1, 0
        if id(node) not in known:
            size, depth = 1, 0
            # What an alias repeats stands before it, so that this goes no deeper than the text.
            for child in node.values() if isinstance(node, dict) else node:
                child_size, child_depth = measure(child)
                size, depth = size + child_size, max(depth, child_depth)
            known[id(node)] = (size, depth + 1)
        return known[id(node)]

    return measure(value)
