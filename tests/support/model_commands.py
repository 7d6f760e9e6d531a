"""
Real commands on real files, in this process: over one sandbox, under one clock that a test moves.

A checkout is a directory with `shplan.yaml`. What a command sends is seen by a `Wire`, which makes
the weather: it cuts connections, loses answers, lets the process die, or lets somebody else go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from shplan.api.secrets import SecretSources
from shplan.cli import embedded, session
from shplan.cli.exit_door import through
from shplan.cli.main import program
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.journal import Journal
from shplan.manifest import scripts
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.faults import ConnectionDroppedError
from shplan.sandbox.settings import Settings
from tests.support.bench import SCRIPTS
from tests.support.clock import ManualClock, SandboxClock
from tests.support.dying import Death, DyingLedger, Fate, Moment

EFFECTS = frozenset({"POST", "PUT", "DELETE", "PATCH"})
# Whoever waits asks again and again: with these it is a few times.
SHORT: dict[str, Any] = {
    "waiting_s": 0.3,
    "queued_s": 0.3,
    "ingesting_s": 0.4,
    "zarr_created_s": 0.2,
    "zarr_ingesting_s": 0.4,
    "batch_queued_s": 0.5,
    "batch_analysing_s": 0.5,
    "batch_processing_s": 1.0,
    "async_processing_s": 0.5,
    "unhealthy_share": 1.0,
}
Meeting = Callable[[], None]


@dataclass(frozen=True)
class Effect:
    """
    One request with an effect, as the server saw it.

    Args:
        status: of its answer; None where it was never served
        heard: the answer has arrived
    """

    who: str
    method: str
    path: str
    body: Any
    status: int | None
    answer: Any
    heard: bool

    def __str__(self) -> str:
        return f"{self.who}: {self.method} {self.path} -> {self.status}"


@dataclass
class Disturbance:
    """
    What happens during one command, by the number of the request.

    Args:
        strikes: `before`: the connection is cut; `lost`: the same after it was served; `503`:
            refused before it was served
        fate: when the process dies
        meetings: what somebody does just before a request is served
        met: there was to be a meeting
    """

    strikes: Mapping[int, str] = field(default_factory=dict)
    fate: Fate | None = None
    meetings: dict[int, Meeting] = field(default_factory=dict)
    met: bool = False
    seen: int = 0

    @property
    def is_calm(self) -> bool:
        return not self.strikes and self.fate is None and not self.meetings


class Wire:
    """An ASGI application between a command and the sandbox."""

    def __init__(self, app: Any, who: str, told: Disturbance, log: list[Effect]) -> None:
        self._app = app
        self._who = who
        self._told = told
        self._log = log
        self.state = app.state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        told, fate = self._told, self._told.fate
        if fate is not None:
            fate.live()
        if scope["path"].endswith("/token"):
            await self._app(scope, receive, send)
            return
        told.seen += 1
        for at in sorted(at for at in told.meetings if at <= told.seen):
            told.meetings.pop(at)()
        strike = told.strikes.get(told.seen, "")
        dies = fate is not None and told.seen == fate.at
        if fate is not None and dies and fate.moment is Moment.BEFORE:
            fate.dead = True
            raise Death
        if strike == "before":
            raise ConnectionDroppedError("before it was served")
        if strike == "503":
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        messages = await self._serve(scope, receive, heard=strike != "lost" and not dies)
        if fate is not None and dies:
            fate.dead = True
            if fate.moment is Moment.SERVED:
                raise Death
        if strike == "lost":
            raise ConnectionDroppedError("after it was served")
        for message in messages:
            await send(message)

    async def _serve(self, scope: Any, receive: Any, *, heard: bool) -> list[Any]:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        messages: list[Any] = []

        async def given() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def catch(message: Any) -> None:
            messages.append(message)

        await self._app(scope, given, catch)
        if scope["method"] in EFFECTS:
            text = b"".join(m.get("body", b"") for m in messages[1:])
            status = messages[0]["status"]
            self._log.append(
                Effect(
                    self._who,
                    scope["method"],
                    scope["path"],
                    _json(body),
                    status,
                    _json(text),
                    heard,
                )
            )
        return messages


def _json(content: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(content) if content else None
    return None


@dataclass(frozen=True)
class Said:
    """
    How a command ended.

    Args:
        code: its exit code; None where its process died
    """

    command: tuple[str, ...]
    code: int | None
    out: str
    err: str

    def __str__(self) -> str:
        return f"{' '.join(self.command)} -> {self.code}\n{self.out}{self.err}"


class Town:
    """One sandbox, and the checkouts that work with it."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.clock = ManualClock()
        self._data = home / "sandbox"
        self.app = create_app(
            self._data,
            clock=SandboxClock(self.clock),
            settings=Settings(seed="model", log_requests=False, **{**SHORT, **settings}),
            sleep=self.clock.sleep,
            scripts=SCRIPTS,
        )
        self.log: list[Effect] = []

    @property
    def buckets(self) -> Path:
        return self._data / "buckets"

    def close(self) -> None:
        close_app(self.app)
        shutil.rmtree(self.home, ignore_errors=True)

    def checkout(self, name: str) -> Path:
        """Make an empty checkout whose embedded sandbox is this one."""
        root = self.home / name
        (root / ".shplan").mkdir(parents=True)
        (root / ".shplan" / "sandbox").symlink_to(self._data)
        return root

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What is no business of shplan's: control of the sandbox, and what people do on it."""

        async def asking() -> Any:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                answer = await client.request(method, path, json=body)
                return answer.json() if answer.content else None

        return in_a_loop_of_its_own(asking)

    def edit(self, method: str, path: str, body: Any = None) -> Any:
        """What a person does in the service's web pages."""
        return self.ask("POST", "/_sandbox/edit", {"method": method, "path": path, "body": body})

    def change(self, path: str, change: Mapping[str, Any]) -> None:
        self.ask("POST", "/_sandbox/edit", {"path": path, "change": change})

    def behave(self, **settings: Any) -> None:
        self.ask("PATCH", "/_sandbox/settings", settings)

    def tick(self, seconds: float) -> None:
        self.ask("POST", "/_sandbox/tick", {"seconds": seconds})

    def dump(self) -> dict[str, Any]:
        dump: dict[str, Any] = self.ask("GET", "/_sandbox/dump")
        return dump

    def journal(self, ledger: Path) -> Journal:
        return Journal(DirectoryBackend(ledger), clock=self.clock, actor={"user": "model"})

    def run(
        self,
        root: Path,
        *command: str,
        secrets: Mapping[str, str] | None = None,
        told: Disturbance | None = None,
    ) -> Said:
        """Give a command in a checkout, as a user types it."""
        told = told or Disturbance()
        out, err = io.StringIO(), io.StringIO()
        with (
            self._standing_in(root.name, told, secrets or {}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = through(program, (*command, "--project", str(root)))
            except Death:
                code = None
        return Said(command, code, out.getvalue(), err.getvalue())

    @contextlib.contextmanager
    def _standing_in(
        self, who: str, told: Disturbance, secrets: Mapping[str, str]
    ) -> Iterator[None]:
        """The clock, the sandbox and the ledger's fate are this town's; all else is the command's."""
        wire = Wire(self.app, who, told, self.log)
        instance = self.app.state.world.store.instance

        def journal(*args: Any, **more: Any) -> Any:
            opened = Journal(*args, **more)
            return opened if told.fate is None else MortalJournal(opened, told.fate)

        def sources(_: Mapping[str, str], **more: Any) -> SecretSources:
            return SecretSources(secrets, **more)

        with pytest.MonkeyPatch.context() as patch:
            for name in [one for one in os.environ if one.startswith(("SH_", "SHPLAN_"))]:
                patch.delenv(name)
            for name in ("CI", "GITHUB_ACTIONS"):
                patch.delenv(name, raising=False)
            patch.setattr(session, "SystemClock", lambda: self.clock)
            patch.setattr("shplan.ledger.journal.Journal", journal)
            patch.setattr("shplan.api.secrets.SecretSources", sources)
            patch.setattr(embedded, "open_sandbox", lambda _: (wire, instance, lambda: None))
            patch.setattr(scripts, "Scripts", RememberingScripts)
            # Who meets another's command runs in a thread, and only the first one hears signals.
            for module in ("apply", "apply_file"):
                patch.setattr(f"shplan.cli.{module}.listen_for_signals", lambda _: None)
            yield


class MortalJournal(DyingLedger):
    """A journal whose process can die; what only reads goes on."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class RememberingScripts(scripts.Scripts):
    """What a script says is a function of its text: the engine is asked once in all the tests."""

    _remembered: dict[str, dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        for name, own in list(vars(self).items()):
            if name.startswith("_") and isinstance(own, dict):
                setattr(self, name, self._remembered.setdefault(name, {}))


def in_a_loop_of_its_own(asking: Callable[[], Any]) -> Any:
    """Run to the end, also where this thread has a loop that runs: then it waits meanwhile."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking())
    return in_a_thread(lambda: asyncio.run(asking()))


def in_a_thread(work: Callable[[], Any]) -> Any:
    """Do something in a thread of its own, while this one stands still."""
    done: list[Any] = []
    failed: list[BaseException] = []

    def doing() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failed.append(error)

    thread = threading.Thread(target=doing)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
