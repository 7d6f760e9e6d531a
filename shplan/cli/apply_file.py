"""
`shplan apply FILE`: exactly the saved plan, in the checkout where it stands.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import click
import orjson

from shplan.cli.apply import conclude, listen_for_signals, until_cancelled
from shplan.cli.listening import Listening
from shplan.cli.options import Options
from shplan.cli.project import load_project
from shplan.cli.session import open_session
from shplan.core.saved import History, history, saved_text
from shplan.core.value import JsonObject
from shplan.engine.performer import Interrupt
from shplan.engine.runs import apply_saved
from shplan.ledger.journal import Journal
from shplan.manifest.variables import VariableFile, VariableInputs


def apply_file(options: Options, file: Path) -> int:
    """
    Apply a saved plan with the file's environment, variables and selection.

    Raises:
        click.UsageError: the command line gives others
        StalePlanError: what would be done now is not what was reviewed
    """
    from shplan.views.saved_plan import load_plan  # noqa: PLC0415

    given = options.environment, options.variables, options.variable_files
    if any((*given, options.select, options.exclude)):
        message = "a saved plan brings its own environment, variables and selection"
        raise click.UsageError(message)
    saved = load_plan(file.read_bytes(), name=str(file)).document
    inputs = cast("JsonObject", saved["inputs"])
    chosen = replace(
        options,
        environment=saved_text(saved, "environment"),
        select=tuple(str(one) for one in cast("list[str]", inputs["select"])),
        exclude=tuple(str(one) for one in cast("list[str]", inputs["exclude"])),
    )
    variables = orjson.dumps(inputs["variables"]).decode()
    loaded = load_project(chosen, VariableInputs(files=(VariableFile(str(file), variables),)))
    interrupt = Interrupt()

    async def run() -> int:
        listen_for_signals(interrupt)
        with Listening(chosen) as events:
            async with open_session(
                loaded,
                chosen,
                applying=True,
                destroy=inputs["destroy"] is True,
                listener=events,
            ) as opened:
                applied = await apply_saved(
                    opened.session,
                    saved,
                    lambda: _past(opened.journal, str(saved["digest"])),
                    lock_timeout_s=chosen.lock_timeout_s,
                    interrupt=interrupt,
                )
        return conclude(applied, chosen, loaded)

    return until_cancelled(run())


async def _past(journal: Journal, digest: str) -> History:
    return history([entry async for entry in journal.entries()], digest)
