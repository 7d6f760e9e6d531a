"""
The provider of a kind of jobs that run on the server, but for what the kinds differ in.

What a kind asks and what its answers mean is declared by its `JobApi`.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.fields import FieldRules
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.base import Nature, Settings, Surroundings, Wanted
from shplan.providers.job import JobApi, view_of
from shplan.providers.job_apply import apply_job
from shplan.providers.job_checks import check_ignoring
from shplan.providers.job_confirm import confirm_job
from shplan.providers.job_decide import decide_job
from shplan.providers.job_outcome import attributes_of
from shplan.providers.job_refresh import refresh_jobs
from shplan.providers.observation import Observation, Observed
from shplan.providers.steps import Flow


class JobKind:
    """
    What `BatchProcess`, `BatchStatistics` and `AsyncProcess` have in common.

    A kind of its own adds what its schema cannot say (`check`), and which API a version of it is
    (`api_of`).

    Args:
        api: what it asks, and what its answers mean
        script_path: where below `spec` its evalscript stands
    """

    nature = Nature.JOB
    natural_key: tuple[str, ...] = ()
    members_field: str | None = None
    text_field: str | None = None
    secret_fields = frozenset({"accessKey", "secretAccessKey", "credentials"})
    # A job is compared by its run key, never field by field.
    rules = FieldRules()

    def __init__(self, api: JobApi, *, script_path: Path) -> None:
        self._api = api
        self.script_path: Path | None = script_path

    @property
    def kind(self) -> str:
        """The name in manifests and addresses."""
        return self._api.kind

    def api_of(self, version: object) -> JobApi:
        """Return the API of the version that a manifest or the ledger names, if any."""
        del version
        return self._api

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what means nothing for a job."""
        del tables
        return check_ignoring(desired)

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Find all tasks by one list an API; a job that has its receipt is not looked for."""
        by_api: dict[str, tuple[JobApi, list[Wanted]]] = {}
        for one in wanted:
            api = self.api_of(_version_of(one))
            by_api.setdefault(api.api, (api, []))[1].append(one)
        found: dict[Address, Observation] = {}
        for api, group in by_api.values():
            found |= yield from refresh_jobs(api, tuple(group), surroundings)
        return found

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Decide by the run key; see `job_decide`."""
        return (decide_job(self.api_of(_version_of(wanted)), wanted, observation, surroundings),)

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see: nothing before the run has its receipt."""
        run = view_of(observation).run if isinstance(observation, Observed) else None
        receipt = None if run is None else run.receipt
        if receipt is None or change.action is not Action.NOOP:
            return None
        return attributes_of(receipt)

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry one change out."""
        return apply_job(self.api_of(change.current.get("api")), change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Bind a task by its id: what its echo, the ledger or a copy of it shows to be this run."""
        api = self.api_of(desired.run.get("api"))
        return confirm_job(api, desired, confirmed, surroundings)


def _version_of(wanted: Wanted) -> object:
    """Return the version of the API that a job is for: what is removed knows it from the ledger."""
    if wanted.desired is not None:
        return wanted.desired.run.get("api")
    return None if wanted.recorded is None else wanted.recorded.data.get("api")


__all__ = ["JobKind"]
