"""
What the service writes for a batch task beside its results: three files in the delivery's root.

The copy of the request at creation, the feature manifest after the analysis, the execution
database while features are processed. Results themselves are written by `delivering`. Source: the batch
pages; the name of the request copy is an assumption.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_rows as rows
from shplan.sandbox import metering
from shplan.sandbox.batch_requests import delivery_of
from shplan.sandbox.masking import masked
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from shplan.sandbox.batch_paths import Delivery, Place
    from shplan.sandbox.batch_rows import Task
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

_EXECUTION = """
create table features (id integer primary key, name text not null, status text not null,
  error text, delivered boolean not null)
"""


def request_name(task_id: str) -> str:
    """Name of the request copy."""
    return f"request-{task_id}.json"


def manifest_name(task_id: str) -> str:
    """Name of the feature manifest."""
    return f"featureManifest-{task_id}.gpkg"


def execution_name(task_id: str) -> str:
    """Name of the execution database."""
    return f"execution-{task_id}.sqlite"


def write_request(world: World, task: Task) -> None:
    """
    Write the copy of the request; never with secrets.

    Raises:
        ObjectStoreError: the bucket is not there, or cannot take it
    """
    write_copy(world, delivery_of(task.content, task_id=task.id), task.id, task.content)


def write_copy(world: World, delivery: Delivery, task_id: str, request: JsonObject) -> None:
    """
    Write the copy of a request of either version.

    Raises:
        ObjectStoreError: as above
    """
    content = encode({"id": task_id, "request": masked(request)})
    put(world, delivery.beside(request_name(task_id)), content.encode() + b"\n")


def write_manifest(world: World, task: Task, *, at_ms: int) -> None:
    """
    Write the feature manifest: a row for each feature and output.

    Raises:
        ObjectStoreError: as above
    """
    from shplan.sandbox import geopackage  # noqa: PLC0415 as in the checks of requests

    request = task.content
    delivery = delivery_of(request, task_id=task.id)
    asked = metering.responses(cast("JsonObject", request["processRequest"]))
    listed = [
        geopackage.ManifestRow(
            output=identifier,
            identifier=str(row["name"]),
            path=delivery.output(tile=row["name"], output=identifier, media_type=media_type).url,
            width=row["width"],
            height=row["height"],
            epsg=row["epsg"],
            shape=row["shape"],
        )
        for row in rows.features(world.store, task)
        for identifier, media_type in asked
    ]
    content = geopackage.manifest(listed, changed_ms=at_ms)
    _write(world, task, manifest_name(task.id), content)


def write_execution(world: World, task: Task) -> None:
    """
    Write the execution database as the features stand now.

    Raises:
        ObjectStoreError: as above
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        file.execute(_EXECUTION)
        file.executemany(
            "insert into features values (?, ?, ?, ?, ?)",
            [
                (row["n"], row["name"], row["outcome"] or "PENDING", row["error"],
                 int(row["outcome"] == rows.DONE))
                for row in rows.features(world.store, task)
            ],
        )  # fmt: skip
        file.commit()
        content = file.serialize()
    _write(world, task, execution_name(task.id), content)


def _write(world: World, task: Task, name: str, content: bytes) -> None:
    put(world, delivery_of(task.content, task_id=task.id).beside(name), content)


def put(world: World, place: Place, content: bytes) -> None:
    """
    Write a file into a bucket, which is made if a setting says so.

    Raises:
        ObjectStoreError: as above
    """
    if world.settings.missing_bucket == "create" and not world.objects.has_bucket(place.bucket):
        world.objects.make_bucket(place.bucket)
    world.objects.write(place.bucket, place.key, content)
