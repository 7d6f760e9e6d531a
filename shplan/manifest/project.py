"""
The project file as values: environments, declared variables, outputs, moves, what is forgotten.

Its form is judged by the schema of kind `Project` before anything is read from it here.
Nothing is looked up in the process's environment: what a user typed or exported arrives as a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.duration import seconds_of
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, JsonValue, Path
from shplan.manifest.origin import Origin
from shplan.manifest.wording import listed, nearest

DEFAULT_ENVIRONMENT = "sandbox"
DEFAULT_MANIFESTS = "manifests/"


@dataclass(frozen=True, slots=True)
class Environment:
    """
    One environment.

    Args:
        deployment: a built-in deployment, or empty where `base_url` and `token_url` stand
        ledger: where the ledger is kept, or empty for the default
        ledger_of: project and environment under which it began, None for these
        budget_max_pu: processing units that one apply may cost, None without a limit
        variables: values of variables in this environment
        list_lag_s: None for the deployment's own value
        asks_catalogue: how many acquisitions a request reads is asked of the catalogue
        checks_tiles: files of new tiles are held against the rules of ingestion
        span: where it is declared, None for the one that every project has
    """

    name: str
    deployment: str = ""
    base_url: str = ""
    token_url: str = ""
    profile: str = ""
    ledger: str = ""
    ledger_of: tuple[str, str] | None = None
    budget_max_pu: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    list_lag_s: float | None = None
    asks_catalogue: bool = True
    checks_tiles: bool = True
    span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """
    A declared variable.

    Args:
        type: `string`, `integer`, `number`, `boolean`, `list`, `object`, or empty for any
        has_default: tells a default of null from none
        validation: limits by name: pattern, minimum, maximum, minLength, maxLength, enum
    """

    name: str
    type: str = ""
    default: JsonValue = None
    has_default: bool = False
    description: str = ""
    validation: Mapping[str, JsonValue] = field(default_factory=dict)
    span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """An entry of `moved`: the object keeps its place on the server and changes its address."""

    source: Address
    target: Address
    span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """An entry of `forget`: no longer managed, nothing deleted."""

    address: Address
    span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """
    The project's own limits.

    Args:
        max_deletions: a number of objects, or None
        max_deletions_percent: of what is managed, or None
    """

    max_deletions: int | None = None
    max_deletions_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What `shplan.yaml` says; `outputs` holds expressions that are not evaluated yet."""

    name: str
    requires: str = ""
    manifests: tuple[str, ...] = (DEFAULT_MANIFESTS,)
    default_environment: str = DEFAULT_ENVIRONMENT
    environments: Mapping[str, Environment] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    outputs: Mapping[str, JsonValue] = field(default_factory=dict)
    receipts: str = ""
    moved: tuple[Move, ...] = ()
    forget: tuple[Forget, ...] = ()
    policies: Policies = field(default_factory=Policies)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def read_project(document: JsonObject, origin: Origin) -> Project:
    """Read a document that its schema has accepted."""
    metadata = _object(document["metadata"])
    spec = _object(document.get("spec", {}))
    manifests = spec.get("manifests", [DEFAULT_MANIFESTS])
    assert isinstance(manifests, list)
    return Project(
        name=str(metadata["name"]),
        requires=str(spec.get("requires", "")),
        manifests=tuple(str(entry) for entry in manifests),
        default_environment=str(spec.get("defaultEnvironment", "")),
        environments=_environments(_object(spec.get("environments", {})), origin),
        variables=_variables(_object(spec.get("variables", {})), origin),
        outputs=_object(spec.get("outputs", {})),
        receipts=str(spec.get("receipts", "")),
        moved=tuple(_moves(spec.get("moved", []), origin)),
        forget=tuple(_forgotten(spec.get("forget", []), origin)),
        policies=_policies(_object(spec.get("policies", {}))),
        labels=_texts(metadata.get("labels")),
        annotations=_texts(metadata.get("annotations")),
    )


def without(document: JsonValue, wrong: Sequence[Path]) -> JsonObject | None:
    """
    Return a project's document without the fields of its `spec` that its schema refuses.

    So that one mistake in the project file does not hide the mistakes of all manifests.

    Args:
        wrong: what is refused, from the root of the document

    Returns:
        None where what is left would raise complaints of its own: without its variables or
        environments every manifest would look wrong
    """
    if not isinstance(document, dict) or not isinstance(document.get("spec", {}), dict):
        return None
    fields = {path[1] for path in wrong if len(path) > 1 and path[0] == "spec"}
    names = [str(field) for field in fields]
    if any(nearest(name, ("variables", "environments")) for name in names):
        return None
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    spec = _object(document.get("spec", {}))
    kept: JsonObject = {key: value for key, value in spec.items() if key not in fields}
    if all(path[:1] == ("spec",) for path in wrong):
        return {**document, "spec": kept}
    return {"metadata": {"name": str(name or "unnamed")}, "spec": kept}


def select_environment(
    project: Project, name: str | None, *, ci: bool, origin: Origin
) -> tuple[Environment, list[Diagnostic]]:
    """
    Return the environment that is meant; the project's first one beside an error.

    Args:
        name: from `-e` or `SHPLAN_ENVIRONMENT`, None if neither is given
        ci: nobody watches, so that a forgotten name must not fall back to a default
    """
    environments = project.environments
    fallback = environments[min(environments)]
    if name is not None:
        if name in environments:
            return environments[name], []
        return fallback, [_unknown_environment(name, project, origin)]
    if ci and len(environments) > 1:
        return fallback, [_ambiguous_environment(project, origin, ci=True)]
    chosen = project.default_environment or DEFAULT_ENVIRONMENT
    if chosen in environments:
        return environments[chosen], []
    if project.default_environment:
        span = origin.span(("spec", "defaultEnvironment"))
        return fallback, [_unknown_environment(chosen, project, origin, span)]
    if len(environments) == 1:
        return fallback, []
    return fallback, [_ambiguous_environment(project, origin, ci=False)]


def check_version(project: Project, version: str, origin: Origin) -> list[Diagnostic]:
    """Compare `spec.requires` with the running version (PEP 440)."""
    if not project.requires:
        return []
    from packaging.specifiers import (  # noqa: PLC0415 - only where versions are required
        InvalidSpecifier,
        SpecifierSet,
    )

    span = origin.span(("spec", "requires"))
    try:
        fits = SpecifierSet(project.requires).contains(version, prereleases=True)
    except InvalidSpecifier:
        return [
            Diagnostic(
                "manifest/requires",
                "Version requirement not understood",
                f'`spec.requires` is "{project.requires}", which is no requirement on a version.',
                "A requirement is a list of comparisons, as pip has them.",
                'write e.g. `requires: ">=0.1,<1"`',
                span,
            )
        ]
    if fits:
        return []
    return [
        Diagnostic(
            "manifest/requires",
            "Version of shplan does not fit",
            f"This project requires shplan {project.requires}; this is shplan {version}.",
            "Another version may plan other changes from the same files.",
            f'install a version that fits: pip install "shplan{project.requires}"',
            span,
        )
    ]


def _unknown_environment(
    name: str, project: Project, origin: Origin, span: SourceSpan | None = None
) -> Diagnostic:
    similar = nearest(name, project.environments)
    return Diagnostic(
        "manifest/environment",
        "Environment unknown",
        f"this project has no environment `{name}`; it has {listed(sorted(project.environments))}.",
        "",
        f"did you mean `{similar}`?" if similar else f"add `{name}` under `spec.environments`",
        span or origin.key(("spec", "environments")),
    )


def _ambiguous_environment(project: Project, origin: Origin, *, ci: bool) -> Diagnostic:
    names = sorted(project.environments)
    why = (
        "CI is set, and where nobody watches no default is taken."
        if ci
        else "None of them is called sandbox, and `spec.defaultEnvironment` names none."
    )
    return Diagnostic(
        "manifest/environment",
        "Environment not chosen",
        f"this project has the environments {listed(names)}, and none was named.",
        why,
        f"add `-e {names[0]}` to the command, or set SHPLAN_ENVIRONMENT",
        origin.key(("spec", "environments")),
    )


def _environments(spec: JsonObject, origin: Origin) -> dict[str, Environment]:
    if not spec:
        return {DEFAULT_ENVIRONMENT: Environment(DEFAULT_ENVIRONMENT, deployment="sandbox")}
    return {
        name: _environment(name, _object(value), origin.key(("spec", "environments", name)))
        for name, value in spec.items()
    }


def _environment(name: str, spec: JsonObject, span: SourceSpan) -> Environment:
    budget = _object(spec.get("budget", {})).get("maxPu")
    lag = spec.get("listLag")
    begun = spec.get("ledgerOf")
    project, _, environment = begun.partition("/") if isinstance(begun, str) else ("", "", "")
    return Environment(
        name=name,
        deployment=str(spec.get("deployment", "")),
        base_url=str(spec.get("baseUrl", "")),
        token_url=str(spec.get("tokenUrl", "")),
        profile=str(spec.get("profile", "")),
        ledger=str(spec.get("ledger", "")),
        ledger_of=(project, environment) if project else None,
        budget_max_pu=float(budget) if isinstance(budget, int | float) else None,
        variables=_object(spec.get("variables", {})),
        list_lag_s=seconds_of(lag) if isinstance(lag, str) else None,
        asks_catalogue=spec.get("acquisitions", "catalogue") == "catalogue",
        checks_tiles=spec.get("tileFiles", "checked") == "checked",
        span=span,
    )


def _variables(spec: JsonObject, origin: Origin) -> dict[str, Variable]:
    result = {}
    for name, value in spec.items():
        declared = _object(value)
        result[name] = Variable(
            name=name,
            type=str(declared.get("type", "")),
            default=declared.get("default"),
            has_default="default" in declared,
            description=str(declared.get("description", "")),
            validation=_object(declared.get("validation", {})),
            span=origin.key(("spec", "variables", name)),
        )
    return result


def _moves(entries: JsonValue, origin: Origin) -> list[Move]:
    assert isinstance(entries, list)
    return [
        Move(
            Address.parse(str(_object(entry)["from"])),
            Address.parse(str(_object(entry)["to"])),
            origin.span(("spec", "moved", index, "from")),
        )
        for index, entry in enumerate(entries)
    ]


def _forgotten(entries: JsonValue, origin: Origin) -> list[Forget]:
    assert isinstance(entries, list)
    return [
        Forget(Address.parse(str(entry)), origin.span(("spec", "forget", index)))
        for index, entry in enumerate(entries)
    ]


def _policies(spec: JsonObject) -> Policies:
    limit = _object(spec.get("deletions", {})).get("max")
    if isinstance(limit, str):
        return Policies(max_deletions_percent=float(limit.removesuffix("%")))
    return Policies(max_deletions=limit if isinstance(limit, int) else None)


def _texts(value: JsonValue) -> dict[str, str]:
    return {key: str(text) for key, text in _object(value or {}).items()}


def _object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value
