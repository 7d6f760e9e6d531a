"""
What the files of many tiles have to share, and what a collection's declared bands ask of them.

Source: documentation of BYOC: the same file names, with one extension, in every tile; one bit depth for a band
over all tiles; bands refer to files by `source` (by default their own name) and `bandIndex` (by default 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from shplan.core.cog_rules import Finding, Findings, sample_type
from shplan.core.diagnostic import Severity
from shplan.core.tiff_header import Header
from shplan.core.value import Object, Value

_FORMATS = {"UINT": 1, "INT": 2, "FLOAT": 3}
_SHOWN = 8
# Source: ECMAScript, "Names and keywords"; reserved words are no names of files that anybody has.
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")


class Tiles:
    """
    Compares tiles with the first one; holds no more than that.

    Args:
        bands: the declared bands of the collection, empty where it declares none
        placed: it is known what of the files' names stands for `(BAND)`
    """

    def __init__(self, bands: Mapping[str, Object], *, placed: bool = True) -> None:
        self._placed = placed
        self._bands = bands
        self._first: str = ""
        self._names: frozenset[str] = frozenset()
        self._extension = ""
        self._told: set[str] = set()
        self._types: dict[str, tuple[str, str]] = {}

    def add(self, path: str, keys: Mapping[str, str], headers: Mapping[str, Header]) -> Findings:
        """
        Return what is wrong with a tile among the others.

        Args:
            path: of the tile
            keys: of its files, by what stands for `(BAND)`
            headers: of those that could be read, by the same names
        """
        if not keys:
            yield Finding(
                "tile/no-files",
                "there is no TIFF file behind this path.",
                "A path is a folder of files, one for each band, or holds `(BAND)` in their place.",
                "correct the path, or upload the files first",
            )
            return
        yield from self._extensions(keys)
        yield from self._same_names(path, keys)
        yield from self._declared(keys, headers)
        if self._placed and not self._bands:
            yield from self._named_bands(keys)
        yield from self._same_types(path, headers)

    def _extensions(self, keys: Mapping[str, str]) -> Findings:
        found = sorted({key.rpartition(".")[2] for key in keys.values()})
        if len(found) > 1:
            yield Finding(
                "tile/extension",
                f"its files have different extensions: .{', .'.join(found)}.",
                "All files of a tile have one extension, in the same letters.",
                "rename the files",
            )

    def _same_names(self, path: str, keys: Mapping[str, str]) -> Findings:
        names = frozenset(keys)
        if not self._first:
            self._first, self._names = path, names
            return
        lacking, more = sorted(self._names - names), sorted(names - self._names)
        parts = [f"lacks {_listed(lacking)}"] * bool(lacking) + [f"has {_listed(more)}"] * bool(
            more
        )
        if parts:
            yield Finding(
                "tile/file-names",
                f"it {' and '.join(parts)}, unlike {self._first}.",
                "Every tile of a collection has the same set of files.",
                "upload what is missing, or take away what is too much",
            )

    def _declared(self, keys: Mapping[str, str], headers: Mapping[str, Header]) -> Findings:
        for band, stated in sorted(self._bands.items()):
            source = stated.get("source", band)
            if not isinstance(source, str):
                continue
            if source not in keys:
                yield Finding(
                    "tile/band-missing",
                    f"it has no file {source} for the declared band {band}.",
                    "A band is read from the file that is named like its `source`, or like itself.",
                    "upload it, or correct `source` of the band",
                )
            elif source in headers:
                yield from _band_findings(band, stated, source, headers[source])

    def _named_bands(self, keys: Mapping[str, str]) -> Findings:
        for name in sorted(keys):
            if name not in self._told and not _IDENTIFIER.fullmatch(name):
                self._told.add(name)
                yield Finding(
                    "tile/band-name",
                    f"the file {name} gives its name to a band, unless the collection declares its bands.",
                    "Scripts read a band by its name, which has to be an identifier of JavaScript.",
                    f"declare the band with `source: {name}`, or rename the file",
                    severity=Severity.WARNING,
                )

    def _same_types(self, path: str, headers: Mapping[str, Header]) -> Findings:
        for name, header in sorted(headers.items()):
            mine = sample_type(header.full)
            kind, first = self._types.setdefault(name, (mine, path))
            if kind != mine:
                yield Finding(
                    "tile/bit-depth",
                    f"{name} holds {mine} samples; in {first} it holds {kind} ones.",
                    "A band has the same bit depth and format in every tile.",
                    "gdal_translate {name} fixed.tif -ot TYPE -of COG",
                )


def _band_findings(band: str, stated: Object, source: str, header: Header) -> Iterator[Finding]:
    image = header.full
    index = _integer(stated.get("bandIndex"), 1)
    if not 1 <= index <= image.samples:
        yield Finding(
            "tile/band-index",
            f"the band {band} is band {index} of {source}, which has {image.samples}.",
            "`bandIndex` counts the bands of a file from 1.",
            "correct `bandIndex` of the band",
        )
    depth = _integer(stated.get("bitDepth"), 0)
    held = max(image.bits[0], 8)
    form = _FORMATS.get(str(stated.get("sampleFormat")), 0)
    if (depth and depth != held) or (form and form != image.formats[0]):
        wanted = f"{depth} bit {stated.get('sampleFormat') or ''}".strip()
        yield Finding(
            "tile/sample-type",
            f"the band {band} is declared with {wanted}; {source} holds {sample_type(image)} samples.",
            "Ingestion fails where a file differs from its band.",
            "correct the band before the first tile, or convert the file with gdal_translate -ot",
        )


def declared_bands(collection: Object) -> dict[str, Object]:
    """Return the bands that a collection declares, by their names."""
    data = collection.get("additionalData")
    bands = data.get("bands") if isinstance(data, dict) else None
    found = bands.items() if isinstance(bands, dict) else ()
    return {name: stated for name, stated in found if isinstance(stated, dict)}


def _integer(value: Value, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
