"""
The body of a Batch V1 request: what it means in the words of Batch V2, and where each word stands.

What both versions have in common (grid, area, outputs, places, price) is checked, previewed and
priced once, in the words of version 2. Nothing here is sent. Source: the older batch reference; the
guide from version 1 to 2.
"""

from __future__ import annotations

from shplan.core.value import Object, Path, Value, is_known

# Exactly one of them says where results go.
TARGETS = ("output", "bucketName", "zarrOutput")
_PLACES = {"output": "defaultTilePath", "zarrOutput": "path"}


def target_of(request: Object) -> str:
    """Return the member that says where results go, empty where there is none or several."""
    found = [name for name in TARGETS if request.get(name) is not None]
    return found[0] if len(found) == 1 else ""


def delivery_of(request: Object) -> str:
    """Return the URL that results go to, empty where none is stated or it is not known."""
    target = target_of(request)
    stated = request.get(target) if target else None
    if target == "bucketName":
        return f"s3://{stated}" if isinstance(stated, str) and stated else ""
    url = stated.get(_PLACES[target]) if isinstance(stated, dict) else None
    return url if isinstance(url, str) else ""


def place_of_delivery(request: Object) -> Path:
    """Return where below `spec` the URL stands that results go to."""
    target = target_of(request)
    return (target, _PLACES[target]) if target in _PLACES else (target or "output",)


def in_version_2(request: Object) -> Object:
    """Return the request in the words of version 2, without credentials: version 1 has none."""
    target = target_of(request)
    stated = request.get(target) if target in _PLACES else None
    output: Object = {
        name: value
        for name, value in (stated.items() if isinstance(stated, dict) else ())
        if name not in _PLACES.values()
    }
    output["type"] = "zarr" if target == "zarrOutput" else "raster"
    if url := delivery_of(request):
        output["delivery"] = {"s3": {"url": url}}
    grid = request.get("tilingGrid")
    if not isinstance(grid, dict):
        pairs = {"id": request.get("tilingGridId"), "resolution": request.get("resolution")}
        grid = {name: value for name, value in pairs.items() if value is not None}
    translated: Object = {"input": {"type": "tiling-grid", **grid}, "output": output}
    return {
        **{name: request[name] for name in ("processRequest", "description") if name in request},
        **translated,
    }


def path_in_version_1(request: Object, path: Path) -> Path:
    """
    Return where a manifest of version 1 says what version 2 says at a path.

    Args:
        path: from the root of the manifest, as `("spec", "input", "resolution")`
    """
    if len(path) < 2 or path[0] != "spec":
        return path
    section, rest = path[1], path[2:]
    if section == "input":
        return _place_in_grid(request, rest)
    if section == "output":
        if rest[:1] == ("delivery",):
            return ("spec", *place_of_delivery(request))
        return ("spec", target_of(request) or "output", *rest)
    return path


def _place_in_grid(request: Object, rest: Path) -> Path:
    if "tilingGrid" in request or not rest:
        return ("spec", "tilingGrid", *rest)
    older = {"id": "tilingGridId", "resolution": "resolution"}
    return ("spec", older.get(str(rest[0]), "tilingGrid"))


def skipping(request: Object) -> Object | None:
    """
    Return the body of another attempt that leaves alone what is there; None where none can.

    Source: schema BatchProcessOutput: `bucketName` and Zarr have no such option.
    """
    output = request.get("output")
    if target_of(request) != "output" or not isinstance(output, dict):
        return None
    return {**request, "output": {**output, "skipExisting": True}}


def stated(request: Object, *path: str) -> Value:
    """Return what stands at a path, None where nothing does or it is not known yet."""
    value: Value = request
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if is_known(value) else None
