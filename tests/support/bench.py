"""
A whole small world for tests: the real sandbox in process, a real ledger, the real client.

A test declares resources, plans and applies; nothing is patched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from shplan.api.credentials import SANDBOX_CREDENTIALS, Access
from shplan.api.deployment import BUILT_IN
from shplan.api.exchange import Exchange, connect
from shplan.api.hosts import AllowedHosts
from shplan.api.transport import in_process_transport
from shplan.core.address import Address
from shplan.core.diagnostic import SourceSpan
from shplan.core.errors import ManifestError
from shplan.core.plan import PlanInputs
from shplan.core.policy import Policies
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import Object, Reference, Unknown, Value, fill
from shplan.core.value import Path as FieldPath
from shplan.engine.performer import Interrupt
from shplan.engine.planning import Planned
from shplan.engine.receipts import ReceiptFiles
from shplan.engine.runs import Applied, Session, apply, confirm, plan
from shplan.engine.world import World
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.journal import Journal
from shplan.providers.base import Settings
from shplan.providers.receipt_file import Scope
from shplan.providers.registry import PROVIDERS
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.scripts import WorkerScripts
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.schema.store import tables
from shplan.storage.directory import DirectoryStorage
from shplan.storage.project_files import ProjectFiles
from tests.support.clock import ManualClock, SandboxClock
from tests.support.cogs import write_tile


class FlatSource:
    """Places of a manifest that was never a file."""

    def span(self, path: FieldPath) -> SourceSpan:
        return SourceSpan("test.yaml", 1, 1, 2)


class FlatResolver:
    """Fills `{{ ref(...).id }}`-like unknowns, with text before, without a template language."""

    def fill(self, desired: Desired, attributes: Mapping[Address, Object]) -> Desired:
        spec, run = (
            fill(stated, lambda leaf: self.fill_value(leaf, attributes))
            for stated in (desired.spec, desired.run)
        )
        return replace(desired, spec=spec, run=run)  # type: ignore[arg-type]

    def fill_value(self, value: Value, attributes: Mapping[Address, Object]) -> Value:
        if isinstance(value, Unknown):
            (reference,) = value.references
            known = attributes.get(reference.address)
            if known is None:
                return value
            name = str(reference.path[0])
            if name not in known:
                raise ManifestError(f"{reference} does not exist")
            text = re.sub(r"\{\{.*?\}\}", str(known[name]), value.template)
            return known[name] if value.template.startswith("{{") else text
        if isinstance(value, dict):
            return {key: self.fill_value(one, attributes) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill_value(one, attributes) for one in value]
        return value

    def check(self, address: Address, attributes: Mapping[Address, Object]) -> None:
        """Nothing here has a script."""


class NoSecrets:
    def reveal(self, value: object) -> str:
        raise AssertionError("no secrets here")


class SharedScripts(WorkerScripts):
    """One JavaScript worker for all sandboxes of a test run; it ends with the process."""

    def close(self) -> None:
        pass


SCRIPTS = SharedScripts()


@dataclass
class Recorder:
    events: list[Any] = field(default_factory=list)

    def emit(self, event: Any) -> None:
        self.events.append(event)


@dataclass
class Bench:
    """One project against one sandbox."""

    root: Path
    settings: SandboxSettings = field(default_factory=lambda: SandboxSettings(seed="test"))
    list_lag_s: float = 0.0
    ledger_name: str = "ledger"
    clock: ManualClock = field(default_factory=ManualClock)
    app: Any = None
    poll_s: float = 2.0
    receipts: Scope | None = None

    def __post_init__(self) -> None:
        if self.app is None:
            self.app = create_app(
                self.root / "sandbox",
                clock=SandboxClock(self.clock),
                settings=self.settings,
                sleep=self.clock.sleep,
                scripts=SCRIPTS,
            )

    def close(self) -> None:
        close_app(self.app)

    @property
    def buckets(self) -> Path:
        return self.root / "sandbox" / "buckets"

    @property
    def project(self) -> Path:
        """The directory that answers are written to."""
        return self.root / "project"

    def second(self, name: str) -> Bench:
        """Another project (another ledger) against the same sandbox."""
        return replace(self, ledger_name=name)

    def write_tiles(
        self, *folders: str, bucket: str = "fields", bands: tuple[str, ...] = ("B04",)
    ) -> None:
        for folder in folders:
            write_tile(self.buckets, bucket, folder, bands=bands)

    def transport(self) -> Any:
        return in_process_transport(self.app)

    def exchange(self) -> Exchange:
        return connect(
            BUILT_IN["sandbox"],
            Access(SANDBOX_CREDENTIALS, AllowedHosts()),
            transport=self.transport(),
            clock=self.clock,
            secrets=NoSecrets(),
            jitter=lambda: 0.0,
        )

    def journal(self) -> Journal:
        return Journal(
            DirectoryBackend(self.root / self.ledger_name), clock=self.clock, actor={"user": "test"}
        )

    def session(self, exchange: Exchange, resources: Iterable[Desired], **more: Any) -> Session:
        events = more.pop("events", None) or Recorder()
        files = more.pop("files", None) or ProjectFiles(self.project)
        scope = more.pop("receipts", self.receipts)
        world = World(
            exchange,
            self.clock,
            events,
            PROVIDERS,
            more.pop("resolver", None) or FlatResolver(),
            Settings(
                list_lag_s=self.list_lag_s,
                private_ledger=True,
                reads_buckets=True,
                poll_s=self.poll_s,
                project="test",
                waits_for_jobs=more.pop("wait", True),
                asks_catalogue=more.pop("asks_catalogue", False),
            ),
            deployment="sandbox" if scope is None else scope.deployment,
            storage=DirectoryStorage(self.buckets),
            tables=tables(),
            files=files,
            receipts=None if scope is None else ReceiptFiles(files, "receipts", scope, events),
        )
        inputs = PlanInputs("test", "sandbox", "sandbox", "", "0")
        return Session(world, more.pop("ledger", self.journal()), inputs, tuple(resources), **more)

    async def plan(self, *resources: Desired, **more: Any) -> Planned:
        async with self.exchange() as exchange:
            return await plan(self.session(exchange, resources, **more))

    async def apply(self, *resources: Desired, **more: Any) -> Applied:
        async def yes(_: Planned) -> bool:
            return True

        interrupt = more.pop("interrupt", None) or Interrupt()
        lock_timeout_s = more.pop("lock_timeout_s", 0.0)
        async with self.exchange() as exchange:
            session = self.session(exchange, resources, **more)
            return await apply(session, yes, lock_timeout_s=lock_timeout_s, interrupt=interrupt)

    async def confirm(self, address: str, confirmed: str, *resources: Desired) -> None:
        """What `shplan import ADDRESS ID` does."""
        async with self.exchange() as exchange:
            session = self.session(exchange, resources)
            await confirm(session, Address.parse(address), confirmed, lock_timeout_s=0.0)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """What somebody else does: a plain request with the sandbox's own client."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            form = {
                "grant_type": "client_credentials",
                "client_id": "sandbox",
                "client_secret": "sandbox",
            }
            token = (await client.post("/oauth/token", data=form)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.request(method, path, json=body, headers=headers)
            return answer.json() if answer.content else answer.status_code


def collection(
    name: str = "fields",
    *,
    key: str | None = None,
    prevent: bool = False,
    ignore: tuple[str, ...] = (),
    **spec: Value,
) -> Desired:
    body: Object = {"name": "Field imagery", "s3Bucket": "fields", **spec}
    return Desired(
        Address("ByocCollection", name, key),
        body,
        FlatSource(),
        lifecycle=Lifecycle(prevent_destroy=prevent, ignore_changes=ignore),
    )


def tiles(
    *members: Object | str,
    name: str = "fields",
    of: str = "fields",
    exclusive: bool = False,
    prevent: bool = False,
) -> Desired:
    reference = Reference(Address("ByocCollection", of), ("id",))
    full = [
        {"path": m, "sensingTime": "2025-06-01T10:00:00Z"} if isinstance(m, str) else m
        for m in members
    ]
    address = Address("ByocTiles", name)
    unknown = Unknown("{{ ref('ByocCollection/" + of + "').id }}", str(address), (reference,))
    return Desired(
        address,
        {"collection": unknown, "exclusive": exclusive},
        FlatSource(),
        members=full,  # type: ignore[arg-type]
        references=(reference,),
        lifecycle=Lifecycle(prevent_destroy=prevent),
    )


__all__ = ["Bench", "Policies", "collection", "tiles"]
