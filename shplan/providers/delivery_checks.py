"""
What a schema cannot say of asynchronous and of statistical requests, and of images at once: scripts,
outputs, paths.

What holds for requests of every kind is in `request_checks`.

Offline: everything here is found before a server is asked. Facts: the API description's schemas
`AsyncProcessRequest`, `BatchStatisticalRequest` and those of their deliveries.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from shplan.core.diagnostic import Diagnostic
from shplan.core.nearest import nearest
from shplan.core.resource import Desired
from shplan.core.value import Path, Unknown, Value
from shplan.providers.places import placeholders_in, url_of

# Where a response of this name comes from: the script's own metadata, never an output.
USERDATA = "userdata"
MASK = "dataMask"
# Source: documentation of batch statistics.
MOST_SCRIPT_BYTES = 32 * 1024
# By which the codes of messages begin.
_FAMILIES = {"BatchStatistics": "batch", "Process": "process", "Statistics": "statistics"}
_Found: TypeAlias = Iterator[Diagnostic]


def check_statistics(desired: Desired) -> list[Diagnostic]:
    """Return what is wrong with a batch statistical request, each at its place."""
    return [
        *_check_script(desired, "aggregation"),
        *_check_script_size(desired),
        *_check_mask(desired),
        *_check_calculations(desired),
        *_check_features(desired),
        *_check_place(desired, ("output",), ("<REQUEST_ID>", "<ID>", "<IDENTIFIER>")),
        *_check_unique(desired),
    ]


def check_async(desired: Desired) -> list[Diagnostic]:
    """Return what is wrong with an asynchronous request, each at its place."""
    return [
        *_check_script(desired),
        *_check_size(desired),
        *_check_bounds(desired),
        *_check_outputs(desired),
        *_check_place(desired, ("output", "delivery"), ("<REQUEST_ID>", "<OUTPUT>")),
        *_check_distinct(desired),
    ]


def check_image(desired: Desired) -> list[Diagnostic]:
    """Return what is wrong with a request of the Process API, each at its place."""
    return [*_check_bounds(desired), *_check_outputs(desired), *_check_default(desired)]


def check_numbers(desired: Desired) -> list[Diagnostic]:
    """Return what is wrong with a request of the Statistical API, each at its place."""
    return [*_check_bounds(desired), *_check_mask(desired), *_check_calculations(desired)]


def _check_default(desired: Desired) -> _Found:
    """Without `responses` the output `default` is answered, whatever others there are."""
    stated = _at(desired.spec, "output", "responses")
    known = set() if desired.script is None else {one.id for one in desired.script.outputs}
    if known and not stated and "default" not in known:
        yield _no_output(desired, ("spec", "output"), "default", known)


def _check_script(desired: Desired, *below: str) -> _Found:
    """A script is stated or referred to. Source: both schemas, "either this or ..."."""
    held = _at(desired.spec, *below)
    stated = [name for name in ("evalscript", "evalscriptReference") if _has(held, name)]
    if len(stated) == 1:
        return
    where = "spec" if not below else f"`{'.'.join(below)}`"
    both = "has both `evalscript` and `evalscriptReference`"
    none = "has neither `evalscript` nor `evalscriptReference`"
    yield _wrong(
        desired,
        ("spec", *below, *stated[1:]),
        summary="One script wanted",
        what=f"{where} {both if stated else none}.",
        hint="leave one out" if stated else "write `evalscript: \"{{ ref('Evalscript/NAME') }}\"`",
    )


def _check_script_size(desired: Desired) -> _Found:
    script = _at(desired.spec, "aggregation", "evalscript")
    size = len(script.encode(errors="replace")) if isinstance(script, str) else 0
    if size >= MOST_SCRIPT_BYTES:
        yield _wrong(
            desired,
            ("spec", "aggregation", "evalscript"),
            summary="Script too long",
            what=f"the evalscript has {size:,} bytes; the service takes less than 32 KB.",
            hint="put it into a bucket and name it in `evalscriptReference`",
        )


def _check_size(desired: Desired) -> _Found:
    output = _at(desired.spec, "output")
    if not any(_has(output, name) for name in ("width", "height", "resx", "resy")):
        yield _wrong(
            desired,
            ("spec", "output"),
            summary="Size missing",
            what="`output` has no size.",
            why="An asynchronous request has no size of its own accord.",
            hint="state `width` and `height`, or `resx` and `resy`",
        )


def _check_bounds(desired: Desired) -> _Found:
    bounds = _at(desired.spec, "input", "bounds")
    if isinstance(bounds, dict) and not {"bbox", "geometry"} & bounds.keys():
        yield _wrong(
            desired,
            ("spec", "input", "bounds"),
            summary="Area missing",
            what="`bounds` has neither `bbox` nor `geometry`.",
            hint="write `geometry: \"{{ geojson('../aoi/area.geojson') }}\"`, or a bbox",
        )


def _check_outputs(desired: Desired) -> _Found:
    """Every response needs an output of the script of the same name."""
    responses = _at(desired.spec, "output", "responses")
    known = None if desired.script is None else {one.id for one in desired.script.outputs}
    asked: set[str] = set()
    for index, one in enumerate(responses if isinstance(responses, list) else ()):
        name = one.get("identifier", "default") if isinstance(one, dict) else None
        path = ("spec", "output", "responses", index)
        if not isinstance(name, str) or name == USERDATA:
            continue
        if name in asked:
            yield _wrong(
                desired,
                path,
                summary="Response asked for twice",
                what=f"two responses are called `{name}`.",
            )
        asked.add(name)
        if known is not None and name not in known:
            yield _no_output(desired, path, name, known)


def _check_mask(desired: Desired) -> _Found:
    """Source: documentation of the Statistical API: an output with the id `dataMask` is needed."""
    if desired.script is None or any(one.id == MASK for one in desired.script.outputs):
        return
    yield _wrong(
        desired,
        ("spec", "aggregation", "evalscript"),
        summary="Output missing",
        what=f"the evalscript has no output `{MASK}`, and statistics needs one.",
        why="It says which pixels count; without it the service refuses the request.",
        hint=f'ask for the band `{MASK}`, add `{{id: "{MASK}", bands: 1}}` to the outputs, and return it',
    )


def _check_calculations(desired: Desired) -> _Found:
    """Calculations name outputs of the script, or `default` for all the others."""
    stated = _at(desired.spec, "calculations")
    if desired.script is None or not isinstance(stated, dict):
        return
    known = {one.id for one in desired.script.outputs}
    for name in stated:
        if name not in known and name != "default":
            yield _no_output(desired, ("spec", "calculations", name), name, known)


def _no_output(desired: Desired, path: Path, name: str, known: set[str]) -> Diagnostic:
    listed = ", ".join(f"`{other}`" for other in sorted(known))
    near = nearest(name, known)
    only = min(known) if len(known) == 1 else ""
    return _wrong(
        desired,
        path,
        summary="No such output",
        what=f"the evalscript has no output `{name}`; it has {listed}.",
        why="It is an output of `setup()` that is named here; the service fails the request.",
        hint=f"did you mean `{near}`?" if near else f"write `{only}`" if only else "",
    )


def _check_features(desired: Desired) -> _Found:
    """Source: documentation of batch statistics: the areas are a GeoPackage."""
    url = url_of(_at(desired.spec, "input", "features"))
    if url and not url.lower().endswith(".gpkg"):
        yield _wrong(
            desired,
            ("spec", "input", "features"),
            summary="Not a GeoPackage",
            what=f"the areas are at {url}, which is no .gpkg file.",
            why="Batch statistics takes its areas from a GeoPackage in a bucket.",
        )


def _check_place(desired: Desired, path: Path, known: Sequence[str]) -> _Found:
    held = _at(desired.spec, *path)
    url = url_of(held)
    store = "s3" if _at(held, "s3", "url") == url else "gs"
    where = ("spec", *path, store, "url")
    for one in placeholders_in(url):
        if one not in known:
            yield _unknown_placeholder(desired, where, one, known)


def _unknown_placeholder(
    desired: Desired, where: Path, found: str, known: Sequence[str]
) -> Diagnostic:
    letters = {one.strip("<>").replace("_", "").lower(): one for one in known}
    meant = {"requestid": "<REQUEST_ID>", "outputid": "<OUTPUT>", "tilename": "<ID>"}
    plain = found.strip("<>").replace("_", "").replace("-", "").lower()
    near = difflib.get_close_matches(plain, letters, n=1, cutoff=0.5)
    guess = meant.get(plain) if meant.get(plain) in known else letters[near[0]] if near else None
    return _wrong(
        desired,
        where,
        summary="Output path cannot be used",
        what=f"the delivery path has the placeholder {found}.",
        why=f"This API knows {', '.join(known)}.",
        hint=f"did you mean `{guess}`?" if guess else f"leave {found} out",
    )


def _check_unique(desired: Desired) -> _Found:
    """Source: schema S3BucketInfoTemplated: "must contain <ID> or <IDENTIFIER>"."""
    url = url_of(_at(desired.spec, "output"))
    named = placeholders_in(url)
    if "<REQUEST_ID>" in named and len(named) == 1:
        yield _wrong(
            desired,
            ("spec", "output"),
            summary="Output path cannot be used",
            what=f"the delivery path {url} has neither <ID> nor <IDENTIFIER>.",
            why="Without one the results of all features would be written to one place.",
            hint=f"write `{url.rstrip('/')}/<ID>.json`",
        )


def _check_distinct(desired: Desired) -> _Found:
    """Several outputs need a place each."""
    responses = _at(desired.spec, "output", "responses")
    url = url_of(_at(desired.spec, "output", "delivery"))
    several = isinstance(responses, list) and len(responses) > 1
    if several and "<REQUEST_ID>" in placeholders_in(url) and "<OUTPUT>" not in url:
        yield _wrong(
            desired,
            ("spec", "output", "delivery"),
            summary="Output path cannot be used",
            what=f"the delivery path {url} has no <OUTPUT>, and there are several outputs.",
            why="Without it all outputs would be written to one place.",
            hint=f"write `{url.rstrip('/')}/<OUTPUT>`",
        )


def _has(value: Value, name: str) -> bool:
    return isinstance(value, dict) and value.get(name) is not None


def _at(value: Value, *path: str | int) -> Value:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return None if isinstance(value, Unknown) else value


def _wrong(
    desired: Desired, path: Path, *, summary: str, what: str, why: str = "", hint: str = ""
) -> Diagnostic:
    return Diagnostic(
        code=f"{_FAMILIES.get(desired.address.kind, 'async')}/request",
        summary=summary,
        # Of the manifest, so that a thousand instances complain once.
        what=f"{desired.address.base}: {what}",
        why=why,
        hint=hint,
        span=desired.source.span(path),
        address=str(desired.address.base),
    )


__all__ = ["check_async", "check_image", "check_numbers", "check_statistics"]
