"""What is said of the inputs of a script by what is known of the collections that they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shplan.core.diagnostic import Severity
from shplan.manifest.collections import MASK, Collection, published
from shplan.manifest.script_remarks import (
    Remark,
    Remarks,
    did_you_mean,
    first_place,
    input_place,
    names_text,
)
from shplan.schema.store import table
from shplan.script import InputFacts
from shplan.script.reading import Reading


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
        f"Its `input.data` have the ids {', '.join(f'`{one}`' for one in known)}."
        if known
        else "Its `input.data` have no ids.",
        did_you_mean(given.datasource, known)
        if known
        else f"write `id: {given.datasource}` beside the `type` that it reads",
        first_place(reading.strings, given.datasource),
    )


def too_few_data(wanted: Sequence[str], ids: Iterable[str], reading: Reading) -> Remark:
    """Return what is to be said of a script of several datasources where the request has one input."""
    known = [one for one in ids if one]
    lacking = next(one for one in (wanted if known else wanted[1:]) if one not in known)
    has = f"one, `{known[0]}`" if known else "one, without an id"
    return Remark(
        "datasource",
        "No such datasource",
        f"`setup()` reads {len(wanted)} datasources, and the `input.data` of the request have {has}.",
        f"`setup()` names {', '.join(f'`{one}`' for one in wanted)}.",
        f"add `{{id: {lacking}, type: ...}}` to `input.data`",
        first_place(reading.strings, lacking),
    )


def unnamed_data(ids: Iterable[str], reading: Reading) -> Remark:
    """Return what is to be said of a script that does not say which inputs of a request it reads."""
    known = [one for one in ids if one]
    return Remark(
        "datasource",
        "Datasource not stated",
        "the request has several `input.data`, and `setup()` does not say which of them it reads.",
        "Where there are several, samples are keyed by datasource, and what is not read is paid as well.",
        f'write `datasource: "{known[0]}"` beside the bands' if known else "give each an `id`",
        first_place(reading.keys, "input"),
        Severity.WARNING,
    )


def unread_data(id_: str, wanted: Iterable[str], reading: Reading) -> Remark:
    """Return what is to be said of an input of a request that no input of the script reads."""
    return Remark(
        "datasource",
        "Input not read",
        f"the request has the input `{id_}`, and `setup()` has no datasource of that name.",
        f"It names {', '.join(f'`{one}`' for one in wanted)}; what is not read is paid as well.",
        "remove it from `input.data`, or add it to `setup()`",
        first_place(reading.keys, "datasource"),
        Severity.WARNING,
    )


def _bands_of(
    given: InputFacts, collection: Collection, deployment: str, reading: Reading
) -> Remarks:
    for band in dict.fromkeys(given.bands) if collection.known else ():
        if collection.has(band, deployment=deployment):
            continue
        elsewhere = collection.has(band)
        where = f" on {deployment}" if elsewhere else ""
        yield Remark(
            "band-unknown",
            "No such band",
            f"{collection.name} has no band `{band}`{where}.",
            "" if elsewhere else f"It has {names_text(collection.bands)}.",
            _where_it_is(band, collection) if not elsewhere else "",
            input_place(reading, given.datasource, band),
            Severity.ERROR if collection.complete or elsewhere else Severity.WARNING,
        )


def _where_it_is(band: str, collection: Collection) -> str:
    """Return a hint with the collection of the same satellite that has a band, or with the nearest name."""
    satellite, dash, _ = collection.name.rpartition("-")
    others = published(table("collections")).values() if dash else ()
    names = {one.name for one in others if one.has(band)}
    beside = sorted(name for name in names if name.startswith(f"{satellite}-"))
    if beside:
        return f"{' and '.join(beside)} {'has' if len(beside) == 1 else 'have'} it"
    return did_you_mean(band, collection.bands)


def _units_of(given: InputFacts, collection: Collection, reading: Reading) -> Remarks:
    wrong: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for band, unit in zip(given.bands, given.units, strict=False):
        units = collection.units(band)
        if band != MASK and units and unit.upper() not in units:
            wrong.setdefault((unit, units), []).append(band)
    for (unit, units), bands in wrong.items():
        names = ", ".join(f"`{one}`" for one in dict.fromkeys(bands))
        yield Remark(
            "units",
            "Unit not offered",
            f"{'band' if len(bands) == 1 else 'bands'} {names} of {collection.name} cannot be had in `{unit}`.",
            f"{'It comes' if len(bands) == 1 else 'They come'} in {' or '.join(units)}.",
            f'write "{units[0]}"; bands with other units take `units` as a list, one for each band',
            input_place(reading, given.datasource, unit),
            _weight(collection),
        )


def _mosaicking_of(given: InputFacts, collection: Collection, reading: Reading) -> Remarks:
    if given.mosaicking not in collection.mosaicking:
        yield Remark(
            "mosaicking",
            "Mosaicking not offered",
            f"{collection.name} cannot be read with mosaicking {given.mosaicking}.",
            f"It offers {', '.join(collection.mosaicking)}.",
            "",
            first_place(reading.strings, given.mosaicking),
            _weight(collection),
        )


def _weight(collection: Collection) -> Severity:
    """What only a name suggests is in doubt; of a kind of one's own this much is sure without its bands."""
    return Severity.ERROR if collection.complete or not collection.known else Severity.WARNING
