"""
What is said of paths that no made-up pixel took: bands that are read there, and what is returned there.

It is read from the text alone, so that it is a warning, and only what was not seen is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.diagnostic import Severity
from shplan.manifest.script_remarks import (
    OF_LISTS,
    Look,
    Remark,
    Remarks,
    did_you_mean,
    missing_band,
    warned,
)
from shplan.script.probing import Returned
from shplan.script.returning import Given
from shplan.script.tracing import Kind, Use

# Members that every object has.
_OF_OBJECTS = frozenset(
    ["constructor", "hasOwnProperty", "isPrototypeOf", "toString", "valueOf", "toJSON"]
)
_UNSEEN = "No made-up pixel came by here; one of the imagery may."


def of_paths(look: Look) -> Remarks:
    """Return what the text says beyond what was seen."""
    if look.facts.is_simple or look.reading.assembled:
        return
    yield from _reads(look)
    yield from _ends(look)
    if "updateOutput" not in look.facts.functions and look.seen is not None:
        yield from _returns(look, {one.facts.id: one for one in look.seen.outputs})


def _reads(look: Look) -> Remarks:
    # Several inputs, or one that a request tells from others: the members of all are no bands.
    if len(look.facts.inputs) != 1 or look.seen is None or look.seen.keyed:
        return
    (given,), (source,) = look.facts.inputs, look.seen.sources
    single = given.mosaicking == "SIMPLE"
    sampled = Kind.ALL if single else Kind.ITEM
    if look.reading.traced.writes_any:
        return
    misread = any(one in OF_LISTS or one.isdigit() for one in source.strays)
    if misread or source.list_strays.keys() & set(given.bands):
        return  # It is said already that one is taken for the other.
    reading = look.reading
    told = source.reads | source.strays.keys() | reading.doubted
    told |= reading.traced.written | _OF_OBJECTS | OF_LISTS
    mistaken = False
    for use in reading.traced.uses:
        if use.kind is not sampled:
            # Who asks what it is has both in mind.
            asks = "isArray" in reading.members
            if use.name in given.bands and not mistaken and not asks:
                mistaken = True
                yield _of_another_form(use, given.mosaicking)
        elif use.name not in told | set(given.bands) and not use.name.startswith("__"):
            told |= {use.name}
            yield _not_asked(use, given.bands)


def _not_asked(use: Use, bands: tuple[str, ...]) -> Remark:
    asked = tuple(dict.fromkeys(bands))
    return warned(
        "band-not-asked",
        "Band not asked for",
        f"`{use.name}` is read, and `setup()` does not ask for it: its value would be undefined.",
        missing_band(use.name, asked),
        use.span,
        why=_UNSEEN,
    )


def _of_another_form(use: Use, mosaicking: str) -> Remark:
    if mosaicking == "SIMPLE":
        return warned(
            "mosaicking",
            "Sample used as a list",
            f"`{use.name}` is read of an item of the sample, which is no list: mosaicking is SIMPLE.",
            'write `mosaicking: "ORBIT"` in `setup()`, or read the bands of the sample itself',
            use.span,
            why="Only with ORBIT or TILE there is a list of samples, one for each day or scene.",
        )
    return warned(
        "mosaicking",
        "List used as a sample",
        f"`{use.name}` is read of the list of samples: its value would be undefined.",
        f"read `samples[0].{use.name}` where `samples.length > 0`, or go through the list",
        use.span,
        why=f"Mosaicking is {mosaicking}, and the list may be empty. {_UNSEEN}",
    )


def _returns(look: Look, outputs: Mapping[str, Returned]) -> Remarks:
    only = next(iter(outputs.values())) if len(outputs) == 1 else outputs.get("default")
    unknown = set(look.seen.stray_ids) if look.seen is not None else set()
    for one in look.reading.traced.given:
        output = outputs.get(one.output) if one.output else only
        if output is not None:
            yield from _length(one, output)
        elif one.output and one.output not in unknown:
            unknown.add(one.output)
            yield warned(
                "output-unknown",
                "No such output",
                f"`evaluatePixel()` returns `{one.output}`, and `setup()` has no such output.",
                did_you_mean(one.output, outputs),
                one.span,
                why=f"`setup()` names {', '.join(f'`{name}`' for name in outputs)}. {_UNSEEN}",
            )


def _ends(look: Look) -> Remarks:
    ends, seen = look.reading.traced.ends, look.seen
    if (
        ends is None
        or seen is None
        or seen.empty
        or not any(one.facts.bands for one in seen.outputs)
    ):
        return
    yield warned(
        "nothing-returned",
        "Nothing returned at the end",
        "`evaluatePixel()` ends here, and returns nothing.",
        "return [value]",
        ends,
        why=_UNSEEN,
    )


def _length(one: Given, output: Returned) -> Remarks:
    bands, name = output.facts.bands, output.facts.id
    if one.length is None:
        if not output.bare and bands:
            yield warned(
                "output-form",
                "Number in no list",
                f"for output `{name}` a bare number is returned.",
                "return [value]",
                one.span,
                why=f"The documentation asks for a list. {_UNSEEN}",
            )
    elif one.length != bands and bands and one.length not in output.lengths:
        short = one.length < bands
        if short and one.plain and one.length == 1:
            return  # no data, whatever the number of bands
        yield Remark(
            "output-short" if short else "output-long",
            "Too few values returned" if short else "Too many values returned",
            f"output `{name}` has {bands} {'band' if bands == 1 else 'bands'}, and here are"
            f" {one.length} values.",
            _UNSEEN,
            f"return {bands}",
            one.span,
            Severity.WARNING,
        )
