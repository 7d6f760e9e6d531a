"""
What the model of commands declares, and the files that say it: several, with `forEach`, references,
`moved`, `forget`, scripts in files of their own and secrets by name.

Names, titles, places and years come from small pools, so that projects often mean the same object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.crash import scenarios

COLLECTION, ZARR, RESULTS = "ByocCollection", "ZarrCollection", "BatchCollection"
HOLDERS = (COLLECTION, ZARR, RESULTS)
V2, V1, NUMBERS, IMAGE = "BatchProcess", "BatchProcess v1", "BatchStatistics", "AsyncProcess"
PICTURE, SERIES = "Process", "Statistics"
LISTED = (V2, V1, NUMBERS)
AT_ONCE = (PICTURE, SERIES)
WORKS = (*LISTED, IMAGE, *AT_ONCE)
PLACES = {
    COLLECTION: ("fields", "other"),
    ZARR: ("a.zarr/", "b.zarr/"),
    RESULTS: ("results", "other"),
}
FOLDERS = ("a", "b", "c")
SITES = ("n", "s")
_SCRIPTS = {
    V2: "ndvi",
    V1: "ndvi",
    IMAGE: "ndvi",
    PICTURE: "ndvi",
    NUMBERS: "red",
    SERIES: "numbers",
}
_VERSION = re.compile(r"const TURN = (\d+)")


@dataclass(frozen=True)
class Holder:
    """
    An object with a name: a collection, a group, a collection of results.

    Args:
        place: its bucket; of a group its path
        sites: of `forEach`, empty where there is none
    """

    kind: str
    name: str
    title: str
    place: str
    prevent: bool = False
    sites: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{self.kind}/{self.name}"

    def instances(self) -> Iterator[Instance]:
        if not self.sites:
            yield Instance(self.address, self.kind, self.title, self.place, self.prevent)
        for site in self.sites:
            title = f"{self.title} {site}"
            yield Instance(f"{self.address}[{site}]", self.kind, title, self.place, self.prevent)

    def manifest(self) -> Any:
        metadata: dict[str, Any] = {"lifecycle": {"preventDestroy": True}} if self.prevent else {}
        title = self.title
        if self.sites:
            metadata["forEach"] = {"site": [*self.sites]}
            title = f"{title} {{{{ each.site }}}}"
        spec: dict[str, Any] = {"name": title, "s3Bucket": self.place}
        if self.kind == ZARR:
            spec = {"name": title, "s3Bucket": "cubes", "path": self.place, "crs": "EPSG:32633"}
        return scenarios.manifest(self.kind, self.name, spec, metadata=metadata)


@dataclass(frozen=True)
class Instance:
    """One object that a holder wants."""

    address: str
    kind: str
    title: str
    place: str
    prevent: bool

    @property
    def key(self) -> tuple[str, str]:
        return (self.title, self.place)


@dataclass(frozen=True)
class Tiles:
    """The tiles of one collection; of its first instance where it has several."""

    name: str
    of: str
    folders: tuple[str, ...]
    prevent: bool = False
    site: str = ""

    @property
    def address(self) -> str:
        return f"ByocTiles/{self.name}"

    @property
    def home(self) -> str:
        return f"{COLLECTION}/{self.of}" + (f"[{self.site}]" if self.site else "")

    def manifest(self) -> Any:
        at = f"['{self.site}']" if self.site else ""
        spec = {
            "collection": f"{{{{ ref('{COLLECTION}/{self.of}'){at}.id }}}}",
            "tiles": [scenarios.tile(folder) for folder in self.folders],
        }
        metadata = {"lifecycle": {"preventDestroy": True}} if self.prevent else {}
        return scenarios.manifest("ByocTiles", self.name, spec, metadata=metadata)


@dataclass(frozen=True)
class Work:
    """
    A job.

    Args:
        api: one of `WORKS`
        of: the collection that it reads, which has no `forEach`; empty: public imagery
        after: the address of another job that it depends on
    """

    api: str
    name: str
    year: int
    rerun: bool = False
    start: str = "auto"
    of: str = ""
    after: str = ""

    @property
    def kind(self) -> str:
        return V2 if self.api == V1 else self.api

    @property
    def address(self) -> str:
        return f"{self.kind}/{self.name}"

    def answer(self, turn: int) -> str:
        """Where the answer of one that answers at once goes: another for each content."""
        ending = "tif" if self.api == PICTURE else "json"
        return f"out/{self.name}-{self.year}-{turn}.{ending}"

    def manifest(self, turn: int) -> Any:
        made = getattr(self, "_" + self.api.replace(" ", "_").lower())(turn)
        run = dict(made.get("run", {}))
        run |= {"onFailure": "rerun"} if self.rerun else {}
        run |= {"start": self.start} if self.start != "auto" else {}
        metadata = dict(made["metadata"])
        metadata |= {"dependsOn": [self.after]} if self.after else {}
        return {**made, "metadata": metadata, **({"run": run} if run else {})}

    def _batchprocess(self, turn: int) -> Any:
        data = f"byoc-{{{{ ref('{COLLECTION}/{self.of}').id }}}}" if self.of else "sentinel-2-l2a"
        made: Any = scenarios.job(self.name, year=self.year, data=data)
        made["spec"]["output"]["delivery"]["s3"] = {
            "url": "s3://results/v2/{{ run.key }}",
            "accessKey": "{{ secret('env:ID') }}",
            "secretAccessKey": "{{ secret('env:KEY') }}",
        }
        return made

    def _batchprocess_v1(self, turn: int) -> Any:
        made: Any = scenarios.older_job(
            self.name, output={"defaultTilePath": "s3://results/v1/{{ run.key }}"}
        )
        times = {"from": f"{self.year}-06-01T00:00:00Z", "to": f"{self.year}-06-01T23:59:59Z"}
        made["spec"]["processRequest"]["input"]["data"][0]["dataFilter"]["timeRange"] = times
        return made

    def _batchstatistics(self, turn: int) -> Any:
        made: Any = scenarios.statistics(self.name, year=self.year)
        made["spec"]["output"]["s3"]["url"] = "s3://results/numbers/{{ run.key }}"
        return made

    def _asyncprocess(self, turn: int) -> Any:
        return scenarios.image(self.name, year=self.year, url="s3://results/image/{{ run.key }}")

    def _process(self, turn: int) -> Any:
        made: Any = scenarios.picture(self.name, year=self.year)
        return {**made, "run": {"output": self.answer(turn)}}

    def _statistics(self, turn: int) -> Any:
        made: Any = scenarios.series(self.name, year=self.year)
        return {**made, "run": {"output": self.answer(turn)}}


Thing: TypeAlias = Holder | Tiles | Work


@dataclass(frozen=True)
class Content:
    """What a run is a run of, as the model names it: no address, no attempt, no secret."""

    api: str
    year: int
    source: str
    turn: int


def content_of(api: str, request: str) -> Content:
    """Read it out of a request, as the server has it."""
    year = re.search(r'"from": ?"(\d{4})', request)
    source = re.search(r'"type": ?"(sentinel-2-l2a|byoc-[0-9a-f-]+)"', request)
    turn = _VERSION.search(request)
    assert year, request
    assert source, request
    assert turn, request
    return Content(api, int(year[1]), source[1], int(turn[1]))


@dataclass(frozen=True)
class Files:
    """
    What is committed.

    Args:
        moved: new addresses by the old ones
        forget: what is let go of
        turn: changes what every script says
        remark: a comment in every script, which changes nothing
        budget_pu: of one apply; None is no limit
        broken: a fault in a file that `validate` must find
        asks: data kinds are read while planning
    """

    things: Mapping[str, Thing] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    forget: frozenset[str] = frozenset()
    turn: int = 1
    remark: str = ""
    budget_pu: float | None = None
    broken: bool = False
    asks: bool = False

    def of(self, *types: type[Any]) -> list[Any]:
        return [one for _, one in sorted(self.things.items()) if isinstance(one, types)]

    def instances(self) -> dict[str, Instance]:
        return {one.address: one for held in self.of(Holder) for one in held.instances()}

    @property
    def addresses(self) -> set[str]:
        works = {one.address for one in self.of(Tiles, Work)}
        return {*self.instances(), *works}

    def write(self, root: Path, *, ledger: str) -> None:
        """Make a checkout say exactly this."""
        home = root / "manifests"
        home.mkdir(exist_ok=True)
        for name, text in scenarios.FILES.items():
            first, rest = text.split("\n", 1)
            remark = f"// {self.remark}\n" if self.remark else ""
            (root / name).write_text(f"{first}\n{remark}const TURN = {self.turn};\n{rest}")
        environment: dict[str, Any] = {"deployment": "sandbox", "listLag": "10s", "ledger": ledger}
        if self.budget_pu is not None:
            environment["budget"] = {"maxPu": self.budget_pu}
        spec: dict[str, Any] = {"environments": {"sandbox": environment}}
        if self.moved:
            spec["moved"] = [{"from": a, "to": b} for a, b in sorted(self.moved.items())]
        if self.forget:
            spec["forget"] = sorted(self.forget)
        project = {"apiVersion": "shplan/v1", "kind": "Project", "metadata": {"name": "model"}}
        (root / "shplan.yaml").write_text(_text([{**project, "spec": spec}]))
        works = self.of(Work)
        used = {_SCRIPTS[one.api] for one in works}
        (home / "collections.yaml").write_text(_text(one.manifest() for one in self.of(Holder)))
        tiles = _text(one.manifest() for one in self.of(Tiles))
        (home / "tiles.yaml").write_text(
            tiles.replace("sensingTime", "sensedAt") if self.broken else tiles
        )
        jobs = [one.manifest(self.turn) for one in works]
        (home / "jobs.yaml").write_text(
            _text(
                [
                    *(
                        scenarios.manifest("Evalscript", n, {"file": f"../{n}.js"})
                        for n in sorted(used)
                    ),
                    *jobs,
                ]
            )
        )
        data = [scenarios.search("sentinel-2-l2a"), scenarios.GRID] if self.asks else []
        (home / "data.yaml").write_text(_text(data))
        if self.broken and not tiles:
            (home / "collections.yaml").write_text("kind: Nothing\n")


def _text(documents: Iterable[Any]) -> str:
    return yaml.safe_dump_all([*documents], sort_keys=True)
