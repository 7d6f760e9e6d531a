"""
`shplan apply` and what `destroy` shares with it: plan, ask, carry out, report.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shplan.cli.exit_door import INTERRUPTED, message
from shplan.cli.listening import Listening
from shplan.cli.options import Options, takes
from shplan.core.errors import LedgerError, LockedError, PlanError

if TYPE_CHECKING:
    from shplan.cli.session import Opened
    from shplan.engine.performer import Interrupt
    from shplan.engine.planning import Planned
    from shplan.engine.runs import Applied
    from shplan.manifest.load import Loaded


@click.command("apply")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@takes("environment", "selection", "server", "lock", "wait", "document")
def command(options: Options, file: Path | None, *, auto_approve: bool) -> int:
    """
    Make the server what the manifests say.

    With FILE, exactly that saved plan is applied, and nothing is asked: the file is the
    approval. Interrupting once finishes what is in flight; twice stops at once.
    """
    if file is not None:
        from shplan.cli.apply_file import apply_file  # noqa: PLC0415

        return apply_file(options, file)
    return apply_project(options, auto_approve=auto_approve, destroy=False)


def apply_project(options: Options, *, auto_approve: bool, destroy: bool) -> int:
    """Plan, show, ask, carry out; return the exit code."""
    from shplan.cli.heads import head_after, say_asked  # noqa: PLC0415
    from shplan.cli.project import open_project, say_warnings  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.cli.tile_files import refuse_bad_tiles  # noqa: PLC0415
    from shplan.engine.performer import Interrupt  # noqa: PLC0415
    from shplan.engine.runs import apply  # noqa: PLC0415

    # What is destroyed is what was recorded, whatever lies in a bucket by now.
    loaded = open_project(options, offline=destroy)
    say_warnings(loaded)
    interrupt = Interrupt()

    async def approve(planned: Planned, opened: Opened) -> bool:
        await refuse_bad_tiles(planned, opened, options)
        show_plan(planned, options)
        quiet = not planned.plan.pending
        return auto_approve or quiet or ask(destroy=destroy)

    async def run() -> int:
        listen_for_signals(interrupt)
        with Listening(options) as events:
            async with open_session(
                loaded, options, applying=True, destroy=destroy, listener=events
            ) as opened:
                applied = await apply(
                    opened.session,
                    lambda planned: approve(planned, opened),
                    lock_timeout_s=options.lock_timeout_s,
                    interrupt=interrupt,
                )
                head = await head_after(opened.journal)
                say_asked(opened.session.world)
        return conclude(applied, options, opened.loaded, head=head)

    return until_cancelled(run())


def until_cancelled(running: Coroutine[None, None, int]) -> int:
    """Run to the end; a second interrupt cancels it, and what was in flight stays open."""
    from shplan.cli.output import say  # noqa: PLC0415
    from shplan.engine.performer import InterruptedApplyError  # noqa: PLC0415

    try:
        return asyncio.run(running)
    except InterruptedApplyError:
        say("Stopped while waiting for the ledger. Nothing was sent.")
        return INTERRUPTED
    except asyncio.CancelledError:
        say("Stopped at once. What was in flight is looked up by the next plan or apply.")
        return INTERRUPTED


def ask(*, destroy: bool) -> bool:
    """
    Ask on the terminal.

    Raises:
        PlanError: there is no terminal to ask on
    """
    if not sys.stdin.isatty():
        from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415

        diagnostic = Diagnostic(
            code="cli/no-terminal",
            summary="No terminal to ask on",
            what="this apply needs an approval, and there is no terminal. Nothing was sent.",
            hint="shplan apply --auto-approve, or save a plan and apply the file",
        )
        raise PlanError(diagnostic.what, diagnostics=(diagnostic,))
    verb = "Delete all this" if destroy else "Apply these changes"
    answer: str = click.prompt(f"\n{verb}? Only `yes` is accepted", default="no", err=True)
    return answer.strip() == "yes"


def show_plan(planned: Planned, options: Options) -> None:
    """Show the plan that is about to be approved."""
    from shplan.cli.output import say, use_color, width, write_text  # noqa: PLC0415
    from shplan.views.plan_text import render_plan  # noqa: PLC0415

    text = render_plan(planned.plan, width=width(), color=use_color(options), next_step=False)
    if options.output == "text":
        write_text(text)
    else:
        say(text)


def conclude(applied: Applied, options: Options, loaded: Loaded, *, head: str) -> int:
    """
    Report what became of an apply; return the exit code.

    Args:
        head: of the ledger, afterwards
    """
    from shplan.cli.heads import say_head  # noqa: PLC0415
    from shplan.cli.output import say, use_color, write_json, write_text  # noqa: PLC0415
    from shplan.cli.report import report_json, report_markdown, report_text  # noqa: PLC0415

    plan = applied.planned.plan
    if applied.declined:
        say("Declined. Nothing was sent.")
        return 1
    if options.output == "json":
        write_json(report_json(applied, loaded, head=head))
    elif options.output == "markdown":
        write_text(report_markdown(applied, loaded, head=head))
    elif applied.report is not None:
        text = report_text(applied, loaded, color=use_color(options))
        if text:
            write_text(text)
        say_head(head)
    elif plan.refusals or not plan.pending:
        show_plan(applied.planned, options)
        say_head(head)
    if applied.report is None:
        return plan.exit_code() or (3 if plan.blocked else 0)
    if applied.report.locked:
        say(message(LockedError(applied.report.locked)))
        # It ends the command where it is: what a person must decide is told by the next one.
        return applied.report.exit_code()
    if applied.report.unusable:
        say(message(LedgerError(applied.report.unusable)))
        return applied.report.exit_code()
    return plan.exit_code() or applied.report.exit_code()


def listen_for_signals(interrupt: Interrupt) -> None:
    """
    First interrupt: start nothing new. Second: cancel, leaving open intents behind.

    SIGTERM counts as an interrupt: that is how CI and containers stop a program.
    """
    from shplan.cli.output import say  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def heard() -> None:
        if interrupt.wanted and task is not None:
            task.cancel()
            return
        interrupt.event.set()
        say("\nInterrupted: finishing what is in flight. Once more stops at once.")

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, heard)
        except NotImplementedError:
            # Windows has no signal handlers on its loop: Ctrl-C then stops at once.
            return
