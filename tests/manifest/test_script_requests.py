"""What does not fit between an evalscript and the requests that have it: inputs that nobody reads, and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shplan.core.diagnostic import Diagnostic
from shplan.manifest.load import load
from shplan.providers.registry import PROVIDERS

PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: test}\n"
EVALSCRIPT = "apiVersion: shplan/v1\nkind: Evalscript\nmetadata: {name: a}\nspec: {file: a.js}\n"
JOB = """\
---
apiVersion: shplan/v1
kind: Process
metadata: {name: NAME}
spec:
  input:
    bounds: {bbox: [14.5, 46.0, 14.6, 46.1]}
    data: DATA
  output: {width: 100, height: 100, responses: [RESPONSES]}
  evalscript: "{{ ref('Evalscript/a') }}"
run: {output: out/NAME.tif}
"""
OPTICAL = "{type: sentinel-2-l2a}"
TWO = "{id: s2, type: sentinel-2-l2a}, {id: s1, type: sentinel-1-grd}"
TIFF = "{identifier: ID, format: {type: image/tiff}}"


def script(inputs: str, body: str, output: str = "{bands: 1, sampleType: 'FLOAT32'}") -> str:
    return (
        "//VERSION=3\n"
        f"function setup() {{ return {{input: {inputs}, output: {output}}}; }}\n"
        f"function evaluatePixel(s) {{ {body} }}\n"
    )


ONE = script("['B04']", "return [s.B04];")
FUSED = script(
    "[{datasource: 's2', bands: ['B04']}, {datasource: 's1', bands: ['VV']}]",
    "return [s.s2[0].B04 + s.s1[0].VV];",
)
SEVERAL = script(
    "['B04', 'B08']",
    "return {ndvi: [index(s.B08, s.B04)], red: [s.B04]};",
    "[{id: 'ndvi', bands: 1, sampleType: 'FLOAT32'}, {id: 'red', bands: 1, sampleType: 'FLOAT32'}]",
)


def told(root: Path, text: str, *jobs: tuple[str, str]) -> list[Diagnostic]:
    """Load a project of a script and of jobs: each the data that it reads, and the outputs that it asks for."""
    made = [
        JOB.replace("NAME", f"job{number}")
        .replace("DATA", f"[{data}]")
        .replace("RESPONSES", ", ".join(TIFF.replace("ID", one) for one in names.split()))
        for number, (data, names) in enumerate(jobs)
    ]
    (root / "manifests").mkdir()
    (root / "shplan.yaml").write_text(PROJECT)
    (root / "manifests" / "all.yaml").write_text(EVALSCRIPT + "".join(made))
    (root / "manifests" / "a.js").write_text(text)
    found = load(root, registry=PROVIDERS).diagnostics
    return [one for one in found if not one.code.startswith("run/")]


def said(found: list[Diagnostic]) -> list[tuple[str, str]]:
    return [(one.severity.value, one.code) for one in found]


@pytest.mark.parametrize(
    ("text", "data", "expected", "words"),
    [
        (ONE, OPTICAL, [], ""),
        (FUSED, TWO, [], ""),
        (ONE, TWO, [("warning", "evalscript/datasource")], 'datasource: "s2"'),
        (FUSED, OPTICAL, [("error", "evalscript/datasource")], "add `{id: s1"),
        (
            FUSED,
            "{id: s1, type: sentinel-1-grd}",
            [("error", "evalscript/datasource")],
            "add `{id: s2",
        ),
        (
            FUSED,
            f"{TWO}, {{id: dem, type: dem}}",
            [("warning", "evalscript/datasource")],
            "the input `dem`",
        ),
        # Said once: of what the script names it is told that the request has it not.
        (
            FUSED,
            TWO.replace("s1,", "radar,"),
            [("error", "evalscript/datasource")],
            "the datasource `s1`",
        ),
        (ONE, f"{TWO}, {TWO}".replace("s1", "s2"), [("warning", "request/collection")] * 3, ""),
        # Nothing has a name that the script could find it by.
        (
            FUSED,
            TWO.replace("id: s2, ", "").replace("id: s1, ", ""),
            [("error", "evalscript/datasource")] * 2,
            "write `id: s",
        ),
        # By its number, where it has no name.
        (FUSED.replace("s1", "1").replace("s.1", "s['1']"), TWO, [], ""),
    ],
)
def test_what_is_read_and_what_there_is_to_read(
    tmp_path: Path, text: str, data: str, expected: list[tuple[str, str]], words: str
) -> None:
    found = told(tmp_path, text, (data, "default"))
    assert said(found) == expected, found
    assert all(words in f"{one.what} {one.hint}" for one in found)


def test_what_does_not_fit_is_shown_in_the_script_and_in_the_manifest(tmp_path: Path) -> None:
    """One script may serve several requests, of which one reads the wrong collection."""
    text = script("['B10']", "return [s.B10];")
    (found,) = told(tmp_path, text, ("{type: sentinel-2-l1c}", "default"), (OPTICAL, "default"))
    assert found.code == "evalscript/band-unknown"
    assert found.span is not None
    assert (found.span.file, found.span.line) == ("manifests/a.js", 2)
    (place,) = found.related
    lines = (tmp_path / place.file).read_text().splitlines()
    assert lines[place.line - 1][place.column - 1 :].startswith("sentinel-2-l2a")


def test_units_of_a_collection_of_ones_own_are_known_without_its_bands(tmp_path: Path) -> None:
    text = script("[{bands: ['nir'], units: 'REFLECTANCE'}]", "return [s.nir];")
    own = "{type: byoc-7453e962-0ee5-4f74-8227-89759fbe9ba9}"
    (found,) = told(tmp_path, text, (own, "default"))
    assert (found.severity.value, found.code) == ("error", "evalscript/units")
    assert "DN" in found.why


def test_an_output_that_no_request_asks_for_is_a_hint(tmp_path: Path) -> None:
    (found,) = told(tmp_path, SEVERAL, (OPTICAL, "ndvi"))
    assert (found.severity.value, found.code) == ("hint", "evalscript/output-unasked")
    assert "`red`" in found.what
    assert found.span is not None
    assert found.span.file == "manifests/a.js"


@pytest.mark.parametrize(
    "jobs",
    [
        [(OPTICAL, "ndvi red")],
        # Each asks for one of them.
        [(OPTICAL, "ndvi"), (OPTICAL, "red")],
    ],
)
def test_outputs_that_some_request_asks_for_are_told_nothing(
    tmp_path: Path, jobs: list[tuple[str, str]]
) -> None:
    assert not told(tmp_path, SEVERAL, *jobs)


def test_outputs_for_others_are_told_nothing(tmp_path: Path) -> None:
    """Browsers of imagery and the Statistical API ask for some."""
    text = SEVERAL.replace("red", "dataMask")
    assert not told(tmp_path, text, (OPTICAL, "ndvi"))


def test_a_misspelt_response_is_told_once(tmp_path: Path) -> None:
    found = told(tmp_path, SEVERAL, (OPTICAL, "ndiv red"))
    assert said(found) == [("error", "process/request")]


def test_a_sample_that_is_taken_for_a_list_is_sure_where_one_collection_is_read(
    tmp_path: Path,
) -> None:
    text = script("['B04']", "return [s[0].B04];")
    assert said(told(tmp_path, text, (OPTICAL, "default"))) == [("error", "evalscript/mosaicking")]


def test_a_script_in_a_folded_block_is_told_what_joins_its_lines(tmp_path: Path) -> None:
    told(tmp_path, ONE, (OPTICAL, "default"))
    lines = "".join(f"    {line}\n" for line in ONE.replace("{ return", "{\n  return").splitlines())
    file = tmp_path / "manifests" / "all.yaml"
    reference = "evalscript: \"{{ ref('Evalscript/a') }}\"\n"
    whole = file.read_text()
    file.write_text(whole.replace(reference, f"evalscript: >\n{lines}"))
    (found,) = load(tmp_path, registry=PROVIDERS).diagnostics
    assert "write `|` in the place of `>`" in found.hint
    file.write_text(whole.replace(reference, f"evalscript: |\n{lines}"))
    assert not load(tmp_path, registry=PROVIDERS).diagnostics


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("Feature", "what stands at `geometry`"),
        ("FeatureCollection", "features(FILE, key=...)"),
        ("Point", "a `bbox`"),
        ("Curve", ""),
    ],
)
def test_what_stands_in_the_place_of_a_geometry(tmp_path: Path, kind: str, hint: str) -> None:
    told(tmp_path, ONE, (OPTICAL, "default"))
    file = tmp_path / "manifests" / "all.yaml"
    box, geometry = (
        "bbox: [14.5, 46.0, 14.6, 46.1]",
        "geometry: {type: KIND, coordinates: [14.5, 46.0]}",
    )
    file.write_text(file.read_text().replace(box, geometry.replace("KIND", kind)))
    found = load(tmp_path, registry=PROVIDERS).diagnostics
    (wrong,) = [one for one in found if one.code == "manifest/value"]
    assert hint in wrong.hint
    assert bool(hint) is bool(wrong.hint)
