"""Sandboxes in processes of their own on real ports, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from shplan.sandbox.testing import Sandbox

TOKEN_PATH = "/auth/realms/main/protocol/openid-connect/token"


class Served:
    """The running sandbox: where it is, and its controls."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.base = sandbox.base_url
        self.s3 = sandbox.s3_url
        self.data = sandbox.data
        self._changed: dict[str, Any] = {}
        self._http = httpx.Client(base_url=self.base, trust_env=False)

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
        return httpx.Client(base_url=self.base, headers=headers, trust_env=False, timeout=60)

    def close(self) -> None:
        self._http.close()


@contextmanager
def serving(data: Path, **arguments: Any) -> Iterator[Served]:
    """
    Start a sandbox, and end it.

    Args:
        data: its directory; several may be started on one
        arguments: those of `Sandbox`
    """
    with Sandbox(data, **arguments) as sandbox:
        served = Served(sandbox)
        try:
            yield served
        finally:
            served.close()
