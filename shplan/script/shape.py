"""
From the value that `setup()` returned to facts; decides what is a setup and what is not.

The value comes as JSON in which only the known members of objects are left. What JSON cannot say is an
object with one member `$`: `{"$": "NaN"}`, `{"$": "function"}`.

Source: Evalscript V3, "setup function"; the forms besides the documented ones are those of published
scripts: one band as a bare string, one input as a bare object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shplan.script.facts import InputFacts, OutputFacts

MOSAICKING = ("SIMPLE", "ORBIT", "TILE")
# Source: Evalscript V3, "sampleType".
SAMPLE_TYPES = ("AUTO", "INT8", "UINT8", "INT16", "UINT16", "FLOAT32")
_HALF = re.compile("[\ud800-\udfff]")
_SPECIAL_NUMBERS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


class UnusableError(Exception):
    """The value is no setup; the message names the member."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The three things that a setup says."""

    mosaicking: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]


def read_setup(value: object) -> Setup:
    """
    Read what `setup()` returned.

    Raises:
        UnusableError: it is no setup
    """
    if not _is_object(value):
        msg = f"setup() returned {_words(value)}; it must return an object with input and output"
        raise UnusableError(msg)
    assert isinstance(value, dict)
    mosaicking = _mosaicking(value.get("mosaicking"), "mosaicking", default="SIMPLE")
    return Setup(
        mosaicking,
        _inputs(value.get("input"), mosaicking),
        _outputs(value.get("output")),
    )


def _inputs(value: object, mosaicking: str) -> tuple[InputFacts, ...]:
    if value is None:
        msg = "setup() returned no input"
        raise UnusableError(msg)
    if isinstance(value, str):
        value = [value]
    if _is_object(value):
        return (_input(value, "input", mosaicking),)
    if not isinstance(value, list):
        msg = f"input is {_words(value)}; it must be a list of band names or of objects"
        raise UnusableError(msg)
    if not value:
        msg = "input is empty; it must name at least one band"
        raise UnusableError(msg)
    if isinstance(value[0], str):
        return (InputFacts(_strings(value, "input", "a band name"), (), "", mosaicking, ()),)
    return tuple(_input(one, f"input[{n}]", mosaicking) for n, one in enumerate(value))


def _input(value: object, path: str, mosaicking: str) -> InputFacts:
    if not _is_object(value):
        msg = f"{path} is {_words(value)}; it must be an object with bands"
        raise UnusableError(msg)
    assert isinstance(value, dict)
    if value.get("bands") is None:
        msg = f"{path} has no bands"
        raise UnusableError(msg)
    bands = _strings(_listed(value["bands"]), f"{path}.bands", "a band name")
    return InputFacts(
        bands=bands,
        units=_units(value.get("units"), f"{path}.units", len(bands)),
        datasource=_datasource(value.get("datasource"), f"{path}.datasource"),
        mosaicking=_mosaicking(value.get("mosaicking"), f"{path}.mosaicking", default=mosaicking),
        metadata=_strings(_listed(value.get("metadata")), f"{path}.metadata", "a string"),
    )


def _units(value: object, path: str, bands: int) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) * bands
    units = _strings(_listed(value), path, "a string")
    if units and len(units) != bands:
        msg = (
            f"{path} has {len(units)} of them; it must be one unit, or a list with one for each of the"
            f" {bands} bands"
        )
        raise UnusableError(msg)
    return units


def _datasource(value: object, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _is_text(value):
        msg = f"{path} is {_words(value)}; it must be a string"
        raise UnusableError(msg)
    return value


def _mosaicking(value: object, path: str, *, default: str) -> str:
    # A misspelt constant, `Mosaicking.ORBITS`, is undefined, and thus as good as absent.
    if value is None:
        return default
    if isinstance(value, str) and value.upper() in MOSAICKING:
        return value.upper()
    msg = f"{path} is {_words(value)}; it must be SIMPLE, ORBIT or TILE"
    raise UnusableError(msg)


def _outputs(value: object) -> tuple[OutputFacts, ...]:
    if value is None:
        msg = "setup() returned no output"
        raise UnusableError(msg)
    if _is_object(value):
        return (_output(value, "output"),)
    if not isinstance(value, list):
        msg = f"output is {_words(value)}; it must be an object or a list of objects"
        raise UnusableError(msg)
    if not value:
        msg = "output is empty; there must be at least one"
        raise UnusableError(msg)
    outputs = tuple(_output(one, f"output[{n}]") for n, one in enumerate(value))
    seen: set[str] = set()
    for number, one in enumerate(outputs):
        if one.id in seen:
            msg = f'output[{number}].id is "{one.id}", which an earlier output has; ids must be unique'
            raise UnusableError(msg)
        seen.add(one.id)
    return outputs


def _output(value: object, path: str) -> OutputFacts:
    if not _is_object(value):
        msg = f"{path} is {_words(value)}; it must be an object with bands"
        raise UnusableError(msg)
    assert isinstance(value, dict)
    bands = value.get("bands")
    names = _band_names(bands, f"{path}.bands")
    return OutputFacts(
        id=_output_id(value.get("id"), f"{path}.id"),
        # An empty list is as good as no band at all.
        bands=len(names) if isinstance(bands, list) else _count(bands, f"{path}.bands"),
        band_names=names,
        sample_type=_sample_type(value.get("sampleType"), f"{path}.sampleType"),
        nodata=_nodata(value.get("nodataValue"), f"{path}.nodataValue"),
        is_typed=value.get("sampleType") is not None,
    )


def _output_id(value: object, path: str) -> str:
    if value is None:
        return "default"
    if not isinstance(value, str) or not value or not _is_text(value):
        msg = f"{path} is {_words(value)}; it must be a string"
        raise UnusableError(msg)
    return value


def _band_names(value: object, path: str) -> tuple[str, ...]:
    return _strings(value, path, "a string") if isinstance(value, list) else ()


def _count(value: object, path: str) -> int:
    # None at all is what scripts declare that only read about scenes, and tell their user.
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        whole = int(value)
        if whole == value:
            return whole
    words = "missing" if value is None else _words(value)
    msg = f"{path} is {words}; it must be the number of bands or a list of their names"
    raise UnusableError(msg)


def _sample_type(value: object, path: str) -> str:
    # A misspelt constant is undefined, and thus as good as absent.
    if value is None:
        return "AUTO"
    if isinstance(value, str) and value.upper() in SAMPLE_TYPES:
        return value.upper()
    msg = f"{path} is {_words(value)}; it must be one of {', '.join(SAMPLE_TYPES)}"
    raise UnusableError(msg)


def _nodata(value: object, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dict) and value.get("$") in _SPECIAL_NUMBERS:
        return float(_SPECIAL_NUMBERS[value["$"]])
    msg = f"{path} is {_words(value)}; it must be a number"
    raise UnusableError(msg)


def _listed(value: object) -> object:
    """Return a list for nothing and for a bare string, which published scripts write for one."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _is_text(value: str) -> bool:
    """Tell whether a string is one that can be written down: JavaScript's may hold halves of characters."""
    return value.isascii() or not _HALF.search(value)


def _strings(value: object, path: str, what: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        msg = f"{path} is {_words(value)}; it must be a list"
        raise UnusableError(msg)
    for number, one in enumerate(value):
        if not isinstance(one, str) or not _is_text(one):
            msg = f"{path}[{number}] is {_words(one)}; it must be {what}"
            raise UnusableError(msg)
    return tuple(value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and "$" not in value


def _words(value: object) -> str:
    """Return the value as a message names it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return str(value["$"]) if "$" in value else "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f'"{" ".join(_HALF.sub("?", value[:60]).split())}"'
    return ("false", "true")[value] if isinstance(value, bool) else str(value)
