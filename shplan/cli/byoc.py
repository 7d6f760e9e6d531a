"""
`shplan byoc`: own imagery looked at before it is ingested.
"""

from __future__ import annotations

import click

from shplan.cli.options import Options, takes


@click.group("byoc")
def command() -> None:
    """Look at own imagery before the service does."""


@command.command("check")
@click.argument("places", metavar="[ADDRESS|FILE]...", nargs=-1)
@click.option("--bucket", help="Where the files of tiles lie, if no manifest declares it.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Look at the first so many tiles of each set; at all by default.",
)
@takes("environment", "document")
@click.option(
    "--parallelism",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Files read at once.",
)
def check(options: Options, places: tuple[str, ...], bucket: str | None, limit: int | None) -> int:
    """
    Check GeoTIFFs against the rules of ingestion, before a tile is created.

    With FILEs, those on this machine, the files of one folder as one tile; with ADDRESSes of
    ByocTiles, or without anything all of the project, the files in the bucket. Only headers are
    read. Each finding says what is wrong, why, and how to make it right.
    """
    from shplan.cli.byoc_check import check_files, check_project  # noqa: PLC0415

    files = [place for place in places if "/" not in place or not _is_address(place)]
    if files and len(files) < len(places):
        message = "name either files on this machine or addresses of ByocTiles"
        raise click.UsageError(message)
    if files:
        return check_files(options, files)
    return check_project(options, places, bucket=bucket or "", limit=limit)


def _is_address(place: str) -> bool:
    from pathlib import Path  # noqa: PLC0415

    return place.startswith("ByocTiles/") and not Path(place).exists()
