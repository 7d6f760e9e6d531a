"""
What is applied before the power is cut, and under which settings: for each kind, each way it changes.

A kind joins by its entry in the registry: a test fails until scenarios name it. Everything is written
as a user writes it, in manifests, and done by the commands that a user types.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crash.stand import Stand
from tests.support import geopackages, immediate
from tests.support.cogs import cog_bytes
from tests.support.delivered import STATISTICS_SCRIPT
from tests.support.jobs import AREA, SCRIPT, TWO_TILES

Manifest = Mapping[str, Any]
APPLY = ("apply", "--auto-approve")
DESTROY = ("destroy", "--auto-approve")
SAVE = ("plan", "-o", "plan.json")
FROM_FILE = ("apply", "plan.json")


@dataclass(frozen=True, slots=True)
class Step:
    """
    One command of a user.

    Args:
        command: `{Name}` in it is the id of the collection of that name, `{task}`, `{statistics}`,
            `{image}` that of the first task, of the first of batch statistics, of the first
            asynchronous request
        before: what somebody else does first, or the service
        project: what `shplan.yaml` says beside the environment
    """

    manifests: tuple[Manifest, ...]
    command: tuple[str, ...] = APPLY
    before: Callable[[Stand], None] | None = None
    project: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """
    What follows where the ledger is lost with the machine.

    Args:
        imports: what a person confirms before the command is given again: address, and name of the
            collection. Adoption is not ownership: without it nothing is deleted or replaced.
        commands: what is typed then; nothing: the struck command again
    """

    imports: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Hopeless:
    """Without its ledger a run of this scenario cannot come to the same end; why is said."""

    why: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    Commands, the last of which is struck.

    Args:
        does: kind and what happens to it in the struck command
        lost: what follows where the ledger is lost in between
        not_under: settings under which the service itself forbids the end
        pays_again: kinds whose answer is the product: each lost answer, and a lost ledger, is one
            further payment of so many PU at most
        side_by_side: several are asked at once, so that a death anywhere may lose an answer
        reads_pu: what a command reads at a price at most: it reads again each time it is given
        decides: what a person confirms where nothing tells whether the struck request was carried
            out (exit 7): address, and name of the collection
        reads_buckets: the client may read them, as with AWS variables that are set
    """

    does: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    lost: Lost | Hopeless = field(default_factory=Lost)
    not_under: frozenset[str] = frozenset()
    pays_again: Mapping[str, float] = field(default_factory=dict)
    side_by_side: bool = False
    reads_pu: float = 0.0
    decides: tuple[tuple[str, str], ...] = ()
    reads_buckets: bool = False


# --- manifests ------------------------------------------------------------------------------------


def manifest(kind: str, name: str, spec: Any, **more: Any) -> Manifest:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": "shplan/v1", "kind": kind, "metadata": metadata, "spec": spec, **more}


def collection(name: str = "fields", *, title: str = "Fields", **spec: Any) -> Manifest:
    metadata = spec.pop("metadata", {})
    body = {"name": title, "s3Bucket": "fields", **spec}
    return manifest("ByocCollection", name, body, metadata=metadata)


def tile(path: str, day: str = "2025-06-01", **more: Any) -> dict[str, Any]:
    return {"path": path, "sensingTime": f"{day}T10:00:00Z", **more}


def tiles(*members: Any, name: str = "fields", of: str = "fields", **spec: Any) -> Manifest:
    full = [tile(one) if isinstance(one, str) else one for one in members]
    reference = "{{ ref('ByocCollection/" + of + "').id }}"
    return manifest("ByocTiles", name, {"collection": reference, "tiles": full, **spec})


def search(collection_id: str, **more: Any) -> Manifest:
    body = {"collections": [collection_id], "datetime": "2025-06-01T00:00:00Z/2025-06-03T00:00:00Z"}
    return manifest("CatalogSearch", "found", {**body, "bbox": [14.0, 46.0, 14.1, 46.1]}, **more)


def cube(*, title: str = "Cube", **spec: Any) -> Manifest:
    body = {"name": title, "s3Bucket": "cubes", "path": "a.zarr/", "crs": "EPSG:32633", **spec}
    return manifest("ZarrCollection", "cube", body)


def results(*, title: str = "Results", **spec: Any) -> Manifest:
    return manifest("BatchCollection", "results", {"name": title, "s3Bucket": "results", **spec})


def script(name: str = "ndvi") -> Manifest:
    return manifest("Evalscript", name, {"file": "../ndvi.js"})


def job(
    name: str = "ndvi",
    *,
    year: int = 1985,
    data: str = "sentinel-2-l2a",
    run: Mapping[str, Any] | None = None,
    url: str = "",
    area: Any = None,
    **more: Any,
) -> Manifest:
    """A batch job; of a year before there was imagery, so that its results take no time."""
    output = more.pop("output", {})
    times = {"from": f"{year}-06-01T00:00:00Z", "to": f"{year}-06-01T23:59:59Z"}
    delivery = {"s3": {"url": url or f"s3://results/{year}", "iamRoleARN": "arn:aws:iam::1:role/r"}}
    body = {
        "processRequest": {
            "input": {
                "bounds": {"geometry": area or AREA},
                "data": [{"type": data, "dataFilter": {"timeRange": times}}],
            },
            "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
            "evalscript": "{{ ref('Evalscript/ndvi') }}",
        },
        "input": {"type": "tiling-grid", "id": 0, "resolution": 60},
        "output": {"type": "raster", "delivery": delivery, **output},
    }
    return manifest("BatchProcess", name, body, **more, **({"run": dict(run)} if run else {}))


def older_job(
    name: str = "ndvi",
    *,
    run: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    area: Any = None,
) -> Manifest:
    """The same job in the words of Batch V1."""
    told = job(name, area=area)["spec"]
    body = {
        "processRequest": told["processRequest"],
        "tilingGrid": {"id": 0, "resolution": 60},
        "output": {"defaultTilePath": "s3://results/older", **(output or {})},
    }
    return manifest("BatchProcess", name, body, run={"api": "v1", **(run or {})})


def image(
    name: str = "mosaic",
    *,
    year: int = 1985,
    run: Mapping[str, Any] | None = None,
    url: str = "s3://results/{{ run.key }}",
    **more: Any,
) -> Manifest:
    """An asynchronous request; of a year before there was imagery."""
    times = {"from": f"{year}-06-01T00:00:00Z", "to": f"{year}-06-01T23:59:59Z"}
    body = {
        "input": {
            "bounds": {"geometry": AREA},
            "data": [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": times}}],
        },
        "output": {
            "width": 16,
            "height": 16,
            "responses": [{"identifier": "default", "format": {"type": "image/tiff"}}],
            "delivery": {"s3": {"url": url, "iamRoleARN": "arn:aws:iam::1:role/r"}},
        },
        "evalscript": "{{ ref('Evalscript/ndvi') }}",
    }
    return manifest("AsyncProcess", name, body, **more, **({"run": dict(run)} if run else {}))


def statistics(
    name: str = "fields", *, year: int = 1985, run: Mapping[str, Any] | None = None, **more: Any
) -> Manifest:
    """A job of batch statistics; of a year before there was imagery."""
    role = {"iamRoleARN": "arn:aws:iam::1:role/r"}
    times = {"from": f"{year}-06-01T00:00:00Z", "to": f"{year}-06-01T23:59:59Z"}
    body = {
        "input": {
            "features": {"s3": {"url": "s3://areas/fields.gpkg", **role}},
            "data": [{"type": "sentinel-2-l2a"}],
        },
        "aggregation": {
            "evalscript": "{{ ref('Evalscript/red') }}",
            "timeRange": times,
            "aggregationInterval": {"of": "P1D"},
            "resx": 60,
            "resy": 60,
        },
        "output": {"s3": {"url": f"s3://results/{name}-{year}", **role}},
    }
    return manifest("BatchStatistics", name, body, **more, **({"run": dict(run)} if run else {}))


RED = manifest("Evalscript", "red", {"file": "../red.js"})


def picture(name: str = "figure", *, year: int = 1985, **run: Any) -> Manifest:
    """An image of the Process API; of a year before there was imagery."""
    made = immediate.picture(("default", "image/tiff"), year=year)
    body = {**made, "evalscript": "{{ ref('Evalscript/ndvi') }}"}
    return manifest("Process", name, body, run={"output": f"out/{name}.tif", **run})


def series(name: str = "series", *, form: str = "csv", year: int = 1985) -> Manifest:
    """A time series of the Statistical API."""
    body = immediate.numbers(year=year, script="{{ ref('Evalscript/numbers') }}")
    return manifest("Statistics", name, body, run={"output": f"out/{name}.{form}"})


def numbers() -> Manifest:
    return manifest("Evalscript", "numbers", {"file": "../numbers.js"})


FILES = {"ndvi.js": SCRIPT, "red.js": STATISTICS_SCRIPT, "numbers.js": immediate.NUMBERS}


# --- what others do -------------------------------------------------------------------------------


def made_by_hand(stand: Stand) -> None:
    """What the manifests describe is there already, one tile differently."""
    made = stand.call("POST", "/byoc/v1/collections", {"name": "Fields", "s3Bucket": "fields"})
    stand.sandbox.tick(60)
    for path, day in (("a", "2025-06-01"), ("b", "2025-07-01")):
        where = f"/byoc/v1/collections/{made['data']['id']}/tiles"
        stand.call("POST", where, tile(path, day))
    stand.sandbox.tick(60)


def cube_by_hand(stand: Stand) -> None:
    """Another than the one that is wanted has its bucket and its name; the wanted one is there."""
    for path in ("b.zarr/", "a.zarr/"):
        stand.call("POST", "/zarr/v1/collections", {**cube()["spec"], "path": path})
    stand.sandbox.tick(60)


def results_by_hand(stand: Stand) -> None:
    stand.call("POST", "/api/v1/batch/collections", results()["spec"])
    stand.sandbox.tick(60)


def cube_unread(stand: Stand) -> None:
    (stand.buckets / "cubes" / "a.zarr" / ".zgroup").unlink()


def cube_repaired(stand: Stand) -> None:
    stand.sandbox.tick(60)
    stand.write_cubes("cubes", "a.zarr")


MANY = tuple(f"many/{number:02d}" for number in range(14))


def many_files(stand: Stand) -> None:
    stand.write_tiles("fields", *MANY)


def left_unread(stand: Stand) -> None:
    (stand.buckets / "fields" / "b" / "B04.tiff").write_bytes(b"not a raster")


def repaired(stand: Stand) -> None:
    stand.sandbox.tick(60)
    (stand.buckets / "fields" / "b" / "B04.tiff").write_bytes(cog_bytes())


def added_by_hand(stand: Stand) -> None:
    (one,) = stand.call("GET", "/byoc/v1/collections")["data"]
    stand.call("POST", f"/byoc/v1/collections/{one['id']}/tiles", {"path": "d"})
    stand.sandbox.tick(60)


def every_feature_fails(stand: Stand) -> None:
    stand.sandbox.control("POST", "batch", {"share": 1.0, "cause": "no imagery there"})


def a_tile_fails(stand: Stand) -> None:
    stand.sandbox.control(
        "POST", "batch", {"features": ["33N_24_254"], "cause": "no imagery there"}
    )


def nothing_fails(stand: Stand) -> None:
    stand.sandbox.control("DELETE", "batch")


def with_areas(stand: Stand) -> None:
    """The bucket of results is there, and the areas whose statistics are wanted."""
    (stand.buckets / "results").mkdir(exist_ok=True)
    boxes = [
        {"box": (500_000 + 500 * n, 5_100_000, 500_300 + 500 * n, 5_100_300), "identifier": f"f{n}"}
        for n in range(2)
    ]
    geopackages.write(stand.buckets / "areas" / "fields.gpkg", boxes)


def with_areas_every_one_fails(stand: Stand) -> None:
    with_areas(stand)
    every_feature_fails(stand)


def taken_away(stand: Stand) -> None:
    """A request is over, and nothing tells how: its files are gone."""
    for _ in range(2):
        stand.sandbox.tick(60)
        stand.sandbox.control("GET", "instance")
    shutil.rmtree(stand.buckets / "results")
    (stand.buckets / "results").mkdir()


def forgotten(stand: Stand) -> None:
    """The service deletes a task that is done, before anybody has seen how it ended."""
    stand.behave(expire_done_s=1.0)
    for _ in range(2):
        stand.sandbox.tick(3600)
        stand.sandbox.control("GET", "instance")


# --- scenarios ------------------------------------------------------------------------------------

FIELDS = (("ByocCollection/fields", "Fields"), ("ByocTiles/fields", "Fields"))
ONE = (collection(noData=0), tiles("a", "b", tile("c", "2025-06-03")))
TWO = (collection(noData=5), tiles("a", tile("b", "2025-07-01"), "d"))
RENAMED = (collection(title="Renamed", noData=5), *TWO[1:])
# The bucket differs and the collection has tiles: everything is replaced.
ELSEWHERE = (collection(s3Bucket="other", noData=5), tiles("a", "d"))
BESIDE = collection("beside", title="Beside", s3Bucket="other")
SEVERAL = (
    collection(),
    BESIDE,
    collection("empty", title="Empty", s3Bucket="other"),
    tiles("a", "b"),
    tiles("c", name="more"),
    tiles("a", "d", name="beside", of="beside"),
)
GUARD = {"lifecycle": {"preventDestroy": True}}
ON = {"metadata": {"dependsOn": ["ByocTiles/fields"]}}
OWN = "byoc-{{ ref('ByocCollection/fields').id }}"
GRID = manifest("TilingGrid", "tiles", {"id": 2, "bounds": {"bbox": [14.0, 46.0, 14.1, 46.1]}})
NAMED = collection("named", title="Found {{ ref('CatalogSearch/found').count }}", s3Bucket="other")
OF_EACH = collection(
    "each",
    title="Tile {{ each.key }}",
    s3Bucket="other",
    metadata={"forEach": "{{ ref('TilingGrid/tiles').byName }}"},
)
ONLY_THE_LEDGER = Hopeless("that a tile was ours which no manifest declares, only the ledger knew")
NO_MANIFEST = Hopeless("what no manifest declares any more cannot be imported again")
RENAME = Hopeless("a collection is found by its name and bucket, and by nothing after a new name")


# What one answer costs of those that these scenarios ask for.
PICTURE_PU = 0.0134
NUMBERS_PU = 0.01
ANSWERS: dict[str, dict[str, float]] = {
    "Process": {"Process": PICTURE_PU},
    "Statistics": {"Statistics": NUMBERS_PU},
}


def steps(*wanted: tuple[Manifest, ...]) -> tuple[Step, ...]:
    return tuple(Step(one) for one in wanted)


SCENARIOS: dict[str, Scenario] = {
    # Collections.
    "collection-create": Scenario((("ByocCollection", "create"),), steps((collection(),))),
    "collection-update": Scenario(
        (("ByocCollection", "update"),), steps((collection(),), (collection(noData=5),))
    ),
    "collection-rename": Scenario(
        (("ByocCollection", "update"),),
        steps((collection(),), (collection(title="Renamed"),)),
        lost=RENAME,
    ),
    "collection-delete": Scenario(
        (("ByocCollection", "delete"),), steps((collection(), BESIDE), (BESIDE,)), lost=NO_MANIFEST
    ),
    "collection-destroy": Scenario(
        (("ByocCollection", "delete"),),
        (Step((collection(),)), Step((collection(),), DESTROY)),
        lost=Lost(imports=FIELDS[:1]),
    ),
    "collection-import": Scenario(
        (("ByocCollection", "import"),),
        (
            Step((collection(),), before=made_by_hand),
            Step((collection(),), ("import", "ByocCollection/fields", "{Fields}")),
        ),
        lost=Lost(imports=FIELDS[:1], commands=(APPLY,)),
    ),
    # Zarr groups.
    "zarr-create": Scenario((("ZarrCollection", "create"),), steps((cube(),))),
    "zarr-rename": Scenario(
        (("ZarrCollection", "update"),), steps((cube(),), (cube(title="New"),)), lost=RENAME
    ),
    "zarr-reingest": Scenario(
        (("ZarrCollection", "update"),),
        (Step((cube(),), before=cube_unread), Step((cube(),), before=cube_repaired)),
        lost=Lost(imports=(("ZarrCollection/cube", "Cube"),)),
        decides=(("ZarrCollection/cube", "Cube"),),
    ),
    "zarr-replace": Scenario(
        (("ZarrCollection", "replace"),),
        steps((cube(),), (cube(path="b.zarr/"),)),
        lost=Hopeless("the new one has another path; which old one was ours nobody knows"),
    ),
    "zarr-delete": Scenario(
        (("ZarrCollection", "delete"),), steps((cube(), BESIDE), (BESIDE,)), lost=NO_MANIFEST
    ),
    "zarr-destroy": Scenario(
        (("ZarrCollection", "delete"),),
        (Step((cube(),)), Step((cube(),), DESTROY)),
        lost=Lost(imports=(("ZarrCollection/cube", "Cube"),)),
    ),
    "zarr-import": Scenario(
        (("ZarrCollection", "import"),),
        (
            Step((cube(),), before=cube_by_hand),
            Step((cube(),), ("import", "ZarrCollection/cube", "{Cube}")),
        ),
        lost=Lost(imports=(("ZarrCollection/cube", "Cube"),), commands=(APPLY,)),
    ),
    # Collections that batch requests fill.
    "results-create": Scenario((("BatchCollection", "create"),), steps((results(),))),
    "results-rename": Scenario(
        (("BatchCollection", "update"),),
        steps((results(),), (results(title="New"),)),
        lost=RENAME,
    ),
    "results-replace": Scenario(
        (("BatchCollection", "replace"),),
        steps((results(),), (results(s3Bucket="other"),)),
        lost=Hopeless("the new one is another bucket's; which old one was ours nobody knows"),
    ),
    "results-destroy": Scenario(
        (("BatchCollection", "delete"),),
        (Step((results(),)), Step((results(),), DESTROY)),
        lost=Lost(imports=(("BatchCollection/results", "Results"),)),
    ),
    "results-import": Scenario(
        (("BatchCollection", "import"),),
        (
            Step((results(),), before=results_by_hand),
            Step((results(),), ("import", "BatchCollection/results", "{Results}")),
        ),
        lost=Lost(imports=(("BatchCollection/results", "Results"),), commands=(APPLY,)),
    ),
    # Tiles, and the collections that hold them.
    "tiles-create": Scenario((("ByocCollection", "create"), ("ByocTiles", "create")), steps(ONE)),
    "tiles-update": Scenario(
        (("ByocCollection", "update"), ("ByocTiles", "update")),
        steps(ONE, TWO),
        lost=ONLY_THE_LEDGER,
    ),
    "tiles-edit": Scenario(
        (("ByocCollection", "update"), ("ByocTiles", "update")),
        steps(ONE, (TWO[0], tiles("a", tile("b", "2025-07-01"), tile("c", "2025-06-03"), "d"))),
    ),
    "tiles-replace": Scenario(
        (("ByocCollection", "replace"), ("ByocTiles", "replace")),
        steps(TWO, ELSEWHERE),
        lost=Hopeless(
            "the new collection is another bucket's; which old one was ours nobody knows"
        ),
        not_under=frozenset({"unique names"}),
    ),
    "tiles-delete": Scenario((("ByocTiles", "delete"),), steps(ONE, (ONE[0],)), lost=NO_MANIFEST),
    "tiles-destroy": Scenario(
        (("ByocCollection", "delete"), ("ByocTiles", "delete")),
        (Step(ONE), Step(ONE, DESTROY)),
        lost=Lost(imports=FIELDS),
    ),
    "tiles-adopt": Scenario(
        (("ByocTiles", "adopt"),),
        (Step((collection(), tiles("a", "b")), before=made_by_hand),),
    ),
    "tiles-import": Scenario(
        (("ByocTiles", "import"),),
        (
            Step((collection(), tiles("a", "b")), before=made_by_hand),
            Step((collection(), tiles("a", "b")), ("import", "ByocTiles/fields", "{Fields}")),
        ),
        lost=Lost(imports=FIELDS[1:], commands=(APPLY,)),
    ),
    "tiles-reingest": Scenario(
        (("ByocTiles", "update"),),
        (
            Step((collection(), tiles("a", "b")), before=left_unread),
            Step((collection(), tiles("a", "b")), before=repaired),
        ),
        lost=Lost(imports=FIELDS),
    ),
    "tiles-exclusive": Scenario(
        (("ByocTiles", "update"),),
        (
            Step((collection(), tiles("a", "b"))),
            Step((collection(), tiles("a", exclusive=True)), before=added_by_hand),
        ),
        lost=Lost(imports=FIELDS),
    ),
    # More than are sent at a time, under one intent.
    "tiles-many": Scenario(
        (("ByocTiles", "create"),),
        (
            Step((collection(), tiles("a"))),
            Step((collection(), tiles("a", *MANY)), before=many_files),
        ),
    ),
    "tiles-few": Scenario(
        (("ByocTiles", "delete"),),
        (
            Step((collection(), tiles("a", *MANY)), before=many_files),
            Step((collection(), tiles("a"))),
        ),
        lost=ONLY_THE_LEDGER,
    ),
    "tiles-several": Scenario(
        (("ByocCollection", "create"), ("ByocTiles", "create")), steps(SEVERAL)
    ),
    "tiles-moved": Scenario(
        (("ByocCollection", "move"), ("ByocCollection", "update")),
        (
            Step((collection(), tiles("a", "b"))),
            Step(
                (collection("moved", noData=5), tiles("a", "b", of="moved")),
                project={
                    "moved": [{"from": "ByocCollection/fields", "to": "ByocCollection/moved"}]
                },
            ),
        ),
    ),
    "tiles-unprotected": Scenario(
        (("ByocCollection", "update"),),
        steps(
            (collection(metadata=GUARD), tiles("a", "b")),
            (collection(), tiles("a", "b")),
        ),
    ),
    "tiles-change-of-home": Scenario(
        (("ByocTiles", "replace"),),
        steps(
            (collection(), BESIDE, tiles("a", "d")),
            (collection(), BESIDE, tiles("a", "d", of="beside")),
        ),
        lost=Hopeless("that the tiles of the first collection were ours, only the ledger knew"),
    ),
    "saved-create": Scenario(
        (("ByocCollection", "create"), ("ByocTiles", "create")),
        (Step(ONE, SAVE), Step(ONE, FROM_FILE)),
        lost=Lost(commands=(APPLY,)),
    ),
    "saved-update": Scenario(
        (("ByocCollection", "update"), ("ByocTiles", "update")),
        (Step(ONE), Step(TWO, SAVE), Step(TWO, FROM_FILE)),
        lost=ONLY_THE_LEDGER,
    ),
    # Data: read before anything is sent, or when what it asks for is there.
    "data-while-planning": Scenario(
        (("CatalogSearch", "read"), ("TilingGrid", "read"), ("ByocCollection", "create")),
        steps((search("sentinel-2-l2a"), GRID, NAMED, OF_EACH)),
        reads_pu=0.1,
    ),
    "data-during-apply": Scenario(
        (("CatalogSearch", "read"), ("ByocTiles", "create")),
        steps((collection(), tiles("a", "b"), search(OWN, **ON), NAMED)),
        reads_pu=0.1,
    ),
    # Jobs.
    "job-run": Scenario(
        (("BatchProcess", "run"), ("Evalscript", "read")), steps((script(), job()))
    ),
    # With the ledger lost, and with a death between its entry and the receipt file.
    "job-kept": Scenario(
        (("BatchProcess", "run"), ("BatchProcess", "adopt")),
        (Step((script(), job()), project={"receipts": "receipts/"}),),
    ),
    "job-two": Scenario(
        (("BatchProcess", "run"),), steps((script(), job("a", year=1985), job("b", year=1986)))
    ),
    "job-twins": Scenario((("BatchProcess", "run"),), steps((script(), job("a"), job("b")))),
    "job-on-imagery": Scenario(
        (("BatchProcess", "run"), ("ByocTiles", "create")),
        steps((script(), collection(), tiles("a", "b"), job(data=OWN, run={"maxPu": 500}, **ON))),
    ),
    "job-changed": Scenario(
        (("BatchProcess", "run"),), steps((script(), job()), (script(), job(year=1987)))
    ),
    "job-generation": Scenario(
        (("BatchProcess", "run"),),
        steps(
            (script(), job()),
            (script(), job(run={"generation": 2}, output={"overwrite": True})),
        ),
    ),
    "job-renamed": Scenario(
        (("BatchProcess", "move"),),
        steps((script(), job("old")), (script(), job("new"))),
    ),
    "job-collected": Scenario(
        (("BatchProcess", "resume"),),
        (Step((script(), job()), (*APPLY, "--no-wait")), Step((script(), job()))),
    ),
    "job-not-waited": Scenario(
        (("BatchProcess", "run"),), (Step((script(), job()), (*APPLY, "--no-wait")),)
    ),
    "job-import": Scenario(
        (("BatchProcess", "import"),),
        (
            Step((script(), job()), (*APPLY, "--no-wait")),
            Step((script(), job()), ("import", "BatchProcess/ndvi", "{task}"), before=forgotten),
        ),
        lost=Hopeless("a task that the service has forgotten too, only its bucket could tell of"),
    ),
    "job-rerun": Scenario(
        (("BatchProcess", "run"),),
        (
            Step((script(), job(url="s3://results/x/<tileName>.tif")), before=every_feature_fails),
            Step(
                (
                    script(),
                    job(
                        url="s3://results/x/<tileName>.tif",
                        run={"onFailure": "rerun"},
                        output={"skipExisting": True},
                    ),
                ),
                before=nothing_fails,
            ),
        ),
        reads_buckets=True,
    ),
    "job-witnessed": Scenario(
        (("BatchProcess", "run"),), steps((script(), job())), reads_buckets=True
    ),
    "job-destroy": Scenario(
        (("BatchProcess", "delete"),),
        (Step((script(), job())), Step((script(), job()), DESTROY)),
    ),
    # Jobs of Batch V1.
    "job-older": Scenario((("BatchProcess", "run"),), steps((script(), older_job()))),
    "job-older-collection": Scenario(
        (("BatchProcess", "run"),),
        steps((script(), older_job(output={"cogOutput": True, "createCollection": True}))),
    ),
    "job-older-restarted": Scenario(
        (("BatchProcess", "run"),),
        (
            Step((script(), older_job(area=TWO_TILES)), before=a_tile_fails),
            Step(
                (script(), older_job(area=TWO_TILES, run={"onFailure": "rerun"})),
                before=nothing_fails,
            ),
        ),
    ),
    "job-older-saved": Scenario(
        (("BatchProcess", "run"),),
        (
            Step((script(), older_job(run={"maxPu": 100})), SAVE),
            Step((script(), older_job(run={"maxPu": 100})), FROM_FILE),
        ),
        lost=Lost(commands=(APPLY,)),
    ),
    "job-older-analysed": Scenario(
        (("BatchProcess", "resume"),),
        steps((script(), older_job(run={"start": "analyse"})), (script(), older_job())),
    ),
    "job-older-deleted": Scenario(
        (("BatchProcess", "delete"),),
        steps((script(), older_job(run={"start": "analyse", "onRemove": "delete"})), (script(),)),
        lost=NO_MANIFEST,
    ),
    # Answered at once: the answer is the product, so that each that is lost is paid once more.
    "answer-image": Scenario(
        (("Process", "run"),), steps((script(), picture())), pays_again=ANSWERS["Process"]
    ),
    "answer-numbers": Scenario(
        (("Statistics", "run"),), steps((numbers(), series())), pays_again=ANSWERS["Statistics"]
    ),
    "answer-several": Scenario(
        (("Process", "run"), ("Statistics", "run")),
        steps(
            (
                script(),
                numbers(),
                picture(),
                picture("twin"),
                picture("other", year=1986),
                series(),
                series("table", form="parquet"),
            )
        ),
        # Where the ledger is lost as well, each of them may be asked for again.
        pays_again={"Process": 2 * PICTURE_PU, "Statistics": NUMBERS_PU},
        side_by_side=True,
    ),
    "answer-changed": Scenario(
        (("Process", "run"),),
        steps((script(), picture()), (script(), picture(year=1986))),
        pays_again=ANSWERS["Process"],
    ),
    "answer-copied": Scenario(
        (("Process", "resume"), ("Statistics", "resume")),
        steps(
            (script(), numbers(), picture(), series(form="json")),
            (script(), numbers(), picture(), picture("copy"), series(form="json"), series("made")),
        ),
        pays_again={},
    ),
    "answer-imported": Scenario(
        (("Process", "import"),),
        (
            Step((script(), picture())),
            Step((script(), picture()), ("import", "Process/figure", "out/figure.tif")),
        ),
        lost=Lost(commands=(APPLY,)),
    ),
    "answer-numbers-imported": Scenario(
        (("Statistics", "import"),),
        (
            Step((numbers(), series())),
            Step((numbers(), series()), ("import", "Statistics/series", "out/series.csv")),
        ),
        lost=Lost(commands=(APPLY,)),
    ),
    "answer-destroy": Scenario(
        (("Process", "delete"), ("Statistics", "delete")),
        (
            Step((script(), numbers(), picture(), series())),
            Step((script(), numbers(), picture(), series()), DESTROY),
        ),
    ),
    "answer-saved": Scenario(
        (("Process", "run"),),
        (Step((script(), picture()), SAVE), Step((script(), picture()), FROM_FILE)),
        lost=Lost(commands=(APPLY,)),
        pays_again=ANSWERS["Process"],
    ),
    "job-saved": Scenario(
        (("BatchProcess", "run"),),
        (Step((script(), job()), SAVE), Step((script(), job()), FROM_FILE)),
        lost=Lost(commands=(APPLY,)),
    ),
}

IMAGE = (script(), image())
STATISTICS = (RED, statistics())
SCENARIOS |= {
    # Asynchronous requests: who creates one has paid for it.
    "image-run": Scenario(
        (("AsyncProcess", "run"),), (Step(IMAGE, before=with_areas),), reads_buckets=True
    ),
    "image-shared-folder": Scenario(
        (("AsyncProcess", "run"),),
        (
            Step((script(), image(url="s3://results/{{ run.key }}/<OUTPUT>")), before=with_areas),
            Step(
                (
                    script(),
                    image(url="s3://results/{{ run.key }}/<OUTPUT>"),
                    image("b", year=1986, url="s3://results/{{ run.key }}/<OUTPUT>"),
                )
            ),
        ),
        reads_buckets=True,
    ),
    "image-twins": Scenario(
        (("AsyncProcess", "run"),),
        (Step((script(), image("a"), image("b")), before=with_areas),),
        reads_buckets=True,
    ),
    "image-collected": Scenario(
        (("AsyncProcess", "resume"),),
        (Step(IMAGE, (*APPLY, "--no-wait"), before=with_areas), Step(IMAGE)),
        reads_buckets=True,
    ),
    "image-destroy": Scenario(
        (("AsyncProcess", "delete"),),
        (Step(IMAGE, before=with_areas), Step(IMAGE, DESTROY)),
        reads_buckets=True,
    ),
    "image-import": Scenario(
        (("AsyncProcess", "import"),),
        (
            Step(IMAGE, (*APPLY, "--no-wait"), before=with_areas),
            Step(IMAGE, ("import", "AsyncProcess/mosaic", "{image}"), before=taken_away),
        ),
        lost=Hopeless("of a request that is over, whose files are gone, only the ledger knew"),
        reads_buckets=True,
    ),
    "image-saved": Scenario(
        (("AsyncProcess", "run"),),
        (Step(IMAGE, SAVE, before=with_areas), Step(IMAGE, FROM_FILE)),
        lost=Lost(commands=(APPLY,)),
        reads_buckets=True,
    ),
    # Batch statistics.
    "statistics-run": Scenario(
        (("BatchStatistics", "run"),), (Step(STATISTICS, before=with_areas),), reads_buckets=True
    ),
    "statistics-twins": Scenario(
        (("BatchStatistics", "run"),),
        (Step((RED, statistics(), statistics("other", year=1986)), before=with_areas),),
        reads_buckets=True,
    ),
    "statistics-collected": Scenario(
        (("BatchStatistics", "resume"),),
        (Step(STATISTICS, (*APPLY, "--no-wait"), before=with_areas), Step(STATISTICS)),
        reads_buckets=True,
    ),
    "statistics-rerun": Scenario(
        (("BatchStatistics", "run"),),
        (
            Step(STATISTICS, before=with_areas_every_one_fails),
            Step((RED, statistics(run={"onFailure": "rerun"})), before=nothing_fails),
        ),
        reads_buckets=True,
    ),
    "statistics-destroy": Scenario(
        (("BatchStatistics", "delete"),),
        (Step(STATISTICS, before=with_areas), Step(STATISTICS, DESTROY)),
        reads_buckets=True,
    ),
    "statistics-import": Scenario(
        (("BatchStatistics", "import"),),
        (
            Step(STATISTICS, (*APPLY, "--no-wait"), before=with_areas),
            Step(
                STATISTICS,
                ("import", "BatchStatistics/fields", "{statistics}"),
                before=forgotten,
            ),
        ),
        lost=Hopeless("a task that the service has forgotten too left no copy of its request"),
        reads_buckets=True,
    ),
}

# Each value of every setting that the reference is unsure of, and whether it concerns tiles or jobs.
SETTINGS: dict[str, tuple[frozenset[str], dict[str, Any]]] = {}


def _setting(name: str, about: str, **values: Any) -> None:
    assert name not in SETTINGS, f"{name} stands twice: the first would be lost"
    SETTINGS[name] = (frozenset(about.split()), values)


_setting("plain", "collection zarr results tiles saved job answer data")
_setting("unique names", "collection tiles saved", unique_collection_names=True)
_setting("colliding spellings", "tiles saved", folder_path_collides=True)
_setting("deleted paths stay taken", "tiles saved", deleted_path_blocked_s=5.0)
_setting("put moves paths", "tiles saved", tile_put_path="honour")
_setting("buckets never change", "collection tiles", bucket_change="never")
_setting("sample format optional", "collection tiles", sample_format_required=False)
_setting("second delete is done", "collection zarr tiles", second_delete=204)
_setting("bare 429", "tiles job answer data", error_429_wrapped=False)
_setting("bare 401", "tiles job", error_401_body=False)
_setting("frozen is a conflict", "tiles saved", frozen_change_status=409)
_setting("omitted time stays", "tiles saved", tile_put_omitted_sensing_time="keep")
_setting(
    "unknown fields refused",
    "collection zarr results tiles saved job answer",
    unknown_fields="refuse",
)
_setting("foreign is hidden", "collection zarr results tiles job", foreign_objects=404)
_setting("errors are lists", "tiles job", error_details="list")
_setting("lagging lists", "collection zarr results tiles saved job", list_lag_s=8.0, path_lag_s=8.0)
_setting(
    "lagging everything",
    "collection zarr results tiles saved job",
    list_lag_s=8.0,
    path_lag_s=8.0,
    get_lag_s=8.0,
)
_setting("an ingestion is not repeated while it runs", "zarr", zarr_reingest_running="refuse")
_setting("a broken array fails all", "zarr", zarr_offending_arrays="fail")
_setting("a second START is ignored", "job", second_start="ignore")
_setting("START while analysing", "job", start_while_analysing="accept")
_setting("secrets are echoed", "job", echo_secrets=True)
_setting("tasks by age", "job", batch_list_order="created")
_setting("tasks by id", "job", batch_list_order="id")
_setting("features fail partly", "statistics", statistics_partial=True)
_setting("images without discount", "image", async_discount=False)
for _name in ("plain", "lagging lists", "lagging everything", "bare 429", "secrets are echoed"):
    SETTINGS[_name] = (SETTINGS[_name][0] | {"image", "statistics"}, SETTINGS[_name][1])
for _name in ("a second START is ignored", "START while analysing", "tasks by id"):
    SETTINGS[_name] = (SETTINGS[_name][0] | {"statistics"}, SETTINGS[_name][1])


def settings_of(name: str) -> list[str]:
    """The settings that concern a scenario."""
    scenario = SCENARIOS[name]
    group = name.split("-", maxsplit=1)[0]
    return [
        setting
        for setting, (about, _) in SETTINGS.items()
        if group in about and setting not in scenario.not_under
    ]
