"""
`shplan evalscript render`: a picture of what a script makes, before a job is paid for.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from click import UsageError

from shplan.cli.addresses import no_such
from shplan.cli.evalscript_options import Wanted, bounds_of, check_out, size_of, span_of

if TYPE_CHECKING:
    from shplan.api.discretion import Fetched
    from shplan.cli.options import Options
    from shplan.cli.project import ProjectError
    from shplan.cli.session import Opened
    from shplan.core.diagnostic import Diagnostic
    from shplan.core.errors import PlanError
    from shplan.core.pictures import Picture
    from shplan.core.request import ApiRequest
    from shplan.core.resource import Desired
    from shplan.core.value import JsonObject, Object, Value
    from shplan.manifest.load import Loaded

_LINE = re.compile(r"\(line (\d+)\)$")
# What an image of each format can hold.
_HELD = {
    "image/png": frozenset({"AUTO", "UINT8", "UINT16"}),
    "image/jpeg": frozenset({"AUTO", "UINT8"}),
}
_PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: render}\n"


# --- scripts -------------------------------------------------------------------------------


def render_script(options: Options, path: Path, wanted: Wanted) -> int:
    """
    Render a script in a file.

    Raises:
        ManifestError: the script is wrong, with the place in it
        UsageError: the options say no place, or no size
    """
    text = _script(path, wanted)
    drawn = _drawn(text, wanted)
    if wanted.cog is not None:
        with _draft(wanted.out) as draft:
            _write(draft, _of_file(path, text, drawn, wanted.cog, wanted))
        return _told(options, path.as_posix(), wanted, spent_pu=None)
    bounds = bounds_of(wanted)
    request = _script_request(drawn, bounds, wanted)
    with _draft(wanted.out) as draft, _project(options) as asked:
        fetched = asyncio.run(_fetched(asked, request, path, text, drawn, wanted))
        _write(draft, fetched.content)
    return _told(options, path.as_posix(), wanted, spent_pu=fetched.spent_pu or 0.0)


def _script(path: Path, wanted: Wanted) -> str:
    """Read a script; what is surely wrong with it is said before anything is paid."""
    from shplan.cli.evalscript_check import read_script  # noqa: PLC0415
    from shplan.core.diagnostic import Diagnostic, has_errors  # noqa: PLC0415
    from shplan.core.errors import ManifestError  # noqa: PLC0415
    from shplan.manifest.script_checks import FileChecks, collection_named  # noqa: PLC0415

    name = path.as_posix()
    text = read_script(path)
    if isinstance(text, Diagnostic):
        raise _wrong([text], {})
    types = [one.partition("=")[2] or one for one in wanted.collections]
    try:
        for one in types:
            collection_named(one)
    except ManifestError as error:
        raise _wrong([*error.diagnostics], {}) from error
    single = types[0] if len(types) == 1 else ""
    with FileChecks(single) as checks:
        found = checks.of_file(name, text)
    if has_errors(found):
        raise _wrong(found, {name: text})
    return text


def _drawn(text: str, wanted: Wanted) -> str:
    """
    Return the script that makes the image; what a picture cannot hold is painted in colours.

    Source: the page on sample types: a PNG and a JPEG hold integers of 8 bits, a PNG also of 16.

    Raises:
        UsageError: it cannot be painted in this format
    """
    from shplan.core.pictures import Picture, painted  # noqa: PLC0415
    from shplan.manifest.scripts import Scripts  # noqa: PLC0415

    if wanted.media_type not in _HELD:
        return text
    with closing(Scripts()) as scripts:
        shape = scripts.shape(text)
    outputs = () if shape is None else shape.outputs
    chosen = next((one for one in outputs if one.id == wanted.identifier), None)
    if chosen is None or chosen.sample_type.upper() in _HELD[wanted.media_type]:
        return text
    if wanted.media_type == "image/png" and wanted.identifier == "default":
        return painted(text, Picture(0, *wanted.values))
    message = (
        f"--out {wanted.out}: output {wanted.identifier} has the sample type {chosen.sample_type}, "
        "which this format cannot hold; its name ends with .tif"
    )
    raise UsageError(message)


def _wrong(diagnostics: list[Diagnostic], texts: Mapping[str, str]) -> ProjectError:
    from shplan.cli.project import ProjectError  # noqa: PLC0415

    return ProjectError(diagnostics[0].what, diagnostics=tuple(diagnostics), texts=texts)


def _script_request(text: str, bounds: JsonObject, wanted: Wanted) -> ApiRequest:
    from shplan.core.pictures import script_request  # noqa: PLC0415

    span = span_of(wanted.span)
    data: list[JsonObject] = []
    for one in wanted.collections:
        name, _, kind = one.rpartition("=")
        item: JsonObject = {"type": kind, **({"id": name} if name else {})}
        if span is not None:
            item["dataFilter"] = {"timeRange": {"from": span[0], "to": span[1]}}
        data.append(item)
    return script_request(
        text,
        source=cast("JsonObject", {"bounds": bounds, "data": data}),
        output=size_of(bounds, wanted),
        identifier=wanted.identifier,
        media_type=wanted.media_type,
    )


def _of_file(path: Path, text: str, drawn: str, cog: Path, wanted: Wanted) -> bytes:
    """Render a script on a file; what it throws is said in its place."""
    from shplan.cli.evalscript_cog import render_file  # noqa: PLC0415
    from shplan.script import ScriptError  # noqa: PLC0415

    try:
        return render_file(drawn, cog, wanted)
    except ScriptError as error:
        line = _line_of(error.line or 1, text, drawn)
        raise _thrown(path, text, error.message, line, error.column or 0) from error


def _line_of(line: int, text: str, drawn: str) -> int:
    """Return the line of the script itself, which stands one line lower in what paints it."""
    return line if drawn == text else max(line - 1, 1)


async def _fetched(
    options: Options, request: ApiRequest, path: Path, text: str, drawn: str, wanted: Wanted
) -> Fetched:
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.errors import RefusedError  # noqa: PLC0415

    loaded = open_project(options)
    async with open_session(loaded, options, applying=False, priced=frozenset()) as opened:
        try:
            return await opened.exchange.fetch(request, media_type=wanted.media_type)
        except RefusedError as error:
            found = _LINE.search(str(error))
            if found is None:
                raise
            line = _line_of(int(found[1]), text, drawn)
            raise _thrown(path, text, str(error), line) from error


def _thrown(path: Path, text: str, message: str, line: int, column: int = 0) -> ProjectError:
    """Say what a script met at run time where it stands in the script."""
    from shplan.core.diagnostic import Diagnostic, SourceSpan  # noqa: PLC0415

    lines = text.splitlines()
    whole = lines[line - 1] if line <= len(lines) else ""
    indent = len(whole) - len(whole.lstrip()) + 1
    span = SourceSpan(path.as_posix(), line, column or indent, (column or len(whole.rstrip())) + 1)
    what = f"{_LINE.sub('', message).rstrip(' .')}."
    diagnostic = Diagnostic(
        code="evalscript/runtime", summary="A script failed", what=what, span=span
    )
    return _wrong([diagnostic], {path.as_posix(): text})


@contextmanager
def _project(options: Options) -> Iterator[Options]:
    """Take the project that is here, else one that has nothing but the sandbox."""
    from dataclasses import replace  # noqa: PLC0415

    from shplan.manifest.source import PROJECT_FILE, find_project  # noqa: PLC0415

    if options.project is not None or find_project(Path.cwd()) is not None:
        yield options
        return
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / PROJECT_FILE).write_text(_PROJECT, encoding="utf-8")
        yield replace(options, project=Path(place))


# --- jobs ----------------------------------------------------------------------------------


def render_job(options: Options, address: str, wanted: Wanted) -> int:
    """Draw what a job's evalscript makes of its imagery."""
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.pictures import PNG, Picture  # noqa: PLC0415

    loaded = open_project(options)
    picture = Picture(wanted.size, *wanted.values)

    async def run() -> Fetched:
        async with open_session(loaded, options, applying=False, priced=frozenset()) as opened:
            request = await _request(loaded, opened, address, picture)
            return await opened.exchange.fetch(request, media_type=PNG)

    with _draft(wanted.out) as draft:
        fetched = asyncio.run(run())
        _write(draft, fetched.content)
    return _told(options, address, wanted, spent_pu=fetched.spent_pu or 0.0)


async def _request(loaded: Loaded, opened: Opened, address: str, picture: Picture) -> ApiRequest:
    from shplan.core.pictures import picture_request  # noqa: PLC0415
    from shplan.core.value import is_known  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    job = _job(loaded, address)
    planned = await plan(opened.session)
    filled = loaded.resolver.fill(job, planned.attributes)
    process = _process(filled.spec)
    if not isinstance(process, dict) or not is_known(process):
        raise _not_applied(address)
    return picture_request(process, picture)  # type: ignore[arg-type]  # all of it is known


def _job(loaded: Loaded, address: str) -> Desired:
    jobs = {str(one.address): one for one in loaded.resources if _process(one.spec) is not None}
    if address in jobs:
        return jobs[address]
    what = f"no manifest declares a job {address} that makes images."
    raise no_such(address, jobs, what=what, summary="No such job")


def _process(spec: Object) -> Value:
    """Return the Process request that a job has, or is; None where it makes no images."""
    inner = spec.get("processRequest")
    return {**spec} if inner is None and {"input", "evalscript"} <= spec.keys() else inner


def _not_applied(address: str) -> PlanError:
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415

    what = f"{address} refers to what is not made yet."
    diagnostic = Diagnostic(
        code="cli/not-applied", summary="Not there yet", what=what, hint="shplan apply"
    )
    return PlanError(what, diagnostics=(diagnostic,))


# --- images --------------------------------------------------------------------------------


def _told(options: Options, target: str, wanted: Wanted, *, spent_pu: float | None) -> int:
    """Say what was drawn; what was drawn here has spent nothing."""
    from shplan.cli.output import say, write_json, write_text  # noqa: PLC0415
    from shplan.core.pictures import is_empty  # noqa: PLC0415
    from shplan.views.values import pu  # noqa: PLC0415

    if options.output == "json":
        document: JsonObject = {"file": str(wanted.out), "spentPu": spent_pu or 0.0}
        name = "script" if wanted.collections or wanted.cog else "address"
        write_json({**document, name: target})
    else:
        spent = "" if spent_pu is None else f"; {pu(spent_pu)} spent"
        write_text(f"{target} is drawn in {wanted.out}{spent}.")
    if wanted.media_type == "image/png" and is_empty(wanted.out.read_bytes()):
        say("Nothing is to be seen in it: all of it is transparent, as where there are no data.")
    return 0


def _write(draft: Path, content: bytes) -> None:
    from shplan.manifest.writing import write_whole  # noqa: PLC0415

    write_whole(draft, content)


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A file beside a picture, made before anything is paid, which takes the picture's place when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.part")
    draft.touch()
    try:
        yield draft
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


__all__ = ["Wanted", "check_out", "render_job", "render_script"]
