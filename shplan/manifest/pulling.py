"""
Writing pins: the only way into `shplan.lock`.

The file is read again at the last moment and replaced as a whole, so that nobody sees half of it; the
entries of other addresses and environments are written as they were read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shplan.core.address import Address
from shplan.core.catalog_items import Difference
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import ManifestError
from shplan.core.value import JsonObject
from shplan.manifest.geodata import sentence
from shplan.manifest.pins import LOCK_FILE, Lock, LockError, Pin, render_lock, sentence_of
from shplan.manifest.readings import Question, one_form, read_lock
from shplan.manifest.source import DiskReader, FileError, Files
from shplan.manifest.writing import write_whole
from shplan.providers.data import PIN, DataProvider


@dataclass(frozen=True, slots=True)
class Pulled:
    """
    One pin that was written.

    Args:
        difference: from what was pinned before
        count: how many items are pinned now
        was_pinned: there was an entry before
        is_used: its manifest says `pin: true`
    """

    address: Address
    pin: Pin
    difference: Difference
    count: int
    was_pinned: bool
    is_used: bool


def pull(
    root: Path,
    found: Sequence[tuple[Question, JsonObject]],
    *,
    environment: str,
    deployment: str,
    registry: Mapping[str, object],
) -> list[Pulled]:
    """
    Write what questions have found into the lock.

    Raises:
        ManifestError: there is a lock that cannot be read, or it cannot be written
    """
    lock = _lock(root)
    pulled: list[Pulled] = []
    for question, content in found:
        kind = registry[question.address.kind]
        assert isinstance(kind, DataProvider), "only data kinds ask"
        pin = Pin.of(deployment, one_form(kind, question.desired.spec), content)
        before = lock.pin(environment, question.address)
        known = before.content if before is not None and before.is_whole else {}
        pulled.append(
            Pulled(
                question.address,
                pin,
                kind.difference(known, content),
                kind.count(content),
                was_pinned=before is not None,
                is_used=question.desired.spec.get(PIN) is True,
            )
        )
        lock = lock.with_pin(environment, question.address, pin)
    _write(root / LOCK_FILE, render_lock(lock))
    return pulled


def _lock(root: Path) -> Lock:
    try:
        return read_lock(Files(root, DiskReader()))
    except FileError as error:
        what = f"{LOCK_FILE} {sentence(error)}"
        raise _refused(what, 1, "") from error
    except LockError as error:
        what = f"{LOCK_FILE} {sentence_of(error)}"
        raise _refused(what, error.line, error.hint) from error


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return
    try:
        write_whole(path, content)
    except OSError as error:
        what = f"{LOCK_FILE} cannot be written: {error.strerror or 'the system refuses'}."
        raise _refused(what, 1, "") from error


def _refused(what: str, line: int, hint: str) -> ManifestError:
    diagnostic = Diagnostic(
        "manifest/lock",
        "Lock cannot be used",
        what,
        why="What other addresses have pinned in it must not be lost.",
        hint=hint or f"take {LOCK_FILE} from the last good commit, and pull again",
        span=SourceSpan(LOCK_FILE, line, 1, 2),
    )
    return ManifestError(what, diagnostics=(diagnostic,))
