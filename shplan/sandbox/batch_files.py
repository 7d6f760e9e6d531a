"""
What the service writes for a batch task beside its results: three files in the delivery's root.

The copy of the request at creation, the feature manifest after the analysis, the execution
database while features are processed. Results themselves are written by `delivering`. What is asked of the store
is asked before, so that threads can write. Source: the batch
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
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shplan.sandbox.batch_paths import Delivery, Place
    from shplan.sandbox.batch_rows import Feature, Task
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

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


# Number, name, outcome and error of a feature.
Listed = tuple[int, str, str | None, str | None]


def copy(delivery: Delivery, task_id: str, request: JsonObject) -> tuple[Place, bytes]:
    """The copy of a request of either version, and where it goes; never with secrets."""
    content = encode({"id": task_id, "request": masked(request)})
    return delivery.beside(request_name(task_id)), content.encode() + b"\n"


def write_manifest(
    storage: Storage, task: Task, features: Iterable[Feature], *, at_ms: int
) -> None:
    """
    Write the feature manifest: a row for each feature and output; for a thread.

    Raises:
        ObjectStoreError: the bucket is not there, or cannot take it
    """
    from shplan.sandbox import geopackage  # noqa: PLC0415 as in the checks of requests

    request = task.content
    delivery = delivery_of(request, task_id=task.id)
    asked = metering.responses(cast("JsonObject", request["processRequest"]))
    listed = [
        geopackage.ManifestRow(
            output=identifier,
            identifier=one.name,
            path=delivery.output(tile=one.name, output=identifier, media_type=media_type).url,
            width=one.width,
            height=one.height,
            epsg=one.epsg,
            shape=one.shape,
        )
        for one in features
        for identifier, media_type in asked
    ]
    content = geopackage.manifest(listed, changed_ms=at_ms)
    storage.put(delivery.beside(manifest_name(task.id)), content)


def listed(
    store: Store, task: Task, changed: Mapping[int, tuple[str | None, str | None]]
) -> list[Listed]:
    """
    The features of a task, as the execution database has them.

    Args:
        changed: outcome and error of those that stand otherwise than they are stored, by number
    """
    return [
        (row["n"], row["name"], *changed.get(row["n"], (row["outcome"], row["error"])))
        for row in rows.features(store, task)
    ]


def write_execution(storage: Storage, task: Task, features: Iterable[Listed]) -> None:
    """
    Write the execution database; for a thread.

    A bucket that vanished meanwhile takes no database, and the task goes on.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        file.execute(_EXECUTION)
        file.executemany(
            "insert into features values (?, ?, ?, ?, ?)",
            [
                (n, name, outcome or "PENDING", error, int(outcome == rows.DONE))
                for n, name, outcome, error in features
            ],
        )
        file.commit()
        content = file.serialize()
    place = delivery_of(task.content, task_id=task.id).beside(execution_name(task.id))
    with contextlib.suppress(ObjectStoreError, OSError):
        storage.put(place, content)
