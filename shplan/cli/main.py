"""
The entry of the program: a table of commands, loaded when they are used.

Only click is imported here, so that `shplan --help` answers at once.
"""

from __future__ import annotations

import importlib
import re
import sys

import click

from shplan import __version__

# Command: (module, what it does). The help of the program is made from this table, so that
# no command has to be imported for it.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Make a new project that works at once, on the sandbox."),
    "validate": ("validate", "Check all manifests, offline."),
    "fmt": ("fmt", "Bring manifests into canonical form."),
    "plan": ("plan", "Show what apply would do, and what it would cost."),
    "apply": ("apply", "Make the server what the manifests say."),
    "destroy": ("destroy", "Delete everything that this project manages."),
    "import": ("import_", "Confirm that an existing object is managed by an address."),
    "pull": ("pull", "Pin what a search finds now in shplan.lock."),
    "status": ("status", "Show every resource, and whether it has drifted."),
    "why": ("why", "Explain what is planned for one address, and its cost."),
    "show": ("show", "Show a saved plan, or one resource."),
    "graph": ("graph", "Print the dependencies between resources."),
    "output": ("output_", "Print the project's outputs."),
    "migrate": ("migrate", "Rewrite manifests and requests of Batch V1 for Batch V2."),
    "evalscript": ("evalscript", "Check, test and draw evalscripts."),
    "byoc": ("byoc", "Check own imagery before it is ingested."),
    "ledger": ("ledger", "Read, verify, sign, export or recover the ledger."),
    "schema": ("schema", "Print the JSON Schema of a kind."),
    "sandbox": ("sandbox", "Run the embedded Sentinel Hub for other programs."),
}


# With one dash, what Terraform's people write for a long option.
_LONG = re.compile(r"-[a-z][a-z]")


class Commands(click.Group):
    """A group whose commands are imported only when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which people need them."""
        return [*COMMANDS, *sorted(super().list_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"shplan.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; a near miss, or another tool's word, is answered with what is meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from shplan.cli.usage import UnknownCommandError  # noqa: PLC0415

            raise UnknownCommandError(args[0], COMMANDS, ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and any(_LONG.match(one) for one in rest):
            from shplan.cli.usage import refuse_one_dash  # noqa: PLC0415

            refuse_one_dash(rest, command, click.Context(command, ctx, name))
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="shplan")
def program() -> None:
    """
    Infrastructure-as-code for Sentinel Hub: collections, tiles, evalscripts and jobs as YAML.

    `shplan plan` says what would change on the server and what it would cost; `shplan apply`
    makes it so, exactly once, and writes down what it did.
    """


def run() -> None:
    """Run the program and leave with its exit code."""
    import gc  # noqa: PLC0415

    from shplan.cli.exit_door import through  # noqa: PLC0415

    # A command builds large trees and ends: collecting them on the way costs more than parsing.
    gc.set_threshold(200_000, 50, 100)
    sys.exit(through(program, sys.argv[1:]))


if __name__ == "__main__":
    run()
