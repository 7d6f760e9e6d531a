"""
Each place of a secret, by every command at its most verbose: read by the apply, and found nowhere.

The server that gets the secrets echoes them. Rotating one changes no plan, whatever its place.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shplan.cli.exit_door import crash_report, through
from tests.laws.test_canary import environment
from tests.laws.test_job_canary import MANIFEST, PROJECT
from tests.support.canaries import leaks, planted
from tests.support.program import shplan
from tests.support.served import serving

PLACES = {
    "env": ("env:ACCESS", "env:KEY"),
    "file": ("file:~/access", "file:../secrets/key"),
    "aws": ("aws:acme/accessKeyId", "aws:acme/secretAccessKey"),
}
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("validate", "-v"),
    ("show", "BatchProcess/ndvi", "--request"),
    ("plan", "-v", "--log", "json", "--format", "json", "-o", "plan.json"),
    ("show", "plan.json"),
    ("apply", "plan.json", "-v", "--log", "json"),
    ("status", "-v"),
    ("ledger", "export"),
)


def place(home: Path, root: Path, name: str, word: str) -> dict[str, str]:
    """Put two secrets where one kind of place has them; returns the variables."""
    access, key = f"canary-{word}-access-key", f"canary-{word}-secret-key"
    planted(home / "access", access + "\n")
    planted(root / "secrets" / "key", key + "\r\n")
    lines = f"[acme]\naws_access_key_id={access}\naws_secret_access_key = {key}\n"
    planted(home / ".aws" / "credentials", lines)
    return {"ACCESS": access, "KEY": key} if name == "env" else {}


@pytest.mark.parametrize(
    "name", ["file", *(pytest.param(one, marks=pytest.mark.slow) for one in ("env", "aws"))]
)
def test_a_secret_of_each_place_reaches_the_service_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    home, root, data = tmp_path / "home", tmp_path / "project", planted(tmp_path / "data")
    (root / "manifests").mkdir(parents=True)
    access, key = PLACES[name]
    text = MANIFEST.replace("env:ACCESS", access).replace("env:KEY", key)
    (root / "manifests" / "ndvi.yaml").write_text(text.replace("{{ var.word }}", "words"))
    with serving(data, echo_secrets=True, speed=200.0) as served:
        (root / "shplan.yaml").write_text(PROJECT.format(url=served.base))

        def run(*arguments: str, word: str = "first") -> subprocess.CompletedProcess[str]:
            client = {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
            done = subprocess.run(
                [*shplan(), *arguments],
                cwd=root,
                env=environment(home, **client, **place(home, root, name, word)),
                capture_output=True,
                text=True,
                timeout=250,
            )
            assert "canary-" not in done.stdout + done.stderr, arguments
            assert "Traceback" not in done.stderr, done.stderr
            return done

        for arguments in COMMANDS:
            done = run(*arguments)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        stored = b"".join(one.read_bytes() for one in data.rglob("*") if one.is_file())
        assert b"canary-first-access-key" in stored
        assert b"canary-first-secret-key" in stored
        assert run("plan", "--detailed-exitcode", "-v", word="other").returncode == 0
        assert leaks(tmp_path) == []


def test_a_plan_and_what_is_offline_need_no_secret(tmp_path: Path) -> None:
    """Nothing is read before a request needs it; what then lacks is missed by its name."""
    home, root = tmp_path / "home", tmp_path / "project"
    (root / "manifests").mkdir(parents=True)
    text = MANIFEST.replace("env:ACCESS", "file:/nonexistent/x").replace(
        "env:KEY", "aws:no/accessKey"
    )
    (root / "manifests" / "ndvi.yaml").write_text(text.replace("{{ var.word }}", "words"))
    (root / "shplan.yaml").write_text(PROJECT.format(url="x").split("spec:")[0] + "spec: {}\n")
    codes = {}
    for command in (["validate"], ["plan"], ["apply", "--auto-approve"]):
        done = subprocess.run(
            [*shplan(), *command],
            cwd=root,
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=250,
        )
        codes[command[0]] = done.returncode
    assert (codes["validate"], codes["plan"]) == (0, 0)
    assert codes["apply"] in (1, 3)
    assert "secret('file:/nonexistent/x') cannot be read" in done.stdout + done.stderr


class Bug(Exception):
    """Holds what no report may show."""


def test_a_report_of_a_bug_has_places_and_no_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "canary-9e1f-in-a-bug"

    def main(**_: object) -> int:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise Bug(f"cannot send {secret}") from error

    class Program:
        pass

    program = Program()
    program.main = main  # type: ignore[attr-defined]
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".shplan").mkdir()
    (tmp_path / "outside").write_text("outside")
    (tmp_path / ".shplan" / "crash.log").symlink_to(tmp_path / "outside")
    assert through(program, ["plan", "-v"]) == 70  # type: ignore[arg-type]
    said = capsys.readouterr()
    report = (tmp_path / ".shplan" / "crash.log").read_text()
    assert "test_secret_places.py" in report
    assert "Bug" in report
    assert "because of\nbuiltins.KeyError" in report
    assert secret not in report + said.out + said.err
    assert secret not in crash_report(Bug(secret))
    # A link that somebody put there is replaced, not followed.
    assert (tmp_path / "outside").read_text() == "outside"
