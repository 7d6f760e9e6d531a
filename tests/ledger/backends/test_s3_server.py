"""A ledger in a bucket of servers that we did not write for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shplan.core.errors import LockedError
from shplan.ledger.backends.s3 import S3Backend
from shplan.ledger.backends.settling import NO_PATIENCE, Patience
from shplan.ledger.journal import Journal
from shplan.storage.aws import Aws
from shplan.storage.objects import S3Objects
from tests.ledger.support import HandClock, adopt, drafts_of, read, run, write
from tests.support.proxies import Break, proxied
from tests.support.s3 import make_bucket, moto_served, no_aws, with_keys
from tests.support.served import serving

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_served() as url:
        yield url


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its buckets obey conditions as well, by code of their own."""
    with serving(tmp_path_factory.mktemp("sandbox")) as served:
        yield served.s3


@pytest.fixture(params=["moto", "sandbox"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    no_aws(monkeypatch, tmp_path)
    with_keys(monkeypatch, endpoint)
    name = f"ledger-{next(NUMBERS)}"
    make_bucket(endpoint, name)
    return name


def journal(
    bucket: str, user: str = "ada", *, fan: int = 4, patience: Patience = NO_PATIENCE
) -> Journal:
    objects = S3Objects(Aws(pause_s=0.0), bucket, page_size=3)
    backend = S3Backend(objects, "p", fan=fan, patience=patience)
    return Journal(backend, clock=HandClock(), actor={"user": user})


def test_entries_go_there_and_come_back(bucket: str) -> None:
    async def story() -> None:
        ledger = journal(bucket)
        async with ledger.lease(timeout_s=0) as lease:
            for number in range(8):
                await lease.append([adopt(number)])
            with pytest.raises(LockedError, match="of ada on"):
                await write(journal(bucket, "bob"), adopt(99))
        await write(journal(bucket, "bob"), adopt(8))
        expected = [adopt(number) for number in range(9)]
        assert drafts_of(await read(journal(bucket))) == expected
        assert drafts_of(await read(ledger)) == expected
        report = await journal(bucket).verify()
        assert (report.damage, report.entries) == (None, 10)
        assert report.segments < 8

    run(story())


def test_no_credentials_reach_an_object(bucket: str) -> None:
    run(write(journal(bucket), adopt(1)))
    objects = S3Objects(Aws(), bucket)

    async def everything() -> list[bytes | None]:
        return list(await objects.get_many([one.key for one in await objects.list("")]))

    contents = run(everything())
    assert len(contents) == 4
    assert any(b"genesis" in (content or b"") for content in contents)
    assert not any(b"canary" in (content or b"") for content in contents)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Break))
def test_answers_that_are_lost_on_the_way_are_asked_for_again(
    bucket: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, kind: Break
) -> None:
    """The library sends a lost request again and meets its own work; nobody is misled by that."""
    with proxied(urlsplit(endpoint).port or 0) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        run(write(journal(bucket), adopt(0)))
        total, proxy.kind = proxy.requests, kind
        for number in range(4, total, 4):
            proxy.break_at, proxy.requests = number, 0
            run(write(journal(bucket, fan=100), adopt(number)))
        expected = [adopt(0), *(adopt(number) for number in range(4, total, 4))]
        assert drafts_of(run(read(journal(bucket)))) == expected


@pytest.mark.parametrize("kind", list(Break))
def test_a_network_that_comes_back_ends_nothing(
    bucket: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, kind: Break
) -> None:
    """More requests in a row are lost than the library sends again."""
    with proxied(urlsplit(endpoint).port or 0) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")

        async def story() -> None:
            patience = Patience(most_s=60, pause_s=0.01, sleep=asyncio.sleep)
            async with journal(bucket, patience=patience).lease(timeout_s=0) as lease:
                await lease.append([adopt(0)])
                proxy.kind, proxy.break_at, proxy.breaks = kind, proxy.requests, 7
                await lease.append([adopt(1)])
                await lease.append([adopt(2)])

        run(story())
        assert drafts_of(run(read(journal(bucket)))) == [adopt(0), adopt(1), adopt(2)]
