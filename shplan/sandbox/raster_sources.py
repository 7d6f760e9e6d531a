"""
Where pixels come from: the port between a request and the collections that it reads.

A source knows which scenes of a collection touch an area and a time, and reads one scene onto the grid of
an answer. How scenes become samples stands in `mosaics`; here is what every source fulfils, and its values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from shplan.sandbox.geometry import METRES_PER_DEGREE, WGS84, transformer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from shplan.sandbox.areas import Area

Plane: TypeAlias = "NDArray[Any]"
Mask: TypeAlias = "NDArray[np.bool_]"
Window: TypeAlias = tuple[slice, slice]

DATA_MASK = "dataMask"
MERCATOR = 3857
WHOLE: Window = (slice(None), slice(None))
SIMPLE, ORBIT = "SIMPLE", "ORBIT"
MOST_RECENT, LEAST_RECENT, LEAST_CC = "mostRecent", "leastRecent", "leastCC"


class SourceError(Exception):
    """What a source should hold cannot be read: a file vanished or is broken."""


@dataclass(frozen=True, slots=True)
class Grid:
    """
    The pixels of an answer.

    Args:
        epsg: code of the CRS; 4326 with longitude first
        west: side of the outer pixels, in units of the CRS, as are the others
        width: in pixels
        height: in pixels
    """

    epsg: int
    west: float
    south: float
    east: float
    north: float
    width: int
    height: int

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of a pixel, in units of the CRS."""
        return (self.east - self.west) / self.width, (self.north - self.south) / self.height

    def metres_per_pixel(self) -> float:
        """The longer side of a pixel in the middle, on the ground."""
        across, down = self.pixel
        middle = (self.west + self.east) / 2, (self.south + self.north) / 2
        if self.epsg not in (WGS84, MERCATOR):
            return max(across, down)
        latitude = transformer(self.epsg, WGS84)(*middle)[1]
        shrunk = math.cos(math.radians(latitude))
        if self.epsg == MERCATOR:
            return max(across, down) * shrunk
        return max(across * shrunk, down) * METRES_PER_DEGREE


@dataclass(frozen=True, slots=True)
class Resampling:
    """How pixels are made of those of a source: `NEAREST`, `BILINEAR` or `BICUBIC`."""

    up: str = "NEAREST"
    down: str = "NEAREST"


@dataclass(frozen=True, slots=True)
class Band:
    """
    One band of a source.

    Args:
        dtype: of its planes, as numpy names it
        units: that may be asked for, in upper case, the first where none is
        fill: what it is where there are no data
    """

    dtype: str
    units: tuple[str, ...] = ("DN",)
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """
    One scene or tile of a collection.

    Args:
        id: by which its source finds it again
        at_ms: sensing time; none: it belongs to every range of time
        data_path: where its files lie
        footprint: where it has data, in longitude and latitude
        clouds: reckons its cloud cover in percent; none: nobody knows it
    """

    id: str
    at_ms: int | None
    data_path: str
    footprint: Area
    clouds: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """
    Pixels on a grid, of one scene or of several.

    Args:
        planes: of each band, (row, column); its fill where the band has no data
        covered: where this is what is used, be there data or not
        valid: where there are data
        window: the rows and columns of the grid that these are the pixels of
    """

    planes: dict[str, Plane]
    covered: Mask
    valid: Mask
    window: Window = WHOLE


@dataclass(frozen=True, slots=True)
class Search:
    """
    Which scenes of a collection are looked for.

    Args:
        area: polygons in longitude and latitude
        from_ms: the first instant; none: any
        to_ms: the last instant; none: any
        order: `mostRecent`, `leastRecent` or `leastCC`
        max_cloud: in percent; of those scenes of which it is known
        bands: that will be read of them
        mosaicking: how samples are made of them; none: they are only listed
    """

    area: Area
    from_ms: int | None = None
    to_ms: int | None = None
    order: str = MOST_RECENT
    max_cloud: float = 100.0
    bands: tuple[str, ...] = ()
    mosaicking: str | None = None

    def has(self, at_ms: int | None) -> bool:
        """Whether an instant is in the range of time; none: it belongs to every one."""
        if at_ms is None:
            return True
        has_begun = self.from_ms is None or at_ms >= self.from_ms
        return has_begun and (self.to_ms is None or at_ms <= self.to_ms)


class RasterSource(Protocol):
    """A collection as far as one request reads it; used by one thread at a time."""

    @property
    def name(self) -> str:
        """The collection as a request names it."""

    @property
    def bands(self) -> Mapping[str, Band]:
        """Its bands by name, without `dataMask`."""

    @property
    def coarsest_m(self) -> float | None:
        """How many metres a pixel may have at most; none: any number."""

    @property
    def normalization(self) -> float:
        """The factor that makes physical values of stored numbers."""

    def scenes(self, search: Search) -> Iterable[Scene]:
        """
        Find the scenes that share ground with an area, in the order in which they are used.

        They may be found while they are asked for, so that nobody pays for those that are not.

        Raises:
            ApiError: 400, also while they are found: there is too much to look at, or no such mosaicking
        """

    def read(
        self,
        scene: Scene,
        bands: Mapping[str, str],
        grid: Grid,
        resampling: Resampling,
        *,
        wanted: Mask,
    ) -> Layer:
        """
        Read a scene onto a grid.

        Args:
            bands: names, each with its unit
            wanted: the pixels of the grid that will be used; others may be left out

        Raises:
            SourceError: it cannot be read
        """


def empty_layer(source: RasterSource, bands: Sequence[str], grid: Grid) -> Layer:
    """Nothing yet, which covers nothing."""
    shape = (grid.height, grid.width)
    known = source.bands
    return Layer(
        planes={name: np.full(shape, known[name].fill, known[name].dtype) for name in bands},
        covered=np.zeros(shape, dtype=bool),
        valid=np.zeros(shape, dtype=bool),
    )


def itemsize(dtype: str) -> int:
    """The bytes of one number of a plane."""
    return np.dtype(dtype).itemsize
