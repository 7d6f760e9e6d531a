"""
Parquet files of a few kilobytes whose one page unpacks to gigabytes, whatever the footer says.

Sources: the Parquet format's `parquet.thrift` (PageHeader, ColumnMetaData) and "Encodings"; Thrift's compact protocol.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

_PLAIN, _RLE, _DELTA_BYTE_ARRAY = 0, 3, 7
_BLOCK = 128


def inflating(size_bytes: int) -> bytes:
    """One value, in a page that the codec unpacks to so many bytes."""
    block = bytes(1 << 20)
    blocks = (block[: size_bytes - at] for at in range(0, size_bytes, len(block)))
    return _forged(blocks, size_bytes, rows=1, encoding=_PLAIN)


def repeating(rows: int, value_bytes: int) -> bytes:
    """Many values, of which each says that it begins as the one before, to its end."""
    prefixes = _deltas(rows, first=0, then=value_bytes)
    suffixes = _deltas(rows, first=value_bytes, then=0)
    body = prefixes + suffixes + b"x" * value_bytes
    return _forged([body], len(body), rows=rows, encoding=_DELTA_BYTE_ARRAY)


def claiming(size_bytes: int) -> bytes:
    """One value, in a page whose header alone is large."""
    return _forged([struct.pack("<I", 1), b"a"], size_bytes, rows=1, encoding=_PLAIN)


def _forged(body: Iterable[bytes], size_bytes: int, *, rows: int, encoding: int) -> bytes:
    """Put a page in the place of that of an honest file, whose footer then only knows its length."""
    schema = pa.schema([pa.field("path", pa.string(), nullable=False)])
    out = io.BytesIO()
    pq.write_table(
        pa.table({"path": [f"tile-{at}" for at in range(rows)]}, schema=schema),
        out, compression="zstd", use_dictionary=False, write_statistics=False,
    )  # fmt: skip
    honest = out.getvalue()
    (length,) = struct.unpack("<I", honest[-8:-4])
    footer = honest[-8 - length : -8]
    packed = _packed(body)
    chunk = _header(size_bytes, len(packed), rows, encoding) + packed
    # The seventh field of the column's metadata: its length as it is stored.
    stored = b"\x16" + _zigzag(len(honest) - 8 - length - len(b"PAR1"))
    assert stored in footer
    footer = footer.replace(stored, b"\x16" + _zigzag(len(chunk)))
    return b"PAR1" + chunk + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _header(size_bytes: int, stored_bytes: int, rows: int, encoding: int) -> bytes:
    page = b"".join([
        b"\x15", _zigzag(rows), b"\x15", _zigzag(encoding),
        b"\x15", _zigzag(_RLE), b"\x15", _zigzag(_RLE), b"\x00",
    ])  # fmt: skip
    sizes = b"\x15" + _zigzag(size_bytes) + b"\x15" + _zigzag(stored_bytes)
    return b"\x15" + _zigzag(0) + sizes + b"\x2c" + page + b"\x00"


def _packed(body: Iterable[bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for part in body:
            stream.write(part)
    return bytes(sink.getvalue().to_pybytes())


def _deltas(count: int, *, first: int, then: int) -> bytes:
    """Return a number and then always another one, DELTA_BINARY_PACKED."""
    change = then - first
    header = _varint(_BLOCK) + _varint(4) + _varint(count) + _zigzag(first)
    # The first change is the only one: the others are 0 above the least of the block, or it is.
    least, above = min(change, 0), [max(change, 0)] + [max(-change, 0)] * 31
    width = max(above).bit_length()
    bits = sum(value << (width * at) for at, value in enumerate(above))
    return header + b"".join(_blocks(count, least, width, bits))


def _blocks(count: int, least: int, width: int, bits: int) -> Iterator[bytes]:
    same = (1 << width) - 1 if least else 0
    rest = sum(-least << (width * at) for at in range(32)) if same else 0
    widths = bytes([width, width, width, width]) if least else bytes([width, 0, 0, 0])
    minis = [bits, rest, rest, rest] if least else [bits]
    yield _zigzag(least) + widths + b"".join(one.to_bytes(4 * width, "little") for one in minis)
    for _ in range(_BLOCK, count - 1, _BLOCK):
        yield _zigzag(0) + bytes(4)


def _zigzag(value: int) -> bytes:
    return _varint((value << 1) ^ (value >> 63))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
