"""
Who ran what, from the copies of requests that the service leaves where it delivers.

The last witnesses: where the ledger is lost and the service has forgotten the task, they alone say
that a run was made and paid (design, "Applying", the third limit of the promise). Source:
documentation of Batch V2, "the request's copy"; its name and form are assumptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from shplan.core.json_bounds import read_bounded
from shplan.core.key_format import put_key
from shplan.core.paths import template_root
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject
from shplan.providers.job import JobApi, Phase, Task
from shplan.providers.places import bucket_and_key
from shplan.providers.steps import Fetch, File, Flow, Look

COPY_PREFIX = "request-"
_COPY = re.compile(r"request-([0-9a-fA-F-]{36})\.json")
_OF_TASK = "<requestId>"


def copied_task(name: str) -> str:
    """Read the name of a file: whose request it is a copy of. The form is an assumption."""
    match = _COPY.fullmatch(name)
    return "" if match is None else match[1].lower()


def place_of(api: JobApi, given: RunInput, key: RunKey) -> tuple[str, str]:
    """
    Return bucket and prefix below which copies of this job's request lie.

    Where each task has a folder of its own, these folders are looked into; else only for files
    that are called as copies are.
    """
    delivery = put_key(api.delivery(given.request), key.short)
    bucket, root = bucket_and_key(template_root(delivery))
    of_task = _OF_TASK in delivery
    return bucket, root if of_task else root + api.copy_prefix


def copies_below(
    api: JobApi, places: Iterable[tuple[str, str]], *, known: AbstractSet[str]
) -> Flow[tuple[Task, ...]]:
    """
    Read the copies of requests below some places, as tasks of which nothing else is known.

    Each place is listed once. Nothing is read where buckets cannot be.

    Args:
        known: ids of tasks that somebody else has spoken of: their copies tell nothing new
    """
    found: dict[str, Task] = {}
    for bucket, prefix in sorted(set(places)):
        files: tuple[File, ...] | None = (yield Look(bucket, prefix)) if bucket else None
        for file in files or ():
            task = api.copied_task(file.key.rpartition("/")[2])
            if not task or task in known or task in found:
                continue
            content: bytes | None = yield Fetch(bucket, file.key)
            request = None if content is None else _request_in(content)
            if request is not None:
                found[task] = _task(task, request)
    return tuple(found[task] for task in sorted(found))


def _request_in(content: bytes) -> JsonObject | None:
    try:
        told = read_bounded(content)
    except (ValueError, RecursionError):
        return None
    request = told.get("request", told) if isinstance(told, dict) else None
    return request if isinstance(request, dict) else None


def _task(task: str, request: JsonObject) -> Task:
    description = request.get("description")
    return Task(
        task,
        created="",
        phase=Phase.ENDED,
        status="",
        description=description if isinstance(description, str) else "",
        request=request,
    )


__all__ = ["COPY_PREFIX", "copied_task", "copies_below", "place_of"]
