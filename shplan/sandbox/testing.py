"""
A sandbox for tests of programs that use Sentinel Hub: a context manager and a pytest fixture.

    pytest_plugins = ["shplan.sandbox.testing"]

    def test_mine(sandbox):
        config = sandbox.sh_config()

It listens on free ports in a process of its own, so that tests on all cores do not meet, and
nothing that a test does to its own process reaches it; it starts in a fraction of a second.
PYTEST_DONT_REWRITE: no test asserts here, and a test file may import from it as well.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.error import HTTPError

from shplan.sandbox.address import CLIENT_ID, CLIENT_SECRET, Address
from shplan.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.sandbox.wire import Json, JsonObject

INSECURE = "OAUTHLIB_INSECURE_TRANSPORT"
# Nobody needs to be told apart: one seed makes the same identifiers in every run.
DEFAULTS: dict[str, Json] = {"seed": "testing"}
ANSWER_S = 60.0
CLOSING_S = 10.0
NOT_OPEN = "The sandbox is not open; use it in `with Sandbox() as sandbox:`."


class Sandbox:
    """
    A sandbox on real ports, from `with` to its end.

    Args:
        data: directory of the state and the buckets; none: a temporary one
        stopped: time stands still but for `tick`, and begins on 1 January 2025
        settings: any of the sandbox's settings
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    def __init__(
        self, data: Path | None = None, *, stopped: bool = False, **settings: Json
    ) -> None:
        self._given = data
        self._stopped = stopped
        self._settings = {**DEFAULTS, **settings}
        Settings().patched(self._settings)  # a wrong one is refused here, where it was written
        self._closing = ExitStack()
        self._address: Address | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            given = self._given or Path(opened.enter_context(tempfile.TemporaryDirectory()))
            self.data = given
            opened.enter_context(_variable(INSECURE, "1"))
            self._address = opened.enter_context(self._served())
            self._closing = opened.pop_all()
        _forget_sessions()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()
        self._address = self._process = None

    @contextmanager
    def _served(self) -> Iterator[Address]:
        options = {
            "data": str(self.data),
            "stopped": self._stopped,
            "settings": self._settings,
        }
        command = [sys.executable, "-m", "shplan.sandbox.child", json.dumps(options)]
        # A session of its own: an interrupt is for the tests, which then end it.
        with subprocess.Popen(  # noqa: S603 our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            self._process = process
            told = process.stdout.readline()
            try:
                if not told:
                    msg = f"The sandbox did not start in {self.data}; its own words are above."
                    raise RuntimeError(msg)
                content = json.loads(told)
                yield Address(content["base_url"], content["s3_url"])
            finally:
                process.stdin.close()
                _wait(process)

    @property
    def address(self) -> Address:
        """
        Where it is reached.

        Raises:
            RuntimeError: it is not open
        """
        if self._address is None:
            raise RuntimeError(NOT_OPEN)
        return self._address

    @property
    def base_url(self) -> str:
        """The service's address, `sh_base_url` of `sentinelhub`."""
        return self.address.base_url

    @property
    def token_url(self) -> str:
        """Where tokens are asked for, `sh_token_url` of `sentinelhub`."""
        return self.address.token_url

    @property
    def s3_url(self) -> str:
        """Where the buckets are served over S3; any keys do."""
        return cast("str", self.address.s3_url)

    @property
    def buckets(self) -> Path:
        """The directory whose folders are the buckets."""
        return self.data / "buckets"

    @property
    def env(self) -> dict[str, str]:
        """Variables for a program in another process; in this one the first is set already."""
        return self.address.environment()

    def sh_config(self, **changes: Any) -> Any:
        """
        A `sentinelhub.SHConfig` for this sandbox, whatever profiles this computer has.

        `changes` are keys of the configuration, e.g. `max_download_attempts=1`.
        """
        from sentinelhub.config import SHConfig  # noqa: PLC0415 only who uses it has it

        return SHConfig(use_defaults=True, **{**self.address.profile(), **changes})

    def tick(self, seconds: float) -> None:
        """Move the sandbox's time forward, at once."""
        self.control("POST", "tick", {"seconds": seconds})

    def settings(self, **changes: Json) -> JsonObject:
        """Change settings; returns all of them."""
        return self.control("PATCH", "settings", changes)

    def fault(self, kind: str, **described: Json) -> None:
        """Make requests fail, e.g. `fault("429", path="/byoc/.*", retry_after_ms=20)`."""
        self.control("POST", "faults", {"kind": kind, **described})

    def requests(self) -> list[JsonObject]:
        """What has been asked of the service: method, path, status, account, fault."""
        return cast("list[JsonObject]", self.control("GET", "requests")["requests"])

    def meter(self) -> float:
        """Processing units that were spent, by all accounts together."""
        return cast("float", self.control("GET", "meter")["pu"])

    def reset(self) -> None:
        """Forget every object, request, fault and unit; settings and files in buckets stay."""
        self.control("POST", "reset")
        _forget_sessions()

    def seed(self) -> JsonObject:
        """Add the sample data of `shplan sandbox seed`; returns what it is, as names and keys."""
        return self.control("POST", "seed")

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._running().pid

    def kill(self) -> None:
        """End it as a loss of power would; another one on its directory has what it acknowledged."""
        self._running().kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(NOT_OPEN)
        return self._process

    def control(self, method: str, name: str, body: JsonObject | None = None) -> JsonObject:
        """Ask the sandbox's own controls, below `/_sandbox/`; refusals are `HTTPError`."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/_sandbox/{name}", content, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        # Proxies of this computer know nothing of its own ports.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return cast("JsonObject", json.loads(answer.read()))
        except HTTPError as refused:
            raise _explained(refused) from None


def _explained(refused: HTTPError) -> HTTPError:
    """The refusal with what the sandbox said about it; its body can still be read."""
    body = refused.read()
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        said = body.decode(errors="replace")
    return HTTPError(refused.url, refused.code, said, refused.headers, io.BytesIO(body))


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _wait(process: subprocess.Popen[bytes]) -> None:
    """It closes its files within a moment; if it hangs, nothing of it is worth waiting for."""
    try:
        process.wait(CLOSING_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _forget_sessions() -> None:
    """The `sentinelhub` package keeps tokens by address, and an address may come again."""
    if "sentinelhub" in sys.modules:
        from sentinelhub.download.sentinelhub_client import (  # noqa: PLC0415 as above
            SentinelHubDownloadClient,
        )

        SentinelHubDownloadClient.clear_cache()


try:
    import pytest
except ImportError:  # a program that only wants the class has no pytest
    pass
else:

    @pytest.fixture
    def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
        """
        A sandbox of the test's own.

        `@pytest.mark.parametrize("sandbox", [{"stopped": True}], indirect=True)` hands arguments on.
        """
        with Sandbox(**getattr(request, "param", {})) as opened:
            yield opened
