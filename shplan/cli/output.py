"""
Data to stdout, talk to stderr.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from shplan.cli.options import Options
from shplan.core.errors import LedgerError
from shplan.core.value import JsonValue
from shplan.views.terminal import harmless, harmless_json

if TYPE_CHECKING:
    from shplan.ledger.journal import Journal

PLAIN_WIDTH = 100


def write_json(document: JsonValue) -> None:
    """Write one JSON document to stdout, the same bytes for the same content."""
    import orjson  # noqa: PLC0415

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    click.echo(harmless_json(orjson.dumps(document, option=options).decode()), nl=False)


def write_text(text: str) -> None:
    """Write text to stdout, with exactly one line break at its end."""
    click.echo(harmless(text.rstrip("\n")))


def write_now(text: str) -> None:
    """Write a piece of text to stdout as it is, so that it is read at once."""
    click.echo(harmless(text), nl=False)
    sys.stdout.flush()


def is_screen() -> bool:
    """Tell whether stdout is a terminal that can be redrawn."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Write to stderr: as it is, or as one event on one line where `--log json` asks for that."""
    context = click.get_current_context(silent=True)
    as_events = context is not None and context.params.get("log") == "json"
    click.echo(message_event(text) if as_events else harmless(text), err=True)


async def say_holder(journal: Journal) -> None:
    """Say on stderr who holds the ledger, if anybody; who may not see it is told nothing."""
    with contextlib.suppress(LedgerError):
        holder = await journal.holder()
        if holder is not None:
            say(f"The ledger is held by {holder}: somebody applies at this moment.")


def message_event(text: str) -> str:
    """Return what is said as an event, in the form of the progress (`views/progress.py`)."""
    import orjson  # noqa: PLC0415

    return harmless_json(orjson.dumps({"event": "Message", "text": text.strip()}).decode())


def use_color(options: Options) -> bool:
    """Tell whether stdout may be coloured (https://no-color.org)."""
    return options.color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()


def width() -> int:
    """Return the columns of the terminal, a fixed number without one."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return max(60, min(shutil.get_terminal_size().columns, 140))
