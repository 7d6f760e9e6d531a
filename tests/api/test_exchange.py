"""Requests over a real port, to a server that answers well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import cycle
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.api.credentials import SANDBOX_CREDENTIALS, Access, Credentials
from shplan.api.deployment import BUILT_IN, SANDBOX, custom
from shplan.api.exchange import Exchange, connect
from shplan.api.hosts import AllowedHosts, Origin
from shplan.api.network import network_transport
from shplan.api.retry import Policy
from shplan.api.tempo import Retry, Tempo
from shplan.api.transport import in_process_transport
from shplan.api.wire import Network, Received, Timeouts
from shplan.core.errors import (
    ApiError,
    CredentialsError,
    NoAnswerError,
    RefusedError,
    SecretError,
    ThrottledError,
    UnreachableError,
)
from shplan.core.request import ApiRequest, Effect
from shplan.core.value import NotCanonicalError, SecretReference, Sensitive, Unknown

from .server import (
    CLIENT_SECRET,
    FakeClock,
    FixedSecrets,
    Heard,
    Reply,
    Server,
    access,
    as_json,
    exchange_with,
    serving,
    token_reply,
    zipped,
)

LIST = ApiRequest("getByocCollections", "GET", "/byoc/v1/collections", Effect.READ)
CREATE = ApiRequest(
    "createByocCollection", "POST", "/byoc/v1/collections", Effect.CREATE, body={"name": "n"}
)
ITEM = "/byoc/v1/collections/{collectionId}"
UPDATE = ApiRequest("update", "PUT", ITEM, Effect.UPDATE, {"collectionId": "c"}, body={"name": "n"})
DELETE = ApiRequest("delete", "DELETE", ITEM, Effect.DELETE, {"collectionId": "c"})
ACTION = ApiRequest("reingest", "POST", f"{ITEM}/x", Effect.ACTION, {"collectionId": "c"})
WITH_EFFECT = pytest.mark.parametrize("request_", [CREATE, UPDATE, DELETE, ACTION])
TILES = ApiRequest(
    "getByocCollectionTiles",
    "GET",
    f"{ITEM}/tiles",
    Effect.READ,
    {"collectionId": "c"},
    query=(("sort", "created"),),
    columns=("id",),
)


def play(
    handler: Callable[[Heard], Any],
    scene: Callable[[Server, Exchange], Coroutine[Any, Any, None]],
    **options: Any,
) -> Server:
    """Serve, connect, act; return the server for questions."""

    async def run() -> Server:
        async with serving(handler) as server, exchange_with(server, **options) as exchange:
            await scene(server, exchange)
        return server

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  the code under test has no event for this
            await asyncio.sleep(0.001)


def one_by_one(*replies: Reply) -> Callable[[Heard], Reply]:
    """Answer with these in order; one more request than replies is a failure of the test."""
    waiting: Iterator[Reply] = iter(replies)
    return lambda _: next(waiting)


GOOD = as_json({"data": {"id": "new"}}, 201)


def test_sends_with_a_token_and_reads_the_answer() -> None:
    def handler(heard: Heard) -> Reply:
        assert heard.path == "/api/v1/byoc/collections"
        assert heard.headers["authorization"] == "Bearer token-1"
        assert heard.headers["user-agent"].startswith("shplan/")
        return as_json({"data": []}, X_ProcessingUnits_Spent="1.5")

    async def scene(_: Server, exchange: Exchange) -> None:
        assert exchange.server_time == ""
        answer = await exchange.send(LIST)
        assert (answer.status, answer.body, answer.spent_pu) == (200, {"data": []}, 1.5)
        assert answer.server_time == "2025-06-01T10:00:00Z" == exchange.server_time
        assert exchange.counts == {"getByocCollections": 1, "token": 1}

    play(handler, scene)


def test_a_file_comes_as_it_is_and_a_lost_one_is_asked_for_again() -> None:
    request = ApiRequest("process", "POST", "/process/v1", Effect.READ, body={"a": 1})
    file = Reply(200, b"\x89PNG\x00", {"X-ProcessingUnits-Spent": "0.25"})
    replies = one_by_one(Reply(drop=True), file)

    def handler(heard: Heard) -> Reply:
        assert heard.headers["accept"] == "image/png"
        return replies(heard)

    async def scene(_: Server, exchange: Exchange) -> None:
        fetched = await exchange.fetch(request, media_type="image/png")
        assert (fetched.content, fetched.spent_pu) == (b"\x89PNG\x00", 0.25)
        assert exchange.counts["process"] == 2

    play(handler, scene)


def test_the_embedded_sandbox_is_reached_without_a_port() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        body = (await receive())["body"]
        seen.append((scope["method"], scope["path"], body))
        reply = (
            token_reply()
            if scope["path"].endswith("/token")
            else pages(2)(
                Heard("GET", f"{scope['path']}?{scope['query_string'].decode()}", {}, b"")
            )
        )
        await send({"type": "http.response.start", "status": reply.status, "headers": []})
        await send({"type": "http.response.body", "body": reply.body})

    async def run() -> None:
        exchange = connect(
            SANDBOX.of_instance("i1"),
            Access(SANDBOX_CREDENTIALS, AllowedHosts()),
            transport=in_process_transport(app),
            clock=FakeClock(),
            secrets=FixedSecrets(),
        )
        async with exchange:
            assert await exchange.scan(TILES, lambda _: None) == 6

    asyncio.run(run())
    assert [path for _, path, _ in seen] == [
        "/auth/realms/main/protocol/openid-connect/token",
        "/api/v1/byoc/collections/c/tiles",
        "/api/v1/byoc/collections/c/tiles",
    ]
    assert b"client_id=sandbox&client_secret=sandbox" in seen[0][2]


def test_a_body_arrives_as_json_and_an_empty_answer_is_none() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        assert (await exchange.send(UPDATE)).body is None

    (heard,) = play(one_by_one(Reply(204)), scene).heard
    assert (heard.method, heard.target) == ("PUT", "/api/v1/byoc/collections/c")
    assert heard.headers["content-type"] == "application/json"
    assert heard.body == b'{"name":"n"}'


def test_packed_answers_are_unpacked() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        assert (await exchange.send(LIST)).body == {"data": ["ä"]}

    server = play(one_by_one(zipped({"data": ["ä"]})), scene)
    assert server.heard[0].headers["accept-encoding"] == "gzip"


def test_one_page_with_columns_is_rows() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        answer = await exchange.send(TILES)
        assert answer.rows == (("1",), ("2",))
        assert answer.body == {"links": {"nextToken": "more"}}

    page = {"data": [{"id": "1"}, {"id": "2", "x": 1}], "links": {"nextToken": "more"}}
    play(one_by_one(as_json(page)), scene)


TRICKY = st.text(
    alphabet=st.sampled_from("ab/ %+&=#?;:@!$'()*,[]{}\"\\<>|^`~.-_ü€"), min_size=1, max_size=12
)


@settings(max_examples=5, deadline=None)
@given(st.lists(TRICKY.filter(lambda text: text not in {".", ".."}), min_size=40, max_size=40))
def test_any_name_arrives_as_it_is(names: list[str]) -> None:
    """Ids and paths of tiles reach the server unchanged, as one step or one value."""

    async def scene(_: Server, exchange: Exchange) -> None:
        for name in names:
            await exchange.send(
                ApiRequest(
                    "get", "GET", ITEM, Effect.READ, {"collectionId": name}, (("path", name),)
                )
            )

    server = play(lambda _: as_json({}), scene)
    for heard, name in zip(server.heard, names, strict=True):
        assert unquote(heard.path.rsplit("/", 1)[1]) == name
        assert heard.path.count("/") == 5
        assert parse_qsl(heard.query) == [("path", name)]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_mean_another_object_is_not_sent(name: str) -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(UnreachableError, match="nothing was sent"):
            await exchange.send(
                ApiRequest("d", "DELETE", ITEM, Effect.DELETE, {"collectionId": name})
            )

    assert play(one_by_one(), scene).heard == []


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ApiRequest("x", "GET", ITEM, Effect.READ), TypeError),
        (
            ApiRequest("x", "GET", ITEM, Effect.READ, {"collectionId": Unknown("t", "s", ())}),
            TypeError,
        ),
        (
            ApiRequest("x", "POST", "/x", Effect.CREATE, body={"a": Unknown("t", "s", ())}),
            TypeError,
        ),
        (ApiRequest("x", "POST", "/x", Effect.CREATE, body={"a": float("nan")}), NotCanonicalError),
    ],
)
def test_a_request_with_holes_is_a_bug_and_is_not_sent(
    request_: ApiRequest, error: type[Exception]
) -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(error):
            await exchange.send(request_)

    assert play(one_by_one(), scene).heard == []


# Pages


def pages(count: int, size: int = 3) -> Callable[[Heard], Reply]:
    def handler(heard: Heard) -> Reply:
        query = dict(parse_qsl(heard.query))
        number = int(query.get("viewtoken", "t0")[1:])
        data = [{"id": f"{number}-{row}", "x": 1} for row in range(size)]
        links = {"nextToken": f"t{number + 1}"} if number + 1 < count else {}
        return as_json({"data": data, "links": links})

    return handler


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_scan_sends_one_request_a_page(count: int) -> None:
    got: list[tuple[tuple[Any, ...], ...]] = []

    async def scene(_: Server, exchange: Exchange) -> None:
        assert await exchange.scan(TILES, got.append) == 3 * count
        assert exchange.counts["getByocCollectionTiles"] == count

    server = play(pages(count), scene)
    assert [len(rows) for rows in got] == [3] * count
    assert got[0][0] == ("0-0",)
    first, *others = [parse_qsl(heard.query) for heard in server.heard]
    assert first == [("sort", "created"), ("count", "100")]
    tokens = [("viewtoken", f"t{number + 1}") for number in range(count - 1)]
    assert others == [[*first, token] for token in tokens]


def test_a_scan_without_columns_gives_whole_objects() -> None:
    got: list[tuple[tuple[Any, ...], ...]] = []

    async def scene(_: Server, exchange: Exchange) -> None:
        assert await exchange.scan(LIST, got.append) == 1

    play(pages(1, size=1), scene)
    assert got == [(({"id": "0-0", "x": 1},),)]


def test_an_empty_list_hands_nothing_on() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        assert await exchange.scan(TILES, lambda _: pytest.fail("no rows expected")) == 0

    play(one_by_one(as_json({"data": []})), scene)


def test_an_empty_page_in_between_is_not_the_end() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        assert await exchange.scan(TILES, lambda _: None) == 1

    first = as_json({"data": [], "links": {"nextToken": "t"}})
    play(one_by_one(first, as_json({"data": [{"id": "1"}]})), scene)


@pytest.mark.parametrize("data", [[], [{"id": "1"}]])
def test_pages_that_lead_in_a_circle_end(data: list[dict[str, str]]) -> None:
    tokens = cycle(["a", "b"])

    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(NoAnswerError, match="circle"):
            await exchange.scan(TILES, lambda _: None)

    server = play(lambda _: as_json({"data": data, "links": {"nextToken": next(tokens)}}), scene)
    assert len(server.heard) == 3


def test_ever_new_tokens_without_rows_end() -> None:
    numbers = iter(range(10**6))

    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(NoAnswerError, match="circle"):
            await exchange.scan(TILES, lambda _: None)

    play(lambda _: as_json({"data": [], "links": {"nextToken": str(next(numbers))}}), scene)


def test_a_page_is_asked_again_when_the_server_stumbles() -> None:
    stumbled: list[str] = []

    def handler(heard: Heard) -> Reply:
        if heard.target not in stumbled:
            stumbled.append(heard.target)
            return Reply(503)
        return pages(3)(heard)

    async def scene(_: Server, exchange: Exchange) -> None:
        assert await exchange.scan(TILES, lambda _: None) == 9

    assert len(play(handler, scene).heard) == 6


# What is repeated


def test_every_second_answer_a_429_is_only_slower() -> None:
    clock = FakeClock()
    notes: list[Retry] = []

    def handler(heard: Heard) -> Reply:
        if len(handler_heard) % 2 == 0:
            handler_heard.append(heard)
            return Reply(429, headers={"Retry-After": "3398"})
        handler_heard.append(heard)
        return GOOD

    handler_heard: list[Heard] = []

    async def scene(_: Server, exchange: Exchange) -> None:
        for _round in range(3):
            assert (await exchange.send(CREATE)).status == 201

    server = play(handler, scene, clock=clock, on_retry=notes.append)
    assert len(server.heard) == 6
    assert clock.slept == pytest.approx([3.398] * 3)
    wanted = Retry("createByocCollection", 1, 3.398, "the server asked to come back later")
    assert notes == [wanted] * 3


def test_a_pause_for_one_is_a_pause_for_all() -> None:
    clock = FakeClock()
    arrivals: list[float] = []

    def handler(_: Heard) -> Reply:
        arrivals.append(clock.seconds)
        return Reply(429, headers={"Retry-After": "5000"}) if len(arrivals) == 1 else GOOD

    async def scene(_: Server, exchange: Exchange) -> None:
        await exchange.authorise()
        first = asyncio.create_task(exchange.send(LIST))
        await until(lambda: bool(clock.slept))
        await exchange.send(LIST)
        await first

    play(handler, scene, clock=clock)
    assert arrivals[0] == 1000.0
    assert min(arrivals[1:]) >= 1005.0


def test_a_429_without_a_time_waits_by_itself() -> None:
    clock = FakeClock()

    async def scene(_: Server, exchange: Exchange) -> None:
        await exchange.send(CREATE)

    play(
        one_by_one(Reply(429), Reply(429, headers={"Retry-After": "soon"}), GOOD),
        scene,
        clock=clock,
    )
    assert clock.slept == [0.25, 0.5]


def test_too_many_429_end() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(ThrottledError, match=r"slow down \(4 attempts\)"):
            await exchange.send(CREATE)

    tempo = Tempo(policy=Policy(throttled_attempts=4))
    slow = as_json({"status": 429, "message": "slow down", "code": "RATE_LIMIT_EXCEEDED"}, 429)
    assert len(play(lambda _: slow, scene, tempo=tempo).heard) == 4


@WITH_EFFECT
@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(500),
        Reply(503, b"<html><title>Down</title>", {"Retry-After": "1"}),
        Reply(504),
        Reply(303, headers={"Location": "/x"}),
        Reply(200, b'{"data":', cut=True),
        Reply(200, b"not json"),
        Reply(200, b"not packed", {"Content-Encoding": "gzip"}),
        Reply(delay_s=5),
    ],
    ids=["dropped", "500", "503", "504", "303", "cut", "no-json", "bad-gzip", "slow"],
)
def test_what_may_have_been_carried_out_is_sent_once(request_: ApiRequest, reply: Reply) -> None:
    """Also for PUT and DELETE, which HTTP libraries like to repeat on a kept connection."""

    async def scene(_: Server, exchange: Exchange) -> None:
        await exchange.send(LIST)
        with pytest.raises(NoAnswerError, match="may have been carried out"):
            await exchange.send(request_)

    replies = iter([as_json({}), reply])
    timeouts = Timeouts(read_s=0.1) if reply.delay_s else Timeouts(read_s=5)
    server = play(lambda _: next(replies), scene, timeouts=timeouts)
    assert len(server.heard) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(500),
        Reply(200, b'{"data":', cut=True),
        Reply(200, b"not json"),
        Reply(delay_s=0.5),
        Reply(429),
    ],
    ids=["dropped", "500", "cut", "no-json", "slow", "429"],
)
def test_a_read_is_repeated_until_it_succeeds(reply: Reply) -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        assert (await exchange.send(LIST)).body == {"ok": True}

    handler = one_by_one(reply, reply, as_json({"ok": True}))
    assert len(play(handler, scene, timeouts=Timeouts(read_s=0.1)).heard) == 3


def test_a_read_that_never_succeeds_ends() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(NoAnswerError, match=r"Bad Gateway \(5 attempts\)$"):
            await exchange.send(LIST)

    reply = Reply(502, b"<html><title>Bad Gateway</title><body>...", {"Content-Type": "text/html"})
    assert len(play(lambda _: reply, scene).heard) == 5


def test_a_trickling_answer_ends() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(NoAnswerError, match="took too long"):
            await exchange.send(CREATE)

    timeouts = Timeouts(read_s=60, whole_s=0.1)
    play(lambda _: Reply(delay_s=5), scene, timeouts=timeouts)


def test_an_endless_answer_ends() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(NoAnswerError, match="longer than 1000 bytes"):
            await exchange.send(LIST)

    play(lambda _: zipped("x" * 10_000), scene, longest_answer_bytes=1000)


@WITH_EFFECT
def test_a_closed_port_is_tried_again_and_nothing_was_sent(request_: ApiRequest) -> None:
    clock = FakeClock()

    async def run() -> None:
        async with serving(lambda _: GOOD) as server:
            exchange = exchange_with(server, clock=clock)
            await exchange.authorise()
        await asyncio.sleep(0.01)
        async with exchange:
            with pytest.raises(UnreachableError, match="refused"):
                await exchange.send(request_)

    asyncio.run(run())
    assert clock.slept == [0.25, 0.5, 1.0, 2.0]


@WITH_EFFECT
@pytest.mark.parametrize("status", [400, 403, 404, 409, 301, 307, 308])
def test_a_no_is_reported_with_the_servers_words(request_: ApiRequest, status: int) -> None:
    body = {"error": {"status": status, "message": "no", "code": "C", "errors": ["e"]}}

    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(RefusedError, match="no") as caught:
            await exchange.send(request_)
        error = caught.value
        assert (error.status, error.code, error.errors) == (status, "C", ["e"])

    play(one_by_one(as_json(body, status, Location="/x")), scene)


# The token


def test_one_token_for_many_and_only_as_many_at_once_as_allowed() -> None:
    at_once = 0
    most = 0

    async def handler(_: Heard) -> Reply:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return as_json({})

    async def scene(_: Server, exchange: Exchange) -> None:
        await asyncio.gather(*(exchange.send(LIST) for _ in range(30)))

    server = play(handler, scene, tempo=Tempo(parallelism=5))
    assert server.tokens == 1
    assert most == 5


@WITH_EFFECT
def test_a_refused_token_is_renewed_and_the_request_repeated(request_: ApiRequest) -> None:
    def handler(heard: Heard) -> Reply:
        fresh = heard.headers["authorization"] == "Bearer token-2"
        return GOOD if fresh else Reply(401)

    async def scene(server: Server, exchange: Exchange) -> None:
        server.token_reply = lambda: token_reply(f"token-{server.tokens}")
        await exchange.send(request_)

    server = play(handler, scene)
    assert (len(server.heard), server.tokens) == (2, 2)


def test_a_fresh_token_that_is_refused_as_well_is_the_end() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(RefusedError) as caught:
            await exchange.send(CREATE)
        assert caught.value.status == 401

    server = play(lambda _: Reply(401), scene)
    assert (len(server.heard), server.tokens) == (2, 2)


def test_wrong_credentials_are_found_before_anything_is_sent() -> None:
    async def scene(server: Server, exchange: Exchange) -> None:
        body = {"error": "invalid_client", "error_description": f"bad {CLIENT_SECRET}"}
        server.token_reply = lambda: as_json(body, 401)
        for act in (exchange.authorise, lambda: exchange.send(CREATE)):
            with pytest.raises(CredentialsError, match="gives no token") as caught:
                await act()
            assert CLIENT_SECRET not in f"{caught.value} {caught.value.diagnostics}"

    server = play(one_by_one(), scene)
    assert (server.heard, server.tokens) == ([], 2)


def test_the_token_endpoints_429_is_obeyed() -> None:
    clock = FakeClock()

    async def scene(server: Server, exchange: Exchange) -> None:
        replies = iter([Reply(429, headers={"Retry-After": "700"}), token_reply()])
        server.token_reply = lambda: next(replies)
        await exchange.send(LIST)

    play(lambda _: as_json({}), scene, clock=clock)
    assert clock.slept == pytest.approx([0.7])


@pytest.mark.parametrize("reply", [Reply(503), Reply(drop=True)])
def test_without_a_token_nothing_was_sent(reply: Reply) -> None:
    async def scene(server: Server, exchange: Exchange) -> None:
        server.token_reply = lambda: reply
        with pytest.raises(UnreachableError, match="nothing was sent"):
            await exchange.send(CREATE)

    server = play(one_by_one(), scene)
    assert (server.heard, server.tokens) == ([], 5)


# Where credentials go


def test_a_hostile_token_url_receives_nothing() -> None:
    """A pull request that points tokenUrl elsewhere gets an error, not the secret."""
    asked: list[str] = []

    class Spy:
        async def send(self, method: str, url: str, *, headers: object, content: bytes) -> Received:
            asked.append(url)
            raise AssertionError

        async def close(self) -> None:
            return None

    main = BUILT_IN["aws-eu-central-1"]
    for base_url, token_url in [
        (main.base_url, "https://evil.test/oauth/token"),
        ("https://evil.test", main.token_url),
        ("https://services.sentinel-hub.com.evil.test", main.token_url),
        (main.base_url, "https://localhost.evil.test/token"),
    ]:
        with pytest.raises(CredentialsError) as caught:
            connect(
                custom(base_url=base_url, token_url=token_url),
                access(),
                transport=Spy(),
                clock=FakeClock(),
                secrets=FixedSecrets(),
            )
        assert caught.value.diagnostics[0].code == "credentials/host"
        assert CLIENT_SECRET not in f"{caught.value} {caught.value.diagnostics}"
    assert asked == []


def test_a_host_named_outside_the_repository_is_asked() -> None:
    outside = AllowedHosts(((Origin("https", "sh.acme.test", 443), "SHPLAN_ALLOW_HOST"),))
    exchange = connect(
        custom(base_url="https://sh.acme.test", token_url="https://sh.acme.test/token"),
        Access(Credentials("i", "s", "test"), outside),
        transport=network_transport(Network()),
        clock=FakeClock(),
        secrets=FixedSecrets(),
    )
    assert exchange.deployment.identity == "https://sh.acme.test"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_take_no_credentials_along(status: int) -> None:
    async def run() -> None:
        async with serving(lambda _: as_json({})) as evil:
            away = Reply(status, headers={"Location": f"{evil.url}/api"})
            async with serving(lambda _: away) as server, exchange_with(server) as exchange:
                with pytest.raises(ApiError):
                    await exchange.send(LIST)
                server.token_reply = lambda: away
                async with exchange_with(server) as other:
                    with pytest.raises((CredentialsError, UnreachableError)):
                        await other.send(CREATE)
        assert (evil.heard, evil.tokens) == ([], 0)

    asyncio.run(run())


def test_the_secret_goes_to_the_token_endpoint_and_the_token_to_the_api() -> None:
    tokens: list[Heard] = []

    async def run() -> None:
        def login_handler(heard: Heard) -> Reply:
            tokens.append(heard)
            return token_reply()

        async with serving(login_handler) as login, serving(lambda _: as_json({})) as server:
            exchange = connect(
                custom(base_url=server.url, token_url=f"{login.url}/elsewhere"),
                access(),
                transport=network_transport(Network()),
                clock=FakeClock(),
                secrets=FixedSecrets(),
            )
            async with exchange:
                await exchange.send(LIST)
            assert CLIENT_SECRET not in repr(server.heard)
            assert CLIENT_SECRET in tokens[0].body.decode()
            assert "authorization" not in tokens[0].headers

    asyncio.run(run())


# Secrets in bodies

SECRET = Sensitive(("prefix-", SecretReference("env:KEY")))
WITH_SECRET = ApiRequest(
    "create", "POST", "/batch/v2/process", Effect.CREATE, body={"s3": {"secretAccessKey": SECRET}}
)


def test_secrets_are_revealed_on_the_wire_only() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        answer = await exchange.send(WITH_SECRET)
        assert answer.body == {"id": "1", "request": {"s3": {}}, "note": "got (sensitive)"}

    echo = {
        "id": "1",
        "request": {"s3": {"secretAccessKey": "prefix-canary"}},
        "note": "got prefix-canary",
    }
    server = play(one_by_one(as_json(echo, 201)), scene, secrets=FixedSecrets(KEY="canary"))
    assert server.heard[0].body == b'{"s3":{"secretAccessKey":"prefix-canary"}}'


@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_that_echoes_secrets_does_not_show_them(status: int) -> None:
    message = f"prefix-canary, canary, token-1 and {CLIENT_SECRET}"
    body = {"error": {"message": message, "errors": [{"violation": message}]}}

    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(ApiError) as caught:
            await exchange.send(WITH_SECRET)
        shown = f"{caught.value} {caught.value.__dict__} {caught.value.__cause__!r}"
        assert "canary" not in shown
        assert "token-1" not in shown
        assert "(sensitive)" in shown

    tempo = Tempo(policy=Policy(throttled_attempts=1))
    play(lambda _: as_json(body, status), scene, tempo=tempo, secrets=FixedSecrets(KEY="canary"))


# The rate


def test_a_rate_is_kept() -> None:
    clock = FakeClock()

    async def scene(_: Server, exchange: Exchange) -> None:
        for _number in range(30):
            await exchange.send(LIST)

    play(lambda _: as_json({}), scene, clock=clock, tempo=Tempo(requests_per_minute=60))
    # Ten may leave at once, the others one a second.
    assert clock.seconds - 1000 == pytest.approx(20)


def test_cancelling_leaves_no_place_taken() -> None:
    async def scene(_: Server, exchange: Exchange) -> None:
        slow = asyncio.create_task(exchange.send(CREATE))
        await until(lambda: exchange.counts["createByocCollection"] == 1)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await exchange.send(LIST)).body == {}

    def handler(heard: Heard) -> Reply:
        return Reply(delay_s=5) if heard.method == "POST" else as_json({})

    play(handler, scene, tempo=Tempo(parallelism=1))


def test_a_secret_that_stands_in_the_open_is_not_sent() -> None:
    """What is not said to be secret is in plans and in the ledger; no echo could be recognised."""
    key = Sensitive((SecretReference("env:KEY"),))
    body = {"s3": {"url": "s3://canary-key-1/x", "secretAccessKey": key}}
    request = ApiRequest("create", "POST", "/batch/v2/process", Effect.CREATE, body=body)

    async def scene(_: Server, exchange: Exchange) -> None:
        with pytest.raises(SecretError, match="in the open") as caught:
            await exchange.send(request)
        assert "canary" not in repr(caught.value.diagnostics)

    server = play(
        one_by_one(as_json({"id": "t"}, 201)), scene, secrets=FixedSecrets(KEY="canary-key-1")
    )
    assert not any(heard.body for heard in server.heard if b"s3" in heard.body)

    async def short(_: Server, exchange: Exchange) -> None:
        # A word of few letters stands in anything.
        assert (await exchange.send(request)).body == {"id": "t"}

    play(one_by_one(as_json({"id": "t"}, 201)), short, secrets=FixedSecrets(KEY="s3://"))
