"""What is said of evalscripts that run and mean something else: sure faults are errors, the rest warns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shplan.core.diagnostic import Severity
from shplan.manifest.collections import Collection, own, published
from shplan.manifest.script_inputs import remarks_on_input
from shplan.manifest.script_looks import look
from shplan.manifest.script_meaning import remarks
from shplan.manifest.script_remarks import Look, Remark
from shplan.schema.store import table
from shplan.script import Worker

PUBLISHED = published(table("collections"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as started:
        yield started


def script(
    body: str,
    *,
    bands: str = '["B04", "B08"]',
    output: str = '{bands: 1, sampleType: "FLOAT32"}',
    more: str = "",
    argument: str = "s",
) -> str:
    return (
        "//VERSION=3\n"
        f"function setup() {{ return {{input: {bands}, output: {output}{more}}}; }}\n"
        f"function evaluatePixel({argument}) {{ {body} }}\n"
    )


NDVI = "return [(s.B08 - s.B04) / (s.B08 + s.B04)];"
TILE = ', mosaicking: "TILE"'
TWO = '{bands: 2, sampleType: "FLOAT32"}'
FUSED = '[{datasource: "a", bands: ["B04"]}, {datasource: "b", bands: ["VV"]}]'


def said(found: list[Remark]) -> list[tuple[str, str]]:
    return [(one.severity.value, one.rule) for one in found]


# Scripts that are right, in the forms that are published.
GOOD = {
    "ndvi": script(NDVI),
    "by subscript": script('return [s["B08"] - s["B04"]];'),
    "by destructuring": script("const {B04, B08: nir} = s; return [nir - B04];"),
    "by an argument": script("return [B08 - B04];", argument="{B04, B08}"),
    "by a list of names": script("return [['B04', 'B08'].reduce((sum, one) => sum + s[one], 0)];"),
    "by walking": script("return [Object.values(s).reduce((a, b) => a + b)];"),
    "a band in a branch": script("if (s.B04 > 5) return [s.B08]; return [s.B04];"),
    "a variable of its own on the sample": script("s.ndvi = s.B08 - s.B04; return [s.ndvi];"),
    "undeclared variables": script("red = s.B04; nir = s.B08; return [nir - red];"),
    "a guarded name": script(
        "if (typeof missing !== 'undefined') return [missing]; return [s.B04 + s.B08];"
    ),
    "bands at run time": script(
        "return [s[names[0]], s[names[1]]];",
        bands="names",
        output="{bands: names.length}",
    ).replace("function setup", 'var names = ["B04", "B08"];\nfunction setup'),
    "colours": script("return [s.B04 * 2.5, s.B08 * 2.5, s.B04];", output="{bands: 3}"),
    "orbits": script(
        "return [Math.max(...s.map((one) => one.B04 + one.B08))];", more=', mosaicking: "ORBIT"'
    ),
    "orbits with a loop": script(
        "let sum = 0; for (let i = 0; i < s.length; i++) sum += s[i].B04 / s[i].B08; return [sum];",
        more=', mosaicking: "TILE"',
    ),
    "fusion": script("return [s.a[0].B04 + s.b[0].VV];", bands=FUSED),
    "fusion by id": script(
        "const x = s['a'], y = s['b']; return [x[0].B04 + y[0].VV];", bands=FUSED
    ),
    "several outputs": script(
        "return {index: [s.B08 - s.B04], dataMask: [s.dataMask]};",
        bands='["B04", "B08", "dataMask"]',
        output='[{id: "index", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}]',
    ),
    "a mask": script(
        "return [s.B04, s.B08, s.dataMask];",
        bands='["B04", "B08", "dataMask"]',
        output="{bands: 3}",
    ),
    "integers": script(
        "return [s.B04, s.B08];",
        bands='[{bands: ["B04", "B08"], units: "DN"}]',
        output='{bands: 2, sampleType: "UINT16"}',
    ),
    "bands at the end": script("return [s.B04, s.B08];", output="{bands: 1}").replace(
        "function evaluate", "function updateOutput(o) { o.default.bands = 2; }\nfunction evaluate"
    ),
}

# As right as those, and so lenient that hardly a change of them would be a fault.
LENIENT = {
    "names of the global object": script(
        "this.red = s.B04; globalThis.nir = s.B08; return [nir - red];"
    ),
    "a band that is asked for by `in`": script(
        'return [("CLM" in s) && s.CLM ? NaN : s.B04 + s.B08];'
    ),
    "a band that is asked for by a method": script(
        'return [(s.hasOwnProperty("CLM") ? s.CLM : 0) + s.B04 + s.B08];'
    ),
    "a band that is asked for by the method of another": script(
        'return [(Object.prototype.hasOwnProperty.call(s, "CLM") ? s.CLM : 0) + s.B04 + s.B08];'
    ),
    "a sample as text": script("return [JSON.stringify(s).length, String(s).length];", output=TWO),
    "a formula as text": script("return [eval('s.B04')];", bands='["B04", "B08"]'),
    "the mosaic of another radar, stretched": "return [(HH - 1) / 6999];",
    "bands by name, in a branch for two days of long ago": script(
        "const then = s.filter((one, i) => one.dataMask && at(told, i) >= FROM && at(told, i) < TO);\n"
        "  if (then.length === 0) return [0];\n"
        "  const best = then.reduce((a, b) => (a.B08 > b.B08 ? a : b));\n"
        "  return [OUT.map((band) => best[band]).reduce((a, b) => a + b)];",
        bands='["B04", "B08", "dataMask"]',
        argument="s, told",
        more=TILE,
    )
    + 'const OUT = ["B04", "B08"], FROM = new Date("2016-01-01"), TO = new Date("2016-02-01");\n'
    + "const at = (told, i) => new Date(told.tiles[i].date);\n",
    "a simple formula as text": (
        "const bands = typeof B04 === 'undefined' ? '[VV]' : '[B04 + B08]';\n"
        "const made = (words) => eval(words);\nreturn made(bands);\n"
    ),
    "the angle of a pass, in tenths": script(
        "return [s.viewZenithMean < 8 ? s.viewZenithMean * 10 : 999];",
        bands='["viewZenithMean"]',
        output='{bands: 1, sampleType: "INT8"}',
    ),
    "radar, brightened": script(
        "return [12 * s.VH, 12 * s.HV];", bands='["VH", "HV"]', output="{bands: 2}"
    ),
    "heights, for statistics alone": script(
        "return {heights: [7 + s.DEM], dataMask: [s.dataMask]};",
        bands='["DEM", "dataMask"]',
        output='[{id: "heights", bands: 1}, {id: "dataMask", bands: 1}]',
    ),
    "digital numbers, scaled and darkened": script(
        "return [s.Blue / 10000 - 0.01, s.NIR / 10000 - 0.01];",
        bands='["Blue", "NIR"]',
        output="{bands: 2}",
    ),
    "heat in no unit": script("return [300 / s.F1];", bands='["F1"]', output="{bands: 1}"),
    "members that may be missing": script(
        "if (s.CLM !== undefined) return [0]; if (typeof s['SCL'] === 'number') return [1];"
        " return [s.B04 * (s.dataMask ?? 1) + s.B08];"
    ),
    "members for names": script("with (s) { return [B04 + B08]; }"),
    "defaults for members": script(
        "const {CLM = 0, SCL: scene = 4} = s; return [CLM || scene === 3 ? 0 : s.B04 / (s.mask || 1) + s.B08];"
    ),
    "a version line in a text of a program": script(NDVI).replace(
        "//VERSION=3", "\n  // VERSION = 3"
    ),
    "a fourth scene": script("return [s[3].B04 + s[3].B08];", more=', mosaicking: "ORBIT"'),
    "scenes enough for a mean": script(
        "if (s.length < 7) return [0];"
        " return [0, 1].map((k) => s.reduce((sum, one) => sum + one.B04 * k + one.B08, 0) / s.length);",
        output=TWO,
        more=TILE,
    ),
    "a day of each source": script(
        "const day = new Date('2020-07-07T10:00:00Z').getTime();"
        " const at = (id) => told[id].scenes.find((one) => one.date.getTime() === day).idx;"
        " return [s.a[at('a')].B04 + s.b[at('b')].VV];",
        argument="s, told",
        bands=FUSED,
        more=TILE,
    ),
    "the same day of years before": script(
        "const years = told.orbits.map((one) => one.dateFrom.slice(0, 4));"
        " const past = years.map((year, k) => [year, s[k].B08 - s[k].B04]).filter(([year]) => year < years[0]);"
        " return [past[0][1] - past[past.length - 1][1]];",
        argument="s, told",
        more=', mosaicking: "ORBIT"',
    ),
    "inputs of one source": script(
        "return [s.SCL === 3 ? 0 : s.B04];",
        bands='[{bands: ["B04"], units: "REFLECTANCE"}, {bands: ["SCL"], units: "DN"}]',
    ),
    "the days of a flood": script(
        "return [s[0].B04, s[0].B08];", output=TWO, more=', mosaicking: "ORBIT"'
    )
    + "function preProcessScenes(c) {\n"
    "  c.scenes.orbits = c.scenes.orbits.filter((one) => one.dateFrom.startsWith('2019-03-02'));\n"
    "  return c;\n}\n",
    "what no made-up scene has": script(
        "for (const one of s) if (one.B04 > 9000 && one.B08 > 7) return [1];", more=TILE
    ),
    "a day that is looked for at the pixel": script(
        "for (let k = 0; k < s.length; k++)"
        " if (told.orbits[k].dateFrom.startsWith('2018-08-')) return [s[k].B04 + s[k].B08];",
        argument="s, told",
        more=', mosaicking: "ORBIT"',
    ),
    "a colour for each class": script(
        "const of = {20: [0, 1], 95: [1, 0]}; return of[s.Map];", bands='["Map"]', output=TWO
    ),
    "a class as it is": script(
        "return [s.Map];", bands='["Map"]', output='{bands: 1, sampleType: "UINT8"}'
    ),
    "shares in percent, one of which is always small": script(
        "return [100 * s.B04, s.B08 ** 9 * 4, 0.3 * s.B08];",
        output='{bands: 3, sampleType: "UINT8"}',
    ),
    "a share in a byte": script(
        "return [s.share];", bands='["share"]', output='{bands: 1, sampleType: "INT8"}'
    ),
    "a number for each class": script(
        "const of = {20: 0.2, 95: 0.5}; const height = of[s.Map]; return [height];",
        bands='["Map"]',
        output="{bands: 1}",
    ),
    "a tile by its name": script(
        "let red; s.forEach((one, k) => { if (told.tiles[k].dataPath.includes('T33')) red = one.B04 + one.B08; });"
        " return [red];",
        argument="s, told",
        more=TILE,
    ),
    "a sample that is given more members": script(
        "Object.assign(s, {index: s.B08 - s.B04}); return [s.B04 > 7 ? s.index : s.B04];"
    ),
    "an output by a name that is kept somewhere": script(
        "return {[id]: [s.B04 + s.B08]};", output="[{id, bands: 1}]"
    ).replace("function setup", "const id = 'index';\nfunction setup"),
    "an end that nobody comes to": script(
        "if (s.B04 > s.B08) { return [s.B04]; } else { return [s.B08]; } const rest = 7;"
    ),
    "a scene that is not there": script("return [s[0].B04 + s[0].B08];", more=TILE)
    + "function preProcessScenes(c) { c.scenes.tiles = []; return c; }\n",
}


@pytest.mark.parametrize("name", [*GOOD, *LENIENT])
def test_nothing_is_said_of_a_script_that_is_right(worker: Worker, name: str) -> None:
    found = remarks(look(worker, {**GOOD, **LENIENT}[name]))
    assert not found, found


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        (
            script(NDVI.replace("s.B04)", "s.B4)")),
            ("error", "band-not-asked"),
            "did you mean `B04`?",
        ),
        (script("const {B04, B88} = s; return [B04 + s.B08];"), ("error", "band-not-asked"), "B88"),
        (script("return [s[0].B04 + s[0].B08];"), ("warning", "mosaicking"), "ORBIT"),
        (script("return s.map((one) => one.B04 + one.B08);"), ("error", "mosaicking"), "no list"),
        (
            script("return [s.B04 + s.B08];", more=', mosaicking: "ORBIT"'),
            ("error", "mosaicking"),
            "samples[0].B04",
        ),
        (script("return [s.a.B04 + s.b[0].VV];", bands=FUSED), ("error", "mosaicking"), "[0].B04"),
        # It works, only that it asks a cloud of no sample.
        (
            script("return [s.SCL === 9 ? NaN : s[0].B04];", bands='["B04", "SCL"]', more=TILE),
            ("warning", "mosaicking"),
            "samples[0].SCL",
        ),
        (script("return [s.a[0].B04 + s.c[0].VV];", bands=FUSED), ("error", "datasource"), "`b`"),
        # Nothing is made of it, and the rest is right.
        (
            script("const mask = s.dataMask; return [s.a[0].B04 + s.b[0].VV];", bands=FUSED),
            ("warning", "datasource"),
            "dataMask",
        ),
        (script("return [s.B04];"), ("warning", "band-unused"), "B08"),
        (script("return {index: [s.B04 + s.B08]};"), ("error", "output-unknown"), "default"),
        (
            script("return [s.B04 + s.B08];", output="{bands: 2}"),
            ("error", "output-short"),
            "2 values",
        ),
        # With scenes it might have returned more.
        (
            script("return s.length ? [s[0].B04, s[0].B08] : [0];", output="{bands: 2}", more=TILE)
            + "function preProcessScenes(c) { c.scenes.tiles = []; return c; }\n",
            ("warning", "output-short"),
            "2 values",
        ),
        # Of another satellite there may be one.
        (
            script(
                "return s.filter((one, k) => told.tiles[k].tileOriginalId.slice(43, 46) === 'S3B')"
                ".map((one) => one.B04 + one.B08).slice(0, 1);",
                argument="s, told",
                more=TILE,
            ),
            ("warning", "output-short"),
            "0 values",
        ),
        # It says how many there may be at most.
        (
            script("return [s.length].concat(s.map((one) => one.B04 + one.B08));", more=TILE)
            + "function updateOutput(o, c) { o.default.bands = 2 + c.scenes.tiles.length; }\n",
            ("warning", "output-short"),
            "updateOutput()",
        ),
        (script("return [s.B04, s.B08];"), ("warning", "output-long"), "bands: 2"),
        (script("if (s.B04 > 0.5) return [s.B08];"), ("warning", "nothing-returned"), "no data"),
        (script("return 'red' + s.B04 + s.B08;"), ("error", "output-form"), "[value]"),
        (script("return s.B04 + s.B08;"), ("warning", "output-form"), "[value]"),
        (
            script("return [s.B04 + s.B08 + 7];", output="{bands: 1}"),
            ("warning", "sample-type"),
            "FLOAT32",
        ),
        ("return [B04 * 900];", ("warning", "sample-type"), "or write a `setup()` with"),
        (
            script(NDVI, output='{bands: 1, sampleTYPE: "FLOAT32"}'),
            ("warning", "sample-type"),
            "sampleType",
        ),
        (
            script(NDVI, output="{bands: 1}", more=', sampleType: "FLOAT32"'),
            ("warning", "sample-type"),
            "output",
        ),
        (
            script(NDVI, output='{bands: 1, sampleType: "Float32"}'),
            ("warning", "sample-type"),
            "FLOAT32",
        ),
        (
            script(NDVI, output="{bands: 1, sampleType: SampleType.FLOAT}"),
            ("warning", "constant"),
            "FLOAT32",
        ),
        # It works all the same, and is not what was meant.
        (
            script(NDVI, more=", mosaicking: Mosaicking.ORBITS"),
            ("warning", "constant"),
            "Mosaicking.ORBIT",
        ),
        (
            script("return [s[0].B04 + s[0].B08];", more=", mosaicking: Mosaicking.ORBITS"),
            ("error", "constant"),
            "Mosaicking.ORBIT",
        ),
        (
            script(NDVI) + "function preProcessScenes(c) { c.scenes.orbits.pop(); return c; }\n",
            ("hint", "scenes"),
            "ORBIT",
        ),
        (script("return [s.B04 + s.B08 + missing];"), ("error", "fails"), "missing"),
        # The service's engine has them.
        (
            script("return [new Float32Array([s.B04 + s.B08])[0]];"),
            ("hint", "fails"),
            "not there where shplan tries scripts",
        ),
        # Nobody knows how many scenes there will be.
        (
            script("return s.map((one) => one.B04 + one.B08);", output="{bands: 31}", more=TILE),
            ("hint", "output-short"),
            "updateOutput",
        ),
        (
            script("return s.map((one) => one.B04 + one.B08);", more=TILE),
            ("hint", "output-long"),
            "how many scenes",
        ),
        (
            script("return s.length ? [s[0].B04 + s[0].B08, scenes.length] : [0, 0];", more=TILE),
            ("error", "fails"),
            "evaluatePixel(samples, scenes)",
        ),
        (
            script("if (s.B04 > 7) other(); return [s.B04 + s.B08];"),
            ("warning", "undeclared"),
            "other",
        ),
        (script(NDVI, bands='["B04", "B08", "B04"]'), ("warning", "band-twice"), "B04"),
        (
            script(NDVI) + "function filterScenes(a) { return a; }\n",
            ("hint", "older-function"),
            "preProcessScenes",
        ),
        # What is in the list is no number.
        (script("return [(s.B04 + s.B08).toFixed(2)];"), ("warning", "output-form"), "Number("),
        (script("return [[s.B04, s.B08]];"), ("hint", "output-form"), "spread it"),
        (script("return [{value: s.B04 + s.B08}];"), ("warning", "output-form"), "an object"),
        (
            script("let ndvi; const found = s.B04 + s.B08; return [ndvi];"),
            ("warning", "output-form"),
            "was ever defined",
        ),
        # Nothing at all comes back.
        (
            script(NDVI, bands='[{bands: ["B04", "B08"], unit: "DN"}]'),
            ("warning", "key"),
            "write `units`",
        ),
        (
            script(NDVI, output='{bands: 1, sampleType: "FLOAT32", noDataValue: -1}'),
            ("warning", "key"),
            "write `nodataValue`",
        ),
        (script(NDVI, more=', mosaiking: "SIMPLE"'), ("warning", "key"), "write `mosaicking`"),
        (
            script(
                "let n = 0; for (let i = 0; i < s.lenght; i++) n += s[i].B04 + s[i].B08; return [n];",
                more=TILE,
            ),
            ("warning", "undeclared"),
            "did you mean `length`?",
        ),
        (script("[s.B04 + s.B08];"), ("error", "nothing-returned"), "return [value]"),
        (
            script("return\n [s.B04 + s.B08];"),
            ("error", "nothing-returned"),
            "on the line of its `return`",
        ),
        (
            script("if (s.B04 === 7) return [0]; const sum = s.B04 + s.B08; [sum];"),
            ("warning", "nothing-returned"),
            "any made-up pixel",
        ),
        # Only the text says so: no made-up pixel came by.
        (
            script("if (s.B04 === 7) return [s.B05]; return [s.B04 + s.B08];"),
            ("warning", "band-not-asked"),
            'add "B05"',
        ),
        (
            script("const far = (one) => one.B88; return [s.B04 > 7 ? far(s) : s.B04 + s.B08];"),
            ("warning", "band-not-asked"),
            'add "B88"',
        ),
        (
            script(
                "const best = s.filter((one) => one.B04 > 7);"
                " for (const one of best) return [one.B03]; return [s[0].B04 + s[0].B08];",
                more=TILE,
            ),
            ("warning", "band-not-asked"),
            "B03",
        ),
        (
            script("return [(s[3]?.B03 ?? 0) + s[0].B04 + s[0].B08];", more=TILE),
            ("warning", "band-not-asked"),
            "B03",
        ),
        (
            script("if (!s.length) return [0, 0]; return [s[0].B04 + s[0].B08];", more=TILE),
            ("warning", "output-long"),
            "here are 2 values",
        ),
        (
            script("return s[9] ? [s[9].B04] : [s[0].B04, s[0].B08];", output=TWO, more=TILE),
            ("warning", "output-short"),
            "return 2",
        ),
        (
            script("if (s.B04 > 7) return NaN; return [s.B04 + s.B08];"),
            ("warning", "output-form"),
            "[value]",
        ),
        (
            script("if (s.B04 > 7) return {index: [1]}; return [s.B04 + s.B08];"),
            ("warning", "output-unknown"),
            "default",
        ),
        (
            script("if (s.B04 < 7) return [s.B04 + s.B08]; const sum = 7;"),
            ("warning", "nothing-returned"),
            "ends here",
        ),
        (
            script("let sum = 0; for (const k in s) sum += s[k].B04 + s[k].B08; return [sum];"),
            ("warning", "mosaicking"),
            "is no list",
        ),
        # With several inputs of one source there is one list.
        (
            script(
                "return [s.B04 + s.SCL];",
                bands='[{bands: ["B04"]}, {bands: ["SCL"], units: "DN"}]',
                more=TILE,
            ),
            ("error", "mosaicking"),
            "`B04` and `SCL` are read",
        ),
        (
            script(
                "return [s.radar[0].VV + s.B04[0].B04];",
                bands='[{bands: ["B04"]}, {bands: ["VV"]}]',
            ),
            ("error", "datasource"),
            'write `datasource: "radar"`',
        ),
        # An index is between -1 and 1, and a band of several is as lost as the only one.
        (
            script(NDVI, output='{bands: 1, sampleType: "UINT8"}'),
            ("warning", "sample-type"),
            "whole numbers",
        ),
        (
            script(
                "return [(s.B08 - s.B04) / (s.B08 + s.B04), s.B04 > 0.5 ? 1 : 0];",
                output='{bands: 2, sampleType: "UINT8"}',
            ),
            ("warning", "sample-type"),
            "a band of output",
        ),
        (
            script("retrun [s.B04 + s.B08];").replace("retrun", "throw retrun,"),
            ("error", "fails"),
            "`return`",
        ),
        (script("return [B04 + s.B08];"), ("error", "fails"), "`sample.B04`"),
    ],
)
def test_what_is_wrong_is_said(
    worker: Worker, text: str, expected: tuple[str, str], words: str
) -> None:
    found = remarks(look(worker, text))
    assert expected in said(found), found
    (first, *_) = [one for one in found if (one.severity.value, one.rule) == expected]
    assert words in f"{first.what} {first.why} {first.hint}"


def test_a_text_without_a_version_line_is_no_more_than_a_hint(worker: Worker) -> None:
    text = script(NDVI).replace("//VERSION=3", "// what mine is for\n//VERSION=3")
    assert said(remarks(look(worker, text))) == [("hint", "version")]


@pytest.mark.parametrize(
    "text",
    [
        "return [s.B08 || s.B04];",
        "return [s.B08 ? s.B08 : s.B04];",
        "if (s.B08) return [s.B08]; return [s.B04];",
        "return [(s.B08 && s.B08 * 2) + s.B04];",
        "const x = s.B08; return [x === undefined ? s.B04 : x];",
        "let sum = 0; ['B04', 'B08'].forEach((name) => { sum += s[name] || 0; }); return [sum];",
        "let sum = 0; for (const name of ['B04', 'B08']) if (s[name]) sum += s[name]; return [sum];",
        "return [['B04', 'B08'].filter((name) => name in s).length + s.B04 + s['B' + '08']];",
    ],
)
def test_a_band_that_may_be_meant_to_be_missing_warns(worker: Worker, text: str) -> None:
    found = remarks(look(worker, script(text, bands='["B04"]')))
    assert said(found) == [("warning", "band-not-asked")], found


def test_what_comes_of_a_function_is_shown_where_it_is_declared(worker: Worker) -> None:
    text = script("if (s.B04 > 0.5) return [s.B08];")
    (one,) = remarks(look(worker, text))
    assert one.span is not None
    assert (one.span.line, one.span.column) == (3, 10)


def test_a_band_and_a_unit_are_shown_at_the_input_that_has_them(worker: Worker) -> None:
    text = script(
        "return [s.a[0].B04 + s.b[0].VV];",
        bands='[{datasource: "a", bands: ["B04", "dataMask"], units: "DN"},\n'
        '    {bands: ["VV", "dataMask"], datasource: "b"}]',
    )
    found = [one for one in remarks(look(worker, text)) if one.rule == "band-unused"]
    lines = [one.span.line for one in found if one.span is not None]
    assert len(lines) == len(set(lines)) == 2


def test_an_output_is_shown_where_it_is_named_and_not_the_band_of_that_name(worker: Worker) -> None:
    text = script(
        "return {a: [s.dataMask]};",
        bands='["dataMask"]',
        output='[{id: "a", bands: 1}, {bands: 1, id: "dataMask"}]',
    )
    (one,) = remarks(look(worker, text))
    assert one.rule == "output-missing"
    assert one.span is not None
    assert one.span.column == text.splitlines()[1].rindex("dataMask") + 1


def test_a_band_that_is_read_by_a_name_of_a_list_is_shown_there(worker: Worker) -> None:
    text = script("return ['B03', 'B04', 'B08'].map((name) => s[name]).slice(2);")
    (one,) = remarks(look(worker, text))
    assert one.span is not None
    line = text.splitlines()[one.span.line - 1]
    assert line[one.span.column - 1 : one.span.end_column - 1] == "B03"


@pytest.mark.parametrize("form", ["function filterScenes(a)", "var filterScenes = function (a)"])
def test_an_older_function_is_shown_where_it_is_declared(worker: Worker, form: str) -> None:
    (one,) = remarks(look(worker, script(NDVI) + f"\n{form} {{ return a; }}\n"))
    assert one.span is not None
    assert (one.span.line, one.span.column) == (5, form.index("filterScenes") + 1)


def test_a_misspelt_band_is_shown_where_it_is_read(worker: Worker) -> None:
    text = script("const é = 1;\n  return [s.B08 - s.B4 + s.B04];")
    (one,) = [one for one in remarks(look(worker, text)) if one.rule == "band-not-asked"]
    assert one.span is not None
    line = text.splitlines()[one.span.line - 1]
    assert line[one.span.column - 1 : one.span.end_column - 1] == "B4"


@pytest.mark.parametrize(
    ("read", "hint"),
    [("B03", 'add "B03"'), ("dataMask", 'add "dataMask"'), ("B4", "`B04`"), ("B08A", "`B08`")],
)
def test_a_band_that_there_is_was_not_meant_for_another(
    worker: Worker, read: str, hint: str
) -> None:
    text = script(f"return [s.{read} + s.B04 + s.B08];")
    (one,) = [one for one in remarks(look(worker, text)) if one.rule == "band-not-asked"]
    assert hint in one.hint


# What the text alone says is said of nothing that may be right.
UNTOUCHED = {
    "a member that a script gives its samples": script(
        "for (const one of s) Object.assign(one, {ndvi: one.B08 - one.B04});"
        " return [s.reduce((sum, one) => sum + one.ndvi, 0)];",
        more=TILE,
    ),
    "members by names that are put together": script(
        "for (const name of ['x', 'y']) s[name] = s.B04 + s.B08; return [s.B04 > 7 ? s.x : s.y];"
    ),
    "a name that is something else as well": script(
        "const sum = (one) => one.total === undefined ? one.B04 : one.total;"
        " const far = (one) => one.B88; if (s.B04 > 7) return [far(s) + far({B88: 1})];"
        " return [sum({total: 1}) + sum(s) + s.B08];"
    ),
    "a name of another function": script(
        "const found = [{a: 1}].map((s) => s.a); if (s.B04 > 7) return [found[0]];"
        " return [s.B04 + s.B08];"
    ),
    "no data in one value": script(
        "if (!s.length) return [NaN]; return [s[0].B04, s[0].B08];", output=TWO, more=TILE
    ),
    "a list in a list that is spread": script(
        "if (s.B04 > 7) return [...[s.B04, s.B08]]; return [s.B04, s.B08];", output=TWO
    ),
    "a list of one in the list": script("return [[s.B04 + s.B08]];"),
    "some values that are not defined": script(
        "let sum; if (s.B04 > 0.5) sum = s.B04 + s.B08; return [sum];"
    ),
    "an output by a name that is put together": script("return {[id]: [s.B04 + s.B08]};")
    + "const id = 'default';\n",
    "a value of imagery that is not made up": script(
        "let found; for (const one of s) if (one.B04 > 9000 && one.B08 === 77) found = one.B08;"
        " return [found];",
        more=TILE,
    ),
    "a function that is wrapped": script("return [s.B04];", output=TWO)
    + "const inner = evaluatePixel; evaluatePixel = (s) => inner(s).concat(s.B08);\n",
    "what stands behind the end": script(
        "if (s.B04 > 0.5) { return [s.B04]; } else { return [s.B08]; } later();"
    )
    + "function later() {}\n",
    "an end that is never come by": script(
        "if (s.B04 < 7) return [s.B04 + s.B08]; throw new Error('no reflectance');"
    ),
    "samples by a name that the request says": script(
        "const a = s.S2; if (a[0].B04 > 7) return [a[0].B08]; return [a[0].B04 + a[0].B08];"
    ),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_may_be_right_is_not_read_out_of_a_text(worker: Worker, name: str) -> None:
    found = remarks(look(worker, UNTOUCHED[name]))
    assert not found, found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What comes of a misspelt name: one band nobody reads, and one that is not asked for.
        (script("return [s.dataMsk * s.B04];", bands='["B04", "dataMask"]'), "band-not-asked"),
        (
            script(
                "const ok = s.filter((one) => one.dataMask);"
                " return ok.length ? ['B04', 'B08'].map((name) => ok[0][name]) : [0, 0];",
                more=TILE,
                output=TWO,
            ),
            "band-not-asked",
        ),
        # All that it would return is undefined.
        (script("const scene = s.SCL; return [s.dataMask];", bands='["SCL"]'), "band-not-asked"),
        (
            script("return [s.B04 + s.B08 + 7];", output='{bands: 1, sampletype: "FLOAT32"}'),
            "sample-type",
        ),
        # A list has no such function, and a sample is no list.
        (script("return [s.filter((one) => one.B04)[0].B08];"), "mosaicking"),
        (script("return [s.B04 + s.B08];", more=TILE), "mosaicking"),
        (
            script("return [s[0].B04 + s[0].B08];", more=", mosaicking: Mosaicking.ORBITS"),
            "constant",
        ),
        (
            script("const x = s.aa;\nreturn [x[0].B04 + s.b[0].VV];", bands=FUSED),
            "datasource",
        ),
        (
            script("return ['B04', 'B08'].map((name) => sum[name]);"),
            "fails",
        ),
        # It never comes to the other return.
        (
            script(
                "if (s.B04 > 0.9) return [s.B08]; total += s.B04;"
                " return {default: [total], index: [s.B08]};",
                output='[{id: "default", bands: 1}, {id: "index", bands: 1}]',
            ),
            "fails",
        ),
        (
            script("return [s[0].B04 + s[0].B08];", more=TILE)
            + "function preProcessScenes(c) { return known(c); }\n",
            "fails",
        ),
    ],
)
def test_a_fault_is_told_once(worker: Worker, text: str, expected: str) -> None:
    found = remarks(look(worker, text))
    assert [one.rule for one in found] == [expected], found


def test_a_sample_read_by_a_number_is_sure_where_one_collection_is_read(worker: Worker) -> None:
    """A request with several collections would key the samples."""
    seen = look(worker, script("return [s[0].B04 + s[0].B08];"))
    assert said(remarks(seen)) == [("warning", "mosaicking")]
    assert said(remarks(seen, alone=True)) == [("error", "mosaicking")]


def test_what_no_pixel_came_by_is_shown_where_it_stands(worker: Worker) -> None:
    text = script("if (!s.length) return [0, 0];\n  return [s[0].B04 + s[9].B03];", more=TILE)
    found = {one.rule: one.span for one in remarks(look(worker, text))}
    spans = [found["output-long"], found["band-not-asked"]]
    lines = text.splitlines()
    shown = [lines[one.line - 1][one.column - 1 : one.end_column - 1] for one in spans if one]
    assert shown == ["[0, 0]", "B03"]


# --- mutations -----------------------------------------------------------------------------

_SWAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "a band dropped": (('["B04", "B08"]', '["B08"]'), ('bands: ["B04"]', 'bands: ["B05"]')),
    "a band added": (('"B08"]', '"B08", "B11"]'), ('["VV"]', '["VV", "VH"]')),
    "a band misspelt": (("s.B08", "s.B8"), ("one.B04", "one.B4"), ("[0].B04", "[0].b04")),
    "an output more": (
        ("bands: 1,", "bands: 2,"),
        ("bands: 3}", "bands: 4}"),
        ("bands: 2,", "bands: 3,"),
    ),
    "an output less": (("bands: 3}", "bands: 2}"), ("bands: 2,", "bands: 1,")),
    "an id misspelt": (
        ('id: "index"', 'id: "indx"'),
        ("{index:", "{inx:"),
        ('datasource: "a"', 'datasource: "aa"'),
    ),
    "a type misspelt": (("sampleType", "sampletype"),),
    "mosaicking left out": ((', mosaicking: "ORBIT"', ""), (', mosaicking: "TILE"', "")),
    "mosaicking put in": (
        (
            'bands: 1, sampleType: "FLOAT32"}}',
            'bands: 1, sampleType: "FLOAT32"}, mosaicking: "ORBIT"}',
        ),
    ),
}


def mutants() -> list[tuple[str, str]]:
    made = []
    for name, text in GOOD.items():
        for change, swaps in _SWAPS.items():
            for old, new in swaps:
                if old in text:
                    made.append((f"{name}: {change} ({new})", text.replace(old, new, 1)))
    return made


def test_changes_that_break_a_script_are_seen(worker: Worker) -> None:
    """Of what people get wrong, at least 19 of 20 are said."""
    every = mutants()
    assert len(every) >= 50
    missed = []
    for name, text in every:
        if not remarks(look(worker, text)):
            missed.append(name)
    assert len(missed) <= len(every) // 20, missed


# --- collections ---------------------------------------------------------------------------


def on(worker: Worker, text: str, collection: Collection, deployment: str = "") -> list[Remark]:
    seen: Look = look(worker, text)
    return [
        one
        for given in seen.facts.inputs
        for one in remarks_on_input(given, collection, deployment=deployment, reading=seen.reading)
    ]


def test_a_band_that_the_collection_lacks_is_an_error(worker: Worker) -> None:
    text = script("return [s.B10 + s.B04];", bands='["B10", "B04"]')
    assert not on(worker, text, PUBLISHED["sentinel-2-l1c"])
    (one,) = on(worker, text, PUBLISHED["sentinel-2-l2a"])
    assert (one.severity, one.rule) == (Severity.ERROR, "band-unknown")
    assert "`B10`" in one.what


def test_a_band_that_one_deployment_lacks_is_an_error_there_alone(worker: Worker) -> None:
    text = script("return [s.CLM];", bands='["CLM"]')
    assert not on(worker, text, PUBLISHED["sentinel-2-l2a"], "sandbox")
    (one,) = on(worker, text, PUBLISHED["sentinel-2-l2a"], "cdse")
    assert "on cdse" in one.what


def test_a_band_of_the_other_level_is_named_with_it(worker: Worker) -> None:
    """A cloud probability, the nearest name, is not what was meant by classes."""
    text = script("return [s.SCL + s.B04];", bands='["B04", "SCL"]')
    found = on(worker, text, PUBLISHED["sentinel-2-l1c"])
    assert [one.hint for one in found if one.rule == "band-unknown"] == ["sentinel-2-l2a has it"]


def test_a_unit_that_a_band_does_not_have_is_an_error(worker: Worker) -> None:
    radar = script("return [s.VV];", bands='[{bands: ["VV", "dataMask"], units: "REFLECTANCE"}]')
    (one,) = on(worker, radar, PUBLISHED["sentinel-1-grd"])
    assert one.rule == "units"
    assert "LINEAR_POWER" in one.why
    mask = '[{bands: ["B04", "CLM"], units: "REFLECTANCE"}]'
    (one,) = on(worker, script("return [s.B04, s.CLM];", bands=mask), PUBLISHED["S2L2A"])
    assert "`CLM`" in one.what
    listed = '[{bands: ["B04", "CLM"], units: ["reflectance", "DN"]}]'
    assert not on(worker, script("return [s.B04, s.CLM];", bands=listed), PUBLISHED["S2L2A"])


def test_where_a_list_of_bands_may_be_incomplete_it_only_warns(worker: Worker) -> None:
    text = script("return [s.WQSF];", bands='["WQSF"]')
    (one,) = on(worker, text, PUBLISHED["sentinel-3-olci-l2"])
    assert one.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("collection", "band"),
    [
        ("landsat-8-l1c", "BQA"),
        ("landsat-etm-l1", "SZA"),
        ("landsat-etm-l2", "SR_CLOUD_QA"),
        ("landsat-mss-l1", "QA_RADSAT"),
        ("landsat-tm-l2", "ST_EMIS"),
        ("sentinel-3-olci-l2", "IWV"),
        ("sentinel-3-olci-l2", "OTCI"),
    ],
)
def test_bands_beside_the_colours_are_known(worker: Worker, collection: str, band: str) -> None:
    text = script(f"return [s.{band}];", bands=f'["{band}"]')
    assert not on(worker, text, PUBLISHED[collection])


def test_the_bands_of_a_declared_collection_are_known(worker: Worker) -> None:
    fields = own("ByocCollection/fields", "byoc-", ("B04", "NIR"))
    assert not on(worker, script("return [s.NIR];", bands='["NIR", "dataMask"]'), fields)
    (one,) = on(worker, script("return [s.B08];", bands='["B08"]'), fields)
    assert "ByocCollection/fields" in one.what


@pytest.mark.parametrize(
    ("prefix", "mosaicking", "rules"),
    [
        ("byoc-", "ORBIT", []),
        ("batch-", "ORBIT", []),
        ("zarr-", "TILE", []),
        ("zarr-", "ORBIT", ["mosaicking"]),
    ],
)
def test_of_a_collection_that_nobody_has_read_its_kind_is_known(
    worker: Worker, prefix: str, mosaicking: str, rules: list[str]
) -> None:
    text = script("return [s.length];", bands='["any"]', more=f', mosaicking: "{mosaicking}"')
    assert [one.rule for one in on(worker, text, own("x", prefix, ()))] == rules


def test_mosaicking_that_a_collection_does_not_offer_is_an_error(worker: Worker) -> None:
    text = script("return [s.length];", bands='["VV"]', more=', mosaicking: "TILE"')
    (one,) = on(worker, text, PUBLISHED["sentinel-1-grd"])
    assert one.rule == "mosaicking"


def test_mosaicking_of_a_collection_that_is_guessed_is_no_error(worker: Worker) -> None:
    text = script("return [s.length];", bands='["VV"]', more=', mosaicking: "TILE"')
    (one,) = on(worker, text, replace(PUBLISHED["sentinel-1-grd"], complete=False))
    assert said([one]) == [("warning", "mosaicking")]


def test_heights_in_the_main_output_are_outside_of_its_type(worker: Worker) -> None:
    text = script(
        "return {default: [7 + s.DEM], dataMask: [s.dataMask]};",
        bands='["DEM", "dataMask"]',
        output='[{id: "default", bands: 1}, {id: "dataMask", bands: 1}]',
    )
    assert said(remarks(look(worker, text))) == [("warning", "sample-type")]


@pytest.mark.parametrize(
    ("body", "weighs"),
    [("return other(collections);", "error"), ("return collections.none.at;", "warning")],
)
def test_a_function_that_fails_before_the_pixels_is_told(
    worker: Worker, body: str, weighs: str
) -> None:
    text = script("return [s.length];", bands='["B04"]', more=', mosaicking: "ORBIT"')
    text += f"function preProcessScenes(collections) {{ {body} }}\n"
    found = [one for one in remarks(look(worker, text)) if one.rule == "fails"]
    assert said(found) == [(weighs, "fails")]
    assert found[0].span is not None
    assert found[0].span.line == 4


@pytest.mark.parametrize(
    ("body", "kind", "is_told"),
    [
        ("return [s.B04];", "UINT8", True),
        ("return [s.B04 * 0.5];", "UINT16", True),
        ("return [s.B04];", "INT16", True),
        ("return [s.B04];", "AUTO", False),
        ("return [s.B04];", "FLOAT32", False),
        ("return [s.B04 * 255];", "UINT8", False),
        ("return [s.B04 > 0.1 ? 1 : 0];", "UINT8", False),
        ("return [Math.round(s.B04)];", "UINT8", False),
        ("return [s.B04 * 10000];", "UINT16", False),
    ],
)
def test_reflectances_leave_nothing_in_whole_numbers(
    worker: Worker, body: str, kind: str, is_told: bool
) -> None:
    text = script(body, bands='["B04"]', output=f'{{bands: 1, sampleType: "{kind}"}}')
    found = [one for one in remarks(look(worker, text)) if one.rule == "sample-type"]
    assert [one.summary for one in found] == ["Fractions in whole numbers"] * is_told
    assert all(one.severity is Severity.WARNING for one in found)


@pytest.mark.parametrize(
    ("value", "is_told"),
    [("s.canopy", False), ("s.canopy / (s.canopy + s.ground)", True), ("s.canopy / 100", False)],
)
def test_of_bands_whose_unit_nobody_knows_only_what_is_a_fraction_of_all_is_told(
    worker: Worker, value: str, *, is_told: bool
) -> None:
    text = script(
        f"return {{default: [s.canopy / 40], index: [{value}, s.ground]}};",
        bands='["canopy", "ground"]',
        output='[{id: "default", bands: 1}, {id: "index", bands: 2, sampleType: "UINT8"}]',
    )
    found = [one for one in remarks(look(worker, text)) if one.rule == "sample-type"]
    assert bool(found) is is_told, found


@pytest.mark.parametrize(("band", "is_told"), [("quality", False), ("B04", True)])
def test_digital_numbers_of_a_band_that_nobody_knows_may_be_small(
    worker: Worker, band: str, *, is_told: bool
) -> None:
    text = script(
        f"return [s.{band}];",
        bands=f'[{{bands: ["{band}"], units: "DN"}}]',
        output='{bands: 1, sampleType: "UINT8"}',
    )
    found = [one for one in remarks(look(worker, text)) if one.rule == "sample-type"]
    assert bool(found) is is_told, found


@pytest.mark.parametrize(
    ("body", "fails"),
    [
        ("return [s[0].B04 + s[0].B08];", True),
        ("return s.length ? [s[0].B04 + s[0].B08] : [NaN];", False),
        ("return [s.reduce((a, b) => (a.B04 > b.B08 ? a : b)).B04];", True),
        ("return [s.map((one) => one.B04 + one.B08).length];", False),
    ],
)
def test_a_batch_request_is_told_what_fails_without_scenes(
    worker: Worker, body: str, *, fails: bool
) -> None:
    seen = look(worker, script(body, more=TILE))
    assert not [one for one in remarks(seen) if one.rule == "fails"]
    found = [one for one in remarks(seen, analysed=True) if one.rule == "fails"]
    assert said(found) == ([("warning", "fails")] if fails else [])
