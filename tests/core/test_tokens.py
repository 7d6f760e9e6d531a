"""Tokens: the same for what reads the same, never the same for what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.tokens import LINE_BREAK, token_digest, tokens

SCRIPT = """//VERSION=3
function setup() {
  return {input: ["B04", "B08", "dataMask"], output: {bands: 1, sampleType: "FLOAT32"}}
}
// The index, as everybody has it.
function evaluatePixel(s) {
  let n = (s.B08 - s.B04) / (s.B08 + s.B04) /* NDVI */
  return [/^B0\\d$/g.test("B04") ? n : `none ${ {n}.n } of it`]
}
"""

DIFFERENT = [
    ("return\n x", "return x"),
    ("a\n(b)", "a(b)"),
    ("a\n[b]", "a[b]"),
    ("x++\ny", "x\n++y"),
    ("x\n++\ny", "x++\ny"),
    ("/a b/", "/a  b/"),
    ("x = /a b/.source", "x = /a  b/.source"),
    ("return /a b/", "return /a  b/"),
    ("if (x) /a b/.test(y)", "if (x) /a  b/.test(y)"),
    ("for await (x of y) /a b/.test(x)", "for await (x of y) /a  b/.test(x)"),
    ("do x\nwhile (y) /a b/.test(x)", "do x\nwhile (y) /a  b/.test(x)"),
    ("var x\n/a b/g.exec(y)", "var x\n/a  b/g.exec(y)"),
    ("var x = 1, y\n/a b/g.exec(y)", "var x = 1, y\n/a  b/g.exec(y)"),
    ("for (;;) { break\n/a b/g.exec(y) }", "for (;;) { break\n/a  b/g.exec(y) }"),
    ("l: for (;;) { break l\n/a b/g }", "l: for (;;) { break l\n/a  b/g }"),
    ("{}\n/a b/g.exec(y)", "{}\n/a  b/g.exec(y)"),
    ("x = y => {}\n/a b/g.exec(y)", "x = y => {}\n/a  b/g.exec(y)"),
    ("function* f() { yield /a b/ }", "function* f() { yield /a  b/ }"),
    ("[/[/ ]/, 1]", "[/[/  ]/, 1]"),
    (r"/\/ x/", r"/\/  x/"),
    ("'a b'", "'a  b'"),
    ('"a b"', '"a  b"'),
    ("'//a'", "'//b'"),
    ("'a' + 'b'", "'a + b'"),
    (r"'\' x'", r"'\'  x'"),
    ("'a\\\n b'", "'a\\\n  b'"),
    ("'\u2028'", "' '"),
    ("`a b`", "`a  b`"),
    ("`a\nb`", "`a b`"),
    ("`${a} b`", "`${a}  b`"),
    ("`${`a b`}`", "`${`a  b`}`"),
    ("`$ {a}`", "`${a}`"),
    ("`${ {a: 1} }  b`", "`${ {a: 1} } b`"),
    ("`a${b}`", "`a`; b; ``"),
    ("a+ +b", "a++b"),
    ("a - -b", "a--b"),
    ("a+++b", "a+ ++b"),
    ("a?.5:1", "a?.b:1"),
    ("a ?. b", "a ? .b"),
    ("ab", "a b"),
    ("in stance", "instance"),
    ("3in x", "3 in x"),
    ("1_0", "10"),
    ("1n", "1"),
    ("1e3", "1 e3"),
    ("1.0", "1"),
    ("0x1", "01"),
    (".5", ".50"),
    ("a < b", "a <= b"),
    ("a = > b", "a => b"),
    ("a > > b", "a >> b"),
    ("a & & b", "a && b"),
    ("a ? ? b", "a ?? b"),
    (". . .a", "...a"),
    ("#x", "# x"),
    ("a<!--b", "a"),
    ("a\n--> b", "a\n--> c"),
    ("/* a", "/* b"),
    ("'a", "'b"),
    ("a /* b", "a"),
    ("a @ b", "a @  b"),
    ("//VERSION=3\nx", "x"),
    ("//VERSION=3\nx", "//VERSION=2\nx"),
    ("//VERSION=3\nx", "//VERSION=3.1\nx"),
    ("//VERSION=3\nx", "// VERSION=3\nx"),
    ("//VERSION=3\nx", "//a\n//VERSION=3\nx"),
    ("//VERSION=3\nx", "x\n//VERSION=3"),
    ("#!a\nx", "x"),
]
SAME = [
    ("a/b/c", "a / b / c"),
    ("(a)/b/c", "(a) /* d */ / b / c"),
    ("a[0]/b/c", "a[0] / b / c"),
    ("(a)\n/ b", "(a)\n\n  / b // c"),
    ("f(a, b\n/ c)", "f(a, b // d\n  /c)"),
    ("x = a\n/ b", "x = a   \n/ b"),
    ("x++/y/z", "x ++ / y / z"),
    ("x /= y /z", "x/=y/ z"),
    ("a.if(b)/c/d", "a.if (b) / c / d"),
    ("a.of/b", "a . of / b"),
    ("this/a/b", "this / a / b"),
    ("1/a/b", "1 / a / b"),
    ("'a'/b/c", "'a' / b / c"),
    ("`a`/b/c", "`a` / b / c"),
    ("`${a/b/c}`", "`${ a / b / c }`"),
    ("/a b/g/c", "/a b/g / c"),
    ("a?.5:1", "a ? .5 : 1"),
    ("a\nb", "a\r\nb"),
    ("a\nb", "a\rb"),
    ("a\nb", "a\u2028b"),
    ("a\nb", "a\u2029\n\n b"),
    ("a\nb", "a /* c\n */ b"),
    ("a\nb", "a // c\u2028b"),
    ("a b", "a\u00a0b"),
    ("a b", "a\t\v\f\ufeff\u3000b"),
    ("a b", "a/**/b"),
    ("a", "\ufeffa"),
    ("a", "\n\n a // b\n"),
    ("`a\nb`", "`a\r\nb`"),
    ("'a\\\nb'", "'a\\\r\nb'"),
    ("//VERSION=3\nx", "//VERSION=3 (converted from 1)  \n\n/* a */ x"),
    ("//VERSION=3\nx", "\r\n    //VERSION=3\n x"),
    ("//  a\nx", "//VERSIONS\nx"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_reads_differently_has_other_tokens(one: str, other: str) -> None:
    assert tokens(one) != tokens(other)
    assert token_digest(one) != token_digest(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_reads_the_same_has_the_same_tokens(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)
    assert token_digest(one) == token_digest(other)


def test_a_script_is_taken_apart() -> None:
    assert tokens("//VERSION=3\n\nlet a = b ?? /c d/g // e\nreturn [`f ${a}`]\n") == (
        *("//VERSION=3", LINE_BREAK, "let", "a", "=", "b", "??", "/c d/g", LINE_BREAK),
        *("return", "[", "`f ${", "a", "}`", "]"),
    )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a /* b", ("a", "/* b")),
        ("x = 'y  z \n", ("x", "=", "'y  z")),
        ("x = `y ${z} z  ", ("x", "=", "`y ${", "z", "} z")),
        ("x = /y\nz", ("x", "=", "/y\nz")),
        ("{ } /a b/ // c", ("{", "}", "/a b/ // c")),
        ("a )b  c", ("a", ")b  c")),
        ("a\n --> b  c", ("a", LINE_BREAK, "--> b  c")),
        ("a <!-- b  c", ("a", "<!-- b  c")),
        ("", ()),
        ("// only a comment\n", ()),
    ],
)
def test_what_cannot_be_told_apart_is_one_last_token(
    script: str, expected: tuple[str, ...]
) -> None:
    assert tokens(script) == expected


# Operand and operator by turns: each row of it is a script without doubt.
OPERANDS = st.sampled_from(
    ["a", "ñ", "\\u0061b", "$_", "1.5e-3", "0xFFn", ".5", "'b  \\' c'", '"//"', "`d  // e`", "this",
     "f(a)", "g[0]", "(1, 2)", "h?.i", "j.if", "[/k  [/] l/g]", "`m ${ n } o`", "-/p  q/y.x"]
)  # fmt: skip
OPERATORS = st.sampled_from(
    [
        "+",
        "- -",
        "/",
        "*",
        "**",
        "<",
        ">>>",
        "==",
        "??",
        "&&",
        "instanceof",
        "in",
        "? 1 :",
        "=",
        ";",
    ]
)
GAPS = st.sampled_from(["  ", "\t", " /**/", "\t/* ' ` / */", "\u00a0", " /* ** */ "])
BREAKS = st.sampled_from(["\n", "\r\n", " // '\n", " /*\n*/ ", "\u2028", "\n\n/* a */", " // `\r"])
ROWS = st.lists(st.tuples(OPERANDS, OPERATORS, st.booleans()), min_size=1, max_size=8)


@given(ROWS, st.data())
def test_white_space_and_comments_change_nothing(
    row: list[tuple[str, str, bool]], data: st.DataObject
) -> None:
    plain, decorated = "", data.draw(st.sampled_from(["", "\ufeff", "\n // a\n", "/* b */"]))
    for operand, operator, breaks in row:
        plain += f"{operand} {operator}" + ("\n" if breaks else " ")
        decorated += operand + data.draw(GAPS) + operator
        decorated += data.draw(BREAKS if breaks else GAPS)
    assert tokens(decorated + "z // end") == tokens(plain + "z")


@given(ROWS)
def test_tokens_joined_again_are_the_same_tokens(row: list[tuple[str, str, bool]]) -> None:
    found = tokens("".join(f"{a}\n{b} " if newline else f"{a} {b} " for a, b, newline in row))
    joined = " ".join(found)
    assert tokens(joined) == found


@given(st.text(st.sampled_from("ab/*'\"`\\\n\r ${}()[]<!->.+#0_=?\u2028\ufeff\ud800")))
def test_any_text_has_tokens_and_nothing_but_space_is_lost(text: str) -> None:
    found = tokens(text)
    assert found == tokens(text)
    assert LINE_BREAK not in found[-1:]
    assert (LINE_BREAK, LINE_BREAK) not in zip(found, found[1:], strict=False)
    if "/" not in text and text[:1] != "\ufeff":
        kept = "".join(one for one in found if one != LINE_BREAK)
        assert _letters(kept) == _letters(text)


def _letters(text: str) -> str:
    return "".join(one for one in text if one not in " \n\r\u2028\ufeff")


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_digests_tell_where_a_token_ends(left: list[str], right: list[str]) -> None:
    one, other = "'\n'".join(left), "'\n'".join(right)
    assert (token_digest(one) == token_digest(other)) == (tokens(one) == tokens(other))


@pytest.mark.parametrize("end", ["", "\n", "  ", "\n// a last comment", "\n/* and\n */\n"])
def test_a_trailing_comment_changes_nothing(end: str) -> None:
    assert tokens(SCRIPT.rstrip() + end) == tokens(SCRIPT)


def test_the_digest_of_a_script_does_not_move() -> None:
    """It is part of every key: see the golden keys."""
    assert token_digest(SCRIPT) == (
        "sha256:20ffe58089fcf0f82225a6601553d89e833808b9a1f68e410cd257061ab2790c"
    )


@pytest.mark.parametrize(
    "text",
    [
        SCRIPT * 600,
        "/" + "[a" * 130_000,
        "x=/" + "\\/" * 130_000,
        "`${" * 87_000,
        "/*" * 130_000,
        "(" * 260_000,
        '"' + "\\" * 260_001,
        "`" + "$" * 260_000,
        " " * 260_000 + "x",
        "\n" * 260_000,
        "a/**/" * 52_000,
        "\\u" * 130_000,
        "1_" * 130_000,
    ],
    ids=lambda text: text[:6],
)
@pytest.mark.timeout(30)
def test_a_long_script_takes_no_time(text: str) -> None:
    """The largest known script has 260 kB; what is not linear in that takes many minutes."""
    assert len(tokens(text[:260_000])) <= 260_000
