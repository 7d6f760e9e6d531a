"""Small scripts of our own: one for each form that published scripts have, with what it says."""

from __future__ import annotations

from shplan.script import Fault, InputFacts, OutputFacts, ScriptError, ScriptFacts, Worker

ENGINES = ("v8", "quickjs")
PIXEL = "function evaluatePixel(sample) { return [1]; }\n"
PLAIN = '{input: ["B04"], output: {bands: 1}}'


def script(setup: str = f"return {PLAIN};", *, top: str = "") -> str:
    """`top` stands on line 2, `setup` on line 4."""
    return f"//VERSION=3\n{top}\nfunction setup() {{\n{setup}\n}}\n{PIXEL}"


def returning(setup: str, *, top: str = "") -> str:
    return script(f"return {setup};", top=top)


def given(
    *bands: str,
    units: tuple[str, ...] = (),
    datasource: str = "",
    mosaicking: str = "SIMPLE",
    metadata: tuple[str, ...] = (),
) -> InputFacts:
    return InputFacts(bands, units, datasource, mosaicking, metadata)


def made(
    bands: int = 1,
    id: str = "default",  # noqa: A002 as the member is called
    *,
    names: tuple[str, ...] = (),
    sample_type: str | None = None,
    nodata: float | None = None,
) -> OutputFacts:
    return OutputFacts(id, bands, names, sample_type or "AUTO", nodata, sample_type is not None)


Said = tuple[str, tuple[InputFacts, ...], tuple[OutputFacts, ...]]
SIMPLE_SETUP: Said = ("SIMPLE", (given("B04"),), (made(),))


def outcome(worker: Worker, text: str) -> ScriptFacts | ScriptError:
    try:
        return worker.facts(text)
    except ScriptError as error:
        return error


# Name: script, and what it says: global mosaicking, inputs, outputs.
GOOD: dict[str, tuple[str, Said]] = {
    "list of strings": (
        returning('{input: ["B02", "B03", "B04"], output: {bands: 3}}'),
        ("SIMPLE", (given("B02", "B03", "B04"),), (made(3),)),
    ),
    "list of objects": (
        returning('{input: [{bands: ["B04", "dataMask"]}], output: {bands: 2}}'),
        ("SIMPLE", (given("B04", "dataMask"),), (made(2),)),
    ),
    "one object": (
        returning('{input: {bands: ["B04"]}, output: {bands: 1}}'),
        SIMPLE_SETUP,
    ),
    "one string": (returning('{input: "B04", output: {bands: 1}}'), SIMPLE_SETUP),
    "one band": (returning('{input: [{bands: "B04"}], output: {bands: 1}}'), SIMPLE_SETUP),
    "a band twice": (
        returning('{input: ["B04", "B04"], output: {bands: 1}}'),
        ("SIMPLE", (given("B04", "B04"),), (made(),)),
    ),
    "one unit": (
        returning('{input: [{bands: ["B04", "B08"], units: "DN"}], output: {bands: 1}}'),
        ("SIMPLE", (given("B04", "B08", units=("DN", "DN")),), (made(),)),
    ),
    "units by band": (
        returning(
            '{input: [{bands: ["B04", "dataMask"], units: ["reflectance", "DN"]}], output: {bands: 1}}'
        ),
        ("SIMPLE", (given("B04", "dataMask", units=("reflectance", "DN")),), (made(),)),
    ),
    "metadata": (
        returning('{input: [{bands: ["B04"], metadata: ["bounds"]}], output: {bands: 1}}'),
        ("SIMPLE", (given("B04", metadata=("bounds",)),), (made(),)),
    ),
    "fusion": (
        returning(
            '{input: [{datasource: "s1", bands: ["VV"], mosaicking: "ORBIT"},'
            ' {datasource: "l2a", bands: ["B04"]}], output: {bands: 1}, mosaicking: Mosaicking.TILE}'
        ),
        (
            "TILE",
            (
                given("VV", datasource="s1", mosaicking="ORBIT"),
                given("B04", datasource="l2a", mosaicking="TILE"),
            ),
            (made(),),
        ),
    ),
    "orbit": (
        returning('{input: ["B04"], output: {bands: 1}, mosaicking: Mosaicking.ORBIT}'),
        ("ORBIT", (given("B04", mosaicking="ORBIT"),), (made(),)),
    ),
    "misspelt mosaicking": (
        returning('{input: ["B04"], output: {bands: 1}, mosaicking: Mosaicking.ORBITS}'),
        SIMPLE_SETUP,
    ),
    "several outputs": (
        returning(
            '{input: ["B04"], output: [{id: "default", bands: 1, sampleType: SampleType.UINT16},'
            ' {id: "index", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}]}'
        ),
        (
            "SIMPLE",
            (given("B04"),),
            (
                made(sample_type="UINT16"),
                made(1, "index", sample_type="FLOAT32"),
                made(1, "dataMask"),
            ),
        ),
    ),
    "names of bands": (
        returning('{input: ["B04"], output: [{id: "stats", bands: ["ndvi", "ndwi"]}]}'),
        ("SIMPLE", (given("B04"),), (made(2, "stats", names=("ndvi", "ndwi")),)),
    ),
    "Auto in any case": (
        returning('{input: ["B04"], output: {bands: 1, sampleType: "Auto"}}'),
        ("SIMPLE", (given("B04"),), (made(sample_type="AUTO"),)),
    ),
    "misspelt sample type": (
        returning('{input: ["B04"], output: {bands: 1, sampleType: SampleType.FLOAT}}'),
        SIMPLE_SETUP,
    ),
    "nodata": (
        returning('{input: ["B04"], output: {bands: 1, sampleType: "INT16", nodataValue: -9999}}'),
        ("SIMPLE", (given("B04"),), (made(sample_type="INT16", nodata=-9999.0),)),
    ),
    "nodata that JSON lacks": (
        returning('{input: ["B04"], output: {bands: 1, nodataValue: -Infinity}}'),
        ("SIMPLE", (given("B04"),), (made(nodata=float("-inf")),)),
    ),
    "bands built at run time": (
        script(
            'return {input: bands.concat("dataMask"), output: {bands: bands.length}};',
            top="const bands = [2, 3, 4].map((n) => `B0${n}`);",
        ),
        ("SIMPLE", (given("B02", "B03", "B04", "dataMask"),), (made(3),)),
    ),
    "members that are inherited": (
        script(
            "return new Wanted();",
            top='class Wanted { get input() { return ["B04"]; } get output() { return {bands: 1}; } }',
        ),
        SIMPLE_SETUP,
    ),
    "arrow functions": (
        f"//VERSION=3\nconst setup = () => ({PLAIN});\nconst evaluatePixel = (s) => [1];\n",
        SIMPLE_SETUP,
    ),
    "a function expression": (
        f"//VERSION=3\nvar setup = function () {{ return {PLAIN}; }};\n{PIXEL}",
        SIMPLE_SETUP,
    ),
    "undeclared variables": (
        f"//VERSION=3\nsetup = () => ({PLAIN});\nevaluatePixel = () => [1];\nx = 5;\n",
        SIMPLE_SETUP,
    ),
    "strict by its own word": (script(top='"use strict"; undeclared = 1;'), SIMPLE_SETUP),
    "its own index": (script(top="let index = (a, b) => a / b;"), SIMPLE_SETUP),
    "its own visualizer": (script(top="class ColorRampVisualizer {}"), SIMPLE_SETUP),
    "visualizers at the top": (
        script(
            top="const a = new ColorRampVisualizer([[0, 0xff0000], [1, [0, 0, 1]]]),"
            " b = ColorRampVisualizer.createRedTemperature(0, 1), c = new HighlightCompressVisualizer();"
        ),
        SIMPLE_SETUP,
    ),
    "a remark in the version line": (
        script().replace("//VERSION=3", "//VERSION=3 (auto-converted from 1)"),
        SIMPLE_SETUP,
    ),
    "a space in the version line": (script().replace("//V", "// V"), SIMPLE_SETUP),
    "Windows line ends": (script().replace("\n", "\r\n"), SIMPLE_SETUP),
    "a byte order mark": ("\ufeff" + script(), SIMPLE_SETUP),
    "a comment at the end": (script() + "// the end", SIMPLE_SETUP),
    "a rejected promise": (script(top="Promise.reject(new Error('unheard'));"), SIMPLE_SETUP),
    "setup that is a promise's too": (
        returning('{then() { for (;;); }, input: ["B04"], output: {bands: 1}}'),
        SIMPLE_SETUP,
    ),
}

# Name: script, kind of fault, line (None: nobody can tell).
BAD: dict[str, tuple[str, Fault, int | None]] = {
    "no version": (script().replace("//VERSION=3", "//"), Fault.VERSION, 1),
    "version 2": (script().replace("=3", "=2"), Fault.VERSION, 1),
    "version 30": (script().replace("=3", "=30"), Fault.VERSION, 1),
    "version on line 2": ("// mine\n" + script(), Fault.VERSION, 1),
    "legacy": (
        "function setup(ds) { setInputComponents([ds.B04]); setOutputComponentCount(1); }\n"
        + PIXEL,
        Fault.VERSION,
        1,
    ),
    "simple": ("//VERSION=3\nreturn [B04 * 2.5];\n", Fault.MISSING, None),
    "simple without version": ("let v = B04;\nreturn [v];\n", Fault.MISSING, None),
    "simple with functions": (
        "//VERSION=3\nfunction f(x) { return x; }\nif (B04 > 1) return [f(1)];\nreturn [0];",
        Fault.MISSING,
        None,
    ),
    "no setup": (f"//VERSION=3\n{PIXEL}", Fault.MISSING, None),
    "no evaluatePixel": (script().replace("evaluatePixel", "evaluate"), Fault.MISSING, None),
    "neither": ("//VERSION=3\n", Fault.MISSING, None),
    "setup is no function": (f"//VERSION=3\nlet setup = {PLAIN};\n{PIXEL}", Fault.MISSING, None),
    "throws at the top": (script(top="undefinedThing;"), Fault.RUNTIME, 2),
    "throws before its setup": (
        f"//VERSION=3\nmissing();\nconst setup = () => ({PLAIN});\n{PIXEL}",
        Fault.RUNTIME,
        2,
    ),
    "throws in setup": (script("\n\nnull.bands;"), Fault.RUNTIME, 6),
    "throws in a helper": (script("\nnew ColorRampVisualizer(5);"), Fault.RUNTIME, 5),
    "throws in eval": (script("\n\neval('null.bands');"), Fault.RUNTIME, 6),
    "throws no error": (script("throw 'scenes';"), Fault.RUNTIME, 3),
    "throws a stubborn object": (
        script("throw {get stack() { throw 1; }, toString() { throw 2; }};"),
        Fault.RUNTIME,
        3,
    ),
    "throws where it has no text": (
        f"//VERSION=3\nvar f = () => {{ throw 1; }};\nvar setup = f.bind(null);\n{PIXEL}",
        Fault.RUNTIME,
        3,
    ),
    "a proxy throws": (
        f"//VERSION=3\n\nvar setup = new Proxy(() => {{ throw 1; }}, {{}});\n{PIXEL}",
        Fault.RUNTIME,
        3,
    ),
    "a getter throws": (returning("{get input() {\nthrow new Error('no');}}"), Fault.RUNTIME, 5),
    "returns nothing": (script(""), Fault.SHAPE, 3),
    "returns a list": (returning("[]"), Fault.SHAPE, 3),
    "returns a promise": (
        script().replace("function setup", "async function setup"),
        Fault.SHAPE,
        3,
    ),
    "no input": (returning("{output: {bands: 1}}"), Fault.SHAPE, 3),
    "no output": (returning('{input: ["B04"]}'), Fault.SHAPE, 3),
    "bands is no number": (
        returning('{input: ["B04"], output: {bands: "three"}}'),
        Fault.SHAPE,
        3,
    ),
    "endlessly long": (
        returning("{input: new Proxy([], {get: (t, k) => (k === 'length' ? 1e15 : 'B04')})}"),
        Fault.SHAPE,
        3,
    ),
    "deep for ever": (
        script("const a = []; a[0] = a; return {input: a, output: {bands: 1}};"),
        Fault.SHAPE,
        3,
    ),
}
