"""
The sandbox on a real port, in a process of its own, whose time stands still but for what is waited.

Its state can be kept and put back, so that what comes before the struck command is done once for a
scenario, and it is read from its own record, never through the client that is judged.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from shplan.core.marker import read_marker
from shplan.sandbox.settings import Settings
from shplan.sandbox.store import FILE_NAME
from shplan.sandbox.testing import Sandbox
from tests.support.cogs import cog_bytes
from tests.support.cubes import write_cube

# Of the sandbox's tables those that hold no objects of the service.
NO_OBJECTS = {
    "allowances",
    "batch_fates",
    "batch_fillings",
    "deleted",
    "faults",
    "meter",
    "requests",
    "sensed_tiles",
}
# Whose part a row is: the column that says so, and the table where that one stands.
OWNERS = {
    "tiles": ("coll", "collections"),
    "batch_features": ("task", "batch_tasks"),
    "batch_v1_tiles": ("task", "batch_v1_tasks"),
    "statistics_features": ("task", "statistics_tasks"),
    "zarr_arrays": ("coll", "zarr_collections"),
}
TASKS = ("batch_tasks", "batch_v1_tasks", "statistics_tasks")
# What runs, and is paid, as it is created; the service forgets it, and the judge does not.
AT_ONCE = "async_requests"
# What differs between two runs that came to the same: identity, order and time.
_IDENTITY = {"id", "seq", "account", "next_tile"}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGEST = re.compile(r"\b[0-9a-f]{16,64}\b")
_INSTANTS = ("created", "ingestionStart", "lastUpdated", "userActionUpdated", "updated")
SETTLED_S = 400.0
_MOST_STAGES = 50
# Whoever waits asks again and again: with these it is a few times.
SHORT = {
    "waiting_s": 0.3,
    "queued_s": 0.3,
    "ingesting_s": 0.4,
    "zarr_created_s": 0.2,
    "zarr_ingesting_s": 0.4,
    "batch_queued_s": 0.5,
    "batch_analysing_s": 0.5,
    "batch_processing_s": 2.0,
    "async_processing_s": 0.5,
    # A task of which every feature fails ends, and is not stopped for half an hour.
    "unhealthy_share": 1.0,
}


@dataclass(frozen=True, slots=True)
class EndState:
    """
    What the sandbox holds and has counted.

    Args:
        objects: every object without identity and time
        unstarted: the tasks that were made and never started, which cost nothing
        pu: on the meter
        starts: how many STARTs had an effect, by run key and attempt
        accepted_starts: how many requests for a START were answered with yes
    """

    objects: Counter[str]
    unstarted: Counter[str]
    pu: float
    starts: Mapping[tuple[str, int], int]
    accepted_starts: int


class Stand:
    """One sandbox; reset, kept and put back as often as needed."""

    def __init__(self, home: Path) -> None:
        self._closing = ExitStack()
        self._data = home / "sandbox"
        self.sandbox = self._closing.enter_context(
            Sandbox(self._data, stopped=True, seed="crash", **SHORT)
        )
        self._changed: dict[str, Any] = {}

    @property
    def base_url(self) -> str:
        return self.sandbox.base_url

    @property
    def buckets(self) -> Path:
        return self._data / "buckets"

    def buckets_environment(self) -> dict[str, str]:
        """The variables with which the client reads the sandbox's buckets over S3."""
        return {
            "AWS_ENDPOINT_URL": self.sandbox.s3_url,
            "AWS_ACCESS_KEY_ID": self.sandbox.client_id,
            "AWS_SECRET_ACCESS_KEY": self.sandbox.client_secret,
            "AWS_REGION": "eu-central-1",
        }

    def close(self) -> None:
        self._closing.close()

    def fresh(self, settings: Mapping[str, Any]) -> None:
        """Forget everything, files in buckets too, and behave like this."""
        defaults = Settings()
        changes = {**{name: getattr(defaults, name) for name in self._changed}, **settings}
        if changes:
            self.sandbox.settings(**changes)
        self._changed = dict(settings)
        self.sandbox.reset()
        for bucket in self.buckets.iterdir():
            shutil.rmtree(bucket)

    def behave(self, **settings: Any) -> None:
        """Change settings until the next `fresh`."""
        self._changed |= settings
        self.sandbox.settings(**settings)

    def write_tiles(
        self, bucket: str, *folders: str, bands: tuple[str, ...] = ("B04", "B08")
    ) -> None:
        for folder in folders:
            home = self.buckets / bucket / folder
            home.mkdir(parents=True, exist_ok=True)
            for band in bands:
                (home / f"{band}.tiff").write_bytes(cog_bytes())

    def write_cubes(self, bucket: str, *groups: str) -> None:
        for group in groups:
            write_cube(self.buckets / bucket / group)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What somebody else does, with a client of no particular make."""
        import httpx

        with httpx.Client(base_url=self.base_url, trust_env=False, timeout=60) as client:
            form = {
                "grant_type": "client_credentials",
                "client_id": self.sandbox.client_id,
                "client_secret": self.sandbox.client_secret,
            }
            token = client.post("/oauth/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = client.request(method, path, json=body, headers=headers)
            assert answer.status_code < 400, answer.text
            return answer.json() if answer.content else None

    def save(self) -> Callable[[], None]:
        """Keep the state as it is; what is returned puts it back."""
        self.sandbox.control("GET", "instance")  # whatever still runs has ended
        kept = sqlite3.connect(":memory:")
        self._copy(None, kept)
        files = {
            path.relative_to(self.buckets): path.read_bytes()
            for path in self.buckets.rglob("*")
            if path.is_file()
        }

        def put_back() -> None:
            self.sandbox.control("GET", "instance")
            self._copy(kept, None)
            for path in self.buckets.rglob("*"):
                if path.is_file() and path.relative_to(self.buckets) not in files:
                    path.unlink()
            for name, content in files.items():
                place = self.buckets / name
                if not place.exists() or place.stat().st_size != len(content):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)

        return put_back

    def _copy(self, source: sqlite3.Connection | None, target: sqlite3.Connection | None) -> None:
        live = sqlite3.connect(self._data / FILE_NAME, timeout=60.0)
        try:
            (source or live).backup(target or live)
        finally:
            live.close()

    def end_state(self) -> EndState:
        """
        Let everything come to its end, and read the sandbox's own record.

        A task goes on by a stage when time does, and is delivered while real time passes; so the end
        is where nothing changes any more.
        """
        before = None
        for _ in range(_MOST_STAGES):
            self.sandbox.tick(SETTLED_S)
            # What becomes of tiles and of groups is stored when somebody looks.
            self.call("GET", "/byoc/v1/collections")
            self.call("GET", "/zarr/v1/collections")
            now = read_state(self.sandbox.control("GET", "dump"))
            if now == before:
                return now
            before = now
        msg = "the sandbox does not come to an end"
        raise AssertionError(msg)


def read_state(dump: Mapping[str, Any]) -> EndState:
    """Return what a dump says, without what differs between equal runs."""
    objects: Counter[str] = Counter()
    unstarted: Counter[str] = Counter()
    starts: Counter[tuple[str, int]] = Counter()
    for table, rows in dump.items():
        if not isinstance(rows, list) or table in NO_OBJECTS:
            continue
        for row in rows:
            owner = _owner(dump, table, row)
            if table == AT_ONCE:
                objects[f"{table} {_plain(row)}"] += 1
                starts[_run(row)] += 1
                continue
            if "forgotten" in row and row["forgotten"]:
                continue
            idle = table in TASKS and row["action"] == "NONE"
            text = f"{table} {_plain(row)}" + (f" of {_plain(owner)}" if owner else "")
            if idle:
                unstarted[text] += 1
                continue
            if owner is not None and owner.get("action") == "NONE":
                continue
            objects[text] += 1
            if table in TASKS:
                starts[_run(row)] += row["starts"]
    meter = dump["meter"]
    accepted = [one for one in dump["requests"] if _starts(one) and (one["status"] or 500) < 300]
    return EndState(
        objects,
        unstarted,
        round(sum(one["pu"] for one in meter), 6),
        dict(starts),
        len(accepted),
    )


def _starts(request: Mapping[str, Any]) -> bool:
    path = request["path"]
    at_once = request["method"] == "POST" and path.endswith("/async/v1/process")
    return at_once or path.endswith("/start")


def _owner(dump: Mapping[str, Any], table: str, row: Mapping[str, Any]) -> Any:
    column, where = OWNERS.get(table, ("", ""))
    if not column or column not in row:
        return None
    return next((one for one in dump[where] if one["seq"] == row[column]), None)


def _plain(row: Mapping[str, Any]) -> str:
    kept = {
        name: value
        for name, value in row.items()
        if name not in _IDENTITY and not name.endswith("_ms") and name not in ("coll", "task")
    }
    text = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()
    for name in _INSTANTS:
        text = re.sub(rf'(\\?"{name}\\?":)\\?"[^"\\]*\\?"', r"\1-", text)
    return _DIGEST.sub("#", _UUID.sub("#", text))


def _run(row: Mapping[str, Any]) -> tuple[str, int]:
    # In the description, or on the last line of a script: the row holds both as text.
    marker = read_marker(f"{row['request']} {row.get('description', '')}")
    return ("", 0) if marker is None else (marker.key, marker.attempt)


def environment() -> dict[str, str]:
    """The variables of the client's process: who it is, and nothing of whoever runs the harness."""
    return {
        "SH_CLIENT_ID": Sandbox.client_id,
        "SH_CLIENT_SECRET": Sandbox.client_secret,
        "PATH": os.environ.get("PATH", ""),
    }
