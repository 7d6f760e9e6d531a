"""What can be wrong with a script that runs on pixels: the kind, the words, the place."""

from __future__ import annotations

import time

import numpy as np
import pytest

from shplan.script import Fault, Limits, ScriptError, Worker
from shplan.script.rendering import Collection
from tests.script.pixel_cases import BOTH, FUSED, ORBIT, S1, S2
from tests.script.pixels import planes, render, stacked, v3
from tests.script.test_attacks import MEMORY, TIME

HERE = planes(1, 1, B04=0.25, B08=0.75)
# Name: script, kind, line, part of the message.
WRONG: dict[str, tuple[str, Fault, int | None, str]] = {
    "throws": (v3("throw new Error('scenes: ' + samples.B04);"), Fault.RUNTIME, 6, "scenes: 0.25"),
    "throws no error": (v3("throw 'no';"), Fault.RUNTIME, 5, "no"),
    "throws in a function of its own": (
        v3("return f();", top="function f() { return null.x; }"),
        Fault.RUNTIME,
        2,
        "null",
    ),
    "an unknown name": (v3("\nreturn [nothing];"), Fault.RUNTIME, 7, "nothing is not defined"),
    "a member of a missing band": (v3("return [samples.B99.x];"), Fault.RUNTIME, 6, ""),
    "returns text": (
        v3("return 'x';"),
        Fault.RETURN,
        5,
        "returned a string; it must return an array",
    ),
    "returns a function": (v3("return Math.max;"), Fault.RETURN, 5, "a function"),
    "returns an object": (v3("return {B04: 1};"), Fault.RETURN, 5, 'any output: "default"'),
    "returns text by id": (v3("return {default: 'x'};"), Fault.RETURN, 5, 'for output "default"'),
    "returns an object by id": (
        v3("return {default: {a: 1}};"),
        Fault.RETURN,
        5,
        "an object for output",
    ),
    "returns another id": (
        v3("return {default: [1]};", output='{id: "ndvi", bands: 1}'),
        Fault.RETURN,
        5,
        '"ndvi"',
    ),
    "returns a number that is none": (v3("return [1n];"), Fault.RUNTIME, 5, ""),
    "throws in updateOutputMetadata": (
        v3("return [1];", more="function updateOutputMetadata(s, i, o) {\n null.x; }"),
        Fault.RUNTIME,
        9,
        "null",
    ),
    "metadata that go round": (
        v3("return [1];", more="function updateOutputMetadata(s, i, o) { o.userData = o; }"),
        Fault.RUNTIME,
        8,
        "",
    ),
    "throws in updateOutput": (
        v3("return [1];", more="function updateOutput(o, c) {\n\n o.x.bands = 1; }"),
        Fault.RUNTIME,
        10,
        "",
    ),
    "updateOutput leaves no number": (
        v3("return [1];", more="function updateOutput(o, c) { o.default.bands = 'x'; }"),
        Fault.RETURN,
        8,
        "left a string as the number of bands",
    ),
    "updateOutput leaves half a band": (
        v3("return [1];", more="function updateOutput(o, c) { o.default.bands = 1.5; }"),
        Fault.RETURN,
        8,
        "1.5",
    ),
    "updateOutput wants everything": (
        v3("return [1];", more="function updateOutput(o, c) { o.default.bands = 1e12; }"),
        Fault.MEMORY,
        5,
        "too many values",
    ),
    "no evaluatePixel": (
        "//VERSION=3\nfunction setup() { return {}; }",
        Fault.MISSING,
        None,
        "evaluatePixel",
    ),
    "version 2": (v3("return [1];").replace("=3", "=2"), Fault.VERSION, 1, "version 2"),
    "an older dialect": (
        "function setup(ds) { setInputComponents([ds.B04]); setOutputComponentCount(1); }",
        Fault.VERSION,
        1,
        "version 1 or 2",
    ),
    "no text": ("\0", Fault.SYNTAX, 1, ""),
    "no JavaScript": (v3("return [1;"), Fault.SYNTAX, 6, ""),
    "no JavaScript in a simple script": ("\nreturn [B04;", Fault.SYNTAX, 2, ""),
    "a brace too many in a simple script": ("return [B04]; }} ; {{", Fault.SYNTAX, 1, ""),
    "an unknown name in a simple script": (
        "let a = 1;\nreturn [B99 + a];",
        Fault.RUNTIME,
        2,
        "B99 is not defined",
    ),
    "a list without a length": (
        "return new Proxy([1], {get: (t, k) => (k === 'length' ? 'x' : t[k])});",
        Fault.RETURN,
        None,
        "a list without a length",
    ),
    "text of a simple script": ("return 'x';", Fault.RETURN, None, "a string"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_place(name: str, worker: Worker) -> None:
    text, fault, line, words = WRONG[name]
    given = {} if text.startswith(("return", "let", "\nreturn")) else HERE
    with pytest.raises(ScriptError) as caught:
        render(worker, text, given, bands=("B04",) if given else ())
    assert (caught.value.fault, caught.value.line) == (fault, line)
    assert words in caught.value.message


SCENES = {
    "an empty list": ("return [samples[0].B04];", "", Fault.RUNTIME, 6),
    "preProcessScenes returns a number": ("return [1];", "return 5;", Fault.RETURN, 8),
    "preProcessScenes returns no list": (
        "return [1];",
        "c.scenes.orbits = 5; return c;",
        Fault.RETURN,
        8,
    ),
    "preProcessScenes invents": (
        "return [1];",
        "c.scenes.orbits = [{dateFrom: '2025-01-01'}]; return c;",
        Fault.RETURN,
        8,
    ),
    "preProcessScenes counts beyond": (
        "return [1];",
        "c.scenes.orbits = [{__idx: 3}]; return c;",
        Fault.RETURN,
        8,
    ),
    "preProcessScenes throws": ("return [1];", "\nnull.x;", Fault.RUNTIME, 9),
}


@pytest.mark.parametrize("name", SCENES)
def test_what_is_wrong_with_scenes_is_said(name: str, worker: Worker) -> None:
    evaluate, body, fault, line = SCENES[name]
    more = f"function preProcessScenes(c) {{{body}}}" if body else ""
    collection = ORBIT if body else Collection("", "ORBIT")
    given = stacked(1, 1, len(collection.scenes), B04=[1, 2, 3])
    with pytest.raises(ScriptError) as caught:
        render(worker, v3(evaluate, mosaicking="ORBIT", more=more), given, collection)
    assert (caught.value.fault, caught.value.line) == (fault, line)


def test_a_source_without_samples_is_the_script_s_error(worker: Worker) -> None:
    text = v3("return [samples.S2[0].B04];", input=FUSED)
    given = [BOTH[0], stacked(1, 1, 0, B04=0)]
    with pytest.raises(ScriptError) as caught:
        render(worker, text, given, (S1, S2))
    assert (caught.value.fault, caught.value.line) == (Fault.RUNTIME, 6)


@pytest.mark.parametrize(
    "given",
    [
        planes(2, 2, B04=1) | planes(1, 1, B08=1),
        {"B04": np.zeros((2, 1, 1)), "B08": np.zeros((1, 1, 1))},
    ],
)
def test_planes_that_do_not_fit_are_the_caller_s_error(
    given: dict[str, np.ndarray], worker: Worker
) -> None:
    with pytest.raises(ValueError, match="planes"):
        render(worker, v3("return [1];"), given)


QUICK = Limits(time_s=1, pixels_s=0.5, heap_mb=64)
BUFFERS = {
    name: f"const a = []; for (;;) a.push(new {name}(1e8));"
    for name in ("Float64Array", "Uint8Array", "ArrayBuffer", "SharedArrayBuffer")
}


# What ends the other engine is shown by `test_attacks` in `setup()`, and in pixels by CI.
@pytest.fixture(scope="module", params=["v8", pytest.param("quickjs", marks=pytest.mark.slow)])
def quick(request: pytest.FixtureRequest):
    with Worker(limits=QUICK, engine=request.param) as worker:
        yield worker


def attacked(worker: Worker, text: str) -> ScriptError:
    """Run a script that wants everything; the next request is served."""
    good = v3("return [samples.B04];")
    render(worker, good, HERE)
    begun = time.monotonic()
    with pytest.raises(ScriptError) as caught:
        render(worker, text, HERE)
    # Within its limit and two seconds, on a machine that does nothing else.
    assert time.monotonic() - begun < QUICK.pixels_s + 10
    assert render(worker, good, HERE).outputs[0].pixels[0, 0, 0] == 0.25
    return caught.value


@pytest.mark.parametrize("name", TIME)
def test_what_does_not_end_in_a_pixel_is_ended(name: str, quick: Worker) -> None:
    error = attacked(quick, v3(TIME[name] + "return [1];"))
    assert (error.fault, error.line) == (Fault.TIMEOUT, 5)


@pytest.mark.parametrize("name", MEMORY)
def test_what_grows_in_a_pixel_is_ended(name: str, quick: Worker) -> None:
    error = attacked(quick, v3(MEMORY[name] + "return [1];"))
    assert error.fault in {Fault.MEMORY, Fault.TIMEOUT}


@pytest.mark.parametrize("name", BUFFERS)
def test_memory_that_no_heap_counts_cannot_be_had_in_a_pixel(name: str, quick: Worker) -> None:
    error = attacked(quick, v3(BUFFERS[name]))
    assert (error.fault, error.message) == (Fault.RUNTIME, f"ReferenceError: {name} is not defined")


@pytest.mark.parametrize(
    ("name", "call"),
    [("preProcessScenes", "c"), ("updateOutput", "o, c"), ("updateOutputMetadata", "s, i, o")],
)
def test_every_function_has_its_limit(name: str, call: str, quick: Worker) -> None:
    text = v3("return [1];", mosaicking="ORBIT", more=f"function {name}({call}) {{ for (;;) ; }}")
    with pytest.raises(ScriptError) as caught:
        render(
            quick,
            text,
            stacked(1, 1, 1, B04=1),
            Collection("", "ORBIT", ({"dateFrom": "2025-01-01"},)),
        )
    assert (caught.value.fault, caught.value.line) == (Fault.TIMEOUT, 8)


def test_a_simple_script_that_does_not_end_is_ended(quick: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        render(quick, "for (;;) ; return [B04];", {"B04": HERE["B04"]}, bands=["B04"])
    assert caught.value.fault is Fault.TIMEOUT


def test_the_limit_is_for_all_blocks_together(quick: Worker) -> None:
    """Each row ends in time; all of them do not."""
    limits = Limits(pixels_s=0.4, block_mb=0)
    text = v3("const end = Date.now() + 100; while (Date.now() < end) ; return [1];")
    with Worker(limits=limits) as worker, pytest.raises(ScriptError) as caught:
        render(worker, text, planes(20, 1, B04=1, B08=1))
    assert caught.value.fault is Fault.TIMEOUT
    assert caught.value.message == "the script did not end within 0.4 s"


def test_the_limit_grows_with_what_is_given() -> None:
    """Two bands of a hundred pixels are two hundred samples."""
    limits = Limits(pixels_s=0.2, million_s=1000)
    with Worker(limits=limits) as worker, pytest.raises(ScriptError) as caught:
        render(worker, v3("for (;;) ;"), planes(10, 10, B04=1, B08=1))
    assert caught.value.message == "the script did not end within 0.4 s"


REACHING = {
    "list methods": "for (const n of ['map', 'forEach', 'push', 'slice', 'concat', 'join', 'toJSON', Symbol.iterator])"
    " Array.prototype[n] = function (...a) { leak(this, ...a); return []; };",
    "setters of elements": "for (const c of [Object, Array]) for (let n = 0; n < 4; n++)"
    " Object.defineProperty(c.prototype, n, {set(v) { leak(v); }, configurable: true});",
    "functions": "for (const n of ['call', 'apply', 'bind'])"
    " Function.prototype[n] = function (...a) { leak(this, ...a); };",
    "getters": "for (const n of ['layout', 'room', 'last', 'type', 'size', 'planes'])"
    " Object.prototype.__defineGetter__(n, function () { leak(this); });",
    "numbers": "Number.prototype.valueOf = Object.prototype.valueOf = function () { leak(this); return 1; };",
    "traces": "Error.prepareStackTrace = (e, sites) => { for (let i = 0; i < sites.length; i++)"
    " leak(sites[i].getThis(), sites[i].getFunction()); };",
    "callers": "try { leak(arguments.callee.caller); } catch (e) {}",
}


@pytest.mark.parametrize("name", REACHING)
def test_no_memory_of_ours_is_reached(name: str, worker: Worker) -> None:
    """Neither a typed array nor its buffer comes into a script's hands, whatever it replaces."""
    top = (
        "var leaked = ''; var kind = Function.prototype.call.bind(Object.prototype.toString);"
        " function leak() { for (var i = 0; i < arguments.length; i++) { var k = kind(arguments[i]);"
        " if (/Array\\]|Buffer|View/.test(k) && k !== '[object Array]') leaked += k; } }"
        f" {REACHING[name]}"
    )
    text = v3(
        "try { null.x; } catch (e) { e.stack; } return [samples.B04];",
        top=top,
        more="function updateOutputMetadata(s, i, o) { o.userData = leaked; }",
    )
    rendered = render(worker, text, HERE)
    assert rendered.user_data == ""
    assert rendered.outputs[0].pixels[0, 0, 0] == 0.25


HALF = "'\\ud800' + 'x'"


def test_halves_of_characters_are_replaced_in_what_is_told(worker: Worker) -> None:
    """Nobody could write them down."""
    with pytest.raises(ScriptError) as caught:
        render(worker, v3(f"throw new Error({HALF});"), HERE)
    assert caught.value.message.isascii()
    metadata = v3(f"outputMetadata.userData = {{a: {HALF}, b: 'ü'}}; return [1];")
    assert render(worker, metadata, HERE).user_data == {"a": "?x", "b": "ü"}


@pytest.mark.parametrize(
    "setup",
    [
        {"output": f"{{id: {HALF}, bands: 1}}"},
        {"input": f"[{HALF}]"},
        {"input": f'[{{bands: ["B04"], datasource: {HALF}}}]'},
    ],
)
def test_halves_of_characters_name_nothing(setup: dict[str, str], worker: Worker) -> None:
    with pytest.raises(ScriptError) as caught:
        render(worker, v3("return [1];", **setup), HERE)
    assert caught.value.fault is Fault.SHAPE
    assert "?x" in caught.value.message
