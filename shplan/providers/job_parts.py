"""
Which parts of a task lie in its bucket whole, where no file tells how the task has ended.

Batch V1 leaves no execution database. Where its path names the task or the run, what lies there is of
nobody else, and a task that has delivered every output of as many tiles as its area can touch is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce

from shplan.core.job_input import touched_tiles
from shplan.core.key_format import holds_key, put_key
from shplan.core.paths import FORMAT, TILE_NAME, expand_template, has_request_id
from shplan.core.value import JsonObject, Object
from shplan.providers.job import JobApi
from shplan.providers.places import bucket_and_key

_TILE_ID = "<tileId>"
_NAMES = re.compile(f"({re.escape(TILE_NAME)}|{re.escape(_TILE_ID)}|{re.escape(FORMAT)})")
# Source: reference of the batch APIs, `<format>`: that of the file, as its extension.
_FORMATS = "(?:tiff?|json)"
_GROUPS = {TILE_NAME: "name", _TILE_ID: "id"}


def most_parts(api: JobApi, request: Object, tables: Mapping[str, JsonObject]) -> int:
    """Return how many tiles a request has at most, 0 where nobody can say."""
    grids = tables.get("tiling-grids")
    tiles = None if grids is None else touched_tiles(api.in_common_words(request), grids)
    return 0 if tiles is None else tiles.count


def whole_parts(
    request: Object, delivery: str, *, key: str, task: str, files: Iterable[str]
) -> int:
    """
    Count the tiles of which every output lies in the bucket.

    Args:
        request: in the words of version 2
        delivery: where it goes, as the manifest has it
        key: what stands for `{{ run.key }}` there
        files: the keys that lie there

    Returns:
        0 as well where a file there may be another run's
    """
    outputs = _outputs(request)
    if not outputs or not (has_request_id(delivery) or holds_key(delivery)):
        return 0
    url = put_key(delivery, key)
    names = [_names_of(url, output, task) for output in outputs]
    found: list[set[tuple[str, ...]]] = [set() for _ in names]
    for file in files:
        for pattern, seen in zip(names, found, strict=True):
            if (match := pattern.fullmatch(file)) is not None:
                seen.add(match.groups())
    return len(reduce(set.intersection, found))


def _outputs(request: Object) -> list[str]:
    """Return the identifiers of what is delivered as a file for each tile."""
    output, process = request.get("output"), request.get("processRequest")
    if not isinstance(output, dict) or output.get("type") != "raster":
        return []
    asked = process.get("output") if isinstance(process, dict) else None
    listed = asked.get("responses") if isinstance(asked, dict) else None
    stated = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [str(one.get("identifier", "default")) for one in stated]


def _names_of(url: str, output: str, task: str) -> re.Pattern[str]:
    """Return the pattern of the keys of one output: the tile is a group, the same at each place."""
    place = expand_template(
        url, tile_name=TILE_NAME, output_id=output, media_type=FORMAT, request_id=task
    )
    text, known = "", set[str]()
    for part in _NAMES.split(bucket_and_key(place)[1]):
        group = _GROUPS.get(part)
        if part == FORMAT:
            text += _FORMATS
        elif group is None:
            text += re.escape(part)
        else:
            text += f"(?P={group})" if group in known else f"(?P<{group}>[^/]+)"
            known.add(group)
    return re.compile(text)


__all__ = ["most_parts", "whole_parts"]
