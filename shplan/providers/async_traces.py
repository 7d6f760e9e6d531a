"""
What the bucket tells of asynchronous requests, which the service forgets as soon as they are over.

Source: documentation of asynchronous processing: the service writes a copy of the request when it is
created, and again with the cost when it is done; where it fails, `error.json`. That both are JSON
files in the folder of the outputs, and what they are called, are assumptions: a copy is whatever
holds a request, and an output is known by its identifier alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from shplan.core.json_bounds import read_bounded
from shplan.core.key_format import holds_key, put_key
from shplan.core.marker import read_script_marker
from shplan.core.paths import holds_minted, with_minted
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject, JsonValue, Object
from shplan.providers.job import Phase, Task
from shplan.providers.job_outcome import Trace, told_cause
from shplan.providers.job_unlisted import UNKNOWN_ID, Witnesses
from shplan.providers.places import bucket_and_key, url_of
from shplan.providers.steps import Fetch, File, Flow, Look

REQUEST_ID = "<REQUEST_ID>"
OUTPUT = "<OUTPUT>"
# Source: schema AsyncProcessS3BucketInfoTemplated: what a plain prefix is equivalent to.
BELOW_PREFIX = f"/{REQUEST_ID}/{OUTPUT}"
COPY, ERROR = "request.json", "error.json"
_ID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# No request costs as much: what a file says beyond is no cost.
_ABSURD_PU = 1e12
_EXTENSION = re.compile(r"\.[A-Za-z0-9]+")
_ANY_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_IDS = ("id", "requestId", "request_id")


def delivery_of(spec: Object) -> str:
    """Return the template that outputs go to, empty where none is stated or it is not known."""
    output = spec.get("output")
    url = url_of(output.get("delivery") if isinstance(output, dict) else None)
    return url if not url or "<" in url else url.rstrip("/") + BELOW_PREFIX


def identifiers_of(spec: Object) -> tuple[str, ...]:
    """Return the identifiers of the outputs; without responses the one that is called default."""
    output = spec.get("output")
    listed = output.get("responses") if isinstance(output, dict) else None
    found = [
        str(one.get("identifier") or "default")
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    ]
    return tuple(found) or ("default",)


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    Where the files of one run go.

    Args:
        template: below the bucket, with the run key in it
        is_own: nobody else's outputs have these names
        has_own_folder: nobody else's files lie in `folder`
        is_of_key: everything below `prefix` is this run's
    """

    bucket: str
    template: str
    is_own: bool
    has_own_folder: bool
    is_of_key: bool

    @property
    def folder(self) -> str:
        """The folder of the files that are no outputs, with its slash."""
        before = self.template.partition(OUTPUT)[0]
        return before[: before.rindex("/") + 1] if "/" in before else ""

    @property
    def prefix(self) -> str:
        """What every file begins with, whichever request it is of; it ends with a slash."""
        before = self.folder.partition(REQUEST_ID)[0]
        return before[: before.rindex("/") + 1] if "/" in before else ""

    def of(self, task: str) -> _Layout:
        """Return the layout of one request."""
        template = self.template if task == UNKNOWN_ID else with_minted(self.template, task)
        return replace(self, template=template)

    def id_in(self, key: str) -> str:
        """Return the id of the request that a file belongs to, where its place tells it."""
        if REQUEST_ID not in self.folder:
            return ""
        pattern = re.escape(self.folder).replace(re.escape(REQUEST_ID), f"({_ID})", 1)
        match = re.match(pattern.replace(re.escape(REQUEST_ID), _ID), key)
        return "" if match is None else match[1]


def is_output(name: str, *, template: str, identifier: str) -> bool:
    """Tell whether a name is that of an output, with or without its extension."""
    first, *others = template.split(OUTPUT)
    # Every place at which what was read may end: the time grows with the lengths alone.
    ends = {len(first)} if name.startswith(first) else set()
    for part in others:
        starts = {end + len(identifier) for end in ends if name.startswith(identifier, end)}
        starts |= {end for start in starts for end in _extension_ends(name, start)}
        ends = {start + len(part) for start in starts if name.startswith(part, start)}
    return len(name) in ends


def _extension_ends(name: str, start: int) -> range:
    """Return where an extension that begins at a place may end: after each of its letters."""
    found = _EXTENSION.match(name, start)
    return range(start + 2, found.end() + 1) if found else range(0)


def _layout(given: RunInput, key: RunKey) -> _Layout | None:
    stated = delivery_of(given.request)
    bucket, template = bucket_and_key(put_key(stated, key.short))
    if not bucket:
        return None
    is_own = holds_minted(template) or holds_key(stated)
    layout = _Layout(bucket, template, is_own, has_own_folder=False, is_of_key=False)
    # The same as the manifest states it, where the key is still its placeholder.
    open_ = replace(layout, template=bucket_and_key(stated)[1])
    return replace(
        layout,
        has_own_folder=holds_minted(open_.folder) or holds_key(open_.folder),
        is_of_key=holds_key(open_.prefix),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """One JSON file beside the outputs: whose it is, and what it says."""

    id: str
    request: JsonObject | None
    cost_pu: float | None
    error: str


# The copy of a request of another run.
_OTHERS = _Told("", None, None, "")


def trace_of(given: RunInput, key: RunKey, task: str) -> Flow[Trace | None]:
    """
    Say what the files of a request that is gone tell of it; None where they cannot be read.

    Its copy with a cost, or all its outputs in a place of its own, show that it is done; its error
    that it failed. Anything else only shows that it was sent.
    """
    layout = _layout(given, key)
    if layout is None:
        return None
    layout = layout.of(task)
    files: tuple[File, ...] | None = yield Look(layout.bucket, layout.folder)
    if files is None:
        return None
    found = {
        name: {
            file.key
            for file in files
            if is_output(file.key, template=layout.template, identifier=name)
        }
        for name in identifiers_of(given.request)
    }
    # `userdata` is a JSON file as well, and the user's own.
    outputs = set().union(*found.values())
    beside = [one for one in files if one.key not in outputs]
    told = yield from _told_beside(layout, beside, task)
    paid = [one.cost_pu for one in told if one.cost_pu is not None]
    if paid:
        return Trace(Phase.DONE, cost_pu=paid[0])
    errors = [one.error for one in told if one.error]
    if errors:
        return Trace(Phase.ENDED, cause=errors[0])
    if all(found.values()) and layout.is_own:
        return Trace(Phase.DONE)
    return Trace(Phase.RUNNING) if told else None


def _told_beside(layout: _Layout, files: Sequence[File], task: str) -> Flow[list[_Told]]:
    """Read the JSON files beside the outputs that speak of one request."""
    found: list[_Told] = []
    if task == UNKNOWN_ID:
        # Whose they are cannot be told.
        return found
    for file in files:
        name = file.key.removeprefix(layout.folder)
        if not _may_tell(name, task, is_own=layout.has_own_folder):
            continue
        content: bytes | None = yield Fetch(layout.bucket, file.key)
        told = read_beside(content)
        if told is not None and (told.id == task or (not told.id and layout.has_own_folder)):
            found.append(told)
    return found


def _may_tell(name: str, task: str, *, is_own: bool) -> bool:
    if "/" in name or not name.endswith(".json"):
        return False
    return is_own or name in (COPY, ERROR) or task in name


def read_beside(content: bytes | None) -> _Told | None:
    """Read a file beside the outputs; None where it is neither a copy of a request nor an error."""
    try:
        told = read_bounded(content or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    stated = told.get("request")
    request = stated if isinstance(stated, dict) else told if _is_request(told) else None
    error = told.get("error")
    if request is None and not error:
        return None
    ids = (told.get(name) for name in _IDS)
    return _Told(
        next((one for one in ids if isinstance(one, str) and _ANY_ID.fullmatch(one)), ""),
        request,
        _cost_in(told),
        "" if request is not None else _cause_in(error),
    )


def _is_request(told: JsonObject) -> bool:
    return isinstance(told.get("input"), dict) and isinstance(told.get("output"), dict)


def _cost_in(told: JsonObject) -> float | None:
    """Read the cost, whatever it is called: `costPU` and `costPu` are both used elsewhere."""
    for name, value in told.items():
        letters = name.lower()
        named = letters.startswith("cost") or "processingunits" in letters
        if not named or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if 0 <= value < _ABSURD_PU:
            return float(value)
    return None


def _cause_in(error: JsonValue) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return told_cause(message or json.dumps(error, sort_keys=True))


def witnesses_of(given: RunInput, key: RunKey, known: AbstractSet[str]) -> Flow[Witnesses | None]:
    """
    Look for requests of a run of which the ledger knows no id.

    Args:
        known: ids that the ledger knows: their files tell nothing new

    Returns:
        the requests whose copies lie where this run delivers, and those of which other files lie
        in the run's own folder; None where the bucket cannot be read
    """
    layout = _layout(given, key)
    if layout is None:
        return None
    files: tuple[File, ...] | None = yield Look(layout.bucket, layout.prefix)
    if files is None:
        return None
    found: dict[str, Task] = {}
    others: set[str] = set()
    is_strange = False
    for file in files:
        placed = layout.id_in(file.key)
        if placed in known:
            continue
        told = yield from _copy_at(layout, file, placed, key)
        if told is _OTHERS:
            others.add(placed)
            continue
        task = (told.id if told else "") or placed
        if task in known:
            continue
        if told is not None and told.request is not None and task:
            found[task] = _copied(task, told.request)
        elif layout.is_of_key and task:
            found.setdefault(task, _copied(task, None))
        else:
            # An error without an id may be that of an attempt that is known.
            is_strange = is_strange or not (known and told is not None and told.error)
    if layout.is_of_key and is_strange and not found:
        found[UNKNOWN_ID] = _copied(UNKNOWN_ID, None)
    tasks = tuple(found[task] for task in sorted(found))
    return Witnesses(tasks, layout.is_of_key, frozenset(others - {""}))


def _copy_at(layout: _Layout, file: File, placed: str, key: RunKey) -> Flow[_Told | None]:
    """Read a file that may be the copy of a request of this run; `_OTHERS` where it is another's."""
    if not _is_copy(file.key, layout, placed):
        return None
    content: bytes | None = yield Fetch(layout.bucket, file.key)
    if not layout.is_of_key and _is_others(content, key):
        return _OTHERS
    return read_beside(content)


def _is_others(content: bytes | None, key: RunKey) -> bool:
    """Tell, without reading all of it, that a copy carries the marker of another run."""
    return content is not None and b"[shplan " in content and key.short.encode() not in content


def _is_copy(key: str, layout: _Layout, placed: str) -> bool:
    """Tell whether a file may be the copy of a request, by its name and its place."""
    folder = layout.folder.replace(REQUEST_ID, placed) if placed else layout.folder
    name = key.removeprefix(folder)
    if not key.startswith(folder) or "/" in name:
        return False
    return name.endswith(".json") and (layout.is_of_key or "request" in name.lower())


def _copied(task: str, request: JsonObject | None) -> Task:
    script = (request or {}).get("evalscript")
    marker = read_script_marker(script) if isinstance(script, str) else None
    return Task(
        task,
        created="",
        phase=Phase.RUNNING,
        status="",
        description="" if marker is None else str(marker),
        request=request,
    )


def shown(spec: Object, key: str) -> tuple[str, ...]:
    """Say in a plan where the outputs will lie, and what nobody will be able to tell."""
    delivery = delivery_of(spec)
    if not delivery:
        return ()
    first, *more = _places(put_key(delivery, key) if key else delivery, spec)
    told = f"delivers {first}" + (f" and {len(more)} more" if more else "")
    return (told, *(() if holds_key(delivery) else (_UNNAMED,)))


_UNNAMED = "its path has no `{{ run.key }}`: if its answer is lost, a person may have to look into the bucket"


def _places(template: str, spec: Object) -> Iterator[str]:
    for identifier in identifiers_of(spec):
        yield template.replace(OUTPUT, identifier)


__all__ = [
    "OUTPUT",
    "REQUEST_ID",
    "delivery_of",
    "identifiers_of",
    "read_beside",
    "shown",
    "trace_of",
    "witnesses_of",
]
