"""
Run keys: the digest of what the repository says about the result of a job.

A job runs once for each key, so a key must not move: not with a comment, a default that is spelled
out, an order of keys, a rotated credential, a version of a library. What counts, and in which form,
is `key_format.py`; this module puts the parts together and takes the digest.

Receipts keep the request (with the script's text, without secrets), generation, triggers and file
digests: all that a key is made of. When a new format comes, `run_key` over what a receipt keeps is
that receipt's key under the new format, and is taken before anything counts as new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Final, TypeGuard, cast

from shplan.core.key_format import RUN_KEY_PLACEHOLDER, UnknownPartError, canonical_request
from shplan.core.key_tables import KEY_FORMAT, NoFormError, RequestForm, form_of
from shplan.core.marker import script_without_marker
from shplan.core.value import (
    JsonObject,
    JsonValue,
    Object,
    Path,
    Sensitive,
    Value,
    canonical,
    digest,
    printable,
)

SHORT_LENGTH: Final = 16
# Source: API reference, "Default DEM": Copernicus Data Space has another than the main service.
_DEM_OF: Final[Mapping[str, str]] = {"cdse": "COPERNICUS_30"}
_MAIN_DEM: Final = "MAPZEN"


@dataclass(frozen=True, slots=True)
class RunInput:
    """
    What the repository says about the result of one job.

    Args:
        kind: e.g. `BatchProcess`
        api: the API's version, `run.api`: `v2`
        deployment: its built-in name, else scheme, host and port of `baseUrl`
        request: the body as the manifest states it, the script as text where the API wants one;
            secrets may be `Sensitive`, nothing may be unknown
        files: URL to SHA-256 (hex) of every file that the request refers to; others do not count
        generation: `run.generation`
        triggers: `run.triggers`
    """

    kind: str
    api: str
    deployment: str
    request: Object
    files: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1
    triggers: Mapping[str, Value] | Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class RunKey:
    """
    What identifies a job.

    Args:
        digest: `sha256:` and the hex digest of the parts in canonical JSON
        parts: what it was taken of, for people to compare; no secret, and of a script its tokens'
            digest
    """

    digest: str
    parts: JsonObject

    @property
    def short(self) -> str:
        """The first 16 hex digits: what a marker and a path carry."""
        return self.digest.removeprefix("sha256:")[:SHORT_LENGTH]


class MissingFileDigestError(ValueError):
    """The request refers to a file of which nobody knows the content."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the SHA-256 of {url} is not known: state it in `run.files`, or let it be read"
        )
        self.url = url


def run_key(given: RunInput) -> RunKey:
    """
    Key a job.

    Raises:
        MissingFileDigestError: a file that the request refers to has no digest in `files`
        UnknownPartError: a part of the request is known only after apply
        NoFormError: there are no keys for this kind and API
        NotCanonicalError: a number or a text that JSON cannot carry
    """
    parts: JsonObject = {
        **_common_parts(given),
        "deployment": given.deployment,
        "request": canonical_request(given.kind, given.api, given.request),
        "files": dict(_file_digests(given)),
    }
    return RunKey(digest(cast(Object, parts)), parts)


def content_digest(given: RunInput, *, request_by_address: Object) -> str:
    """
    Return the run key without what differs between environments.

    Args:
        given: as for `run_key`
        request_by_address: the same request with each reference replaced by the address and
            attribute that it refers to
    """
    form = canonical_request(given.kind, given.api, request_by_address)
    request: Value = cast(Object, form)
    for path in form_of(given.kind, given.api).deliveries:
        request = _with(request, path, None)
    parts: JsonObject = {
        **_common_parts(given),
        "request": cast(JsonObject, request),
        # By content alone: the URL of a file belongs to an environment.
        "files": cast(JsonValue, sorted(sha256 for _, sha256 in _file_digests(given))),
    }
    return digest(cast(Object, parts))


def referred_files(kind: str, api: str, request: Object) -> tuple[str, ...]:
    """Return the URLs of the files that a request refers to, sorted, each once."""
    found = set()
    for path in form_of(kind, api).files:
        bucket = _get(request, path)
        for info in bucket.values() if isinstance(bucket, dict) else ():
            url = info.get("url") if isinstance(info, dict) else None
            if isinstance(url, str):
                found.add(url)
    return tuple(sorted(found))


def key_of_echo(echo: JsonObject, like: RunInput, *, key: str) -> RunKey:
    """
    Key a task's echoed request as if this manifest had stated it.

    Generation, triggers and file digests are the manifest's: the server does not know them.

    Args:
        echo: the request as the server shows it, with whatever it filled in
        like: what the manifest says
        key: the text that stood for `{{ run.key }}` when the request was sent
    """
    form = form_of(like.kind, like.api)
    request = cast(Object, _restored(cast(Object, echo), like.request, key))
    if isinstance(script := _get(request, form.script), str):
        request = cast(Object, _with(request, form.script, script_without_marker(script)))
    request = _without_filled(request, like, form)
    # A file that the manifest does not know makes another key, not an error.
    files = dict.fromkeys(referred_files(like.kind, like.api, request), "") | dict(like.files)
    return run_key(replace(like, request=request, files=files))


def likeness(like: RunInput, *, key: str) -> str:
    """
    Return the digest of all that `key_of_echo` takes from a manifest.

    Inputs of one likeness read every echo alike, so that it is keyed once for all of them: a
    thousand jobs that differ in a date do not key each task a thousand times.
    """
    outline = _outline(like.request)
    parts: JsonObject = {
        **_common_parts(like),
        "deployment": like.deployment,
        "files": dict(like.files),
        "outline": outline,
        # Only a request with the placeholder in it looks for the key in an echo.
        "key": key if _names_key(canonical(cast(Value, outline)).decode()) else "",
    }
    return digest(cast(Object, parts))


def differing_parts(
    old: JsonObject, new: JsonObject
) -> tuple[tuple[str, JsonValue, JsonValue], ...]:
    """
    Return where the parts of two keys differ: dotted path, old value, new value; None is absent.

    Objects, and lists of objects of one length, are entered; other lists are compared whole.
    """
    return tuple(_differences(old, new, ()))


def _common_parts(given: RunInput) -> JsonObject:
    triggers = given.triggers
    stated = dict(triggers) if isinstance(triggers, Mapping) else list(triggers)
    return {
        "format": KEY_FORMAT,
        "kind": given.kind,
        "api": given.api,
        "generation": given.generation,
        "triggers": printable(stated) or [],
    }


def _file_digests(given: RunInput) -> Iterator[tuple[str, str]]:
    for url in referred_files(given.kind, given.api, given.request):
        if url not in given.files:
            raise MissingFileDigestError(url)
        yield url, given.files[url].lower().removeprefix("sha256:")


def _restored(seen: Value, stated: Value, key: str) -> Value:
    """Put back what the manifest has secrets and the run key's placeholder for."""
    if isinstance(stated, Sensitive) and seen is not None:
        return stated
    if isinstance(seen, str) and isinstance(stated, str):
        return seen.replace(key, RUN_KEY_PLACEHOLDER) if key and _names_key(stated) else seen
    if isinstance(seen, dict) and isinstance(stated, dict):
        return {name: _restored(one, stated.get(name), key) for name, one in seen.items()}
    if isinstance(seen, list) and isinstance(stated, list):
        pairs = zip_longest(seen, stated[: len(seen)])
        return [_restored(one, other, key) for one, other in pairs]
    return seen


def _outline(stated: Value) -> JsonValue:
    """Return what `_restored` and `_without_filled` look at: names, secrets, the placeholder."""
    if isinstance(stated, dict):
        return {name: _outline(one) for name, one in stated.items() if one is not None}
    if isinstance(stated, list):
        items = [_outline(one) for one in stated]
        # An outline of an area, say: only its being there counts.
        return items if any(one is not True for one in items) else True
    if isinstance(stated, Sensitive):
        return printable(stated)
    return stated if isinstance(stated, str) and _names_key(stated) else True


def _names_key(stated: str) -> bool:
    return "{{" in stated and "run.key" in stated


def _without_filled(echo: Object, like: RunInput, form: RequestForm) -> Object:
    """Leave out what the server filled in where the manifest is silent."""
    dem = _DEM_OF.get(like.deployment, _MAIN_DEM)
    of_deployment = dict.fromkeys(form.dem, (dem,))
    request: Value = echo
    for pattern, values in {**form.filled, **of_deployment}.items():
        for path in _paths(request, tuple(pattern.split("."))):
            silent = _get(like.request, path) is None
            if silent and (values is None or _get(request, path) in values):
                request = _with(request, path, None)
    return cast(Object, request)


def _paths(value: Value, pattern: tuple[str, ...], path: Path = ()) -> Iterator[Path]:
    """Yield every path that fits; `*` stands for each item of a list."""
    if not pattern:
        yield path
    elif pattern[0] == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, pattern[1:], (*path, index))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _paths(value[pattern[0]], pattern[1:], (*path, pattern[0]))


def _get(value: Value, path: Path) -> Value:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _with(value: Value, path: Path, member: Value) -> Value:
    """Return a value with another member at a path that it has; None takes the member away."""
    if not path:
        return member
    step, *rest = path
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        form = _with(value[step], tuple(rest), member)
        others = {name: one for name, one in value.items() if name != step}
        return others if form is None else {**others, step: form}
    if isinstance(value, list) and isinstance(step, int):
        form = _with(value[step], tuple(rest), member)
        return [form if index == step else one for index, one in enumerate(value)]
    return value


def _differences(
    old: JsonValue, new: JsonValue, path: tuple[str, ...]
) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), (*path, name))
    elif _are_objects(old) and _are_objects(new) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, (*path, str(index)))
    elif canonical(cast(Value, old)) != canonical(cast(Value, new)):
        yield ".".join(path), old, new


def _are_objects(value: JsonValue) -> TypeGuard[list[JsonValue]]:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


__all__ = [
    "KEY_FORMAT",
    "RUN_KEY_PLACEHOLDER",
    "MissingFileDigestError",
    "NoFormError",
    "RunInput",
    "RunKey",
    "UnknownPartError",
    "canonical_request",
    "content_digest",
    "differing_parts",
    "key_of_echo",
    "likeness",
    "referred_files",
    "run_key",
]
