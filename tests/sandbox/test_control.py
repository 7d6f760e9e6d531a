from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from shplan.sandbox.settings import ClientEntry, Settings

from .support import COLLECTIONS, Driver, sandbox, write_cog


def test_control_needs_no_token_and_tells_the_instance(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        content = driver.get("/_sandbox/instance").json()
    assert len(content["instance"]) == 36
    assert content["now"] == "2025-01-01T00:00:00.000Z"


def test_reset_forgets_everything_and_is_another_instance(api: Driver, bucket: Path) -> None:
    file = write_cog(bucket / "a/B1.tif")
    before = api.get("/_sandbox/instance").json()
    api.tile(api.collection()["id"], "a")
    api.tick(99)
    after = api.post("/_sandbox/reset").json()
    assert after["instance"] != before["instance"]
    assert after["now"] == before["now"]
    assert api.login().get(COLLECTIONS).json()["data"] == []
    assert file.exists()


def test_tick_refuses_to_go_back(api: Driver) -> None:
    for seconds in (-1, "1", None, True):
        assert api.post("/_sandbox/tick", {"seconds": seconds}).status_code == 400


def test_web_pages_and_strangers_do_not_control(api: Driver) -> None:
    headers = {"origin": "http://evil.example"}
    answer = api.send("POST", "/_sandbox/reset", headers=headers)
    assert answer.status_code == 403
    transport = httpx.ASGITransport(app=api.app, client=("192.0.2.1", 999))

    async def ask() -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            return (await client.get("/_sandbox/instance")).status_code

    assert api._loop.run_until_complete(ask()) == 403


def test_settings_are_patched_and_stay(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        driver.configure(list_lag_s=2, second_delete=204)
    with sandbox(tmp_path) as driver:
        content = driver.get("/_sandbox/settings").json()
    assert (content["list_lag_s"], content["second_delete"]) == (2, 204)
    assert content["speed"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"list_lag_s": "2"},
        {"list_lag_s": -1},
        {"speed": 0},
        {"second_delete": 500},
        {"unique_collection_names": 1},
        {"tile_put_path": "x"},
        {"clients": {"a": {"secret": 1}}},
        {"clients": []},
    ],
)
def test_setting_that_cannot_be_is_refused(api: Driver, change: dict[str, Any]) -> None:
    before = api.get("/_sandbox/settings").json()
    assert api.post("/_sandbox/settings", change).status_code == 400
    assert api.get("/_sandbox/settings").json() == before


def test_clients_are_added_and_their_secrets_never_shown(api: Driver) -> None:
    secret = "hidden-7391"
    api.configure(clients={"ci": {"secret": secret, "account": "company"}})
    assert api.ask_token("ci", secret).status_code == 200
    assert api.ask_token("sandbox", "sandbox").status_code == 200
    for path in ("settings", "dump", "requests"):
        assert secret not in api.get(f"/_sandbox/{path}").text
    assert secret not in repr(Settings(clients={"ci": ClientEntry(secret=secret, account="a")}))


def test_meter_counts_a_unit_for_each_call_that_changed_something(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    api.get(COLLECTIONS)
    api.post(COLLECTIONS, {"name": "x"})
    api.put(f"{COLLECTIONS}/{one}/tiles/{tile}", {})
    answer = api.delete(f"{COLLECTIONS}/{one}")
    assert answer.headers["x-processingunits-spent"] == "1.0"
    assert "x-processingunits-spent" not in api.get(COLLECTIONS).headers
    meter = api.get("/_sandbox/meter").json()
    assert meter["pu"] == 4
    assert [entry["calls"] for entry in meter["accounts"].values()] == [4]


def test_requests_are_listed_without_bodies_or_tokens(api: Driver) -> None:
    api.get(COLLECTIONS, count=5)
    listed = api.get("/_sandbox/requests").json()["requests"]
    assert [(r["method"], r["path"], r["status"]) for r in listed] == [
        ("POST", "/auth/realms/main/protocol/openid-connect/token", 200),
        ("GET", "/byoc/v1/collections?count=5", 200),
    ]
    assert "ey" not in json.dumps(listed)
    api.send("DELETE", "/_sandbox/requests")
    assert api.get("/_sandbox/requests").json() == {"requests": []}


def test_request_rate_is_limited_by_account(api: Driver) -> None:
    api.configure(requests_per_minute=2)
    assert [api.get(COLLECTIONS).status_code for _ in range(3)] == [200, 200, 429]
    answer = api.get(COLLECTIONS)
    assert answer.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    wait_ms = int(answer.headers["retry-after"])
    assert 29_000 < wait_ms <= 30_001
    api.tick(wait_ms / 1000)
    assert api.get(COLLECTIONS).status_code == 200


def test_processing_units_are_limited_and_refusals_cost_none(api: Driver) -> None:
    api.configure(pu_per_minute=1)
    assert api.post(COLLECTIONS, {"name": "x"}).status_code == 400
    api.collection()
    assert api.post(COLLECTIONS, {"name": "x", "s3Bucket": "b"}).status_code == 429
    assert api.get(COLLECTIONS).status_code == 200
    assert api.get("/_sandbox/meter").json()["pu"] == 1


def test_429_has_no_wrapper_and_no_header_where_settings_say_so(api: Driver) -> None:
    api.configure(requests_per_minute=1, error_429_wrapped=False, retry_after=False)
    api.get(COLLECTIONS)
    answer = api.get(COLLECTIONS)
    assert answer.json()["status"] == 429
    assert "retry-after" not in answer.headers


def test_date_is_sandbox_time(api: Driver) -> None:
    api.tick(86_400)
    assert api.get("/_sandbox/instance").json()["now"] == "2025-01-02T00:00:00.000Z"
    assert api.login().get(COLLECTIONS).headers["date"] == "Thu, 02 Jan 2025 00:00:00 GMT"


def scenario(data: Path) -> bytes:
    write_cog(data / "buckets/imagery/a/B1.tif")
    with sandbox(data, settings=Settings(seed="seven")) as driver:
        one = driver.login().collection()["id"]
        driver.tile(one, "a")
        driver.tick(70)
        driver.tiles(one)
        driver.read(one)
        return driver.get("/_sandbox/dump").content


def test_two_runs_with_one_seed_give_the_same_bytes(tmp_path: Path) -> None:
    assert scenario(tmp_path / "one") == scenario(tmp_path / "two")


def test_directories_without_a_seed_are_different_instances(tmp_path: Path) -> None:
    instances = set()
    for name in ("one", "two"):
        with sandbox(tmp_path / name) as driver:
            instances.add(driver.get("/_sandbox/instance").json()["instance"])
    assert len(instances) == 2


def test_populate_adds_ingested_tiles_by_the_thousand(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif")
    one = api.collection()["id"]
    like = api.tile(one, "a")["id"]
    body = {"collection": one, "like": like, "paths": [f"p{n}/(BAND).tif" for n in range(250)]}
    assert api.post("/_sandbox/populate", body).status_code == 400
    api.tick(4)
    assert api.post("/_sandbox/populate", body).json() == {"added": 250}
    page = api.tiles(one, sort="created:desc", count=1)
    assert page["data"][0]["path"] == "p249/(BAND).tif"
    assert page["data"][0]["tileGeometry"] == api.read(one, like)["tileGeometry"]
    assert api.post("/_sandbox/populate", {"collection": one}).status_code == 400
    assert api.post("/_sandbox/populate", {**body, "collection": like}).status_code == 404
