"""
Which cells of a lattice share area with an area on the globe.

The geometry beneath `grids`: cells are counted as masks of columns and rows, so that a
continent costs memory for its lattice and time for its outline, not an object for each cell.
Areas are read by `areas`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from shplan.core.areas import DEGREES, Area, mended
from shplan.core.geometry import project

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

Box: TypeAlias = tuple[float, float, float, float]

# Longer straight edges get points between before they are projected. Over two kilometres a
# parallel leaves its chord by a few centimetres, also where grids end in the north.
_EDGE_DEGREES = 0.02
# What a border shares with the cell behind it through rounding is no shared area.
_TOLERANCE_M = 0.001
_TOLERANCE_DEGREES = 1e-8
# The border of a zone, which is a construction of ours, needs no centimetres.
_REGION_EDGE_DEGREES = 0.1
_BLOCK = 16
_M_PER_DEGREE = 111_000.0


@dataclass(frozen=True, slots=True)
class Lattice:
    """
    Rectangular cells of one CRS, with corners at multiples of their size from its origin.

    Args:
        name: what the names of its cells begin with
        crs: `EPSG:N`
        width, height: of a cell, in units of the CRS
        region: (west, south, east, north), degrees; only cells that share area with it exist
    """

    name: str
    crs: str
    width: float
    height: float
    region: Box


@dataclass(frozen=True, slots=True)
class Cells:
    """
    The cells of one lattice that share area with an area.

    Args:
        lattice: theirs
        count: how many
        partial: how many of them lie only partly inside the area
        overhanging: how many reach beyond the lattice's region
        first: (column, row) of the first ones, sorted
        partly: those of the first ones that lie only partly inside
    """

    lattice: Lattice
    count: int
    partial: int
    overhanging: int
    first: tuple[tuple[int, int], ...]
    partly: frozenset[tuple[int, int]] = frozenset()


def cells_touching(area: Area, lattices: Iterable[Lattice], *, most: int) -> tuple[Cells, ...]:
    """
    Return the cells that share area with an area, for each lattice that has some.

    An area too small to reach into any cell, such as a point on a border, lies in one.

    Args:
        area: as read
        lattices: in the order of the result
        most: how many cells to list, over all lattices
    """
    found: list[Cells] = []
    tried = tuple(lattices)
    for lattice in tried:
        cells = _cells(area, lattice, most=most - sum(len(one.first) for one in found))
        if cells is not None:
            found.append(cells)
    return tuple(found) if found else _cell_of_point(area, tried, most=most)


def _cells(area: Area, lattice: Lattice, *, most: int) -> Cells | None:
    shape = _on(area, lattice)
    if shape is None:
        return None
    region = _region(_congruent(lattice))
    columns, rows = _ranges(shape, lattice)
    columns = _common(columns, region.columns)
    rows = _common(rows, region.rows)
    if not columns or not rows:
        return None
    mask = _classified(shape, columns, rows, lattice)
    within = region.cut(columns, rows)
    touched = mask.touched & within.touched
    count = int(touched.sum())
    if not count:
        return None
    first = _first(touched, columns, rows, most=most)
    cut = _first(touched & ~mask.covered, columns, rows, most=most)
    return Cells(
        lattice,
        count,
        partial=int((touched & ~mask.covered).sum()),
        overhanging=int((touched & ~within.covered).sum()),
        first=first,
        partly=frozenset(cut).intersection(first),
    )


def _cell_of_point(area: Area, lattices: Iterable[Lattice], *, most: int) -> tuple[Cells, ...]:
    import shapely  # noqa: PLC0415

    point = shapely.point_on_surface(area.degrees)
    for lattice in lattices:
        west, south, east, north = lattice.region
        x, y = shapely.get_x(point), shapely.get_y(point)
        x = west + (x - west) % 360
        if not (west <= x <= east and south <= y <= north):
            continue
        there = project(shapely.Point(x, y), DEGREES, lattice.crs)
        column = math.floor(shapely.get_x(there) / lattice.width)
        row = math.floor(shapely.get_y(there) / lattice.height)
        first = ((column, row),)[:most]
        return (Cells(lattice, 1, partial=1, overhanging=0, first=first, partly=frozenset(first)),)
    return ()


def _first(
    touched: NDArray[bool_], columns: range, rows: range, *, most: int
) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for column, line in zip(columns, touched, strict=True):
        if len(found) >= most:
            break
        found += [(column, rows[int(index)]) for index in line.nonzero()[0]]
    return tuple(found[: max(most, 0)])


def _on(area: Area, lattice: Lattice) -> BaseGeometry | None:
    """Bring the part of an area that the lattice's cells can reach into the lattice's CRS."""
    import shapely  # noqa: PLC0415

    if area.crs == lattice.crs != DEGREES:
        return area.shape
    west, south, east, north = _window(lattice)
    window = shapely.box(west, south, east, north)
    left, low, right, high = (float(one) for one in shapely.bounds(area.degrees))
    turns = (
        turn
        for turn in (-360.0, 0.0, 360.0)
        if left + turn <= east and right + turn >= west and low <= north and high >= south
    )
    parts = [shapely.intersection(_turned(area.degrees, turn), window) for turn in turns]
    reached = shapely.union_all(parts)
    if shapely.is_empty(reached):
        return None
    if lattice.crs == DEGREES:
        return mended(reached)
    projected = project(shapely.segmentize(reached, _EDGE_DEGREES), DEGREES, lattice.crs)
    return None if projected is None else mended(projected)


def _turned(shape: BaseGeometry, degrees: float) -> BaseGeometry:
    """Move a shape around the globe."""
    import shapely  # noqa: PLC0415

    def turned(points: NDArray[float64]) -> NDArray[float64]:
        points[:, 0] += degrees
        return points

    return shapely.transform(shape, turned) if degrees else shape


def _window(lattice: Lattice) -> Box:
    """Return what the cells of a lattice can reach: its region and a cell on each side."""
    west, south, east, north = lattice.region
    if lattice.crs == DEGREES:
        return lattice.region
    degrees = math.hypot(lattice.width, lattice.height) / _M_PER_DEGREE
    furthest = min(max(abs(south), abs(north)) + degrees, 89.0)
    aside = degrees / math.cos(math.radians(furthest))
    return (west - aside, max(south - degrees, -90), east + aside, min(north + degrees, 90))


@dataclass(frozen=True, slots=True)
class _Mask:
    """Which cells an area touches and which it covers, by column and row."""

    columns: range
    rows: range
    touched: NDArray[bool_]
    covered: NDArray[bool_]

    def cut(self, columns: range, rows: range) -> _Mask:
        across = slice(columns.start - self.columns.start, columns.stop - self.columns.start)
        along = slice(rows.start - self.rows.start, rows.stop - self.rows.start)
        return _Mask(columns, rows, self.touched[across, along], self.covered[across, along])


def _congruent(lattice: Lattice) -> Lattice:
    """Return the lattice whose region looks the same: all zones of UTM do, in their own CRS."""
    if not lattice.crs.startswith(("EPSG:326", "EPSG:327")):
        return lattice
    _, south, _, north = lattice.region
    return replace(lattice, name="", crs=f"{lattice.crs[:8]}31", region=(0, south, 6, north))


@lru_cache(maxsize=64)
def _region(lattice: Lattice) -> _Mask:
    import shapely  # noqa: PLC0415

    shape: BaseGeometry = shapely.box(*lattice.region)
    if lattice.crs != DEGREES:
        dense = shapely.segmentize(shape, _REGION_EDGE_DEGREES)
        projected = project(dense, DEGREES, lattice.crs)
        assert projected is not None, "the CRS of a grid is known"
        shape = projected
    return _classified(shape, *_ranges(shape, lattice), lattice)


def _ranges(shape: BaseGeometry, lattice: Lattice) -> tuple[range, range]:
    import shapely  # noqa: PLC0415

    left, low, right, high = (float(one) for one in shapely.bounds(shape))
    return _range(left, right, lattice.width), _range(low, high, lattice.height)


def _range(least: float, most: float, size: float) -> range:
    return range(math.floor(least / size), math.floor(most / size) + 1)


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _classified(shape: BaseGeometry, columns: range, rows: range, lattice: Lattice) -> _Mask:
    """Classify cells: first blocks of them, then one by one only where the outline runs."""
    import numpy  # noqa: PLC0415, ICN001 - one name for one import
    import shapely  # noqa: PLC0415

    shapely.prepare(shape)
    size = (len(columns), len(rows))
    mask = _Mask(columns, rows, numpy.zeros(size, dtype=bool), numpy.zeros(size, dtype=bool))
    across, along = numpy.meshgrid(
        numpy.arange(0, len(columns), _BLOCK), numpy.arange(0, len(rows), _BLOCK), indexing="ij"
    )
    column, row = across.ravel(), along.ravel()
    touched, covered = _tested(shape, column, row, _BLOCK, mask, lattice)
    for left, low in zip(column[covered], row[covered], strict=True):
        mask.touched[left : left + _BLOCK, low : low + _BLOCK] = True
        mask.covered[left : left + _BLOCK, low : low + _BLOCK] = True
    outline = touched & ~covered
    step_across, step_along = (one.ravel() for one in numpy.indices((_BLOCK, _BLOCK)))
    column = (column[outline, None] + step_across).ravel()
    row = (row[outline, None] + step_along).ravel()
    exists = (column < len(columns)) & (row < len(rows))
    column, row = column[exists], row[exists]
    mask.touched[column, row], mask.covered[column, row] = _tested(
        shape, column, row, 1, mask, lattice
    )
    return mask


def _tested(
    shape: BaseGeometry,
    column: NDArray[intp],
    row: NDArray[intp],
    step: int,
    mask: _Mask,
    lattice: Lattice,
) -> tuple[NDArray[bool_], NDArray[bool_]]:
    import shapely  # noqa: PLC0415

    inset = _TOLERANCE_DEGREES if lattice.crs == DEGREES else _TOLERANCE_M
    west = (column + mask.columns.start) * lattice.width
    south = (row + mask.rows.start) * lattice.height
    boxes = shapely.box(
        west + inset,
        south + inset,
        west + step * lattice.width - inset,
        south + step * lattice.height - inset,
    )
    touched = shapely.intersects(shape, boxes)
    covered = touched.copy()
    covered[touched] = shapely.covers(shape, boxes[touched])
    return touched, covered
