"""
The sandbox inside the process of a command: its data lies in `.shplan/sandbox/`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        PlanError: the packages of the sandbox are not installed
    """
    require_packages()
    from shplan.sandbox.app import close_app, create_app  # noqa: PLC0415
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415
    from shplan.sandbox.settings import FILE_NAME, Settings  # noqa: PLC0415

    data = root / DATA
    settings = None if (data / FILE_NAME).exists() else Settings(speed=SPEED)
    app = create_app(data, clock=SystemClock(), settings=settings)
    instance: str = app.state.world.store.instance
    return app, instance, lambda: close_app(app)


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
