"""Samples are followed through a text as far as it is certain, and what is written out where it is returned is seen."""

from __future__ import annotations

import pytest

from shplan.script.reading import read


def uses(body: str, *, argument: str = "s", more: str = "") -> list[tuple[str, str]]:
    text = f"{more}\nfunction evaluatePixel({argument}) {{ {body} }}\n"
    return [(one.kind.value, one.name) for one in read(text).traced.uses]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("s.a; s['b'];", [("all", "a"), ("all", "b")]),
        ("const t = s; t.a;", [("all", "a")]),
        ("const {a, b: c} = s; a + c;", [("all", "a"), ("all", "b")]),
        ("s[0].a; s[k].b; s.at(0).c;", [("item", "a"), ("item", "b"), ("item", "c")]),
        ("const one = s[0]; one?.a;", [("item", "a")]),
        ("for (const one of s.slice(1)) one.a;", [("item", "a")]),
        ("s.filter((x) => x.a).map((x) => x.b);", [("item", "a"), ("item", "b")]),
        ("s.reduce((sum, x) => sum.c + x.a, 0);", [("item", "a")]),
        ("let best = null; for (const x of s) best = x; best.a;", [("item", "a")]),
        ("if (f(s)) return (s).a;", [("all", "a")]),
        ("s = s.filter(Boolean); s[0].a;", [("item", "a")]),
        # What may be something else is not followed.
        ("s = s[0]; s.a;", []),
        ("const t = s; s = s[0]; t.a;", []),
        ("s = other; s.a;", []),
        ("let t = s; t = {a: 1}; t.a;", []),
        ("[1].map((s) => s.a);", []),
        ("for (const k in s) k.a;", []),
        ("s[name].a; s[`b`].c;", [("item", "a")]),
        ("s.a.b; s.c(); s.d = 1; s.e[0];", []),
        ("s.a += 1;", []),
    ],
)
def test_members_of_samples_are_found(body: str, expected: list[tuple[str, str]]) -> None:
    assert uses(body) == expected


def test_arguments_of_a_function_are_followed_where_all_calls_agree() -> None:
    helper = "const f = (one) => one.a;"
    assert uses("f(s); f(s);", more=helper) == [("all", "a")]
    assert uses("f(s); f({a: 1});", more=helper) == []
    assert uses("s.map(f); f(s[0]);", more=helper) == []
    assert uses("f(...s);", more=helper) == []
    assert uses("f(s); g.f({a: 1});", more=f"{helper} const g = {{f}};") == []
    assert uses("f(s); g({a: 1});", more=f"{helper} const g = f;") == []
    assert uses("f(s); f.call(null, {a: 1});", more=helper) == []
    assert uses("f(s);", more=f"{helper} function g() {{ const f = 1; }}") == [("all", "a")]


def test_an_argument_that_is_a_pattern_is_read() -> None:
    assert uses("a;", argument="{a, b: {c}, d = 1, e: f}") == [("all", "a"), ("all", "e")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return [1, s.a];", [("", 2)]),
        ("return s.a ? [1] : s.b ? [1, 2] : (x);", [("", 1), ("", 2)]),
        ("return {a: [1], 'b': [1, 2], c: 3 * s.a, ...d};", [("a", 1), ("b", 2), ("c", None)]),
        ("return {a: [1], [b]: [1], [`c`]: [1]};", [("a", 1)]),
        ("return NaN;", [("", None)]),
        ("return\n[1, 2];", []),
        ("return [\n1, 2];", [("", 2)]),
        ("return {[k]: [1], b: [2]};", [("b", 1)]),
        ("return [...a, 1]; return []; return [, 1]; return f(s); return s.a + 1;", []),
        ("const f = () => { return [1]; }; return [1 /* one */, 2];", [("", 2)]),
    ],
)
def test_what_is_written_out_is_counted(body: str, expected: list[tuple[str, int | None]]) -> None:
    found = read(f"function evaluatePixel(s) {{ {body} }}").traced.given
    assert [(one.output, one.length) for one in found] == expected


def test_the_body_of_an_arrow_is_what_it_returns() -> None:
    (one,) = read("const evaluatePixel = (s) => [s.a, s.b];").traced.given
    assert (one.length, one.plain) == (2, False)


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ("if (s.a) return [1]; [2];", True),
        ("if (s.a) return [1]; x();\nreturn\n [2];", False),
        ("if (s.a) return [1]; const x = [2];", True),
        ("if (s.a) return [1]; return [2]; x();", False),
        ("if (s.a) return [1]; else return [2];", False),
        ("if (s.a) return [1]; else { return [2]; } x();", False),
        ("if (s.a) { return [1]; } else if (s.b) { return [2]; } x();", True),
        ("{ return [1]; } x();", False),
        ("switch (s.a) { case 1: return [1]; default: return [2]; } x();", False),
        ("while (true) { if (s.a()) return [1]; } x();", False),
        ("if (s.a) return [1]; throw new Error();", False),
        ("if (s.a) return; x();", False),
        ("x();", False),
        # It is not reached, or may not be.
        ("if (s.a) return [1]; else if (s.b) return [2]; else throw 3; x();", False),
        ("if (s.a) return [1]; else if (s.b) return [2]; x();", True),
        ("if (s.a) { x(); } else { return [2]; } x();", True),
        ("try { return [1]; } catch { return [2]; } x();", False),
        ("while (true) { if (s.a) return [1]; } x();", False),
        ("for (const one of s) { return [1]; } x();", True),
    ],
)
def test_an_end_that_returns_nothing_is_seen(body: str, *, ends: bool) -> None:
    found = read(f"function evaluatePixel(s) {{ {body} }}").traced.ends
    assert (found is not None) is ends


@pytest.mark.parametrize(
    "more",
    [
        "const inner = evaluatePixel; evaluatePixel = (s) => inner(s).concat(1);",
        "evaluatePixel = (s) => [s.b];",
        "globalThis.evaluatePixel = wrapped(evaluatePixel);",
    ],
)
def test_a_function_that_is_wrapped_returns_something_else(more: str) -> None:
    traced = read(f"function evaluatePixel(s) {{ if (s.a) return [1]; [2]; }} {more}").traced
    assert not traced.given
    assert traced.ends is None


@pytest.mark.parametrize(
    ("body", "gives"),
    [("return [1];", True), ("if (s.a) return [1];", True), ("return; [1];", False), ("", False)],
)
def test_a_return_with_a_value_is_seen(body: str, *, gives: bool) -> None:
    assert read(f"function evaluatePixel(s) {{ {body} }}").traced.gives is gives


@pytest.mark.parametrize(
    ("text", "chooses"),
    [
        ("let a; const b = s.b; return [a];", False),
        ("if (s.b) return [1]; return [a.b];", False),
        ("let a; if (s.b > 9) a = 1; return [a];", True),
        ("let a; switch (s.b) { case 9: a = 1; } return [a];", True),
        ("const a = []; if (s.b > 9) a.push(1); return [a[0]];", True),
        ("const f = (b) => { if (b > 9) return 1; }; return [f(s.b)];", True),
        ("return [table[s.b]];", True),
        ("return [table.get(s.b)];", True),
        ("return [s.filter((one) => one.b > 9).map((one) => one.b)[0]];", True),
    ],
)
def test_what_the_pixels_choose_is_seen(text: str, *, chooses: bool) -> None:
    assert read(f"function evaluatePixel(s) {{ {text} }}").traced.chooses is chooses


@pytest.mark.parametrize(
    "text",
    [
        "",
        "function evaluatePixel() {}",
        "function evaluatePixel(s) { s = s; s.a; }",
        "function evaluatePixel(s) { const a = b, b = a; a.c; }",
        "function f(x) { f(x); return x.a; } function evaluatePixel(s) { return f(s); }",
        "function evaluatePixel(s) { return " + "(" * 500 + "s" + ")" * 500 + ".a; }",
        "const evaluatePixel = (s) => s" + ".filter(Boolean)" * 300 + "[0].a;",
        "function evaluatePixel(s) {} function evaluatePixel(t) { t.a; }",
        "function evaluatePixel(s { return [s.a; }",
        # Each name is given the one before twice, or all of many; it is judged once.
        "function evaluatePixel(s) { let a0 = s;"
        + "".join(f"let a{k + 1} = a{k}; a{k + 1} = a{k};" for k in range(60))
        + "return [a60.b]; }",
        "function evaluatePixel(s) { " + "a = s; a.b;" * 3000 + " }",
    ],
)
def test_any_text_is_read(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    ("body", "returns"),
    [
        ("[s.a];", False),
        ("return;", False),
        ("s.map((one) => { return one.a; });", False),
        ("if (s.a > 7) return [1];", True),
        ("return table[s.a];", True),
    ],
)
def test_that_nothing_is_ever_returned_is_seen(body: str, *, returns: bool) -> None:
    assert read(f"function evaluatePixel(s) {{ {body} }}").traced.gives is returns


@pytest.mark.parametrize(
    ("body", "unset"),
    [
        ("let n; return [n];", True),
        ("return [n];", True),
        ("let n; n = 1; return [n];", False),
        ("let n; for (const one of s) if (one.a) n = one; return [n];", False),
        ("let n; [n] = s.a; return [n];", False),
        ("let n; n += 1; return [n];", False),
        ("return [t, s.a, table[s.a]];", False),
    ],
)
def test_a_variable_that_nothing_is_assigned_to_is_seen(body: str, *, unset: bool) -> None:
    (one,) = read(f"var n; function evaluatePixel(s, t) {{ {body} }}").traced.given
    assert one.unset is unset


@pytest.mark.parametrize(
    ("body", "writes"),
    [
        ("s[name] = 1;", True),
        ("for (const one of s) one[`b`] = 1;", True),
        ("Object.assign(s, {b: 1});", True),
        ("s.forEach((one, k) => Object.defineProperty(one, 'b', {value: k}));", True),
        # An argument of a function that is called with this and that.
        ("put(s, 'b'); put(other, 'b');", True),
        ("Object.assign({}, s); const list = []; list[0] = s.a; s.b = 1;", False),
    ],
)
def test_samples_that_are_given_members_are_seen(body: str, *, writes: bool) -> None:
    more = "function put(to, name) { to[name] = 1; }\n" if "put" in body else ""
    traced = read(f"{more}function evaluatePixel(s) {{ {body} }}").traced
    assert traced.writes_any is writes


@pytest.mark.parametrize(
    "deep",
    [
        "f(" * 3000 + "1" + ")" * 3000,
        "x = " * 3000 + "1",
        "for (;;) { " * 3000 + "x = 1" + " }" * 3000,
        "(() => " * 3000 + "s" + ")" * 3000,
        "a" + ".b()" * 3000,
    ],
    ids=["calls", "assignments", "blocks", "functions", "chain"],
)
def test_a_deep_text_is_followed_as_fast_as_a_flat_one(deep: str) -> None:
    """Looking upwards from each of its nodes would take for ever: minutes for the first."""
    traced = read(f"function evaluatePixel(s) {{ {deep}; return [s.a]; }}").traced
    assert [given.length for given in traced.given] == [1]
