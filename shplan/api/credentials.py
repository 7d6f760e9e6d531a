"""
Finds the client id and secret, and the hosts that a person named outside the repository.

Sources: `SH_CLIENT_ID` and `SH_CLIENT_SECRET`, then a profile of the `sentinelhub`
package's configuration file; never a manifest. The environment and the home
directory come in as values; where credentials may go is decided in `hosts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from shplan.api.deployment import CredentialForm, Deployment
from shplan.api.hosts import AllowedHosts, BadUrlError, Origin, Url, allowed_host, may_receive
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import CredentialsError
from shplan.core.frozen import dataclass

DEFAULT_PROFILE = "default-profile"
_SHOWN_CHARACTERS = 4
_LEAST_STARS = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    An OAuth client; printing it shows neither the secret nor the whole id.

    Args:
        source: where both were found, for messages
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    source: str

    @property
    def shown_id(self) -> str:
        """The client id for people, masked."""
        return masked(self.client_id)


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile of the configuration file, only what concerns the service."""

    name: str
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """What a person lets this run use: credentials, and the hosts they vouch for."""

    credentials: Credentials
    outside: AllowedHosts


SANDBOX_CREDENTIALS = Credentials("sandbox", "sandbox", "the sandbox's own client")


def masked(text: str) -> str:
    """Hide all but the last 4 characters, behind at least 10 stars, as `sentinelhub` does."""
    if len(text) <= 2 * _SHOWN_CHARACTERS:
        return "*" * _LEAST_STARS
    return "*" * max(len(text) - _SHOWN_CHARACTERS, _LEAST_STARS) + text[-_SHOWN_CHARACTERS:]


def configuration_path(environment: Mapping[str, str], home: Path) -> Path:
    """Return where the `sentinelhub` package keeps its configuration. Source: its `config.py`."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base else home / ".config") / "sentinelhub" / "config.toml"


def find_access(
    deployment: Deployment, *, environment: Mapping[str, str], home: Path, profile: str = ""
) -> Access:
    """
    Find credentials and vouched hosts, and check that the deployment may have them.

    Args:
        deployment: where the requests will go
        environment: the process's environment variables
        home: the user's directory
        profile: the environment's `profile:` in the project; `SH_PROFILE` goes before it

    Raises:
        CredentialsError: there are none, or they may not be sent to the deployment's hosts
    """
    if CredentialForm.SANDBOX in deployment.forms:
        return Access(SANDBOX_CREDENTIALS, AllowedHosts())
    chosen = _profile(environment, home, profile)
    outside = outside_hosts(environment, chosen)
    require_allowed(deployment, outside)
    return Access(choose(environment, chosen), outside)


def choose(environment: Mapping[str, str], profile: Profile) -> Credentials:
    """
    Take each of id and secret from the environment, else from the profile.

    Raises:
        CredentialsError: one of them is nowhere
    """
    from_environment = {
        name: environment.get(name, "") for name in ("SH_CLIENT_ID", "SH_CLIENT_SECRET")
    }
    client_id = from_environment["SH_CLIENT_ID"] or profile.client_id
    client_secret = from_environment["SH_CLIENT_SECRET"] or profile.client_secret
    if not client_id or not client_secret:
        missing = "SH_CLIENT_ID" if not client_id else "SH_CLIENT_SECRET"
        raise _failed(
            code="credentials/missing",
            summary="No credentials",
            what=f"{missing} is not set, and profile {profile.name} has no "
            f"{missing.lower()} in the sentinelhub configuration.",
            why="Every request to the service carries a token that is made of both.",
            hint="set SH_CLIENT_ID and SH_CLIENT_SECRET, or run `sentinelhub.config "
            f"--profile {profile.name} --sh_client_id ... --sh_client_secret ...`",
        )
    named = [name for name, value in from_environment.items() if value]
    if len(named) == 2:
        return Credentials(client_id, client_secret, "SH_CLIENT_ID and SH_CLIENT_SECRET")
    source = f"profile {profile.name}" + (f" and {named[0]}" if named else "")
    return Credentials(client_id, client_secret, source)


def outside_hosts(environment: Mapping[str, str], profile: Profile) -> AllowedHosts:
    """
    Gather the hosts that are named outside the repository.

    Raises:
        CredentialsError: one of the names is not a host
    """
    origins: list[tuple[Origin, str]] = []
    for text, source in _named(environment, profile):
        try:
            origins.append((allowed_host(text), source))
        except BadUrlError as error:
            raise _failed(
                code="credentials/bad-host",
                summary="Not a host",
                what=f"{source} names a host that cannot be read: {error}.",
                why="Credentials go only to hosts whose name has one reading.",
                hint="write host, host:port or https://host; several are separated by commas",
            ) from error
    return AllowedHosts(tuple(origins))


def require_allowed(deployment: Deployment, outside: AllowedHosts) -> None:
    """
    Refuse a deployment whose URLs may not receive credentials; nothing is sent.

    Raises:
        CredentialsError: naming the setting, the host and the way to vouch for it
    """
    diagnostics = tuple(
        diagnostic
        for setting, url in (("baseUrl", deployment.base_url), ("tokenUrl", deployment.token_url))
        if (diagnostic := _refusal(setting, url, outside)) is not None
    )
    if diagnostics:
        raise CredentialsError(diagnostics[0].what, diagnostics=diagnostics)


def read_profile(text: str, name: str) -> Profile | None:
    """
    Read one profile of the configuration's text; None when it has no such profile.

    Raises:
        CredentialsError: the text is not TOML; the message never quotes it
    """
    import tomllib  # noqa: PLC0415 - few machines have the file

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser's message may quote the file, which holds secrets.
        where = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
        raise _failed(
            code="credentials/configuration",
            summary="The sentinelhub configuration cannot be read",
            what="config.toml is not TOML" + (f", at {where[1]}." if where else "."),
            why="Profiles are read from it.",
            hint="repair the file, or set SH_CLIENT_ID and SH_CLIENT_SECRET",
        ) from None
    table = tables.get(name)
    if not isinstance(table, dict):
        return None
    keys = {key: value for key, value in table.items() if isinstance(value, str)}
    auth_base = keys.get("sh_auth_base_url", "")
    urls = (keys.get("sh_base_url", ""), keys.get("sh_token_url", ""), auth_base)
    return Profile(
        name=name,
        client_id=keys.get("sh_client_id", ""),
        client_secret=keys.get("sh_client_secret", ""),
        urls=tuple(url for url in urls if url),
    )


def _profile(environment: Mapping[str, str], home: Path, wanted: str) -> Profile:
    name = environment.get("SH_PROFILE", "") or wanted
    path = configuration_path(environment, home)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(
            code="credentials/configuration",
            summary="The sentinelhub configuration cannot be read",
            what=f"config.toml: {_os_reason(error)}.",
            why="Profiles are read from it.",
            hint="make it readable, or set SH_CLIENT_ID and SH_CLIENT_SECRET",
        ) from None
    found = read_profile(text, name or DEFAULT_PROFILE) if text else None
    complete = environment.get("SH_CLIENT_ID") and environment.get("SH_CLIENT_SECRET")
    if found is None and name and not complete:
        raise _unknown_profile(name, text)
    return found or Profile(name or DEFAULT_PROFILE)


def _unknown_profile(name: str, text: str) -> CredentialsError:
    import tomllib  # noqa: PLC0415 - as above

    tables = tomllib.loads(text)
    known = sorted(key for key, value in tables.items() if isinstance(value, dict))
    return _failed(
        code="credentials/unknown-profile",
        summary="Unknown profile",
        what=f"The sentinelhub configuration has no profile {name}"
        + (f"; it has {', '.join(known)}." if known else "; it has no profiles."),
        why="Credentials come from this profile, as SH_CLIENT_ID and SH_CLIENT_SECRET are not set.",
        hint=f"run `sentinelhub.config --profile {name} --sh_client_id ... --sh_client_secret ...`",
    )


def _named(environment: Mapping[str, str], profile: Profile) -> Iterator[tuple[str, str]]:
    for url in profile.urls:
        yield url, f"profile {profile.name}"
    for variable in ("SH_BASE_URL", "SH_TOKEN_URL"):
        if environment.get(variable):
            yield environment[variable], variable
    for host in re.split(r"[,\s]+", environment.get("SHPLAN_ALLOW_HOST", "")):
        if host:
            yield host, "SHPLAN_ALLOW_HOST"


def _refusal(setting: str, url: str, outside: AllowedHosts) -> Diagnostic | None:
    verdict = may_receive(url, outside)
    if verdict.allowed:
        return None
    return Diagnostic(
        code="credentials/host",
        summary="Credentials may not be sent to this host",
        what=f"The environment's {setting} is {_printable(url)}: {verdict.reason}.",
        why="A repository can be changed by anyone whose change is merged or merely tried; "
        "credentials leave only for hosts that the owner of the credentials named.",
        hint=_vouch(url),
    )


def _vouch(url: str) -> str:
    try:
        origin = Url.parse(url).origin
    except BadUrlError:
        return "write a plain URL, https://host[:port][/path]"
    if origin.scheme != "https":
        return f"use https://{origin.host}"
    host = str(origin).removeprefix("https://")
    return f"if you trust this host, set SHPLAN_ALLOW_HOST={host} outside the repository"


def _printable(url: str) -> str:
    # A user part may hold a password; control characters may hold a terminal's commands.
    return "".join(c for c in re.sub(r"//[^/]*@", "//...@", url) if c.isprintable())[:200]


def _os_reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "it is not UTF-8"


def _failed(*, code: str, summary: str, what: str, why: str, hint: str) -> CredentialsError:
    return CredentialsError(
        what, diagnostics=(Diagnostic(code=code, summary=summary, what=what, why=why, hint=hint),)
    )
