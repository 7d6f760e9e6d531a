"""What is no JavaScript, and where."""

from __future__ import annotations

import pytest

from shplan.script import Fault, ScriptError, Worker
from tests.script.scripts import PIXEL, PLAIN

# Script, line, column. Both engines agree on these.
CASES = {
    "a missing value": ("//VERSION=3\nlet a = ;\n", 2, 9),
    "on the first line": ("//VERSION=3 \r\nlet a = ;", 2, 9),
    "before the first line's end": ("let a = ; //VERSION=3", 1, 9),
    "at the very beginning": ("; )", 1, 3),
    "curly quotes": ("//VERSION=3\nfunction setup() { return {input: [\u201cB04\u201d]}; }", 2, 36),
    "behind letters of many bytes": ("//VERSION=3\nlet s = 'é\U0001f6f0'; let x = ;", 2, 23),
    "behind tabs": ("//VERSION=3\n\t\tlet x = ;", 2, 11),
    "a function that does not end": ("//VERSION=3\nfunction setup() {\n  return {", 3, 11),
    "a brace too many": (f"//VERSION=3\nvar a = 1;\n}} + 1\n{PIXEL}", 3, 1),
    "a brace too few, with a return": ("//VERSION=3\nreturn {", 2, 9),
    "a wrapper's end": (
        f"//VERSION=3\n}}); globalThis.out = 1; (function () {{\nfunction setup() {{ return {PLAIN}; }}",
        2,
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_place_is_that_in_the_script(name: str, worker: Worker) -> None:
    text, line, column = CASES[name]
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    error = caught.value
    assert (error.fault, error.line, error.column) == (Fault.SYNTAX, line, column)
    assert not error.message.startswith("SyntaxError")


@pytest.mark.parametrize(
    "text",
    [
        "let q = 1;\nlet q = 2;",
        "\n/* never closed",
        "\nimport a from 'b';",
        "\nexport const a = 1;",
        "\nconst a;",
        "\nawait something;",
        "\n'never closed",
    ],
)
def test_each_early_error_has_its_line(text: str, worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        worker.facts(f"//VERSION=3{text}\n" if text[0] == "\n" else f"//VERSION=3\n{text}\n")
    assert caught.value.fault is Fault.SYNTAX
    assert caught.value.line in (2, 3)


def test_nothing_runs_of_what_is_wrong_later(worker: Worker) -> None:
    """The whole script is checked first: the endless loop is never met."""
    with pytest.raises(ScriptError) as caught:
        worker.facts("//VERSION=3\nfor (;;) ;\nlet a = ;\n")
    assert (caught.value.fault, caught.value.line) == (Fault.SYNTAX, 3)


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_is_no_text_is_named_with_its_place(character: str, worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        worker.facts(f"//VERSION=3\nlet a = '{character}';")
    assert (caught.value.fault, caught.value.line, caught.value.column) == (Fault.SYNTAX, 2, 10)


def test_an_early_end_is_told_in_plain_words(worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        worker.facts("//VERSION=3\nfunction setup() {\n")
    assert caught.value.message == "Unexpected end of input"
