"""
`shplan status`: every resource, where it stands on the server, and whether it has drifted.
"""

from __future__ import annotations

import asyncio

import click

from shplan.cli.options import Options, takes


@click.command("status")
@takes("environment", "selection", "server", "format")
def command(options: Options) -> int:
    """Show every resource, and whether it has drifted. Writes nothing."""
    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import use_color, width, write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.status import statuses  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415
    from shplan.views.tables import render_status, status_json  # noqa: PLC0415

    loaded = open_project(options)

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(loaded, options, applying=False, listener=events) as opened:
                planned = await plan(opened.session)
        rows = statuses(planned.plan)
        if options.output == "json":
            write_json(status_json(rows))
        else:
            write_text(render_status(rows, width=width(), color=use_color(options)))
        return 0

    return asyncio.run(run())
