"""
`shplan byoc check`: headers of files are read, here or in a bucket, and held against the rules of ingestion.

The rules stand in `core.cog_rules` (one file), `core.cog_sets` (many tiles); here files are found and read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shplan.core.cog_rules import Finding, file_findings, tile_findings
from shplan.core.cog_sets import Tiles, declared_bands
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import PlanError, StorageError
from shplan.core.tiff_header import Header, NotATiffError, read_header
from shplan.core.value import Object

if TYPE_CHECKING:
    from shplan.cli.options import Options
    from shplan.core.resource import Desired
    from shplan.manifest.load import Loaded
    from shplan.storage.told import Inner

TILES = "ByocTiles"
_AT_ONCE = 64
# Reads a range of one file: key, first byte, length.
Read = Callable[[str, int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a tile stands in a manifest or a table, and the files behind it.

    Args:
        files: key and size by what stands for `(BAND)`
    """

    path: str
    files: Mapping[str, tuple[str, int]]
    span: SourceSpan | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was found, in the order of the tiles."""

    tiles: int
    files: int
    diagnostics: tuple[Diagnostic, ...]


def check_files(options: Options, names: Sequence[str]) -> int:
    """Check files on this machine; those of one folder are one tile."""
    from shplan.cli.byoc_told import told  # noqa: PLC0415

    folders: dict[str, dict[str, tuple[str, int]]] = {}
    wrong: list[Diagnostic] = []
    for name in dict.fromkeys(names):
        path = Path(name)
        try:
            size = path.stat().st_size
        except OSError as error:
            wrong.append(_unreadable(name, error.strerror or str(error)))
            continue
        if path.is_dir():
            wrong.append(_unreadable(name, "it is a folder; name the files in it"))
            continue
        folders.setdefault(path.parent.as_posix(), {})[path.stem] = (name, size)

    async def read(key: str, start: int, length: int) -> bytes:
        return await asyncio.to_thread(_read_local, key, start, length)

    places = [Place(folder, files) for folder, files in folders.items()]
    checked = asyncio.run(
        check_places(places, read, {}, parallelism=options.parallelism, deployment="")
    )
    found = Checked(checked.tiles, checked.files, (*wrong, *checked.diagnostics))
    return told(options, found, texts={})


def check_project(
    options: Options, addresses: Sequence[str], *, bucket: str, limit: int | None
) -> int:
    """
    Check the files behind the tiles of a project.

    Raises:
        PlanError: no set has such an address, or nothing says which bucket its files lie in
        StorageError: the bucket cannot be read
    """
    from shplan.cli.byoc_told import told  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_buckets  # noqa: PLC0415

    loaded = open_project(options)
    sets = _sets(loaded, addresses)
    buckets = open_buckets(loaded)
    found = Checked(0, 0, ())
    for desired in sets:
        one = asyncio.run(_check_set(loaded, desired, buckets, bucket, limit, options))
        diagnostics = (*found.diagnostics, *one.diagnostics)
        found = Checked(found.tiles + one.tiles, found.files + one.files, diagnostics)
    return told(options, found, texts=loaded.texts)


def _sets(loaded: Loaded, addresses: Sequence[str]) -> list[Desired]:
    from shplan.cli.addresses import no_such  # noqa: PLC0415

    declared = {str(one.address): one for one in loaded.resources if one.address.kind == TILES}
    found: dict[str, Desired] = {}
    for address in addresses or list(declared):
        mine = [name for name in declared if name == address or name.startswith(f"{address}[")]
        if not mine:
            raise no_such(address, declared, what=f"no manifest declares {address}")
        found.update({name: declared[name] for name in mine})
    return list(found.values())


async def _check_set(
    loaded: Loaded,
    desired: Desired,
    buckets: Inner,
    named: str,
    limit: int | None,
    options: Options,
) -> Checked:
    from shplan.providers.tile_homes import bucket_of, declared_home  # noqa: PLC0415
    from shplan.providers.tile_requests import (  # noqa: PLC0415
        by_folder,
        common_prefix,
        files_behind,
    )

    members = desired.members[: limit or len(desired.members)]
    if not members:
        return Checked(0, 0, ())
    bucket = named or bucket_of(desired.spec, loaded.resources)
    if not bucket:
        raise _no_bucket(desired)
    paths = [str(member.get("path")) for member in members]
    prefix = common_prefix([path.partition("(BAND)")[0] for path in paths])
    folders = by_folder(await buckets.list(bucket, prefix))
    places = []
    for at, path in enumerate(paths):
        behind = files_behind(path, folders)
        files = {name: (file.key, file.size_bytes) for name, file in behind.items()}
        span = desired.source.span(("spec", "tiles", at, "path"))
        places.append(Place(path, files, span, str(desired.address)))

    async def read(key: str, start: int, length: int) -> bytes:
        return await buckets.read(bucket, key, start=start, length=length)

    home = declared_home(desired.spec, loaded.resources)
    bands = declared_bands(home.spec) if home is not None else {}
    deployment = loaded.environment.deployment
    return await check_places(
        places, read, bands, parallelism=options.parallelism, deployment=deployment
    )


def _no_bucket(desired: Desired) -> PlanError:
    diagnostic = Diagnostic(
        code="byoc/bucket",
        summary="Bucket not known",
        what=f"no manifest says which bucket the files of {desired.address} lie in.",
        why="The collection is named by its id, or declared elsewhere.",
        hint="name the bucket: shplan byoc check --bucket NAME",
        span=desired.source.span(("spec", "collection")),
        address=str(desired.address),
    )
    return PlanError(diagnostic.what, diagnostics=(diagnostic,))


async def check_places(
    places: Sequence[Place],
    read: Read,
    bands: Mapping[str, Object],
    *,
    parallelism: int,
    deployment: str,
) -> Checked:
    """
    Read the headers of some tiles at a time, and hold them against the rules in their order.

    Raises:
        StorageError: a file in a bucket cannot be read
    """
    placed = all(place.address for place in places)
    among, diagnostics, files = Tiles(bands, placed=placed), list[Diagnostic](), 0
    gate = asyncio.Semaphore(parallelism)
    for start in range(0, len(places), _AT_ONCE):
        chunk = places[start : start + _AT_ONCE]
        read_of = await asyncio.gather(*(_headers(place, read, gate) for place in chunk))
        for place, (headers, unreadable) in zip(chunk, read_of, strict=True):
            files += len(place.files)
            diagnostics += unreadable
            keys = {name: key for name, (key, _) in place.files.items()}
            for name, header in headers.items():
                found = file_findings(header, deployment=deployment)
                diagnostics += [_told(place, keys[name], one) for one in found]
            together: Iterable[Finding] = (
                *tile_findings(headers),
                *among.add(place.path, keys, headers),
            )
            diagnostics += [_told(place, "", one) for one in together]
    return Checked(len(places), files, tuple(diagnostics))


async def _headers(
    place: Place, read: Read, gate: asyncio.Semaphore
) -> tuple[dict[str, Header], list[Diagnostic]]:
    headers: dict[str, Header] = {}
    wrong: list[Diagnostic] = []
    for name, (key, size) in sorted(place.files.items()):
        async with gate:
            try:
                headers[name] = await _header(key, size, read)
            except NotATiffError as error:
                why = "The service reads GeoTIFFs, and nothing else."
                finding = Finding("cog/unreadable", f"it {error}.", why, "write it again")
                wrong.append(_told(place, key, finding))
            except StorageError:
                raise
            except OSError as error:
                wrong.append(_unreadable(key, error.strerror or str(error)))
    return headers, wrong


async def _header(key: str, size_bytes: int, read: Read) -> Header:
    reading = read_header(size_bytes)
    try:
        start, length = next(reading)
        while True:
            start, length = reading.send(await read(key, start, length))
    except StopIteration as done:
        header: Header = done.value
        return header


def _read_local(name: str, start: int, length: int) -> bytes:
    with Path(name).open("rb") as file:
        file.seek(start)
        return file.read(length)


def _told(place: Place, key: str, finding: Finding) -> Diagnostic:
    name = key.rpartition("/")[2] or "FILE"
    return Diagnostic(
        code=finding.code,
        summary=SUMMARIES.get(finding.code, "File cannot be ingested"),
        what=f"{key or place.path}: {finding.what}",
        why=finding.why,
        hint=finding.fix.replace("{name}", name),
        span=place.span,
        address=place.address,
        severity=finding.severity,
    )


SUMMARIES = {
    "cog/unreadable": "Not a GeoTIFF",
    "cog/truncated": "File is cut off",
    "cog/header": "Header too long",
    "cog/layout": "Header not at the start",
    "cog/tiling": "No internal tiles",
    "cog/block-size": "Internal tiles of a wrong size",
    "cog/overviews": "Too few overviews",
    "cog/mixed-samples": "Bands of different types",
    "cog/sample-type": "Sample type not read",
    "cog/samples": "Too many bands in a pixel",
    "cog/compression": "Compression not read",
    "cog/photometric": "Colours not read",
    "cog/crs-missing": "Reference system missing",
    "cog/crs": "Reference system not supported",
    "cog/position": "Position missing",
    "cog/rotated": "Image is rotated",
    "cog/pixels": "Pixels are not square",
    "cog/pole": "Image over a pole",
    "cog/no-data": "No data is NaN",
    "tile/crs": "Files in different reference systems",
    "tile/extent": "Files of different extents",
    "tile/no-files": "No files",
    "tile/extension": "Different extensions",
    "tile/file-names": "Different files in tiles",
    "tile/band-missing": "File of a band missing",
    "tile/band-index": "Band not in its file",
    "tile/sample-type": "File unlike its band",
    "tile/band-name": "Name that no band can have",
    "tile/bit-depth": "Different sample types in tiles",
}


def _unreadable(name: str, why: str) -> Diagnostic:
    return Diagnostic(
        "cog/unreadable", "File cannot be read", f"{name}: it cannot be read: {why.lower()}."
    )
