"""
The sandbox inside the process of a command: its data lies in `.shplan/sandbox/`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shplan.cli.given import kept_place
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import PlanError

DATA = Path(".shplan/sandbox")
# In a command nobody wants to watch an ingestion that computes nothing but time.
SPEED = 20.0


def open_sandbox(root: Path) -> tuple[Any, str, Callable[[], None]]:
    """
    Open the sandbox of a project.

    Returns:
        the ASGI application, the identity of this instance, and what closes it

    Raises:
        PlanError: the packages of the sandbox are not installed, or its state cannot be read
    """
    require_packages()
    from shplan.sandbox.app import close_app, create_app  # noqa: PLC0415
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415
    from shplan.sandbox.remote_buckets import from_environment  # noqa: PLC0415
    from shplan.sandbox.settings import FILE_NAME, Settings  # noqa: PLC0415

    data = kept_place(root, DATA.as_posix())
    with readable(DATA):
        settings = None if (data / FILE_NAME).exists() else Settings(speed=SPEED)
        remote = from_environment(os.environ)
        app = create_app(data, clock=SystemClock(), settings=settings, remote=remote)
        instance: str = app.state.world.store.instance
    return app, instance, lambda: close_app(app)


@contextmanager
def readable(data: Path) -> Iterator[None]:
    """
    Say in a person's words that a sandbox's own files cannot be read.

    Args:
        data: its directory, as it is shown

    Raises:
        PlanError: its database or its settings are damaged
    """
    import sqlite3  # noqa: PLC0415

    from shplan.sandbox.settings import SettingsError  # noqa: PLC0415

    try:
        yield
    except sqlite3.Error as error:
        what = f"the database in {data} cannot be used: {error}."
        raise _unreadable(what, hint=f"shplan sandbox reset --data {data}") from error
    except (SettingsError, ValueError) as error:
        what = f"{data}/settings.json cannot be used: {error}."
        raise _unreadable(what, hint="correct the file, or delete it for the defaults") from error


def _unreadable(what: str, *, hint: str) -> PlanError:
    diagnostic = Diagnostic(
        code="sandbox/unreadable",
        summary="The sandbox cannot be read",
        what=what,
        why="Its state is kept between commands; the files in its buckets are not concerned.",
        hint=hint,
    )
    return PlanError(diagnostic.what, diagnostics=(diagnostic,))


def require_packages() -> None:
    """
    Check that the sandbox can run.

    Raises:
        PlanError: its packages are not installed
    """
    if all(importlib.util.find_spec(name) for name in ("starlette", "rasterio")):
        return
    diagnostic = Diagnostic(
        code="sandbox/not-installed",
        summary="The sandbox is not installed",
        what="this environment is the embedded sandbox, and its packages are missing.",
        why="A client of the real service does not need them, so they are an extra.",
        hint="pip install 'shplan[sandbox]'",
    )
    raise PlanError(diagnostic.what, diagnostics=(diagnostic,))
