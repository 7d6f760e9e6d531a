"""What people are told of a wrong batch request: the nearest name, what is allowed, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shplan.core.value import SecretReference, Sensitive
from shplan.manifest.load import load
from shplan.manifest.validate import violations
from shplan.manifest.violation import Violation
from shplan.providers.registry import PROVIDERS


def _job() -> dict[str, Any]:
    return {
        "apiVersion": "shplan/v1",
        "kind": "BatchProcess",
        "metadata": {"name": "ndvi"},
        "spec": {
            "processRequest": {
                "input": {
                    "bounds": {"bbox": [13, 45, 14, 46]},
                    "data": [
                        {
                            "type": "sentinel-2-l2a",
                            "dataFilter": {
                                "timeRange": {
                                    "from": "2025-06-01T00:00:00Z",
                                    "to": "2025-06-30T23:59:59Z",
                                }
                            },
                        }
                    ],
                },
                "output": {"responses": [{"format": {"type": "image/tiff"}}]},
                "evalscript": "//VERSION=3",
            },
            "input": {"type": "tiling-grid", "id": 0, "resolution": 10},
            "output": {"type": "raster", "delivery": {"s3": {"url": "s3://acme/ndvi"}}},
        },
        "run": {"maxPu": 500},
    }


def _told(document: dict[str, Any], *, fresh: tuple[Any, ...] = ()) -> list[Violation]:
    return violations(
        "BatchProcess", document, subject="BatchProcess/ndvi", fresh={id(one) for one in fresh}
    )


def _at(document: dict[str, Any], path: str) -> Any:
    node: Any = document
    for step in path.split("."):
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


def test_a_right_request_is_told_nothing() -> None:
    assert _told(_job()) == []


@pytest.mark.parametrize(
    ("holder", "right", "written"),
    [
        ("spec", "processRequest", "procesRequest"),
        ("spec.input", "resolution", "resolutoin"),
        ("spec.processRequest", "evalscript", "evalScript"),
        ("spec.output", "delivery", "delivry"),
        ("spec.output.delivery", "s3", "S3"),
        ("spec.processRequest.input.data.0", "dataFilter", "datafilter"),
        ("spec.processRequest.input.data.0.dataFilter", "timeRange", "timerange"),
        ("run", "maxPu", "maxPU"),
    ],
)
def test_a_misspelt_field_is_told_its_nearest_name(holder: str, right: str, written: str) -> None:
    document = _job()
    node = _at(document, holder)
    node[written] = node.pop(right)
    told = _told(document)
    unknown = [one for one in told if one.code == "manifest/unknown-field"]
    assert [(one.path[-1], one.hint) for one in unknown] == [(written, f"did you mean `{right}`?")]
    for one in told:
        if one.code == "manifest/missing-field":
            assert one.hint == f"rename `{written}` to `{right}`"


@pytest.mark.parametrize(
    ("holder", "field", "value", "what", "hint"),
    [
        (
            "spec.input",
            "type",
            "tilingGrid",
            '"tilingGrid"; it must be geopackage or tiling-grid.',
            "did you mean `tiling-grid`?",
        ),
        (
            "spec.processRequest.input.data.0",
            "type",
            "sentinel-2-l2",
            "sentinel-2-l1c, sentinel-2-l2a, ",
            "did you mean `sentinel-2-l2a`?",
        ),
        (
            "spec.processRequest.input.data.0.dataFilter",
            "mosaickingOrder",
            "leastCloud",
            "must be mostRecent, leastRecent or leastCC.",
            "did you mean `leastCC`?",
        ),
        (
            "spec.processRequest.input.data.0.dataFilter.timeRange",
            "from",
            "2025-06-01",
            "which is no instant.",
            'write `from: "2025-06-01T00:00:00Z"`',
        ),
        (
            "spec.processRequest.input.data.0.dataFilter.timeRange",
            "to",
            "2025-06-30",
            "which is no instant.",
            'write `to: "2025-06-30T23:59:59Z"`',
        ),
        (
            "run",
            "start",
            "analyze",
            "must be auto, analyse or manual.",
            "did you mean `analyse`?",
        ),
        # Neither with quotes nor without is it a number to JSON.
        (
            "spec.input",
            "resolution",
            "NaN",
            'is a text ("NaN"); it must be a number.',
            "write a finite number: JSON has no other",
        ),
    ],
)
def test_a_wrong_value_is_told_what_is_allowed(
    holder: str, field: str, value: str, what: str, hint: str
) -> None:
    document = _job()
    _at(document, holder)[field] = value
    (told,) = _told(document)
    assert what in told.what
    assert told.hint == hint
    assert told.why.endswith(".")


def test_deleting_a_task_is_refused_because_the_api_cannot() -> None:
    document = _job()
    document["run"]["onRemove"] = "delete"
    (told,) = _told(document)
    assert told.what.endswith('is "delete"; it must be keep or stop.')
    assert "the API has no way to delete one" in told.why


def test_two_places_of_delivery_exclude_each_other() -> None:
    document = _job()
    secret = "hush"  # noqa: S105 - stands for one
    document["spec"]["output"]["delivery"]["gs"] = {"url": "gs://acme/x", "credentials": secret}
    (told,) = _told(document)
    assert told.path == ("spec", "output", "delivery", "gs")
    assert told.what == "`spec.output.delivery` of BatchProcess/ndvi has both `s3` and `gs`."
    assert told.hint == "remove `s3` or `gs`"
    assert secret not in repr(told)


def test_two_places_of_delivery_are_not_excused_by_a_secret_in_one() -> None:
    document = _job()
    place = {"url": "gs://acme/x", "credentials": Sensitive((SecretReference("env:GS"),))}
    delivery = document["spec"]["output"]["delivery"]
    delivery["gs"] = place
    spec, output = document["spec"], document["spec"]["output"]
    (told,) = _told(document, fresh=(document, spec, output, delivery, place))
    assert told.code == "manifest/contradiction"


def test_a_delivery_to_nowhere_is_told_both_ways_on() -> None:
    document = _job()
    document["spec"]["output"]["delivery"] = {}
    (told,) = _told(document)
    assert told.what.endswith("has neither `s3` nor `gs`.")
    assert told.hint == "add `s3` or `gs`"


def test_a_grid_without_an_area_is_told_what_bounds_are() -> None:
    document = _job()
    del document["spec"]["processRequest"]["input"]["bounds"]
    (told,) = _told(document)
    assert told.what.endswith("has no `bounds`, which is required.")
    assert told.why.startswith("Area to process")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"s3://acme/a.gpkg": "ABC"}, 'is "ABC", which is no SHA-256.'),
        ({"a.gpkg": "a" * 64}, 'has the key "a.gpkg", which is no address in a bucket.'),
    ],
)
def test_a_digest_and_its_address_have_a_form(files: dict[str, str], what: str) -> None:
    document = _job()
    document["run"]["files"] = files
    (told,) = _told(document)
    assert told.what.endswith(what)
    assert told.why


def test_a_kind_without_a_provider_is_known_by_its_form(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: acme}\n"
    )
    (tmp_path / "manifests" / "ndvi.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Evalscript\nmetadata: {name: ndvi}\nspec: {file: ndvi.js}\n"
    )
    known = {"ByocCollection": PROVIDERS["ByocCollection"]}
    (told,) = load(tmp_path, registry=known).diagnostics
    assert told.code == "manifest/kind"
    assert told.why == "This version of shplan knows its form, but cannot apply it yet."
