"""
The client as a process of its own: forked from this one, which has imported it, and killed for real.

To fork takes a few milliseconds where to start takes half a second, and what is forked is the same
program. The forking process must have no thread and no event loop, so the harness is a program of
its own and never runs inside another.
"""

from __future__ import annotations

import gc
import http.client
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.crash.grounds import Ground
from tests.crash.strikes import (
    Boundary,
    SandboxClock,
    Strike,
    Striker,
    read_trace,
    strike_files,
    strike_requests,
)

# What the processes of the harness import before the first is forked; what they import then is
# learnt from the first of each kind that nobody kills.
EARLY = ("shplan.cli.apply", "shplan.cli.session", "shplan.manifest.load", "httpx_aiohttp")
HANGS_S = 150
_LIBRARIES = ("shplan.", "rich.", "aiohttp.", "asyncio.", "botocore.", "psycopg", "importlib.")


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a process ended.

    Args:
        code: of the last command; None where it was killed
        codes: of each command
        said: what it wrote to stdout and stderr
        killed: at a boundary, by itself
    """

    code: int | None
    codes: tuple[int, ...]
    said: str
    boundaries: tuple[Boundary, ...]
    killed: bool


def prepare() -> None:
    """
    Import what a command imports, and remember what evalscripts say for all that are forked.

    What a script says is a function of its text, and to ask takes longer than all the rest. Whoever
    loads a project here asks; its children know.
    """
    from shplan.manifest import scripts
    from shplan.providers.registry import PROVIDERS

    for name in EARLY:
        importlib.import_module(name)
    for kind in PROVIDERS:
        PROVIDERS[kind]
    remembered: dict[str, dict[str, Any]] = {}

    class Remembering(scripts.Scripts):
        def __init__(self) -> None:
            super().__init__()
            for name, own in list(vars(self).items()):
                if name.startswith("_") and isinstance(own, dict):
                    setattr(self, name, remembered.setdefault(name, {}))

    scripts.Scripts = Remembering  # type: ignore[misc]


def run(
    commands: Sequence[Sequence[str]],
    *,
    root: Path,
    base_url: str,
    ground: Ground,
    environment: Mapping[str, str],
    strike: Strike | None = None,
    patience: Sequence[int] = (),
) -> Ended:
    """
    Run commands one after the other in one process, until one ends with another code than 0.

    Args:
        root: the project
        strike: where it dies
        patience: how often each of the first commands is given until it ends with 0
    """
    home = root.parent
    trace, said, codes, modules = (home / n for n in ("trace", "said", "codes", "modules"))
    for path in (trace, said, codes, modules):
        path.write_bytes(b"")
    sys.stdout.flush()
    sys.stderr.flush()
    assert threading.active_count() == 1, "a fork takes no threads along"
    gc.freeze()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            # The keyboard's interrupt goes to the harness, which ends after this trial.
            os.setpgid(0, 0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(HANGS_S)
            gc.set_threshold(200_000, 50, 100)  # as `run` of the command line does
            _redirect(said)
            os.chdir(root)
            os.environ.update(environment)
            striker = Striker(strike, os.open(trace, os.O_WRONLY | os.O_APPEND))
            strike_requests(striker)
            strike_files(striker)
            ground.strike_writes(striker)
            _stop_time(base_url)
            code = _run_all(commands, codes, patience)
            modules.write_text("\n".join(sys.modules))
        except BaseException:  # noqa: BLE001 - nothing of the child may come back into the parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    boundaries, killed = read_trace(trace.read_text())
    _learn(modules.read_text().split())
    text = said.read_text(errors="replace")
    ended = tuple(int(one) for one in codes.read_text().split())
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL or not killed:
            text += f"\nended by signal {number}"
        return Ended(None, ended, text, boundaries, killed and number == signal.SIGKILL)
    return Ended(os.WEXITSTATUS(status), ended, text, boundaries, killed=False)


def _learn(modules: Sequence[str]) -> None:
    """Import what a child has imported, so that the next one has it already."""
    for name in modules:
        if name not in sys.modules and name.startswith(_LIBRARIES):
            importlib.import_module(name)


def _run_all(commands: Sequence[Sequence[str]], codes: Path, patience: Sequence[int]) -> int:
    from shplan.cli.exit_door import through
    from shplan.cli.main import program

    code = 0
    for command, most in zip_longest(commands, patience, fillvalue=1):
        for _ in range(most):
            code = through(program, command)
            with codes.open("a") as file:
                file.write(f"{code}\n")
            if code == 0:
                break
        if code:
            return code
    return code


def _redirect(said: Path) -> None:
    descriptor = os.open(said, os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _stop_time(base_url: str) -> None:
    from shplan.cli import session
    from shplan.cli.clock import SystemClock

    tick = ticking(base_url)
    session.SystemClock = lambda: SandboxClock(tick, SystemClock())  # type: ignore[assignment, misc]


def ticking(base_url: str) -> Callable[[float], None]:
    """Return what moves the sandbox's time forward."""
    where = urlsplit(base_url)

    def tick(seconds: float) -> None:
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        connection.request("POST", "/_sandbox/tick", f'{{"seconds": {seconds!r}}}')
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status

    return tick
