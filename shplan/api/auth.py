"""
The token: asked for once, used for its whole life, renewed before it expires.

Source: service documentation, "Authentication": OAuth client credentials, id and
secret in the form body, never as HTTP Basic; token requests are rate limited on
their own. How a token request is repeated and counted is the caller's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import msgspec

from shplan.api.credentials import Credentials
from shplan.api.ports import Clock
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import CredentialsError, RefusedError

# Renewed this long before the end, or a tenth of a short life.
_MARGIN_S = 60.0
_MARGIN_SHARE = 0.1
_LEAST_PRIVATE = 8
# Source: RFC 6750 section 2.1, the characters of a bearer token.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# No server takes a longer header.
_LONGEST_TOKEN = 1 << 16


@dataclass(frozen=True, slots=True)
class Token:
    """
    A bearer token; printing it shows nothing of it.

    Args:
        renew_at_s: the moment from which a new one is asked for, on the clock's monotonic time
    """

    text: str = field(repr=False)
    renew_at_s: float


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


class Authenticator:
    """
    Keeps the token; however many requests need one at once, one asks for it.

    Args:
        fetch: sends the form to the token endpoint and returns the body of its answer
    """

    def __init__(
        self, credentials: Credentials, fetch: Callable[[bytes], Awaitable[bytes]], clock: Clock
    ) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._token: Token | None = None
        self._asking = asyncio.Lock()

    async def token(self, *, refused: str | None = None) -> str:
        """
        Return a token.

        Args:
            refused: the one that the server has just refused; never returned again

        Raises:
            CredentialsError: the server does not know the client
            ApiError: the token endpoint cannot be reached or is overloaded
        """
        if (token := self._usable(refused)) is not None:
            return token
        async with self._asking:
            if (token := self._usable(refused)) is not None:
                return token
            self._token = await self._ask()
            return self._token.text

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any text."""
        secret = self._credentials.client_secret
        token = () if self._token is None else (self._token.text,)
        return (secret, quote_plus(secret), *token)

    @property
    def private(self) -> tuple[str, ...]:
        """Those that can stand in an answer only because it repeats them: no common words."""
        return tuple(
            one
            for one in self.secrets
            if len(one) >= _LEAST_PRIVATE and one != self._credentials.client_id
        )

    def _usable(self, refused: str | None) -> str | None:
        token = self._token
        if token is None or token.text == refused or self._clock.monotonic() >= token.renew_at_s:
            return None
        return token.text

    async def _ask(self) -> Token:
        asked_at_s = self._clock.monotonic()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        try:
            content = await self._fetch(urlencode(form).encode())
        except RefusedError as error:
            raise self._refusal(error) from error
        return _read(content, asked_at_s)

    def _refusal(self, error: RefusedError) -> CredentialsError:
        """Source: RFC 6749 section 5.2; a redirect is refused so that the secret stays here."""
        shown = f"{self._credentials.shown_id} from {self._credentials.source}"
        if 300 <= error.status < 400:
            why = "The token endpoint wants to send us elsewhere; the secret does not follow."
            hint = "give the endpoint's present address as the environment's tokenUrl"
        elif error.status in (404, 405):
            why = f"The answer was {error.status}: there is no token endpoint at this address."
            hint = "check the environment's tokenUrl"
        else:
            said = str(error).rstrip(".")
            why = f"The token endpoint answered {error.status}: {said}."
            hint = "check id and secret, and that the client belongs to this deployment's account"
        what = f"The server gives no token to client {shown}."
        return CredentialsError(
            f"{what} {why}",
            diagnostics=(
                Diagnostic(
                    code="credentials/refused",
                    summary="The server refuses the credentials",
                    what=what,
                    why=why,
                    hint=hint,
                ),
            ),
        )


def _read(content: bytes, asked_at_s: float) -> Token:
    try:
        answer = msgspec.json.decode(content, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = None
    token = "" if answer is None else answer.access_token
    if answer is None or len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        msg = "The token endpoint's answer holds no token."
        hint = "check that tokenUrl is an OAuth token endpoint"
        raise CredentialsError(
            msg,
            diagnostics=(
                Diagnostic(
                    code="credentials/no-token",
                    summary="No token in the answer",
                    what=msg,
                    hint=hint,
                ),
            ),
        )
    if answer.expires_in is None:
        # Nothing says how long it lives, so it is used until it is refused.
        return Token(answer.access_token, float("inf"))
    life_s = max(answer.expires_in, 0.0)
    return Token(answer.access_token, asked_at_s + life_s - min(_MARGIN_S, life_s * _MARGIN_SHARE))
