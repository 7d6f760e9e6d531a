"""
What a script's `setup()` says, as values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputFacts:
    """
    One input.

    Args:
        bands: as written, in order, repetitions included
        units: one for each band as written, or empty where the script says none
        datasource: empty where the script says none
        mosaicking: `SIMPLE`, `ORBIT` or `TILE`; the global one unless the input has its own
        metadata: what was asked for besides pixels
    """

    bands: tuple[str, ...]
    units: tuple[str, ...]
    datasource: str
    mosaicking: str
    metadata: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """
    One output.

    Args:
        id: `default` where the script says none
        bands: their number
        band_names: where the script names them, as the Statistical API wants it; else empty
        sample_type: in upper case; `AUTO` where the script says none
        nodata: the value of the GDAL tag, None where the script says none
        is_typed: whether the script says a sample type, for who takes another for granted
    """

    id: str
    bands: int
    band_names: tuple[str, ...]
    sample_type: str
    nodata: float | None
    is_typed: bool = False


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """
    All that is known of a script without running it on pixels.

    Args:
        version: of the dialect
        engine: which engine read it: `v8` or `quickjs`
        functions: which of the known functions it has, sorted
        mosaicking: the global one
        is_simple: whether it is a simple script: a body without functions, of which only a run on
            pixels tells what comes out
    """

    version: int
    engine: str
    functions: tuple[str, ...]
    mosaicking: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]
    is_simple: bool = False
