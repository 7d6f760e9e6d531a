"""
Where a served sandbox is reached, and how that is told to programs: profile, variables, JSON.

Source: the `sentinelhub` package's configuration file (keys of a profile) and the variables that
it, its OAuth library, shplan and the AWS tools read.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.settings import DEFAULT_CLIENTS
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from shplan.sandbox.wire import Json

TOKEN_PATH = "/auth/realms/main/protocol/openid-connect/token"  # noqa: S105 a path
PROFILE = "sandbox"
REGION = "us-east-1"
LOOPBACK = "127.0.0.1"

CLIENT_ID, _CLIENT = next(iter(DEFAULT_CLIENTS.items()))
CLIENT_SECRET = _CLIENT.secret


def url(port: int, *, host: str = LOOPBACK) -> str:
    """The address of a port; one that listens everywhere is reached on this machine."""
    reachable = LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 compared, not bound
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


@dataclass(frozen=True, slots=True)
class Address:
    """A served sandbox; `s3_url` is None where its buckets are not served."""

    base_url: str
    s3_url: str | None = None

    @property
    def token_url(self) -> str:
        """Where tokens are asked for."""
        return self.base_url + TOKEN_PATH

    def profile(self) -> dict[str, str]:
        """A profile of the `sentinelhub` package; it refuses any key that it does not know."""
        return {
            "sh_client_id": CLIENT_ID,
            "sh_client_secret": CLIENT_SECRET,
            "sh_base_url": self.base_url,
            "sh_token_url": self.token_url,
        }

    def environment(self) -> dict[str, str]:
        """The variables, those of clients of S3 only where there is S3; any keys do for it."""
        variables = {
            # Without it the OAuth library of `sentinelhub` refuses plain HTTP.
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "SH_CLIENT_ID": CLIENT_ID,
            "SH_CLIENT_SECRET": CLIENT_SECRET,
            "SH_BASE_URL": self.base_url,
            "SH_TOKEN_URL": self.token_url,
        }
        if self.s3_url is not None:
            variables |= {
                "AWS_ENDPOINT_URL": self.s3_url,
                "AWS_ACCESS_KEY_ID": CLIENT_ID,
                "AWS_SECRET_ACCESS_KEY": CLIENT_SECRET,
                "AWS_REGION": REGION,
            }
        return variables

    def as_toml(self) -> str:
        """The profile as it stands in the configuration file."""
        lines = (f"{name} = {encode(value)}" for name, value in self.profile().items())
        return "\n".join([f"[{PROFILE}]", *lines])

    def as_env(self) -> str:
        """Lines that a shell can read."""
        variables = self.environment().items()
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables)

    def __str__(self) -> str:
        """What a person pastes: the profile, and the lines of a shell."""
        return f"{self.as_toml()}\n{self.as_env()}"

    def as_json(self) -> str:
        """All of it, in one line."""
        content: dict[str, Json] = {
            "base_url": self.base_url,
            "token_url": self.token_url,
            "s3_url": self.s3_url,
            "profile": {**self.profile()},
            "environment": {**self.environment()},
        }
        return encode(content)
