"""
Files of tiles that a plan creates, held against the rules of ingestion before anything is sent.

A tile that breaks a rule would be paid for, and fail. What cannot be read hinders nobody; `tileFiles:
unchecked` in an environment leaves the looking out, and `shplan byoc check` looks at everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from shplan.core.diagnostic import Diagnostic, Severity, has_errors
from shplan.core.errors import StorageError
from shplan.core.events import BucketUnreadable
from shplan.core.value import Object
from shplan.providers.tile_homes import bucket_of, declared_home, home_of
from shplan.providers.tile_requests import by_folder, files_behind

if TYPE_CHECKING:
    from shplan.cli.byoc_check import Place
    from shplan.cli.options import Options
    from shplan.cli.session import Opened
    from shplan.core.address import Address
    from shplan.core.change import Change, MemberChange
    from shplan.core.resource import Desired
    from shplan.engine.planning import Planned
    from shplan.storage.port import StoredObject

# Headers that one command reads: more tiles than these take a command of their own.
MOST_TILES: Final = 1000
# Files may be on their way, and of files that differ between tiles the service takes what it needs.
_UNSURE: Final = frozenset({"tile/no-files", "tile/file-names"})


@dataclass(frozen=True, slots=True)
class _NewTiles:
    """
    What is created of one set.

    Args:
        home: what is known of the collection, observed or declared
    """

    desired: Desired
    members: Sequence[MemberChange]
    bucket: str
    home: Object


async def refuse_bad_tiles(planned: Planned, opened: Opened, options: Options) -> None:
    """
    Look at the files of the tiles that a plan creates.

    Raises:
        ProjectError: some break a rule; each is told, with the place of its tile
    """
    world, loaded = opened.session.world, opened.loaded
    if not (world.settings.reads_buckets and loaded.environment.checks_tiles):
        return
    found: list[Diagnostic] = []
    left = MOST_TILES
    created = _new_tiles(planned, loaded.resources)
    _tell_the_rest(sum(len(new.members) for new in created))
    for new in created:
        looked_at = replace(new, members=new.members[:left])
        left -= len(looked_at.members)
        found += await _look(looked_at, opened, options)
    told = [
        replace(one, severity=Severity.WARNING) if one.code in _UNSURE else one
        for one in found
        if one.severity is Severity.ERROR
    ]
    if told:
        _tell(told, loaded.texts)


def _tell_the_rest(total: int) -> None:
    if total > MOST_TILES:
        from shplan.cli.output import say  # noqa: PLC0415 - as above

        say(
            f"The files of the first {MOST_TILES:,} of {total:,} new tiles are looked at;"
            " shplan byoc check looks at all."
        )


def _tell(found: list[Diagnostic], texts: Mapping[str, str]) -> None:
    from shplan.cli.byoc_told import once  # noqa: PLC0415 - mostly there is nothing to tell
    from shplan.cli.output import say  # noqa: PLC0415
    from shplan.cli.project import ProjectError  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415

    if has_errors(found):
        message = "files of new tiles break the service's rules; nothing was sent"
        raise ProjectError(message, diagnostics=tuple(once(found)), texts=texts)
    say(render_all(once(found), texts).rstrip("\n"))


def _new_tiles(planned: Planned, resources: Sequence[Desired]) -> list[_NewTiles]:
    declared = {one.address: one for one in resources}
    found = []
    for change in planned.plan.changes:
        members = _created(change)
        desired = declared.get(change.address)
        if members and desired is not None:
            home = _home(desired, planned.attributes, resources)
            bucket = str(home.get("s3Bucket") or "").rpartition(":")[2]
            if bucket := bucket or bucket_of(desired.spec, resources):
                found.append(_NewTiles(desired, members, bucket, home))
    return found


def _created(change: Change) -> list[MemberChange]:
    """Return the members that a request makes; what is refused or blocked sends nothing."""
    if not change.action.changes or change.refusals:
        return []
    return [one for one in change.members if one.operation == "create" and one.request is not None]


def _home(
    desired: Desired, attributes: Mapping[Address, Object], resources: Sequence[Desired]
) -> Object:
    """Return the collection as it is on the server, else as it is declared, else nothing."""
    stated = desired.spec.get("collection")
    if isinstance(stated, str):
        same = (one for one in attributes.values() if one.get("id") == stated)
        return next((one for one in same if "s3Bucket" in one), {})
    address = home_of(desired.spec)
    observed = None if address is None else attributes.get(address)
    if observed is not None:
        return observed
    home = declared_home(desired.spec, resources)
    return {} if home is None else home.spec


async def _look(new: _NewTiles, opened: Opened, options: Options) -> tuple[Diagnostic, ...]:
    """Read the files of one set; where the bucket, or one of them, cannot be read, it is trusted."""
    from shplan.cli.byoc_check import check_places  # noqa: PLC0415 - most plans make no tiles
    from shplan.cli.session import open_buckets  # noqa: PLC0415
    from shplan.core.cog_sets import declared_bands  # noqa: PLC0415

    storage = open_buckets(opened.loaded)
    gate = asyncio.Semaphore(options.parallelism)

    async def files_below(prefix: str) -> Sequence[StoredObject]:
        async with gate:
            return await storage.list(new.bucket, prefix)

    async def read(key: str, start: int, length: int) -> bytes:
        return await storage.read(new.bucket, key, start=start, length=length)

    paths = [str(member.key) for member in new.members]
    prefixes = sorted({_prefix(path) for path in paths})
    try:
        listed = await asyncio.gather(*(files_below(prefix) for prefix in prefixes))
        folders = by_folder(file for files in listed for file in files)
        places = [_place(member, new.desired, folders) for member in new.members]
        checked = await check_places(
            places,
            read,
            declared_bands(new.home),
            parallelism=options.parallelism,
            deployment=opened.loaded.environment.deployment,
        )
    except StorageError as error:
        opened.session.world.events.emit(BucketUnreadable(new.bucket, str(error)))
        return ()
    return checked.diagnostics


def _prefix(path: str) -> str:
    """Return what the keys of a tile's files begin with: a folder, or the start of a name."""
    return path.partition("(BAND)")[0] if "(BAND)" in path else f"{path.rstrip('/')}/"


def _place(
    member: MemberChange, desired: Desired, folders: Mapping[str, Sequence[StoredObject]]
) -> Place:
    from shplan.cli.byoc_check import Place  # noqa: PLC0415 - as above

    behind = files_behind(str(member.key), folders)
    files = {name: (file.key, file.size_bytes) for name, file in behind.items()}
    span = desired.source.span(("spec", "tiles", member.index, "path"))
    return Place(str(member.key), files, span, str(desired.address))
