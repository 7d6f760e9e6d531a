"""Buckets over S3: the same on the sandbox's server and on one that we did not write."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import botocore.exceptions
import httpx
import pytest
from botocore.parsers import ResponseParserError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shplan.core.errors import StorageError
from shplan.storage.aws import ATTEMPTS, Aws
from shplan.storage.port import InvalidKeyError, MissingObjectError, StoredObject
from shplan.storage.s3 import S3Storage
from tests.support.canaries import planted
from tests.support.s3 import (
    Scripted,
    answer,
    make_bucket,
    moto_served,
    no_aws,
    scripted,
    with_keys,
)
from tests.support.served import serving

NUMBERS = itertools.count()
NO_SUCH = "<Error><Code>{}</Code><Message>canary-message</Message></Error>"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_served() as url:
        yield url


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("sandbox")) as served:
        yield served.s3


@pytest.fixture(scope="module", params=["sandbox", "moto"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_aws(monkeypatch, tmp_path)


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with_keys(monkeypatch, endpoint)
    name = f"bucket-{next(NUMBERS)}"
    make_bucket(endpoint, name)
    return name


def keys(found) -> list[str]:
    return [item.key for item in found]


@pytest.mark.parametrize("key", ["a", "2025/06/B04.tiff", "a b/ö+%&?=#;~'.tif", "..a/b.."])
def test_what_is_put_is_got_with_its_md5_as_etag(bucket: str, key: str) -> None:
    storage, content = S3Storage(), bytes(range(256)) * 50
    put = asyncio.run(storage.put(bucket, key, content))
    assert put == StoredObject(key, len(content), hashlib.md5(content).hexdigest())
    assert asyncio.run(storage.get(bucket, key)) == content
    assert asyncio.run(storage.head(bucket, key)) == put
    assert asyncio.run(storage.list(bucket, "")) == [put]


@pytest.mark.parametrize("key", ["x//y", "/x", "x/"])
def test_keys_are_no_paths(key: str, moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox keeps objects in directories; other stores do not."""
    with_keys(monkeypatch, moto)
    name = f"bucket-{next(NUMBERS)}"
    make_bucket(moto, name)
    storage = S3Storage()
    put = asyncio.run(storage.put(name, key, b"1"))
    assert asyncio.run(storage.get(name, key)) == b"1"
    assert asyncio.run(storage.head(name, key)) == put
    assert asyncio.run(storage.list(name, key[:1])) == [put]


def test_a_part_of_an_object_is_read(bucket: str) -> None:
    storage, content = S3Storage(), bytes(range(256)) * 50
    asyncio.run(storage.put(bucket, "x", content))
    assert asyncio.run(storage.read(bucket, "x", start=300, length=20)) == content[300:320]
    assert asyncio.run(storage.read(bucket, "x", start=12_790, length=99)) == content[12_790:]
    with pytest.raises(MissingObjectError):
        asyncio.run(storage.read(bucket, "nothing", start=0, length=1))


def test_what_is_not_there(bucket: str) -> None:
    storage = S3Storage()
    assert asyncio.run(storage.head(bucket, "nothing")) is None
    assert asyncio.run(storage.head("nowhere", "nothing")) is None
    assert asyncio.run(storage.list(bucket, "nothing")) == []
    with pytest.raises(MissingObjectError, match=f"no object s3://{bucket}/nothing"):
        asyncio.run(storage.get(bucket, "nothing"))
    for call in (
        lambda: storage.get("nowhere", "x"),
        lambda: storage.list("nowhere", ""),
        lambda: storage.put("nowhere", "x", b""),
    ):
        with pytest.raises(MissingObjectError, match="no bucket nowhere"):
            asyncio.run(call())


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_lists_by_prefix_in_byte_order_over_any_pages(bucket: str, page_size: int) -> None:
    storage = S3Storage(page_size=page_size)
    for key in ("b/2", "b/10", "a", "b-1", "bé", "b/c/d"):
        asyncio.run(storage.put(bucket, key, b"x"))
    assert keys(asyncio.run(storage.list(bucket, ""))) == [
        "a", "b-1", "b/10", "b/2", "b/c/d", "bé",
    ]  # fmt: skip
    assert keys(asyncio.run(storage.list(bucket, "b/"))) == ["b/10", "b/2", "b/c/d"]
    assert keys(asyncio.run(storage.list(bucket, "b/1"))) == ["b/10"]
    assert keys(asyncio.run(storage.list(bucket, "none/at/all"))) == []


def test_a_listing_that_is_too_long_is_given_up_whole(bucket: str) -> None:
    storage = S3Storage(page_size=2, most_listed=4)
    for number in range(5):
        asyncio.run(storage.put(bucket, f"k{number}", b"x"))
    with pytest.raises(StorageError, match="more than 4 objects"):
        asyncio.run(storage.list(bucket, ""))
    assert len(asyncio.run(storage.list(bucket, "k3"))) == 1


PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=8,
).filter(lambda part: part not in (".", ".."))


# Each example asks a server many times.
@settings(
    max_examples=settings.default.max_examples // 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    contents=st.dictionaries(
        st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=5
    ),
    page_size=st.integers(1, 3),
)
def test_a_listing_is_what_was_put(
    endpoint: str, bucket: str, contents: dict[str, bytes], page_size: int
) -> None:
    # The sandbox's buckets are directories, which have no room for both `a` and `a/b`.
    names = [key for key in contents if not any(o.startswith(key + "/") for o in contents)]
    name = f"bucket-{next(NUMBERS)}"
    make_bucket(endpoint, name)
    storage = S3Storage(page_size=page_size)

    async def run() -> None:
        put = [await storage.put(name, key, contents[key]) for key in names]
        found = await storage.list(name, "")
        assert found == sorted(put, key=lambda item: item.key.encode())
        for key in names:
            assert await storage.get(name, key) == contents[key]

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_bucket_stands_in_the_path(
    bucket: str, endpoint: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server knows `bucket.localhost`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.replace("127.0.0.1", host))
    assert asyncio.run(S3Storage().list(bucket, "")) == []


def test_no_proxy_leads_to_this_machine(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asyncio.run(S3Storage().list(bucket, "")) == []


def test_many_ask_at_once_and_open_it_once(bucket: str) -> None:
    storage = S3Storage()

    async def run() -> None:
        await asyncio.gather(*(storage.put(bucket, f"k{n:02}", b"x") for n in range(30)))
        found = await asyncio.gather(*(storage.head(bucket, f"k{n:02}") for n in range(30)))
        assert keys(found) == [f"k{n:02}" for n in range(30)]

    asyncio.run(run())


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../other/key", "a/../../other/key", "a/./b", "a/.."]
)
def test_a_key_that_leads_elsewhere_is_never_asked_for(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(answer(200)) as server:
        with_keys(monkeypatch, server.url)
        storage = S3Storage()
        for call in (
            lambda: storage.head("imagery", key),
            lambda: storage.get("imagery", key),
            lambda: storage.put("imagery", key, b"x"),
        ):
            with pytest.raises(InvalidKeyError):
                asyncio.run(call())
        assert server.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "..",
        "a/b",
        "user@host",
        "host:80",
        "a?b",
        "arn:aws:s3:eu-central-1:123456789012:accesspoint:mine",
    ],
)
def test_a_bucket_that_is_no_name_is_never_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(answer(200)) as server:
        with_keys(monkeypatch, server.url)
        with pytest.raises(InvalidKeyError):
            asyncio.run(S3Storage().list(name, ""))
        assert server.asked == []


# --- what goes wrong -------------------------------------------------------------------------


def refused(monkeypatch: pytest.MonkeyPatch, server: Scripted, method: str) -> StorageError:
    """Ask a server that says no; what comes of it."""
    with_keys(monkeypatch, server.url)
    storage = S3Storage(connect_timeout_s=1.0, read_timeout_s=0.3)
    call = {
        "get": lambda: storage.get("imagery", "a/b"),
        "head": lambda: storage.head("imagery", "a/b"),
        "list": lambda: storage.list("imagery", "a/"),
        "put": lambda: storage.put("imagery", "a/b", b"x"),
    }[method]
    with pytest.raises(StorageError) as caught:
        asyncio.run(call())
    assert caught.value.__cause__ is not None or "no listing" in str(caught.value)
    assert "canary" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("method", ["get", "head", "list", "put"])
def test_no_permission_is_said(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answer(403, NO_SUCH.format("AccessDenied").encode())) as server:
        error = refused(monkeypatch, server, method)
    assert not isinstance(error, MissingObjectError)
    verb = "written" if method == "put" else "read"
    assert str(error).startswith("s3://imagery/a/")
    assert str(error).endswith(f" cannot be {verb}: no permission")
    assert len(server.asked) == 1


def test_keys_that_the_server_does_not_know_are_said(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto can be told to look at who asks."""
    with_keys(monkeypatch, moto)
    name = f"bucket-{next(NUMBERS)}"
    make_bucket(moto, name)
    httpx.post(f"{moto}/moto-api/reset-auth", content="0").raise_for_status()
    try:
        with pytest.raises(StorageError, match="the server answers InvalidAccessKeyId"):
            asyncio.run(S3Storage().get(name, "key"))
    finally:
        httpx.post(f"{moto}/moto-api/reset-auth", content="1000000").raise_for_status()
    assert asyncio.run(S3Storage().list(name, "")) == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "the server answers ExpiredToken"),
        (403, "SignatureDoesNotMatch", "the server answers SignatureDoesNotMatch"),
        (404, "NoSuchUpload", "the server answers NoSuchUpload"),
        (400, "canary &lt;b&gt;", "the server answers what nobody understands"),
        (503, "SlowDown", "the server answers SlowDown"),
    ],
)
def test_a_refusal_is_said_by_its_code_alone(
    status: int, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = NO_SUCH.format(code).encode()
    with scripted(answer(status, body)) as server:
        error = refused(monkeypatch, server, "get")
    assert str(error) == f"s3://imagery/a/b cannot be read: {said}"
    assert len(server.asked) == (ATTEMPTS if status == 503 else 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed_to_another_host(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = NO_SUCH.format("PermanentRedirect").encode()
    with scripted(answer(200, b"content")) as other:
        elsewhere = answer(status, body, location=f"{other.url}/imagery/a/b")
        with scripted(elsewhere) as server:
            refused(monkeypatch, server, "get")
        assert other.asked == []


@pytest.mark.parametrize("body", [b"<html><body>Hello</body></html>", b"<a", b"", b"{}"])
def test_a_page_of_something_else_is_no_listing(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that is none must not look like an empty bucket."""
    with scripted(answer(200, body)) as server:
        assert not isinstance(refused(monkeypatch, server, "list"), MissingObjectError)


def test_half_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")

    with scripted(respond) as server:
        assert "half of one" in str(refused(monkeypatch, server, "get"))


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with scripted(lambda _: time.sleep(1.0)) as server:
        assert "no answer" in str(refused(monkeypatch, server, "get"))
    # Between the attempts there are pauses of up to a second or two.
    assert len(server.asked) == ATTEMPTS
    assert time.monotonic() - started < 20.0


def test_a_listing_asks_once_for_each_thousand_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never once for each object: a collection may have a million tiles."""
    total = 2500

    def respond(handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        first = int(query.get("continuation-token", ["0"])[0])
        last = min(first + int(query["max-keys"][0]), total)
        more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < total else ""
        contents = "".join(
            f"<Contents><Key>k{n:05}</Key><Size>{n}</Size><ETag>&quot;e&quot;</ETag></Contents>"
            for n in range(first, last)
        )
        cut = "true" if more else "false"
        page = (
            f"<ListBucketResult><Name>imagery</Name><IsTruncated>{cut}</IsTruncated>{more}{contents}"
            "</ListBucketResult>"
        )
        answer(200, page.encode())(handler)

    with scripted(respond) as server:
        with_keys(monkeypatch, server.url)
        found = asyncio.run(S3Storage().list("imagery", "k"))
    assert found == [StoredObject(f"k{n:05}", n, "e") for n in range(total)]
    assert len(server.asked) == 3


def test_an_object_that_is_too_large_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(2**40))
        handler.end_headers()

    with scripted(respond) as server:
        with_keys(monkeypatch, server.url)
        with pytest.raises(StorageError, match="larger than"):
            asyncio.run(S3Storage().get("imagery", "a"))


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_who_cannot_be_reached_is_left_alone_for_a_while(
    nobody: str, bucket: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand jobs do not wait for the same silence, one after the other."""
    with_keys(monkeypatch, nobody)
    now = [100.0]
    storage = S3Storage(monotonic=lambda: now[0])
    with pytest.raises(StorageError, match="cannot be reached") as first:
        asyncio.run(storage.list(bucket, "a"))
    started = time.monotonic()
    for _ in range(200):
        with pytest.raises(StorageError, match="cannot be reached") as later:
            asyncio.run(storage.list(bucket, "a"))
        assert str(later.value) == str(first.value)
        assert later.value.__cause__ is None
    assert time.monotonic() - started < 5.0
    now[0] += 31.0
    with pytest.raises(StorageError, match="cannot be reached") as again:
        asyncio.run(storage.list(bucket, "a"))
    assert again.value.__cause__ is not None


def test_without_credentials_nobody_is_asked(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the machine either: tests may reach loopback only, and a laptop would wait."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match=r"cannot be read: there are no AWS credentials"):
        asyncio.run(S3Storage().get("imagery", "a"))


def test_the_machine_is_asked_only_where_that_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source: AWS SDKs and Tools Reference Guide, "AWS_EC2_METADATA_SERVICE_ENDPOINT"."""
    with scripted(answer(404)) as metadata, scripted(answer(200)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        for asks in (False, True):
            with pytest.raises(StorageError, match="no AWS credentials"):
                asyncio.run(S3Storage(asks_machine=asks).get("imagery", "a"))
            assert bool(metadata.asked) == asks
        assert server.asked == []


def test_a_profile_is_enough(
    bucket: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_aws(monkeypatch, tmp_path)
    (tmp_path / "credentials").write_text(
        "[acme]\naws_access_key_id = key\naws_secret_access_key = canary\n"
    )
    (tmp_path / "config").write_text(
        f"[profile acme]\nregion = eu-central-1\nendpoint_url = {endpoint}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "acme")
    assert asyncio.run(S3Storage().list(bucket, "")) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_PROFILE", "nobody", "the AWS settings do not work (ProfileNotFound)"),
        ("AWS_ENDPOINT_URL", "canary:/x", "AWS_ENDPOINT_URL or AWS_REGION is not understood"),
        ("AWS_DEFAULT_REGION", "no region/", "the AWS settings do not work (InvalidRegionError)"),
    ],
)
def test_settings_that_do_not_work_are_said(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with pytest.raises(StorageError) as caught:
        asyncio.run(S3Storage().get("imagery", "a"))
    assert str(caught.value) == f"s3://imagery/a cannot be read: {said}"


def test_what_a_program_for_credentials_prints_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted(
        tmp_path / "config",
        "[profile acme]\ncredential_process = sh -c 'echo canary-secret >&2; exit 1'\n",
    )
    monkeypatch.setenv("AWS_PROFILE", "acme")
    with pytest.raises(StorageError, match=r"\(CredentialRetrievalError\)") as caught:
        asyncio.run(S3Storage().get("imagery", "a"))
    assert "canary" in str(caught.value.__cause__)
    assert "canary" not in str(caught.value)


def test_without_the_package_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(StorageError, match=r"pip install 'shplan\[s3\]'"):
        asyncio.run(S3Storage().get("imagery", "a"))


def test_nothing_is_imported_before_a_bucket_is_asked_for() -> None:
    program = (
        "import sys\n"
        "from shplan.storage.s3 import S3Storage\n"
        "S3Storage(region='eu-central-1')\n"
        "print(any(name.startswith('botocore') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


RAISED = [
    one
    for _, one in inspect.getmembers(botocore.exceptions, inspect.isclass)
    if issubclass(one, botocore.exceptions.BotoCoreError)
    # What a program that uses the library wrongly sees, or its own tests.
    and not issubclass(one, botocore.exceptions.StubResponseError)
]


@pytest.mark.parametrize(
    "raised", [*RAISED, botocore.exceptions.ClientError, ResponseParserError, ValueError]
)
def test_every_error_of_the_library_is_translated(raised: type[Exception]) -> None:
    assert len(RAISED) > 50
    made = raised.__new__(raised)
    Exception.__init__(made, "canary")
    if isinstance(made, botocore.exceptions.ClientError):
        made.response = {"Error": {"Code": "Whatever"}}
    with pytest.raises(StorageError) as caught, Aws()._translated("s3://b/k", "b", "read"):
        raise made
    assert caught.value.__cause__ is made
    assert str(caught.value).startswith("s3://b/k cannot be read: ")
    assert "canary" not in str(caught.value)
