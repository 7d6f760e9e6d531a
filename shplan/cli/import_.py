"""
`shplan import`: a person says which object is ours.
"""

from __future__ import annotations

import asyncio

import click

from shplan.cli.options import Options, takes


@click.command("import")
@click.argument("address")
@click.argument("object_id", metavar="ID")
@takes("environment", "server", "lock")
def command(options: Options, address: str, object_id: str) -> int:
    """
    Confirm that the object ID is managed by ADDRESS.

    What was only adopted is then ours: it may be replaced and deleted. For `ByocTiles`, ID is
    the collection's, and the tiles declared at this moment are confirmed. For a job, ID is a
    task's that ran it: it is written down as done, and nothing is started.
    """
    from shplan.cli.output import write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.address import Address  # noqa: PLC0415
    from shplan.engine.runs import confirm  # noqa: PLC0415

    try:
        wanted = Address.parse(address)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    loaded = open_project(options)

    async def run() -> int:
        async with open_session(
            loaded, options, applying=True, priced=frozenset(), compares=False
        ) as opened:
            learnt = await confirm(
                opened.session, wanted, object_id, lock_timeout_s=options.lock_timeout_s
            )
        also = f", with {len(learnt.members)} tiles" if learnt.members else ""
        write_text(f"{wanted} is now bound to {object_id}{also}, and owned by this project.")
        return 0

    return asyncio.run(run())
