"""
What the model test declares: small values that stand for manifests, and the resources they mean.

Names, buckets and paths come from small pools, so that drawn projects often meet the same object
twice. Every job says in its description what it asks for, as the model names runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from shplan.core.address import Address
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import Object, Reference, SecretReference, Sensitive, Unknown
from tests.support import immediate, jobs
from tests.support.bench import FlatSource

# It reaches over several tiles of the 20 km grid, so that a run can be partly done.
AREA = {
    "type": "Polygon",
    "coordinates": [[[14.5, 45.9], [14.51, 45.9], [14.51, 46.1], [14.5, 46.1], [14.5, 45.9]]],
}
SECRET = Sensitive((SecretReference("env:KEY"),))
OF_ALL = "imagery"
TAG = "run "
FOLDERS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Collection:
    """A collection; what it is found by is its title and its bucket."""

    address: Address
    title: str
    bucket: str = "fields"
    no_data: int | None = None
    prevent: bool = False
    keeps_title: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.title, self.bucket)

    @property
    def depends_on(self) -> tuple[Address, ...]:
        return ()

    def desired(self) -> Desired:
        spec: Object = {"name": self.title, "s3Bucket": self.bucket}
        if self.no_data is not None:
            spec["noData"] = self.no_data
        ignored = ("name",) if self.keeps_title else ()
        kept = Lifecycle(prevent_destroy=self.prevent, ignore_changes=ignored)
        return Desired(self.address, spec, FlatSource(), lifecycle=kept)


@dataclass(frozen=True)
class Tiles:
    """A set of tiles of one collection: its paths with their sensing times."""

    address: Address
    of: Address
    times: tuple[tuple[str, str], ...]
    exclusive: bool = False
    prevent: bool = False

    @property
    def depends_on(self) -> tuple[Address, ...]:
        return (self.of,)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(path for path, _ in self.times)

    def desired(self) -> Desired:
        members: list[Object] = [{"path": path, "sensingTime": time} for path, time in self.times]
        return Desired(
            self.address,
            {"collection": _id_of(self.of, self.address), "exclusive": self.exclusive},
            FlatSource(),
            members=members,
            references=(Reference(self.of, ("id",)),),
            lifecycle=Lifecycle(prevent_destroy=self.prevent),
        )


@dataclass(frozen=True)
class Job:
    """
    A batch job.

    Args:
        of: the collection that it reads, None for one of the service's own
        after: what else it waits for
        place: where it delivers to: a folder of its key, of its task, or a plain one
        comment: stands in its evalscript and is no part of what it asks for
    """

    address: Address
    day: str
    generation: int = 1
    of: Address | None = None
    after: tuple[Address, ...] = ()
    place: str = "key"
    comment: str = ""
    start: str = "auto"
    rerun: bool = False
    on_remove: str = "keep"
    prevent: bool = False

    @property
    def depends_on(self) -> tuple[Address, ...]:
        return tuple(sorted({*self.after, *(() if self.of is None else (self.of,))}))

    @property
    def asked(self) -> str:
        """What it asks for, but for the id of the collection."""
        source = "public" if self.of is None else OF_ALL
        return f"{self.day} {self.generation} {source} {self.place}"

    @property
    def url(self) -> str:
        last = {"key": "{{ run.key }}", "task": "<requestId>/<tileName>.tif", "plain": "here"}
        source = "public" if self.of is None else OF_ALL
        # A generation of its own has places of its own: what lies there belongs to another run.
        home = f"s3://results/{self.day}/g{self.generation}-{source}-{self.place}"
        return f"{home}/{last[self.place]}"

    def body(self, data: Any) -> Object:
        script = jobs.SCRIPT + (f"// {self.comment}\n" if self.comment else "")
        made = jobs.body(self.day, data=data, script=script, url=self.url)
        made["processRequest"]["input"]["bounds"]["geometry"] = AREA  # type: ignore[index, call-overload]
        delivery = {"url": self.url, "accessKey": "AK", "secretAccessKey": SECRET}
        made["output"]["delivery"]["s3"] = delivery  # type: ignore[index, call-overload]
        return {**made, "description": TAG + self.asked}

    def desired(self) -> Desired:
        data: Any = "sentinel-2-l2a"
        references: tuple[Reference, ...] = ()
        if self.of is not None:
            data = _id_of(self.of, self.address, before="byoc-")
            references = (Reference(self.of, ("id",)),)
        options: dict[str, Any] = {"generation": self.generation} if self.generation > 1 else {}
        options |= {"start": self.start} if self.start != "auto" else {}
        options |= {"onFailure": "rerun"} if self.rerun else {}
        options |= {"onRemove": self.on_remove} if self.on_remove != "keep" else {}
        return Desired(
            self.address,
            self.body(data),
            FlatSource(),
            references=references,
            lifecycle=Lifecycle(prevent_destroy=self.prevent),
            depends_on=self.after,
            run=options,
            script=jobs.SHAPE,
        )


@dataclass(frozen=True)
class Answer:
    """
    An image that is answered at once, and written to a file of its address.

    Args:
        year: what it asks for; one before there was imagery, so that it takes no time
        fresh: makes the name of its file another one
    """

    address: Address
    year: int
    prevent: bool = False
    fresh: int = 0

    @property
    def depends_on(self) -> tuple[Address, ...]:
        return ()

    def desired(self) -> Desired:
        spec = immediate.picture(("default", "image/tiff"), year=self.year)
        name, suffix = self.address.name, f"-{self.fresh}" if self.fresh else ""
        path = f"out/{name}{suffix}.tif"
        return immediate.process(path, name=name, spec=spec, prevent=self.prevent)


Manifest: TypeAlias = Collection | Tiles | Job | Answer
Manifests: TypeAlias = Mapping[Address, Manifest]


def script() -> Desired:
    """The evalscript that a project has beside everything else."""
    spec: Object = {"file": "ndvi.js"}
    return Desired(Address("Evalscript", "ndvi"), spec, FlatSource())


def resources(manifests: Manifests) -> tuple[Desired, ...]:
    """What the manifests mean."""
    if not manifests:
        return ()
    return (script(), *(one.desired() for one in manifests.values()))


def is_whole(manifests: Manifests) -> bool:
    """Tell whether everything that is referred to is declared: no other project is loaded."""
    return all(on in manifests for one in manifests.values() for on in one.depends_on)


def is_loaded(manifests: Manifests) -> bool:
    """Tell whether such a project is loaded: no tile is declared twice."""
    declared = [(one.of, path) for one in tile_sets(manifests.values()) for path in one.paths]
    return is_whole(manifests) and len(declared) == len(set(declared))


def without(manifests: Manifests, gone: Address) -> dict[Address, Manifest]:
    """Remove a manifest, and what refers to it."""
    left = {address: one for address, one in manifests.items() if address != gone}
    for address, one in list(left.items()):
        if isinstance(one, Job) and gone in one.after:
            left[address] = replace(one, after=tuple(a for a in one.after if a != gone))
    while not is_whole(left):
        left = {a: one for a, one in left.items() if all(on in left for on in one.depends_on)}
    return left


def renamed(manifests: Manifests, old: Address, new: Address) -> dict[Address, Manifest]:
    """Give a manifest another address, in all references as well."""

    def at(address: Address) -> Address:
        return new if address == old else address

    def moved(one: Manifest) -> Manifest:
        match one:
            case Collection():
                return replace(one, address=at(one.address))
            case Tiles():
                return replace(one, address=at(one.address), of=at(one.of))
            case Job():
                of = None if one.of is None else at(one.of)
                after = tuple(at(a) for a in one.after)
                return replace(one, address=at(one.address), of=of, after=after)
            case Answer():
                return replace(one, address=at(one.address))

    return {at(address): moved(one) for address, one in manifests.items()}


def refreshed(manifests: Manifests, number: int) -> dict[Address, Manifest]:
    """
    The same addresses, with nothing that could be wrong or taken for something else.

    Args:
        number: makes names and runs new
    """
    taken: dict[Address, set[str]] = {}
    fresh: dict[Address, Manifest] = {}
    dropped: list[Address] = []
    for address, one in manifests.items():
        match one:
            case Collection():
                title = f"Fresh {number} {address}"
                fresh[address] = replace(one, title=title, prevent=False, keeps_title=False)
            case Tiles():
                free = [p for p in FOLDERS if p not in taken.setdefault(one.of, set())]
                paths = [p for p in free if p in one.paths] or free[:1]
                taken[one.of].update(paths)
                dropped += [] if paths else [address]
                times = tuple((path, "2025-06-01T10:00:00Z") for path in paths)
                fresh[address] = replace(one, times=times, exclusive=False, prevent=False)
            case Job():
                of = one.of if one.after else None
                run = replace(one, of=of, generation=100 + number, start="auto", rerun=True)
                fresh[address] = replace(run, prevent=False)
            case Answer():
                fresh[address] = replace(one, year=1970 - number, fresh=number, prevent=False)
    for address in dropped:
        fresh = without(fresh, address)
    return fresh


def collections(manifests: Iterable[Manifest]) -> list[Collection]:
    return [one for one in manifests if isinstance(one, Collection)]


def tile_sets(manifests: Iterable[Manifest]) -> list[Tiles]:
    return [one for one in manifests if isinstance(one, Tiles)]


def batch_jobs(manifests: Iterable[Manifest]) -> list[Job]:
    return [one for one in manifests if isinstance(one, Job)]


def answers(manifests: Iterable[Manifest]) -> list[Answer]:
    return [one for one in manifests if isinstance(one, Answer)]


def _id_of(target: Address, address: Address, *, before: str = "") -> Unknown:
    reference = Reference(target, ("id",))
    return Unknown(before + "{{ ref('" + str(target) + "').id }}", str(address), (reference,))
