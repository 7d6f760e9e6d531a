"""
The files in buckets that jobs refer to: what identifies them, and the features that they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from shplan.core.change import Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import ManifestError
from shplan.core.job_cost import Features
from shplan.core.resource import Desired
from shplan.core.run_key import referred_files
from shplan.core.value import Object, Value
from shplan.providers.base import ChangeFailedError
from shplan.providers.job import JobApi
from shplan.providers.places import bucket_and_key
from shplan.providers.steps import Fetch, Flow


def file_digests(api: JobApi, jobs: Iterable[Desired | None]) -> Flow[dict[str, str]]:
    """
    Read the files that requests refer to and whose digests nobody has stated.

    Raises:
        ManifestError: a file can neither be read nor is its digest stated
    """
    digests: dict[str, str] = {}
    missing: list[Diagnostic] = []
    for desired in jobs:
        if desired is None:
            continue
        stated = desired.run.get("files")
        known = stated if isinstance(stated, dict) else {}
        for url in referred_files(api.kind, api.api, desired.spec):
            if url in known or url in digests:
                continue
            bucket, key = bucket_and_key(url)
            content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
            if content is None:
                missing.append(_unreadable(desired, url))
            else:
                digests[url] = hashlib.sha256(content).hexdigest()
    if missing:
        raise ManifestError(missing[0].what, diagnostics=tuple(missing))
    return digests


def _unreadable(desired: Desired, url: str) -> Diagnostic:
    return Diagnostic(
        code="run/file",
        summary="Referenced file not identified",
        what=f"{desired.address} refers to {url}, which cannot be read from here.",
        why="What the file says is part of the run: without its digest nobody can tell whether it"
        " ran already.",
        hint=f'state it:\nrun:\n  files: {{"{url}": SHA256}}',
        span=desired.source.span(("spec",)),
        address=str(desired.address),
    )


def identified(api: JobApi, desired: Desired, digests: Mapping[str, str]) -> dict[str, Value]:
    """Return what identifies each file of a request: what is stated, else what was read of it."""
    stated = desired.run.get("files")
    known = stated if isinstance(stated, dict) else {}
    urls = referred_files(api.kind, api.api, desired.spec)
    return {url: known[url] if url in known else digests[url] for url in urls}


def with_late_files(api: JobApi, change: Change) -> Flow[Change]:
    """
    Identify the files of a change whose places were not known before: by what they hold now.

    Raises:
        ChangeFailedError: one can neither be read nor is its digest stated
    """
    known = cast("Object", change.current.get("files") or {})
    run = cast("Object", change.current.get("run") or {})
    stated = run.get("files")
    found: Object = {**known}
    for url in referred_files(api.kind, api.api, change.record):
        if isinstance(stated, dict) and url in stated:
            found[url] = stated[url]
        if url in found:
            continue
        bucket, key = bucket_and_key(url)
        content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
        if content is None:
            message = f"{url} cannot be read, and no digest of it is stated in `run.files`"
            raise ChangeFailedError(message)
        found[url] = hashlib.sha256(content).hexdigest()
    return replace(change, current={**change.current, "files": found})


def feature_files(api: JobApi, requests: Iterable[Object | None]) -> Flow[dict[str, bytes]]:
    """Read the GeoPackages of jobs that may run, each once: their features decide the cost."""
    urls = {api.feature_file(one) for one in requests if one is not None} - {""}
    contents: dict[str, bytes] = {}
    for url in sorted(urls):
        bucket, key = bucket_and_key(url)
        content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
        if content is not None:
            contents[url] = content
    return contents


def features_in(
    api: JobApi, request: Object | None, files: Mapping[str, bytes]
) -> tuple[Features, ...] | None:
    """Return the features of the file that a job names, None where it names none that was read."""
    from shplan.providers.geopackage import read_features  # noqa: PLC0415 - rarely needed

    url = "" if request is None else api.feature_file(request)
    if request is None or url not in files:
        return None
    return read_features(files[url], api.sizing(request)) or None


def around_in(api: JobApi, request: Object | None, files: Mapping[str, bytes]) -> Value:
    """Return where the features of a job's file lie, as `input.bounds` says it, else None."""
    from shplan.providers.geopackage import bounds_of  # noqa: PLC0415 - rarely needed

    url = "" if request is None else api.feature_file(request)
    return bounds_of(files[url]) if url in files else None


__all__ = ["feature_files", "features_in", "file_digests", "identified", "with_late_files"]
