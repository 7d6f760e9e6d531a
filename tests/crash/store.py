"""
A real server of S3 that we did not write, in a process of its own: `python -m tests.crash.store`.

Its clock goes ahead of the times that it writes down, so that everything in it looks old: the lease
of a holder that was killed has aged, and whoever comes next need not wait for a minute.
"""

from __future__ import annotations

import sys
import time
from typing import Any

AHEAD_S = 600.0


def main() -> None:
    """Serve until standard input ends."""
    import threading

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Ahead(WSGIRequestHandler):
        # Head and body are two writes; the second would wait for the first to be acknowledged.
        disable_nagle_algorithm = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + AHEAD_S)

        def log_request(self, *_: Any) -> None:
            """Nobody reads it."""

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Ahead)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
