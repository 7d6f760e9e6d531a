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
    pages = "\n".join(_pages(program, "shplan", above=None))
    return f"# The command line\n\nMade from `--help` by `make docs`.\n\n{EXIT_CODES}\n{pages}"


def _pages(command: click.Command, name: str, *, above: click.Context | None) -> Iterator[str]:
    # As click makes it when the program runs: the settings of a command hold for those below.
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=above, **settings)
    text = command.get_help(context).rstrip()
    yield f"## `{context.command_path}`\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            if below is not None:
                yield from _pages(below, one, above=context)


if __name__ == "__main__":
    text = reference()
    TARGET.parent.mkdir(exist_ok=True)
    changed = not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text
    TARGET.write_text(text, encoding="utf-8")
    sys.stderr.write(f"docs/cli.md is {'written anew' if changed else 'as it was'}\n")
