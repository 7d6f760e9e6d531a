"""
How `shplan sandbox serve` is told to behave badly: options that become settings and faults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    The options as typed.

    Args:
        assignments: of the form `NAME=VALUE`
        latency: a duration or a range of them
        faults: as `shplan.sandbox.spelling` reads them
    """

    seed: str | None
    speed: float | None
    list_lag: str | None
    rate: float | None
    latency: str | None
    faults: tuple[str, ...]
    assignments: tuple[str, ...]


_OPTIONS = (
    click.option("--seed", help="Of identifiers and of chance in faults; for a new directory."),
    click.option("--speed", type=float, help="Sandbox seconds for each second.  [default: 1]"),
    click.option(
        "--latency",
        metavar="D[..D]",
        help="Delay every answer, e.g. 200ms, or by chance within 100ms..2s.",
    ),
    click.option("--list-lag", metavar="D", help="What was created is in no list for so long."),
    click.option("--rate", type=float, help="Requests a minute for an account; then 429."),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="SPEC",
        help="A misfortune, e.g. 503:share=0.1 or 429:every=2,retry-after=500ms,path=/byoc/.*, or as"
        " JSON. Replaces those that the directory has.",
    ),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="Change any setting; it is kept with the data.",
    ),
)


def behaviour(command: F) -> Callable[..., Any]:
    """Give a command these options; it is called with `behaviour=Behaviour(...)`."""

    def wrapper(**given: Any) -> Any:
        known = {name: given.pop(name) for name in Behaviour.__slots__}
        return command(behaviour=Behaviour(**known), **given)

    wrapper.__doc__ = command.__doc__
    wrapped: Callable[..., Any] = wrapper
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def prepare(data: Path, wanted: Behaviour) -> None:
    """
    Make the sandbox of a directory behave as wanted, and check that it can be opened.

    Raises:
        ClickException: an option that cannot be
        PlanError: what lies in the directory cannot be read
    """
    from shplan.cli.embedded import readable  # noqa: PLC0415 as every command of the sandbox
    from shplan.sandbox import faults, spelling  # noqa: PLC0415
    from shplan.sandbox.app import close_app, create_app  # noqa: PLC0415
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415
    from shplan.sandbox.faults import FaultError  # noqa: PLC0415
    from shplan.sandbox.settings import SettingsError, SettingsFile  # noqa: PLC0415

    with readable(data):
        before = SettingsFile(data).read()
    try:
        named = before if wanted.seed is None else before.patched({"seed": wanted.seed})
        settings = spelling.changed(named, _assignments(wanted))
        programmed = [spelling.fault(text) for text in wanted.faults]
        if wanted.latency is not None:
            programmed.append(spelling.latency(wanted.latency))
    except (SettingsError, FaultError) as error:
        raise click.ClickException(str(error)) from error
    with readable(data):
        app = create_app(data, clock=SystemClock(), settings=settings)
        world = app.state.world
        try:
            if wanted.seed is not None and not world.store.adopt_seed(wanted.seed):
                # What is refused changes nothing, for a server that runs on the directory either.
                SettingsFile(data).write(before)
                msg = f"{data} has another seed; reset it, or serve another directory by --data"
                raise click.ClickException(msg)
            if programmed:
                faults.clear(world.store)
            for fault in programmed:
                faults.program(world.store, fault)
        finally:
            close_app(app)


def _assignments(wanted: Behaviour) -> list[str]:
    """The options that stand for settings come first: what is said by name holds."""
    shorthands = {
        "speed": wanted.speed,
        "list_lag_s": wanted.list_lag,
        "path_lag_s": wanted.list_lag,
        "requests_per_minute": wanted.rate,
    }
    stated = [f"{name}={value}" for name, value in shorthands.items() if value is not None]
    return [*stated, *wanted.assignments]
