"""
What a change of a collection's bands means: renamed, added, or other bands than the tiles have.

Source: schemas BYOCFormat and BYOCCollectionUpdatePayload of the API description, and the page on
BYOC. A collection without tiles takes nearly every change in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from shplan.core.change import FieldChange, Reason
from shplan.core.diff import value_at
from shplan.core.fields import FieldRule, FieldRules, Omitted
from shplan.core.value import Object, Value
from shplan.providers.observation import Observed

_BANDS = ("additionalData", "bands")
_FROZEN = "bands keep their structure once the collection has tiles"

# Source: schema BYOCCollectionUpdatePayload.
RULES = FieldRules(
    {
        "s3Bucket": FieldRule(
            immutable="a collection with tiles keeps its bucket", mutable_while_empty=True
        ),
        "noData": FieldRule(omitted=Omitted.CLEARS, clearable=True),
        "additionalData.bands": FieldRule(whole=True),
        "additionalData.bands.*.source": FieldRule(immutable=_FROZEN, mutable_while_empty=True),
        "additionalData.bands.*.bandIndex": FieldRule(immutable=_FROZEN, mutable_while_empty=True),
        "additionalData.bands.*.bitDepth": FieldRule(immutable=_FROZEN, mutable_while_empty=True),
        "additionalData.bands.*.sampleFormat": FieldRule(
            immutable="a sample format that is set stays"
        ),
        "additionalData.bands.*.noData": FieldRule(omitted=Omitted.CLEARS, clearable=True),
    }
)


def with_defaults(attributes: Object) -> Object:
    """Fill in what the server may leave out. Source: schema BYOCFormat."""
    bands = bands_of(attributes)
    if not bands:
        return attributes
    filled = {
        name: {"source": name, "bandIndex": 1, **cast("Object", band)}
        for name, band in bands.items()
    }
    additional = cast("Object", attributes["additionalData"])
    return {**attributes, "additionalData": {**additional, "bands": cast("Value", filled)}}


def judge_fields(
    fields: tuple[FieldChange, ...], spec: Object, observed: Observed
) -> tuple[FieldChange, ...]:
    """Settle what depends on tiles: with none, nearly everything can be changed in place."""
    empty = observed.members == 0
    fields = (*fields, *_no_data_elsewhere(fields, observed.attributes))
    return tuple(
        change if empty and not change.forces else _judged(change, fields, spec, observed)
        for change in sorted(fields, key=lambda one: one.dotted)
    )


def _judged(
    change: FieldChange, fields: tuple[FieldChange, ...], spec: Object, observed: Observed
) -> FieldChange:
    if is_added_band(change) and bands_of(observed.attributes):
        renamed = _renamed_from(str(change.path[-1]), spec, observed.attributes, fields)
        why = "bands are not added to a collection with tiles"
        return replace(change, forces="" if renamed else why)
    rule = RULES.rule(change.path)
    first_time = change.path[-1] == "sampleFormat" and change.before is None
    if (observed.members == 0 and rule.mutable_while_empty) or first_time:
        return replace(change, forces="")
    return change


def _no_data_elsewhere(fields: tuple[FieldChange, ...], observed: Object) -> Iterator[FieldChange]:
    """
    Clear the no-data value on the other level, where one is about to be set.

    Source: schema BYOCFormat: it stands either for the collection or for its bands; ingestion
    may have set either.
    """
    given = {change.path for change in fields if change.after is not None}
    present = {change.path for change in fields}
    bands = bands_of(observed)
    on_band = any(path[:2] == _BANDS and path[-1:] == ("noData",) for path in given)
    if on_band and ("noData",) not in present and observed.get("noData") is not None:
        yield FieldChange(("noData",), observed["noData"], None, Reason.DIFFERS, cleared=True)
    for name, band in bands.items() if ("noData",) in given else ():
        path = (*_BANDS, name, "noData")
        value = value_at(band, ("noData",))
        if value is not None and path not in present:
            yield FieldChange(path, value, None, Reason.DIFFERS, cleared=True)


def _is_whole_band(change: FieldChange) -> bool:
    return len(change.path) == 3 and change.path[:2] == _BANDS


def is_added_band(change: FieldChange) -> bool:
    """Tell whether a change adds a whole band."""
    return _is_whole_band(change) and change.before is None


def _renamed_from(
    name: str, spec: Object, observed: Object, fields: tuple[FieldChange, ...]
) -> str:
    """
    Return the observed band that a new name stands for, or an empty text.

    Source: schema BYOCCollectionUpdatePayload: bands are renamed by sending the current map
    with other names, everything else unchanged.
    """
    observed_bands = bands_of(with_defaults(observed))
    gone = [str(c.path[-1]) for c in fields if _is_whole_band(c) and c.after is None]
    new = cast("Object", bands_of(spec).get(name) or {})
    for old in gone:
        before = cast("Object", observed_bands[old])
        stated = {"source": name, "bandIndex": 1, **new}
        if all(before.get(key) == value for key, value in stated.items() if key != "noData"):
            return old
    return ""


def bands_of(attributes: Object) -> Object:
    """Return the bands of a collection by name; none where it has none, or they are not known."""
    additional = attributes.get("additionalData")
    bands = additional.get("bands") if isinstance(additional, dict) else None
    return bands if isinstance(bands, dict) else {}


def additional_data(
    spec: Object, before: Object, after: Object, fields: tuple[FieldChange, ...]
) -> Object:
    """Return the whole of it, without what only the server writes."""
    stated = spec.get("additionalData")
    # What a user may set is carried along, for what is given overwrites the whole.
    names = {"bands", "storageIdentifier", *(stated if isinstance(stated, dict) else ())}
    bands: Object = {}
    for name, band in bands_of(after).items():
        old = "" if name in bands_of(before) else _renamed_from(name, spec, before, fields)
        merged = {**cast("Object", bands_of(before).get(old) or {}), **cast("Object", band)}
        bands[name] = {key: value for key, value in merged.items() if key != "aliases"}
    whole = {**cast("Object", after.get("additionalData") or {}), "bands": bands}
    return {name: whole[name] for name in sorted(names) if name in whole}
