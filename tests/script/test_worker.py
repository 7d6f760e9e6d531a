"""The process behind a worker: when it starts, how it ends, what it sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shplan.script import Fault, Limits, ScriptError, Worker
from tests.script.scripts import ENGINES, script

ROOT = Path(__file__).parents[2]
LINUX = sys.platform == "linux"
needs_proc = pytest.mark.skipif(not LINUX, reason="reads /proc")


@pytest.fixture
def quickjs() -> Iterator[Worker]:
    with Worker(engine="quickjs", limits=Limits(time_s=20)) as worker:
        yield worker


def process_of(worker: Worker) -> subprocess.Popen[bytes]:
    child = worker._child
    assert child is not None
    return child._process


def test_a_worker_starts_when_it_is_first_used() -> None:
    worker = Worker()
    assert worker._child is None
    worker.close()


def test_one_process_serves_many_scripts(quickjs: Worker) -> None:
    quickjs.facts(script())
    first = process_of(quickjs).pid
    with pytest.raises(ScriptError):
        quickjs.facts("//VERSION=3\nlet ;")
    with pytest.raises(ScriptError):
        quickjs.facts(script("throw 1;"))
    quickjs.facts(script())
    assert process_of(quickjs).pid == first


def test_after_a_limit_another_process_serves() -> None:
    with Worker(engine="quickjs", limits=Limits(time_s=0.1)) as worker:
        worker.facts(script())
        first = process_of(worker)
        with pytest.raises(ScriptError):
            worker.facts(script("for (;;) ;"))
        assert first.poll() is not None
        worker.facts(script())
        assert process_of(worker).pid != first.pid


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_process_that_others_kill_is_a_fault_of_the_engine(quickjs: Worker) -> None:
    quickjs.facts(script())
    process_of(quickjs).kill()
    with pytest.raises(ScriptError) as caught:
        quickjs.facts(script())
    assert caught.value.fault is Fault.ENGINE
    assert quickjs.facts(script()).engine == "quickjs"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_is_the_parent_s_alone(quickjs: Worker) -> None:
    """One Ctrl-C reaches the whole group; what is being read is read to its end."""
    quickjs.facts(script())
    first = process_of(quickjs)
    first.send_signal(signal.SIGINT)
    quickjs.facts(script())
    assert process_of(quickjs).pid == first.pid


def test_closing_ends_the_process_and_may_be_repeated(quickjs: Worker) -> None:
    quickjs.facts(script())
    process = process_of(quickjs)
    quickjs.close()
    quickjs.close()
    assert process.poll() is not None
    assert quickjs.facts(script()).outputs


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("busy", [False, True])
def test_a_child_does_not_outlive_its_parent(engine: str, busy: bool) -> None:
    """Nor while it runs what nothing ends: the pipe closes, and it is gone."""
    program = (
        "import json, os, sys\n"
        "from shplan.script.limits import Limits\n"
        "from shplan.script.process import ChildProcess\n"
        "from shplan.script.wire import send\n"
        f"child = ChildProcess(Limits(time_s=600), {engine!r})\n"
        f"if {busy!r}:\n"
        "    text = '//VERSION=3\\nfor (;;) ;'\n"
        "    send(child._process.stdin, {'operation': 'load', 'text': text})\n"
        "print(child._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert gone(int(done.stdout))


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A container may have nobody who collects it.
        if LINUX and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@needs_proc
def test_the_process_sees_nothing_of_the_parent_s_environment(
    quickjs: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SH_CLIENT_SECRET", "a canary")
    quickjs.facts(script())
    seen = Path(f"/proc/{process_of(quickjs).pid}/environ").read_text()
    assert "canary" not in seen
    names = {one.split("=")[0] for one in seen.split("\0") if one}
    assert names <= {"TZ", "LD_LIBRARY_PATH", "LC_CTYPE"}


@needs_proc
def test_the_process_has_an_upper_bound_of_memory_and_leaves_no_core() -> None:
    with Worker(engine="quickjs", limits=Limits(data_mb=300)) as worker:
        worker.facts(script())
        lines = Path(f"/proc/{process_of(worker).pid}/limits").read_text().splitlines()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    # The hard one stays: a request with many pixels is allowed more.
    assert limits["Max data size"][0] == str(300 << 20)
    assert limits["Max core file size"] == ["0", "0"]


@needs_proc
def test_the_process_loads_nothing_heavy(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.facts(script())
        maps = Path(f"/proc/{process_of(worker).pid}/maps").read_text()
        assert not [name for name in ("numpy", "shapely", "pydantic", "rasterio") if name in maps]


def test_v8_is_the_first_choice() -> None:
    with Worker() as worker:
        assert worker.facts(script()).engine == "v8"


def fake(directory: Path, package: str, text: str) -> None:
    (directory / package).mkdir()
    (directory / package / "__init__.py").write_text(text)


@pytest.mark.parametrize(
    "why",
    [
        "raise ImportError('no such build')",
        "raise OSError('GLIBC_2.99 not found')",
        "import os; os.abort()",
    ],
)
def test_where_v8_cannot_be_loaded_quickjs_serves(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "py_mini_racer", why)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Worker(limits=Limits(time_s=20)) as worker:
        assert worker.facts(script()).engine == "quickjs"
        worker.close()
        assert worker.facts(script()).engine == "quickjs"


@pytest.mark.parametrize("engine", [None, *ENGINES])
def test_no_engine_at_all_is_said_with_the_reasons(
    engine: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "py_mini_racer", "raise ImportError('no build of V8')")
    fake(tmp_path, "quickjs", "raise ImportError('no build of QuickJS')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Worker(engine=engine) as worker, pytest.raises(ScriptError) as caught:
        worker.facts(script())
    assert caught.value.fault is Fault.ENGINE
    words = {"v8": ["no build of V8"], "quickjs": ["no build of QuickJS"]}
    wanted = words[engine] if engine else [*words["v8"], *words["quickjs"]]
    assert all(one in caught.value.message for one in wanted)


def test_an_engine_that_nobody_knows_is_said_so() -> None:
    with Worker(engine="spidermonkey") as worker, pytest.raises(ScriptError) as caught:
        worker.facts(script())
    assert caught.value.message == "no JavaScript engine: none is called 'spidermonkey'"


@needs_proc
@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_prints_is_no_answer(engine: str, workers: dict[str, Worker]) -> None:
    """V8 says its last words on standard output; the pipe of the answers is another."""
    workers[engine].facts(script())
    descriptors = Path(f"/proc/{process_of(workers[engine]).pid}/fd")
    assert [os.readlink(descriptors / one) for one in "012"] == [os.devnull] * 3


def test_an_interpreter_that_is_not_there_is_a_fault_of_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Worker() as worker, pytest.raises(ScriptError) as caught:
        worker.facts(script())
    assert caught.value.fault is Fault.ENGINE
    assert "no worker process can be started" in caught.value.message


def test_an_interrupt_in_between_leaves_no_answer_for_the_next(
    quickjs: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickjs.facts(script())
    child = quickjs._child
    assert child is not None

    def interrupted(stream: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shplan.script.process.receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quickjs.facts(script("return {input: ['B99'], output: {bands: 9}};"))
    assert quickjs.facts(script()).outputs[0].bands == 1
    assert quickjs._child is not child


def test_a_long_script_goes_through_the_pipe(quickjs: Worker) -> None:
    text = script() + "// \u20ac and more\n" * 40_000
    assert quickjs.facts(text).outputs


def test_the_javascript_lies_beside_the_modules() -> None:
    """In a wheel as in a checkout."""
    here = ROOT / "shplan" / "script" / "js"
    assert {path.name for path in here.glob("*.js")} == {
        "exchange.js",
        "harness.js",
        "helpers.js",
        "pixels.js",
        "scenes.js",
        "watch.js",
    }
