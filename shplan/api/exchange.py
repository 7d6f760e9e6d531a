"""
One request from beginning to end: authorise, throttle, send, classify, repeat.

`Exchange` fulfils the engine's `Api` port. What may be repeated is decided in
`retry`, how fast in `throttle`, what an answer means in `answers`; here they are
put in order. Headers and bodies are never logged; who wants to watch hands in
`on_retry`, and reads the counts.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import field, replace
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from shplan import __version__
from shplan.api.answers import (
    Complaint,
    MalformedAnswerError,
    Page,
    Row,
    plain_text,
    read_date,
    read_error,
    read_json,
    read_page,
    read_spent_pu,
)
from shplan.api.auth import Authenticator
from shplan.api.credentials import Access, require_allowed
from shplan.api.deployment import Deployment
from shplan.api.errors import Asked, FailedAttempt, error_of, failure_of_status
from shplan.api.ports import Clock, Secrets
from shplan.api.redaction import forms, scrub, scrub_all
from shplan.api.retry import Failure, GiveUp, Policy, Tally, decide, retry_after_s
from shplan.api.throttle import Bucket, close, per_minute, take, unlimited
from shplan.api.wire import Received, Transport, TransportFault
from shplan.core.errors import NoAnswerError, UnreachableError
from shplan.core.frozen import dataclass
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import (
    JsonValue,
    NotCanonicalError,
    SecretReference,
    Sensitive,
    Unknown,
    Value,
    map_leaves,
)

T = TypeVar("T")
# Source: API description, `count` of the list operations: 100 is the most.
PAGE_SIZE = 100
# No list has so many pages in a row that are empty or repeat the one before; a server that goes
# on is broken. Nor has any so many pages: a collection of a million tiles has ten thousand.
_MOST_IDLE_PAGES = 100
_MOST_PAGES = 100_000
_TOKEN_OPERATION = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Retry:
    """
    What `on_retry` is told: a request will be repeated.

    Args:
        attempt: the number of the attempt that failed, from 1
        wait_s: the pause before the next
    """

    operation: str
    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Tempo:
    """
    How many requests at once, how fast, how patiently.

    Args:
        parallelism: requests under way at once
        requests_per_minute: None for the deployment's own figure
        policy: the limits of patience
    """

    parallelism: int = 8
    requests_per_minute: float | None = None
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request as bytes, with the secrets that it carries."""

    asked: Asked
    method: str
    url: str
    content: bytes = field(repr=False)
    content_type: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    authorised: bool = True
    accept: str = "application/json"
    still: Callable[[], Awaitable[None]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    A file that the service answered.

    Args:
        spent_pu: the `X-ProcessingUnits-Spent` header, or None
    """

    content: bytes = field(repr=False)
    spent_pu: float | None


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
        self._bucket = _bucket(deployment, tempo)
        self._under_way = asyncio.Semaphore(tempo.parallelism)
        self._server_time = ""
        self._revealed: tuple[str, ...] = ()

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
            return await self._until_answered(prepared, self._file_answer)
        return await self._until_answered(prepared, partial(self._answer, request.columns))

    async def fetch(self, request: ApiRequest, *, media_type: str) -> Fetched:
        """
        Send one request whose answer is a file; a lost answer is asked for again.

        Raises:
            ApiError: as `send`
        """
        prepared = replace(self._prepare(request, request.query), accept=media_type)

        def take_all(received: Received) -> Fetched:
            spent_pu = read_spent_pu(received.headers.get("x-processingunits-spent"))
            return Fetched(received.content, spent_pu)

        return await self._until_answered(prepared, take_all)

    async def scan(
        self, request: ApiRequest, sink: Callable[[tuple[tuple[JsonValue, ...], ...]], None]
    ) -> int:
        """
        Read all pages of a list, hand each page's rows to `sink`, return their number.

        Without columns a row is the whole object. Source: API description, list answers: the
        last page is the one without `links.nextToken`.

        Raises:
            ApiError: as `send`; also when the server's pages lead in a circle
        """
        total = 0
        idle = 0
        before: tuple[Row, ...] = ()
        token = ""
        seen: set[str] = set()
        while True:
            page = await self._page(request, token)
            total += len(page.rows)
            if page.rows:
                sink(page.rows)
            token = page.next_token
            if not token:
                return total
            idle = idle + 1 if not page.rows or page.rows == before else 0
            before = page.rows
            if token in seen or idle > _MOST_IDLE_PAGES or len(seen) > _MOST_PAGES:
                msg = f"{request.operation}: the server's pages lead in a circle"
                raise NoAnswerError(msg)
            seen.add(token)

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
        query = request.query
        if not any(name == "count" for name, _ in query):
            query = (*query, ("count", str(PAGE_SIZE)))
        if token:
            query = (*query, ("viewtoken", token))
        prepared = self._prepare(request, query)

        def decode(received: Received) -> Page:
            page = read_page(received.content, request.columns)
            return Page(self._without_secrets(page.rows, received.content), page.next_token)

        return await self._until_answered(prepared, decode)

    def _prepare(self, request: ApiRequest, query: tuple[tuple[str, str], ...]) -> _Prepared:
        path = _fill(self.deployment.served(request.path), request)
        # `quote`, not `quote_plus`: a plus sign in a path of a tile is a plus sign.
        suffix = f"?{urlencode(query, quote_via=quote, safe='')}" if query else ""
        content, secrets = _encode(request.body, self._secrets)
        # A later answer may repeat what an earlier request carried.
        self._revealed = tuple(dict.fromkeys((*self._revealed, *secrets)))
        return _Prepared(
            asked=Asked(request.operation, request.effect),
            method=request.method,
            url=f"{self.deployment.base_url}{path}{suffix}",
            content=content,
            content_type="application/json" if content else "",
            secrets=secrets,
        )

    async def _fetch_token(self, form: bytes) -> bytes:
        prepared = _Prepared(
            # Asking for a token changes nothing, whatever the verb.
            asked=Asked(_TOKEN_OPERATION, Effect.READ),
            method="POST",
            url=self.deployment.token_url,
            content=form,
            content_type="application/x-www-form-urlencoded",
            authorised=False,
        )
        return await self._until_answered(prepared, lambda received: received.content)

    async def _until_answered(self, prepared: _Prepared, decode: Callable[[Received], T]) -> T:
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

    async def _token(self, prepared: _Prepared, refused: str | None) -> str | None:
        if not prepared.authorised:
            return None
        try:
            return await self._auth.token(refused=refused)
        except NoAnswerError as error:
            # No answer about a token: the request that needs it has not been sent.
            msg = f"{prepared.asked.operation}: there is no token: {error}; nothing was sent"
            raise UnreachableError(msg) from error

    def _next_wait(self, failed: FailedAttempt, prepared: _Prepared, tally: Tally) -> float:
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
        self, prepared: _Prepared, token: str | None, decode: Callable[[Received], T]
    ) -> T:
        if prepared.authorised:
            await self._pass_bucket()
        async with self._under_way if prepared.authorised else _Free():
            if prepared.still is not None:
                await prepared.still()
            received = await self._send(prepared, token)
        self._note_date(received)
        if not 200 <= received.status < 300:
            raise self._failed(received, self._known_secrets)
        try:
            return decode(received)
        except MalformedAnswerError as error:
            raise FailedAttempt(Failure.BROKEN, Complaint(str(error))) from error

    async def _send(self, prepared: _Prepared, token: str | None) -> Received:
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
            complaint = Complaint(plain_text(scrub(str(fault), self._known_secrets)))
            raise FailedAttempt(
                _failure_of_fault(fault), complaint, permanent=fault.permanent
            ) from fault

    def _answer(self, columns: tuple[str, ...], received: Received) -> Answer:
        rows: tuple[Row, ...] = ()
        body: JsonValue
        if columns:
            page = read_page(received.content, columns)
            rows = self._without_secrets(page.rows, received.content)
            body = {"links": {"nextToken": page.next_token}} if page.next_token else None
        else:
            body = self._without_secrets(read_json(received.content), received.content)
        return Answer(
            status=received.status,
            body=body,
            rows=rows,
            server_time=read_date(received.headers.get("date")),
            spent_pu=read_spent_pu(received.headers.get("x-processingunits-spent")),
        )

    def _file_answer(self, received: Received) -> Answer:
        """
        Take an answer as it is: what it holds goes to a file, and no secret may go with it.

        Raises:
            MalformedAnswerError: it repeats a secret that this run has used
        """
        secrets = (*self._revealed, *self._auth.private)
        found = (form.encode("utf-8", "surrogatepass") for form in forms(secrets))
        if any(form in received.content for form in found):
            msg = "the answer repeats a secret, and is not written to a file"
            raise MalformedAnswerError(msg)
        return Answer(
            status=received.status,
            server_time=read_date(received.headers.get("date")),
            spent_pu=read_spent_pu(received.headers.get("x-processingunits-spent")),
            content=received.content,
            media_type=received.headers.get("content-type", "").partition(";")[0].strip().lower(),
        )

    @property
    def _known_secrets(self) -> tuple[str, ...]:
        return (*self._revealed, *self._auth.secrets)

    def _without_secrets(self, value: T, content: bytes) -> T:
        """Replace what an answer repeats of the secrets that this run has used."""
        secrets = (*self._revealed, *self._auth.private)
        if any(form.encode("utf-8", "surrogatepass") in content for form in forms(secrets)):
            return scrub_all(value, secrets)
        return value

    async def _pass_bucket(self) -> None:
        self._bucket, wait_s = take(self._bucket, now_s=self._clock.monotonic())
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    def _note_date(self, received: Received) -> None:
        date = read_date(received.headers.get("date"))
        self._server_time = max(self._server_time, date)

    def _failed(self, received: Received, secrets: tuple[str, ...]) -> FailedAttempt:
        phrase = _phrase(received)
        return FailedAttempt(
            failure_of_status(received.status),
            read_error(received.content, phrase=phrase, secrets=secrets),
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


def _bucket(deployment: Deployment, tempo: Tempo) -> Bucket:
    rate = tempo.requests_per_minute or deployment.requests_per_minute
    if rate is None:
        return unlimited()
    # Source: service documentation, "Rate limiting", ramp-up: a whole minute's allowance at once
    # is refused in part; a sixth of it is not.
    return per_minute(rate, burst=max(rate / 6.0, float(tempo.parallelism)))


def _fill(template: str, request: ApiRequest) -> str:
    path = template
    for name, value in request.parameters.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            msg = f"{request.operation}: {name} is not known yet. This is a bug in shplan."
            raise TypeError(msg)
        step = str(value)
        if step in {"", ".", ".."}:
            # Such a step would be taken away by every URL parser: another object would be meant.
            msg = f"{request.operation}: {step!r} is no {name}; nothing was sent"
            raise UnreachableError(msg)
        path = path.replace("{" + name + "}", quote(step, safe=""))
    if "{" in path:
        msg = f"{request.operation}: {path} lacks a parameter. This is a bug in shplan."
        raise TypeError(msg)
    return path


def _encode(body: Value, secrets: Secrets) -> tuple[bytes, tuple[str, ...]]:
    """Return the body's bytes and the secrets in them, revealed for this request only."""
    if body is None:
        return b"", ()
    revealed: list[str] = []

    def leaf(value: Value) -> Value:
        if isinstance(value, Sensitive):
            text = secrets.reveal(value)
            parts = (part for part in value.parts if isinstance(part, SecretReference))
            revealed.extend((text, *(secrets.reveal(Sensitive((part,))) for part in parts)))
            return text
        if isinstance(value, Unknown):
            msg = f"{value.template} is not known yet. This is a bug in shplan."
            raise TypeError(msg)
        if isinstance(value, float) and not math.isfinite(value):
            msg = f"{value} has no form in JSON"
            raise NotCanonicalError(msg)
        return value

    return msgspec.json.encode(map_leaves(body, leaf)), tuple(dict.fromkeys(revealed))


def _failure_of_fault(fault: TransportFault) -> Failure:
    if fault.left:
        return Failure.LOST
    return Failure.IMPOSSIBLE if fault.permanent else Failure.UNREACHABLE


def _phrase(received: Received) -> str:
    if 300 <= received.status < 400:
        return f"the server answered {received.status}, a redirect, which is not followed"
    return f"the server answered {received.status} without an explanation"
