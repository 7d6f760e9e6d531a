"""
The composition root of everything that talks to a server: adapters are made and joined here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shplan import __version__
from shplan.cli.checkout import commit
from shplan.cli.clock import SystemClock
from shplan.cli.given import kept_place
from shplan.cli.options import Options
from shplan.cli.project import in_ci
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import LedgerError, PlanError, ShplanError
from shplan.core.events import BucketUnreadable, Event, Retrying
from shplan.core.plan import PlanInputs
from shplan.core.policy import Policies
from shplan.core.selection import Selection
from shplan.engine.runs import Session
from shplan.engine.world import World
from shplan.manifest.load import Loaded
from shplan.providers.base import Settings
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import tables
from shplan.storage.access import may_ask_the_machine, region_of, why_closed
from shplan.storage.project_files import ProjectFiles

if TYPE_CHECKING:
    from shplan.api.credentials import Access
    from shplan.api.deployment import Deployment
    from shplan.api.exchange import Exchange
    from shplan.api.wire import Transport
    from shplan.core.address import Address
    from shplan.core.reading import Reading
    from shplan.engine.ports import EventSink, Storage
    from shplan.engine.receipts import ReceiptFiles
    from shplan.ledger.journal import Journal
    from shplan.storage.told import Inner

SANDBOX = "sandbox"
# The service's lists are assumed to show a new object within this time.
SERVICE_LIST_LAG_S = 20.0


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A session and the adapters behind it.

    Args:
        loaded: the project with what its data kinds gave
    """

    session: Session
    loaded: Loaded
    exchange: Exchange
    journal: Journal


class Ears:
    """An event sink that can be given its listener late."""

    def __init__(self, listener: EventSink | None) -> None:
        self._listener = listener

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        if self._listener is not None:
            self._listener.emit(event)


def open_journal(loaded: Loaded, *, applying: bool, own_only: bool = True) -> Journal:
    """
    Open the ledger of the environment.

    Args:
        own_only: refuse one that began as another project's or environment's. Not asked in the
            sandbox, where a name that changes costs nothing.

    Raises:
        LedgerError: with `CI` set, an apply would write to a directory that vanishes; or there is
            no such backend
        CredentialsError: nothing says with what a shared ledger is opened
    """
    from shplan.cli.ledgers import open_backend  # noqa: PLC0415
    from shplan.ledger.journal import Journal  # noqa: PLC0415

    environment = loaded.environment
    named = environment.ledger
    if applying and in_ci() and not named and environment.deployment != SANDBOX:
        diagnostic = Diagnostic(
            code="ledger/vanishing",
            summary="The ledger would vanish",
            what=f"environment {environment.name} names no ledger, and this runs in CI.",
            why="The runner's disk is about to vanish, and with it the record of what was done.",
            hint="set `ledger:` of the environment to a place that stays",
        )
        raise LedgerError(diagnostic.what, diagnostics=(diagnostic,))
    default = f".shplan/ledger/{environment.name}"
    if not named:
        kept_place(loaded.root, default)
    backend = open_backend(
        named,
        root=loaded.root,
        default=default,
        environment=os.environ,
        span=environment.span,
    )
    project, name = environment.ledger_of or (loaded.project.name, environment.name)
    return Journal(
        backend,
        clock=SystemClock(),
        actor=actor(loaded.root),
        origin={"project": project, "environment": name},
        own_only=own_only and environment.deployment != SANDBOX,
    )


def actor(root: Path) -> dict[str, str]:
    """Say who acts: the user, the run of CI, the commit; as far as known."""
    environment = os.environ
    user = _user()
    run = environment.get("GITHUB_RUN_ID") or environment.get("CI_PIPELINE_ID") or ""
    found = {"user": user, "ciRun": run, "commit": commit(root)}
    return {name: value for name, value in found.items() if value}


def _user() -> str:
    import getpass  # noqa: PLC0415 - only who opens a ledger asks

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


@asynccontextmanager
async def open_session(
    loaded: Loaded,
    options: Options,
    *,
    applying: bool,
    destroy: bool = False,
    listener: EventSink | None = None,
    priced: frozenset[str] | None = None,
    compares: bool = True,
) -> AsyncIterator[Opened]:
    """
    Open everything that a plan or an apply needs, and close it afterwards.

    Args:
        applying: something will be written
        destroy: no resource is wanted any more
        priced: whose price is wanted, by address; None: of everything. To know one is paid as well
        compares: pins and published tables are compared with what the service says now

    Raises:
        CredentialsError: there are none, or they may not go to this host
        LedgerError: the ledger may not be used
    """
    assert destroy or not loaded.listings.missing, "a set without its members would be emptied"
    journal = open_journal(loaded, applying=applying)
    async with _connected(loaded, options, Ears(listener)) as (exchange, deployment):
        settings = _settings(loaded, deployment, options, private=journal.private)
        files = ProjectFiles(loaded.root)
        world = World(
            exchange,
            SystemClock(),
            Ears(listener),
            PROVIDERS,
            loaded.resolver,
            settings,
            deployment=deployment.identity,
            parallelism=options.parallelism,
            storage=_storage(loaded, Ears(listener)),
            tables=tables(),
            files=files,
            receipts=_receipts(loaded, deployment, files, Ears(listener)),
        )

        def session_of(project: Loaded) -> Session:
            inputs = _inputs(project, options, deployment.identity, destroy=destroy)
            return Session(
                replace(world, resolver=project.resolver),
                journal,
                inputs,
                resources=() if destroy else project.resources,
                moved={move.source: move.target for move in project.moved},
                forget=frozenset(one.address for one in project.forget),
                selection=Selection(options.select, options.exclude),
                policies=_policies(project),
                readings=_readings(project),
                priced=priced,
                compares=compares,
            )

        if loaded.questions and not destroy:
            from shplan.cli.reading import with_data  # noqa: PLC0415 - few projects have data

            loaded = await with_data(loaded, session_of)
        try:
            yield Opened(session_of(loaded), loaded, exchange, journal)
        except ShplanError as error:
            # What is found out with the server is shown in the manifests as well.
            error.texts = error.texts or loaded.texts
            raise


def _readings(loaded: Loaded) -> dict[Address, Reading]:
    return {one.address: one.reading for one in loaded.questions if one.reading is not None}


@asynccontextmanager
async def _connected(
    loaded: Loaded, options: Options, ears: Ears
) -> AsyncIterator[tuple[Exchange, Deployment]]:
    from shplan.api.exchange import connect  # noqa: PLC0415
    from shplan.api.secrets import SecretSources  # noqa: PLC0415
    from shplan.api.tempo import Retry, Tempo  # noqa: PLC0415

    deployment = _deployment(loaded)
    access = _access(loaded, deployment)

    def told(retry: Retry) -> None:
        ears.emit(Retrying(retry.operation, retry.reason, retry.wait_s))

    with _transport(loaded, deployment, options) as (transport, instance):
        named = deployment.of_instance(instance) if instance else deployment
        async with connect(
            named,
            access,
            transport=transport,
            clock=SystemClock(),
            secrets=SecretSources(os.environ, home=Path.home(), root=loaded.root),
            tempo=Tempo(parallelism=options.parallelism),
            on_retry=told,
        ) as exchange:
            yield exchange, named


def _deployment(loaded: Loaded) -> Deployment:
    from shplan.api.deployment import BUILT_IN, custom  # noqa: PLC0415
    from shplan.api.hosts import BadUrlError  # noqa: PLC0415

    environment = loaded.environment
    if environment.deployment:
        return BUILT_IN[environment.deployment]
    try:
        return custom(base_url=environment.base_url, token_url=environment.token_url)
    except BadUrlError as error:
        diagnostic = Diagnostic(
            code="project/url",
            summary="Not a URL of a service",
            what=f"environment {environment.name}: {error}",
            hint="write https://host or, on this machine, http://127.0.0.1:PORT",
            span=environment.span,
        )
        raise PlanError(diagnostic.what, diagnostics=(diagnostic,)) from error


def _access(loaded: Loaded, deployment: Deployment) -> Access:
    from shplan.api.credentials import find_access  # noqa: PLC0415

    return find_access(
        deployment,
        environment=os.environ,
        home=Path.home(),
        profile=loaded.environment.profile,
    )


class _transport:  # noqa: N801 - reads as a function at its only use
    """The way to the server: a socket, or the sandbox in this process."""

    def __init__(self, loaded: Loaded, deployment: Deployment, options: Options) -> None:
        self._loaded = loaded
        self._deployment = deployment
        self._options = options
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> tuple[Transport, str]:
        if self._loaded.environment.deployment == SANDBOX:
            return self._sandbox()
        from shplan.api.network import network_transport  # noqa: PLC0415
        from shplan.api.proxies import proxies_for  # noqa: PLC0415
        from shplan.api.wire import Network  # noqa: PLC0415

        urls = (self._deployment.base_url, self._deployment.token_url)
        proxies = proxies_for(urls, os.environ)
        network = Network(
            connections=self._options.parallelism,
            proxies=proxies,
            ca_file=os.environ.get("SSL_CERT_FILE"),
        )
        return network_transport(network), ""

    def __exit__(self, *error: object) -> None:
        if self._close is not None:
            self._close()

    def _sandbox(self) -> tuple[Transport, str]:
        from shplan.api.transport import in_process_transport  # noqa: PLC0415
        from shplan.cli.embedded import open_sandbox  # noqa: PLC0415

        app, instance, self._close = open_sandbox(self._loaded.root)
        return in_process_transport(app), instance


def _receipts(
    loaded: Loaded, deployment: Deployment, files: ProjectFiles, ears: Ears
) -> ReceiptFiles | None:
    """Return the receipt files of the environment, where the project keeps some."""
    if not loaded.project.receipts:
        return None
    from shplan.engine.receipts import ReceiptFiles  # noqa: PLC0415 - few projects keep them
    from shplan.manifest.receipts_place import receipts_directory  # noqa: PLC0415
    from shplan.providers.receipt_file import Scope  # noqa: PLC0415

    scope = Scope(
        loaded.project.name,
        loaded.environment.name,
        deployment.identity,
        replace(deployment, instance="").identity,
    )
    return ReceiptFiles(files, receipts_directory(loaded.project.receipts), scope, ears)


def _storage(loaded: Loaded, ears: Ears) -> Storage:
    """Return the buckets: the embedded sandbox's, those that AWS variables open, or none."""
    from shplan.storage.told import ToldStorage  # noqa: PLC0415

    def tell(bucket: str, message: str) -> None:
        ears.emit(BucketUnreadable(bucket, message))

    return ToldStorage(open_buckets(loaded), tell)


def open_buckets(loaded: Loaded) -> Inner:
    """Return the buckets of an environment; the embedded sandbox's are directories."""
    if loaded.environment.deployment == SANDBOX:
        from shplan.cli.embedded import DATA  # noqa: PLC0415
        from shplan.storage.directory import DirectoryStorage  # noqa: PLC0415

        return DirectoryStorage(loaded.root / DATA / "buckets")
    why = why_closed(os.environ)
    if why:
        from shplan.storage.closed import ClosedStorage  # noqa: PLC0415

        return ClosedStorage(why)
    from shplan.storage.s3 import S3Storage  # noqa: PLC0415

    return S3Storage(region=region_of(os.environ), asks_machine=may_ask_the_machine(os.environ))


def is_near(loaded: Loaded) -> bool:
    """Tell whether the server is on this machine: nobody minds to be asked often."""
    from shplan.api.hosts import Url  # noqa: PLC0415

    embedded = loaded.environment.deployment == SANDBOX
    return embedded or Url.parse(_deployment(loaded).base_url).origin.is_loopback


def _settings(
    loaded: Loaded, deployment: Deployment, options: Options, *, private: bool
) -> Settings:
    embedded = loaded.environment.deployment == SANDBOX
    near = is_near(loaded)
    stated = loaded.environment.list_lag_s
    lag = stated if stated is not None else (0.0 if near else SERVICE_LIST_LAG_S)
    return Settings(
        # Without the instance of a sandbox: a key says what is wanted, not who answered once.
        deployment=replace(deployment, instance="").identity,
        project=loaded.project.name,
        waits_for_jobs=options.wait,
        list_lag_s=lag,
        private_ledger=private,
        asks_catalogue=loaded.environment.asks_catalogue,
        reads_buckets=embedded or not why_closed(os.environ),
        poll_s=0.2 if embedded else (0.5 if near else 5.0),
    )


def _inputs(loaded: Loaded, options: Options, deployment: str, *, destroy: bool) -> PlanInputs:
    return PlanInputs(
        loaded.project.name,
        loaded.environment.name,
        deployment,
        ledger_head="",
        version=__version__,
        commit=commit(loaded.root),
        variables=loaded.variables,
        files=loaded.files,
        select=options.select,
        exclude=options.exclude,
        destroy=destroy,
        data={str(one): reading.digest for one, reading in _readings(loaded).items()},
    )


def _policies(loaded: Loaded) -> Policies:
    stated = loaded.project.policies
    percent = stated.max_deletions_percent
    return Policies(
        budget_max_pu=loaded.environment.budget_max_pu,
        most_deletions=stated.max_deletions,
        most_deleted_share=None if percent is None else percent / 100,
    )
