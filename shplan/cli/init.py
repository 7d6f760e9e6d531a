"""
`shplan init`: a new project that works at once, on the sandbox, with real imagery.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import ShplanError

TEMPLATE = Path(__file__).parent / "template"
BUCKET = ".shplan/sandbox/buckets/fields"
# Where the manifests of the template tell editors to look: no path of this machine in a file
# that is committed. The template's README says how a clone gets its own.
SCHEMA = ".shplan/schema.json"
GITIGNORE = ".gitignore"
IGNORED = ".shplan/"
# Source: schemas/manifest/Project.json, `Name`.
LONGEST = 100
# Source: YAML 1.1 "bool" and "null", 1.2 core schema: words that are not text without quotes.
NOT_TEXT = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the project; the directory's by default.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(directory: Path, *, name: str | None, force: bool) -> int:
    """
    Make a new project in DIR that works at once, on the sandbox.

    Writes a collection with three tiles, an evalscript, two batch requests, an area of interest,
    and small real COGs into the sandbox's bucket. A .gitignore that is there keeps its lines.
    """
    from shplan.cli.embedded import require_packages  # noqa: PLC0415

    require_packages()
    called = project_name(directory.resolve().name) if name is None else checked_name(name)
    files = dict(contents(called))
    with _obstacles_named(directory):
        if not force:
            refuse_overwriting(files, directory)
        write(files, directory)
    click.echo(f"Project {called} is ready, with three real tiles in the sandbox's bucket. Next:\n")
    where = "" if directory == Path() else f"  cd {shown(directory)}\n"
    click.echo(f"{where}  shplan plan\n  shplan apply")
    return 0


def project_name(directory: str) -> str:
    """Make a valid name of a directory's: letters, digits, dots, dashes and underscores."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", directory).strip("-._")[:LONGEST].strip("-._")
    return kept or "project"


def checked_name(name: str) -> str:
    """
    Return the name that a person gave.

    Raises:
        click.BadParameter: a project cannot be called so
    """
    if len(name) <= LONGEST and re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        return name
    message = (
        f"{name!r} is no name for a project: letters, digits, dots, dashes and underscores, "
        f"at most {LONGEST}, a letter or digit at both ends, e.g. {project_name(name)}"
    )
    raise click.BadParameter(message, param_hint="--name")


def scalar(text: str) -> str:
    """Return a name as a YAML scalar that is text to every reader: `2024` needs quotes."""
    plain = text[0].isalpha() and text.lower() not in NOT_TEXT
    return text if plain else json.dumps(text)


def contents(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield every file of a new project but `.gitignore`, by its path in the project."""
    from shplan.sandbox import farm  # noqa: PLC0415 takes what only the sandbox needs
    from shplan.schema.store import path_of  # noqa: PLC0415

    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            called = name if path.suffix == ".md" else scalar(name)
            yield path.relative_to(TEMPLATE).as_posix(), text.replace("@NAME@", called).encode()
    yield SCHEMA, path_of("shplan").read_bytes()
    for folder in farm.DAYS:
        for band in farm.BANDS:
            yield f"{BUCKET}/{folder}/{band}.tiff", farm.cog(folder, band)


def refuse_overwriting(files: Mapping[str, bytes], directory: Path) -> None:
    """
    Look whether a new project would take somebody's files away.

    Raises:
        ShplanError: files are there; those that shplan made below `.shplan/` may be if they
            are the same
    """
    there = [
        directory / path
        for path, content in sorted(files.items())
        if _in_the_way(directory / path, content, ours=path.startswith(IGNORED))
    ]
    if not there:
        return
    raise _failed(
        code="init/exists",
        summary="There are files already",
        what="init would overwrite " + ", ".join(shown(path) for path in there) + ".",
        why="What stands there may be nowhere else.",
        hint="choose another directory, or add --force to overwrite them",
    )


def _in_the_way(path: Path, content: bytes, *, ours: bool) -> bool:
    if not path.exists() or path.name == Path(SCHEMA).name:
        return False
    return not (ours and path.is_file() and path.read_bytes() == content)


def write(files: Mapping[str, bytes], directory: Path) -> None:
    """Write all files, and the line that keeps `.shplan/` out of the repository."""
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    _ignore(directory / GITIGNORE)


@contextmanager
def _obstacles_named(directory: Path) -> Iterator[None]:
    """
    Translate what the file system refuses.

    Raises:
        ShplanError: something stands in the way, or may not be read or written
    """
    try:
        yield
    except OSError as error:
        at = shown(Path(error.filename)) if error.filename else shown(directory)
        raise _failed(
            code="init/not-written",
            summary="A file cannot be written",
            what=f"{at}: {error.strerror or error}.",
            why="Files of the project that come before it are written, the rest is not.",
            hint="make room for it; the same command with --force then writes them all",
        ) from error


def _ignore(path: Path) -> None:
    """Add the line; what stands there stays as it is, in whatever encoding and line ends."""
    before = path.read_bytes() if path.exists() else b""
    if IGNORED.encode() in (line.strip() for line in before.splitlines()):
        return
    gap = b"" if before.endswith((b"\n", b"\r")) or not before else b"\n"
    path.write_bytes(before + gap + IGNORED.encode() + b"\n")


def _failed(*, code: str, summary: str, what: str, why: str, hint: str) -> ShplanError:
    diagnostic = Diagnostic(code=code, summary=summary, what=what, why=why, hint=hint)
    return ShplanError(what, diagnostics=(diagnostic,))


def shown(path: Path) -> str:
    """Return a path as one types it in a shell, with forward slashes."""
    return shlex.quote(path.as_posix())
