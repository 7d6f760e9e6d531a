"""
Buckets listed while a project is loaded: load, list what it asks for, load again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import StorageError
from shplan.manifest.member_tables import Listings
from shplan.manifest.members_bucket import Listing

if TYPE_CHECKING:
    from shplan.manifest.load import Loaded
    from shplan.storage.told import Inner


def list_buckets(loaded: Loaded) -> Listings:
    """
    Answer what a project asks of buckets.

    Raises:
        ProjectError: a bucket cannot be listed: all of them at once
    """
    return asyncio.run(listed(loaded))


async def listed(loaded: Loaded) -> Listings:
    """
    Do the same where others are asked as well; what was listed before stays known.

    Raises:
        ProjectError: as `list_buckets`
    """
    from shplan.cli.project import ProjectError  # noqa: PLC0415 - which loads what was listed
    from shplan.cli.session import open_buckets  # noqa: PLC0415

    found, problems = await _all(loaded, open_buckets(loaded))
    if problems:
        message = "a bucket that the project lists cannot be read; nothing was sent"
        raise ProjectError(message, diagnostics=tuple(problems), texts=loaded.texts)
    return Listings({**loaded.listings.found, **found})


async def _all(
    loaded: Loaded, buckets: Inner
) -> tuple[dict[tuple[str, str], Listing], list[Diagnostic]]:
    found: dict[tuple[str, str], Listing] = {}
    problems: list[Diagnostic] = []
    for (bucket, prefix), span in sorted(loaded.listings.missing.items()):
        try:
            listed = await buckets.list(bucket, prefix)
        except StorageError as error:
            problems.append(_unreadable(bucket, prefix, str(error), span))
            continue
        found[bucket, prefix] = Listing(bucket, prefix, tuple(one.key for one in listed))
    return found, problems


def _unreadable(bucket: str, prefix: str, reason: str, span: SourceSpan) -> Diagnostic:
    return Diagnostic(
        "manifest/bucket",
        "Bucket cannot be listed",
        f"s3://{bucket}/{prefix}: {reason}.",
        "Its files are the tiles, so that nothing can be planned without it.",
        "give shplan the right to list the bucket, or name the tiles in a table",
        span,
    )
