"""
Collections in the form of STAC, and what filters and searches take of them.

Facts are the missions'; the words are ours. Source: STAC 1.0.0, Collection; the EO, SAR and
satellite extensions; the service's pages on its collections.
"""

from __future__ import annotations

from shplan.sandbox.wire import Json, JsonObject

CLOUD_COVER: JsonObject = {
    "description": "Percent of the scene under cloud",
    "type": "number",
    "minimum": 0,
    "maximum": 100,
}


def collection(
    name: str,
    *,
    title: str,
    text: str,
    bbox: tuple[float, float, float, float],
    begin: str,
    provider: tuple[str, str],
    summaries: JsonObject,
    citation: str | None = None,
    end: str | None = None,
) -> JsonObject:
    """
    A collection without its links.

    Args:
        begin: first day, ISO date
        provider: name and address of who runs the mission
    """
    first = f"{begin}T00:00:00Z"
    last = None if end is None else f"{end}T00:00:00Z"
    interval: Json = [[first, last]]
    box: Json = [list(bbox)]
    described: JsonObject = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "title": title,
        "description": text,
        "license": "proprietary",
        "providers": [{"name": provider[0], "url": provider[1], "roles": ["producer", "licensor"]}],
        "extent": {"spatial": {"bbox": box}, "temporal": {"interval": interval}},
        "summaries": summaries,
    }
    if citation is not None:
        described["sci:citation"] = citation
    return described


def bands(*rows: tuple[str, str | None, float, float]) -> Json:
    """Bands from rows: name, common name, centre and width in micrometres."""
    described: list[Json] = []
    for name, common, centre, width in rows:
        band: JsonObject = {"name": name}
        if common is not None:
            band["common_name"] = common
        band |= {"center_wavelength": centre, "full_width_half_max": width}
        described.append(band)
    return described


def one_of(values: list[str], text: str) -> JsonObject:
    """The schema of a property that has one of a few values."""
    return {"description": text, "type": "string", "enum": list[Json](values)}
