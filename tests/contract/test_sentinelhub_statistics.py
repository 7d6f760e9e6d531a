"""The unmodified `sentinelhub` package against the statistical APIs, over a real port."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentinelhub import (
    CRS,
    BatchRequestStatus,
    BBox,
    DataCollection,
    Geometry,
    SentinelHubBatchStatistical,
    SentinelHubStatistical,
    SHConfig,
    monitor_batch_statistical_analysis,
    monitor_batch_statistical_job,
)
from sentinelhub.api.batch.statistical import BatchStatisticalRequest
from sentinelhub.exceptions import DownloadFailedException, SHDeprecationWarning

from tests.sandbox import processing as p
from tests.sandbox import statistical as s
from tests.support import geopackages, s3
from tests.support.served import Served

# The package warns of its own parts.
with warnings.catch_warnings(action="ignore", category=SHDeprecationWarning):
    from sentinelhub.aws.batch import AwsBatchStatisticalResults

UTM = CRS("32633")
WHOLE = BBox(s.PLACE, UTM)
JUNE = ("2025-06-01", "2025-06-30")
BOX = (p.WEST + 100, p.NORTH - 300, p.WEST + 500, p.NORTH - 100)
# Of a day with two tiles, which a script can tell from one with a single one.
FRAGILE = s.script(
    "if (scenes.tiles.length > 1) { throw new Error('two'); } return {raw: [1], dataMask: [1]};",
    mosaicking="TILE",
)


@pytest.fixture
def collection(served: Served, config: SHConfig) -> DataCollection:
    for number, name in enumerate(("one", "two", "three")):
        path = served.data / "buckets" / "pixels" / name / "B04.tif"
        if not path.exists():
            p.write(path, p.numbers(number, size=s.SIZE))
    with served.client() as http:
        made = http.post("/byoc/v1/collections", json={"name": "x", "s3Bucket": "pixels"}).json()
        identifier = made["data"]["id"]
        for day, name in ((1, "one"), (11, "two"), (21, "three")):
            tile = {"path": f"{name}/(BAND).tif", "sensingTime": f"2025-06-{day:02}T10:00:00Z"}
            http.post(f"/byoc/v1/collections/{identifier}/tiles", json=tile).raise_for_status()
    served.tick(60)
    return DataCollection.define_byoc(identifier)


def request(
    collection: DataCollection,
    config: SHConfig,
    evalscript: str = s.RAW,
    *,
    of: str = "P1D",
    time: Any = JUNE,
    calculations: Any = None,
    **place: Any,
) -> SentinelHubStatistical:
    return SentinelHubStatistical(
        aggregation=SentinelHubStatistical.aggregation(
            evalscript=evalscript,
            time_interval=time,
            aggregation_interval=of,
            **({"resolution": (10, 10)} if "geometry" in place else {"size": (s.SIZE, s.SIZE)}),
        ),
        input_data=[SentinelHubStatistical.input_data(collection)],
        calculations=calculations,
        config=config,
        **(place or {"bbox": WHOLE}),
    )


def test_statistics_of_a_box(collection: DataCollection, config: SHConfig) -> None:
    calculations = {
        "default": {
            "statistics": {"default": {"percentiles": {"k": [5, 50, 95]}}},
            "histograms": {"default": {"nBins": 20, "lowEdge": 0.0, "highEdge": 10000.0}},
        }
    }
    (content,) = request(collection, config, calculations=calculations).get_data()
    assert s.days(content) == ["2025-06-01", "2025-06-11", "2025-06-21"]
    for number in range(3):
        numbers = p.numbers(number, size=s.SIZE)
        found = s.stats(content, number)
        ranks = np.percentile(numbers, [5, 50, 95]).tolist()
        assert found.pop("percentiles") == dict(zip(("5.0", "50.0", "95.0"), ranks, strict=True))
        assert found == pytest.approx(s.expected(numbers, numbers.size))
        counts = np.histogram(numbers, np.linspace(0, 10000, 21))[0].tolist()
        bins = s.band(content, number)["histogram"]["bins"]
        assert [one["count"] for one in bins] == counts


def test_statistics_of_a_geometry(collection: DataCollection, config: SHConfig) -> None:
    west, south, east, north = BOX
    wkt = f"POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {south}))"
    (content,) = request(collection, config, geometry=Geometry(wkt, UTM)).get_data()
    stats = s.stats(content)
    assert stats["sampleCount"] == 40 * 20
    assert stats["sampleCount"] - stats["noDataCount"] == content["geometryPixelCount"]


def test_degrees_are_longitude_first(collection: DataCollection, config: SHConfig) -> None:
    (content,) = request(collection, config, bbox=WHOLE.transform(CRS.WGS84)).get_data()
    assert s.stats(content)["mean"] == pytest.approx(p.numbers(0, size=s.SIZE).mean(), rel=0.02)


def test_a_day_that_the_client_ends_a_second_early_is_left_out(
    collection: DataCollection, config: SHConfig
) -> None:
    # From the 20th to the last second of the 21st: whole is the first of both alone.
    assert (
        request(collection, config, time=("2025-06-20", "2025-06-21")).get_data()[0]["data"] == []
    )
    (content,) = request(collection, config, time=("2025-06-21", "2025-06-22")).get_data()
    assert s.days(content) == ["2025-06-21"]


def test_instants_and_months(collection: DataCollection, config: SHConfig) -> None:
    time = (dt.datetime(2025, 6, 1), dt.datetime(2025, 7, 1))
    (content,) = request(collection, config, of="P1M", time=time).get_data()
    assert content["data"][0]["interval"] == {
        "from": "2025-06-01T00:00:00Z",
        "to": "2025-07-01T00:00:00Z",
    }
    assert s.stats(content)["mean"] == pytest.approx(p.numbers(2, size=s.SIZE).mean())


def test_intervals_that_fail_are_asked_for_again_alone(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    (content,) = request(collection, config, FRAGILE, of="P15D", time=JUNE).get_data()
    # Two tiles in the first half of the month; the second half ends a second early.
    (failed,) = content["data"]
    assert failed["error"]["type"] == "EXECUTION_ERROR"
    assert content["status"] == "FAILED"
    asked = served.requests("/statistics/v1")
    assert len(asked) == 2


def test_a_script_without_a_mask_is_refused(collection: DataCollection, config: SHConfig) -> None:
    text = p.script("return [1];", bands='["B04"]')
    with pytest.raises(DownloadFailedException, match="dataMask"):
        request(collection, config, text).get_data()


# Batches.


@pytest.fixture
def client(config: SHConfig) -> SentinelHubBatchStatistical:
    return SentinelHubBatchStatistical(config=config)


def batch(
    client: SentinelHubBatchStatistical,
    collection: DataCollection,
    config: SHConfig,
    served: Served,
) -> BatchStatisticalRequest:
    fields = [{"box": BOX, "identifier": "a"}, {"box": s.PLACE, "identifier": "b"}]
    geopackages.write(
        served.data / "buckets" / "pixels" / "fields.gpkg",
        [{**one, "box": tuple(one["box"])} for one in fields],
    )
    keys = {"access_key": "key", "secret_access_key": "canary-2291"}
    asked = request(collection, config, geometry=Geometry(WHOLE.geometry, UTM))
    asked.payload["calculations"] = {
        "default": {"statistics": {"default": {"percentiles": {"k": [50]}}}}
    }
    return client.create_from_request(
        asked,
        input_features=client.s3_specification("s3://pixels/fields.gpkg", **keys),
        output=client.s3_specification("s3://results/stats", **keys),
    )


@pytest.mark.filterwarnings("ignore::sentinelhub.exceptions.SHDeprecationWarning")
def test_a_batch_from_its_request_to_its_results(
    client: SentinelHubBatchStatistical,
    collection: DataCollection,
    config: SHConfig,
    served: Served,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made = batch(client, collection, config, served)
    assert made.status is BatchRequestStatus.CREATED
    assert (
        client.get_request(made.request_id).request["output"]["s3"]["url"] == "s3://results/stats"
    )
    client.start_analysis(made)
    assert monitor_batch_statistical_analysis(made, config).status.value == "ANALYSIS_DONE"
    client.start_job(made)
    final = monitor_batch_statistical_job(made, config)
    assert (final["status"], final["completionPercentage"], final["costPU"]) == ("DONE", 100, 100)
    assert waited
    s3.no_aws(monkeypatch, tmp_path)
    s3.with_keys(monkeypatch, served.s3)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    results = AwsBatchStatisticalResults(client.get_request(made), config=config).get_data()
    assert [(one["id"], one["identifier"]) for one in results] == [(1, "a"), (2, "b")]
    (single,) = request(collection, config, bbox=WHOLE).get_data()
    whole = results[1]["response"]
    assert s.days(whole) == s.days(single)
    assert s.stats(whole)["percentiles"]["50.0"] == np.median(p.numbers(0, size=s.SIZE))
    assert s.stats(whole)["mean"] == s.stats(single)["mean"]
    some = AwsBatchStatisticalResults(made, feature_ids=[2], config=config).get_data()
    assert some == results[1:]


def test_a_batch_is_stopped(
    client: SentinelHubBatchStatistical,
    collection: DataCollection,
    config: SHConfig,
    served: Served,
) -> None:
    made = batch(client, collection, config, served)
    client.start_job(made)
    served.tick(5)
    assert client.get_status(made)["status"] == "PROCESSING"
    client.stop_job(made)
    found = client.get_request(made)
    assert found.status is BatchRequestStatus.STOPPED
    with pytest.raises(DownloadFailedException) as caught:
        client.stop_job(made)
    assert caught.value.request_exception.response.status_code == 400
