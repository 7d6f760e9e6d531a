"""
The coordinates of a Zarr group, really decoded: equidistant axes, and instants.

Source: the page on Zarr import (data types, equidistant grid, `units` of time) and the CF
conventions, section 4.4. Coordinates are the centres of pixels.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from shplan.sandbox import zarr_codecs
from shplan.sandbox.zarr_files import ZarrError, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.zarr_files import GroupFiles
    from shplan.sandbox.zarr_metadata import ArrayMetadata

    Numbers: TypeAlias = NDArray[np.float64] | NDArray[np.int64]

KINDS = frozenset({"u4", "i4", "i8", "f4", "f8"})
# Our own bounds: the reference names none.
MAX_VALUES = 1_000_000
MAX_CHUNKS = 10_000
# Our own: no CRS of an import has coordinates as large, nor numbers that cannot be told apart.
MAX_COORDINATE = 1e9
# Our own: how far off its place, in pixels, a coordinate may lie that was rounded when written.
TOLERANCE = 0.01

_UNITS_MS = {
    "day": 86_400_000.0,
    "hour": 3_600_000.0,
    "minute": 60_000.0,
    "second": 1000.0,
    "milli": 1.0,
    "millisecond": 1.0,
    "micro": 1e-3,
    "microsecond": 1e-3,
    "nano": 1e-6,
    "nanosecond": 1e-6,
}
_SHORT_UNITS = {"d": "day", "h": "hour", "hr": "hour", "min": "minute", "s": "second", "sec": "second"}  # fmt: skip
_CALENDARS = frozenset({"standard", "gregorian", "proleptic_gregorian"})
_UNITS = re.compile(r"\s*([A-Za-z]+)\s+since\s+(\S.*?)\s*", re.DOTALL)
_INSTANT = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-]\d{1,2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Axis:
    """An equidistant axis: centre of its first pixel, step to the next, number of pixels."""

    start: float
    step: float
    count: int

    @property
    def ends(self) -> tuple[float, float]:
        """The outer edges of the first and last pixel, the smaller first."""
        first = self.start - self.step / 2
        last = first + self.step * self.count
        return min(first, last), max(first, last)

    def is_as(self, other: Axis) -> bool:
        """Whether pixels lie in the same places."""
        tolerance = abs(self.step) * TOLERANCE
        return (
            self.count == other.count
            and abs(self.start - other.start) <= tolerance
            and abs(self.step - other.step) * self.count <= tolerance
        )

    def as_json(self) -> list[Json]:
        """Start, step and count."""
        return [self.start, self.step, self.count]


@dataclass(frozen=True, slots=True)
class Times:
    """Instants of the time axis, in milliseconds since 1970."""

    instants_ms: NDArray[np.int64]

    def digest(self, count: int) -> str:
        """What identifies the first `count` instants."""
        return hashlib.sha256(self.instants_ms[:count].astype("<i8").tobytes()).hexdigest()

    def as_json(self) -> JsonObject:
        """Number of instants, the first and the last in time, and what identifies them all."""
        count = len(self.instants_ms)
        first, last = int(self.instants_ms.min()), int(self.instants_ms.max())
        return {"count": count, "firstMs": first, "lastMs": last, "digest": self.digest(count)}


@np.errstate(all="ignore")
def values_of(files: GroupFiles, array: ArrayMetadata) -> Numbers:
    """
    All values of a coordinate array.

    Raises:
        ZarrError: a rule for coordinates is broken, or a chunk cannot be read
    """
    name = told(array.name)
    if len(array.shape) != 1 or array.kind not in KINDS or array.order != "C":
        msg = (
            f"The coordinate array {name} must have one dimension and data of u4, i4, i8, f4 or f8."
        )
        raise ZarrError(msg)
    count, chunk = array.shape[0], array.chunks[0]
    if count == 0:
        msg = f"The coordinate array {name} is empty."
        raise ZarrError(msg)
    if max(count, chunk) > MAX_VALUES or -(-count // chunk) > MAX_CHUNKS:
        msg = f"The coordinate array {name} has more values, or chunks, than can be read."
        raise ZarrError(msg)
    dtype = np.dtype(array.dtype)
    parts = [
        _part(files, array, number, dtype=dtype, count=chunk)
        for number in range(-(-count // chunk))
    ]
    values = np.concatenate(parts)[:count]
    if dtype.kind != "f":
        return values.astype(np.int64)
    if not np.isfinite(values).all():
        msg = f"The coordinate array {name} has values that are no numbers."
        raise ZarrError(msg)
    return values.astype(np.float64)


def _part(
    files: GroupFiles, array: ArrayMetadata, number: int, *, dtype: np.dtype[np.generic], count: int
) -> NDArray[np.generic]:
    # What cannot be compressed grows a little when it is.
    limit = 2 * count * 8 + 4096
    data = files.chunk(array.chunk_key((number,)), limit=limit)
    if data is None:
        return _filled(array, number, dtype=dtype, count=count)
    data = zarr_codecs.decoded(data, array, count=count, item_bytes=dtype.itemsize)
    return np.frombuffer(data, dtype=dtype)


def _filled(
    array: ArrayMetadata, number: int, *, dtype: np.dtype[np.generic], count: int
) -> NDArray[np.generic]:
    """A chunk that was never written: it holds the fill value, if there is one that fits."""
    fill = array.fill_number
    try:
        if fill is not None:
            return np.full(count, fill, dtype=dtype)
    except (ValueError, OverflowError):
        pass
    msg = f"The coordinate array {told(array.name)} lacks chunk {number}."
    raise ZarrError(msg)


@np.errstate(all="ignore")
def axis_of(array: ArrayMetadata, values: Numbers) -> Axis:
    """
    The axis that the values of a spatial coordinate array make.

    Raises:
        ZarrError: they are not equidistant, or too few to tell
    """
    name = told(array.name)
    count = len(values)
    if count < 2:
        msg = f"The coordinate array {name} needs two values at least to tell the size of a pixel."
        raise ZarrError(msg)
    numbers = values.astype(np.float64)
    if np.abs(numbers).max() > MAX_COORDINATE:
        msg = f"The coordinate array {name} has values that lie outside of the world."
        raise ZarrError(msg)
    start, end = float(numbers[0]), float(numbers[-1])
    step = (end - start) / (count - 1)
    # Numbers of four bytes were rounded to a multiple of this when they were written.
    rounded = float(np.abs(numbers).max()) * (6e-8 if array.kind == "f4" else 1e-15)
    allowed = min(abs(step) * TOLERANCE + 2 * rounded, abs(step) / 4)
    if step == 0 or np.abs(numbers - (start + step * np.arange(count))).max() > allowed:
        msg = f"The coordinate array {name} is not equidistant."
        raise ZarrError(msg)
    return Axis(start, step, count)


@np.errstate(all="ignore")
def times_of(array: ArrayMetadata, values: Numbers) -> Times:
    """
    The instants that the values of the time array stand for.

    Raises:
        ZarrError: its units cannot be understood, or they lead out of the calendar
    """
    attributes = array.attributes or {}
    units = attributes.get("units")
    match = _UNITS.fullmatch(units) if isinstance(units, str) else None
    unit = None if match is None else _unit_ms(match[1])
    since = None if match is None else _instant_ms(match[2])
    calendar = str(attributes.get("calendar", "standard")).lower()
    if unit is None or since is None or calendar not in _CALENDARS:
        msg = (
            "The time array needs units of the form `<unit> since <instant>`, and no own calendar."
        )
        raise ZarrError(msg)
    instants = since + values.astype(np.float64) * unit
    last = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1)
    first = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1)
    if instants.min() < first or instants.max() > last:
        msg = "The time array has instants outside of the years 1 to 9999."
        raise ZarrError(msg)
    return Times(np.rint(instants).astype(np.int64))


def _unit_ms(name: str) -> float | None:
    unit = name.lower()
    unit = _SHORT_UNITS.get(unit, unit)
    return _UNITS_MS.get(unit, _UNITS_MS.get(unit.removesuffix("s")))


def _instant_ms(text: str) -> float | None:
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    fraction = float(f"0.{match[7]}") if match[7] else 0.0
    offset = _offset(match[8] or "Z")
    return (moment - _EPOCH) / timedelta(milliseconds=1) + fraction * 1000 - offset


def _offset(text: str) -> float:
    """Milliseconds east of Greenwich."""
    if text.upper() in ("Z", "UTC"):
        return 0.0
    digits = text[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) < 3 else (int(digits[:-2]), int(digits[-2:]))
    return (hours * 60 + minutes) * 60_000.0 * (-1 if text[0] == "-" else 1)
