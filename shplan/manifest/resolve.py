"""
References: which resources there are, what an expression may see, and filling in what apply finds out.

A `Resolution` is made by `load` and lives on as the engine's `Resolver`: it keeps each resource's
names, so that a scalar which had to wait is evaluated again when attributes are known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.core.errors import ManifestError
from shplan.core.resource import Desired
from shplan.core.value import (
    JsonObject,
    JsonValue,
    Object,
    Path,
    Reference,
    Unknown,
    Value,
    is_known,
    walk,
)
from shplan.manifest.expression_errors import ExpressionError, too_much
from shplan.manifest.expressions import evaluate
from shplan.manifest.geodata import (
    GeometryError,
    geojson_bounds,
    geopackage_bounds,
    read_geojson,
    sentence,
)
from shplan.manifest.scanner import holds_expression
from shplan.manifest.scope import Scope
from shplan.manifest.source import FileError, Files
from shplan.manifest.wording import listed, nearest
from shplan.manifest.work import MAX_PROJECT_WORK, MEMBER, Meter, WorkError

Complaint = Callable[[Path, ExpressionError], None]
PROJECT_SCOPE = "Project"
# Keys that depend on keys that depend on keys.
MAX_CHAIN = 20
# Names that were not found and are searched for by what they resemble.
MAX_SEARCHES = 20
# The code of an error that follows from one already reported; it is never shown.
FOLLOWS = "manifest/follows"


@dataclass(slots=True)
class Evaluated:
    """
    A tree with its expressions evaluated.

    Args:
        value: containers without expressions are those of the file, not copies
        fresh: ids of the containers that are new and may hold unknowns and secrets
    """

    value: Value
    fresh: set[int] = field(default_factory=set)


class Resolution:
    """
    What expressions can ask for (`expressions.World`), and the engine's `Resolver`.

    Args:
        expand: returns the keys of a declared resource, None for a single one
        local: returns the text that an address stands for, None for what exists on the server
        given: returns what a data kind gave, None for other kinds and while it is not read
        names: returns the names of attributes that a data kind has, None for other kinds
        observed: says what is wrong with a resource once attributes of others are known
        declared: every address without its key
        incomplete: a file could not be read whole, so that what is missing may be in it
    """

    def __init__(
        self,
        files: Files,
        *,
        declared: Iterable[Address],
        expand: Callable[[Address], tuple[str, ...] | None],
        local: Callable[[Address], str | None],
        given: Callable[[Address], Object | None],
        names: Callable[[Address], frozenset[str] | None],
        observed: Callable[[Address, Mapping[Address, Object]], list[Diagnostic]] | None = None,
        incomplete: bool,
    ) -> None:
        self._files = files
        self._declared = {str(address): address for address in declared}
        self._expand = expand
        self._local = local
        self._given = given
        self.names = names
        self._observed = observed
        self._used: dict[str, dict[Reference, None]] = {}
        self._incomplete = incomplete
        self._scopes: dict[str, Scope] = {}
        self._geometries: dict[tuple[str, ...], JsonValue | GeometryError] = {}
        self._waiting_members: set[Address] = set()
        self._expanding: list[Address] = []
        self._meter = Meter(MAX_PROJECT_WORK)
        self._searches = 0

    def spend(self, work: int) -> None:
        """Count the work of all expressions while loading; too much is said once."""
        if self._meter.spent > MAX_PROJECT_WORK:
            msg = "follows"
            raise ExpressionError(msg, "", "")
        self._meter.spend(work)

    def add_scope(self, scope: Scope) -> Scope:
        """Remember the names of a resource under the name of their scope."""
        self._scopes[scope.name] = scope
        return scope

    def scope(self, name: str) -> Scope:
        """Return the names that a waiting scalar sees; without a name only those of the project."""
        return self._scopes[name or PROJECT_SCOPE]

    def instances(self, base: Address) -> tuple[str, ...] | None:
        """
        Return the keys of a resource with `forEach`, None for a single one.

        Raises:
            ExpressionError: no manifest declares it, or its keys depend on themselves
        """
        if str(base) not in self._declared:
            raise self._unknown_address(base)
        if base in self._expanding:
            circle = [*self._expanding[self._expanding.index(base) :], base]
            msg = "cycle"
            raise ExpressionError(
                msg,
                "Dependency cycle",
                f"the keys of {base} depend on themselves: {' -> '.join(map(str, circle))}.",
                why="To know its keys, its keys would have to be known.",
                hint="take the keys from a variable",
            )
        if len(self._expanding) >= MAX_CHAIN:
            msg = "reference"
            raise ExpressionError(
                msg,
                "References too long",
                f"the keys of {self._expanding[0]} depend on those of {base} "
                f"by way of {MAX_CHAIN} others.",
                hint="take the keys from a variable",
            )
        self._expanding.append(base)
        try:
            return self._expand(base)
        finally:
            self._expanding.pop()

    def local_text(self, address: Address, *, scope: Scope) -> str | None:
        """Return the text of a local resource, and remember who uses it."""
        text = self._local(address)
        if text is not None:
            self._used.setdefault(scope.name, {})[Reference(address)] = None
        return text

    def reading(self, address: Address, *, scope: Scope) -> Object | None:
        """Return what a data kind gave, and remember who uses it."""
        found = self._given(address)
        if found is not None:
            self._used.setdefault(scope.name, {})[Reference(address)] = None
        return found

    def used(self, scope: str) -> tuple[Reference, ...]:
        """Return the local resources and the data whose values a scope has taken."""
        return tuple(self._used.get(scope, ()))

    def attributes(self, address: Address) -> Object | None:
        """Return None: while loading nothing is known of what the server has."""
        del address
        return None

    def geojson(self, file: str, *, scope: Scope) -> JsonValue:
        """Return the geometry in a GeoJSON file."""
        return self._geometry("geojson", file, scope)

    def bounds(self, file: str, *, scope: Scope) -> JsonValue:
        """Return geometry and CRS of a GeoJSON file or a GeoPackage."""
        return self._geometry("bounds", file, scope)

    def features(self, file: str, *, key: str, layer: str, scope: Scope) -> JsonValue:
        """Return the features of a GeoJSON file or a GeoPackage by a property."""
        return self._geometry("features", file, scope, key, layer)

    def _geometry(self, function: str, file: str, scope: Scope, *options: str) -> JsonValue:
        try:
            path = self._files.locate(file, base=self._files.root / scope.directory)
            key = (function, self._files.relative(path), *options)
            if key not in self._geometries:
                self._geometries[key] = self._read(function, path, *options)
            found = self._geometries[key]
        except FileError as error:
            raise self._file_error(file, sentence(error), scope) from error
        if isinstance(found, GeometryError):
            raise self._file_error(
                file, sentence(found), scope, why=found.why, hint=found.hint
            ) from found
        return found

    def _read(self, function: str, path: FilePath, *options: str) -> JsonValue | GeometryError:
        content = self._files.read(path)
        is_package = path.suffix.lower() == ".gpkg"
        try:
            if function == "geojson" and is_package:
                msg = "is a GeoPackage; geojson(...) reads GeoJSON."
                hint = f"write {{{{ bounds('{path.name}') }}}} as the value of `bounds`"
                return GeometryError(msg, hint=hint)
            if function == "features":
                return _features(content, path, *options)
            if function == "geojson":
                return read_geojson(content)
            return geopackage_bounds(path) if is_package else geojson_bounds(content)
        except GeometryError as error:
            return error

    def _file_error(
        self, file: str, what: str, scope: Scope, *, why: str = "", hint: str = ""
    ) -> ExpressionError:
        if "does not exist" in what and not hint:
            why, hint = self._nearby(file, scope)
        if "outside the project" in what and not why:
            why = (
                "A manifest reads only what is in the repository, so that everybody plans the same."
            )
        return ExpressionError(
            "file", "File cannot be used", f"{file} {what}", why=why, hint=hint, fragment=file
        )

    def _nearby(self, file: str, scope: Scope) -> tuple[str, str]:
        """Say what a path is relative to, and whether the same path means something elsewhere."""
        why = f"Paths are relative to the manifest's directory, {scope.directory}/."
        below_root = self._files.root / file
        base = self._files.root / scope.directory
        if below_root.is_file() and base != self._files.root:
            up = "../" * len(FilePath(scope.directory).parts)
            return why, f"write '{up}{file}'"
        folder = (base / file).parent
        names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
        similar = nearest(FilePath(file).name, names)
        return (
            why,
            f"did you mean `{(FilePath(file).parent / similar).as_posix()}`?" if similar else "",
        )

    def _unknown_address(self, base: Address) -> ExpressionError:
        if self._incomplete:
            return ExpressionError("follows", "", "")
        # Each search costs as much as there are names, and many wrong ones have one cause.
        self._searches += 1
        similar = nearest(str(base), self._declared) if self._searches <= MAX_SEARCHES else None
        same_kind = sorted(name for name in self._declared if name.startswith(f"{base.kind}/"))
        if similar:
            hint = f"did you mean `{similar}`?"
        elif same_kind:
            hint = f"of this kind there are {listed(same_kind)}"
        else:
            hint = "declare it, or if it exists on the server already, declare it with `lifecycle: {managed: false}`"
        return ExpressionError(
            "reference",
            "Reference to nothing",
            f"no manifest declares {base}.",
            hint=hint,
            fragment=str(base),
        )

    # --- the engine's Resolver ---------------------------------------------------------------

    def note_members(self, address: Address) -> None:
        """Remember that members of a set wait for attributes."""
        self._waiting_members.add(address)

    def fill(self, desired: Desired, attributes: Mapping[Address, Object]) -> Desired:
        """
        Return the resource with every unknown evaluated that these attributes allow.

        Raises:
            ManifestError: an attribute does not exist, or an expression fails on its value
        """
        if not attributes:
            return desired
        filler = _Filler(self, attributes)
        problems: list[Diagnostic] = []

        def complain(path: Path, error: ExpressionError) -> None:
            span = desired.source.span(path)
            problems.append(diagnostic(error, span, address=str(desired.address)))

        spec = filler.tree(desired.spec, ("spec",), complain)
        run = filler.tree(desired.run, ("run",), complain)
        assert isinstance(spec, dict)
        assert isinstance(run, dict)
        members: Sequence[Object] = desired.members
        if desired.address in self._waiting_members:
            members = filler.members(desired, complain)
        if problems:
            msg = f"{desired.address} cannot be completed"
            raise ManifestError(msg, diagnostics=tuple(problems))
        return dataclasses.replace(desired, spec=spec, run=run, members=members)

    def check(self, address: Address, attributes: Mapping[Address, Object]) -> None:
        """
        Check a resource once more, with what is known of those that it refers to.

        Raises:
            ManifestError: its script does not fit its collections
        """
        found = [] if self._observed is None else self._observed(address, attributes)
        errors = tuple(one for one in found if one.severity is Severity.ERROR)
        if errors:
            msg = f"{address} does not fit what it refers to"
            raise ManifestError(msg, diagnostics=errors)

    def fill_value(self, value: Value, attributes: Mapping[Address, Object]) -> Value:
        """
        Do the same for one value.

        Raises:
            ManifestError: as `fill`
        """
        problems: list[Diagnostic] = []

        def complain(path: Path, error: ExpressionError) -> None:
            del path
            problems.append(diagnostic(error, None))

        filled = _Filler(self, attributes).tree(value, (), complain)
        if problems:
            msg = "a value cannot be completed"
            raise ManifestError(msg, diagnostics=tuple(problems))
        return filled


class _Filler:
    """A resolution that knows some attributes (`expressions.World`)."""

    def __init__(self, base: Resolution, attributes: Mapping[Address, Object]) -> None:
        self._base = base
        self._attributes = attributes
        self.instances = base.instances
        self.local_text = base.local_text
        self.reading = base.reading
        self.names = base.names
        self.geojson = base.geojson
        self.bounds = base.bounds
        self.features = base.features
        self.scope = base.scope
        # Of its own: an apply fills in what it learns, as long as it runs.
        self.spend = Meter(MAX_PROJECT_WORK).spend

    def attributes(self, address: Address) -> Object | None:
        return self._attributes.get(address)

    def tree(self, value: Value, path: Path, complain: Complaint) -> Value:
        """Evaluate every unknown below again; what has nothing new keeps its identity."""
        if isinstance(value, Unknown):
            return self._again(value, path, complain)
        if isinstance(value, dict):
            members = {key: self.tree(one, (*path, key), complain) for key, one in value.items()}
            same = all(members[key] is one for key, one in value.items())
            return value if same else members
        if isinstance(value, list):
            items = [self.tree(one, (*path, index), complain) for index, one in enumerate(value)]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value

    def members(self, desired: Desired, complain: Complaint) -> list[Object]:
        result: list[Object] = []
        for index, member in enumerate(desired.members):
            filled = self.tree(member, ("spec", "tiles", index), complain)
            assert isinstance(filled, dict)
            result.append(filled)
        return result

    def _again(self, unknown: Unknown, path: Path, complain: Complaint) -> Value:
        if not any(reference.address in self._attributes for reference in unknown.references):
            return unknown
        try:
            return evaluate(unknown.template, self.scope(unknown.scope), self)
        except ExpressionError as error:
            complain(path, error)
            return unknown


def _features(content: bytes, path: FilePath, key: str, layer: str) -> JsonObject:
    from shplan.manifest import feature_sets  # noqa: PLC0415 - only who names features pays

    if path.suffix.lower() == ".gpkg":
        return feature_sets.geopackage_features(path, key=key, layer=layer)
    return feature_sets.geojson_features(content, key=key)


def evaluate_tree(
    value: JsonValue,
    path: Path,
    *,
    dynamic: frozenset[int],
    scope: Scope,
    world: Resolution,
    complain: Complaint,
) -> Evaluated:
    """
    Evaluate every expression of a parsed tree.

    Args:
        dynamic: ids of the containers that hold an expression
        complain: is told what fails; the value is then an unknown, so that nothing else complains
    """
    result = Evaluated(None)

    def visit(node: JsonValue, here: Path) -> Value:
        if isinstance(node, str):
            return scalar(node, here) if holds_expression(node) else node
        if not isinstance(node, dict | list) or id(node) not in dynamic:
            return node  # type: ignore[return-value]
        made: Value
        try:
            world.spend(2 * MEMBER * len(node))
        except (WorkError, ExpressionError) as error:
            complain(here, error if isinstance(error, ExpressionError) else too_much())
            return Unknown("", scope.name, ())
        if isinstance(node, dict):
            made = {key: visit(member, (*here, key)) for key, member in node.items()}
        else:
            made = [visit(item, (*here, index)) for index, item in enumerate(node)]
        result.fresh.add(id(made))
        return made

    def scalar(text: str, here: Path) -> Value:
        try:
            found = evaluate(text, scope, world)
        except ExpressionError as error:
            complain(here, error)
            return Unknown(text, scope.name, ())
        if isinstance(found, dict | list):
            note_containers(found, result.fresh)
        return found

    result.value = visit(value, path)
    return result


def note_containers(value: Value, fresh: set[int]) -> None:
    """Add the containers that hold something unknown or secret to those that have to be looked through."""
    if isinstance(value, dict | list) and not is_known(value):
        fresh.add(id(value))
        for member in value.values() if isinstance(value, dict) else value:
            note_containers(member, fresh)


def references_of(value: Value, fresh: set[int]) -> tuple[Reference, ...]:
    """Return what a tree waits for, each reference once, in the order of the document."""
    found: dict[Reference, None] = {}

    def visit(node: Value) -> None:
        if isinstance(node, Unknown):
            found.update(dict.fromkeys(node.references))
        elif isinstance(node, dict | list) and id(node) in fresh:
            for member in node.values() if isinstance(node, dict) else node:
                visit(member)

    visit(value)
    return tuple(found)


def diagnostic(error: ExpressionError, span: SourceSpan | None, *, address: str = "") -> Diagnostic:
    """Turn what an expression complains about into a message."""
    return Diagnostic(
        error.code, error.summary, error.what, error.why, error.hint, span, address=address
    )


def first_unknown(value: Value) -> Path | None:
    """Return the path of the first leaf that is not known, or None."""
    for path, leaf in walk(value):
        if isinstance(leaf, Unknown):
            return path
    return None
