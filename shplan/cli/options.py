"""
The options that commands share, as one value.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click only
    """A duration such as `90s`, `5m` or `1h30m`; a bare number counts seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip()
        match = _DURATION.fullmatch(text)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if not text or match is None:
            self.fail(f"{value!r} is not a duration; write 90s, 5m or 1h30m", param, ctx)
        parts = {unit: float(number or 0) for unit, number in match.groupdict().items()}
        return parts["h"] * 3600 + parts["m"] * 60 + parts["s"]


@dataclass(frozen=True, slots=True)
class Options:
    """
    What every command takes.

    Args:
        project: where to look for `shplan.yaml`, None for here and above
        environment: as typed, None for the default
        variables: `NAME=VALUE`, as typed
        output: `text`, `json` or, for what people read elsewhere, `markdown`
        log: `text`, or `json` for one event a line on stderr
        wait: an apply waits for the jobs that it has started
    """

    project: Path | None = None
    environment: str | None = None
    variables: tuple[str, ...] = ()
    variable_files: tuple[Path, ...] = ()
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    parallelism: int = 8
    lock_timeout_s: float = 0.0
    output: str = "text"
    log: str = "text"
    color: bool = True
    verbose: int = 0
    wait: bool = True


_PROJECT = (
    click.option(
        "--project",
        type=click.Path(path_type=Path, file_okay=False),
        help="Directory with shplan.yaml; here and above by default.",
    ),
    click.option("--no-color", is_flag=True, help="Write without colour (also: NO_COLOR)."),
    click.option("-v", "--verbose", count=True, help="Say more on stderr."),
)
_ENVIRONMENT = (
    click.option("-e", "--environment", help="Environment (also: SHPLAN_ENVIRONMENT)."),
    click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable."),
    click.option(
        "--var-file",
        "variable_files",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Read variables from a YAML file.",
    ),
)
_SELECTION = (
    click.option(
        "--select",
        multiple=True,
        metavar="EXPR",
        help="Only these: an address, Kind/*, label:k=v, path:..., state:changed; + adds"
        " dependencies on that side.",
    ),
    click.option("--exclude", multiple=True, metavar="EXPR", help="All but these."),
)
_SERVER = (
    click.option(
        "--parallelism",
        type=click.IntRange(1, 64),
        default=8,
        show_default=True,
        help="Requests in flight at once.",
    ),
    click.option(
        "--log",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="What goes to stderr; json is one event a line.",
    ),
)


class Format(click.Choice):  # type: ignore[type-arg]  # generic in new releases of click only
    """What a command can write; Markdown where nobody would read it is answered with a reason."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the format."""
        if value == "markdown" and value not in self.choices:
            self.fail(
                f"nothing is written as Markdown here; write {MARKDOWN_ELSEWHERE}", param, ctx
            )
        return super().convert(value, param, ctx)


MARKDOWN_ELSEWHERE = "text or json (plan, show FILE, apply, destroy, byoc check, ledger verify and graph have Markdown)"


def _format(*choices: str) -> Callable[[F], F]:
    return click.option(
        "--format",
        "output",
        type=Format(choices),
        default="text",
        show_default=True,
        help="What goes to stdout: one document.",
    )


_FORMAT = (_format("text", "json"),)
_DOCUMENT = (_format("text", "json", "markdown"),)
_LOCK = (
    click.option(
        "--lock-timeout",
        "lock_timeout_s",
        type=Duration(),
        default=0.0,
        help="Wait so long while others hold the ledger, e.g. 5m; an apply that has begun waits"
        " at least 30s to go on.",
    ),
)
_WAIT = (
    click.option(
        "--no-wait",
        "wait",
        flag_value=False,
        default=True,
        help="Leave jobs running; a later apply collects them.",
    ),
)
GROUPS = {
    "wait": _WAIT,
    "project": _PROJECT,
    "environment": _ENVIRONMENT,
    "selection": _SELECTION,
    "server": _SERVER,
    "format": _FORMAT,
    "document": _DOCUMENT,
    "lock": _LOCK,
}


def takes(*groups: str) -> Callable[[F], Callable[..., Any]]:
    """
    Give a command the options of some groups; it is called with `options=Options(...)`.

    Args:
        groups: names in `GROUPS`; `project` always comes along
    """

    def decorate(command: F) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            known = {name: given.pop(name) for name in _NAMES if name in given}
            color = not given.pop("no_color", False)
            return command(options=Options(**known, color=color), **given)

        wrapped: Callable[..., Any] = wrapper
        for group in ("project", *groups):
            for option in reversed(GROUPS[group]):
                wrapped = option(wrapped)
        return wrapped

    return decorate


_NAMES = frozenset(Options.__dataclass_fields__) - {"color"}
