"""Options that do nothing are told; those that do what they say are not."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.job_input import ScriptInput, ScriptShape
from shplan.core.request_options import option_faults, radar_band_faults
from shplan.core.value import Reference, Unknown

RADAR, OPTICAL, HEIGHTS = "sentinel-1-grd", "sentinel-2-l2a", "dem"
LATER = Unknown("", "", (Reference(Address("ByocCollection", "a"), ("id",)),))


def told(kind: str, processing: Any = None, **chosen: Any) -> list[tuple[bool, str]]:
    one = {"type": kind, "dataFilter": chosen, "processing": processing or {}}
    return [(fault.sure, str(fault.path[-1])) for fault in option_faults(one, ("data", 0))]


@pytest.mark.parametrize(
    ("kind", "processing", "chosen"),
    [
        (OPTICAL, {"upsampling": "BICUBIC", "downsampling": "BICUBIC"}, {"maxCloudCoverage": 20}),
        (OPTICAL, {}, {"maxCloudCoverage": 0}),
        (OPTICAL, {}, {"maxCloudCoverage": 1.5}),
        (RADAR, {"upsampling": "BILINEAR"}, {}),
        (RADAR, {"backCoeff": "SIGMA0_ELLIPSOID"}, {}),
        (RADAR, {"orthorectify": True, "demInstance": "COPERNICUS_30"}, {}),
        (
            RADAR,
            {
                "orthorectify": True,
                "backCoeff": "GAMMA0_TERRAIN",
                "radiometricTerrainOversampling": 2,
            },
            {},
        ),
        (RADAR, {"orthorectify": LATER, "backCoeff": "GAMMA0_TERRAIN"}, {}),
        (HEIGHTS, {"clampNegative": True}, {"demInstance": "MAPZEN"}),
        (HEIGHTS, {"clampNegative": True}, {}),
        (HEIGHTS, {"egm": True}, {"demInstance": "COPERNICUS_30"}),
    ],
)
def test_options_that_do_something_are_left_alone(kind: str, processing: Any, chosen: Any) -> None:
    assert told(kind, processing, **chosen) == []


@pytest.mark.parametrize(
    "kind", [RADAR, "sentinel-3-olci", "sentinel-3-slstr-l2", "sentinel-5p-l2"]
)
def test_what_is_resampled_one_way_has_no_other(kind: str) -> None:
    assert told(kind, {"downsampling": "BILINEAR"}) == [(False, "downsampling")]


def test_slopes_are_corrected_of_orthorectified_images_only() -> None:
    assert told(RADAR, {"backCoeff": "GAMMA0_TERRAIN"}) == [(True, "backCoeff")]
    assert told(RADAR, {"demInstance": "MAPZEN"}) == [(False, "demInstance")]
    finer = {"orthorectify": True, "radiometricTerrainOversampling": 2}
    assert told(RADAR, finer) == [(False, "radiometricTerrainOversampling")]


def test_clouds_are_a_percentage() -> None:
    assert told(OPTICAL, maxCloudCoverage=0.2) == [(False, "maxCloudCoverage")]


def test_one_model_of_heights_has_depths() -> None:
    assert told(HEIGHTS, {"clampNegative": True}, demInstance="COPERNICUS_30") == [
        (False, "clampNegative")
    ]


ORTHO, FLAT = {"orthorectify": True}, {"orthorectify": True, "backCoeff": "GAMMA0_TERRAIN"}


@pytest.mark.parametrize(
    ("band", "polarization", "processing", "expected"),
    [
        ("VH", "DV", None, []),
        ("VH", None, None, []),
        ("HH", "HH", None, []),
        ("HH", "DV", None, ["polarization"]),
        ("VH", "SV", None, ["polarization"]),
        ("VH", LATER, None, []),
        ("localIncidenceAngle", "DV", ORTHO, []),
        ("localIncidenceAngle", "DV", LATER, []),
        ("localIncidenceAngle", "DV", None, ["type"]),
        ("localIncidenceAngle", "DV", {"orthorectify": False}, ["processing"]),
        ("shadowMask", "DV", FLAT, []),
        ("shadowMask", "DV", ORTHO, ["processing"]),
        ("scatteringArea", "DV", None, ["type"]),
    ],
)
def test_bands_that_radar_images_have_with_these_options(
    band: str, polarization: Any, processing: Any, expected: list[str]
) -> None:
    one = {"type": RADAR, "dataFilter": {"polarization": polarization} if polarization else {}}
    one |= {} if processing is None else {"processing": processing}
    script = ScriptShape((ScriptInput(None, (band,), "SIMPLE"),), ())
    found = [*radar_band_faults([one], script, ("data",))]
    assert [str(fault.path[-1]) for fault in found] == expected
    assert not any(fault.sure for fault in found)
    # Of several inputs only that one is meant which the script names.
    fused = [{**one, "id": "radar"}, {"id": "other", "type": RADAR, "dataFilter": {}}]
    named = ScriptShape((ScriptInput("radar", (band,), "SIMPLE"),), ())
    found = [*radar_band_faults(fused, named, ("data",))]
    assert [str(fault.path[-1]) for fault in found] == expected
