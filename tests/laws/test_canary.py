"""
No secret leaves: not into a file, the ledger, a saved plan, a log, a message, a `repr`.

The canaries are the client's secret, the token that the server gives for it, a secret that a
manifest refers to, and a password in a URL. The commands run as processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from shplan.api.credentials import Credentials, find_access
from shplan.api.deployment import BUILT_IN
from shplan.core.errors import ShplanError
from tests.cli.conftest import MANIFEST
from tests.support.canaries import planted
from tests.support.cogs import write_tile
from tests.support.program import shplan
from tests.support.served import serving

SECRET = "canary-4f1a7c-client-secret"
TOKEN = "canary-9b2e5d-bearer-token"
REFERRED = "canary-c3d8f0-referred-secret"
PASSWORD = "canary-71e6aa-url-password"
CANARIES = (SECRET, TOKEN, REFERRED, PASSWORD)
REFUSED = b"this is not understood"

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: canary}}
spec:
  defaultEnvironment: served
  environments:
    served:
      baseUrl: http://127.0.0.1:{port}
      tokenUrl: http://127.0.0.1:{port}/oauth/token
    elsewhere:
      baseUrl: http://127.0.0.1:{port}
      tokenUrl: https://tokens.example.com/oauth/token
    nowhere:
      baseUrl: http://127.0.0.1:9
      tokenUrl: http://127.0.0.1:9/oauth/token
  outputs: {{collection: "{{{{ ref('ByocCollection/fields').id }}}}"}}
"""
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("validate",),
    ("plan", "--format", "json", "-o", "plan.json", "--log", "json"),
    ("show", "plan.json"),
    ("apply", "plan.json", "--log", "json", "-v"),
    ("status",),
    ("output",),
    ("why", "ByocTiles/fields"),
    ("show", "ByocCollection/fields"),
    ("show", "ByocCollection/fields", "--request"),
    ("ledger", "show"),
    ("ledger", "verify"),
    ("ledger", "export"),
    ("ledger", "export", "--format", "csv"),
    ("import", "ByocCollection/fields", "00000000-0000-4000-8000-000000000000"),
    ("plan", "-e", "elsewhere", "-v"),
    ("plan", "-e", "nowhere", "-v"),
    ("destroy", "--auto-approve", "-v"),
)


class Proxy(BaseHTTPRequestHandler):
    """The service with known canaries: it gives the token away, and echoes what it is sent."""

    behind = ""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args: object) -> None:
        """Nobody listens."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/token"):
            wrong = SECRET.encode() not in body
            told = f'{{"error": "invalid_client", "error_description": "no {SECRET}"}}'
            given = f'{{"access_token": "{TOKEN}", "expires_in": 3600, "token_type": "Bearer"}}'
            self._answer(401 if wrong else 200, (told if wrong else given).encode())
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, b"{}")
            return
        if "/byoc/" in self.path and self.command == "PUT":
            # A refusal that echoes more than it should.
            echo = f'{{"error": {{"status": 400, "reason": "x", "message": "Bearer {TOKEN}"}}}}'
            self._answer(400, echo.encode())
            return
        if REFUSED in body:
            # A refusal that repeats all that it was sent, in the middle of a sentence.
            told = f"{body.decode()} with Bearer {TOKEN} is not understood"
            echo = {"error": {"status": 400, "reason": "Bad Request", "message": told}}
            self._answer(400, json.dumps(echo).encode())
            return
        token = httpx.post(
            f"{self.behind}/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": "sandbox",
                "client_secret": "sandbox",
            },
        ).json()["access_token"]
        answer = httpx.request(
            self.command,
            self.behind + self.path,
            content=body,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": self.headers.get("Accept", "*/*"),
            },
        )
        self._answer(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))

    def _answer(self, status: int, content: bytes, form: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", form)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SH_", "SHPLAN_", "CI"))}
    return {**kept, "HOME": str(home), "SH_CLIENT_ID": "canary", **more}


@contextmanager
def proxied(behind: str) -> Iterator[int]:
    handler = type("Handler", (Proxy,), {"behind": behind})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def leaks(root: Path) -> dict[str, str]:
    """Every file below a directory that holds a canary."""
    found = {}
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for canary in CANARIES:
            if canary.encode() in content:
                found[str(path.relative_to(root))] = canary
    return found


def test_no_secret_is_in_any_artefact_of_any_command(tmp_path: Path) -> None:
    home, root, data = tmp_path / "home", tmp_path / "project", tmp_path / "data"
    (root / "manifests").mkdir(parents=True)
    home.mkdir()
    for folder in ("a", "b"):
        write_tile(data / "buckets", "fields", folder)
    (root / "manifests" / "fields.yaml").write_text(MANIFEST)
    with serving(data, speed=50.0) as sandbox, proxied(sandbox.base) as port:
        (root / "shplan.yaml").write_text(PROJECT.format(port=port))

        def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
            secrets = {"SH_CLIENT_SECRET": SECRET, "REFERRED": REFERRED, **more}
            done = subprocess.run(
                [*shplan(), *arguments],
                cwd=root,
                env=environment(home, **secrets),
                capture_output=True,
                text=True,
                timeout=120,
            )
            for canary in CANARIES:
                assert canary not in done.stdout + done.stderr, (arguments, canary)
            assert "Traceback" not in done.stderr, (arguments, done.stderr)
            assert done.returncode in (0, 1, 2, 3, 4), (arguments, done.stdout, done.stderr)
            return done

        codes = {arguments: run(*arguments).returncode for arguments in COMMANDS}
        assert codes["apply", "plan.json", "--log", "json", "-v"] == 0
        assert codes["destroy", "--auto-approve", "-v"] == 0
        assert codes["plan", "-e", "elsewhere", "-v"] == 1
        assert codes["plan", "-e", "nowhere", "-v"] in (1, 3)
        # A wrong secret, which the server repeats; and a PUT that is refused with an echo.
        assert run("plan", "-v", SH_CLIENT_SECRET=f"{SECRET[:-1]}").returncode == 1
        run("apply", "--auto-approve")
        manifest = root / "manifests" / "fields.yaml"
        manifest.write_text(MANIFEST.replace("Field imagery", "Renamed"))
        assert run("apply", "--auto-approve", "-v", "--log", "json").returncode == 3
        proxy = f"http://user:{PASSWORD}@127.0.0.1:9"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")
        run("plan", "-v", **dict.fromkeys(names, proxy), NO_PROXY="", no_proxy="")
        assert leaks(root) == {}
        assert leaks(home) == {}


def test_a_secret_in_a_manifest_is_an_error_that_does_not_repeat_it(tmp_path: Path) -> None:
    """Neither a password in a URL nor a referred secret in a field that takes none is shown."""
    (tmp_path / "manifests").mkdir()
    project = PROJECT.format(port=9).replace("http://127.0.0.1:9", f"http://u:{PASSWORD}@[::1]:9")
    planted(tmp_path / "shplan.yaml", project)
    manifest = MANIFEST.replace("Field imagery", "\"{{ secret('env:REFERRED') }}\"")
    (tmp_path / "manifests" / "fields.yaml").write_text(manifest)
    for arguments in (("validate",), ("plan", "-v"), ("apply", "--auto-approve"), ("status",)):
        done = subprocess.run(
            [*shplan(), *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, SH_CLIENT_SECRET=SECRET, REFERRED=REFERRED),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        for canary in CANARIES:
            assert canary not in done.stdout + done.stderr, (arguments, canary)
    assert set(leaks(tmp_path)) <= {"shplan.yaml"}


def test_nothing_that_holds_a_secret_shows_it() -> None:
    variables = {"SH_CLIENT_ID": "canary", "SH_CLIENT_SECRET": SECRET}
    access = find_access(
        BUILT_IN["aws-eu-central-1"], environment=variables, home=Path("/nowhere"), profile=""
    )
    for thing in (access, access.credentials, [access], {"access": access}):
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)
        assert SECRET not in f"{thing!r} {thing!s}"
    credentials = Credentials("canary", SECRET, "a test")
    with pytest.raises(TypeError) as caught:
        raise TypeError(credentials)
    assert SECRET not in str(caught.value)
    assert issubclass(ShplanError, Exception)
