"""
Members of a set from a Parquet file: the columns of a table as CSV has them, typed.

pyarrow reads it, a piece at a time, and only columns that tiles have, once it is known to fit into memory
(`parquet_probe.py`). A time may be a timestamp (without a time
zone it is in UTC), a cover WKB, GeoJSON or WKT; the geometry column of a GeoParquet file is the cover, in the
reference system that its metadata name. Sources: the Parquet format's logical types; GeoParquet 1.1.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from shplan.core.diagnostic import Diagnostic
from shplan.core.value import JsonObject, JsonValue
from shplan.manifest.geodata import GeometryError, check_geometry
from shplan.manifest.members import COLUMNS, CRS84_URN, Rows, geometry_text, no_rows, wrong_table
from shplan.manifest.parquet_probe import MOST_AT_ONCE, Reading, probe
from shplan.manifest.wording import listed, nearest

COVER, TIME, PATH = "coverGeometry", "sensingTime", "path"
MAX_ROWS = 5_000_000
# Of the columns that are read, unpacked: a small file can hold the same value a billion times.
MAX_BYTES = 2 << 30
_AT_ONCE = 1 << 13
_MOST_PROBLEMS = 100
# What pandas writes beside the columns of a table.
_INDEX = re.compile(r"__index_level_\d+__")
_AREAS = ("Polygon", "MultiPolygon")
_CRS84 = ("OGC:CRS84", "EPSG:4326")


@dataclass(slots=True)
class _Table:
    """
    A file while it is read.

    Args:
        sources: the file's column by ours
        crs: of covers as WKB, as a name in GeoJSON
    """

    file: str
    sources: Mapping[str, str]
    crs: str
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    lines: array[int] = field(default_factory=lambda: array("q"))
    problems: list[Diagnostic] = field(default_factory=list)

    def complain(self, row: int, what: str, *, hint: str = "") -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(wrong_table(self.file, row, f"row {row}: {what}", hint=hint))


def read_parquet(content: bytes, *, file: str) -> tuple[Rows, list[Diagnostic]]:
    """
    Read the rows of a Parquet file.

    Args:
        content: of the file
        file: relative to the project, for messages; rows are counted from 1, as its lines
    """
    reading = probe(content)
    if reading is Reading.BEYOND:
        return no_rows(), [_beyond_memory(file)]
    return read_as(content, reading, file=file)


def read_as(content: bytes, reading: Reading, *, file: str) -> tuple[Rows, list[Diagnostic]]:
    """Read the rows of a file that is known to fit, as `read_parquet`; here, whatever it takes."""
    import pyarrow as pa  # noqa: PLC0415 - only who has such a table pays for it

    try:
        table, problems = _opened(content, file)
        if table is None:
            return no_rows(), problems
        if not _read(_batches(content, table, reading), table):
            return no_rows(), [_too_large(file)]
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return no_rows(), [wrong_table(file, 1, f"this is not Parquet: {reason.rstrip('.')}.")]
    return Rows(table.columns, table.lines), table.problems


def pass_over(content: bytes, reading: Reading) -> bool:
    """
    Read a file as `read_parquet` does, keep nothing, and tell whether it could be read.

    Raises:
        MemoryError: there is not as much as it takes
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        table, _ = _opened(content, "")
        if table is not None:
            deque(_batches(content, table, reading), maxlen=0)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return False
    return True


def _opened(content: bytes, file: str) -> tuple[_Table | None, list[Diagnostic]]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    opened = pq.ParquetFile(pa.BufferReader(content))
    schema = opened.schema_arrow
    geo = _geo(schema.metadata or {})
    sources, problems = _sources(schema.names, geo, file)
    problems += [
        problem for name, source in sources.items() for problem in _type(schema, name, source, file)
    ]
    if not problems:
        problems += _bounds(opened.metadata, file)
    if problems:
        return None, problems
    described = _object(_object(geo.get("columns")).get(sources.get(COVER, "")))
    crs, problem = _crs(described, file)
    return (None, [problem]) if problem else (_Table(file, sources, crs), [])


def _geo(metadata: Mapping[bytes, bytes]) -> JsonObject:
    """Return the metadata of a GeoParquet file, empty for another."""
    try:
        return _object(orjson.loads(metadata.get(b"geo", b"{}")))
    except orjson.JSONDecodeError:
        return {}


def _sources(
    names: Sequence[str], geo: JsonObject, file: str
) -> tuple[dict[str, str], list[Diagnostic]]:
    """Find our columns among those of a file; what is neither ours nor bookkeeping is an error."""
    primary = geo.get("primary_column")
    boxes = {
        str(path[0])
        for one in _object(geo.get("columns")).values()
        for path in _object(_object(_object(one).get("covering")).get("bbox")).values()
        if isinstance(path, list) and path
    }
    sources: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name in names:
        if name in COLUMNS:
            if name in sources:
                problems.append(wrong_table(file, 1, f"the column `{name}` is there twice."))
            sources[name] = name
        elif name == primary and COVER not in names:
            sources[COVER] = name
        elif name not in boxes and not _INDEX.fullmatch(name):
            problems.append(_unknown(name, names, file))
    if PATH not in sources and not any(nearest(name, [PATH]) for name in names):
        what = "the table has no column `path`."
        problems.append(wrong_table(file, 1, what, hint="rename the column that holds the paths"))
    return sources, problems


def _unknown(name: str, names: Sequence[str], file: str) -> Diagnostic:
    similar = nearest(name, [one for one in COLUMNS if one not in names])
    hint = f"did you mean `{similar}`?" if similar else "leave the column out"
    what = f"the table has the column `{name}`; tiles have {listed(COLUMNS)}."
    return wrong_table(file, 1, what, hint=hint)


def _type(schema: Any, name: str, source: str, file: str) -> Iterator[Diagnostic]:
    import pyarrow.types as kinds  # noqa: PLC0415

    kind = schema.field(source).type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    is_text = _is_text(kind) or kinds.is_null(kind)
    fits = {
        PATH: is_text,
        TIME: is_text or kinds.is_timestamp(kind) or kinds.is_date(kind),
        COVER: is_text or kinds.is_binary(kind) or kinds.is_large_binary(kind),
    }[name]
    wanted = {PATH: "text", TIME: "timestamps or text", COVER: "WKB, or GeoJSON as text"}[name]
    if not fits:
        what = f"the column `{source}` holds {str(kind)[:80]}; it has to hold {wanted}."
        yield wrong_table(file, 1, what)


def _is_text(kind: Any) -> bool:
    import pyarrow.types as kinds  # noqa: PLC0415

    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _bounds(metadata: Any, file: str) -> list[Diagnostic]:
    if metadata.num_rows > MAX_ROWS:
        what = f"the table has {metadata.num_rows:,} rows; at most {MAX_ROWS:,} are read."
        return [wrong_table(file, 1, what, hint="divide it into several sets")]
    groups = range(metadata.num_row_groups)
    # Not column by column: what is wrong with one of them ends the whole process there.
    size = sum(metadata.row_group(group).total_byte_size for group in groups)
    return [_too_large(file)] if size > MAX_BYTES else []


def _too_large(file: str) -> Diagnostic:
    what = f"the table unpacks to more than {MAX_BYTES >> 30} GB."
    return wrong_table(file, 1, what, hint="simplify the covers, or divide the table")


def _beyond_memory(file: str) -> Diagnostic:
    what = f"the table takes more than {MOST_AT_ONCE >> 30} GB of memory at a time, or ends the library that reads it."
    return wrong_table(file, 1, what, hint="write it anew in smaller row groups, or as CSV")


def _crs(described: JsonObject, file: str) -> tuple[str, Diagnostic | None]:
    """Return the name of the reference system that a GeoParquet column is in, CRS84 by default."""
    stated = described.get("crs")
    identity = _object(_object(stated).get("id"))
    code = f"{identity.get('authority')}:{identity.get('code')}"
    if stated is None or code in _CRS84:
        return CRS84_URN, None
    if re.fullmatch(r"EPSG:\d{4,5}", code):
        return f"urn:ogc:def:crs:EPSG::{identity['code']}", None
    what = "the covers are in a reference system without an EPSG number."
    return "", wrong_table(file, 1, what, hint="bring them into CRS84")


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


# --- rows ----------------------------------------------------------------------------------


def _read(batches: Iterator[Any], table: _Table) -> bool:
    """Read all rows; stop and tell where they take more than a table may."""
    columns: dict[str, list[str | None]] = {name: [] for name in table.sources}
    readers = {PATH: _texts, TIME: _times, COVER: _covers}
    row, left_bytes = 1, MAX_BYTES
    for batch in batches:
        for name, source in table.sources.items():
            packed = batch.column(batch.schema.get_field_index(source))
            left_bytes -= _size_bytes(packed)
            if left_bytes < 0:
                return False
            columns[name] += readers[name](packed, table, row)
        row += batch.num_rows
    table.columns = columns
    table.lines = array("q", range(1, row))
    return True


def _batches(content: bytes, table: _Table, reading: Reading) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    # As the file has them: a value that stands there once may be meant by every row.
    is_packed = reading is Reading.PACKED
    packed = [one for name, one in table.sources.items() if name != TIME and is_packed]
    opened = pq.ParquetFile(pa.BufferReader(content), read_dictionary=packed)
    wanted = list(table.sources.values())
    yield from opened.iter_batches(batch_size=_AT_ONCE, columns=wanted, use_threads=False)


def _size_bytes(values: Any) -> int:
    """Return what values take once each stands where it is meant."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    kind = values.type.value_type
    if not (_is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return 8 * len(values)
    lengths = pc.binary_length(values.dictionary).cast(pa.int64())
    return int(pc.sum(pc.take(lengths, values.indices)).as_py() or 0)


def _kind(values: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return values.type.value_type if pa.types.is_dictionary(values.type) else values.type


def _values(values: Any) -> list[Any]:
    """Return values as Python's, those of a dictionary once for all the rows that mean them."""
    import pyarrow as pa  # noqa: PLC0415

    if not pa.types.is_dictionary(values.type):
        return cast("list[Any]", values.to_pylist())
    known = values.dictionary.to_pylist()
    return [None if at is None else known[at] for at in values.indices.to_pylist()]


def _texts(values: Any, table: _Table, row: int) -> list[str | None]:
    del table, row
    return [one or None for one in _values(values)]


def _times(values: Any, table: _Table, row: int) -> list[str | None]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = _kind(values)
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return _texts(values, table, row)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(kind):
        # The stored number counts from 1970 in UTC, whatever zone it is shown in.
        values = values.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    # Source: API reference, `sensingTime`: the service keeps milliseconds.
    moments = values.cast(pa.timestamp("ms"), safe=False)
    texts = pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ", locale="C")
    whole = pc.replace_substring_regex(texts, pattern=r"\.0+Z$", replacement="Z")
    return cast("list[str | None]", whole.to_pylist())


def _covers(values: Any, table: _Table, row: int) -> list[str | None]:
    import pyarrow as pa  # noqa: PLC0415

    found, kind = _values(values), _kind(values)
    # Each once: many rows may mean one, and as a geometry it is many times as long.
    distinct = list(dict.fromkeys(one for one in found if one))
    is_wkb = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    judged = _of_wkb(distinct, table.crs) if is_wkb else map(_of_text, distinct)
    known = dict(zip(distinct, judged, strict=True))
    covers: list[str | None] = []
    for at, one in enumerate(found):
        cover = known[one] if one else _Cover(None)
        if cover.fault:
            table.complain(row + at, f"coverGeometry {cover.fault}", hint=cover.hint)
        covers.append(cover.text)
    return covers


@dataclass(frozen=True, slots=True)
class _Cover:
    """A cover as GeoJSON, or what is wrong with it."""

    text: str | None
    fault: str = ""
    hint: str = ""


def _of_text(text: str) -> _Cover:
    try:
        return _Cover(geometry_text(text))
    except GeometryError as error:
        return _Cover(None, error.what, error.hint)


def _of_wkb(distinct: list[bytes], crs: str) -> Iterator[_Cover]:
    import shapely  # noqa: PLC0415

    for shape in shapely.from_wkb(cast("Any", distinct), on_invalid="ignore"):
        if shape is None:
            yield _Cover(None, "is no WKB.")
        elif shape.geom_type not in _AREAS:
            yield _Cover(None, "is neither a Polygon nor a MultiPolygon.")
        else:
            yield _of_shape(shape, crs)


def _of_shape(shape: Any, crs: str) -> _Cover:
    import shapely  # noqa: PLC0415

    srid = int(shapely.get_srid(shape))
    own = f"urn:ogc:def:crs:EPSG::{srid}" if srid not in (0, 4326) else crs
    geometry = cast(JsonObject, orjson.loads(shapely.to_geojson(shapely.force_2d(shape))))
    try:
        if own == CRS84_URN:
            check_geometry(geometry)
    except GeometryError as error:
        return _Cover(None, error.what, error.hint)
    named: JsonValue = {"type": "name", "properties": {"name": own}}
    return _Cover(orjson.dumps({**geometry, "crs": named}).decode())
