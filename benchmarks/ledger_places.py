"""
Where the ledgers of the benchmark lie: a directory, a bucket of moto's, PostgreSQL; and a floor of each.

A floor reads the lines as anybody would who has the library and nothing of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from shplan.cli.ledgers import open_backend
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.files import Files
from shplan.ledger.port import Backend

KINDS = ("directory", "s3", "postgresql")
ROOT = Path(__file__).parent.parent
BUCKET = "ledgers"
# In a process of its own: what it keeps in memory is not a reader's.
_MOTO = """
import time
from tests.support.s3 import make_bucket, moto_served
with moto_served() as url:
    make_bucket(url, "ledgers")
    print(url, flush=True)
    while True:
        time.sleep(60)
"""


class Unsynced(Files):
    """Waits for no disk: what is measured is our part."""

    def sync(self, descriptor: int) -> None:
        return


def opened(text: str) -> Backend:
    """Open a ledger as the command line does."""
    if text.startswith("/"):
        return DirectoryBackend(Path(text), files=Unsynced())
    return open_backend(text, root=ROOT, default="", environment=os.environ)


@contextmanager
def places(kind: str, scratch: Path) -> Iterator[list[str]]:
    """Yield the addresses of two empty ledgers, once whoever serves them does."""
    with ExitStack() as stack:
        if kind == "directory":
            yield [str(scratch / "small"), str(scratch / "large")]
        elif kind == "s3":
            os.environ |= {
                "AWS_ENDPOINT_URL": stack.enter_context(_moto()),
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
            }
            yield [f"s3://{BUCKET}/small", f"s3://{BUCKET}/large"]
        else:
            from tests.support.postgres import cluster  # noqa: PLC0415 - where it is measured

            server = stack.enter_context(cluster(scratch))
            base = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
            yield [f"{base}?schema=small", f"{base}?schema=large"]


@contextmanager
def _moto() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def lines(text: str) -> Iterator[bytes]:
    """Read all lines, with the library alone."""
    if text.startswith("/"):
        for segment in sorted(Path(text).glob("*.jsonl")):
            with segment.open("rb") as file:
                yield from file
    elif text.startswith("s3://"):
        yield from _lines_of_a_bucket(urlsplit(text).path.strip("/"))
    else:
        yield from _lines_of_a_table(text)


def _lines_of_a_bucket(prefix: str) -> Iterator[bytes]:
    import botocore.session  # noqa: PLC0415 - dear, and no part of the others

    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix=f"{prefix}/1/entries/"
    )
    for page in pages:
        for one in page.get("Contents", ()):
            content = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            yield from content.splitlines(keepends=True)


def _lines_of_a_table(text: str) -> Iterator[bytes]:
    import psycopg  # noqa: PLC0415 - dear, and no part of the others

    address, _, schema = text.partition("?schema=")
    with psycopg.connect(address) as connection, connection.cursor("floor") as cursor:
        cursor.itersize = 2000
        cursor.execute(f"SELECT line FROM {schema}.ledger_entry ORDER BY sequence".encode())
        for (line,) in cursor:
            yield line


def stopwatch() -> tuple[float, float]:
    """Return CPU and wall seconds."""
    return time.process_time(), time.perf_counter()
