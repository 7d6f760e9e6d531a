"""
The requests of the BYOC tile operations, and what their answers hold.

Source: API description, operations `getByocCollectionTiles` to `reingestByocCollectionTileById`.
"""

from __future__ import annotations

from shplan.core.request import ApiRequest, Effect
from shplan.core.value import Object, Value

TILES = "/byoc/v1/collections/{collectionId}/tiles"
TILE = "/byoc/v1/collections/{collectionId}/tiles/{tileId}"
CAUSE = "additionalData.failedIngestionCause"
IN_PROGRESS = ("WAITING", "QUEUED", "INGESTING")
GROUP = 100


def list_tiles(
    collection: str, columns: tuple[str, ...], *, status: str = "", path: str = ""
) -> ApiRequest:
    """List tiles; `path` is an exact match, so that at most one is found."""
    query = tuple((name, value) for name, value in (("status", status), ("path", path)) if value)
    return ApiRequest(
        "getByocCollectionTiles",
        "GET",
        TILES,
        Effect.READ,
        parameters={"collectionId": collection},
        query=query,
        columns=columns,
    )


def create_tile(collection: Value, member: Object) -> ApiRequest:
    """Create a tile; its ingestion begins on its own."""
    return ApiRequest(
        "createByocCollectionTile",
        "POST",
        TILES,
        Effect.CREATE,
        parameters={"collectionId": collection},
        body=member,
    )


def update_tile(collection: Value, tile: str, body: Object) -> ApiRequest:
    """Update a tile. Source: schema BYOCTileUpdatePayload: an omitted cover geometry is reset."""
    return ApiRequest(
        "updateByocCollectionTileById",
        "PUT",
        TILE,
        Effect.UPDATE,
        parameters={"collectionId": collection, "tileId": tile},
        body=body,
    )


def reingest_tile(collection: Value, tile: str) -> ApiRequest:
    """Send an ingested or failed tile round again."""
    return ApiRequest(
        "reingestByocCollectionTileById",
        "POST",
        TILE + "/reingest",
        Effect.ACTION,
        parameters={"collectionId": collection, "tileId": tile},
    )


def delete_tile(collection: Value, tile: str) -> ApiRequest:
    """Delete a tile; its files stay in the bucket."""
    return ApiRequest(
        "deleteByocCollectionTileById",
        "DELETE",
        TILE,
        Effect.DELETE,
        parameters={"collectionId": collection, "tileId": tile},
    )


def get_tile(collection: str, tile: str) -> ApiRequest:
    """Read one tile."""
    return ApiRequest(
        "getByocCollectionTileById",
        "GET",
        TILE,
        Effect.READ,
        parameters={"collectionId": collection, "tileId": tile},
    )


def spellings(path: str) -> tuple[str, ...]:
    """
    Return the spellings under which the service may list a path.

    Source: documentation of BYOC, "path": a folder `x` becomes `x/(BAND).tiff`, with the
    extension of its files, once it is ingested.
    """
    if "(BAND)" in path:
        folder, _, rest = path.rpartition("/(BAND)")
        return (path, folder) if folder and rest in _EXTENSIONS else (path,)
    return (path, *(f"{path}/(BAND){extension}" for extension in _EXTENSIONS if extension))


_EXTENSIONS = ("", ".tiff", ".tif")


def text_of(value: object) -> str:
    """Return a text, empty for anything else."""
    return value if isinstance(value, str) else ""
