"""
`shplan ledger`: read, verify, export and recover the record of what was done.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from shplan.cli.addresses import no_such
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.entry import LedgerEntry
    from shplan.core.errors import PlanError
    from shplan.ledger.journal import Journal


@click.group("ledger")
def command() -> None:
    """Read, verify, export or recover the ledger."""


@command.command("show")
@click.argument("address", required=False)
@takes("environment", "format")
def show(options: Options, address: str | None) -> int:
    """Show the entries, oldest first; with ADDRESS, only those of one resource."""
    from shplan.cli.output import use_color, width, write_json, write_text  # noqa: PLC0415
    from shplan.views.tables import entry_json, render_entries  # noqa: PLC0415

    async def run() -> int:
        every = [entry async for entry in _journal(options).entries()]
        entries = [one for one in every if address is None or _concerns(one.draft.address, address)]
        if address is not None and every and not entries:
            raise _no_entry(address, every)
        if options.output == "json":
            write_json([entry_json(entry) for entry in entries])
        else:
            write_text(render_entries(entries, width=width(), color=use_color(options)))
        return 0

    return asyncio.run(run())


@command.command("verify")
@takes("environment", "format")
def verify(options: Options) -> int:
    """Check every entry against the chain and the head; leaves with 1 on damage."""
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.views.tables import render_verification, verification_json  # noqa: PLC0415

    report = asyncio.run(_journal(options).verify())
    if options.output == "json":
        write_json(verification_json(report))
    else:
        write_text(render_verification(report))
    return 0 if report.damage is None else 1


@command.command("export")
@takes("environment")
def export(options: Options) -> int:
    """Write the entries to stdout, line by line as they stand, for keeping elsewhere."""

    async def run() -> int:
        async for line in _journal(options).export():
            sys.stdout.buffer.write(line)
        return 0

    return asyncio.run(run())


@command.command("recover")
@takes("environment", "lock")
def recover(options: Options) -> int:
    """Set a damaged ledger aside whole and start a new one from its intact entries."""
    from shplan.cli.output import write_text  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    journal = _journal(options)
    done = asyncio.run(journal.recover(timeout_s=options.lock_timeout_s))
    if done is None:
        write_text("The ledger is intact; nothing was done.")
        return 0
    write_text(
        f"Kept {amount(done.kept, 'intact line')}; {amount(len(done.lost), 'damaged line')} left out.\n"
        f"The old ledger lies whole in {done.aside}.\n"
        "What was lost is found again on the server by the next plan:\n  shplan plan"
    )
    return 0


def _journal(options: Options) -> Journal:
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_journal  # noqa: PLC0415

    return open_journal(open_project(options), applying=False)


def _no_entry(address: str, entries: list[LedgerEntry]) -> PlanError:
    known = (str(one.draft.address) for one in entries if one.draft.address is not None)
    return no_such(address, known, what=f"the ledger has no entry of {address}.")


def _concerns(address: object, wanted: str) -> bool:
    return str(address) == wanted or str(address).startswith(f"{wanted}[")
