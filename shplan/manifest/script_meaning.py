"""
What an evalscript means, judged from three sides: its facts, its text, and a few made-up pixels.

An error is only what was seen to go wrong, or what the published table of a collection rules out. What the text alone
suggests, or what happened on some pixels, is a warning: those were made up. Facts: the documentation's pages on
Evalscript V3, its functions, and the data collections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shplan.core.diagnostic import Severity
from shplan.core.nearest import nearest
from shplan.manifest.collections import MASK
from shplan.manifest.script_echoes import without_echoes
from shplan.manifest.script_outputs import of_outputs
from shplan.manifest.script_paths import of_paths
from shplan.manifest.script_remarks import (
    OF_LISTS,
    UNTRIED,
    Look,
    Remark,
    Remarks,
    did_you_mean,
    input_place,
    last_place,
    missing_band,
    read_place,
    warned,
)
from shplan.script import Fault, InputFacts, ScriptError
from shplan.script.names import HELPERS, WITHHELD
from shplan.script.probing import Seen, Source
from shplan.script.reading import Reading, Span
from shplan.script.rendering import Place

_CONSTANTS: Mapping[str, tuple[str, ...]] = {
    "Mosaicking": ("SIMPLE", "ORBIT", "TILE"),
    "SampleType": ("AUTO", "INT8", "UINT8", "INT16", "UINT16", "FLOAT32"),
}
_SAMPLE_TYPE = "sampleType"
# What may be left out of a setup, and of its inputs and outputs. Source: Evalscript V3, "setup function".
_OPTIONAL = frozenset(["mosaicking"])
_OPTIONAL_BESIDE_BANDS = frozenset(
    ["units", "datasource", "mosaicking", "metadata", "id", "nodataValue"]
)
_KNOWN_KEYS = _OPTIONAL_BESIDE_BANDS | {"input", "output", "bands", _SAMPLE_TYPE}
_NOT_DEFINED = re.compile(r"'?(\w+)'? is not defined")
_KEYWORDS = ("return", "function", "const", "throw", "typeof", "Math", "undefined", "NaN")
# Where it has too few, a script may give up early, or miss what it looks for; and how much that weighs.
_OF_SCENES: Mapping[str, int] = {
    "fails": 100,
    "output-form": 10,
    "output-missing": 10,
    "output-short": 10,
    "output-unknown": 10,
    "sample-type": 10,
    # Whoever fails reads little, and little is then told to be unused.
    "band-unused": 1,
    "output-long": 1,
}


def remarks(look: Look, *, alone: bool = False, analysed: bool = False) -> list[Remark]:
    """
    Return what is to be said of a script, whatever it is used for.

    Args:
        alone: whoever uses it reads a single collection with it
        analysed: a batch request has it, whose analysis may find nothing to read
    """
    found = without_echoes([*_seen(look, alone=alone), *of_paths(look)], look)
    return [*found, *_of_no_scenes(look)] if analysed else found


def _seen(look: Look, *, alone: bool = False) -> list[Remark]:
    found = [*_of_version(look), *_of_text(look), *_of_setup(look)]
    if look.fault is not None:
        found.append(_before_the_pixels(look, look.fault))
    if look.seen is not None:
        found += [
            *_of_reads(look, look.seen, alone=alone),
            *of_outputs(look, look.seen),
            *_of_failures(look, look.seen),
        ]
    return found


def amiss(look: Look) -> int:
    """Return how much is wrong with a script that may be so for want of scenes alone."""
    return sum(_OF_SCENES.get(one.rule, 0) for one in without_echoes(_seen(look), look))


# --- the text ------------------------------------------------------------------------------


def _of_version(look: Look) -> Remarks:
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


def _of_text(look: Look) -> Remarks:
    for (owner, name), span in look.reading.constants.items():
        if name not in _CONSTANTS[owner]:
            yield Remark(
                "constant",
                "No such constant",
                f"`{owner}.{name}` is undefined.",
                f"There are {', '.join(_CONSTANTS[owner])}; what is undefined counts as not stated.",
                did_you_mean(name, _CONSTANTS[owner], prefix=f"{owner}."),
                span,
                Severity.WARNING,
            )
    thrown = look.fault if look.seen is None else look.seen.first
    for name, span in look.reading.undeclared.items():
        # A simple script has every band as a variable.
        if look.facts.is_simple or (thrown is not None and name in thrown.message):
            continue
        yield Remark(
            "undeclared",
            "Name not declared",
            f"`{name}` is used and declared nowhere.",
            "Where it is reached, the script fails with a ReferenceError.",
            _meant(look, name),
            span,
            Severity.WARNING,
        )
    yield from _sample_types(look.reading)
    yield from _misspelt_keys(look.reading)


def _sample_types(reading: Reading) -> Remarks:
    for members in reading.objects:
        for key, member in members.items():
            if key != _SAMPLE_TYPE and key.lower() == _SAMPLE_TYPE.lower():
                yield warned(
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
            yield warned(
                "sample-type",
                "Sample type in the wrong place",
                f"`{_SAMPLE_TYPE}` beside `output` means nothing: the outputs are of type AUTO.",
                "move it into `output: {...}`",
                stated.span,
            )
        elif stated.text is not None and stated.text != stated.text.upper():
            yield warned(
                "sample-type",
                "Sample type in small letters",
                f"`{stated.text}` is written otherwise in the documentation.",
                f'write `{_SAMPLE_TYPE}: "{stated.text.upper()}"`',
                stated.span,
            )


def _misspelt_keys(reading: Reading) -> Remarks:
    """Find what is left out because it is written otherwise: nobody complains of a key that means nothing."""
    for members in reading.objects:
        if {"input", "output"} <= members.keys():
            optional = _OPTIONAL
        elif "bands" in members:
            optional = _OPTIONAL_BESIDE_BANDS
        else:
            continue
        lacking = optional - members.keys()
        for key, member in members.items():
            meant = nearest(key, lacking, cutoff=0.8)
            if key not in _KNOWN_KEYS and meant is not None:
                yield warned(
                    "key",
                    "Key not known",
                    f"`{key}` is not `{meant}`, and means nothing in `setup()`.",
                    f"write `{meant}`",
                    member.span,
                )


# --- setup() -------------------------------------------------------------------------------


def _of_setup(look: Look) -> Remarks:
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
    yield from _of_choice(look)
    for given in look.facts.inputs:
        for band in sorted({one for one in given.bands if given.bands.count(one) > 1}):
            yield warned(
                "band-twice",
                "Band asked for twice",
                f"`setup()` lists `{band}` {given.bands.count(band)} times in one input.",
                "remove one of them",
                last_place(look.reading.strings, band),
            )


def _of_choice(look: Look) -> Remarks:
    has_none = all(one.mosaicking == "SIMPLE" for one in look.facts.inputs)
    if has_none and "preProcessScenes" in look.facts.functions:
        yield Remark(
            "scenes",
            "Scenes not chosen",
            "`preProcessScenes()` is not called: with mosaicking SIMPLE there are no scenes to choose from.",
            "It is called where `setup()` states ORBIT or TILE; then `samples` is a list.",
            'write `mosaicking: "ORBIT"`, or remove the function',
            look.reading.declared.get("preProcessScenes"),
            Severity.HINT,
        )


# --- what is read --------------------------------------------------------------------------


def _of_reads(look: Look, seen: Seen, *, alone: bool) -> Remarks:
    for given, source in zip(look.facts.inputs, seen.sources, strict=True):
        yield from _strays(look, seen, given, source, alone=alone)
        yield from _list_strays(look, given, source)
        yield from _unused(look, given, source)
    known = [one.datasource for one in look.facts.inputs if one.datasource]
    # Inputs without a name are one source where the request has one: then its samples have all their bands.
    bands = set() if known else {band for one in look.facts.inputs for band in one.bands}
    if bands:
        yield from _unnamed_list(look, seen, bands)
    for name, place in seen.stray_sources.items():
        if name in OF_LISTS or name in bands:
            continue
        names = ", ".join(f"`{one}`" for one in known)
        yield Remark(
            "datasource",
            "No such datasource",
            f"the samples have no member `{name}`: with several inputs they are keyed by datasource.",
            f"`setup()` names {names}." if known else "`setup()` names none.",
            did_you_mean(name, known)
            if known
            else f'write `datasource: "{name}"` beside the bands of that input',
            read_place(look.reading, name, place),
            # What is undefined may be added to what nobody uses; for want of samples a script fails.
            Severity.ERROR if seen.failed else Severity.WARNING,
        )


def _unnamed_list(look: Look, seen: Seen, bands: set[str]) -> Remarks:
    """With several inputs of one source there is one list of samples, whose items have the bands of all."""
    kinds = {one.mosaicking for one in look.facts.inputs}
    read = {name: place for name, place in seen.stray_sources.items() if name in bands}
    if read and "SIMPLE" not in kinds:
        yield _list_used(look, read, f"Mosaicking is {min(kinds)}", Severity.ERROR)


def _strays(look: Look, seen: Seen, given: InputFacts, source: Source, *, alone: bool) -> Remarks:
    as_list = [name for name in source.strays if name in OF_LISTS or name.isdigit()]
    for name, place in source.strays.items():
        if name in as_list or name in look.reading.doubted or name.startswith("__"):
            continue
        bands = tuple(dict.fromkeys(given.bands))
        yield Remark(
            "band-not-asked",
            "Band not asked for",
            f"`{name}` is read, and `setup()` does not ask for it: its value is undefined.",
            f"`setup()` asks for {', '.join(bands)}.",
            missing_band(name, bands),
            read_place(look.reading, name, place),
            Severity.WARNING if _is_doubted(name, look.reading) else Severity.ERROR,
        )
    if as_list:
        name = as_list[0]
        # By a number: a request with several collections would key the samples like that.
        fatal = seen.failed == seen.pixels and (alone or not name.isdigit())
        shown = f"[{name}]" if name.isdigit() else f".{name}"
        yield Remark(
            "mosaicking",
            "Sample used as a list",
            f"`{shown}` is read of a sample, which is no list: mosaicking is {given.mosaicking}.",
            "Only with ORBIT or TILE there is a list of samples, one for each day or scene.",
            'write `mosaicking: "ORBIT"` in `setup()`, or read the bands of the sample itself',
            read_place(look.reading, name, source.strays[name]),
            Severity.ERROR if fatal else Severity.WARNING,
        )


def _is_doubted(name: str, reading: Reading) -> bool:
    """Tell whether the text may well expect a member to be missing."""
    by_name = name in reading.members
    return name in reading.slightly or (reading.any_doubted and not by_name)


def _list_strays(look: Look, given: InputFacts, source: Source) -> Remarks:
    read = {name: place for name, place in source.list_strays.items() if name in given.bands}
    if read:
        why = (
            f"Mosaicking is {given.mosaicking}"
            if given.mosaicking != "SIMPLE"
            else "With several inputs each of them gives a list"
        )
        # A script that also reads what is in the list works, but for this.
        yield _list_used(look, read, why, Severity.WARNING if source.reads else Severity.ERROR)
    for name, place in source.list_strays.items():
        meant = nearest(name, OF_LISTS, cutoff=0.8)
        if name not in given.bands and meant is not None and name not in look.reading.doubted:
            yield warned(
                "undeclared",
                "Member of no list",
                f"`{name}` is read of the list of samples, and lists have no such member.",
                f"did you mean `{meant}`?",
                read_place(look.reading, name, place),
                why="What is undefined makes loops end before they begin.",
            )


def _list_used(look: Look, read: Mapping[str, Place], why: str, severity: Severity) -> Remark:
    name = next(iter(read))
    *others, last = (f"`{one}`" for one in read)
    names = f"{', '.join(others)} and {last}" if others else last
    are, values = ("is", "its value is") if len(read) == 1 else ("are", "their values are")
    return Remark(
        "mosaicking",
        "List used as a sample",
        f"{names} {are} read of the list of samples: {values} undefined.",
        f"{why}, and the list may be empty.",
        f"read `samples[0].{name}` where `samples.length > 0`, or go through the list",
        read_place(look.reading, name, read[name]),
        severity,
    )


def _unused(look: Look, given: InputFacts, source: Source) -> Remarks:
    if look.facts.is_simple or source.walked or look.reading.assembled:
        return
    for band in dict.fromkeys(given.bands):
        if band in source.reads or band in look.reading.members:
            continue
        free = band == MASK
        yield warned(
            "band-unused",
            "Band not used",
            f"`setup()` asks for `{band}`, and nothing reads it.",
            f'remove "{band}" from the bands of `setup()`',
            input_place(look.reading, given.datasource, band),
            why="" if free else "Every band is paid for, whether it is read or not.",
        )


# --- failures ------------------------------------------------------------------------------


def _before_the_pixels(look: Look, fault: ScriptError) -> Remark:
    """Return what is to be said of a function that chooses scenes or bands, and failed at that."""
    sure = _is_undefined(fault)
    endless = fault.fault in (Fault.TIMEOUT, Fault.MEMORY)
    when = "with made-up pixels" if endless else "before any pixel it failed with made-up scenes"
    return Remark(
        "fails",
        "Evalscript fails",
        f"{when}: {fault.message.rstrip('.')}.",
        "What fails there fails the whole request.",
        _meant_by(look, fault),
        _failed_at(look, fault),
        Severity.ERROR if sure else Severity.WARNING,
    )


def _is_undefined(fault: ScriptError) -> bool:
    """Tell whether a name is used that there is not, neither here nor where the service runs the script."""
    return fault.message.startswith("ReferenceError") and not _withheld(fault)


def _withheld(fault: ScriptError) -> str:
    """Return the name that only this engine's world lacks; empty where a script fails for something else."""
    found = _NOT_DEFINED.search(fault.message)
    return found[1] if found is not None and found[1] in WITHHELD else ""


def _failed_at(look: Look, fault: ScriptError) -> Span | None:
    """Return where a script failed: a name that there is not is a whole word, and more certain than a column."""
    name = _NOT_DEFINED.search(fault.message)
    if fault.line is None:
        return None
    if name is not None:
        span = look.reading.undeclared.get(name[1])
        if span is not None and span.line == fault.line:
            return span
    width = len(name[1]) if name is not None else 1
    return Span(fault.line, fault.column or 1, (fault.column or 1) + width)


def _meant_by(look: Look, fault: ScriptError) -> str:
    name = _NOT_DEFINED.search(fault.message)
    return "" if name is None else _meant(look, name[1])


def _meant(look: Look, name: str) -> str:
    """Return a hint with the name that one which there is not was meant to be."""
    if name == "scenes":
        return "take it as the second argument: `evaluatePixel(samples, scenes)`"
    if name in look.facts.inputs[0].bands and look.facts.inputs[0].mosaicking == "SIMPLE":
        return f"read it of the sample: `sample.{name}`"
    near = nearest(name, [*look.reading.declared, *HELPERS, *_KEYWORDS], cutoff=0.7)
    return f"did you mean `{near}`?" if near and near != name else ""


def _of_failures(look: Look, seen: Seen) -> Remarks:
    first = seen.first
    if first is None:
        return
    withheld = _withheld(first)
    if withheld:
        yield Remark(
            "fails",
            UNTRIED,
            f"`{withheld}` is not there where shplan tries scripts: what this one reads and returns is not known.",
            "Memory that no limit counts is kept from scripts, and the sandbox does not run it either.",
            "write a list: [0.25, 0.5]" if withheld.endswith("Array") else "",
            _failed_at(look, first),
            Severity.HINT,
        )
        return
    sure = _is_undefined(first) and not look.facts.is_simple
    every = seen.failed == seen.pixels
    where = "every made-up pixel" if every else f"{seen.failed} of {seen.pixels} made-up pixels"
    # Where it chose none of the scenes, it may fail for want of them.
    if sure or (every and not seen.unfed):
        yield Remark(
            "fails",
            "Evalscript fails",
            f"`evaluatePixel()` failed at {where}: {first.message.rstrip('.')}.",
            "A script that throws at one pixel fails the whole request.",
            _meant_by(look, first),
            _failed_at(look, first),
            Severity.ERROR if sure else Severity.WARNING,
        )


def _of_no_scenes(look: Look) -> Remarks:
    """Say what happens where there is nothing to read. Source: documentation, "Batch Processing API", analysis."""
    if look.barren is not None:
        yield warned(
            "fails",
            "Evalscript fails without scenes",
            f"`evaluatePixel()` fails where there is no scene: {look.barren.message.rstrip('.')}.",
            "look at `samples.length` before anything is read of a sample",
            _failed_at(look, look.barren),
            why="A part of the area is tried while a batch request is analysed, also one without scenes:"
            " `samples` is an empty list there.",
        )
