"""
What shows the progress of a command on stderr.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from shplan.cli.options import Options

if TYPE_CHECKING:
    from shplan.engine.ports import EventSink


class Listening:
    """The progress on stderr, closed at the end."""

    def __init__(self, options: Options) -> None:
        from shplan.views.progress import make_progress  # noqa: PLC0415

        self._sink = make_progress(
            sys.stderr,
            live=sys.stderr.isatty() and options.log == "text",
            as_json=options.log == "json",
            color=options.color,
        )

    def __enter__(self) -> EventSink:
        return self._sink

    def __exit__(self, *error: object) -> None:
        self._sink.close()
