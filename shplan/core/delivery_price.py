"""
What it costs to deliver results out of the deployment's own region.

Source: the documentation's page on processing units: 0.03 PU for each megabyte, in force for
asynchronous requests and announced for batch; the API description: a region that is not stated is
the deployment's. How well files are compressed nobody knows before: the most is that they are not
at all. Of Google Cloud nothing is said, so that it costs nothing at least, and as much at most.
"""

from __future__ import annotations

from shplan.core.cost import Cost, CostTerm
from shplan.core.image_size import image_size
from shplan.core.job_input import ScriptShape, list_of, object_of, text_of
from shplan.core.request_places import REGIONS, SANDBOX_REGIONS
from shplan.core.value import Object

EACH_MB_PU = 0.03
_MB = 1_000_000
_BYTES = {"UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2}
_MOST_BYTES = 4
# Headers, and blocks that do not get smaller.
_OVERHEAD = 1.01
_HEADERS_BYTES = 20_000
_SOURCE = "processing units: 0.03 for each megabyte that leaves the region"


def delivery_cost(request: Object, script: ScriptShape, deployment: str) -> Cost | None:
    """
    Return what the delivery of an asynchronous request costs besides; None where it is unknown.

    Args:
        deployment: as run keys name it; what has no name may be anywhere
    """
    output = object_of(request.get("output"))
    delivery = object_of(output.get("delivery"))
    region = text_of(object_of(delivery.get("s3")).get("region"))
    abroad = "gs" in delivery or (
        region and region.lower() not in {**REGIONS, **SANDBOX_REGIONS}.get(deployment, ())
    )
    if not abroad:
        return Cost()
    size = image_size(object_of(request.get("input")).get("bounds"), output, assumed_px=None)
    if size is None or script.changes:
        return None
    raw = size.width_px * size.height_px * _bytes_of_a_pixel(output, script)
    most = (raw * _OVERHEAD + _HEADERS_BYTES) / _MB * EACH_MB_PU
    # Compressed it is less: by how much depends on what the images show.
    term = CostTerm(
        f"deliver {most / EACH_MB_PU:,.4g} MB to {region or 'Google Cloud'}, uncompressed",
        1,
        most,
        _SOURCE,
        minimum_pu=0.0,
        expected_pu=most,
    )
    return Cost(0.0, most, most, (term,))


def _bytes_of_a_pixel(output: Object, script: ScriptShape) -> int:
    """Return what all outputs take that are asked for."""
    responses = [object_of(one) for one in list_of(output.get("responses"))]
    asked = {text_of(one.get("identifier")) or "default" for one in responses}
    made = [one for one in script.outputs if one.id in asked] or list(script.outputs)
    return sum(one.bands * _BYTES.get(one.sample_type.upper(), _MOST_BYTES) for one in made)


__all__ = ["EACH_MB_PU", "delivery_cost"]
