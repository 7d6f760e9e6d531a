"""
`shplan apply FILE`: exactly the saved plan, in the checkout where it stands.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import cast

import click
import orjson

from shplan.cli.apply import conclude, listen_for_signals, until_cancelled
from shplan.cli.evidence import saved_anchor
from shplan.cli.given import read_given
from shplan.cli.heads import head_after, say_asked
from shplan.cli.listening import Listening
from shplan.cli.options import Options
from shplan.cli.project import command_for, load_project
from shplan.cli.session import Opened, open_session
from shplan.cli.tile_files import refuse_bad_tiles
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import StalePlanError
from shplan.core.saved import History, Telling, saved_text
from shplan.core.value import JsonObject
from shplan.engine.performer import Interrupt
from shplan.engine.runs import apply_saved
from shplan.manifest.variables import VariableFile, VariableInputs


def apply_file(options: Options, file: Path) -> int:
    """
    Apply a saved plan with the file's environment, variables and selection.

    Raises:
        click.UsageError: the command line gives others
        StalePlanError: what would be done now is not what was reviewed, or the ledger is not the
            one that was planned from
    """
    from shplan.views.saved_plan import load_plan  # noqa: PLC0415

    given = options.environment, options.variables, options.variable_files
    if any((*given, options.select, options.exclude)):
        message = "a saved plan brings its own environment, variables and selection"
        raise click.UsageError(message)
    saved = load_plan(read_given(file), name=str(file)).document
    inputs = cast("JsonObject", saved["inputs"])
    chosen = replace(
        options,
        environment=saved_text(saved, "environment"),
        select=tuple(str(one) for one in cast("list[str]", inputs["select"])),
        exclude=tuple(str(one) for one in cast("list[str]", inputs["exclude"])),
    )
    variables = orjson.dumps(inputs["variables"]).decode()
    destroy = inputs["destroy"] is True
    given_variables = VariableInputs(files=(VariableFile(str(file), variables),))
    loaded = load_project(chosen, given_variables, offline=destroy)
    interrupt = Interrupt()

    async def run() -> int:
        listen_for_signals(interrupt)
        with Listening(chosen) as events:
            async with open_session(
                loaded,
                chosen,
                applying=True,
                destroy=destroy,
                listener=events,
            ) as opened:
                applied = await apply_saved(
                    opened.session,
                    saved,
                    lambda: _past(opened, saved, name=str(file)),
                    lock_timeout_s=chosen.lock_timeout_s,
                    interrupt=interrupt,
                    examine=lambda planned: refuse_bad_tiles(planned, opened, chosen),
                )
                head = await head_after(opened.journal)
                say_asked(opened.session.world)
        return conclude(applied, chosen, opened.loaded, head=head)

    return until_cancelled(run())


async def _past(opened: Opened, saved: JsonObject, *, name: str) -> History:
    """
    Gather what was done under a saved plan, from a ledger that still has the plan's head.

    Raises:
        StalePlanError: it has not: it was cut off, rolled back, or is another one
    """
    told = Telling(str(saved["digest"]))
    anchor = saved_anchor(saved_text(saved, "ledgerHead"), source=name)
    (found,) = await opened.journal.scan(told.hear, (anchor,))
    if found.met:
        return told.history()
    verify = command_for(opened.loaded, f"shplan ledger verify --plan {quote(name)}")
    diagnostic = Diagnostic(
        code="plan/other-ledger",
        summary="The ledger is not the one that was planned from",
        what=f"{name} was made from the ledger head {anchor}, and {found.what}.",
        why="What was done since may not be in this ledger, and would be done again. "
        "Nothing was sent.",
        hint=f"{verify}; then review a new plan",
    )
    raise StalePlanError(diagnostic.what, diagnostics=(diagnostic,))
