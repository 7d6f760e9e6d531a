"""
Where and when a process is killed: around its n-th request, in its n-th write of the ledger, or
around its n-th write of a file of the project.

The hooks live in the process that dies. They stand at the seams of the client, the one place
that sends and those that write the ledger and the project, and what they do there is `SIGKILL`: nothing is
closed, flushed or caught.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit


class Place(Enum):
    """What is counted."""

    REQUEST = "request"
    WRITE = "write"
    FILE = "file"


class Moment(Enum):
    """When, around the n-th of them, the process dies."""

    BEFORE = "before it is sent"
    SERVED = "after the server acted, before the answer"
    ANSWERED = "after the answer, before anything else is sent or written"
    TORN = "with a part of it written"
    CUT = "with some of its lines written whole"
    WRITTEN = "when it was written, before anything else"


OF_FILES = (Moment.BEFORE, Moment.WRITTEN)
OF_REQUESTS = (Moment.BEFORE, Moment.SERVED, Moment.ANSWERED)
# What is one step of the system is written or not: it has no part.
OF_WRITES = {
    "bytes": (Moment.TORN, Moment.WRITTEN),
    "lines": (Moment.TORN, Moment.CUT, Moment.WRITTEN),
    "step": (Moment.WRITTEN,),
    # Elsewhere it is a request, which has arrived whole or not at all.
    "object": (Moment.BEFORE, Moment.WRITTEN),
    "transaction": (Moment.TORN, Moment.WRITTEN),
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One death; `request:7:served` as text."""

    place: Place
    at: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.place.value}:{self.at}:{self.moment.name.lower()}"

    @classmethod
    def parse(cls, text: str) -> Strike:
        place, at, moment = text.split(":")
        return cls(Place(place), int(at), Moment[moment.upper()])


@dataclass(frozen=True, slots=True)
class Boundary:
    """What one process came by: a request, or a write of the ledger."""

    place: Place
    number: int
    what: str
    """`METHOD path` of a request; of a write first what it is, see `OF_WRITES`."""

    def strikes(self) -> tuple[Strike, ...]:
        if self.place is Place.WRITE:
            moments = OF_WRITES[self.what.split()[0]]
        else:
            moments = OF_REQUESTS if self.place is Place.REQUEST else OF_FILES
        return tuple(Strike(self.place, self.number, moment) for moment in moments)


class Striker:
    """
    Counts boundaries, writes each of them down, and kills its own process at the chosen one.

    Args:
        strike: none: nobody dies
        trace: a descriptor that takes one line for each boundary
    """

    def __init__(self, strike: Strike | None, trace: int) -> None:
        self._strike = strike
        self._trace = trace
        self._counts = dict.fromkeys(Place, 0)
        self._doomed = False

    def begins(self, place: Place, what: str) -> int:
        """A boundary begins; returns its number. Who is doomed comes no further."""
        if self._doomed:
            self.die()
        self._counts[place] += 1
        number = self._counts[place]
        os.write(self._trace, f"{place.value}\t{number}\t{what}\n".encode())
        return number

    def hits(self, place: Place, number: int, moment: Moment) -> bool:
        return self._strike == Strike(place, number, moment)

    def strike(self, place: Place, number: int, moment: Moment) -> None:
        """Die here, if this is the place."""
        if self.hits(place, number, moment):
            self.die()

    def doom(self) -> None:
        """Die at the next boundary."""
        self._doomed = True

    def die(self) -> None:
        os.write(self._trace, b"killed\n")
        os.kill(os.getpid(), signal.SIGKILL)


def read_trace(text: str) -> tuple[tuple[Boundary, ...], bool]:
    """Return the boundaries of a trace, and whether the process was killed at one."""
    lines = text.splitlines()
    rows = [line.split("\t") for line in lines if line != "killed"]
    found = tuple(Boundary(Place(place), int(number), what) for place, number, what in rows)
    return found, "killed" in lines


def strike_requests(striker: Striker) -> None:
    """Stand between the client and its sockets."""
    from shplan.api.transport import HttpxTransport

    sends = HttpxTransport.send

    async def send(self: Any, method: str, url: str, **more: Any) -> Any:
        number = striker.begins(Place.REQUEST, f"{method} {urlsplit(url).path}")
        striker.strike(Place.REQUEST, number, Moment.BEFORE)
        answer = await sends(self, method, url, **more)
        # The answer is here, so the server has acted; nobody above has seen it.
        striker.strike(Place.REQUEST, number, Moment.SERVED)
        if striker.hits(Place.REQUEST, number, Moment.ANSWERED):
            striker.doom()
        return answer

    HttpxTransport.send = send  # type: ignore[method-assign]


def strike_files(striker: Striker) -> None:
    """Stand between the client and the files of the project that answers go to."""
    from shplan.storage.project_files import ProjectFiles

    for name in ("_write_part", "_put_in_place"):
        _strike(ProjectFiles, name, striker)


def _strike(files: Any, name: str, striker: Striker) -> None:
    inner = getattr(files, name)

    def struck(self: Any, draft: Any) -> None:
        number = striker.begins(Place.FILE, f"{name} {draft.path}")
        striker.strike(Place.FILE, number, Moment.BEFORE)
        inner(self, draft)
        striker.strike(Place.FILE, number, Moment.WRITTEN)

    setattr(files, name, struck)


class SandboxClock:
    """
    The client's clock where the sandbox's stands still: whoever sleeps moves that one.

    Nothing is waited for, and time goes on by what the client itself has decided to wait.
    """

    def __init__(self, tick: Any, real: Any) -> None:
        self._tick = tick
        self._real = real
        self._slept_s = 0.0

    def now(self) -> Any:
        return self._real.now()

    def monotonic(self) -> float:
        return self._real.monotonic() + self._slept_s

    async def sleep(self, seconds: float) -> None:
        self._slept_s += seconds
        if seconds > 0:
            self._tick(seconds)
        await asyncio.sleep(0)
