"""
Jinja, tamed: expressions only, nothing undefined, nothing unbounded, no way out.

The sandbox of Jinja keeps attributes of Python away; on top of it this module lets only listed
filters, tests and methods in, bounds what an operation can produce, and passes on values that
do not exist yet. What expressions mean is the business of `expressions.py`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from shplan.manifest import dates
from shplan.manifest.expression_errors import (
    MAX_ITEMS,
    ExpressionError,
    Item,
    no_member,
    no_name,
    too_large,
)
from shplan.manifest.jinja_bounds import (
    METER,
    NOUNS,
    charge,
    check_growth,
    check_operands,
    check_size,
    drained,
    fails,
    in_bounds,
    to_string,
    waiting_for,
)
from shplan.manifest.jinja_filters import FILTERS, TESTS
from shplan.manifest.stand_ins import NOTHING, Hidden, Later, step_into
from shplan.manifest.wording import listed, nearest
from shplan.manifest.work import (
    MAX_SCALAR_WORK,
    Meter,
    TooDeepError,
    WorkError,
)

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
# Python reads no deeper code than Jinja makes of this; no manifest needs a tenth of it.
MAX_NESTING = 60
MAX_OPERATIONS = 500


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
    token = METER.set(meter)
    try:
        return _evaluated(compiled, names)
    finally:
        METER.reset(token)
        spend(meter.spent)


def _evaluated(compiled: TemplateExpression, names: Mapping[str, Item]) -> Item:
    try:
        item = compiled(**names)
        if isinstance(item, Undefined):
            str(item)  # strict: says what is not defined
    except ExpressionError:
        raise
    except dates.DateError as error:
        raise fails(str(error)) from error
    except (RecursionError, TooDeepError) as error:
        raise _too_deep() from error
    except (WorkError, MemoryError) as error:
        raise too_large() from error
    except AttributeError as error:
        msg = "something is used here as what it is not, e.g. a list as a mapping."
        raise fails(msg) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise fails(_said(error)) from error
    return drained(item)


def _too_deep() -> ExpressionError:
    return fails("the expression is nested too deeply.")


def _said(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    text = re.sub(
        r'"?\b(str|int|float|list|dict|bool|NoneType)\b"?', lambda match: NOUNS[match[1]], text
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
        raise fails(msg) from error


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
        raise fails(msg)


def _check_number(value: Any) -> None:
    if isinstance(value, float) and value - value != 0:
        msg = "a number in the expression is too large for a floating-point number."
        raise fails(msg)
    if isinstance(value, int) and value.bit_length() > 64:
        msg = "a number in the expression does not fit into 64 bits."
        raise fails(msg)


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
            return fails(f"{hint or message}.")

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
        waiting = waiting_for(parts)
        if waiting is not None:
            return waiting
        of = charge(*parts)
        texts = [to_string(part) for part in parts]
        check_size(sum(map(len, texts)))
        return in_bounds("".join(texts), of=of)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Undefined | Later | Hidden):
            return _BINARY[operator](left, right)
        if isinstance(right, Later):
            return right.touched()
        of = charge(left, right)
        check_operands(operator, left, right)
        return in_bounds(_BINARY[operator](left, right), of=of)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Later):
            return obj.touched()
        waiting = waiting_for((*args, *kwargs.values()))
        if waiting is not None:
            return waiting
        if isinstance(obj, Undefined):
            _call_undefined(obj)
        if not callable(obj):
            msg = "something is called here that is no function."
            raise fails(msg)
        try:
            return obj(*args, **kwargs)
        except TypeError as error:
            name = getattr(obj, "__name__", "the function")
            said = re.sub(r"^\S*?\w+\(\)", f"{name}(...)", str(error))
            msg = f"{said.replace('Run.', '')}."
            raise fails(msg) from error


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
        of = charge(self.owner, *args, *kwargs.values())
        if isinstance(self.owner, str):
            check_growth(self.owner, self.__name__, (*args, *kwargs.values()))
        return in_bounds(drained(getattr(self.owner, self.__name__)(*args, **kwargs)), of=of)


def _divide(left: Any, right: Any) -> Any:
    if isinstance(right, int | float) and right == 0:
        msg = "division by zero."
        raise fails(msg)
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


@cache
def _environment() -> _Environment:
    return _Environment()


__all__ = ["FILTERS", "TESTS", "evaluate"]
