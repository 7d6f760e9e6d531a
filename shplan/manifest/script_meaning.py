"""
What an evalscript means, judged from three sides: its facts, its text, and a few made-up pixels.

An error is only what was seen to go wrong, or what the published table of a collection rules out. What the text alone
suggests, or what happened on some pixels, is a warning: those were made up. Facts: the documentation's pages on
Evalscript V3, its functions, and the data collections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from shplan.core.diagnostic import Severity
from shplan.core.frozen import dataclass
from shplan.core.nearest import nearest
from shplan.manifest.collections import MASK, Collection
from shplan.manifest.script_values import public_bands
from shplan.script import InputFacts, ScriptError, ScriptFacts
from shplan.script.names import WITHHELD
from shplan.script.probing import Returned, Seen, Source
from shplan.script.reading import Reading, Span

# What scripts do with a list, and with a single sample only by mistake.
_OF_LISTS = frozenset(
    [
        "length",
        "forEach",
        "map",
        "filter",
        "reduce",
        "reduceRight",
        "sort",
        "slice",
        "splice",
        "push",
        "pop",
        "shift",
        "unshift",
        "concat",
        "find",
        "findIndex",
        "some",
        "every",
        "reverse",
        "entries",
        "keys",
        "values",
        "indexOf",
        "includes",
        "flat",
        "flatMap",
        "at",
        "fill",
        "join",
    ]
)
_CONSTANTS: Mapping[str, tuple[str, ...]] = {
    "Mosaicking": ("SIMPLE", "ORBIT", "TILE"),
    "SampleType": ("AUTO", "INT8", "UINT8", "INT16", "UINT16", "FLOAT32"),
}
_SAMPLE_TYPE = "sampleType"
_MOST_OUTSIDE = 0.9
_WITH_FRACTIONS = frozenset(["AUTO", "FLOAT32"])
_ENOUGH_VALUES = 20
_MOST_LISTED = 20
_NOT_DEFINED = re.compile(r"'?(\w+)'? is not defined")
# A script that reads them may look for one that is called otherwise than what is made up.
_NAMES_OF_TILES = frozenset(["dataPath", "productId", "shId", "tileOriginalId"])
# Where it has too few, a script may give up early, or miss what it looks for.
_OF_SCENES = frozenset(
    [
        *("fails", "output-form", "output-missing", "output-short", "output-unknown"),
        "sample-type",
    ]
)


@dataclass(frozen=True, slots=True)
class Remark:
    """
    One thing about a script.

    Args:
        rule: the last part of its code
        span: where in the script, None for the whole of it
    """

    rule: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    span: Span | None = None
    severity: Severity = Severity.ERROR


_Remarks: TypeAlias = Iterator[Remark]


@dataclass(frozen=True, slots=True)
class Look:
    """
    All that is known of one script.

    Args:
        seen: None where it could not be run on pixels
        fault: why not
        has_version: its first line says the version
    """

    facts: ScriptFacts
    reading: Reading
    seen: Seen | None
    fault: ScriptError | None = None
    has_version: bool = True


def remarks(look: Look) -> list[Remark]:
    """Return what is to be said of a script, whatever it is used for."""
    found = [*_of_version(look), *_of_text(look), *_of_setup(look)]
    if look.fault is not None:
        found.append(_before_the_pixels(look.fault))
    if look.seen is not None:
        found += [
            *_of_reads(look, look.seen),
            *_of_outputs(look, look.seen),
            *_of_failures(look, look.seen),
        ]
    return found


def amiss(look: Look) -> int:
    """Return how many things are wrong with a script that may be so for want of scenes alone."""
    return sum(one.rule in _OF_SCENES for one in remarks(look))


def remarks_on_input(
    given: InputFacts, collection: Collection, *, deployment: str, reading: Reading
) -> list[Remark]:
    """
    Return what does not fit between an input of a script and the collection that it reads.

    Args:
        deployment: its built-in name, empty where it is none
    """
    return [
        *_bands_of(given, collection, deployment, reading),
        *_units_of(given, collection, reading),
        *_mosaicking_of(given, collection, reading),
    ]


def without_data(given: InputFacts, ids: Iterable[str], reading: Reading) -> Remark:
    """Return what is to be said of an input that the request gives nothing to."""
    known = list(ids)
    return Remark(
        "datasource",
        "No such datasource",
        f"`setup()` reads the datasource `{given.datasource}`, which the request does not have.",
        f"Its `input.data` have the ids {', '.join(f'`{one}`' for one in known)}.",
        _did_you_mean(given.datasource, known),
        _first(reading.strings, given.datasource),
    )


# --- the text ------------------------------------------------------------------------------


def _of_version(look: Look) -> _Remarks:
    if not look.has_version and not look.facts.is_simple:
        yield Remark(
            "version",
            "No version line",
            "the first line does not say `//VERSION=3`.",
            "Without it the service may take the script for one of an older dialect, and a batch request"
            " does not take it.",
            "begin the file with a line //VERSION=3",
            severity=Severity.HINT,
        )


def _of_text(look: Look) -> _Remarks:
    for (owner, name), span in look.reading.constants.items():
        if name not in _CONSTANTS[owner]:
            yield Remark(
                "constant",
                "No such constant",
                f"`{owner}.{name}` is undefined.",
                f"There are {', '.join(_CONSTANTS[owner])}; what is undefined counts as not stated.",
                _did_you_mean(name, _CONSTANTS[owner], prefix=f"{owner}."),
                span,
            )
    thrown = look.seen.first if look.seen is not None else None
    for name, span in look.reading.undeclared.items():
        # A simple script has every band as a variable.
        if look.facts.is_simple or (thrown is not None and name in thrown.message):
            continue
        yield Remark(
            "undeclared",
            "Name not declared",
            f"`{name}` is used and declared nowhere.",
            "Where it is reached, the script fails with a ReferenceError.",
            "",
            span,
            Severity.WARNING,
        )
    yield from _sample_types(look.reading)


def _sample_types(reading: Reading) -> _Remarks:
    for members in reading.objects:
        for key, member in members.items():
            if key != _SAMPLE_TYPE and key.lower() == _SAMPLE_TYPE.lower():
                yield _warned(
                    "sample-type",
                    "Key not known",
                    f"`{key}` is not `{_SAMPLE_TYPE}`: the output is of type AUTO.",
                    f"write `{_SAMPLE_TYPE}`",
                    member.span,
                )
        stated = members.get(_SAMPLE_TYPE)
        if stated is None:
            continue
        if {"input", "output"} & members.keys():
            yield _warned(
                "sample-type",
                "Sample type in the wrong place",
                f"`{_SAMPLE_TYPE}` beside `output` means nothing: the outputs are of type AUTO.",
                "move it into `output: {...}`",
                stated.span,
            )
        elif stated.text is not None and stated.text != stated.text.upper():
            yield _warned(
                "sample-type",
                "Sample type in small letters",
                f"`{stated.text}` is written otherwise in the documentation.",
                f'write `{_SAMPLE_TYPE}: "{stated.text.upper()}"`',
                stated.span,
            )


# --- setup() -------------------------------------------------------------------------------


def _of_setup(look: Look) -> _Remarks:
    if "filterScenes" in look.facts.functions:
        yield Remark(
            "older-function",
            "Function no longer documented",
            "`filterScenes()` is of an older dialect; nobody says that it is still called.",
            "",
            "filter in `preProcessScenes(collections)`",
            look.reading.declared.get("filterScenes"),
            Severity.HINT,
        )
    for given in look.facts.inputs:
        for band in sorted({one for one in given.bands if given.bands.count(one) > 1}):
            yield _warned(
                "band-twice",
                "Band asked for twice",
                f"`setup()` lists `{band}` {given.bands.count(band)} times in one input.",
                "remove one of them",
                _last(look.reading.strings, band),
            )


# --- what is read --------------------------------------------------------------------------


def _of_reads(look: Look, seen: Seen) -> _Remarks:
    for given, source in zip(look.facts.inputs, seen.sources, strict=True):
        yield from _strays(look, seen, given, source)
        yield from _list_strays(look, given, source)
        yield from _unused(look, given, source)
    known = [one.datasource or str(number) for number, one in enumerate(look.facts.inputs)]
    # Inputs without a name are one source where the request has one: then its samples have all their bands.
    unnamed = not any(one.datasource for one in look.facts.inputs)
    bands = {band for one in look.facts.inputs for band in one.bands} if unnamed else set()
    for name, place in seen.stray_sources.items():
        if name in _OF_LISTS or name in bands:
            continue
        yield Remark(
            "datasource",
            "No such datasource",
            f"the samples have no member `{name}`: with several inputs they are keyed by datasource.",
            f"`setup()` names {', '.join(f'`{one}`' for one in known)}.",
            _did_you_mean(name, known),
            _at(look.reading, name, place),
            # What is undefined may be added to what nobody uses; for want of samples a script fails.
            Severity.ERROR if seen.failed else Severity.WARNING,
        )


def _strays(look: Look, seen: Seen, given: InputFacts, source: Source) -> _Remarks:
    as_list = [name for name in source.strays if name in _OF_LISTS or name.isdigit()]
    for name, place in source.strays.items():
        if name in as_list or name in look.reading.doubted or name.startswith("__"):
            continue
        bands = tuple(dict.fromkeys(given.bands))
        yield Remark(
            "band-not-asked",
            "Band not asked for",
            f"`{name}` is read, and `setup()` does not ask for it: its value is undefined.",
            f"`setup()` asks for {', '.join(bands)}.",
            _missing_band(name, bands),
            _at(look.reading, name, place),
        )
    if as_list:
        name = as_list[0]
        # By a number: a request with several collections would key the samples like that.
        fatal = seen.failed == seen.pixels and not name.isdigit()
        shown = f"[{name}]" if name.isdigit() else f".{name}"
        yield Remark(
            "mosaicking",
            "Sample used as a list",
            f"`{shown}` is read of a sample, which is no list: mosaicking is {given.mosaicking}.",
            "Only with ORBIT or TILE there is a list of samples, one for each day or scene.",
            'write `mosaicking: "ORBIT"` in `setup()`, or read the bands of the sample itself',
            _at(look.reading, name, source.strays[name]),
            Severity.ERROR if fatal else Severity.WARNING,
        )


def _list_strays(look: Look, given: InputFacts, source: Source) -> _Remarks:
    for name, place in source.list_strays.items():
        if name not in given.bands:
            continue
        why = (
            f"Mosaicking is {given.mosaicking}"
            if given.mosaicking != "SIMPLE"
            else "With several inputs each of them gives a list"
        )
        yield Remark(
            "mosaicking",
            "List used as a sample",
            f"`{name}` is read of the list of samples: its value is undefined.",
            f"{why}, and the list may be empty.",
            f"read `samples[0].{name}` where `samples.length > 0`, or go through the list",
            _at(look.reading, name, place),
            # A script that also reads what is in the list works, but for this.
            Severity.WARNING if source.reads else Severity.ERROR,
        )


def _unused(look: Look, given: InputFacts, source: Source) -> _Remarks:
    if look.facts.is_simple or source.walked or look.reading.assembled:
        return
    for band in dict.fromkeys(given.bands):
        if band in source.reads or band in look.reading.members:
            continue
        free = band == MASK
        yield _warned(
            "band-unused",
            "Band not used",
            f"`setup()` asks for `{band}`, and nothing reads it.",
            f'remove "{band}" from the bands of `setup()`',
            _first(look.reading.strings, band),
            why="" if free else "Every band is paid for, whether it is read or not.",
        )


# --- what is returned ----------------------------------------------------------------------


def _of_outputs(look: Look, seen: Seen) -> _Remarks:
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
            _did_you_mean(name, [one.facts.id for one in lacking] or ids),
            _last(reading.keys, name),
            Severity.ERROR if lacking else Severity.WARNING,
        )
    for one in lacking:
        if not seen.stray_ids:
            yield _warned(
                "output-missing",
                "Output never returned",
                f"`setup()` has an output `{one.facts.id}`, which `evaluatePixel()` never returned.",
                "return it, or remove it from `setup()`",
                _first(reading.strings, one.facts.id),
            )
    nothing = seen.empty + max((one.nothing for one in seen.outputs), default=0)
    if nothing and returned:
        yield _warned(
            "nothing-returned",
            "Nothing returned on some path",
            f"`evaluatePixel()` returned nothing for {nothing} of {seen.pixels} made-up pixels.",
            "return a value on every path: no data as zeros, and a `dataMask` of 0",
            reading.declared.get("evaluatePixel"),
        )
    for one in seen.outputs:
        # A simple script declares no output: what it returns is right.
        if not look.facts.is_simple:
            sure = not seen.unfed and reading.members.keys().isdisjoint(_NAMES_OF_TILES)
            yield from _of_lengths(one, reading, sure=sure)
        yield from _of_values(one, look)


def _of_lengths(one: Returned, reading: Reading, *, sure: bool) -> _Remarks:
    bands, name = one.facts.bands, one.facts.id
    listed = sum(one.lengths.values())
    shorter = sorted(length for length in one.lengths if length < bands)
    longer = sorted(length for length in one.lengths if length > bands)
    if shorter:
        always = sure and sum(one.lengths[length] for length in shorter) == listed
        yield Remark(
            "output-short",
            "Too few values returned",
            f"output `{name}` has {bands} bands, and `evaluatePixel()` returned {shorter[0]}"
            f" {'value' if shorter[0] == 1 else 'values'}.",
            "What is missing is no data.",
            f"return {bands} values, or write `bands: {shorter[0]}`" if shorter[0] else "",
            _declared(reading, name),
            Severity.ERROR if always else Severity.WARNING,
        )
    if longer:
        yield _warned(
            "output-long",
            "Too many values returned",
            f"output `{name}` has {bands} {'band' if bands == 1 else 'bands'}, and `evaluatePixel()`"
            f" returned {longer[-1]} values: the last are dropped.",
            f"write `bands: {longer[-1]}`, or return {bands}",
            _declared(reading, name),
        )


def _of_values(one: Returned, look: Look) -> _Remarks:
    reading, name, listed = look.reading, one.facts.id, sum(one.lengths.values())
    if one.odd:
        yield Remark(
            "output-form",
            "Not a list of numbers",
            f"for output `{name}` something was returned that is neither a list nor a number.",
            "The service wants a list with a number for each band.",
            "return [value]",
            _declared(reading, name),
            Severity.ERROR if one.odd and not listed and not one.bare else Severity.WARNING,
        )
    elif one.bare and not listed:
        yield _warned(
            "output-form",
            "Number in no list",
            f"for output `{name}` a bare number is returned.",
            "return [value]",
            _declared(reading, name),
            why="The documentation asks for a list.",
        )
    if one.values >= _ENOUGH_VALUES and one.outside > _MOST_OUTSIDE * one.values:
        if _is_for_statistics(one, look):
            return
        kind = one.facts.sample_type
        yield _warned(
            "sample-type",
            "Values outside of the sample type",
            f"{one.outside} of {one.values} values of output `{name}` cannot be held by {kind}.",
            "scale the values, or write a `setup()` with an output of another sample type"
            if look.facts.is_simple
            else 'write `sampleType: "FLOAT32"`, or scale the values',
            _declared(reading, name),
            why="AUTO takes values from 0 to 1."
            if kind == "AUTO"
            else "They are cut off at its ends.",
        )
    elif (
        one.facts.sample_type not in _WITH_FRACTIONS
        and one.values >= _ENOUGH_VALUES
        and one.fractions > _MOST_OUTSIDE * one.values
    ):
        yield _warned(
            "sample-type",
            "Fractions in whole numbers",
            f"{one.fractions} of {one.values} values of output `{name}` lie between 0 and 1, and"
            f" {one.facts.sample_type} has whole numbers.",
            'write `sampleType: "FLOAT32"` or `"AUTO"`, or multiply the values',
            _declared(reading, name),
            why="All that is left of them is 0 or 1.",
        )


def _is_for_statistics(one: Returned, look: Look) -> bool:
    """
    Tell whether an output may well be for statistics alone, where what states no type is FLOAT32.

    Source: documentation, "Statistical API", which wants a `dataMask` beside the data.
    """
    ids = {output.id for output in look.facts.outputs}
    typed = {output.id for output in look.facts.outputs if output.is_typed}
    return MASK in ids and one.facts.id not in (typed | {MASK, "default"})


# --- failures ------------------------------------------------------------------------------


def _before_the_pixels(fault: ScriptError) -> Remark:
    """Return what is to be said of a function that chooses scenes or bands, and failed at that."""
    sure = _is_undefined(fault)
    return Remark(
        "fails",
        "Evalscript fails",
        f"before any pixel it failed with made-up scenes: {fault.message.rstrip('.')}.",
        "What fails there fails the whole request.",
        "",
        None if fault.line is None else _word_at(fault.line, fault.column),
        Severity.ERROR if sure else Severity.WARNING,
    )


def _is_undefined(fault: ScriptError) -> bool:
    """Tell whether a name is used that there is not, neither here nor where the service runs the script."""
    found = _NOT_DEFINED.search(fault.message)
    return fault.message.startswith("ReferenceError") and not (
        found is not None and found[1] in WITHHELD
    )


def _word_at(line: int, column: int | None) -> Span:
    return Span(line, column or 1, (column or 1) + 1)


def _of_failures(look: Look, seen: Seen) -> _Remarks:
    first = seen.first
    if first is None:
        return
    sure = _is_undefined(first) and not look.facts.is_simple
    every = seen.failed == seen.pixels
    where = "every made-up pixel" if every else f"{seen.failed} of {seen.pixels} made-up pixels"
    span = None if first.line is None else _word_at(first.line, first.column)
    # Where it chose none of the scenes, it may fail for want of them.
    if sure or (every and not seen.unfed):
        yield Remark(
            "fails",
            "Evalscript fails",
            f"`evaluatePixel()` failed at {where}: {first.message.rstrip('.')}.",
            "A script that throws at one pixel fails the whole request.",
            "",
            span,
            Severity.ERROR if sure else Severity.WARNING,
        )


# --- the collection ------------------------------------------------------------------------


def _bands_of(
    given: InputFacts, collection: Collection, deployment: str, reading: Reading
) -> _Remarks:
    for band in dict.fromkeys(given.bands) if collection.known else ():
        if collection.has(band, deployment=deployment):
            continue
        elsewhere = collection.has(band)
        where = f" on {deployment}" if elsewhere else ""
        yield Remark(
            "band-unknown",
            "No such band",
            f"{collection.name} has no band `{band}`{where}.",
            "" if elsewhere else f"It has {_listed(collection.bands)}.",
            _did_you_mean(band, collection.bands) if not elsewhere else "",
            _first(reading.strings, band),
            Severity.ERROR if collection.complete or elsewhere else Severity.WARNING,
        )


def _units_of(given: InputFacts, collection: Collection, reading: Reading) -> _Remarks:
    for band, unit in zip(given.bands, given.units, strict=False):
        units = collection.units(band)
        if band == MASK or not units or unit.upper() in units:
            continue
        yield Remark(
            "units",
            "Unit not offered",
            f"band `{band}` of {collection.name} cannot be had in `{unit}`.",
            f"It comes in {' or '.join(units)}.",
            f'write "{units[0]}"; bands with other units take `units` as a list, one for each band',
            _first(reading.strings, unit),
            Severity.ERROR if collection.complete else Severity.WARNING,
        )


def _mosaicking_of(given: InputFacts, collection: Collection, reading: Reading) -> _Remarks:
    if given.mosaicking not in collection.mosaicking:
        yield Remark(
            "mosaicking",
            "Mosaicking not offered",
            f"{collection.name} cannot be read with mosaicking {given.mosaicking}.",
            f"It offers {', '.join(collection.mosaicking)}.",
            "",
            _first(reading.strings, given.mosaicking),
            # What only a name suggests is in doubt; of a kind of one's own this much is sure without its bands.
            Severity.ERROR if collection.complete or not collection.known else Severity.WARNING,
        )


# --- words and places ----------------------------------------------------------------------


def _warned(
    rule: str, summary: str, what: str, hint: str, span: Span | None, *, why: str = ""
) -> Remark:
    return Remark(rule, summary, what, why, hint, span, Severity.WARNING)


def _missing_band(name: str, asked: Iterable[str]) -> str:
    """Return what to do about a band that is read and not asked for."""
    # Names of bands are alike: one that there is was hardly meant for another.
    meant = "" if name in public_bands() or name == MASK else _did_you_mean(name, asked)
    return meant or f'add "{name}" to the bands of `setup()`'


def _did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    near = nearest(name, known, cutoff=0.5)
    return f"did you mean `{prefix}{near}`?" if near else ""


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _MOST_LISTED
    return ", ".join(found[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _first(spans: Mapping[str, tuple[Span, ...]], name: str) -> Span | None:
    return next(iter(spans.get(name, ())), None)


def _declared(reading: Reading, output: str) -> Span | None:
    """Return where `setup()` names an output, or speaks of outputs."""
    return _first(reading.strings, output) or _first(reading.keys, "output")


def _last(spans: Mapping[str, tuple[Span, ...]], name: str) -> Span | None:
    return next(reversed(spans.get(name, ())), None)


def _at(reading: Reading, name: str, place: tuple[int | None, int | None]) -> Span | None:
    """Return where a member is read: engines tell the line for sure, and the column more or less."""
    line, column = place
    spans = reading.members.get(name, ())
    on_line = [one for one in spans if one.line == line]
    if on_line:
        return min(on_line, key=lambda one: abs(one.column - (column or 1)))
    if spans:
        return spans[0]
    return None if line is None else Span(line, column or 1, (column or 1) + 1)
