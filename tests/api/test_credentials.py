from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from shplan.api.credentials import (
    SANDBOX_CREDENTIALS,
    Credentials,
    configuration_path,
    find_access,
    masked,
    read_profile,
)
from shplan.api.deployment import BUILT_IN, SANDBOX, custom
from shplan.core.errors import CredentialsError
from tests.support.canaries import planted

MAIN = BUILT_IN["aws-eu-central-1"]
BOTH = {"SH_CLIENT_ID": "id-from-env", "SH_CLIENT_SECRET": "canary-secret-env"}
CONFIGURATION = """
[default-profile]
sh_client_id = "id-default"
sh_client_secret = "canary-secret-default"

[acme]
sh_client_id = "id-acme"
sh_client_secret = "canary-secret-acme"
sh_base_url = "https://sh.acme.test"
sh_token_url = "https://login.acme.test/token"
max_retries = 3
"""
ACME = custom(base_url="https://sh.acme.test", token_url="https://login.acme.test/token")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    planted(configuration_path({}, tmp_path), CONFIGURATION)
    return tmp_path


def test_configuration_lies_where_sentinelhub_keeps_it(tmp_path: Path) -> None:
    assert configuration_path({}, tmp_path) == tmp_path / ".config/sentinelhub/config.toml"
    elsewhere = {"XDG_CONFIG_HOME": str(tmp_path / "x")}
    assert configuration_path(elsewhere, tmp_path) == tmp_path / "x/sentinelhub/config.toml"


def test_environment_goes_before_the_profile(home: Path) -> None:
    found = find_access(MAIN, environment=BOTH, home=home, profile="acme").credentials
    assert (found.client_id, found.client_secret) == ("id-from-env", "canary-secret-env")


@pytest.mark.parametrize(
    ("environment", "profile", "client_id"),
    [
        ({}, "", "id-default"),
        ({}, "acme", "id-acme"),
        ({"SH_PROFILE": "acme"}, "", "id-acme"),
        ({"SH_PROFILE": "default-profile"}, "acme", "id-default"),
        ({"SH_CLIENT_ID": "other"}, "acme", "other"),
        ({"SH_CLIENT_ID": ""}, "acme", "id-acme"),
    ],
)
def test_profile_is_chosen(
    home: Path, environment: dict[str, str], profile: str, client_id: str
) -> None:
    found = find_access(MAIN, environment=environment, home=home, profile=profile)
    assert found.credentials.client_id == client_id


def test_a_missing_profile_does_not_matter_when_the_environment_has_both(tmp_path: Path) -> None:
    """A CI run has variables and no file, whatever `profile:` the project names."""
    found = find_access(MAIN, environment=BOTH, home=tmp_path, profile="acme")
    assert found.credentials.client_id == "id-from-env"


def test_an_unknown_profile_names_those_that_exist(home: Path) -> None:
    with pytest.raises(CredentialsError, match="no profile amce; it has acme, default-profile"):
        find_access(MAIN, environment={}, home=home, profile="amce")


def test_no_credentials_at_all_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError) as caught:
        find_access(MAIN, environment={"SH_CLIENT_ID": "x"}, home=tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "credentials/missing"
    assert "SH_CLIENT_SECRET" in diagnostic.what
    assert "set SH_CLIENT_ID and SH_CLIENT_SECRET" in diagnostic.hint


def test_the_sandbox_takes_its_own_client_and_never_the_users(home: Path) -> None:
    assert find_access(SANDBOX, environment=BOTH, home=home).credentials == SANDBOX_CREDENTIALS


def test_other_deployments_never_get_the_sandboxs_client(tmp_path: Path) -> None:
    here = custom(base_url="http://127.0.0.1:9", token_url="http://127.0.0.1:9/token")
    with pytest.raises(CredentialsError):
        find_access(here, environment={}, home=tmp_path)


def test_a_hostile_url_is_refused_before_anything_else(home: Path) -> None:
    hostile = custom(base_url=MAIN.base_url, token_url="https://evil.test/oauth/token")
    with pytest.raises(CredentialsError) as caught:
        find_access(hostile, environment=BOTH, home=home)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "credentials/host"
    assert "tokenUrl is https://evil.test/oauth/token" in diagnostic.what
    assert "SHPLAN_ALLOW_HOST=evil.test" in diagnostic.hint
    assert "canary" not in f"{caught.value!r} {diagnostic}"


def test_both_hostile_urls_are_reported() -> None:
    hostile = custom(base_url="http://evil.test", token_url="https://evil.test:8443/token")
    with pytest.raises(CredentialsError) as caught:
        find_access(hostile, environment=BOTH, home=Path("/nowhere"))
    first, second = caught.value.diagnostics
    assert "baseUrl" in first.what
    assert first.hint == "use https://evil.test"
    assert second.hint.endswith("SHPLAN_ALLOW_HOST=evil.test:8443 outside the repository")


@pytest.mark.parametrize(
    "environment",
    [
        {"SHPLAN_ALLOW_HOST": "sh.acme.test, login.acme.test"},
        {"SHPLAN_ALLOW_HOST": "https://sh.acme.test login.acme.test:443"},
        {"SH_BASE_URL": "https://sh.acme.test/", "SH_TOKEN_URL": "https://login.acme.test/other"},
    ],
)
def test_hosts_named_in_the_environment_are_allowed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    assert find_access(ACME, environment={**BOTH, **environment}, home=tmp_path)


def test_only_the_chosen_profile_vouches_for_its_hosts(home: Path) -> None:
    assert find_access(ACME, environment={}, home=home, profile="acme")
    with pytest.raises(CredentialsError, match="baseUrl"):
        find_access(ACME, environment={}, home=home)


def test_an_allowed_host_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="SHPLAN_ALLOW_HOST names a host"):
        find_access(MAIN, environment={**BOTH, "SHPLAN_ALLOW_HOST": "*.acme.test"}, home=tmp_path)


def test_a_broken_configuration_is_never_quoted(home: Path) -> None:
    configuration_path({}, home).write_text('[a]\nsh_client_secret = "canary\n', encoding="utf-8")
    with pytest.raises(CredentialsError, match="at line 2, column") as caught:
        find_access(MAIN, environment={}, home=home)
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_configuration_that_is_no_text_is_named(home: Path) -> None:
    configuration_path({}, home).write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialsError, match="not UTF-8"):
        find_access(MAIN, environment={}, home=home)
    configuration_path({}, home).unlink()
    configuration_path({}, home).mkdir()
    with pytest.raises(CredentialsError, match=r"config\.toml: Is a directory"):
        find_access(MAIN, environment={}, home=home)


def test_the_deprecated_auth_url_vouches_as_well() -> None:
    profile = read_profile('[p]\nsh_auth_base_url = "https://old.acme.test/oauth"', "p")
    assert profile is not None
    assert profile.urls == ("https://old.acme.test/oauth",)


@pytest.mark.parametrize(
    ("text", "shown"), [("abc", "*" * 10), ("0123456789abcd", "*" * 10 + "abcd")]
)
def test_masks_all_but_the_end(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_printing_credentials_shows_no_secret() -> None:
    credentials = Credentials("client-id", "canary-secret", "the test")
    for text in (repr(credentials), str(credentials), f"{credentials}", credentials.shown_id):
        assert "canary" not in text
        assert "client-id" not in text
    assert pickle.loads(pickle.dumps(credentials)) == credentials
