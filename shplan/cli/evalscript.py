"""
`shplan evalscript`: evalscripts looked at before they cost anything much.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shplan.cli.options import Options, takes


@click.group("evalscript")
def command() -> None:
    """Check, test and draw evalscripts, offline."""


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
@click.argument("target", metavar="SCRIPT|JOB")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The image to write: .png, .jpg or .tif; of a JOB a .png.",
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="[ID=]TYPE",
    help="What SCRIPT reads, e.g. sentinel-2-l2a; several for a fusion.",
)
@click.option(
    "--cog",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that SCRIPT reads instead, in the engine here: nothing is sent.",
)
@click.option(
    "--bands",
    metavar="B04=1,B08=2",
    default="",
    help="Which band of the file is which; unless said, by its descriptions, or B1, B2, ...",
)
@click.option(
    "--scale", type=float, default=1.0, show_default=True, help="The file's numbers times this."
)
@click.option("--bbox", metavar="WEST,SOUTH,EAST,NORTH", default="", help="The place, in --crs.")
@click.option("--crs", default="EPSG:4326", show_default=True, help="EPSG:32633, for example.")
@click.option(
    "--time",
    "span",
    metavar="DAY|FROM/TO",
    default="",
    help="2025-06-11, 2025-06-01/2025-06-30, or two instants.",
)
@click.option("--width", type=click.IntRange(1, 2500), help="In pixels.")
@click.option("--height", type=click.IntRange(1, 2500), help="In pixels.")
@click.option("--res", type=float, help="Size of a pixel, in units of the CRS.")
@click.option(
    "--output",
    "identifier",
    default="default",
    show_default=True,
    help="Which of SCRIPT's outputs.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 2500),
    default=512,
    show_default=True,
    help="Pixels of the longer side, unless said otherwise.",
)
@click.option(
    "--range",
    "values",
    type=(float, float),
    default=(0.0, 1.0),
    show_default=True,
    metavar="LEAST GREATEST",
    help="Values of a single band that have the first and the last colour, where it is painted.",
)
@takes("environment", "server", "format")
def render(options: Options, target: str, **given: Any) -> int:
    """
    Draw what an evalscript makes of imagery.

    SCRIPT is a file: with --collection it is rendered as it is by one Process request of the
    environment, with --cog on a file of yours, in the engine here. What a PNG cannot hold, such as
    numbers between 0 and 1 as FLOAT32, is painted as for a JOB. JOB is an address: what its
    evalscript, as it stands now, makes of its imagery, by one Process request; one band is drawn
    in colours from bare soil to dense vegetation, and no data are transparent.

    Nothing is started and nothing recorded. On the service it costs what a Process request of this
    size costs.
    """
    from shplan.cli import evalscript_render as rendering  # noqa: PLC0415

    wanted = rendering.Wanted(**given)
    rendering.check_out(wanted)
    if wanted.collections and wanted.cog:
        message = "--collection or --cog: a script reads the one or the other"
        raise click.UsageError(message)
    if wanted.collections or wanted.cog:
        return rendering.render_script(options, Path(target), wanted)
    if Path(target).is_file():
        message = f"{target} is a script: say what it reads, with --collection or --cog"
        raise click.UsageError(message)
    return rendering.render_job(options, target, wanted)
