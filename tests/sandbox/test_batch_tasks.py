"""Batch V2 over the API: tasks, lists, actions, the passing of time, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shplan.sandbox.settings import ClientEntry, Settings

from .batches import (
    SECRET,
    TASKS,
    act,
    analysed,
    body,
    create,
    done,
    files,
    pu,
    read,
    start,
    starts,
)
from .support import CHECKED, Driver, sandbox

OLD = "/api/v2/batch/process"


def follow(api: Driver, task: str, *seconds: float) -> list[str]:
    found = []
    for step in seconds:
        api.tick(step)
        found.append(read(api, task)["status"])
    return found


def test_a_new_task_is_at_rest(api: Driver) -> None:
    before = len(CHECKED)
    answer = api.post(TASKS, body(description="mine", instanceType="normal"))
    assert answer.status_code == 201
    task = answer.json()
    assert len(CHECKED) == before + 1
    assert task["status"] == "CREATED"
    assert (task["userAction"], task["completionPercentage"], task["costPU"]) == ("NONE", 0, 0)
    assert task["domainAccountId"] == task["projectId"]
    assert task["request"]["description"] == "mine"
    assert task["request"]["instanceType"] == "normal"
    assert task["created"] == task["lastUpdated"] == "2025-01-01T00:00:00.000Z"
    assert not {"error", "stoppedStatusReason", "userActionUpdated"} & set(task)
    api.tick(1_000_000)
    api.login()
    assert read(api, task["id"]) == task


def test_both_path_styles_and_trailing_slashes(api: Driver) -> None:
    task = api.post(f"{OLD}/", body()).json()["id"]
    assert api.get(f"{OLD}/{task}/").json() == read(api, task)
    assert api.post(f"{OLD}/{task}/analyse/").status_code == 204
    assert api.get(f"{OLD}/").json()["data"][0]["id"] == task
    assert api.get("/api/v2/batch/tilinggrids/").json()["data"][0]["id"] == 0


def test_nulls_of_clients_are_no_values(api: Driver) -> None:
    sent = body(description=None)
    sent["input"] |= {"bufferX": None, "bufferY": None}
    sent["output"] |= {"overwrite": None, "cogParameters": None}
    sent["processRequest"]["input"]["data"][0]["dataFilter"] = {"maxCloudCoverage": None}
    answer = api.post(TASKS, sent)
    assert answer.status_code == 201, answer.text
    assert "null" not in answer.text


def test_a_start_leads_through_the_analysis_to_the_end(api: Driver) -> None:
    task = create(api)
    start(api, task)
    told = read(api, task)
    assert (told["status"], told["userAction"]) == ("CREATED", "START")
    assert told["userActionUpdated"] == "2025-01-01T00:00:00.000Z"
    assert follow(api, task, 0.999, 0.001, 2, 1, 5, 5) == [
        "CREATED", "ANALYSING", "ANALYSIS_DONE", "PROCESSING", "PROCESSING", "DONE",
    ]  # fmt: skip
    ended = read(api, task)
    assert (ended["completionPercentage"], ended["costPU"]) == (100, 100)
    assert ended["lastUpdated"] == "2025-01-01T00:00:14.000Z"
    assert pu(api) == 100
    assert starts(api) == {task: 1}


def test_an_analysis_waits_for_the_start(api: Driver) -> None:
    task = analysed(api)
    assert (task["status"], task["costPU"]) == ("ANALYSIS_DONE", 0)
    assert follow(api, task["id"], 3000) == ["ANALYSIS_DONE"]
    start(api, task["id"])
    assert follow(api, task["id"], 1, 10) == ["PROCESSING", "DONE"]
    assert pu(api) == 100


def test_units_are_charged_as_features_are_done(api: Driver) -> None:
    task = create(api)
    start(api, task)
    api.tick(4)
    seen = []
    for _ in range(3):
        seen.append((read(api, task)["completionPercentage"], read(api, task)["costPU"], pu(api)))
        api.tick(5)
    assert seen == [(0, 0, 0), (50, 50, 50), (100, 100, 100)]


def test_looking_late_finds_what_looking_often_finds(tmp_path: Path) -> None:
    """State is a function of stored instants and the clock."""
    found = []
    for name, steps in (("often", [0.25] * 400), ("late", [100.0])):
        with sandbox(tmp_path / name, settings=Settings(seed="x")) as api:
            api.login()
            task = create(api, bbox=[12, 46, 16, 48])
            start(api, task)
            for step in steps:
                api.tick(step)
            found.append((read(api, task), files(tmp_path / name), pu(api)))
            root = tmp_path / name / "buckets/results"
            found[-1] += ({p: (root / p).read_bytes() for p in files(tmp_path / name)},)
    assert found[0][0]["status"] == "DONE"
    assert found[0] == found[1]


@pytest.mark.parametrize("second", ["refuse", "ignore"])
def test_a_second_start_is_never_charged_or_counted(api: Driver, second: str) -> None:
    api.configure(second_start=second)
    task = create(api)
    start(api, task)
    status = {"refuse": 400, "ignore": 204}[second]
    for wait in (0, 1, 2, 1, 5, 30):
        api.tick(wait)
        assert act(api, task, "start") == status
    assert read(api, task)["status"] == "DONE"
    assert starts(api) == {task: 1}
    assert pu(api) == 100


def test_an_illegal_action_names_user_action_and_status(api: Driver) -> None:
    task = create(api)
    answer = api.post(f"{TASKS}/{task}/stop")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "COMMON_BAD_PAYLOAD")
    assert "userAction from NONE to STOP" in error["message"]
    assert "status CREATED" in error["message"]


def test_a_stopped_task_resumes_after_half_an_hour_and_pays_the_rest_only(api: Driver) -> None:
    task = create(api)
    start(api, task)
    api.tick(9)
    assert act(api, task, "stop") == 204
    stopped = read(api, task)
    assert (stopped["status"], stopped["stoppedStatusReason"]) == ("STOPPED", "USER_ACTION")
    assert (stopped["costPU"], stopped["completionPercentage"]) == (50, 50)
    api.tick(1799)
    assert act(api, task, "start") == 400
    api.tick(1)
    start(api, task)
    assert follow(api, task, 0, 1, 5) == ["STOPPED", "PROCESSING", "DONE"]
    assert "stoppedStatusReason" not in read(api, task)
    assert (read(api, task)["costPU"], pu(api)) == (100, 100)
    assert starts(api) == {task: 2}


def test_a_stop_lets_the_analysis_end(api: Driver, tmp_path: Path) -> None:
    task = create(api)
    start(api, task)
    api.tick(1)
    assert act(api, task, "stop") == 204
    assert follow(api, task, 1, 1, 999) == ["ANALYSING", "STOPPED", "STOPPED"]
    assert f"ndvi/featureManifest-{task}.gpkg" in files(tmp_path)
    assert pu(api) == 0


def test_units_that_run_out_stop_the_task(api: Driver) -> None:
    api.configure(account_pu=1050)
    first, task = create(api), create(api)
    api.configure(account_pu=50)
    start(api, first)
    start(api, task)
    api.tick(60)
    both = [read(api, one) for one in (first, task)]
    # The first feature of the older task takes all there is.
    assert [one["costPU"] for one in both] == [50, 0]
    for one in both:
        assert (one["status"], one["stoppedStatusReason"]) == ("STOPPED", "OUT_OF_PU")
    assert pu(api) == 50
    start(api, task)
    api.tick(60)
    assert read(api, task)["stoppedStatusReason"] == "OUT_OF_PU"
    api.configure(account_pu=None)
    for one in (first, task):
        start(api, one)
    api.tick(60)
    assert [read(api, one)["costPU"] for one in (first, task)] == [100, 100]
    assert pu(api) == 200


def test_a_limit_that_is_not_met_changes_nothing(api: Driver) -> None:
    api.configure(account_pu=5000)
    task = create(api)
    start(api, task)
    api.tick(4)
    costs = []
    for _ in range(3):
        costs.append(read(api, task)["costPU"])
        api.tick(5)
    assert costs == [0, 50, 100]


def test_the_last_units_go_to_whoever_needs_them_first(api: Driver) -> None:
    late, early = create(api), create(api)
    api.configure(account_pu=100)
    start(api, early)
    api.tick(1)
    start(api, late)
    api.tick(60)
    # Their features take turns, a second apart.
    assert [read(api, one)["costPU"] for one in (late, early)] == [50, 50]
    api.configure(account_pu=150)
    api.tick(1800)
    start(api, early)
    api.tick(1)
    start(api, late)
    api.tick(60)
    assert [read(api, one)["status"] for one in (late, early)] == ["STOPPED", "DONE"]


def test_creation_needs_a_thousand_units(api: Driver) -> None:
    api.configure(account_pu=999.9)
    answer = api.post(TASKS, body())
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "ACCESS_INSUFFICIENT_PROCESSING_UNITS"
    api.configure(batch_required_pu=900)
    create(api)


def test_the_description_changes_and_nothing_else(api: Driver) -> None:
    task = create(api, description="old")
    answer = api.put(f"{TASKS}/{task}", {"description": "new", "output": {"type": "zarr"}})
    assert (answer.status_code, answer.json()["description"]) == (200, "new")
    assert answer.json()["output"]["type"] == "raster"
    for silent in ({}, {"description": None}):
        assert api.put(f"{TASKS}/{task}", silent).json()["description"] == "new"
    assert read(api, task)["request"] == answer.json()
    assert api.put(f"{TASKS}/{task}", {"description": 7}).status_code == 400


def test_a_task_that_runs_or_waits_is_not_updated(api: Driver) -> None:
    task = create(api)
    start(api, task)
    for wait in (0, 1, 2, 1):
        api.tick(wait)
        answer = api.put(f"{TASKS}/{task}", {"description": "x"})
        assert answer.status_code == 409, read(api, task)["status"]
    api.tick(60)
    assert api.put(f"{TASKS}/{task}", {"description": "x"}).status_code == 200


def test_unknown_tasks_and_unknown_methods(api: Driver) -> None:
    task = create(api)
    for path in ("x", "00000000-0000-4000-8000-000000000000"):
        assert api.get(f"{TASKS}/{path}").status_code == 404
        assert api.put(f"{TASKS}/{path}", {}).status_code == 404
        for action in ("analyse", "start", "stop"):
            assert act(api, path, action) == 404
    assert api.delete(f"{TASKS}/{task}").status_code == 405
    assert api.get(f"{TASKS}/{task.upper()}").status_code == 200


@pytest.mark.parametrize("status", [403, 404])
def test_tasks_of_others(tmp_path: Path, status: int) -> None:
    clients = {name: ClientEntry(secret="s", account=name) for name in ("a", "b")}
    with sandbox(tmp_path, settings=Settings(clients=clients, foreign_objects=status)) as api:
        task = create(api.login("a", "s"))
        api.login("b", "s")
        assert api.get(f"{TASKS}/{task}").status_code == status
        assert act(api, task, "start") == status
        assert api.get(TASKS).json()["data"] == []


def test_secrets_are_told_only_if_asked_for(api: Driver, tmp_path: Path) -> None:
    task = create(api)
    api.put(f"{TASKS}/{task}", {"description": "x"})
    start(api, task)
    api.tick(60)
    told = json.dumps([read(api, task), api.get(TASKS).json(), api.get("/_sandbox/dump").json()])
    assert SECRET not in told
    assert read(api, task)["request"]["output"]["delivery"]["s3"]["accessKey"] == "key"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
    api.configure(echo_secrets=True)
    other = create(api, url="s3://results/b")
    assert read(api, other)["request"]["output"]["delivery"]["s3"]["secretAccessKey"] == SECRET
    assert SECRET not in (tmp_path / f"buckets/results/b/request-{other}.json").read_text()


@pytest.mark.parametrize(
    ("name", "drive"),
    [
        ("expire_created_s", []),
        ("expire_analysed_s", ["analyse"]),
        ("expire_stopped_s", ["analyse", "stop"]),
        ("expire_done_s", ["start"]),
    ],
)
def test_tasks_are_forgotten_by_their_status(api: Driver, name: str, drive: list[str]) -> None:
    api.configure(**{name: 100})
    task = create(api)
    for action in drive:
        assert act(api, task, action) == 204
        api.tick(3)
    api.tick(50)
    read(api, task)
    api.tick(100)
    assert api.get(f"{TASKS}/{task}").status_code == 404
    assert act(api, task, "start") == 404
    assert api.get(TASKS).json()["data"] == []
    (kept,) = api.get("/_sandbox/batch").json()["tasks"]
    assert (kept["forgotten"], kept["starts"]) == (True, int("start" in drive))


def test_a_failed_task_is_forgotten_and_a_running_one_never(api: Driver) -> None:
    api.configure(expire_failed_s=10, expire_created_s=10, batch_processing_s=1e6)
    failed = analysed(api, evalscript="//VERSION=3\nlet")
    assert failed["status"] == "FAILED"
    running = create(api)
    start(api, running)
    api.tick(1000)
    assert api.get(f"{TASKS}/{failed['id']}").status_code == 404
    assert read(api, running)["status"] == "PROCESSING"


def walk(api: Driver, path: str = TASKS, **query: Any) -> list[str]:
    """All pages forward, and the same entries on the way back."""
    forward: list[list[str]] = []
    page = api.get(path, **query).json()
    while True:
        forward.append([task["id"] for task in page["data"]])
        if "nextToken" not in page["links"]:
            break
        page = api.get(path, **query, viewtoken=page["links"]["nextToken"]).json()
    backward = [forward[-1]]
    while "previousToken" in page["links"]:
        page = api.get(path, **query, viewtoken=page["links"]["previousToken"]).json()
        backward.append([task["id"] for task in page["data"]])
    assert backward[::-1] == forward
    return [one for part in forward for one in part]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_lists_page_in_every_order(api: Driver, count: int) -> None:
    tasks = []
    for number in range(5):
        tasks.append(create(api))
        api.tick(number % 2)
    assert act(api, tasks[1], "analyse") == act(api, tasks[3], "analyse") == 204
    api.tick(9)
    assert walk(api, count=count, sort="created") == tasks
    assert walk(api, count=count, sort="created:desc") == tasks[::-1]
    rest = [tasks[0], tasks[2], tasks[4]]
    by_status = [tasks[1], tasks[3], *rest]
    assert walk(api, count=count, sort="status") == by_status
    assert walk(api, count=count, sort="status:desc") == by_status[::-1]
    for order, expected in (
        ("created", tasks), ("created:desc", tasks[::-1]), ("id", sorted(tasks)),
    ):  # fmt: skip
        api.configure(batch_list_order=order)
        assert walk(api, count=count) == expected


def test_a_list_tells_what_a_get_tells(api: Driver) -> None:
    task = create(api, description="x")
    start(api, task)
    for wait in (0, 1, 3, 5, 60):
        api.tick(wait)
        assert api.get(TASKS).json()["data"] == [read(api, task)]


@pytest.mark.parametrize(
    "query",
    [
        {"count": 0},
        {"count": 101},
        {"count": "x"},
        {"sort": "id"},
        {"sort": ""},
        {"viewtoken": "x"},
        {"viewtoken": "WzEsZmFsc2Vd"},
        {"viewtoken": "WyJ4IixmYWxzZV0"},
        {"viewtoken": "WyJDUkVBVEVELzEiLGZhbHNlXQ"},
    ],
)
def test_lists_that_cannot_be(api: Driver, query: dict[str, Any]) -> None:
    create(api)
    assert api.get(TASKS, **query).status_code == 400


def test_a_token_of_another_order_is_refused_or_holds(api: Driver) -> None:
    tasks = [create(api) for _ in range(3)]
    links = api.get(TASKS, count=1, sort="status").json()["links"]
    assert api.get(TASKS, viewtoken=links["nextToken"], sort="created").status_code == 400
    answer = api.get(TASKS, viewtoken=links["nextToken"], sort="status").json()
    assert [task["id"] for task in answer["data"]] == tasks[1:]


def test_lists_and_reads_lag_if_they_are_told_to(api: Driver) -> None:
    api.configure(list_lag_s=20, get_lag_s=5)
    task = create(api)
    assert api.get(f"{TASKS}/{task}").status_code == 404
    api.tick(5)
    assert read(api, task)["id"] == task
    assert api.get(TASKS).json()["data"] == []
    api.tick(15)
    assert [one["id"] for one in api.get(TASKS).json()["data"]] == [task]


def test_state_survives_the_process(tmp_path: Path) -> None:
    with sandbox(tmp_path) as api:
        task = create(api.login())
        start(api, task)
        api.tick(9)
    with sandbox(tmp_path) as api:
        assert read(api.login(), task)["costPU"] == 50
        api.tick(9)
        assert read(api, task)["status"] == "DONE"


def test_two_processes_share_what_they_settle(tmp_path: Path) -> None:
    with sandbox(tmp_path) as one, sandbox(tmp_path) as two:
        one.login()
        two.login()
        task = create(one)
        start(two, task)
        for _ in range(12):
            one.tick(1.5)
            assert read(two, task) == read(one, task)
        assert pu(one) == 100


def test_a_reset_forgets_tasks(api: Driver) -> None:
    done(api)
    api.post("/_sandbox/reset")
    api.login()
    assert api.get(TASKS).json()["data"] == []
    assert api.get("/_sandbox/batch").json() == {"tasks": [], "fates": []}
    assert pu(api) == 0
