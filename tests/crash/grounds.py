"""
The places where a ledger can lie, and how a process dies while it writes there.

A place joins by one class in `GROUNDS`: what the environment's `ledger:` says, how everything is
lost, kept and put back, and the hook at the seam where that backend changes anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.crash.grounds_postgres import Postgres
from tests.crash.grounds_s3 import Bucket
from tests.crash.strikes import Moment, Place, Striker


class Ground(Protocol):
    """One place for ledgers while a run of the harness lasts."""

    def url(self) -> str:
        """What the environment's `ledger:` says."""

    def environment(self) -> dict[str, str]:
        """Variables that the client needs to get there."""

    def lose(self) -> None:
        """Everything is gone."""

    def save(self) -> Callable[[], None]:
        """Keep what is there; what is returned puts it back, as often as it is called."""

    def strike_writes(self, striker: Striker) -> None:
        """In the process that dies: stand at every write of the ledger."""

    def close(self) -> None:
        """End what was started."""


class Directory:
    """The default: a directory; a write is bytes into a file, or the change of a name."""

    def __init__(self, home: Path, _: str) -> None:
        self._path = home / "ledger"

    def url(self) -> str:
        return f"file://{self._path}"

    def environment(self) -> dict[str, str]:
        return {}

    def lose(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)

    def save(self) -> Callable[[], None]:
        kept = {path.name: path.read_bytes() for path in self._files()}

        def put_back() -> None:
            self.lose()
            if kept:
                self._path.mkdir()
            for name, content in kept.items():
                (self._path / name).write_bytes(content)

        return put_back

    def _files(self) -> list[Path]:
        return [one for one in self._path.iterdir() if one.is_file()] if self._path.exists() else []

    def strike_writes(self, striker: Striker) -> None:
        from shplan.ledger.backends import directory
        from shplan.ledger.backends.files import Files

        class Struck(Files):
            def write(self, descriptor: int, content: bytes) -> None:
                lines = content.splitlines(keepends=True)
                form = "lines" if len(lines) > 1 else "bytes"
                number = striker.begins(Place.WRITE, f"{form} {len(content)}")
                parts = {
                    Moment.TORN: content[: len(content) // 2],
                    Moment.CUT: b"".join(lines[: len(lines) // 2]),
                }
                for moment, part in parts.items():
                    if striker.hits(Place.WRITE, number, moment):
                        super().write(descriptor, part)
                        striker.die()
                super().write(descriptor, content)
                striker.strike(Place.WRITE, number, Moment.WRITTEN)

            def rename(self, source: Path, target: Path) -> None:
                number = striker.begins(Place.WRITE, f"step {target.name}")
                super().rename(source, target)
                striker.strike(Place.WRITE, number, Moment.WRITTEN)

            def truncate(self, path: Path, size: int) -> None:
                number = striker.begins(Place.WRITE, f"step cut {path.name}")
                super().truncate(path, size)
                striker.strike(Place.WRITE, number, Moment.WRITTEN)

        directory.Files = Struck  # type: ignore[misc]

    def close(self) -> None:
        self.lose()


# Each takes a directory of its own, and the endpoint of the buckets that hold results.
GROUNDS: dict[str, Callable[[Path, str], Any]] = {
    "directory": Directory,
    "bucket": Bucket,
    "postgres": Postgres,
}
