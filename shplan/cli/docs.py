"""
The reference of the command line, written from its own help, and the sandbox's table of settings.

    python -m shplan.cli.docs
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from shplan.cli.main import program
from shplan.sandbox.settings import Settings

TARGET = Path(__file__).parents[2] / "docs" / "cli.md"
SANDBOX = TARGET.with_name("sandbox.md")
SETTINGS_BEGIN = "<!-- settings: written by `make docs` -->"
SETTINGS_END = "<!-- end of settings -->"
WIDTH = 100
_ARGUMENT = re.compile(r" {4}(\w+): (.*)")
EXIT_CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | an error: wrong usage, wrong manifests, a declined prompt, no terminal to ask on |
| 2 | changes are pending (`plan --detailed-exitcode`, `fmt --check`) |
| 3 | some changes failed or are blocked, the rest is done; the same command resumes |
| 4 | the saved plan is stale, foreign or changed, or others changed something while an apply waited |
| 5 | a policy, a budget or a protection refused |
| 6 | others hold the ledger |
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


def settings_table() -> str:
    """The sandbox's settings as a Markdown table, from the docstring and defaults of the class."""
    described = _arguments(inspect.getdoc(Settings) or "")
    lines = ["| Setting | Default | |", "|---|---|---|"]
    for name, value in Settings().as_json(reveal_secrets=False).items():
        shown = "`sandbox`" if name == "clients" else f"`{json.dumps(value)}`"
        lines.append(f"| `{name}` | {shown} | {described[name]} |")
    return "\n".join(lines)


def _arguments(text: str) -> dict[str, str]:
    """What a docstring says of each argument; a line that is indented further goes on."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Args:\n")[2].splitlines():
        if started := _ARGUMENT.match(line):
            name = started[1]
            found[name] = started[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    # Numbers of the reference's open questions mean nothing outside of the code.
    return {name: re.sub(r" \(\d+\)$", "", said) for name, said in found.items()}


def sandbox_page(before: str) -> str:
    """The page of the sandbox with its table of settings written anew."""
    head, begins, rest = before.partition(SETTINGS_BEGIN)
    _, ends, tail = rest.partition(SETTINGS_END)
    return f"{head}{begins}\n\n{settings_table()}\n\n{ends}{tail}"


def _write(path: Path, text: str) -> None:
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    path.write_text(text, encoding="utf-8")
    sys.stderr.write(f"docs/{path.name} is {'written anew' if changed else 'as it was'}\n")


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    _write(TARGET, reference())
    _write(SANDBOX, sandbox_page(SANDBOX.read_text(encoding="utf-8")))
