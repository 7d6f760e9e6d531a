"""
What a schema cannot say of requests for pixels and numbers, whatever kind they stand in.

A request is known by its form: `input` with `data`, at the top of a `spec` or in `processRequest`. What is
looked at stands in the modules `request_*` of core; here is which of it concerns which form. Offline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shplan.core.diagnostic import Diagnostic, Severity
from shplan.core.request_area import Area, read_area
from shplan.core.request_arrays import array_faults
from shplan.core.request_collections import (
    collection_faults,
    moved_faults,
    offered_faults,
    removed_faults,
)
from shplan.core.request_faults import Fault, Faults, at
from shplan.core.request_formats import format_faults
from shplan.core.request_options import option_faults, radar_band_faults
from shplan.core.request_places import place_faults
from shplan.core.request_sizes import coarse_faults, metres_per_pixel, size_faults
from shplan.core.request_statistics import calculation_faults, mask_faults
from shplan.core.request_times import aggregation_faults
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path

# Source: API reference, Process, Asynchronous Process and Statistical: width and height.
_MOST_PX = 2500
_MOST_ASYNC_PX = 10_000
_DEFAULT_PX = 256


def check_requests(
    desired: Desired, tables: Mapping[str, JsonObject], *, deployment: str
) -> list[Diagnostic]:
    """
    Return what is wrong with the requests of one resource, each at its place.

    Args:
        tables: the published tables, of which `missions` is read
        deployment: a built-in name, empty for any other
    """
    found = [
        _told(desired, ("spec", *path), fault)
        for path, body in _bodies(desired.spec)
        for fault in _body_faults(body, path, tables["missions"], deployment)
    ]
    found += [
        _told(desired, ("spec", *path), fault)
        for path, body in _bodies(desired.spec)
        for fault in (
            *_format_faults(desired, body, path),
            *_measuring_faults(desired, body),
            *_band_faults(desired, body),
        )
    ]
    offered = offered_faults(desired.address.kind, deployment)
    found += [_told(desired, (), fault) for fault in offered]
    if desired.lifecycle.managed:
        faults = place_faults(desired.spec, deployment)
        found += [_told(desired, ("spec",), fault) for fault in faults]
    if "processRequest" in desired.spec:
        arrays = array_faults(desired.spec, desired.script)
        found += [_told(desired, ("spec",), fault) for fault in arrays]
        found += [_told(desired, ("spec",), fault) for fault in moved_faults(desired.spec)]
        faults = removed_faults(desired.run, deployment)
        found += [_told(desired, ("run",), fault) for fault in faults]
    return found


def _format_faults(desired: Desired, body: Object, path: Path) -> Faults:
    """Look at images alone: numbers have no format, and a batch request none by default."""
    output = at(body, "output")
    if desired.script is None or "aggregation" in body:
        return
    if path and at(output, "responses") is None:
        return
    yield from format_faults(output, desired.script, at(body, "evalscript"), ("output",))


def _band_faults(desired: Desired, body: Object) -> Faults:
    """Look at what the script reads with these options."""
    if desired.script is not None:
        yield from radar_band_faults(at(body, "input", "data"), desired.script, ("input", "data"))


def _measuring_faults(desired: Desired, body: Object) -> Faults:
    """Look at what is measured of the script's outputs."""
    yield from calculation_faults(at(body, "calculations"), desired.script, ("calculations",))
    if desired.script is not None and "aggregation" in body:
        yield from mask_faults(desired.script, ("aggregation", "evalscript"))


def _bodies(spec: Object) -> Iterator[tuple[Path, Object]]:
    for path in ((), ("processRequest",)):
        body = at(spec, *path)
        if isinstance(body, dict) and isinstance(at(body, "input", "data"), list):
            yield path, body


def _body_faults(body: Object, path: Path, table: JsonObject, deployment: str) -> Faults:
    area = read_area(at(body, "input", "bounds"))
    for fault in area.faults:
        yield _below(fault, ("input", "bounds"))
    data = at(body, "input", "data")
    for index, one in enumerate(data if isinstance(data, list) else ()):
        yield from option_faults(one, ("input", "data", index))
    aggregation = at(body, "aggregation")
    if isinstance(aggregation, dict):
        yield from aggregation_faults(aggregation, ("aggregation",))
        within = at(aggregation, "timeRange") or {}
        yield from collection_faults(body, area, table, deployment, within=within)
        yield from _image_faults(body, area, ("aggregation",), table, most_px=_MOST_PX)
    else:
        yield from collection_faults(body, area, table, deployment)
        if not path:
            remote = at(body, "output", "delivery") is not None
            most_px = _MOST_ASYNC_PX if remote else _MOST_PX
            yield from _image_faults(body, area, ("output",), table, most_px=most_px)


def _image_faults(
    body: Object, area: Area, path: Path, table: JsonObject, *, most_px: int
) -> Faults:
    output = at(body, *path)
    wrong = list(size_faults(output, area, path, most_px=most_px))
    yield from wrong
    if any(fault.sure for fault in wrong):
        return
    default_px = _DEFAULT_PX if most_px == _MOST_PX else None
    metres = metres_per_pixel(output if output is not None else {}, area, default_px=default_px)
    data = at(body, "input", "data")
    for one in data if isinstance(data, list) else ():
        place = path if output is not None else ("input", "bounds")
        yield from coarse_faults(at(one, "type"), table, metres, place)


def _below(fault: Fault, path: Path) -> Fault:
    return Fault(
        (*path, *fault.path),
        fault.code,
        fault.summary,
        fault.what,
        fault.why,
        fault.hint,
        sure=fault.sure,
    )


def _told(desired: Desired, path: Path, fault: Fault) -> Diagnostic:
    return Diagnostic(
        code=f"request/{fault.code}",
        summary=fault.summary,
        # Of the manifest, so that a thousand instances complain once.
        what=f"{desired.address.base}: {fault.what}",
        why=fault.why,
        hint=fault.hint,
        span=desired.source.span((*path, *fault.path)),
        address=str(desired.address.base),
        severity=Severity.ERROR if fault.sure else Severity.WARNING,
    )
