"""The derived schemas of the whole service are valid, complete and point at the right branch."""

from __future__ import annotations

from collections.abc import Callable

import jsonschema
import jsonschema_rs
import pytest

from shplan.schema import store
from shplan.schema.choose import choose
from shplan.schema.compose import closed
from shplan.schema.derive import FAMILIES, files
from shplan.schema.flatten import flatten
from shplan.schema.tree import JsonValue, Schema, as_object, as_text, references
from tests.schema.support import client_body, derived, extract, faults, paths


def _operation_ids() -> list[str]:
    found = (as_object(item).values() for item in as_object(extract()["paths"]).values())
    return sorted(
        as_text(as_object(operation)["operationId"]) for item in found for operation in item
    )


def test_every_operation_of_the_document_is_there() -> None:
    assert sorted(derived().operations) == _operation_ids()


@pytest.mark.parametrize("family", sorted(family for _, family, _ in FAMILIES))
def test_each_family_is_a_valid_self_contained_schema(family: str) -> None:
    schema = as_object(files(derived())[f"api/{family}.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    defs = as_object(schema["$defs"])
    assert defs
    assert {target.removeprefix("#/$defs/") for target in references(schema)} <= set(defs)


@pytest.mark.parametrize("operation_id", _operation_ids())
def test_each_body_and_parameter_compiles(operation_id: str) -> None:
    operation = store.operations()[operation_id]
    bodies = [store.response_schema(operation_id, status) for status in operation.statuses]
    for schema in [
        store.request_schema(operation_id),
        *bodies,
        *(p.schema for p in operation.parameters),
    ]:
        if schema is not None:
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema_rs.validator_for(schema, validate_formats=True)


def test_nothing_of_openapi_is_left() -> None:
    text = repr(files(derived()))
    for word in ("#/components", "x-", "discriminator"):
        assert f"'{word}" not in text


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (
            {"type": "sentinel-2-l2a", "dataFilter": {"maxCloudCoverage": 101}},
            "input/data/0/dataFilter/maxCloudCoverage",
        ),
        ({"type": "dem", "processing": {"egm": "yes"}}, "input/data/0/processing/egm"),
        (
            {"type": "byoc-1", "dataFilter": {"mosaickingOrder": "leastCC"}},
            "input/data/0/dataFilter/mosaickingOrder",
        ),
        ({"type": "sentinel-9"}, "input/data/0/type"),
        ({"id": "x"}, "input/data/0"),
        ("sentinel-2-l2a", "input/data/0"),
    ],
)
def test_a_fault_in_a_data_set_is_reported_where_it_is(change: JsonValue, where: str) -> None:
    body: Schema = {**as_object(client_body("process"))}
    body["input"] = {"bounds": {}, "data": [change]}
    assert paths(derived().request("process"), body) == [where]
    assert len(faults(derived().request("process"), body)) == 1


def test_read_only_members_are_listed_with_their_path() -> None:
    assert store.operations()["createByocCollectionTile"].read_only == (
        "id",
        "tileGeometry",
        "status",
        "additionalData",
        "created",
    )
    assert "additionalData.bands.*.aliases" in store.operations()["createByocCollection"].read_only
    assert store.operations()["process"].read_only == ()


@pytest.mark.parametrize("again", ["flatten", "choose", "closed"])
def test_translating_twice_is_translating_once(again: str) -> None:
    """The law of each step, over every definition of the service."""
    pool = derived().pool
    steps: dict[str, Callable[[Schema], Schema]] = {
        "flatten": lambda schema: flatten(schema, pool),
        "choose": lambda schema: choose(schema, pool),
        "closed": closed,
    }
    step = steps[again]
    for name, schema in pool.items():
        once = step(schema)
        assert step(once) == once, name
        if again != "closed":
            assert once == schema, name
