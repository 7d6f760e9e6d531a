"""Saved plans: written, read with suspicion, shown as they were reviewed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.errors import PlanError, StalePlanError
from shplan.core.job_cost import CostInput, Features, Output, Samples, Source
from shplan.core.job_terms import batch_cost
from shplan.core.plan import Plan, plan_json
from shplan.views.plan_document import plan_of
from shplan.views.plan_text import render_plan
from shplan.views.saved_plan import load_plan, plan_schema, render_saved, save_plan
from tests.views.job_plans import SCENES
from tests.views.plans import HOLE, inputs, many_tiles

SCHEMA = Path(__file__).parents[2] / "schemas" / "output" / "plan.json"
DOCUMENT = plan_json(SCENES["first-apply"]())


def refused(document: object) -> PlanError:
    with pytest.raises(PlanError) as caught:
        load_plan(orjson.dumps(document), name="plan.json")
    return caught.value


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_save_then_load_is_identity(scene: str) -> None:
    plan = SCENES[scene]()
    assert load_plan(save_plan(plan), name="plan.json").document == plan_json(plan)


def test_the_factors_of_a_price_are_saved_with_it() -> None:
    plan = SCENES["first-apply"]()
    (first, *rest) = plan.changes
    priced = CostInput(
        (Features(215, 2004, 2004),),
        (Source(("B04",), Samples(0, 10, 30, "samples")),),
        (Output("FLOAT32", "image/tiff"),),
    )
    job = replace(plan, changes=(replace(first, cost=batch_cost(priced)), *rest))
    saved = load_plan(save_plan(job), name="plan.json").document
    assert plan_of(saved).changes[0].cost == batch_cost(priced)
    assert plan_of(plan_json(plan)).changes[0].cost == first.cost


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_saving_twice_gives_the_same_bytes(scene: str) -> None:
    assert save_plan(SCENES[scene]()) == save_plan(SCENES[scene]())


# What a document does not hold: where something was moved from, the whole of a refusal, and
# what is counted of resources that do not change.
REFUSED = {"stopped", "job-outcome-unknown", "job-places-taken", "job-too-dear"}
NOT_WHOLE = {
    "image-outcome-unknown",
    "image-runs",
    "imports",
    "found-again",
    "nothing-to-do",
    "job-running",
    *REFUSED,
}


@pytest.mark.parametrize("scene", sorted(set(SCENES) - NOT_WHOLE))
def test_what_is_shown_is_what_was_reviewed(scene: str) -> None:
    plan = SCENES[scene]()
    reviewed = render_plan(plan, width=100, color=False, next_step=False)
    saved = load_plan(save_plan(plan), name="plan.json")
    shown = render_saved(saved, width=100, color=False)
    told = [line for line in reviewed.splitlines() if not line.startswith("Tiles: ")]
    assert [line for line in told if line not in shown.splitlines()] == []


def test_a_saved_plan_says_where_it_comes_from_and_how_it_is_applied() -> None:
    plan = Plan(inputs(environment="prod", commit="0123456789abcdef"), many_tiles(12).changes)
    saved = load_plan(save_plan(plan), name="out/my plan.json")
    first, *lines = render_saved(saved, width=100, color=False).splitlines()
    assert first == f"Saved plan {plan.digest}"
    assert lines[:2] == [
        "  project farm, environment prod (sandbox:1f0c)",
        "  made by shplan 0.1.0, commit 0123456789ab, ledger at sha256:46886db0a900",
    ]
    assert lines[-1] == "  shplan apply 'out/my plan.json'"


def test_a_plan_that_is_refused_is_not_offered() -> None:
    saved = load_plan(save_plan(SCENES["stopped"]()), name="plan.json")
    shown = render_saved(saved, width=100, color=False)
    assert "shplan apply plan.json" not in shown
    assert "error[plan/budget]" in shown


def test_no_secret_is_saved() -> None:
    told = save_plan(SCENES["unknown-and-secret"]()).decode()
    assert "env:CATALOG_TOKEN" in told  # where it comes from, never what it is
    assert HOLE.template in told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[1]", "its root"),
        (b"{}", "format: field required"),
        (b'{"format": 2}', "it has format 2; this version reads format 1"),
        (b'{"apiVersion": "shplan/v1"}', "format: field required"),
    ],
)
def test_what_is_no_plan_is_named(content: bytes, why: str) -> None:
    with pytest.raises(PlanError) as caught:
        load_plan(content, name="plan.json")
    (diagnostic,) = caught.value.diagnostics
    assert why in diagnostic.what
    assert diagnostic.what.startswith("plan.json cannot be applied: ")
    assert diagnostic.hint


def _other_request(one: dict[str, Any]) -> None:
    one["changes"][0]["requests"][0]["body"]["name"] = "Other"


def _other_tile(one: dict[str, Any]) -> None:
    one["changes"][1]["members"][0]["request"]["body"]["path"] = "other"


def _dropped_tile(one: dict[str, Any]) -> None:
    one["changes"][1]["members"].pop()


def _dropped_change(one: dict[str, Any]) -> None:
    one["changes"].pop()


def _swapped(one: dict[str, Any]) -> None:
    one["changes"].reverse()


def _protection(one: dict[str, Any]) -> None:
    one["changes"][0]["preventDestroy"] = True


def _environment(one: dict[str, Any]) -> None:
    one["inputs"]["environment"] = "prod"


def _head(one: dict[str, Any]) -> None:
    one["inputs"]["ledgerHead"] = "sha256:0"


def _digest(one: dict[str, Any]) -> None:
    one["digest"] = "sha256:0"


@pytest.mark.parametrize(
    "edit",
    [
        _other_request,
        _other_tile,
        _dropped_tile,
        _dropped_change,
        _swapped,
        _protection,
        _environment,
        _head,
        _digest,
    ],
)
def test_what_was_changed_after_the_review_is_refused(edit: Callable[[Any], None]) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    edit(document)
    assert isinstance(refused(document), StalePlanError)


@pytest.mark.parametrize("place", [b'{\n  "changes": [', b'"address": '])
def test_what_is_said_twice_is_refused(place: bytes) -> None:
    """Our reader takes the last of two, and has the digest of it; a reviewer's may show the first."""
    content = save_plan(plan_of(DOCUMENT))
    name = place.split(b'"')[1]
    assert place in content
    doubled = content.replace(place, place.replace(b'"', b'"%s": [], "' % name, 1), 1)
    with pytest.raises(StalePlanError, match=f"'{name.decode()}' twice"):
        load_plan(doubled, name="plan.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("more",), 1),
        (("inputs", "more"), 1),
        (("inputs", "destroy"), "false"),
        (("summary", "resources"), "2"),
        (("changes", 0, "address"), "fields"),
        (("changes", 0, "action"), "explode"),
        (("changes", 0, "reason", "code"), "whim"),
        (("changes", 0, "source"), "fields.yaml"),
        (("changes", 0, "cost", "maximum"), None),
        (("unchanged",), ["x"]),
    ],
)
def test_what_has_not_the_form_is_named_by_its_place(place: tuple[Any, ...], value: object) -> None:
    document: Any = json.loads(json.dumps(DOCUMENT))
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    error = refused(document)
    assert not isinstance(error, StalePlanError)
    assert ".".join(str(step) for step in place) in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.data())
def test_a_foreign_document_is_refused_and_never_a_bug(data: st.DataObject) -> None:
    """Any part of a plan replaced by any JSON: either it is the same plan, or a message."""
    document: Any = json.loads(json.dumps(DOCUMENT))
    inner, steps = document, []
    while isinstance(inner, dict | list) and inner:
        keys = sorted(inner) if isinstance(inner, dict) else range(len(inner))
        step = data.draw(st.sampled_from(list(keys)))
        steps.append((inner, step))
        inner = inner[step]
        if data.draw(st.booleans()):
            break
    holder, key = steps[-1]
    holder[key] = data.draw(JSON)
    shown = shown_or_refused(json.dumps(document).encode())
    assert DOCUMENT["digest"] in shown or "plan.json" in shown


def shown_or_refused(content: bytes) -> str:
    try:
        saved = load_plan(content, name="plan.json")
    except PlanError as error:
        return error.diagnostics[0].what
    return render_saved(saved, width=100, color=False).splitlines()[0]


@pytest.mark.parametrize("number", [b"1e400", b"1" + b"0" * 400, b"-0.0", b"1e300"])
@pytest.mark.parametrize("place", [b'"maximum": 1.0', b'"resources": 2', b'"update": 0'])
def test_a_number_that_nothing_can_hold_is_no_bug(number: bytes, place: bytes) -> None:
    content = save_plan(SCENES["first-apply"]())
    assert place in content
    name, _, _ = place.partition(b":")
    assert shown_or_refused(content.replace(place, name + b": " + number))


def test_a_document_that_is_nested_without_end_is_refused() -> None:
    body = b"[" * 900 + b"]" * 900
    content = orjson.dumps(DOCUMENT).replace(b'"acme-fields"', body)
    with pytest.raises(PlanError):
        load_plan(content, name="plan.json")


def test_the_schema_is_the_committed_one() -> None:
    """Programs read plans: their form is public."""
    made = orjson.dumps(
        plan_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )
    if os.environ.get("SHPLAN_GOLDEN"):
        SCHEMA.parent.mkdir(exist_ok=True)
        SCHEMA.write_bytes(made)
    assert made == SCHEMA.read_bytes()


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_plan_fits_the_schema(scene: str) -> None:
    jsonschema.Draft202012Validator(plan_schema()).validate(plan_json(SCENES[scene]()))


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(plan_schema())
    assert not validator.is_valid({**DOCUMENT, "more": 1})
    assert not validator.is_valid({**DOCUMENT, "format": 2})
