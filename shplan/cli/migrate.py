"""
`shplan migrate batch-v1`: manifests and request bodies of Batch V1 become manifests of Batch V2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shplan.cli.options import Options, takes

_MOST_BYTES = 32 << 20
LEFT_OUT = 3


@click.group("migrate")
def command() -> None:
    """Rewrite manifests of older APIs."""


@command.command("batch-v1")
@click.argument("file", metavar="FILE|-")
@click.option("--role", default="", help="ARN of the role by which the service writes results.")
@click.option("--name", default="", help="Name of the manifest that a pasted body becomes.")
@takes("format")
def batch_v1(options: Options, file: str, *, role: str, name: str) -> int:
    """
    Rewrite a manifest, or a pasted request body, of Batch V1 as a manifest of Batch V2.

    FILE is YAML or JSON; - reads stdin. The manifest goes to stdout, and to stderr a report of what
    changed its meaning. What cannot be translated is an error, and nothing is written then (exit
    1); with 3, something was left out that has no counterpart.
    """
    from shplan.cli.output import say, write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import ProjectError  # noqa: PLC0415
    from shplan.core.diagnostic import has_errors  # noqa: PLC0415
    from shplan.core.errors import ManifestError  # noqa: PLC0415
    from shplan.manifest.migration import migrate_batch_v1  # noqa: PLC0415
    from shplan.schema.store import table  # noqa: PLC0415
    from shplan.views.errors import diagnostics_json  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415

    called = "stdin" if file == "-" else Path(file).as_posix()
    text = _read(file, called)
    try:
        done = migrate_batch_v1(
            text, file=called, table=table("tiling-grids"), role=role, name=name
        )
    except ManifestError as error:
        raise ProjectError(
            str(error), diagnostics=error.diagnostics, texts={called: text}
        ) from error
    code = 1 if has_errors(done.report) else LEFT_OUT if done.left_out else 0
    if options.output == "json":
        write_json({"manifests": done.text, "report": diagnostics_json(done.report)})
        return code
    if done.report:
        say(render_all(done.report, {called: done.shown}).rstrip("\n"))
    if done.text:
        write_text(done.text)
    return code


def _read(file: str, called: str) -> str:
    """
    Read a file, or stdin.

    Raises:
        ManifestError: it cannot be read, is too large, or no text
    """
    from shplan.core.errors import ManifestError  # noqa: PLC0415

    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"{called} cannot be read: {error.strerror or error}"
        raise ManifestError(message) from error
    if len(content) > _MOST_BYTES:
        message = f"{called} is larger than {_MOST_BYTES >> 20} MiB"
        raise ManifestError(message)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{called} is not UTF-8"
        raise ManifestError(message) from error
