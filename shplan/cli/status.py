"""
`shplan status`: every resource, where it stands on the server, and whether it has drifted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from shplan.cli.options import Duration, Options, takes

if TYPE_CHECKING:
    from shplan.cli.session import Opened
    from shplan.cli.watch import Pace
    from shplan.core.status import Status
    from shplan.views.watching import Watching


@click.command("status")
@click.option("--watch", is_flag=True, help="Look again until nothing is in progress.")
@click.option(
    "--interval",
    "interval_s",
    type=Duration(),
    help="With --watch, the pause between two looks; 10s by default, 1s on this machine.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Duration(),
    default="6h",
    show_default=True,
    help="With --watch, give up after so long, and leave with 3.",
)
@takes("environment", "selection", "server", "format")
def command(options: Options, *, watch: bool, interval_s: float | None, timeout_s: float) -> int:
    """
    Show every resource, and whether it has drifted. Writes nothing.

    With --watch, a terminal is redrawn; elsewhere only what changed is printed, with
    --format json as one object a line.
    """
    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import say_holder  # noqa: PLC0415
    from shplan.cli.project import command_for, open_project  # noqa: PLC0415
    from shplan.cli.session import is_near, open_session  # noqa: PLC0415
    from shplan.cli.watch import NEAR_INTERVAL_S, SERVICE_INTERVAL_S, Pace  # noqa: PLC0415

    if interval_s is not None and interval_s <= 0:
        message = "--interval must be longer than nothing"
        raise click.UsageError(message)
    loaded = open_project(options)
    usual_s = NEAR_INTERVAL_S if is_near(loaded) else SERVICE_INTERVAL_S
    pace = Pace(usual_s if interval_s is None else interval_s, timeout_s)

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(
                loaded, options, applying=False, listener=events, priced=frozenset()
            ) as opened:
                if watch:
                    await say_holder(opened.journal)
                    return await _watch(opened, options, pace)
                _write(await _look(opened), options, plan=command_for(loaded, "shplan plan"))
                await say_holder(opened.journal)
        return 0

    return asyncio.run(run())


async def _look(opened: Opened) -> tuple[Status, ...]:
    from shplan.core.status import statuses  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    return statuses((await plan(opened.session)).plan)


def _write(rows: tuple[Status, ...], options: Options, *, plan: str) -> None:
    from shplan.cli.output import use_color, width, write_json, write_text  # noqa: PLC0415
    from shplan.views.tables import render_status, status_json  # noqa: PLC0415

    if options.output == "json":
        write_json(status_json(rows))
    else:
        write_text(render_status(rows, width=width(), color=use_color(options), plan=plan))


async def _watch(opened: Opened, options: Options, pace: Pace) -> int:
    from shplan.cli.output import say  # noqa: PLC0415
    from shplan.cli.project import command_for  # noqa: PLC0415
    from shplan.cli.watch import watch  # noqa: PLC0415

    running = await watch(
        lambda: _look(opened),
        _watching(options, pace, plan=command_for(opened.loaded, "shplan plan")),
        clock=opened.session.world.clock,
        pace=pace,
    )
    if not running:
        return 0
    more = f" and {len(running) - 1:,} more" if len(running) > 1 else ""
    say(f"Still in progress after {pace.timeout_s:g} s: {running[0].address}{more}.")
    return 3


def _watching(options: Options, pace: Pace, *, plan: str) -> Watching:
    from shplan.cli.output import is_screen, use_color, width, write_now  # noqa: PLC0415
    from shplan.views.watching import ChangedLines, JsonLines, Redrawn  # noqa: PLC0415

    if options.output == "json":
        return JsonLines(write_now)
    if not is_screen():
        return ChangedLines(write_now, width=width(), plan=plan)
    again = f"In progress; looking again every {pace.interval_s:g} s. Ctrl-C stops looking."
    return Redrawn(write_now, width=width(), color=use_color(options), again=again, plan=plan)
