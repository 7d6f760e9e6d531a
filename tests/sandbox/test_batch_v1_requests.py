"""Batch V1 over the API: requests, actions, the passing of time, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shplan.sandbox.settings import ClientEntry, Settings

from .batches import body as body_v2
from .batches import files, pu, script, starts
from .batches_v1 import (
    EAST,
    REQUESTS,
    WEST,
    act,
    analysed,
    body,
    create,
    done,
    fail,
    read,
    statuses,
    tiles,
    without,
)
from .support import CHECKED, Driver, sandbox


def follow(api: Driver, request: str, *seconds: float) -> list[str]:
    found = []
    for step in seconds:
        api.tick(step)
        found.append(read(api, request)["status"])
    return found


def test_a_new_request_is_at_rest(api: Driver) -> None:
    before = len(CHECKED)
    sent = body(description="mine", grid={"bufferX": 3})
    answer = api.post(REQUESTS, sent)
    assert answer.status_code == 201
    assert len(CHECKED) == before + 1
    told = answer.json()
    assert {name: told[name] for name in sent} == sent
    assert (told["status"], told["userAction"]) == ("CREATED", "NONE")
    # The size of a tile is told without its buffer.
    assert (told["tileCount"], told["tileWidthPx"], told["tileHeightPx"]) == (2, 417, 417)
    assert told["created"] == "2025-01-01T00:00:00.000Z"
    assert told["userId"] != told["accountId"]
    assert not {"valueEstimate", "error", "userActionUpdated"} & set(told)
    assert tiles(api, told["id"]) == []
    api.tick(1_000_000)
    api.login()
    assert read(api, told["id"]) == told


def test_there_is_no_newer_path(api: Driver) -> None:
    assert api.get("/batch/v1/process").status_code == 404
    assert api.get(f"{REQUESTS}/").json()["data"] == []


def test_a_start_leads_through_the_analysis_to_the_end(api: Driver) -> None:
    request = create(api)
    assert act(api, request, "start") == 204
    told = read(api, request)
    assert (told["status"], told["userAction"]) == ("CREATED", "START")
    assert told["userActionUpdated"] == "2025-01-01T00:00:00.000Z"
    assert follow(api, request, 0.999, 0.001, 2, 1, 5, 5) == [
        "CREATED", "ANALYSING", "ANALYSIS_DONE", "PROCESSING", "PROCESSING", "DONE",
    ]  # fmt: skip
    assert pu(api) == 100
    assert starts(api) == {request: 1}


def test_an_analysis_waits_for_the_start_and_tells_an_estimate(api: Driver) -> None:
    told = analysed(api)
    assert told["status"] == "ANALYSIS_DONE"
    assert told["valueEstimate"] == 100
    assert follow(api, told["id"], 3000) == ["ANALYSIS_DONE"]
    assert act(api, told["id"], "start") == 204
    assert follow(api, told["id"], 1, 10) == ["PROCESSING", "DONE"]
    assert pu(api) == 100


MULTIBAND = script(
    '{input: ["B02", "B03", "B04"], output: {bands: 1, sampleType: "FLOAT32"}, mosaicking: "ORBIT"}'
)
# Before the mission, as the data of all other tests.
JANUARY = {"from": "2011-01-01T00:00:00Z", "to": "2011-01-31T23:59:59Z"}


def test_the_estimate_leaves_out_the_discount_that_the_charge_has(api: Driver) -> None:
    """One sample in three days: 1 to 31 January are ten. 32-bit TIFF counts twice."""
    data = [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": JANUARY}}]
    told = analysed(api, evalscript=MULTIBAND, data=data, grid={"resolution": 60})
    tile = 1668 * 1668 / (512 * 512)
    assert told["valueEstimate"] == pytest.approx(2 * tile * 10 * 2)
    assert act(api, told["id"], "start") == 204
    api.tick(60)
    # What is charged counts what the sandbox finds, eleven begun parts of three days.
    assert pu(api) == pytest.approx(2 * tile * 11 * 2 / 3)
    assert [tile["cost"] for tile in tiles(api, told["id"])] == pytest.approx([pu(api) / 2] * 2)


def test_a_request_costs_the_minimum_however_small(api: Driver) -> None:
    told = done(api, bbox=[14.6, 46.5, 14.7, 46.6])
    assert (told["tileCount"], told["valueEstimate"]) == (1, 100)
    assert pu(api) == 100


def test_looking_late_finds_what_looking_often_finds(tmp_path: Path) -> None:
    """State is a function of stored instants and the clock."""
    found = []
    for name, steps in (("often", [0.25] * 400), ("late", [100.0])):
        with sandbox(tmp_path / name, settings=Settings(seed="x")) as api:
            api.login()
            fail(api, WEST, stuck=True)
            request = create(api, bbox=[12, 46, 16, 48])
            assert act(api, request, "start") == 204
            for step in steps:
                api.tick(step)
            found.append((read(api, request), tiles(api, request), pu(api)))
    assert found[0][0]["status"] == "PARTIAL"
    assert found[0] == found[1]


@pytest.mark.parametrize("second", ["refuse", "ignore"])
def test_a_second_start_is_never_charged_or_counted(api: Driver, second: str) -> None:
    api.configure(second_start=second)
    request = create(api)
    assert act(api, request, "start") == 204
    status = {"refuse": 400, "ignore": 204}[second]
    for wait in (0, 1, 2, 1, 5, 30):
        api.tick(wait)
        assert act(api, request, "start") == status
    assert read(api, request)["status"] == "DONE"
    assert starts(api) == {request: 1}
    assert pu(api) == 100


def test_an_illegal_action_names_action_and_status(api: Driver) -> None:
    request = create(api)
    assert act(api, request, "cancel") == 204
    for action in ("analyse", "start", "cancel"):
        error = api.post(f"{REQUESTS}/{request}/{action}").json()["error"]
        assert error["status"] == 400
        assert f"from CANCEL to {action.upper()} with task status CANCELED" in error["message"]


@pytest.mark.parametrize("action", ["analyse", "start", "cancel", "restartpartial"])
def test_no_action_on_what_is_not_there(api: Driver, action: str) -> None:
    assert act(api, "6b0b8a9d-4b0f-4e0b-9f0e-0d6d6a0f5c11", action) == 404


# Cancelling.


@pytest.mark.parametrize("action", [None, "analyse", "start"])
def test_a_request_that_waits_is_cancelled_at_once(api: Driver, action: str | None) -> None:
    request = create(api)
    if action:
        assert act(api, request, action) == 204
    assert act(api, request, "cancel") == 204
    assert (read(api, request)["status"], read(api, request)["userAction"]) == (
        "CANCELED",
        "CANCEL",
    )
    assert follow(api, request, 100) == ["CANCELED"]
    assert pu(api) == 0


def test_an_analysis_is_completed_before_the_cancel(api: Driver) -> None:
    request = create(api)
    act(api, request, "start")
    api.tick(2)
    assert act(api, request, "cancel") == 204
    assert act(api, request, "cancel") == 400
    assert read(api, request)["status"] == "ANALYSING"
    assert follow(api, request, 1, 100) == ["CANCELED", "CANCELED"]
    assert statuses(api, request) == ["PENDING", "PENDING"]
    assert read(api, request)["valueEstimate"] == 100
    assert pu(api) == 0


def test_a_cancel_charges_the_tile_in_flight_and_no_other(api: Driver) -> None:
    request = create(api)
    act(api, request, "start")
    api.tick(5)
    assert statuses(api, request) == ["PROCESSING", "QUEUED"]
    assert act(api, request, "cancel") == 204
    assert statuses(api, request) == ["PROCESSED", "PENDING"]
    assert pu(api) == 50
    assert follow(api, request, 1000) == ["CANCELED"]
    assert statuses(api, request) == ["PROCESSED", "PENDING"]
    assert pu(api) == 50


def test_what_is_over_cannot_be_cancelled(api: Driver) -> None:
    request = done(api)["id"]
    assert act(api, request, "cancel") == 400
    fail(api, WEST)
    assert act(api, done(api, path="s3://results/b")["id"], "cancel") == 400


# Units that are reserved.


def test_a_start_reserves_the_estimate_until_it_is_spent_or_given_back(api: Driver) -> None:
    api.configure(account_pu=150)
    first, second = (analysed(api, path=f"s3://results/{n}")["id"] for n in range(2))
    assert act(api, first, "start") == 204
    poor = api.post(f"{REQUESTS}/{second}/start")
    assert poor.status_code == 403
    assert poor.json()["error"]["code"] == "ACCESS_INSUFFICIENT_PROCESSING_UNITS"
    assert read(api, second)["userAction"] == "ANALYSE"
    assert act(api, first, "cancel") == 204
    assert act(api, second, "start") == 204
    api.tick(60)
    assert read(api, second)["status"] == "DONE"
    assert pu(api) == 100


def test_a_request_that_others_left_no_units_fails_without_any_charge(api: Driver) -> None:
    """Started before its analysis, it learns only then what it needs."""
    api.configure(account_pu=150)
    first, second = (create(api, path=f"s3://results/{n}") for n in range(2))
    act(api, first, "start")
    act(api, second, "start")
    api.tick(60)
    assert [read(api, one)["status"] for one in (first, second)] == ["DONE", "FAILED"]
    assert "processing units" in read(api, second)["error"]
    assert pu(api) == 100


def test_what_a_request_reserves_is_not_there_for_batch_v2(api: Driver) -> None:
    api.configure(account_pu=1050, batch_required_pu=1000, batch_processing_s=1000)
    request = create(api)
    assert api.post("/batch/v2/process", body_v2()).status_code == 201
    act(api, request, "start")
    api.tick(5)
    assert api.post("/batch/v2/process", body_v2()).status_code == 403
    act(api, request, "cancel")
    assert pu(api) == 50
    assert api.post("/batch/v2/process", body_v2()).status_code == 201


# Failures and restarts.


def test_some_failed_tiles_make_it_partial_and_all_make_it_failed(api: Driver) -> None:
    fail(api, WEST)
    partial = done(api)
    assert partial["status"] == "PARTIAL"
    assert partial["error"] == "1 of 2 tiles failed."
    assert statuses(api, partial["id"]) == ["FAILED", "PROCESSED"]
    assert pu(api) == 50
    fail(api, EAST)
    failed = done(api, path="s3://results/b")
    assert failed["status"] == "FAILED"
    assert pu(api) == 50


def test_a_restart_processes_the_failed_tiles_and_nothing_else(api: Driver) -> None:
    fail(api, WEST)
    request = done(api)["id"]
    api.delete("/_sandbox/batch")
    assert act(api, request, "restartpartial") == 204
    told = read(api, request)
    assert (told["status"], "error" in told) == ("PROCESSING", False)
    assert statuses(api, request) == ["PENDING", "PROCESSED"]
    api.tick(1)
    assert statuses(api, request) == ["PROCESSING", "PROCESSED"]
    assert follow(api, request, 5) == ["DONE"]
    assert statuses(api, request) == ["PROCESSED", "PROCESSED"]
    assert pu(api) == 100


def test_a_restart_that_fails_again_stays_partial(api: Driver) -> None:
    fail(api, WEST)
    request = done(api)["id"]
    assert act(api, request, "restartpartial") == 204
    assert follow(api, request, 60) == ["PARTIAL"]
    assert act(api, request, "restartpartial") == 204
    assert pu(api) == 50


@pytest.mark.parametrize("seconds", [0, 1, 3, 5, 60])
def test_only_what_is_partial_is_restarted(api: Driver, seconds: float) -> None:
    request = create(api)
    act(api, request, "start")
    api.tick(seconds)
    answer = api.post(f"{REQUESTS}/{request}/restartpartial")
    assert answer.status_code == 400
    assert "PARTIAL" in answer.json()["error"]["message"]


def test_a_stuck_tile_goes_back_two_times_and_fails_the_third_time(api: Driver) -> None:
    fail(api, WEST, stuck=True)
    request = create(api)
    act(api, request, "start")
    api.tick(4)
    assert statuses(api, request) == ["PENDING", "PENDING"]
    api.tick(1)
    seen = [statuses(api, request)]
    for _ in range(4):
        api.tick(5)
        seen.append(statuses(api, request))
    assert seen == [
        ["PROCESSING", "QUEUED"],
        ["QUEUED", "PROCESSING"],
        ["PROCESSING", "PROCESSED"],
        ["PROCESSING", "PROCESSED"],
        ["FAILED", "PROCESSED"],
    ]
    assert read(api, request)["status"] == "PARTIAL"


def test_a_tile_that_is_stuck_only_once_is_processed(api: Driver) -> None:
    fail(api, WEST, stuck=True)
    request = create(api)
    act(api, request, "start")
    api.tick(9)
    api.delete("/_sandbox/batch")
    assert follow(api, request, 60) == ["DONE"]
    assert pu(api) == 100


# Update and delete.


def test_only_the_description_and_the_collection_are_updated(api: Driver) -> None:
    request = create(api, description="before")
    before = read(api, request)
    changed = {"description": "after", "bucketName": "other", "tilingGrid": {"id": 1}}
    answer = api.put(f"{REQUESTS}/{request}", changed)
    assert answer.status_code == 200
    assert answer.json() == read(api, request) == {**before, "description": "after"}
    assert api.put(f"{REQUESTS}/{request}", {}).json() == {**before, "description": "after"}


def test_no_update_while_processed_or_queued(api: Driver) -> None:
    request = create(api)
    act(api, request, "start")
    for wait in (0, 1, 2, 1):
        api.tick(wait)
        assert api.put(f"{REQUESTS}/{request}", {"description": "x"}).status_code == 409
    api.tick(60)
    assert api.put(f"{REQUESTS}/{request}", {"description": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("actions", "status"),
    [
        ([], 204),
        ([("analyse", 0)], 409),
        ([("analyse", 1)], 409),
        ([("analyse", 3)], 204),
        ([("start", 0)], 409),
        ([("start", 3)], 409),
        ([("start", 5)], 409),
        ([("start", 60)], 409),
        ([("start", 3), ("cancel", 0)], 204),
        ([("start", 5), ("cancel", 0)], 409),
    ],
)
def test_what_is_deleted_is_at_rest_and_was_not_paid_for(
    api: Driver, actions: list[tuple[str, float]], status: int
) -> None:
    request = create(api)
    for action, seconds in actions:
        assert act(api, request, action) == 204
        api.tick(seconds)
    assert api.delete(f"{REQUESTS}/{request}").status_code == status
    assert api.get(f"{REQUESTS}/{request}").status_code == (404 if status == 204 else 200)
    if status == 204:
        assert api.delete(f"{REQUESTS}/{request}").status_code == 404
        assert api.get(REQUESTS).json()["data"] == []


# Lists.


def listed(api: Driver, **query: Any) -> list[str]:
    answer = api.get(REQUESTS, **query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


def test_lists_are_sorted_and_paged(api: Driver) -> None:
    made = []
    for n in range(5):
        made.append(create(api, path=f"s3://results/{n}"))
        api.tick(1)
    assert listed(api, sort="created") == made
    assert listed(api, sort="created:desc") == made[::-1]
    act(api, made[1], "cancel")
    assert listed(api, sort="status")[0] == made[1]
    assert listed(api, sort="status:desc")[-1] == made[1]
    assert api.get(REQUESTS, sort="name").status_code == 400
    found, token = [], None
    while True:
        query = {"count": 2, "sort": "created", **({"viewtoken": token} if token else {})}
        page = api.get(REQUESTS, **query).json()
        found += [one["id"] for one in page["data"]]
        token = page["links"].get("nextToken")
        if token is None:
            break
    assert found == made
    assert listed(api, sort="created:desc", count=1) == made[-1:]


def test_lists_are_searched_in_descriptions_and_filtered_by_user(api: Driver) -> None:
    first = create(api, description="Wheat of June")
    second = create(api, description="wheat of July", path="s3://results/b")
    create(api, path="s3://results/c")
    assert sorted(listed(api, search="wheat")) == sorted([first, second])
    assert listed(api, search="wheat&june") == [first]
    assert sorted(listed(api, search="june|july")) == sorted([first, second])
    user = read(api, first)["userId"]
    assert len(listed(api, userid=user)) == 3
    assert listed(api, userid=read(api, first)["accountId"]) == []
    api.put(f"{REQUESTS}/{first}", {"description": "barley"})
    assert listed(api, search="barley") == [first]


def test_requests_are_their_accounts_own(tmp_path: Path) -> None:
    clients = {name: ClientEntry(secret=name, account=name) for name in ("a", "b")}
    with sandbox(tmp_path, settings=Settings(clients=clients)) as api:
        api.login("a", "a")
        request = create(api)
        api.login("b", "b")
        assert api.get(f"{REQUESTS}/{request}").status_code == 403
        assert act(api, request, "start") == 403
        assert api.delete(f"{REQUESTS}/{request}").status_code == 403
        assert api.get(f"{REQUESTS}/{request}/tiles").status_code == 403
        assert listed(api) == []
        api.configure(foreign_objects=404)
        assert api.get(f"{REQUESTS}/{request}").status_code == 404


def test_v1_and_v2_do_not_see_each_others_tasks(api: Driver) -> None:
    older = create(api)
    newer = api.post("/batch/v2/process", body_v2()).json()["id"]
    assert api.get(f"/batch/v2/process/{older}").status_code == 404
    assert api.get(f"{REQUESTS}/{newer}").status_code == 404
    assert listed(api) == [older]
    tasks = api.get("/_sandbox/batch").json()["tasks"]
    assert {task["id"]: task["api"] for task in tasks} == {newer: "v2", older: "v1"}


# The stale are cleaned up.


@pytest.mark.parametrize(
    ("setting", "action", "fate"),
    [
        ("expire_created_s", None, None),
        ("expire_analysed_s", "analyse", None),
        ("expire_done_s", "start", None),
        ("expire_done_s", "start", "partial"),
        ("expire_failed_s", "start", "failed"),
    ],
)
def test_what_nobody_needs_is_cleaned_up_if_a_setting_says_so(
    api: Driver, setting: str, action: str | None, fate: str | None
) -> None:
    api.configure(**{setting: 600})
    if fate:
        fail(api, WEST, *([EAST] if fate == "failed" else []))
    request = create(api)
    if action:
        act(api, request, action)
    api.tick(60)
    assert api.get(f"{REQUESTS}/{request}").status_code == 200
    api.tick(600)
    assert api.get(f"{REQUESTS}/{request}").status_code == 404


def test_what_fills_a_collection_is_not_cleaned_up(api: Driver) -> None:
    api.configure(expire_done_s=600)
    output = {"cogOutput": True, "createCollection": True}
    request = done(api, output=output)["id"]
    api.tick(2000)
    assert read(api, request)["status"] == "DONE"


# Buckets.


def test_a_copy_of_the_request_lies_in_the_bucket(api: Driver, tmp_path: Path) -> None:
    request = create(api, path="s3://results/a/<requestId>/<tileId>_<outputId>.<format>")
    name = f"a/{request}/request-{request}.json"
    assert files(tmp_path) == [name]
    copy = json.loads((tmp_path / "buckets/results" / name).read_bytes())
    sent = body(path="s3://results/a/<requestId>/<tileId>_<outputId>.<format>")
    assert copy == {"id": request, "request": sent}


def test_a_bucket_name_is_its_root(api: Driver, tmp_path: Path) -> None:
    answer = api.post(REQUESTS, {**without(body(), "output"), "bucketName": "results"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["bucketName"] == "results"
    assert files(tmp_path) == [f"request-{answer.json()['id']}.json"]


def test_a_bucket_that_is_not_there_is_refused_if_none_is_made(api: Driver) -> None:
    api.configure(missing_bucket="refuse")
    assert api.post(REQUESTS, body()).status_code == 400
    assert api.get("/_sandbox/batch").json()["tasks"] == []


def place(tmp_path: Path, key: str) -> None:
    path = tmp_path / "buckets" / "results" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"there")


def test_files_in_the_way_fail_the_analysis(api: Driver, tmp_path: Path) -> None:
    template = "s3://results/x/<tileName>.<format>"
    place(tmp_path, f"x/{WEST}.tif")
    told = analysed(api, path=template)
    assert told["status"] == "FAILED"
    assert f"x/{WEST}.tif" in told["error"]
    assert tiles(api, told["id"]) == []
    assert act(api, told["id"], "start") == 400
    assert analysed(api, path=template, output={"overwrite": True})["status"] == "ANALYSIS_DONE"
    skipping = analysed(api, path=template, output={"skipExisting": True})
    assert (skipping["status"], skipping["tileCount"]) == ("ANALYSIS_DONE", 1)


def test_files_named_by_tile_id_are_found_as_well(api: Driver, tmp_path: Path) -> None:
    known = analysed(api, path="s3://results/other")["id"]
    number = tiles(api, known)[0]["id"]
    place(tmp_path, f"x/{number}.tif")
    told = analysed(api, path="s3://results/x/<tileId>.<format>")
    assert told["status"] == "FAILED"
    assert f"x/{number}.tif" in told["error"]


def test_a_request_with_nothing_to_do_is_done(api: Driver, tmp_path: Path) -> None:
    place(tmp_path, f"x/{WEST}.tif")
    place(tmp_path, f"x/{EAST}.tif")
    output = {"skipExisting": True}
    told = done(api, path="s3://results/x/<tileName>.<format>", output=output)
    assert (told["status"], told["tileCount"], told["valueEstimate"]) == ("DONE", 0, 0)
    assert pu(api) == 0


@pytest.mark.parametrize(
    "script_text", ["no script", script('{input: ["B04"], output: {id: "x", bands: 1}}')]
)
def test_a_wrong_script_fails_the_analysis(api: Driver, script_text: str) -> None:
    told = analysed(api, evalscript=script_text)
    assert told["status"] == "FAILED"
    assert told["error"]
    assert api.delete(f"{REQUESTS}/{told['id']}").status_code == 204


def test_a_body_in_parts_is_read(api: Driver) -> None:
    sent = body()
    evalscript = sent["processRequest"].pop("evalscript")
    parts = {
        "request": (None, json.dumps(sent), "application/json"),
        "evalscript": (None, evalscript),
    }
    answer = api.send("POST", REQUESTS, files=parts)
    assert answer.status_code == 201, answer.text
    assert answer.json()["processRequest"]["evalscript"] == evalscript


def test_both_versions_share_an_account_in_the_order_of_time(tmp_path: Path) -> None:
    """Whoever is due first is served first, however late somebody looks."""
    found = []
    known = Settings(seed="x", account_pu=240, batch_required_pu=0, batch_processing_s=8)
    for name, steps in (("often", [0.25] * 160), ("late", [40.0])):
        with sandbox(tmp_path / name, settings=known) as api:
            api.login()
            newer = api.post("/batch/v2/process", body_v2()).json()["id"]
            older = [create(api, path=f"s3://results/{n}") for n in range(2)]
            api.post(f"/batch/v2/process/{newer}/start")
            for request in older:
                act(api, request, "start")
            for step in steps:
                api.tick(step)
            told = api.get(f"/batch/v2/process/{newer}").json()
            found.append(
                (told["status"], told["costPU"], [read(api, one) for one in older], pu(api))
            )
    assert found[0] == found[1]
    # Two requests reserve a hundred each, so the task gets no further than what is left.
    assert (found[0][0], found[0][1]) == ("STOPPED", 0)
    assert [one["status"] for one in found[0][2]] == ["DONE", "DONE"]
