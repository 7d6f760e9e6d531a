"""
A project from its files: parse, expand, evaluate, check; everything that is wrong, in one go.

Pure apart from reading files through one reader: the same files and inputs give the same result.
Observed attributes are no part of it; what needs them stays unknown and is filled in by the resolver.
The parts are modules of their own; here is their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import shplan
from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired
from shplan.core.value import Value
from shplan.manifest.complaints import Complaints
from shplan.manifest.data_questions import DataQuestions
from shplan.manifest.declarations import Declarations
from shplan.manifest.instances import Instances
from shplan.manifest.load_checks import ManifestChecks
from shplan.manifest.loaded import Kind, Loaded, Order
from shplan.manifest.loading import Loading
from shplan.manifest.local_scripts import LocalScripts
from shplan.manifest.meaning import cycles, members_twice
from shplan.manifest.member_tables import Listings
from shplan.manifest.origin import Origin
from shplan.manifest.outputs import check_outputs
from shplan.manifest.produced import without_collection
from shplan.manifest.project import Environment, Project, check_version, select_environment
from shplan.manifest.project_file import ProjectFile
from shplan.manifest.readings import Readings
from shplan.manifest.receipts_place import check_receipts
from shplan.manifest.resolve import PROJECT_SCOPE, Resolution
from shplan.manifest.resources import Resources
from shplan.manifest.scope import Scope
from shplan.manifest.source import DiskReader, Files, Reader
from shplan.manifest.variables import VariableInputs
from shplan.providers.request_checks import check_requests
from shplan.schema.store import tables

API_VERSION = "shplan/v1"


def load(
    root: Path,
    *,
    registry: Mapping[str, Kind],
    environment: str | None = None,
    variables: VariableInputs | None = None,
    ci: bool = False,
    reader: Reader | None = None,
    version: str = shplan.__version__,
    listings: Listings | None = None,
) -> Loaded:
    """
    Load the project in a directory, without anything that only a server knows.

    Args:
        root: the directory that holds `shplan.yaml`
        registry: the providers by kind
        environment: what `-e` or `SHPLAN_ENVIRONMENT` says, None for neither
        variables: values from the command line and the process's environment
        ci: nobody watches
        listings: what was found in buckets so far; `Loaded.listings` says what is asked for
    """
    given = variables or VariableInputs()
    order = Order(root, registry, environment, given, ci, reader, version)
    return load_as(order if listings is None else replace(order, listings=listings))


def load_as(order: Order) -> Loaded:
    """Load a project with what data kinds gave so far; ask for what they have not given yet."""
    return _Loader(order).load()


class _Loader:
    """One load; gathers diagnostics instead of stopping at the first."""

    def __init__(self, order: Order) -> None:
        files = Files(order.root, order.reader or DiskReader())
        self._state = Loading(order, files, Complaints(files))
        self._file = ProjectFile(self._state)
        self._instances = Instances(self._state)
        self._resources = Resources(self._state, self._instances)
        self._scripts = LocalScripts(self._state)
        self._questions = DataQuestions(self._state)

    def load(self) -> Loaded:
        state = self._state
        origin, document = self._file.document()
        project = self._file.project(document, origin)
        chosen = self._chosen(project, origin)
        declarations = Declarations(state)
        for found in self._file.manifests(project, origin) if state.order.manifests else ():
            declarations.read(found)
        scope = self._begin(chosen)
        try:
            resources = self._all()
        finally:
            self._scripts.close()
        checks = ManifestChecks(state)
        outputs: Mapping[str, Value] = {}
        if state.order.manifests:
            outputs = checks.outputs(project, document, origin, scope)
            checks.addresses(project, resources)
        questions = self._questions.all(resources, chosen.name)
        return Loaded(
            root=state.files.root,
            project=project,
            environment=chosen,
            resources=resources,
            diagnostics=state.complaints.ordered(),
            resolver=state.resolution,
            outputs=outputs,
            moved=project.moved,
            forget=project.forget,
            files=dict(sorted(state.files.digests.items())),
            texts=state.complaints.texts,
            variables=state.variables,
            questions=questions,
            awaited=self._questions.awaited(questions),
            order=state.order,
            listings=self._resources.tables.listings,
        )

    def _chosen(self, project: Project, origin: Origin) -> Environment:
        """Choose the environment, and give variables their values."""
        order, complaints = self._state.order, self._state.complaints
        complaints.diagnostics += check_version(project, order.version, origin)
        complaints.diagnostics += check_receipts(project.receipts, origin)
        chosen, problems = select_environment(
            project, order.environment, ci=order.ci, origin=origin
        )
        # A project file that cannot be read says nothing of environments and variables.
        if project.name:
            complaints.diagnostics += problems
            self._state.deployment = chosen.deployment
            if not problems and order.manifests:
                self._file.set_variables(project, chosen, order.variables, origin)
        return chosen

    def _begin(self, chosen: Environment) -> Scope:
        """Make what expressions can ask for, now that everything is declared."""
        state = self._state
        readings = Readings(
            state.order.readings,
            state.files,
            environment=chosen.name,
            pulling=state.order.pulling,
            specs=self._questions.spec,
            tables=tables(),
        )
        resolution = Resolution(
            state.files,
            declared=state.manifests,
            expand=self._instances.keys,
            local=self._scripts.text,
            given=readings.seen,
            names=self._questions.names,
            observed=self._scripts.check_observed,
            incomplete=state.incomplete,
        )
        state.begin(resolution, readings)
        return resolution.add_scope(Scope(PROJECT_SCOPE, state.variables, whole_references=True))

    def _all(self) -> tuple[Desired, ...]:
        state = self._state
        resources: list[Desired] = []
        sets: list[tuple[Desired, str]] = []
        for address in sorted(state.manifests):
            manifest = state.manifests[address]
            self._instances.expand(manifest)
            if manifest.broken:
                continue
            for instance in self._instances.of(manifest):
                desired = self._resources.desired(manifest, instance)
                if desired is not None:
                    resources.append(desired)
                    if manifest.kind.members_field:
                        sets.append((desired, manifest.kind.members_field))
        resources.sort(key=lambda one: one.address)
        state.complaints.diagnostics += cycles(resources)
        state.complaints.diagnostics += members_twice(sets)
        kinds = [(one, state.order.registry[one.address.kind]) for one in resources]
        state.complaints.diagnostics += without_collection(resources)
        state.complaints.diagnostics += check_outputs(kinds, files=state.files.digests)
        partial = self._resources.partial
        looked_at = self._scripts.all([*resources, *partial])
        self._check(looked_at)
        return tuple(looked_at[: len(resources)])

    def _check(self, resources: list[Desired]) -> None:
        """Ask the kinds what is wrong; with a manifest, and not with each of its instances."""
        complaints: dict[Diagnostic, None] = {}
        for desired in resources:
            found = self._state.order.registry[desired.address.kind].check(desired, tables())
            found += check_requests(desired, tables(), deployment=self._state.deployment)
            complaints.update(dict.fromkeys(found))
        self._state.complaints.diagnostics += complaints


__all__ = ["Kind", "Loaded", "Order", "VariableInputs", "load", "load_as"]
