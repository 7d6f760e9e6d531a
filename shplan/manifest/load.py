"""
A project from its files: parse, expand, evaluate, check; everything that is wrong, in one go.

Pure apart from reading files through one reader: the same files and inputs give the same result.
Observed attributes are no part of it; what needs them stays unknown and is filled in by the resolver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import shplan
from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, SourceSpan, of_all_instances, ordered
from shplan.core.frozen import dataclass
from shplan.core.reading import Reading
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import (
    JsonObject,
    JsonValue,
    Object,
    Reference,
    Sensitive,
    Unknown,
    Value,
)
from shplan.core.value import Path as ValuePath
from shplan.manifest.expand import ExpandError, Instance, expand, keys_wait_for
from shplan.manifest.expressions import ExpressionError, KeysUnknownError, Scope, evaluate
from shplan.manifest.geodata import sentence
from shplan.manifest.ignored import unknown_step
from shplan.manifest.meaning import cycles, members_twice
from shplan.manifest.member_tables import Listings, MemberTables
from shplan.manifest.members import Rows
from shplan.manifest.origin import MemberPlaces, Origin, Text
from shplan.manifest.outputs import check_outputs
from shplan.manifest.parse import Document, kind_of, parse
from shplan.manifest.produced import without_collection
from shplan.manifest.project import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_MANIFESTS,
    Environment,
    Forget,
    Move,
    Project,
    check_version,
    read_project,
    select_environment,
    without,
)
from shplan.manifest.readings import Question, Readings, known_later, missing_pin, one_form
from shplan.manifest.resolve import (
    FOLLOWS,
    PROJECT_SCOPE,
    Resolution,
    diagnostic,
    evaluate_tree,
    references_of,
)
from shplan.manifest.scanner import holds_expression
from shplan.manifest.source import (
    PROJECT_FILE,
    DiskReader,
    FileError,
    Files,
    Found,
    Reader,
    Texts,
    find_manifests,
)
from shplan.manifest.validate import violations
from shplan.manifest.variables import VariableInputs, resolve_variables
from shplan.manifest.violation import Violation
from shplan.manifest.wording import dotted, listed, nearest, shown
from shplan.providers.data import PIN, DataProvider
from shplan.providers.request_checks import check_requests
from shplan.schema.store import manifest_kinds, tables

if TYPE_CHECKING:
    from shplan.manifest.script_checks import ScriptChecks
    from shplan.manifest.scripts import Scripts

API_VERSION = "shplan/v1"
PROJECT_KIND = "Project"
FROM = "from"
MEMBERS_AT_ONCE = 10_000
MAX_RESOURCES = 100_000


class Kind(Protocol):
    """What loading needs to know of a provider."""

    @property
    def members_field(self) -> str | None:
        """The field of `spec` that lists the members of a set."""
        ...

    @property
    def secret_fields(self) -> frozenset[str]:
        """Names of fields that take only `secret(...)`."""
        ...

    @property
    def script_path(self) -> ValuePath | None:
        """Where below `spec` an evalscript stands, None for a kind without one."""
        ...

    @property
    def text_field(self) -> str | None:
        """The field of `spec` that names the file which references to it stand for."""
        ...

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Say what a schema cannot of one resource."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    What the files of a project say.

    Args:
        resources: sorted by address
        diagnostics: sorted by place; with an error among them the rest must not be used
        resolver: fills in unknown values later (`engine.ports.Resolver`)
        outputs: the project's outputs, with unknowns where attributes are needed
        files: the SHA-256 of every file that was read, by path relative to the project
        texts: the same files' texts for messages, secrets blanked out
        variables: the value of every declared variable
        questions: what every data kind is asked, and its answer where there is one
        awaited: data without an answer that instances depend on
        order: what it was loaded from
        listings: what is asked of buckets; without an answer to each of it members are missing
    """

    root: Path
    project: Project
    environment: Environment
    resources: tuple[Desired, ...]
    diagnostics: tuple[Diagnostic, ...]
    resolver: Resolution
    outputs: Mapping[str, Value]
    moved: tuple[Move, ...]
    forget: tuple[Forget, ...]
    files: Mapping[str, str]
    texts: Mapping[str, str]
    variables: JsonObject
    questions: tuple[Question, ...]
    awaited: frozenset[Address]
    order: Order
    listings: Listings


@dataclass(frozen=True, slots=True)
class Order:
    """
    What is to be loaded, and from what.

    Args:
        root: the directory that holds `shplan.yaml`
        registry: the providers by kind
        environment: what `-e` or `SHPLAN_ENVIRONMENT` says, None for neither
        variables: values from the command line and the process's environment
        ci: nobody watches
        readings: what data kinds gave so far
        listings: what was found in buckets so far
        settled: no more will be read, so that what is unknown stays so while planning
        pulling: pins are about to be written: those that are missing are no error
    """

    root: Path
    registry: Mapping[str, Kind]
    environment: str | None = None
    variables: VariableInputs = field(default_factory=VariableInputs)
    ci: bool = False
    reader: Reader | None = None
    version: str = shplan.__version__
    readings: Mapping[Address, Reading] = field(default_factory=dict)
    listings: Listings = field(default_factory=Listings)
    settled: bool = False
    pulling: bool = False


@dataclass(slots=True)
class _Manifest:
    """A document that declares a resource."""

    address: Address
    document: Document
    origin: Origin
    directory: str
    kind: Kind
    dynamic: frozenset[int]
    instances: list[Instance] | None = None
    expanded: bool = False
    broken: bool = False
    # What its instances depend on and nobody has read yet.
    waits_for: tuple[Reference, ...] = ()

    @property
    def body(self) -> JsonObject:
        return cast(JsonObject, self.document.value)

    @property
    def metadata(self) -> JsonObject:
        return cast(JsonObject, self.body["metadata"])


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


def _too_many() -> ExpandError:
    return ExpandError(
        (),
        f"with its instances the project has more than {MAX_RESOURCES:,} resources.",
        hint="divide it into several projects",
    )


class _Loader:
    """One load; gathers diagnostics instead of stopping at the first."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.files = Files(order.root, order.reader or DiskReader())
        self.tables = MemberTables(self.files, order.listings, stated=self._stated)
        self.registry = order.registry
        self.diagnostics: list[Diagnostic] = []
        self.told: set[Diagnostic] = set()
        self._instances = 0
        self.masks: dict[str, list[tuple[int, int]]] = {}
        self.texts = Texts(self.files, self.masks)
        self.manifests: dict[Address, _Manifest] = {}
        self.variables: JsonObject = {}
        self.incomplete = False
        self._scripts: Scripts | None = None
        self._script_checks: ScriptChecks | None = None
        self._scripted: dict[Address, tuple[str, Desired, ValuePath]] = {}
        self._deployment = ""
        self.local_texts: dict[Address, str | None] = {}
        self._data_specs: dict[Address, Object] = {}
        self._reading: list[Address] = []
        self.readings = self._readings("")
        self.resolution = self._resolution()

    def load(self) -> Loaded:
        order = self.order
        origin, document = self._project_document()
        project = self._project(document, origin)
        self.diagnostics += check_version(project, order.version, origin)
        chosen, problems = select_environment(
            project, order.environment, ci=order.ci, origin=origin
        )
        self.readings = self._readings(chosen.name)
        # A project file that cannot be read says nothing of environments and variables.
        if project.name:
            self.diagnostics += problems
            self._deployment = chosen.deployment
            if not problems:
                self._set_variables(project, chosen, order.variables, origin)
        for found in self._found(project, origin):
            self._read_manifest(found)
        self.resolution = self._resolution()
        scope = Scope(PROJECT_SCOPE, self.variables, whole_references=True)
        self.resolution.add_scope(scope)
        try:
            resources = self._resources()
        finally:
            if self._scripts is not None:
                self._scripts.close()
        outputs = self._outputs(project, document, origin, scope)
        questions = self._questions(resources, chosen.name)
        self._check_addresses(project, resources)
        return Loaded(
            root=self.files.root,
            project=project,
            environment=chosen,
            resources=resources,
            diagnostics=of_all_instances(
                ordered(one for one in dict.fromkeys(self.diagnostics) if one.code != FOLLOWS)
            ),
            resolver=self.resolution,
            outputs=outputs,
            moved=project.moved,
            forget=project.forget,
            files=dict(sorted(self.files.digests.items())),
            texts=self.texts,
            variables=self.variables,
            questions=questions,
            awaited=self._awaited(questions),
            order=order,
            listings=self.tables.listings,
        )

    def _readings(self, environment: str) -> Readings:
        return Readings(
            self.order.readings,
            self.files,
            environment=environment,
            specs=self._data_spec,
            tables=tables(),
        )

    def _resolution(self) -> Resolution:
        return Resolution(
            self.files,
            declared=self.manifests,
            expand=self._keys,
            local=self._local_text,
            given=self.readings.seen,
            observed=self._check_observed,
            incomplete=self.incomplete,
        )

    def complain(
        self,
        code: str,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        span: SourceSpan | None = None,
        address: str = "",
        related: tuple[SourceSpan, ...] = (),
    ) -> None:
        self.diagnostics.append(
            Diagnostic(f"manifest/{code}", summary, what, why, hint, span, address, related=related)
        )

    # --- the project file --------------------------------------------------------------------

    def _project_document(self) -> tuple[Origin, Document | None]:
        path = self.files.root / PROJECT_FILE
        try:
            text = self.files.read_text(path)
        except FileError as error:
            self.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} {sentence(error)}",
                why="A project is a directory with this file.",
                hint="make a project with `shplan init`, or name one with `--project DIR`",
            )
            self.incomplete = True
            return Origin(Text(PROJECT_FILE, ""), 0), None
        self.texts.remember(PROJECT_FILE, text)
        parsed = parse(text, file=PROJECT_FILE)
        self.diagnostics += parsed.diagnostics
        source = Text(PROJECT_FILE, text)
        documents = parsed.documents
        if parsed.complete and not documents:
            self.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} is empty.",
                hint="begin it with:\napiVersion: shplan/v1\nkind: Project\nmetadata: {name: NAME}\nspec: {}",
                span=source.at(0),
            )
        for extra in documents[1:]:
            self.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} holds {len(documents)} documents; it must hold the project alone.",
                hint=f"move this document to a file below {DEFAULT_MANIFESTS}",
                span=source.at(extra.start),
            )
        first = documents[0] if documents else None
        return Origin(source, first.index if first else 0), first

    def _project(self, document: Document | None, origin: Origin) -> Project:
        nothing = Project(
            "",
            environments={
                DEFAULT_ENVIRONMENT: Environment(DEFAULT_ENVIRONMENT, deployment="sandbox")
            },
            manifests=(),
        )
        if document is None:
            return nothing
        value = document.value
        if isinstance(value, dict) and value.get("kind") not in (None, PROJECT_KIND):
            self.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} declares a {shown(value['kind'])}; it must declare the project.",
                hint=f"write `kind: Project` here, and resources in files below {DEFAULT_MANIFESTS}",
                span=origin.span(("kind",)),
            )
            return nothing
        wrong = violations(PROJECT_KIND, cast(Value, value), subject=PROJECT_FILE, fresh=set())
        self._tell(wrong, origin, "")
        usable = without(value, [one.path for one in wrong])
        return nothing if usable is None else read_project(usable, origin)

    def _set_variables(
        self, project: Project, environment: Environment, inputs: VariableInputs, origin: Origin
    ) -> None:
        contents = {}
        for file in inputs.files:
            parsed = parse(file.text, file=file.label)
            self.texts.remember(file.label, file.text)
            self.diagnostics += parsed.diagnostics
            value = parsed.documents[0].value if parsed.documents else {}
            if isinstance(value, dict):
                contents[file.label] = value
            else:
                self.complain(
                    "variable",
                    "Variable file cannot be used",
                    f"{file.label} holds {kind_of(value)}; it must map names of variables to values.",
                    span=Text(file.label, file.text).at(0),
                )
        self.variables, problems = resolve_variables(
            project, environment, inputs, files=contents, origin=origin
        )
        self.diagnostics += problems
        # So that an expression does not complain again about a variable whose value is wrong.
        for name in project.variables:
            if name not in self.variables:
                self.variables[name] = cast(JsonValue, Unknown(name, PROJECT_SCOPE, ()))

    def _found(self, project: Project, origin: Origin) -> list[Found]:
        found: dict[str, Found] = {}
        for index, entry in enumerate(project.manifests):
            try:
                found.update({one.relative: one for one in find_manifests(self.files, entry)})
            except FileError as error:
                if entry == DEFAULT_MANIFESTS and "does not exist" in str(error):
                    continue  # a project without any resource yet
                self.complain(
                    "file",
                    "File cannot be used",
                    f"{entry} {sentence(error)}",
                    span=origin.span(("spec", "manifests", index)),
                )
        return [found[name] for name in sorted(found)]

    # --- manifests ---------------------------------------------------------------------------

    def _read_manifest(self, found: Found) -> None:
        try:
            text = self.files.read_text(found.path)
        except FileError as error:
            self.incomplete = True
            self.complain(
                "file",
                "File cannot be used",
                f"{found.relative} {sentence(error)}",
                span=SourceSpan(found.relative, 1, 1, 2),
            )
            return
        self.texts.remember(found.relative, text)
        parsed = parse(text, file=found.relative)
        self.diagnostics += parsed.diagnostics
        self.incomplete |= not parsed.complete
        source = Text(found.relative, text)
        directory = Path(found.relative).parent.as_posix()
        for document in parsed.documents:
            self._declare(document, Origin(source, document.index), directory)

    def _declare(self, document: Document, origin: Origin, directory: str) -> None:
        header = self._header(document.value, origin)
        if header is None:
            self.incomplete = True
            return
        kind, name = header
        address = Address(kind, name)
        if address in self.manifests:
            first = self.manifests[address].origin.span(("metadata", "name"))
            self.complain(
                "duplicate-address",
                "Resource declared twice",
                f"{address} is declared here a second time.",
                why="An address names one resource.",
                hint="rename one of them, or remove it",
                span=origin.span(("metadata", "name")),
                address=str(address),
                related=(first,),
            )
            return
        self.manifests[address] = _Manifest(
            address, document, origin, directory, self.registry[kind], document.dynamic
        )

    def _header(self, value: JsonValue, origin: Origin) -> tuple[str, str] | None:
        """Return kind and name of a document, or None after a complaint."""
        if not isinstance(value, dict):
            self.complain(
                "document",
                "Document is no manifest",
                f"this document is {kind_of(value)}; a manifest is a mapping.",
                why="It has the fields apiVersion, kind, metadata and spec.",
                span=origin.span(()),
            )
            return None
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in self.registry:
            self._wrong_kind(value, origin)
            return None
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if isinstance(name, str) and holds_expression(name):
            self.complain(
                "name",
                "Name is not fixed",
                "`metadata.name` holds an expression.",
                why="Names make addresses, which must not change with variables.",
                hint="write the name out; with `metadata.forEach` the key is added to the address by itself",
                span=origin.span(("metadata", "name")),
            )
            return None
        if not isinstance(name, str) or not _addressable(kind, name):
            wrong = violations(kind, cast(Value, value), subject=f"this {kind}", fresh=set())
            about_name = [
                one for one in wrong if one.path[:2] == ("metadata", "name") or "name" in one.what
            ]
            about_name = [one for one in about_name if one.path[:1] in ((), ("metadata",))]
            self._tell(about_name or wrong, origin, "")
            return None
        return kind, name

    def _wrong_kind(self, value: JsonObject, origin: Origin) -> None:
        kind = value.get("kind")
        known = sorted(self.registry)
        if kind is None:
            similar = nearest("kind", [key for key in value if key not in _TOP])
            self.complain(
                "missing-field",
                "Field missing",
                "this document has no `kind`.",
                why="The kind says what is declared.",
                hint=f"rename `{similar}` to `kind`"
                if similar
                else f"add `kind:` with one of {listed(known)}",
                span=origin.span(()),
            )
        elif kind == PROJECT_KIND:
            self.complain(
                "project",
                "Project declared twice",
                "a Project is declared here.",
                why=f"The project is declared in {PROJECT_FILE}, at the top of its directory, and nowhere else.",
                hint=f"move its settings to {PROJECT_FILE}",
                span=origin.span(("kind",)),
            )
        else:
            similar = nearest(kind, known) if isinstance(kind, str) else None
            later = isinstance(kind, str) and kind in manifest_kinds()
            self.complain(
                "kind",
                "Kind unknown",
                f"there is no kind {shown(kind)}.",
                why="This version of shplan knows its form, but cannot apply it yet."
                if later
                else "",
                hint=f"did you mean `{similar}`?" if similar else f"the kinds are {listed(known)}",
                span=origin.span(("kind",)),
            )

    # --- instances ---------------------------------------------------------------------------

    def _keys(self, base: Address) -> tuple[str, ...] | None:
        manifest = self.manifests[base]
        self._expand(manifest)
        if manifest.broken:
            msg = "follows"
            raise ExpressionError(msg, "", "")
        if manifest.waits_for:
            raise KeysUnknownError((Reference(base), *manifest.waits_for))
        if manifest.instances is None:
            return None
        return tuple(instance.key for instance in manifest.instances)

    def _expand(self, manifest: _Manifest) -> None:
        if manifest.expanded or "forEach" not in manifest.metadata:
            manifest.expanded = True
            return
        path = ("metadata", "forEach")
        name = f"{manifest.address} forEach"
        scope = self.resolution.add_scope(
            Scope(name, self.variables, directory=manifest.directory, whole_references=True)
        )
        failed: list[ExpressionError] = []

        def complain(here: ValuePath, error: ExpressionError) -> None:
            failed.append(error)
            self._expression_error(manifest.origin, here, error, str(manifest.address))

        result = evaluate_tree(
            manifest.metadata["forEach"],
            path,
            dynamic=manifest.dynamic,
            scope=scope,
            world=self.resolution,
            complain=complain,
        )
        manifest.expanded = True
        if failed:
            manifest.broken = True
            return
        if self._is_known_later(result.value, manifest):
            return
        instances, errors = expand(result.value)
        self._instances += len(instances)
        if self._instances > MAX_RESOURCES:
            errors = [_too_many()]
        for error in errors:
            manifest.broken = True
            self.complain(
                "for-each",
                "forEach cannot be expanded",
                f"`forEach` of {manifest.address}: {error.what}",
                why=error.why,
                hint=error.hint,
                span=manifest.origin.span((*path, *error.path)),
                address=str(manifest.address),
            )
        manifest.instances = instances

    def _is_known_later(self, keys: Value, manifest: _Manifest) -> bool:
        """Tell whether the keys will be known when data kinds were read, and say so."""
        waits_for = keys_wait_for(keys)
        if self.order.settled or not waits_for:
            return False
        if not all(self._is_read_later(one.address) for one in waits_for):
            return False
        manifest.waits_for = waits_for
        read = tuple(dict.fromkeys(one.address for one in waits_for if self._is_data(one.address)))
        place = manifest.origin.span(("metadata", "forEach"))
        self.diagnostics.append(known_later(manifest.address, read, place))
        return True

    def _is_read_later(self, address: Address) -> bool:
        manifest = self.manifests.get(address.base)
        return manifest is not None and (self._is_data(address) or bool(manifest.waits_for))

    def _is_data(self, address: Address) -> bool:
        manifest = self.manifests.get(address.base)
        return manifest is not None and isinstance(manifest.kind, DataProvider)

    def _expression_error(
        self, origin: Origin, path: ValuePath, error: ExpressionError, address: str
    ) -> None:
        if error.code == FOLLOWS:
            return
        span = origin.span(path)
        first, last = origin.stretch(path)
        if error.secret:
            self.masks.setdefault(span.file, []).append((first, last))
            span = origin.key(path)
        elif error.fragment:
            at = origin.text.text.find(error.fragment, first, last)
            if at >= 0:
                span = origin.text.at(at, len(error.fragment))
        found = diagnostic(error, span, address=address)
        if found not in self.told:
            self.told.add(found)
            self.diagnostics.append(found)

    def _resources(self) -> tuple[Desired, ...]:
        resources: list[Desired] = []
        sets: list[tuple[Desired, str]] = []
        for address in sorted(self.manifests):
            manifest = self.manifests[address]
            self._expand(manifest)
            if manifest.broken:
                continue
            for instance in self._instances_of(manifest):
                desired = self._desired(manifest, instance)
                if desired is not None:
                    resources.append(desired)
                    if manifest.kind.members_field:
                        sets.append((desired, manifest.kind.members_field))
        resources.sort(key=lambda one: one.address)
        self.diagnostics += cycles(resources)
        self.diagnostics += members_twice(sets)
        for desired in resources:
            text = _text_at(desired.spec, self.registry[desired.address.kind].script_path)
            if text is not None:
                self.script_checks.serves(text)
        resources = [self._with_script(one) for one in resources]
        self._check_inputs(resources)
        complaints: dict[Diagnostic, None] = {}
        for desired in resources:
            found = self.registry[desired.address.kind].check(desired, tables())
            found += check_requests(desired, tables(), deployment=self._deployment)
            # What is wrong with a manifest is said once, not for each of its instances.
            complaints.update(dict.fromkeys(found))
        self.diagnostics += complaints
        self.diagnostics += without_collection(resources)
        kinds = [(one, self.registry[one.address.kind]) for one in resources]
        self.diagnostics += check_outputs(kinds, files=self.files.digests)
        return tuple(resources)

    def _instances_of(self, manifest: _Manifest) -> Sequence[Instance | None]:
        """Return its instances; where they are not known yet, what holds for each of them."""
        if manifest.waits_for or manifest.instances is None:
            return [None]
        return manifest.instances

    # --- data --------------------------------------------------------------------------------

    def _data_spec(self, address: Address) -> tuple[DataProvider, Object] | None:
        """Return the evaluated `spec` of a data resource; what is wrong with it is said elsewhere."""
        manifest = self.manifests.get(address.base)
        if manifest is None or not isinstance(manifest.kind, DataProvider):
            return None
        if address not in self._data_specs:
            self._data_specs[address] = {}
            with suppress(ExpressionError):
                self.resolution.instances(address.base)
            instance = next(
                (one for one in manifest.instances or () if one.key == address.key), None
            )
            found = evaluate_tree(
                manifest.body.get("spec"),
                ("spec",),
                dynamic=manifest.dynamic,
                scope=self._scope(manifest, instance, address),
                world=self.resolution,
                complain=lambda _path, _error: None,
            ).value
            self._data_specs[address] = found if isinstance(found, dict) else {}
        return manifest.kind, self._data_specs[address]

    def _questions(self, resources: Sequence[Desired], environment: str) -> tuple[Question, ...]:
        questions: list[Question] = []
        for desired in resources:
            kind = self.registry[desired.address.kind]
            if not isinstance(kind, DataProvider):
                continue
            waits = self.readings.waits(desired.spec)
            form = None if waits else one_form(kind, desired.spec)
            question = Question(desired, self.readings.reading(desired.address), form)
            questions.append(question)
            is_pinned = kind.can_be_pinned and desired.spec.get(PIN) is True
            if is_pinned and question.reading is None and form is not None:
                self._complain_of_pin(question, environment)
        return tuple(questions)

    def _complain_of_pin(self, question: Question, environment: str) -> None:
        if self.order.pulling:
            return
        pin = self.readings.pin(question.address)
        if self.readings.problem is not None:
            self._add([self.readings.problem])
            return
        place = question.desired.source.span(("spec", PIN))
        self._add([missing_pin(question, pin, place, environment=environment)])

    def _awaited(self, questions: Sequence[Question]) -> frozenset[Address]:
        waited = {one.address for manifest in self.manifests.values() for one in manifest.waits_for}
        return frozenset(one.address for one in questions if one.address in waited)

    # --- scripts -----------------------------------------------------------------------------

    @property
    def scripts(self) -> Scripts:
        """The project's scripts; without any nothing of them is loaded."""
        if self._scripts is None:
            from shplan.manifest.scripts import Scripts  # noqa: PLC0415

            self._scripts = Scripts()
        return self._scripts

    @property
    def script_checks(self) -> ScriptChecks:
        """What looks at scripts; without any nothing of it is loaded."""
        if self._script_checks is None:
            from shplan.manifest.script_checks import ScriptChecks  # noqa: PLC0415

            self._script_checks = ScriptChecks(
                self.scripts, self.texts, deployment=self._deployment
            )
        return self._script_checks

    def _local_text(self, address: Address) -> str | None:
        """
        Return what a reference to a local resource stands for, None for other kinds.

        Raises:
            ExpressionError: its file cannot be read, which is said where it is declared
        """
        manifest = self.manifests.get(address.base)
        if manifest is None or manifest.kind.text_field is None:
            return None
        if address in self._reading:
            circle = [*self._reading[self._reading.index(address) :], address]
            msg = "cycle"
            raise ExpressionError(
                msg,
                "Dependency cycle",
                f"the file of {address} depends on itself: {' -> '.join(map(str, circle))}.",
                why="To know which file it is, its text would have to be known.",
            )
        if address not in self.local_texts:
            self._reading.append(address)
            self.local_texts[address] = self._read_local(manifest, address)
            self._reading.pop()
        text = self.local_texts[address]
        if text is None:
            msg = "follows"
            raise ExpressionError(msg, "", "")
        return text

    def _read_local(self, manifest: _Manifest, address: Address) -> str | None:
        spec, field_name = manifest.body.get("spec"), cast(str, manifest.kind.text_field)
        stated = spec.get(field_name) if isinstance(spec, dict) else None
        if not isinstance(stated, str):
            return None  # the schema says so
        instance = next((one for one in manifest.instances or () if one.key == address.key), None)
        path = ("spec", field_name)
        try:
            scope = self._scope(manifest, instance, address)
            name = evaluate(stated, scope, self.resolution) if holds_expression(stated) else stated
            if not isinstance(name, str):
                self.complain(
                    "file",
                    "File cannot be used",
                    f"the file of {address} is not known while planning.",
                    why="A script is checked before anything is sent.",
                    span=manifest.origin.span(path),
                    address=str(address),
                )
                return None
            place = self.files.locate(name, base=self.files.root / manifest.directory)
            text = self.files.read_text(place)
        except ExpressionError as error:
            self._expression_error(manifest.origin, path, error, str(address.base))
            return None
        except FileError as error:
            self.complain(
                "file",
                "File cannot be used",
                f"{name} {sentence(error)}",
                why=f"Paths are relative to the manifest's directory, {manifest.directory}/.",
                span=manifest.origin.span(path),
                address=str(address),
            )
            return None
        self.texts.remember(self.files.relative(place), text)
        self.scripts.files[text] = self.files.relative(place)
        return text

    def _with_script(self, desired: Desired) -> Desired:
        """Look at the evalscript of a resource: its own file, or the one in a request."""
        kind = self.registry[desired.address.kind]
        if kind.text_field is not None:
            text = self.local_texts.get(desired.address)
            if text is None and desired.address not in self.local_texts:
                with suppress(ExpressionError):
                    text = self._local_text(desired.address)
            if text is not None:
                self._add(self.script_checks.of_file(text, desired))
            return desired
        path = kind.script_path
        text = _text_at(desired.spec, path)
        if path is None or text is None:
            return desired
        self._add(self.script_checks.of_request(text, desired, path))
        return replace(desired, script=self.scripts.shape(text))

    def _check_inputs(self, resources: list[Desired]) -> None:
        declared = {one.address: one.spec for one in resources}
        for desired in resources:
            path = self.registry[desired.address.kind].script_path
            text = _text_at(desired.spec, path)
            if text is not None and path is not None:
                self._add(self.script_checks.of_inputs(text, desired, path, declared))
                if desired.references:
                    self._scripted[desired.address] = (text, desired, path)

    def _check_observed(
        self, address: Address, attributes: Mapping[Address, Object]
    ) -> list[Diagnostic]:
        """Say of a script what was not known before its collections were looked at."""
        if address not in self._scripted:
            return []
        text, desired, path = self._scripted[address]
        try:
            return self.script_checks.of_inputs(text, desired, path, attributes)
        finally:
            self.scripts.close()

    def _add(self, found: list[Diagnostic]) -> None:
        fresh = [one for one in dict.fromkeys(found) if one not in self.told]
        self.told.update(fresh)
        self.diagnostics += fresh

    def _desired(self, manifest: _Manifest, instance: Instance | None) -> Desired | None:
        address = manifest.address
        if instance is not None:
            address = Address(address.kind, address.name, instance.key)
        scope = self._scope(manifest, instance, address)

        def complain(here: ValuePath, error: ExpressionError) -> None:
            self._expression_error(manifest.origin, here, error, str(manifest.address))

        before = len(self.diagnostics)
        body = _without_for_each(manifest.body)
        result = evaluate_tree(
            body,
            (),
            dynamic=manifest.dynamic | {id(body), id(body["metadata"])},
            scope=scope,
            world=self.resolution,
            complain=complain,
        )
        document = cast(Object, result.value)
        wrong = violations(address.kind, document, subject=str(address), fresh=result.fresh)
        self._tell(wrong, manifest.origin, str(address.base), raw=manifest.body)
        self._check_secrets(document.get("spec"), ("spec",), manifest, address)
        self._check_metadata(document, manifest, address)
        if wrong or not isinstance(document.get("spec"), dict):
            return None
        if len(self.diagnostics) > before and not _usable(document):
            return None
        return self._assembled(manifest, address, document, result.fresh)

    def _scope(self, manifest: _Manifest, instance: Instance | None, address: Address) -> Scope:
        return self.resolution.add_scope(
            Scope(
                str(address),
                self.variables,
                each=_each(manifest, instance),
                directory=manifest.directory,
                has_run=manifest.kind.script_path is not None,
            )
        )

    def _assembled(
        self, manifest: _Manifest, address: Address, document: Object, fresh: set[int]
    ) -> Desired:
        spec = dict(cast(Object, document["spec"]))
        metadata = cast(Object, document["metadata"])
        origin = manifest.origin
        members, origin = self._members(manifest, spec, document, address)
        waiting = references_of(document, fresh)
        references = (
            *waiting,
            *self.resolution.used(str(address)),
            *self.resolution.used(f"{manifest.address} forEach"),
            *manifest.waits_for,
        )
        desired = Desired(
            address=address,
            spec=spec,
            source=origin,
            members=members,
            lifecycle=_lifecycle(metadata.get("lifecycle")),
            depends_on=self._depends_on(manifest, metadata, address),
            references=references,
            labels=cast("dict[str, str]", metadata.get("labels") or {}),
            annotations=cast("dict[str, str]", metadata.get("annotations") or {}),
            run=cast(Object, document.get("run") or {}),
        )
        if isinstance(members, list) and id(members) in fresh:
            self.resolution.note_members(address)
        return desired

    def _members(
        self, manifest: _Manifest, spec: Object, document: Object, address: Address
    ) -> tuple[Sequence[Object], Origin]:
        """Take the members of a set out of its spec, from the list or from a table."""
        field_name = manifest.kind.members_field
        if field_name is None:
            return (), manifest.origin
        listed_members = spec.pop(field_name, None)
        table = spec.pop(FROM, None)
        if isinstance(table, dict):
            return self._table(manifest, table, field_name, document, address)
        return cast("list[Object]", listed_members or []), manifest.origin

    def _table(
        self,
        manifest: _Manifest,
        table: Object,
        field_name: str,
        document: Object,
        address: Address,
    ) -> tuple[Sequence[Object], Origin]:
        read = self.tables.read(
            table,
            cast(Object, document["spec"]),
            origin=manifest.origin,
            directory=manifest.directory,
            address=address,
        )
        self.diagnostics += read.diagnostics
        if read.places is None:
            return (), manifest.origin
        places: dict[ValuePath, MemberPlaces] = {("spec", field_name): read.places}
        origin = Origin(manifest.origin.text, manifest.origin.document, places)
        self._check_rows(read.rows, field_name, document, address, origin)
        return read.rows, origin

    def _stated(self, address: Address, path: ValuePath) -> Value:
        """Return what another manifest states at a path, None where nothing is known of it."""
        manifest = self.manifests.get(address.base)
        if manifest is None:
            return None
        self._expand(manifest)
        instance = next((one for one in manifest.instances or () if one.key == address.key), None)
        found: Value | JsonValue = manifest.body
        for step in path:
            found = found.get(str(step)) if isinstance(found, dict) else None
        if not isinstance(found, str) or not holds_expression(found):
            return cast(Value, found)
        try:
            return evaluate(found, self._scope(manifest, instance, address), self.resolution)
        except ExpressionError:
            return None  # it is said where it stands

    def _check_rows(
        self, rows: Rows, field_name: str, document: Object, address: Address, origin: Origin
    ) -> None:
        """Judge the rows by the schema of the list that they stand for, some thousand at a time."""
        spec = {key: value for key, value in cast(Object, document["spec"]).items() if key != FROM}
        for start in range(0, len(rows), MEMBERS_AT_ONCE):
            chunk = cast("list[Value]", rows[start : start + MEMBERS_AT_ONCE])
            trial: Object = {**document, "spec": {**spec, field_name: chunk}}
            fresh = {id(trial), id(trial["spec"])}
            wrong = violations(address.kind, trial, subject=str(address), fresh=fresh)
            shifted = [_shifted(one, field_name, start) for one in wrong]
            self._tell(shifted, origin, str(address))

    def _depends_on(
        self, manifest: _Manifest, metadata: Object, address: Address
    ) -> tuple[Address, ...]:
        found: list[Address] = []
        stated = metadata.get("dependsOn") or []
        assert isinstance(stated, list)
        for index, text in enumerate(stated):
            wanted = Address.parse(str(text))
            try:
                keys = self.resolution.instances(wanted.base)
                if wanted.key is None:
                    found += (
                        [wanted]
                        if keys is None
                        else [Address(wanted.kind, wanted.name, key) for key in keys]
                    )
                else:
                    # The same complaint as for an expression that names an instance.
                    evaluate(
                        "{{ ref('" + str(wanted) + "').id }}",
                        self.resolution.scope(str(address)),
                        self.resolution,
                    )
                    found.append(wanted)
            except KeysUnknownError:
                found.append(wanted)
            except ExpressionError as error:
                self._expression_error(
                    manifest.origin, ("metadata", "dependsOn", index), error, str(manifest.address)
                )
        return tuple(found)

    # --- checks ------------------------------------------------------------------------------

    def _check_metadata(self, document: Object, manifest: _Manifest, address: Address) -> None:
        metadata = document.get("metadata")
        for path, leaf in _leaves(metadata, ("metadata",)):
            is_later = isinstance(leaf, Unknown) and leaf.references and not manifest.waits_for
            if isinstance(leaf, Sensitive) or is_later:
                noun = "a secret" if isinstance(leaf, Sensitive) else "known only after apply"
                self.complain(
                    "metadata",
                    "Metadata is not known",
                    f"`{dotted(path)}` of {address} is {noun}.",
                    why="Metadata decides what is planned, so it must be known before.",
                    hint="use a variable",
                    span=manifest.origin.span(path),
                    address=str(address),
                )

        self._check_ignored(metadata, manifest, address)

    def _check_ignored(self, metadata: Value | None, manifest: _Manifest, address: Address) -> None:
        lifecycle = metadata.get("lifecycle") if isinstance(metadata, dict) else None
        ignored = lifecycle.get("ignoreChanges") if isinstance(lifecycle, dict) else None
        for index, path in enumerate(ignored if isinstance(ignored, list) else ()):
            found = unknown_step(address.kind, path) if isinstance(path, str) else None
            if found is None:
                continue
            step, known = found
            similar = nearest(step, known)
            self.complain(
                "unknown-field",
                "Field unknown",
                f"`ignoreChanges` of {address} lists `{path}`, and there is no `{step}`.",
                why="A misspelt path would ignore nothing.",
                hint=f"did you mean `{similar}`?" if similar else f"there are {listed(known)}",
                span=manifest.origin.span(("metadata", "lifecycle", "ignoreChanges", index)),
                address=str(address),
            )

    def _check_secrets(
        self, value: Value | None, path: ValuePath, manifest: _Manifest, address: Address
    ) -> None:
        """Refuse anything but `secret(...)` in a field that holds a secret, without showing it."""
        secret_fields = manifest.kind.secret_fields
        if not secret_fields or not isinstance(value, dict | list):
            return
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for step, member in members:
            here = (*path, step)
            is_secret = isinstance(step, str) and (
                step in secret_fields or dotted(here[1:]) in secret_fields
            )
            if is_secret and not isinstance(member, Sensitive):
                self._clear_secret(here, manifest, address)
            else:
                self._check_secrets(member, here, manifest, address)

    def _clear_secret(self, path: ValuePath, manifest: _Manifest, address: Address) -> None:
        span = manifest.origin.key(path)
        self.masks.setdefault(span.file, []).append(manifest.origin.stretch(path))
        name = str(path[-1])
        self.complain(
            "secret-in-clear",
            "Secret in a file",
            f"`{dotted(path)}` of {address} takes only secret(...).",
            why="Files are committed and shared; a secret is read where shplan runs, at the moment of a request. "
            "If this was one, replace it where it was issued.",
            hint=f"write `{name}: \"{{{{ secret('env:NAME') }}}}\"` and export NAME where shplan runs",
            span=span,
            address=str(address),
        )

    def _tell(
        self,
        wrong: Sequence[Violation],
        origin: Origin,
        address: str,
        *,
        raw: JsonObject | None = None,
    ) -> None:
        for one in wrong:
            span = origin.key(one.path) if one.at_key else origin.span(one.path)
            hint = one.hint
            if one.code == "manifest/type" and _is_expression(raw, one.path):
                hint = (
                    "add `| string` inside the braces"
                    if "must be a text" in one.what
                    else "add `| int`, or `| float`"
                )
            found = Diagnostic(one.code, one.summary, one.what, one.why, hint, span, address)
            if found not in self.told:
                self.told.add(found)
                self.diagnostics.append(found)

    def _check_addresses(self, project: Project, resources: Sequence[Desired]) -> None:
        """Check `moved` and `forget` against what is declared."""
        if self.incomplete:
            return
        declared = {one.address for one in resources} | set(self.manifests)
        for move in project.moved:
            if move.target not in declared:
                similar = nearest(str(move.target), map(str, declared))
                self.complain(
                    "moved",
                    "Move to nothing",
                    f"`moved` names {move.target} as the new address, and no manifest declares it.",
                    hint=f"did you mean `{similar}`?"
                    if similar
                    else "declare it, or remove the entry",
                    span=move.span,
                )
            if move.source in declared:
                self.complain(
                    "moved",
                    "Move from a declared address",
                    f"`moved` says that {move.source} was renamed, and a manifest declares it still.",
                    hint="remove the entry, or the manifest",
                    span=move.span,
                )
        for entry in project.forget:
            if entry.address in declared:
                self.complain(
                    "forget",
                    "Forgotten and declared",
                    f"`forget` lists {entry.address}, and a manifest declares it still.",
                    hint="remove the entry, or the manifest",
                    span=entry.span,
                )

    def _outputs(
        self, project: Project, document: Document | None, origin: Origin, scope: Scope
    ) -> dict[str, Value]:
        if document is None:
            return {}

        def complain(here: ValuePath, error: ExpressionError) -> None:
            self._expression_error(origin, here, error, "")

        outputs: dict[str, Value] = {}
        for name, value in project.outputs.items():
            outputs[name] = evaluate_tree(
                value,
                ("spec", "outputs", name),
                dynamic=document.dynamic,
                scope=scope,
                world=self.resolution,
                complain=complain,
            ).value
            if any(isinstance(leaf, Sensitive) for _, leaf in _leaves(outputs[name], ())):
                self.complain(
                    "secret-used",
                    "Secret in an output",
                    f"the output `{name}` holds a secret.",
                    why="Outputs are printed.",
                    hint="remove it",
                    span=origin.span(("spec", "outputs", name)),
                )
        return outputs


_TOP = ("apiVersion", "kind", "metadata", "spec", "run")


def _addressable(kind: str, name: str) -> bool:
    try:
        return Address.parse(f"{kind}/{name}").key is None
    except ValueError:
        return False


def _text_at(spec: Object, path: ValuePath | None) -> str | None:
    """Return the script of a request, None where there is none or it is not known."""
    found: Value = spec
    for step in path or ():
        found = found.get(str(step)) if isinstance(found, dict) else None
    return found if path is not None and isinstance(found, str) else None


def _without_for_each(body: JsonObject) -> JsonObject:
    """Return a document without its `forEach`, which has been evaluated in a scope of its own."""
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return {**body, "metadata": {key: value for key, value in metadata.items() if key != "forEach"}}


def _each(manifest: _Manifest, instance: Instance | None) -> Object | Unknown | None:
    if manifest.waits_for:
        return Unknown("", str(manifest.address), manifest.waits_for)
    return instance.each if instance else None


def _usable(document: Object) -> bool:
    return isinstance(document.get("metadata"), dict)


def _lifecycle(value: Value | None) -> Lifecycle:
    stated = value if isinstance(value, dict) else {}
    ignored = stated.get("ignoreChanges") or []
    assert isinstance(ignored, list)
    return Lifecycle(
        prevent_destroy=stated.get("preventDestroy") is True,
        ignore_changes=tuple(str(path) for path in ignored),
        managed=stated.get("managed") is not False,
    )


def _leaves(value: Value | None, path: ValuePath) -> list[tuple[ValuePath, Value]]:
    if isinstance(value, dict):
        return [leaf for key, member in value.items() for leaf in _leaves(member, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, one in enumerate(value) for leaf in _leaves(one, (*path, index))]
    return [(path, value)]


def _shifted(one: Violation, field_name: str, start: int) -> Violation:
    if one.path[:2] != ("spec", field_name) or len(one.path) < 3:
        return one
    index = one.path[2]
    assert isinstance(index, int)
    return replace(one, path=("spec", field_name, index + start, *one.path[3:]))


def _is_expression(raw: JsonObject | None, path: ValuePath) -> bool:
    node: JsonValue = raw
    for step in path:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return False
    return isinstance(node, str) and holds_expression(node)


__all__ = ["Kind", "Loaded", "Order", "VariableInputs", "load", "load_as"]
