"""
Members of a set from elsewhere: the forms of `from`, each with its reader, and where its rows stand.

A bucket is no file: what was found in it is handed in (`Listings`), and what is not there yet is asked for. So
loading stays a pure function, and is called again with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.value import Object, Path, Value
from shplan.manifest.geodata import sentence
from shplan.manifest.members import RowPlaces, Rows, no_rows, read_csv, read_features
from shplan.manifest.members_bucket import (
    BucketPlaces,
    Listing,
    check_pattern,
    check_prefix,
    read_listing,
)
from shplan.manifest.members_parquet import read_parquet
from shplan.manifest.origin import MemberPlaces, Origin
from shplan.manifest.source import FileError, Files
from shplan.providers.tile_homes import home_of

BUCKET = "bucket"
# What another manifest states at a path of its document.
Stated = Callable[[Address, Path], Value]


@dataclass(slots=True)
class Listings:
    """
    What sets ask of buckets.

    Args:
        found: answers, by bucket and prefix
        asked: questions of this load, with the place that asks
    """

    found: Mapping[tuple[str, str], Listing] = field(default_factory=dict)
    asked: dict[tuple[str, str], SourceSpan] = field(default_factory=dict)

    @property
    def missing(self) -> dict[tuple[str, str], SourceSpan]:
        """Questions without an answer."""
        return {one: span for one, span in self.asked.items() if one not in self.found}


@dataclass(frozen=True, slots=True)
class Table:
    """
    Rows, and what is wrong with them.

    Args:
        places: of rows, None where nothing could be read
    """

    rows: Rows
    diagnostics: tuple[Diagnostic, ...]
    places: MemberPlaces | None = None


class MemberTables:
    """
    Reads what `from` names.

    Args:
        files: of the project
        listings: of buckets
        stated: finds what other manifests state
    """

    def __init__(self, files: Files, listings: Listings, *, stated: Stated) -> None:
        self._files = files
        self._stated = stated
        self.listings = listings

    def read(
        self, table: Object, spec: Object, *, origin: Origin, directory: str, address: Address
    ) -> Table:
        """
        Read the members of one set.

        Args:
            table: the value of `from`, with one member
            spec: of the set, evaluated
            origin: of its manifest
            directory: of its manifest, relative to the project
        """
        form, named = next(iter(table.items()))
        if form == BUCKET:
            return self._bucket(cast(Object, named), spec, origin, address)
        place = origin.span(("spec", "from", form))
        if not isinstance(named, str):
            what = f"the file of {address} is not known while planning."
            return _refused("table", "Table cannot be used", what, _NOT_KNOWN, place, address)
        return self._file(form, named, place, directory, address)

    def _file(
        self, form: str, named: str, place: SourceSpan, directory: str, address: Address
    ) -> Table:
        try:
            path = self._files.locate(named, base=self._files.root / directory)
            file = self._files.relative(path)
            if form == "csv":
                rows, problems = read_csv(self._files.blocks(path), file=file)
            elif form == "parquet":
                rows, problems = read_parquet(self._files.read(path), file=file)
            else:
                rows, problems = read_features(self._files.read(path), file=file)
        except FileError as error:
            what = f"{named} {sentence(error)}"
            why = f"Paths are relative to the manifest's directory, {directory}/."
            return _refused("file", "File cannot be used", what, why, place, address)
        return Table(rows, tuple(problems), RowPlaces(file, rows))

    def _bucket(self, stated: Object, spec: Object, origin: Origin, address: Address) -> Table:
        path = ("spec", "from", BUCKET)
        place = origin.span((*path, "pattern"))
        pattern, prefix = stated.get("pattern"), stated.get("prefix", "")
        if not isinstance(pattern, str) or not isinstance(prefix, str):
            what = f"prefix and pattern of {address} are not known while planning."
            return _refused("bucket", "Bucket cannot be listed", what, _NOT_KNOWN, place, address)
        problems = check_pattern(pattern, span=place, address=str(address))
        begins = origin.span((*path, "prefix"))
        problems += check_prefix(prefix, span=begins, address=str(address))
        bucket = self._bucket_of(stated, spec)
        if not bucket:
            at = origin.span(("spec", "collection"))
            problems.append(_no_bucket(at, address))
        if any(one.severity.value == "error" for one in problems):
            return Table(no_rows(), tuple(problems))
        self.listings.asked.setdefault((bucket, prefix), origin.span(path))
        listing = self.listings.found.get((bucket, prefix))
        if listing is None:
            return Table(no_rows(), tuple(problems))
        rows, wrong = read_listing(listing, pattern, span=place, address=str(address))
        return Table(rows, (*problems, *wrong), BucketPlaces(place))

    def _bucket_of(self, stated: Object, spec: Object) -> str:
        named = stated.get("s3Bucket")
        if named is None:
            home = home_of(spec)
            named = None if home is None else self._stated(home, ("spec", "s3Bucket"))
        # `PROJECT:bucket` is how CDSE tells buckets of one name apart; a request names the bucket.
        return named.rpartition(":")[2] if isinstance(named, str) else ""


_NOT_KNOWN = "Members must be known to plan them."


def _refused(
    code: str, summary: str, what: str, why: str, place: SourceSpan, address: Address
) -> Table:
    problem = Diagnostic(f"manifest/{code}", summary, what, why, span=place, address=str(address))
    return Table(no_rows(), (problem,))


def _no_bucket(place: SourceSpan, address: Address) -> Diagnostic:
    return Diagnostic(
        "manifest/bucket",
        "Bucket not known",
        f"no manifest says which bucket the files of {address} lie in.",
        "The collection is named by its id, or its `s3Bucket` is known only to the server.",
        "add `s3Bucket: NAME` below `bucket`",
        place,
        str(address),
    )
