"""
The requests of the BYOC tile operations, and what their answers hold.

Source: API description, operations `getByocCollectionTiles` to `reingestByocCollectionTileById`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from shplan.core.request import ApiRequest, Effect
from shplan.core.value import Object, Value, digest
from shplan.providers.steps import File, Flow, Look

TILES = "/byoc/v1/collections/{collectionId}/tiles"
TILE = "/byoc/v1/collections/{collectionId}/tiles/{tileId}"
CAUSE = "additionalData.failedIngestionCause"
IN_PROGRESS = ("WAITING", "QUEUED", "INGESTING")
GROUP = 100


class Keyed(Protocol):
    """Anything that lies in a bucket under a key."""

    @property
    def key(self) -> str:
        """With forward slashes."""
        ...


AnyFile = TypeVar("AnyFile", bound=Keyed)


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


def get_collection(collection: str) -> ApiRequest:
    """Read the collection, for its bucket."""
    return ApiRequest(
        "getByocCollectionById",
        "GET",
        "/byoc/v1/collections/{collectionId}",
        Effect.READ,
        parameters={"collectionId": collection},
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
    Return the spellings under which the service may list a path, the first one first.

    Source: documentation of BYOC, "path": a folder `x` becomes `x/(BAND).tiff`, with the
    extension of its files, once it is ingested.
    """
    if "(BAND)" in path:
        folder, _, rest = path.rpartition("/(BAND)")
        return (folder, path) if folder and rest in _EXTENSIONS else (path,)
    return (path, *(f"{path}/(BAND){extension}" for extension in _EXTENSIONS if extension))


_EXTENSIONS = ("", ".tiff", ".tif")
MOST_SPELLINGS = len(_EXTENSIONS)


def text_of(value: object) -> str:
    """Return a text, empty for anything else."""
    return value if isinstance(value, str) else ""


def fingerprints(paths: Iterable[str], files: Iterable[File]) -> dict[str, tuple[str, int]]:
    """
    Return fingerprint and size of the files behind each tile path.

    Source: documentation of BYOC, "path": a folder holds one file a band; `(BAND)` stands
    for the band in a file's name. Only TIFF files count: what viewers leave beside them
    (`.aux.xml`, `.ovr`) is not ingested.
    """
    folders = by_folder(files)
    return {path: found for path in paths if (found := _fingerprint(path, folders)) is not None}


def by_folder(files: Iterable[AnyFile]) -> dict[str, list[AnyFile]]:
    """Return the TIFF files of a bucket by their folders, in the order of their keys."""
    found: dict[str, list[AnyFile]] = {}
    for file in sorted(files, key=lambda one: one.key):
        if file.key.lower().endswith((".tif", ".tiff")):
            found.setdefault(file.key.rpartition("/")[0], []).append(file)
    return found


def files_behind(path: str, folders: Mapping[str, Sequence[AnyFile]]) -> dict[str, AnyFile]:
    """Return the files of a tile by what stands for `(BAND)`: without extension where the path has none."""
    folder, _, name = path.rpartition("/") if "(BAND)" in path else (path, "", "")
    before, _, after = name.partition("(BAND)")
    found: dict[str, AnyFile] = {}
    for file in folders.get(folder, ()):
        base = file.key.rpartition("/")[2]
        if base.startswith(before) and _ends(base, after):
            stem = base if base.endswith(after) and after else base.rpartition(".")[0]
            band = stem[len(before) : len(stem) - len(after)]
            found[band if band not in found else base] = file
    return found


def _fingerprint(path: str, folders: Mapping[str, Sequence[File]]) -> tuple[str, int] | None:
    files = list(files_behind(path, folders).values())
    if not files:
        return None
    named: list[Value] = [f"{file.key} {file.size_bytes} {file.etag}" for file in files]
    return digest(named), sum(file.size_bytes for file in files)


def _ends(base: str, after: str) -> bool:
    """Match what follows `(BAND)`; without an extension the service finds it."""
    return base.endswith(after) or base.rpartition(".")[0].endswith(after)


def look_at_files(bucket: str, paths: Iterable[str]) -> Flow[dict[str, tuple[str, int]]]:
    """List the bucket once for all paths; empty where it cannot be read."""
    paths = tuple(paths)
    # A prefix of keys, not a path: it need not end at a slash.
    prefix = common_prefix([path.partition("(BAND)")[0] for path in paths])
    files: tuple[File, ...] | None = yield Look(bucket, prefix)
    return fingerprints(paths, files or ())


def common_prefix(texts: list[str]) -> str:
    """Return what all texts begin with: keys in a bucket know no directories."""
    low, high = min(texts), max(texts)
    equal = next((at for at, letter in enumerate(low) if letter != high[at : at + 1]), len(low))
    return low[:equal]
