"""
Opening a project for a command: files, variables and environment become values.

Here, and in `session`, the process's environment is read; nothing below does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from shplan.cli.given import read_given_text
from shplan.cli.options import Options
from shplan.core.diagnostic import Diagnostic, has_errors
from shplan.core.errors import ManifestError
from shplan.manifest.load import Loaded, Order, load_as
from shplan.manifest.project import DEFAULT_ENVIRONMENT
from shplan.manifest.source import find_project
from shplan.manifest.variables import ENVIRONMENT_PREFIX, VariableFile, VariableInputs
from shplan.providers.registry import PROVIDERS


class ProjectError(ManifestError):
    """The project's files are wrong; `texts` holds them for the messages."""

    def __init__(
        self, message: str, *, diagnostics: tuple[Diagnostic, ...], texts: Mapping[str, str]
    ) -> None:
        super().__init__(message, diagnostics=diagnostics)
        self.texts = texts


def open_project(options: Options, *, offline: bool = False) -> Loaded:
    """
    Load the project that the options mean.

    Args:
        offline: no bucket is listed, so that tiles which are found there are missing

    Raises:
        ProjectError: there is none, or its files are wrong: all faults at once
    """
    return load_project(options, variable_inputs(options), offline=offline)


def load_project(
    options: Options, variables: VariableInputs, *, offline: bool = False, pulling: str = ""
) -> Loaded:
    """
    Load the project with variables that were gathered already.

    Args:
        pulling: the address whose pins are about to be written, empty for none

    Raises:
        ProjectError: there is none, or its files are wrong: all faults at once
    """
    order = Order(
        find_root(options.project),
        PROVIDERS,
        environment=options.environment or os.environ.get("SHPLAN_ENVIRONMENT") or None,
        variables=variables,
        ci=in_ci(),
        pulling=pulling,
    )
    loaded = checked(load_as(order))
    if offline or not loaded.listings.missing:
        return loaded
    from shplan.cli.listing import list_buckets  # noqa: PLC0415 - few projects list a bucket

    return checked(load_as(replace(order, listings=list_buckets(loaded))))


def open_settings(options: Options) -> Loaded:
    """
    Load the project's own file alone: its environments, and where the ledger lies.

    Manifests that are wrong, and variables without a value, keep nobody from the ledger.

    Raises:
        ProjectError: there is none, or its file is wrong
    """
    order = Order(
        find_root(options.project),
        PROVIDERS,
        environment=options.environment or os.environ.get("SHPLAN_ENVIRONMENT") or None,
        ci=in_ci(),
        manifests=False,
    )
    return checked(load_as(order))


def command_for(loaded: Loaded, command: str) -> str:
    """Return a command to type next: it works on the environment of this one, and on no other."""
    name = loaded.environment.name
    usual = loaded.project.default_environment or DEFAULT_ENVIRONMENT
    return command if name == usual else f"{command} -e {name}"


def checked(loaded: Loaded) -> Loaded:
    """
    Return a project with which nothing is wrong.

    Raises:
        ProjectError: all faults at once
    """
    if has_errors(loaded.diagnostics):
        message = "the project's files are wrong; nothing was sent"
        raise ProjectError(message, diagnostics=loaded.diagnostics, texts=loaded.texts)
    return loaded


def find_root(start: Path | None) -> Path:
    """
    Find the directory with `shplan.yaml`.

    Raises:
        ProjectError: there is none here and above
    """
    root = find_project(start or Path.cwd())
    if root is None or (start is not None and root != start.resolve()):
        where = "here or above" if start is None else f"in {start}"
        # A directory that was named is the project's, or it is none: one above may be another's.
        above = "" if root is None else f"leave `{start}` out, or name {root}"
        diagnostic = Diagnostic(
            code="project/not-found",
            summary="No project",
            what=f"there is no shplan.yaml {where}.",
            why="Every command but `init`, `schema` and `sandbox` works on a project.",
            hint=above or "shplan init",
        )
        raise ProjectError(diagnostic.what, diagnostics=(diagnostic,), texts={})
    return root


def variable_inputs(options: Options) -> VariableInputs:
    """
    Gather variables from the command line, from files and from the process's environment.

    Raises:
        ProjectError: a `--var` is not NAME=VALUE
    """
    given: dict[str, str] = {}
    for text in options.variables:
        name, equals, value = text.partition("=")
        if not equals or not name:
            diagnostic = Diagnostic(
                code="cli/variable",
                summary="Not a variable",
                what=f"`--var {name}` has no value.",
                hint="write --var NAME=VALUE",
            )
            raise ProjectError(diagnostic.what, diagnostics=(diagnostic,), texts={})
        given[name] = value
    exported = {
        name.removeprefix(ENVIRONMENT_PREFIX): value
        for name, value in os.environ.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    files = tuple(VariableFile(str(path), read_given_text(path)) for path in options.variable_files)
    return VariableInputs(given, exported, files)


def in_ci() -> bool:
    """Tell whether nobody watches: `CI` is set to anything but a no."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def say_warnings(loaded: Loaded) -> None:
    """Say what is probably wrong with the files, without holding anything up."""
    if loaded.diagnostics:
        from shplan.cli.output import say  # noqa: PLC0415
        from shplan.views.snippet import render_all  # noqa: PLC0415

        say(render_all(loaded.diagnostics, loaded.texts).rstrip("\n"))
