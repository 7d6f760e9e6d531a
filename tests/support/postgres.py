"""
PostgreSQL of the system, started by the tests: one server for all of them, a database for each.

Workers share the server. It is stopped by the last one that uses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

# $1: home of the server, $2: process of the session.
_WATCHER = """
while [ -d "$1" ]; do
  if [ ! -d "/proc/$2" ]; then
    [ -f "$1/data/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"
    rm -rf "$1"
    exit
  fi
  sleep 2
done
"""
_WATCHERS: list[subprocess.Popen[bytes]] = []
_INSTALLED = "/usr/lib/postgresql"


@dataclass(frozen=True)
class Cluster:
    """A running server; everybody on this machine is let in as its superuser."""

    port: int

    def parameters(self, database: str) -> Mapping[str, str]:
        return {
            "host": "127.0.0.1",
            "port": str(self.port),
            "user": "postgres",
            "dbname": database,
        }


def programs() -> Path:
    """The directory of `initdb` and `postgres`; without them nothing here can be tested."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).resolve().parent
    versions = sorted(Path(_INSTALLED).glob("*/bin"), key=lambda one: float(one.parent.name))
    if not versions:
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
    return versions[-1]


@contextlib.contextmanager
def cluster(shared: Path) -> Iterator[Cluster]:
    """
    The server of this session; the first who asks starts it, the last one stops it.

    Args:
        shared: a directory that all workers of this session see
    """
    state = shared / "postgres"
    with _locked(shared):
        users = int(state.read_text().split()[0]) if state.exists() else 0
        if users == 0:
            home, port = _start()
        else:
            home, port = state.read_text().split()[1:]
        state.write_text(f"{users + 1} {home} {port}")
    try:
        yield Cluster(int(port))
    finally:
        with _locked(shared):
            users = int(state.read_text().split()[0]) - 1
            state.write_text(f"{users} {home} {port}")
            if users == 0:
                _stop(Path(home))


@contextlib.contextmanager
def _locked(shared: Path) -> Iterator[None]:
    with (shared / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start() -> tuple[str, str]:
    bin_ = programs()
    home = Path(tempfile.mkdtemp(prefix="shplan-postgres-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(home, user=_nobody().pw_name)
    _watch(home)
    data, port = home / "data", _free_port()
    initdb = [bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    _run([*initdb, "--locale=C", "--no-sync"])
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": home,
        # Nothing here has to outlive the machine.
        "fsync": "off",
        "max_connections": 200,
        "shared_buffers": "16MB",
        "log_min_messages": "fatal",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    _run([bin_ / "pg_ctl", "-D", data, "-l", home / "log", "-w", "-o", options, "start"])
    return str(home), str(port)


def _watch(home: Path) -> None:
    """Where the whole session is killed nobody stops the server; so somebody looks after it."""
    session = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    if not Path(f"/proc/{session}").exists():
        return
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHER, "watch", str(home), str(session)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    # It is not waited for: it ends after us.
    _WATCHERS.append(watcher)


def _stop(home: Path) -> None:
    _run([programs() / "pg_ctl", "-D", home / "data", "-m", "immediate", "-w", "stop"])
    shutil.rmtree(home, ignore_errors=True)


def _run(command: list[object]) -> None:
    # It refuses to be run by root.
    user = _nobody() if os.getuid() == 0 else None
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        timeout=120,
    )
    if done.returncode:
        pytest.fail(f"{command[0]}: {done.stdout}")


def _nobody() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.fail("there is no user postgres and no user nobody to run PostgreSQL")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
