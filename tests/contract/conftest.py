from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sentinelhub import SHConfig
from sentinelhub.download.sentinelhub_client import SentinelHubDownloadClient

from tests.support.served import Served, serving


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One process for the modules that want no other."""
    data = tmp_path_factory.mktemp("served")
    # The package remembers each collection that it was told of, and refuses another of one identifier.
    with serving(data, seed=str(data)) as served:
        yield served


@pytest.fixture(scope="module")
def server(process: Served) -> Iterator[Served]:
    """A sandbox for the tests of a module: as empty as a new one, its buckets too."""
    yield process
    process.fresh()
    for bucket in (process.data / "buckets").iterdir():
        shutil.rmtree(bucket)


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    """The module's sandbox, as empty as a new one; files in its buckets stay."""
    yield server
    server.fresh()


@pytest.fixture
def config(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SHConfig]:
    """The configuration of the unmodified `sentinelhub` package, as the sandbox tells it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("SH_PROFILE", "SH_CLIENT_ID", "SH_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    SentinelHubDownloadClient.clear_cache()
    yield served.sandbox.sh_config(download_sleep_time=0.01, max_download_attempts=3)
    SentinelHubDownloadClient.clear_cache()


@pytest.fixture
def waited(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The client's monitors sleep for minutes of the service, which are moments here."""
    seconds: list[float] = []

    def sleep(pause: float) -> None:
        seconds.append(pause)
        served.tick(pause)

    monkeypatch.setattr("sentinelhub.api.batch.utils.time.sleep", sleep)
    return seconds
