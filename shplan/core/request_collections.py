"""
The collections that a request reads, against what is published of them: who holds them, where, since when.

Source: table `missions`, and the API description's marks of what is deprecated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from shplan.core.request_area import Area, latitudes
from shplan.core.request_faults import Fault, Faults, at, numbers
from shplan.core.request_rings import DEGREES
from shplan.core.request_times import mission_faults, mission_of, range_faults
from shplan.core.value import JsonObject, Object, Path, Value

# Of fields that are marked. Source: schema BatchProcessRequest, which says where they were moved.
_SUCCESSORS: Mapping[str, str] = MappingProxyType(
    {
        "tilingGridId": "tilingGrid: {id: ...}",
        "resolution": "tilingGrid: {resolution: ...}",
    }
)
# Degrees by which the northing of a zone, taken for an arc, may be wrong.
_BLUR: Final = 0.5
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OWN: Mapping[str, str] = MappingProxyType(
    {"byoc": "ByocCollection", "batch": "BatchCollection", "zarr": "ZarrCollection"}
)
_DEPLOYMENTS = ("aws-eu-central-1", "aws-us-west-2", "cdse")


def collection_faults(
    body: Object, area: Area, table: JsonObject, deployment: str, *, within: Value = None
) -> Faults:
    """
    Return what is wrong with the data of a request.

    Args:
        body: with `input.data`
        area: its bounds
        table: `missions`
        deployment: a built-in name, empty for any other
        within: the time range of statistics, which count for every collection
    """
    data = at(body, "input", "data")
    yield from _same_ids(data)
    for index, one in enumerate(data if isinstance(data, list) else ()):
        path: Path = ("input", "data", index)
        collection = at(one, "type")
        stated = at(one, "dataFilter", "timeRange")
        place = (*path, "dataFilter", "timeRange")
        if within is None:
            yield from range_faults(stated, place)
            yield from mission_faults(stated, collection, table, place)
        else:
            yield from mission_faults(within, collection, table, ("aggregation", "timeRange"))
            yield from _unused_range(stated, place)
        yield from _held_faults(collection, table, deployment, path)
        yield from _id_faults(collection, path)
        yield from _reach_faults(collection, table, area)
        yield from _older_names(one, table, path)


def _same_ids(data: Value) -> Faults:
    """Evalscripts tell inputs apart by `id`; two of one name cannot be."""
    seen: set[str] = set()
    for index, one in enumerate(data if isinstance(data, list) else ()):
        name = at(one, "id")
        if isinstance(name, str) and name in seen:
            yield Fault(
                ("input", "data", index, "id"),
                "collection",
                "Two inputs of one id",
                f"two inputs have the id `{name[:80]}`.",
                "An evalscript names its inputs by `id`, and could not tell them apart.",
                "give each its own",
                sure=False,
            )
        elif isinstance(name, str):
            seen.add(name)


def _unused_range(stated: Value, place: Path) -> Faults:
    if isinstance(stated, dict):
        yield Fault(
            place,
            "time",
            "Time range not used",
            "the input states a time range, and statistics use that of `aggregation`.",
            "The range of an input is ignored here.",
            "remove it",
            sure=False,
        )


def _held_faults(collection: Value, table: JsonObject, deployment: str, path: Path) -> Faults:
    entry = mission_of(collection, table)
    held = entry.get("held") if entry is not None else None
    if not isinstance(held, list) or deployment not in _DEPLOYMENTS or deployment in held:
        return
    names = " and ".join(str(one) for one in held)
    yield Fault(
        (*path, "type"),
        "collection",
        "Collection of another deployment",
        f"{collection} is held by {names}, and this environment is {deployment}.",
        "Only Process requests of the main deployment reach collections of others.",
        f"use an environment with `deployment: {held[0]}`",
        sure=False,
    )


def _id_faults(collection: Value, path: Path) -> Faults:
    """A collection of one's own goes by its id, and people know it by its name."""
    kind, dash, id_ = (
        str(collection).partition("-") if isinstance(collection, str) else ("", "", "")
    )
    if dash and kind in _OWN and not _UUID.fullmatch(id_):
        yield Fault(
            (*path, "type"),
            "collection",
            "Not the id of a collection",
            f"`{id_[:80]}` is no id that the service gives.",
            "A collection of your own is named by its id (a UUID), not by its name.",
            f"write `{kind}-{{{{ ref('{_OWN[kind]}/NAME').id }}}}`, or its id",
            sure=False,
        )


def _reach_faults(collection: Value, table: JsonObject, area: Area) -> Faults:
    entry = mission_of(collection, table)
    reach = numbers(cast("Value", entry.get("latitudes"))) if entry is not None else None
    if reach is None or area.extent is None:
        return
    found = latitudes(area)
    if found is None:
        return
    south, north = found
    inside = reach[0] - _BLUR <= north and south <= reach[1] + _BLUR
    if area.crs == DEGREES:
        inside = reach[0] <= north and south <= reach[1]
    if not inside:
        yield Fault(
            ("input", "bounds"),
            "area",
            "Area that the collection does not reach",
            f"{collection} reaches latitudes {reach[0]:g} to {reach[1]:g};"
            f" the area lies between {south:g} and {north:g}.",
            "There are no data, and the request is paid. Coordinates are x, y: longitude first.",
            sure=False,
        )


def _older_names(one: Value, table: JsonObject, path: Path) -> Faults:
    """Name the successors of what still works and is on its way out."""
    collection = at(one, "type")
    entry = mission_of(collection, table)
    successor = entry.get("instead") if entry is not None else None
    if isinstance(successor, str):
        yield _deprecated((*path, "type"), f"the collection `{collection}`", f"type: {successor}")
    if isinstance(collection, str) and collection.startswith("batch-"):
        yield Fault(
            (*path, "type"),
            "deprecated",
            "Field on its way out",
            "the input is a collection of Batch V1.",
            "Batch V1 and its collections are no part of the service's current description.",
            "deliver into a BYOC collection, and write `type: byoc-ID`",
            sure=False,
        )
    if at(one, "dataFilter", "previewMode") is not None:
        yield _deprecated((*path, "dataFilter", "previewMode"), "`previewMode`", "")


def marked_fault(path: Path) -> Fault:
    """Return what is told of a field that the service's description marks as on its way out."""
    name = str(path[-1])
    if name in _SUCCESSORS:
        return _deprecated(path, f"`{name}`", _SUCCESSORS[name])
    return Fault(
        path,
        "deprecated",
        "Field on its way out",
        f"`{name}` is marked as deprecated by the service.",
        hint="see what its documentation says to write instead",
        sure=False,
    )


def moved_faults(body: Object) -> Faults:
    """Name the successor of what Batch V1 still takes without marking it."""
    if "bucketName" in body:
        yield _deprecated(("bucketName",), "`bucketName`", "output: {defaultTilePath: s3://BUCKET}")


def removed_faults(run: Object, deployment: str) -> Faults:
    """Name the successor of Batch V1, which the service's own deployments have dropped."""
    if run.get("api") == "v1" and deployment not in ("", "sandbox"):
        yield Fault(
            ("api",),
            "deprecated",
            "API on its way out",
            f"it is a request to Batch V1, and {deployment} may not take any more of them.",
            "Batch V1 is no part of the service's current description.",
            "shplan migrate batch-v1 FILE rewrites it for V2",
            sure=False,
        )


# Kinds that not every deployment of the service offers. Source: documentation of batch statistics: not in Oregon; CDSE's
# documentation has no Batch V1, to which the other kind belongs.
_OFFERED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BatchStatistics": ("aws-eu-central-1", "cdse"),
        "BatchCollection": ("aws-eu-central-1", "aws-us-west-2"),
    }
)


def offered_faults(kind: str, deployment: str) -> Faults:
    """
    Say that a deployment does not offer a kind.

    Args:
        deployment: a built-in name, empty for any other
    """
    offered = _OFFERED.get(kind)
    if offered is None or deployment not in _DEPLOYMENTS or deployment in offered:
        return
    yield Fault(
        ("kind",),
        "deployment",
        "Not offered here",
        f"{deployment} has no API for {kind}.",
        f"It is offered by {' and '.join(offered)}.",
        f"use an environment with `deployment: {offered[0]}`",
    )


def _deprecated(path: Path, what: str, successor: str) -> Fault:
    return Fault(
        path,
        "deprecated",
        "Field on its way out",
        f"{what} is an older form that may be refused one day.",
        hint=f"write `{successor}`" if successor else "remove it",
        sure=False,
    )
