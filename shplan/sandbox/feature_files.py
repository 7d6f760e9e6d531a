"""
What one feature of a batch task delivers, or one asynchronous request: its files and what they cost.

Two calls: `opened` in the loop of events, where the store may be asked, then `files` in a thread, which asks it
for nothing. What goes wrong with a feature is part of what it comes to, in words for its owner, at whichever
call: only bugs are raised. Where the files go is decided by those who ask. Source: the batch pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import (
    cog_writing,
    process,
    process_requests,
    raster_opening,
    result_files,
    zarr_layout,
)
from shplan.sandbox.cog_writing import CogError
from shplan.sandbox.errors import ApiError
from shplan.sandbox.result_files import PLAIN, Form
from shplan.sandbox.zarr_files import ZarrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.process_requests import ProcessRequest
    from shplan.sandbox.raster_sources import RasterSource
    from shplan.sandbox.result_files import ResultFile
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World
    from shplan.script.worker import Worker


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    What became of a feature.

    Args:
        files: in the order in which they are wanted; none of a feature that failed
        full_pu: by the published formula, without any minimum or discount
        has_data: whether there was any pixel with data in what was read
        failure: why there are no files, in words for their owner; none: they are there
    """

    files: tuple[ResultFile, ...] = ()
    full_pu: float = 0.0
    has_data: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureWork:
    """
    A feature that is ready to be computed.

    Args:
        request: none where it has failed already
        sources: one for each data set
        form: how its files are written
        failure: why it cannot be computed
    """

    request: ProcessRequest | None
    sources: Sequence[RasterSource] = ()
    form: Form = PLAIN
    failure: str | None = None

    def files(self, worker: Worker) -> Delivered:
        """Compute; for any thread, one at a time."""
        if self.request is None:
            return Delivered(failure=self.failure)
        try:
            computed = process.compute(self.request, self.sources, worker)
            files = result_files.files_of(self.request, computed, self.form)
        except ApiError as error:
            return Delivered(failure=error.sentence())
        except (CogError, ZarrError) as error:
            return Delivered(failure=str(error))
        return Delivered(
            files=tuple(files),
            full_pu=computed.cost_pu,
            has_data=computed.has_data,
        )


def form_of(request: JsonObject, *, created_ms: int) -> Form:
    """
    How the files of a batch task are written; once for all of its features.

    Args:
        request: as version 2 has it, analysed
        created_ms: when the task was created
    """
    output = cast("JsonObject", request["output"])
    if output["type"] == "zarr":
        return Form(zarr=zarr_layout.layout_of(request, created_ms=created_ms))
    return Form(cog=cog_writing.parameters_of(output))


def opened(
    world: World,
    account: str,
    process_request: JsonObject,
    *,
    epsg: int,
    shape: str,
    width: int,
    height: int,
    form: Form = PLAIN,
) -> FeatureWork:
    """
    Open what a feature of a batch task reads.

    Args:
        account: whose task it is
        process_request: of the task, valid by its schema
        epsg: code of the feature's CRS
        shape: its outline in that CRS, WKB in hexadecimal
        width: in pixels
        height: in pixels
        form: how its files are written, from `form_of`
    """
    try:
        request = process_requests.read_feature(
            process_request, epsg=epsg, shape=shape, width=width, height=height
        )
    except ApiError as error:
        return FeatureWork(None, failure=error.sentence())
    return opened_request(world, account, request, form=form)


def opened_request(
    world: World, account: str, request: ProcessRequest, *, form: Form = PLAIN
) -> FeatureWork:
    """The same of a request that was read already."""
    try:
        sources = raster_opening.opened(
            world, account, request.data, request.area, request.grid.epsg
        )
    except ApiError as error:
        return FeatureWork(None, failure=error.sentence())
    return FeatureWork(request, sources, form)
