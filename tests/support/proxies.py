"""A way to a server that breaks at a chosen moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class Break(Enum):
    """When the connection ends."""

    BEFORE = "before the server gets the request"
    AFTER = "after the server has answered, before the answer arrives"


@dataclass
class Proxy:
    """
    Passes connections on.

    Args:
        break_at: number of the request, over all connections, at which one ends; None: never
        breaks: how many requests in a row are broken from there on
        requests: how many there were
    """

    port: int
    kind: Break = Break.BEFORE
    break_at: int | None = None
    breaks: int = 1
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Break | None:
        with self.lock:
            number, self.requests = self.requests, self.requests + 1
            first = self.break_at
            struck = first is not None and first <= number < first + self.breaks
            return self.kind if struck else None


@contextlib.contextmanager
def proxied(server: int) -> Iterator[Proxy]:
    """
    A proxy before a port of this machine; a request is what a client sends at a time.

    The client speaks, the server answers, in turns, as with PostgreSQL.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listener.getsockname()[1])

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pass_on, args=(proxy, client, server), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _pass_on(proxy: Proxy, client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Once the answer to the last request is not to arrive any more, and once it is there.
        mute, answered = threading.Event(), threading.Event()
        arguments = (server, client, mute, answered)
        threading.Thread(target=_answers, args=arguments, daemon=True).start()
        with contextlib.suppress(OSError):
            while request := client.recv(2**20):
                broken = proxy.next()
                if broken is Break.BEFORE:
                    break
                if broken is Break.AFTER:
                    mute.set()
                server.sendall(request)
                if broken is Break.AFTER:
                    answered.wait(30)
                    break
        _end(client)
        _end(server)


def _answers(
    server: socket.socket,
    client: socket.socket,
    mute: threading.Event,
    answered: threading.Event,
) -> None:
    with contextlib.suppress(OSError):
        while answer := server.recv(2**20):
            if mute.is_set():
                answered.set()
                return
            client.sendall(answer)
    answered.set()
    _end(client)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
