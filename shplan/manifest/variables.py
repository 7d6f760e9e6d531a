"""
The values of the project's variables: who wins, which type, and what is said when it does not fit.

Precedence: `--var`, then `SHPLAN_VAR_*`, then `--var-file`, then the environment's, then the defaults.
The command line hands all of these in as values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, JsonValue
from shplan.manifest.linear_regex import RegexError, compiled
from shplan.manifest.origin import Origin
from shplan.manifest.parse import kind_of
from shplan.manifest.project import Environment, Project, Variable
from shplan.manifest.wording import listed, nearest, shown

ENVIRONMENT_PREFIX = "SHPLAN_VAR_"
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class VariableFile:
    """
    A file of values given with `--var-file`.

    Args:
        label: the path as the user wrote it
        text: its content: a YAML (or JSON) mapping from names to values
    """

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class VariableInputs:
    """
    Values from outside the project.

    Args:
        options: `--var NAME=VALUE`, the later of two winning
        environment: `SHPLAN_VAR_NAME`, without the prefix
        files: `--var-file`, the later of two winning
    """

    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[VariableFile, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """One value with where it came from; a text from outside is still to be read by its type."""

    value: JsonValue
    origin: str
    span: SourceSpan | None = None
    is_text: bool = False


def resolve_variables(
    project: Project,
    environment: Environment,
    inputs: VariableInputs,
    *,
    files: Mapping[str, JsonObject],
    origin: Origin,
) -> tuple[JsonObject, list[Diagnostic]]:
    """
    Return the value of every declared variable, and everything that is wrong with what was given.

    Args:
        files: the parsed content of `inputs.files` by label
        origin: of the project file
    """
    given, diagnostics = _gather(project, environment, inputs, files=files, origin=origin)
    values: JsonObject = {}
    for name, variable in project.variables.items():
        if name not in given:
            diagnostics.append(_missing(variable, environment))
            continue
        value, problem = _typed(variable, given[name])
        if problem is None:
            problem = _validated(variable, value, given[name])
        if problem is None:
            values[name] = value
        else:
            diagnostics.append(problem)
    return values, diagnostics


def _gather(
    project: Project,
    environment: Environment,
    inputs: VariableInputs,
    *,
    files: Mapping[str, JsonObject],
    origin: Origin,
) -> tuple[dict[str, _Given], list[Diagnostic]]:
    given: dict[str, _Given] = {}
    for name, variable in project.variables.items():
        if variable.has_default:
            place = origin.span(("spec", "variables", name, "default"))
            given[name] = _Given(variable.default, "its default", place)
    layers: list[tuple[str, _Given]] = [
        (
            name,
            _Given(
                value, f"environment {environment.name}", _variable_span(environment, name, origin)
            ),
        )
        for name, value in environment.variables.items()
    ]
    for label, content in files.items():
        layers += [(name, _Given(value, f"--var-file {label}")) for name, value in content.items()]
    layers += [
        (name, _Given(text, ENVIRONMENT_PREFIX + name, is_text=True))
        for name, text in inputs.environment.items()
    ]
    layers += [
        (name, _Given(text, f"--var {name}=...", is_text=True))
        for name, text in inputs.options.items()
    ]
    diagnostics = []
    for name, one in layers:
        if name in project.variables:
            given[name] = one
        else:
            diagnostics.append(_undeclared(name, one, project))
    return given, diagnostics


def _variable_span(environment: Environment, name: str, origin: Origin) -> SourceSpan:
    return origin.key(("spec", "environments", environment.name, "variables", name))


def _undeclared(name: str, given: _Given, project: Project) -> Diagnostic:
    similar = nearest(name, project.variables)
    if similar:
        hint = f"did you mean `{similar}`?"
    else:
        hint = f"declare it in shplan.yaml, below spec.variables: `{name}: {{type: string}}`"
    known = f"; it declares {listed(sorted(project.variables))}" if project.variables else ""
    return Diagnostic(
        "manifest/variable",
        "Variable not declared",
        f"the variable `{name}`, given by {given.origin}, is not declared by the project{known}.",
        "A misspelt name would otherwise be a value that nobody reads.",
        hint,
        given.span,
    )


def _missing(variable: Variable, environment: Environment) -> Diagnostic:
    about = f" ({variable.description})" if variable.description else ""
    return Diagnostic(
        "manifest/variable",
        "Variable has no value",
        f"the variable `{variable.name}`{about} has no default and nothing gives it a value.",
        "",
        f"give it one with `--var {variable.name}=VALUE`, with "
        f"{ENVIRONMENT_PREFIX}{variable.name}, or below "
        f"spec.environments.{environment.name}.variables",
        variable.span,
    )


def _typed(variable: Variable, given: _Given) -> tuple[JsonValue, Diagnostic | None]:
    value = given.value
    if given.is_text and variable.type:
        assert isinstance(value, str)
        try:
            value = _from_text(value, variable.type)
        except ValueError:
            return None, _wrong_type(variable, given)
    elif variable.type and not _fits(value, variable.type):
        return None, _wrong_type(variable, given)
    if variable.type == "integer" and isinstance(value, float):
        value = int(value)
    return value, None


def _from_text(text: str, kind: str) -> JsonValue:
    """
    Read a text from the command line by the declared type.

    Raises:
        ValueError: the text is no such value
    """
    if kind == "string":
        return text
    if kind == "boolean":
        if text.strip().lower() in _TRUE | _FALSE:
            return text.strip().lower() in _TRUE
        raise ValueError(text)
    if kind in {"integer", "number"}:
        return _number(text.strip(), kind)
    value = json.loads(text)
    if not _fits(value, kind):
        raise ValueError(text)
    return value  # type: ignore[no-any-return]


def _number(text: str, kind: str) -> int | float:
    if re.fullmatch(r"[-+]?[0-9]{1,19}", text):
        return int(text)
    if kind == "number" and re.fullmatch(
        r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text
    ):
        return float(text)
    raise ValueError(text)


def _fits(value: JsonValue, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in {"integer", "number"}:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (
            whole if kind == "integer" else isinstance(value, int | float)
        )
    return isinstance(value, {"string": str, "list": list, "object": dict}[kind])


_FORMS = {
    "integer": "write a whole number, e.g. 2025",
    "number": "write a number, e.g. 0.5",
    "boolean": "write true or false",
    "list": 'write a list; on the command line as JSON, e.g. \'["a", "b"]\'',
    "object": 'write a mapping; on the command line as JSON, e.g. \'{"key": "value"}\'',
    "string": "write the value in quotes",
}
_NOUNS = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "list": "a list",
    "object": "a mapping",
    "string": "a text",
}


def _wrong_type(variable: Variable, given: _Given) -> Diagnostic:
    value = given.value
    told = kind_of(value) if isinstance(value, dict | list) or value is None else shown(value)
    return Diagnostic(
        "manifest/variable",
        "Variable has a value of the wrong type",
        f"the variable `{variable.name}` is declared as {_NOUNS[variable.type]}, and "
        f"{given.origin} gives {told}.",
        "",
        _FORMS[variable.type],
        given.span or variable.span,
        related=(variable.span,)
        if given.span and variable.span and given.span.line != variable.span.line
        else (),
    )


def _validated(variable: Variable, value: JsonValue, given: _Given) -> Diagnostic | None:
    for rule, limit in variable.validation.items():
        broken = _broken(rule, limit, value)
        if broken:
            return Diagnostic(
                "manifest/variable",
                "Variable has a value that its declaration forbids",
                f"the variable `{variable.name}` is {shown(value)}, given by {given.origin}; {broken}.",
                variable.description,
                "",
                given.span or variable.span,
            )
    return None


def _broken(rule: str, limit: JsonValue, value: JsonValue) -> str:
    """Return what a rule demands if the value breaks it, else nothing."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    bound = limit if isinstance(limit, int | float) else 0
    size = len(value) if isinstance(value, str | list | dict) else None
    if rule == "enum" and isinstance(limit, list) and value not in limit:
        return f"it must be one of {', '.join(shown(one) for one in limit)}"
    if rule == "pattern" and isinstance(value, str):
        return _mismatch(str(limit), value)
    if rule == "minimum" and number is not None and number < bound:
        return f"it must be at least {limit}"
    if rule == "maximum" and number is not None and number > bound:
        return f"it must be at most {limit}"
    if rule == "minLength" and size is not None and size < bound:
        return f"its length must be at least {limit}"
    if rule == "maxLength" and size is not None and size > bound:
        return f"its length must be at most {limit}"
    return ""


def _mismatch(pattern: str, value: str) -> str:
    try:
        found = compiled(pattern).search(value)
    except RegexError as error:
        return f"the expression that it must match {error.what} {error.why}".rstrip(". ")
    return "" if found else f"it must match the regular expression {pattern}"
