"""The catalogue in the same process; every answer is checked against its published schema."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

from shplan.schema.store import operations, response_schema

from .support import BUCKET, Driver, write_cog

CATALOG = "/catalog/v1"
OLD_STYLE = "/api/v1/catalog/1.0.0"
S2 = "sentinel-2-l2a"
BBOX = [13, 45, 14, 46]
DECEMBER = "2020-12-10T00:00:00Z/2020-12-30T00:00:00Z"
SUMMER = "2020-07-01T00:00:00Z/2020-07-31T00:00:00Z"
ALWAYS = "../.."


@cache
def validators() -> list[tuple[str, re.Pattern[str], dict[int, Any]]]:
    """Of each operation of the catalogue: method, pattern of its paths, its answers' validators."""
    found = []
    for name, operation in operations().items():
        if operation.family != "catalog":
            continue
        schemas = {status: response_schema(name, status) for status in operation.statuses}
        by_status = {
            status: jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            for status, schema in schemas.items()
            if schema is not None
        }
        paths = "|".join(
            re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            for path in (operation.path, *operation.aliases)
        )
        found.append((operation.method.upper(), re.compile(f"(?:{paths})/?"), by_status))
    return found


def obey(answer: httpx.Response, *, shaped: bool) -> None:
    """`shaped`: the request asked for other features than items, of which the document is silent."""
    for method, path, by_status in validators():
        if answer.request.method == method and path.fullmatch(answer.request.url.path):
            validator = by_status.get(answer.status_code)
            if validator is not None:
                content = answer.json()
                if shaped:
                    content.pop("features", None)
                    content["features"] = []
                validator.validate(content)


class Catalogue:
    """Asks one sandbox for its catalogue."""

    def __init__(self, api: Driver, data: Path) -> None:
        self.api = api
        self.data = data

    def get(self, path: str = "", /, *, base: str = CATALOG, **query: Any) -> httpx.Response:
        answer = self.api.get(
            base + path, **{name.replace("_", "-"): v for name, v in query.items()}
        )
        obey(answer, shaped="fields" in query or "distinct" in query)
        return answer

    def post(self, *, base: str = CATALOG, **body: Any) -> httpx.Response:
        answer = self.api.post(f"{base}/search", body)
        obey(answer, shaped="fields" in body or "distinct" in body)
        return answer

    def search(self, collection: str = S2, **body: Any) -> Any:
        answer = self.post(collections=[collection], **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, collection: str = S2, **body: Any) -> list[str]:
        """Identifiers of all pages."""
        found: list[str] = []
        while True:
            page = self.search(collection, **body)
            found += [feature["id"] for feature in page["features"]]
            if "next" not in page["context"]:
                return found
            body["next"] = page["context"]["next"]

    def refused(self, **body: Any) -> str:
        answer = self.post(**body)
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"code", "description"}
        return str(answer.json()["description"])

    # What lies in it.

    def collection(self) -> str:
        return str(self.api.collection()["id"])

    def tile(self, collection: str, path: str, *, west: float = 500_000.0, **body: Any) -> str:
        """A tile that is going to be ingested."""
        file = self.data / "buckets" / BUCKET / path / "B04.tiff"
        epsg, north = body.pop("epsg", 32633), body.pop("north", 5_200_000.0)
        write_cog(file, west=west, north=north, epsg=epsg)
        return str(self.api.tile(collection, path, **body)["id"])

    def days(self, count: int) -> tuple[str, list[str]]:
        """A collection with one ingested tile a day, each further east; the newest first."""
        collection = self.collection()
        tiles = [
            self.tile(
                collection,
                f"{day}",
                west=300_000.0 + 10_000.0 * day,
                sensingTime=f"2024-05-{day:02d}T10:00:00Z",
            )
            for day in range(1, count + 1)
        ]
        self.api.tick(60)
        return collection, tiles[::-1]
