"""
The tiles of a batch request of version 1 as features, which are delivered as those of version 2 are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_v1_requests, delivering
from shplan.sandbox.batch_rows import Feature

if TYPE_CHECKING:
    from shplan.sandbox.batch_v1_rows import Task, Tile


def job_of(task: Task) -> delivering.Job:
    """What its tiles have in common."""
    return delivering.Job(
        account=task.account,
        request=batch_v1_requests.as_version_2(task.content),
        delivery=batch_v1_requests.delivery_of(task.content, task.url, task_id=task.id),
        created_ms=task.created_ms,
    )


@dataclass(frozen=True, slots=True)
class Source:
    """
    The grid of a request: how its tiles are features.

    Args:
        size: width and height of a tile in pixels, with its buffer
        around: what the buffer adds at each side, in units of the CRS
    """

    size: tuple[int, int]
    around: tuple[float, float]

    def feature(self, tile: Tile) -> Feature:
        """The tile with its buffer."""
        from shplan.sandbox import areas  # noqa: PLC0415 heavy, and opening a sandbox needs none

        across, along = self.around
        shape = areas.box_hex(
            tile.west - across,
            tile.south - along,
            tile.west + tile.size + across,
            tile.south + tile.size + along,
        )
        return Feature(tile.name, tile.epsg, shape, *self.size, tile.pu)


def source_of(task: Task) -> Source:
    """How its tiles are features."""
    grid = batch_v1_requests.grid_of(task.content)
    resolution = cast("float", grid["resolution"])
    buffers = [cast("int", grid.get(name, 0)) for name in ("bufferX", "bufferY")]
    return Source(
        size=(task.width + 2 * buffers[0], task.height + 2 * buffers[1]),
        around=(buffers[0] * resolution, buffers[1] * resolution),
    )
