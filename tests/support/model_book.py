"""
What the design allows one ledger's owner to do: the model's own book, and the judge of requests.

Written from the design alone. A book says what must be in one ledger; a judge sees every request
with an effect at the moment when it arrives, and says which rule it breaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shplan.core.address import Address
from tests.support.model_manifests import (
    OF_ALL,
    Collection,
    Job,
    Manifests,
    answers,
    batch_jobs,
    collections,
    tile_sets,
)
from tests.support.model_server import Held

KeyOf = tuple[str, str]


@dataclass
class Book:
    """
    What one ledger must hold.

    Args:
        owned: ids of what its owner has made or confirmed, and not let go of
        bound: the collection of each address
        protected: addresses that were applied with a protection, and not without it since
        homes: the set that each tile of ours was made for
        claims: names and buckets of creates whose end nobody knows; what has them later may be ours
        paths: the same for tiles, with the collection
        answers: the years whose image has come and is recorded: nobody pays for it again
    """

    owned: set[str] = field(default_factory=set)
    bound: dict[Address, str] = field(default_factory=dict)
    protected: set[Address] = field(default_factory=set)
    homes: dict[str, Address] = field(default_factory=dict)
    claims: set[KeyOf] = field(default_factory=set)
    paths: set[KeyOf] = field(default_factory=set)
    answers: set[int] = field(default_factory=set)

    def copy(self) -> Book:
        return Book(
            set(self.owned),
            dict(self.bound),
            set(self.protected),
            dict(self.homes),
            set(self.claims),
            set(self.paths),
            set(self.answers),
        )

    def made_by_others(self, held: Held) -> None:
        """Take what a claim cannot tell from our own: the design finds it by its natural key."""
        for made, one in held.collections.items():
            if (one["name"], one["bucket"]) in self.claims:
                self.owned.add(made)
        for tile in held.tiles.values():
            if (tile.collection, tile.path) in self.paths:
                self.owned.add(tile.id)

    def move(self, old: Address, new: Address) -> None:
        if old in self.bound and new not in self.bound:
            self.bound[new] = self.bound.pop(old)
        if old in self.protected:
            self.protected.remove(old)
            self.protected.add(new)
        self.homes = {tile: new if a == old else a for tile, a in self.homes.items()}

    def forget(self, address: Address) -> None:
        self.owned.discard(self.bound.pop(address, ""))
        self.protected.discard(address)
        for tile in [t for t, home in self.homes.items() if home == address]:
            self.owned.discard(tile)
            del self.homes[tile]


@dataclass(frozen=True)
class Sent:
    """A request with an effect, as the server sees it."""

    method: str
    path: str
    body: Any = None

    @property
    def parts(self) -> list[str]:
        return self.path.strip("/").split("/")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Approved:
    """
    The requests that a plan has shown, and how often each took effect.

    Args:
        shown: as the plan's document has them
    """

    shown: list[dict[str, Any]] = field(default_factory=list)
    taken: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Approved:
        shown = []
        for change in document["changes"]:
            shown += change["requests"]
            shown += [one["request"] for one in change["members"] if one["request"] is not None]
        return cls(shown)

    def places(self, sent: Sent) -> list[int]:
        """Which of the requests that were shown this one may be."""
        return [at for at, one in enumerate(self.shown) if _is(one, sent)]

    def take(self, sent: Sent) -> bool:
        """Note that a request took effect; say whether the plan has shown one more of these."""
        for at in self.places(sent):
            if not self.taken[at]:
                self.taken[at] += 1
                return True
        return False


def _is(shown: Mapping[str, Any], sent: Sent) -> bool:
    if shown["method"] != sent.method:
        return False
    pattern = re.escape(shown["path"]).replace(r"\{", "{").replace(r"\}", "}")
    for name, value in shown["parameters"].items():
        known = re.escape(value) if isinstance(value, str) else "[^/]+"
        pattern = pattern.replace("{" + name + "}", known)
    return bool(re.fullmatch(pattern, sent.path)) and _fits(shown.get("body"), sent.body)


MARKED = frozenset({"description", "evalscript"})


def _marker_alone(shown: Any, sent: Any) -> set[str]:
    """A request without a description gets one that is the marker."""
    is_alone = "description" not in shown and str(sent.get("description")).startswith("[shplan ")
    return {"description"} if is_alone else set()


def _begins(sent: Any, shown: Any) -> bool:
    return isinstance(sent, str) and isinstance(shown, str) and sent.startswith(shown.rstrip())


def _fits(shown: Any, sent: Any) -> bool:
    """Compare bodies: holes and secrets are filled, the marker follows a description or a script."""
    if isinstance(shown, dict):
        if set(shown) in ({"$unknown"}, {"$secret"}):
            return isinstance(sent, str)
        if not isinstance(sent, dict) or shown.keys() != sent.keys() - _marker_alone(shown, sent):
            return False
        return all(
            _fits(value, sent[name]) if name not in MARKED else _begins(sent[name], value)
            for name, value in shown.items()
        )
    if isinstance(shown, list):
        return (
            isinstance(sent, list)
            and len(shown) == len(sent)
            and all(_fits(one, other) for one, other in zip(shown, sent, strict=True))
        )
    if isinstance(shown, str) and "{{ run.key }}" in shown:
        pattern = re.escape(shown).replace(re.escape("{{ run.key }}"), "[0-9a-f]+")
        return isinstance(sent, str) and bool(re.fullmatch(pattern, sent))
    return bool(shown == sent)


@dataclass
class Judge:
    """
    Watches one apply.

    Args:
        wanted: what its manifests say; nothing, to destroy
        book: of its ledger
        before: what was there when it began
        complete: everything that has ever been run to its end, as the model names runs
        alone: nobody else applies at the same time
        beside: what another has adopted at the same moment, where both have one ledger
        lag_ms: how old something is before lists must show it
        broken: the rules that were broken, in words
        answered: the years whose image was made and paid
        heard: those that have arrived as well
    """

    who: str
    wanted: Manifests
    book: Book
    before: Held
    complete: set[str]
    broken: list[str]
    alone: bool = True
    beside: Manifests = field(default_factory=dict)
    lag_ms: float = 0.0
    approved: Approved = field(default_factory=Approved)
    protected: set[Address] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    starts: Counter[str] = field(default_factory=Counter)
    charged: int = 0
    heard: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)
    answers_pu: float = 0.0

    def __post_init__(self) -> None:
        declared = {one.address for one in self.wanted.values() if one.prevent}
        self.protected = {*self.book.protected, *declared}

    def _wrong(self, sent: Sent, why: str) -> None:
        self.broken.append(f"{self.who}: {sent}: {why}")

    # --- before a request is served ---------------------------------------------------------

    def arriving(self, sent: Sent, held: Held) -> None:
        """Judge a request that is about to be served."""
        if not self.approved.places(sent) and not self._is_race(sent, held):
            self._wrong(sent, f"the plan has not shown it: {sent.body}")
        match sent.method, sent.parts:
            case "POST", ["byoc", "v1", "collections"]:
                self._create(sent, held)
            case "PUT", ["byoc", "v1", "collections", made]:
                self._change(sent, made)
            case "DELETE", ["byoc", "v1", "collections", made]:
                self._delete(sent, made, held)
            case "POST", ["byoc", "v1", "collections", home, "tiles"]:
                self.book.paths.add((home, sent.body["path"]))
                if not self._declares(home, sent.body["path"]):
                    self._wrong(sent, "no manifest declares this tile")
            case (("PUT" | "POST"), ["byoc", "v1", "collections", home, "tiles", tile, *_]):
                if tile in held.tiles and not self._declares(home, held.tiles[tile].path):
                    self._wrong(sent, "no manifest declares this tile")
            case "DELETE", ["byoc", "v1", "collections", _, "tiles", tile]:
                self._delete_tile(sent, tile, held)
            case "POST", ["batch", "v2", "process", task, "start"]:
                self._start(sent, task, held)
            case "POST", ["batch", "v2", "process", *_]:
                pass
            case "POST", ["process", "v1"]:
                self._ask(sent)
            case _:
                self._wrong(sent, "shplan has no business with it")

    def _ask(self, sent: Sent) -> None:
        year = year_of(sent)
        if year not in {one.year for one in answers(self.wanted.values())}:
            self._wrong(sent, "no manifest asks for it")
        if year in self.book.answers | self.heard:
            self._wrong(sent, f"the image of {year} has come already, and is paid again")

    def _is_race(self, sent: Sent, held: Held) -> bool:
        """The loser of a race deletes what it has made itself, while that is empty."""
        match sent.method, sent.parts:
            case "DELETE", ["byoc", "v1", "collections", made]:
                return made in self.made and not held.of(made)
        return False

    def _create(self, sent: Sent, held: Held) -> None:
        key = (sent.body["name"], sent.body["s3Bucket"])
        self.book.claims.add(key)
        declared = [one for one in collections(self.wanted.values()) if one.key == key]
        if not declared:
            self._wrong(sent, "no manifest declares this collection")
            return
        others = {i for a, i in self.book.bound.items() if a != declared[0].address}
        bound = self.book.bound.get(declared[0].address, "")
        if bound in held.collections:
            return  # it is replaced, and whoever has the new name is somebody else
        there = [
            made
            for made in self.before.found(key)
            if made in held.collections and made not in others and self._is_visible(made)
        ]
        if there:
            self._wrong(sent, f"{there} could have been adopted, or a person asked")

    def _is_visible(self, made: str) -> bool:
        created = self.before.collections[made]["created_ms"]
        newest = max(one["created_ms"] for one in self.before.collections.values())
        return not self.lag_ms or bool(newest - created > self.lag_ms)

    def _change(self, sent: Sent, made: str) -> None:
        row = self.before.collections.get(made)
        key = None if row is None else (row["name"], row["bucket"])
        declared = {
            one.key for wanted in (self.wanted, self.beside) for one in collections(wanted.values())
        }
        if made not in {*self.book.bound.values(), *self.book.owned} and key not in declared:
            self._wrong(sent, "it is neither ours nor what a manifest names")

    def _delete(self, sent: Sent, made: str, held: Held) -> None:
        if made not in held.collections:
            return
        if made not in self.book.owned:
            self._wrong(sent, "the collection is not ours")
        foreign = [tile.path for tile in held.of(made) if tile.id not in self.book.owned]
        if foreign:
            self._wrong(sent, f"it holds {foreign}, which are not ours")
        kept = [a for a, i in self.book.bound.items() if i == made and a in self.protected]
        sets = {self.book.homes.get(tile.id) for tile in held.of(made)} & self.protected
        if kept or sets:
            self._wrong(sent, f"protected: {[*map(str, kept), *map(str, sets)]}")

    def _delete_tile(self, sent: Sent, made: str, held: Held) -> None:
        tile = held.tiles.get(made)
        if tile is None:
            return
        if self._declares(tile.collection, tile.path):
            self._wrong(sent, f"{tile.path} is declared")
        home = self.book.homes.get(made)
        if home in self.protected:
            self._wrong(sent, f"protected: {home}")
        exclusive = any(
            one.exclusive and self.book.bound.get(one.of) == tile.collection
            for one in tile_sets(self.wanted.values())
        )
        if made not in self.book.owned and not (exclusive and tile.collection in self.book.owned):
            self._wrong(sent, f"the tile {tile.path} is not ours")

    def _declares(self, home: str, path: str) -> bool:
        folder = path.partition("/(")[0]
        return any(
            folder in one.paths and self._may_be(one.of, home)
            for one in tile_sets(self.wanted.values())
        )

    def _may_be(self, address: Address, home: str) -> bool:
        bound = self.book.bound.get(address)
        if bound is not None and (bound == home or bound in self.before.collections):
            return bound == home or home in self.made
        one = self.wanted[address]
        return isinstance(one, Collection) and (
            home in self.made or home in self.before.found(one.key) or not self.alone
        )

    def _start(self, sent: Sent, made: str, held: Held) -> None:
        task = held.tasks.get(made)
        if task is None:
            return
        if not task.asked:
            self._wrong(sent, "the task is somebody else's")
            return
        if task.asked in self.complete:
            self._wrong(sent, f"{task.asked} was run to its end before, and is paid again")
        others = [one for one in held.asking(task.asked) if one.id != made]
        if any(one.is_running or one.is_complete for one in others):
            self._wrong(sent, f"{task.asked} runs already, or has run: {others}")
        asking = [one for one in batch_jobs(self.wanted.values()) if _asks(one, task.asked)]
        if not any(one.start == "auto" for one in asking):
            self._wrong(sent, f"nobody has asked to start {task.asked}")
        ended = [one for one in held.asking(task.asked) if one.has_ended]
        if ended and not any(one.rerun for one in asking):
            self._wrong(sent, f"{task.asked} has failed, and nobody has asked to run it again")

    # --- after it was served ----------------------------------------------------------------

    def hears(self, sent: Sent) -> None:
        """Note that the answer has arrived."""
        if sent.parts == ["process", "v1"] and year_of(sent) in self.answered:
            self.heard.add(year_of(sent))

    def served(
        self, sent: Sent, status: int, answer: Any, held: Held, *, cost_pu: float = 0.0
    ) -> None:
        """Note what a request has done."""
        if status >= 300:
            return
        if sent.parts == ["process", "v1"]:
            # Whose answer is lost asks again: the plan has said so.
            again = year_of(sent) in self.answered
            self.answered.add(year_of(sent))
            # The meter counts it among the calls, which cost 1 PU elsewhere.
            self.charged += 1
            self.answers_pu += cost_pu - 1.0
            if again:
                return
        if not self.approved.take(sent) and not self._is_race(sent, held):
            self._wrong(sent, "it took effect more often than the plan has shown")
        self.charged += sent.parts[0] == "byoc"
        match sent.method, sent.parts:
            case "POST", ["byoc", "v1", "collections"]:
                self.made.add(answer["data"]["id"])
                self.book.owned.add(answer["data"]["id"])
            case "DELETE", ["byoc", "v1", "collections", made]:
                self.book.owned -= {made, *(tile.id for tile in held.of(made))}
                self.book.bound = {a: i for a, i in self.book.bound.items() if i != made}
            case "POST", ["byoc", "v1", "collections", home, "tiles"]:
                self._made_tile(home, sent.body["path"], answer["data"]["id"])
            case "DELETE", ["byoc", "v1", "collections", _, "tiles", made]:
                self.book.owned.discard(made)
            case "POST", ["batch", "v2", "process", made, "start"] if made in held.tasks:
                task = held.tasks[made]
                self.starts[task.asked] += 1
                if self.starts[task.asked] > 1:
                    self._wrong(sent, f"{task.asked} was started twice by one apply")

    def _made_tile(self, home: str, path: str, made: str) -> None:
        self.book.owned.add(made)
        for one in tile_sets(self.wanted.values()):
            if path.partition("/(")[0] in one.paths and self._may_be(one.of, home):
                self.book.homes[made] = one.address


def year_of(sent: Sent) -> int:
    """What a request for an image asks for, as the model names them."""
    return int(sent.body["input"]["data"][0]["dataFilter"]["timeRange"]["from"][:4])


def _asks(job: Job, asked: str) -> bool:
    day, generation, source, place = asked.split(" ")
    mine = job.asked.split(" ")
    same = (mine[0], mine[1], mine[3]) == (day, generation, place)
    return same and (mine[2] == OF_ALL) == source.startswith("byoc-")
