"""
The project file and what it names: variables with their values, and the files of manifests.
"""

from __future__ import annotations

from typing import cast

from shplan.core.value import JsonValue, Unknown, Value
from shplan.manifest.declarations import PROJECT_KIND
from shplan.manifest.geodata import sentence
from shplan.manifest.loading import Loading
from shplan.manifest.origin import Origin, Text
from shplan.manifest.parse import Document, kind_of, parse
from shplan.manifest.project import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_MANIFESTS,
    Environment,
    Project,
    read_project,
    without,
)
from shplan.manifest.resolve import PROJECT_SCOPE
from shplan.manifest.source import PROJECT_FILE, FileError, Found, find_manifests
from shplan.manifest.validate import violations
from shplan.manifest.variables import VariableInputs, resolve_variables
from shplan.manifest.wording import shown


class ProjectFile:
    """Reads `shplan.yaml`; a project that cannot be read is an empty one."""

    def __init__(self, state: Loading) -> None:
        self._state = state

    def document(self) -> tuple[Origin, Document | None]:
        """Read the file; None where it cannot be read."""
        path = self._state.files.root / PROJECT_FILE
        try:
            text = self._state.files.read_text(path)
        except FileError as error:
            self._state.complaints.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} {sentence(error)}",
                why="A project is a directory with this file.",
                hint="make a project with `shplan init`, or name one with `--project DIR`",
            )
            self._state.incomplete = True
            return Origin(Text(PROJECT_FILE, ""), 0), None
        self._state.complaints.texts.remember(PROJECT_FILE, text)
        parsed = parse(text, file=PROJECT_FILE)
        self._state.complaints.diagnostics += parsed.diagnostics
        source = Text(PROJECT_FILE, text)
        documents = parsed.documents
        if parsed.complete and not documents:
            self._state.complaints.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} is empty.",
                hint="begin it with:\napiVersion: shplan/v1\nkind: Project\nmetadata: {name: NAME}\nspec: {}",
                span=source.at(0),
            )
        for extra in documents[1:]:
            self._state.complaints.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} holds {len(documents)} documents; it must hold the project alone.",
                hint=f"move this document to a file below {DEFAULT_MANIFESTS}",
                span=source.at(extra.start),
            )
        first = documents[0] if documents else None
        return Origin(source, first.index if first else 0), first

    def project(self, document: Document | None, origin: Origin) -> Project:
        """Return what the file declares; what is wrong with it is left out."""
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
            self._state.complaints.complain(
                "project",
                "Project file cannot be used",
                f"{PROJECT_FILE} declares a {shown(value['kind'])}; it must declare the project.",
                hint=f"write `kind: Project` here, and resources in files below {DEFAULT_MANIFESTS}",
                span=origin.span(("kind",)),
            )
            return nothing
        wrong = violations(PROJECT_KIND, cast(Value, value), subject=PROJECT_FILE, fresh=set())
        self._state.complaints.tell(wrong, origin, "")
        usable = without(value, [one.path for one in wrong])
        return nothing if usable is None else read_project(usable, origin)

    def set_variables(
        self, project: Project, environment: Environment, inputs: VariableInputs, origin: Origin
    ) -> None:
        """Give every variable its value."""
        contents = {}
        for file in inputs.files:
            parsed = parse(file.text, file=file.label)
            self._state.complaints.texts.remember(file.label, file.text)
            self._state.complaints.diagnostics += parsed.diagnostics
            value = parsed.documents[0].value if parsed.documents else {}
            if isinstance(value, dict):
                contents[file.label] = value
            else:
                self._state.complaints.complain(
                    "variable",
                    "Variable file cannot be used",
                    f"{file.label} holds {kind_of(value)}; it must map names of variables to values.",
                    span=Text(file.label, file.text).at(0),
                )
        self._state.variables, problems = resolve_variables(
            project, environment, inputs, files=contents, origin=origin
        )
        self._state.complaints.diagnostics += problems
        # So that an expression does not complain again about a variable whose value is wrong.
        for name in project.variables:
            if name not in self._state.variables:
                self._state.variables[name] = cast(JsonValue, Unknown(name, PROJECT_SCOPE, ()))

    def manifests(self, project: Project, origin: Origin) -> list[Found]:
        """Return the files that `manifests` names, sorted, each once."""
        found: dict[str, Found] = {}
        for index, entry in enumerate(project.manifests):
            try:
                found.update(
                    {one.relative: one for one in find_manifests(self._state.files, entry)}
                )
            except FileError as error:
                if entry == DEFAULT_MANIFESTS and "does not exist" in str(error):
                    continue  # a project without any resource yet
                self._state.complaints.complain(
                    "file",
                    "File cannot be used",
                    f"{entry} {sentence(error)}",
                    span=origin.span(("spec", "manifests", index)),
                )
        return [found[name] for name in sorted(found)]
