"""
`shplan evalscript check`: what can be said of scripts without a project, a request or a server.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, has_errors, ordered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shplan.cli.options import Options

_MOST_BYTES = 4 << 20


def check_files(options: Options, files: Sequence[Path], collection: str) -> int:
    """
    Check scripts in files; return 1 where one of them cannot be used or is surely wrong.

    Args:
        files: a directory stands for the scripts below it, and `-` for what is piped in
        collection: what they read, e.g. `sentinel-2-l2a`, or empty
    """
    from shplan.manifest.script_checks import FileChecks  # noqa: PLC0415

    found: list[Diagnostic] = []
    texts: dict[str, str] = {}
    paths = [script for path in files for script in _scripts(path)]
    with FileChecks(collection) as checks:
        for path in paths:
            name = "stdin" if str(path) == "-" else path.as_posix()
            text = read_script(path)
            if isinstance(text, Diagnostic):
                found.append(text)
                continue
            texts[name] = text
            found += checks.of_file(name, text)
    return told(options, ordered(found), texts, count=len(paths))


def _scripts(path: Path) -> list[Path]:
    """Return the scripts below a directory; without any, and for a file, the path itself."""
    found = [one for one in path.rglob("*.js") if not _is_of_others(one.relative_to(path))]
    return sorted(found) or [path]


def _is_of_others(path: Path) -> bool:
    return any(one.startswith(".") or one == "node_modules" for one in path.parts)


def check_project(options: Options) -> int:
    """Check the scripts of the project, each with the collections that its requests give it."""
    from shplan.cli.project import ProjectError, open_project  # noqa: PLC0415

    try:
        loaded = open_project(options, offline=True)
    except ProjectError as error:
        diagnostics = error.diagnostics
        if any(not one.code.startswith("evalscript/") for one in diagnostics):
            raise
        return told(options, diagnostics, error.texts, count=0)
    mine = [one for one in loaded.diagnostics if one.code.startswith("evalscript/")]
    scripts = {one.spec.get("file") for one in loaded.resources if one.address.kind == "Evalscript"}
    return told(options, mine, loaded.texts, count=len(scripts))


def told(
    options: Options,
    diagnostics: Sequence[Diagnostic],
    texts: Mapping[str, str],
    *,
    count: int,
) -> int:
    """Say what was found; return the exit code."""
    from shplan.cli.output import say, write_json, write_text  # noqa: PLC0415
    from shplan.views.errors import diagnostics_json  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415
    from shplan.views.values import amount  # noqa: PLC0415

    wrong = has_errors(diagnostics)
    if options.output == "json":
        write_json({"valid": not wrong, "diagnostics": diagnostics_json(tuple(diagnostics))})
        return int(wrong)
    if diagnostics:
        say(render_all(diagnostics, texts).rstrip("\n"))
    if wrong:
        return 1
    counts = Counter(one.severity.value for one in diagnostics)
    parts = [amount(number, kind) for kind, number in sorted(counts.items(), reverse=True)]
    write_text(f"Checked: {', '.join([amount(count, 'script'), *parts])}.")
    return 0


def read_script(path: Path) -> str | Diagnostic:
    """Read a script's text, or say why it cannot be read."""
    try:
        content = _content(path)
        if len(content) > _MOST_BYTES:
            return _unreadable(path, f"is larger than {_MOST_BYTES >> 20} MiB")
        return content.decode("utf-8")
    except IsADirectoryError:
        return _unreadable(path, "has no scripts (*.js) in it")
    except OSError as error:
        return _unreadable(path, f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return _unreadable(path, "is not UTF-8", "save it as UTF-8")


def _content(path: Path) -> bytes:
    """Read a file, or what is piped in, and no more of it than a script may have."""
    if str(path) == "-":
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _unreadable(path: Path, why: str, hint: str = "") -> Diagnostic:
    return Diagnostic(
        code="evalscript/file",
        summary="File cannot be used",
        what=f"{path.as_posix()} {why}.",
        hint=hint,
    )
