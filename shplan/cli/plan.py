"""
`shplan plan`: what apply would do; writes nothing but the file it is asked for.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.plan import Plan


@click.command("plan")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan here."
)
@click.option("--detailed-exitcode", is_flag=True, help="Leave with 2 when changes are pending.")
@click.option("--destroy", is_flag=True, help="Plan to delete everything that is managed.")
@click.option("--drift", is_flag=True, help="Show only what the server changed since the apply.")
@takes("environment", "selection", "server", "document")
def command(
    options: Options, out: Path | None, *, detailed_exitcode: bool, destroy: bool, drift: bool
) -> int:
    """
    Show what apply would do, and what it would cost.

    Reads the server, changes nothing, and needs no right to write.
    """
    from shplan.cli.heads import head_of, say_asked, say_head  # noqa: PLC0415
    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import use_color, width, write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project, say_warnings  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.cli.tile_files import refuse_bad_tiles  # noqa: PLC0415
    from shplan.core.drift import drifted  # noqa: PLC0415
    from shplan.core.plan import plan_json  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    if out is not None and not out.absolute().parent.is_dir():
        # Before the server is read, not after.
        message = f"there is no directory {out.parent} to save the plan in"
        raise click.BadParameter(message, param_hint="-o")
    # What would be destroyed is what was recorded, whatever lies in a bucket by now.
    loaded = open_project(options, offline=destroy)
    say_warnings(loaded)

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(
                loaded, options, applying=False, destroy=destroy, listener=events
            ) as opened:
                whole_plan = await plan(opened.session)
                await refuse_bad_tiles(whole_plan, opened, options)
                planned = whole_plan.plan
                head = await head_of(opened.journal, planned.inputs.ledger_head)
                say_asked(opened.session.world)
        shown = drifted(planned) if drift else planned
        if options.output == "json":
            write_json(plan_json(shown))
        elif options.output == "markdown":
            from shplan.cli.report import plan_markdown  # noqa: PLC0415

            whole = planned if drift else None
            write_text(plan_markdown(shown, opened.loaded, saved_as=str(out or ""), drift_of=whole))
        else:
            from shplan.views.plan_text import render_plan  # noqa: PLC0415

            write_text(render_plan(shown, width=width(), color=use_color(options)))
            say_head(head)
        if out is not None:
            _save(planned, out)
        refused = planned.exit_code()
        pending = bool(shown.pending)
        return refused or (2 if detailed_exitcode and pending else 0)

    return asyncio.run(run())


def _save(planned: Plan, out: Path) -> None:
    from shplan.cli.output import say  # noqa: PLC0415
    from shplan.manifest.writing import write_whole  # noqa: PLC0415
    from shplan.views.saved_plan import save_plan  # noqa: PLC0415

    write_whole(out, save_plan(planned))
    say(f"Saved to {out}. To apply exactly this plan:\n  shplan apply {out}")
