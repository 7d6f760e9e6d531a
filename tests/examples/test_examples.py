"""Every example: valid, planned as its golden says, applied, and then nothing is left to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import SystemClock
from shplan.sandbox.settings import Settings
from tests.support.cogs import write_tile

EXAMPLES = Path(__file__).parents[2] / "examples"
# What lies in the bucket before an example is applied: bucket, folders, bands.
IMAGERY: dict[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = {
    "01-first-collection": (("acme-fields", ("2025/06/01", "2025/06/11"), ("B04", "B08")),),
    "02-tiles-from-csv": (
        ("acme-orchards", ("2025/06/01", "2025/06/11", "2025/06/21"), ("B04", "B08")),
    ),
    "03-tiles-from-geojson": (("acme-meadows", ("2025/06/01", "2025/06/11"), ("B04",)),),
    "04-for-each": (
        ("acme-north", ("2025/06/01",), ("B04",)),
        ("acme-south", ("2025/06/01",), ("B04",)),
    ),
    "05-environments-and-variables": (("acme-2024", ("2024/06/01",), ("B04",)),),
    "06-unmanaged-collection": (("shared", ("2025/06/01",), ("B04",)),),
}


def shplan(home: Path, *arguments: str, code: int = 0) -> str:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("SH_", "SHPLAN_", "CI"))
    }
    command = [sys.executable, "-m", "shplan", *arguments]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def prepare(name: str, home: Path) -> None:
    data = home / ".shplan" / "sandbox"
    for bucket, folders, bands in IMAGERY[name]:
        for folder in folders:
            write_tile(data / "buckets", bucket, folder, bands=bands)
    if name == "06-unmanaged-collection":
        asyncio.run(share(data))


async def share(data: Path) -> None:
    """Somebody else makes the collection that the example refers to."""
    app = create_app(data, clock=SystemClock(), settings=Settings(seed="shared", speed=20))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox",
            "client_secret": "sandbox",
        }
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        made = await client.post(
            "/byoc/v1/collections",
            json={"name": "Shared by everybody", "s3Bucket": "shared"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert made.status_code == 201
    close_app(app)


def test_every_example_has_imagery() -> None:
    """A new example is not forgotten by the tests."""
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(IMAGERY)


@pytest.mark.parametrize("name", sorted(IMAGERY))
def test_example(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    shutil.copytree(EXAMPLES / name, home)
    prepare(name, home)
    shplan(home, "validate")
    shplan(home, "fmt", "--check")
    text = shplan(home, "plan")
    golden = EXAMPLES / name / "plan.golden.txt"
    if os.environ.get("SHPLAN_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    shplan(home, "apply", "--auto-approve")
    again = shplan(home, "plan", "--detailed-exitcode")
    assert again.startswith("No changes.")
    shplan(home, "ledger", "verify")
