"""A sandbox in a process of its own, on a real port."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import shplan

SERVER = """
import sys
from pathlib import Path
from shplan.sandbox.serve import serve

serve(Path(sys.argv[1]), announce=lambda text: print(text, flush=True))
"""
PROFILE_LINES = 5


@contextmanager
def sandbox_process(data: Path) -> Iterator[str]:
    """Its address, as long as it runs."""
    command = [sys.executable, "-c", SERVER, str(data)]
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(PROFILE_LINES)]
        try:
            yield str(tomllib.loads("".join(told))["sandbox"]["sh_base_url"])
        finally:
            process.terminate()
            assert process.wait(timeout=10) in (0, -15)
