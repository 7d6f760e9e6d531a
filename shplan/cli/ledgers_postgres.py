"""
A ledger in PostgreSQL, from the address in the project to the parameters of a connection.

The address can be changed by anyone whose change is merged or merely tried. So it holds no
password, cannot weaken how a connection is secured, and leads only to hosts that somebody named
outside the repository.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from shplan.cli.ledgers import demand_package, refusal
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import CredentialsError

if TYPE_CHECKING:
    from shplan.ledger.port import Backend

DEFAULT_SCHEMA: Final = "shplan"
_EXAMPLE = "ledger: postgresql://HOST:PORT/DATABASE?schema=NAME"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,50}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_OPTIONS = frozenset({"schema", "service", "host"})
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def open_postgres(
    text: str, *, environment: Mapping[str, str], home: Path, span: SourceSpan | None
) -> Backend:
    """
    Return the ledger at an address; no connection is opened.

    Args:
        text: `postgresql://[USER@]HOST[:PORT]/DATABASE[?schema=NAME]`
        environment: variables of the process
        home: of the user, with `.pgpass`
        span: where the text stands

    Raises:
        LedgerError: the address is none, or holds what does not belong there; psycopg is missing
        CredentialsError: nobody outside the repository named the host
    """
    parts, options = _parts(text, span)
    schema = options.pop("schema", DEFAULT_SCHEMA)
    parameters = {**_located(parts), **options}
    demand_package("psycopg", "postgres", span=span)
    if _is_remote(parameters):
        _demand_named(parameters, environment, home, span)
        parameters.update(_secured(environment, home))
    from shplan.ledger.backends.postgres import PostgresBackend  # noqa: PLC0415
    from shplan.ledger.backends.postgres_session import Server  # noqa: PLC0415

    name = _name(parameters, schema)
    return PostgresBackend(Server(parameters, name=name), schema, name=name)


def _parts(text: str, span: SourceSpan | None) -> tuple[SplitResult, dict[str, str]]:
    """Take an address apart; nothing of it is shown where it is wrong, as it may hold a secret."""
    try:
        parts = urlsplit(text)
        port, password = parts.port, parts.password
        stated = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _wrong(what="it is no address", span=span) from error
    if password is not None or "password" in stated:
        raise refusal(
            what="`ledger:` holds a password.",
            why="A project is read by many, and its history keeps what was once written.",
            hint="take it out and change it; the password comes from PGPASSWORD or ~/.pgpass",
            span=span,
        )
    if unknown := sorted(set(stated) - _OPTIONS):
        shown = unknown[0] if _WORD.fullmatch(unknown[0]) else "?"
        raise _wrong(
            what=f"`{shown}` is set outside the repository (PGSSLMODE, PGSERVICE, ...)", span=span
        )
    options = {key: values[-1] for key, values in stated.items()}
    if port == 0 or parts.fragment or "," in parts.netloc or parts.path.count("/") > 1:
        raise _wrong(what="it names one host, one port and one database", span=span)
    if not _SCHEMA.fullmatch(options.get("schema", DEFAULT_SCHEMA)):
        raise _wrong(what="a schema has small letters, digits and underscores", span=span)
    if "host" in options and (parts.hostname or not options["host"].startswith("/")):
        raise _wrong(what="`host=` is the directory of a socket, without another host", span=span)
    named = [unquote(parts.username or "x"), unquote(parts.path[1:] or "x")]
    if not all(_WORD.fullmatch(one) for one in (*named, options.get("service", "x"))):
        raise _wrong(what="user, database and service have letters, digits and ._-", span=span)
    return parts, options


def _located(parts: SplitResult) -> dict[str, str]:
    found = {
        "host": parts.hostname or "",
        "port": str(parts.port or ""),
        "dbname": unquote(parts.path[1:]),
        "user": unquote(parts.username or ""),
    }
    return {key: value for key, value in found.items() if value}


def _is_remote(parameters: Mapping[str, str]) -> bool:
    """Tell whether the address names a machine; what it leaves out, libpq's user has said."""
    host = parameters.get("host", "")
    if not host or host.startswith("/"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _demand_named(
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
    home: Path,
    span: SourceSpan | None,
) -> None:
    host, port = parameters["host"], parameters.get("port", "5432")
    allowed = re.split(r"[,\s]+", environment.get("SHPLAN_ALLOW_HOST", "").lower())
    named = {*allowed, environment.get("PGHOST", "").lower()}
    if {host, f"{host}:{port}"} & named or host in _hosts_of_pgpass(environment, home):
        return
    diagnostic = Diagnostic(
        code="credentials/host",
        summary="Credentials may not be sent to this host",
        what=f"the ledger is in PostgreSQL at {host}, which only the repository names.",
        why="A repository can be changed by anyone whose change is merged or merely tried; "
        "credentials leave only for hosts that the owner of the credentials named.",
        hint=f"if you trust this host, set SHPLAN_ALLOW_HOST={host} outside the repository, or "
        "name it in ~/.pgpass",
        span=span,
    )
    raise CredentialsError(diagnostic.what, diagnostics=(diagnostic,))


def _hosts_of_pgpass(environment: Mapping[str, str], home: Path) -> Iterator[str]:
    """Yield the hosts that the user's file of passwords names; `*` names none."""
    path = Path(environment.get("PGPASSFILE") or home / ".pgpass")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        if not line.startswith("#"):
            yield line.partition(":")[0].lower()


def _secured(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """
    Return how a connection to another machine is secured, where its user has not said it.

    Source: PostgreSQL, "SSL Support": of all modes only `verify-full` knows whom it talks to.
    """
    found: dict[str, str] = {}
    if not environment.get("PGSSLMODE"):
        found["sslmode"] = "verify-full"
    own = home / ".postgresql" / "root.crt"
    if not environment.get("PGSSLROOTCERT") and not own.exists():
        found["sslrootcert"] = _bundle(environment)
    return found


def _bundle(environment: Mapping[str, str]) -> str:
    system = ssl.get_default_verify_paths().cafile
    for path in (environment.get("SSL_CERT_FILE"), system, *_BUNDLES):
        if path and Path(path).exists():
            return path
    return "system"


def _name(parameters: Mapping[str, str], schema: str) -> str:
    host, port = parameters.get("host", ""), parameters.get("port", "")
    shown = f"[{host}]" if ":" in host else host
    where = f"{shown}:{port}" if port else shown
    return f"postgresql://{where}/{parameters.get('dbname', '')}?schema={schema}"


def _wrong(*, what: str, span: SourceSpan | None) -> Exception:
    return refusal(
        what=f"`ledger:` is no address of a PostgreSQL database: {what}.",
        why="It says where the ledger lies; with what it is opened is said outside the repository.",
        hint=_EXAMPLE,
        span=span,
    )
