"""
The service's OpenAPI document as Schemathesis reads it: the extract, corrected by the overlays.

The extract has neither prose nor security nor links. Here it gets back what OpenAPI requires, the
token that the service asks for, and links by which created objects are read, changed and deleted.
Where the sandbox answers what the document does not say, the table of exceptions says why.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from starlette.routing import Route

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import StoppedClock
from shplan.schema import store
from shplan.schema.overlays import OVERLAYS

# Source: section on authentication: only these are open.
OPEN = frozenset({"getCatalogLandingPage", "getCatalogConformanceDeclaration"})
ERROR = {"$ref": "#/components/responses/400"}


@dataclass(frozen=True, slots=True)
class Undeclared:
    """
    A status that the sandbox answers though the document does not declare it.

    Args:
        applies: whether an operation may answer it, by its id, path and entry
        reason: why the document is not followed
    """

    status: int
    applies: Callable[[str, str, Any], bool]
    reason: str


EXCEPTIONS = (
    Undeclared(
        400,
        lambda name, path, entry: (
            bool(entry.get("parameters"))
            and (path.endswith(("s", "process")) or name == "searchBatchStatisticsRequests")
        ),
        "lists: a page size out of range, an unknown order and a page token that is not theirs are"
        " refused; the document declares no refusal of any parameter",
    ),
    Undeclared(
        400,
        lambda name, *_: name == "copyByocCollectionTiles",
        "bands that differ are refused, in the document's prose; `toCollection` is required",
    ),
    Undeclared(
        400,
        lambda name, *_: name == "batchStopStatisticalRequest",
        "a task that has not begun, or is over, cannot be stopped; answers of the service say so of"
        " batch tasks, and the document declares it for the other actions",
    ),
    Undeclared(
        401,
        lambda name, *_: name not in OPEN,
        "the Catalog declares no 401, and is asked with a token like everything else",
    ),
    Undeclared(
        404,
        lambda name, *_: name in ("getByocCollectionTiles", "createByocCollectionTile"),
        "tiles of a collection that is not there: answers of the service say `not found`",
    ),
)


@cache
def document() -> dict[str, Any]:
    """The document of all operations that the sandbox serves by itself."""
    extract = json.loads((store.root() / store.EXTRACT).read_bytes())
    for overlay in OVERLAYS:
        overlay.apply(extract)
    served = _served()
    paths = {path: item for path, item in extract["paths"].items() if served(path)}
    for path, item in paths.items():
        for entry in item.values():
            _complete(path, entry)
    for name, links in LINKS.items():
        _link(paths, name, links)
    responses = {name: {"description": "", **body} for name, body in extract["responses"].items()}
    return {
        "openapi": extract["source"]["openapi"],
        "info": {"title": "Sentinel Hub", "version": extract["source"]["version"]},
        "paths": paths,
        "components": {
            "parameters": extract["parameters"],
            "responses": responses,
            "schemas": extract["schemas"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operations() -> Iterator[tuple[str, str, Any]]:
    """Method, path and entry of every operation of the document."""
    for path, item in document()["paths"].items():
        for method, entry in item.items():
            yield method.upper(), path, entry


def _served() -> Callable[[str], bool]:
    with tempfile.TemporaryDirectory() as data:
        app = create_app(Path(data), clock=StoppedClock())
        patterns = [route.path_regex for route in app.routes if isinstance(route, Route)]
        close_app(app)
    return lambda path: any(pattern.match(path) for pattern in patterns)


def _complete(path: str, entry: dict[str, Any]) -> None:
    name = entry["operationId"]
    entry["security"] = [] if name in OPEN else [{"token": []}]
    for exception in EXCEPTIONS:
        if exception.applies(name, path, entry):
            body = ERROR if exception.status != 401 else {"description": exception.reason}
            entry["responses"].setdefault(str(exception.status), body)
    for response in entry["responses"].values():
        if "$ref" not in response:
            response.setdefault("description", "")


# Created objects, and the parameters of the operations that are about them. Source: the answers'
# schemas: BYOC and Zarr wrap one object in `data`, batch tasks come bare.
LINKS = {
    "createByocCollection": ("$response.body#/data/id", "collectionId"),
    "createByocCollectionTile": ("$response.body#/data/id", "tileId"),
    "createNewBatchV2ProcessingRequest": ("$response.body#/id", "taskId"),
    "createNewBatchStatisticsRequest": ("$response.body#/id", "requestId"),
    "createZarrCollection": ("$response.body#/data/id", "collectionId"),
}


def _link(paths: dict[str, Any], name: str, link: tuple[str, str]) -> None:
    """Link what an operation creates to every operation below its path that takes it."""
    for base, item in paths.items():
        for entry in item.values():
            if entry["operationId"] != name:
                continue
            expression, parameter = link
            outer = {f"path.{one}": f"$request.path.{one}" for one in _parameters(base)}
            mark = "{" + parameter + "}"
            entry["responses"]["201"]["links"] = {
                other["operationId"]: {
                    "operationId": other["operationId"],
                    "parameters": {**outer, f"path.{parameter}": expression},
                }
                for path, targets in paths.items()
                if path.startswith(f"{base}/{mark}")
                for other in targets.values()
                if set(_parameters(path)) <= {parameter, *_parameters(base)}
            }


def _parameters(path: str) -> list[str]:
    return [step[1:-1] for step in path.split("/") if step.startswith("{")]
