"""
Whole projects, drawn from the manifest schemas: files on disk that mean something on the sandbox.

The schemas say which properties there are and which may be left out; `_SCENES` below say only
what a property's value is here. A property that nobody has a value for fails the draw, so that
a new one cannot go untested.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from shplan.core.resource import Desired
from shplan.manifest.load import Loaded, load
from shplan.manifest.member_tables import Listings
from shplan.manifest.members_bucket import Listing
from shplan.manifest.variables import VariableInputs
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import manifest_schema
from tests.support.imagery import FOLDERS, MATERIALS, Material
from tests.support.schemas import resolved

Document = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
# Stands in a manifest for the id of the collection that somebody else made.
SHARED_ID = "00000000-0000-4000-8000-000000000000"
SHARED_NAME = "Shared by everybody"
SHARED_MATERIAL = MATERIALS[0]
# Collections that hold no tiles: by kind, where they are served, and what one states.
PLAIN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "BatchCollection": ("/api/v1/batch/collections", {"s3Bucket": "results"}),
    "ZarrCollection": (
        "/zarr/v1/collections",
        {"s3Bucket": "cubes", "path": "a.zarr/", "crs": "EPSG:32633"},
    ),
}
PLAIN_IDS = {kind: f"00000000-0000-4000-8000-{at:012}" for at, kind in enumerate(PLAIN, 1)}

# Of a bucket there is more to leave out.
SOURCES = ("tiles", "csv", "geojson", "parquet", "bucket", "bucket")
TEXTS = {"team": "mapping", "season": "2025", "note": "yes", "ratio": "1e3", "é": "a: b # c"}
TIMES = (
    "2025-06-01T10:00:00Z",
    "2025-06-02T10:00:00.500Z",
    "2025-06-03T12:30:00+02:00",
    "2025-06-04T00:00:00-11:30",
    "2025-06-05T23:59:59.999+00:00",
)
# Corners in the tile's own CRS; the tiles reach from 500000, 5094880 to 505120, 5100000.
BOXES = (
    (500_500, 5_095_000, 504_500, 5_099_000),
    (498_000, 5_096_000, 502_000, 5_101_000),
    (501_000, 5_095_500, 503_000, 5_098_250),
)
CRS = {
    "": 4326,
    "urn:ogc:def:crs:OGC:1.3:CRS84": 4326,
    "urn:ogc:def:crs:EPSG::32633": 32633,
    "http://www.opengis.net/def/crs/EPSG/0/3857": 3857,
}


@dataclass
class Project:
    """
    One drawn project.

    Args:
        project: the document of `shplan.yaml`
        manifests: the documents by file
        tables: other files, relative to the project
        variables: what `--var` has to say
        shared: the collection of somebody else is referred to
        shared_plain: kinds of which another's collection without tiles is referred to
    """

    project: Document
    manifests: dict[str, list[Document]] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    shared: bool = False
    shared_plain: tuple[str, ...] = ()

    @property
    def documents(self) -> list[Document]:
        return [self.project, *(d for file in self.manifests.values() for d in file)]

    def write(
        self,
        root: Path,
        *,
        shared_id: str = SHARED_ID,
        plain_ids: Mapping[str, str] = PLAIN_IDS,
        seed: int | None = None,
    ) -> None:
        """Write the files; with a seed, documents, files and keys come in another order."""
        ids = {SHARED_ID: shared_id, **{PLAIN_IDS[kind]: plain_ids[kind] for kind in plain_ids}}
        shuffle = _Shuffle(seed)
        files = {"shplan.yaml": [self.project], **self.manifests}
        if seed is not None:
            files = shuffle.rehoused(files)
        for name, content in self.tables.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        for name in shuffle.order(list(files)):
            bodies = [shuffle.keys(one) for one in shuffle.order(files[name])]
            text = "---\n".join(_dump(one, block=seed is None or seed % 2 == 0) for one in bodies)
            for stands, meant in ids.items():
                text = text.replace(stands, meant)
            _put(root / name, text)

    def load(self, root: Path) -> Loaded:
        """Load it with what lies in the buckets."""
        given = VariableInputs(self.variables)
        first = load(root, registry=PROVIDERS, variables=given)
        found = {one: _listed(*one) for one in first.listings.missing}
        if not found:
            return first
        return load(root, registry=PROVIDERS, variables=given, listings=Listings(found))

    def desired(self, root: Path) -> tuple[Desired, ...]:
        """What the files mean."""
        return self.load(root).resources


class _Shuffle:
    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else random.Random(seed)

    def order(self, things: list[Any]) -> list[Any]:
        return things if self._random is None else self._random.sample(things, len(things))

    def keys(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.keys(value[name]) for name in self.order(list(value))}
        if isinstance(value, list):
            # A list has an order of its own.
            return [self.keys(one) for one in value]
        return value

    def rehoused(self, files: Mapping[str, list[Document]]) -> dict[str, list[Document]]:
        """The same documents in other files."""
        assert self._random is not None
        documents = [d for name, file in files.items() if name != "shplan.yaml" for d in file]
        homes: dict[str, list[Document]] = {"shplan.yaml": files["shplan.yaml"]}
        for one in documents:
            name = f"manifests/{self._random.choice('xyz')}.yaml"
            homes.setdefault(name, []).append(one)
        return homes


class _Quoted(yaml.SafeDumper):
    """Quotes every text: what is a number in YAML 1.2 and what is not differs from PyYAML."""


_Quoted.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def _dump(document: Document, *, block: bool) -> str:
    if block:
        return yaml.dump(document, Dumper=_Quoted, sort_keys=False, allow_unicode=True)
    return json.dumps(document, ensure_ascii=False) + "\n"


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _listed(bucket: str, prefix: str) -> Listing:
    bands = next(one.bands for one in MATERIALS if one.bucket == bucket)
    keys = sorted(f"{folder}/{band}.tiff" for folder in FOLDERS for band in bands)
    return Listing(bucket, prefix, tuple(key for key in keys if key.startswith(prefix)))


# --- drawing an object from its schema ------------------------------------------------------


class _Scene:
    """
    Draws documents of one kind: the schema gives the properties, `values` the meanings.

    Args:
        values: by dotted path; called to draw a value
        never: paths that this document leaves out
        always: optional paths that it must have
    """

    def __init__(
        self,
        draw: Draw,
        kind: str,
        values: Mapping[str, Callable[[], Any]],
        *,
        never: frozenset[str] = frozenset(),
        always: frozenset[str] = frozenset(),
    ) -> None:
        self.draw = draw
        self.root = manifest_schema(kind)
        self.values = values
        self.never = never
        self.always = always

    def document(self, *, managed: bool = True) -> Document:
        """A manifest; what its `spec` is depends on whether it is managed."""
        properties = {k: v for k, v in self.root["properties"].items() if k != "spec"}
        found = self.object({**self.root, "properties": properties}, "")
        branch = self.root["else" if managed else "then"]["properties"]["spec"]
        return {**found, "spec": self.object(branch, "spec")}

    def object(self, schema: Any, path: str) -> Document:
        schema = resolved(self.root, schema)
        found: Document = {}
        for name, member in schema["properties"].items():
            here = f"{path}.{name}" if path else name
            if self._has(name, here, schema.get("required", ())):
                found[name] = self.value(member, here)
        return found

    def value(self, schema: Any, path: str) -> Any:
        schema = resolved(self.root, schema)
        if path in self.values:
            return self.values[path]()
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.draw(st.sampled_from(schema["enum"]))
        if schema.get("type") == "boolean":
            return self.draw(st.booleans())
        assert "properties" in schema, f"nothing says what {path} may be here"
        return self.object(schema, path)

    def _has(self, name: str, path: str, required: Any) -> bool:
        if path in self.never:
            return False
        if name in required or path in self.always:
            return True
        return bool(self.draw(st.booleans()))

    def some(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))


def _texts(draw: Draw) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(TEXTS)), unique=True, max_size=3))
    return {name: TEXTS[name] for name in names}


# --- collections ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """A collection that sets of tiles can belong to."""

    address: str
    material: Material
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.address.partition("/")[2]


def _collection(draw: Draw, number: int, earlier: list[Home]) -> tuple[Document, Home]:
    material = draw(st.sampled_from(MATERIALS))
    name = f"{draw(st.sampled_from(('fields', 'Orchards', 'a.b-c_d')))}{number}"
    each = draw(
        st.sampled_from((None, {"part": ["north", "south"]}, {"x": {"n": 1}, "y": {"n": 2}}))
    )
    where = draw(st.sampled_from(("collection", "bands", "nowhere")))
    suffix = " {{ each.key }}" if each else ""
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: name,
        "metadata.forEach": lambda: each,
        **_metadata(draw, [home.address for home in earlier]),
        "metadata.lifecycle.ignoreChanges": lambda: draw(
            st.sampled_from(
                (
                    ["noData"],
                    ["additionalData.bands.*.noData", "additionalData.storageIdentifier"],
                    ["name"],
                )
            )
        ),
        "spec.name": lambda: f"Collection {number}{suffix}",
        "spec.s3Bucket": lambda: material.bucket,
        "spec.noData": lambda: draw(st.sampled_from(material.no_data_values)),
        "spec.additionalData.storageIdentifier": lambda: "eodata",
        "spec.additionalData.bands": lambda: _bands(draw, scene, material, where=where),
    }
    never = set() if each else {"metadata.forEach"}
    if where != "collection":
        never.add("spec.noData")
    never.add("metadata.lifecycle.managed" if draw(st.booleans()) else "")
    values["metadata.lifecycle.managed"] = lambda: True
    always = frozenset({"metadata.forEach"}) if each else frozenset()
    scene = _Scene(draw, "ByocCollection", values, never=frozenset(never), always=always)
    keys = () if not each else tuple(each.get("part", each))
    return scene.document(), Home(f"ByocCollection/{name}", material, keys)


def _bands(draw: Draw, scene: _Scene, material: Material, *, where: str) -> Document:
    """Some of the files' bands, under their own names or new ones."""
    sources = draw(st.lists(st.sampled_from(material.bands), unique=True, min_size=1))
    schema = resolved(scene.root, scene.root["$defs"]["BYOCFormat"])
    bands: Document = {}
    for source in sources:
        name = draw(st.sampled_from((source, f"Band_{source}")))
        never = {"band.source"} if name == source and draw(st.booleans()) else set()
        if where != "bands":
            never.add("band.noData")
        one = _Scene(
            draw,
            "ByocCollection",
            {
                "band.source": lambda source=source: source,
                "band.bandIndex": lambda: 1,
                "band.bitDepth": lambda: material.bits,
                "band.sampleFormat": lambda: material.form,
                "band.noData": lambda: draw(st.sampled_from(material.no_data_values)),
            },
            never=frozenset(never),
            always=frozenset({"band.source"}) if name != source else frozenset(),
        )
        bands[name] = one.object(schema, "band")
    return bands


def _metadata(draw: Draw, addresses: list[str]) -> dict[str, Callable[[], Any]]:
    def depends() -> list[str]:
        if not addresses:
            return []
        return draw(st.lists(st.sampled_from(addresses), unique=True, max_size=2))

    return {
        "metadata.labels": lambda: _texts(draw),
        "metadata.annotations": lambda: _texts(draw),
        "metadata.dependsOn": depends,
    }


def _shared(draw: Draw) -> tuple[Document, Home]:
    """A reference to a collection that somebody else made."""
    by_id = draw(st.booleans())
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: "shared",
        **_metadata(draw, []),
        "metadata.lifecycle.managed": lambda: False,
        "metadata.lifecycle.ignoreChanges": lambda: ["name"],
        "spec.id": lambda: SHARED_ID,
        "spec.name": lambda: SHARED_NAME,
    }
    scene = _Scene(
        draw,
        "ByocCollection",
        values,
        never=frozenset({"metadata.forEach", "spec.name" if by_id else "spec.id"}),
        always=frozenset(
            {
                "metadata.lifecycle",
                "metadata.lifecycle.managed",
                "spec.id" if by_id else "spec.name",
            }
        ),
    )
    return scene.document(managed=False), Home("ByocCollection/shared", SHARED_MATERIAL)


def _plain(draw: Draw, kind: str, number: int, addresses: list[str]) -> Document:
    """A collection that holds no tiles."""
    each = draw(st.sampled_from((None, {"part": ["north", "south"]})))
    suffix = " {{ each.key }}" if each else ""
    _, stated = PLAIN[kind]
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: f"plain{number}",
        "metadata.forEach": lambda: each,
        **_metadata(draw, addresses),
        "metadata.lifecycle.ignoreChanges": lambda: ["name"],
        "metadata.lifecycle.managed": lambda: True,
        "spec.name": lambda: f"{kind} {number}{suffix}",
        **{f"spec.{name}": (lambda text=text: text) for name, text in stated.items()},
    }
    never = frozenset() if each else frozenset({"metadata.forEach"})
    always = frozenset({"metadata.forEach"}) if each else frozenset()
    return _Scene(draw, kind, values, never=never, always=always).document()


def _shared_plain(draw: Draw, kind: str) -> Document:
    """A reference to one that somebody else made."""
    by_id = draw(st.booleans())
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: "shared",
        **_metadata(draw, []),
        "metadata.lifecycle.managed": lambda: False,
        "metadata.lifecycle.ignoreChanges": lambda: ["name"],
        "spec.id": lambda: PLAIN_IDS[kind],
        "spec.name": lambda: SHARED_NAME,
    }
    never = frozenset({"metadata.forEach", "spec.name" if by_id else "spec.id"})
    always = {
        "metadata.lifecycle",
        "metadata.lifecycle.managed",
        "spec.id" if by_id else "spec.name",
    }
    scene = _Scene(draw, kind, values, never=never, always=frozenset(always))
    return scene.document(managed=False)


# --- tiles ----------------------------------------------------------------------------------


def _tiles(
    draw: Draw, number: int, home: Home, folders: list[str], earlier: list[str]
) -> tuple[Document, dict[str, bytes]]:
    """One set of tiles in some folders of a collection."""
    tables: dict[str, bytes] = {}
    each = _each(draw, home, folders)
    source = draw(st.sampled_from(SOURCES)) if not each else "tiles"
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: f"set{number}",
        "metadata.forEach": lambda: each,
        **_metadata(draw, earlier),
        "metadata.lifecycle.managed": lambda: True,
        "metadata.lifecycle.ignoreChanges": lambda: draw(
            st.sampled_from((["tiles.*.coverGeometry"], ["exclusive"]))
        ),
        "spec.collection": lambda: _reference(home),
        "spec.tiles": lambda: _members(draw, scene, home, folders, each),
        "spec.from": lambda: (
            _bucket(draw, home, folders)
            if source == "bucket"
            else _table(draw, scene, number, folders, source, tables)
        ),
    }
    never = {"spec.tiles" if source != "tiles" else "spec.from"}
    if not each:
        never.add("metadata.forEach")
    always = {"spec.tiles" if source == "tiles" else "spec.from"}
    if each:
        always.add("metadata.forEach")
    scene = _Scene(draw, "ByocTiles", values, never=frozenset(never), always=frozenset(always))
    return scene.document(), tables


def _reference(home: Home) -> str:
    key = "[each.key]" if home.keys else ""
    return "{{ ref('" + home.address + "')" + key + ".id }}"


def _each(draw: Draw, home: Home, folders: list[str]) -> Any:
    """As many sets as the collection has instances; else perhaps one a folder."""
    if home.keys:
        return {key: {"first": folders[0]} for key in home.keys}
    if draw(st.integers(0, 3)) == 3:
        return {f"f{at}": {"first": folder} for at, folder in enumerate(folders)}
    return None


def _members(
    draw: Draw, scene: _Scene, home: Home, folders: list[str], each: Any
) -> list[Document]:
    if each and not home.keys:
        return [_member(draw, scene, "{{ each.value.first }}")]
    return [_member(draw, scene, folder) for folder in folders]


def _member(draw: Draw, scene: _Scene, folder: str) -> Document:
    one = _Scene(
        draw,
        "ByocTiles",
        {
            "tile.path": lambda: folder + draw(st.sampled_from(("", "/(BAND).tiff", "/(BAND)"))),
            "tile.sensingTime": lambda: draw(st.sampled_from((*TIMES, None))),
            "tile.coverGeometry": lambda: _cover(draw),
        },
    )
    return one.object(scene.root["$defs"]["BYOCTile"], "tile")


def _cover(draw: Draw, *, plain: bool = False) -> Document:
    crs = "" if plain else draw(st.sampled_from(sorted(CRS)))
    boxes = draw(st.lists(st.sampled_from(BOXES), min_size=1, max_size=1))
    rings = [_ring(box, CRS[crs]) for box in boxes]
    if draw(st.booleans()):
        found: Document = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    else:
        found = {"type": "Polygon", "coordinates": rings[:1]}
    if crs:
        found["crs"] = {"type": "name", "properties": {"name": crs}}
    return found


def _ring(box: tuple[int, int, int, int], epsg: int) -> list[list[float]]:
    from pyproj import Transformer

    west, south, east, north = box
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    if epsg == 32633:
        return [[float(x), float(y)] for x, y in corners]
    move = Transformer.from_crs(32633, epsg, always_xy=True).transform
    digits = 7 if epsg == 4326 else 3
    return [[round(x, digits), round(y, digits)] for x, y in (move(*c) for c in corners)]


def _bucket(draw: Draw, home: Home, folders: list[str]) -> Document:
    """Everything that lies in some folders of the bucket, by its name."""
    names = "|".join(re.escape(folder) for folder in folders)
    stated: Document = {"pattern": f"^(?<tile>{names})/(?<band>[^/]*)\\.tiff$"}
    if draw(st.booleans()):
        stated["prefix"] = os.path.commonprefix(folders)
    # Of a collection that somebody else made the manifests know no bucket.
    if home.material is SHARED_MATERIAL or draw(st.booleans()):
        stated["s3Bucket"] = home.material.bucket
    return {"bucket": stated}


def _table(
    draw: Draw,
    scene: _Scene,
    number: int,
    folders: list[str],
    source: str,
    tables: dict[str, bytes],
) -> Document:
    members = [_member(draw, scene, folder) for folder in folders]
    name = f"tables/set{number}.{source}"
    if source == "csv":
        tables[name] = _csv(members).encode()
    elif source == "parquet":
        tables[name] = _parquet(members)
    else:
        for member in members:
            if "coverGeometry" in member:
                member["coverGeometry"] = _cover(draw, plain=True)
        tables[name] = _geojson(members).encode()
    return {source: f"../{name}"}


def _parquet(members: list[Document]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    covers = [member.get("coverGeometry") for member in members]
    columns = {
        "path": [member["path"] for member in members],
        "sensingTime": [member.get("sensingTime") for member in members],
        "coverGeometry": [None if one is None else json.dumps(one) for one in covers],
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def _csv(members: list[Document]) -> str:
    text = io.StringIO()
    columns = ("path", "sensingTime", "coverGeometry")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for member in members:
        row = {key: value for key, value in member.items() if value is not None}
        if "coverGeometry" in row:
            row["coverGeometry"] = json.dumps(row["coverGeometry"])
        writer.writerow(row)
    return text.getvalue()


def _geojson(members: list[Document]) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {
                key: value
                for key, value in member.items()
                if key != "coverGeometry" and value is not None
            },
            "geometry": member.get("coverGeometry"),
        }
        for member in members
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def _unmanaged_set(draw: Draw, number: int, home: Home) -> Document:
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: f"set{number}",
        **_metadata(draw, []),
        "metadata.lifecycle.managed": lambda: False,
        "metadata.lifecycle.ignoreChanges": lambda: ["exclusive"],
        "spec.collection": lambda: _reference(home),
    }
    scene = _Scene(
        draw,
        "ByocTiles",
        values,
        never=frozenset({"metadata.forEach"}),
        always=frozenset({"metadata.lifecycle", "metadata.lifecycle.managed"}),
    )
    return scene.document(managed=False)


# --- the project's own document -------------------------------------------------------------

_TYPES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "string": ("abc", "abc", {"pattern": "^[a-z]+$", "minLength": 1, "maxLength": 5}),
    "integer": (5, "5", {"minimum": 1, "maximum": 9}),
    "number": (0.5, "0.5", {"minimum": 0, "maximum": 1}),
    "boolean": (True, "true", {"enum": [True]}),
    "list": (["a"], '["a"]', {"minLength": 1, "maxLength": 3}),
    "object": ({"a": 1}, '{"a": 1}', {"minLength": 1, "maxLength": 3}),
}


def _project(draw: Draw, homes: list[Home], given: dict[str, str]) -> Document:
    output = next((home.address for home in homes if not home.keys), None)
    outputs = {} if output is None else {"collection": "{{ ref('" + output + "').id }}"}
    values: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: draw(st.sampled_from(("fields", "p1"))),
        "metadata.labels": lambda: _texts(draw),
        "metadata.annotations": lambda: _texts(draw),
        "spec.requires": lambda: ">=0.1,<1",
        "spec.manifests": lambda: ["manifests/"],
        "spec.defaultEnvironment": lambda: "sandbox",
        "spec.environments": lambda: _environments(draw, scene),
        "spec.variables": lambda: _variables(draw, scene, given),
        "spec.outputs": lambda: outputs,
        "spec.receipts": lambda: "receipts/",
        "spec.moved": list,
        "spec.forget": list,
        "spec.policies.deletions": lambda: {"max": draw(st.sampled_from((100, "100%")))},
    }
    scene = _Scene(draw, "Project", values)
    return scene.object(scene.root, "")


def _environments(draw: Draw, scene: _Scene) -> Document:
    schema = scene.root["$defs"]["Environment"]
    values: dict[str, Callable[[], Any]] = {
        "env.deployment": lambda: "sandbox",
        "env.baseUrl": lambda: "https://sh.example.com",
        "env.tokenUrl": lambda: "https://sh.example.com/oauth/token",
        "env.profile": lambda: "acme",
        "env.ledger": lambda: "ledgers/here",
        "env.ledgerOf": lambda: "farm/prod",
        "env.budget": lambda: {"maxPu": 1000},
        "env.variables": dict,
        "env.listLag": lambda: "0s",
    }
    urls = frozenset({"env.baseUrl", "env.tokenUrl"})
    own = frozenset({"env.deployment"})
    here = _Scene(draw, "Project", values, never=urls, always=own).object(schema, "env")
    there = _Scene(draw, "Project", values, never=own, always=urls).object(schema, "env")
    return {"sandbox": here, "elsewhere": there}


def _variables(draw: Draw, scene: _Scene, given: dict[str, str]) -> Document:
    schema = scene.root["$defs"]["Variable"]
    found: Document = {}
    for at, kind in enumerate(draw(st.permutations(sorted(_TYPES)))[: draw(st.integers(1, 6))]):
        value, text, limits = _TYPES[kind]

        def validation(limits: dict[str, Any] = limits) -> Document:
            left_out = draw(st.sampled_from((None, *sorted(limits))))
            return {k: v for k, v in limits.items() if k != left_out or len(limits) == 1}

        values: dict[str, Callable[[], Any]] = {
            "var.type": lambda kind=kind: kind,
            "var.default": lambda value=value: value,
            "var.description": lambda: "drawn",
            "var.validation": validation,
        }
        # A value from the command line is a text unless the type says otherwise.
        one = _Scene(draw, "Project", values).object(schema, "var")
        if "type" not in one:
            one.pop("validation", None)
        if "default" not in one:
            given[f"v{at}"] = text
        found[f"v{at}"] = one
    return found


# --- projects -------------------------------------------------------------------------------


@st.composite
def projects(draw: Any) -> Project:
    """A whole project that is valid and that the sandbox can carry out."""
    homes: list[Home] = []
    documents: list[Document] = []
    for number in range(draw(st.integers(1, 2))):
        document, home = _collection(draw, number, homes)
        documents.append(document)
        homes.append(home)
    shared = draw(st.integers(0, 3)) == 0
    if shared:
        document, home = _shared(draw)
        documents.append(document)
        homes.append(home)
    variables: dict[str, str] = {}
    found = Project(_project(draw, homes, variables), variables=variables, shared=shared)
    addresses = [home.address for home in homes]
    for number in range(draw(st.integers(1, 3))):
        documents.append(_one_set(draw, number, homes, addresses, found))
    documents = [one for one in documents if one]
    cut = draw(st.integers(0, len(documents)))
    found.manifests = {"manifests/a.yaml": documents[:cut], "manifests/b.yaml": documents[cut:]}
    plain: list[Document] = []
    for number, kind in enumerate(sorted(PLAIN)):
        how = draw(st.integers(0, 5))
        if how == 0:
            plain.append(_plain(draw, kind, number, addresses))
        elif how == 1:
            plain.append(_shared_plain(draw, kind))
            found.shared_plain += (kind,)
    found.manifests["manifests/b.yaml"] += plain
    return found


def _one_set(
    draw: Draw, number: int, homes: list[Home], addresses: list[str], found: Project
) -> Document:
    home = draw(st.sampled_from(homes))
    plain = [one for one in homes if not one.keys]
    if plain and draw(st.integers(0, 5)) == 0:
        return _unmanaged_set(draw, number, plain[0])
    # Each set has folders of its own, so that no path is declared twice.
    mine = list(FOLDERS[number::3])
    document, tables = _tiles(draw, number, home, mine, addresses)
    found.tables |= tables
    addresses.append(f"ByocTiles/set{number}")
    return document


# --- histories ------------------------------------------------------------------------------


@st.composite
def histories(draw: Any, *, length: int = 3) -> list[Project]:
    """
    Versions of one project that share addresses, so that each is an edit of the one before.

    Nothing is protected, no address is renamed, and the buckets hold the same kind of files.
    """
    return [_version(draw) for _ in range(length)]


def _version(draw: Draw) -> Project:
    homes = ["c0", *(["c1"] if draw(st.booleans()) else [])]
    documents = [_plain_collection(draw, name) for name in homes]
    for name, folders in (("s0", FOLDERS[:2]), ("s1", FOLDERS[2:])):
        if draw(st.booleans()):
            documents.append(_plain_set(draw, name, draw(st.sampled_from(homes)), folders))
    return Project(
        {"apiVersion": "shplan/v1", "kind": "Project", "metadata": {"name": "edited"}},
        {"manifests/a.yaml": documents},
    )


def _plain_collection(draw: Draw, name: str) -> Document:
    material = draw(st.sampled_from(MATERIALS[:2]))
    where = draw(st.sampled_from(("collection", "bands", "nowhere")))
    values: dict[str, Callable[[], Any]] = {
        "metadata": lambda: {"name": name},
        "spec.name": lambda: f"{name} {draw(st.sampled_from(('old', 'new')))}",
        "spec.s3Bucket": lambda: material.bucket,
        "spec.noData": lambda: draw(st.sampled_from(material.no_data_values)),
        "spec.additionalData.bands": lambda: _bands(draw, scene, material, where=where),
    }
    never = {"spec.additionalData.storageIdentifier"}
    never |= set() if where == "collection" else {"spec.noData"}
    scene = _Scene(draw, "ByocCollection", values, never=frozenset(never))
    return scene.document()


def _plain_set(draw: Draw, name: str, home: str, pool: tuple[str, ...]) -> Document:
    folders = draw(st.lists(st.sampled_from(pool), unique=True, min_size=1))
    collection = Home(f"ByocCollection/{home}", MATERIALS[0])
    values: dict[str, Callable[[], Any]] = {
        "metadata": lambda: {"name": name},
        "spec.collection": lambda: _reference(collection),
        "spec.tiles": lambda: [_member(draw, scene, folder) for folder in folders],
    }
    scene = _Scene(
        draw,
        "ByocTiles",
        values,
        never=frozenset({"spec.from"}),
        always=frozenset({"spec.tiles"}),
    )
    return scene.document()
