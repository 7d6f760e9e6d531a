"""
Patterns that find tiles among the names of files: which tile a file is part of, which band it holds, when it was sensed.

The groups are those of the service's own ingestion tool (`tile`, `year`, `month`, `day`, `hour`, `minute`,
`second`, `subsecond`), in its spelling `(?<name>...)`; beside them `band`, which marks what stands for the band,
and `date` and `time`, which take a date or a time in one piece. RE2 matches them, in a time that grows with the
length of a name alone, whatever the pattern: what it cannot do like this (backreferences, looking around) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from shplan.manifest.linear_regex import RegexError, compiled

TILE, BAND, DATE, TIME, YEAR = "tile", "band", "date", "time", "year"
_PARTS = ("month", "day", "hour", "minute", "second", "subsecond")
_TIMES = (DATE, TIME, YEAR, *_PARTS)
GROUPS = (TILE, BAND, DATE, TIME, YEAR, *_PARTS)
_LONGEST = 2000
_NAMED = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_DATE = re.compile(
    r"(\d{4})[-_/.]?(\d{2})(?:[-_/.]?(\d{2}))?"
    r"(?:[T_ -]?(\d{2})[:-]?(\d{2})(?:[:-]?(\d{2})(?:[.,](\d{1,9}))?)?)?Z?"
)
_DAY_OF_YEAR = re.compile(r"(\d{4})[-_/.]?(\d{3})")
_CLOCK = re.compile(r"(\d{2})[:-]?(\d{2})(?:[:-]?(\d{2})(?:[.,](\d{1,9}))?)?Z?")
_SEPARATORS = "_-. "
# Files of one acquisition, and acquisitions of one day, lie beside each other.
_REMEMBERED = 4096


class PatternError(ValueError):
    """
    A pattern that finds no tiles, or a name that it reads and no tile could have.

    Args:
        what: a sentence, without what it is about
        hint: what would be right
    """

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a pattern reads in the name of one file.

    Args:
        tile: up to the end of the group `tile`, the key of what belongs together
        path: of the tile, with `(BAND)` where the band stands
        band: what stands there
        sensed: as the API has it, empty where the pattern says nothing of time
    """

    tile: str
    path: str
    band: str
    sensed: str


class TilePattern:
    """
    A pattern, ready to be matched.

    Args:
        text: as the manifest has it

    Raises:
        PatternError: it is no pattern, or one that cannot find tiles
    """

    def __init__(self, text: str) -> None:
        self._groups = tuple(dict.fromkeys(_NAMED.findall(text)))
        _check_groups(text, self._groups)
        self._regex = _compiled(text)
        self._index: tuple[tuple[str, int], ...] = tuple(self._regex.groupindex.items())
        self._times = tuple(name for name, _ in self._index if name in _TIMES)
        self.tells_time = DATE in self._times or YEAR in self._times

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its groups, in its order."""
        return self._groups

    def find(self, key: str, *, start: int) -> Found | None:
        """
        Read the key of a file, None where the pattern does not match.

        Args:
            start: where the part begins that is looked at

        Raises:
            PatternError: it matches, and what it reads makes no tile
        """
        seen = key[start:]
        # Of bytes the places need not be counted again in letters.
        match = self._regex.search(seen.encode() if seen.isascii() else seen)
        if match is None:
            return None
        spans = {}
        for name, index in self._index:
            first, last = match.span(index)
            if first >= 0:
                spans[name] = (first + start, last + start)
        path, band = _band(key, spans)
        tile = key[: spans[TILE][1]] if TILE in spans else path
        if not self.tells_time:
            return Found(tile, path, band, "")
        texts = tuple((name, key[slice(*spans[name])]) for name in self._times if name in spans)
        return Found(tile, path, band, _sensed(texts))


def _check_groups(text: str, groups: tuple[str, ...]) -> None:
    if len(text) > _LONGEST:
        message = f"has {len(text):,} characters; at most {_LONGEST:,} are allowed."
        raise PatternError(message)
    if TILE not in groups and BAND not in groups:
        message = "has no group `tile`."
        hint = (
            "mark what files of one tile have in common, e.g. `(?<tile>.*)/(?<band>[^/]*)\\.tiff?$`"
        )
        why = "The group says which files belong to one tile, and where it lies."
        raise PatternError(message, why=why, hint=hint)
    stated = [name for name in (*_PARTS, TIME) if name in groups]
    if stated and YEAR not in groups and DATE not in groups:
        message = f"has the group `{stated[0]}` and no `year`."
        why = "A sensing time is read from `year` and what is finer, or from `date`."
        raise PatternError(message, why=why, hint="add a group `(?<year>[0-9]{4})`")


def _compiled(text: str) -> Any:
    try:
        return compiled(text)
    except RegexError as error:
        raise PatternError(error.what, why=error.why) from error


def _band(key: str, spans: dict[str, tuple[int, int]]) -> tuple[str, str]:
    """
    Return the path of the tile and the band.

    Without a group `band` it is what the other groups leave of the file's name: all of it, or what
    follows the last of them, up to the extension.
    """
    if "(BAND)" in key:
        message = "holds `(BAND)` itself."
        raise PatternError(message)
    if BAND in spans:
        first, last = spans[BAND]
    else:
        name = key.rfind("/") + 1
        dot = key.rfind(".")
        last = dot if dot > name else len(key)
        first = max([name, *(end for _, end in spans.values() if end > name)])
        while first > name and first < last and key[first] in _SEPARATORS:
            first += 1
    band = key[first:last]
    if not band or "/" in band:
        message = (
            "leaves nothing of its name for the band." if not band else "has a band with a slash."
        )
        raise PatternError(
            message,
            why="A tile has a file for each band, and its path has `(BAND)` in the band's place.",
            hint="mark the band, e.g. by `(?<band>B[0-9A]+)`",
        )
    return f"{key[:first]}(BAND){key[last:]}", band


# --- times ---------------------------------------------------------------------------------


@lru_cache(maxsize=_REMEMBERED)
def _sensed(found: tuple[tuple[str, str], ...]) -> str:
    texts = dict(found)
    if DATE in texts:
        numbers = _dated(texts[DATE])
    elif YEAR in texts:
        numbers = [_number(YEAR, texts)]
    else:
        message = "has no sensing time: the groups for it match nothing."
        raise PatternError(
            message, hint="let the groups match in every name, without `?` after them"
        )
    if TIME in texts:
        numbers = [*_filled(numbers[:3], [1, 1, 1]), *_clock(texts[TIME])]
    names = (YEAR, *_PARTS)
    fields = _filled(numbers, [1, 1, 1, 0, 0, 0, 0])
    for at, name in enumerate(names):
        if name in texts and not (name == YEAR and DATE in texts):
            fields[at] = _microseconds(texts[name]) if name == "subsecond" else _number(name, texts)
    try:
        moment = datetime(*fields[:6], fields[6], tzinfo=UTC)  # type: ignore[arg-type,misc]
    except (ValueError, OverflowError) as error:
        message = f"has no sensing time: {error}."
        raise PatternError(message) from error
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.year >= 1000 else ""
    if not text:
        message = f"has no sensing time: the year {moment.year}."
        raise PatternError(message)
    milliseconds = moment.microsecond // 1000
    return f"{text}.{milliseconds:03}Z" if milliseconds else f"{text}Z"


def _filled(numbers: list[int], least: list[int]) -> list[int]:
    return [*numbers, *least[len(numbers) :]]


def _number(name: str, texts: dict[str, str]) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", texts[name]):
        message = f"has no sensing time: `{name}` is `{texts[name][:20]}`."
        raise PatternError(message)
    return int(texts[name])


def _microseconds(text: str) -> int:
    """Read digits behind a point."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        message = f"has no sensing time: `subsecond` is `{text[:20]}`."
        raise PatternError(message)
    return int(text[:6].ljust(6, "0"))


def _dated(text: str) -> list[int]:
    """Read a date in one piece: 20250601, 2025-06-01T10:15:00Z, 202506, or 2025152, a day of a year."""
    found = _DAY_OF_YEAR.fullmatch(text)
    if found is not None and 1 <= int(found[2]) <= 366 and int(found[1]) > 0:
        day = datetime(int(found[1]), 1, 1, tzinfo=UTC) + timedelta(days=int(found[2]) - 1)
        return [day.year, day.month, day.day]
    whole = _DATE.fullmatch(text)
    if whole is None:
        message = f"has no sensing time: `date` is `{text[:40]}`."
        raise PatternError(
            message, hint="let it match e.g. `[0-9]{8}` or `[0-9]{4}-[0-9]{2}-[0-9]{2}`"
        )
    *numbers, fraction = whole.groups()
    # A month alone has no day to count on from.
    fields = _filled([int(one) for one in numbers if one is not None][:6], [1, 1, 1, 0, 0, 0])
    if numbers[2] is None and numbers[3] is not None:
        fields = [*fields[:2], 1, *fields[2:5]]
    return [*fields, _microseconds(fraction) if fraction else 0]


def _clock(text: str) -> list[int]:
    found = _CLOCK.fullmatch(text)
    if found is None:
        message = f"has no sensing time: `time` is `{text[:40]}`."
        raise PatternError(message, hint="let it match e.g. `[0-9]{6}`")
    hour, minute, second, fraction = found.groups()
    return [int(hour), int(minute), int(second or 0), _microseconds(fraction) if fraction else 0]
