"""Evalscripts while manifests are loaded: their text, their facts, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

import shplan.script
from shplan.core.address import Address
from shplan.core.diagnostic import Severity, has_errors
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.resource import Desired
from shplan.manifest.load import Loaded, load
from shplan.providers.registry import PROVIDERS

PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: test}\n"
SCRIPT = """\
//VERSION=3
function setup() {
  return {
    input: [{bands: ["B04", "B08"], datasource: "a"}, {bands: ["VV"], datasource: "b"}],
    output: [{id: "ndvi", bands: 1, sampleType: "FLOAT32"}, {id: "mask", bands: 1}],
    mosaicking: "ORBIT",
  };
}
function evaluatePixel(samples) {
  const red = samples.a.map((one) => Object.values(one)[0]);
  return {ndvi: [Math.max(...red)], mask: [samples.b.some((one) => one.VV > 0) ? 1 : 0]};
}
"""
EVALSCRIPT = """\
apiVersion: shplan/v1
kind: Evalscript
metadata: {name: ndvi}
spec: {file: ../ndvi.js}
"""
JOB = """\
---
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: NAME}
spec:
  processRequest:
    input:
      bounds: {bbox: [14.5, 46.0, 14.6, 46.1]}
      data: [{type: sentinel-2-l2a, id: a}, {type: sentinel-1-grd, id: b}]
    output: {responses: [{identifier: ndvi, format: {type: image/tiff}}, {identifier: mask, format: {type: image/tiff}}]}
    evalscript: "{{ ref('Evalscript/ndvi') }}"
  input: {type: tiling-grid, id: 0, resolution: 10}
  output:
    type: raster
    delivery: {s3: {url: "s3://b/{{ run.key }}", iamRoleARN: "arn:aws:iam::1:role/r"}}
"""


def loaded(root: Path, manifest: str, script: str | None = SCRIPT) -> Loaded:
    (root / "manifests").mkdir()
    (root / "shplan.yaml").write_text(PROJECT)
    (root / "manifests" / "a.yaml").write_text(manifest)
    if script is not None:
        (root / "ndvi.js").write_text(script)
    return load(root, registry=PROVIDERS)


def resource(found: Loaded, address: str) -> Desired:
    (one,) = [one for one in found.resources if str(one.address) == address]
    return one


def test_a_reference_to_a_script_is_its_text_and_a_dependency(tmp_path: Path) -> None:
    found = loaded(tmp_path, EVALSCRIPT + JOB.replace("NAME", "a"))
    assert not found.diagnostics
    job = resource(found, "BatchProcess/a")
    assert job.spec["processRequest"]["evalscript"] == SCRIPT  # type: ignore[index, call-overload]
    assert [one.address for one in job.references] == [Address("Evalscript", "ndvi")]
    assert "ndvi.js" in found.files


def test_a_job_knows_what_its_script_asks_for_and_gives(tmp_path: Path) -> None:
    found = loaded(tmp_path, EVALSCRIPT + JOB.replace("NAME", "a"))
    assert resource(found, "BatchProcess/a").script == ScriptShape(
        inputs=(
            ScriptInput("a", ("B04", "B08"), "ORBIT"),
            ScriptInput("b", ("VV",), "ORBIT"),
        ),
        outputs=(ScriptOutput("ndvi", 1, "FLOAT32"), ScriptOutput("mask", 1, "AUTO", (), False)),
    )
    assert resource(found, "Evalscript/ndvi").script is None


def test_a_script_is_looked_at_once_however_many_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    class Counted(shplan.script.Worker):
        def facts(self, text: str) -> shplan.script.ScriptFacts:
            looks.append(text)
            return super().facts(text)

    monkeypatch.setattr(shplan.script, "Worker", Counted)
    jobs = "".join(JOB.replace("NAME", f"job{n}") for n in range(20))
    assert not loaded(tmp_path, EVALSCRIPT + jobs).diagnostics
    assert looks == [SCRIPT]


def test_a_project_without_scripts_starts_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shplan.script, "Worker", None)
    manifest = "apiVersion: shplan/v1\nkind: ByocCollection\nmetadata: {name: a}\nspec: {name: A, s3Bucket: a}\n"
    assert not loaded(tmp_path, manifest).diagnostics


def test_each_instance_has_its_own_file(tmp_path: Path) -> None:
    for name, bands in (("one", '["B02"]'), ("two", '["B03", "B04"]')):
        (tmp_path / f"{name}.js").write_text(SCRIPT.replace('["B04", "B08"]', bands))
    many = EVALSCRIPT.replace("{name: ndvi}", "{name: ndvi, forEach: {which: [one, two]}}")
    many = many.replace("../ndvi.js", '"../{{ each.which }}.js"')
    job = JOB.replace("{name: NAME}", "{name: a, forEach: {which: [one, two]}}")
    job = job.replace("ref('Evalscript/ndvi')", "ref('Evalscript/ndvi')[each.which]")
    found = loaded(tmp_path, many + job, None)
    assert not found.diagnostics
    for name, bands in (("one", ("B02",)), ("two", ("B03", "B04"))):
        shape = resource(found, f"BatchProcess/a[{name}]").script
        assert shape is not None
        assert shape.inputs[0].bands == bands


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("function setup() {", "function setup() {{", "evalscript/syntax", "ndvi.js:12"),
        ("  return {", "  retrn {", "evalscript/syntax", "ndvi.js:3:9"),
        ("  return {", "  while (true) {}\n  return {", "evalscript/timeout", "ndvi.js:2"),
        ("//VERSION=3", "//VERSION=2", "evalscript/version", "ndvi.js:1"),
        ("function evaluatePixel", "function evaluate", "evalscript/missing", "ndvi.js:9:10"),
        ("  return {", "  missing();\n  return {", "evalscript/runtime", "ndvi.js:3:3"),
        ("bands: 1, sampleType", "bands: 'many', sampleType", "evalscript/shape", "ndvi.js:5:27"),
    ],
)
def test_a_fault_is_told_once_with_its_place_in_the_script(
    tmp_path: Path, old: str, new: str, code: str, place: str
) -> None:
    jobs = JOB.replace("NAME", "a") + JOB.replace("NAME", "b")
    (fault,) = loaded(tmp_path, EVALSCRIPT + jobs, SCRIPT.replace(old, new)).diagnostics
    assert fault.code == code
    assert str(fault.span).startswith(place)


def test_a_fault_of_a_script_in_the_manifest_has_its_place_there(tmp_path: Path) -> None:
    inline = JOB.replace("NAME", "a").replace(
        "\"{{ ref('Evalscript/ndvi') }}\"", "|\n      //VERSION=3\n      function setup() {"
    )
    (fault,) = loaded(tmp_path, inline, None).diagnostics
    assert fault.code == "evalscript/syntax"
    assert str(fault.span) == "manifests/a.yaml:13:7"


def test_a_script_that_refers_to_itself_is_said_to(tmp_path: Path) -> None:
    circle = EVALSCRIPT.replace("../ndvi.js", "\"{{ ref('Evalscript/ndvi') }}\"")
    found = loaded(tmp_path, circle + JOB.replace("NAME", "a"))
    assert [one.code for one in found.diagnostics] == ["manifest/cycle"]


def test_a_missing_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    (fault,) = loaded(tmp_path, EVALSCRIPT + JOB.replace("NAME", "a"), None).diagnostics
    assert (fault.code, str(fault.span)) == ("manifest/file", "manifests/a.yaml:4:14")


@pytest.mark.parametrize(
    "text",
    [
        "return [B08 / B04];",
        "//VERSION=3\nlet ndvi = index(B08, B04);\nif (ndvi > 1) return [1];\nreturn [Math.sqrt(ndvi)];",
        SCRIPT.removeprefix("//VERSION=3\n"),
        "/* Vegetation. */\n" + SCRIPT,
    ],
    ids=["simple", "simple of version 3", "no version", "version below"],
)
def test_a_script_beside_the_jobs_may_be_one_for_single_images(tmp_path: Path, text: str) -> None:
    """Published scripts are kept as they are; only a job needs version 3 with setup()."""
    assert not has_errors(loaded(tmp_path, EVALSCRIPT, text).diagnostics)
    for used in (JOB.replace("NAME", "a"), JOB.replace("NAME", "a") + JOB.replace("NAME", "b")):
        (tmp_path / "manifests" / "a.yaml").write_text(EVALSCRIPT + used)
        diagnostics = load(tmp_path, registry=PROVIDERS).diagnostics
        (said,) = (one for one in diagnostics if one.severity is Severity.ERROR)
        assert said.code in ("evalscript/missing", "evalscript/version")
        assert said.span is not None
        assert said.span.file == "ndvi.js"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("return [B08 / ];", "syntax"),
        ("function setup(ds) { setInputComponents([ds.B04]); }", "version"),
        ("//VERSION=2\nfunction setup(ds) { return {components: [ds.B04]}; }", "version"),
        ("function evaluatePixel(s) { return [s.B04]; }", "version"),
        (
            '//VERSION=3\nfunction setup() { return {input: ["B04"], output: {bands: 1}}; }',
            "missing",
        ),
        ("", "version"),
        (SCRIPT.removeprefix("//VERSION=3\n").replace('"B04"', "B04"), "runtime"),
    ],
)
def test_a_script_that_renders_nothing_is_told_once(tmp_path: Path, text: str, code: str) -> None:
    jobs = JOB.replace("NAME", "a") + JOB.replace("NAME", "b")
    for manifest in (EVALSCRIPT, EVALSCRIPT + jobs):
        (tmp_path / "manifests").mkdir(exist_ok=True)
        (tmp_path / "shplan.yaml").write_text(PROJECT)
        (tmp_path / "ndvi.js").write_text(text)
        (tmp_path / "manifests" / "a.yaml").write_text(manifest)
        (said,) = load(tmp_path, registry=PROVIDERS).diagnostics
        assert (said.code, said.address) == (f"evalscript/{code}", "Evalscript/ndvi")


@pytest.mark.parametrize(
    ("old", "new", "code", "hint"),
    [
        ('sampleType: "FLOAT32"', 'sampleType: "FLOAT64"', "evalscript/shape", "`FLOAT32`"),
        ('mosaicking: "ORBIT"', 'mosaicking: "ORBITS"', "evalscript/shape", "`ORBIT`"),
        ('sampleType: "FLOAT32"', 'sampleType: "COMPLEX"', "evalscript/shape", ""),
    ],
)
def test_a_value_that_a_setup_cannot_have_is_told_the_nearest(
    tmp_path: Path, old: str, new: str, code: str, hint: str
) -> None:
    (fault,) = loaded(tmp_path, EVALSCRIPT, SCRIPT.replace(old, new)).diagnostics
    assert fault.code == code
    assert hint in fault.hint
    assert bool(hint) == bool(fault.hint)


def test_a_script_of_the_first_version_is_not_told_to_say_another(tmp_path: Path) -> None:
    older = (
        "function setup(ds) { setInputComponents([ds.B04]); setOutputComponentCount(1); }\n"
        "function evaluatePixel(samples) { return [samples[0].B04]; }\n"
    )
    (fault,) = loaded(tmp_path, EVALSCRIPT, older).diagnostics
    assert fault.code == "evalscript/version"
    assert "version 1 or 2" in fault.what
    assert fault.hint.startswith("rewrite it")


@pytest.mark.parametrize(
    ("old", "new", "code", "hint"),
    [
        (
            "function evaluatePixel",
            "/* soon\nfunction evaluatePixel",
            "syntax",
            "close the comment",
        ),
        (
            SCRIPT,
            (
                "//VERSION=3 \\n function setup() { return {input: ['B04'], output: {bands: 1}}; }\n"
                "function evaluatePixel(sample) { return [sample.B04]; }\n"
            ),
            "missing",
            "what follows on it is a comment",
        ),
        (
            "function evaluatePixel",
            "const weights = new Float32Array([1]);\nfunction evaluatePixel",
            "runtime",
            "write a list",
        ),
    ],
)
def test_what_was_meant_is_the_hint(
    tmp_path: Path, old: str, new: str, code: str, hint: str
) -> None:
    text = SCRIPT.replace(old, new)
    faults = loaded(tmp_path, EVALSCRIPT, text).diagnostics
    assert [one.code for one in faults] == [f"evalscript/{code}"]
    assert hint in faults[0].hint
