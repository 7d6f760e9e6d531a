"""Batch statistics: what a task goes through, and the file of each feature."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from rasterio.features import geometry_mask
from rasterio.transform import from_origin

from shplan.sandbox import batch_statistics, batch_statistics_rows, settling, task_settling
from shplan.sandbox.batch_analysis import UNFORESEEN
from tests.support import geopackages

from . import processing as p
from . import statistical as s
from .support import BUCKET, Driver

TASKS = "/statistics/batch/v1"
SECRET = "hidden-7731"
DAYS = {"one": "2025-06-01T10:00:00Z", "two": "2025-06-03T10:00:00Z"}
# In pixels of the tiles: west, north, east, south.
FIELDS = {"a": (3, 5, 40, 30), "b": (50, 60, 90, 100), "c": (100, 20, 160, 70)}


def box(field: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    west, north, east, south = field
    return (
        p.WEST + west * p.PIXEL,
        p.NORTH - south * p.PIXEL,
        p.WEST + east * p.PIXEL,
        p.NORTH - north * p.PIXEL,
    )


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine what is asked for is waited for, so that one answer tells of it."""
    monkeypatch.setattr(settling, "MOST_WAIT_S", 60.0)


@pytest.fixture
def kind(api: Driver, bucket: Path) -> str:
    for number, name in enumerate(DAYS):
        p.write(bucket / name / "B04.tif", p.numbers(number, size=s.SIZE))
    geopackages.write(
        bucket / "fields.gpkg",
        [{"box": box(field), "identifier": name} for name, field in FIELDS.items()],
    )
    return p.collection(api, dict(DAYS))


def body(kind: str, *, url: str = "s3://results/stats", **parts: Any) -> dict[str, Any]:
    keys = {"accessKey": "key", "secretAccessKey": SECRET}
    asked = s.body(kind, **{"size": None, "resx": p.PIXEL, "resy": p.PIXEL, **parts})
    features = {"s3": {"url": f"s3://{BUCKET}/fields.gpkg", **keys}}
    return {
        **asked,
        "input": {"features": features, "data": asked["input"]["data"]},
        "output": {"s3": {"url": url, **keys}},
    }


def create(api: Driver, request: dict[str, Any]) -> str:
    answer = api.post(TASKS, request)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def read(api: Driver, task: str) -> dict[str, Any]:
    answer = api.get(f"{TASKS}/{task}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def act(api: Driver, task: str, action: str) -> int:
    return api.post(f"{TASKS}/{task}/{action}").status_code


def over(api: Driver, request: dict[str, Any]) -> dict[str, Any]:
    """A task that was started and ran to its end."""
    task = create(api, request)
    assert act(api, task, "start") == 204
    api.tick(60)
    return read(api, task)


def files(tmp_path: Path, bucket: str = "results") -> dict[str, Any]:
    root = tmp_path / "buckets" / bucket
    return {
        str(one.relative_to(root)): json.loads(one.read_text())
        for one in sorted(root.rglob("*.json"))
    }


def pu(api: Driver) -> float:
    return float(api.get("/_sandbox/meter").json()["pu"])


# Results.


def test_each_feature_has_a_file(api: Driver, kind: str, tmp_path: Path) -> None:
    task = over(api, body(kind))
    assert task["status"] == "DONE", task
    assert (task["completionPercentage"], task["userAction"]) == (100, "START")
    found = files(tmp_path)
    assert list(found) == [f"stats/{task['id']}/{n}.json" for n in (1, 2, 3)]
    for number, (name, content) in enumerate(zip(FIELDS, found.values(), strict=True), 1):
        assert (content["id"], content["identifier"]) == (number, name)
        assert s.days(content["response"]) == ["2025-06-01", "2025-06-03"]


def test_numbers_are_those_of_the_files(
    api: Driver, kind: str, tmp_path: Path, bucket: Path
) -> None:
    over(api, body(kind))
    for content in files(tmp_path).values():
        west, north, east, south = FIELDS[content["identifier"]]
        for number, name in enumerate(DAYS):
            # What lies beyond the tile has no data.
            part = s.read(bucket / name / "B04.tif")[0][north:south, west:east]
            expected = s.expected(part, (east - west) * (south - north))
            assert s.stats(content["response"], number) == pytest.approx(expected)


def test_a_feature_is_clipped_by_its_outline(api: Driver, kind: str, bucket: Path) -> None:
    """What the Statistical API tells of a polygon, a batch tells of a feature with it."""
    triangle = {
        "type": "Polygon",
        "coordinates": [[[p.WEST, p.NORTH], [p.WEST + 1000, p.NORTH - 400],
                         [p.WEST + 300, p.NORTH - 900], [p.WEST, p.NORTH]]],
    }  # fmt: skip
    numbers, _ = s.read(bucket / "one" / "B04.tif")
    mask = geometry_mask(
        [triangle], (90, 100), from_origin(p.WEST, p.NORTH, p.PIXEL, p.PIXEL), invert=True
    )
    _redraw(bucket / "fields.gpkg", triangle)
    over(api, body(kind, url="s3://results/<ID>.json"))
    content = json.loads((bucket.parent / "results" / "1.json").read_text())
    expected = s.expected(numbers[:90, :100][mask], mask.size)
    assert s.stats(content["response"]) == pytest.approx(expected)
    assert content["response"]["geometryPixelCount"] == np.count_nonzero(mask)


def _redraw(path: Path, geometry: dict[str, Any]) -> None:
    blob = b"GP\x00\x01" + (32633).to_bytes(4, "little") + shapely.geometry.shape(geometry).wkb
    with sqlite3.connect(path) as file:
        file.execute("update f set geom = ? where id = 1", (blob,))
        file.execute("delete from f where id > 1")


TEMPLATES = {
    "s3://one": ["{task}/1.json", "{task}/2.json", "{task}/3.json"],
    "s3://two/x/<IDENTIFIER>.json": ["x/a.json", "x/b.json", "x/c.json"],
    "s3://three/<IDENTIFIER>/<REQUEST_ID>-<ID>.json": [
        "a/{task}-1.json",
        "b/{task}-2.json",
        "c/{task}-3.json",
    ],
}


def test_templates_name_the_files(api: Driver, kind: str, tmp_path: Path) -> None:
    for url, names in TEMPLATES.items():
        task = over(api, body(kind, url=url))
        found = files(tmp_path, bucket=url.split("/")[2])
        assert list(found) == [name.format(task=task["id"]) for name in names]


def test_features_need_no_identifier(api: Driver, kind: str, tmp_path: Path, bucket: Path) -> None:
    geopackages.write(bucket / "fields.gpkg", [{"box": box(FIELDS["a"])}])
    assert over(api, body(kind))["status"] == "DONE"
    (content,) = files(tmp_path).values()
    assert content["identifier"] is None
    task = over(api, body(kind, url="s3://results/<IDENTIFIER>.json"))
    assert (task["status"], "no identifier" in task["error"]) == ("FAILED", True)


def test_the_evalscript_may_lie_in_a_bucket(
    api: Driver, kind: str, tmp_path: Path, bucket: Path
) -> None:
    (bucket / "raw.js").write_text(s.RAW)
    request = body(kind)
    del request["aggregation"]["evalscript"]
    request["aggregation"]["evalscriptReference"] = {"s3": {"url": f"s3://{BUCKET}/raw.js"}}
    assert over(api, request)["status"] == "DONE"
    assert len(files(tmp_path)) == 3
    (bucket / "raw.js").unlink()
    task = over(api, request)
    assert (task["status"], "raw.js cannot be read" in task["error"]) == ("FAILED", True)


def test_a_feature_that_is_too_large_is_an_error_in_its_file(
    api: Driver, kind: str, tmp_path: Path
) -> None:
    task = over(api, body(kind, resx=0.1, resy=0.1))
    assert task["status"] == "DONE"
    for content in files(tmp_path).values():
        assert content["error"]["code"] == "COMMON_BAD_PAYLOAD"
        assert "response" not in content


def test_features_fail_on_demand(api: Driver, kind: str, tmp_path: Path) -> None:
    api.post("/_sandbox/batch", {"features": ["b"], "cause": "a storm"})
    api.configure(statistics_partial=True)
    task = over(api, body(kind))
    assert (task["status"], task["completionPercentage"]) == ("PARTIAL", 100)
    found = list(files(tmp_path).values())
    assert found[1]["error"]["message"] == "a storm"
    assert ["response" in content for content in found] == [True, False, True]


def test_a_file_that_vanished_is_an_error_of_its_interval(
    api: Driver, kind: str, tmp_path: Path, bucket: Path
) -> None:
    task = create(api, body(kind))
    act(api, task, "start")
    (bucket / "two" / "B04.tif").unlink()
    api.tick(60)
    assert read(api, task)["status"] == "DONE"
    for content in files(tmp_path).values():
        assert content["response"]["status"] == "PARTIAL"


# The task.


def test_what_a_task_tells(api: Driver, kind: str) -> None:
    answer = api.post(TASKS, body(kind))
    created = answer.json()
    assert SECRET not in answer.text
    assert created["request"]["output"]["s3"]["url"] == "s3://results/stats"
    assert (created["status"], created["userAction"]) == ("CREATED", "NONE")
    assert created["domainAccountId"] == created["projectId"]
    assert created["costPu"] == created["costPU"] == 0
    assert read(api, created["id"]) == created
    status = api.get(f"{TASKS}/{created['id']}/status").json()
    assert "request" not in status
    assert status == {name: created[name] for name in status}
    assert {"id", "status", "completionPercentage", "costPu", "created", "lastUpdated"} <= set(
        status
    )


def test_it_is_analysed_and_then_waits(api: Driver, kind: str) -> None:
    task = create(api, body(kind))
    assert act(api, task, "analyse") == 204
    assert read(api, task)["userAction"] == "ANALYSE"
    api.tick(1.5)
    assert read(api, task)["status"] == "ANALYSING"
    api.tick(600)
    assert read(api, task)["status"] == "ANALYSIS_DONE"
    assert act(api, task, "analyse") == 400
    assert act(api, task, "start") == 204
    assert act(api, task, "start") == 400
    api.tick(5)
    running = read(api, task)
    assert running["status"] == "PROCESSING"
    assert 0 < running["completionPercentage"] < 100
    api.tick(20)
    assert read(api, task)["status"] == "DONE"


def test_a_stopped_task_goes_on_after_a_while(api: Driver, kind: str, tmp_path: Path) -> None:
    task = create(api, body(kind))
    act(api, task, "start")
    api.tick(8)
    read(api, task)
    some = files(tmp_path)
    assert 0 < len(some) < 3
    assert act(api, task, "stop") == 204
    stopped = read(api, task)
    assert (stopped["status"], stopped["stoppedStatusReason"]) == ("STOPPED", "USER_ACTION")
    api.tick(60)
    assert files(tmp_path) == some
    assert act(api, task, "start") == 400
    api.tick(1800)
    assert act(api, task, "start") == 204
    api.tick(60)
    assert read(api, task)["status"] == "DONE"
    assert len(files(tmp_path)) == 3


def test_many_features_are_all_handled(
    api: Driver, kind: str, tmp_path: Path, bucket: Path
) -> None:
    api.configure(batch_processing_s=0)
    fields = [{"box": box((n, n, n + 4, n + 4)), "identifier": f"f{n}"} for n in range(20)]
    geopackages.write(bucket / "fields.gpkg", fields)
    assert over(api, body(kind))["status"] == "DONE"
    assert len(files(tmp_path)) == 20


def test_tasks_are_listed(api: Driver, kind: str) -> None:
    made = []
    for _ in range(3):
        made.append(create(api, body(kind)))
        api.tick(1)
    first = api.get(TASKS, count=2, sort="created").json()
    assert [one["id"] for one in first["data"]] == made[:2]
    rest = api.get(TASKS, count=2, sort="created", viewtoken=first["links"]["nextToken"]).json()
    assert [one["id"] for one in rest["data"]] == made[2:]
    assert [one["id"] for one in api.get(TASKS).json()["data"]] == made[::-1]


def test_a_task_is_its_accounts(api: Driver, kind: str) -> None:
    task = create(api, body(kind))
    api.configure(clients={"other": {"secret": "x", "account": "other"}})
    api.login("other", "x")
    assert api.get(TASKS).json()["data"] == []
    for path in ("", "/status"):
        assert api.get(f"{TASKS}/{task}{path}").status_code == 403
    for action in ("analyse", "start", "stop"):
        assert act(api, task, action) == 403
    assert api.post(TASKS, body(kind)).status_code == 400


def test_unknown_tasks_and_paths(api: Driver, kind: str) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    assert api.get(f"{TASKS}/{unknown}").status_code == 404
    assert act(api, unknown, "start") == 404
    task = create(api, body(kind))
    assert api.get(f"/api/v1/statistics/batch/{task}").json()["id"] == task
    assert api.get(f"/api/v1/statistics/batch/{task}/status").json()["id"] == task
    assert api.delete(f"{TASKS}/{task}").status_code == 405


def test_older_clients_stop_by_another_name(api: Driver, kind: str) -> None:
    task = create(api, body(kind))
    act(api, task, "start")
    api.tick(4.5)
    assert act(api, task, "cancel") == 204
    assert read(api, task)["stoppedStatusReason"] == "USER_ACTION"


def test_the_control_tells_of_starts(api: Driver, kind: str) -> None:
    task = over(api, body(kind))["id"]
    assert act(api, task, "start") == 400
    (told,) = api.get("/_sandbox/batch").json()["tasks"]
    assert (told["api"], told["id"], told["starts"]) == ("statistics", task, 1)
    assert (told["features"], told["handled"], told["fatal"]) == (3, 3, 0)


@pytest.mark.parametrize("fault", ["lost-answer", "duplicate"])
def test_a_start_whose_answer_is_lost_is_paid_once(
    api: Driver, kind: str, tmp_path: Path, fault: str
) -> None:
    task = create(api, body(kind))
    before = pu(api)
    api.post("/_sandbox/faults", {"kind": fault, "path": f"{TASKS}/.*/start"})
    if fault == "lost-answer":
        with pytest.raises(ConnectionError):
            act(api, task, "start")
    else:
        assert act(api, task, "start") == 400
    api.tick(60)
    assert read(api, task)["status"] == "DONE"
    assert pu(api) == pytest.approx(before + 100)
    assert len(files(tmp_path)) == 3


def test_a_task_that_is_stopped_while_it_computes_is_left_as_it_is(
    api: Driver, kind: str, tmp_path: Path
) -> None:
    """What was computed of it meanwhile is neither delivered nor paid for."""
    task = create(api, body(kind))
    act(api, task, "start")
    world = api.app.state.world
    api.tick(4.5)
    assert read(api, task)["status"] == "PROCESSING"
    before, delivered = pu(api), files(tmp_path)
    api.app.state.world.tick(60)
    step = task_settling.next_step(world, [batch_statistics.STEPS])
    assert step is not None
    results = step.work()
    stored = batch_statistics_rows.TASKS.find(world.store, task)
    assert stored is not None
    batch_statistics_rows.TASKS.change(world.store, stored, status="STOPPED", due_ms=None)
    step.done(results)
    assert read(api, task)["status"] == "STOPPED"
    assert (pu(api), files(tmp_path)) == (before, delivered)


# What it costs.


def test_the_least_price_is_a_hundred(api: Driver, kind: str) -> None:
    before = pu(api)
    assert over(api, body(kind))["costPu"] == 100
    assert pu(api) == pytest.approx(before + 100)


def test_features_cost_what_the_statistical_api_takes(api: Driver, kind: str, bucket: Path) -> None:
    big = {"box": box((0, 0, 1000, 1000)), "identifier": "big"}
    geopackages.write(bucket / "fields.gpkg", [big, {**big, "identifier": "other"}])
    sides = [float(side) for side in big["box"]]  # type: ignore[union-attr]  # of a box
    text = s.script(
        "return {raw: [samples.length], dataMask: [1]};", mosaicking="TILE",
        bands='[{bands: ["B04", "B04", "B04"]}]',
    )  # fmt: skip
    request = body(kind, evalscript=text, of="P30D", size=(500, 500), resx=None, resy=None)
    del request["aggregation"]["resx"], request["aggregation"]["resy"]
    single = s.body(
        kind, text, of="P30D", size=(500, 500),
        bounds={"bbox": sides, "properties": {"crs": p.EPSG.format(32633)}},
    )  # fmt: skip
    price = float(s.asked(api, single).headers["x-processingunits-spent"])
    api.configure(batch_required_pu=0)
    before = pu(api)
    task = over(api, request)
    assert task["status"] == "DONE", task
    assert task["costPu"] == pytest.approx(max(100, 2 * price))
    assert pu(api) == pytest.approx(before + task["costPu"])


def test_who_has_too_few_units_cannot_begin(api: Driver, kind: str) -> None:
    task = create(api, body(kind))
    api.configure(account_pu=900)
    assert api.post(TASKS, body(kind)).status_code == 403
    assert act(api, task, "analyse") == 403
    assert act(api, task, "start") == 403


def test_who_falls_below_what_is_needed_is_stopped_for_an_hour(
    api: Driver, kind: str, tmp_path: Path
) -> None:
    # As many as are needed, and a little, which the first features use up.
    api.configure(account_pu=pu(api) + 1000.01)
    task = over(api, body(kind))
    assert (task["status"], task["stoppedStatusReason"]) == ("STOPPED", "OUT_OF_PU")
    assert 0 < len(files(tmp_path)) < 3
    api.configure(account_pu=None)
    api.tick(1800)
    assert act(api, task["id"], "start") == 400
    api.tick(1800)
    api.login()
    assert act(api, task["id"], "start") == 204
    api.tick(60)
    assert read(api, task["id"])["status"] == "DONE"
    assert len(files(tmp_path)) == 3


# Refusals.


MEANINGLESS: list[tuple[dict[str, Any], str]] = [
    ({"evalscript": s.RAW + " " * 32_768}, "32 KB"),
    ({"of": "PT1H"}, "at least one day"),
    ({"width": 10, "height": 10}, "not both"),
    ({"resx": 0}, "greater than 0"),
    ({"calculations": {"raw": {"histograms": {"B0": {}}}}}, "nBins"),
    ({"url": "s3://results/<REQUEST_ID>/x.json"}, "must contain <ID> or <IDENTIFIER>"),
    ({"url": "s3://results/<NAME>.json"}, "unknown placeholder"),
    ({"url": "results"}, "s3://"),
    ({"url": "s3://results/../x"}, "url"),
]
MEANINGLESS_INPUTS: list[tuple[str, Any, str]] = [
    ("features", {"s3": {"url": "s3://b/fields.json"}}, ".gpkg"),
    ("features", {"s3": {"url": "s3://b/f.gpkg", "accessKey": "x"}}, "both keys"),
    ("features", {}, "input"),
    ("data", [], "data"),
    ("data", [{"type": "byoc-00000000-0000-0000-0000-000000000000"}], "not found"),
]


def test_requests_that_cannot_be_meant_are_refused(api: Driver, kind: str) -> None:
    for change, told in MEANINGLESS:
        answer = api.post(TASKS, body(kind, **change))
        assert (answer.status_code, told in answer.text) == (400, True), answer.text
        assert SECRET not in answer.text
    for member, value, told in MEANINGLESS_INPUTS:
        request = body(kind)
        request["input"][member] = value
        answer = api.post(TASKS, request)
        assert (answer.status_code, told in answer.text) == (400, True), answer.text


def test_either_a_script_or_a_reference(api: Driver, kind: str) -> None:
    request = body(kind)
    request["aggregation"]["evalscriptReference"] = {"s3": {"url": "s3://b/x.js"}}
    assert api.post(TASKS, request).status_code == 400
    del request["aggregation"]["evalscript"], request["aggregation"]["evalscriptReference"]
    assert api.post(TASKS, request).status_code == 400


def test_scripts_that_cannot_be_used_fail_the_analysis(api: Driver, kind: str) -> None:
    for text, told in (
        ("//VERSION=3\nfunction setup( {", "evalscript failed"),
        (p.script("return [1];", bands='["B04"]'), "dataMask"),
        (s.script("return {raw: [1], dataMask: [1]};", bands='["B77"]'), "B77"),
    ):
        task = over(api, body(kind, evalscript=text))
        assert (task["status"], task["costPu"]) == ("FAILED", 0)
        assert told in task["error"]


def test_features_that_cannot_be_used_fail_the_analysis(
    api: Driver, kind: str, bucket: Path
) -> None:
    path = bucket / "fields.gpkg"
    geopackages.write(path, [])
    assert "no features" in over(api, body(kind))["error"]
    path.write_bytes(b"no database at all")
    assert "cannot be read" in over(api, body(kind))["error"]
    path.unlink()
    assert "cannot be read" in over(api, body(kind))["error"]
    twice = [{"box": box(FIELDS["a"]), "identifier": "same"}] * 2
    geopackages.write(path, twice)
    url = "s3://results/<IDENTIFIER>.json"
    assert "Several features" in over(api, body(kind, url=url))["error"]
    geopackages.write(path, [{"box": box(FIELDS["a"]), "identifier": "../../x"}])
    assert "would be written" in over(api, body(kind, url=url))["error"]


def test_features_have_one_crs(api: Driver, kind: str, tmp_path: Path, bucket: Path) -> None:
    path = bucket / "fields.gpkg"
    _copy_table(path, "g", epsg=32633)
    task = over(api, body(kind, url="s3://results/<ID>-<IDENTIFIER>.json"))
    # The ids of both tables are the same.
    assert "Several features" in task["error"]
    with sqlite3.connect(path) as file:
        file.execute("update g set id = id + 10")
    assert over(api, body(kind))["status"] == "DONE"
    assert len(files(tmp_path)) == 6
    _copy_table(path, "h", epsg=32634)
    assert "one CRS" in over(api, body(kind))["error"]


def _copy_table(path: Path, name: str, *, epsg: int) -> None:
    with sqlite3.connect(path) as file:
        file.execute(f"create table {name} as select * from f")
        file.execute(
            "insert or ignore into gpkg_spatial_ref_sys values (?, ?, 'EPSG', ?, '', '')",
            (str(epsg), epsg, epsg),
        )
        file.execute(
            "insert into gpkg_contents select ?, data_type, ?, '', '', 0, 0, 0, 0, ?"
            " from gpkg_contents where table_name = 'f'",
            (name, name, epsg),
        )
        file.execute(
            "insert into gpkg_geometry_columns values (?, 'geom', 'POLYGON', ?, 0, 0)", (name, epsg)
        )


def test_a_feature_is_called_by_whatever_its_key_is(
    api: Driver, kind: str, tmp_path: Path, bucket: Path
) -> None:
    with sqlite3.connect(bucket / "fields.gpkg") as file:
        file.execute("alter table f rename column id to fid")
    over(api, body(kind, url="s3://results/<ID>.json"))
    assert list(files(tmp_path)) == ["1.json", "2.json", "3.json"]
    with sqlite3.connect(bucket / "fields.gpkg") as file:
        file.execute("alter table f add column id text")
        file.execute("update f set id = 'field-' || fid")
    over(api, body(kind, url="s3://texts/<ID>.json"))
    found = files(tmp_path, bucket="texts")
    assert [one["id"] for one in found.values()] == ["field-1", "field-2", "field-3"]


def test_the_bucket_of_the_results_must_be_there_if_a_setting_says_so(
    api: Driver, kind: str
) -> None:
    api.configure(missing_bucket="refuse")
    assert "cannot be written to" in over(api, body(kind))["error"]


def test_a_place_that_cannot_be_written_fails_the_feature(
    api: Driver, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "buckets" / "results").mkdir()
    # A file where a folder must be.
    (tmp_path / "buckets" / "results" / "stats").write_text("")
    task = over(api, body(kind))
    assert (task["status"], task["costPu"]) == ("DONE", 100)
    assert files(tmp_path) == {}


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


def test_a_bug_in_an_analysis_fails_its_task_alone(
    api: Driver, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = create(api, body(kind))
    with monkeypatch.context() as patch:
        patch.setattr("shplan.sandbox.geopackage.zones", broken)
        assert act(api, task, "analyse") == 204
        api.tick(60)
        assert read(api, task)["error"] == UNFORESEEN
    assert over(api, body(kind))["status"] == "DONE"


def test_a_bug_in_a_feature_fails_that_feature(
    api: Driver, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pu(api)
    with monkeypatch.context() as patch:
        patch.setattr("shplan.sandbox.interval_statistics.compute", broken)
        assert over(api, body(kind))["status"] == "DONE"
    assert {one["error"]["status"] for one in files(tmp_path).values()} == {500}
    assert pu(api) - before == 100, "the least that a task costs"


@pytest.mark.parametrize(("count", "status"), [(90, "DONE"), (150, "FAILED")])
def test_a_task_whose_features_keep_failing_is_given_up(
    api: Driver, kind: str, bucket: Path, tmp_path: Path, count: int, status: str
) -> None:
    """A hundred failures in a row are enough, so that a task of very many cannot go on for ever."""
    features = [{"box": box(FIELDS["a"]), "identifier": f"f{n}"} for n in range(count)]
    geopackages.write(bucket / "fields.gpkg", features)
    api.post("/_sandbox/batch", {"share": 1})
    task = over(api, body(kind))
    assert task["status"] == status, task
    assert len(files(tmp_path)) == min(count, 100)
    assert ("Too many features failed" in task.get("error", "")) is (status == "FAILED")
