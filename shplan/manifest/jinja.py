"""
Jinja, tamed: expressions only, nothing undefined, nothing unbounded, no way out. The only importer.

The sandbox of Jinja keeps attributes of Python away; on top of it this module lets only listed
filters, tests and methods in, bounds what an operation can produce, and passes on values that
do not exist yet. What expressions mean is the business of `expressions.py`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache, wraps
from typing import Any, cast

import orjson
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined
from jinja2.environment import TemplateExpression
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import missing

from shplan.manifest import dates
from shplan.manifest.expressions import (
    MAX_ITEMS,
    MAX_TEXT,
    NOTHING,
    ExpressionError,
    Hidden,
    Item,
    Later,
    no_member,
    no_name,
    step_into,
    too_large,
)
from shplan.manifest.validate import listed, nearest

_BORROWED_FILTERS = [
    "abs",
    "capitalize",
    "default",
    "d",
    "dictsort",
    "first",
    "items",
    "last",
    "length",
    "count",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "groupby",
    "batch",
    "slice",
]
_TESTS = [
    "boolean",
    "defined",
    "undefined",
    "divisibleby",
    "eq",
    "==",
    "equalto",
    "even",
    "odd",
    "false",
    "true",
    "float",
    "ge",
    ">=",
    "gt",
    ">",
    "in",
    "integer",
    "iterable",
    "le",
    "<=",
    "lower",
    "upper",
    "lt",
    "<",
    "mapping",
    "ne",
    "!=",
    "none",
    "number",
    "sequence",
    "string",
]
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        [
            "upper",
            "lower",
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "splitlines",
            "startswith",
            "endswith",
            "replace",
            "title",
            "capitalize",
            "removeprefix",
            "removesuffix",
            "find",
            "count",
            "isdigit",
            "isalpha",
            "isalnum",
            "zfill",
            "format",
            "join",
        ]
    ),
    dict: frozenset({"items", "keys", "values", "get"}),
    list: frozenset({"index", "count"}),
}
_WIDTH = re.compile(r"\d{4,}|\*|\{[^{}]*\{")


def evaluate(source: str, names: Mapping[str, Item]) -> Item:
    """
    Return what an expression gives.

    Raises:
        ExpressionError: in words for the person who wrote it
    """
    compiled = _compiled(source)
    try:
        item = compiled(**names)
        if isinstance(item, Undefined):
            str(item)  # strict: says what is not defined
    except ExpressionError:
        raise
    except dates.DateError as error:
        raise _fails(str(error)) from error
    except RecursionError as error:
        msg = "the expression is nested too deeply."
        raise _fails(msg) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _fails(_said(error)) from error
    return _drained(item)


def _drained(item: Item) -> Item:
    """Read filters that compute while they are read, where their errors can still be told."""
    if isinstance(item, Iterable) and not isinstance(
        item, str | dict | list | tuple | Later | Hidden
    ):
        return _bounded_list(item)
    return item


def _fails(what: str) -> ExpressionError:
    return ExpressionError("expression", "Expression fails", what)


_NOUNS = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "list": "a list",
    "dict": "a mapping",
    "bool": "a boolean",
    "NoneType": "null",
}


def _said(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    text = re.sub(
        r'"?\b(str|int|float|list|dict|bool|NoneType)\b"?', lambda match: _NOUNS[match[1]], text
    )
    text = text.replace("'a ", "a ").replace("'an ", "an ").replace("'null'", "null")
    text = re.sub(r"\b(a text|an integer|a number|a list|a mapping|a boolean|null)'", r"\1", text)
    return f"{text or type(error).__name__}."


@lru_cache(maxsize=20_000)
def _compiled(source: str) -> TemplateExpression:
    try:
        return _environment().compile_expression(source, undefined_to_none=False)
    except TemplateSyntaxError as error:
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression cannot be read",
            f"{_syntax(str(error.message))}.",
            why="Expressions are those of Jinja.",
        ) from error
    except RecursionError as error:
        msg = "the expression is nested too deeply."
        raise _fails(msg) from error


def _syntax(message: str) -> str:
    message = message.rstrip(".")
    match = re.match(r"No (filter|test) named '(.+)'", message)
    if match is None:
        return f"the expression cannot be read: {message[:1].lower()}{message[1:]}"
    known = FILTERS if match[1] == "filter" else TESTS
    similar = nearest(match[2], known)
    tail = (
        f"did you mean `{similar}`?"[:-1]
        if similar
        else f"there are {listed(sorted(known), limit=60)}"
    )
    return f"there is no {match[1]} `{match[2]}`; {tail}"


class _Missing(StrictUndefined):
    """What a name or member that does not exist gives: an error with the nearest name when used."""

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None
    ) -> None:
        del exc

        def complaint(message: str) -> ExpressionError:
            if obj is missing and name is not None:
                return no_name(name, {})
            if name is not None:
                return no_member(obj, name, "")
            return _fails(f"{hint or message}.")

        super().__init__(hint, obj, name, complaint)  # type: ignore[arg-type]


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with members of data only and bounds on what operators produce."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=_Missing, autoescape=False, extensions=())
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = {"range": _range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        found = step_into(obj, attribute)
        if found is not NOTHING:
            return found
        if attribute in _METHODS.get(type(obj), ()):
            return _Method(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, slice) and isinstance(obj, str | list | tuple):
            return obj[argument]
        found = step_into(obj, argument)
        return self.undefined(obj=obj, name=argument) if found is NOTHING else found

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Undefined | Later | Hidden):
            return _BINARY[operator](left, right)
        if isinstance(right, Later):
            return right.touched()
        _check_operands(operator, left, right)
        return _BINARY[operator](left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Later):
            return obj.touched()
        waiting = _waiting((*args, *kwargs.values()))
        if waiting is not None:
            return waiting
        if isinstance(obj, Undefined):
            _call_undefined(obj)
        if not callable(obj):
            msg = "something is called here that is no function."
            raise _fails(msg)
        try:
            return obj(*args, **kwargs)
        except TypeError as error:
            name = getattr(obj, "__name__", "the function")
            said = re.sub(r"^\S*?\w+\(\)", f"{name}(...)", str(error))
            msg = f"{said.replace('Run.', '')}."
            raise _fails(msg) from error


def _call_undefined(obj: Undefined) -> None:
    name = obj._undefined_name  # noqa: SLF001 - Jinja has no other way to ask
    owner = obj._undefined_obj  # noqa: SLF001
    if name is not None and owner is missing:
        raise no_name(name, {}, called=True)
    if name is not None:
        raise no_member(owner, name, "")


class _Method:
    """A listed method of a text or mapping, bounded."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.__name__ = owner, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self.owner, str):
            _check_growth(self.owner, self.__name__, args)
        return getattr(self.owner, self.__name__)(*args, **kwargs)


def _check_growth(owner: str, name: str, args: tuple[Any, ...]) -> None:
    """Refuse what could make a text much larger than the texts that it is made of."""
    if (
        name == "replace"
        and len(args) >= 2
        and isinstance(args[0], str)
        and isinstance(args[1], str)
    ):
        _check_size((len(owner) // max(len(args[0]), 1) + 1) * max(len(args[1]), 1))
    elif name == "join" and args:
        _check_size(len(owner) * len(args[0]) + sum(len(str(one)) for one in args[0]))
    elif name == "zfill" and args and isinstance(args[0], int):
        _check_size(args[0])
    elif name == "format" and _WIDTH.search(owner):
        raise too_large()
    elif name == "format" and re.search(r"\{[^{}]*[.\[]", owner):
        msg = "a format may not reach into its arguments."
        raise _fails(msg)


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise too_large()


def _check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuse what would make a huge value out of small ones, before it is made."""
    checks = {"*": _repeats, "%": _pads, "+": _joins, "**": _powers}
    check = checks.get(operator)
    if check is not None and check(left, right):
        raise too_large()


def _repeats(left: Any, right: Any) -> bool:
    return any(
        isinstance(one, str | list | tuple)
        and isinstance(times, int)
        and len(one) * times > (MAX_TEXT if isinstance(one, str) else MAX_ITEMS)
        for one, times in ((left, right), (right, left))
    )


def _pads(left: Any, _: Any) -> bool:
    return isinstance(left, str) and _WIDTH.search(left) is not None


def _joins(left: Any, right: Any) -> bool:
    if not (isinstance(left, str | list | tuple) and isinstance(right, type(left))):
        return False
    return len(left) + len(right) > MAX_TEXT


def _powers(left: Any, right: Any) -> bool:
    if not (isinstance(left, int) and isinstance(right, int)):
        return False
    return abs(right) * max(abs(left).bit_length(), 1) > 128


def _divide(left: Any, right: Any) -> Any:
    if isinstance(right, int | float) and right == 0:
        msg = "division by zero."
        raise _fails(msg)
    return left / right


_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def _range(*args: int) -> list[int]:
    numbers = range(*args)
    if len(numbers) > MAX_ITEMS:
        raise too_large()
    return list(numbers)


_range.__name__ = "range"


def _bounded_list(items: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for item in items:
        if len(result) >= MAX_ITEMS:
            raise too_large()
        result.append(item)
    return result


def _waiting(arguments: Iterable[Any]) -> Later | None:
    """Return what the result of a call must wait for; a secret among the arguments is refused."""
    for argument in arguments:
        if isinstance(argument, Hidden):
            argument.refuse()
        if isinstance(argument, Later):
            return argument.touched()
    return None


def _careful(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a filter or test wait for its arguments, and read what it yields."""

    @wraps(function)
    def careful(*args: Any, **kwargs: Any) -> Any:
        waiting = _waiting((*args, *kwargs.values()))
        return waiting if waiting is not None else _drained(function(*args, **kwargs))

    return careful


def _to_int(value: Any) -> int:
    try:
        return int(value.strip() if isinstance(value, str) else value)
    except (TypeError, ValueError) as error:
        msg = f"{_brief(value)} is no integer."
        raise _fails(msg) from error


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        msg = f"{_brief(value)} is no number."
        raise _fails(msg) from error


def _brief(value: Any) -> str:
    return f'"{value[:40]}"' if isinstance(value, str) else _NOUNS.get(type(value).__name__, "this")


def _to_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    msg = f"{_brief(value)} cannot become a text; use `tojson`."
    raise _fails(msg)


def _to_json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=_refuse_json, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, ExpressionError):
            raise error.__cause__ from error
        msg = "the value has no form in JSON."
        raise _fails(msg) from error


def _refuse_json(value: Any) -> Any:
    if isinstance(value, Hidden):
        value.refuse()
    if isinstance(value, Later):
        value.touched()
        return None
    msg = "the value has no form in JSON."
    raise _fails(msg)


def _join(value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> Any:
    items = [step_into(item, attribute) if attribute is not None else item for item in value]
    waiting = _waiting(items)
    if waiting is not None:
        return waiting
    texts = [_to_string(item) for item in items]
    _check_size(len(d) * len(texts) + sum(len(text) for text in texts))
    return d.join(texts)


def _replace(value: Any, old: str, new: str, count: int | None = None) -> str:
    text = _to_string(value)
    _check_growth(text, "replace", (old, new))
    return text.replace(str(old), str(new), -1 if count is None else count)


def _split(value: str, separator: str | None = None) -> list[str]:
    return _to_string(value).split(separator)


def _pad(value: Any, width: int) -> str:
    """Return a number with leading zeros."""
    _check_size(width)
    return _to_string(value).zfill(width)


def _truncate(value: str, length: int = 255) -> str:
    return _to_string(value)[:length]


_OUR_FILTERS: Mapping[str, Callable[..., Any]] = {
    "int": _to_int,
    "float": _to_float,
    "string": _to_string,
    "tojson": _to_json,
    "join": _join,
    "replace": _replace,
    "split": _split,
    "pad": _pad,
    "truncate": _truncate,
}
FILTERS: Mapping[str, Callable[..., Any]] = {
    **{
        name: _careful(cast("Callable[..., Any]", JINJA_FILTERS[name]))
        for name in _BORROWED_FILTERS
    },
    **{name: _careful(function) for name, function in _OUR_FILTERS.items()},
}
TESTS: Mapping[str, Callable[..., Any]] = {
    name: _careful(cast("Callable[..., Any]", JINJA_TESTS[name])) for name in _TESTS
}


@cache
def _environment() -> _Environment:
    return _Environment()


__all__ = ["FILTERS", "TESTS", "evaluate"]
