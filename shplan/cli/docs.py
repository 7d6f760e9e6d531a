"""
The reference of the command line, written from its own help: `python -m shplan.cli.docs`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from shplan.cli.main import program

TARGET = Path(__file__).parents[2] / "docs" / "cli.md"
WIDTH = 100
EXIT_CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | an error: wrong usage, wrong manifests, a declined prompt, no terminal to ask on |
| 2 | changes are pending (`plan --detailed-exitcode`, `fmt --check`) |
| 3 | some changes failed or are blocked, the rest is done; the same command resumes |
| 4 | the saved plan is stale, foreign or changed |
| 5 | a policy, a budget or a protection refused |
| 6 | the ledger is locked |
| 7 | an outcome is unknown and a person must decide |
| 70 | a bug in shplan |
| 130 | interrupted |
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    pages = "\n".join(_pages(program, ("shplan",)))
    return f"# The command line\n\nMade from `--help` by `make docs`.\n\n{EXIT_CODES}\n{pages}"


def _pages(command: click.Command, names: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(
        command, info_name=" ".join(names), terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"## `{' '.join(names)}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _pages(below, (*names, name))


if __name__ == "__main__":
    text = reference()
    TARGET.parent.mkdir(exist_ok=True)
    changed = not TARGET.exists() or TARGET.read_text() != text
    TARGET.write_text(text)
    sys.stderr.write(f"docs/cli.md is {'written anew' if changed else 'as it was'}\n")
