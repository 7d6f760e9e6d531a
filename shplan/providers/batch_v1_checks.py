"""
What a schema cannot say of a Batch V1 request.

What both versions of the API have in common is checked in the words of version 2, and told at the
places of version 1. Source: the older batch reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.paths import PLACEHOLDERS_V1, template_problems
from shplan.core.resource import Desired, Source
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.batch_checks import check_in_common
from shplan.providers.batch_collection_checks import check_collection, fills_collection
from shplan.providers.batch_v1_body import (
    TARGETS,
    delivery_of,
    in_version_2,
    path_in_version_1,
    place_of_delivery,
    target_of,
)


@dataclass(frozen=True, slots=True)
class _InVersion1:
    """The places of a manifest of version 1, asked for in the words of version 2."""

    source: Source
    request: Object

    def span(self, path: Path) -> SourceSpan:
        return self.source.span(path_in_version_1(self.request, path))


def check_batch_v1(desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
    """Return what is wrong with a request, each at its place."""
    request = desired.spec
    translated = replace(
        desired, spec=in_version_2(request), source=_InVersion1(desired.source, request)
    )
    return [
        *_check_target(desired),
        *_check_address(desired),
        *_check_grid(desired),
        *check_in_common(translated, tables, placeholders=PLACEHOLDERS_V1),
        *check_collection(desired, single_band=True),
        *_check_files(desired),
    ]


def _check_target(desired: Desired) -> Iterator[Diagnostic]:
    stated = [name for name in TARGETS if desired.spec.get(name) is not None]
    if len(stated) == 1:
        yield from _check_path(desired)
        return
    named = " and ".join(f"`{name}`" for name in stated)
    yield _wrong(
        desired,
        ("spec", stated[1]) if stated else ("spec",),
        what=f"{named} are both stated." if stated else "it does not say where results go.",
        why="Results go to `output.defaultTilePath`, to `bucketName` or to `zarrOutput.path`.",
        hint="leave one of them out"
        if stated
        else 'write `output: {defaultTilePath: "s3://bucket/path"}`',
    )


def _check_path(desired: Desired) -> Iterator[Diagnostic]:
    output = desired.spec.get("output")
    if target_of(desired.spec) != "output" or not isinstance(output, dict):
        return
    # The files of a collection that is named lie in its own bucket.
    if output.get("defaultTilePath") is None and output.get("collectionId") is None:
        yield _wrong(
            desired,
            ("spec", "output"),
            what="`output` has no `defaultTilePath`.",
            why="Nothing else says which bucket the results go to.",
            hint='write `defaultTilePath: "s3://bucket/path"`',
        )


def _check_address(desired: Desired) -> Iterator[Diagnostic]:
    """Results go to S3, by a URL. Source: BatchProcessOutput, BatchZarrParameters."""
    url = delivery_of(desired.spec)
    if not url or url.startswith("s3://"):
        return
    problem = next(iter(template_problems(url, ())), None)
    yield _wrong(
        desired,
        ("spec", *place_of_delivery(desired.spec)),
        what=problem.what if problem else f"the delivery path is {url}.",
        why="Version 1 delivers to buckets on S3, given as s3://bucket/path.",
        hint=problem.hint if problem else "write `s3://bucket/path`",
    )


def _check_grid(desired: Desired) -> Iterator[Diagnostic]:
    request = desired.spec
    older = [name for name in ("tilingGridId", "resolution") if request.get(name) is not None]
    if request.get("tilingGrid") is not None:
        for name in older:
            yield _wrong(
                desired,
                ("spec", name),
                what=f"`{name}` is the older way to say what `tilingGrid` says.",
                hint="leave it out",
            )
    elif len(older) < 2:
        lacking = "`resolution`" if older == ["tilingGridId"] else "`tilingGrid`"
        yield _wrong(
            desired,
            ("spec",),
            what=f"it has no {lacking}.",
            why="The grid and its resolution decide which tiles are processed, and paid.",
            hint="write `tilingGrid: {id: 0, resolution: 10}`",
        )


def _check_files(desired: Desired) -> Iterator[Diagnostic]:
    """The layout of a collection's files is the service's own. Source: BatchCogParameters."""
    output = desired.spec.get("output")
    parameters = output.get("cogParameters") if isinstance(output, dict) else None
    if not fills_collection(desired.spec) or not isinstance(parameters, dict):
        return
    for name in sorted(parameters.keys() - {"resamplingAlgorithm"}):
        yield _wrong(
            desired,
            ("spec", "output", "cogParameters", name),
            what=f"`{name}` is stated, and the results are to fill a collection.",
            why="There the service chooses the layout of the files; only `resamplingAlgorithm` can"
            " be said.",
            hint="leave it out",
        )


def _wrong(desired: Desired, path: Path, *, what: str, why: str = "", hint: str = "") -> Diagnostic:
    return Diagnostic(
        code="batch/request",
        summary="Request of version 1 not complete" if "no " in what else "Value not allowed",
        what=f"{desired.address.base}: {what}",
        why=why,
        hint=hint,
        span=desired.source.span(path),
        address=str(desired.address.base),
    )
