"""
Features of a file by their keys, for `forEach`: `features('aoi/fields.gpkg', key='id')`.

Each has its geometry, its CRS, both together as `bounds`, and its properties. Instances are told
apart by a property and never by their place in the file, so that inserting a feature renames none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from shplan.core.value import JsonObject, JsonValue
from shplan.manifest.expand import MAX_INSTANCES
from shplan.manifest.geodata import (
    CRS84,
    GeometryError,
    check_geometry,
    crs_of,
    features,
    flat,
    from_blobs,
    layer_of,
    load_json,
    of_feature,
    opened_package,
    refuse_other_crs,
)
from shplan.manifest.wording import listed, nearest

_ID = "id"
_Feature = tuple[JsonObject, JsonObject, str]


def geojson_features(content: bytes, *, key: str) -> JsonObject:
    """
    Return the features of a GeoJSON text by a property, `id` also by the member of that name.

    Raises:
        GeometryError: no features, another CRS, or keys that are missing or not unique
    """
    document = load_json(content)
    refuse_other_crs(document)
    if document.get("type") == "Feature":
        members = [document]
    elif document.get("type") == "FeatureCollection":
        members = features(document)
    else:
        message = f"is a {document.get('type')}, and holds no features."
        raise GeometryError(message, hint="it should be a FeatureCollection")

    def read() -> Iterator[_Feature]:
        for member in members:
            geometry = of_feature(member)
            check_geometry(geometry)
            stated = member.get("properties")
            properties = dict(stated) if isinstance(stated, dict) else {}
            if "id" in member:
                properties.setdefault(_ID, member["id"])
            yield flat(geometry), properties, CRS84

    return _by_key(read(), key)


def geopackage_features(path: Path, *, key: str, layer: str = "") -> JsonObject:
    """
    Return the features of a layer of a GeoPackage by a column, in the layer's CRS.

    Args:
        layer: needed where there are several

    Raises:
        GeometryError: no GeoPackage, no such layer or column, or keys that are missing or not unique
    """
    with opened_package(path) as connection:
        table, column, srs = layer_of(connection, layer)
        name = table.replace('"', '""')
        query = f'select * from "{name}" limit {MAX_INSTANCES + 1}'  # noqa: S608 - quoted
        cursor = connection.execute(query)
        names = [str(one[0]) for one in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        crs = crs_of(connection, srs)

    def read() -> Iterator[_Feature]:
        for row in rows:
            blob = row.pop(column)
            if not isinstance(blob, bytes):
                message = "holds a feature without a geometry."
                raise GeometryError(message)
            properties = {n: value for n, value in row.items() if not isinstance(value, bytes)}
            yield from_blobs([blob]), cast(JsonObject, properties), crs

    return _by_key(read(), key)


def _by_key(found: Iterable[_Feature], key: str) -> JsonObject:
    result: JsonObject = {}
    places: dict[str, int] = {}
    for number, (geometry, properties, crs) in enumerate(found, start=1):
        if number > MAX_INSTANCES:
            message = f"holds more than {MAX_INSTANCES:,} features."
            raise GeometryError(message, hint="divide it into several files")
        text = _key(properties, key, number)
        if text in places:
            message = f"has {key} {text!r} twice: in feature {places[text]} and in {number}."
            raise GeometryError(message, why="Instances are told apart by it.")
        places[text] = number
        bounds: JsonObject = {"geometry": geometry, "properties": {"crs": crs}}
        result[text] = {
            "geometry": geometry,
            "crs": crs,
            "bounds": bounds,
            "properties": properties,
        }
    if not result:
        message = "holds no feature."
        raise GeometryError(message)
    return result


def _key(properties: JsonObject, key: str, number: int) -> str:
    if key not in properties:
        message = f"has no property {key!r} in feature {number}."
        similar = nearest(key, properties)
        known = f"there are {listed(properties)}" if properties else "it has no properties"
        raise GeometryError(
            message,
            why="Instances are told apart by it.",
            hint=f"write key='{similar}'" if similar else f"write key='...' of a property; {known}",
        )
    value: JsonValue = properties[key]
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        # Many programs write all numbers alike.
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        message = f"has no usable {key!r} in feature {number}: {value!r}."
        raise GeometryError(message, hint="a key is a text or a whole number")
    return str(value)


__all__ = ["geojson_features", "geopackage_features"]
