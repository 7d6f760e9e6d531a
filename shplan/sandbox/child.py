"""
A served sandbox as a child of another program: it says where it is, and ends with its parent.

In a process of its own nothing that a test does to its own process concerns it: warnings that are
errors, a frozen clock, sockets that are forbidden. `testing` starts it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shplan.sandbox.clock import StoppedClock, SystemClock
from shplan.sandbox.remote_buckets import from_environment
from shplan.sandbox.serve import Server
from shplan.sandbox.settings import Settings
from shplan.sandbox.wire import decode_object

if TYPE_CHECKING:
    from shplan.sandbox.address import Address
    from shplan.sandbox.wire import JsonObject


def main(given: str) -> None:
    """
    Serve until standard input ends, as it does when the parent closes it or dies.

    Args:
        given: JSON text of an object with `data`, a directory; `stopped`, whether time stands
            still; and `settings`
    """
    options = decode_object(given)
    server = Server(
        Path(str(options["data"])),
        s3_port=0,
        clock=StoppedClock() if options["stopped"] else SystemClock(),
        settings=Settings().patched(cast("JsonObject", options["settings"])),
        remote=from_environment(os.environ),
    )

    def announce(address: Address) -> None:
        threading.Thread(target=_leave_at_the_end_of_input, args=(server,), daemon=True).start()
        print(address.as_json(), flush=True)  # noqa: T201 to the parent

    server.run(announce)


def _leave_at_the_end_of_input(server: Server) -> None:
    sys.stdin.buffer.read()
    server.leave()


if __name__ == "__main__":
    main(sys.argv[1])
