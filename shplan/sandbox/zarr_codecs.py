"""
Chunks of a Zarr array: decoded within the size that the array's metadata gives them, and encoded.

What is compressed says nothing about how much comes out, so every codec is held to a limit before
or while it works: a few bytes that stand for gigabytes are refused, not unpacked. numcodecs is
loaded when a chunk needs it. Source: the Zarr storage specification version 2, "Chunks".
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import TYPE_CHECKING, Any, cast

from shplan.sandbox.zarr_files import ZarrError, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.zarr_metadata import ArrayMetadata

# A filter may store a value in fewer bytes than it has, or in more.
_WIDEST_BYTES = 8
_LZMA_MEMORY_BYTES = 256 << 20
# They map values to values, so that what comes out is bounded by what goes in.
_FILTERS = frozenset({"delta", "fixedscaleoffset", "shuffle", "astype", "quantize", "bitround"})
_PLAIN_DTYPE = re.compile(r"[<>|]?[iuf][1248]")
_DTYPE_KEYS = ("dtype", "astype", "encode_dtype", "decode_dtype")


def is_known(array: ArrayMetadata) -> bool:
    """Whether the array's chunks can be decoded here at all."""
    compressor = array.compressor
    known = compressor is None or compressor["id"] in _DECODERS
    return known and all(map(_is_tame, array.filters))


def decoded(data: bytes, array: ArrayMetadata, *, count: int, item_bytes: int) -> bytes:
    """
    The bytes of a chunk's values, in row-major order.

    Args:
        data: as stored
        count: values in a chunk
        item_bytes: of one value

    Raises:
        ZarrError: it cannot be decoded, or what comes out has another size
    """
    if not is_known(array):
        msg = f"The array {told(array.name)} is compressed in a way that is not supported."
        raise ZarrError(msg)
    size = count * item_bytes
    limit = count * _WIDEST_BYTES if array.filters else size
    try:
        if array.compressor is not None:
            data = _DECODERS[str(array.compressor["id"])](data, limit)
        for config in reversed(array.filters):
            data = _filtered(data, config)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, EOFError) as error:
        raise _broken(array) from error
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise _broken(array) from error
    if len(data) != size:
        raise _broken(array)
    return data


def _broken(array: ArrayMetadata) -> ZarrError:
    return ZarrError(f"A chunk of the array {told(array.name)} is damaged: it cannot be decoded.")


def _is_tame(config: JsonObject) -> bool:
    """Whether a filter is one of those known, for numbers of a plain type."""
    types = [config[key] for key in _DTYPE_KEYS if config.get(key) is not None]
    plain = all(isinstance(one, str) and _PLAIN_DTYPE.fullmatch(one) for one in types)
    return config["id"] in _FILTERS and plain


def _filtered(data: bytes, config: JsonObject) -> bytes:
    import numcodecs  # noqa: PLC0415 most groups have no filters
    from numcodecs.compat import ensure_bytes  # noqa: PLC0415

    return cast("bytes", ensure_bytes(numcodecs.get_codec(dict(config)).decode(data)))


def _inflated(data: bytes, limit: int) -> bytes:
    # 32: the header tells whether it is zlib's or gzip's.
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(data, limit + 1)


def _bz2(data: bytes, limit: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, max_length=limit + 1)


def _lzma(data: bytes, limit: int) -> bytes:
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_AUTO, memlimit=_LZMA_MEMORY_BYTES)
    return decoder.decompress(data, max_length=limit + 1)


def _blosc(data: bytes, limit: int) -> bytes:
    """Source: the Blosc chunk format: bytes 4 to 16 are the sizes unpacked, of a block, packed."""
    from numcodecs import Blosc  # noqa: PLC0415 loaded with the first chunk that needs it

    if len(data) < 16 or _number(data[4:8]) > limit or _number(data[12:16]) != len(data):
        raise ValueError
    return cast("bytes", Blosc().decode(data))


def _lz4(data: bytes, limit: int) -> bytes:
    from numcodecs import LZ4  # noqa: PLC0415 as above

    if len(data) < 4 or _number(data[:4]) > limit:
        raise ValueError
    return cast("bytes", LZ4().decode(data))


def _zstd(data: bytes, limit: int) -> bytes:
    """Source: RFC 8878 section 3.1.1.1; a frame that does not tell its size has to fill the limit."""
    from numcodecs import Zstd  # noqa: PLC0415 as above

    size = _frame_size(data)
    if size is not None and size > limit:
        raise ValueError
    room = bytearray(limit if size is None else size)
    decoder: Any = Zstd()
    decoder.decode(data, out=room)
    return bytes(room)


def _frame_size(data: bytes) -> int | None:
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError
    flag, single, dictionary = data[4] >> 6, data[4] >> 5 & 1, data[4] & 3
    if flag == 0 and not single:
        return None
    start = 5 + (1 - single) + (0, 1, 2, 4)[dictionary]
    length = (1, 2, 4, 8)[flag]
    return _number(data[start : start + length]) + (256 if flag == 1 else 0)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "zlib": _inflated,
    "gzip": _inflated,
    "bz2": _bz2,
    "lzma": _lzma,
    "blosc": _blosc,
    "lz4": _lz4,
    "zstd": _zstd,
}

# Source: schema `BatchV2ZarrOutputArrayParameters`.
DEFAULT_COMPRESSOR: JsonObject = {
    "id": "blosc",
    "cname": "lz4",
    "clevel": 5,
    "shuffle": 1,
    "blocksize": 0,
}


def compressor_of(array: JsonObject) -> JsonObject:
    """How the chunks of an array of a batch task are compressed."""
    return cast("JsonObject", array.get("compressor") or DEFAULT_COMPRESSOR)


def encoder(config: JsonObject) -> Callable[[NDArray[Any]], bytes]:
    """
    What encodes the values of a chunk, in row-major order; the same bytes for the same values.

    Raises:
        ZarrError: there is no such compressor, or it knows other parameters
    """
    import numcodecs  # noqa: PLC0415 loaded with the first chunk that needs it
    from numcodecs import blosc  # noqa: PLC0415
    from numcodecs.compat import ensure_bytes  # noqa: PLC0415

    if config.get("id") not in _DECODERS:
        msg = f"The compressor {told(str(config.get('id')))} is not supported."
        raise ZarrError(msg)
    # Its threads put blocks in the order in which they are done.
    blosc.use_threads = False
    try:
        codec = numcodecs.get_codec(dict(config))
        # Some find out what they cannot do when they are to do it.
        codec.encode(b"\0" * _WIDEST_BYTES)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        msg = f"The compressor {config['id']} does not work with these parameters."
        raise ZarrError(msg) from error

    def encode(values: NDArray[Any]) -> bytes:
        content = cast("bytes", ensure_bytes(codec.encode(values)))
        # Source: RFC 1952, section 2.3: the time of writing, which is no part of what is written.
        return content[:4] + bytes(4) + content[8:] if config["id"] == "gzip" else content

    return encode
