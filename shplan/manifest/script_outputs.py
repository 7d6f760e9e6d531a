"""What is said of what a script returned for made-up pixels."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from shplan.core.diagnostic import Severity
from shplan.manifest.collections import MASK
from shplan.manifest.script_remarks import (
    Look,
    Remark,
    Remarks,
    did_you_mean,
    last_place,
    output_place,
    warned,
)
from shplan.script.probing import Returned, Seen
from shplan.script.reading import Reading

# A script that reads them may look for one that is called otherwise than what is made up.
_NAMES_OF_TILES = frozenset(["dataPath", "productId", "shId", "tileOriginalId"])
_MOST_OUTSIDE = 0.9
# Outputs that browsers of imagery and the Statistical API ask for, of a script that others use as well.
_OF_OTHERS = frozenset([MASK, "index", "browserStats", "eobrowserStats"])


_WITH_FRACTIONS = frozenset(["AUTO", "FLOAT32"])


_ENOUGH_VALUES = 20
OUTSIDE: Final = "Values outside of the sample type"
UNDEFINED: Final = "Undefined values"
_ODD_MEMBERS = {
    "text": ("a text", "write Number(...) around it; toFixed() gives a text"),
    "list": ("a list", "spread it: [...values]"),
    "object": ("an object", "return numbers"),
}


def of_outputs(look: Look, seen: Seen) -> Remarks:
    """Compare what was returned with the outputs of `setup()`."""
    reading = look.reading
    returned = seen.pixels - seen.failed - seen.empty
    lacking = [one for one in seen.outputs if returned and one.missing == returned]
    for name in seen.stray_ids:
        ids = [one.facts.id for one in seen.outputs]
        yield Remark(
            "output-unknown",
            "No such output",
            f"`evaluatePixel()` returns `{name}`, and `setup()` has no such output.",
            f"`setup()` names {', '.join(f'`{one}`' for one in ids)}.",
            did_you_mean(name, [one.facts.id for one in lacking] or ids),
            last_place(reading.keys, name),
            Severity.ERROR if lacking else Severity.WARNING,
        )
    for one in lacking:
        if not seen.stray_ids:
            yield warned(
                "output-missing",
                "Output never returned",
                f"`setup()` has an output `{one.facts.id}`, which `evaluatePixel()` never returned.",
                "return it, or remove it from `setup()`",
                output_place(reading, one.facts.id),
            )
    nothing = seen.empty + max((one.nothing for one in seen.outputs), default=0)
    if nothing and returned:
        yield warned(
            "nothing-returned",
            "Nothing returned on some path",
            f"`evaluatePixel()` returned nothing for {nothing} of {seen.pixels} made-up pixels.",
            _on_one_line(reading)
            or "return a value on every path: no data as zeros, and a `dataMask` of 0",
            reading.traced.cut_off or reading.declared.get("evaluatePixel"),
        )
    elif seen.empty == seen.pixels and any(one.facts.bands for one in seen.outputs):
        yield from _of_nothing(look, seen)
    for one in seen.outputs:
        # A simple script declares no output: what it returns is right.
        if not look.facts.is_simple:
            counted = "updateOutput" in look.facts.functions
            if one.facts.id in look.counting and not counted:
                yield from _of_counts(one, reading)
                continue
            sure = not seen.unfed and reading.members.keys().isdisjoint(_NAMES_OF_TILES)
            yield from _of_lengths(one, reading, sure=sure, counted=counted)
        yield from _of_values(one, look)


def _of_nothing(look: Look, seen: Seen) -> Remarks:
    """Say that nothing comes back at any made-up pixel, and how sure it is that nothing ever does."""
    traced = look.reading.traced
    if look.reading.assembled or (traced.gives and traced.ends is None):
        return  # of other imagery it may return something
    # With other scenes it might have returned something; or user data are all that it is for.
    is_doubtful = traced.gives or seen.unfed or "updateOutputMetadata" in look.facts.functions
    yield Remark(
        "nothing-returned",
        "Nothing returned",
        "`evaluatePixel()` returned nothing at any made-up pixel.",
        "The service wants a list with a number for each band.",
        _on_one_line(look.reading) or "return [value]",
        traced.cut_off or look.reading.declared.get("evaluatePixel"),
        Severity.WARNING if is_doubtful else Severity.ERROR,
    )


def _on_one_line(reading: Reading) -> str:
    if reading.traced.cut_off is None:
        return ""
    return (
        "begin the value on the line of its `return`: what stands on the next line is not returned"
    )


def unasked(look: Look, asked: AbstractSet[str]) -> Remarks:
    """Return what is to be said of outputs that are in no response."""
    for one in look.facts.outputs:
        if one.id in asked or one.id in _OF_OTHERS or not asked:
            continue
        yield Remark(
            "output-unasked",
            "Output not asked for",
            f"`setup()` has an output `{one.id}`, and no request asks for it.",
            "It is calculated for every pixel, and thrown away.",
            f"add `{{identifier: {one.id}, format: ...}}` to `output.responses`, or remove it",
            output_place(look.reading, one.id),
            Severity.HINT,
        )


def _of_counts(one: Returned, reading: Reading) -> Remarks:
    """Say that how many values come back depends on the scenes, of which a request has as many as it has."""
    bands, name = one.facts.bands, one.facts.id
    if set(one.lengths) == {bands}:
        return
    yield Remark(
        "output-short" if max(one.lengths) < bands else "output-long",
        "As many values as scenes",
        f"output `{name}` has {bands} {'band' if bands == 1 else 'bands'}, and how many values"
        " `evaluatePixel()` returns depends on how many scenes there are.",
        "What is missing is no data, and what is too much is dropped.",
        "let `updateOutput(output, collection)` set `bands`",
        output_place(reading, name),
        Severity.HINT,
    )


def _of_lengths(one: Returned, reading: Reading, *, sure: bool, counted: bool) -> Remarks:
    """
    Compare how many values came back with how many there should be.

    Args:
        sure: other scenes than the made-up ones would change nothing
        counted: the script counts its bands from its scenes: then as many as there may be are right
    """
    bands, name = one.facts.bands, one.facts.id
    there_are = f"output `{name}` has {bands} {'band' if bands == 1 else 'bands'}"
    listed = sum(one.lengths.values())
    shorter = sorted(length for length in one.lengths if length < bands)
    longer = sorted(length for length in one.lengths if length > bands)
    if shorter:
        always = sure and sum(one.lengths[length] for length in shorter) == listed
        yield Remark(
            "output-short",
            "Too few values returned",
            f"{there_are}, and `evaluatePixel()` returned {shorter[0]}"
            f" {'value' if shorter[0] == 1 else 'values'}.",
            "What is missing is no data.",
            _fewer(bands, shorter[0] if always else 0, counted=counted),
            output_place(reading, name),
            Severity.ERROR if always and not counted else Severity.WARNING,
        )
    if longer:
        yield warned(
            "output-long",
            "Too many values returned",
            f"{there_are}, and `evaluatePixel()` returned {longer[-1]} values: the last are dropped.",
            f"write `bands: {longer[-1]}`, or return {bands}",
            output_place(reading, name),
        )


def _fewer(bands: int, returned: int, *, counted: bool) -> str:
    if counted:
        return f"return {bands} values, or let `updateOutput()` say fewer"
    return f"return {bands} values" + (f", or write `bands: {returned}`" if returned else "")


def _of_values(one: Returned, look: Look) -> Remarks:
    reading, name, listed = look.reading, one.facts.id, sum(one.lengths.values())
    if one.odd:
        yield Remark(
            "output-form",
            "Not a list of numbers",
            f"for output `{name}` something was returned that is neither a list nor a number.",
            "The service wants a list with a number for each band.",
            "return [value]",
            output_place(reading, name),
            Severity.ERROR if one.odd and not listed and not one.bare else Severity.WARNING,
        )
    elif one.bare and not listed:
        yield warned(
            "output-form",
            "Number in no list",
            f"for output `{name}` a bare number is returned.",
            "return [value]",
            output_place(reading, name),
            why="The documentation asks for a list.",
        )
    yield from _of_members(one, look)
    if one.values >= _ENOUGH_VALUES and one.outside > _MOST_OUTSIDE * one.values:
        if _is_for_statistics(one, look):
            return
        kind = one.facts.sample_type
        yield warned(
            "sample-type",
            OUTSIDE,
            f"{one.outside} of {one.values} values of output `{name}` cannot be held by {kind}.",
            "scale the values, or write a `setup()` with an output of another sample type"
            if look.facts.is_simple
            else 'write `sampleType: "FLOAT32"`, or scale the values',
            output_place(reading, name),
            why="AUTO takes values from 0 to 1."
            if kind == "AUTO"
            else "They are cut off at its ends.",
        )
    elif (
        one.facts.sample_type not in _WITH_FRACTIONS
        and one.of_band >= _ENOUGH_VALUES
        and one.fractions > _MOST_OUTSIDE * one.of_band
    ):
        of = f"output `{name}`" if one.of_band == one.values else f"a band of output `{name}`"
        yield warned(
            "sample-type",
            "Fractions in whole numbers",
            f"{one.fractions} of {one.of_band} values of {of} lie between -1 and 1, and"
            f" {one.facts.sample_type} has whole numbers.",
            'write `sampleType: "FLOAT32"` or `"AUTO"`, or multiply the values',
            output_place(reading, name),
            why="All that is left of them is 0 or 1.",
        )


def _of_members(one: Returned, look: Look) -> Remarks:
    """Look at what lists hold instead of numbers."""
    reading, name, seen = look.reading, one.facts.id, look.seen
    if one.odd_values:
        what, hint = _ODD_MEMBERS[one.odd_kind]
        yield Remark(
            "output-form",
            "Not a number in the list",
            f"a value of output `{name}` is {what}.",
            "The service wants a list with a number for each band.",
            hint,
            output_place(reading, name),
            # Published scripts return lists in lists, and their pictures with them.
            Severity.HINT if one.odd_kind == "list" else Severity.WARNING,
        )
    elif (
        one.lacking >= _ENOUGH_VALUES
        and not one.values + one.not_finite
        # Several inputs may be one source, whose samples look otherwise.
        and len(look.facts.inputs) == 1
        # Of other imagery it may find one.
        and not look.reading.traced.chooses
        and not (seen is not None and (seen.unfed or seen.failed))
        # What is looked up by a class or a day may be there for others than the made-up ones.
        and any(one.unset for one in reading.traced.given)
    ):
        yield warned(
            "output-form",
            UNDEFINED,
            f"no value of output `{name}` was ever defined.",
            "look for a variable that nothing is assigned to",
            output_place(reading, name),
            why="What is undefined is no data.",
        )


def _is_for_statistics(one: Returned, look: Look) -> bool:
    """
    Tell whether an output may well be for statistics alone, where what states no type is FLOAT32.

    Source: documentation, "Statistical API", which wants a `dataMask` beside the data.
    """
    ids = {output.id for output in look.facts.outputs}
    typed = {output.id for output in look.facts.outputs if output.is_typed}
    return MASK in ids and one.facts.id not in (typed | {MASK, "default"})
