"""
Scripts of our own with the pixels that come of them: one for each feature and pitfall of published scripts.

Each is run on one pixel unless it says otherwise; what is expected are the values of each output there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.script.rendering import Collection
from tests.script.pixels import planes, stacked, v3

NAN = math.nan
MASKED = '["B04", "B08", "dataMask"]'


@dataclass(frozen=True)
class Case:
    """
    `values` are those of the first pixel, by output.

    Args:
        kept: which scenes of the first collection are to be read; none: whichever
    """

    text: str
    values: Mapping[str, Sequence[float]]
    given: Sequence[Mapping[str, np.ndarray]] = field(
        default_factory=lambda: [planes(1, 1, B04=0.25, B08=0.75, dataMask=1)]
    )
    collections: Sequence[Collection] = (Collection(),)
    options: Mapping[str, object] = field(default_factory=dict)
    kept: Sequence[int] | None = None
    user_data: object = field(default_factory=dict)
    bands: Sequence[str] = ()


def one(evaluate: str, *values: float, **more: str) -> Case:
    """A script with one output, on one sample."""
    more.setdefault("output", f"{{bands: {len(values)}}}")
    return Case(v3(evaluate, **more), {"default": values})


def orbits(*days: str) -> tuple[dict[str, object], ...]:
    return tuple(
        {
            "dateFrom": f"{day}T00:00:00Z",
            "dateTo": f"{day}T23:59:59Z",
            "tiles": [{"date": f"{day}T10:00:00Z", "cloudCoverage": 10.0 * n, "shId": n}],
        }
        for n, day in enumerate(days)
    )


def tiles(*days: str) -> tuple[dict[str, object], ...]:
    return tuple(
        {
            "date": f"{day}T10:00:00Z",
            "cloudCoverage": 10.0 * n,
            "dataPath": f"s3://a/{n}",
            "shId": n,
        }
        for n, day in enumerate(days)
    )


DAYS = ("2025-06-30", "2025-06-15", "2025-05-31")
ORBIT = Collection("", "ORBIT", orbits(*DAYS), "2025-05-01T00:00:00Z", "2025-06-30T23:59:59Z")  # type: ignore[arg-type]
TILE = Collection("", "TILE", tiles(*DAYS), "2025-05-01T00:00:00Z", "2025-06-30T23:59:59Z")  # type: ignore[arg-type]
EMPTY = Collection("", "ORBIT", (), "2025-05-01T00:00:00Z", "2025-06-30T23:59:59Z")


def three(
    evaluate: str,
    *values: float,
    collection: Collection = ORBIT,
    kept: Sequence[int] = (0, 1, 2),
    user_data: object = None,
    **more: str,
) -> Case:
    """A script on three scenes, or on those of them that it keeps."""
    more.setdefault("output", f"{{bands: {len(values)}}}")
    bands = {"B04": np.array([0.1, 0.2, 0.3]), "B08": np.array([0.5, 0.9, 0.7])}
    given = stacked(1, 1, len(kept), **{name: band[list(kept)] for name, band in bands.items()})
    return Case(
        v3(evaluate, mosaicking=collection.mosaicking, **more),
        {"default": values},
        [given],
        (collection,),
        user_data={} if user_data is None else user_data,
        kept=kept,
    )


LANGUAGE = {
    "let and const": one("let a = samples.B04; const b = 2; return [a * b];", 0.5),
    "if and else": one("if (samples.B04 > 0.5) return [1]; else return [2];", 2),
    "ternary": one("return [samples.B08 > 0.5 ? 1 : 0];", 1),
    "for and ++": one("let n = 0; for (var i = 0; i < 5; i++) n += i; return [n];", 10),
    "for of and for in": one(
        "let n = 0; for (const v of [1, 2]) n += v; for (const k in samples) n += 10; return [n];",
        33,
        input=MASKED,
    ),
    "while and --": one("let n = 3, m = 0; while (n--) m += 2; return [m];", 6),
    "spread": one("return [...[1, 2], ...[samples.B04]];", 1, 2, 0.25),
    "arrow function at the top": one(
        "return f(samples);", 0.5, top="const f = (s) => [s.B08 - s.B04];"
    ),
    "destructuring": one(
        "let [a, b] = [samples.B04, samples.B08]; [a, b] = [b, a]; return [a, b];", 0.75, 0.25
    ),
    "object destructuring": one("const {B04, B08} = samples; return [B04, B08];", 0.25, 0.75),
    "bitwise": one("return [(5 & 4) | (1 << 3), ~0, 7 >>> 1];", 12, -1, 3),
    "switch": one(
        "switch (samples.dataMask) { case 1: return [7]; default: return [8]; }", 7, input=MASKED
    ),
    "default parameter": one("return [f()];", 5, top="function f(a = 5) { return a; }"),
    "comma expression": one("return [(1, 2)];", 2),
    "exponent": one("return [2 ** 3];", 8),
    "try and catch": one("try { null.x; } catch (e) { return [3]; }", 3),
    "eval": one("return [eval('samples.B04 * 2')];", 0.5),
    "class": one("return [new P(2).v];", 2, top="class P { constructor(v) { this.v = v; } }"),
    "method shorthand": one("return [o.f()];", 4, top="const o = { f() { return 4; } };"),
    "closures": one(
        "return [add(samples.B04)];", 1.25, top="const make = (n) => (x) => x + n, add = make(1);"
    ),
    "Math": one(
        "return [Math.sqrt(4), Math.cbrt(8), Math.max(1, 2), Math.log(1), Math.floor(1.9), Math.abs(-1)];",
        2,
        2,
        2,
        0,
        1,
        1,
    ),
    "isFinite": one("return [isFinite(1 / 0) ? 1 : 0];", 0),
    "chance is the same each time": one(
        "const v = [Math.random(), Math.random()];"
        " return [v[0], v.every((x) => x >= 0 && x < 1), v[0] !== v[1]];",
        0.8794664279557765,
        1,
        1,
    ),
    "arrays": one(
        "return [1, 2, 3].filter((v) => v > 1).map((v) => v * 2).concat([[4, 1].sort()[0]]);",
        4,
        6,
        1,
    ),
    "reduce, includes, slice": one(
        "return [[1, 2].reduce((a, b) => a + b), [1].includes(1) ? 1 : 0, [1, 2].slice(-1)[0]];",
        3,
        1,
        2,
    ),
    "undeclared variables": one("ndvi = samples.B08 - samples.B04; return [ndvi];", 0.5),
    "variables of its own at the top": one("n = n + 1; return [n];", 1, top="var n = 0;"),
    "its own index": one("return [index(1, 2)];", 3, top="let index = (a, b) => a + b;"),
    "entry points as arrows": Case(
        '//VERSION=3\nconst setup = () => ({input: ["B04"], output: {bands: 1}});\n'
        "const evaluatePixel = (s) => [s.B04];\n",
        {"default": [0.25]},
        [planes(1, 1, B04=0.25)],
    ),
    "entry points as function expressions": Case(
        '//VERSION=3\nvar setup = function () { return {input: ["B04"], output: {bands: 1}}; };\n'
        "let evaluatePixel = function (s) { return [s.B04]; };\n",
        {"default": [0.25]},
        [planes(1, 1, B04=0.25)],
    ),
    "entry points the other way round": Case(
        "//VERSION=3\nfunction evaluatePixel({B04}, scene) { return [B04 * FACTOR]; }\n"
        'function setup() { return {input: ["B04"], output: {bands: 1}}; }\nconst FACTOR = 4;\n',
        {"default": [1]},
        [planes(1, 1, B04=0.25)],
    ),
    "line ends of other systems and a mark of order": Case(
        "\ufeff" + v3("return [1];").replace("\n", "\r\n"), {"default": [1]}
    ),
    "today's language": one(
        "const far = samples?.none?.x ?? 3; let n = 1_000; n ||= 2;"
        " return [far, n, `${n}`.length, ...[[1], [2]].flat(), Object.fromEntries([['a', 6]]).a];",
        3,
        1000,
        4,
        1,
        2,
        6,
    ),
    "generators": one("return [...count()];", 1, 2, top="function* count() { yield 1; yield 2; }"),
    "labels, do and comma in declarations": one(
        "let n = 0, m; out: do { for (;;) { if (++n > 3) break out; } } while (true); return [n];",
        4,
    ),
    "with": one("with (samples) { return [B04 + B08]; }", 1),
    "Object.keys and JSON.stringify": one(
        "return [Object.keys(samples).length, JSON.stringify(samples).length];",
        3,
        len('{"B04":0.25,"B08":0.75,"dataMask":1}'),
        input=MASKED,
    ),
    "no version line": Case(v3("return [1];").replace("//VERSION=3", ""), {"default": [1]}),
    "version line on the second line": Case("\n" + v3("return [1];"), {"default": [1]}),
    "a remark in the version line": Case(
        v3("return [1];").replace("=3", "=3 (auto-converted from 1)"), {"default": [1]}
    ),
}

RETURNS = {
    "a bare number": one("return samples.B04;", 0.25),
    "a bare number for several bands": one("return samples.B04;", 0.25, NAN, output="{bands: 2}"),
    "a boolean": one("return true;", 1),
    "booleans": one("return [samples.B04 > 1, samples.B04 < 1];", 0, 1),
    "arrays of one": one("return [[0.5], 1];", 0.5, 1),
    "nothing": one("if (samples.B04 > 1) return [1];", NAN),
    "null": one("return null;", NAN),
    "null in a list": one("return [null];", 0),
    "too few": one("return [1];", 1, NAN, output="{bands: 2}"),
    "too many": one("return [1, 2, 3];", 1, 2),
    "an empty list": one("return [];", NAN),
    "text in a list": one("return ['0.5', 'x'];", 0.5, NAN),
    "NaN and Infinity": one("return [NaN, 1 / 0, -1 / 0];", NAN, math.inf, -math.inf),
    "0 / 0": one("return [0 / 0];", NAN),
    "nothing is scaled": one(
        "return [40.6, 310, -5];", 40.6, 310, -5, output='{bands: 3, sampleType: "UINT8"}'
    ),
    "by id": one("return {default: [samples.B04, 1]};", 0.25, 1),
    "a misspelt band": one("return [samples.B05];", NAN),
    "a misspelt band in a sum": one("return [samples.B05 + 1];", NAN),
    "many bands": one("return new Array(20).fill(0.5);", *[0.5] * 20),
    "a number by id": one("return {default: samples.B04};", 0.25),
    "nothing, with metadata": Case(
        v3("outputMetadata.userData = {seen: samples.B04};"),
        {"default": [NAN]},
        user_data={"seen": 0.25},
    ),
}
SEVERAL = '[{id: "default", bands: 2}, {id: "index", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}]'
RETURNS |= {
    "bands listed twice": one("return [samples.B04];", 0.25, input='["B04", "B04"]'),
    "one band as a bare string": one("return [samples.B04];", 0.25, input='"B04"'),
    "an object for each input": one(
        "return [samples.B04, samples.B08];",
        0.25,
        0.75,
        input='[{bands: ["B04"]}, {bands: ["B08"]}]',
    ),
    "units in small letters": one(
        "return [samples.B04];",
        0.25,
        input='[{bands: ["B04", "B08"], units: ["dn", "reflectance"]}]',
    ),
    "sample types as people spell them": one(
        "return [samples.B04];", 0.25, output='[{id: "default", bands: 1, sampleType: "Auto"}]'
    ),
    "members that nobody knows": one(
        "return [samples.B04];",
        0.25,
        output='{bands: 1, sampleTYPE: "UINT8", nodata: 3}',
        input='[{bands: ["B04"], metadata: ["bounds"], processing: {}}]',
    ),
    "a misspelt constant": Case(
        v3("return [samples.B04];").replace("'SIMPLE'", "Mosaicking.ORBITS"), {"default": [0.25]}
    ),
    "a list in a list": one("return [[samples.B04, 1]];", NAN),
    "several outputs": Case(
        v3("return {default: [1, 2], index: [3], dataMask: [4]};", output=SEVERAL),
        {"default": [1, 2], "index": [3], "dataMask": [4]},
    ),
    "one of several is missing": Case(
        v3("return {default: [1, 2], index: [3]};", output=SEVERAL),
        {"default": [1, 2], "index": [3], "dataMask": [NAN]},
    ),
    "a list for several": Case(
        v3("return [1, 2];", output=SEVERAL), {"default": [1, 2], "index": [NAN], "dataMask": [NAN]}
    ),
    "names of bands": Case(
        v3("return {stats: [1, 2]};", output='[{id: "stats", bands: ["a", "b"]}]'),
        {"stats": [1, 2]},
    ),
    "an output without default": Case(v3("return [5];", output='{id: "x", bands: 1}'), {"x": [5]}),
}

SIMPLE = {
    name: Case(text, {"default": values}, bands=("B04", "B08", "dataMask"))
    for name, (text, values) in {
        "simple": ("return [B04, B08];", [0.25, 0.75]),
        "simple with a version": ("//VERSION=3\nreturn [B04];", [0.25]),
        "simple with a function": ("function f(x) { return x * 2; }\nreturn [f(B08)];", [1.5]),
        "simple with its own variable of a band's name": (
            "let B04 = 3;\nreturn [B04, B08];",
            [3, 0.75],
        ),
        "simple with var of a band's name": ("var B04 = B04 * 2;\nreturn [B04];", [0.5]),
        "simple with undeclared variables": ("v = B04;\nreturn [v];", [0.25]),
        "simple with a bare number": ("return B08", [0.75]),
        "simple with eval": (
            "return [eval('B0' + '4' + ' * 2')].concat([eval('B08')]);",
            [0.5, 0.75],
        ),
        "simple with helpers": (
            "let i = index(B08, B04);\nreturn colorBlend(i, [0, 1], [[0, 0, 0], [1, 1, 1]]);",
            [0.5] * 3,
        ),
        "simple with what a number is called elsewhere": (
            "var R = 2 * B08;\nvar Math2 = Math.sqrt(R * R);\nif (Math2 > 1) return [R];\nelse return [0];",
            [1.5],
        ),
        "simple with a true color after it": (
            "if (B04 < 1) { return shade(B08); }\nfunction shade(v) { return [v, v].map((a) => 2 * a); }",
            [1.5, 1.5],
        ),
        "simple that ends in a comment": ("return [B04]; // the end", [0.25]),
        "simple with dataMask": ("if (dataMask) return [B04, 1];\nreturn [0, 0];", [0.25, 1]),
    }.items()
}

SCENES = {
    "samples in order": three("return samples.map((s) => s.B04);", 0.1, 0.2, 0.3),
    "the newest first": three("return [samples[0].B08];", 0.5),
    "the greatest": three("return [Math.max(...samples.map((s) => s.B08))];", 0.9),
    "for of over samples": three(
        "let n = 0; for (const s of samples) n += s.B04; return [n];", 0.1 + 0.2 + 0.3
    ),
    "a sorted median": three(
        "const v = samples.map((s) => s.B08).sort((a, b) => a - b); return [v[1]];", 0.7
    ),
    "samples spliced": three(
        "samples.splice(0, 1); samples.reverse(); return [samples.length, samples[0].B04];", 2, 0.3
    ),
    "samples in TILE": three("return [samples.length, samples[2].B04];", 3, 0.3, collection=TILE),
    "scenes.orbits": three(
        "return [scenes.orbits.length, new Date(scenes.orbits[1].dateFrom).getUTCDate()];", 3, 15
    ),
    "tiles of orbits": three("return [scenes.orbits[2].tiles[0].cloudCoverage];", 20),
    "scenes.tiles": three(
        "return [scenes.tiles[2].cloudCoverage, scenes.tiles[1].shId, scenes.tiles[1].__idx];",
        20,
        1,
        1,
        collection=TILE,
    ),
    "dates are strings": three(
        "return [typeof scenes.tiles[0].date === 'string'];", 1, collection=TILE
    ),
    "scenes as an array": three("return [scenes.length, scenes[1].date.getDate()];", 3, 15),
    "scenes as an array in TILE": three(
        "return [scenes[0].date.getMonth(), scenes[2].cloudCoverage];", 5, 20, collection=TILE
    ),
    "scenes walked as an array": three(
        "let n = 0; for (const s of scenes) n += s.date.getDate(); return [n];", 76
    ),
    "scenes mapped as an array": three("return scenes.map((s) => s.date.getUTCMonth());", 5, 5, 4),
    "scenes printed": three(
        "outputMetadata.userData = {text: JSON.stringify(Object.keys(scenes))}; return [1];",
        1,
        user_data={"text": '["orbits"]'},
    ),
    "no scenes in SIMPLE": one("return [Object.keys(scenes).length, scenes.length];", 0, 0),
    "local time is UTC": three(
        "return [scenes[0].date.getHours(), new Date(0).getTimezoneOffset()];", 0, 0
    ),
    "no scenes at all": Case(
        v3(
            "return [samples.length, scenes.orbits.length];",
            mosaicking="ORBIT",
            output="{bands: 2}",
        ),
        {"default": [0, 0]},
        [stacked(1, 1, 0, B04=0)],
        (EMPTY,),
    ),
    "preProcessScenes": three(
        "return [samples.length, scenes.orbits.length, new Date(scenes.orbits[0].dateFrom).getMonth()];",
        1,
        1,
        4,
        kept=(2,),
        more="function preProcessScenes(c) { c.scenes.orbits = c.scenes.orbits.filter("
        "(o) => new Date(o.dateFrom) < new Date('2025-06-01')); return c; }",
    ),
    "preProcessScenes with from and to": three(
        "return [samples.length];",
        2,
        kept=(0, 1),
        more="function preProcessScenes(c) { c.scenes.orbits = c.scenes.orbits.filter((o) =>"
        " new Date(o.dateFrom).getTime() > c.to.getTime() - 20 * 24 * 3600e3 && c.from < c.to); return c; }",
    ),
    "preProcessScenes sees no tiles of orbits": three(
        "return [samples.length, scenes.orbits[0].tiles.length];",
        3,
        1,
        more="function preProcessScenes(c) { c.scenes.orbits = c.scenes.orbits.filter((o) => !o.tiles); return c; }",
    ),
    "preProcessScenes in TILE": three(
        "return [samples.length, scenes.tiles[0].cloudCoverage];",
        1,
        10,
        kept=(1,),
        collection=TILE,
        more="function preProcessScenes(c) { c.scenes.tiles = c.scenes.tiles.filter((t) => t.cloudCoverage === 10);"
        " return c; }",
    ),
    "preProcessScenes that makes its scenes anew": three(
        "return [samples[0].B04];",
        0.3,
        kept=(2, 0),
        more="function preProcessScenes(c) { return {scenes: {orbits: c.scenes.orbits.map("
        "(o) => ({...o})).filter((o, i) => i !== 1).reverse()}}; }",
    ),
    "preProcessScenes that returns nothing": three(
        "return [samples.length];",
        1,
        kept=(0,),
        more="function preProcessScenes(c) { c.scenes.orbits.length = 1; }",
    ),
    "preProcessScenes in SIMPLE": Case(
        v3("return [1];", more="function preProcessScenes(c) { throw new Error('called'); }"),
        {"default": [1]},
    ),
    "filterScenes": three(
        "return [samples.length, scenes.length];",
        2,
        2,
        kept=(0, 1),
        more="function filterScenes(scenes, inputMetadata) { return scenes.filter((s) =>"
        " s.date.getTime() >= inputMetadata.to.getTime() - 20 * 24 * 3600 * 1000); }",
    ),
    "updateOutput": three(
        "return samples.map((s) => s.B04);",
        0.1,
        0.2,
        0.3,
        output="{bands: 1}",
        more="function updateOutput(output, collection) { output.default.bands = collection.scenes.length; }",
    ),
    "updateOutput by orbits": three(
        "return samples.map((s) => s.B04);",
        0.1,
        0.2,
        0.3,
        output="{bands: 1}",
        more="function updateOutput(output, c) { output.default.bands = c.scenes.orbits.length; }",
    ),
    "updateOutput after preProcessScenes": three(
        "return samples.map((s) => s.B04);",
        0.2,
        0.3,
        output="{bands: 7}",
        kept=(1, 2),
        more="function preProcessScenes(c) { c.scenes.orbits.shift(); return c; }"
        "function updateOutput(output, c) { Object.values(output)[0].bands = c.scenes.length; }",
    ),
    "updateOutputMetadata": three(
        "return [1];",
        1,
        user_data={"n": 3, "first": "2025-06-30T00:00:00Z", "v": 1.5},
        more="function updateOutputMetadata(scenes, inputMetadata, outputMetadata) { outputMetadata.userData ="
        " {n: scenes.orbits.length, first: scenes.orbits[0].dateFrom, v: inputMetadata.version}; }",
    ),
    "tiles of a single sample": Case(
        v3(
            "return [Object.keys(scenes).length];",
            more="function updateOutputMetadata(scenes, i, o) { o.userData = {tiles: scenes.tiles.map((t) => t.shId)}; }",
        ),
        {"default": [0]},
        collections=(Collection("", "SIMPLE", TILE.scenes),),
        user_data={"tiles": [0, 1, 2]},
    ),
    "nothing but what is told of scenes": Case(
        v3(
            "return [];",
            input='[{bands: [], metadata: ["bounds"]}]',
            output="{bands: 0}",
            mosaicking="ORBIT",
            more="function updateOutputMetadata(scenes, i, o) { o.userData ="
            " scenes.orbits.map((one) => one.tiles[0].shId); }",
        ),
        {"default": []},
        [{}],
        (ORBIT,),
        user_data=[0, 1, 2],
    ),
    "preProcessScenes that returns an empty list": three(
        "return [samples.length];",
        0,
        kept=(),
        more="function preProcessScenes(c) { return []; }",
    ),
    "metadata gathered in pixels": three(
        "seen += samples.length; return [1];",
        1,
        top="var seen = 0;",
        user_data={"seen": 3},
        more="function updateOutputMetadata(s, i, o) { o.userData = {seen}; }",
    ),
    "metadata as JSON has it": Case(
        v3("outputMetadata.userData = {a: NaN, b: undefined, c: new Date(0), d: [1]}; return [1];"),
        {"default": [1]},
        user_data={"a": None, "c": "1970-01-01T00:00:00.000Z", "d": [1]},
    ),
    "scenes printed whole": three(
        "outputMetadata.userData = JSON.parse(JSON.stringify(scenes)).orbits[1].tiles; return [1];",
        1,
        user_data=[{"date": "2025-06-15T10:00:00Z", "cloudCoverage": 10.0, "shId": 1}],
    ),
    "dates written into scenes": three(
        "return [1];",
        1,
        user_data={"dates": ["30", "15", "31"]},
        more="function updateOutputMetadata(scenes, i, o) { o.userData = {dates: scenes.map((s) =>"
        " { s.date = '' + s.date.getUTCDate(); return s.date; })}; }",
    ),
    "preProcessScenes that sorts": three(
        "return [samples[0].B04, new Date(scenes.orbits[0].dateFrom).getUTCMonth()];",
        0.3,
        4,
        kept=(2, 1, 0),
        more="function preProcessScenes(c) { c.scenes.orbits.sort((a, b) =>"
        " new Date(a.dateFrom) - new Date(b.dateFrom)); return c; }",
    ),
    "preProcessScenes that keeps one a month": three(
        "return samples.map((s) => s.B04);",
        0.1,
        0.3,
        kept=(0, 2),
        more="function preProcessScenes(c) { const seen = new Map(); c.scenes.orbits.forEach((o) => {"
        " const month = o.dateFrom.slice(0, 7); if (!seen.has(month)) seen.set(month, o); });"
        " c.scenes.orbits = [...seen.values()]; return c; }",
    ),
    "a quartile of what is valid": three(
        "const v = samples.filter((s) => s.B04 > 0.1).map((s) => s.B08).sort((a, b) => a - b);"
        " return [v.length ? v[Math.floor(v.length / 4)] : 0];",
        0.7,
    ),
    "no metadata": Case(
        v3("outputMetadata.userData = undefined; return [1];"), {"default": [1]}, user_data=None
    ),
}
SCENES["updateOutputMetadata"] = Case(
    **{**vars(SCENES["updateOutputMetadata"]), "options": {"input_metadata": {"version": 1.5}}}
)

S1 = Collection("S1", "ORBIT", orbits(*DAYS[:2]), "2025-05-01T00:00:00Z", "2025-06-30T23:59:59Z")  # type: ignore[arg-type]
S2 = Collection("S2", "SIMPLE")
FUSED = (
    '[{datasource: "S1", bands: ["VV"], mosaicking: "ORBIT"}, {datasource: "S2", bands: ["B04"]}]'
)
BOTH = [stacked(1, 1, 2, VV=[0.1, 0.2]), planes(1, 1, B04=0.5)]
FUSION = {
    "fusion": Case(
        v3(
            "return [samples.S1.length, samples.S1[1].VV, samples.S2[0].B04];",
            input=FUSED,
            output="{bands: 3}",
        ),
        {"default": [2, 0.2, 0.5]},
        BOTH,
        (S1, S2),
    ),
    "fusion in brackets": Case(
        v3(
            "return [samples['S2'][0].B04, Array.isArray(samples.S2)];",
            input=FUSED,
            output="{bands: 2}",
        ),
        {"default": [0.5, 1]},
        BOTH,
        (S1, S2),
    ),
    "fusion without data": Case(
        v3("return [samples.S1.length, samples.S2.length];", input=FUSED, output="{bands: 2}"),
        {"default": [0, 0]},
        [stacked(1, 1, 0, VV=0), stacked(1, 1, 0, B04=0)],
        (Collection("S1", "ORBIT"), S2),
    ),
    "scenes of fusion": Case(
        v3(
            "return [scenes.S1.orbits.length, scenes.S1[0].date.getDate(), scenes.S2.length];",
            input=FUSED,
            output="{bands: 3}",
        ),
        {"default": [2, 30, 0]},
        BOTH,
        (S1, S2),
    ),
    "scenes of fusion, another way": Case(
        v3(
            "return [scenes.S1.scenes.orbits.length, scenes.S1.scenes[1].date.getDate(), scenes.S2.scenes.length];",
            input=FUSED,
            output="{bands: 3}",
        ),
        {"default": [2, 15, 0]},
        BOTH,
        (S1, S2),
    ),
    "preProcessScenes in fusion": Case(
        v3(
            "return [samples.S1.length, samples.S2.length];",
            input=FUSED,
            output="{bands: 2}",
            more="function preProcessScenes(c) { c.S1.scenes.orbits = c.S1.scenes.orbits.slice(1); return c; }",
        ),
        {"default": [1, 1]},
        [stacked(1, 1, 1, VV=0.2), planes(1, 1, B04=0.5)],
        (S1, S2),
    ),
    "updateOutput in fusion": Case(
        v3(
            "return samples.S1.map((s) => s.VV);",
            input=FUSED,
            more="function updateOutput(o, c) { o.default.bands = c.S1.scenes.length; }",
        ),
        {"default": [0.1, 0.2]},
        BOTH,
        (S1, S2),
    ),
    "fusion of numbered sources": Case(
        v3("return [samples[0][0].B04, samples['1'][0].B04];", output="{bands: 2}"),
        {"default": [1, 2]},
        [planes(1, 1, B04=1), planes(1, 1, B04=2)],
        (Collection("0"), Collection("1")),
    ),
    "fusion of one": Case(
        v3("return [samples.S2[0].B04];"),
        {"default": [0.5]},
        [planes(1, 1, B04=0.5)],
        (S2,),
        {"fused": True},
    ),
}

HELPERS = {
    "index": one("return [index(samples.B08, samples.B04)];", 0.5),
    "a ramp with alpha": one(
        "return viz.process(samples.B04).concat(1);",
        63 / 255,
        0,
        191 / 255,
        1,
        top="const viz = new ColorRampVisualizer([[0, 0x0000ff], [1, 0xff0000]]);",
    ),
    "a map": one(
        "const c = viz.process(samples.B08); c.push(samples.dataMask); return c;",
        1,
        0,
        0,
        1,
        input=MASKED,
        top="const viz = new ColorMapVisualizer([[0, 0x000000], [0.5, 0xff0000]]);",
    ),
    "colorBlend": one(
        "return colorBlend(samples.B04, [0, 0.5, 1], [[0, 0, 0], [1, 1, 0], [1, 1, 1]]);",
        0.5,
        0.5,
        0,
    ),
    "HighlightCompressVisualizer": one(
        "return [samples.B04, samples.B08].map((v) => viz.process(v));",
        0.25,
        0.75,
        top="const viz = new HighlightCompressVisualizer(0, 1);",
    ),
    "processList": one(
        "return viz.processList([samples.B04, 2]);",
        0.25,
        1,
        top="const viz = new DefaultVisualizer(0, 1);",
    ),
    "a gradient with a factory": one(
        "return viz.process(samples.B04 * 1.6);",
        0,
        102 / 255,
        0,
        top="const viz = ColorGradientVisualizer.createWhiteGreen(0, 1);",
    ),
    "a ramp between limits": one(
        "const [r, g, b] = viz.process(samples.B04 * 1000); return [r, g, b];",
        127 / 255,
        127 / 255,
        127 / 255,
        top="const viz = new ColorRampVisualizer([[0, 0x000000], [1, 0xffffff]], 200, 300);",
    ),
    "the visualizers that no page lists": one(
        "return [new DefaultVisualizer(0, 0.5).process(samples.B04), new Identity().process(samples.B04)[0],"
        " ...new HighlightCompressVisualizerSingle(0, 1).process(samples.B04)];",
        0.5,
        0.25,
        0.25,
    ),
    "getColorFromValue": one(
        "return viz.getColorFromValue(samples.B04);",
        1,
        0,
        0,
        top="const viz = new ColorMapVisualizer([[0, 0xff0000], [0.5, 0x00ff00]]);",
    ),
    "valueInterpolate": one("return [valueInterpolate(samples.B04, [0, 1], [0, 100])];", 25),
    "valueMap": one("return [valueMap(samples.B04, [0.1, 0.5], [1, 2])];", 2),
    "the greatest number": one(
        "let m = -JAVA_DOUBLE_MAX_VAL; if (samples.B04 > m) m = samples.B04; return [m];", 0.25
    ),
    "bits of quality": one(
        "const q = decodeL8C2Qa(0b11000); return [q.cloud, q.cloudShadow, q.snow];", 1, 1, 0
    ),
    "a helper of its own, declared late": one(
        "return colorBlend(1);", 9, top="function colorBlend(v) { return [v * 9]; }"
    ),
    "constants": one(
        "return [samples.B04];",
        0.25,
        output="{bands: 1, sampleType: SampleType.FLOAT32, nodataValue: -9999}",
    ),
}

CASES = LANGUAGE | RETURNS | SIMPLE | SCENES | FUSION | HELPERS
