"""
The floor: what any program has to do to find that 10,000 tiles are unchanged.

Parse the YAML with positions (or the CSV), check it against a schema, hash it, read a hundred
pages over HTTP, compare. No plan, no ledger, no messages: shplan is measured against this, in the
same run.

    python benchmarks/floor.py MANIFEST_OR_CSV BASE_URL COLLECTION
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import sys
from pathlib import Path
from typing import Any

import aiohttp
import click  # noqa: F401 - part of what a command line has to import
import httpx  # noqa: F401 - the same, of what an HTTP client has to import
import jsonschema_rs
import msgspec
import orjson
import yaml

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["path"],
        "properties": {"path": {"type": "string"}, "sensingTime": {"type": "string"}},
        "additionalProperties": False,
    },
}


class Tile(msgspec.Struct, gc=False):
    id: str
    path: str
    status: str
    sensingTime: str | None = None  # noqa: N815 - the API's name


class Links(msgspec.Struct):
    nextToken: str | None = None  # noqa: N815 - the API's name


class Page(msgspec.Struct):
    data: list[Tile]
    links: Links


class Positions(dict[str, Any]):
    __slots__ = ("line",)
    line: int


def parse(text: str) -> list[Any]:
    """Build the documents of a file from libyaml's events, with the line of every mapping."""
    parser: Any = yaml.cyaml.CParser(text)  # type: ignore[attr-defined]  # the stubs of PyYAML leave it out
    documents: list[Any] = []
    while True:
        event = parser.get_event()
        if event is None or type(event) is yaml.StreamEndEvent:
            return documents
        if type(event) is yaml.DocumentStartEvent:
            documents.append(node(parser, parser.get_event()))


def node(parser: Any, event: Any) -> object:
    kind = type(event)
    if kind is yaml.ScalarEvent:
        return event.value
    if kind is yaml.MappingStartEvent:
        mapping = Positions()
        mapping.line = event.start_mark.line
        while type(key := parser.get_event()) is not yaml.MappingEndEvent:
            mapping[key.value] = node(parser, parser.get_event())
        return mapping
    items = []
    while type(item := parser.get_event()) is not yaml.SequenceEndEvent:
        items.append(node(parser, item))
    return items


def listed(stated: Path) -> list[dict[str, str]]:
    if stated.suffix == ".csv":
        with stated.open(newline="") as file:
            reader = csv.reader(file)
            header = next(reader)
            return [dict(zip(header, row, strict=True)) for row in reader]
    documents = parse(stated.read_text())
    tiles: list[dict[str, str]] = next(
        one["spec"]["tiles"] for one in documents if "tiles" in one["spec"]
    )
    return tiles


async def compare(tiles: list[dict[str, str]], base: str, collection: str) -> int:
    wanted = {tile["path"]: tile["sensingTime"] for tile in tiles}
    decoder = msgspec.json.Decoder(Page)
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    differing = 0
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/oauth/token", data=form) as answer:
            token = orjson.loads(await answer.read())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{base}/api/v1/byoc/collections/{collection}/tiles?count=100"
        following: str | None = ""
        while following is not None:
            more = f"&viewtoken={following}" if following else ""
            async with session.get(url + more, headers=headers) as answer:
                page = decoder.decode(await answer.read())
            for tile in page.data:
                listed = (tile.sensingTime or "").replace(".000Z", "Z")
                differing += wanted.pop(tile.path, None) != listed
            following = page.links.nextToken
    return differing + len(wanted)


def main() -> None:
    stated, base, collection = sys.argv[1:]
    tiles = listed(Path(stated))
    assert jsonschema_rs.validator_for(SCHEMA).is_valid(tiles)
    for tile in tiles:
        hashlib.sha256(orjson.dumps(tile, option=orjson.OPT_SORT_KEYS)).digest()
    differing = asyncio.run(compare(tiles, base, collection))
    print(f"{len(tiles)} tiles, {differing} differ")
    sys.exit(differing != 0)


if __name__ == "__main__":
    main()
