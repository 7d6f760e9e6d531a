"""
`shplan destroy`: delete everything that this project manages.
"""

from __future__ import annotations

import click

from shplan.cli.options import Options, takes


@click.command("destroy")
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@takes("environment", "selection", "server", "lock", "document")
def command(options: Options, *, auto_approve: bool) -> int:
    """
    Delete everything that this project manages, dependents first.

    What `preventDestroy` protects, what was adopted and never confirmed, and what holds
    objects of others is not deleted.
    """
    from shplan.cli.apply import apply_project  # noqa: PLC0415

    return apply_project(options, auto_approve=auto_approve, destroy=True)
