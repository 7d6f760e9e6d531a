"""
The provider of a kind that is declared by an `ObjectApi`: what `providers.base.Provider` asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.base import Nature, Settings, Surroundings, Wanted
from shplan.providers.observation import Observation
from shplan.providers.reconciled_api import ObjectApi, check_key
from shplan.providers.reconciled_decide import attributes_of, decide_object
from shplan.providers.reconciled_find import refresh_objects
from shplan.providers.steps import Flow


class ObjectProvider:
    """A kind of objects; a kind of its own adds what its schema cannot say (`check`)."""

    nature = Nature.RECONCILED
    members_field: str | None = None
    script_path: Path | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()

    def __init__(self, api: ObjectApi) -> None:
        self.api = api
        self.kind = api.kind
        self.natural_key = api.natural_key
        self.rules = api.rules

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check that everybody may see by what an object is found."""
        del tables
        return [*check_key(self.api, desired)]

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Find all objects by one list, and one GET for each missing."""
        return refresh_objects(self.api, wanted, surroundings)

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Compare three ways, by the rules of the declaration."""
        del surroundings
        return decide_object(self.api, wanted, observation)

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see: nothing before a create, the planned object afterwards."""
        return attributes_of(self.api, change, observation)

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry one change out."""
        from shplan.providers.reconciled_apply import apply_object  # noqa: PLC0415 - plans do not

        return apply_object(self.api, change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Bind an object by its id, and own it from now on."""
        from shplan.providers.reconciled_apply import confirm_object  # noqa: PLC0415

        del surroundings
        return confirm_object(self.api, desired, confirmed)
