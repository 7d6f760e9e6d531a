"""
A script on a few made-up pixels, under observation: what it reads, and what it returns.

What is seen is true of these pixels; what is not seen may still happen on others. So who judges by it says for sure
only what was seen. The values are the caller's, because only who knows the imagery knows what is plausible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.script.errors import Fault, ScriptError
from shplan.script.facts import OutputFacts
from shplan.script.rendering import Collection, Json, Place, Rendering
from shplan.script.wire import Message

# Source: Evalscript V3, "sampleType": what each can hold.
RANGES: Mapping[str, tuple[float, float]] = {
    "AUTO": (0, 1),
    "INT8": (-128, 127),
    "UINT8": (0, 255),
    "INT16": (-32768, 32767),
    "UINT16": (0, 65535),
}
_ANY = (-1.7976931348623157e308, 1.7976931348623157e308)
_SIMPLE_BANDS = 1 << 20


@dataclass(frozen=True, slots=True)
class Samples:
    """
    What one input gives.

    Args:
        bands: names, each once
        pixels: for each pixel, for each scene, the value of each band; None for no number
    """

    bands: tuple[str, ...]
    pixels: Sequence[Sequence[Sequence[float | None]]]


@dataclass(frozen=True, slots=True)
class Source:
    """
    What was read of one input.

    Args:
        reads: bands that were read
        walked: somebody listed the members of a sample, and so may have read all of them
        strays: members of a sample that there are not, and where they were read first
        list_strays: members of the list of samples that there are not
        unfed: scenes were told of, and the script chose none of them
    """

    reads: frozenset[str]
    walked: bool
    strays: Mapping[str, Place]
    list_strays: Mapping[str, Place]
    unfed: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """
    What came back for one output, in numbers of pixels.

    Args:
        missing: the object that was returned has no such member
        nothing: it was undefined or null
        bare: a number that is in no list
        odd: neither a number nor a list
        lengths: pixels by the length of their list
        values: finite numbers
        outside: of these, the ones that the sample type cannot hold
        fractions: of all values, where most are some, else of the band within -1 and 1 that has most of them: the ones
            between -1 and 1 that are not 0
        of_band: the finite numbers of all bands, or else of that one
        not_finite: NaN and infinities
        odd_values: members of lists that are no numbers, nor a list of one
        odd_kind: what the first of them is: `text`, `list` or `object`; empty where there is none
        lacking: members of lists that are undefined or null
    """

    facts: OutputFacts
    missing: int
    nothing: int
    bare: int
    odd: int
    lengths: Mapping[int, int]
    values: int
    outside: int
    fractions: int
    not_finite: int
    odd_values: int
    of_band: int = 0
    odd_kind: str = ""
    lacking: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What was seen.

    Args:
        pixels: how many were tried
        empty: pixels for which nothing was returned at all
        failed: pixels at which the script threw
        first: what it threw first
        stray_ids: members of what was returned that are no outputs
        stray_sources: members of the samples that are no input, where there are several
        keyed: a single input stood below a name, as where a request has several
    """

    pixels: int
    sources: tuple[Source, ...]
    outputs: tuple[Returned, ...]
    empty: int
    failed: int
    first: ScriptError | None
    stray_ids: tuple[str, ...]
    stray_sources: Mapping[str, Place] = field(default_factory=dict)
    keyed: bool = False

    @property
    def unfed(self) -> bool:
        """Whether the script chose no scene of some input, and so may have shown less than it does."""
        return any(one.unfed for one in self.sources)


def watch(
    rendering: Rendering,
    samples: Sequence[Samples],
    *,
    scenes: Sequence[tuple[Mapping[str, Json], ...]] = (),
    keyed_by: str = "",
    since: str | None = None,
    until: str | None = None,
    input_metadata: Mapping[str, Json] | None = None,
) -> Seen:
    """
    Run a script on pixels under observation.

    Args:
        samples: for each input of the script, in order
        keyed_by: the member under which the samples of a single input stand, where they are told apart
        scenes: for each input, what is told of its scenes; of an input without them there is one sample
        since: an instant: `from` of what was asked for
        until: an instant: `to` of what was asked for

    Raises:
        ScriptError: a function that runs before the pixels failed, or a limit was met
    """
    facts = rendering.facts
    told = list(scenes) or [()] * len(facts.inputs)
    collections = [
        Collection(
            one.datasource or keyed_by or str(number), one.mosaicking, told[number], since, until
        )
        for number, one in enumerate(facts.inputs)
    ]
    keyed = len(collections) > 1 or bool(keyed_by)
    prepared = rendering.scenes(collections, fused=keyed, input_metadata=input_metadata)
    outputs = prepared.outputs or (OutputFacts("default", _SIMPLE_BANDS, (), "AUTO", None),)
    sources: list[object] = []
    for one, given, kept, collection in zip(
        facts.inputs, samples, prepared.kept, collections, strict=True
    ):
        # Of a single sample it is told what it is made of, and nothing to choose from.
        single = one.mosaicking == "SIMPLE"
        pixels = given.pixels if single else [[at[k] for k in kept] for at in given.pixels]
        sources.append(
            {"id": collection.id, "bands": list(given.bands), "single": single, "pixels": pixels}
        )
    count = len(samples[0].pixels) if samples else 0
    request: Message = {
        "operation": "watch",
        "count": count,
        "fused": keyed,
        "simple": facts.is_simple,
        "sources": sources,
        "outputs": [_told(one) for one in outputs],
        "main": next((n for n, one in enumerate(outputs) if one.id == "default"), 0),
    }
    unfed = [bool(of) and not kept for of, kept in zip(told, prepared.kept, strict=True)]
    seen = _seen(rendering.watched(request), outputs, count, unfed)
    return replace(seen, keyed=bool(keyed_by))


def _told(output: OutputFacts) -> dict[str, object]:
    least, greatest = RANGES.get(output.sample_type, _ANY)
    return {"id": output.id, "bands": output.bands, "least": least, "greatest": greatest}


def _seen(
    answer: Message, outputs: Sequence[OutputFacts], count: int, unfed: Sequence[bool]
) -> Seen:
    told = cast("list[dict[str, object]]", answer["outputs"])
    sources = cast("list[dict[str, object]]", answer["sources"])
    failed = cast("int", answer["failed"])
    return Seen(
        pixels=count,
        sources=tuple(
            Source(
                frozenset(cast("dict[str, object]", one["reads"])),
                bool(one["walked"]),
                _places(one["strays"]),
                _places(one["listStrays"]),
                nothing,
            )
            for one, nothing in zip(sources, unfed, strict=True)
        ),
        outputs=tuple(_returned(one, facts) for one, facts in zip(told, outputs, strict=True)),
        empty=cast("int", answer["empty"]),
        failed=failed,
        first=_error(cast("dict[str, object]", answer["first"])) if failed else None,
        stray_ids=tuple(cast("dict[str, object]", answer["strayIds"])),
        stray_sources=_places(answer["topStrays"]),
    )


def _returned(told: Mapping[str, object], facts: OutputFacts) -> Returned:
    def number(name: str) -> int:
        return cast("int", told[name])

    lengths = cast("dict[str, int]", told["lengths"])
    fractions, of_band = cast("tuple[int, int]", told["fractions"])
    return Returned(
        facts,
        missing=number("missing"),
        nothing=number("nothing"),
        bare=number("bare"),
        odd=number("odd"),
        lengths={int(length): times for length, times in lengths.items()},
        values=number("values"),
        outside=number("outside"),
        fractions=fractions,
        not_finite=number("notFinite"),
        odd_values=number("oddValues"),
        of_band=of_band,
        odd_kind=cast("str", told["oddKind"]),
        lacking=number("lacking"),
    )


def _places(told: object) -> dict[str, Place]:
    found = cast("dict[str, dict[str, int | None]]", told)
    return {name: (one.get("line"), one.get("column")) for name, one in found.items()}


def _error(told: Mapping[str, object]) -> ScriptError:
    line, column = cast("tuple[int | None, int | None]", (told.get("line"), told.get("column")))
    words = " ".join(str(told.get("text", "")).split())[:500]
    return ScriptError(Fault.RUNTIME, words, line=line, column=column)
