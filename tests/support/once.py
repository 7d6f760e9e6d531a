"""
What tests of one process need again and again, and need make but once.

The certificates of this machine, the tables that botocore ships, the patterns of a sandbox's
paths, and the tables of an empty one. Tests of those tables make their own (`own_stores`), as do
sandboxes in processes of their own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import starlette.routing
from botocore.loaders import Loader, create_loader

from shplan.sandbox.store import FILE_NAME, Store

_CREATE_CONTEXT = httpx.create_ssl_context
_MAKE_STORE = Store.__init__


@contextmanager
def made_once() -> Iterator[None]:
    """Let all tests of a process share these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", _trusting)
        patch.setattr("botocore.session.create_loader", _loader)
        patch.setattr(Store, "__init__", _opened)
        patch.setattr("starlette.routing.compile_path", cache(starlette.routing.compile_path))
        yield


@contextmanager
def own_stores() -> Iterator[None]:
    """Let each sandbox make its tables, as it does for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "__init__", _MAKE_STORE)
        yield


# --- certificates ---------------------------------------------------------------------------------


def _trusting(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
    named = trust_env and any(os.environ.get(f"SSL_CERT_{what}") for what in ("FILE", "DIR"))
    if verify is not True or cert is not None or named:
        return _CREATE_CONTEXT(verify=verify, cert=cert, trust_env=trust_env)
    return _default()


@cache
def _default() -> Any:
    return _CREATE_CONTEXT(trust_env=False)


# --- botocore's tables ----------------------------------------------------------------------------


@cache
def _loader(search_path: str | None = None) -> Loader:
    # It keeps what it has read: the clients of one session share it as well.
    return create_loader(search_path)


# --- empty stores ---------------------------------------------------------------------------------


def _opened(self: Store, data: Path, *, families: Sequence[Any] = ()) -> None:
    if not (data / FILE_NAME).exists():
        data.mkdir(parents=True, exist_ok=True)
        _place(data / FILE_NAME, _empty(tuple(families)))
    _MAKE_STORE(self, data, families=families)


def _place(path: Path, content: bytes) -> None:
    """Make a file whole, unless another process has been faster."""
    with tempfile.NamedTemporaryFile(dir=path.parent) as half:
        half.write(content)
        half.flush()
        with suppress(FileExistsError):
            os.link(half.name, path)


@cache
def _empty(families: tuple[Any, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as home:
        store: Any = Store.__new__(Store)
        _MAKE_STORE(store, Path(home), families=families)
        store.close()
        return (Path(home) / FILE_NAME).read_bytes()
