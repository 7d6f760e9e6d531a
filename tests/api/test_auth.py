from __future__ import annotations

import asyncio

import orjson
import pytest

from shplan.api.auth import Authenticator, Token
from shplan.core.errors import CredentialsError, RefusedError

from .server import CLIENT_SECRET, FakeClock, access


class Endpoint:
    """Counts what is asked of it; each token is new."""

    def __init__(self, expires_in: float | None = 3600) -> None:
        self.asked: list[bytes] = []
        self.expires_in = expires_in
        self.answer: bytes | None = None

    async def fetch(self, form: bytes) -> bytes:
        self.asked.append(form)
        await asyncio.sleep(0)
        if self.answer is not None:
            return self.answer
        body = {"access_token": f"t{len(self.asked)}", "expires_in": self.expires_in}
        return orjson.dumps(body)


def made(endpoint: Endpoint) -> tuple[Authenticator, FakeClock]:
    clock = FakeClock()
    return Authenticator(access().credentials, endpoint.fetch, clock), clock


def test_credentials_go_in_the_form() -> None:
    endpoint = Endpoint()
    auth, _ = made(endpoint)
    assert asyncio.run(auth.token()) == "t1"
    form = b"grant_type=client_credentials&client_id=client-1&client_secret=canary-client-secret"
    assert endpoint.asked == [form]


@pytest.mark.parametrize(("life_s", "used_s"), [(3600, 3540), (100, 90), (10, 9)])
def test_a_token_is_used_until_shortly_before_its_end(life_s: float, used_s: float) -> None:
    async def run() -> None:
        endpoint = Endpoint(life_s)
        auth, clock = made(endpoint)
        assert await auth.token() == "t1"
        clock.seconds += used_s - 0.01
        assert await auth.token() == "t1"
        clock.seconds += 0.02
        assert await auth.token() == "t2"

    asyncio.run(run())


def test_a_token_without_an_end_is_used_until_it_is_refused() -> None:
    async def run() -> None:
        auth, clock = made(Endpoint(None))
        assert await auth.token() == "t1"
        clock.seconds += 1e9
        assert await auth.token() == "t1"
        assert await auth.token(refused="t1") == "t2"

    asyncio.run(run())


def test_many_ask_once() -> None:
    async def run() -> None:
        endpoint = Endpoint()
        auth, _ = made(endpoint)
        assert set(await asyncio.gather(*(auth.token() for _ in range(50)))) == {"t1"}
        renewed = await asyncio.gather(*(auth.token(refused="t1") for _ in range(50)))
        assert set(renewed) == {"t2"}
        assert len(endpoint.asked) == 2

    asyncio.run(run())


def test_when_the_asking_one_is_cancelled_the_next_asks() -> None:
    async def run() -> None:
        endpoint = Endpoint()
        auth, _ = made(endpoint)
        first = asyncio.create_task(auth.token())
        second = asyncio.create_task(auth.token())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "t2"

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 401, 403, 302])
def test_a_refused_client_is_told_what_to_do(status: int) -> None:
    async def refuse(_: bytes) -> bytes:
        msg = "Invalid client"
        raise RefusedError(msg, status=status, code="invalid_client")

    with pytest.raises(CredentialsError) as caught:
        asyncio.run(Authenticator(access().credentials, refuse, FakeClock()).token())
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "credentials/refused"
    assert diagnostic.hint
    assert CLIENT_SECRET not in f"{caught.value} {diagnostic}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"access_token":1}',
        b'{"access_token":"a\\r\\nX: y"}',
        b'{"access_token":"' + b"a" * 100_000 + b'"}',
        b"[]",
        b"\xff",
    ],
)
def test_an_answer_without_a_token_is_refused(answer: bytes) -> None:
    endpoint = Endpoint()
    endpoint.answer = answer
    auth, _ = made(endpoint)
    with pytest.raises(CredentialsError, match="holds no token"):
        asyncio.run(auth.token())


def test_a_token_does_not_print_itself() -> None:
    assert "canary" not in repr(Token("canary", 1.0))
