"""
Members of a set from a table: rows of CSV, features of GeoJSON, kept in columns.

A million rows must fit, so that no row is an object until somebody asks for it. Files are read in
pieces; the standard `csv` reader is the fastest that needs nothing else.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast, overload

import orjson

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.value import JsonObject, JsonValue, Object
from shplan.manifest.geodata import (
    GeometryError,
    check_geometry,
    features,
    flat,
    load_json,
    refuse_other_crs,
)
from shplan.manifest.lines import Lines
from shplan.manifest.wording import listed, nearest

COLUMNS = ("path", "sensingTime", "coverGeometry")
MAX_FIELD = 10_000_000
# A MultiPolygon has three.
_DEEPEST_WKT = 4
CRS84_URN = "urn:ogc:def:crs:OGC:1.3:CRS84"


class Rows(Sequence[Object]):
    """
    The members of a table (shape: a list of mappings), made when they are looked at.

    Args:
        columns: by name, one text (or None where the table says nothing) a row
        lines: the line of each row in its file
    """

    def __init__(self, columns: dict[str, list[str | None]], lines: array[int]) -> None:
        self._columns = columns
        self._lines = lines

    def line(self, index: int) -> int:
        """Return the line on which a row begins."""
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Object: ...
    @overload
    def __getitem__(self, index: slice) -> list[Object]: ...
    def __getitem__(self, index: int | slice) -> Object | list[Object]:
        if isinstance(index, slice):
            return [self._row(one) for one in range(*index.indices(len(self)))]
        return self._row(range(len(self._lines))[index])

    def __iter__(self) -> Iterator[Object]:
        return (self._row(index) for index in range(len(self)))

    def _row(self, index: int) -> Object:
        row: Object = {}
        for name, column in self._columns.items():
            text = column[index]
            if text is not None:
                row[name] = cast("Object", orjson.loads(text)) if name == "coverGeometry" else text
        return row


@dataclass(frozen=True, slots=True)
class RowPlaces:
    """Finds rows in their file (implements `origin.MemberPlaces`)."""

    file: str
    rows: Rows

    def span(self, index: int, field: str | None) -> SourceSpan:
        """Return the place of a row; tables have no finer places."""
        del field
        line = self.rows.line(index) if 0 <= index < len(self.rows) else 1
        return SourceSpan(self.file, line, 1, 2)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Return the lines of a text; one that does not end would be held whole before it is read."""
    while line := text.readline(MAX_FIELD + 1):
        if len(line) > MAX_FIELD:
            msg = f"a line is longer than {MAX_FIELD:,} characters"
            raise csv.Error(msg)
        yield line


def read_csv(blocks: Iterable[bytes], *, file: str) -> tuple[Rows, list[Diagnostic]]:
    """
    Read the rows of a CSV file with a header.

    Args:
        blocks: the file's bytes, UTF-8
        file: relative to the project, for messages
    """
    text = io.TextIOWrapper(io.BufferedReader(_Stream(blocks)), encoding="utf-8-sig", newline="")
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(_lines(text), strict=True)
    try:
        header = next(reader, None)
        if not header:
            return no_rows(), [
                wrong_table(
                    file, 1, "the file is empty.", hint="begin it with the line `path,sensingTime`"
                )
            ]
        names = [name.strip() for name in header]
        problems = _check_header(names, file)
        return (no_rows(), problems) if problems else _read_rows(reader, names, file)
    except csv.Error as error:
        return no_rows(), [wrong_table(file, max(reader.line_num, 1), f"this is not CSV: {error}.")]
    except UnicodeDecodeError:
        return no_rows(), [
            wrong_table(
                file, reader.line_num + 1, "this is not UTF-8.", hint="save the file as UTF-8"
            )
        ]


def no_rows() -> Rows:
    """Return a table without any."""
    return Rows({}, array("q"))


def _read_rows(
    reader: Iterator[list[str]], names: list[str], file: str
) -> tuple[Rows, list[Diagnostic]]:
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    ordered = [columns[name] for name in names]
    lines = array("q")
    problems: list[Diagnostic] = []
    width, geometry = len(names), names.index("coverGeometry") if "coverGeometry" in names else -1
    first = reader.line_num + 1  # type: ignore[attr-defined]
    for row in reader:
        line, first = first, reader.line_num + 1  # type: ignore[attr-defined]
        if not row:
            continue
        if len(row) != width:
            problems.append(_wrong_width(file, line, row, names))
            continue
        lines.append(line)
        for column, value in zip(ordered, row, strict=True):
            column.append(value or None)
        if geometry >= 0 and row[geometry]:
            try:
                ordered[geometry][-1] = geometry_text(row[geometry])
            except GeometryError as error:
                ordered[geometry][-1] = None
                problems.append(
                    wrong_table(file, line, f"coverGeometry {error.what}", hint=error.hint)
                )
    return Rows(columns, lines), problems


def _check_header(names: list[str], file: str) -> list[Diagnostic]:
    if len(names) == 1 and (other := next((one for one in ";\t|" if one in names[0]), "")):
        shown = {"\t": "tabs"}.get(other, f"`{other}`")
        what = f"the columns are separated by {shown}, not by commas."
        return [wrong_table(file, 1, what, hint="save the file with commas")]
    problems = []
    for name in names:
        if name not in COLUMNS:
            similar = nearest(name, [one for one in COLUMNS if one not in names])
            hint = f"did you mean `{similar}`?" if similar else "remove the column"
            what = f"the table has the column `{name}`; tiles have {listed(COLUMNS)}."
            problems.append(wrong_table(file, 1, what, hint=hint))
        elif names.count(name) > 1:
            problems.append(wrong_table(file, 1, f"the column `{name}` is there twice."))
    if "path" not in names and not any(nearest(name, ["path"]) for name in names):
        problems.append(
            wrong_table(
                file,
                1,
                "the table has no column `path`.",
                why="The first line of the file names the columns.",
                hint="begin the file with the line `path,sensingTime`",
            )
        )
    return problems


def _wrong_width(file: str, line: int, row: list[str], names: list[str]) -> Diagnostic:
    what = f"this row has {len(row)} field{'s' * (len(row) != 1)}; the header names {len(names)}."
    why = "A field with a comma in it stands in double quotes." if len(row) > len(names) else ""
    return wrong_table(file, line, what, why=why)


def geometry_text(text: str) -> str:
    """
    Return a geometry given as GeoJSON or WKT as GeoJSON text.

    Raises:
        GeometryError: it is neither
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        geometry = load_json(stripped.encode())
        if "crs" not in geometry:
            check_geometry(geometry)
            geometry = flat(geometry)
        return orjson.dumps(geometry).decode()
    import shapely  # noqa: PLC0415 - only tables with WKT pay for it

    if _levels(stripped) > _DEEPEST_WKT:
        # GEOS reads it by recursion, without a limit.
        msg = "is neither GeoJSON nor WKT."
        raise GeometryError(msg)
    try:
        shape = shapely.force_2d(shapely.from_wkt(stripped))
    except shapely.errors.ShapelyError as error:
        msg = "is neither GeoJSON nor WKT."
        raise GeometryError(msg) from error
    geometry = cast(JsonObject, orjson.loads(shapely.to_geojson(shape)))
    check_geometry(geometry)
    return orjson.dumps(geometry).decode()


def _levels(text: str) -> int:
    """Return how deeply parentheses are nested."""
    depth = deepest = 0
    for one in re.findall(r"[()]", text):
        depth += 1 if one == "(" else -1
        deepest = max(deepest, depth)
    return deepest


def read_features(content: bytes, *, file: str) -> tuple[Rows, list[Diagnostic]]:
    """
    Read tiles from GeoJSON features: `path` and `sensingTime` are properties, the geometry is the cover.

    The cover gets a `crs` member that says CRS84, as RFC 7946 has it.
    """
    text = content.decode("utf-8-sig", errors="replace")
    try:
        document = load_json(content)
        refuse_other_crs(document)
        members = features(document)
    except GeometryError as error:
        return no_rows(), [
            wrong_table(file, 1, f"the file {error.what}", why=error.why, hint=error.hint)
        ]
    columns: dict[str, list[str | None]] = {name: [] for name in COLUMNS}
    problems: list[Diagnostic] = []
    places = _feature_lines(text, len(members))
    lines = array("q")
    for line, member in zip(places, members, strict=True):
        try:
            row = _feature(member)
        except GeometryError as error:
            problems.append(
                wrong_table(
                    file, line, f"this feature {error.what}", why=error.why, hint=error.hint
                )
            )
            continue
        lines.append(line)
        for name, value in zip(COLUMNS, row, strict=True):
            columns[name].append(value)
    return Rows(columns, lines), problems


def _feature(member: JsonObject) -> tuple[str | None, str | None, str | None]:
    properties = member.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    path, time = properties.get("path"), properties.get("sensingTime")
    if not isinstance(path, str):
        similar = nearest("path", [name for name in properties if name != "path"])
        msg = "has no text as its property `path`."
        raise GeometryError(
            msg,
            hint=f"rename the property `{similar}` to `path`"
            if similar
            else 'add "path": "..." to its properties',
        )
    if "sensingTime" not in properties and (other := _time_by_another_name(properties)):
        msg = f"has a property `{other}` and none `sensingTime`."
        raise GeometryError(
            msg,
            why="Its tile would have no time, and take part in every range of time.",
            hint=f"rename the property `{other}` to `sensingTime`",
        )
    if time is not None and not isinstance(time, str):
        msg = "has a property `sensingTime` that is no text."
        raise GeometryError(msg)
    geometry = member.get("geometry")
    if geometry is None:
        return path, time, None
    if not isinstance(geometry, dict) or geometry.get("type") not in {"Polygon", "MultiPolygon"}:
        msg = "has a geometry that is neither a Polygon nor a MultiPolygon."
        raise GeometryError(msg)
    check_geometry(geometry)
    geometry = flat(geometry)
    crs: JsonValue = {"type": "name", "properties": {"name": CRS84_URN}}
    cover = {"type": geometry["type"], "coordinates": geometry["coordinates"], "crs": crs}
    return path, time, orjson.dumps(cover).decode()


def _time_by_another_name(properties: JsonObject) -> str:
    """Return what is `sensingTime` but for its spelling; empty where nothing is."""
    return next(
        (name for name in properties if re.sub(r"[\W_]", "", name).lower() == "sensingtime"), ""
    )


def _feature_lines(text: str, count: int) -> list[int]:
    """Return the line of each feature: of its `"type": "Feature"`, else the first."""
    lines, found, position = Lines(text), [], 0
    while (position := text.find('"Feature"', position)) >= 0:
        found.append(lines.position(position)[0])
        position += 1
    return found if len(found) == count else [1] * count


def wrong_table(file: str, line: int, what: str, *, why: str = "", hint: str = "") -> Diagnostic:
    """Return what is wrong with a table, at one of its lines."""
    return Diagnostic(
        "manifest/table", "Table cannot be used", what, why, hint, SourceSpan(file, line, 1, 2)
    )


class _Stream(io.RawIOBase):
    """Blocks of bytes as a stream."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = cast(memoryview, buffer)
        if not self._rest:
            self._rest = next(self._blocks, b"")
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
