from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shplan.sandbox.settings import ClientEntry, Settings

from .support import COLLECTIONS, TOKEN, Driver, sandbox


def test_token_is_a_jwt_whose_payload_clients_can_read(api: Driver) -> None:
    answer = api.ask_token()
    content = answer.json()
    assert answer.status_code == 200
    assert content["expires_in"] == 3600
    assert content["token_type"] == "Bearer"
    payload = content["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["azp"] == "sandbox"
    assert claims["exp"] == 1_735_689_600 + 3600


@pytest.mark.parametrize(
    "path", [TOKEN, "/oauth/token", "/auth/realms/CDSE/protocol/openid-connect/token"]
)
def test_token_endpoint_stands_where_every_deployment_has_it(api: Driver, path: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    assert api.send("POST", path, data=form).status_code == 200


def test_wrong_secret_is_an_oauth_error(api: Driver) -> None:
    answer = api.ask_token(secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "wrong" not in answer.text


def test_other_grants_are_refused(api: Driver) -> None:
    answer = api.ask_token(grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_token_request_must_be_form_encoded(api: Driver) -> None:
    answer = api.post(TOKEN, {"grant_type": "client_credentials"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_token_requests_have_a_limit_of_their_own(api: Driver) -> None:
    api.configure(token_requests_per_minute=2)
    assert [api.ask_token().status_code for _ in range(3)] == [200, 200, 429]


def test_call_without_token_is_refused(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        answer = driver.get(COLLECTIONS)
    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "status": 401,
        "reason": "Unauthorized",
        "message": "A bearer token is required.",
        "code": "COMMON_UNAUTHORIZED",
    }


def test_401_has_no_body_where_the_setting_says_so(tmp_path: Path) -> None:
    with sandbox(tmp_path, settings=Settings(error_401_body=False)) as driver:
        answer = driver.get(COLLECTIONS)
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", ""])
def test_forged_token_is_refused(api: Driver, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    assert api.send("GET", COLLECTIONS, headers=headers).status_code == 401


def test_token_expires_by_sandbox_time(api: Driver) -> None:
    api.tick(3599)
    assert api.get(COLLECTIONS).status_code == 200
    api.tick(1)
    assert api.get(COLLECTIONS).status_code == 401


def test_token_of_a_fast_sandbox_lasts_as_long_for_its_client(tmp_path: Path) -> None:
    with sandbox(tmp_path, settings=Settings(speed=100.0)) as driver:
        driver.login().tick(3600 * 100 - 1)
        assert driver.get(COLLECTIONS).status_code == 200


def test_token_of_another_instance_is_refused(api: Driver) -> None:
    api.post("/_sandbox/reset")
    assert api.get(COLLECTIONS).status_code == 401


@pytest.mark.parametrize("status", [403, 404])
def test_accounts_do_not_see_each_other(tmp_path: Path, status: int) -> None:
    clients = {
        "sandbox": ClientEntry(secret="sandbox", account="one"),
        "other": ClientEntry(secret="secret", account="two"),
    }
    settings = Settings(clients=clients, foreign_objects=status)  # type: ignore[arg-type]
    with sandbox(tmp_path, settings=settings) as driver:
        collection = driver.login().collection()["id"]
        tile = driver.tile(collection, "a")["id"]
        driver.login("other", "secret")
        assert driver.get(COLLECTIONS).json()["data"] == []
        one = f"{COLLECTIONS}/{collection}"
        for method, path in [
            ("GET", one),
            ("DELETE", one),
            ("GET", f"{one}/tiles"),
            ("GET", f"{one}/tiles/{tile}"),
            ("DELETE", f"{one}/tiles/{tile}"),
            ("POST", f"{one}/tiles/{tile}/reingest"),
        ]:
            assert driver.send(method, path).status_code == status
        assert driver.post(f"{one}/tiles", {"path": "b"}).status_code == status
        assert driver.put(one, {"name": "n", "s3Bucket": "b"}).status_code == status


def test_a_client_may_say_who_it_is_in_the_header(api: Driver) -> None:
    """Source: RFC 6749, section 2.3.1; what `requests_oauthlib` does by itself."""
    api.configure(clients={"a b": {"secret": "c:d%", "account": "x"}})

    def asked(pair: bytes, scheme: str = "Basic", **form: str) -> int:
        headers = {"authorization": f"{scheme} {base64.b64encode(pair).decode()}"}
        fields = {"grant_type": "client_credentials", **form}
        return api.send("POST", TOKEN, data=fields, headers=headers).status_code

    assert asked(b"sandbox:sandbox") == asked(b"sandbox:sandbox", "basic") == 200
    assert asked(b"a+b:c%3Ad%25") == asked(b"a%20b:c:d%25") == 200
    for pair in (b"sandbox:other", b"sandbox", b"", b":", b"other:sandbox", b"\xff:\xff"):
        assert asked(pair) == 401
    assert asked(b"sandbox:sandbox", "Digest") == 401
    # What the form says counts more.
    assert asked(b"sandbox:sandbox", client_id="sandbox", client_secret="other") == 401
    headers = {"authorization": "Basic not-base64"}
    form = {"grant_type": "client_credentials"}
    assert api.send("POST", TOKEN, data=form, headers=headers).status_code == 401
