"""
What `evaluatePixel()` returns, as far as its text says it: on paths that no pixel may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from shplan.script.nodes import DEEPEST, FUNCTIONS, without_comments

if TYPE_CHECKING:
    from tree_sitter import Node

    from shplan.script.reading import Span

_ARITHMETIC = frozenset(["-", "*", "/", "**"])
# Statements after which the next one is reached, and after which none is.
_PASSED = frozenset(["expression_statement", "variable_declaration", "lexical_declaration"])
_LEFT = frozenset(["return_statement", "throw_statement"])
# Those that hold others, all of which are gone through; and those of which that is not certain.
_BLOCKS = frozenset(["statement_block", "else_clause", "labeled_statement"])
_WINDING = frozenset(["switch_statement", "try_statement", "while_statement", "do_statement"])
_WRITTEN_KEYS = frozenset(["property_identifier", "string"])


@dataclass(frozen=True, slots=True)
class Given:
    """
    A value that is written out where it is returned.

    Args:
        output: its key, empty where it is all that is returned
        length: of the list, None for a number in no list
        plain: it holds nothing but numbers that are written out
        unset: it holds a variable that nothing is ever assigned to
    """

    output: str
    length: int | None
    span: Span
    plain: bool = False
    unset: bool = False


@dataclass(frozen=True, slots=True)
class Returns:
    """
    Looks at the values that a function returns.

    Args:
        pixels: the function
        returns: its return statements, not those of functions in it
        word: gives the text of a node
        span: gives its place
        is_unset: tells whether a node is a variable that nothing is ever assigned to
    """

    pixels: Node
    returns: Sequence[Node]
    word: Callable[[Node], str]
    span: Callable[[Node], Span]
    is_unset: Callable[[Node], bool]

    def given(self) -> Iterator[Given]:
        """Yield the values that are written out where they are returned, in the order of the text."""
        body = self.pixels.child_by_field_name("body")
        if body is not None and body.type != "statement_block":
            yield from self._value(body)
        for node in self.returns:
            for one in _values(node):
                yield from self._value(one)

    def cut_off(self) -> Span | None:
        """Return a `return` whose value stands on a later line, where JavaScript no longer takes it for one."""
        cut = (node for node in self.returns if without_comments(node) and not _values(node))
        return next((self.span(node.children[0]) for node in cut), None)

    def _value(self, node: Node, depth: int = 0) -> Iterator[Given]:
        if depth > DEEPEST:
            return
        if node.type == "parenthesized_expression":
            for one in without_comments(node):
                yield from self._value(one, depth + 1)
        elif node.type == "ternary_expression":
            for name in ("consequence", "alternative"):
                branch = node.child_by_field_name(name)
                if branch is not None:
                    yield from self._value(branch, depth + 1)
        elif node.type == "object":
            yield from self._keyed(node)
        else:
            yield from self._listed(node, "")

    def _keyed(self, node: Node) -> Iterator[Given]:
        for one in without_comments(node):
            key, value = one.child_by_field_name("key"), one.child_by_field_name("value")
            # A name that is put together is any.
            if key is not None and value is not None and key.type in _WRITTEN_KEYS:
                yield from self._listed(value, self.word(key).strip("\"'"))

    def _listed(self, node: Node, output: str) -> Iterator[Given]:
        if node.type == "array":
            items = without_comments(node)
            marks = [one.type for one in node.children if one.type != "comment"]
            # `[, 1]` has an item that is no node.
            holes = any(after == "," and before in "[," for before, after in pairwise(marks))
            if items and not holes and all(one.type != "spread_element" for one in items):
                plain = all(self._is_written_out(one) for one in items)
                unset = any(self.is_unset(one) for one in items)
                yield Given(output, len(items), self.span(node), plain, unset)
        elif self._is_number(node):
            yield Given(output, None, self.span(node))

    def ends(self) -> Span | None:
        """Return the last statement of a function that surely returns nothing, and is reached."""
        body = self.pixels.child_by_field_name("body")
        if body is None or body.type != "statement_block":
            return None
        statements = without_comments(body)
        if not statements or any(_leaves(one) for one in statements):
            return None
        last = statements[-1]
        return self.span(last) if last.type in _PASSED and self.gives() else None

    def gives(self) -> bool:
        """Tell whether a value is returned somewhere, whatever it is."""
        body = self.pixels.child_by_field_name("body")
        return (body is not None and body.type != "statement_block") or any(
            _values(node) for node in self.returns
        )

    def _is_written_out(self, node: Node) -> bool:
        return node.type in ("number", "unary_expression") or self.word(node) == "NaN"

    def _is_number(self, node: Node) -> bool:
        if node.type == "identifier":
            return self.word(node) == "NaN"
        operator = node.child_by_field_name("operator")
        return node.type == "number" or (
            node.type == "binary_expression"
            and operator is not None
            and self.word(operator) in _ARITHMETIC
        )


def _values(node: Node) -> list[Node]:
    """Return what a `return` gives: the language ends the statement with its line, and tree-sitter does not."""
    row = node.start_point[0]
    return [one for one in without_comments(node) if one.start_point[0] == row]


def _leaves(statement: Node, depth: int = 0) -> bool:
    """Tell whether what follows a statement may never be reached: where it is not plain, it counts as such."""
    if statement.type in _LEFT or depth > DEEPEST:
        return True
    children = without_comments(statement)
    if statement.type == "if_statement":
        branches = [
            branch
            for name in ("consequence", "alternative")
            if (branch := statement.child_by_field_name(name)) is not None
        ]
        return len(branches) == 2 and all(_leaves(one, depth + 1) for one in branches)
    if statement.type in _BLOCKS:
        return any(_leaves(one, depth + 1) for one in children)
    return statement.type in _WINDING and any(_returns(one) for one in children)


def _returns(node: Node) -> bool:
    """Tell whether a return stands somewhere in a statement, beside those of functions in it."""
    stack = [node]
    while stack:
        one = stack.pop()
        if one.type in _LEFT:
            return True
        if one.type not in FUNCTIONS:
            stack += one.named_children
    return False
