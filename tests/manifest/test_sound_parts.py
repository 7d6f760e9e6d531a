"""Of a document that its schema refuses the rest is checked: whatever is wrong with it, and nothing that follows."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.value import Unknown
from shplan.manifest.load import load
from shplan.manifest.sound_parts import sound_parts
from shplan.manifest.validate import violations
from shplan.providers.registry import PROVIDERS

EXAMPLES = Path(__file__).parents[2] / "examples"
PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: farm}\n"


def _documents() -> dict[str, list[Any]]:
    """The manifests of the examples by kind, as they are written."""
    found: dict[str, list[Any]] = {}
    for path in sorted(EXAMPLES.glob("*/manifests/**/*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("kind") in PROVIDERS:
                found.setdefault(document["kind"], []).append(document)
    return found


DOCUMENTS = _documents()


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = node.items() if isinstance(node, dict) else enumerate(node)
    for step, member in members:
        yield (*path, step)
        if isinstance(member, dict | list):
            yield from _places(member, (*path, step))


def _told(document: Any) -> set[str]:
    with tempfile.TemporaryDirectory() as home:
        root = Path(home)
        (root / "shplan.yaml").write_text(PROJECT)
        (root / "manifests").mkdir()
        (root / "manifests" / "all.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        found = load(root, registry=PROVIDERS).diagnostics
    return {one.summary for one in found}


def test_every_kind_has_an_example() -> None:
    assert set(DOCUMENTS) == set(PROVIDERS)


WRONG = st.sampled_from([{}, [], {"a": 1}, [[]], -7, 3.5, True, None, "", "text", "1e9"])


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A manifest of an example with a few values exchanged, left out, or called otherwise."""
    document = copy.deepcopy(
        draw(st.sampled_from(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))]))
    )
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path in _places(document) if path[0] in ("spec", "run", "metadata")]
        places = [path for path in places if path != ("metadata", "name")]
        if not places:
            break
        *above, last = draw(st.sampled_from(places))
        node = document
        for step in above:
            node = node[step]
        how = draw(st.sampled_from(["value", "gone", "name"]))
        if how == "value":
            node[last] = copy.deepcopy(draw(WRONG))
        elif how == "gone" or isinstance(node, list):
            del node[last]
        else:
            node[f"{last}x"] = node.pop(last)
    return document


@settings(max_examples=250, deadline=None)
@given(spoilt())
def test_a_spoilt_manifest_is_told_and_never_stumbled_over(document: Any) -> None:
    _told(document)
    kind, fresh = document["kind"], set[int]()
    wrong = violations(kind, document, subject="it", fresh=fresh)
    found = sound_parts(kind, document, wrong, subject="it", fresh=fresh) if wrong else None
    if found is not None:
        assert violations(kind, found, subject="it", fresh=fresh) == []


def body(**more: Any) -> Any:
    return {
        "apiVersion": "shplan/v1",
        "kind": "Process",
        "metadata": {"name": "picture"},
        "spec": {
            "input": {
                "bounds": {"bbox": [14.5, 46.05, 14.6, 46.1]},
                "data": [{"type": "sentinel-2-l2a"}, {"type": "sentinel-2-l1c"}],
            },
            "output": {"width": 100, "height": 100},
            "evalscript": "//VERSION=3",
            **more,
        },
        "run": {"output": "out.png"},
    }


def _sound(document: Any) -> Any:
    fresh: set[int] = set()
    wrong = violations("Process", document, subject="it", fresh=fresh)
    assert wrong
    return sound_parts("Process", document, wrong, subject="it", fresh=fresh)


def test_faults_of_form_and_of_meaning_are_told_together() -> None:
    script = "//VERSION=3\nfunction setup() { return {input: ['B04'], output: {bands: 1}}; }"
    script += "function evaluatePixel(sample) { return [sample.B04]; }"
    area = {"bounds": {"bbox": [14.6, 46.05, 14.5, 46.1]}, "data": [{"type": "sentinel-2-l2a"}]}
    sized = {"width": 0, "height": 100}
    told = _told(body(output=sized, nonsense=1, input=area, evalscript=script))
    assert told == {"Value not allowed", "Field unknown", "Box without an area"}


UNKNOWN = Unknown("", "", ())


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"output": {"width": 0, "height": 100}}, {"output": {"width": UNKNOWN, "height": 100}}),
        ({"output": {"widht": 90, "height": 100}}, {"output": {"width": 90, "height": 100}}),
        ({"nonsense": 1}, {}),
        ({"output": 7}, {"output": UNKNOWN}),
        (
            {"output": {"width": "wide", "height": 0, "unheard": 1}},
            {"output": {"width": UNKNOWN, "height": UNKNOWN}},
        ),
    ],
)
def test_what_is_wrong_is_not_known_misspelt_or_left_out(change: Any, wanted: Any) -> None:
    assert _sound(body(**change)) == body(**wanted)


def test_what_is_lacking_is_not_known() -> None:
    document = body()
    del document["spec"]["evalscript"]
    assert _sound(document) == body(evalscript=UNKNOWN)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        # What stands there already stays, and decides.
        ({"width": 100}, {}),
        (
            {"width": 100, "output": {"height": 100}},
            {"output": {"width": UNKNOWN, "height": 100}},
        ),
        ({"mosaickingOrder": "leastCC"}, {}),
    ],
)
def test_the_place_of_a_field_that_stands_elsewhere_is_not_known(change: Any, wanted: Any) -> None:
    assert _sound(body(**change)) == body(**wanted)


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ("out.png", {"output": UNKNOWN}),
        (["out.png"], {"output": UNKNOWN}),
        ({}, {"output": UNKNOWN}),
        ({"output": 7, "maxPu": "much"}, {"output": UNKNOWN}),
        ({"output": "out.png", "maxpu": 5}, {"output": "out.png", "maxPu": 5}),
        ({"output": {"file": 7}}, {"output": {"file": UNKNOWN}}),
    ],
)
def test_what_is_wrong_in_the_options_of_a_job_leaves_its_request(run: Any, wanted: Any) -> None:
    assert _sound({**body(), "run": run}) == {**body(), "run": wanted}


def test_options_of_a_job_in_its_request_are_not_known() -> None:
    document = body(run={"output": "out.png"})
    del document["run"]
    assert _sound(document) == {**body(), "run": {"output": UNKNOWN}}
    assert _sound({**body(), "maxPu": 5})["run"] == {"output": "out.png", "maxPu": UNKNOWN}


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (5, {"Value of the wrong type"}),
        ({"maxPu": 5}, {"Field missing"}),
        ({"output": 5}, {"Value of the wrong type"}),
    ],
)
def test_a_fault_in_the_options_of_a_job_hides_none_of_its_request(
    run: Any, told: set[str]
) -> None:
    area = {"bounds": {"bbox": [14.6, 46.05, 14.5, 46.1]}, "data": [{"type": "sentinel-2-l2a"}]}
    document = {**body(input=area), "run": run}
    del document["spec"]["evalscript"]
    assert _told(document) == {"Box without an area", "Field missing", *told}


def test_options_that_are_no_mapping_name_no_version_of_an_api() -> None:
    (document, *_) = copy.deepcopy(DOCUMENTS["BatchProcess"])
    document["run"] = "v1"  # Expressions of the request are told as well.
    wrong = violations("BatchProcess", document, subject="it", fresh=set())
    assert [one.path for one in wrong if one.at_key or one.path == ("run",)] == [("run",)]
