"""Where `ledger:` leads, what it may not say, and commands over the shared places."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from shplan.cli.clock import SystemClock
from shplan.cli.ledgers import open_backend
from shplan.core.diagnostic import SourceSpan
from shplan.core.errors import CredentialsError, LedgerError, ShplanError
from shplan.ledger.backends.postgres import PostgresBackend
from shplan.ledger.backends.s3 import S3Backend
from shplan.ledger.journal import Journal
from shplan.ledger.port import Backend
from shplan.storage.aws import Aws
from shplan.storage.objects import S3Objects
from tests.cli.conftest import PROJECT, Project
from tests.support.s3 import make_bucket, moto_served, no_aws, with_keys

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
SPAN = SourceSpan("shplan.yaml", 5, 7, 11)


def opened(
    text: str, environment: Mapping[str, str] | None = None, *, home: Path | None = None
) -> Backend:
    return open_backend(
        text,
        root=home or Path(),
        default=".shplan/ledger/prod",
        environment=KEYS if environment is None else environment,
        span=SPAN,
    )


def refused(text: str, environment: Mapping[str, str] | None = None) -> tuple[ShplanError, str]:
    with pytest.raises(ShplanError) as caught:
        opened(text, environment)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span == SPAN
    return caught.value, f"{diagnostic.what} {diagnostic.why} {diagnostic.hint}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ".shplan/ledger/prod"),
        ("ledgers/prod", "ledgers/prod"),
        ("file://ledgers/prod", "ledgers/prod"),
        ("file:///var/ledgers", "/var/ledgers"),
        ("s3://acme-ledger/fields", "s3://acme-ledger/fields"),
        ("s3://acme-ledger/a/b/", "s3://acme-ledger/a/b"),
        ("s3://acme-ledger", "s3://acme-ledger"),
        ("postgresql://127.0.0.1/db", "postgresql://127.0.0.1/db?schema=shplan"),
        ("postgres://me@localhost:5433/db?schema=a_1", "postgresql://localhost:5433/db?schema=a_1"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///run/postgresql/db?schema=shplan"),
        ("postgresql://?service=acme", "postgresql:///?schema=shplan"),
    ],
)
def test_the_text_says_where(text: str, name: str) -> None:
    assert opened(text).name == name


def test_shared_places_are_not_private() -> None:
    assert isinstance(opened("s3://acme-ledger/x"), S3Backend)
    assert isinstance(opened("postgresql://localhost/x"), PostgresBackend)
    assert not opened("s3://acme-ledger/x").private
    assert not opened("postgresql://localhost/x").private
    assert opened("").private


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("s4://x/y", "s3://"),
        ("S3A://x/y", "s3://"),
        ("postgre://x/y", "postgresql://"),
        ("psql://h/y", "postgresql://"),
        ("files://x", "file://"),
    ],
)
def test_an_unknown_scheme_names_the_nearest(text: str, near: str) -> None:
    _, told = refused(text)
    assert near in told
    assert "in a directory, in a bucket" in told


def test_a_bucket_needs_something_to_open_it_with() -> None:
    error, told = refused("s3://acme-ledger/x", {})
    assert isinstance(error, CredentialsError)
    assert "AWS_PROFILE" in told


@pytest.mark.parametrize("package", ["botocore", "psycopg"])
def test_a_package_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == package else find(name)
    )
    text = {"botocore": "s3://acme-ledger/x", "psycopg": "postgresql://localhost/x"}[package]
    extra = {"botocore": "shplan[s3]", "psycopg": "shplan[postgres]"}[package]
    _, told = refused(text)
    assert f"pip install '{extra}'" in told


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///prefix",
        "s3://UPPER/x",
        "s3://acme-ledger/../other",
        "s3://acme-ledger/a//b",
        "s3://acme-ledger/x?endpoint=http://canary",
        "s3://canary:canary@acme-ledger/x",
        "postgresql://localhost/db?password=canary",
        "postgresql://ada:canary@localhost/db",
        "postgresql://ada:canary@evil.example:99999/db",
        "postgresql://localhost/db?sslmode=disable",
        "postgresql://localhost/db?options=canary",
        "postgresql://localhost/db?schema=Robert'); DROP",
        "postgresql://localhost/db/more",
        "postgresql://a,b/db",
        "postgresql://localhost/db?host=/tmp",
        "postgresql:///db?host=evil.example",
        "postgresql://localhost/d%20b%3D",
        "postgresql://localhost/db#canary",
    ],
)
def test_what_does_not_belong_there_is_refused_and_not_repeated(text: str) -> None:
    error, told = refused(text)
    assert isinstance(error, LedgerError)
    assert "canary" not in told + str(error)


# To whom credentials may go.


def test_a_database_elsewhere_has_to_be_named_outside_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "postgresql://db.example.org/ledgers"
    error, told = refused(text, {"PGPASSWORD": "canary"})
    assert isinstance(error, CredentialsError)
    assert "SHPLAN_ALLOW_HOST=db.example.org" in told
    assert "canary" not in told
    for environment in (
        {"SHPLAN_ALLOW_HOST": "db.example.org"},
        {"SHPLAN_ALLOW_HOST": "other, DB.example.org:5432"},
        {"PGHOST": "db.example.org"},
    ):
        assert opened(text, environment).name.startswith("postgresql://db.example.org/")
    for environment in (
        {"SHPLAN_ALLOW_HOST": "example.org"},
        {"SHPLAN_ALLOW_HOST": "db.example.org:5433"},
        {"PGHOST": "localhost"},
    ):
        refused(text, environment)


def test_a_file_of_passwords_names_hosts_and_a_star_names_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "pgpass"
    environment = {"PGPASSFILE": str(file)}
    file.write_text("# db.example.org:*:*:*:x\n*:*:*:ada:canary\n")
    refused("postgresql://db.example.org/ledgers", environment)
    file.write_text("db.example.org:5432:*:ada:canary\n")
    assert opened("postgresql://db.example.org/ledgers", environment)
    (tmp_path / ".pgpass").write_text("db.example.org:5432:*:ada:canary\n")
    assert opened("postgresql://db.example.org/ledgers", {})


def test_a_connection_to_elsewhere_knows_whom_it_talks_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    vouched = {"PGHOST": "db.example.org"}

    def parameters(text: str, **environment: str) -> Mapping[str, str]:
        return opened(text, {**vouched, **environment})._lease._server._parameters

    far = "postgresql://db.example.org/ledgers"
    assert parameters(far)["sslmode"] == "verify-full"
    assert parameters(far)["sslrootcert"]
    # Whoever owns the credentials may say otherwise; the repository may not.
    assert "sslmode" not in parameters(far, PGSSLMODE="require")
    assert "sslrootcert" not in parameters(far, PGSSLROOTCERT="/etc/own.crt")
    assert "sslmode" not in parameters("postgresql://127.0.0.1/ledgers")


# Commands.


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_served() as url:
        yield url


@pytest.fixture(params=["s3", "postgres"])
def shared(
    request: pytest.FixtureRequest,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Project:
    """A project whose ledger is one that everybody sees."""
    if request.param == "s3":
        endpoint = request.getfixturevalue("moto")
        no_aws(monkeypatch, tmp_path)
        with_keys(monkeypatch, endpoint)
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
        make_bucket(endpoint, "acme-ledger")
        text = "s3://acme-ledger/fields"
    else:
        database = request.getfixturevalue("database")
        monkeypatch.setenv("PGUSER", database["user"])
        text = f"postgresql://127.0.0.1:{database['port']}/{database['dbname']}?schema=fields"
    (project.root / "shplan.yaml").write_text(
        PROJECT + f'  environments: {{sandbox: {{deployment: sandbox, ledger: "{text}"}}}}\n'
    )
    return project


def test_commands_work_over_a_shared_ledger(
    shared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared.run("apply", "--auto-approve").code == 0
    assert not (shared.root / ".shplan" / "ledger").exists()
    assert shared.run("plan", "--detailed-exitcode").code == 0
    assert shared.run("ledger", "verify").code == 0
    shown = json.loads(shared.run("ledger", "show", "--format", "json").out)
    assert [entry["event"] for entry in shown[:3]] == ["genesis", "intent", "outcome"]
    assert shared.run("ledger", "recover").out == "The ledger is intact; nothing was done.\n"
    # A ledger that stays is no reason to refuse in CI.
    monkeypatch.setenv("CI", "true")
    assert shared.run("apply", "--auto-approve").code == 0
    assert shared.run("destroy", "--auto-approve").code == 0


def test_a_shared_ledger_that_is_held_leaves_with_six_naming_the_other(shared: Project) -> None:
    from shplan.cli.options import Options
    from shplan.cli.project import open_project
    from shplan.cli.session import open_journal

    loaded = open_project(Options(project=shared.root))
    journal = open_journal(loaded, applying=True)
    other = Journal(journal._backend, clock=SystemClock(), actor={"user": "bob"})

    lease = other.lease(timeout_s=0)
    asyncio.run(lease.__aenter__())
    try:
        said = shared.run("apply", "--auto-approve")
    finally:
        asyncio.run(lease.__aexit__(None, None, None))
    assert said.code == 6
    assert "of bob on" in said.err


async def change_an_object(objects: S3Objects) -> None:
    keys = [one.key for one in await objects.list("fields/1/entries/")]
    found = await objects.get(keys[1])
    assert found is not None
    assert b"fields" in found.content
    await objects.put(keys[1], found.content.replace(b"fields", b"fie1ds"), over=found.etag)


def change_an_entry(project: Project) -> None:
    """As somebody does who may write there."""
    text = (project.root / "shplan.yaml").read_text().split('ledger: "')[1].split('"')[0]
    if text.startswith("s3:"):
        asyncio.run(change_an_object(S3Objects(Aws(), "acme-ledger")))
        return
    address = urlsplit(text)
    where = {"host": address.hostname, "port": address.port, "dbname": address.path[1:]}
    with psycopg.connect(autocommit=True, **where) as connection:
        connection.execute("UPDATE fields.ledger_entry SET line = line || 'x' WHERE sequence = 2")


def test_a_shared_ledger_that_is_damaged_is_recovered(shared: Project) -> None:
    assert shared.run("apply", "--auto-approve").code == 0
    change_an_entry(shared)
    assert shared.run("ledger", "verify").code == 1
    assert shared.run("plan").code == 1
    recovered = shared.run("ledger", "recover")
    assert recovered.code == 0
    assert "The old ledger lies whole in " in recovered.out
    assert shared.run("ledger", "verify").code == 0
    assert shared.run("apply", "--auto-approve").code == 0
    assert shared.run("plan", "--detailed-exitcode").code == 0


def test_an_unknown_place_is_shown_in_its_file(project: Project) -> None:
    (project.root / "shplan.yaml").write_text(
        PROJECT + "  environments: {sandbox: {deployment: sandbox, ledger: 's4://x/y'}}\n"
    )
    said = project.run("plan")
    assert said.code == 1
    assert "error[ledger/backend]" in said.err
    assert "shplan.yaml:" in said.err
    assert "s3://" in said.err
