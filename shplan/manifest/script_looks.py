"""
Looks at one evalscript from all sides: its facts, its text, and what it does with made-up pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.manifest.collections import MASK
from shplan.manifest.script_meaning import amiss
from shplan.manifest.script_remarks import Look
from shplan.manifest.script_values import (
    BYTES,
    DAYS,
    MANY_DAYS,
    days_of,
    public_bands,
    samples_of,
    scenes_of,
    span_of,
)
from shplan.script import ScriptError
from shplan.script.probing import watch
from shplan.script.reading import read
from shplan.script.source import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shplan.manifest.collections import Collection
    from shplan.script import ScriptFacts, Worker
    from shplan.script.probing import Seen
    from shplan.script.reading import Reading
    from shplan.script.rendering import Json, Rendering

# Source: documentation, "inputMetadata": what Sentinel-2 has.
_METADATA: Mapping[str, Json] = {"serviceVersion": "1.0.0", "normalizationFactor": 0.0001}
# Bands of one's own are digital numbers, percents, degrees and metres, or classes and shares in bytes, as often as
# fractions.
_OF_ONES_OWN = ("DN", "PERCENT", BYTES)


def look(
    worker: Worker,
    text: str,
    *,
    bands: Iterable[str] = (),
    reads: Callable[[ScriptFacts], Sequence[Collection | None]] | None = None,
) -> Look:
    """
    Look at a script.

    Args:
        worker: in which it is run
        bands: what counts as a variable in a simple script; unless said, what it does not declare,
            or any public band where it puts its text together at run time
        reads: tells what each input reads, for who knows; what its bands hold is made up after that

    Raises:
        ScriptError: the script cannot be used at all
    """
    stated = version_of(text) is not None
    reading = read(text)
    with worker.begin(text, bands=bands or _variables(reading)) as rendering:
        facts = rendering.facts
        looks = _Looks(rendering, reading, [] if reads is None else reads(facts))
        try:
            looks.take(text)
        except ScriptError as error:
            return Look(facts, reading, None, error, has_version=stated)
        barren = looks.barren()
    return Look(
        facts,
        reading,
        looks.seen,
        has_version=stated,
        counting=looks.counting(),
        barren=barren,
    )


def _variables(reading: Reading) -> Iterable[str]:
    """Return what a simple script may take for a band, where nobody says of which collection."""
    # What is put together at run time names bands that no text shows.
    return (*sorted(public_bands()), MASK) if reading.assembled else reading.undeclared


class _Looks:
    """
    Looks at one script, on other scenes and values as long as something is wrong with it.

    Args:
        known: what each input reads, where somebody knows

    Attributes:
        seen: what was seen where least was wrong
    """

    def __init__(
        self, rendering: Rendering, reading: Reading, known: Sequence[Collection | None]
    ) -> None:
        self._rendering = rendering
        self._reading = reading
        self._known = known
        self._days: Sequence[str] = DAYS
        self._wrong = 0
        self._keyed_by = ""
        # Of each output, the longest list by the number of scenes.
        self._longest: dict[str, dict[int, int]] = {}
        self.seen: Seen | None = None

    def take(self, text: str) -> None:
        """
        Look until nothing is wrong, or nothing else is left to be tried.

        Raises:
            ScriptError: it failed before any pixel
        """
        seen = self._watched(DAYS)
        named_days = days_of(text)
        if seen.unfed and len(named_days) > len(DAYS):
            # It chose none of the scenes of any summer: it may be made for days that it names.
            self._days = named_days
            seen = self._watched(named_days)
        facts = self._rendering.facts
        if len(facts.inputs) == 1 and seen.failed == seen.pixels:
            seen = self._keyed(seen)
        self.seen, self._wrong = seen, self._amiss(seen)
        if self._wrong and any(one.mosaicking != "SIMPLE" for one in facts.inputs):
            self._try(sorted({*named_days, *MANY_DAYS}, reverse=True))
        for unit in _OF_ONES_OWN:
            if self._wrong:
                self._try(self._days, unit=unit)

    def counting(self) -> frozenset[str]:
        """Return the outputs whose lists were longer, or shorter, with other numbers of scenes."""
        return frozenset(
            name for name, found in self._longest.items() if len(set(found.values())) > 1
        )

    def barren(self) -> ScriptError | None:
        """Return what it throws where there is no scene at all, if it throws nothing elsewhere."""
        inputs = self._rendering.facts.inputs
        if self.seen is None or self.seen.failed or self.seen.unfed or self._keyed_by:
            return None
        if len(inputs) > 1 or inputs[0].mosaicking == "SIMPLE":
            return None
        try:
            return _watched(self._rendering, self._known, (), keyed_by="").first
        except ScriptError as error:
            return error

    def _keyed(self, seen: Seen) -> Seen:
        """Look once more, with samples as a request with several collections keys them."""
        # By names that only the request says.
        named = next(iter(seen.sources[0].strays), "")
        keyed = self._watched(self._days, keyed_by=named)
        if keyed.failed < seen.failed and not keyed.sources[0].list_strays:
            self._keyed_by = named
            return keyed
        return seen

    def _try(self, days: Sequence[str], *, unit: str = "") -> None:
        """Look at other scenes or values, and keep that if less is wrong."""
        try:
            seen = self._watched(days, keyed_by=self._keyed_by, unit=unit)
        except ScriptError:
            return
        wrong = self._amiss(seen)
        if wrong < self._wrong:
            self.seen, self._days, self._wrong = seen, days, wrong

    def _amiss(self, seen: Seen) -> int:
        return amiss(Look(self._rendering.facts, self._reading, seen))

    def _watched(self, days: Sequence[str], *, keyed_by: str = "", unit: str = "") -> Seen:
        seen = _watched(self._rendering, self._known, days, keyed_by=keyed_by, unit=unit)
        for one in seen.outputs:
            if one.lengths:
                self._longest.setdefault(one.facts.id, {})[len(days)] = max(one.lengths)
        return seen


def _watched(
    rendering: Rendering,
    known: Sequence[Collection | None],
    days: Sequence[str],
    *,
    keyed_by: str,
    unit: str = "",
) -> Seen:
    facts = rendering.facts
    scenes = [scenes_of(one.mosaicking, days) for one in facts.inputs]
    since, until = span_of(days or DAYS)
    samples = [
        samples_of(one, _count(one.mosaicking, told), collection, number=number, unit=unit)
        for number, (one, told, collection) in enumerate(
            zip(facts.inputs, scenes, known or [None] * len(scenes), strict=True)
        )
    ]
    return watch(
        rendering,
        samples,
        scenes=scenes,
        keyed_by=keyed_by,
        since=since,
        until=until,
        input_metadata=_METADATA,
    )


def _count(mosaicking: str, told: Sequence[object]) -> int:
    return 1 if mosaicking == "SIMPLE" else len(told)
