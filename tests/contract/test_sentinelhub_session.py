"""Tokens, as the unmodified `sentinelhub` package asks for them, reads them and renews them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, OAuth2Error
from requests import HTTPError
from sentinelhub import SentinelHubBYOC, SentinelHubSession, SHConfig
from sentinelhub.download.sentinelhub_client import SentinelHubDownloadClient
from sentinelhub.download.session import SessionSharing, collect_shared_session
from sentinelhub.exceptions import DownloadFailedException, SHUserWarning

from tests.support.served import TOKEN_PATH, Served


def collections(config: SHConfig) -> list[Any]:
    return list(SentinelHubBYOC(config=config).iter_collections())


def refusal(caught: pytest.ExceptionInfo[DownloadFailedException]) -> Any:
    assert isinstance(caught.value.request_exception, HTTPError)
    return caught.value.request_exception.response


def test_a_token_says_whose_it_is(config: SHConfig) -> None:
    session = SentinelHubSession(config)
    assert len(session.token["access_token"].split(".")) == 3
    info = session.info()
    assert info["azp"] == "sandbox"
    assert info["exp"] == pytest.approx(session.token["expires_at"], abs=5)
    assert 0 < session.token["expires_in"] <= 3600
    assert session.token["token_type"] == "Bearer"
    assert session.session_headers == {"Authorization": f"Bearer {session.token['access_token']}"}


@pytest.mark.parametrize("client_id", ["a", "ab~~~~~~", "a?>?>?>~~", "Ž?~-client"])
def test_any_client_id_can_be_read_from_its_token(
    config: SHConfig, served: Served, client_id: str
) -> None:
    """The client decodes with the plain alphabet of base64, which lacks two letters of JWT's."""
    served.configure(clients={client_id: {"secret": "s&=%+ é", "account": "other"}})
    config.sh_client_id, config.sh_client_secret = client_id, "s&=%+ é"
    assert SentinelHubSession(config).info()["azp"] == client_id
    assert collections(config) == []


def test_one_token_serves_many_requests(config: SHConfig, served: Served) -> None:
    for _ in range(3):
        assert collections(config) == []
    assert [one["status"] for one in served.requests(TOKEN_PATH)] == [200]
    assert len(served.requests("/byoc/v1/collections")) == 3


def test_a_token_near_its_end_is_renewed(config: SHConfig, served: Served) -> None:
    """Renewal comes two minutes before expiry, so a shorter life is a token for each request."""
    served.configure(expires_in_s=119)
    session = SentinelHubSession(config)
    first, second = session.token["access_token"], session.token["access_token"]
    assert len(served.requests(TOKEN_PATH)) == 3
    served.configure(expires_in_s=125)
    session = SentinelHubSession(config)
    assert session.token == session.token
    assert len(served.requests(TOKEN_PATH)) == 4
    for token in (first, second):
        kept = SentinelHubSession.from_token({"access_token": token, "expires_at": time.time() + 9})
        SentinelHubDownloadClient.cache_session(kept)
        assert collections(config) == []


def test_an_expired_token_is_refused(config: SHConfig, served: Served) -> None:
    token = SentinelHubSession(config).token
    served.tick(3601)
    client = SentinelHubBYOC(config=config)
    client.client.session = SentinelHubSession.from_token(token)
    with pytest.raises(DownloadFailedException) as caught:
        client.get_collection("x")
    assert refusal(caught).status_code == 401
    assert refusal(caught).json()["error"]["code"] == "COMMON_UNAUTHORIZED"
    assert collections(config) == []


def test_a_session_can_outlive_its_token_only_with_a_warning(
    config: SHConfig, served: Served
) -> None:
    token = {**SentinelHubSession(config).token, "expires_at": time.time() - 1}
    with pytest.warns(SHUserWarning, match="expired"):
        assert SentinelHubSession.from_token(token).token == token


@pytest.mark.parametrize(
    ("client_id", "secret"), [("sandbox", "wrong"), ("nobody", "sandbox"), ("sandbox", "ß")]
)
def test_a_wrong_secret_is_an_invalid_client(
    config: SHConfig, served: Served, client_id: str, secret: str
) -> None:
    config.sh_client_id, config.sh_client_secret = client_id, secret
    with pytest.raises(InvalidClientError) as caught:
        collections(config)
    assert caught.value.description
    assert [one["status"] for one in served.requests()] == [401]


@pytest.mark.parametrize(
    "path", ["/oauth/token", "/auth/realms/CDSE/protocol/openid-connect/token"]
)
def test_other_places_of_the_token_endpoint(config: SHConfig, served: Served, path: str) -> None:
    config.sh_token_url = f"{served.base}{path}"
    assert collections(config) == []
    assert len(served.requests(path)) == 1


def test_the_token_endpoint_is_asked_again_after_a_failure(
    config: SHConfig, served: Served
) -> None:
    served.fault("503", path=TOKEN_PATH, count=2)
    assert SentinelHubSession(config).info()["azp"] == "sandbox"
    assert [one["status"] for one in served.requests(TOKEN_PATH)] == [503, 503, 200]
    served.fault("before", path=TOKEN_PATH)
    assert SentinelHubSession(config).info()["azp"] == "sandbox"


def test_too_many_tokens_are_an_error_of_the_caller(config: SHConfig, served: Served) -> None:
    """The client does not wait for tokens, it only waits for what it asks with them."""
    served.configure(token_requests_per_minute=1)
    SentinelHubSession(config)
    with pytest.raises((HTTPError, OAuth2Error, DownloadFailedException)):
        SentinelHubSession(config)
    assert [one["status"] for one in served.requests(TOKEN_PATH)] == [200, 429]


def test_sessions_are_shared_between_processes(config: SHConfig) -> None:
    session = SentinelHubSession(config)
    with SessionSharing(session, memory_name="shplan-contract"):
        shared = collect_shared_session("shplan-contract")
    assert shared.token == session.token
    assert shared.info() == session.info()


def test_one_session_may_serve_any_configuration(config: SHConfig, served: Served) -> None:
    SentinelHubDownloadClient.cache_session(SentinelHubSession(config), universal=True)
    config.sh_client_id, config.sh_client_secret = "", ""
    assert collections(config) == []
    assert len(served.requests(TOKEN_PATH)) == 1


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic c2FuZGJveDpzYW5kYm94", "Bearer a.b.c"]
)
def test_requests_without_a_valid_token_are_refused(
    config: SHConfig, served: Served, header: str
) -> None:
    client = SentinelHubBYOC(config=config).client
    with pytest.raises(DownloadFailedException) as caught:
        client.get_json(f"{served.base}/api/v1/byoc/collections", headers={"Authorization": header})
    assert refusal(caught).status_code == 401
