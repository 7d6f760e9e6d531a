"""
`shplan ledger`: read, verify, sign, export and recover the record of what was done.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shplan.cli.addresses import no_such
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.errors import PlanError
    from shplan.ledger.journal import Journal
    from shplan.manifest.load import Loaded

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("ledger")
def command() -> None:
    """Read, verify, sign, export or recover the ledger."""


@command.command("show")
@click.argument("address", required=False)
@takes("environment", "format")
def show(options: Options, address: str | None) -> int:
    """Show the entries, oldest first; with ADDRESS, only those of one resource."""
    from shplan.cli.entries import show_entries  # noqa: PLC0415
    from shplan.cli.output import say_holder  # noqa: PLC0415

    _, journal = _open(options)

    async def run() -> set[str]:
        known = await show_entries(journal, options, address=address)
        await say_holder(journal)
        return known

    known = asyncio.run(run())
    if known and address is not None:
        raise _no_entry(address, known)
    return 0


@command.command("verify")
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="SEQUENCE:HASH",
    help="A head that the ledger had, as plan, apply and verify print it: it must have it still.",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    type=_FILE,
    help="A saved plan: the head that it was computed from is an anchor.",
)
@click.option(
    "--allowed-signers",
    type=_FILE,
    help="Check the signed heads; who may sign, in the form of ssh-keygen.",
)
@click.option(
    "--signatures",
    multiple=True,
    type=_FILE,
    help="Files with signed heads; signatures/ENVIRONMENT.jsonl of the project by default.",
)
@takes("environment", "document")
def verify(
    options: Options,
    anchors: tuple[str, ...],
    plans: tuple[Path, ...],
    allowed_signers: Path | None,
    signatures: tuple[Path, ...],
) -> int:
    """
    Check every entry against the chain and the head; leaves with 1 on damage.

    The chain alone cannot tell that the ledger and its head were rolled back together: heads
    that lie elsewhere can, in the output of CI, in saved plans, or signed.
    """
    from shplan.cli.evidence import anchors_of, check, signed_heads  # noqa: PLC0415
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import command_for  # noqa: PLC0415
    from shplan.views import verification  # noqa: PLC0415

    if signatures and allowed_signers is None:
        message = "signatures are checked against --allowed-signers FILE"
        raise click.UsageError(message)
    loaded, journal = _open(options)
    signed = () if allowed_signers is None else signed_heads(loaded, signatures)
    sources = anchors_of(loaded, anchors, plans)
    report, found = asyncio.run(check(loaded, journal, sources, signed, allowed_signers))
    recover_command = command_for(loaded, verification.RECOVER)
    if options.output == "json":
        write_json(verification.verification_json(report, found))
    elif options.output == "markdown":
        write_text(verification.markdown_verification(report, found, recover=recover_command))
    else:
        write_text(verification.render_verification(report, found, recover=recover_command))
    return 0 if verification.is_proven(report, found) else 1


@command.command("sign")
@click.option(
    "--key",
    required=True,
    type=_FILE,
    help="A private key for SSH, or the public one of a key in your ssh-agent.",
)
@click.option(
    "-o",
    "--out",
    type=_NEW_FILE,
    help="File that the signed head is added to; signatures/ENVIRONMENT.jsonl by default.",
)
@takes("environment")
def sign(options: Options, key: Path, out: Path | None) -> int:
    """
    Sign the head of the ledger with an SSH key, into a file to commit.

    The whole ledger is verified first. Who has the file and the public key finds out, later,
    whether any entry up to this head was changed or cut off.
    """
    from shplan.cli.evidence import add_signature, signatures_file  # noqa: PLC0415
    from shplan.cli.output import write_text  # noqa: PLC0415
    from shplan.cli.project import command_for  # noqa: PLC0415

    loaded, journal = _open(options)
    file = out or signatures_file(loaded)
    signed = asyncio.run(add_signature(loaded, journal, key=key, file=file))
    anchor = signed.statement.anchor(source="")
    write_text(
        f"Signed the ledger head {anchor}.\n"
        f"The signature is in {file}; commit it. To check it:\n"
        f"  {command_for(loaded, 'shplan ledger verify --allowed-signers FILE')}"
    )
    return 0


@command.command("export")
@click.argument("address", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="The lines as they stand, whose chain can be checked elsewhere; or a table.",
)
@click.option("-o", "--out", type=_NEW_FILE, help="Write here instead of stdout, all or nothing.")
@takes("environment")
def export(options: Options, address: str | None, form: str, out: Path | None) -> int:
    """Write the entries for keeping elsewhere; with ADDRESS, only those of one resource."""
    from shplan.cli.export import write_export  # noqa: PLC0415

    _, journal = _open(options)
    known = asyncio.run(write_export(journal, form=form, address=address, out=out))
    if known and address is not None:
        raise _no_entry(address, known)
    return 0


@command.command("recover")
@takes("environment", "lock")
def recover(options: Options) -> int:
    """Set a damaged ledger aside whole and start a new one from its intact entries."""
    from shplan.cli.output import write_text  # noqa: PLC0415
    from shplan.cli.project import command_for  # noqa: PLC0415
    from shplan.views.recovery import render_recovery  # noqa: PLC0415

    loaded, journal = _open(options)
    done = asyncio.run(journal.recover(timeout_s=options.lock_timeout_s))
    if done is None:
        write_text("The ledger is intact; nothing was done.")
        return 0
    write_text(render_recovery(done.findings, aside=done.aside, end=done.end))
    write_text(
        f"{_beside_answers(loaded.root)}"
        f"{_kept_as_files(loaded)}"
        "What was lost is found again on the server by the next plan:\n"
        f"  {command_for(loaded, 'shplan plan')}"
    )
    return 0


def _beside_answers(root: Path) -> str:
    """Say how many answers have their receipt beside them: the next plan takes them for nothing."""
    from shplan.providers.answer_places import RECEIPT_SUFFIX  # noqa: PLC0415
    from shplan.providers.immediate_receipt import LONGEST_BYTES, read_receipt  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    found = (one for one in root.rglob(f"*{RECEIPT_SUFFIX}") if ".shplan" not in one.parts)
    files = (one for one in found if one.is_file() and one.stat().st_size <= LONGEST_BYTES)
    sound = sum(read_receipt(one.read_bytes()) is not None for one in files)
    if not sound:
        return ""
    have = "lies beside an answer" if sound == 1 else "lie beside answers"
    return f"{amount(sound, 'receipt file')} {have}: nothing of them is paid again.\n"


def _kept_as_files(loaded: Loaded) -> str:
    """Say how many receipt files this environment has: the next plan takes from them what is lost."""
    from shplan.core.files import Inspect  # noqa: PLC0415
    from shplan.manifest.receipts_place import receipts_directory  # noqa: PLC0415
    from shplan.providers.immediate_receipt import LONGEST_BYTES  # noqa: PLC0415
    from shplan.providers.receipt_file import folder_of, is_sound, short_key_of  # noqa: PLC0415
    from shplan.storage.project_files import ProjectFiles  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    if not loaded.project.receipts:
        return ""
    directory = receipts_directory(loaded.project.receipts)
    folder = folder_of(directory, loaded.environment.name)
    files = ProjectFiles(loaded.root)
    paths = tuple(path for path in files.below(folder) if short_key_of(path))
    found = files.inspect(Inspect(paths, frozenset(paths), LONGEST_BYTES))
    count = sum(is_sound(one.content) for one in found.values())
    if not count:
        return ""
    lies = "lies" if count == 1 else "lie"
    return f"{amount(count, 'receipt file')} {lies} in {folder}/: what they say is paid is not paid again.\n"


def _open(options: Options) -> tuple[Loaded, Journal]:
    from shplan.cli.project import open_settings  # noqa: PLC0415
    from shplan.cli.session import open_journal  # noqa: PLC0415

    loaded = open_settings(options)
    return loaded, open_journal(loaded, applying=False, own_only=False)


def _no_entry(address: str, known: set[str]) -> PlanError:
    return no_such(address, known, what=f"the ledger has no entry of {address}.")
