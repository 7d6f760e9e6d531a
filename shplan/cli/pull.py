"""
`shplan pull`: what a data kind finds now is what `shplan.lock` holds from now on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import click

from shplan.cli.addresses import no_such
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shplan.cli.session import Opened
    from shplan.core.address import Address
    from shplan.core.errors import ManifestError
    from shplan.core.reading import Reading
    from shplan.core.value import JsonObject
    from shplan.manifest.load import Loaded
    from shplan.manifest.pulling import Pulled
    from shplan.manifest.readings import Question

# Beside the project's other files that nobody commits; the lock itself is the system's.
_TURN: Final = "pull.lock"
# What is done in one's turn takes milliseconds.
_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.02


@click.command("pull")
@click.argument("address")
@takes("environment", "server", "format")
def command(options: Options, address: str) -> int:
    """
    Pin what ADDRESS finds now in shplan.lock, for its environment; commit the file.

    A manifest with `pin: true` takes its items from there, today and next year. Nothing else
    writes the file, and no other entry of it is touched.
    """
    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import load_project, variable_inputs  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.manifest.pulling import pull  # noqa: PLC0415

    loaded = load_project(options, variable_inputs(options), pulling=address)
    wanted(loaded, address)

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(loaded, options, applying=False, listener=events) as opened:
                questions = wanted(opened.loaded, address)
                found = await _read(questions, opened)
                service = opened.session.world.settings.deployment
        with in_turn(opened.loaded.root):
            pulled = pull(
                opened.loaded.root,
                [(question, found[question.address].content) for question in questions],
                environment=loaded.environment.name,
                deployment=service,
                registry=loaded.order.registry,
            )
        if options.output == "json":
            write_json([_json(one) for one in pulled])
        else:
            write_text("\n".join(_text(one, loaded.environment.name) for one in pulled))
        return 0

    return asyncio.run(run())


@contextlib.contextmanager
def in_turn(root: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """
    Let nobody else pull between the reading of the file and its replacement.

    Two that read the same file would each write it without the other's entry. The right to it ends
    with the process, whatever ends it.

    Raises:
        ManifestError: somebody else keeps it, or the system gives nobody the right
    """
    from shplan.ledger.backends.lock import FileLock  # noqa: PLC0415

    lock = FileLock(root / ".shplan" / _TURN)
    until = time.monotonic() + patience_s
    try:
        (root / ".shplan").mkdir(exist_ok=True)
        while not lock.acquire():
            if time.monotonic() >= until:
                busy = "another shplan pull is writing it, and does not end"
                raise _not_written(busy)
            time.sleep(_PAUSE_S)
    except OSError as error:
        raise _not_written(error.strerror or "the system refuses") from error
    try:
        yield
    finally:
        lock.release()


def _not_written(reason: str) -> ManifestError:
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import ManifestError  # noqa: PLC0415
    from shplan.manifest.pins import LOCK_FILE  # noqa: PLC0415

    diagnostic = Diagnostic(
        "manifest/lock",
        "Lock cannot be written",
        f"{LOCK_FILE} cannot be written: {reason}.",
        why="Who pulls while somebody else does could lose what the other has pinned.",
        hint=f"end the other command, or see who holds .shplan/{_TURN}, and pull again",
    )
    return ManifestError(diagnostic.what, diagnostics=(diagnostic,))


def wanted(loaded: Loaded, address: str) -> list[Question]:
    """
    Return the questions of an address, or of all instances of one manifest.

    Raises:
        PlanError: there is no such address, or what it finds cannot be pinned
    """
    from shplan.providers.data import DataProvider  # noqa: PLC0415

    chosen = [
        question
        for question in loaded.questions
        if address in (str(question.address), str(question.address.base))
    ]
    known = {
        str(question.address)
        for question in loaded.questions
        if _can_be_pinned(loaded.order.registry[question.address.kind], DataProvider)
    }
    if chosen and str(chosen[0].address) in known:
        return chosen
    # An instance that is not known yet is looked for again when its keys are.
    base = [one for one in loaded.questions if address.partition("[")[0] == str(one.address)]
    if base and loaded.awaited:
        return base
    what = (
        f"what {address} gives is not pinned: only searches of the catalogue are."
        if chosen
        else f"no manifest declares a search of the catalogue {address}."
    )
    raise no_such(address, known, what=what)


def _can_be_pinned(kind: object, data: type) -> bool:
    return isinstance(kind, data) and bool(getattr(kind, "can_be_pinned", False))


async def _read(questions: list[Question], opened: Opened) -> dict[Address, Reading]:
    from dataclasses import replace  # noqa: PLC0415

    from shplan.cli.reading import answers, answers_after  # noqa: PLC0415
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415
    from shplan.core.value import is_known  # noqa: PLC0415

    addresses = {question.address for question in questions}
    ready = [one for one in questions if is_known(one.desired.spec) and not one.desired.depends_on]
    found: dict[Address, Reading] = {}
    if ready:
        found |= await answers(ready, opened.loaded, opened.session)
    rest = [one for one in questions if one.address not in found]
    if rest:
        # What is pinned now is what is asked again, and no answer.
        known = {
            one: reading for one, reading in opened.session.readings.items() if one not in addresses
        }
        found |= await answers_after(rest, replace(opened.session, readings=known))
    missing = [question for question in questions if question.address not in found]
    if missing:
        diagnostic = Diagnostic(
            code="data/later",
            summary="Nothing to pin yet",
            what=f"what {missing[0].address} asks for depends on something that apply creates.",
            why="A pin holds what the service has found, and so far there is nothing to look for.",
            hint="shplan apply",
            span=missing[0].desired.source.span(("spec",)),
        )
        raise PlanError(diagnostic.what, diagnostics=(diagnostic,))
    return found


def _json(one: Pulled) -> JsonObject:
    return {
        "address": str(one.address),
        "count": one.count,
        "added": [*one.difference.added],
        "removed": [*one.difference.removed],
        "changed": [*one.difference.changed],
        "digest": one.pin.digest,
        "used": one.is_used,
    }


def _text(one: Pulled, environment: str) -> str:
    from shplan.manifest.pins import LOCK_FILE  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    differs = one.difference
    counted = [
        f"{len(names):,} {what}"
        for what, names in (
            ("added", differs.added),
            ("removed", differs.removed),
            ("changed", differs.changed),
        )
        if names
    ]
    told = ", ".join(counted) or ("nothing changed" if one.was_pinned else "nothing found")
    counted_items = f"{amount(one.count, 'item')} in {LOCK_FILE} for environment {environment}"
    lines = [f"{one.address}: {counted_items}; {told}."]
    lines += [f"  + {name}" for name in differs.added]
    lines += [f"  - {name}" for name in differs.removed]
    lines += [f"  ~ {name}" for name in differs.changed]
    if not one.is_used:
        lines.append("It is used when the manifest says `pin: true`.")
    return "\n".join(lines)
