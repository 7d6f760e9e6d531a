"""What changes behind the client's back."""

from __future__ import annotations

from typing import Any

import pytest

from .batches import TASKS, create, read, start
from .support import COLLECTIONS, Driver, sandbox


def edit(api: Driver, path: str, **how: Any) -> Any:
    return api.post("/_sandbox/edit", {"path": path, **how})


def test_somebody_renames_a_collection(api: Driver) -> None:
    one = api.collection("before", noData=7)["id"]
    meter, listed = api.get("/_sandbox/meter").json(), api.get("/_sandbox/requests").json()
    assert edit(api, f"{COLLECTIONS}/{one}", change={"name": "after"}).status_code == 204
    assert (api.read(one)["name"], api.read(one)["noData"]) == ("after", 7)
    assert api.get("/_sandbox/meter").json() == meter
    assert (
        api.get("/_sandbox/requests").json()["requests"][: len(listed["requests"])]
        == listed["requests"]
    )
    assert len(api.get("/_sandbox/requests").json()["requests"]) == len(listed["requests"]) + 2


def test_somebody_clears_what_is_no_data_and_adds_a_band(api: Driver) -> None:
    one = api.collection(noData=7)["id"]
    bands = {"B": {"bitDepth": 8, "sampleFormat": "UINT"}}
    change = {"noData": None, "additionalData": {"bands": bands}}
    assert edit(api, f"{COLLECTIONS}/{one}", change=change).status_code == 204
    found = api.read(one)
    assert "noData" not in found
    assert found["additionalData"]["bands"]["B"]["bitDepth"] == 8


@pytest.mark.parametrize("style", [COLLECTIONS, "/api/v1/byoc/collections"])
def test_somebody_deletes_a_tile_and_then_the_collection(api: Driver, style: str) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    assert edit(api, f"{style}/{one}/tiles/{tile}", method="delete").status_code == 204
    assert api.get(f"{COLLECTIONS}/{one}/tiles/{tile}").status_code == 404
    assert edit(api, f"{style}/{one}", method="DELETE").status_code == 204
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 404


def test_somebody_describes_a_batch_task_and_stops_it(api: Driver) -> None:
    task = create(api, description="before")
    path = f"{TASKS}/{task}"
    assert edit(api, path, method="PUT", body={"description": "after"}).status_code == 200
    assert read(api, task)["request"]["description"] == "after"
    start(api, task)
    api.tick(5)
    assert edit(api, f"{path}/stop", method="POST").status_code == 204
    assert read(api, task)["userAction"] == "STOP"


def test_edit_meets_no_fault_limit_or_token(api: Driver) -> None:
    one = api.collection()["id"]
    api.post("/_sandbox/faults", {"kind": "500", "count": None})
    api.configure(requests_per_minute=1, pu_per_minute=1)
    for name in ("x", "y", "z"):
        assert edit(api, f"{COLLECTIONS}/{one}", change={"name": name}).status_code == 204
    (fault,) = api.get("/_sandbox/faults").json()["faults"]
    assert fault["seen"] == 0


def test_edit_is_refused_as_the_service_refuses(api: Driver) -> None:
    one = api.collection()["id"]
    path = f"{COLLECTIONS}/{one}"
    assert edit(api, path, method="PUT", body={"name": 1}).status_code == 400
    assert edit(api, path, change={"name": None}).status_code == 400
    assert edit(api, f"{COLLECTIONS}/nobody", change={"name": "x"}).status_code == 404
    assert edit(api, path, change={"name": "x"}, account="other").status_code == 403
    assert edit(api, "/nothing/here", method="GET").status_code == 404
    assert edit(api, path, method="PATCH").status_code == 405
    assert api.read(one)["name"] == "fields"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": 1},
        {"path": "byoc"},
        {"path": "/_sandbox/reset", "method": "POST"},
        {"path": "/x", "change": 1},
        {"path": "/x", "change": {}, "method": "PUT"},
        {"path": "/x", "method": 1},
        {"path": "/x", "method": "ü"},
        {"path": "/x", "who": 1},
    ],
)
def test_edit_that_cannot_be_is_refused(api: Driver, body: Any) -> None:
    assert api.post("/_sandbox/edit", body).status_code == 400


def test_strangers_edit_nothing(api: Driver) -> None:
    headers = {"origin": "http://evil.example"}
    body = {"path": COLLECTIONS, "method": "POST", "body": {"name": "x", "s3Bucket": "b"}}
    assert api.send("POST", "/_sandbox/edit", json=body, headers=headers).status_code == 403
    assert api.get(COLLECTIONS).json()["data"] == []


# Tokens.


def test_every_token_expires_on_demand_and_new_ones_count(api: Driver) -> None:
    assert api.get(COLLECTIONS).status_code == 200
    assert api.post("/_sandbox/expire-tokens").status_code == 200
    answer = api.get(COLLECTIONS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "COMMON_UNAUTHORIZED")
    assert api.login().get(COLLECTIONS).status_code == 200


def test_tokens_stay_expired_for_who_opens_the_directory_next(api: Driver) -> None:
    api.post("/_sandbox/expire-tokens")
    with sandbox(api.app.state.world.data) as second:
        second._http.headers.update(api._http.headers)
        assert second.get(COLLECTIONS).status_code == 401


def test_tokens_live_as_long_as_the_settings_say(api: Driver) -> None:
    api.configure(expires_in_s=30)
    assert api.ask_token().json()["expires_in"] == 30
    api.login().tick(29)
    assert api.get(COLLECTIONS).status_code == 200
    api.tick(2)
    assert api.get(COLLECTIONS).status_code == 401


# Lags.


def test_lags_hold_for_every_list_and_every_look(api: Driver) -> None:
    api.configure(list_lag_s=10, path_lag_s=20, get_lag_s=5)
    one = api.collection()["id"]
    task = create(api)

    def seen() -> tuple[bool, ...]:
        return (
            api.get(f"{COLLECTIONS}/{one}").status_code == 200,
            api.get(f"/byoc/v1/global/{one}").status_code == 200,
            bool(api.get("/byoc/v1/global", ids=one).json()["data"]),
            api.get(f"{TASKS}/{task}").status_code == 200,
            bool(api.get(COLLECTIONS).json()["data"]),
            bool(api.get("/byoc/v1/global").json()["data"]),
            bool(api.get(TASKS).json()["data"]),
            bool(api.get(TASKS, sort="created:desc").json()["data"]),
        )

    assert seen() == (False,) * 8
    api.tick(5)
    assert seen() == (True,) * 4 + (False,) * 4
    api.tick(5)
    assert seen() == (True,) * 8
    tile = api.tile(one, "a")["id"]

    def tile_seen() -> tuple[bool, ...]:
        return (
            api.get(f"{COLLECTIONS}/{one}/tiles/{tile}").status_code == 200,
            bool(api.tiles(one)["data"]),
            bool(api.tiles(one, sort="created:desc")["data"]),
            bool(api.tiles(one, path="a")["data"]),
        )

    found = []
    for _ in range(4):
        found.append(tile_seen())
        api.tick(5)
    assert found == [
        (False, False, False, False),
        (True, False, False, False),
        (True, True, True, False),
        (True, True, True, False),
    ]
