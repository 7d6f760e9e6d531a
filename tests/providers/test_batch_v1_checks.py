"""What is wrong with a request of Batch V1, and with what is to fill a collection, is found offline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from shplan.core.diagnostic import SourceSpan
from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.value import Path
from shplan.providers.batch_process import BatchProcess
from shplan.providers.request_checks import check_requests
from shplan.schema.store import tables
from tests.support.jobs import SHAPE, body, body_v1, job


@dataclass(frozen=True)
class Places:
    """Says each path instead of a place."""

    def span(self, path: Path) -> SourceSpan:
        return SourceSpan(".".join(str(step) for step in path), 1, 1, 2)


def told(spec: Any, *, api: str = "v1", script: ScriptShape = SHAPE) -> list[tuple[str, str]]:
    """Where something is wrong, and what."""
    desired = replace(
        job(spec=spec), run={"api": api}, script=script, source=Places(), references=()
    )
    found = BatchProcess().check(desired, tables())
    return [(one.span.file if one.span else "", one.what) for one in found]


def older(**more: Any) -> Any:
    made = {**body_v1(), **more}
    return {name: value for name, value in made.items() if value is not None}


def test_good_requests_are_good() -> None:
    cog = {"defaultTilePath": "s3://b/x", "cogOutput": True, "createCollection": True}
    for good in (
        older(),
        older(output=None, bucketName="b"),
        older(tilingGrid=None, tilingGridId=0, resolution=60),
        older(output={"defaultTilePath": "s3://b/<requestId>/<tileId>.tif"}),
        older(output=cog),
        older(output={"cogOutput": True, "collectionId": "0e1d"}),
    ):
        assert told(good) == []


@pytest.mark.parametrize(
    ("spec", "place", "words"),
    [
        (older(bucketName="b"), "spec.bucketName", "`output` and `bucketName` are both stated"),
        (older(output=None), "spec", "does not say where results go"),
        (older(output={"overwrite": True}), "spec.output", "no `defaultTilePath`"),
        (older(tilingGrid=None), "spec", "no `tilingGrid`"),
        (older(tilingGrid=None, tilingGridId=0), "spec", "no `resolution`"),
        (older(tilingGridId=0), "spec.tilingGridId", "older way"),
        # In the words of version 2 these are checked, and told at the places of version 1.
        (older(tilingGrid={"id": 4, "resolution": 60}), "spec.tilingGrid.id", "no tiling grid 4"),
        (
            older(tilingGrid=None, tilingGridId=0, resolution=15),
            "spec.resolution",
            "no resolution 15",
        ),
        (
            older(tilingGrid={"id": 0, "resolution": 15}),
            "spec.tilingGrid.resolution",
            "no resolution 15",
        ),
        (
            older(output={"defaultTilePath": "results/x"}),
            "spec.output.defaultTilePath",
            "delivery path is results/x",
        ),
        (
            older(output={"defaultTilePath": "gs://b/x"}),
            "spec.output.defaultTilePath",
            "gs://b/x",
        ),
        (
            older(output={"defaultTilePath": "s3://b/<tileNam>.tif"}),
            "spec.output.defaultTilePath",
            "<tileNam>",
        ),
        (
            older(output={"defaultTilePath": "s3://b/<requestId>.tif"}),
            "spec.output.defaultTilePath",
            "has no <tileName>",
        ),
        (
            older(
                output=None,
                zarrOutput={"path": "s3://b/<tileName>", "group": {"zarr_format": 2}},
            ),
            "spec.zarrOutput.path",
            "<tileName>",
        ),
    ],
)
def test_each_fault_is_told_where_it_is(spec: Any, place: str, words: str) -> None:
    ((where, what),) = told(spec)
    assert where == place
    assert words in what


def test_version_2_knows_no_numbers_of_tiles() -> None:
    ((where, what),) = told(body(url="s3://b/<tileId>.tif"), api="v2")
    assert (where, "<tileId>" in what) == ("spec.output.delivery.s3.url", True)
    zarr = body(url="s3://b/<tileName>", type="zarr")
    assert "<tileName>" in told(zarr, api="v2")[0][1]


def test_the_deployments_of_the_service_may_have_dropped_it() -> None:
    for deployment, warned in (("cdse", True), ("sandbox", False), ("", False)):
        desired = replace(job(spec=older()), run={"api": "v1"}, source=Places())
        found = check_requests(desired, tables(), deployment=deployment)
        places = [one.span.file for one in found if one.span and "migrate" in one.hint]
        assert places == (["run.api"] if warned else [])


def shape(*outputs: ScriptOutput) -> ScriptShape:
    return ScriptShape(SHAPE.inputs, outputs)


def asking(*names: str, media_type: str = "image/tiff") -> Any:
    made: Any = body()["processRequest"]
    responses = [{"identifier": name, "format": {"type": media_type}} for name in names]
    return {**made, "output": {"responses": responses}}


MAKES = {"defaultTilePath": "s3://b/x", "cogOutput": True, "createCollection": True}
ONE, TWO = ScriptOutput("a", 1, "UINT8"), ScriptOutput("a", 2, "UINT8")


@pytest.mark.parametrize(
    ("spec", "script", "place", "words"),
    [
        (older(output={**MAKES, "cogOutput": False}), SHAPE, "spec.output.createCollection", "cog"),
        (
            older(output={"cogOutput": True, "createCollection": True, "collectionId": "0e1d"}),
            SHAPE,
            "spec.output.collectionId",
            "both",
        ),
        (
            older(output={**MAKES, "cogParameters": {"blockxsize": 256}}),
            SHAPE,
            "spec.output.cogParameters.blockxsize",
            "blockxsize",
        ),
        (
            older(output=MAKES, processRequest=asking("a")),
            shape(TWO),
            "spec.processRequest.output.responses.0",
            "2 bands",
        ),
        (
            older(output=MAKES, processRequest=asking("default", media_type="application/json")),
            SHAPE,
            "spec.processRequest.output.responses.0.format",
            "application/json",
        ),
        (
            older(output=MAKES, processRequest=asking("a-b")),
            shape(ScriptOutput("a-b", 1, "UINT8")),
            "spec.processRequest.output.responses.0",
            "no evalscript can read",
        ),
    ],
)
def test_what_cannot_fill_a_collection_of_version_1(
    spec: Any, script: ScriptShape, place: str, words: str
) -> None:
    found = told(spec, script=script)
    assert (place, True) in [(where, words in what) for where, what in found]


def test_version_2_makes_bands_of_an_output_of_several() -> None:
    spec = {**body(cogOutput=True, createCollection=True), "processRequest": asking("a", "a2")}
    assert told(spec, api="v2", script=shape(TWO, ScriptOutput("b", 1, "UINT8"))) != []
    ((where, what),) = told(spec, api="v2", script=shape(TWO, ScriptOutput("a2", 1, "UINT8")))
    assert where == "spec.processRequest.output.responses.1"
    assert "both make a band `a2`" in what
    spec = {**spec, "processRequest": asking("a", "b")}
    assert told(spec, api="v2", script=shape(TWO, ScriptOutput("b", 1, "UINT8"))) == []
    many = shape(ScriptOutput("a", 100, "UINT8"))
    assert "99" in told({**spec, "processRequest": asking("a")}, api="v2", script=many)[0][1]


def test_what_fills_no_collection_may_be_anything() -> None:
    assert told(body(), api="v2") == []
    assert told(body(createCollection=False), api="v2") == []
