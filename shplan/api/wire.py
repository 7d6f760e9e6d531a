"""
What a transport is: bytes out, bytes in, and one kind of fault.

Plain values, so that whoever only decides or encodes need not load an HTTP library;
`transport` and `network` make the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from shplan.api.hosts import Origin
from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Received:
    """
    An answer as bytes.

    Args:
        headers: by lower-case name
        content: unpacked
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


class TransportFault(Exception):  # noqa: N818  never leaves this room
    """
    No answer.

    Args:
        message: a short reason without secrets
        left: whether the request can have reached the server
        permanent: whether the next attempt would fare the same
    """

    def __init__(self, message: str, *, left: bool, permanent: bool = False) -> None:
        super().__init__(message)
        self.left = left
        self.permanent = permanent


class Transport(Protocol):
    """Sends one request and reads the whole answer."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes
    ) -> Received:
        """
        Send.

        Raises:
            TransportFault: there is no answer
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """
    How long a request may take.

    Args:
        connect_s: to reach the server
        read_s: without a byte
        whole_s: until the last byte; a server that trickles does not hold us for ever
    """

    connect_s: float = 10.0
    read_s: float = 120.0
    whole_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Network:
    """
    What differs between machines, named by the caller.

    Args:
        connections: at most open to the service; follows the parallelism
        proxies: by origin; loopback is never asked through a proxy, http would show it the token
        ca_file: of a company's own authority, beside the built-in ones
        longest_answer_bytes: unpacked; more is a fault, not an answer
    """

    connections: int = 8
    proxies: Mapping[Origin, str] = field(default_factory=dict)
    ca_file: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    longest_answer_bytes: int = 256 * 2**20
