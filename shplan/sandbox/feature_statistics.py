"""
What one feature of a batch statistical task comes to: the content of its file, and what it costs.

Two calls, as for features of other tasks: `opened` in the loop of events, where the store may be asked, then
`result` in a thread, which asks it for nothing. Source: the pages on batch statistics: a file holds the feature's id
and identifier, and either the response of the Statistical API or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from shplan.sandbox import areas, interval_statistics, raster_opening
from shplan.sandbox.delivering import UNFORESEEN
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError
from shplan.sandbox.process_requests import AGGREGATED, size_of
from shplan.sandbox.raster_sources import Grid
from shplan.sandbox.statistics_requests import StatisticsRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.batch_statistics_rows import Feature
    from shplan.sandbox.raster_sources import RasterSource
    from shplan.sandbox.statistics_requests import Aggregation
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World
    from shplan.script.worker import Worker


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of a feature.

    Args:
        content: of its file
        full_pu: without any minimum
        failure: why there are no statistics; none: they are there
    """

    feature: Feature
    content: JsonObject
    full_pu: float = 0.0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureWork:
    """
    A feature that is ready to be computed.

    Args:
        request: none where it has failed already
        sources: one for each data set
        failure: why it cannot be computed
    """

    feature: Feature
    request: StatisticsRequest | None = None
    sources: Sequence[RasterSource] = ()
    failure: ApiError | None = None

    def result(self, worker: Worker, evalscript: str, *, is_strict: bool) -> Result:
        """Compute; for any thread, one at a time. `is_strict` as for `interval_statistics.compute`."""
        if self.request is None:
            assert self.failure is not None
            return failed(self.feature, self.failure)
        asked = replace(
            self.request, aggregation=replace(self.request.aggregation, evalscript=evalscript)
        )
        try:
            found = interval_statistics.compute(asked, self.sources, worker, is_strict=is_strict)
        except ApiError as error:
            return failed(self.feature, error)
        except Exception:  # noqa: BLE001 one bad feature must not keep others from being served
            return failed(self.feature, ApiError(500, RENDERER_EXCEPTION, UNFORESEEN))
        content = {**_head(self.feature), "response": cast("Json", found.content)}
        return Result(self.feature, content, found.full_pu)


def opened(
    world: World, account: str, wanted: JsonObject, aggregation: Aggregation, feature: Feature
) -> FeatureWork:
    """
    Open what a feature reads.

    Args:
        account: whose task it is
        wanted: `aggregation` of the task's request, which says how many pixels there are
        aggregation: the same as values
    """
    area = areas.of_hex(feature.shape)
    sides = cast("tuple[float, float, float, float]", area.bounds)
    try:
        width, height = size_of(sides, wanted, AGGREGATED)
        sources = raster_opening.opened(world, account, aggregation.data, area, feature.epsg)
    except ApiError as error:
        return FeatureWork(feature, failure=error)
    grid = Grid(feature.epsg, *sides, width, height)
    return FeatureWork(
        feature, StatisticsRequest(aggregation, grid, area, is_clipped=True), sources
    )


def failed(feature: Feature, error: ApiError) -> Result:
    """A feature without statistics."""
    content: JsonObject = {**_head(feature), "error": error.content()}
    return Result(feature, content, failure=error.sentence())


def _head(feature: Feature) -> JsonObject:
    return {"id": feature.id, "identifier": feature.identifier}
