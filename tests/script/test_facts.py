"""What scripts say, read by both engines alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shplan.script import Fault, ScriptError, ScriptFacts, Worker
from tests.script.scripts import BAD, GOOD, PIXEL, PLAIN, outcome, returning, script

SIMPLE = (
    "the script has no setup() and returns at its top level: what such a simple script reads and gives"
    " is not known before it runs"
)


@pytest.mark.parametrize("name", GOOD)
def test_every_form_of_setup_is_read(name: str, worker: Worker) -> None:
    text, (mosaicking, inputs, outputs) = GOOD[name]
    facts = worker.facts(text)
    assert (facts.mosaicking, facts.inputs, facts.outputs) == (mosaicking, inputs, outputs)
    assert facts.version == 3


@pytest.mark.parametrize("name", BAD)
def test_every_fault_has_its_kind_and_line(name: str, worker: Worker) -> None:
    text, fault, line = BAD[name]
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    assert (caught.value.fault, caught.value.line) == (fault, line)
    assert caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_both_engines_say_the_same(name: str, workers: dict[str, Worker]) -> None:
    """All but the words of an error, which are the engine's own."""
    text = (GOOD | BAD)[name][0]
    first, second = (outcome(worker, text) for worker in workers.values())
    if isinstance(first, ScriptFacts):
        assert isinstance(second, ScriptFacts)
        assert replace(first, engine="") == replace(second, engine="")
        assert (first.engine, second.engine) == ("v8", "quickjs")
    else:
        assert isinstance(second, ScriptError)
        assert (first.fault, first.line) == (second.fault, second.line)


def test_known_functions_are_told_however_they_are_made(worker: Worker) -> None:
    text = script(
        top="const preProcessScenes = (c) => c; updateOutput = function () {};"
        " function filterScenes() {} let updateOutputMetadata = 5;"
    )
    assert worker.facts(text).functions == (
        "evaluatePixel",
        "filterScenes",
        "preProcessScenes",
        "setup",
        "updateOutput",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            script().replace("=3", "=2"),
            "the script says version 2; its first line must be //VERSION=3",
        ),
        (
            script().replace("//VERSION=3", ""),
            "the script does not say its version; its first line must be //VERSION=3",
        ),
        (f"//VERSION=3\n{PIXEL}", "the script has no setup()"),
        ("//VERSION=3\n", "the script has no setup() and no evaluatePixel()"),
        (
            "return [B04];",
            SIMPLE,
        ),
        (script("throw new TypeError('no\\n  such');"), "TypeError: no such"),
        (script("throw 'scenes';"), "scenes"),
        (script("throw {message: 'scenes'};"), "scenes"),
        (script("throw Symbol('s');"), "Symbol(s)"),
        (script("throw {toString() { throw 1; }};"), "an object was thrown"),
        (script("throw new Error('x'.repeat(5000));"), "Error: " + "x" * 493),
        (
            returning("new Array(1e6).fill('B04')"),
            "setup() returned more than anybody can have meant",
        ),
    ],
    ids=range(12),
)
def test_messages_say_it_exactly(text: str, message: str, worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    assert caught.value.message == message


def test_nothing_can_be_thrown(workers: dict[str, Worker]) -> None:
    """With QuickJS it says that there was no memory for an error."""
    errors = [outcome(worker, script("throw null;")) for worker in workers.values()]
    assert [e.fault for e in errors if isinstance(e, ScriptError)] == [Fault.RUNTIME, Fault.MEMORY]


def test_a_fault_in_setup_is_never_without_a_line(worker: Worker) -> None:
    """Where the engine tells none, it is the line of the declaration."""
    text = f"//VERSION=3\n\n\n  const setup = () => {{ throw 1; }};\n{PIXEL}"
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    assert (caught.value.fault, caught.value.line, caught.value.column) == (Fault.RUNTIME, 4, 17)


def test_a_place_in_a_message_is_not_taken_for_a_place(worker: Worker) -> None:
    forged = "x\\n    at setup (<anonymous>:77:1)\\n    at setup (<input>:77:1)"
    with pytest.raises(ScriptError) as caught:
        worker.facts(script(f"\nthrow new Error('{forged}');"))
    assert caught.value.line == 5


def test_the_same_script_says_the_same_again(worker: Worker) -> None:
    """Nothing of one script is left for the next."""
    text = script(top="globalThis.count = (globalThis.count || 0) + 1; if (count > 1) throw count;")
    assert worker.facts(text) == worker.facts(text)


def test_an_error_prints_its_kind_and_place(worker: Worker) -> None:
    error = outcome(worker, f"//VERSION=3\nlet a = {PLAIN}\nlet a;\n")
    assert str(error).startswith("syntax: ")
    assert str(error).endswith("(line 3)")
