"""
Progress on stderr: live on a terminal, plain lines without one, JSON lines for programs.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Protocol, TextIO, cast

import orjson

from shplan.core.address import Address
from shplan.core.events import (
    BucketUnreadable,
    ChangeFinished,
    ChangeProgress,
    ChangeStarted,
    Event,
    LedgerHeld,
    ReceiptFileNotice,
    Retrying,
    Waiting,
)
from shplan.views.values import amount, clip, pu, safe

# At most a line so often for one change: logs of CI are read by people.
QUIET_S = 5.0
# A server's message can be a page of HTML.
_LONGEST_MESSAGE = 300


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


class _Forgiving(io.TextIOBase):
    """
    A stream that never raises: an apply does not end because nobody listens.

    Once the other end is gone (closed, a broken pipe), nothing more is written.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream: TextIO | None = stream
        # What a terminal can show decides how a spinner looks.
        self._encoding: str = getattr(stream, "encoding", None) or "utf-8"
        self._terminal = not stream.closed and stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def line(self, text: str) -> None:
        """Write a line at once, whatever happens after it."""
        self.write(text + "\n")
        self.flush()


class JsonLines:
    """One JSON object a line: the name of the event and its fields."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = _Forgiving(stream)

    def emit(self, event: Event) -> None:
        """Write an event."""
        fields = {name: _plain(getattr(event, name)) for name in type(event).__dataclass_fields__}
        self._stream.line(orjson.dumps({"event": type(event).__name__, **fields}).decode())

    def close(self) -> None:
        """Nothing is left open."""


class PlainLines:
    """Plain lines; what repeats is said at most every few seconds for each change."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        self._stream = _Forgiving(stream)
        self._monotonic = monotonic
        self._said: dict[Address | str, float] = {}

    def emit(self, event: Event) -> None:
        """Write an event, if it is time for it."""
        if isinstance(event, ChangeProgress | Waiting) and not self._is_time(event.address):
            return
        # A thousand requests that wait for one limit say so once.
        if isinstance(event, Retrying) and not self._is_time(event.operation):
            return
        self._stream.line(sentence(event))

    def close(self) -> None:
        """Nothing is left open."""

    def _is_time(self, about: Address | str) -> bool:
        now = self._monotonic()
        last = self._said.get(about)
        if last is not None and now - last < QUIET_S:
            return False
        self._said[about] = now
        return True


# Said once, and no line of a change that goes on.
_Passing = Retrying | BucketUnreadable | ReceiptFileNotice | LedgerHeld


class Live:
    """What runs, on one line redrawn in place; what is finished stays above it."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.status import Status  # noqa: PLC0415

        # rich ends the whole process on a broken pipe, if it sees one.
        quiet = cast("TextIO", _Forgiving(stream))
        self._console = Console(file=quiet, no_color=not color, highlight=False)
        self._status: Status | None = None
        self._running: dict[Address, str] = {}

    def emit(self, event: Event) -> None:
        """Redraw."""
        if isinstance(event, ChangeFinished | _Passing):
            self._console.print(sentence(event), markup=False, soft_wrap=True)
        if isinstance(event, ChangeFinished):
            self._running.pop(event.address, None)
        elif not isinstance(event, _Passing):
            # Out and in again, so that the last one is the one that moved last.
            self._running.pop(event.address, None)
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
        text = Text(next(reversed(self._running.values())), no_wrap=True, overflow="ellipsis")
        more = len(self._running) - 1
        if more:
            text.append(f"  (and {more:,} more)")
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
    "run": "running",
    "resume": "resuming",
}


def sentence(event: Event) -> str:
    """Word an event, on one line."""
    return safe(_worded(event))


def _worded(event: Event) -> str:
    match event:
        case ChangeStarted(address=address, action=action, members=members):
            tiles = f" ({amount(members, 'tile')})" if members else ""
            return f"{address}: {_DOING.get(action.value, action.value)}{tiles}"
        case ChangeProgress(address=address, done=done, total=total, what=what):
            if what.startswith("percent "):
                return f"{address}: {done} % {what.removeprefix('percent ')}"
            return f"{address}: {done:,} of {total:,}: {what}"
        case Waiting(address=address, reason=reason):
            return f"{address}: waiting: {reason}"
        case Retrying(operation=operation, reason=reason, seconds=seconds):
            return f"{operation}: {reason}; again in {seconds:.1f} s"
        case BucketUnreadable(message=message) | ReceiptFileNotice(message=message):
            return message
        case LedgerHeld(holder=holder, seconds=seconds):
            return f"waiting for the ledger, at most {seconds:,.0f} s: it is held by {holder}"
        case ChangeFinished():
            return _finished(event)


def _finished(event: ChangeFinished) -> str:
    cost = f", {pu(event.cost_pu)}" if event.cost_pu else ""
    reason = f": {clip(event.message, longest=_LONGEST_MESSAGE)}" if event.message else ""
    return f"{event.address}: {event.outcome} in {event.seconds:.1f} s{cost}{reason}"


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str) else str(getattr(value, "value", value))
