"""Expressions reach nothing of Python, and end in bounded time and memory, whatever they say."""

from __future__ import annotations

import pytest

from shplan.core.address import Address
from shplan.core.value import JsonValue, Object
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.expressions import evaluate
from shplan.manifest.jinja import MAX_NESTING
from shplan.manifest.scope import Scope
from shplan.manifest.work import MAX_PROJECT_WORK, Meter
from tests.support.bounded import in_bounds


class World:
    """A project with nothing in it but one file."""

    def __init__(self) -> None:
        self.spend = Meter(MAX_PROJECT_WORK).spend

    def instances(self, base: Address) -> tuple[str, ...] | None:
        return None

    def attributes(self, address: Address) -> Object | None:
        return None

    def reading(self, address: Address, *, scope: Scope) -> Object | None:
        return None

    def names(self, address: Address) -> frozenset[str] | None:
        return None

    def local_text(self, address: Address, *, scope: Scope) -> str | None:
        return None

    def scope(self, name: str) -> Scope:
        return Scope(name)

    def geojson(self, file: str, *, scope: Scope) -> JsonValue:
        return {"type": "Point", "coordinates": [1, 2]}

    bounds = geojson


SCOPE = Scope("x", {"a": "abc", "l": [1, 2, 3], "n": 5})


def said(expression: str) -> str:
    """What an expression gives, or what is said about it."""
    try:
        return repr(evaluate("{{ " + expression + " }}", SCOPE, World()))[:1000]
    except ExpressionError as error:
        return f"error: {error.code}: {error.what}"


# The ways out of Jinja's sandbox that are told of, and their relatives.
ESCAPES = (
    "''.__class__",
    "''['__class__']",
    "''['__cla' ~ 'ss__']",
    "''|attr('__class__')",
    "()|attr('__class__')|attr('__base__')",
    "var.a.__class__.__mro__[1].__subclasses__()",
    "[].__class__",
    "{}.__init__",
    "(1).__add__",
    "1.0.real",
    "none.__class__",
    "true.__doc__",
    "range.__globals__",
    "range.__call__",
    "range.__name__",
    "month_end.__globals__",
    "month_end.__code__",
    "ref.__self__",
    "ref.__func__.__globals__",
    "secret.__self__.world",
    "geojson.__self__",
    "''.upper.owner",
    "''.upper.__name__",
    "''.format.__globals__",
    "''.join.__self__",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "joiner.__init__",
    "namespace.__init__",
    "lipsum.__globals__",
    "lipsum(1000)",
    "dict(a=1)",
    "self.__init__",
    "self._TemplateReference__context",
    "request.application.__globals__",
    "config.items()",
    "context",
    "environment",
    "resolve('os')",
    "caller()",
    "super()",
    "loop",
    "varargs",
    "kwargs",
    "_",
    "__name__",
    "__builtins__",
    "__import__('os')",
    "l_0_x",
    "t_1",
    "missing",
    "undefined('x')",
    "import os",
    "'{0.__class__}'.format(1)",
    "'{0.__class__.__mro__}'.format('')",
    "'{0[a]}'.format({'a': 1})",
    "'{x.__class__}'.format(x=1)",
    "'{{{0.x}}}'.format(1)",
    "'{:{0.__class__}}'.format('a')",
    "'{!r.__class__}'.format('a')",
    "'{}'.format_map({})",
    "'%(a).__class__'|format(a=1)",
    "['a']|map(attribute='__class__')|list",
    "['a']|map('attr', '__class__')|list",
    "[['a']]|map(attribute='0.__class__')|list",
    "['a']|selectattr('__class__')|list",
    "['a']|rejectattr('__class__')|list",
    "['a', 'b']|sort(attribute='__class__')",
    "['a']|groupby('__class__')",
    "['a']|unique(attribute='__class__')|list",
    "['a']|sum(attribute='__class__')",
    "['a', 'b']|max(attribute='__class__')",
    "['a']|join(attribute='__class__')",
    "['a']|map('format', 'x')|list",
    "'a'|xmlattr",
    "'a'|safe",
    "'a'|forceescape",
    "'a'|pprint",
    "'a' is filter('attr')",
    "'a' is callable",
    "'a' is sameas('a')",
    "[1].append(2)",
    "var.update({'a': 1})",
    "var.pop('a')",
    "var.l.clear()",
    "var.a.encode('utf-8')",
    "var.a.translate({})",
    "'a'.\U0001d69e\U0001d699\U0001d699\U0001d68e\U0001d69b()",
    "'a'.__\uff43lass__",
    "'%s' % [ref('A/b').id]",
    "'{}'.format([ref('A/b').id])",
    "ref",
    "''.upper",
    "'a' ~ ''.upper",
    "[''.upper]",
    "{'a': ''.upper}",
    "(1 for x in ())",
    "lambda: 1",
    "[x for x in ()]",
)


@pytest.mark.parametrize("expression", ESCAPES)
def test_no_expression_reaches_python(expression: str) -> None:
    """Not one gives a value, so that none can give one of Python's objects."""
    found = said(expression)
    assert found.startswith("error: manifest/"), found
    assert "0x" not in found
    assert " object at " not in found


NINES = "('9' * 90)|int"
# Small texts that would make large values or long work.
BOMBS = (
    "'x' * 10 ** 9",
    "'x' * 1000000000",
    "[1] * 1000000000",
    "[[1] * 100000] * 100000",
    "[[[1] * 10000] * 10000] * 10000",
    "([[[1] * 10000] * 10000] * 10000) == ([[[1] * 10000] * 10000] * 10000)",
    "([[1] * 10000] * 10000)|sum(start=[])",
    "([[1] * 10000] * 10000)|tojson|length",
    "([[1] * 10000] * 10000) ~ ''",
    "'%s' % [[1] * 10000]",
    "['a' * 1000000] * 1000",
    "(['a' * 1000000] * 1000)|tojson|length",
    "''.join(['a' * 1000000] * 1000)",
    "('x' * 1000000).join(['a'] * 100000)",
    "('a' * 1000000) ~ ('a' * 1000000)",
    "('a' * 1000000) + 'a'",
    "'aaaa'.replace('', 'x' * 1000000)",
    "'aaaa'|replace('a', 'x' * 1000000)",
    "'a'|center(1000000000)",
    "'a'.center(1000000000)",
    "'a'.ljust(1000000000)",
    "'a'.zfill(1000000000)",
    "'a'|indent(1000000000)",
    "'a'|pad(1000000000)",
    "range(100000)|map('pad', 1000000)|list|length",
    "range(10 ** 9)",
    "range(1000000000)",
    "range(0, 10 ** 18, 1)",
    "range(100000)|select('in', range(100000))|list",
    "range(100000)|reject('in', range(100000, 200000))|list",
    "range(100)|batch(1000000000, 'x')|list",
    "[1]|batch(100000000, 0)|first|length",
    "[1]|slice(1000000000)",
    "1|round(1000000000, 'ceil')",
    "1.5|round(-1000000000)",
    "10 ** 10 ** 10",
    "9999999999 ** 9999999999",
    "2 ** 3000000",
    "'{0:1000000000}'.format('a')",
    "'{:{}}'.format('a', 1000000000)",
    "('{0:999}' * 100000).format('a')",
    "('{0!r}' * 100000).format('a' * 100000)",
    "'%1000000000s' % 'a'",
    "'%*d' % (1000000000, 1)",
    "('%999s' * 100000) % 'a'",
    "('9' * 1000000)|int",
    "(" + " * ".join([NINES] * 200) + ") // 3",
    "1e" + "9" * 5000,
    "1e400",
    "1" * 9000,
    "0x" + "f" * 9000,
    "1" * 50,
    "'nan'|float",
    "1e308 * 10",
    "(" * 4000 + "1" + ")" * 4000,
    "[" * 4000 + "1" + "]" * 4000,
    "{'a':" * 1500 + "1" + "}" * 1500,
    "-" * 9000 + "1",
    "not " * 2000 + "1",
    "1" + "+1" * 4500,
    "'a'" + "|upper" * 1400,
    "1" + " if 1 else 1" * 700,
    "a" + ".b" * 4000,
    "var" + "['a']" * 1500,
    "f(" * 3000,
    " ~ ".join(["var.a"] * 501) + " == " + " == ".join(["var.a"] * 501),
)


@pytest.mark.parametrize("expression", BOMBS, ids=lambda text: text[:40])
def test_a_small_expression_makes_nothing_large_and_takes_no_time(expression: str) -> None:
    told = in_bounds(lambda: said(expression), memory_bytes=256 << 20)
    assert not told.startswith("!"), told
    assert len(told) <= 1000
    assert told.startswith("error: manifest/"), told


NESTED = (
    lambda n: "(" * n + "1" + ")" * n,
    lambda n: "1" + "+1" * n,
    lambda n: "[" * n + "1" + "]" * n,
    lambda n: "var.l" + "|list" * n,
    lambda n: "1 if 1 else (" * n + "2" + ")" * n,
    lambda n: "1 is even and (" * n + "1" + ")" * n,
    lambda n: "'a' ~ (" * n + "'a'" + ")" * n,
    lambda n: "1 < (" * n + "2" + ")" * n,
    lambda n: "not " * n + "1",
    lambda n: "-" * n + "1",
    lambda n: "range(" * n + "1" + ")" * n,
    lambda n: "[1]" + "|map('abs')" * n + "|list",
    lambda n: "var" + ".a" * n,
    lambda n: "var" + "['a']" * n,
    lambda n: "var.l" + "|batch(1)" * n,
    lambda n: "var.l[" * n + "0" + "]" * n,
)


@pytest.mark.parametrize("index", range(len(NESTED)))
def test_every_depth_is_read_or_refused(index: int) -> None:
    """Python's own parser and stack are never what ends an expression."""
    for depth in (1, 10, MAX_NESTING // 2, MAX_NESTING - 3, MAX_NESTING, 199, 210, 1000):
        found = said(NESTED[index](depth))
        assert len(found) <= 2000


USEFUL = (
    ("'%02d' % 7", "07"),
    ("'%05.1f' % 3.14159", "003.1"),
    ("'%s-%s' % ('a', 1)", "a-1"),
    ("'%(x)s' % {'x': 'y'}", "y"),
    ("'{:.2f}'.format(1.234)", "1.23"),
    ("'{:>5}|{:05d}'.format('a', 3)", "    a|00003"),
    ("'{x}'.format(x='y')", "y"),
    ("'a' ~ 1 ~ true", "a1true"),
    ("range(10)|batch(4)|list", [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
    ("range(5)|slice(2)|list", [[0, 1, 2], [3, 4]]),
    ("[1, 2, 3.5]|sum", 6.5),
    ("[{'n': 1}, {'n': 2}]|sum(attribute='n')", 3),
    ("2.567|round(1)", 2.6),
    ("range(100000)|map('string')|list|length", 100_000),
    ("range(100000)|select('even')|list|length", 50_000),
    ("{'b': 1, 'a': 2}|dictsort", [["a", 2], ["b", 1]]),
    ("'a,b'.split(',')|join('-')|upper", "A-B"),
    ("2 ** 10 + 7 // 2 * 3 % 5", 1028),
)


@pytest.mark.parametrize(("expression", "value"), USEFUL)
def test_what_manifests_need_is_there(expression: str, value: JsonValue) -> None:
    assert evaluate("{{ " + expression + " }}", SCOPE, World()) == value


SECRETIVE = (
    "secret('env:X')|string",
    "secret('env:X').value",
    "secret('env:X') ~ 'a' == 'b'",
    "[secret('env:X')]|tojson",
    "[secret('env:X')]|join",
    "'%s' % secret('env:X')",
    "'%s' % [secret('env:X')]",
    "'{}'.format([secret('env:X')])",
    "'a' ~ [secret('env:X')]",
    "secret('env:X') in ['a']",
    "'a' if secret('env:X') else 'b'",
    "[1, secret('env:X')] == [1, 'a']",
    "{'a': 1}.get(secret('env:X'))",
    "{'a': 1}[secret('env:X')]",
    "range(3)[secret('env:X')]",
    "secret('env:X')|length",
    "secret(secret('env:X'))",
    "geojson(secret('env:X'))",
)


@pytest.mark.parametrize("expression", SECRETIVE)
def test_nothing_is_computed_from_a_secret(expression: str) -> None:
    assert said(expression).startswith("error: manifest/")


def test_all_expressions_of_a_project_together_have_a_bound() -> None:
    """Each is small; a file that repeats it by aliases is not."""

    def many() -> str:
        world, kept = World(), []
        try:
            for _ in range(10_000):
                kept.append(evaluate("{{ 'x' * 900000 }}", SCOPE, world))
        except ExpressionError as error:
            return error.code
        return "all of them"

    assert in_bounds(many) == "manifest/expression-too-large"
