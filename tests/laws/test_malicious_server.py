"""
A server that means harm: every command ends in a message, in bounded time and memory.

It is a real one, on loopback; the commands are processes of their own, with limits that the
system keeps. Nothing of it reaches the terminal as a command, and nothing is written outside.
"""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MANIFEST
from tests.laws.test_canary import environment

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: p}}
spec:
  environments:
    served: {{baseUrl: "{url}", tokenUrl: "{url}/oauth/token"}}
  outputs: {{id: "{{{{ ref('ByocCollection/fields').id }}}}"}}
"""
TOKEN = json.dumps({"access_token": "canary-token-8812", "expires_in": 3600}).encode()
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m[bold red]x[/bold red]\r\n\u202e\u2028"
COLLECTION = {
    "id": "../../oauth/token",
    "name": "Field imagery",
    "s3Bucket": "fields",
    "userId": ESCAPES,
    "created": "9999-12-31T23:59:59Z",
    "additionalData": {"bands": {ESCAPES: {"bitDepth": 16}}},
}
MOST_BYTES = 1536 << 20


class Harm(BaseHTTPRequestHandler):
    """Gives a token, and then what its `answer` says."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Harm], None]
    elsewhere = ""
    asked: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args: object) -> None:
        """Nobody listens."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.asked.append((self.command, self.path, self.headers.get("Authorization") or ""))
        try:
            if self.path == "/oauth/token":
                self.give(TOKEN)
            else:
                type(self).answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def give(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, value in {**given, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def list(self, *data: object, **links: object) -> None:
        self.give(json.dumps({"data": data, "links": links}).encode())


def endless(harm: Harm) -> None:
    harm.send_response(200)
    harm.send_header("Content-Type", "application/json")
    harm.end_headers()
    harm.close_connection = True
    harm.wfile.write(b'{"data": [')
    while True:
        harm.wfile.write(b'{"id": "x", "name": "' + b"x" * (1 << 20) + b'"},')


@cache
def bomb(times: int) -> bytes:
    """A small text that unpacks to 600 MB; twice packed it is smaller still."""
    content = bomb(times - 1) if times > 1 else b'{"data": ["' + b"x" * (600 << 20)
    return gzip.compress(content, 1)


def packed(harm: Harm, times: int = 1) -> None:
    harm.give(bomb(times), Content_Encoding=", ".join(["gzip"] * times))


def endless_pages(harm: Harm) -> None:
    harm.list(nextToken=str(time.monotonic_ns()))


def full_pages(harm: Harm) -> None:
    """Pages that are never empty, whose links change, whose objects are the same."""
    harm.list(COLLECTION, nextToken=str(time.monotonic_ns()))


ANSWERS: dict[str, Callable[[Harm], None]] = {
    "an answer without an end": endless,
    "a small answer that unpacks to a large one": packed,
    "a small answer that unpacks to many values": lambda harm: harm.give(
        gzip.compress(b'{"data": [' + b"[]," * 80_000_000 + b"0]}", 1), Content_Encoding="gzip"
    ),
    "an answer that is packed twice": lambda harm: packed(harm, 2),
    "pages without an end": endless_pages,
    "full pages without an end": full_pages,
    "a page that follows itself": lambda harm: harm.list(nextToken="again"),
    "a page that is elsewhere": lambda harm: harm.list(
        nextToken=f"{harm.elsewhere}/x", next=f"{harm.elsewhere}/byoc"
    ),
    "a redirect": lambda harm: harm.give(b"", 307, Location=f"{harm.elsewhere}/byoc"),
    "a redirect to itself": lambda harm: harm.give(b"", 302, Location=harm.path),
    "deep lists": lambda harm: harm.give(b"[" * 5_000_000),
    "deep objects": lambda harm: harm.list(json.loads('{"id":' * 600 + "1" + "}" * 600)),
    "deep details": lambda harm: harm.give(
        b'{"error":{"message":"x","errors":' + b"[" * 500 + b"]" * 500 + b"}}", 400
    ),
    "a number with a million digits": lambda harm: harm.give(
        b'{"data": [' + b"9" * 1_000_000 + b"]}"
    ),
    "no JSON": lambda harm: harm.give(b"<html><title>\x1b[2J</title>", Content_Type="text/html"),
    "no text": lambda harm: harm.give(bytes(range(256)) * 1000),
    "nothing": lambda harm: harm.give(b""),
    "null": lambda harm: harm.give(b"null"),
    "a list of texts": lambda harm: harm.give(b'["a", "b"]'),
    "wrong types": lambda harm: harm.give(b'{"data": [{"id": {}, "name": []}], "links": 7}'),
    "half a surrogate": lambda harm: harm.give(b'{"data": [{"id": "\\ud800"}]}'),
    "commands for a terminal": lambda harm: harm.give(
        json.dumps({"error": {"message": ESCAPES, "code": ESCAPES, "errors": [ESCAPES]}}).encode(),
        400,
    ),
    "commands in what exists": lambda harm: harm.list(COLLECTION),
    "a large header": lambda harm: harm.give(b"{}", X_Large="x" * 1_000_000),
    "many headers": lambda harm: harm.give(b"{}", **{f"X_{n}": "x" * 1000 for n in range(2000)}),
    "a far date": lambda harm: harm.give(
        b'{"data": []}', Date="Mon, 01 Jan 9999 23:59:59 -2300", Retry_After="1e308"
    ),
    "a wait without an end": lambda harm: harm.give(b"{}", 429, Retry_After="9" * 300),
    "a status that is none": lambda harm: harm.wfile.write(b"HTTP/1.1 9999999 x\r\n\r\n"),
    "another protocol": lambda harm: harm.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 1000),
}
COMMANDS = (("plan", "-v", "--log", "json"), ("apply", "--auto-approve", "-v"), ("status",))
# What every run of the suite tries; the rest is slow. An apply reads as a plan does.
ALWAYS = {"commands in what exists"}


@contextmanager
def harmful(answer: Callable[[Harm], None], elsewhere: str = "") -> Iterator[Any]:
    members = {"answer": staticmethod(answer), "elsewhere": elsewhere, "asked": []}
    handler = type("Handler", (Harm,), members)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        handler.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES + (2 << 30), MOST_BYTES + (2 << 30)))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "shplan", *arguments],
        cwd=root,
        env=environment(root / "home", SH_CLIENT_SECRET="canary-secret-7f21"),
        capture_output=True,
        timeout=240,
        preexec_fn=limited,
    )


def project(root: Path, url: str) -> Path:
    (root / "project" / "manifests").mkdir(parents=True)
    (root / "project" / "shplan.yaml").write_text(PROJECT.format(url=url))
    (root / "project" / "manifests" / "fields.yaml").write_text(MANIFEST)
    return root / "project"


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def harmless(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a command said, which no terminal obeys and no person is frightened by."""
    said = done.stdout + done.stderr
    text = said.decode()
    assert done.returncode in (0, 1, 3, 5, 7), (done.returncode, text[-3000:])
    assert "Traceback" not in text, text
    assert "canary" not in text, text
    raw = {one for one in text if one != "\n" and not one.isprintable()}
    assert not raw, (raw, text)
    return text


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in ALWAYS else pytest.mark.slow) for one in ANSWERS],
)
def test_a_malicious_server_is_survived(name: str, tmp_path: Path) -> None:
    with harmful(lambda harm: harm.give(b"{}")) as other:
        with harmful(ANSWERS[name], other.url) as served:
            root = project(tmp_path, served.url)
            before = files(tmp_path)
            for arguments in COMMANDS if name == "commands in what exists" else COMMANDS[:1]:
                harmless(run(root, *arguments))
            made = files(tmp_path) - before
        assert all(one.startswith("project/.shplan/") for one in made), made
        # Neither a token nor anything else is sent to where the answers point.
        assert other.asked == []
        # An id is one step of a path, whatever is in it.
        assert all(
            path == "/oauth/token" or path.startswith(("/byoc/", "/api/v1/byoc"))
            for _, path, _ in served.asked
        ), served.asked
