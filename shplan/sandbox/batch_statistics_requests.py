"""
What the service checks of a batch statistical request at its creation: everything but the evalscript.

The schema was checked before. Source: schemas `BatchStatisticalRequest`, `S3BucketInfoTemplated` and
`GSBucketInfoTemplated`: a plain prefix stands for `<REQUEST_ID>/<ID>.json`; the pages on batch statistics: scripts
of 32 kB and more lie in a bucket.
"""

# ruff: noqa: EM101, EM102  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.batch_paths import DeliveryError, Place, place_of
from shplan.sandbox.batch_requests import check_access, check_marks
from shplan.sandbox.errors import violation

if TYPE_CHECKING:
    from shplan.sandbox.statistics_requests import Aggregation
    from shplan.sandbox.wire import Json, JsonObject

REQUEST_ID, ID, IDENTIFIER = "<REQUEST_ID>", "<ID>", "<IDENTIFIER>"
MARKS = (REQUEST_ID, ID, IDENTIFIER)
PLAIN = f"{REQUEST_ID}/{ID}.json"
REFERENCE = "evalscriptReference"
MOST_SCRIPT_BYTES = 32 * 1024
_FEATURES, _SCRIPT = "input->features", f"aggregation->{REFERENCE}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    Where the results of a task go.

    Args:
        scheme: `s3` or `gs`
        template: key with the placeholders of a feature
    """

    scheme: str
    bucket: str
    template: str

    @property
    def needs_identifier(self) -> bool:
        """Whether features without an identifier have no file."""
        return IDENTIFIER in self.template

    def result(self, identity: int | str, identifier: str | None) -> Place:
        """The file of a feature, in one pass: an identifier may look like a placeholder."""
        values = {ID: str(identity), IDENTIFIER: identifier or ""}
        key = re.sub("|".join(values), lambda found: values[found[0]], self.template)
        return Place(self.scheme, self.bucket, key)


def check(request: JsonObject) -> None:
    """
    Refuse what the service refuses at creation.

    Raises:
        ApiError: 400
    """
    wanted = cast("JsonObject", request["aggregation"])
    _check_script(wanted)
    aggregation_of(request, evalscript="")
    _check_size(wanted)
    features = cast("JsonObject", request["input"])["features"]
    if not _place(features, _FEATURES).key.lower().endswith(".gpkg"):
        raise violation(_FEATURES, "must be the URL of a .gpkg file")
    check_access(features, _FEATURES)
    check_access(request["output"], "output")
    check_marks(_url(request["output"]), MARKS, "output->url")
    delivery_of(request, task_id="00000000-0000-0000-0000-000000000000")


def _check_script(wanted: JsonObject) -> None:
    if ("evalscript" in wanted) == (REFERENCE in wanted):
        raise violation("aggregation->evalscript", f"must be there, or {REFERENCE}, and not both")
    if REFERENCE in wanted:
        check_access(wanted[REFERENCE], _SCRIPT)
        if not _place(wanted[REFERENCE], _SCRIPT).key:
            raise violation(f"{_SCRIPT}->url", "names no object")
    elif len(str(wanted["evalscript"]).encode()) >= MOST_SCRIPT_BYTES:
        raise violation(
            "aggregation->evalscript",
            f"must have less than 32 KB; use {REFERENCE} for a longer one",
        )


def _check_size(wanted: JsonObject) -> None:
    by_pixels = [name for name in ("width", "height") if name in wanted]
    by_resolution = [name for name in ("resx", "resy") if name in wanted]
    if by_pixels and by_resolution:
        raise violation("aggregation", "must have width and height, or resx and resy, not both")
    for name in by_resolution:
        if cast("float", wanted[name]) <= 0:
            raise violation(f"aggregation->{name}", "must be greater than 0")


def aggregation_of(request: JsonObject, *, evalscript: str) -> Aggregation:
    """
    What is asked for of every feature.

    Raises:
        ApiError: 400
    """
    # Arrays, and opening a sandbox needs none.
    from shplan.sandbox import statistics_requests  # noqa: PLC0415

    return statistics_requests.aggregation_of(request, evalscript=evalscript)


def delivery_of(request: JsonObject, *, task_id: str) -> Delivery:
    """
    Where the results of a task go.

    Raises:
        ApiError: 400, the URL is wrong, or a template whose files would not be distinct
    """
    place = _place(request["output"], "output")
    template = place.key
    if not any(mark in template for mark in MARKS):
        template = f"{template}/{PLAIN}" if template else PLAIN
    elif ID not in template and IDENTIFIER not in template:
        raise violation("output->url", f"is a template, so it must contain {ID} or {IDENTIFIER}")
    return Delivery(place.scheme, place.bucket, template.replace(REQUEST_ID, task_id))


def features_place(request: JsonObject) -> Place:
    """Where the features of a task lie."""
    return _place(cast("JsonObject", request["input"])["features"], _FEATURES)


def script_place(request: JsonObject) -> Place | None:
    """Where the evalscript of a task lies; none: in the request."""
    wanted = cast("JsonObject", request["aggregation"])
    return _place(wanted[REFERENCE], _SCRIPT) if REFERENCE in wanted else None


def _place(storage: Json, place: str) -> Place:
    try:
        return place_of(_url(storage))
    except DeliveryError as error:
        raise violation(f"{place}->url", str(error)) from error


def _url(storage: Json) -> str:
    held = cast("JsonObject", storage)
    return str(cast("JsonObject", held.get("s3", held.get("gs")))["url"])
