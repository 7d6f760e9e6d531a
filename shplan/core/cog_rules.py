"""
What the service asks of the files of BYOC tiles, each rule with its code and its cure.

Source: documentation of BYOC, "Constraints and settings" (header, tiling, reference systems, compression,
photometric interpretation, sample types, bounding boxes, names); what its own ingestion tool refuses besides
is a warning here. Whether files keep them is decided from their headers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from shplan.core.diagnostic import Severity
from shplan.core.frozen import dataclass
from shplan.core.tiff_header import Header, Image

MOST_HEADER_BYTES: Final = 1 << 20
MOST_CHUNKY_BANDS: Final = 10
LEAST_TILE_PX, MOST_TILE_PX = 256, 2048
# Source: TIFF 6.0 and the registry of libtiff: names of compressions for messages.
_COMPRESSIONS: Final = {
    1: "none", 2: "CCITT RLE", 3: "CCITT FAX3", 4: "CCITT FAX4", 5: "LZW", 6: "old JPEG", 7: "JPEG",
    8: "DEFLATE", 32946: "ZIP", 32773: "PACKBITS", 32909: "PIXTIFF_ZIP", 34887: "LERC",
    34925: "LZMA", 50000: "ZSTD", 50001: "WEBP", 50002: "JPEG XL",
}  # fmt: skip
_TAKEN: Final = frozenset({1, 5, 8, 32946, 32773, 32909, 50000})
_FOR_ANY_COLOUR: Final = frozenset({1, 8, 32946, 50000})
# Source: PROJ: northing of the poles in a UTM zone, from the equator, and both poles in EPSG:3035.
_TO_POLE_M: Final = 9_997_964.943
_POLES_OF_EUROPE: Final = ((4_321_000.0, 7_369_716.255), (4_321_000.0, -8_828_174.511))
# From so many pixels on their parts say nothing.
_WHOLE: Final = 10
_COG: Final = "gdal_translate {name} fixed.tif -of COG -co COMPRESS=DEFLATE -co BLOCKSIZE=1024"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A rule that a file, or the files of a tile, do not keep.

    Args:
        code: stable, `cog/rule` for a file and `tile/rule` for files together
        what: a sentence about the file, without its name
        fix: a command or a step that makes it right; `{name}` stands for the file
    """

    code: str
    what: str
    why: str
    fix: str = ""
    severity: Severity = Severity.ERROR


Findings: TypeAlias = Iterator[Finding]


def file_findings(header: Header, *, deployment: str = "") -> Findings:
    """
    Return what the service, or a reader of its images, would not like about one file.

    Args:
        deployment: a built-in name; CDSE takes one reference system more
    """
    yield from _layout(header)
    yield from _tiling(header)
    yield from _overviews(header)
    yield from _samples(header.full)
    yield from _compression(header)
    yield from _place(header, deployment)
    yield from _no_data(header)


def _layout(header: Header) -> Findings:
    ends = max(one.last_data for one in header.images)
    if ends > header.size_bytes:
        yield Finding(
            "cog/truncated",
            f"its pixels end at byte {ends:,}, and the file at {header.size_bytes:,}.",
            "The end of the file is missing: it was cut off, or is still being written.",
            "write or upload it again",
        )
    if header.header_bytes > MOST_HEADER_BYTES:
        starts = min((one.first_data for one in header.images if one.first_data), default=0)
        scattered = starts and starts < header.header_bytes
        what = "its header is spread over" if scattered else "its header takes"
        yield Finding(
            "cog/header",
            f"{what} the first {header.header_bytes:,} bytes; {MOST_HEADER_BYTES:,} are allowed.",
            "The service reads the header in one piece; internal tiles that are small make it long.",
            _COG,
        )
    elif _is_scattered(header):
        yield Finding(
            "cog/layout",
            "a part of its header lies behind its pixels.",
            "In a cloud-optimised file the header is at the start, so that one request reads it.",
            _COG,
            Severity.WARNING,
        )


def _is_scattered(header: Header) -> bool:
    starts = min((one.first_data for one in header.images if one.first_data), default=0)
    return bool(starts) and starts < header.header_bytes


def _tiling(header: Header) -> Findings:
    """Look at the image, and where it keeps the rules at its overviews, which are read alike."""
    for image in (header.full, *header.overviews):
        whose = "its" if image is header.full else f"the overview of {image.width} pixels has its"
        if image.tile is None:
            stored = "pixels are" if image is header.full else "pixels"
            yield Finding(
                "cog/tiling",
                f"{whose} {stored} stored in strips, not in tiles.",
                "The service reads single tiles; a file in strips is no cloud-optimised GeoTIFF.",
                _COG,
            )
            return
        width, height = image.tile
        if not all(LEAST_TILE_PX <= side <= MOST_TILE_PX for side in image.tile):
            has = "internal tiles are" if image is header.full else "internal tiles in"
            yield Finding(
                "cog/block-size",
                f"{whose} {has} {width} by {height} pixels.",
                f"They have to be {LEAST_TILE_PX} to {MOST_TILE_PX} pixels on each side; 1024 is advised.",
                _COG,
            )
            return


def _overviews(header: Header) -> Findings:
    image = header.full
    least = min(image.tile) if image.tile else LEAST_TILE_PX
    smallest = min((max(one.width, one.height) for one in header.overviews), default=0)
    longest = max(image.width, image.height)
    if longest <= max(least, LEAST_TILE_PX):
        return
    if not header.overviews:
        what = f"it has no overviews, and {image.width} by {image.height} pixels."
    elif smallest > 2 * MOST_TILE_PX:
        what = f"its smallest overview is still {smallest} pixels long."
    else:
        return
    yield Finding(
        "cog/overviews",
        what,
        "The service reads the overview nearest to what is asked for; without one, coarse requests"
        " are slow or refused.",
        "gdaladdo -r average {name}, then rewrite it: " + _COG,
        Severity.WARNING,
    )


def _samples(image: Image) -> Findings:
    if len(set(image.bits)) > 1 or len(set(image.formats)) > 1:
        yield Finding(
            "cog/mixed-samples",
            "its bands have different sample types.",
            "All bands of a file are of one type; the bit depth is declared for each band.",
            "write one file for each type",
        )
    elif not is_taken(image.bits[0], image.formats[0]):
        yield Finding(
            "cog/sample-type",
            f"its samples are {sample_type(image)}.",
            "The service reads unsigned samples of 1, 2, 4, 8, 16 and 32 bits, signed ones of 8, 16 and"
            " 32, and floating point of 32 bits.",
            "gdal_translate {name} fixed.tif -ot Float32 -of COG -co COMPRESS=DEFLATE",
        )
    if image.planar == 1 and image.samples > MOST_CHUNKY_BANDS:
        yield Finding(
            "cog/samples",
            f"it holds {image.samples} bands, pixel by pixel.",
            f"At most {MOST_CHUNKY_BANDS} bands may be stored like this in one file.",
            _COG + " -co INTERLEAVE=BAND",
        )


def is_taken(bits: int, form: int) -> bool:
    """Tell whether the service reads samples of a type."""
    if form == 3:
        return bits == 32
    if form == 2:
        return bits in (8, 16, 32)
    return form in (1, 4) and bits in (1, 2, 4, 8, 16, 32)


def sample_type(image: Image) -> str:
    """Return the type of an image's samples, for sentences."""
    names = {1: "unsigned", 2: "signed", 3: "floating point", 4: "untyped"}
    return f"{names.get(image.formats[0], 'complex')} {image.bits[0]}-bit"


def _compression(header: Header) -> Findings:
    for image in (header.full, *header.overviews):
        found = [*_compression_of(image)]
        if found:
            yield from found
            return


def _compression_of(image: Image) -> Findings:
    name = _COMPRESSIONS.get(image.compression, f"number {image.compression}")
    if image.compression not in _TAKEN:
        yield Finding(
            "cog/compression",
            f"its compression is {name}.",
            "The service reads DEFLATE, ZSTD, LZW, PACKBITS and files without compression.",
            _COG,
        )
    elif image.photometric not in (1, 2) and image.compression not in _FOR_ANY_COLOUR:
        yield Finding(
            "cog/photometric",
            f"its colours are of interpretation {image.photometric}, compressed by {name}.",
            "Other interpretations than gray (1) and RGB (2) may only be stored without compression,"
            " by DEFLATE or by ZSTD.",
            _COG + " -co PHOTOMETRIC=MINISBLACK",
        )


def _place(header: Header, deployment: str) -> Findings:
    if header.epsg is None or header.epsg == 0:
        unnamed = header.epsg == 0
        yield Finding(
            "cog/crs-missing",
            "its reference system has no EPSG number."
            if unnamed
            else "it has no reference system.",
            "The service knows reference systems by their number: 4326, 3857, UTM zones and 3035.",
            "gdal_edit.py -a_srs EPSG:N {name}, then: " + _COG,
        )
    elif not is_supported(header.epsg, deployment):
        also = ", and here 6933" if deployment == "cdse" else ""
        yield Finding(
            "cog/crs",
            f"its reference system is EPSG:{header.epsg}.",
            f"Tiles are in EPSG:4326, 3857, 3035 or a UTM zone (326xx, 327xx){also}.",
            "gdalwarp -t_srs EPSG:4326 {name} fixed.tif -of COG -co COMPRESS=DEFLATE",
        )
    if header.scale is None:
        yield Finding(
            "cog/position",
            "it does not say where it lies.",
            "A tie point and the size of a pixel, or a transformation, place it on the globe.",
            "gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {name}, then: " + _COG,
        )
        return
    if header.rotated:
        yield Finding(
            "cog/rotated",
            "its rows do not run from west to east, or its columns from north to south.",
            "The service has no images that are rotated or flipped.",
            "gdalwarp {name} fixed.tif -of COG -co COMPRESS=DEFLATE",
        )
        return
    width, height = header.scale
    if abs(width - height) > 1e-5 * max(width, height):
        yield Finding(
            "cog/pixels",
            f"its pixels are {width:g} by {height:g}.",
            "The service's own ingestion tool refuses pixels that are not square.",
            "gdalwarp -tr SIZE SIZE {name} fixed.tif -of COG -co COMPRESS=DEFLATE",
            Severity.WARNING,
        )
    yield from _pole(header)


def is_supported(epsg: int, deployment: str = "") -> bool:
    """Tell whether tiles may be in a reference system."""
    zones = 32601 <= epsg <= 32660 or 32701 <= epsg <= 32760
    return zones or epsg in (4326, 3857, 3035) or (epsg == 6933 and deployment == "cdse")


def _pole(header: Header) -> Findings:
    assert header.box is not None, "a file without a place was told before"
    west, south, east, north = header.box
    slack = header.scale[1] / 2 if header.scale is not None else 0.0
    beyond = header.epsg == 4326 and (south < -90 - slack or north > 90 + slack)
    poles = _poles(header.epsg)
    if beyond or any(west <= x <= east and south <= y <= north for x, y in poles):
        yield Finding(
            "cog/pole",
            "it reaches over a pole.",
            "Tiles may not cross the North or the South Pole.",
            "cut it off there: gdalwarp -te WEST -90 EAST 90 {name} fixed.tif -of COG",
        )


def _poles(epsg: int | None) -> tuple[tuple[float, float], ...]:
    """Return where the poles lie in a reference system, as x and y in metres."""
    if epsg == 3035:
        return _POLES_OF_EUROPE
    if epsg is None or not (32601 <= epsg <= 32660 or 32701 <= epsg <= 32760):
        return ()
    equator = 0.0 if epsg < 32700 else 10_000_000.0
    return ((500_000.0, equator + _TO_POLE_M), (500_000.0, equator - _TO_POLE_M))


def _no_data(header: Header) -> Findings:
    if header.no_data.lower().lstrip("-+") == "nan":
        yield Finding(
            "cog/no-data",
            "its value for no data is NaN.",
            "NaN never counts as data, and a collection cannot state it: leave `noData` of the band out.",
            severity=Severity.WARNING,
        )


# --- the files of one tile, and of all tiles -----------------------------------------------


def tile_findings(files: Mapping[str, Header]) -> Findings:
    """
    Return what is wrong with the files of one tile together.

    Args:
        files: by their names, headers of those that could be read
    """
    systems = {header.epsg for header in files.values()}
    if len(systems) > 1:
        named = ", ".join(f"{name} EPSG:{files[name].epsg}" for name in sorted(files))
        yield Finding(
            "tile/crs",
            f"its files are in different reference systems: {named}.",
            "The files of a tile cover the same ground in the same reference system.",
            "gdalwarp -t_srs EPSG:N {name} fixed.tif -of COG",
        )
        return
    placed = {name: one for name, one in files.items() if one.box is not None and not one.rotated}
    boxes = [one.box for one in placed.values() if one.box is not None]
    if not boxes:
        return
    shared = (
        max(box[0] for box in boxes),
        max(box[1] for box in boxes),
        min(box[2] for box in boxes),
        min(box[3] for box in boxes),
    )
    for name in sorted(placed):
        yield from _apart(name, placed[name], shared)


def _apart(name: str, header: Header, shared: tuple[float, float, float, float]) -> Findings:
    box, scale = header.box, header.scale
    assert box is not None, "only placed files are compared"
    assert scale is not None, "only placed files are compared"
    off = [abs(one - other) for one, other in zip(box, shared, strict=True)]
    steps = (scale[0], scale[1], scale[0], scale[1])
    most = max(distance / step for distance, step in zip(off, steps, strict=True))
    # A rounded pixel is none.
    if most > 1 + 1e-6:
        shown = f"{most:,.0f}" if most >= _WHOLE else f"{most:.3g}"
        yield Finding(
            "tile/extent",
            f"the box of {name} is {shown} of its pixels away from what all files cover.",
            "Each file may differ from the intersection of all by one of its own pixels.",
            "cut it to the others: gdal_translate -projwin WEST NORTH EAST SOUTH {name} fixed.tif -of COG",
        )
