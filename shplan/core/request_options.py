"""
Options of a request's data that do nothing, need another one, or mean another number than they seem to.

Source: API description, the `*Processing` and `*Filtering` schemas; the documentation's pages on the collections:
Sentinel-1, Sentinel-3 and Sentinel-5P use `upsampling` alone, terrain correction needs orthorectification.
"""

from __future__ import annotations

from typing import Final

from shplan.core.request_faults import Fault, Faults, at, number
from shplan.core.value import Path, Value, is_known

_ONE_METHOD: Final = ("sentinel-1-", "sentinel-3-", "sentinel-5p-")
_RADAR: Final = "sentinel-1-grd"
_TERRAIN: Final = "GAMMA0_TERRAIN"
_MAPZEN: Final = "MAPZEN"


def option_faults(one: Value, path: Path) -> Faults:
    """
    Return what is wrong with the options of one of `input.data`.

    Args:
        path: of it in the body
    """
    collection, processing = at(one, "type"), at(one, "processing")
    yield from _cloud_faults(one, (*path, "dataFilter", "maxCloudCoverage"))
    if not isinstance(collection, str):
        return
    here = (*path, "processing")
    if at(processing, "downsampling") is not None and collection.startswith(_ONE_METHOD):
        yield _idle(
            (*here, "downsampling"),
            f"`downsampling` does nothing for {collection}.",
            "Its pixels are found by `upsampling`, whichever way they are resampled.",
            "write `upsampling` instead",
        )
    if collection == _RADAR:
        yield from _radar_faults(processing, here)
    if collection == "dem":
        yield from _height_faults(one, here)


def _cloud_faults(one: Value, path: Path) -> Faults:
    stated = number(at(one, "dataFilter", "maxCloudCoverage"))
    if stated is not None and 0 < stated < 1:
        yield Fault(
            path,
            "option",
            "Clouds as a fraction",
            f"`maxCloudCoverage` is {stated:g}: less than one percent.",
            "It is a percentage, from 0 to 100.",
            f"write `maxCloudCoverage: {100 * stated:g}` if that is meant",
            sure=False,
        )


def _radar_faults(processing: Value, path: Path) -> Faults:
    stated = ("orthorectify", "backCoeff")
    if not isinstance(processing, dict) or not all(is_known(processing.get(one)) for one in stated):
        return
    is_ortho = processing.get("orthorectify") is True
    flattens = processing.get("backCoeff") == _TERRAIN
    if flattens and not is_ortho:
        yield Fault(
            (*path, "backCoeff"),
            "option",
            "Option that needs another",
            f"`backCoeff` is {_TERRAIN}, and `orthorectify` is not true.",
            "Slopes are corrected only of images that are orthorectified.",
            "add `orthorectify: true`",
        )
    if "demInstance" in processing and not is_ortho:
        yield _idle(
            (*path, "demInstance"),
            "`demInstance` does nothing without `orthorectify: true`.",
            "Heights are needed only to correct the positions of pixels.",
            "add `orthorectify: true`, or remove it",
        )
    if "radiometricTerrainOversampling" in processing and not flattens:
        yield _idle(
            (*path, "radiometricTerrainOversampling"),
            f"`radiometricTerrainOversampling` does nothing without `backCoeff: {_TERRAIN}`.",
            "It says how finely slopes are looked at.",
            f"write `backCoeff: {_TERRAIN}`, or remove it",
        )


def _height_faults(one: Value, path: Path) -> Faults:
    model = at(one, "dataFilter", "demInstance")
    if at(one, "processing", "clampNegative") is True and model not in (None, _MAPZEN):
        yield _idle(
            (*path, "clampNegative"),
            f"`clampNegative` does nothing for `demInstance: {str(model)[:40]}`.",
            "It is an option of MAPZEN, the one model with depths of the sea.",
            "remove it",
        )


def _idle(path: Path, what: str, why: str, hint: str) -> Fault:
    return Fault(path, "option", "Option without effect", what, why, hint, sure=False)
