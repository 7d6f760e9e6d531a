"""Pages of other places: what a browser asks before it asks, and what its scripts may read."""

from __future__ import annotations

import pytest

from . import processing as p
from .support import COLLECTIONS, TOKEN, Driver

PAGE = {"origin": "https://maps.example"}
ASKING = {**PAGE, "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, content-type"}  # fmt: skip


@pytest.mark.parametrize("path", [TOKEN, COLLECTIONS, p.PROCESS, "/api/v1/process", "/nothing"])
def test_a_preflight_needs_no_token(api: Driver, path: str) -> None:
    answer = api.send("OPTIONS", path, headers={**ASKING, "authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"


def test_answers_and_refusals_can_be_read(api: Driver) -> None:
    for path, status in ((COLLECTIONS, 200), (f"{COLLECTIONS}/none", 404), ("/nothing", 404)):
        answer = api.send("GET", path, headers=PAGE)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "X-ProcessingUnits-Spent" in answer.headers["access-control-expose-headers"]
    refused = api.send("GET", COLLECTIONS, headers={**PAGE, "authorization": ""})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


def test_who_is_no_page_hears_nothing_of_it(api: Driver) -> None:
    assert "access-control-allow-origin" not in api.get(COLLECTIONS).headers
    assert api.send("OPTIONS", COLLECTIONS).status_code == 405


@pytest.mark.parametrize("path", ["/_sandbox/settings", "/_sandbox/"])
def test_no_page_reaches_the_controls(api: Driver, path: str) -> None:
    for method in ("OPTIONS", "GET"):
        answer = api.send(method, path, headers=ASKING)
        assert "access-control-allow-origin" not in answer.headers


def test_pages_can_be_kept_out(api: Driver) -> None:
    api.configure(browsers="none")
    assert api.send("OPTIONS", COLLECTIONS, headers=ASKING).status_code == 405
    assert "access-control-allow-origin" not in api.send("GET", COLLECTIONS, headers=PAGE).headers
