"""What the sandbox's tests share: a client without a socket, and GeoTIFFs on disk."""

from __future__ import annotations

import asyncio
import atexit
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
import jsonschema_rs
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import Clock, StoppedClock
from shplan.sandbox.remote_buckets import RemoteBuckets
from shplan.sandbox.scripts import WorkerScripts
from shplan.sandbox.settings import Settings
from shplan.schema.store import operations, response_schema

TOKEN = "/auth/realms/main/protocol/openid-connect/token"
COLLECTIONS = "/byoc/v1/collections"
BUCKET = "imagery"
FAMILIES = (
    "async",
    "batch-statistics",
    "batch-v1",
    "batch-v2",
    "byoc",
    "metadata",
    "process",
    "statistics",
    "zarr",
)


@cache
def validators() -> list[tuple[str, re.Pattern[str], dict[int, Any]]]:
    """Of each operation that is served: method, pattern of its paths, and its answers' validators."""
    found = []
    for name, operation in operations().items():
        if operation.family not in FAMILIES:
            continue
        by_status = {}
        for status in operation.statuses:
            schema = response_schema(name, status)
            if schema is not None:
                by_status[status] = jsonschema_rs.Draft202012Validator(
                    schema, validate_formats=True
                )
        paths = "|".join(
            re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            for path in (operation.path, *operation.aliases)
        )
        found.append((operation.method.upper(), re.compile(f"(?:{paths})/?"), by_status))
    return found


def obey_contract(answer: httpx.Response) -> None:
    """Every answer of the tests is checked against the published schema of its operation."""
    for method, path, by_status in validators():
        if answer.request.method == method and path.fullmatch(answer.request.url.path):
            validator = by_status.get(answer.status_code)
            if validator is not None:
                validator.validate(answer.json())
                CHECKED.append(answer.status_code)


CHECKED: list[int] = []


T = TypeVar("T")


class Driver:
    """Sends requests to an application in this process and waits for the answers."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.lenient = False
        self._loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app=app)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://sandbox")

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._loop.run_until_complete(self._http.request(method, path, **options))
        if not self.lenient:
            obey_contract(answer)
        return answer

    async def asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The same for those who ask several things at a time, in `run`."""
        return await self._http.request(method, path, **options)

    def run(self, asking: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop of the application."""
        return self._loop.run_until_complete(asking)

    def ask_token(self, client_id: str = "sandbox", secret: str = "sandbox", **form: str) -> Any:
        fields = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
            **form,
        }
        return self.send("POST", TOKEN, data=fields)

    def login(self, client_id: str = "sandbox", secret: str = "sandbox") -> Driver:
        token = self.ask_token(client_id, secret).json()["access_token"]
        self._http.headers["authorization"] = f"Bearer {token}"
        return self

    def get(self, path: str, /, **query: Any) -> httpx.Response:
        return self.send("GET", path, params=query or None)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.send("POST", path, **({} if body is None else {"json": body}))

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.send("PUT", path, json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.send("DELETE", path)

    # Shorthands of the control and of BYOC.

    def tick(self, seconds: float) -> None:
        assert self.post("/_sandbox/tick", {"seconds": seconds}).status_code == 200

    def configure(self, **settings: Any) -> None:
        answer = self.post("/_sandbox/settings", settings)
        assert answer.status_code == 200, answer.text

    def collection(self, name: str = "fields", **body: Any) -> Any:
        answer = self.post(COLLECTIONS, {"name": name, "s3Bucket": BUCKET, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def tile(self, collection: str, path: str, **body: Any) -> Any:
        answer = self.post(f"{COLLECTIONS}/{collection}/tiles", {"path": path, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def read(self, collection: str, tile: str | None = None) -> Any:
        path = f"{COLLECTIONS}/{collection}" + (f"/tiles/{tile}" if tile else "")
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def tiles(self, collection: str, /, **query: Any) -> Any:
        answer = self.get(f"{COLLECTIONS}/{collection}/tiles", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        self._loop.run_until_complete(self._http.aclose())
        self._loop.close()


class SharedScripts(WorkerScripts):
    """One engine for all sandboxes of a test run; it ends with the run."""

    def close(self) -> None:
        pass


@cache
def shared_scripts() -> SharedScripts:
    scripts = SharedScripts()
    atexit.register(WorkerScripts.close, scripts)
    return scripts


@contextmanager
def sandbox(
    data: Path,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    remote: RemoteBuckets | None = None,
) -> Iterator[Driver]:
    """An open sandbox whose time moves by `tick` only."""
    app = create_app(
        data,
        clock=clock or StoppedClock(),
        settings=settings,
        scripts=shared_scripts(),
        remote=remote,
    )
    driver = Driver(app)
    try:
        yield driver
    finally:
        driver.close()
        close_app(app)


# The same files are wanted all over, and GDAL takes longer for one than a sandbox for its ingestion.
_WRITTEN: dict[str, bytes] = {}
_MOST_KEPT_BYTES = 100_000


def write_cog(
    path: Path,
    *,
    size: int = 256,
    bands: int = 1,
    dtype: str = "uint16",
    epsg: int | None = 32633,
    west: float = 500_000.0,
    north: float = 5_200_000.0,
    pixel: float = 10.0,
    nodata: float | None = None,
    driver: str = "COG",
    **options: Any,
) -> Path:
    """A GeoTIFF of constant value; by default a cloud optimized one in UTM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = repr(
        (size, bands, dtype, epsg, west, north, pixel, nodata, driver, sorted(options.items()))
    )
    if key in _WRITTEN:
        path.write_bytes(_WRITTEN[key])
        return path
    creation = {"blocksize": 256, "compress": "deflate"} if driver == "COG" else {}
    with rasterio.open(
        path,
        "w",
        driver=driver,
        width=size,
        height=size,
        count=bands,
        dtype=dtype,
        crs=None if epsg is None else CRS.from_epsg(epsg),
        transform=from_origin(west, north, pixel, pixel),
        nodata=nodata,
        **{**creation, **options},
    ) as raster:
        raster.write(np.ones((bands, size, size), dtype=dtype))
    content = path.read_bytes()
    if len(content) < _MOST_KEPT_BYTES:
        _WRITTEN[key] = content
    return path


def violations(answer: httpx.Response) -> dict[str, str]:
    """What a refusal says is wrong, by parameter."""
    found: dict[str, str] = answer.json()["error"]["errors"]
    return found
