"""Scripts that want everything: each ends within its limit and two seconds, and the next one is served."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shplan.script import Fault, Limits, ScriptError, Worker
from tests.script.scripts import ENGINES, returning, script

QUICK = Limits(time_s=0.3)
SMALL = Limits(time_s=10, heap_mb=24)
ENDED = {Fault.TIMEOUT, Fault.MEMORY}

TIME = {
    "a loop": "for (;;) ;",
    "a regular expression": '/^(a+)+$/.test("a".repeat(40) + "b");',
    "a native sort": "const a = []; for (let i = 0; i < 5e5; i++) a.push((i * 7919) % 1e6); for (;;) a.sort();",
    "promises": "(async () => { for (;;) await 1; })();",
    "a loop that catches": "for (;;) { try { null.x; for (;;) ; } catch (e) {} }",
}
SETUP_ONLY = {
    "a getter": "return {get input() { for (;;) ; }};",
    "an error's getter": "throw {get stack() { for (;;) ; }};",
}
MEMORY = {
    "arrays": "const a = []; for (;;) a.push(new Array(1000).fill(0.5));",
    "strings": 'const a = []; for (;;) a.push("x".repeat(1e6) + a.length);',
    "one string": 'let s = "x"; for (;;) s += s;',
    "maps": "const m = new Map(); for (let i = 0; ; i++) m.set(i, {});",
    "letters": '"x".repeat(4e8).split("");',
}


@pytest.fixture(scope="module", params=ENGINES)
def quick(request: pytest.FixtureRequest) -> Iterator[Worker]:
    with Worker(limits=QUICK, engine=request.param) as worker:
        yield worker


@pytest.fixture(scope="module", params=ENGINES)
def small(request: pytest.FixtureRequest) -> Iterator[Worker]:
    with Worker(limits=SMALL, engine=request.param) as worker:
        yield worker


def ended(worker: Worker, text: str, *, limit_s: float) -> ScriptError:
    worker.facts(script())  # so that the start is not counted
    begun = time.monotonic()
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    # Within a second or two, on a machine that does nothing else.
    assert time.monotonic() - begun < limit_s + 10
    assert worker.facts(script()).outputs
    return caught.value


@pytest.mark.parametrize("name", TIME | SETUP_ONLY)
def test_what_does_not_end_in_setup_is_ended(name: str, quick: Worker) -> None:
    """The line is that of the declaration, on which both engines agree."""
    error = ended(quick, script((TIME | SETUP_ONLY)[name]), limit_s=QUICK.time_s)
    assert error.fault is Fault.TIMEOUT
    assert error.message == "the script did not end within 0.3 s"
    assert (error.line, error.column) == (3, 1)


@pytest.mark.parametrize("name", ["a loop", "a native sort", "promises"])
def test_what_does_not_end_at_the_top_is_ended(name: str, quick: Worker) -> None:
    assert ended(quick, script(top=TIME[name]), limit_s=QUICK.time_s).fault is Fault.TIMEOUT


@pytest.mark.parametrize("name", MEMORY)
def test_what_grows_in_setup_is_ended(name: str, small: Worker) -> None:
    error = ended(small, script(MEMORY[name]), limit_s=SMALL.time_s)
    assert error.fault is Fault.MEMORY
    assert error.message == "the script needs more than 24 MiB of memory"
    assert error.line in (3, 4)


@pytest.mark.parametrize("name", ["arrays", "one string"])
def test_what_grows_at_the_top_is_ended(name: str, small: Worker) -> None:
    assert ended(small, script(top=MEMORY[name]), limit_s=SMALL.time_s).fault is Fault.MEMORY


@pytest.mark.parametrize(
    "bomb",
    [
        "new Array(3e8).fill(0.5).map(String).join();",
        "let n = 2n; for (;;) n = n * n;",
    ],
)
def test_a_bomb_of_any_make_is_ended(bomb: str, quick: Worker) -> None:
    """Time or memory, whichever is met first."""
    error = ended(quick, script(bomb), limit_s=QUICK.time_s)
    assert error.fault in ENDED
    assert error.line in (3, 4)


@pytest.mark.parametrize("top", [False, True])
def test_deep_recursion_is_an_error_of_the_script(top: bool, quick: Worker) -> None:
    deep = "(function f() { f(); })();"
    text = script(top=deep) if top else script(deep)
    error = ended(quick, text, limit_s=QUICK.time_s)
    assert (error.fault, error.line) == (Fault.RUNTIME, 2 if top else 4)


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize(
    "name", ["Float64Array", "Uint8Array", "ArrayBuffer", "SharedArrayBuffer", "WebAssembly"]
)
def test_memory_that_no_heap_counts_cannot_be_had(name: str, top: bool, quick: Worker) -> None:
    bomb = f"const a = []; for (;;) a.push(new {name}(1e8));"
    text = script(top=bomb) if top else script(bomb)
    error = ended(quick, text, limit_s=QUICK.time_s)
    assert (error.fault, error.line) == (Fault.RUNTIME, 2 if top else 4)
    assert error.message == f"ReferenceError: {name} is not defined"


def test_a_slow_stack_of_a_script_s_own_making_keeps_nobody_busy(quick: Worker) -> None:
    stack = "'    at ' + '(:1'.repeat(6000)"
    error = ended(quick, script(f"throw {{stack: {stack}, message: 'm'}};"), limit_s=QUICK.time_s)
    assert (error.fault, error.line) == (Fault.RUNTIME, 3)


def test_a_large_answer_is_refused_not_sent(quick: Worker) -> None:
    text = returning('{input: new Array(19000).fill("x".repeat(1e4)), output: {bands: 1}}')
    assert ended(quick, text, limit_s=QUICK.time_s).fault is Fault.SHAPE
