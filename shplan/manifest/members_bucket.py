"""
Members of a set from a listing of their bucket: the names of files, read by a pattern, make tiles.

Pure: it is handed the keys. What cannot be ingested together is an error here, before a tile is created: a tile that
lacks a file which the others have, files of one tile at several paths, names without a sensing time.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.manifest.bucket_pattern import GROUPS, Found, PatternError, TilePattern
from shplan.manifest.members import Rows
from shplan.manifest.wording import listed, nearest

_S3 = "s3://"
_SHOWN = 3
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Listing:
    """
    What `from.bucket` asks for, and what was found.

    Args:
        bucket: without a project
        prefix: of the keys
        keys: in the order of their bytes, None while the bucket was not read
        problem: why it cannot be read, empty where it can
    """

    bucket: str
    prefix: str
    keys: tuple[str, ...] | None = None
    problem: str = ""


@dataclass(slots=True)
class _Tile:
    """A tile while its files are gathered."""

    sensed: str
    tile: str
    first: str
    bands: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Complaints:
    """What is wrong, at the pattern, a bounded number of times."""

    span: SourceSpan
    address: str
    found: list[Diagnostic] = field(default_factory=list)
    left_out: int = 0

    def add(
        self,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        if len(self.found) >= _MOST_PROBLEMS:
            self.left_out += 1
            return
        self.found.append(
            Diagnostic(
                "manifest/bucket", summary, what, why, hint, self.span, self.address, severity
            )
        )

    def all(self) -> list[Diagnostic]:
        if self.left_out:
            self.found.append(
                Diagnostic(
                    "manifest/bucket",
                    "More of the same",
                    f"{self.address}: {self.left_out:,} more files or tiles are like this.",
                    span=self.span,
                    address=self.address,
                )
            )
        return self.found


def check_pattern(text: str, *, span: SourceSpan, address: str) -> list[Diagnostic]:
    """Say what is wrong with a pattern without any file."""
    told = _Complaints(span, address)
    try:
        pattern = TilePattern(text)
    except PatternError as error:
        what = f"the pattern of {address} {error.what}"
        told.add("Pattern cannot be used", what, why=error.why, hint=error.hint)
        return told.all()
    for name in pattern.groups:
        similar = nearest(name, [one for one in GROUPS if one not in pattern.groups])
        if name not in GROUPS and similar is not None:
            told.add(
                "Group unknown",
                f"the pattern of {address} has a group `{name}`, which means nothing here.",
                why=f"The groups are {listed(GROUPS)}.",
                hint=f"did you mean `{similar}`?",
                severity=Severity.WARNING,
            )
    return told.all()


def check_prefix(prefix: str, *, span: SourceSpan, address: str) -> list[Diagnostic]:
    """Say that a prefix is written as an address, or as a path from the root: no key begins so."""
    bucket, key = "", prefix
    if prefix.startswith(_S3):
        bucket, _, key = prefix[len(_S3) :].partition("/")
    elif not prefix.startswith("/"):
        return []
    told = _Complaints(span, address)
    key = key.lstrip("/")
    hint = f"write `prefix: {key}`" if key else "leave `prefix` out"
    told.add(
        "Prefix of no key",
        f"the prefix of {address} {'is an address' if bucket else 'begins with a slash'}.",
        why="The keys of objects begin with it, without a slash before it.",
        hint=f"{hint}, and `s3Bucket: {bucket}` for a bucket that no collection names"
        if bucket
        else hint,
    )
    return told.all()


def read_listing(
    listing: Listing, text: str, *, span: SourceSpan, address: str
) -> tuple[Rows, list[Diagnostic]]:
    """
    Make tiles of the files of a bucket.

    Args:
        listing: with its keys
        text: the pattern; it was checked
        span: of the pattern in its manifest
    """
    keys, told = listing.keys or (), _Complaints(span, address)
    place = f"s3://{listing.bucket}/{listing.prefix}"
    if not keys:
        told.add(
            "Nothing in the bucket",
            f"no object of {place} is there for {address}.",
            why="The keys of objects begin with the prefix, without a slash before it.",
            hint="correct `prefix`, or upload the files first",
        )
        return _rows({}), told.all()
    matched, others = _match(TilePattern(text), keys, listing.prefix, told)
    if not matched and not told.found:
        told.add(
            "Pattern matches nothing",
            f"none of the {len(keys):,} objects of {place} matches the pattern of {address}.",
            why=f"There are {_examples(keys)}.",
            hint="the pattern is looked for in the key behind the prefix",
        )
    tiles = _gather(matched, told)
    _compare_bands(tiles, told)
    if others and matched:
        told.add(
            "Files without a tile",
            f"{len(others):,} of the {len(keys):,} objects of {place} do not match the pattern of"
            f" {address}: {_examples(others)}.",
            why="They belong to no tile.",
            severity=Severity.WARNING,
        )
    return _rows(tiles), told.all()


def _match(
    pattern: TilePattern, keys: Sequence[str], prefix: str, told: _Complaints
) -> tuple[dict[str, Found], list[str]]:
    """
    Read every key: behind the prefix, as the ingestion tool does below its folder.

    Where nothing matches there the pattern was written for whole keys.
    """
    matched, others = _search(pattern, keys, len(prefix), told)
    if not matched and not told.found and prefix:
        matched, others = _search(pattern, keys, 0, told)
    return matched, others


def _search(
    pattern: TilePattern, keys: Sequence[str], start: int, told: _Complaints
) -> tuple[dict[str, Found], list[str]]:
    matched: dict[str, Found] = {}
    others: list[str] = []
    for key in keys:
        if key.endswith("/"):
            continue  # what consoles write to show a folder
        begin = start + 1 if key[start : start + 1] == "/" else start
        try:
            found = pattern.find(key, start=begin)
        except PatternError as error:
            told.add("Name makes no tile", f"{key} {error.what}", why=error.why, hint=error.hint)
            continue
        if found is None:
            others.append(key)
        else:
            matched[key] = found
    return matched, others


def _gather(matched: Mapping[str, Found], told: _Complaints) -> dict[str, _Tile]:
    """Gather files by their paths."""
    tiles: dict[str, _Tile] = {}
    at: dict[tuple[str, str], str] = {}
    for key, found in matched.items():
        tile = tiles.setdefault(found.path, _Tile(found.sensed, found.tile, key))
        tile.bands.add(found.band)
        if tile.sensed != found.sensed:
            told.add(
                "Files of a tile disagree",
                f"{tile.first} was sensed at {tile.sensed}, and {key} at {found.sensed};"
                f" both are files of {found.path}.",
                why="A tile has one sensing time.",
                hint="let the groups for the time match what all files of a tile share",
            )
        other = at.setdefault((found.tile, found.sensed), found.path)
        if other != found.path:
            told.add(
                "Files of a tile at several paths",
                f"{found.tile} has files at {other} and at {found.path}.",
                why="The files of a tile differ in nothing but the band, their extension included.",
                hint="rename the files, or let `tile` match what tells them apart",
            )
    return tiles


def _compare_bands(tiles: Mapping[str, _Tile], told: _Complaints) -> None:
    """Say which tiles have other files than most. Source: documentation of BYOC: the same set in every tile."""
    counted = Counter(frozenset(tile.bands) for tile in tiles.values())
    if len(counted) < 2:
        return
    usual = max(counted, key=lambda bands: (counted[bands], sorted(bands)))
    for path, tile in tiles.items():
        lacking, more = sorted(usual - tile.bands), sorted(tile.bands - usual)
        if not lacking and not more:
            continue
        parts = [f"lacks {listed(lacking)}"] * bool(lacking) + [f"has {listed(more)}"] * bool(more)
        told.add(
            "Different files in tiles",
            f"{path} {' and '.join(parts)}; {counted[usual]:,} of {len(tiles):,} tiles have"
            f" {listed(sorted(usual))}.",
            why="Every tile of a collection has the same set of files, one for each band.",
            hint="upload what is missing, or let the pattern leave out what is too much",
        )


def _rows(tiles: Mapping[str, _Tile]) -> Rows:
    columns: dict[str, list[str | None]] = {
        "path": list(tiles),
        "sensingTime": [tile.sensed or None for tile in tiles.values()],
    }
    return Rows(columns, array("q", [1]) * len(tiles))


def _examples(keys: Iterable[str]) -> str:
    known = list(keys)
    shown = ", ".join(known[:_SHOWN])
    return f"{shown} and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else shown


@dataclass(frozen=True, slots=True)
class BucketPlaces:
    """Places of tiles that a bucket gave: all of them at the pattern (implements `origin.MemberPlaces`)."""

    place: SourceSpan

    def span(self, index: int, field: str | None) -> SourceSpan:
        """Return the place of the pattern."""
        del index, field
        return self.place
