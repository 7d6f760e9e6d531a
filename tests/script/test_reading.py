"""What the text of a script says: members, names, places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.script import ScriptError, Worker
from shplan.script.names import GLOBALS
from shplan.script.reading import Span, read
from tests.support.bounded import bounded


def test_members_are_found_however_they_are_read() -> None:
    found = read(
        'f(s.B01, s["B02"], s?.B03); const {B04, B05: nir, B06 = 1} = s; for (const {B07} of t) {}'
    )
    assert {f"B0{n}" for n in range(1, 8)} <= found.members.keys()


def test_places_count_characters_and_every_kind_of_line() -> None:
    found = read("/* é𝄞 */ a.x;\r\nb.y;\nc['z']")
    assert found.members["x"] == (Span(1, 12, 13),)
    assert found.members["y"] == (Span(2, 3, 4),)
    assert found.members["z"] == (Span(3, 4, 5),)


@pytest.mark.parametrize(
    "text",
    [
        "const a = 1; a;",
        "let {a, b: [c, ...d], e = 2, ...f} = {}; a + c + d + e + f;",
        "function g(a, {b}, [c] = [], ...d) { return a + b + c + d; } g();",
        "a = 1; a;",
        "for (i = 0; i < 3; i++) {} for (k in {}) k; for (const v of []) v;",
        "try {} catch (error) { error; }",
        "class A {} new A();",
        "typeof missing === 'undefined' || missing;",
        "const f = x => x, g = async (y) => y; f(g);",
        "label: for (;;) break label;",
        "const o = {method() { return arguments; }, get value() { return 1; }}; o;",
        "eval('anything'); whatever;",
    ],
)
def test_declared_names_are_known(text: str) -> None:
    assert not read(text).undeclared


def test_a_name_that_nobody_declares_is_found_where_it_stands() -> None:
    assert read("f(1);\nconst a = {g};").undeclared == {"f": Span(1, 1, 2), "g": Span(2, 12, 13)}


def test_object_literals_are_told_by_their_keys() -> None:
    (one,) = read('({bands: 1, "sampleType": "Auto"})').objects
    assert one["sampleType"].text == "Auto"
    assert one["bands"].text is None


@pytest.mark.parametrize(
    "text", ["", "\ufeff", "}{", "function (", "`${", "'", "\x00", "a" * 100_000]
)
def test_what_is_no_script_is_read_as_well(text: str) -> None:
    read(text)


def test_deep_texts_are_read_without_recursion() -> None:
    assert "x" in read("f(" * 3000 + "s.x" + ")" * 3000).members


def test_what_is_asked_for_is_a_whole_name() -> None:
    found = read("if (s.B1) t = s.B11; if (s.B2) t = s.B2; u = s['B3'] && s['B3'] / 2;")
    assert found.slightly == {"B2", "B3"}


def test_conditions_within_conditions_are_read_in_bounded_time() -> None:
    """What each of them guards is nearly the whole text."""
    nested = "".join(f"if (s.a{number}) " for number in range(20_000))
    with bounded():
        found = read(f"function evaluatePixel(s) {{ {nested} return [s.a19999]; }}")
    assert found.slightly == {"a19999"}


def test_the_global_names_are_those_of_the_engine() -> None:
    """Each name that counts as declared is there when a script runs, and each helper counts."""
    names = sorted(GLOBALS - {"arguments", "undefined"})
    body = ",".join(f'typeof {name} === "undefined" ? "{name}" : ""' for name in names)
    text = f"""//VERSION=3
function setup() {{ const lacking = [{body}].filter((one) => one);
  if (lacking.length) throw new Error(lacking.join(" ")); return {{input: ["B04"], output: {{bands: 1}}}}; }}
function evaluatePixel(s) {{ return [s.B04]; }}
"""
    with Worker(engine="v8") as worker:
        try:
            worker.facts(text)
        except ScriptError as error:
            lacking = set(error.message.removeprefix("Error: ").split())
            # Newer than some builds of the engine.
            assert lacking <= {"Iterator", "FinalizationRegistry", "WeakRef", "Intl"}


@given(
    st.lists(st.sampled_from(["a", "é", "日", "😀", "\n", '"', ";", " ", "s.B04", "{", "//é\n"]))
)
def test_a_place_is_where_the_word_stands(parts: list[str]) -> None:
    """Whatever letters stand before it, and in whatever order the places are asked for."""
    text = "".join(parts)
    lines = text.split("\n")
    told = read(text)
    for name, spans in told.members.items():
        for span in spans:
            assert lines[span.line - 1][span.column - 1 : span.end_column - 1] == name
