"""
One request from beginning to end: authorise, throttle, send, classify, repeat.

`Exchange` fulfils the engine's `Api` port. What is sent is written in `prepared`,
what may be repeated is decided in `retry`, how fast in `throttle`, what an answer
means in `answers`, what of it may be kept in `discretion`, how lists are read in
`pages`; here they are put in order. Headers and bodies are never logged; who wants
to watch hands in `on_retry`, and reads the counts.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from shplan import __version__
from shplan.api.answers import Complaint, MalformedAnswerError, Page, read_date, read_error
from shplan.api.auth import Authenticator
from shplan.api.credentials import Access, require_allowed
from shplan.api.deployment import Deployment
from shplan.api.discretion import Discretion, Fetched
from shplan.api.errors import FailedAttempt, error_of, failure_of_status
from shplan.api.pages import page_query, read_pages
from shplan.api.ports import Clock, Secrets
from shplan.api.prepared import Prepared, prepare, token_request
from shplan.api.retry import Failure, GiveUp, Tally, decide, retry_after_s
from shplan.api.tempo import Retry, Tempo, bucket_of
from shplan.api.throttle import close, take
from shplan.api.wire import Received, Transport, TransportFault
from shplan.core.errors import NoAnswerError, UnreachableError
from shplan.core.request import Answer, ApiRequest
from shplan.core.value import JsonValue

T = TypeVar("T")


class Exchange:
    """The service. Made by `connect`; used as `async with`."""

    def __init__(
        self,
        deployment: Deployment,
        access: Access,
        *,
        transport: Transport,
        clock: Clock,
        secrets: Secrets,
        tempo: Tempo,
        on_retry: Callable[[Retry], None],
        jitter: Callable[[], float],
    ) -> None:
        require_allowed(deployment, access.outside)
        self.deployment = deployment
        self.counts: Counter[str] = Counter()
        self._transport = transport
        self._clock = clock
        self._secrets = secrets
        self._policy = tempo.policy
        self._on_retry = on_retry
        self._jitter = jitter
        self._auth = Authenticator(access.credentials, self._fetch_token, clock)
        self._discretion = Discretion(self._auth)
        self._bucket = bucket_of(deployment, tempo)
        self._under_way = asyncio.Semaphore(tempo.parallelism)
        self._server_time = ""

    @property
    def server_time(self) -> str:
        """The latest `Date` the server sent, ISO 8601 in UTC, or empty."""
        return self._server_time

    async def authorise(self) -> None:
        """
        Get a token now, so that wrong credentials are found before anything is planned or written.

        Raises:
            CredentialsError: the server does not know the client
            ApiError: the token endpoint cannot be reached or is overloaded
        """
        await self._auth.token()

    async def send(
        self, request: ApiRequest, *, still: Callable[[], Awaitable[None]] | None = None
    ) -> Answer:
        """
        Send one request; it holds no unknowns, and its secrets are resolved while sending.

        Args:
            still: asked right before each attempt, after all waiting; what it raises ends the
                sending with nothing sent by that attempt

        Raises:
            RefusedError: the server answered no
            ThrottledError: the server kept asking to come back later
            UnreachableError: the request never left
            NoAnswerError: no answer came; a request with an effect may have been carried out
            SecretError: a secret is missing; nothing was sent
            CredentialsError: the server gives no token; nothing was sent
        """
        prepared = replace(self._prepare(request, request.query), still=still)
        if request.accept:
            prepared = replace(prepared, accept=request.accept)
            return await self._until_answered(prepared, self._discretion.file_answer)
        return await self._until_answered(
            prepared, partial(self._discretion.answer, request.columns)
        )

    async def fetch(self, request: ApiRequest, *, media_type: str) -> Fetched:
        """
        Send one request whose answer is a file; a lost answer is asked for again.

        Raises:
            ApiError: as `send`
        """
        prepared = replace(self._prepare(request, request.query), accept=media_type)
        return await self._until_answered(prepared, self._discretion.fetched)

    async def scan(
        self, request: ApiRequest, sink: Callable[[tuple[tuple[JsonValue, ...], ...]], None]
    ) -> int:
        """
        Read all pages of a list, hand each page's rows to `sink`, return their number.

        Without columns a row is the whole object.

        Raises:
            ApiError: as `send`; also when the server's pages lead in a circle
        """
        return await read_pages(request.operation, partial(self._page, request), sink)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _page(self, request: ApiRequest, token: str) -> Page:
        prepared = self._prepare(request, page_query(request, token))
        return await self._until_answered(prepared, partial(self._discretion.page, request.columns))

    def _prepare(self, request: ApiRequest, query: tuple[tuple[str, str], ...]) -> Prepared:
        prepared = prepare(request, query, deployment=self.deployment, secrets=self._secrets)
        self._discretion.reveal(prepared.secrets)
        return prepared

    async def _fetch_token(self, form: bytes) -> bytes:
        prepared = token_request(self.deployment, form)
        return await self._until_answered(prepared, lambda received: received.content)

    async def _until_answered(self, prepared: Prepared, decode: Callable[[Received], T]) -> T:
        """Repeat as often as `retry.decide` allows."""
        tally = Tally()
        first_failure_s = math.inf
        refused: str | None = None
        while True:
            token = await self._token(prepared, refused)
            try:
                return await self._attempt(prepared, token, decode)
            except FailedAttempt as failed:
                now_s = self._clock.monotonic()
                first_failure_s = min(first_failure_s, now_s)
                tally = tally.plus(failed.failure, elapsed_s=now_s - first_failure_s)
                wait_s = self._next_wait(failed, prepared, tally)
                if failed.failure is Failure.EXPIRED:
                    refused = token
            await self._clock.sleep(wait_s)

    async def _token(self, prepared: Prepared, refused: str | None) -> str | None:
        if not prepared.authorised:
            return None
        try:
            return await self._auth.token(refused=refused)
        except NoAnswerError as error:
            # No answer about a token: the request that needs it has not been sent.
            msg = f"{prepared.asked.operation}: there is no token: {error}; nothing was sent"
            raise UnreachableError(msg) from error

    def _next_wait(self, failed: FailedAttempt, prepared: Prepared, tally: Tally) -> float:
        asked = prepared.asked
        if failed.failure is Failure.EXPIRED and not prepared.authorised:
            # The token endpoint itself says 401: there is no other token to try.
            raise error_of(failed, asked, given_up="", attempts=tally.attempts) from failed
        decision = decide(
            failed.failure,
            effect=asked.effect,
            tally=tally,
            policy=self._policy,
            retry_after_s=failed.retry_after_s,
            jitter=self._jitter(),
        )
        if isinstance(decision, GiveUp):
            raise error_of(
                failed, asked, given_up=decision.reason, attempts=tally.attempts
            ) from failed
        if failed.failure is Failure.THROTTLED and prepared.authorised:
            self._bucket = close(
                self._bucket, now_s=self._clock.monotonic(), seconds=decision.seconds
            )
        self._on_retry(
            Retry(asked.operation, tally.attempts, decision.seconds, failed.failure.value)
        )
        return decision.seconds

    async def _attempt(
        self, prepared: Prepared, token: str | None, decode: Callable[[Received], T]
    ) -> T:
        if prepared.authorised:
            await self._pass_bucket()
        async with self._under_way if prepared.authorised else _Free():
            if prepared.still is not None:
                await prepared.still()
            received = await self._send(prepared, token)
        self._note_date(received)
        if not 200 <= received.status < 300:
            raise self._failed(received)
        try:
            return decode(received)
        except MalformedAnswerError as error:
            raise FailedAttempt(Failure.BROKEN, Complaint(str(error))) from error

    async def _send(self, prepared: Prepared, token: str | None) -> Received:
        headers = {
            "Accept": prepared.accept,
            "Accept-Encoding": "gzip",
            "User-Agent": f"shplan/{__version__}",
        }
        if prepared.content_type:
            headers["Content-Type"] = prepared.content_type
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self.counts[prepared.asked.operation] += 1
        try:
            return await self._transport.send(
                prepared.method, prepared.url, headers=headers, content=prepared.content
            )
        except TransportFault as fault:
            complaint = Complaint(self._discretion.text(str(fault)))
            raise FailedAttempt(
                _failure_of_fault(fault), complaint, permanent=fault.permanent
            ) from fault

    async def _pass_bucket(self) -> None:
        self._bucket, wait_s = take(self._bucket, now_s=self._clock.monotonic())
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    def _note_date(self, received: Received) -> None:
        date = read_date(received.headers.get("date"))
        self._server_time = max(self._server_time, date)

    def _failed(self, received: Received) -> FailedAttempt:
        phrase = _phrase(received)
        return FailedAttempt(
            failure_of_status(received.status),
            read_error(received.content, phrase=phrase, secrets=self._discretion.secrets),
            status=received.status,
            retry_after_s=retry_after_s(
                received.headers.get("retry-after"), unit_s=self.deployment.retry_after_unit_s
            ),
        )


def connect(
    deployment: Deployment,
    access: Access,
    *,
    transport: Transport,
    clock: Clock,
    secrets: Secrets,
    tempo: Tempo | None = None,
    on_retry: Callable[[Retry], None] | None = None,
    jitter: Callable[[], float] | None = None,
) -> Exchange:
    """
    Make an `Exchange`; nothing is sent yet.

    Args:
        deployment: where to
        access: credentials, and the hosts that their owner vouches for
        transport: `network.network_transport` or `transport.in_process_transport`
        clock: sleeps between attempts
        secrets: reveals what bodies carry, while a request is sent
        tempo: how many at once, how fast, how patiently
        on_retry: is told before each pause
        jitter: numbers from 0 to 1 that spread repeated requests; random by default

    Raises:
        CredentialsError: the deployment's hosts may not receive credentials
    """
    return Exchange(
        deployment,
        access,
        transport=transport,
        clock=clock,
        secrets=secrets,
        tempo=tempo or Tempo(),
        on_retry=on_retry or _tell_nobody,
        # Two appliers that were refused together should not come back together.
        jitter=jitter or random.random,
    )


class _Free:
    """No limit: a token request is made while requests that wait for it hold their places."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def _tell_nobody(_: Retry) -> None:
    return None


def _failure_of_fault(fault: TransportFault) -> Failure:
    if fault.left:
        return Failure.LOST
    return Failure.IMPOSSIBLE if fault.permanent else Failure.UNREACHABLE


def _phrase(received: Received) -> str:
    if 300 <= received.status < 400:
        return f"the server answered {received.status}, a redirect, which is not followed"
    return f"the server answered {received.status} without an explanation"
