"""
Which members a text expects may be missing: it compares them with undefined, or has a value in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

_COMPARISONS = ("===", "!==", "==", "!=")
_MEMBERS = ("member_expression", "subscript_expression")
_LITERALS = ("string", "number")
# So many bytes of what a condition guards are looked through.
_NEAR = 20_000
_ASKING = ("hasOwnProperty", "hasOwn", "propertyIsEnumerable")


class Doubts:
    """
    Gathers doubts, node by node.

    Args:
        text: in UTF-8, as nodes count it

    Attributes:
        plain: names of members that are compared with undefined or null, asked for, or given another value
        slight: names of which it may have been something else that was doubted: `samples[0]?.B04 ?? 0` doubts
            the sample, and `if (s.B04)` nulls as well
        of_any: members are doubted whose names are put together
    """

    def __init__(self, text: bytes) -> None:
        self.plain: set[str] = set()
        self.slight: set[str] = set()
        self.of_any = False
        self._text = text
        # Variables that a member was assigned to, and those of them that are doubted.
        self._holding: dict[str, list[Node]] = {}
        self._held: set[str] = set()
        self._takers: Mapping[str, Callable[[Node], None]] = {
            "pair_pattern": self._pair_pattern,
            "object_assignment_pattern": self._default,
            "variable_declarator": self._declarator,
            "unary_expression": self._unary,
            "binary_expression": self._binary,
            "ternary_expression": self._condition,
            "if_statement": self._condition,
            "call_expression": self._call,
        }

    def take(self, node: Node) -> None:
        """Take note of what one node says."""
        taker = self._takers.get(node.type)
        if taker is not None:
            taker(node)

    def close(self) -> None:
        """Know the end of the text: what is doubted of a variable is so of what it holds."""
        for name in self._held:
            for node in self._holding.get(name, ()):
                self._doubt(node, slight=True)
        self.slight -= self.plain

    def _pair_pattern(self, node: Node) -> None:
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is not None and value is not None and value.type == "assignment_pattern":
            self.plain.add(self._name(key))

    def _default(self, node: Node) -> None:
        name = node.child_by_field_name("left")
        if name is not None:
            self.plain.add(self._word(name))

    def _declarator(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is not None and value is not None and value.type in _MEMBERS:
            self._holding.setdefault(self._word(name), []).append(value)

    def _unary(self, node: Node) -> None:
        argument, operator = _of(node, "argument", "operator")
        if argument is not None and operator is not None and operator.type == "typeof":
            self._doubt(argument)

    def _binary(self, node: Node) -> None:
        left, right, operator = _of(node, "left", "right", "operator")
        if left is None or right is None or operator is None:
            return
        if operator.type == "??" or (operator.type == "||" and right.type == "number"):
            self._doubt(left)
        elif operator.type == "||" and right.type in _MEMBERS:
            self._doubt(left, slight=True)
        elif operator.type in _COMPARISONS:
            for one, other in ((left, right), (right, left)):
                if self._word(other) in ("undefined", "null"):
                    self._doubt(one)
        elif operator.type == "in":
            self._asked(left)
        elif operator.type == "&&":
            self._by_truth(left, right)

    def _condition(self, node: Node) -> None:
        condition, consequence = _of(node, "condition", "consequence")
        if condition is not None and consequence is not None:
            self._by_truth(_bare(condition), consequence)

    def _by_truth(self, asked: Node, used: Node) -> None:
        """What is only used where it is true may be missing elsewhere."""
        if asked.type not in _MEMBERS:
            return
        # Conditions nest, and what the first of them guards is most of the text.
        end = min(used.end_byte, used.start_byte + _NEAR)
        member = self._text[asked.start_byte : asked.end_byte]
        if _holds(self._text, member, used.start_byte, end):
            self._doubt(asked, slight=True)

    def _call(self, node: Node) -> None:
        called, arguments = _of(node, "function", "arguments")
        if called is None or arguments is None or called.type != "member_expression":
            return
        method = called.child_by_field_name("property")
        owner = called.child_by_field_name("object")
        names = {self._word(one) for one in (method, owner) if one is not None}
        # Also `Object.prototype.hasOwnProperty.call(sample, name)`.
        if any(name.rpartition(".")[2] in _ASKING for name in names):
            for one in arguments.named_children:
                self._asked(one)

    def _asked(self, node: Node) -> None:
        if node.type == "string":
            self.plain.add(self._name(node))
        elif node.type != "number":
            self.of_any = True

    def _doubt(self, node: Node, *, slight: bool = False) -> None:
        if node.type == "identifier":
            self._held.add(self._word(node))
        if node.type not in _MEMBERS:
            return
        member = node.child_by_field_name(
            "property" if node.type == "member_expression" else "index"
        )
        if member is None:
            return
        if node.type == "subscript_expression" and member.type not in _LITERALS:
            self.of_any = True
            return
        chained = any(one.type == "optional_chain" for one in node.children)
        (self.slight if slight or chained else self.plain).add(self._name(member))

    def _word(self, node: Node) -> str:
        return self._text[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _name(self, node: Node) -> str:
        return self._word(node)[1:-1] if node.type == "string" else self._word(node)


def _holds(text: bytes, member: bytes, start: int, end: int) -> bool:
    """Tell whether a member stands there, as a whole: `s.B1` is not in `s.B11`."""
    at = text.find(member, start, end)
    while at >= 0:
        behind = text[at + len(member) : at + len(member) + 1]
        if not (behind.isalnum() or behind in (b"_", b"$")):
            return True
        at = text.find(member, at + 1, end)
    return False


def _of(node: Node, *fields: str) -> tuple[Node | None, ...]:
    return tuple(node.child_by_field_name(one) for one in fields)


def _bare(node: Node) -> Node:
    """Return what stands in parentheses."""
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node
