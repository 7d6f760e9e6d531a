"""What an own collection, as the service has it now, cannot give a request is told with the plan."""

from __future__ import annotations

from typing import Any

from shplan.core.request_observed import observed_notes
from shplan.schema.store import tables

KNOWN = {
    "extent": {
        "type": "Polygon",
        "coordinates": [[[14, 46], [15, 46], [15, 47], [14, 47], [14, 46]]],
    },
    "hasSensingTimes": "YES",
    "fromSensingTime": "2025-06-01T10:00:00Z",
    "toSensingTime": "2025-06-21T10:00:00Z",
    "maxMetersPerPixel": 80.0,
}
OBJECTS: Any = {"abc": {"name": "Fields", "additionalData": KNOWN}}
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}


def notes(box: Any, within: Any = None, output: Any = None, **request: Any) -> tuple[str, ...]:
    data = [{"type": "byoc-abc", "dataFilter": {"timeRange": within or JUNE}}]
    body = {"input": {"bounds": {"bbox": box}, "data": data}, "output": output or {}}
    whole = {"processRequest": body, **request} if request else body
    return observed_notes(whole, OBJECTS, tables()["tiling-grids"])  # type: ignore[arg-type]


INSIDE = [14.4, 46.4, 14.5, 46.5]


def test_what_a_collection_has_is_not_told() -> None:
    assert notes(INSIDE) == ()
    assert notes(INSIDE, output={"width": 100, "height": 100}) == ()
    assert observed_notes({}, OBJECTS, None) == ()


def test_an_area_outside_of_its_extent() -> None:
    assert notes([10, 46, 11, 47]) == (
        "Fields has no imagery in the area: it covers longitudes 14 to 15 and latitudes 46 to 47",
    )


def test_a_time_range_outside_of_its_times() -> None:
    early = {"from": "2024-06-01T00:00:00Z", "to": "2024-06-30T23:59:59Z"}
    (told,) = notes(INSIDE, early)
    assert told.startswith("Fields has no imagery in the time range: it was sensed from 2025-06-01")


def test_pixels_that_are_too_coarse() -> None:
    """The limit is never stricter than 500 m, whatever the collection says."""
    assert notes(INSIDE, output={"width": 50, "height": 50}) == ()
    (told,) = notes(INSIDE, output={"width": 10, "height": 10})
    assert told == "Fields gives at most 500 m per pixel, and 1,113 m are asked for"
    grid = {"input": {"type": "tiling-grid", "id": 2, "resolution": 360}}
    assert notes(INSIDE, **grid) == ()
