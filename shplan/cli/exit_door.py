"""
The one door by which commands leave: an error becomes a message and an exit code.

    0 done   1 error   2 pending changes   3 partly done   4 stale plan   5 refused
    6 locked   7 undecided   70 a bug in shplan   130 interrupted
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import click
from click.exceptions import NoArgsIsHelpError

from shplan import __version__
from shplan.core.errors import (
    ApiError,
    LedgerError,
    LockedError,
    NoAnswerError,
    PlanError,
    ProtectedError,
    RefusedError,
    ShplanError,
    StalePlanError,
    StorageError,
    ThrottledError,
    UndecidedError,
    UnreachableError,
)

CODES: tuple[tuple[type[ShplanError], int], ...] = (
    (LockedError, 6),
    (UndecidedError, 7),
    (ProtectedError, 5),
    (StalePlanError, 4),
)
BUG = 70
INTERRUPTED = 130
_MOST_CAUSES = 10
_MOST_FRAMES = 100
CRASH_LOG = Path(".shplan") / "crash.log"


def through(program: click.Command, arguments: Sequence[str]) -> int:
    """Run the program and return its exit code; says what went wrong on stderr."""
    say = _say_event if _wants_events(arguments) else _say
    try:
        result = program.main(args=list(arguments), prog_name="shplan", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except click.ClickException as wrong:
        _say_wrong(wrong, say)
        # click's own 2 would read as "changes are pending".
        return 1
    except ShplanError as error:
        say(message(error))
        return code_of(error)
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as error:
        say(_system(error))
        return 1
    except Exception as error:  # noqa: BLE001 - the last door: a bug must not end in a traceback
        say(_bug(error))
        return BUG
    return result if isinstance(result, int) else 0


def _say_wrong(wrong: click.ClickException, say: Callable[[str], None]) -> None:
    """Say what is wrong with a command line; a group without a command shows its help."""
    if isinstance(wrong, click.UsageError) and not isinstance(wrong, NoArgsIsHelpError):
        from shplan.cli import usage  # noqa: PLC0415

        say(usage.message(wrong))
    else:
        wrong.show(sys.stderr)


def code_of(error: ShplanError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in CODES if isinstance(error, kind)), 1)


def message(error: ShplanError) -> str:
    """Word an error: its diagnostics where it has any, else its own text."""
    from shplan.views.snippet import render_all  # noqa: PLC0415

    if error.diagnostics:
        return render_all(error.diagnostics, error.texts).rstrip()
    code, summary, note = next(words for kind, words in _WORDS if isinstance(error, kind))
    if isinstance(error, RefusedError) and error.status in (404, 405):
        note = "  hint: is baseUrl, or the deployment, the one that is meant? -e chooses another"
    violations = error.violations if isinstance(error, RefusedError) else ()
    told = [f"  {one.rstrip('.')}." for one in (str(error), *violations)]
    lines = [f"error[{code}]: {summary}", *told, note]
    return "\n".join(line for line in lines if line)


def _system(error: OSError) -> str:
    """Word what the operating system refused: a full disk, a directory that is none, no right."""
    place = f"{error.filename}: " if error.filename else ""
    return (
        "error[system/refused]: The operating system refused\n"
        f"  {place}{error.strerror or error}.\n"
        "  What an apply has done before is in the ledger; the same command goes on from there."
    )


# For what carries no diagnostics of its own; the first that fits.
_WORDS: tuple[tuple[type[ShplanError], tuple[str, str, str]], ...] = (
    (RefusedError, ("api/refused", "The server refused", "")),
    (ThrottledError, ("api/throttled", "The server is too busy", "  hint: try again later")),
    (
        UnreachableError,
        (
            "api/unreachable",
            "The server cannot be reached",
            "  hint: is the deployment reachable from here? -e chooses another environment",
        ),
    ),
    (
        NoAnswerError,
        (
            "api/no-answer",
            "No answer",
            "  It may have happened; the same command looks before it repeats anything.",
        ),
    ),
    (ApiError, ("api/answer", "The server cannot be understood", "")),
    (LockedError, ("ledger/locked", "The ledger is locked", "")),
    (LedgerError, ("ledger/unusable", "The ledger cannot be used", "")),
    (StorageError, ("storage/unusable", "A bucket cannot be used", "")),
    (PlanError, ("plan/refused", "This cannot be planned", "")),
    (ShplanError, ("command/failed", "This cannot be done", "")),
)


def _wants_events(arguments: Sequence[str]) -> bool:
    return ("--log", "json") in pairwise(arguments) or "--log=json" in arguments


def _bug(error: Exception) -> str:
    """Keep the traceback for the developers, out of the way of the person."""
    log = ""
    try:
        from shplan.manifest.writing import write_whole  # noqa: PLC0415

        CRASH_LOG.parent.mkdir(exist_ok=True)
        if not CRASH_LOG.parent.is_symlink():
            write_whole(CRASH_LOG, crash_report(error).encode())
            log = f"\n  The details are in {CRASH_LOG}; they name files and lines, no values."
    except OSError:
        pass
    kind = type(error).__name__
    return (
        f"error[bug/{kind}]: This is a bug in shplan\n"
        "  It stopped at a place where it should never come to."
        f"{log}\n  What was done before is in the ledger; the same command resumes."
    )


def crash_report(error: BaseException) -> str:
    """Return where an error came from, and what led to it: no message, which may hold a value."""
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and len(parts) < _MOST_CAUSES:
        seen.add(id(cause))
        frames = "".join(
            f"  {frame.filename}:{frame.lineno} in {frame.name}\n"
            for frame in traceback.extract_tb(cause.__traceback__)[-_MOST_FRAMES:]
        )
        kind = type(cause)
        parts.append(f"{kind.__module__}.{kind.__qualname__}\n{frames}")
        cause = cause.__cause__ or cause.__context__
    return f"shplan {__version__}\n" + "because of\n".join(parts)


def _broken_pipe() -> int:
    # The reader has gone (`shplan plan | head`); Python would complain once more at exit.
    sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123 - left to the interpreter's end
    return 0


def _say(text: str) -> None:
    from shplan.views.terminal import harmless  # noqa: PLC0415

    click.echo(harmless(text), err=True)


def _say_event(text: str) -> None:
    from shplan.cli.output import message_event  # noqa: PLC0415

    click.echo(message_event(text), err=True)
