"""Tasks go forward beside the loop: who asks about them waits within a bound, nobody else does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from shplan.sandbox import settling
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.batch_analysis import UNFORESEEN
from shplan.sandbox.clock import StoppedClock
from shplan.sandbox.scripts import ScriptFailedError, WorkerScripts
from shplan.sandbox.settings import Settings
from shplan.script.facts import ScriptFacts
from shplan.script.limits import Limits
from shplan.script.worker import Worker
from tests.support.served import serving

from . import batches, batches_v1
from .batches import NDVI, TASKS, body, script
from .support import COLLECTIONS, Driver, SharedScripts, shared_scripts

FORM = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
ENDLESS = script("(() => { for (;;) ; })()")
GRIDS = "/batch/v2/tilinggrids"


class HeldScripts(SharedScripts):
    """Reads scripts as ever, once the test lets it."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()
        self.readings = 0

    def facts(self, text: str) -> ScriptFacts:
        self.readings += 1
        self.begun.set()
        assert self.free.wait(30)
        return shared_scripts().facts(text)


class Client:
    """A client of a sandbox in this loop."""

    def __init__(self, http: httpx.AsyncClient, scripts: HeldScripts) -> None:
        self.http = http
        self.scripts = scripts

    async def post(self, path: str, content: Any = None) -> httpx.Response:
        answer = await self.http.post(path, json=content)
        assert answer.is_success, answer.text
        return answer

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def analysing(self) -> str:
        """A task whose analysis goes on until the test lets it end."""
        task = (await self.post(TASKS, body())).json()["id"]
        await self.post(f"{TASKS}/{task}/analyse")
        await self.post("/_sandbox/tick", {"seconds": 60})
        return str(task)

    async def is_read(self) -> None:
        assert await asyncio.to_thread(self.scripts.begun.wait, 30)


@contextmanager
def opened(
    data: Path, scripts: HeldScripts | None = None, **settings: Any
) -> Iterator[Callable[[Callable[[Client], Awaitable[None]]], Any]]:
    """Runs a test's coroutine in a loop of its own against one sandbox."""
    scripts = scripts or HeldScripts()
    app = create_app(data, clock=StoppedClock(), settings=Settings(**settings), scripts=scripts)

    def run(test: Callable[[Client], Awaitable[None]]) -> Any:
        async def inside() -> None:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
                token = (await http.post("/oauth/token", data=FORM)).json()["access_token"]
                http.headers["Authorization"] = f"Bearer {token}"
                await test(Client(http, scripts))

        asyncio.run(inside())

    yield run
    scripts.free.set()
    close_app(app)


def test_others_are_served_while_a_script_is_read(tmp_path: Path) -> None:
    """What tells of tasks waits; collections, tokens and tiling grids do not."""

    async def test(client: Client) -> None:
        task = await client.analysing()
        asked = asyncio.create_task(client.get(f"{TASKS}/{task}"))
        await client.is_read()
        assert (await client.get(COLLECTIONS))["data"] == []
        assert (await client.get(GRIDS))["data"]
        assert not asked.done()
        client.scripts.free.set()
        assert (await asked)["status"] == "ANALYSIS_DONE"
        assert client.scripts.readings == 1

    with opened(tmp_path) as run:
        run(test)


def test_where_units_run_out_everybody_waits(tmp_path: Path) -> None:
    """What a call may still spend depends on what tasks have spent before."""

    async def test(client: Client) -> None:
        await client.analysing()
        asked = asyncio.create_task(client.get(COLLECTIONS))
        await client.is_read()
        await asyncio.sleep(0.05)
        assert not asked.done()
        client.scripts.free.set()
        await asked

    with opened(tmp_path, account_pu=1000.0) as run:
        run(test)


def test_the_wait_has_a_bound_and_the_settling_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(client: Client) -> None:
        task = await client.analysing()
        for _ in range(3):
            assert (await client.get(f"{TASKS}/{task}"))["status"] == "ANALYSING"
        client.scripts.free.set()
        monkeypatch.setattr(settling, "MOST_WAIT_S", 30.0)
        assert (await client.get(f"{TASKS}/{task}"))["status"] == "ANALYSIS_DONE"
        # Nobody who looked meanwhile began it again.
        assert client.scripts.readings == 1

    monkeypatch.setattr(settling, "MOST_WAIT_S", 0.01)
    with opened(tmp_path) as run:
        run(test)


def test_a_step_is_not_stored_if_somebody_acted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop during the analysis lets it end, which is done again for the task as it is now."""

    async def test(client: Client) -> None:
        task = await client.analysing()
        assert (await client.get(f"{TASKS}/{task}"))["status"] == "ANALYSING"
        await client.post(f"{TASKS}/{task}/stop")
        client.scripts.free.set()
        monkeypatch.setattr(settling, "MOST_WAIT_S", 30.0)
        found = await client.get(f"{TASKS}/{task}")
        assert (found["status"], found["userAction"]) == ("STOPPED", "STOP")
        assert found["stoppedStatusReason"] == "USER_ACTION"

    monkeypatch.setattr(settling, "MOST_WAIT_S", 0.01)
    with opened(tmp_path) as run:
        run(test)


def test_another_loop_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that ends its loop takes the settling with it; the next one begins it again."""
    known = []

    async def leave(client: Client) -> None:
        known.append(await client.analysing())
        await client.get(f"{TASKS}/{known[0]}")

    async def come(client: Client) -> None:
        client.scripts.free.set()
        monkeypatch.setattr(settling, "MOST_WAIT_S", 30.0)
        assert (await client.get(f"{TASKS}/{known[0]}"))["status"] == "ANALYSIS_DONE"

    monkeypatch.setattr(settling, "MOST_WAIT_S", 0.01)
    with opened(tmp_path) as run:
        run(leave)
        run(come)


class HoldingScripts(HeldScripts):
    """Holds the scripts that say so, and reads others as ever."""

    def facts(self, text: str) -> ScriptFacts:
        return super().facts(text) if "held" in text else shared_scripts().facts(text)

    def worker(self) -> AbstractContextManager[Worker]:
        return shared_scripts().worker()


def test_what_takes_long_for_one_account_holds_back_no_other(tmp_path: Path) -> None:
    """Beside an analysis that has no end, another account's task goes its whole way."""
    both = {name: {"secret": name, "account": name} for name in ("sandbox", "other")}

    async def test(client: Client) -> None:
        await client.post("/_sandbox/settings", {"clients": both})
        mine = (await client.post(TASKS, body(evalscript=f"{script('{}')}// held"))).json()["id"]
        await client.post(f"{TASKS}/{mine}/analyse")
        form = {**FORM, "client_id": "other", "client_secret": "other"}
        token = (await client.http.post("/oauth/token", data=form)).json()["access_token"]
        own = client.http.headers["Authorization"]
        client.http.headers["Authorization"] = f"Bearer {token}"
        theirs = (await client.post(TASKS, body())).json()["id"]
        await client.post(f"{TASKS}/{theirs}/start")
        await client.post("/_sandbox/tick", {"seconds": 600})
        assert (await client.get(f"{TASKS}/{theirs}"))["status"] == "DONE"
        await client.is_read()
        assert not client.scripts.free.is_set()
        client.scripts.free.set()
        client.http.headers["Authorization"] = own
        assert (await client.get(f"{TASKS}/{mine}"))["status"] == "FAILED"

    with opened(tmp_path, HoldingScripts()) as run:
        run(test)


@pytest.mark.slow
def test_a_script_is_read_beside_one_that_has_no_end() -> None:
    scripts = WorkerScripts(lambda: Limits(time_s=5.0))
    read = []

    def endless() -> None:
        with pytest.raises(ScriptFailedError):
            scripts.facts(ENDLESS)
        read.append("endless")

    thread = threading.Thread(target=endless)
    thread.start()
    for number in range(3):
        scripts.facts(f"{NDVI}// {number}")
        read.append("other")
    thread.join()
    scripts.close()
    assert read[-1] == "endless"


def test_an_endless_script_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Over a port: the script runs on in a process of its own until the sandbox dies."""
    with serving(tmp_path) as served, served.client() as client:
        task = client.post(TASKS, json=body(evalscript=ENDLESS)).json()["id"]
        client.post(f"{TASKS}/{task}/analyse")
        served.tick(60)
        # Begins the settling, and does not wait for it.
        assert client.get(COLLECTIONS).json()["data"] == []
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{TASKS}/{task}", timeout=0.2)
        assert client.get(COLLECTIONS).json()["data"] == []
        served.sandbox.kill()


@pytest.mark.slow
def test_an_endless_script_fails_its_task(tmp_path: Path) -> None:
    with serving(tmp_path) as served, served.client() as client:
        task = client.post(TASKS, json=body(evalscript=ENDLESS)).json()["id"]
        client.post(f"{TASKS}/{task}/analyse")
        served.tick(60)
        found = client.get(f"{TASKS}/{task}").json()
        # An answer comes sooner than such a script is given up.
        while found["status"] == "ANALYSING":
            found = client.get(f"{TASKS}/{task}").json()
        assert found["status"] == "FAILED"
        assert "evalscript failed" in found["error"]


@pytest.mark.parametrize("version", [batches, batches_v1])
def test_a_bug_in_an_analysis_fails_its_task_alone(
    api: Driver, version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("shplan.sandbox.batch_analysis.tiles_within", broken)
        failed = version.analysed(api)
    assert (failed["status"], failed["error"]) == ("FAILED", UNFORESEEN)
    assert version.analysed(api)["status"] == "ANALYSIS_DONE"
