"""
How the features of a batch statistical task ended, read from the files that it delivers.

Source: documentation of batch statistics: one JSON file for each feature, with `id`, `identifier`,
and either `response` or `error`. There is no execution database and no copy of the request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import cast

from shplan.core.json_bounds import read_bounded
from shplan.core.key_format import holds_key, put_key
from shplan.core.paths import (
    PLACEHOLDER,
    has_parts,
    holds_minted,
    template_root,
    with_minted,
)
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject, Object
from shplan.providers.job import Phase, Task
from shplan.providers.job_outcome import Features, Trace, told_cause
from shplan.providers.job_unlisted import UNKNOWN_ID, Witnesses
from shplan.providers.places import bucket_and_key, names_of, url_of
from shplan.providers.steps import Fetch, File, Flow, Look

# What failed is said in few words: of many files the smallest are read, and a receipt says so.
MOST_READ = 1_000
UNREAD = "..."
REQUEST_ID = "<REQUEST_ID>"
IDENTIFIER = "<IDENTIFIER>"
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def results_of(delivery: str, task: str) -> Flow[Features | None]:
    """
    Count the features that have a result and name those whose file says `error`.

    Returns:
        None where the bucket cannot be read, or holds no result
    """
    files = yield from _results(delivery, task)
    if not files:
        return None
    bucket, _ = bucket_and_key(delivery)
    by_size = sorted(files, key=lambda file: (file.size_bytes, file.key))
    failed: dict[str, str] = {}
    for file in by_size[:MOST_READ]:
        content: bytes | None = yield Fetch(bucket, file.key)
        told = error_in(content)
        if told is not None:
            failed[told[0] or file.key.rpartition("/")[2]] = told[1]
    if failed and len(files) > MOST_READ:
        failed[UNREAD] = f"only the {MOST_READ:,} smallest of {len(files):,} files were read"
    return Features(len(files), 0, failed)


def _results(delivery: str, task: str) -> Flow[tuple[File, ...] | None]:
    """List the results of a task; None where the bucket cannot be read."""
    template = with_minted(delivery, task)
    bucket, root = bucket_and_key(template_root(template))
    files: tuple[File, ...] | None = (yield Look(bucket, root)) if bucket else None
    if files is None:
        return None
    names = bucket_and_key(template)[1]
    named = names_of(names)
    found = [file for file in files if named.fit(file.key)]
    deeper = [file for file in files if _is_deeper(file.key, names)]
    # Files of failures are the smallest. What is too much to read counts by its name alone.
    deeper.sort(key=lambda file: (file.size_bytes, file.key))
    for file in deeper[:MOST_READ]:
        content: bytes | None = yield Fetch(bucket, file.key)
        if _is_named(file.key, names, content):
            found.append(file)
    return (*found, *deeper[MOST_READ:])


def _is_deeper(name: str, template: str) -> bool:
    """Tell whether a name may be of a feature whose identifier has slashes in it."""
    if IDENTIFIER not in template or name.count("/") <= template.count("/"):
        return False
    return has_parts(name, PLACEHOLDER.split(template), least=1)


def _is_named(name: str, template: str, content: bytes | None) -> bool:
    """Tell whether what a file says of its feature gives its name: another task's does not."""
    try:
        told = read_bounded(content or b"")
    except (ValueError, RecursionError):
        return False
    if not isinstance(told, dict) or not isinstance(told.get("identifier"), str):
        return False
    stated = {IDENTIFIER: str(told["identifier"]), "<ID>": str(told.get("id"))}
    return PLACEHOLDER.sub(lambda match: stated.get(match[0], match[0]), template) == name


def error_in(content: bytes | None) -> tuple[str, str] | None:
    """Return feature and cause, where a file tells of a failure."""
    try:
        told = read_bounded(content or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not told.get("error"):
        return None
    error = told["error"]
    name = told.get("identifier") or told.get("id")
    cause = error.get("message") if isinstance(error, dict) else error
    return told_cause(name or ""), told_cause(cause or json.dumps(error, sort_keys=True))


def trace_of(given: RunInput, key: RunKey, task: str, *, delivery: str) -> Flow[Trace | None]:
    """
    Say what the results of a task that is gone tell of it.

    It has finished where a place of its own holds a result for each feature of the GeoPackage, if
    that is still the file which the key was made with. Fewer results only show that it was started.
    """
    if not (holds_minted(delivery) or holds_key(delivery)):
        # Anybody's results lie there.
        return None
    delivery = put_key(delivery, key.short)
    files = yield from _results(delivery, task)
    if not files:
        return None
    expected = yield from _expected(given)
    if expected is None or len(files) < expected:
        return Trace(Phase.RUNNING)
    features = yield from results_of(delivery, task)
    return Trace(Phase.RUNNING) if features is None else Trace(Phase.DONE, features)


def witnesses_of(key: RunKey, known: AbstractSet[str], *, delivery: str) -> Flow[Witnesses | None]:
    """
    Look for results of a run of which nobody knows a task: in the places that its key names.

    Args:
        known: ids that the ledger or the list knows

    Returns:
        None where anybody's results may lie
    """
    if not holds_key(delivery):
        return None
    template = put_key(delivery, key.short)
    bucket, root = bucket_and_key(template_root(template))
    files: tuple[File, ...] | None = (yield Look(bucket, root)) if bucket else None
    key_template = bucket_and_key(template)[1]
    found = {_task_of(file.key, key_template) for file in files or ()}
    ids = {task for task in found if task is not None} - known
    tasks = (Task(one, "", Phase.ENDED, "") for one in sorted(ids))
    return Witnesses(tuple(tasks), is_complete=True)


def _task_of(name: str, template: str) -> str | None:
    """Return the id of the task whose result has a name, None where it is the result of none."""
    steps = template.split("/")
    first = next((at for at, step in enumerate(steps) if REQUEST_ID in step), None)
    given = name.split("/")
    if first is None or len(given) != len(steps):
        return UNKNOWN_ID if names_of(template).fit(name) else None
    tried = (
        task
        for task in _ids_in(given[first], steps[first])
        if names_of(template.replace(REQUEST_ID, task)).fit(name)
    )
    return next(tried, None)


def _ids_in(step: str, template: str) -> Iterator[str]:
    """Yield what may be the id in a step: what stands alone in its place, else what is of its form."""
    before, *others = template.split(REQUEST_ID)
    after = others[-1]
    task = step[len(before) : len(step) - len(after)]
    if task and step.startswith(before) and step.endswith(after) and len(others) == 1:
        yield task
    yield from (match[0] for match in _ID.finditer(step))


def _expected(given: RunInput) -> Flow[int | None]:
    """Return how many features the GeoPackage has, None where it is not the one of the key."""
    from shplan.providers.geopackage import count_features  # noqa: PLC0415 - rarely needed

    wanted = cast("Object | JsonObject", given.request.get("input") or {})
    url = url_of(cast("Object", wanted).get("features"))
    bucket, key = bucket_and_key(url)
    content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
    if content is None:
        return None
    stated = given.files.get(url, "").lower().removeprefix("sha256:")
    if hashlib.sha256(content).hexdigest() != stated:
        return None
    return count_features(content)
