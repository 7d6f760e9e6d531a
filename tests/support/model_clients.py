"""
The clients of the model test: real applies, each request of which a judge sees.

A client may meet weather (requests that fail, answers that are lost), may die at a request, and
somebody may edit on the server between two of its requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shplan.api.credentials import SANDBOX_CREDENTIALS, Access
from shplan.api.deployment import BUILT_IN
from shplan.api.exchange import Exchange, connect
from shplan.api.hosts import AllowedHosts
from shplan.api.secrets import SecretSources
from shplan.api.transport import in_process_transport
from shplan.cli.exit_door import code_of
from shplan.core.errors import ShplanError
from shplan.core.plan import plan_json
from shplan.core.saved import history
from shplan.engine.performer import Interrupt
from shplan.engine.planning import Planned
from shplan.engine.runs import Applied, apply_saved
from shplan.sandbox.faults import ConnectionDroppedError
from shplan.views.saved_plan import load_plan, save_plan
from tests.support.bench import Bench
from tests.support.dying import Death, DyingLedger, DyingTransport, Fate
from tests.support.model_book import Approved, Book, Judge, Sent
from tests.support.model_manifests import Manifests, resources
from tests.support.model_server import Server

EFFECTS = frozenset({"POST", "PUT", "DELETE", "PATCH"})
SPENT = b"x-processingunits-spent"
Edit = Callable[[], Awaitable[None]]


@dataclass
class Weather:
    """
    What happens to the requests of one apply, by their number.

    Args:
        strikes: `before`: the connection is cut; `lost`: the same after it was served; `503` and
            `502`: refused before, and after it was served
        edits: what somebody does on the server just before a reading request
        dice: lets others go first, where several apply at the same time
    """

    strikes: Mapping[int, str] = field(default_factory=dict)
    edits: dict[int, Edit] = field(default_factory=dict)
    dice: random.Random | None = None
    seen: int = 0

    @property
    def is_calm(self) -> bool:
        return not self.strikes and not self.edits and self.dice is None

    async def pause(self) -> None:
        if self.dice is not None:
            for _ in range(self.dice.choice((0, 0, 1, 3, 10, 40))):
                await asyncio.sleep(0)


class Wire:
    """An ASGI application between a client and the sandbox: it judges, and makes the weather."""

    def __init__(self, app: Any, server: Server, judge: Judge, weather: Weather) -> None:
        self._app = app
        self._server = server
        self._judge = judge
        self._weather = weather

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/token"):
            await self._app(scope, receive, send)
            return
        weather = self._weather
        await weather.pause()
        weather.seen += 1
        strike = weather.strikes.get(weather.seen, "")
        has_effect = scope["method"] in EFFECTS
        if not has_effect and weather.edits:
            due = [at for at in weather.edits if at <= weather.seen]
            for at in sorted(due):
                await weather.edits.pop(at)()
        body = await _body(receive)
        if strike == "before":
            raise ConnectionDroppedError("before it was served")
        if strike == "503":
            await _refuse(send, 503)
            return
        messages = await self._serve(scope, body, judged=has_effect)
        await weather.pause()
        if strike == "lost":
            raise ConnectionDroppedError("after it was served")
        if strike == "502":
            await _refuse(send, 502)
            return
        if has_effect:
            self._judge.hears(_sent(scope, body))
        for message in messages:
            await send(message)

    async def _serve(self, scope: Any, body: bytes, *, judged: bool) -> list[Any]:
        sent = _sent(scope, body)
        held = await self._server.held() if judged else None
        if held is not None:
            self._judge.arriving(sent, held)
        messages: list[Any] = []

        async def given() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def catch(message: Any) -> None:
            messages.append(message)

        await self._app(scope, given, catch)
        if held is not None:
            text = b"".join(m.get("body", b"") for m in messages[1:])
            headers = dict(messages[0]["headers"])
            answer = None
            with contextlib.suppress(ValueError):
                answer = json.loads(text) if text else None
            cost_pu = float(headers.get(SPENT, b"0"))
            self._judge.served(sent, messages[0]["status"], answer, held, cost_pu=cost_pu)
        return messages


def _sent(scope: Any, body: bytes) -> Sent:
    return Sent(scope["method"], published(scope["path"]), json.loads(body) if body else None)


def published(path: str) -> str:
    """The path as the published API has it, of one in the older style."""
    return re.sub(r"^/api/(v\d)/(\w+)", r"/\2/\1", path)


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@dataclass
class Run:
    """
    How one command is disturbed, and what it is told beside the manifests.

    Args:
        more: `moved`, `forget`, `wait` of the session
        fate: when the process dies
        torn: the death leaves half a line in the ledger
    """

    weather: Weather = field(default_factory=Weather)
    fate: Fate | None = None
    torn: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def is_calm(self) -> bool:
        return self.weather.is_calm and self.fate is None


@dataclass(frozen=True)
class Outcome:
    """
    What a command came to.

    Args:
        code: its exit code, None where its process died
        error: what it said instead of a report
    """

    code: int | None
    applied: Applied | None = None
    error: ShplanError | None = None

    def told(self) -> str:
        if self.applied is None or self.applied.report is None:
            refusals = () if self.applied is None else self.applied.planned.plan.refusals
            return f"{self.error!r} {[one.diagnostic.what for one in refusals]}"
        results = self.applied.report.results
        return str([(str(r.change.address), r.ending.value, r.message) for r in results])


@dataclass
class Client(Bench):
    """One checkout with its ledger, against the sandbox that all share."""

    name: str = "A"
    secrets: dict[str, str] = field(default_factory=dict)
    book: Book = field(default_factory=Book)
    judge: Judge | None = None
    run: Run = field(default_factory=Run)

    @property
    def ledger(self) -> Path:
        return self.root / self.ledger_name

    @property
    def project(self) -> Path:
        return self.root / f"project-{self.name}"

    def transport(self) -> Any:
        assert self.judge is not None
        wire = Wire(self.app, Server(self.app), self.judge, self.run.weather)
        inner = in_process_transport(wire)
        return inner if self.run.fate is None else DyingTransport(inner, self.run.fate)

    def exchange(self) -> Exchange:
        return connect(
            BUILT_IN["sandbox"],
            Access(SANDBOX_CREDENTIALS, AllowedHosts()),
            transport=self.transport(),
            clock=self.clock,
            secrets=SecretSources(self.secrets, home=Path("/nowhere"), root=Path("/nowhere")),
            jitter=lambda: 0.0,
        )

    def session(self, exchange: Exchange, wanted: Any, **more: Any) -> Any:
        ledger: Any = self.journal()
        if self.run.fate is not None:
            ledger = DyingLedger(ledger, self.run.fate)
        return super().session(exchange, wanted, ledger=ledger, **self.run.more, **more)

    async def applies(self, manifests: Manifests) -> Outcome:
        """`shplan apply`, and `shplan destroy` where nothing is wanted."""
        return await self._ended(self._apply(manifests))

    async def plans(self, manifests: Manifests) -> Planned:
        return await self.plan(*resources(manifests))

    async def applies_file(self, content: bytes, manifests: Manifests) -> Outcome:
        """`shplan apply FILE`."""
        return await self._ended(self._apply_file(content, manifests))

    async def imports(self, manifests: Manifests, address: Any, made: str) -> Outcome:
        async def importing() -> Applied | None:
            await self.confirm(str(address), made, *resources(manifests))
            return None

        return await self._ended(importing())

    async def _apply(self, manifests: Manifests) -> Applied:
        judge = self.judge
        assert judge is not None

        async def yes(planned: Planned) -> bool:
            judge.approved = Approved.of(plan_json(planned.plan))
            return True

        from shplan.engine.runs import apply

        async with self.exchange() as exchange:
            session = self.session(exchange, resources(manifests))
            return await apply(session, yes, lock_timeout_s=0.0, interrupt=Interrupt())

    async def _apply_file(self, content: bytes, manifests: Manifests) -> Applied:
        assert self.judge is not None
        saved = load_plan(content, name="plan.json").document
        self.judge.approved = Approved.of(saved)

        async def past() -> Any:
            return history([e async for e in self.journal().entries()], str(saved["digest"]))

        async with self.exchange() as exchange:
            session = self.session(exchange, resources(manifests))
            return await apply_saved(
                session, saved, past, lock_timeout_s=0.0, interrupt=Interrupt()
            )

    async def _ended(self, running: Awaitable[Applied | None]) -> Outcome:
        try:
            applied = await running
        except Death:
            return Outcome(None)
        except ShplanError as error:
            return Outcome(code_of(error), error=error)
        if applied is None:
            return Outcome(0)
        plan = applied.planned.plan
        if applied.report is None:
            return Outcome(plan.exit_code() or (3 if plan.blocked else 0), applied)
        return Outcome(plan.exit_code() or applied.report.exit_code(), applied)

    # --- the ledger's fortunes --------------------------------------------------------------

    def lose(self) -> None:
        shutil.rmtree(self.ledger, ignore_errors=True)

    def keep(self, name: str) -> Path:
        copy = self.root / f"{self.ledger_name}-{name}"
        shutil.rmtree(copy, ignore_errors=True)
        if self.ledger.exists():
            shutil.copytree(self.ledger, copy)
        return copy

    def roll_back(self, copy: Path) -> None:
        self.lose()
        if copy.exists():
            shutil.copytree(copy, self.ledger)

    def tear(self) -> None:
        """Leave half a line behind, as a machine does that loses power while it writes."""
        for segment in self._segments():
            with segment.open("ab") as file:
                file.write(b'{"format":1,"sequence":')
            return

    def _segments(self) -> Iterator[Path]:
        found = sorted(self.ledger.glob("*.jsonl")) if self.ledger.exists() else []
        yield from found[-1:]


__all__ = ["Client", "Outcome", "Run", "Weather", "save_plan"]
