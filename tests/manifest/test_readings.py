"""Loading with what data kinds give: a function of files and answers, called until it asks no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shplan.core.address import Address
from shplan.core.catalog_items import Findings
from shplan.core.diagnostic import Severity, has_errors
from shplan.core.reading import Reading
from shplan.manifest.load import Loaded, Order, load_as
from shplan.providers.registry import PROVIDERS

SCENES = Address("CatalogSearch", "scenes")
MORE = Address("CatalogSearch", "more")
TIME = "2025-06-01T00:00:00Z/2025-06-30T00:00:00Z"


def manifest(kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    header = {"apiVersion": "shplan/v1", "kind": kind, "metadata": {"name": name, **metadata}}
    return {**header, "spec": spec}


def search(name: str = "scenes", **spec: Any) -> dict[str, Any]:
    return manifest(
        "CatalogSearch", name, {"collections": ["sentinel-2-l2a"], "datetime": TIME, **spec}
    )


def collection(name: str, title: str, **metadata: Any) -> dict[str, Any]:
    return manifest("ByocCollection", name, {"name": title, "s3Bucket": "b"}, **metadata)


@pytest.fixture
def project(tmp_path: Path) -> Any:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "shplan.yaml").write_text(
        "{apiVersion: shplan/v1, kind: Project, metadata: {name: p}, spec: {}}\n"
    )

    def written(*documents: dict[str, Any]) -> Order:
        text = yaml.safe_dump_all(documents, sort_keys=False)
        (tmp_path / "manifests" / "all.yaml").write_text(text)
        return Order(tmp_path, PROVIDERS)

    return written


def answer(*ids: str) -> dict[str, Any]:
    items = [
        {"id": one, "properties": {"datetime": f"2025-06-{n + 1:02d}T00:00:00Z"}}
        for n, one in enumerate(ids)
    ]
    return Findings.of(items).as_json()


def given(loaded: Loaded, answers: dict[Address, dict[str, Any]]) -> dict[Address, Reading]:
    """Answer what was asked, as the service would."""
    return {
        **loaded.order.readings,
        **{
            one.address: Reading(one.digest, answers[one.address])
            for one in loaded.questions
            if one.is_asked
        },
    }


def again(loaded: Loaded, readings: dict[Address, Reading]) -> Loaded:
    return load_as(replace(loaded.order, readings=readings))


def spec_of(loaded: Loaded, address: str) -> Any:
    return next(one.spec for one in loaded.resources if str(one.address) == address)


OF_EACH = collection(
    "each", "scene {{ each.key }}", forEach="{{ ref('CatalogSearch/scenes').byId }}"
)


def test_it_asks_and_is_loaded_again_with_the_answer(project: Any) -> None:
    first = load_as(project(search(), OF_EACH))
    assert [one.address for one in first.questions if one.is_asked] == [SCENES]
    assert [one.code for one in first.diagnostics] == ["manifest/known-later"]
    assert first.diagnostics[0].severity is Severity.WARNING
    second = again(first, given(first, {SCENES: answer("b", "a")}))
    assert second.diagnostics == ()
    assert not any(one.is_asked for one in second.questions)
    assert [str(one.address) for one in second.resources] == [
        "ByocCollection/each[a]",
        "ByocCollection/each[b]",
        "CatalogSearch/scenes",
    ]
    # The order of a later apply, and the arrows of the graph.
    assert {str(one.references[0].address) for one in second.resources[:2]} == {str(SCENES)}


def test_data_may_depend_on_data(project: Any) -> None:
    order = project(
        search(),
        search("more", ids="{{ ref('CatalogSearch/scenes').ids }}"),
        collection("named", "found {{ ref('CatalogSearch/more').count }}"),
    )
    loaded = load_as(order)
    asked = []
    while ready := [one.address for one in loaded.questions if one.is_asked]:
        asked.append(ready)
        loaded = again(loaded, given(loaded, {SCENES: answer("a", "b"), MORE: answer("c")}))
    assert asked == [[SCENES], [MORE]]
    assert spec_of(loaded, str(MORE))["ids"] == ["a", "b"]
    assert spec_of(loaded, "ByocCollection/named")["name"] == "found 1"


def test_an_answer_to_another_question_is_no_answer(project: Any) -> None:
    first = load_as(project(search()))
    readings = given(first, {SCENES: answer("a")})
    other = replace(project(search(bbox=[1, 2, 3, 4])), readings=readings)
    assert [one.is_asked for one in load_as(other).questions] == [True]


def test_the_same_files_and_answers_give_the_same(project: Any) -> None:
    first = load_as(project(search(), OF_EACH))
    readings = given(first, {SCENES: answer("a", "b", "c")})
    one, two = again(first, readings), again(first, readings)
    assert [(r.address, r.spec) for r in one.resources] == [
        (r.address, r.spec) for r in two.resources
    ]


def test_what_instances_say_is_checked_before_they_are_known(project: Any) -> None:
    wrong = collection("each", "x", forEach="{{ ref('CatalogSearch/scenes').byId }}")
    wrong["spec"]["s3Buckett"] = "{{ each.value.id }}"
    loaded = load_as(project(search(), wrong))
    assert "manifest/unknown-field" in {one.code for one in loaded.diagnostics}


def test_keys_that_nobody_made_known_are_an_error(project: Any) -> None:
    """Offline they may come to be known; when all was read that could be, they are not."""
    order = project(
        search("scenes", collections=["byoc-{{ ref('ByocCollection/own').id }}"]),
        collection("own", "own"),
        OF_EACH,
    )
    assert not has_errors(load_as(order).diagnostics)
    settled = load_as(replace(order, settled=True))
    assert "manifest/for-each" in {one.code for one in settled.diagnostics}


def test_references_to_instances_that_are_not_known_wait(project: Any) -> None:
    by_name = collection(
        "by", "{{ ref('ByocCollection/each[a]').id }}", dependsOn=["ByocCollection/each"]
    )
    loaded = load_as(project(search(), OF_EACH, by_name))
    assert not has_errors(loaded.diagnostics)
    known = again(loaded, given(loaded, {SCENES: answer("b")}))
    (told,) = [one for one in known.diagnostics if one.severity is Severity.ERROR]
    assert "has no instance `a`" in told.what


def test_a_search_that_needs_itself_is_a_cycle(project: Any) -> None:
    order = project(search(ids="{{ ref('CatalogSearch/scenes').ids }}"))
    assert "manifest/cycle" in {one.code for one in load_as(order).diagnostics}


def test_a_pin_that_is_missing_names_the_command(project: Any) -> None:
    (told,) = load_as(project(search(pin=True))).diagnostics
    assert (told.code, told.hint) == ("manifest/pin", "shplan pull CatalogSearch/scenes")
    assert not load_as(replace(project(search(pin=True)), pulling=True)).diagnostics


def test_many_items_in_many_manifests_cost_what_they_must(project: Any) -> None:
    """A thousand instances that each look one of a thousand items up."""
    many = collection("each", "{{ ref('CatalogSearch/scenes').byId[each.key].id }}")
    many["metadata"]["forEach"] = "{{ ref('CatalogSearch/scenes').byId }}"
    first = load_as(project(search(), many))
    ids = tuple(f"s{number:04d}" for number in range(1000))
    items = [
        {
            "id": one,
            "properties": {"datetime": TIME[:20]},
            "geometry": {"type": "Point", "coordinates": [1, 2]},
        }
        for one in ids
    ]
    loaded = again(first, given(first, {SCENES: Findings.of(items).as_json()}))
    assert loaded.diagnostics == ()
    assert len(loaded.resources) == 1001


def test_the_names_of_what_data_gives_are_known_offline(project: Any) -> None:
    wrong = collection("named", "{{ ref('CatalogSearch/scenes').item }}")
    (told,) = load_as(project(search(), wrong)).diagnostics
    assert (told.code, told.hint) == ("manifest/undefined", "did you mean `items`?")
