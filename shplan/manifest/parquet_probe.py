"""
Whether a Parquet file can be read in the memory that a table may take at a time.

No look at a file can tell: what its footer and the headers of its pages say of sizes need not be so, and some
encodings unpack one byte to many. So the file is read once by a process of its own, which keeps nothing and whose
memory the system bounds. There the library may also end the process, as it does for some broken files. Where the
system bounds no memory (Linux does), the file is read all the same, and only that end is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path

# Beside the file and what the library takes by itself.
MOST_AT_ONCE = 1 << 30
# What the process has before, where the system does not tell.
_USUAL = 1 << 28
_BOOT = (
    "import json,sys;sys.path[:]=json.loads(sys.argv[1]);"
    "from shplan.manifest.parquet_probe import main;main()"
)
# What a process needs of its environment to start at all; everything else stays with the parent.
_ENVIRONMENT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# A project is loaded several times while it is planned.
_known: dict[bytes, Reading] = {}


class Reading(Enum):
    """
    How a file can be read: as the code with which the process ends.

    PACKED: with its dictionaries. LOOSE: without them, as some encodings need it. BEYOND: not at all.
    What is no Parquet is PACKED: whoever reads it finds that, and says so.
    """

    PACKED = 0
    LOOSE = 3
    BEYOND = 4


def probe(content: bytes) -> Reading:
    """Tell how a file can be read in the memory that it takes itself and `MOST_AT_ONCE`."""
    digest = hashlib.sha256(content).digest()
    if digest not in _known:
        _known[digest] = _probed(content)
    return _known[digest]


def _probed(content: bytes) -> Reading:
    root = str(Path(__file__).parents[2])
    path = [root, *(one for one in sys.path if Path(one).is_absolute() and one != root)]
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - our own module, in our own interpreter
            [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(path)],
            input=content,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Its own pools set memory aside that nobody uses.
            env={"TZ": "UTC", "ARROW_DEFAULT_MEMORY_POOL": "system", **kept},
            check=False,
        )
    except OSError:
        # There is not even the memory for a process.
        return Reading.BEYOND
    told = {one.value: one for one in Reading}
    return told.get(done.returncode, Reading.BEYOND)


def main() -> None:
    """Read the file on standard input, in the process that is bounded."""
    from shplan.manifest.members_parquet import pass_over  # noqa: PLC0415 - it asks for this

    content = sys.stdin.buffer.read()
    _bound()
    try:
        # An encoding that others write, DELTA_BYTE_ARRAY, has no dictionaries.
        modes = (Reading.PACKED, Reading.LOOSE)
        reading = next((one for one in modes if pass_over(content, one)), Reading.PACKED)
    except MemoryError:
        reading = Reading.BEYOND
    sys.exit(reading.value)


def _bound() -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not everywhere

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _data_bytes() + MOST_AT_ONCE
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        # The library may end the process; nobody reads what it would leave.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _data_bytes() -> int:
    """Return what the process has by now, as the limit counts it."""
    # Source: proc(5), /proc/[pid]/status.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return _USUAL
    told = next(line for line in lines if line.startswith("VmData:"))
    return int(told.split()[1]) << 10
