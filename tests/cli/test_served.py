"""Over a real port: the same commands, and what another program sees of what they made."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.support.canaries import planted
from tests.support.cogs import write_tile
from tests.support.served import serving

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: demo}}
spec:
  defaultEnvironment: near
  environments:
    near: {{baseUrl: "{base}", tokenUrl: "{base}/oauth/token"}}
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    data = tmp_path / "data"
    for folder in ("a", "b"):
        write_tile(data / "buckets", "fields", folder)
    with serving(data) as sandbox:
        yield sandbox.base


@pytest.fixture
def served(project: Project, base: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.root / "shplan.yaml").write_text(PROJECT.format(base=base))
    monkeypatch.setenv("SH_CLIENT_ID", "sandbox")
    monkeypatch.setenv("SH_CLIENT_SECRET", "sandbox")
    return project


def test_another_client_sees_what_was_applied(
    served: Project, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = served.run("apply", "--auto-approve")
    assert applied.code == 0, applied.err
    assert served.run("plan", "--detailed-exitcode").code == 0

    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    from sentinelhub import SentinelHubBYOC, SHConfig

    config = SHConfig()
    config.sh_client_id = config.sh_client_secret = "sandbox"
    config.sh_base_url = base
    config.sh_token_url = f"{base}/auth/realms/main/protocol/openid-connect/token"
    client = SentinelHubBYOC(config=config)
    (collection,) = client.iter_collections()
    assert collection["name"] == "Field imagery"
    tiles = list(client.iter_tiles(collection["id"]))
    assert {(tile["path"], tile["status"]) for tile in tiles} == {
        ("a/(BAND).tiff", "INGESTED"),
        ("b/(BAND).tiff", "INGESTED"),
    }


def test_wrong_credentials_are_explained_and_not_shown(
    served: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SH_CLIENT_SECRET", "canary-wrong-secret")
    said = served.run("plan")
    assert said.code == 1
    assert "credentials/" in said.err
    assert "canary-wrong-secret" not in said.out + said.err


def test_without_credentials_the_way_on_is_named(
    served: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SH_CLIENT_SECRET")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    said = served.run("plan")
    assert said.code == 1
    assert "SH_CLIENT_SECRET" in said.err


def test_no_secret_is_in_any_file_or_message(
    served: Project, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of its own, known to the sandbox; then everything that commands leave behind."""
    secret = "canary-7f3a-secret"
    # The server was told of it, and keeps it.
    planted(served.root.parent / "data")
    settings = {"clients": {"canary": {"secret": secret, "account": "canary"}}}
    request = urllib.request.Request(
        f"{base}/_sandbox/settings",
        json.dumps(settings).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()
    monkeypatch.setenv("SH_CLIENT_ID", "canary")
    monkeypatch.setenv("SH_CLIENT_SECRET", secret)
    said = [
        served.run(*command.split())
        for command in (
            "validate",
            "plan -o plan.json -v",
            "apply plan.json --log json",
            "plan --format json",
            "status",
            "why ByocTiles/fields",
            "show plan.json",
            "output",
            "ledger show --format json",
            "ledger export",
            "destroy --auto-approve --format json",
            "import ByocCollection/fields nonsense",
        )
    ]
    assert [one.code for one in said[:-1]] == [0] * 11
    written = [path.read_bytes() for path in served.root.rglob("*") if path.is_file()]
    spoken = "".join(one.out + one.err for one in said).encode()
    for content in (*written, spoken):
        assert secret.encode() not in content
        # Every token is a JSON Web Token: its first part is `{"alg"` in base64.
        assert b"eyJhbGciOi" not in content
