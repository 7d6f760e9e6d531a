"""A sandbox in a process of its own on a real port, and what the tests of foreign clients ask of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import shplan

TOKEN_PATH = "/auth/realms/main/protocol/openid-connect/token"
_SERVER = """
import sys
from pathlib import Path
from shplan.sandbox.serve import serve

serve(Path(sys.argv[1]), announce=lambda address: print(address.as_json(), flush=True))
"""


class Served:
    """The running sandbox: where it is, and its controls."""

    def __init__(self, base: str, data: Path) -> None:
        self.base = base
        self.data = data
        self._changed: dict[str, Any] = {}
        self._http = httpx.Client(base_url=base, trust_env=False)

    def control(self, name: str, body: Any = None, *, method: str = "POST") -> Any:
        answer = self._http.request(method, f"/_sandbox/{name}", json={} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def configure(self, **settings: Any) -> None:
        """Change settings until the end of the test."""
        before = self.control("settings", method="GET")
        self._changed = {**{name: before[name] for name in settings}, **self._changed}
        self.control("settings", settings)

    def fresh(self) -> None:
        """Forget every object, fault and request, and what `configure` changed."""
        self._changed.pop("clients", None)
        if self._changed:
            self.control("settings", self._changed)
            self._changed = {}
        self.control("reset")
        self.control("faults", method="DELETE")

    def tick(self, seconds: float) -> None:
        self.control("tick", {"seconds": seconds})

    def fault(self, kind: str, **parts: Any) -> None:
        self.control("faults", {"kind": kind, **parts})

    def requests(self, path: str = "") -> list[Any]:
        """The requests that reached the service, of those whose path contains the text."""
        found = self.control("requests", method="GET")["requests"]
        return [one for one in found if path in one["path"]]

    def token(self, client_id: str = "sandbox", secret: str = "sandbox") -> str:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        return str(self._http.post(TOKEN_PATH, data=form).json()["access_token"])

    def client(self) -> httpx.Client:
        """A client of no particular make, with a token."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        return httpx.Client(base_url=self.base, headers=headers, trust_env=False)

    def close(self) -> None:
        self._http.close()


@contextmanager
def serving(data: Path) -> Iterator[Served]:
    """Start a sandbox, and end it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    command = [sys.executable, "-c", _SERVER, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, "the sandbox did not start"
        served = Served(json.loads(told)["base_url"], data)
        try:
            yield served
        finally:
            served.close()
            process.terminate()
            assert process.wait(timeout=10) in (0, -15)
