"""
Looks at one evalscript from all sides: its facts, its text, and what it does with made-up pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.manifest.script_meaning import Look
from shplan.manifest.script_values import SINCE, UNTIL, samples_of, scenes_of
from shplan.script import ScriptError
from shplan.script.probing import watch
from shplan.script.reading import read
from shplan.script.source import version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shplan.script import ScriptFacts, Worker
    from shplan.script.probing import Seen
    from shplan.script.rendering import Json, Rendering

# Source: documentation, "inputMetadata": what Sentinel-2 has.
_METADATA: Mapping[str, Json] = {"serviceVersion": "1.0.0", "normalizationFactor": 0.0001}


def look(worker: Worker, text: str, *, bands: Iterable[str] = ()) -> Look:
    """
    Look at a script.

    Args:
        worker: in which it is run
        bands: what counts as a variable in a simple script; unless said, what it does not declare

    Raises:
        ScriptError: the script cannot be used at all
    """
    stated = version_of(text) is not None
    reading = read(text)
    with worker.begin(text, bands=bands or reading.undeclared) as rendering:
        facts = rendering.facts
        try:
            seen = _seen(rendering, facts)
        except ScriptError as error:
            return Look(facts, reading, None, error, has_version=stated)
    return Look(facts, reading, seen, has_version=stated)


def _seen(rendering: Rendering, facts: ScriptFacts) -> Seen:
    seen = _watched(rendering, facts, keyed_by="")
    if len(facts.inputs) == 1 and seen.failed == seen.pixels:
        # A request with several collections keys its samples, by names that only the request says.
        named = next(iter(seen.sources[0].strays), "")
        keyed = _watched(rendering, facts, keyed_by=named)
        fits = keyed.failed < seen.failed and not keyed.sources[0].list_strays
        return keyed if fits else seen
    return seen


def _watched(rendering: Rendering, facts: ScriptFacts, *, keyed_by: str) -> Seen:
    scenes = [scenes_of(one.mosaicking) for one in facts.inputs]
    samples = [
        samples_of(one, max(len(told), 1), None)
        for one, told in zip(facts.inputs, scenes, strict=True)
    ]
    return watch(
        rendering,
        samples,
        scenes=scenes,
        keyed_by=keyed_by,
        since=SINCE,
        until=UNTIL,
        input_metadata=_METADATA,
    )
