"""
A real server of S3 that we did not write, in a process of its own: `python -m tests.crash.store URL`.

It holds the bucket of ledgers; what is asked of any other bucket is passed on to the sandbox's at that
URL, because a client knows one endpoint for both. Its clock goes ahead of the times that it writes down, so that everything in it looks old: the lease
of a holder that was killed has aged, and whoever comes next need not wait for a minute.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

AHEAD_S = 600.0
LEDGERS = "ledgers"
_OF_ONE_CONNECTION = frozenset({"connection", "transfer-encoding"})


def beside(ledgers: Callable[..., Iterable[bytes]], url: str) -> Callable[..., Iterable[bytes]]:
    """An application that serves the bucket of ledgers, and passes on what is asked of others."""
    where = urlsplit(url)

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["RAW_URI"]
        if urlsplit(path).path.split("/")[1] in ("", LEDGERS):
            return ledgers(environ, start)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {name[5:]: text for name, text in environ.items() if name.startswith("HTTP_")}
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        connection.request(
            environ["REQUEST_METHOD"],
            path,
            body,
            {name.replace("_", "-"): text for name, text in headers.items()},
        )
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        told = [(k, v) for k, v in answer.getheaders() if k.lower() not in _OF_ONE_CONNECTION]
        start(f"{answer.status} {answer.reason}", told)
        return [content]

    return app


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

    app = beside(DomainDispatcherApplication(create_backend_app), sys.argv[1])
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Ahead)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
