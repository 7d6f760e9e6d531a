"""
What of the remarks on a script only follows from another: one fault is told once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shplan.core.diagnostic import Severity
from shplan.manifest.script_outputs import OUTSIDE, UNDEFINED
from shplan.manifest.script_remarks import UNTRIED, Look, Remark

# What goes wrong where a sample is taken for what it is not.
_OF_READS = frozenset(["band-not-asked", "datasource", "mosaicking"])
# What a script does when its samples have another form than it expects.
_OF_FORMS = frozenset(["mosaicking", "fails", "band-unused", "nothing-returned", "output-form"])
# What is only known of a script that was tried.
_OF_PIXELS = frozenset(
    ["fails", "band-unused", "nothing-returned", "output-missing", "output-form", "sample-type"]
)


def without_echoes(found: Sequence[Remark], look: Look) -> list[Remark]:
    """Return the remarks without those that another one explains."""
    kept = list(found)
    if any(_is_mosaicking(one) for one in kept):
        # What is undefined counts as SIMPLE, which was not meant: what fails for that is told with it.
        echoes = [one for one in kept if one.rule in _OF_FORMS and not _is_name(one)]
        grave = any(one.severity is Severity.ERROR or one.rule == "fails" for one in echoes)
        kept = [
            replace(one, severity=Severity.ERROR) if grave and _is_mosaicking(one) else one
            for one in kept
            if one not in echoes
        ]
    read = [one for one in kept if one.rule in _OF_READS]
    kept = [one for one in kept if not (one.rule == "fails" and _follows(one, read))]
    if any(one.summary == UNTRIED for one in kept):
        kept = [one for one in kept if one.rule not in _OF_PIXELS or one.summary == UNTRIED]
    if any(one.rule == "fails" for one in kept):
        # What it would have returned there, nobody has seen.
        kept = [one for one in kept if one.rule != "output-missing"]
    if read:
        kept = [one for one in kept if one.summary != UNDEFINED]
    if any(one.rule == "sample-type" and one.summary != OUTSIDE for one in kept):
        # With the type that was meant they may well be inside.
        kept = [one for one in kept if one.summary != OUTSIDE]
    return [one for one in kept if one.rule != "band-unused" or not _is_unseen(one, kept, look)]


def _is_mosaicking(one: Remark) -> bool:
    return one.rule == "constant" and "`Mosaicking." in one.what


def _is_name(one: Remark) -> bool:
    return one.rule == "fails" and "ReferenceError" in one.what


def _follows(failure: Remark, read: Sequence[Remark]) -> bool:
    """Tell whether a failure is what comes of a read: of what is undefined nothing can be read."""
    if "TypeError" not in failure.what:
        return False
    at = failure.span
    near = any(one.span is not None and at is not None and one.span.line == at.line for one in read)
    return near or (
        "undefined" in failure.what
        and any(one.rule == "datasource" and one.severity is Severity.ERROR for one in read)
    )


def _is_unseen(unused: Remark, found: Sequence[Remark], look: Look) -> bool:
    """Tell whether a band may well be used, but for what else is wrong."""
    band = unused.what.split("`")[3]
    if any(f"did you mean `{band}`?" in one.hint for one in found):
        return True
    reads_nothing = any(
        one.rule in (*_OF_READS, "output-form")
        or (one.rule == "fails" and one.severity is not Severity.HINT)
        for one in found
    )
    # By a name that is put together, or out of a list: where it fails before, nobody comes by.
    by_name = look.reading.computed or len(look.reading.strings.get(band, ())) > 1
    return reads_nothing and by_name
