"""
Tests of evalscripts: what a case gives a script and expects of it, and how it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from shplan.core.diagnostic import SourceSpan
from shplan.core.value import JsonObject, JsonValue, Path

# A number, a row of them, or rows; None is no number (NaN).
Numbers: TypeAlias = "None | bool | int | float | list[Numbers]"
DEFAULT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class CaseScene:
    """
    One sample of each pixel.

    Args:
        bands: the values of each, of one pixel, of a row or of an image
        day: `2025-06-01`, or an instant; empty where the file says none
        told: what else the script is told of the scene
    """

    bands: Mapping[str, Numbers]
    day: str = ""
    told: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseImage:
    """
    A file whose bands are the input.

    Args:
        file: as the test file names it
        bands: the band of the script, and its number in the file, from 1
        scale: what the numbers of the file are multiplied by
    """

    file: str
    bands: Mapping[str, int]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """
    One test.

    Args:
        path: where it stands in the test file, from its root
        sources: scenes by source, in order; a single one has the key ""
        image: in the place of these
        expected: by output; the key "" is the only output, or `default`
        user_data: what the script leaves in `outputMetadata.userData`, where `has_user_data`
        golden: image files that outputs are to equal, by output as in `expected`
        fails: words of the error that is expected; None where none is
        tolerance: how far a number may be off
        since, until: of what was asked for, instants or None
    """

    name: str
    path: Path
    sources: Mapping[str, tuple[CaseScene, ...]] = field(default_factory=dict)
    image: CaseImage | None = None
    expected: Mapping[str, Numbers] = field(default_factory=dict)
    user_data: JsonValue = None
    has_user_data: bool = False
    golden: Mapping[str, str] = field(default_factory=dict)
    fails: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """
    One test file.

    Args:
        file: path as it was given, for messages
        script: path of the script, relative to the test file
    """

    file: str
    script: str
    cases: tuple[Case, ...]


class Ending(Enum):
    """How a test went; `UPDATED`: its golden was written anew."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one case went.

    Args:
        messages: what is wrong, the first differences of many
        span: where the test file says what was expected
        script_span: where the script failed
    """

    name: str
    ending: Ending
    messages: tuple[str, ...] = ()
    span: SourceSpan | None = None
    script_span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """
    Which lines of a script ran in any of its tests.

    Args:
        lines: that hold a statement, in order
        missed: those that never ran
    """

    script: str
    lines: tuple[int, ...]
    missed: tuple[int, ...]

    @property
    def percent(self) -> float:
        """The share of lines that ran."""
        return 100.0 * (1 - len(self.missed) / len(self.lines)) if self.lines else 100.0


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """How the tests of one file went; `covered` is None where lines cannot be told."""

    file: str
    outcomes: tuple[Outcome, ...]
    covered: Covered | None = None
