"""
`ByocTiles`: the tiles of one collection, declared as one set.

Finding stands in `tile_find`, the join in `tile_join`, deciding in `tile_decide`, carrying out in
`tile_apply`. Facts: the API description's BYOC tile operations and the documentation's BYOC page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Result, Settlement
from shplan.core.errors import RefusedError
from shplan.core.planner import dependencies
from shplan.core.resource import Desired, MemberRecord
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.base import ChangeFailedError, Nature, Settings, Surroundings, Wanted
from shplan.providers.observation import Binding, Observation, Observed
from shplan.providers.reconciled import nothing, stated_record
from shplan.providers.steps import Flow, Scan
from shplan.providers.tile_checks import check_covers, check_times
from shplan.providers.tile_decide import change_of, decide_declared, decide_undeclared, record_of
from shplan.providers.tile_find import (
    FoundTiles,
    compare_files,
    explain_failures,
    look_for_missing,
    recover_covers,
    scan_lists,
)
from shplan.providers.tile_join import RULES, SharedList, TileJoin
from shplan.providers.tile_requests import list_tiles
from shplan.providers.tile_sets import KIND, Elsewhere


class ByocTiles:
    """The provider of one kind; see `providers.base.Provider`."""

    kind = KIND
    nature = Nature.RECONCILED
    natural_key = ("collection", "path")
    members_field: str | None = "tiles"
    script_path: Path | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    rules = RULES

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what the schema cannot: closed rings of at most a hundred points, real instants."""
        return [*check_covers(desired), *check_times(desired)]

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """List the tiles of each collection once, all collections side by side."""
        sets = {one.address: FoundTiles.of(one, surroundings) for one in wanted}
        here = [one.join for one in sets.values() if one.is_there]
        former = [one.former for one in sets.values() if one.former is not None]
        yield from scan_lists((*here, *former))
        yield from look_for_missing(here, surroundings)
        yield from recover_covers(here)
        yield from explain_failures(here)
        yield from compare_files(here, surroundings)
        elsewhere = Elsewhere(surroundings)
        for address, one in sets.items():
            one.finish(address, elsewhere, surroundings.unconfirmed)
            one.twins = elsewhere.twins(address, one.join)
        return {
            address: Observed("", {"collection": one.join.collection}, Binding.RECORDED, detail=one)
            for address, one in sets.items()
        }

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Plan one change of the set."""
        found = cast("FoundTiles", cast("Observed", observation).detail)
        if wanted.desired is None:
            return (decide_undeclared(wanted, found, surroundings),)
        if not wanted.desired.lifecycle.managed:
            return (
                replace(change_of(wanted.desired), action=Action.READ, reason=Reason.UNMANAGED),
            )
        return (decide_declared(wanted, wanted.desired, found),)

    def attributes(
        self,
        change: Change,
        observation: Observation,
    ) -> Object | None:
        """Return what references see: the collection, once the tiles can be there."""
        collection = change.record.get("collection")
        return {"collection": collection} if isinstance(collection, str) else None

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry the changes of the tiles out, a hundred to an intent, and wait for ingestion."""
        from shplan.providers.tile_apply import apply_tiles  # noqa: PLC0415 - plans do not need it

        return nothing() if change.action is Action.READ else apply_tiles(change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Own the tiles of a collection that are declared at this moment."""
        stated = desired.spec.get("collection")
        if stated != confirmed:
            message = f"{desired.address} belongs to collection {stated}, not to {confirmed}"
            raise ChangeFailedError(message)
        join = TileJoin.of(desired, None, confirmed)
        columns = join.columns
        try:
            yield Scan(list_tiles(confirmed, columns), SharedList([join], columns).take)
        except RefusedError as error:
            message = f"there is no collection {confirmed} on this deployment"
            raise ChangeFailedError(message) from error
        found = [member for member in join.changes if member.operation == "adopt"]
        return Settlement(
            Result.DONE,
            id=confirmed,
            owned=True,
            spec=stated_record(record_of(desired)),
            prevent_destroy=desired.lifecycle.prevent_destroy,
            depends_on=tuple(str(address) for address in dependencies(desired)),
            members={m.key: MemberRecord(m.id, m.stated, m.digest) for m in found},
            data={"collection": confirmed},
        )
