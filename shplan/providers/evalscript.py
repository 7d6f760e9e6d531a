"""
`Evalscript`: a JavaScript file of the repository that requests refer to. It exists only here.

The file is read, checked and run for its facts while manifests are loaded; on the server there is
nothing to refresh, to change or to delete.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.fields import FieldRules
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.base import ChangeFailedError, Nature, Settings, Surroundings, Wanted
from shplan.providers.observation import Absent, Observation
from shplan.providers.reconciled import nothing
from shplan.providers.steps import Flow


class Evalscript:
    """The provider of the kind."""

    kind = "Evalscript"
    nature = Nature.LOCAL
    natural_key: tuple[str, ...] = ()
    members_field: str | None = None
    script_path: Path | None = None
    text_field: str | None = "file"
    secret_fields: frozenset[str] = frozenset()
    rules = FieldRules()

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check nothing: the file was checked when it was read."""
        del desired, tables
        return []

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Ask nobody."""
        del surroundings
        yield from ()
        return {one.address: Absent() for one in wanted}

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Plan nothing: a changed script is another run key of the jobs that use it."""
        del observation, surroundings
        return (Change(wanted.address, Action.NOOP, Reason.LOCAL),)

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return nothing: references to it were filled while loading."""
        del change, observation
        return {}

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Do nothing."""
        del change, settings
        return nothing()

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """
        Refuse: there is no object.

        Raises:
            ChangeFailedError: always
        """
        yield from ()
        message = f"{desired.address} is a file of the repository; {confirmed} cannot be that"
        raise ChangeFailedError(message)
