"""
The source of the public collections: scenes as the catalogue lists them, pixels as the missions have taken them.

Only the pixels that an answer needs are measured, each on the native grid of its band; what is not the nearest
pixel is made of the native ones around, thinned out where the answer is coarse, as overviews are. Source: the
pages on the collections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox import lattices, processing_options
from shplan.sandbox.areas import share_area
from shplan.sandbox.errors import violation
from shplan.sandbox.geometry import WGS84
from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import cells_at, inside, step_of
from shplan.sandbox.lattices import NEAREST
from shplan.sandbox.places import Places
from shplan.sandbox.processing_options import POWERS, RADAR, Native
from shplan.sandbox.public_scenes import Choice, chosen_scenes, for_mosaic, keeping
from shplan.sandbox.raster_sources import DATA_MASK, LEAST_CC, SIMPLE, Band, Layer, Scene
from shplan.sandbox.scenes.dem import whole
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.sentinel3 import oblique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from shplan.sandbox.areas import Area
    from shplan.sandbox.process_requests import DataSet
    from shplan.sandbox.raster_sources import Grid, Mask, Plane, Resampling, Search, Window
    from shplan.sandbox.scenes import scene as taken
    from shplan.sandbox.wire import JsonObject

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_DEM = "dem"
_GASES = "sentinel-5p-l2"
_DAY_MS = 86_400_000
# Percent of cloud that is asked for where nothing is.
_ANY = 100.0
# Codes and flags: a mean of two of them is a third one.
_CODES = {
    "SCL", "CLM", "BQA", "QA_RADSAT", "SR_QA_AEROSOL", "QUALITY_FLAGS", "LQSF", "shadowMask",
}  # fmt: skip
# Source: pages of the collections: these heed `upsampling` alone.
_ONE_METHOD = ("sentinel-1", "sentinel-3", "sentinel-5p")
# Source: the limit that the service is quoted with for Sentinel-2; the others are assumed to be like it.
_COARSEST_M = {"sentinel-1": 1500.0, "landsat": 1500.0}
# Source: the seed of the older reference, for the names; it says nothing of the limits. Older clients send DETAIL
# with every request, so that it cannot narrow anything; how much further the farthest goes is an assumption.
_PREVIEWED, _DETAIL = "sentinel-2", "DETAIL"
_PREVIEWS = {_DETAIL: 1500.0, "TILE_PREVIEW": 1500.0, "PREVIEW": 1500.0, "EXTENDED_PREVIEW": 2500.0}
_NORMALIZATION = {"sentinel-2": 1e-4}
# Values of a radar image are the mean of so many echoes.
_LOOKS = 4.4
# Points of a lattice, beside four for each place.
_MOST_SPARE = 1 << 12
# Ratios that differ from a whole number by rounding alone are that number.
_SLACK = 1e-6


def is_public(collection: str) -> bool:
    """Whether there are pixels of a collection."""
    return collection in missions()


def open_source(data: DataSet, *, place: str, now_ms: int) -> PublicRaster:
    """
    The collection that a data set names.

    Args:
        place: of the data set in the body, for refusals
        now_ms: behind which nothing was taken yet

    Raises:
        ApiError: 400, options of the data set do not fit together
    """
    chosen = cast("JsonObject", data.content.get("dataFilter", {}))
    if data.type.startswith(_PREVIEWED) and chosen.get("previewMode", _DETAIL) not in _PREVIEWS:
        where = f"{place}->dataFilter->previewMode"
        raise violation(where, f"must be one of {', '.join(_PREVIEWS)}")
    return PublicRaster(data, processing_options.options_of(data, place=place), now_ms)


@dataclass(frozen=True, slots=True)
class _Asked:
    """
    Places in the CRS of a scene, and how an answer wants them.

    Args:
        pixel_m: on the ground
        step: from place to place along both axes of the CRS, in its units
    """

    scene: taken.Scene
    x: Floats
    y: Floats
    pixel_m: float
    step: tuple[float, float]
    resampling: Resampling


class PublicRaster:
    """A public collection with the filters and options of a data set."""

    def __init__(self, data: DataSet, options: processing_options.Options, now_ms: int) -> None:
        self._mission = missions()[data.type]
        self._filter = cast("JsonObject", data.content.get("dataFilter", {}))
        self._options = options
        self._now_ms = now_ms
        self._taken: dict[str, taken.Scene] = {}
        # As the catalogue has them, where less of them is seen.
        self._whole: dict[str, taken.Scene] = {}
        self._places: Places | None = None
        fill = reading.no_data(data.type)
        self._bands = {
            name: Band("uint32" if one.sample == "UINT32" else "float32", one.units, fill)
            for name, one in reading.bands(data.type).items()
        }

    @property
    def name(self) -> str:
        """The collection as a request names it."""
        return self._mission.collection

    @property
    def bands(self) -> Mapping[str, Band]:
        """Its bands by name."""
        return self._bands

    @property
    def coarsest_m(self) -> float | None:
        """How many metres a pixel may have at most."""
        if self.name.startswith(_PREVIEWED):
            return _PREVIEWS[str(self._filter.get("previewMode", _DETAIL))]
        return _by_prefix(_COARSEST_M, self.name, None)

    @property
    def normalization(self) -> float:
        """Source: the evalscript page, of Sentinel-2."""
        return _by_prefix(_NORMALIZATION, self.name, 1.0) or 1.0

    def scenes(self, search: Search) -> Iterator[Scene]:
        """Find scenes of the past; one mosaic of elevations is seamless."""
        processing_options.check_bands(search.bands, self._options)
        is_simple = search.mosaicking == SIMPLE
        if self.name == _DEM:
            search = replace(search, from_ms=None, to_ms=None)
        from_ms = search.from_ms
        last_ms = self._now_ms if search.to_ms is None else min(search.to_ms, self._now_ms)
        if self.name == _GASES and is_simple:
            # Source: page of Sentinel-5P: such a mosaic is one of the last day.
            from_ms = max(last_ms - _DAY_MS, from_ms or 0)
        keeps = keeping(self.name, self._filter, search.bands)
        choice = Choice(from_ms, last_ms, search.order, search.max_cloud, keeps)
        found = chosen_scenes(self._mission, search.area, choice)
        if self._options.is_oblique:
            found = self._seen_obliquely(found, search.area)
        if self.name == _DEM and is_simple:
            found = (whole(one) for one in islice(found, 1))
        elif is_simple:
            found = for_mosaic(
                found, is_patient=search.order == LEAST_CC or search.max_cloud < _ANY
            )
        return self._told(found)

    def _seen_obliquely(self, found: Iterator[taken.Scene], area: Area) -> Iterator[taken.Scene]:
        """Scenes of another swath, whose clouds are those that the catalogue tells."""
        for one in found:
            self._whole[one.id] = one
            seen = oblique(one)
            if share_area(area, seen.footprint):
                yield seen

    def _told(self, found: Iterator[taken.Scene]) -> Iterator[Scene]:
        for one in found:
            self._taken[one.id] = one
            yield Scene(
                id=one.id,
                at_ms=None if self.name == _DEM else one.at_ms,
                data_path=one.href.removesuffix("/"),
                footprint=one.footprint,
                clouds=partial(self._mission.cloud_cover, self._whole.get(one.id, one))
                if self._mission.has_clouds
                else None,
            )

    def read(
        self,
        scene: Scene,
        bands: Mapping[str, str],
        grid: Grid,
        resampling: Resampling,
        *,
        wanted: Mask,
    ) -> Layer:
        """Measure the pixels of a scene that are wanted; where no band has a value, there are no data."""
        of = self._taken[scene.id]
        if self._places is None or self._places.grid != grid:
            self._places = Places(grid)
        window = self._places.window(of.footprint.bounds)
        if window is None:
            nowhere = np.zeros((0, 0), dtype=bool)
            planes = {name: np.zeros((0, 0), self._bands[name].dtype) for name in bands}
            return Layer(planes, nowhere, nowhere, (slice(0), slice(0)))
        x, y = self._places.located(of.epsg, window)
        at = self._inside(of, x, y, self._wanted(wanted, window))
        if self.name.startswith(_ONE_METHOD):
            resampling = replace(resampling, down=resampling.up)
        pixel_m, steps = grid.metres_per_pixel(), (_step(x), _step(y))
        asked = _Asked(of, x.ravel()[at], y.ravel()[at], pixel_m, steps, resampling)
        return self._layer(self._values(asked, bands), at, window, x.shape)

    def _wanted(self, wanted: Mask, window: Window) -> Mask:
        assert self._places is not None
        known = self._places.known
        return wanted[window] if known is None else wanted[window] & known[window]

    def _inside(self, of: taken.Scene, x: Floats, y: Floats, wanted: Mask) -> Ints:
        """The places, by number, whose finest native pixel has its centre in the footprint."""
        west, south, east, north = of.box
        # A footprint that crosses longitude 180 goes on beyond it.
        turned = west + (x - west) % 360.0 if of.epsg == WGS84 else x
        near = wanted & (turned >= west) & (turned <= east) & (y >= south) & (y <= north)
        at = np.flatnonzero(near)
        if not len(at):
            return at
        finest = min(
            processing_options.resolution_m(name, self.name, self._options) for name in self._bands
        )
        cells = cells_at(of.epsg, x.ravel()[at], y.ravel()[at], finest)
        native = Native(of, finest, *cells)
        return at[inside(of, native.x, native.y)]

    def _layer(
        self, values: Mapping[str, Floats], at: Ints, window: Window, shape: tuple[int, ...]
    ) -> Layer:
        covered = np.zeros(shape, dtype=bool)
        covered.ravel()[at] = True
        known = np.ones(len(at), dtype=bool)
        if values:
            known = ~np.logical_and.reduce([np.isnan(one) for one in values.values()])
        valid = np.zeros(shape, dtype=bool)
        valid.ravel()[at] = known
        planes: dict[str, Plane] = {}
        for name, value in values.items():
            band = self._bands[name]
            planes[name] = np.full(shape, band.fill, band.dtype)
            planes[name].ravel()[at[known]] = value[known]
        return Layer(planes, covered, valid, window)

    def _values(self, asked: _Asked, units: Mapping[str, str]) -> dict[str, Floats]:
        """Bands of one resolution that are made alike are measured together."""
        groups: dict[tuple[float, str, bool], dict[str, str]] = {}
        for name, unit in units.items():
            if name == DATA_MASK:
                continue
            side = processing_options.resolution_m(name, self.name, self._options)
            how = asked.resampling.down if asked.pixel_m > side else asked.resampling.up
            smooths = self._options.speckle is not None and self.name == RADAR and name in POWERS
            key = side, NEAREST if name in _CODES else how, smooths
            groups.setdefault(key, {})[name] = unit
        found: dict[str, Floats] = {}
        for (side, method, smooths), several in groups.items():
            if method == NEAREST and not smooths:
                cells = cells_at(asked.scene.epsg, asked.x, asked.y, side)
                native = Native(asked.scene, side, *cells)
                found |= processing_options.numbers(native, several, self._options)
            else:
                found |= self._resampled(asked, several, side, method, smooths=smooths)
        return {name: found[name] for name in units if name != DATA_MASK}

    def _resampled(
        self, asked: _Asked, units: Mapping[str, str], side: float, method: str, *, smooths: bool
    ) -> dict[str, Floats]:
        """Through the native pixels around the places, thinned out where these are farther apart."""
        if not len(asked.x):
            return {name: np.empty(0) for name in units}
        speckle = self._options.speckle if smooths else None
        window = (1, 1) if speckle is None else (speckle.across, speckle.down)
        native_step = step_of(asked.scene.epsg, side)
        across, down = (max(1, math.floor(one / native_step + _SLACK)) for one in asked.step)
        while True:
            u = asked.x / (native_step * across) - 0.5
            v = asked.y / (native_step * down) - 0.5
            columns, rows = _range(u, method, window[0]), _range(v, method, window[1])
            if len(columns) * len(rows) <= 4 * len(u) + _MOST_SPARE:
                break
            across, down = 2 * across, 2 * down
        row, column = np.meshgrid(
            rows * down + down // 2, columns * across + across // 2, indexing="ij"
        )
        native = Native(asked.scene, side, column.ravel(), row.ravel())
        made = processing_options.numbers(native, units, self._options)
        u, v = u - (columns[0] + window[0] // 2), v - (rows[0] + window[1] // 2)
        found = {}
        for name, flat in made.items():
            lattice = flat.reshape(row.shape)
            if speckle is not None:
                lattice = lattices.unspeckled(
                    lattice, across=speckle.across, down=speckle.down, looks=_LOOKS
                )
            found[name] = lattices.interpolated(lattice, u, v, method)
        return found


def _step(axis: Floats) -> float:
    """How far apart the places in the middle of a window are along an axis of the CRS."""
    row, column = (size // 2 for size in axis.shape)
    near = axis[max(0, row - 1) : row + 1, max(0, column - 1) : column + 1]
    return max(float(np.ptp(near[-1])), float(np.ptp(near[:, -1])))


def _range(u: Floats, method: str, window: int) -> Ints:
    """The points of a lattice that places along an axis need."""
    before, behind = lattices.REACH[method]
    first = math.floor(float(u.min())) - before - window // 2
    last = math.floor(float(u.max())) + behind + (window - 1 - window // 2)
    return np.arange(first, last + 1)


def _by_prefix(table: Mapping[str, float], name: str, other: float | None) -> float | None:
    return next((value for prefix, value in table.items() if name.startswith(prefix)), other)
