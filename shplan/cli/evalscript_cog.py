"""
A script on a file of one's own: `shplan evalscript render SCRIPT --cog FILE`, in the engine here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from shplan.cli.evalscript_options import Wanted, bounds_of, epsg_of, size_of, span_of

if TYPE_CHECKING:
    from shplan.sandbox.raster_sources import Grid
    from shplan.script.rendering import Output


def render_file(text: str, cog: Path, wanted: Wanted) -> bytes:
    """
    Render a script on a file.

    Raises:
        ScriptError: the script failed
        UsageError: the file cannot be used, or the options do not fit it
    """
    from shplan.cli.embedded import require_packages  # noqa: PLC0415

    require_packages()
    from shplan.sandbox.script_images import ImageError, encoded, lies, read_on  # noqa: PLC0415
    from shplan.script import Worker  # noqa: PLC0415
    from shplan.script.cases import CaseError, Given, produce  # noqa: PLC0415

    try:
        native, names = lies(cog)
        grid = _grid(native, wanted)
        numbers = _numbered(wanted.bands, names)
        bands = read_on(cog, numbers, grid, scale=wanted.scale)
        span = span_of(wanted.span) or ("", "")
        with Worker() as worker:
            asked = worker.begin(text, bands=bands).facts.inputs
            read = {name for one in asked for name in one.bands} | {"dataMask"}
            given = {name: values for name, values in bands.items() if name in read}
            produced = produce(
                worker,
                text,
                {"": Given([given], [{"date": span[0]}])},
                since=span[0] or None,
                until=span[1] or None,
            )
        output = _chosen(produced.rendered.outputs, wanted.identifier)
        return encoded(output, wanted.out, grid)
    except CaseError as error:
        missing = str(error).partition(", of which")[0]
        message = f"{missing}; {cog} has {', '.join(numbers)}: say --bands B04=1,B08=2"
        raise click.UsageError(message) from error
    except ImageError as error:
        message = f"{cog} {error}"
        raise click.UsageError(message) from error


def _grid(native: Grid, wanted: Wanted) -> Grid:
    """Return the pixels that are drawn: the place that was asked for, else the whole file."""
    from shplan.sandbox.raster_sources import Grid  # noqa: PLC0415

    epsg = native.epsg
    sides = (native.west, native.south, native.east, native.north)
    if wanted.bbox:
        bounds = bounds_of(wanted)
        epsg, sides = epsg_of(wanted.crs), tuple(cast("list[float]", bounds["bbox"]))  # type: ignore[assignment]
    crs = f"http://www.opengis.net/def/crs/EPSG/0/{epsg}"
    size = size_of({"bbox": [*sides], "properties": {"crs": crs}}, wanted)
    west, south, east, north = sides
    if "resx" in size:
        res = cast("float", size["resx"])
        size = {
            "width": max(round((east - west) / res), 1),
            "height": max(round((north - south) / res), 1),
        }
    return Grid(epsg, *sides, cast("int", size["width"]), cast("int", size["height"]))


def _numbered(bands: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return which band of a file is which: as stated, by its description, or by its number."""
    if not bands:
        return {name or f"B{number}": number for number, name in enumerate(names, 1)}
    found = {}
    for one in bands.split(","):
        name, _, number = one.partition("=")
        if not name.strip() or not number.strip().isascii() or not number.strip().isdigit():
            message = f"--bands {bands}: each band of the script and its number, as B04=1,B08=2"
            raise click.UsageError(message)
        found[name.strip()] = int(number)
    return found


def _chosen(outputs: tuple[Output, ...], identifier: str) -> Output:
    for one in outputs:
        if one.facts.id == identifier:
            return one
    named = ", ".join(one.facts.id for one in outputs)
    message = f"the script has no output {identifier}: say --output, one of {named}"
    raise click.UsageError(message)
