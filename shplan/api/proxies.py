"""
Which proxy leads to which host, by the usual environment variables. Pure.

Only https goes through a proxy, because there the proxy sees no more than a host's
name; loopback never does. Source: the conventions of curl, "Environment".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shplan.api.hosts import Origin, Url


def proxies_for(urls: Iterable[str], environment: Mapping[str, str]) -> dict[Origin, str]:
    """Return the proxy of each origin that has one, by HTTPS_PROXY, ALL_PROXY and NO_PROXY."""
    proxy = _value(environment, "HTTPS_PROXY") or _value(environment, "ALL_PROXY")
    direct = [entry.strip() for entry in _value(environment, "NO_PROXY").split(",")]
    origins = (Url.parse(url).origin for url in urls)
    return {
        origin: proxy if "://" in proxy else f"http://{proxy}"
        for origin in origins
        if proxy
        and origin.scheme == "https"
        and not origin.is_loopback
        and not any(_covers(entry, origin) for entry in direct)
    }


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.lower(), "") or environment.get(name, "")


def _covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    host, _, port = entry.lower().partition(":")
    host = host.removeprefix("*").removeprefix(".")
    if not host or (port and port != str(origin.port)):
        return False
    return origin.host == host or origin.host.endswith(f".{host}")
