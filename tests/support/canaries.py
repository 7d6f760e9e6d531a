"""
Every test leaves its files and what it printed without a canary: a plugin of the whole suite.

A canary is a secret of a test, a text that begins with `canary-`. Whatever a test or a program that
it starts has written below its temporary directory is searched for one when it ends: plans,
ledgers, logs, crash reports, pages, the stores of sandboxes. So is what was captured. Files that
hold one because the test put it there are `planted`; the sandbox's own are, where it is told to
echo secrets.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

_SIGN = b"canary-"
# As it is, in base 64 behind none, one and two other bytes, and in UTF-16.
_FORMS = (
    _SIGN,
    b64encode(_SIGN)[:9],
    b64encode(b"\0" + _SIGN)[2:10],
    b64encode(b"\0\0" + _SIGN)[3:12],
    _SIGN.decode().encode("utf-16-le"),
)
# More than any form has in a row.
_ZEROS = re.compile(rb"\0{64,}")
_PIECE_BYTES = 16 << 20
_PLANTED: set[Path] = set()


def planted(path: Path, text: str | None = None) -> Path:
    """Note that a file, or all below a directory, may hold canaries; write the text if there is one."""
    _PLANTED.add(path.absolute())
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path


def leaks(root: Path) -> list[str]:
    """Every file below a directory that holds a canary which nobody planted there."""
    return [str(path) for path in _files(root.absolute()) if _holds(path)]


def _files(root: Path) -> Iterator[Path]:
    if root in _PLANTED or root.is_symlink():
        return
    if root.is_file():
        yield root
    elif root.is_dir():
        for path in sorted(root.iterdir()):
            yield from _files(path)


def _holds(path: Path) -> bool:
    if path.stat().st_blocks == 0:
        return False  # nothing was written: a test made it large without filling it
    try:
        with path.open("rb") as stream:
            tail = b""
            while piece := stream.read(_PIECE_BYTES):
                if _is_in(tail + piece):
                    return True
                tail = piece[-32:]
    except OSError:
        return False
    return False


def _is_in(content: bytes) -> bool:
    """Look for one form after the other: all of them in one pattern take three times as long."""
    # The stores of sandboxes are full of zeros, which take longest where UTF-16 is looked for.
    searched = _ZEROS.sub(b"", content)
    return any(form in searched for form in _FORMS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Search what a test that passed has left; one that failed shows what it compared."""
    found = "" if getattr(item, "failed_call", False) else _found(item)
    yield
    if found:
        pytest.fail(found, pytrace=False)


def _found(item: pytest.Item) -> str:
    root = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(root, Path) and (left := leaks(root)):
        return f"a canary is left in {', '.join(left)}"
    for _, name, text in item._report_sections:
        if _SIGN.decode() in text:
            return f"a canary was printed to {name}"
    return ""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember how the test itself ended."""
    yield
    if call.when == "call" and call.excinfo is not None:
        item.failed_call = True  # type: ignore[attr-defined]


@pytest.fixture(autouse=True, scope="session")
def no_canary_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search once more at the end: what several tests share, and what was written late."""
    yield
    found = leaks(tmp_path_factory.getbasetemp())
    assert not found, f"a canary is left in {', '.join(found)}"
