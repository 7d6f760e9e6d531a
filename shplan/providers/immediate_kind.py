"""
The provider of a kind that is answered at once, but for what the kinds differ in.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.fields import FieldRules
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path, is_known
from shplan.providers.answer_places import PlaceError, Places
from shplan.providers.base import Nature, Settings, Surroundings, Wanted
from shplan.providers.immediate import (
    ImmediateApi,
    directory_of,
    known_files,
    refresh_immediate,
    view_of,
)
from shplan.providers.immediate_answer import attributes_of
from shplan.providers.immediate_apply import apply_immediate
from shplan.providers.immediate_confirm import confirm_immediate
from shplan.providers.immediate_decide import decide_immediate
from shplan.providers.job_checks import check_ignoring
from shplan.providers.observation import Observation
from shplan.providers.steps import Flow


class ImmediateKind:
    """
    What `Process` and `Statistics` have in common.

    Args:
        api: what it asks, and what its answers mean
    """

    nature = Nature.JOB
    natural_key: tuple[str, ...] = ()
    members_field: str | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    # A job is compared by its run key, never field by field.
    rules = FieldRules()

    def __init__(self, api: ImmediateApi, *, script_path: Path) -> None:
        self._api = api
        self.script_path: Path | None = script_path

    @property
    def kind(self) -> str:
        """The name in manifests and addresses."""
        return self._api.kind

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check the request, where its answer goes, and what means nothing for a job."""
        del tables
        return [*check_ignoring(desired), *self._api.check(desired), *self._check_output(desired)]

    def writes(self, desired: Desired) -> Places | None:
        """Return where the answer goes, with `{{ run.key }}` in it; None while that is not known."""
        output = desired.run.get("output")
        if not is_known(output) or not is_known(desired.spec.get("output")):
            return None
        try:
            return self._api.places(desired.spec, output, directory_of(desired))
        except PlaceError:
            return None

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Look at the files; there is nothing on the server."""
        return refresh_immediate(self._api, wanted, surroundings)

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Decide by the run key and the files; see `immediate_decide`."""
        return (decide_immediate(self._api, wanted, observation, surroundings),)

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see: nothing before the answer has its receipt."""
        view = view_of(observation)
        receipt = None if view.run is None else view.run.receipt
        if receipt is None or change.action is not Action.NOOP or view.places is None:
            return None
        known = known_files((), receipt, view.witnesses)
        own = {one.path: one for one in reversed(known)}
        targets = (own.get(target.path) for target in view.places.targets)
        return attributes_of(receipt, tuple(one for one in targets if one is not None))

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry one change out."""
        return apply_immediate(self._api, change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Take the files at the places for the answer, as a person says."""
        return confirm_immediate(self._api, desired, confirmed, surroundings)

    def _check_output(self, desired: Desired) -> list[Diagnostic]:
        output = desired.run.get("output")
        if not is_known(output) or not is_known(desired.spec.get("output")):
            return []
        try:
            self._api.places(desired.spec, output, directory_of(desired))
        except PlaceError as error:
            found = Diagnostic(
                code="run/output",
                summary="No place for the answer",
                what=f"`output` of {desired.address.base}: {error.what}",
                why=error.why,
                hint=error.hint,
                span=desired.source.span(("run", "output", *error.path)),
                address=str(desired.address.base),
            )
            return [found]
        return []
