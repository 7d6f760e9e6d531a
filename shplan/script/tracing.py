"""
Where a text uses the samples of `evaluatePixel()`, and what it returns, on paths that no pixel may take.

Names are followed through what is certain: variables, loops, callbacks of the list, arguments of a function that is
declared once. A name that may be something else as well is nothing that is followed, so that what is said is true of
every path, and not everything is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from shplan.script.nodes import DEEPEST, FUNCTIONS, bound_names, parameters, without_comments
from shplan.script.returning import Given, Returns

if TYPE_CHECKING:
    from tree_sitter import Node

    from shplan.script.reading import Span

_PIXELS = "evaluatePixel"
# Of a list: what gives another list of the same, one of them, and what is called with each of them.
_LISTS = frozenset(["filter", "slice", "sort", "reverse", "concat"])
_ONES = frozenset(["find", "at", "pop", "shift"])
_FIRST_OF_EACH = frozenset(
    ["forEach", "map", "filter", "find", "findIndex", "some", "every", "flatMap"]
)
# What gives its first argument members.
_WRITERS = frozenset(
    ["Object.assign", "Object.defineProperty", "Object.defineProperties", "Reflect.set"]
)
_EMPTY = frozenset(["null", "undefined"])
# Of what is done under a condition, what may be the only thing that gives a name its value; and what may find nothing.
_CONDITIONS = frozenset(
    ["if_statement", "switch_statement", "ternary_expression", "while_statement"]
)
_GIVING = frozenset(["assignment_expression", "augmented_assignment_expression", "call_expression"])
_FINDING = frozenset(["filter", "find", "get", "match", "exec", "pop", "shift"])


class Kind(Enum):
    """What a name stands for: all that `evaluatePixel()` is given, or an item of that."""

    ALL = "all"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class Use:
    """A member that is read of the samples, or of one of them."""

    kind: Kind
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Traced:
    """
    What a text does with its samples.

    Args:
        uses: in the order of the text; without those whose value is gone into: a member of it, an item, a call
        given: likewise
        written: members that something is assigned to, of whatever object
        writes_any: a sample is given members by names that are put together
        ends: the last statement of `evaluatePixel()`, where it returns nothing and others return something
        gives: `evaluatePixel()` returns a value somewhere, or it cannot be told
        chooses: a value may be there or not by what the pixels are: given under a condition, or looked up
        cut_off: a `return` of `evaluatePixel()` whose value stands on a later line, and is not returned
    """

    uses: tuple[Use, ...] = ()
    given: tuple[Given, ...] = ()
    written: frozenset[str] = frozenset()
    writes_any: bool = False
    ends: Span | None = None
    gives: bool = True
    chooses: bool = False
    cut_off: Span | None = None


@dataclass(slots=True)
class _Scope:
    """A function or the whole text: the names that are declared in it, and all that they are given."""

    above: _Scope | None
    function: Node | None
    names: dict[str, list[_Source]] = field(default_factory=dict)

    def holder(self, name: str) -> _Scope | None:
        """Return the scope in which a name is declared, seen from here."""
        scope: _Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.above
        return scope


@dataclass(frozen=True, slots=True)
class _Source:
    """What a name is given: a value, or an item of one; None for what is not followed."""

    value: Node | None
    scope: _Scope | None
    is_item: bool = False
    kind: Kind | None = None


def trace(root: Node, *, word: Callable[[Node], str], span: Callable[[Node], Span]) -> Traced:
    """
    Follow the samples through a text.

    Args:
        word: gives the text of a node
        span: gives its place
    """
    tracer = _Tracer(root, word, span)
    return tracer.traced()


class _Tracer:
    def __init__(
        self, root: Node, word: Callable[[Node], str], span: Callable[[Node], Span]
    ) -> None:
        self._word, self._span = word, span
        self._top = _Scope(None, None)
        self._nodes: list[tuple[Node, _Scope]] = []
        self._functions: dict[str, list[Node]] = {}
        self._inner: dict[int, _Scope] = {}
        self._written: set[str] = set()
        # Variables that are declared without a value, by their scope.
        self._bare: set[tuple[int, str]] = set()
        self._inside: set[int] = set()
        # By node: what it stands in, and where the condition is under which it is done. Nodes find their parents
        # from the root, which in a deep text takes for ever.
        self._above: dict[int, Node] = {}
        self._under: dict[int, _Scope] = {}
        self._is_wrapped = False
        # What names stand for, by their scope: known once all that they are given is.
        self._kinds: dict[tuple[int, str], Kind | None] = {}
        # What is given a member by a name that the text does not say.
        self._computed: list[tuple[Node, _Scope]] = []
        self._walk(root)
        for node, scope in self._nodes:
            self._declare(node, scope)
        for node, scope in self._nodes:
            if node.type == "call_expression":
                self._call(node, scope)
            elif node.type in ("identifier", "shorthand_property_identifier"):
                self._name(node)
            elif node.type in ("assignment_expression", "augmented_assignment_expression"):
                self._assign(node, scope)

    def traced(self) -> Traced:
        pixels = self._pixels()
        if pixels is None:
            return Traced(written=frozenset(self._written))
        first = next(iter(parameters(pixels)), None)
        found: list[Use] = []
        if first is not None:
            scope = self._inner[pixels.id]
            if first.type == "identifier":
                scope.names[self._word(first)].insert(0, _Source(None, None, kind=Kind.ALL))
            else:
                found += self._pattern(first, Kind.ALL)
        for node, scope in self._nodes:
            found += self._uses(node, scope)
        own = [
            node
            for node, scope in self._nodes
            if node.type == "return_statement" and scope.function == pixels
        ]
        returns = Returns(pixels, own, self._word, self._span, self._is_unset)
        any_ = any(self._may_be_sample(node, scope) for node, scope in self._computed)
        return Traced(
            tuple(found),
            tuple(returns.given()),
            frozenset(self._written),
            any_,
            returns.ends(),
            returns.gives(),
            any(self._may_give(node, pixels) for node, _ in self._nodes),
            returns.cut_off(),
        )

    # --- scopes ----------------------------------------------------------------------------

    def _walk(self, root: Node) -> None:
        stack: list[tuple[Node, _Scope, _Scope | None]] = [(root, self._top, None)]
        while stack:
            node, scope, under = stack.pop()
            self._nodes.append((node, scope))
            if under is not None:
                self._under[node.id] = under
            inner = scope
            if node.type in FUNCTIONS:
                inner = self._inner[node.id] = _Scope(scope, node)
            below = scope if node.type in _CONDITIONS else under
            for one in reversed(node.named_children):
                self._above[one.id] = node
                stack.append((one, inner, below))

    def _declare(self, node: Node, scope: _Scope) -> None:
        if node.type in FUNCTIONS:
            name = node.child_by_field_name("name")
            if name is not None and node.type.endswith("declaration"):
                self._named(self._word(name), node, scope)
            for one in parameters(node):
                for bound in bound_names(one):
                    self._inner[node.id].names.setdefault(self._word(bound), [])
        elif node.type == "variable_declarator":
            self._declarator(node, scope)
        elif node.type == "for_in_statement":
            self._loop(node, scope)
        elif node.type in ("catch_clause", "class_declaration"):
            bound_by = node.child_by_field_name(
                "parameter" if node.type == "catch_clause" else "name"
            )
            if bound_by is not None:
                self._add(bound_by, scope, _Source(None, None))

    def _named(self, name: str, function: Node, scope: _Scope) -> None:
        scope.names.setdefault(name, []).append(_Source(None, None))
        self._functions.setdefault(name, []).append(function)

    def _declarator(self, node: Node, scope: _Scope) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        if name.type == "identifier" and value is not None and value.type in FUNCTIONS:
            self._named(self._word(name), value, scope)
        elif name.type == "identifier":
            self._add(name, scope, None if value is None else _Source(value, scope))
            if value is None:
                self._bare.add((id(scope), self._word(name)))
        else:
            self._add(name, scope, _Source(None, None))

    def _loop(self, node: Node, scope: _Scope) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None:
            return
        operator = node.child_by_field_name("operator")
        over = operator is not None and self._word(operator) == "of"
        goes = right is not None and over and left.type == "identifier"
        self._add(left, scope, _Source(right, scope, is_item=True) if goes else _Source(None, None))

    def _add(self, pattern: Node, scope: _Scope, source: _Source | None) -> None:
        for bound in bound_names(pattern):
            sources = scope.names.setdefault(self._word(bound), [])
            if source is not None:
                sources.append(source)

    def _assign(self, node: Node, scope: _Scope) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return
        if left.type in ("member_expression", "subscript_expression"):
            name, owner = self._member(left), left.child_by_field_name("object")
            if name is not None:
                self._written.add(name)
                self._inside.add(left.id)
            elif owner is not None:
                self._computed.append((owner, scope))
            return
        plain = left.type == "identifier" and node.type == "assignment_expression"
        for bound in bound_names(left):
            holder = scope.holder(self._word(bound)) or self._top
            source = _Source(right, scope) if plain else _Source(None, None)
            holder.names.setdefault(self._word(bound), []).append(source)

    def _call(self, node: Node, scope: _Scope) -> None:
        """Take note of what a call gives to the arguments of a function."""
        called, arguments = (
            node.child_by_field_name("function"),
            node.child_by_field_name("arguments"),
        )
        given = without_comments(arguments) if arguments is not None else []
        if called is None:
            return
        if called.type == "identifier":
            self._call_of(self._word(called), given, scope)
        elif called.type == "member_expression":
            self._callback(called, given, scope)
            if given and self._word(called) in _WRITERS:
                self._computed.append((given[0], scope))

    def _name(self, node: Node) -> None:
        """A function that is handed on is called by others, with whatever they have."""
        name, above = self._word(node), self._above.get(node.id)
        if name not in self._functions or above is None:
            return
        called = above.child_by_field_name("function") if above.type == "call_expression" else None
        named = above.child_by_field_name("name")
        if node not in (called, named):
            self._spoil(name)
            self._is_wrapped = self._is_wrapped or name == _PIXELS

    def _call_of(self, name: str, given: Sequence[Node], scope: _Scope) -> None:
        functions = self._functions.get(name, [])
        if len(functions) != 1:
            return
        inner = self._inner[functions[0].id]
        spread = any(one.type == "spread_element" for one in given)
        for at, parameter in enumerate(parameters(functions[0])):
            source = _Source(given[at], scope) if at < len(given) and not spread else None
            for bound in bound_names(parameter):
                whole = parameter.type == "identifier" and source is not None
                known = source if whole and source is not None else _Source(None, None)
                inner.names[self._word(bound)].append(known)

    def _callback(self, called: Node, given: Sequence[Node], scope: _Scope) -> None:
        method, owner = (
            called.child_by_field_name("property"),
            called.child_by_field_name("object"),
        )
        if method is None or owner is None or not given or given[0].type not in FUNCTIONS:
            return
        name = self._word(method)
        items = {0} if name in _FIRST_OF_EACH else {1} if name == "reduce" else set()
        items = {0, 1} if name == "sort" else items
        inner = self._inner[given[0].id]
        for at, parameter in enumerate(parameters(given[0])):
            plain = at in items and parameter.type == "identifier"
            for bound in bound_names(parameter):
                source = _Source(owner, scope, is_item=True) if plain else _Source(None, None)
                inner.names[self._word(bound)].append(source)

    def _spoil(self, name: str) -> None:
        for function in self._functions[name]:
            for parameter in parameters(function):
                for bound in bound_names(parameter):
                    self._inner[function.id].names[self._word(bound)].append(_Source(None, None))

    # --- kinds -----------------------------------------------------------------------------

    def _kind(self, node: Node, scope: _Scope, depth: int = 0) -> Kind | None:
        """Return what an expression surely is of the samples."""
        if depth > DEEPEST:
            return None
        if node.type == "identifier":
            return self._kind_of_name(self._word(node), scope, depth + 1)
        if node.type == "parenthesized_expression":
            inner = without_comments(node)
            return self._kind(inner[0], scope, depth + 1) if len(inner) == 1 else None
        if node.type == "subscript_expression":
            owner, index = (
                node.child_by_field_name("object"),
                node.child_by_field_name("index"),
            )
            by_name = index is None or index.type in ("string", "template_string")
            if owner is None or by_name or self._kind(owner, scope, depth + 1) is not Kind.ALL:
                return None
            return Kind.ITEM
        if node.type == "call_expression":
            return self._kind_of_call(node, scope, depth + 1)
        return None

    def _may_be_sample(self, node: Node, scope: _Scope) -> bool:
        """Tell whether an expression is of the samples, or an argument, which may be anything."""
        if self._kind(node, scope) is not None:
            return True
        holder = scope.holder(self._word(node)) if node.type == "identifier" else None
        function = None if holder is None else holder.function
        return function is not None and any(
            self._word(bound) == self._word(node)
            for one in parameters(function)
            for bound in bound_names(one)
        )

    def _kind_of_call(self, node: Node, scope: _Scope, depth: int) -> Kind | None:
        called = node.child_by_field_name("function")
        if called is None or called.type != "member_expression":
            return None
        owner, method = (
            called.child_by_field_name("object"),
            called.child_by_field_name("property"),
        )
        name = self._word(method) if method is not None else ""
        if owner is None or name not in _LISTS | _ONES:
            return None
        if self._kind(owner, scope, depth) is not Kind.ALL:
            return None
        return Kind.ALL if name in _LISTS else Kind.ITEM

    def _kind_of_name(self, name: str, scope: _Scope, depth: int) -> Kind | None:
        holder = scope.holder(name)
        if holder is None:
            return None
        key = (id(holder), name)
        if key not in self._kinds:
            given = [
                one
                for one in holder.names[name]
                if one.value is None or self._word(one.value) not in _EMPTY
            ]
            self._kinds[key] = None
            known = len(self._kinds)
            # `samples = samples.filter(...)` stays what it was: what is given first holds until another speaks against it.
            first = self._kind_of_source(given[0], depth) if given else None
            self._kinds[key] = first
            if any(self._kind_of_source(one, depth) is not first for one in given[1:]):
                for after in [*self._kinds][known:]:
                    del self._kinds[after]
                self._kinds[key] = None
        return self._kinds[key]

    def _kind_of_source(self, source: _Source, depth: int) -> Kind | None:
        if source.value is None or source.scope is None:
            return source.kind
        kind = self._kind(source.value, source.scope, depth)
        if not source.is_item:
            return kind
        return Kind.ITEM if kind is Kind.ALL else None

    # --- uses ------------------------------------------------------------------------------

    def _uses(self, node: Node, scope: _Scope) -> Iterator[Use]:
        if node.type in ("member_expression", "subscript_expression"):
            owner = node.child_by_field_name("object")
            if owner is not None:
                self._inside.add(owner.id)
            name = self._member(node)
            if name is None or owner is None or node.id in self._inside:
                return
            kind = self._kind(owner, scope)
            if kind is not None:
                yield Use(kind, name, self._place(node))
        elif node.type == "call_expression":
            called = node.child_by_field_name("function")
            if called is not None:
                self._inside.add(called.id)
        elif node.type == "variable_declarator":
            name_of, value = node.child_by_field_name("name"), node.child_by_field_name("value")
            if name_of is not None and value is not None and name_of.type == "object_pattern":
                kind = self._kind(value, scope)
                if kind is not None:
                    yield from self._pattern(name_of, kind)

    def _pattern(self, pattern: Node, kind: Kind) -> Iterator[Use]:
        """Yield what a pattern takes out of an object; a default says that it may be missing."""
        for one in pattern.named_children if pattern.type == "object_pattern" else ():
            if one.type == "shorthand_property_identifier_pattern":
                yield Use(kind, self._word(one), self._span(one))
            elif one.type == "pair_pattern":
                key, value = one.child_by_field_name("key"), one.child_by_field_name("value")
                plain = value is not None and value.type == "identifier"
                if key is not None and key.type == "property_identifier" and plain:
                    yield Use(kind, self._word(key), self._span(key))

    def _member(self, node: Node) -> str | None:
        if node.type == "member_expression":
            member = node.child_by_field_name("property")
            return None if member is None else self._word(member)
        index = node.child_by_field_name("index")
        if index is None or index.type != "string":
            return None
        return self._word(index)[1:-1]

    def _place(self, node: Node) -> Span:
        member = node.child_by_field_name("property") or node.child_by_field_name("index")
        return self._span(member if member is not None else node)

    # --- what is returned ------------------------------------------------------------------

    def _pixels(self) -> Node | None:
        found = [one for one in self._functions.get(_PIXELS, []) if one.id in self._inner]
        # One that is put into another, or another into it, is not the one that is called.
        return found[0] if len(found) == 1 and not self._is_wrapped else None

    def _is_unset(self, node: Node) -> bool:
        """Tell whether a value that `evaluatePixel()` returns is a variable which nothing is assigned to."""
        pixels = self._pixels()
        if pixels is None or node.type != "identifier":
            return False
        name = self._word(node)
        holder = self._inner[pixels.id].holder(name)
        return holder is not None and (id(holder), name) in self._bare and not holder.names[name]

    def _may_give(self, node: Node, pixels: Node) -> bool:
        """Tell whether it depends on the pixels what a node gives, or whether it does."""
        if node.type == "subscript_expression":
            index = node.child_by_field_name("index")
            return index is not None and index.type not in ("string", "number")
        if node.type == "call_expression":
            called = node.child_by_field_name("function")
            method = called.child_by_field_name("property") if called is not None else None
            if method is not None and self._word(method) in _FINDING:
                return True
        if node.type not in _GIVING and node.type != "return_statement":
            return False
        under = self._under.get(node.id)
        # What `evaluatePixel()` itself returns early is no value that is lacking elsewhere.
        own = node.type == "return_statement" and under is not None and under.function == pixels
        return under is not None and not own
