"""
Deployments as data: base URLs, path style, unit of Retry-After, rates.

The URLs are those of the service's own documentation. What may be sent to them
is decided in `hosts`; who sends is in `exchange`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from shplan.api.hosts import Url


class CredentialForm(Enum):
    """Where a deployment's credentials may come from."""

    SANDBOX = "sandbox"
    ENVIRONMENT = "environment"
    PROFILE = "profile"


# Every released client asks for these; the published description has the keys.
# Source: the operations of the API description, and the requests of sentinelhub-py 3.12.
RELEASED_PATHS: tuple[tuple[str, str], ...] = (
    ("/process/v1", "/api/v1/process"),
    ("/catalog/v1", "/api/v1/catalog/1.0.0"),
    ("/async/v1", "/api/v1/async"),
    ("/batch/v2", "/api/v2/batch"),
    ("/statistics/batch/v1", "/api/v1/statistics/batch"),
    ("/statistics/v1", "/api/v1/statistics"),
    ("/byoc/v1", "/api/v1/byoc"),
    ("/zarr/v1", "/api/v1/zarr"),
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """
    One place where the service runs.

    Args:
        name: a built-in name, or empty for a custom one
        base_url: without a slash at the end
        token_url: the OAuth token endpoint
        paths: published prefix to served prefix
        retry_after_unit_s: what one unit of `Retry-After` is worth
        requests_per_minute: the rate to stay below, None to learn it from 429 alone
        forms: where credentials may come from
        instance: of a sandbox, so that a reset sandbox is another deployment
    """

    name: str
    base_url: str
    token_url: str
    paths: tuple[tuple[str, str], ...] = RELEASED_PATHS
    # Source: service documentation, "Rate limiting": milliseconds, unlike RFC 9110 section 10.2.3.
    retry_after_unit_s: float = 0.001
    requests_per_minute: float | None = None
    forms: frozenset[CredentialForm] = frozenset(
        {CredentialForm.ENVIRONMENT, CredentialForm.PROFILE}
    )
    instance: str = ""

    @property
    def identity(self) -> str:
        """What ledgers and run keys call this deployment."""
        name = self.name or str(Url.parse(self.base_url).origin)
        return f"{name}:{self.instance}" if self.instance else name

    def served(self, path: str) -> str:
        """Return the served spelling of a published path (or template)."""
        for published, served in self.paths:
            if path == published or path.startswith(f"{published}/"):
                return served + path[len(published) :]
        return path

    def of_instance(self, instance: str) -> Deployment:
        """The same deployment, as one instance of a sandbox."""
        return replace(self, instance=instance)


def custom(*, base_url: str, token_url: str) -> Deployment:
    """
    Make a deployment from two URLs.

    Raises:
        BadUrlError: one of them is not of the form `https://host[:port][/path]`
    """
    return Deployment(
        name="",
        base_url=str(Url.parse(base_url)).rstrip("/"),
        token_url=str(Url.parse(token_url)),
    )


_MAIN_TOKEN_URL = "https://services.sentinel-hub.com/auth/realms/main/protocol/openid-connect/token"  # noqa: S105
# Source: service documentation, "Rate limiting" and plans: the least that any paid plan has.
_LOWEST_PLAN = 300.0

SANDBOX = Deployment(
    name="sandbox",
    base_url="http://localhost",
    token_url="http://localhost/auth/realms/main/protocol/openid-connect/token",  # noqa: S106
    forms=frozenset({CredentialForm.SANDBOX}),
)

BUILT_IN: MappingProxyType[str, Deployment] = MappingProxyType(
    {
        deployment.name: deployment
        for deployment in (
            SANDBOX,
            Deployment(
                name="aws-eu-central-1",
                base_url="https://services.sentinel-hub.com",
                token_url=_MAIN_TOKEN_URL,
                requests_per_minute=_LOWEST_PLAN,
            ),
            Deployment(
                name="aws-us-west-2",
                base_url="https://services-uswest2.sentinel-hub.com",
                token_url=_MAIN_TOKEN_URL,
                requests_per_minute=_LOWEST_PLAN,
            ),
            Deployment(
                name="cdse",
                base_url="https://sh.dataspace.copernicus.eu",
                token_url="https://identity.dataspace.copernicus.eu/auth/realms/CDSE"  # noqa: S106
                "/protocol/openid-connect/token",
                requests_per_minute=_LOWEST_PLAN,
            ),
        )
    }
)
