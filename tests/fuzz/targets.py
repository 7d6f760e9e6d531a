"""
What reads foreign input, each with inputs that are good and with what it may say of bad ones.

Anything else that comes out is a crash. A project never raises: what is wrong is in its messages.
"""

from __future__ import annotations

import io
import struct
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shplan.api.answers import (
    MalformedAnswerError,
    read_date,
    read_error,
    read_json,
    read_page,
    read_spent_pu,
)
from shplan.api.credentials import read_profile
from shplan.api.echoes import scrub
from shplan.api.hosts import AllowedHosts, may_receive
from shplan.core import chain
from shplan.core.address import Address
from shplan.core.chain import verify
from shplan.core.cog_rules import file_findings
from shplan.core.cql2_text import Cql2Error, parse_text
from shplan.core.diagnostic import SourceSpan
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.errors import CredentialsError, LedgerError, ManifestError, PlanError
from shplan.core.image_size import Sizing
from shplan.core.line import decode as read_line
from shplan.core.secret_places import SecretPlaceError, read_secret_place
from shplan.core.tiff_header import NotATiffError, read_header
from shplan.core.tokens import token_digest
from shplan.core.value import Value, canonical
from shplan.manifest.bucket_pattern import PatternError, TilePattern
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.expressions import evaluate
from shplan.manifest.geodata import GeometryError, geojson_bounds, geopackage_bounds, read_geojson
from shplan.manifest.load import load
from shplan.manifest.members import read_csv, read_features
from shplan.manifest.members_bucket import Listing, read_listing
from shplan.manifest.members_parquet import read_as
from shplan.manifest.migration import migrate_batch_v1
from shplan.manifest.parquet_probe import Reading
from shplan.manifest.parse import parse
from shplan.manifest.pins import Lock, LockError, Pin, parse_lock, render_lock
from shplan.manifest.scope import Scope
from shplan.manifest.source import FileError, decode
from shplan.providers.archives import ArchiveError, OtherMemberError, plain_members
from shplan.providers.async_traces import read_beside
from shplan.providers.geopackage import read_features as read_sizes
from shplan.providers.registry import PROVIDERS
from shplan.providers.statistics_results import error_in
from shplan.schema.store import table
from shplan.views.saved_plan import load_plan, save_plan
from shplan.views.snippet import render_all
from tests.manifest.test_hostile_expressions import ESCAPES, USEFUL, World
from tests.support import geopackages
from tests.views.job_plans import SCENES

KEYS = (
    rb"(?<tile>.*)/(?<band>B[0-9]+)_(?<date>[0-9]{8})\.tif" + b"\na/B4_20250601.tif\na/x.xml",
    rb"(.*[\/|\\])*(?<tile>.*)[\/|\\].*\.(?i)(tif|tiff|jp2)" + b"\nx/a/B04.TIF",
)
PROJECT = b"""\
apiVersion: shplan/v1
kind: Project
metadata: {name: fields}
spec:
  requires: ">=0.1,<9"
  manifests: [manifests/]
  defaultEnvironment: sandbox
  environments:
    sandbox: {deployment: sandbox, budget: {maxPu: 2000}, variables: {year: 2025}}
    prod: {baseUrl: "https://sh.example.com", tokenUrl: "https://sh.example.com/oauth/token", ledger: "s3://b/x"}
  variables:
    year: {type: integer, default: 2024, description: "season"}
    names: {default: [a, b]}
  outputs: {id: "{{ ref('ByocCollection/fields').id }}"}
  moved: [{from: ByocCollection/old, to: ByocCollection/fields}]
  forget: [ByocCollection/gone]
"""
MANIFEST = b"""\
# fields
apiVersion: shplan/v1
kind: ByocCollection
metadata:
  name: fields
  labels: &labels {team: "a"}
  forEach: {n: "{{ var.names }}", month: ["2025-06", "2025-07"]}
  lifecycle: {preventDestroy: true}
spec:
  name: "Field {{ each.n }} {{ '%02d' | format(7) }}"
  s3Bucket: fields
---
apiVersion: shplan/v1
kind: ByocTiles
metadata: {name: t, labels: *labels, dependsOn: [ByocCollection/fields]}
spec:
  collection: "{{ ref('ByocCollection/fields[a,2025-06]').id }}"
  tiles:
    - {path: "2025/06/01/(BAND).tiff", sensingTime: "2025-06-01T10:00:00Z"}
    - path: 'x'
      sensingTime: "{{ var.year }}-06-02T10:00:00Z"
      coverGeometry: "{{ geojson('g.json') }}"
"""
GEOJSON = b"""\
{"type": "FeatureCollection", "features": [
 {"type": "Feature", "properties": {"path": "a", "sensingTime": "2025-06-01T10:00:00Z"},
  "geometry": {"type": "Polygon", "coordinates": [[[14, 46], [15, 46], [15, 47.5], [14, 46]]]}},
 {"type": "Feature", "properties": {"path": "b"}, "geometry": {"type": "MultiPolygon",
  "coordinates": [[[[14, 46, 1], [15, 46, 1], [15, 47, 1], [14, 46, 1]]]]}}]}
"""
CSV = b"""\
path,sensingTime,coverGeometry
a,2025-06-01T10:00:00Z,"POLYGON((14 46,15 46,15 47,14 46))"
b,2025-06-01T10:00:00Z,"{""type"":""Polygon"",""coordinates"":[[[14,46],[15,46],[15,47],[14,46]]]}"
c,,
"""
SCRIPT = b"""\
//VERSION=3
/* a */ function setup() { return {input: ["B04", 'B08'], output: {bands: 1, sampleType: `FLOAT32`}}; }
function evaluatePixel(s) { let r = /[a-z/]+\\/x/g.test("x") ? 1e-3 : 0b11; return [s.B04 / (s.B08 + r++)]; }
"""
ANSWER = b"""\
{"data": [{"id": "a", "name": "x", "additionalData": {"bands": {"B": {"bitDepth": 16}}}, "secretAccessKey": "x",
 "request": "{\\"credentials\\": {\\"accessKey\\": 1}}"}], "links": {"nextToken": "2"},
 "error": {"message": "no", "code": "X", "errors": [{"parameter": "a", "violation": "b"}]}}
"""
CONFIG = b"""\
[default-profile]
sh_client_id = "a"
sh_client_secret = "b"
sh_base_url = "https://services.sentinel-hub.com"
"""

PINS = render_lock(
    Lock().with_pin(
        "sandbox", Address("CatalogSearch", "a"), Pin.of("sandbox", {}, {"items": [{"id": "x"}]})
    )
)


@dataclass(frozen=True)
class Target:
    """
    One reader.

    Args:
        read: takes the input
        says: what it may raise
    """

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    says: tuple[type[Exception], ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)


def _load(project: bytes, manifest: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "manifests").mkdir()
        (root / "shplan.yaml").write_bytes(project)
        (root / "manifests" / "a.yaml").write_bytes(manifest)
        (root / "manifests" / "g.json").write_bytes(GEOJSON)
        found = load(root, registry=PROVIDERS)
        render_all(found.diagnostics, found.texts)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _expression(content: bytes) -> None:
    evaluate("{{ " + _text(content) + " }}", Scope("x", {"a": "b", "l": [1, 2]}), World())


def _package(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.gpkg"
        path.write_bytes(content)
        geopackage_bounds(path)


def _packages() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as name:
        return (geopackages.write(Path(name) / "a.gpkg", [{"box": (0, 0, 10, 10)}]),)


def _archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("default.tif", "é" * 80):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    out = io.BytesIO()
    columns = {"path": ["a", "b"], "sensingTime": ["2025-06-01T10:00:00Z", None]}
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def _tiles(content: bytes) -> None:
    # A process for each would be all the time there is.
    read_as(content, Reading.PACKED, file="a")


def _listing(content: bytes) -> None:
    pattern, *keys = _text(content).splitlines() or [""]
    TilePattern(pattern)
    listing = Listing("fields", "", tuple(keys))
    span = SourceSpan("a.yaml", 1, 1, 2)
    read_listing(listing, pattern, span=span, address="ByocTiles/a")


def _image() -> bytes:
    tags = ((256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (322, 3, 1, 16), (323, 3, 1, 16))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(200)


def _header(content: bytes) -> None:
    reading = read_header(len(content))
    try:
        start, length = next(reading)
        while True:
            start, length = reading.send(content[start : start + length])
    except StopIteration as done:
        list(file_findings(done.value))


def _answer(content: bytes) -> None:
    text = _text(content)
    read_date(text)
    read_spent_pu(text)
    read_error(content, phrase="x", secrets=("canary",))
    read_page(content, ("id", "additionalData.bands"))
    read_page(content, ())
    read_json(content)


PLANS = tuple(save_plan(SCENES[name]()) for name in sorted(SCENES)[:4])
FIELDS = Address("ByocCollection", "fields")
SETTLED = Settlement(Result.DONE, id="1", spec={"name": "x"}, cost_pu=1.5, data={"a": [1, None]})
LINES = tuple(
    chain.append(
        chain.EMPTY,
        [
            EntryDraft(Event.GENESIS),
            EntryDraft(
                Event.INTENT, FIELDS, operation="create", request="POST /x", keys=("a", "b")
            ),
            EntryDraft(Event.OUTCOME, FIELDS, intent=1, settlement=SETTLED),
        ],
        fence=1,
        time="2025-06-01T10:00:00.000Z",
        actor={"user": "ana"},
    )[1]
)
EXPRESSIONS = tuple(one.encode() for one in (*ESCAPES, *(text for text, _ in USEFUL)))


GRIDS = table("tiling-grids")
REQUESTS_V1 = (
    (
        b"kind: BatchProcess\nmetadata: {name: a} # b\nspec:\n  processRequest: {input: {bounds: {bbox: [1, 2, 3, 4]},"
        b" data: [{type: s, t: 2025-06-01T00:00:00Z}]}, evalscript: x}\n  tilingGrid: &g {id: 0, resolution: 10}\n"
        b"  output:\n    # there\n    defaultTilePath: s3://a/b # c\n    cogOutput: true\nrun: {api: v1, maxPu: 1_0}\n"
    ),
    (
        b'{"data": [{"id": 1, "processRequest": {"evalscript": "{{ {% \\ud83d\\ude00"}, "tilingGridId": 0,'
        b' "resolution": 1e1, "bucketName": "a", "description": "b"}]}'
    ),
)


def _migrated(content: bytes) -> None:
    """What is written is read again, and says nothing of version 1 any more."""
    done = migrate_batch_v1(_text(content), file="a.yaml", table=GRIDS)
    found = parse(done.text, file="b.yaml")
    assert not found.diagnostics, done.text
    for one in found.documents:
        value = one.value
        if isinstance(value, dict) and value.get("kind") == "BatchProcess" and done.text:
            spec = value.get("spec")
            assert not isinstance(spec, dict) or "tilingGrid" not in spec


def _told(found: Any) -> Value:
    """What of a file may come into a ledger, which takes no text that is not UTF-8, and no NaN."""
    return [] if found is None else [found.id, found.cost_pu, found.error]


TARGETS: dict[str, Target] = {
    "manifests": Target((MANIFEST,), lambda content: _load(PROJECT, content)),
    "project": Target((PROJECT,), lambda content: _load(content, MANIFEST)),
    "expressions": Target(EXPRESSIONS, _expression, (ExpressionError,)),
    "saved plans": Target(
        PLANS,
        lambda content: load_plan(content, name="plan.json"),
        (PlanError,),
    ),
    "ledger lines": Target(LINES, read_line, (LedgerError,)),
    "ledgers": Target((b"\n".join(LINES),), lambda content: verify(content.split(b"\n"))),
    "geojson": Target((GEOJSON,), read_geojson, (GeometryError,)),
    "geojson bounds": Target((GEOJSON,), geojson_bounds, (GeometryError,)),
    "geojson tiles": Target((GEOJSON,), lambda content: read_features(content, file="a")),
    "geopackages": Target(_packages(), _package, (GeometryError,)),
    "csv tiles": Target((CSV,), lambda content: read_csv([content], file="a")),
    "parquet tiles": Target((_parquet(),), _tiles),
    "listings": Target(KEYS, _listing, (PatternError,)),
    "headers of images": Target((_image(),), _header, (NotATiffError,)),
    "pins": Target((PINS,), lambda content: parse_lock(_text(content)), (LockError,)),
    "filters": Target(
        (b"eo:cloud_cover < 20 and not (a between 1 and 2.5e1) or b like 'x''%'",),
        lambda content: parse_text(_text(content)),
        (Cql2Error,),
    ),
    "requests of Batch V1": Target(REQUESTS_V1, _migrated, (ManifestError,)),
    "texts": Target((MANIFEST,), decode, (FileError,)),
    "evalscripts": Target((SCRIPT,), lambda content: token_digest(_text(content))),
    "copies of requests": Target(
        (
            b'{"id": "0c9f1d0e", "request": {"input": {}, "output": {}, "evalscript": "x"}, "costPU": 1.5}',
            b'{"id": "0c9f1d0e", "error": {"message": "no"}}',
        ),
        lambda content: canonical(_told(read_beside(content))),
    ),
    "results of features": Target(
        (b'{"id": 7, "identifier": "f7", "error": {"type": "X", "message": "no"}}',),
        lambda content: canonical(list(error_in(content) or ())),
    ),
    "answers": Target((ANSWER, GEOJSON), _answer, (MalformedAnswerError,)),
    "echoes": Target(
        (b'{"told": "\\u0063anary\\/key &#43; %2f"}', b"canary/key +"),
        lambda content: scrub(_text(content), ("canary/key + /",)),
    ),
    "archives": Target(
        (_archive(),),
        lambda content: list(plain_members(content)),
        (ArchiveError, OtherMemberError),
    ),
    "features of jobs": Target(
        _packages(), lambda content: read_sizes(content, Sizing({"resolution": 10.0}))
    ),
    "profiles": Target(
        (CONFIG,), lambda content: read_profile(_text(content), "x"), (CredentialsError,)
    ),
    "hosts": Target(
        (b"https://services.sentinel-hub.com/api", b"http://[::1]:80/x", b"http://127.0.0.1@x"),
        lambda content: may_receive(_text(content), AllowedHosts()),
    ),
    "places of secrets": Target(
        (b"env:NAME", b"file:~/x/y", b"aws:acme/secretAccessKey"),
        lambda content: read_secret_place(_text(content)),
        (SecretPlaceError,),
    ),
}
