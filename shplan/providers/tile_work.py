"""
What one apply of a set of tiles has in hand, and what an answer about a tile says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.change import Change, MemberChange
from shplan.core.entry import Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError
from shplan.core.request import Answer
from shplan.core.resource import MemberRecord
from shplan.core.value import JsonObject, JsonValue, Value
from shplan.providers.base import Fault, Settings
from shplan.providers.reconciled import data_object
from shplan.providers.steps import Reply
from shplan.providers.tile_requests import text_of


@dataclass(slots=True)
class TileWork:
    """What one apply of a set has in hand."""

    change: Change
    settings: Settings
    awaited: dict[str, MemberChange] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    done: int = 0
    waited_for_home: bool = False

    @property
    def collection(self) -> str:
        """The collection that the set belongs to."""
        return text_of(self.change.record.get("collection")) or text_of(
            self.change.current.get("collection")
        )

    @property
    def left(self) -> JsonObject:
        """What the ledger has to remember of a collection that the set has left."""
        left = self.change.current.get("left")
        return {"left": cast("JsonValue", left)} if left else {}

    def refuse(self, member: MemberChange, error: ApiError) -> None:
        """Note a refusal beside the place in the manifest that caused it."""
        path = place_of(member)
        if member.index >= 0:
            path = (*path, *_parameter(error))
        said = "; ".join(error.violations if isinstance(error, RefusedError) else ()) or str(error)
        self.faults.append(Fault(path, f"{member.key}: {said}"))

    def learnt(self, **more: object) -> Settlement:
        """Return what every entry about this set repeats: where it is and how it is protected."""
        base = Settlement(
            Result.DONE,
            id=self.collection,
            owned=True,
            spec=cast("JsonObject", self.change.record),
            prevent_destroy=self.change.prevent_destroy,
            depends_on=tuple(str(address) for address in self.change.depends_on),
            data={"collection": self.collection, **self.left},
        )
        return replace(base, **more)  # type: ignore[arg-type]


def learnt_of(work: TileWork, todo: Sequence[MemberChange], **more: object) -> Settlement:
    """Return what the ledger learns of a group; the set stays where the group is."""
    learnt = work.learnt(**more)
    home = home_of(todo[0])
    if home in ("", work.collection):
        return learnt
    return replace(learnt, id=home, spec=None, data={"collection": home})


def home_of(member: MemberChange) -> str:
    """Return the collection that a delete is about, empty for everything else."""
    if member.operation != "delete" or member.request is None:
        return ""
    return text_of(member.request.parameters.get("collectionId"))


def place_of(member: MemberChange | None) -> tuple[str | int, ...]:
    """Return where the manifest declares a tile."""
    if member is None or member.index < 0:
        return ("spec",)
    return ("spec", "tiles", member.index)


def member_record(work: TileWork, member: MemberChange, tile: str) -> MemberRecord:
    """Return what the ledger keeps of a tile, with its file as it was looked at."""
    etag, size_bytes = work.files.get(member.key, (member.etag, member.size_bytes))
    return MemberRecord(
        tile, member.stated, member.digest, owned=member.owned, etag=etag, size_bytes=size_bytes
    )


def id_of(member: MemberChange, reply: Reply) -> str:
    """Return the id that the service has given a tile, else the one that is known."""
    made = data_object(reply) if isinstance(reply, Answer) else None
    return text_of((made or {}).get("id")) or member.id


def is_lost(reply: Reply) -> bool:
    """Tell whether nobody knows if a request was carried out."""
    return isinstance(reply, NoAnswerError)


def is_good(operation: str, reply: Reply) -> bool:
    """Tell whether what was asked for is so: what is to be deleted may be gone already."""
    if isinstance(reply, Answer):
        return True
    return operation == "delete" and isinstance(reply, RefusedError) and reply.status == 404


def _parameter(error: ApiError) -> tuple[str, ...]:
    """Return the field that the server names. Source: API description, error `errors`."""
    errors = error.errors if isinstance(error, RefusedError) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    named = first.get("parameter") if isinstance(first, dict) else None
    return tuple(named.split("->")) if isinstance(named, str) else ()


def values_of(value: Value) -> list[JsonValue]:
    """Return a list as it is, everything else as an empty one."""
    return cast("list[JsonValue]", value) if isinstance(value, list) else []
