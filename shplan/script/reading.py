"""
What the text of a script says, with places: which members are read, which names are not declared.

Read from a syntax tree, without running anything. The tree is lenient about texts that are no JavaScript, so that it
says nothing about syntax: that is the engine's to say. Names are taken as declared wherever they are declared,
whatever their scope, because a script that runs is worth more than a rule that is strict.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from shplan.script.doubts import Doubts
from shplan.script.names import GLOBALS, WITHHELD
from shplan.script.nodes import FUNCTIONS
from shplan.script.source import line_starts
from shplan.script.tracing import Traced, trace

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_CONSTANTS = ("Mosaicking", "SampleType")
_GLOBAL = ("this", "globalThis")


@dataclass(frozen=True, slots=True)
class Span:
    """A word in a script: line and column from 1, in code points, and the column behind it."""

    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Member:
    """A key of an object literal, and its value where that is a literal string."""

    span: Span
    text: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a text says.

    Args:
        members: names of members that are read anywhere, as `.name`, `["name"]` or by destructuring
        strings: the literal strings, without their quotes
        keys: the keys of object literals
        undeclared: names that are used and declared nowhere, each where it stands first; nothing is
            said of a name that a `typeof` asks about, nor where the text is put together at run time
            or takes members for names (`with`)
        constants: members of the constant objects that are named, as (object, member)
        objects: the object literals, each by its keys
        declared: names of variables, functions and arguments, each where it is declared first
        doubted: members that the text expects may be missing: compared with undefined or null, asked
            for, or given another value by `??`, `|| 1` or a default of a pattern
        assembled: more of the script is put together at run time, by `eval` or `Function`
        slightly: members that may have been meant to be there: `samples[0]?.B04 ?? 0` doubts the sample, and
            `if (s.B04)` a null as well
        computed: members are read by names that are put together
        any_doubted: of these some are expected to be missing
        traced: what is done with the samples, and what is returned
    """

    members: Mapping[str, tuple[Span, ...]]
    strings: Mapping[str, tuple[Span, ...]]
    keys: Mapping[str, tuple[Span, ...]]
    undeclared: Mapping[str, Span]
    constants: Mapping[tuple[str, str], Span]
    objects: tuple[Mapping[str, Member], ...]
    declared: Mapping[str, Span]
    doubted: frozenset[str] = frozenset()
    assembled: bool = False
    slightly: frozenset[str] = frozenset()
    computed: bool = False
    any_doubted: bool = False
    traced: Traced = field(default_factory=Traced)


def read(text: str) -> Reading:
    """Read a text; one that is no JavaScript gives what can be made out of it."""
    reader = _Reader(text)
    root = syntax_tree(text)
    for node in _nodes(root):
        reader.take(node)
    return reader.reading(root)


def syntax_tree(text: str) -> Node:
    """Return the root of a text's syntax tree, whose places are bytes of UTF-8."""
    return _parser().parse(text.encode("utf-8", "surrogatepass")).root_node


@cache
def _parser() -> Parser:
    import tree_sitter_javascript  # noqa: PLC0415 - only who asks what a text means
    from tree_sitter import Language, Parser  # noqa: PLC0415

    return Parser(Language(tree_sitter_javascript.language()))


def _nodes(root: Node) -> Iterator[Node]:
    """Every named node, from the first character to the last; without recursion: texts nest deeply."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.named_children)


class _Reader:
    """Gathers what single nodes say."""

    def __init__(self, text: str) -> None:
        self._encoded = text.encode("utf-8", "surrogatepass")
        self._ascii = text.isascii()
        self._lines = line_starts(text)
        # Where the last place was, in bytes and in characters: the next one is near.
        self._last = (0, 0)
        self._members: dict[str, list[Span]] = {}
        self._strings: dict[str, list[Span]] = {}
        self._keys: dict[str, list[Span]] = {}
        self._constants: dict[tuple[str, str], Span] = {}
        self._objects: list[Mapping[str, Member]] = []
        self._declared: dict[str, Span] = {}
        self._guarded: set[str] = set()
        self._doubts = Doubts(self._encoded)
        self._used: dict[str, Span] = {}
        self._is_open = False
        self._computed = False
        self._takers: Mapping[str, Callable[[Node], None]] = {
            "member_expression": self._member,
            "subscript_expression": self._subscript,
            "string": self._string,
            "object": self._object,
            "pair": self._pair,
            "pair_pattern": self._pair_pattern,
            "shorthand_property_identifier_pattern": self._shorthand,
            "shorthand_property_identifier": self._use,
            "variable_declarator": self._declarator,
            "assignment_expression": self._assignment,
            "augmented_assignment_expression": self._assignment,
            "for_in_statement": self._for_in,
            "class_declaration": self._named,
            "class": self._named,
            "catch_clause": self._catch,
            "unary_expression": self._unary,
            "identifier": self._use,
        }

    def take(self, node: Node) -> None:
        if node.type in FUNCTIONS:
            self._function(node)
        elif node.type == "with_statement":
            self._is_open = True
        taker = self._takers.get(node.type)
        if taker is not None:
            taker(node)
        self._doubts.take(node)

    def reading(self, root: Node) -> Reading:
        self._doubts.close()
        known = self._declared.keys() | self._guarded | GLOBALS | WITHHELD
        undeclared = {name: span for name, span in self._used.items() if name not in known}
        assembled = bool({"eval", "Function"} & self._used.keys())
        if assembled or self._is_open:
            undeclared = {}
        return Reading(
            {name: tuple(spans) for name, spans in self._members.items()},
            {name: tuple(spans) for name, spans in self._strings.items()},
            {name: tuple(spans) for name, spans in self._keys.items()},
            undeclared,
            self._constants,
            tuple(self._objects),
            self._declared,
            frozenset(self._doubts.plain),
            assembled,
            frozenset(self._doubts.slight),
            self._computed,
            self._doubts.of_any,
            trace(root, word=self._word, span=self._place),
        )

    def _member(self, node: Node) -> None:
        owner, member = node.child_by_field_name("object"), node.child_by_field_name("property")
        if member is None:
            return
        name, span = self._word(member), self._span(member)
        self._members.setdefault(name, []).append(span)
        if owner is not None and owner.type == "identifier" and self._word(owner) in _CONSTANTS:
            self._constants.setdefault((self._word(owner), name), span)

    def _subscript(self, node: Node) -> None:
        index = node.child_by_field_name("index")
        if index is not None and index.type not in ("string", "number"):
            self._computed = True
        if index is not None and index.type == "string":
            name = self._unquoted(index)
            self._members.setdefault(name, []).append(self._span(index, quotes=1))

    def _string(self, node: Node) -> None:
        self._strings.setdefault(self._unquoted(node), []).append(self._span(node, quotes=1))

    def _object(self, node: Node) -> None:
        members = {}
        for pair in node.named_children:
            key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if key is None or key.type not in ("property_identifier", "string"):
                continue
            quotes = int(key.type == "string")
            name = self._unquoted(key) if quotes else self._word(key)
            text = self._unquoted(value) if value is not None and value.type == "string" else None
            members[name] = Member(self._span(key, quotes=quotes), text)
        self._objects.append(members)

    def _pair(self, node: Node) -> None:
        self._key(node, self._keys)

    def _pair_pattern(self, node: Node) -> None:
        self._key(node, self._members)
        self._declare(node.child_by_field_name("value"))

    def _key(self, node: Node, book: dict[str, list[Span]]) -> None:
        key = node.child_by_field_name("key")
        if key is not None and key.type in ("property_identifier", "string"):
            quotes = int(key.type == "string")
            name = self._unquoted(key) if quotes else self._word(key)
            book.setdefault(name, []).append(self._span(key, quotes=quotes))

    def _shorthand(self, node: Node) -> None:
        name = self._word(node)
        self._members.setdefault(name, []).append(self._span(node))
        self._declared.setdefault(name, self._span(node))

    def _use(self, node: Node) -> None:
        self._used.setdefault(self._word(node), self._span(node))
        if node.type == "shorthand_property_identifier":
            self._keys.setdefault(self._word(node), []).append(self._span(node))

    def _declarator(self, node: Node) -> None:
        self._declare(node.child_by_field_name("name"))

    def _assignment(self, node: Node) -> None:
        # In sloppy mode an assignment declares, and so does one to a member of the global object.
        left = node.child_by_field_name("left")
        owner = None if left is None else left.child_by_field_name("object")
        if left is not None and owner is not None and self._word(owner) in _GLOBAL:
            left = left.child_by_field_name("property")
            if left is not None:
                self._declared.setdefault(self._word(left), self._span(left))
            return
        self._declare(left)

    def _for_in(self, node: Node) -> None:
        self._declare(node.child_by_field_name("left"))

    def _named(self, node: Node) -> None:
        self._declare(node.child_by_field_name("name"))

    def _function(self, node: Node) -> None:
        self._declare(node.child_by_field_name("name"))
        self._declare(node.child_by_field_name("parameter"))
        parameters = node.child_by_field_name("parameters")
        for one in parameters.named_children if parameters is not None else ():
            self._declare(one)

    def _catch(self, node: Node) -> None:
        self._declare(node.child_by_field_name("parameter"))

    def _unary(self, node: Node) -> None:
        argument = node.child_by_field_name("argument")
        operator = node.child_by_field_name("operator")
        if argument is None or operator is None or operator.type != "typeof":
            return
        if argument.type == "identifier":
            self._guarded.add(self._word(argument))

    def _declare(self, pattern: Node | None) -> None:
        """Take the names of a pattern as declared; what a default value uses is a use."""
        if pattern is None:
            return
        if pattern.type in ("identifier", "shorthand_property_identifier_pattern"):
            self._declared.setdefault(self._word(pattern), self._span(pattern))
        elif pattern.type in ("assignment_pattern", "object_assignment_pattern"):
            self._declare(pattern.child_by_field_name("left"))
        elif pattern.type == "pair_pattern":
            self._declare(pattern.child_by_field_name("value"))
        elif pattern.type in ("object_pattern", "array_pattern", "rest_pattern"):
            for one in pattern.named_children:
                self._declare(one)

    def _word(self, node: Node) -> str:
        return self._encoded[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _unquoted(self, node: Node) -> str:
        return self._word(node)[1:-1]

    def _span(self, node: Node, *, quotes: int = 0) -> Span:
        first, last = self._offset(node.start_byte) + quotes, self._offset(node.end_byte) - quotes
        line = bisect_right(self._lines, first)
        column = first - self._lines[line - 1] + 1
        return Span(line, column, column + max(last - first, 1))

    def _place(self, node: Node) -> Span:
        """Return the place of a word, without its quotes."""
        return self._span(node, quotes=int(node.type == "string"))

    def _offset(self, units: int) -> int:
        """Return how many characters so many bytes are."""
        if self._ascii:
            return units
        at, characters = self._last
        first, last = sorted((at, units))
        between = len(self._encoded[first:last].decode("utf-8", "replace"))
        characters += between if units >= at else -between
        self._last = (units, characters)
        return characters
