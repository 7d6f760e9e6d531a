"""
What `ledger verify` and `ledger sign` compare a ledger with: heads that lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from shplan.cli.clock import SystemClock
from shplan.cli.given import read_given
from shplan.cli.project import command_for
from shplan.cli.signatures import sign, signer_of
from shplan.core.anchors import Anchor, Finding
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import LedgerError
from shplan.core.saved import saved_text
from shplan.core.signed_heads import SignatureFinding, SignedHead, Statement, parse
from shplan.ledger.backends.files import Files
from shplan.ledger.journal import Journal
from shplan.ledger.tail import instant
from shplan.ledger.verification import Report
from shplan.manifest.load import Loaded


@dataclass(frozen=True, slots=True)
class Signed:
    """
    A line of a file of signed heads.

    Args:
        place: file and line
        head: None where the line is none
        why: then, what is wrong
    """

    place: str
    head: SignedHead | None
    why: str = ""


def anchors_of(loaded: Loaded, texts: Iterable[str], plans: Iterable[Path]) -> tuple[Anchor, ...]:
    """
    Gather the anchors of a command line.

    Args:
        texts: `SEQUENCE:HASH`
        plans: saved plans

    Raises:
        click.BadParameter: a text is no head, or a plan is of another environment
        PlanError: a file is no saved plan, or was changed
    """
    return (*(_anchor(text) for text in texts), *(_anchor_of(plan, loaded) for plan in plans))


def _anchor(text: str) -> Anchor:
    try:
        return Anchor.parse(text, source="--anchor")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--anchor") from error


def _anchor_of(file: Path, loaded: Loaded) -> Anchor:
    from shplan.views.saved_plan import load_plan  # noqa: PLC0415 - only where one is named

    saved = load_plan(read_given(file), name=str(file)).document
    environment = saved_text(saved, "environment")
    if environment != loaded.environment.name:
        message = f"{file} is a plan of {environment}, and this is {loaded.environment.name}"
        raise click.BadParameter(message, param_hint="--plan")
    return saved_anchor(saved_text(saved, "ledgerHead"), source=str(file))


def saved_anchor(head: str, *, source: str) -> Anchor:
    """
    Return the anchor that a saved plan holds.

    Raises:
        LedgerError: it names no head
    """
    try:
        return Anchor.parse(head, source=source)
    except ValueError as error:
        msg = f"{source} names no head of a ledger: {error}"
        raise LedgerError(msg) from error


def signatures_file(loaded: Loaded) -> Path:
    """Return where the signed heads of an environment lie unless a command says otherwise."""
    return loaded.root / "signatures" / f"{loaded.environment.name}.jsonl"


def signed_heads(loaded: Loaded, files: Sequence[Path]) -> tuple[Signed, ...]:
    """
    Read signed heads.

    Args:
        files: none for the environment's own file

    Raises:
        LedgerError: there are none in one of them
    """
    chosen = files or (signatures_file(loaded),)
    found = [tuple(_signed_in(file, loaded)) if file.is_file() else () for file in chosen]
    without = [_shown(file, loaded) for file, lines in zip(chosen, found, strict=True) if not lines]
    if not without:
        return tuple(line for lines in found for line in lines)
    diagnostic = Diagnostic(
        code="ledger/unsigned",
        summary="No signed heads",
        what=f"there is no signed head in {', '.join(without)}.",
        why="Whoever asks for signatures wants to know when there are none.",
        hint=command_for(loaded, "shplan ledger sign --key KEYFILE"),
    )
    raise LedgerError(diagnostic.what, diagnostics=(diagnostic,))


def _signed_in(file: Path, loaded: Loaded) -> Iterable[Signed]:
    for number, line in enumerate(read_given(file).splitlines(), start=1):
        place = f"{_shown(file, loaded)}:{number}"
        try:
            yield Signed(place, parse(line))
        except ValueError as error:
            yield Signed(place, None, str(error))


def _shown(file: Path, loaded: Loaded) -> str:
    absolute = file.absolute()
    inside = absolute.is_relative_to(loaded.root)
    return absolute.relative_to(loaded.root).as_posix() if inside else str(file)


async def check(
    loaded: Loaded,
    journal: Journal,
    anchors: Sequence[Anchor],
    signed: Sequence[Signed],
    allowed_signers: Path | None,
) -> tuple[Report, tuple[SignatureFinding, ...]]:
    """
    Verify a ledger with everything that is known of it elsewhere.

    Args:
        anchors: heads that it must have
        signed: signed heads, which it must have as well
        allowed_signers: who may sign, None where nothing is signed

    Raises:
        LedgerError: the ledger cannot be read, or signatures not be checked
    """
    heads = [one.head.statement.anchor(source=one.place) for one in signed if one.head is not None]
    report = await journal.verify((*anchors, *heads))
    stated, in_ledger = report.anchors[: len(anchors)], iter(report.anchors[len(anchors) :])
    found = tuple(
        _judged(one, None if one.head is None else next(in_ledger), loaded, allowed_signers)
        for one in signed
    )
    return replace(report, anchors=stated), found


def _judged(
    one: Signed, in_ledger: Finding | None, loaded: Loaded, allowed_signers: Path | None
) -> SignatureFinding:
    if one.head is None or in_ledger is None or allowed_signers is None:
        return SignatureFinding(one.place, None, "", "", holds=False, what=one.why)
    statement = one.head.statement
    signer, why = signer_of(one.head, allowed_signers)
    whose = f"{statement.project}, environment {statement.environment}"
    if not why and (statement.project, statement.environment) != _names(loaded):
        why = f"it is of another ledger: of {whose}"
    if not why and not in_ledger.met:
        why = f"{signer} signed the head {in_ledger.anchor}, and {in_ledger.what}"
    return SignatureFinding(
        one.place,
        in_ledger.anchor,
        statement.time,
        signer,
        holds=not why,
        what=why or in_ledger.what,
    )


def _names(loaded: Loaded) -> tuple[str, str]:
    return loaded.project.name, loaded.environment.name


async def add_signature(loaded: Loaded, journal: Journal, *, key: Path, file: Path) -> SignedHead:
    """
    Verify the ledger, sign its head, and add that to a file.

    Raises:
        LedgerError: there is nothing to sign, it is damaged, or it was not signed
    """
    report = await journal.verify()
    if report.damage is not None:
        msg = f"the ledger is damaged ({report.place}): {report.damage.what}; it was not signed"
        raise LedgerError(msg)
    if not report.entries:
        msg = "the ledger is empty: there is nothing to sign"
        raise LedgerError(msg)
    project, environment = _names(loaded)
    time = instant(SystemClock().now())
    end = report.end
    signed = sign(Statement(project, environment, end.sequence, end.hash, time), key)
    _add_line(file, signed.line())
    return signed


def _add_line(file: Path, line: bytes) -> None:
    """Add a line to a file, which is seen with it or without it."""
    present = read_given(file) if file.is_file() else b""
    if present and not present.endswith(b"\n"):
        present += b"\n"
    files = Files()
    files.make_directory(file.absolute().parent)
    files.replace_content(file.absolute(), present + line)
