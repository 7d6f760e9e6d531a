"""
Loading a project with what its data kinds give: load, ask what it asks for, load again, until it asks no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shplan.cli.project import ProjectError, checked
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import RefusedError
from shplan.manifest.load import Loaded, load_as
from shplan.manifest.member_tables import Listings
from shplan.providers.base import ChangeFailedError

if TYPE_CHECKING:
    from shplan.core.address import Address
    from shplan.core.reading import Reading
    from shplan.engine.asking import Asked
    from shplan.engine.runs import Session
    from shplan.manifest.readings import Question

# Data that depends on data that depends on data.
MAX_ROUNDS = 20


async def with_data(loaded: Loaded, session_of: Callable[[Loaded], Session]) -> Loaded:
    """
    Load a project again until nothing more can be read for it.

    Args:
        loaded: as it is without any data; nothing is wrong with it
        session_of: makes of a loaded project what asks the service

    Raises:
        ProjectError: the service refuses a question, or what it gave makes the manifests wrong
        ApiError: the service cannot be read
    """
    readings: dict[Address, Reading] = {}
    for _ in range(MAX_ROUNDS):
        found = await _read(loaded, session_of)
        if not found:
            break
        readings |= found
        loaded = await _again(loaded, readings)
    # Keys that nobody has made known by now are not known while planning: that is an error.
    is_open = loaded.awaited and not loaded.order.pulling
    return await _again(loaded, readings, settled=True) if is_open else loaded


async def _read(
    loaded: Loaded, session_of: Callable[[Loaded], Session]
) -> Mapping[Address, Reading]:
    ready = [question for question in loaded.questions if question.is_asked]
    if ready:
        return await answers(ready, loaded, session_of(loaded))
    awaited = [
        question
        for question in loaded.questions
        if question.address in loaded.awaited and question.can_be_asked
    ]
    return await answers_after(awaited, session_of(loaded)) if awaited else {}


async def answers_after(
    questions: Sequence[Question], session: Session
) -> Mapping[Address, Reading]:
    """
    Ask what needs something that the server has already; what needs more is left out.

    Raises:
        ApiError: the server cannot be read
    """
    from shplan.engine.asking import ask_after  # noqa: PLC0415 - few projects have data

    return await ask_after(_asked(questions), session)


async def answers(
    questions: Sequence[Question], loaded: Loaded, session: Session
) -> Mapping[Address, Reading]:
    """
    Ask the service what can be asked at once.

    Raises:
        ProjectError: it refuses a question; all refusals at once
        ApiError: it cannot be read
    """
    from shplan.engine.asking import ask  # noqa: PLC0415

    found, failed = await ask(_asked(questions), session.world)
    diagnostics: list[Diagnostic] = []
    for question in questions:
        error = failed.get(question.address)
        if error is None:
            continue
        if not isinstance(error, RefusedError | ChangeFailedError):
            raise error
        diagnostics.append(
            Diagnostic(
                code="data/refused",
                summary="Data cannot be read",
                what=f"{question.address}: {error.said if isinstance(error, RefusedError) else error}",
                why="It is read while planning, as other manifests may depend on it.",
                span=question.desired.source.span(("spec",)),
                address=str(question.address),
            )
        )
    if diagnostics:
        message = "what the project reads was refused; nothing was changed"
        raise ProjectError(message, diagnostics=tuple(diagnostics), texts=loaded.texts)
    return found


def _asked(questions: Sequence[Question]) -> list[Asked]:
    from shplan.engine.asking import Asked  # noqa: PLC0415

    return [Asked(question.desired, question.digest) for question in questions]


async def _again(
    loaded: Loaded, readings: Mapping[Address, Reading], *, settled: bool = False
) -> Loaded:
    order = replace(
        loaded.order,
        readings=dict(readings),
        settled=settled,
        listings=Listings(loaded.listings.found),
    )
    again = checked(load_as(order))
    if not again.listings.missing:
        return again
    # What was read has made sets known that are found in buckets.
    from shplan.cli.listing import listed  # noqa: PLC0415 - few projects list a bucket

    return checked(load_as(replace(order, listings=await listed(again))))
