"""Sandboxes in processes of their own, which can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import shplan

from .support import TOKEN

_PROGRAM = """
import sys
from pathlib import Path
from shplan.sandbox.serve import serve

serve(Path(sys.argv[1]), s3_port=0, announce=lambda text: print(text, flush=True))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves, and its two addresses."""

    process: subprocess.Popen[str]
    api: str
    s3: str

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client with a token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox",
            "client_secret": "sandbox",
        }
        with httpx.Client(base_url=self.api, timeout=60) as client:
            token = client.post(TOKEN, data=form).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            yield client


@contextmanager
def server(data: Path) -> Iterator[Server]:
    """A sandbox on this directory, killed at the end if it still runs."""
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    command = [sys.executable, "-c", _PROGRAM, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(8)]
            base = next(line for line in told if line.startswith("sh_base_url")).split('"')[1]
            s3 = next(line for line in told if "AWS_ENDPOINT_URL=" in line).split("=")[1].strip()
            yield Server(process, base, s3)
        finally:
            process.kill()
