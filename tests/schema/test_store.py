"""The store finds the schemas by kind and by operation."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shplan.schema import store
from shplan.schema.store import UnknownSchemaError
from shplan.schema.tree import Schema
from tests.schema.support import faults


def test_kinds_are_those_with_a_schema() -> None:
    assert store.manifest_kinds() == (
        "AsyncProcess",
        "BatchCollection",
        "BatchProcess",
        "BatchStatistics",
        "ByocCollection",
        "ByocTiles",
        "CatalogSearch",
        "Evalscript",
        "Process",
        "Project",
        "Statistics",
        "TilingGrid",
        "ZarrCollection",
    )


@pytest.mark.parametrize("kind", ["Nothing", "shplan", "../api/byoc"])
def test_an_unknown_kind_is_an_error(kind: str) -> None:
    with pytest.raises(UnknownSchemaError):
        store.manifest_schema(kind)


def test_every_kind_has_a_file_for_editors() -> None:
    for kind in (*store.manifest_kinds(), store.DISPATCH):
        assert store.path_of(kind).is_file()
    with pytest.raises(UnknownSchemaError):
        store.path_of("Nothing")


def test_an_operation_says_how_it_is_called() -> None:
    operation = store.operations()["getByocCollectionTiles"]
    assert (operation.method, operation.path, operation.family) == (
        "GET",
        "/byoc/v1/collections/{collectionId}/tiles",
        "byoc",
    )
    assert operation.aliases == ("/api/v1/byoc/collections/{collectionId}/tiles",)
    assert operation.statuses == (200, 401, 403)
    assert operation.request_media_types == ()
    assert [(p.name, p.location, p.required) for p in operation.parameters] == [
        ("collectionId", "path", True),
        ("count", "query", False),
        ("viewtoken", "query", False),
        ("sort", "query", False),
        ("path", "query", False),
        ("status", "query", False),
    ]


def test_a_parameter_has_a_schema_for_its_value() -> None:
    parameters = {p.name: p.schema for p in store.operations()["getByocCollectionTiles"].parameters}
    assert faults(parameters["count"], 100) == []
    assert faults(parameters["count"], 101) != []
    assert faults(parameters["status"], "INGESTED") == []
    assert faults(parameters["status"], "DONE") != []


def test_bodies_are_found_by_operation_and_status() -> None:
    tile: Schema = {"path": "a", "sensingTime": None}
    created = store.response_schema("createByocCollectionTile", 201)
    assert faults(store.request_schema("createByocCollectionTile") or {}, tile) == []
    assert created is not None
    assert faults(created, {"data": {**tile, "status": "WAITING"}}) == []
    assert faults(created, {"data": {**tile, "status": "DONE"}}) != []


def test_what_has_no_documented_body_has_no_schema() -> None:
    assert store.request_schema("getByocCollections") is None
    assert store.response_schema("createByocCollection", 401) is None
    assert store.response_schema("createByocCollection", 418) is None
    assert store.response_schema("process", 200) is None
    with pytest.raises(UnknownSchemaError):
        store.request_schema("nothing")
    with pytest.raises(UnknownSchemaError):
        store.response_schema("nothing", 200)


def test_asking_for_a_kind_reads_its_file_alone() -> None:
    """The schema of a job is ten times as large as that of a set of tiles."""
    code = (
        "import sys; read = [];"
        "sys.addaudithook(lambda event, about: read.append(str(about[0])) if event == 'open' else None);"
        "from shplan.schema import store; store.manifest_schema('ByocTiles');"
        "print([name.rpartition('/')[2] for name in read if name.endswith('.json')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "['ByocTiles.json']"


def test_asking_for_a_kind_imports_no_validator_and_no_yaml() -> None:
    code = (
        "import sys; from shplan.schema import store; store.manifest_schema('ByocTiles');"
        "print([m for m in ('yaml', 'jsonschema', 'jsonschema_rs') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
