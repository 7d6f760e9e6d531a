"""Tiles from the names of files in a bucket, by patterns as the service's own ingestion tool has them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.diagnostic import Severity, SourceSpan
from shplan.manifest.bucket_pattern import PatternError, TilePattern
from shplan.manifest.members_bucket import Listing, check_pattern, read_listing
from tests.support.bounded import bounded

SPAN = SourceSpan("manifests/fields.yaml", 7, 1, 2)
DATED = r"(?<tile>.*)/(?<band>B[0-9A]+)_(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})\.tif"
# The tool's own default and example.
FOLDERS = r"(.*[\/|\\])*(?<tile>.*)[\/|\\].*\.(?i)(tif|tiff|jp2)"
EXAMPLE = (
    r"(?<tile>.*)\/.*(?<year>[0-9]{4})(?<month>[0-9]{2})(?<day>[0-9]{2})"
    r"T(?<hour>[0-9]{2})(?<minute>[0-9]{2})(?<second>[0-9]{2}).*.tif"
)


def rows(
    keys: list[str], pattern: str, prefix: str = ""
) -> tuple[list[tuple[str, str | None]], list[str]]:
    listing = Listing("fields", prefix, tuple(sorted(keys)))
    found, problems = read_listing(listing, pattern, span=SPAN, address="ByocTiles/fields")
    tiles = [(str(one["path"]), one.get("sensingTime")) for one in found]
    return tiles, [f"{one.severity.value}: {one.summary}" for one in problems]  # type: ignore[return-value]


def test_a_band_is_replaced_and_a_time_is_read() -> None:
    keys = [f"a/{band}_20250{month}01.tif" for band in ("B04", "B08") for month in (6, 7)]
    assert rows(keys, DATED) == (
        [
            ("a/(BAND)_20250601.tif", "2025-06-01T00:00:00Z"),
            ("a/(BAND)_20250701.tif", "2025-07-01T00:00:00Z"),
        ],
        [],
    )


def test_patterns_of_the_ingestion_tool() -> None:
    keys = ["x/a/B04.TIF", "x/a/B08.TIF", "x/b/B04.TIF", "x/b/B08.TIF"]
    assert rows(keys, FOLDERS)[0] == [("x/a/(BAND).TIF", None), ("x/b/(BAND).TIF", None)]
    keys = [f"t1/S2_20250601T101500_{band}.tif" for band in ("B04", "B08")]
    assert rows(keys, EXAMPLE) == (
        [("t1/S2_20250601T101500_(BAND).tif", "2025-06-01T10:15:00Z")],
        [],
    )


def test_a_pattern_sees_what_is_behind_the_prefix_or_all_of_a_key() -> None:
    keys = ["2025/a/B04.tif"]
    expected = [("2025/a/(BAND).tif", None)]
    assert rows(keys, r"^(?<tile>[a-z])/.*\.tif$", "2025/")[0] == expected
    assert rows(keys, r"^(?<tile>[a-z])/.*\.tif$", "2025")[0] == expected
    assert rows(keys, r"^2025/(?<tile>[a-z])/.*\.tif$", "2025/")[0] == expected


@pytest.mark.parametrize(
    ("date", "sensed"),
    [
        ("20250601", "2025-06-01T00:00:00Z"),
        ("2025-06-01", "2025-06-01T00:00:00Z"),
        ("2025_06_01", "2025-06-01T00:00:00Z"),
        ("202506", "2025-06-01T00:00:00Z"),
        ("2025152", "2025-06-01T00:00:00Z"),
        ("20250601T101530", "2025-06-01T10:15:30Z"),
        ("2025-06-01T10:15:30.123Z", "2025-06-01T10:15:30.123Z"),
        ("20250601_1015", "2025-06-01T10:15:00Z"),
    ],
)
def test_a_date_in_one_piece(date: str, sensed: str) -> None:
    pattern = r"(?<tile>(?<date>[^/]*))/(?<band>\w+)\.tif"
    assert rows([f"{date}/B04.tif"], pattern)[0] == [(f"{date}/(BAND).tif", sensed)]


def test_a_time_beside_a_date_and_parts_of_a_second() -> None:
    pattern = r"(?<tile>(?<date>\d{8})-(?<time>\d{6}))/.*"
    assert rows(["20250601-101530/B.tif"], pattern)[0][0][1] == "2025-06-01T10:15:30Z"
    pattern = r"(?<tile>(?<year>\d{4})\.(?<subsecond>\d+))/.*"
    assert rows(["2025.25/B.tif"], pattern)[0][0][1] == "2025-01-01T00:00:00.250Z"


@pytest.mark.parametrize(
    ("keys", "pattern", "problem"),
    [
        ([], DATED, "error: Nothing in the bucket"),
        (["a/readme.txt"], DATED, "error: Pattern matches nothing"),
        (["a/B04_20250601.tif", "a/x.xml"], DATED, "warning: Files without a tile"),
        (["a/B04_20251301.tif"], DATED, "error: Name makes no tile"),
        (["a/B04_20250230.tif"], DATED, "error: Name makes no tile"),
        (
            ["a/B04_20250601.tif", "a/B08_20250601.tif", "b/B04_20250601.tif"],
            DATED,
            "error: Different files in tiles",
        ),
        (["a/B04.tif", "a/B08.TIF"], FOLDERS, "error: Files of a tile at several paths"),
        (["a/B04.tif", "b/B04.TIFF"], r"(?<tile>.*)\.(?i)tiff?", "error: Name makes no tile"),
        (["a/B04.tif"], r"(?<tile>a)/(?<year>\d{4})?.*", "error: Name makes no tile"),
        (["a/(BAND).tif"], r"(?<tile>.*)/.*", "error: Name makes no tile"),
    ],
)
def test_what_makes_no_tiles(keys: list[str], pattern: str, problem: str) -> None:
    assert problem in rows(keys, pattern)[1]


def test_files_that_do_not_match_are_counted_and_shown() -> None:
    keys = ("a/B04_20250601.tif", "a/b.xml", "a/c.xml", "a/d.xml", "a/e.xml")
    _, (one,) = read_listing(
        Listing("fields", "", keys), DATED, span=SPAN, address="ByocTiles/fields"
    )
    assert one.severity is Severity.WARNING
    assert one.what == (
        "4 of the 5 objects of s3://fields/ do not match the pattern of ByocTiles/fields:"
        " a/b.xml, a/c.xml, a/d.xml and 1 more."
    )


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(.*)", "has no group `tile`."),
        ("(?<tile>.*", "is no regular expression: missing ): "),
        (r"(?<tile>.*)(?<month>\d\d)", "has the group `month` and no `year`."),
        (r"(?<tile>.*)(?=x)", "is no regular expression: invalid perl operator: "),
        (r"(?<tile>.*)/\1", "is no regular expression: invalid escape sequence: "),
        ("(?<tile>" + "a" * 3000 + ")", "has 3,009 characters; at most 2,000 are allowed."),
        ("(?<tile>((a{900}){900}){900})", "is no regular expression: "),
    ],
)
def test_patterns_that_cannot_be_used(pattern: str, told: str) -> None:
    (one,) = check_pattern(pattern, span=SPAN, address="ByocTiles/fields")
    assert one.what.startswith(f"the pattern of ByocTiles/fields {told}")


def test_a_misspelt_group_is_told() -> None:
    (one,) = check_pattern(r"(?<tile>.*)(?<bnd>B\d)", span=SPAN, address="ByocTiles/fields")
    assert (one.severity, one.hint) == (Severity.WARNING, "did you mean `band`?")


@pytest.mark.parametrize(
    "pattern",
    [
        "(?<tile>(a+)+)!",
        "(?<tile>(a|a)*)b",
        "(?<tile>(.*)*)x(.*)*y(.*)*z",
        "(?<tile>(a?){60}a{60})/",
        r"(?<tile>(\w+\s?)*)!$",
    ],
)
def test_a_pattern_that_would_take_for_ever_does_not(pattern: str) -> None:
    """Each of these takes `re` longer than anybody lives."""
    with bounded(pattern):
        pattern_ = TilePattern(pattern)
        assert pattern_.find("a" * 1000, start=0) is None


def test_thirty_thousand_names_take_no_time() -> None:
    keys = tuple(f"a/{day:06}/B04_20250601.tif" for day in range(30_000))
    with bounded("a listing of 30,000 files"):
        found, problems = read_listing(
            Listing("fields", "", keys), DATED, span=SPAN, address="ByocTiles/fields"
        )
    assert (len(found), problems) == (30_000, [])


MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001
    lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000, tzinfo=UTC)
)
NAMES = st.text("abcXYZ019-", min_size=1, max_size=12)


@given(tile=NAMES, band=NAMES, moment=MOMENTS)
def test_what_a_name_says_is_read_back(tile: str, band: str, moment: datetime) -> None:
    """A file that is named by a rule is found by the pattern of that rule."""
    stamp = f"{moment:%Y%m%dT%H%M%S}{moment.microsecond:06}"
    pattern = (
        r"(?<tile>[^/]+/(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)T(?<hour>\d\d)(?<minute>\d\d)"
        r"(?<second>\d\d)(?<subsecond>\d{6}))_(?<band>[^/]+)\.tif"
    )
    found = TilePattern(pattern).find(f"{tile}/{stamp}_{band}.tif", start=0)
    assert found is not None
    assert (found.path, found.band) == (f"{tile}/{stamp}_(BAND).tif", band)
    assert datetime.fromisoformat(found.sensed) == moment


@given(st.text(max_size=60), st.text("ab/._B0123456789T", max_size=40))
def test_any_pattern_and_any_name_end(pattern: str, key: str) -> None:
    try:
        found = TilePattern(pattern).find(key, start=0)
    except PatternError:
        return
    assert found is None or "(BAND)" in found.path
