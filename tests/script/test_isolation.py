"""What a script can reach, and what it cannot change."""

from __future__ import annotations

import pytest

from shplan.script import Fault, ScriptError, Worker
from tests.script.scripts import GOOD, PIXEL, PLAIN, returning, script

OUTSIDE = {
    *("require", "process", "module", "exports", "Deno", "Bun", "importScripts", "load", "print"),
    *("python", "Python", "os", "std", "java", "fetch", "XMLHttpRequest", "navigator", "Worker"),
    *("setTimeout", "clearTimeout", "setInterval", "queueMicrotask", "performance", "console"),
    *("__timer_manager", "__TimerManager", "Atomics", "DataView", "Float32Array", "gc", "btoa"),
}


def value_of(worker: Worker, expression: str, *, top: str = "") -> str:
    """Evaluate an expression in a script and bring its text out as the id of an output."""
    text = returning(f'{{input: ["B04"], output: {{bands: 1, id: "" + ({expression})}}}}', top=top)
    return worker.facts(text).outputs[0].id


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_nothing_leads_out(name: str, worker: Worker) -> None:
    assert value_of(worker, f"typeof {name}") == "undefined"
    assert value_of(worker, f'typeof globalThis["{name}"]') == "undefined"


def test_array_buffers_cannot_be_found_by_a_detour(worker: Worker) -> None:
    detours = [
        "Function('return typeof Uint8Array')()",
        "(0, eval)('typeof Uint8Array')",
        "typeof Reflect.get(globalThis, 'Uint8Array')",
        "typeof Object.getOwnPropertyDescriptor(globalThis, 'Uint8Array')",
    ]
    assert [value_of(worker, one) for one in detours] == ["undefined"] * len(detours)


def test_modules_cannot_be_imported(worker: Worker) -> None:
    top = "let got = 'nothing'; import('fs').then(() => { got = 'a module'; }, () => {});"
    assert value_of(worker, "got", top=top) == "nothing"


def test_the_clock_shows_universal_time(worker: Worker) -> None:
    assert value_of(worker, "new Date(2020, 6, 1).toISOString()") == "2020-07-01T00:00:00.000Z"


def test_both_engines_show_the_same_globals(workers: dict[str, Worker]) -> None:
    """But for what only one of them has at all; the names of its timers are left without a value."""
    shown = "Object.entries(Object.getOwnPropertyDescriptors(globalThis))"
    shown += ".filter(([name, it]) => it.value !== undefined).map(([name]) => name).sort().join()"
    first, second = (set(value_of(worker, shown).split(",")) for worker in workers.values())
    assert first ^ second <= {"Intl", "InternalError"}


REDEFINED = {
    "JSON": "JSON.stringify = () => '{}'; JSON.parse = null; globalThis.JSON = null;",
    "toJSON": "for (const c of [Object, String, Array, Number]) c.prototype.toJSON = () => 'x';",
    "arrays": "for (const n of ['map', 'push', 'join', 'concat', Symbol.iterator])"
    " Array.prototype[n] = () => { throw 1; }; Array.isArray = () => false;",
    "strings": "for (const n of ['slice', 'indexOf', 'concat']) String.prototype[n] = () => 'x';"
    " globalThis.String = null;",
    "functions": "for (const n of ['call', 'apply', 'bind', 'toString'])"
    " Function.prototype[n] = () => 'x';",
    "numbers": "Number.isFinite = () => false; globalThis.Number = null;",
    "objects": "Object.keys = Object.create = Object.defineProperty = () => { throw 1; };",
    "setters of elements": "for (const c of [Object, Array]) for (const n of [0, 1, 2])"
    " Object.defineProperty(c.prototype, n, {set() { throw 1; }, configurable: true});",
    "getters of members": "for (const n of ['done', 'value', 'thrown', 'functions', '$'])"
    " Object.prototype.__defineGetter__(n, () => { throw 1; });",
    "traces": "Error.prepareStackTrace = () => 5; Error.stackTraceLimit = 0;",
    "symbols": "Object.prototype[Symbol.toPrimitive] = () => 'x';",
    "its first argument": "arguments[0](() => null); arguments[0] = null;",
    "the global object": "for (const n of Object.getOwnPropertyNames(globalThis))"
    " if (n !== 'globalThis') try { delete globalThis[n]; } catch (e) {}",
}


@pytest.mark.parametrize("name", REDEFINED)
def test_what_a_script_redefines_changes_no_answer(name: str, worker: Worker) -> None:
    text, (mosaicking, inputs, outputs) = GOOD["units by band"]
    facts = worker.facts(text.replace("\n", f"\n{REDEFINED[name]}", 1))
    assert (facts.mosaicking, facts.inputs, facts.outputs) == (mosaicking, inputs, outputs)
    assert facts.functions == ("evaluatePixel", "setup")


@pytest.mark.parametrize("name", REDEFINED)
def test_what_a_script_redefines_hides_no_error(name: str, worker: Worker) -> None:
    text = script("null.bands;", top=REDEFINED[name])
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    assert caught.value.fault is Fault.RUNTIME
    assert caught.value.line in (3, 4)


def test_no_function_of_ours_is_reached_through_a_trace(worker: Worker) -> None:
    top = (
        "let seen = []; Error.prepareStackTrace = (e, sites) => sites.forEach((s) => {"
        " seen.push(typeof s.getThis(), typeof s.getFunction()); });"
        " function probe() { return new Error().stack; }"
    )
    found = value_of(worker, "(probe(), seen.slice(4).join('-') + '.')", top=top)
    assert set(found.rstrip(".").split("-")) <= {"", "undefined"}


def test_no_function_of_ours_is_reached_through_a_caller(worker: Worker) -> None:
    top = "let up = null; try { up = arguments.callee.caller; } catch (e) {}"
    assert value_of(worker, "String(up)", top=top) in ("null", "undefined")


def test_a_script_cannot_close_the_function_around_it(worker: Worker) -> None:
    """Nor is what it would run outside taken for the script."""
    text = (
        "//VERSION=3\nvar a = 1; }); arguments = 0; (function () {\n"
        f"function setup() {{ return {PLAIN}; }}\n{PIXEL}"
    )
    with pytest.raises(ScriptError) as caught:
        worker.facts(text)
    assert (caught.value.fault, caught.value.line) == (Fault.SYNTAX, 2)
