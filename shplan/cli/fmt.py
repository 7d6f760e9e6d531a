"""
`shplan fmt`: manifests in canonical form, comments kept.
"""

from __future__ import annotations

import click

from shplan.cli.options import Options, takes


@click.command("fmt")
@click.option("--check", is_flag=True, help="Write nothing; leave with 2 if a file would change.")
@takes()
def command(options: Options, *, check: bool) -> int:
    """
    Bring manifests into canonical form: order of keys, indentation, line breaks.

    Comments stay, and what a file means never changes.
    """
    from shplan.cli.output import say, write_text  # noqa: PLC0415
    from shplan.cli.project import ProjectError, find_root  # noqa: PLC0415
    from shplan.manifest.rewrite import format_project  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    root = find_root(options.project)
    result = format_project(root, write=not check)
    for name in result.changed:
        write_text(name)
    if result.diagnostics:
        message = "some files could not be formatted"
        raise ProjectError(message, diagnostics=result.diagnostics, texts=result.texts)
    if check and result.changed:
        say(f"{amount(len(result.changed), 'file')} would change; run `shplan fmt`")
        return 2
    return 0
