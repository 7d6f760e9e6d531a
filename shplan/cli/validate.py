"""
`shplan validate`: everything that can be known without a server.
"""

from __future__ import annotations

from pathlib import Path

import click

from shplan.cli.options import Options, takes


@click.command("validate")
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@takes("environment", "format")
def command(options: Options, directory: Path | None) -> int:
    """
    Check all manifests, offline: YAML, schemas, references, meaning.

    All errors are reported, not the first. Nothing is sent anywhere.
    """
    from dataclasses import replace  # noqa: PLC0415

    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import ProjectError, open_project  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    chosen = replace(options, project=directory) if directory is not None else options
    try:
        loaded = open_project(chosen, offline=True)
    except ProjectError as error:
        if options.output == "json":
            from shplan.views.errors import diagnostics_json  # noqa: PLC0415

            write_json({"valid": False, "diagnostics": diagnostics_json(error.diagnostics)})
            return 1
        raise
    if options.output == "json":
        from shplan.views.errors import diagnostics_json  # noqa: PLC0415

        write_json({"valid": True, "diagnostics": diagnostics_json(loaded.diagnostics)})
        return 0
    if loaded.diagnostics:
        click.echo(render_all(loaded.diagnostics, loaded.texts), err=True, nl=False)
    members = sum(len(one.members) for one in loaded.resources)
    also = f" with {amount(members, 'tile')}" if members else ""
    if loaded.listings.missing:
        also += " and those in the bucket, which is listed while planning"
    count = amount(len(loaded.resources), "resource")
    write_text(f"Valid: {count}{also}, environment {loaded.environment.name}.")
    return 0
