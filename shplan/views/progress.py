"""
Progress on stderr: live on a terminal, plain lines without one, JSON lines for programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TextIO

import orjson

from shplan.core.address import Address
from shplan.core.events import (
    ChangeFinished,
    ChangeProgress,
    ChangeStarted,
    Event,
    Retrying,
    Waiting,
)
from shplan.views.values import pu

# At most a line so often for one change: logs of CI are read by people.
QUIET_S = 5.0


class Progress(Protocol):
    """An event sink that is closed at the end."""

    def emit(self, event: Event) -> None:
        """Show an event."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def make_progress(stream: TextIO, *, live: bool, as_json: bool, color: bool) -> Progress:
    """
    Return what shows progress.

    Args:
        stream: usually stderr
        live: it is a terminal that can be redrawn
        as_json: one event a line, for programs
    """
    if as_json:
        return JsonLines(stream)
    if live:
        return Live(stream, color=color)
    return PlainLines(stream, time.monotonic)


class JsonLines:
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def emit(self, event: Event) -> None:
        """Write an event."""
        fields = {name: _plain(getattr(event, name)) for name in type(event).__dataclass_fields__}
        line = orjson.dumps({"event": type(event).__name__, **fields})
        self._stream.write(line.decode() + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left open."""


class PlainLines:
    """Plain lines; what repeats is said at most every few seconds for each change."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._said: dict[Address, float] = {}

    def emit(self, event: Event) -> None:
        """Write an event, if it is time for it."""
        if isinstance(event, ChangeProgress | Waiting) and not self._is_time(event.address):
            return
        line = sentence(event)
        if line:
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is left open."""

    def _is_time(self, address: Address) -> bool:
        now = self._monotonic()
        if now - self._said.get(address, -QUIET_S) < QUIET_S:
            return False
        self._said[address] = now
        return True


class Live:
    """A line a running change, redrawn in place; finished ones stay above."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.status import Status  # noqa: PLC0415

        self._console = Console(file=stream, no_color=not color, highlight=False)
        self._status: Status | None = None
        self._running: dict[Address, str] = {}

    def emit(self, event: Event) -> None:
        """Redraw."""
        if isinstance(event, ChangeFinished):
            self._running.pop(event.address, None)
            self._console.print(sentence(event), markup=False)
        elif isinstance(event, Retrying):
            self._console.print(sentence(event), markup=False)
        else:
            self._running[event.address] = sentence(event)
        self._redraw()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _redraw(self) -> None:
        from rich.text import Text  # noqa: PLC0415

        if not self._running:
            self.close()
            return
        text = Text(next(reversed(self._running.values())))
        more = len(self._running) - 1
        if more:
            text.append(f"  (and {more} more)")
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)


_DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "adopt": "adopting",
    "replace": "replacing",
    "move": "moving",
    "forget": "forgetting",
}


def sentence(event: Event) -> str:
    """Word an event."""
    match event:
        case ChangeStarted(address=address, action=action, members=members):
            tiles = f" ({members:,} tiles)" if members else ""
            return f"{address}: {_DOING.get(action.value, action.value)}{tiles}"
        case ChangeProgress(address=address, done=done, total=total, what=what):
            return f"{address}: {done:,} of {total:,}: {what}"
        case Waiting(address=address, reason=reason):
            return f"{address}: waiting: {reason}"
        case Retrying(operation=operation, reason=reason, seconds=seconds):
            return f"{operation}: {reason}; again in {seconds:.1f} s"
        case ChangeFinished():
            return _finished(event)


def _finished(event: ChangeFinished) -> str:
    cost = f", {pu(event.cost_pu)}" if event.cost_pu else ""
    reason = f": {event.message}" if event.message else ""
    return f"{event.address}: {event.outcome} in {event.seconds:.1f} s{cost}{reason}"


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str) else str(getattr(value, "value", value))
