"""
The sandbox as the model test sees and treats it: what is there, what somebody else does to it.

Nothing here costs anything or meets a misfortune: these are the eyes and hands of the test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from shplan.core.marker import read_marker
from tests.support.model_manifests import OF_ALL, TAG


@dataclass(frozen=True)
class Task:
    """
    One batch task.

    Args:
        asked: what it asks for, as the model names runs; empty for somebody else's request
        starts: how often it was started with effect
    """

    id: str
    asked: str
    attempt: int
    status: str
    starts: int
    cost_pu: float
    failed: int
    forgotten: bool
    row: str

    @property
    def is_complete(self) -> bool:
        return self.status == "DONE" and not self.failed

    @property
    def is_running(self) -> bool:
        return self.starts > 0 and self.status not in ("DONE", "FAILED", "STOPPED")

    @property
    def has_ended(self) -> bool:
        return not self.is_complete and not self.is_running and self.starts > 0


@dataclass(frozen=True)
class Tile:
    id: str
    collection: str
    path: str
    outcome: str
    sensed_ms: int | None
    row: str


@dataclass(frozen=True)
class Held:
    """Everything that is on the server at one moment."""

    collections: dict[str, dict[str, Any]]
    tiles: dict[str, Tile]
    tasks: dict[str, Task]
    spent_pu: float
    calls: int

    def of(self, collection: str) -> list[Tile]:
        return [tile for tile in self.tiles.values() if tile.collection == collection]

    def found(self, key: tuple[str, str]) -> list[str]:
        """The collections of one name and bucket."""
        return [i for i, one in self.collections.items() if (one["name"], one["bucket"]) == key]

    def asking(self, asked: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.asked == asked]


class Server:
    """A sandbox, and whoever works on it without shplan."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            answer = await client.request(method, path, json=body)
            return answer.json() if answer.content else None

    async def edit(self, method: str, path: str, body: Any = None) -> Any:
        """Do something as a person in the service's web pages does."""
        asked = {"method": method, "path": path, "body": body}
        return await self.ask("POST", "/_sandbox/edit", asked)

    async def put_right(self, path: str, change: dict[str, Any]) -> None:
        await self.ask("POST", "/_sandbox/edit", {"path": path, "change": change})

    async def set(self, **settings: Any) -> None:
        await self.ask("PATCH", "/_sandbox/settings", settings)

    async def tick(self, seconds: float) -> None:
        await self.ask("POST", "/_sandbox/tick", {"seconds": seconds})

    async def expire(self, status: str) -> None:
        """Let every task that ended so be forgotten."""
        await self.set(**{f"expire_{status}_s": 0.5})
        await self.tick(1.0)
        await self.held()
        await self.set(**{f"expire_{status}_s": None})

    async def held(self) -> Held:
        dump = await self.ask("GET", "/_sandbox/dump")
        places = {row["seq"]: row["id"] for row in dump["collections"]}
        tiles = {
            row["id"]: Tile(
                row["id"],
                places[row["coll"]],
                row["path"].partition("/(")[0],
                row["outcome"] if row["outcome"] else "",
                row["sensing_ms"],
                json.dumps(row, sort_keys=True),
            )
            for row in dump["tiles"]
        }
        return Held(
            {row["id"]: row for row in dump["collections"]},
            tiles,
            {row["id"]: _task(row) for row in dump["batch_tasks"]},
            sum(row["pu"] for row in dump["meter"]),
            sum(row["calls"] for row in dump["meter"]),
        )


def _task(row: dict[str, Any]) -> Task:
    request = json.loads(row["request"])
    text = request.get("description") or ""
    marker = read_marker(text)
    asked = text.partition(" [")[0].removeprefix(TAG) if text.startswith(TAG) else ""
    source = request["processRequest"]["input"]["data"][0]["type"]
    return Task(
        row["id"],
        # The words of a run on a collection mean another one for each collection.
        asked.replace(OF_ALL, source, 1),
        1 if marker is None else marker.attempt,
        row["status"],
        row["starts"],
        float(row["cost"]),
        row["fatal"],
        bool(row["forgotten"]),
        json.dumps({**row, "updated_ms": 0}, sort_keys=True),
    )
