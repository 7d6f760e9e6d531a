"""
Which crashes are tried: all there are, or the same share of them every time.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from tests.crash.grounds import GROUNDS
from tests.crash.scenarios import SCENARIOS, Hopeless, settings_of
from tests.crash.strikes import Strike
from tests.crash.trials import Case

# What the service is unsure of changes few of the requests: of those a share.
SHARE_OF_SETTINGS = 12
# Of a sample: most ledgers lie in a directory, and there a crash is tried in a third of the time.
_GROUNDS = ("directory", "directory", "bucket", "directory", "directory", "postgres", "directory")


# Of one trial: one death, or one after the other.
Deaths: TypeAlias = tuple[Strike, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is asked for.

    Args:
        only: patterns of cases, `scenario/setting/ground/kept`, each with a strike behind `@` if it
            is to be a single one; none: everything
        thin: of the strikes under other settings, and of ledgers elsewhere than in a directory, every
            so-manieth; 1: all
        most: of one case; none: as many as there are
        twice: whoever runs again is killed as well, before somebody is let live
    """

    only: tuple[str, ...] = ()
    thin: int = SHARE_OF_SETTINGS
    most: int | None = None
    twice: bool = False

    def cases(self) -> list[Case]:
        """The cases that fit a pattern, in a fixed order."""
        return [case for case in every_case() if self._fits(case)]

    def _step(self, case: Case) -> float:
        """Of how many strikes one is tried."""
        plain, near = case.setting == "plain", case.ground == "directory"
        return 1.0 if plain and near else float(self.thin)

    def deaths(self, case: Case, every: Sequence[Strike]) -> list[Deaths]:
        """What is struck of one case; another share of each, so that together they are everywhere."""
        named = [one.partition("@")[2] for one in self.only if "@" in one and _matches(case, one)]
        if named:
            return [tuple(Strike.parse(one) for one in text.split("+")) for text in named]
        step = self._step(case)
        if self.most is not None:
            step = max(step, len(every) / self.most)
        first = _shuffled(str(case)) % round(step)
        places = (first + round(number * step) for number in range(len(every)))
        chosen = [place for place in places if place < len(every)]
        if not self.twice:
            return [(every[place],) for place in chosen]
        # The second time somewhere else, and each time somewhere else.
        others = (_shuffled(f"{case}@{place}") % len(every) for place in chosen)
        return [(every[place], every[other]) for place, other in zip(chosen, others, strict=True)]

    def _fits(self, case: Case) -> bool:
        if self.only:
            return any(_matches(case, pattern) for pattern in self.only)
        # What the service is unsure of has nothing to do with where the ledger lies.
        return self.thin == 1 or case.setting == "plain" or case.ground == "directory"


def _matches(case: Case, pattern: str) -> bool:
    wanted = pattern.partition("@")[0]
    return fnmatchcase(str(case), wanted) or fnmatchcase(str(case), f"{wanted}/*")


def every_case() -> Iterator[Case]:
    """Every scenario under every setting that concerns it, on every ground, ledger kept or lost."""
    for ground in GROUNDS:
        for name, scenario in SCENARIOS.items():
            for setting in settings_of(name):
                for lost in (False, True):
                    if not (lost and isinstance(scenario.lost, Hopeless)):
                        yield Case(name, setting, ground, lost)


def sample(cases: Iterable[Case], *, about: int) -> list[Case]:
    """
    So many cases, the same every time: of all scenarios and settings, with the ledger kept and lost.

    The first are of every kind, the others come in an order that has nothing to do with what they
    are; each under another setting than the one before it.
    """
    by_scenario: dict[str, list[Case]] = {}
    for case in cases:
        by_scenario.setdefault(case.scenario, []).append(case)
    names = _every_kind_first(sorted(by_scenario, key=_shuffled))
    used: Counter[str] = Counter()
    chosen: list[Case] = []
    while len(chosen) < about and any(by_scenario.values()):
        for name in names:
            left = by_scenario[name]
            if left and len(chosen) < about:
                number = len(chosen)
                ground = _GROUNDS[number % len(_GROUNDS)]
                case = _nearest(left, ground, plain=number % 2 == 1, used=used, lost=number % 4 > 1)
                used[case.setting] += 1
                chosen.append(case)
                left.remove(case)
    return chosen


def _every_kind_first(names: Sequence[str]) -> list[str]:
    """Return the names so that as few as possible at the front are of all kinds; what pays first."""
    pays = sorted(names, key=lambda name: not {"create", "run"} & {w for _, w in does(name)})
    kinds = {name: {kind for kind, _ in does(name)} for name in pays}
    left = set().union(*kinds.values())
    front: list[str] = []
    while left:
        front.append(max(pays, key=lambda name: len(kinds[name] & left)))
        left -= kinds[front[-1]]
    return [*front, *(name for name in names if name not in front)]


def does(name: str) -> tuple[tuple[str, str], ...]:
    """What the struck command of a scenario does: kinds, and what happens to each."""
    return SCENARIOS[name].does


def _nearest(
    cases: Sequence[Case], ground: str, *, plain: bool, used: Mapping[str, int], lost: bool
) -> Case:
    """Return one on this ground, under the plain settings or else those that were used least."""

    def likeness(case: Case) -> tuple[bool, bool, int, bool]:
        is_plain = case.setting == "plain"
        rare = 0 if is_plain else -used.get(case.setting, 0)
        return case.ground == ground, is_plain == plain, rare, case.lost == lost

    return max(cases, key=likeness)


def _shuffled(name: str) -> int:
    return zlib.crc32(name.encode())
