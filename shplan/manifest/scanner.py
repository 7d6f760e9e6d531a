"""
Scalars into text and expressions, and the simplest expressions into a tree.

Most expressions of real manifests are a dotted path or one call with plain arguments; this reader
understands exactly those, so that Jinja is loaded only where something else is written. It agrees
with Jinja's own lexer on where an expression ends.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from shplan.core.frozen import dataclass

_MARK = re.compile(r"\{[{%#]")
# A longer one is Jinja's business, which says how deep expressions may be.
_MOST_TOKENS = 120
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<integer>[0-9]+)(?![\w.])"
    r"|(?P<string>'[^'\\]*'|\"[^\"\\]*\")|(?P<sign>[.\[\](),]))"
)
# Words that mean something else to Jinja than a name.
_RESERVED = frozenset(
    {"and", "or", "not", "if", "else", "in", "is", "true", "false", "none"}
    | {"True", "False", "None"}
)


class ScanError(ValueError):
    """
    A scalar cannot be cut into text and expressions.

    Args:
        fragment: the part of the scalar that is at fault
    """

    def __init__(self, what: str, *, fragment: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.fragment, self.hint = what, fragment, hint


@dataclass(frozen=True, slots=True)
class Expression:
    """
    One expression of a scalar.

    Args:
        source: between the braces, without surrounding white space
        whole: as written, with the braces
    """

    source: str
    whole: str


Part: TypeAlias = str | Expression


@dataclass(frozen=True, slots=True)
class Constant:
    """A text or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the scope: `var`, `each`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`object.step` or `object[step]`."""

    object: Tree
    step: Tree
    dotted: bool


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Tree, ...]


Tree: TypeAlias = "Constant | Name | Member | Call"


def holds_expression(text: str) -> bool:
    """Tell whether a scalar must be looked at; most need not."""
    return "{{" in text or "{%" in text or "{#" in text


@lru_cache(maxsize=20_000)
def split(text: str) -> tuple[Part, ...]:
    """
    Cut a scalar into texts and expressions; empty texts are left out.

    Raises:
        ScanError: an expression has no end, or a statement or comment of Jinja stands in it
    """
    parts: list[Part] = []
    position = 0
    while (start := _next_mark(text, position)) >= 0:
        mark = text[start : start + 2]
        if mark != "{{":
            raise _no_statement(text, start)
        end = _end(text, start + 2)
        if start > position:
            parts.append(text[position:start])
        parts.append(_expression(text[start:end]))
        position = end
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


@lru_cache(maxsize=20_000)
def read(source: str) -> Tree | None:
    """Return the tree of a simple expression, or None where Jinja is needed."""
    tokens = _tokens(source)
    if tokens is None:
        return None
    reader = _Reader(tokens)
    tree = reader.postfix()
    return tree if tree is not None and reader.at_end else None


def _next_mark(text: str, position: int) -> int:
    match = _MARK.search(text, position)
    return match.start() if match else -1


def _end(text: str, position: int) -> int:
    """Return the offset after the braces that close an expression: not those in texts or pairs."""
    start, depth = position - 2, 0
    while position < len(text):
        one = text[position]
        if one in "'\"":
            match = _STRING.match(text, position)
            if match is None:
                break
            position = match.end()
            continue
        if depth == 0 and text.startswith("}}", position):
            return position + 2
        depth += one in "([{"
        depth -= one in ")]}"
        position += 1
    fragment = text[start:].split("\n", 1)[0]
    msg = "an expression begins here and does not end."
    raise ScanError(
        msg, fragment=fragment, hint="close it with `}}`, outside of quotes and brackets"
    )


def _expression(whole: str) -> Expression:
    source = whole[2:-2]
    if source.startswith(("-", "+")) or source.endswith(("-", "+")):
        msg = f"{whole} begins or ends with a sign that Jinja takes as control of white space."
        hint = "leave the sign out, or put a space between it and the braces"
        raise ScanError(msg, fragment=whole, hint=hint)
    if not source.strip():
        msg = "this expression is empty."
        raise ScanError(msg, fragment=whole, hint="write e.g. {{ var.name }}, or remove the braces")
    return Expression(source.strip(), whole)


def _no_statement(text: str, start: int) -> ScanError:
    mark = text[start : start + 2]
    close = text.find(mark[1] + "}", start)
    fragment = text[start : close + 2] if close >= 0 else text[start : start + 2]
    kind = "statement" if mark == "{%" else "comment"
    hint = f"use an expression ({{{{ a if b else c }}}}), or metadata.forEach; for the plain text write {{{{ '{mark}' }}}}"
    if kind == "comment":
        hint = (
            f"write comments as YAML has them (# ...); for the plain text write {{{{ '{mark}' }}}}"
        )
    return ScanError(
        f"`{mark}` begins a {kind} of Jinja; manifests have expressions only.",
        fragment=fragment,
        hint=hint,
    )


def _tokens(source: str) -> list[tuple[str, str]] | None:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            return None
        text = match[match.lastgroup]
        if match.lastgroup == "name" and text in _RESERVED:
            return None
        tokens.append((match.lastgroup, text))
        if len(tokens) > _MOST_TOKENS:
            return None
        position = match.end()
    return tokens


class _Reader:
    """A recursive descent over the tokens of one expression; None: not simple."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position == len(self._tokens)

    def postfix(self) -> Tree | None:
        tree = self._primary()
        while tree is not None and (sign := self._peek_sign()) in (".", "["):
            self._position += 1
            step = self._dotted_name() if sign == "." else self._subscript()
            tree = None if step is None else Member(tree, step, dotted=sign == ".")
        return tree

    def _primary(self) -> Tree | None:
        if self.at_end:
            return None
        kind, text = self._tokens[self._position]
        self._position += 1
        if kind == "string":
            return Constant(text[1:-1])
        if kind == "integer":
            return Constant(int(text)) if len(text) < 19 else None
        if kind == "name":
            if self._peek_sign() == "(":
                return self._call(text)
            return Name(text)
        return None

    def _call(self, name: str) -> Tree | None:
        self._position += 1
        arguments: list[Tree] = []
        while self._peek_sign() != ")":
            if arguments and not self._take(","):
                return None
            argument = self.postfix()
            if argument is None:
                return None
            arguments.append(argument)
        self._position += 1
        return Call(name, tuple(arguments))

    def _subscript(self) -> Tree | None:
        step = self.postfix()
        return step if step is not None and self._take("]") else None

    def _dotted_name(self) -> Tree | None:
        if self.at_end or self._tokens[self._position][0] != "name":
            return None
        self._position += 1
        return Constant(self._tokens[self._position - 1][1])

    def _take(self, sign: str) -> bool:
        if self._peek_sign() != sign:
            return False
        self._position += 1
        return True

    def _peek_sign(self) -> str:
        if self.at_end or self._tokens[self._position][0] != "sign":
            return ""
        return self._tokens[self._position][1]
