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
        try:
            seen = _seen(rendering, text, reading, [] if reads is None else reads(facts))
        except ScriptError as error:
            return Look(facts, reading, None, error, has_version=stated)
    return Look(facts, reading, seen, has_version=stated)


def _variables(reading: Reading) -> Iterable[str]:
    """Return what a simple script may take for a band, where nobody says of which collection."""
    # What is put together at run time names bands that no text shows.
    return (*sorted(public_bands()), MASK) if reading.assembled else reading.undeclared


def _seen(
    rendering: Rendering, text: str, reading: Reading, known: Sequence[Collection | None]
) -> Seen:
    facts = rendering.facts
    days: Sequence[str] = DAYS
    seen = _watched(rendering, known, days, keyed_by="")
    if seen.unfed and len(named_days := days_of(text)) > len(DAYS):
        # It chose none of the scenes of any summer: it may be made for days that it names.
        days = named_days
        seen = _watched(rendering, known, days, keyed_by="")
    name = ""
    if len(facts.inputs) == 1 and seen.failed == seen.pixels:
        # A request with several collections keys its samples, by names that only the request says.
        named = next(iter(seen.sources[0].strays), "")
        keyed = _watched(rendering, known, days, keyed_by=named)
        if keyed.failed < seen.failed and not keyed.sources[0].list_strays:
            seen, name = keyed, named
    wrong = amiss(Look(facts, reading, seen))
    if wrong and any(one.mosaicking != "SIMPLE" for one in facts.inputs):
        more = sorted({*days_of(text), *MANY_DAYS}, reverse=True)
        seen, days, wrong = _better(
            rendering, reading, known, more, keyed_by=name, unit="", than=(seen, days, wrong)
        )
    for unit in _OF_ONES_OWN:
        if wrong:
            seen, days, wrong = _better(
                rendering, reading, known, days, keyed_by=name, unit=unit, than=(seen, days, wrong)
            )
    return seen


def _better(
    rendering: Rendering,
    reading: Reading,
    known: Sequence[Collection | None],
    days: Sequence[str],
    *,
    keyed_by: str,
    unit: str,
    than: tuple[Seen, Sequence[str], int],
) -> tuple[Seen, Sequence[str], int]:
    """Return what is seen on other scenes or values, their days, and how much is wrong: if that is less."""
    try:
        seen = _watched(rendering, known, days, keyed_by=keyed_by, unit=unit)
    except ScriptError:
        return than
    wrong = amiss(Look(rendering.facts, reading, seen))
    return (seen, days, wrong) if wrong < than[-1] else than


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
    since, until = span_of(days)
    samples = [
        samples_of(one, max(len(told), 1), collection, number=number, unit=unit)
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
