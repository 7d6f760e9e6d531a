"""
CQL2 text as CQL2 JSON, with the place of each part: what a filter of the catalogue says, before it is sent.

Read is the part of the standard that people write: comparisons, `between`, `and`, `or`, `not`, `like`, `in`,
`is null` and calls of functions, so that what the service lacks can be told by its name. Source: OGC 21-065r2,
annex B.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

from shplan.core.frozen import dataclass

# Our own bounds, as the service surely has some.
MAX_TEXT: Final = 4_096
MAX_DEPTH: Final = 32

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<name>[A-Za-z_:\u00C0-\U0010FFFF][A-Za-z0-9_:.\u00B7-\U0010FFFF]*)
    | (?P<sign><>|<=|>=|!=|==|&&|\|\||=|<|>|\(|\)|,|\+|-|\*|/|%|\^)
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
_WORDS: Final = frozenset(
    {"and", "or", "not", "between", "like", "in", "is", "null", "true", "false"}
)
_MISTAKEN: Final = {"==": "=", "!=": "<>", "&&": "and", "||": "or"}


class Cql2Error(ValueError):
    """
    A text is no CQL2.

    Args:
        at: where, an offset into the text
        length: of the part that is at fault
    """

    def __init__(self, message: str, *, at: int, length: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.at, self.length, self.hint = at, max(length, 1), hint


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the text."""

    value: str | float | bool
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Property:
    """The name of a property."""

    name: str
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An operator, or a function, and what it is applied to.

    Args:
        at, length: of the operator itself
    """

    op: str
    args: tuple[Node, ...]
    at: int
    length: int


Node: TypeAlias = Literal | Property | Operation
_Inner: TypeAlias = Callable[[], Node]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "name" else self.text


def parse_text(text: str) -> Node:
    """
    Read a filter.

    Raises:
        Cql2Error: with the place that is at fault
    """
    if len(text) > MAX_TEXT:
        message = f"it has more than {MAX_TEXT:,} characters"
        raise Cql2Error(message, at=0, length=1)
    return _Parser(_tokens(text), len(text)).whole()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            sign = text[start]
            if sign in "'\"":
                message = f"a text begins with {sign} and never ends"
                raise Cql2Error(message, at=start, length=len(text) - start)
            message = f"{sign!r} has no meaning here"
            raise Cql2Error(message, at=start)
        kind = str(found.lastgroup)
        tokens.append(_Token(kind, found[kind], found.start(kind)))
        at = found.end()
    return _with_signs_apart(tokens)


def _with_signs_apart(tokens: list[_Token]) -> list[_Token]:
    """`a -1` is a subtraction: a sign belongs to its number only after an operator."""
    result: list[_Token] = []
    for token in tokens:
        before = result[-1] if result else None
        is_value = before is not None and (
            before.kind in ("number", "text", "quoted")
            or before.text == ")"
            or (before.kind == "name" and before.word not in _WORDS)
        )
        if token.kind == "number" and token.text[0] in "+-" and is_value:
            result.append(_Token("sign", token.text[0], token.at))
            result.append(_Token("number", token.text[1:], token.at + 1))
        else:
            result.append(token)
    return result


class _Parser:
    """Recursive descent over the tokens, bounded in depth."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = end
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        if not self._tokens:
            message = "it is empty"
            raise Cql2Error(message, at=0)
        node = self._either()
        rest = self._peek()
        if rest is not None:
            self._surprised(rest, "nothing, or `and`")
        if not isinstance(node, Operation):
            message = "it states no condition"
            hint = "compare a property, e.g. eo:cloud_cover < 20"
            raise Cql2Error(message, at=node.at, length=node.length, hint=hint)
        return node

    def _either(self) -> Node:
        return self._chain("or", self._both)

    def _both(self) -> Node:
        return self._chain("and", self._negated)

    def _chain(self, op: str, inner: _Inner) -> Node:
        first = inner()
        args: list[Node] = [first]
        place: _Token | None = None
        while (token := self._taken(op)) is not None:
            place = place or token
            args.append(inner())
        if place is None:
            return first
        return Operation(op, tuple(args), place.at, len(place.text))

    def _negated(self) -> Node:
        token = self._taken("not")
        if token is None:
            return self._condition()
        self._deeper(token)
        node = Operation("not", (self._negated(),), token.at, len(token.text))
        self._depth -= 1
        return node

    def _condition(self) -> Node:
        left = self._value()
        token = self._peek()
        if token is None:
            return left
        if token.text in _COMPARISONS:
            self._next += 1
            return Operation(token.text, (left, self._value()), token.at, len(token.text))
        if token.text in _MISTAKEN:
            right = _MISTAKEN[token.text]
            message = f"`{token.text}` is no operator of CQL2"
            hint = f"write `{right}`"
            raise Cql2Error(message, at=token.at, length=len(token.text), hint=hint)
        return self._worded(left)

    def _worded(self, left: Node) -> Node:
        start = self._next
        negation = self._taken("not")
        token = self._peek()
        made: Node | None = None
        if token is not None and token.word == "between":
            made = self._between(left)
        elif token is not None and token.word == "like":
            self._next += 1
            made = Operation("like", (left, self._value()), token.at, len(token.text))
        elif token is not None and token.word == "in":
            made = self._in(left)
        elif token is not None and token.word == "is":
            made = self._is_null(left)
        if made is None:
            self._next = start
            return left
        return made if negation is None else Operation("not", (made,), negation.at, 3)

    def _between(self, left: Node) -> Node:
        token = self._tokens[self._next]
        self._next += 1
        low = self._value()
        self._expect("and", "`and` and the upper bound")
        return Operation("between", (left, low, self._value()), token.at, len(token.text))

    def _in(self, left: Node) -> Node:
        token = self._tokens[self._next]
        self._next += 1
        self._expect("(", "a list in parentheses")
        return Operation("in", (left, *self._list()), token.at, len(token.text))

    def _is_null(self, left: Node) -> Node:
        token = self._tokens[self._next]
        self._next += 1
        negation = self._taken("not")
        self._expect("null", "`null`")
        made = Operation("isNull", (left,), token.at, len(token.text))
        return made if negation is None else Operation("not", (made,), negation.at, 3)

    def _value(self) -> Node:
        node = self._operand()
        token = self._peek()
        while token is not None and token.text in ("+", "-", "*", "/", "%", "^"):
            self._next += 1
            node = Operation(token.text, (node, self._operand()), token.at, len(token.text))
            token = self._peek()
        return node

    def _operand(self) -> Node:
        token = self._peek()
        if token is None:
            message = "it ends where a property or a value should follow"
            raise Cql2Error(message, at=max(self._end - 1, 0))
        self._next += 1
        length = len(token.text)
        if token.kind == "number":
            return Literal(float(token.text), token.at, length)
        if token.kind == "text":
            return Literal(token.text[1:-1].replace("''", "'"), token.at, length)
        if token.kind == "quoted":
            return Property(token.text[1:-1].replace('""', '"'), token.at, length)
        if token.word in ("true", "false"):
            return Literal(token.word == "true", token.at, length)
        if token.text == "(":
            return self._enclosed(token)
        if token.kind != "name" or token.word in _WORDS:
            self._next -= 1
            self._surprised(token, "a property or a value")
        if self._taken("(") is not None:
            return Operation(token.text, self._list(), token.at, length)
        return Property(token.text, token.at, length)

    def _enclosed(self, token: _Token) -> Node:
        self._deeper(token)
        node = self._either()
        self._expect(")", "`)`")
        self._depth -= 1
        return node

    def _list(self) -> tuple[Node, ...]:
        if self._taken(")") is not None:
            return ()
        self._deeper(self._tokens[min(self._next, len(self._tokens) - 1)])
        items = [self._either()]
        while self._taken(",") is not None:
            items.append(self._either())
        self._expect(")", "`,` or `)`")
        self._depth -= 1
        return tuple(items)

    def _deeper(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"it is nested more than {MAX_DEPTH} deep"
            raise Cql2Error(message, at=token.at)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _taken(self, word: str) -> _Token | None:
        token = self._peek()
        if token is None or token.word != word:
            return None
        self._next += 1
        return token

    def _expect(self, word: str, told: str) -> None:
        token = self._peek()
        if token is None:
            message = f"it ends where {told} should follow"
            raise Cql2Error(message, at=max(self._end - 1, 0))
        if self._taken(word) is None:
            self._surprised(token, told)

    def _surprised(self, token: _Token, expected: str) -> NoReturn:
        message = f"`{token.text}` stands where {expected} should follow"
        hint = f"write `{_MISTAKEN[token.text]}`" if token.text in _MISTAKEN else ""
        raise Cql2Error(message, at=token.at, length=len(token.text), hint=hint)
