"""The schemas of manifests: complete descriptions, closed, with and without expressions."""

from __future__ import annotations

import json

import jsonschema
import jsonschema_rs
import pytest

from shplan.schema import store
from shplan.schema.compose import closed, compose, undescribed
from shplan.schema.tree import JsonValue, Schema, SchemaSourceError, as_object
from tests.schema.support import faults, paths

_FORMS = [(kind, form) for kind in store.manifest_kinds() for form in (False, True)]
_EXPRESSION = "{{ var.it }}"
_SQUARE: JsonValue = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


def _manifest(kind: str, spec: JsonValue, **metadata: JsonValue) -> Schema:
    named: Schema = {"name": "fields", **metadata}
    return {"apiVersion": "shplan/v1", "kind": kind, "metadata": named, "spec": spec}


def _collection(**changes: JsonValue) -> Schema:
    return _manifest("ByocCollection", {"name": "Field imagery", "s3Bucket": "acme", **changes})


def _tiles(*tiles: JsonValue, **changes: JsonValue) -> Schema:
    return _manifest("ByocTiles", {"collection": "c", "tiles": list(tiles), **changes})


def _project(**spec: JsonValue) -> Schema:
    return _manifest("Project", spec)


def _places(document: Schema, *, expressions: bool = False) -> list[str]:
    return paths(store.manifest_schema(str(document["kind"]), expressions=expressions), document)


@pytest.mark.parametrize(("kind", "expressions"), _FORMS)
def test_each_is_a_valid_schema_and_compiles(kind: str, expressions: bool) -> None:
    schema = store.manifest_schema(kind, expressions=expressions)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema_rs.validator_for(schema, validate_formats=True)


@pytest.mark.parametrize(("kind", "expressions"), _FORMS)
def test_every_property_has_a_description(kind: str, expressions: bool) -> None:
    assert list(undescribed(store.manifest_schema(kind, expressions=expressions))) == []
    assert list(undescribed({"properties": {"a": {"type": "string"}}})) == ["properties/a"]


@pytest.mark.parametrize("kind", [*store.manifest_kinds(), store.DISPATCH])
def test_descriptions_are_one_line(kind: str) -> None:
    def lines(value: JsonValue) -> list[str]:
        if isinstance(value, list):
            return [line for item in value for line in lines(item)]
        if not isinstance(value, dict):
            return []
        own = value.get("description")
        inner = [line for item in value.values() for line in lines(item)]
        return [*inner, own] if isinstance(own, str) else inner

    found = lines(json.loads(store.path_of(kind).read_bytes()))
    assert found
    assert [
        line for line in found if "\n" in line or len(line) > 120 or not line.endswith(".")
    ] == []


def test_no_marker_of_the_sources_is_left() -> None:
    for kind in (*store.manifest_kinds(), store.DISPATCH):
        assert "x-literal" not in store.path_of(kind).read_text()


@pytest.mark.parametrize(
    "document",
    [
        _collection(),
        _collection(
            noData=-9999.5,
            additionalData={"bands": {"B1": {"bitDepth": 16, "sampleFormat": "UINT"}}},
        ),
        _collection(
            additionalData={
                "bands": {"höhe": {"bitDepth": 32, "sampleFormat": "FLOAT", "noData": 0}}
            }
        ),
        _tiles(),
        _tiles({"path": "a/(BAND).tiff"}),
        _tiles(
            {"path": "a", "sensingTime": "2025-06-01T10:00:00Z", "coverGeometry": _SQUARE},
            exclusive=True,
        ),
        _tiles({"path": "a", "sensingTime": None}),
        _manifest("ByocTiles", {"collection": "c", "from": {"csv": "tiles.csv"}}),
        _manifest("ByocTiles", {"collection": "c", "from": {"geojson": "tiles.geojson"}}),
        _manifest(
            "ByocCollection",
            {"name": "n", "s3Bucket": "b"},
            forEach={"m": ["1", "2"]},
            dependsOn=["ByocTiles/a[1]"],
        ),
        _manifest("ByocCollection", {"name": "n"}, lifecycle={"managed": False}),
        _manifest(
            "ByocCollection",
            {"id": "7453e962-0ee5-4f74-8227-89759fbe9ba9"},
            lifecycle={"managed": False},
        ),
        _manifest("ByocTiles", {"collection": "c"}, lifecycle={"managed": False}),
        _project(),
        _project(
            requires=">=0.1,<1",
            manifests=["manifests/"],
            defaultEnvironment="prod",
            environments={
                "sandbox": {"deployment": "sandbox", "listLag": "0s"},
                "prod": {
                    "deployment": "cdse",
                    "profile": "p",
                    "ledger": "s3://l/x",
                    "budget": {"maxPu": 10.5},
                    "variables": {"year": 1},
                },
                "own": {
                    "baseUrl": "http://127.0.0.1:80",
                    "tokenUrl": "https://a/b",
                    "listLag": "1m30s",
                },
            },
            variables={
                "year": {
                    "type": "integer",
                    "default": 1,
                    "description": "d",
                    "validation": {"minimum": 0, "enum": [1]},
                }
            },
            outputs={"id": "{{ ref('ByocCollection/fields').id }}", "n": 1},
            receipts="receipts/",
            moved=[{"from": "ByocTiles/a", "to": "ByocTiles/b[x]"}],
            forget=["ByocCollection/x"],
            policies={"deletions": {"max": "5%"}},
        ),
        _project(policies={"deletions": {"max": 3}}),
    ],
)
def test_right_documents_pass_in_every_form(document: Schema) -> None:
    assert _places(document) == []
    assert _places(document, expressions=True) == []
    assert paths(store.dispatch_schema(), document) == []


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (_collection(id="7453e962-0ee5-4f74-8227-89759fbe9ba9"), "spec"),
        (_collection(created="2025-06-01T10:00:00Z"), "spec"),
        (_collection(isConfigured=True), "spec"),
        (_collection(noDatas=1), "spec"),
        (_collection(noData="0"), "spec/noData"),
        (_collection(s3Bucket=7), "spec/s3Bucket"),
        (_collection(additionalData={"extent": {}}), "spec/additionalData"),
        (
            _collection(additionalData={"bands": {"B1": {"bitDepth": 12, "sampleFormat": "UINT"}}}),
            "spec/additionalData/bands/B1/bitDepth",
        ),
        (
            _collection(additionalData={"bands": {"B1": {"bitDepth": 8}}}),
            "spec/additionalData/bands/B1",
        ),
        (
            _collection(additionalData={"bands": {"1": {"bitDepth": 8, "sampleFormat": "INT"}}}),
            "spec/additionalData/bands",
        ),
        (_manifest("ByocCollection", {"name": "n"}), "spec"),
        (_manifest("ByocCollection", "n"), "spec"),
        (
            _manifest(
                "ByocCollection",
                {"name": "n", "id": "7453e962-0ee5-4f74-8227-89759fbe9ba9"},
                lifecycle={"managed": False},
            ),
            "spec/name",
        ),
        (
            _manifest(
                "ByocCollection", {"name": "n", "s3Bucket": "b"}, lifecycle={"managed": False}
            ),
            "spec",
        ),
        (_manifest("ByocCollection", {}, lifecycle={"managed": False}), "spec"),
        (_manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, name="a b"), "metadata/name"),
        (
            _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, dependsOn=["fields"]),
            "metadata/dependsOn/0",
        ),
        (
            _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, labels={"a": 1}),
            "metadata/labels/a",
        ),
        (
            _manifest(
                "ByocCollection", {"name": "n", "s3Bucket": "b"}, lifecycle={"protect": True}
            ),
            "metadata/lifecycle",
        ),
        ({**_collection(), "metadata": "fields"}, "metadata"),
        ({**_collection(), "run": {}}, ""),
        ({**_collection(), "apiVersion": "v1"}, "apiVersion"),
        (_tiles({"sensingTime": "2025-06-01T10:00:00Z"}), "spec/tiles/0"),
        (_tiles({"path": "/a"}), "spec/tiles/0/path"),
        (_tiles({"path": "a//b"}), "spec/tiles/0/path"),
        (_tiles({"path": "a/"}), "spec/tiles/0/path"),
        (_tiles({"path": "a", "sensingTime": "2025-06-01"}), "spec/tiles/0/sensingTime"),
        (_tiles({"path": "a", "status": "INGESTED"}), "spec/tiles/0"),
        (
            _tiles({"path": "a", "coverGeometry": {"type": "Point", "coordinates": [0, 0]}}),
            "spec/tiles/0/coverGeometry/type",
        ),
        (_tiles({"path": "a", "coverGeometry": {"type": "Polygon"}}), "spec/tiles/0/coverGeometry"),
        (
            _tiles(
                {"path": "a", "coverGeometry": {"type": "Polygon", "coordinates": [[[0, 0, 0]]]}}
            ),
            "spec/tiles/0/coverGeometry/coordinates/0/0",
        ),
        (
            _manifest("ByocTiles", {"collection": "c", "tiles": [], "from": {"csv": "a"}}),
            "spec/from",
        ),
        (_manifest("ByocTiles", {"collection": "c"}), "spec"),
        (_manifest("ByocTiles", {"collection": "c", "from": {"shapefile": "x"}}), "spec/from"),
        (
            _manifest("ByocTiles", {"collection": "c", "from": {"csv": "x", "geojson": "y"}}),
            "spec/from",
        ),
        (_manifest("ByocTiles", {"tiles": []}), "spec"),
        (_project(environments={"p": {"deployment": "aws"}}), "spec/environments/p/deployment"),
        (
            _project(environments={"p": {"deployment": "cdse", "baseUrl": "https://x"}}),
            "spec/environments/p/baseUrl",
        ),
        (_project(environments={"p": {"baseUrl": "https://x"}}), "spec/environments/p"),
        (_project(environments={"p": {}}), "spec/environments/p"),
        (
            _project(environments={"p": {"deployment": "cdse", "listLag": 20}}),
            "spec/environments/p/listLag",
        ),
        (
            _project(environments={"p": {"deployment": "cdse", "budget": {"maxPu": -1}}}),
            "spec/environments/p/budget/maxPu",
        ),
        (_project(variables={"y": {"type": "int"}}), "spec/variables/y/type"),
        (_project(variables={"a-b": {}}), "spec/variables"),
        (_project(moved=[{"from": "a", "to": "ByocTiles/b"}]), "spec/moved/0/from"),
        (_project(forget=["b"]), "spec/forget/0"),
        (_project(policies={"deletions": {"max": "5"}}), "spec/policies/deletions/max"),
        (_project(policies={"deletions": {"max": "101%"}}), "spec/policies/deletions/max"),
        (_manifest("Project", {}, lifecycle={}), "metadata"),
    ],
)
def test_a_fault_is_reported_once_and_where_it_is(document: Schema, where: str) -> None:
    assert _places(document) == [where]
    assert len(faults(store.manifest_schema(str(document["kind"])), document)) == 1
    assert where.startswith(tuple(_places(document, expressions=True)))


@pytest.mark.parametrize(
    "document",
    [
        _collection(noData=_EXPRESSION),
        _collection(additionalData=_EXPRESSION),
        _collection(additionalData={"bands": _EXPRESSION}),
        _collection(additionalData={"bands": {"B1": _EXPRESSION}}),
        _collection(
            additionalData={
                "bands": {"B1": {"bitDepth": _EXPRESSION, "sampleFormat": "U{{ 'INT' }}"}}
            }
        ),
        _tiles(
            {
                "path": "a",
                "sensingTime": "{{ each.month }}-01T00:00:00Z",
                "coverGeometry": _EXPRESSION,
            },
            exclusive=_EXPRESSION,
        ),
        _tiles({"path": "a", "coverGeometry": {"type": "Polygon", "coordinates": _EXPRESSION}}),
        _tiles(_EXPRESSION),
        _manifest("ByocTiles", {"collection": _EXPRESSION, "tiles": _EXPRESSION}),
        _manifest("ByocTiles", {"collection": "c", "from": _EXPRESSION}),
        _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, forEach=_EXPRESSION),
        _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, forEach={"a": _EXPRESSION}),
        _manifest(
            "ByocCollection",
            {"name": "n", "s3Bucket": "b"},
            lifecycle={"preventDestroy": _EXPRESSION},
        ),
        _manifest("ByocCollection", {"id": _EXPRESSION}, lifecycle={"managed": False}),
    ],
)
def test_an_expression_may_stand_for_any_value_in_an_editor(document: Schema) -> None:
    assert _places(document, expressions=True) == []
    assert paths(store.dispatch_schema(), document) == []


@pytest.mark.parametrize(
    "document",
    [
        _manifest("ByocCollection", _EXPRESSION),
        _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, name=_EXPRESSION),
        _manifest("ByocCollection", {"name": "n", "s3Bucket": "b"}, dependsOn=[_EXPRESSION]),
        _manifest(
            "ByocCollection", {"name": "n", "s3Bucket": "b"}, lifecycle={"managed": _EXPRESSION}
        ),
        _project(environments=_EXPRESSION),
        _project(environments={"p": {"deployment": _EXPRESSION}}),
        _project(defaultEnvironment=_EXPRESSION),
    ],
)
def test_what_is_read_before_expressions_is_literal(document: Schema) -> None:
    assert _places(document, expressions=True) != []


def test_text_without_an_expression_does_not_stand_for_another_type() -> None:
    assert _places(_collection(noData="var.it"), expressions=True) == ["spec/noData"]


def test_the_dispatching_schema_names_an_unknown_kind() -> None:
    document = {**_collection(), "kind": "ByocColection"}
    assert paths(store.dispatch_schema(), document) == ["kind"]
    assert paths(store.dispatch_schema(), _collection(noData=True)) == ["spec/noData"]


def test_ten_thousand_tiles_are_one_call() -> None:
    """The schema of a list has no choice per tile, so that every fault in it is found in one pass."""
    tiles: list[JsonValue] = [{"path": f"t/{i}"} for i in range(10_000)]
    tiles[9_999] = {"path": 1}
    assert _places(_tiles(*tiles)) == ["spec/tiles/9999/path"]


def test_a_kind_is_one_declaration() -> None:
    """A later kind: its file and the descriptions of the API members that it is the first to use."""
    envelope = json.loads((store.root() / "source/envelope.json").read_bytes())
    declaration: Schema = {
        "description": "A.",
        "specDescription": "B.",
        "spec": {"$ref": "#/$defs/Thing"},
    }
    api: dict[str, Schema] = {
        "Thing": {
            "type": "object",
            "required": ["id", "size"],
            "properties": {"id": {"type": "string", "readOnly": True}, "size": {"type": "integer"}},
        }
    }
    made = compose({"Thing": declaration}, envelope, {"Thing.size": "C."}, {"ApiThing": {}, **api})
    strict = as_object(made["manifest/strict/Thing.json"])
    assert paths(strict, _manifest("Thing", {"size": 1})) == []
    assert paths(strict, _manifest("Thing", {"size": _EXPRESSION})) == ["spec/size"]
    assert (
        paths(as_object(made["manifest/Thing.json"]), _manifest("Thing", {"size": _EXPRESSION}))
        == []
    )
    assert paths(strict, _manifest("Thing", {"id": "a", "size": 1})) == ["spec"]
    assert list(undescribed(strict)) == []


def test_a_job_states_the_options_of_its_run() -> None:
    envelope = json.loads((store.root() / "source/envelope.json").read_bytes())
    tries: Schema = {"description": "D.", "type": "integer"}
    declaration: Schema = {
        "description": "A.",
        "specDescription": "B.",
        "spec": {"type": "object"},
        "run": {"description": "C.", "properties": {"tries": tries}},
    }
    made = compose({"Thing": declaration}, envelope, {}, {})
    for name, expression_faults in (("strict/Thing", ["run/tries"]), ("Thing", [])):
        schema = as_object(made[f"manifest/{name}.json"])
        assert paths(schema, _manifest("Thing", {})) == []
        assert paths(schema, {**_manifest("Thing", {}), "run": {"tries": 2}}) == []
        assert paths(schema, {**_manifest("Thing", {}), "run": {"times": 2}}) == ["run"]
        assert paths(schema, {**_manifest("Thing", {}), "run": _EXPRESSION}) == ["run"]
        hidden: Schema = {**_manifest("Thing", {}), "run": {"tries": _EXPRESSION}}
        assert paths(schema, hidden) == expression_faults


def test_a_kind_without_a_reference_is_always_managed() -> None:
    for kind, spec in (("Evalscript", {"file": "a.js"}), ("ByocTiles", {"collection": "c"})):
        unmanaged = _manifest(kind, spec, lifecycle={"managed": False})
        where = ["metadata/lifecycle/managed"] if kind == "Evalscript" else []
        assert _places(unmanaged) == where
        assert _places(unmanaged, expressions=True) == where
    assert _places(_manifest("Evalscript", {"file": "a"}, lifecycle={"managed": True})) == []


def test_a_member_without_a_description_is_an_error() -> None:
    envelope = json.loads((store.root() / "source/envelope.json").read_bytes())
    spec: Schema = {"type": "object", "properties": {"size": {"type": "integer"}}}
    declaration: Schema = {"description": "A.", "specDescription": "B.", "spec": spec}
    with pytest.raises(SchemaSourceError, match="ThingSpec/properties/size"):
        compose({"Thing": declaration}, envelope, {}, {})


def test_two_kinds_cannot_define_one_name_differently() -> None:
    envelope = json.loads((store.root() / "source/envelope.json").read_bytes())

    def kind(minimum: int) -> Schema:
        own: Schema = {"Size": {"type": "integer", "minimum": minimum}}
        spec: Schema = {"type": "array", "items": {"$ref": "#/$defs/Size"}}
        return {"description": "A.", "specDescription": "B.", "spec": spec, "definitions": own}

    assert "manifest/shplan.json" in compose({"A": kind(1), "B": kind(1)}, envelope, {}, {})
    with pytest.raises(SchemaSourceError, match="Size"):
        compose({"A": kind(1), "B": kind(2)}, envelope, {}, {})


def test_every_description_of_the_sources_is_used() -> None:
    written = json.loads((store.root() / "source/descriptions.json").read_bytes())
    text = "".join(store.path_of(kind).read_text() for kind in store.manifest_kinds())
    assert [key for key, line in written.items() if json.dumps(line) not in text] == []


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("B01", True),
        ("_x", True),
        ("$", True),
        ("höhe", True),
        ("a1", True),
        ("1a", False),
        ("a-b", False),
        ("a b", False),
        ("a.b", False),
        ("", False),
    ],
)
def test_band_names_mean_the_same_to_both_validators(name: str, valid: bool) -> None:
    schema = store.manifest_schema("ByocCollection")
    document = _collection(
        additionalData={"bands": {name: {"bitDepth": 8, "sampleFormat": "UINT"}}}
    )
    assert (faults(schema, document) == []) is valid
    assert jsonschema.Draft202012Validator(schema).is_valid(document) is valid


def test_two_definitions_of_one_name_are_an_error() -> None:
    with pytest.raises(SchemaSourceError, match="Name"):
        compose({}, {"description": "", "$defs": {"Name": {}}}, {}, {"Name": {}})


def test_a_consequence_is_not_closed_by_itself() -> None:
    """It names only some members; what lies below them is closed."""
    schema: Schema = {
        "properties": {"a": {}, "b": {}},
        "if": {"properties": {"a": {"const": 1}}},
        "then": {"properties": {"b": {"type": "object", "properties": {"c": {}}}}},
    }
    assert paths(closed(schema), {"a": 1, "b": {"c": 1}}) == []
    assert paths(closed(schema), {"a": 1, "b": {"d": 1}}) == ["b"]
    assert paths(closed(schema), {"d": 1}) == [""]
