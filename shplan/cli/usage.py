"""
What is said of a command line that cannot be understood.

People come with the words of other tools: where those are meant for something that is here
under another name, that name is the answer, not the option that happens to be spelled alike.

Sources of the other words: the command lines of Terraform (`plan`, `apply`, `state`), kubectl
(`apply`, `get`, `diff`) and pre-commit, which passes files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

import click

# A command of another tool, and what does the same here.
COMMANDS_ELSEWHERE: Mapping[str, str] = {
    "check": "`shplan validate` checks all manifests, offline",
    "create": "write a manifest; `shplan apply` creates what it says",
    "delete": "remove the manifest and apply, or `shplan destroy --select ADDRESS`",
    "deploy": "`shplan apply` makes the server what the manifests say",
    "describe": "`shplan show ADDRESS` shows one resource",
    "diff": "`shplan plan` shows what would change",
    "down": "`shplan destroy` deletes what this project manages",
    "estimate": "`shplan plan` says what it would cost, `shplan why ADDRESS` each factor of it",
    "force-unlock": "the lease of a process that died is taken over by itself",
    "format": "`shplan fmt` brings manifests into canonical form",
    "get": "`shplan status` lists every resource",
    "help": "`shplan --help`, or `shplan COMMAND --help`",
    "history": "`shplan ledger show` lists what was done",
    "lint": "`shplan validate` checks all manifests, `shplan evalscript check` one script",
    "list": "`shplan status` lists every resource",
    "lock": "`shplan pull ADDRESS` pins a search in shplan.lock",
    "log": "`shplan ledger show` lists what was done",
    "login": "credentials are named in shplan.yaml, as `secret('env:NAME')`",
    "ls": "`shplan status` lists every resource",
    "new": "`shplan init` makes a project",
    "preview": "`shplan plan` shows what would change",
    "refresh": "every plan looks at the server; `shplan plan --drift` shows only what it changed",
    "remove": "remove the manifest and apply, or `shplan destroy --select ADDRESS`",
    "rm": "remove the manifest and apply, or `shplan destroy --select ADDRESS`",
    "run": "`shplan apply` starts what the manifests say",
    "serve": "`shplan sandbox` runs the embedded Sentinel Hub",
    "start": "`shplan apply` starts what the manifests say",
    "state": "`shplan status` lists every resource, `shplan ledger show` what was done",
    "taint": "raise `generation` in the manifest to have it made again",
    "test": "`shplan evalscript test` runs the tests beside a script",
    "unlock": "the lease of a process that died is taken over by itself",
    "up": "`shplan apply` makes the server what the manifests say",
    "version": "`shplan --version`",
    "workspace": "environments stand in shplan.yaml; `-e NAME` chooses one",
}

# An option of another tool: what is written here instead, where the command has that option.
OPTIONS_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "--chdir": ("--project", "`--project DIRECTORY`"),
    "-C": ("--project", "`--project DIRECTORY`"),
    "--directory": ("--project", "`--project DIRECTORY`"),
    "--dry-run": ("--auto-approve", "`shplan plan` shows what would be done, and does nothing"),
    "--env": ("--environment", "`--environment NAME`, or `-e NAME`"),
    "--filename": (
        "--select",
        "all manifests are read; `--select path:FILE` takes those of a file",
    ),
    "-f": ("--select", "all manifests are read; `--select path:FILE` takes those of a file"),
    "--filter": ("--select", "`--select ADDRESS`"),
    "-l": ("--select", "`--select label:NAME=VALUE`"),
    "--selector": ("--select", "`--select label:NAME=VALUE`"),
    "--force": ("--auto-approve", "`--auto-approve` does not ask; what is protected stays so"),
    "--json": ("--format", "`--format json`"),
    "--output": ("--format", "`--format json`"),
    "--only": ("--select", "`--select ADDRESS`"),
    "--refresh": ("--drift", "every plan looks at the server"),
    "--refresh-only": ("--drift", "`--drift` shows only what the server changed"),
    "--replace": ("--select", "raise `generation` in the manifest to have it made again"),
    "--target": ("--select", "`--select ADDRESS`; with `+ADDRESS` also what it depends on"),
    "-t": ("--select", "`--select ADDRESS`; with `+ADDRESS` also what it depends on"),
    "--wait": ("--no-wait", "an apply waits for its jobs; `--no-wait` leaves them running"),
    "--workspace": ("--environment", "`--environment NAME`, or `-e NAME`"),
    "--yes": ("--auto-approve", "`--auto-approve`"),
    "-y": ("--auto-approve", "`--auto-approve`"),
}

_ONE_DASH = re.compile(r"-(?P<name>[a-z][a-z-]+)(?:=.*)?", re.DOTALL)
_ADDRESS = re.compile(r"[A-Z][A-Za-z]*/[\w.*-]+")


class UnknownCommandError(click.UsageError):
    """There is no such command."""

    def __init__(self, name: str, commands: Iterable[str], context: click.Context) -> None:
        super().__init__(f"There is no command `{name}`", context)
        self.name = name
        self.commands = tuple(commands)


class OneDashError(click.UsageError):
    """A long option is written with one dash; it would be read as several short ones."""

    def __init__(self, argument: str, context: click.Context) -> None:
        self.written = argument
        self.name = argument.partition("=")[0]
        what = f"`{context.command_path}` has no option `{self.name}`: after one dash stand letters"
        super().__init__(what, context)


def refuse_one_dash(
    arguments: Iterable[str], command: click.Command, context: click.Context
) -> None:
    """
    Refuse long options that are written with one dash, as Terraform has them.

    `-out=FILE` would be read as `-o ut=FILE`: another file would be written.

    Raises:
        OneDashError: there is one before any `--`
    """
    options = _options(command)
    for argument in arguments:
        if argument == "--":
            return
        written = _ONE_DASH.fullmatch(argument)
        if written and {f"--{written['name']}"} & {*options, *OPTIONS_ELSEWHERE}:
            raise OneDashError(argument, context)


def message(error: click.UsageError) -> str:
    """Word what is wrong with a command line: what, and what to write instead."""
    context = error.ctx
    command = context.command_path if context is not None else "shplan"
    options = _options(context.command) if context is not None else []
    what = error.format_message().rstrip(".")
    code, title, hint = "arguments", "Command line not understood", ""
    if isinstance(error, UnknownCommandError):
        code, title, command = "command", "Command unknown", "shplan"
        hint = _meant_by_command(error.name, error.commands)
    elif isinstance(error, OneDashError):
        code, title = "option", "Option unknown"
        hint = f"write `-{error.written}`" if f"-{error.name}" in options else ""
        hint = hint or _meant_by_option(f"-{error.name}", options)
    elif isinstance(error, click.NoSuchOption):
        code, title, what = (
            "option",
            "Option unknown",
            f"`{command}` has no option `{error.option_name}`",
        )
        hint = _meant_by_option(error.option_name, options)
    elif "unexpected extra argument" in what:
        hint = _meant_by_address(what, options)
    elif command == "shplan apply" and what.endswith("does not exist"):
        hint = _meant_by_address(what, options)
        hint = hint or "`shplan plan -o FILE` saves a plan; without one, apply makes it and asks"
    elif what.endswith("is a file") and "--project" in options:
        hint = "all manifests of a project are read: name its directory, or nothing"
    hint = hint or f"`{command} --help` says what can stand there"
    end = "" if what.endswith("?") else "."
    return f"error[usage/{code}]: {title}\n  {what}{end}\n  hint: {hint}"


def _meant_by_command(name: str, commands: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, commands, n=1)
    known = COMMANDS_ELSEWHERE.get(name.lower(), "")
    return known or (f"did you mean `shplan {near[0]}`?" if near else "")


def _meant_by_option(name: str, options: Sequence[str]) -> str:
    partner, hint = OPTIONS_ELSEWHERE.get(name, ("", ""))
    if partner in options:
        return hint
    near = difflib.get_close_matches(name, [one for one in options if one.startswith("--")], n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def _meant_by_address(what: str, options: Sequence[str]) -> str:
    address = _ADDRESS.search(what)
    return f"`--select {address[0]}`" if address and "--select" in options else ""


def _options(command: click.Command) -> list[str]:
    return [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
