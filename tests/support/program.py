"""
The command line as a process of its own, without the start of an interpreter.

To start a command takes half a second of imports, and many tests start a dozen. Here one process of a
session imports everything once and is forked for each command: what runs is a real process, with its own
directory, environment, descriptors and end. `shplan()` stands where `sys.executable, "-m", "shplan"`
would; what it starts is a client of few lines, which hands its descriptors over and ends as the command ends.

Not for what is about starts, signals or limits of a process: those tests say `-m shplan`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("program_client.py")
# What the commands import late. Engines run in processes of their own.
_LATE = (
    "anyio._backends._asyncio",
    "botocore.session",
    "httpx_aiohttp",
    "psycopg",
    "pyproj",
    "rasterio.warp",
    "rich.live",
    "tree_sitter_javascript",
)
_NOT_HERE = ("shplan.script.engine_", "shplan.script.child", "shplan.sandbox.child", "__main__")
_HEADER = 12
_ENDS_S = 30.0


def shplan() -> list[str]:
    """Return the words that stand for `shplan` in a command."""
    if os.name == "nt":
        return [sys.executable, "-m", "shplan"]
    return [sys.executable, "-I", "-S", str(CLIENT), _address()]


@cache
def _address() -> str:
    """Start the process that is forked, once in a session; return where it listens."""
    # The name of a socket is short, and a directory of pytest is not.
    address = f"{tempfile.mkdtemp(prefix='shplan-')}/door"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        forking = subprocess.Popen(
            [sys.executable, "-m", "tests.support.program", str(listener.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
        )

    def end() -> None:
        # It ends when nobody holds the other end of this, so also when this process is killed.
        assert forking.stdin is not None
        forking.stdin.close()
        forking.wait(_ENDS_S)

    atexit.register(end)
    return address


class Command:
    """
    What one client wants to be run.

    Args:
        door: to the client, which has just come

    Raises:
        OSError, ValueError: it was killed before it had said what it wants
    """

    def __init__(self, door: socket.socket) -> None:
        header, descriptors, _, _ = socket.recv_fds(door, _HEADER, 3)
        self.descriptors = descriptors
        size, parts = int(header), []
        while size:
            part = door.recv(size)
            if not part:
                raise ConnectionError
            parts.append(part)
            size -= len(part)
        count, *rest = b"".join(parts).split(b"\0")
        (self.directory, *arguments), variables = rest[: int(count)], rest[int(count) :]
        self.arguments = [os.fsdecode(one) for one in arguments]
        self.environment = dict(one.split(b"=", 1) for one in variables)

    def become(self) -> None:
        """Make this process what the client was."""
        for number, descriptor in enumerate(self.descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(self.directory)
        os.environb.clear()
        os.environb.update(self.environment)
        time.tzset()
        sys.argv[:] = ["shplan", *self.arguments]
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(
            2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )


def prepare() -> None:
    """Import what commands import, and read the schemas of all kinds."""
    import shplan
    from shplan.manifest.validate import _validator
    from shplan.providers.registry import PROVIDERS

    names = [one.name for one in pkgutil.walk_packages(shplan.__path__, "shplan.")]
    for name in (*_LATE, *names):
        if not any(part in name for part in _NOT_HERE):
            importlib.import_module(name)
    for kind in PROVIDERS:
        PROVIDERS[kind]
        _validator(kind)
    assert threading.active_count() == 1, "a fork takes no threads along"
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> Command | None:
    """
    Fork for each client, and tell each how its command ended.

    Returns:
        in a forked process what it is to run; in this one None, once standard input is at its end
    """
    running: dict[int, socket.socket] = {}
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waking.fileno())
    sources = selectors.DefaultSelector()
    for source in (listener, woken, sys.stdin):
        sources.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in sources.select():
            if key.fileobj is listener:
                door = listener.accept()[0]
                try:
                    command = Command(door)
                except (OSError, ValueError):
                    door.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for one in (sources, listener, woken, waking, door, *running.values()):
                        one.close()
                    return command
                for descriptor in command.descriptors:
                    os.close(descriptor)
                running[pid] = door
                sources.register(door, selectors.EVENT_READ, pid)
            elif key.fileobj is woken:
                woken.recv(4096)
                for pid, status in _ended(running):
                    door = running.pop(pid)
                    if door in sources.get_map():
                        sources.unregister(door)
                    _tell(door, status)
            elif key.fileobj is sys.stdin:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                return None
            elif key.data in running:
                # The client says nothing more: it was killed, and so is what it stands for.
                sources.unregister(key.fileobj)
                os.kill(key.data, signal.SIGKILL)


def _ended(running: dict[int, socket.socket]) -> list[tuple[int, int]]:
    waited = [os.waitpid(pid, os.WNOHANG) for pid in running]
    return [(pid, status) for pid, status in waited if pid]


def _tell(door: socket.socket, status: int) -> None:
    try:
        door.sendall(b"%d" % status)
    except OSError:
        pass  # the client was killed
    door.close()


def _run(command: Command) -> int:
    """Run the program as `python -m shplan` does, up to the end of the interpreter."""
    from shplan.cli.main import run

    command.become()
    try:
        run()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def main() -> None:
    prepare()
    listener = socket.socket(fileno=int(sys.argv[1]))
    door = Path(listener.getsockname())
    command = serve(listener)
    if command is None:
        shutil.rmtree(door.parent)
        return
    code = _run(command)
    # What the end of an interpreter does, except to take everything apart.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
