"""
`shplan evalscript`: evalscripts looked at before they cost anything much.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shplan.cli.addresses import no_such
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.api.exchange import Fetched
    from shplan.cli.session import Opened
    from shplan.core.errors import PlanError
    from shplan.core.pictures import Picture
    from shplan.core.request import ApiRequest
    from shplan.core.resource import Desired
    from shplan.manifest.load import Loaded


@click.group("evalscript")
def command() -> None:
    """Look at what evalscripts do."""


@command.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--collection",
    metavar="TYPE",
    help="What FILES read, e.g. sentinel-2-l2a: bands and units are checked as well.",
)
@takes("environment", "format")
def check(options: Options, files: tuple[Path, ...], collection: str | None) -> int:
    """
    Check evalscripts offline: syntax, bands, outputs, values.

    Each script is read, its setup() is run, and evaluatePixel() on made-up pixels. With FILES, those
    scripts; without, those of the project, each with the collections that its requests give it.
    """
    from shplan.cli.evalscript_check import check_files, check_project  # noqa: PLC0415

    if files:
        return check_files(options, files, collection or "")
    if collection:
        message = "--collection goes with FILES; a project's requests say what they read"
        raise click.UsageError(message)
    return check_project(options)


@command.command("test")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--update", is_flag=True, help="Write golden images anew, from what scripts make.")
@click.option(
    "--cov-fail-under",
    "least_percent",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Fail where a smaller share of the scripts' lines ran.",
)
@click.option(
    "--junit-xml",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results for CI as well, in JUnit's form.",
)
@takes("format")
def test(
    options: Options,
    paths: tuple[Path, ...],
    *,
    update: bool,
    least_percent: float,
    junit_xml: Path | None,
) -> int:
    """
    Run the tests that stand beside evalscripts, offline.

    PATHS are test files (ndvi.test.yaml), scripts that have one beside them, or directories; none:
    all of the project. Exit code 1 where a test fails.
    """
    from shplan.cli import evalscript_test as tests  # noqa: PLC0415
    from shplan.cli.evalscript_check import told  # noqa: PLC0415
    from shplan.cli.output import say, use_color, write_json, write_text  # noqa: PLC0415
    from shplan.views import script_tests as views  # noqa: PLC0415

    files = tests.read(tests.find(paths, tests.root_of(options)))
    if files.diagnostics:
        return told(options, files.diagnostics, files.texts, count=0)
    suites = tests.run(files, update=update)
    if junit_xml is not None:
        from shplan.manifest.writing import write_whole  # noqa: PLC0415

        write_whole(junit_xml, views.junit_xml(suites))
    if options.output == "json":
        write_json(views.tests_json(suites))
    else:
        write_text(views.render_tests(suites, color=use_color(options)))
    percent = views.percent_covered(suites)
    if percent < least_percent:
        say(f"{percent:.1f} % of the lines ran; at least {least_percent:g} % are wanted.")
        return 1
    return int(views.has_failed(suites))


@command.command("render")
@click.argument("address", metavar="JOB")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The PNG to write.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 2500),
    default=512,
    show_default=True,
    help="Pixels of the longer side.",
)
@click.option(
    "--range",
    "values",
    type=(float, float),
    default=(0.0, 1.0),
    show_default=True,
    metavar="LEAST GREATEST",
    help="Values of a single band that have the first and the last colour.",
)
@takes("environment", "server", "format")
def render(
    options: Options, address: str, *, out: Path, size: int, values: tuple[float, float]
) -> int:
    """
    Draw what JOB's evalscript, as it stands now, makes of its imagery, by one Process request.

    Nothing is started and nothing recorded. One band is drawn in colours from bare soil to dense
    vegetation, three or four as red, green, blue and alpha; no data are transparent. The imagery
    must be there: apply its collection and tiles first. On the service it costs what a Process
    request of this size costs.
    """
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.pictures import PNG, Picture  # noqa: PLC0415
    from shplan.manifest.writing import write_whole  # noqa: PLC0415
    from shplan.views.values import pu  # noqa: PLC0415

    _check(out, values)
    loaded = open_project(options)
    picture = Picture(size, *values)

    async def run() -> Fetched:
        async with open_session(loaded, options, applying=False) as opened:
            request = await _request(loaded, opened, address, picture)
            return await opened.exchange.fetch(request, media_type=PNG)

    with _draft(out) as draft:
        fetched = asyncio.run(run())
        write_whole(draft, fetched.content)
    spent_pu = fetched.spent_pu or 0.0
    if options.output == "json":
        write_json({"address": address, "file": str(out), "spentPu": spent_pu})
    else:
        write_text(f"{address} is drawn in {out}; {pu(spent_pu)} spent.")
    return 0


async def _request(loaded: Loaded, opened: Opened, address: str, picture: Picture) -> ApiRequest:
    from shplan.core.pictures import picture_request  # noqa: PLC0415
    from shplan.core.value import is_known  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    job = _job(loaded, address)
    planned = await plan(opened.session)
    filled = loaded.resolver.fill(job, planned.attributes)
    process = filled.spec.get("processRequest")
    if not isinstance(process, dict) or not is_known(process):
        raise _not_applied(address)
    return picture_request(process, picture)  # type: ignore[arg-type]  # all of it is known


def _job(loaded: Loaded, address: str) -> Desired:
    jobs = {str(one.address): one for one in loaded.resources if "processRequest" in one.spec}
    if address in jobs:
        return jobs[address]
    what = f"no manifest declares a job {address} with a `processRequest`."
    raise no_such(address, jobs, what=what, summary="No such job")


def _not_applied(address: str) -> PlanError:
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415

    what = f"{address} refers to what is not made yet."
    diagnostic = Diagnostic(
        code="cli/not-applied", summary="Not there yet", what=what, hint="shplan apply"
    )
    return PlanError(what, diagnostics=(diagnostic,))


def _check(out: Path, values: tuple[float, float]) -> None:
    least, greatest = values
    if not (math.isfinite(least) and math.isfinite(greatest) and least < greatest):
        message = "--range needs two numbers, a LEAST that is below its GREATEST"
        raise click.UsageError(message)
    # A manifest that stands where an option was expected is not overwritten.
    if out.suffix.lower() != ".png":
        message = f"--out {out}: the picture is a PNG; its name ends with .png"
        raise click.UsageError(message)


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
