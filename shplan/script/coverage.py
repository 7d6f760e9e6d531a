"""
Which lines of a script ran: a copy of its text that notes each statement before it runs.

Statements are found in the syntax tree; notes are written on their own lines, so that lines keep
their numbers. The notes come back in the `userData` that the script leaves when all pixels are
done. A script without functions has no such place: of it nothing can be told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.script.reading import syntax_tree

if TYPE_CHECKING:
    from tree_sitter import Node

NOTES = "__shplanNotes"
_NOTE = "__shplanNote"
_OWN = "__shplanOwn"
_LAST = "updateOutputMetadata"
# Source: ECMA-262, "Statements"; declarations of functions and classes run nothing themselves.
_STATEMENTS = frozenset(
    [
        "expression_statement",
        "variable_declaration",
        "lexical_declaration",
        "return_statement",
        "if_statement",
        "for_statement",
        "for_in_statement",
        "while_statement",
        "do_statement",
        "switch_statement",
        "try_statement",
        "throw_statement",
        "break_statement",
        "continue_statement",
        "labeled_statement",
    ]
)
_BLOCKS = frozenset(["program", "statement_block"])
_CASES = frozenset(["switch_case", "switch_default"])
# A statement that stands alone where a block might.
_ALONE = {
    "if_statement": ("consequence",),
    "else_clause": (),
    "for_statement": ("body",),
    "for_in_statement": ("body",),
    "while_statement": ("body",),
    "do_statement": ("body",),
}


@dataclass(frozen=True, slots=True)
class Noted:
    """
    A script that notes what it runs.

    Args:
        text: of the copy
        lines: on which line each statement begins, by its number
    """

    text: str
    lines: tuple[int, ...]

    def ran(self, user_data: object) -> frozenset[int]:
        """Return the lines of which a statement ran, from what the copy has left."""
        notes = user_data.get(NOTES) if isinstance(user_data, dict) else None
        numbers = notes if isinstance(notes, list) else []
        return frozenset(
            self.lines[int(one)] for one in numbers if isinstance(one, int | float | str)
        )


def noted(text: str, outputs: Mapping[str, int]) -> Noted:
    """
    Return the copy of a script.

    Args:
        text: of a script with functions
        outputs: its outputs, each with its number of bands: what a pixel gets that it fails at, so
            that what ran before is known
    """
    encoded = text.encode("utf-8", "surrogatepass")
    root = syntax_tree(text)
    inserted: list[tuple[int, int, str]] = []
    lines: list[int] = []
    for node, alone in _statements(root):
        number = len(lines)
        lines.append(node.start_point[0] + 1)
        note = f"{_NOTE}({number})"
        if node.type in _STATEMENTS:
            inserted.append((node.start_byte, number, f"{{{note};" if alone else f"{note};"))
            if alone:
                inserted.append((node.end_byte, -number, "}"))
        else:
            # The value of an arrow function.
            inserted.append((node.start_byte, number, f"({note},"))
            inserted.append((node.end_byte, -number, ")"))
    parts, last = [], 0
    # What ends somewhere ends before anything begins there, the inner before the outer.
    for at, _, words in sorted(inserted, key=lambda one: (one[0], one[2] not in "})", one[1])):
        parts += [encoded[last:at], words.encode()]
        last = at
    copy = b"".join([*parts, encoded[last:]]).decode("utf-8", "surrogatepass")
    return Noted(copy + _tail(root, encoded, outputs), tuple(lines))


def _statements(root: Node) -> Iterator[tuple[Node, bool]]:
    """Yield each statement, and whether it stands alone where a block might; and arrows' values."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type in _BLOCKS or node.type in _CASES:
            for one in node.named_children:
                if one.type in _STATEMENTS and not _is_directive(one):
                    yield one, False
        elif node.type == "else_clause":
            yield from ((one, True) for one in node.named_children if _stands_alone(one))
        elif node.type in _ALONE:
            bodies = (node.child_by_field_name(name) for name in _ALONE[node.type])
            yield from ((one, True) for one in bodies if one is not None and _stands_alone(one))
        elif node.type == "arrow_function":
            body = node.child_by_field_name("body")
            if body is not None and body.type != "statement_block":
                yield body, False
        stack += reversed(node.named_children)


def _stands_alone(node: Node) -> bool:
    return node.type in _STATEMENTS and node.type != "lexical_declaration"


def _is_directive(node: Node) -> bool:
    """Tell whether a statement is a text alone: `"use strict"` counts only where it is the first."""
    if node.type != "expression_statement" or not node.named_children:
        return False
    return node.named_children[0].type == "string"


def _tail(root: Node, encoded: bytes, outputs: Mapping[str, int]) -> str:
    """Return what takes the notes and hands them out, behind the script and on lines of its own."""
    values = {name: [0] * bands for name, bands in outputs.items()}
    fallback = json.dumps(values if list(values) != ["default"] else values["default"])
    declared = _declared(root, encoded)
    own = f'typeof {_LAST}==="undefined"?undefined:{_LAST}'
    keyword = "" if _LAST in declared else "var "
    # `var` alone, so that a note that is taken before this line ran is not lost.
    return f"""
var {NOTES}; function {_NOTE}(n) {{ ({NOTES} = {NOTES} || {{}})[n] = 1; }}
try {{ evaluatePixel = (function ({_OWN}) {{ return function () {{
  try {{ return {_OWN}.apply(this, arguments); }} catch (error) {{ return {fallback}; }}
}}; }})(evaluatePixel); }} catch (error) {{}}
{keyword}{_LAST} = (function ({_OWN}) {{ return function (scenes, input, output) {{
  try {{ if ({_OWN}) {_OWN}.apply(this, arguments); }} catch (error) {{}}
  output.userData = {{ {NOTES}: Object.keys({NOTES} || {{}}) }};
}}; }})({"undefined" if keyword else own});
"""


def _declared(root: Node, encoded: bytes) -> frozenset[str]:
    """Return the names that the top level declares."""
    found = set()
    for node in root.named_children:
        named = [node, *node.named_children] if "declaration" in node.type else [node]
        if node.type == "expression_statement" and node.named_children:
            named = [node.named_children[0]]
        for one in named:
            name = one.child_by_field_name("name") or one.child_by_field_name("left")
            if name is not None:
                found.add(encoded[name.start_byte : name.end_byte].decode("utf-8", "replace"))
    return frozenset(found)
