"""
Decides which hosts may receive credentials: reads nothing, sends nothing.

The design's rule: the built-in deployments, loopback, and hosts that are named
outside the repository. A repository is what a pull request can change, so a URL
in it is a stranger's word until this module has agreed. URLs are read more
strictly than any client would read them, so that no two parsers can disagree.
"""

from __future__ import annotations

import ipaddress
import re

from shplan.core.frozen import dataclass

_DEFAULT_PORTS = {"https": 443, "http": 80}
# No user part, no escapes, no backslash, no white space: what is left has one reading.
# Source: RFC 3986 section 3, without `userinfo` and without percent-encoded or IDN hosts.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~/-]*)?"
)
_BARE_HOST = re.compile(r"[^/@\s]+")


class BadUrlError(ValueError):
    """A URL is not of the plain form `scheme://host[:port][/path]`."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """
    Scheme, host and port: what credentials are bound to.

    Args:
        scheme: `https` or `http`
        host: lower case; an IPv6 address without brackets
        port: always stated, 443 or 80 where the URL is silent
    """

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine: `localhost`, 127.0.0.0/8, ::1 (also IPv4-mapped), nothing else."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return address.ipv4_mapped.is_loopback
        return address.is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        suffix = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{suffix}"


@dataclass(frozen=True, slots=True)
class Url:
    """A URL of the plain form, taken apart; printing it gives the one canonical spelling."""

    origin: Origin
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Url:
        """
        Read `scheme://host[:port][/path]`.

        Raises:
            BadUrlError: anything else, with the reason
        """
        match = _URL.fullmatch(text)
        if match is None:
            raise BadUrlError(_why_bad(text))
        scheme = match["scheme"].lower()
        if scheme not in _DEFAULT_PORTS:
            msg = f"its scheme is {scheme}, not https or http"
            raise BadUrlError(msg)
        port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
        if not 0 < port < 65536:
            msg = f"{port} is not a port"
            raise BadUrlError(msg)
        path = match["path"] or ""
        if {".", ".."} & set(path.split("/")):
            msg = "its path has a `.` or `..` step"
            raise BadUrlError(msg)
        return cls(Origin(scheme, _host(match["host"]), port), path)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """
    Origins named outside the repository.

    Args:
        origins: each with the place that names it, e.g. `SHPLAN_ALLOW_HOST`
    """

    origins: tuple[tuple[Origin, str], ...] = ()

    def source(self, origin: Origin) -> str | None:
        """Return where the origin is named, or None."""
        return next((named for other, named in self.origins if other == origin), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an origin may receive credentials, and why (not)."""

    allowed: bool
    reason: str


# Source: sentinel-hub API documentation, "Authentication", and the deployments' base URLs.
BUILT_IN_ORIGINS = frozenset(
    Origin("https", host, 443)
    for host in (
        "services.sentinel-hub.com",
        "services-uswest2.sentinel-hub.com",
        "sh.dataspace.copernicus.eu",
        "identity.dataspace.copernicus.eu",
    )
)


def may_receive(url: str, outside: AllowedHosts) -> Verdict:
    """Decide whether credentials (and the token made of them) may be sent to this URL."""
    try:
        origin = Url.parse(url).origin
    except BadUrlError as error:
        return Verdict(allowed=False, reason=str(error))
    if origin in BUILT_IN_ORIGINS:
        return Verdict(allowed=True, reason="a built-in deployment")
    if origin.is_loopback:
        return Verdict(allowed=True, reason="this machine")
    if origin.scheme != "https":
        return Verdict(allowed=False, reason="plain http is for this machine only")
    if (named := outside.source(origin)) is not None:
        return Verdict(allowed=True, reason=f"named by {named}")
    return Verdict(
        allowed=False,
        reason=f"{origin} is no built-in deployment, not this machine, "
        "and is named nowhere outside the repository",
    )


def allowed_host(text: str) -> Origin:
    """
    Read one host of `SHPLAN_ALLOW_HOST`: `host`, `host:port` or a URL; https where silent.

    Raises:
        BadUrlError: the text is none of these
    """
    if "://" not in text and not _BARE_HOST.fullmatch(text):
        msg = f"{text!r} is not a host; write host, host:port or https://host"
        raise BadUrlError(msg)
    return Url.parse(text if "://" in text else f"https://{text}").origin


def _host(text: str) -> str:
    if not text.startswith("["):
        return text.lower()
    try:
        return str(ipaddress.IPv6Address(text[1:-1]))
    except ValueError as error:
        msg = f"{text} is not an IPv6 address"
        raise BadUrlError(msg) from error


def _why_bad(text: str) -> str:
    if not text.isascii():
        return "it has letters outside ASCII; write an international name in its `xn--` form"
    if "://" not in text:
        return "it has no scheme; write https://host"
    authority = re.split(r"[/?#\\]", text.split("://", 1)[1], maxsplit=1)[0]
    if "@" in text:
        return "it has an `@`; a URL with a user part does not show its host plainly"
    if authority.endswith(".") or ".:" in authority:
        return "its host ends with a dot"
    if "?" in text or "#" in text:
        return "it has a query or a fragment"
    return "it is not of the form https://host[:port][/path]"
