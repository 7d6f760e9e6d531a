"""
Options of a request's data that do nothing, need another one, or mean another number than they seem to.

Source: API description, the `*Processing` and `*Filtering` schemas; the documentation's pages on the collections:
Sentinel-1, Sentinel-3 and Sentinel-5P use `upsampling` alone, terrain correction needs orthorectification.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, cast

from shplan.core.job_input import ScriptShape
from shplan.core.request_faults import Fault, Faults, at, number
from shplan.core.value import Object, Path, Value, is_known

_ONE_METHOD: Final = ("sentinel-1-", "sentinel-3-", "sentinel-5p-")
_RADAR: Final = "sentinel-1-grd"
_TERRAIN: Final = "GAMMA0_TERRAIN"
# Source: documentation, "Sentinel-1 GRD": what each polarization holds, and which bands come of which correction.
_POLARIZED: Final = frozenset(["VV", "VH", "HH", "HV"])
_HELD: Final = {"SH": ("HH",), "SV": ("VV",), "DH": ("HH", "HV"), "DV": ("VV", "VH")}
_OF_ORTHORECTIFIED: Final = "localIncidenceAngle"
_OF_FLATTENED: Final = frozenset(["scatteringArea", "shadowMask"])
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


def radar_band_faults(data: Value, script: ScriptShape, path: Path) -> Faults:
    """
    Return which bands a script reads of radar images that the options of the request leave out.

    Args:
        data: `input.data`
        path: of it in the body
    """
    listed = data if isinstance(data, list) else []
    for index, one in enumerate(listed):
        name = at(one, "id")
        bands = {
            band
            for given in script.inputs
            if len(listed) == 1 or (name is not None and given.datasource == name)
            for band in given.bands
        }
        if at(one, "type") == _RADAR:
            yield from _polarization_faults(one, bands, (*path, index))
            yield from _correction_faults(one, bands, (*path, index))


def _polarization_faults(one: Value, bands: AbstractSet[str], path: Path) -> Faults:
    stated = at(one, "dataFilter", "polarization")
    held = _HELD.get(str(stated), (str(stated),) if stated in _POLARIZED else ())
    for band in sorted(bands & _POLARIZED):
        if held and band not in held:
            yield Fault(
                (*path, "dataFilter", "polarization"),
                "option",
                "Band of another polarization",
                f"the script reads `{band}`, and images of polarization {stated} have {' and '.join(held)}.",
                "The filter takes images of this polarization alone.",
                "remove the filter, or read another band",
                sure=False,
            )


def _correction_faults(one: Value, bands: AbstractSet[str], path: Path) -> Faults:
    processing = at(one, "processing") if isinstance(one, dict) and "processing" in one else {}
    stated = ("orthorectify", "backCoeff")
    if not isinstance(processing, dict) or not all(is_known(processing.get(one)) for one in stated):
        return
    is_ortho = processing.get("orthorectify") in (True, "true")
    needs = {_OF_ORTHORECTIFIED: "orthorectify: true"} if not is_ortho else {}
    if processing.get("backCoeff") != _TERRAIN:
        needs |= dict.fromkeys(_OF_FLATTENED, f"orthorectify: true, backCoeff: {_TERRAIN}")
    for band in sorted(bands & needs.keys()):
        yield Fault(
            (*path, "processing") if "processing" in cast("Object", one) else (*path, "type"),
            "option",
            "Band that needs an option",
            f"the script reads `{band}`, which comes only with `{needs[band]}`.",
            "It is calculated while images are corrected.",
            f"add `processing: {{{needs[band]}}}`, which costs more, or leave the band out",
            sure=False,
        )


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
