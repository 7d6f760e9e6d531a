"""
The name that was probably meant: the one with the fewest letters to change, an unfinished one, or a similar one.

Letter case and separators weigh nothing. Two letters that changed places are one mistake: R. A. Wagner and R. Lowrance,
"An Extension of the String-to-String Correction Problem", 1975, in the form that touches no letter twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_LETTERS_A_MISTAKE: Final = 4
# The comparison takes the square of a length, and there may be one for each name of a document.
_LONGEST: Final = 60
_SHORTEST_PART: Final = 3
# Of a name that is no longer, a number is what tells it from others: `B10` is no slip of `B11`, and `B4` one of `B04`.
_NUMBERED: Final = 4
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_NUMBER = re.compile(r"\d+")


def nearest(name: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """
    Return the candidate that was probably meant, None where none is like it.

    Args:
        cutoff: how alike a candidate must be, of 1, that is neither a few letters away nor unfinished
    """
    known: dict[str, str] = {}
    for candidate in sorted(candidates):
        known.setdefault(folded(candidate), candidate)
    wanted = folded(name)
    if wanted in known:
        return known[wanted]
    likely = [one for one in known if _has_its_number(wanted, one)]
    found = _few_letters_away(wanted, likely) or _unfinished(wanted, likely)
    if found is None:
        import difflib  # noqa: PLC0415 - only who mistypes pays for it

        close = difflib.get_close_matches(wanted, likely, n=1, cutoff=cutoff)
        found = close[0] if close else None
    return None if found is None else known[found]


def folded(name: str) -> str:
    """Return a name without what weighs nothing in a comparison."""
    return "".join(one for one in name.lower() if one not in "-_ .")


def _has_its_number(wanted: str, candidate: str) -> bool:
    if max(len(wanted), len(candidate)) > _NUMBERED or wanted.isdigit():
        return True
    numbers = ([int(part) for part in _NUMBER.findall(one)] for one in (wanted, candidate))
    return next(numbers) == next(numbers)


def _few_letters_away(wanted: str, known: Iterable[str]) -> str | None:
    if not wanted or len(wanted) > _LONGEST:
        return None
    letters, plain = Counter(wanted), _ZEROS.sub("", wanted)
    ranked = []
    for candidate in known:
        most = max(1, max(len(wanted), len(candidate)) // _LETTERS_A_MISTAKE)
        if abs(len(candidate) - len(wanted)) > most:
            continue
        # What one has more of than the other is at least a mistake each.
        other = Counter(candidate)
        if max((letters - other).total(), (other - letters).total()) > most:
            continue
        mistakes = distance(wanted, candidate)
        if mistakes <= most and mistakes < len(candidate):
            padded = plain != _ZEROS.sub("", candidate)
            alike = _alike_at_first(wanted, candidate)
            ranked.append((mistakes, padded, -alike, _apart(wanted, candidate), candidate))
    return min(ranked)[-1] if ranked else None


def _unfinished(wanted: str, known: Iterable[str]) -> str | None:
    """Return the only one that begins or ends with the name, or that the name begins or ends with."""
    if len(wanted) < _SHORTEST_PART:
        return None
    for goes_on in (
        lambda one: one.startswith(wanted),
        lambda one: len(one) >= _SHORTEST_PART and wanted.startswith(one),
        lambda one: one.endswith(wanted),
        lambda one: len(one) >= _SHORTEST_PART and wanted.endswith(one),
    ):
        fitting = [one for one in known if goes_on(one)]
        if len(fitting) == 1:
            return fitting[0]
    return None


def _apart(wanted: str, candidate: str) -> int:
    """Return how far apart two numbers are, years say; 0 for names."""
    is_number = wanted.isdecimal() and candidate.isdecimal()
    return abs(int(wanted) - int(candidate)) if is_number else 0


def _alike_at_first(one: str, other: str) -> int:
    count = 0
    for letter, its in zip(one, other, strict=False):
        if letter != its:
            break
        count += 1
    return count


def distance(one: str, other: str) -> int:
    """Return how many letters were left out, added, exchanged, or have changed places with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        older, before = before, row
        row = [index]
        for at, its in enumerate(other, 1):
            cost = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (letter != its))
            turned = index > 1 and at > 1 and letter == other[at - 2] and one[index - 2] == its
            row.append(min(cost, older[at - 2] + 1) if turned else cost)
    return row[-1]
