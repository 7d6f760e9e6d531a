"""
What the nodes of a parsed script are made of, for those who follow them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

FUNCTIONS = frozenset(
    [
        "function_declaration",
        "function_expression",
        "arrow_function",
        "method_definition",
        "generator_function",
        "generator_function_declaration",
    ]
)
# What goes deeper than this is followed no further.
DEEPEST = 30


def parameters(function: Node) -> list[Node]:
    """Return the parameters of a function; an arrow function may have one without parentheses."""
    single = function.child_by_field_name("parameter")
    if single is not None:
        return [single]
    listed = function.child_by_field_name("parameters")
    return without_comments(listed) if listed is not None else []


def without_comments(node: Node) -> list[Node]:
    """Return the children of a node that have a name in the grammar, comments left out."""
    return [one for one in node.named_children if one.type != "comment"]


def bound_names(pattern: Node) -> Iterator[Node]:
    """Yield the names that a pattern declares."""
    stack = [pattern]
    while stack:
        node = stack.pop()
        if node.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield node
        elif node.type in ("assignment_pattern", "object_assignment_pattern"):
            left = node.child_by_field_name("left")
            stack += [left] if left is not None else []
        elif node.type == "pair_pattern":
            value = node.child_by_field_name("value")
            stack += [value] if value is not None else []
        elif node.type in ("object_pattern", "array_pattern", "rest_pattern"):
            stack += reversed(node.named_children)
