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
from contextvars import ContextVar
from functools import cache, lru_cache, wraps
from typing import Any, cast

import orjson
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateExpression
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import sync_do_slice
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import missing

from shplan.manifest import dates
from shplan.manifest.expression_errors import (
    MAX_ITEMS,
    MAX_TEXT,
    ExpressionError,
    Item,
    no_member,
    no_name,
    too_large,
)
from shplan.manifest.stand_ins import NOTHING, Hidden, Later, step_into
from shplan.manifest.wording import listed, nearest
from shplan.manifest.work import (
    MAX_SCALAR_WORK,
    MAX_WEIGHT,
    MEMBER,
    OPERATION,
    Meter,
    TooDeepError,
    WorkError,
    weight,
)

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
    "select",
    "selectattr",
    "sort",
    "title",
    "trim",
    "unique",
    "upper",
    "groupby",
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
_REACHES = re.compile(r"\{[^{}:!]*[.\[]")
# Python reads no deeper code than Jinja makes of this; no manifest needs a tenth of it.
MAX_NESTING = 60
MAX_OPERATIONS = 500
_MOST_BITS = 1024
MAX_DIGITS = 100
_MOST_PLACES = 30
_METER: ContextVar[Meter] = ContextVar("meter")


def evaluate(source: str, names: Mapping[str, Item], spend: Callable[[int], None]) -> Item:
    """
    Return what an expression gives.

    Args:
        spend: is told how much work it was, also when it failed

    Raises:
        ExpressionError: in words for the person who wrote it
    """
    compiled = _compiled(source)
    meter = Meter(MAX_SCALAR_WORK)
    token = _METER.set(meter)
    try:
        return _evaluated(compiled, names)
    finally:
        _METER.reset(token)
        spend(meter.spent)


def _evaluated(compiled: TemplateExpression, names: Mapping[str, Item]) -> Item:
    try:
        item = compiled(**names)
        if isinstance(item, Undefined):
            str(item)  # strict: says what is not defined
    except ExpressionError:
        raise
    except dates.DateError as error:
        raise _fails(str(error)) from error
    except (RecursionError, TooDeepError) as error:
        raise _too_deep() from error
    except (WorkError, MemoryError) as error:
        raise too_large() from error
    except AttributeError as error:
        msg = "something is used here as what it is not, e.g. a list as a mapping."
        raise _fails(msg) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _fails(_said(error)) from error
    return _drained(item)


def _too_deep() -> ExpressionError:
    return _fails("the expression is nested too deeply.")


def _spend(*items: Any) -> int:
    """Count one operation on these values; returns how much they weigh together."""
    total = sum(map(weight, items))
    _METER.get().spend(OPERATION + total)
    return total


def _made(item: Any, *, of: int) -> Any:
    """
    Return what an operation made, unless it is larger than any value may be.

    Args:
        of: the weight of what it was made of; what does not grow may be as large as it was
    """
    if isinstance(item, str | dict | list | tuple):
        made = weight(item)
        _METER.get().spend(made)
        if made > max(MAX_WEIGHT, of):
            raise too_large()
    return item


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
    environment = _environment()
    try:
        tree = _parsed(environment, source)
        _check_tree(tree)
        body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)]
        template = environment.from_string(nodes.Template(body, lineno=1))
        return TemplateExpression(template, undefined_to_none=False)
    except TemplateSyntaxError as error:
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression cannot be read",
            f"{_syntax(str(error.message))}.",
            why="Expressions are those of Jinja.",
        ) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise _too_deep() from error
    except (ValueError, OverflowError) as error:
        # Of Python's own reader of numbers.
        msg = "a number in the expression is too long."
        raise _fails(msg) from error


def _parsed(environment: _Environment, source: str) -> nodes.Expr:
    """Parse as `Environment.compile_expression` does, but hand out the tree."""
    parser = Parser(environment, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        current = parser.stream.current
        msg = "chunk after expression"
        raise TemplateSyntaxError(msg, current.lineno)
    tree.set_environment(environment)
    return tree


def _check_tree(tree: nodes.Node) -> None:
    """Refuse what is nested too deeply, has too many operations, or numbers that are none."""
    operations = 0
    stack = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_NESTING:
            raise _too_deep()
        if isinstance(node, nodes.Const):
            _check_number(node.value)
        elif not isinstance(node, nodes.Literal | nodes.Name | nodes.Pair | nodes.Keyword):
            operations += 1
        stack += [(child, depth + 1) for child in node.iter_child_nodes()]
    if operations > MAX_OPERATIONS:
        msg = f"the expression has {operations:,} operations; {MAX_OPERATIONS} are the most."
        raise _fails(msg)


def _check_number(value: Any) -> None:
    if isinstance(value, float) and value - value != 0:
        msg = "a number in the expression is too large for a floating-point number."
        raise _fails(msg)
    if isinstance(value, int) and value.bit_length() > 64:
        msg = "a number in the expression does not fit into 64 bits."
        raise _fails(msg)


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
        # Not optimised: that would compute constants while compiling, and keep them.
        super().__init__(
            undefined=_Missing, autoescape=False, extensions=(), optimized=False, cache_size=0
        )
        self.code_generator_class = _Code
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

    def joined(self, parts: tuple[Any, ...]) -> Any:
        """Return `a ~ b ~ ...`, texts as they appear in text."""
        for part in parts:
            if isinstance(part, Undefined):
                str(part)  # strict: says what is not defined
        waiting = _waiting(parts)
        if waiting is not None:
            return waiting
        of = _spend(*parts)
        texts = [_to_string(part) for part in parts]
        _check_size(sum(map(len, texts)))
        return _made("".join(texts), of=of)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Undefined | Later | Hidden):
            return _BINARY[operator](left, right)
        if isinstance(right, Later):
            return right.touched()
        of = _spend(left, right)
        _check_operands(operator, left, right)
        return _made(_BINARY[operator](left, right), of=of)

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


class _Code(CodeGenerator):
    """Jinja's code, with `~` as an operation of ours: Jinja makes texts of everything."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write the call of `joined`."""
        self.write("environment.joined((")
        for one in node.nodes:
            self.visit(one, frame)
            self.write(", ")
        self.write("))")


class _Method:
    """A listed method of a text or mapping, bounded."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.__name__ = owner, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        of = _spend(self.owner, *args, *kwargs.values())
        if isinstance(self.owner, str):
            _check_growth(self.owner, self.__name__, (*args, *kwargs.values()))
        return _made(_drained(getattr(self.owner, self.__name__)(*args, **kwargs)), of=of)


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
    elif name == "format":
        if _REACHES.search(owner):
            msg = "a format may not reach into its arguments."
            raise _fails(msg)
        _check_format(owner, "{", args)


def _check_format(pattern: str, sign: str, arguments: Iterable[Any]) -> None:
    """Refuse a format whose result may be large, or that would write a list as Python does."""
    if _WIDTH.search(pattern):
        raise too_large()
    longest = 0
    for argument in arguments:
        if isinstance(argument, dict | list | tuple | Later | Hidden):
            _to_string(argument)
        longest = max(longest, weight(argument))
    widths = sum(map(int, re.findall(r"\d+", pattern)))
    # A number is never longer than 400 characters, and `!r` may write one as ten.
    _check_size(
        len(pattern) + widths + pattern.count(sign) * max(10 * longest, 400 * bool(longest))
    )


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
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() + right.bit_length() > _MOST_BITS
    return any(
        isinstance(one, str | list | tuple)
        and isinstance(times, int)
        and (
            len(one) * times > MAX_TEXT
            if isinstance(one, str)
            else weight(one) * times > MAX_WEIGHT
        )
        for one, times in ((left, right), (right, left))
    )


def _pads(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        values = right.values() if isinstance(right, dict) else right
        _check_format(
            left,
            "%",
            values
            if isinstance(values, Iterable) and not isinstance(values, str | list)
            else (values,),
        )
    return False


def _joins(left: Any, right: Any) -> bool:
    if not (isinstance(left, str | list | tuple) and isinstance(right, type(left))):
        return False
    return len(left) + len(right) > (MAX_TEXT if isinstance(left, str) else MAX_ITEMS)


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
    left = MAX_WEIGHT
    for item in items:
        left -= MEMBER + weight(item)
        if len(result) >= MAX_ITEMS or left < 0:
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
        if waiting is not None:
            return waiting
        of = _spend(*args, *kwargs.values())
        return _made(_drained(function(*args, **kwargs)), of=of)

    return careful


def _to_int(value: Any) -> int:
    if isinstance(value, str) and len(value) > MAX_DIGITS:
        msg = f"{_brief(value)} is too long for an integer."
        raise _fails(msg)
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


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Any:
    return JINJA_FILTERS["batch"](value, _count(linecount), fill_with)


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> Any:
    return sync_do_slice(list(value), _count(slices), fill_with)


def _count(number: Any) -> int:
    if not isinstance(number, int) or not 0 < number <= MAX_ITEMS:
        msg = f"{_brief(number)} is no number of items from 1 to {MAX_ITEMS:,}."
        raise _fails(msg)
    return number


def _round(value: Any, precision: Any = 0, method: str = "common") -> Any:
    if not isinstance(precision, int) or abs(precision) > _MOST_PLACES:
        msg = f"a number is rounded to at most {_MOST_PLACES} places."
        raise _fails(msg)
    return JINJA_FILTERS["round"](value, precision, method)


def _sum(value: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> Any:
    """Return the sum of numbers; lists are put together by `+`."""
    items = [step_into(item, attribute) if attribute is not None else item for item in value]
    waiting = _waiting(items)
    if waiting is not None:
        return waiting
    for item in (start, *items):
        if not isinstance(item, int | float):
            msg = f"{_brief(item)} cannot be added to a sum of numbers."
            raise _fails(msg)
    return sum(items, start)


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
    "batch": _batch,
    "slice": _slice,
    "round": _round,
    "sum": _sum,
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
