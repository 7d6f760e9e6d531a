"""
Scalars to values: expressions are evaluated after the YAML was parsed, strictly and in a sandbox.

A scalar that is one expression keeps the type of its value; text around it makes a text; nothing is
parsed a second time. What exists only after apply makes the whole scalar an `Unknown`, whatever was
going to be done with it; a secret can be passed on and nothing else. Jinja itself is behind `jinja.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeAlias, cast

from shplan.core.address import Address
from shplan.core.secret_places import (
    SecretPlaceError,
    in_project,
    read_secret_place,
)
from shplan.core.value import (
    JsonObject,
    JsonValue,
    Object,
    Reference,
    SecretReference,
    Sensitive,
    Unknown,
    Value,
)
from shplan.manifest import dates
from shplan.manifest.parse import kind_of
from shplan.manifest.scanner import (
    Call,
    Constant,
    Expression,
    Member,
    Name,
    Part,
    ScanError,
    Tree,
    read,
    split,
)
from shplan.manifest.wording import listed, nearest, shown
from shplan.manifest.work import KEPT, SCALAR, WorkError, weight

MAX_TEXT = 1_000_000
MAX_ITEMS = 100_000
MAX_SOURCE = 10_000
RUN_KEY = "run.key"
_ADDRESS_TEXT = re.compile(r"""\bref\(\s*(?:'([^'\\]+)'|"([^"\\]+)")\s*\)""")

# What expressions work with: JSON, and the stand-ins below for what has no value yet.
Item: TypeAlias = Any


class ExpressionError(Exception):
    """
    An expression cannot be evaluated.

    Args:
        fragment: the part of the scalar that is at fault
        secret: the scalar must not be shown
    """

    def __init__(
        self,
        code: str,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        fragment: str = "",
        secret: bool = False,
    ) -> None:
        super().__init__(what)
        self.code, self.summary, self.what, self.why = f"manifest/{code}", summary, what, why
        self.hint, self.fragment, self.secret = hint, fragment, secret


class KeysUnknownError(ExpressionError):
    """
    The instances of a resource are known only when a data kind has been read.

    Args:
        waits_for: what they depend on
    """

    def __init__(self, waits_for: tuple[Reference, ...]) -> None:
        super().__init__("follows", "", "")
        self.waits_for = waits_for


class World(Protocol):
    """What expressions can ask for beyond their own scope."""

    def spend(self, work: int) -> None:
        """
        Count the work that expressions make.

        Raises:
            WorkError: all of them together make more than a project may
        """
        ...

    def instances(self, base: Address) -> tuple[str, ...] | None:
        """
        Return the keys of a resource with `forEach`, None for a single one.

        Raises:
            ExpressionError: there is no such resource
        """
        ...

    def attributes(self, address: Address) -> Object | None:
        """Return what is known of a resource by now, None for nothing."""
        ...

    def reading(self, address: Address, *, scope: Scope) -> Object | None:
        """Return what a data kind gave, plain values only, None while it is not read."""
        ...

    def names(self, address: Address) -> frozenset[str] | None:
        """Return the names of all attributes that a resource can have, None where any may come."""
        ...

    def local_text(self, address: Address, *, scope: Scope) -> str | None:
        """
        Return the text that a local resource stands for (an evalscript), None for other kinds.

        Raises:
            ExpressionError: its file cannot be read, which was said where it is declared
        """
        ...

    def scope(self, name: str) -> Scope:
        """Return the names that a waiting scalar sees."""
        ...

    def geojson(self, file: str, *, scope: Scope) -> JsonValue:
        """Return the geometry in a file."""
        ...

    def bounds(self, file: str, *, scope: Scope) -> JsonValue:
        """Return geometry and CRS of a file, for `bounds`."""
        ...

    def features(self, file: str, *, key: str, layer: str, scope: Scope) -> JsonValue:
        """Return the features of a file by a property, for `forEach`."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The names that the expressions of one resource see.

    Args:
        name: its printed address, or another name that is unique in the project
        variables: `var`
        each: `each`, None outside of `forEach`; unknown where the instances are not known yet
        directory: of the manifest, relative to the project, for files
        has_run: the resource is a job, so that `run.key` exists
        whole_references: a reference without an attribute may be a value here
    """

    name: str
    variables: JsonObject = field(default_factory=dict)
    each: Object | Unknown | None = None
    directory: str = "."
    has_run: bool = False
    whole_references: bool = False


def evaluate(text: str, scope: Scope, world: World) -> Value:
    """
    Return the value of a scalar that holds expressions.

    Raises:
        ExpressionError: with what a person needs to know
    """
    try:
        parts = split(text)
    except ScanError as error:
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression cannot be read",
            error.what,
            hint=error.hint,
            fragment=error.fragment,
        ) from error
    if not any(isinstance(part, Expression) and part.source != RUN_KEY for part in parts):
        return _literal(parts, text, scope)
    run = Run(scope, world)
    try:
        world.spend(SCALAR)
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return run.typed(parts[0], text)
        return run.joined(parts, text)
    except WorkError as error:
        raise too_much() from error


def reference_template(reference: Reference) -> str:
    """Return an expression that means the same in every scope."""
    steps = "".join(
        f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{_literal_step(step)}]"
        for step in reference.path
    )
    return "{{ ref('" + str(reference.address) + "')" + steps + " }}"


def _literal_step(step: str | int) -> str:
    return str(step) if isinstance(step, int) else "'" + step.replace("'", "\\'") + "'"


def _literal(parts: tuple[Part, ...], text: str, scope: Scope) -> str:
    if not scope.has_run and any(isinstance(part, Expression) for part in parts):
        raise _no_run(next(part.whole for part in parts if isinstance(part, Expression)))
    return text


def _no_run(fragment: str) -> ExpressionError:
    return ExpressionError(
        "undefined",
        "Name not defined",
        "`run.key` exists only in jobs.",
        why="It is the key of one run; other kinds do not run.",
        fragment=fragment,
    )


class Later:
    """Stands for a value that exists only after apply; whatever is done with it waits as well."""

    __slots__ = ("names", "pure", "references", "run")

    def __repr__(self) -> str:
        return "(known after apply)"

    def __init__(
        self,
        run: Run,
        references: tuple[Reference, ...],
        *,
        pure: bool = True,
        names: frozenset[str] | None = None,
    ) -> None:
        self.run, self.references, self.pure, self.names = run, references, pure, names

    def member(self, step: str | int) -> Later:
        """Return an attribute of what is not known yet; its names may be known all the same."""
        if not self.pure:
            return self.touched()
        reference = self.references[0]
        if self.names is not None and step not in self.names:
            raise no_member(dict.fromkeys(sorted(self.names)), step, str(reference.address))
        return Later(self.run, (Reference(reference.address, (*reference.path, step)),))

    def touched(self, *_: object) -> Later:
        """Note that something was done with it; the result waits for the same."""
        self.run.defer(self)
        return self if not self.pure else Later(self.run, self.references, pure=False)

    def __str__(self) -> str:
        self.touched()
        return ""

    def __iter__(self) -> Any:
        self.touched()
        return iter(())

    def __bool__(self) -> bool:
        self.touched()
        return True

    def __len__(self) -> int:
        self.touched()
        return 1

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        return self.touched()

    def __ne__(self, other: object) -> Any:
        return self.touched()

    def __contains__(self, item: object) -> bool:
        self.touched()
        return True


class Hidden:
    """Stands for a secret: it can be the value of a scalar or a part of it, and nothing else."""

    __slots__ = ("value",)

    def __init__(self, value: Sensitive) -> None:
        self.value = value

    def refuse(self, *_: object) -> NoReturn:
        """Refuse every use but passing the secret on."""
        msg = "secret-used"
        raise ExpressionError(
            msg,
            "Secret used in an expression",
            "a secret is compared, changed or tested here.",
            why="Secrets have no value until a request is sent; then they are put in as they are.",
            hint="write {{ secret('env:NAME') }} alone or with plain text around it",
        )

    __str__ = __iter__ = __bool__ = __len__ = __eq__ = __ne__ = __contains__ = refuse

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return "(sensitive)"


_OPERATORS = [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "floordiv",
    "rfloordiv",
    "mod",
    "rmod",
    "pow",
    "rpow",
    "neg",
    "pos",
    "lt",
    "le",
    "gt",
    "ge",
    "call",
    "getitem",
]
for _operator in _OPERATORS:
    setattr(Later, f"__{_operator}__", Later.touched)
    setattr(Hidden, f"__{_operator}__", Hidden.refuse)


def step_into(item: Item, step: Item) -> Item:
    """Return a member of a value, or `NOTHING`."""
    if isinstance(item, Later):
        return item.member(step) if isinstance(step, str | int) else item.touched()
    if isinstance(item, Hidden):
        item.refuse()
    if isinstance(step, Later):
        return step.touched()
    if isinstance(step, Hidden):
        step.refuse()
    if isinstance(item, dict):
        return _key_of(item, step)
    if isinstance(item, list | tuple | str) and isinstance(step, int):
        return item[step] if -len(item) <= step < len(item) else NOTHING
    return NOTHING


def _key_of(item: dict[str, Item], step: Item) -> Item:
    if isinstance(step, str):
        return item.get(step, NOTHING)
    return item.get(str(step), NOTHING) if isinstance(step, int) else NOTHING


class Run:
    """The evaluation of one scalar."""

    def __init__(self, scope: Scope, world: World) -> None:
        self.scope, self.world = scope, world
        self.deferred = False
        self.references: dict[Reference, None] = {}

    def defer(self, later: Later) -> None:
        """Remember that the scalar waits for an attribute."""
        self.deferred = True
        self.references.update(dict.fromkeys(later.references))

    def typed(self, expression: Expression, text: str) -> Value:
        """Evaluate a scalar that is one expression."""
        item = self._item(expression)
        if self.deferred:
            return self._unknown((expression,), text)
        if isinstance(item, Later):
            self._check_whole(item, expression)
            self.defer(item)
            return self._unknown((), text)
        return self._settled(item, expression, text)

    def _settled(self, item: Item, expression: Expression, text: str) -> Value:
        try:
            value = _leave(item, self)
        except ExpressionError as error:
            error.fragment = error.fragment or expression.whole
            raise
        if self.scope.whole_references or not self.deferred:
            return value
        return self._unknown((expression,), text)

    def joined(self, parts: tuple[Part, ...], text: str) -> Value:
        """Evaluate a scalar with text around its expressions."""
        pieces: list[str | SecretReference] = []
        for part in parts:
            if isinstance(part, str):
                pieces.append(part)
            elif part.source == RUN_KEY:
                pieces.append(_literal((part,), part.whole, self.scope))
            else:
                pieces += self._pieces(part)
        if self.deferred:
            return self._unknown(parts, text)
        if any(isinstance(piece, SecretReference) for piece in pieces):
            return Sensitive(tuple(_merged(pieces)))
        texts = cast("list[str]", pieces)
        length = sum(map(len, texts))
        self.world.spend(KEPT * length)
        if length > max(MAX_TEXT, len(text)):
            raise too_large()
        return "".join(texts)

    def _pieces(self, expression: Expression) -> Sequence[str | SecretReference]:
        item = self._item(expression)
        if isinstance(item, Later):
            self._check_whole(item, expression)
            item.touched()
            return ("",)
        if isinstance(item, Hidden):
            return item.value.parts
        if self.deferred:
            return ("",)
        try:
            return (_text(_leave(item, self)),)
        except ExpressionError as error:
            error.fragment = error.fragment or expression.whole
            raise

    def _item(self, expression: Expression) -> Item:
        try:
            tree = read(expression.source)
            if tree is not None:
                return self._tree(tree)
            return _by_jinja(expression.source, self)
        except ExpressionError as error:
            error.fragment = error.fragment or expression.whole
            # What fails because a value is not there yet is tried again when it is.
            if self.deferred and error.code not in _CERTAIN:
                return Later(self, tuple(self.references), pure=False)
            raise

    def _check_whole(self, later: Later, expression: Expression) -> None:
        if self.scope.whole_references or not later.pure or later.references[0].path:
            return
        address = later.references[0].address
        msg = "reference"
        raise ExpressionError(
            msg,
            "Reference without an attribute",
            f"{expression.whole} means the whole of {address}, not one of its attributes.",
            hint=f"write e.g. {{{{ ref('{address}').id }}}}",
            fragment=expression.whole,
        )

    def _unknown(self, parts: Iterable[Part], text: str) -> Unknown:
        """Return what waits; a branch that was not taken may be needed later, so it waits for it too."""
        for part in parts:
            if isinstance(part, Expression):
                self._mentioned(part.source)
        return Unknown(text, self.scope.name, tuple(sorted(self.references, key=str)))

    def _mentioned(self, source: str) -> None:
        met = {reference.address for reference in self.references}
        for match in _ADDRESS_TEXT.finditer(source):
            try:
                address = Address.parse(match[1] or match[2])
                keys = self.world.instances(address.base)
            except (ValueError, ExpressionError):
                continue
            if address.base in {one.base for one in met}:
                continue
            for one in (
                [address]
                if address.key or keys is None
                else [Address(address.kind, address.name, key) for key in keys]
            ):
                self.references.setdefault(Reference(one))

    def _tree(self, tree: Tree) -> Item:
        if isinstance(tree, Constant):
            return tree.value
        if isinstance(tree, Name):
            return self.name(tree.name)
        if isinstance(tree, Member):
            return self._member(tree)
        return self._call(tree)

    def _member(self, tree: Member) -> Item:
        item, step = self._tree(tree.object), self._tree(tree.step)
        found = step_into(item, step)
        if found is NOTHING:
            raise no_member(item, step, _written(tree.object))
        return found

    def _call(self, tree: Call) -> Item:
        function = self.function(tree.name)
        return self.call(function, tree.name, [self._tree(one) for one in tree.arguments], {})

    def function(self, name: str) -> Callable[..., Item]:
        """Return a function by the name that expressions call it."""
        own = {
            "ref": self.ref,
            "secret": self.secret,
            "geojson": self.geojson,
            "bounds": self.bounds,
            "features": self.features,
        }
        function = own.get(name) or FUNCTIONS.get(name)
        if function is None:
            raise no_name(name, self.names(), called=True)
        return function

    def call(
        self,
        function: Callable[..., Item],
        name: str,
        arguments: Sequence[Item],
        options: Mapping[str, Item],
    ) -> Item:
        """Call a function of the language; what waits makes the result wait."""
        for argument in (*arguments, *options.values()):
            if isinstance(argument, Later):
                return argument.touched()
            if isinstance(argument, Hidden):
                argument.refuse()
        try:
            return function(*arguments, **options)
        except dates.DateError as error:
            msg = "expression"
            raise ExpressionError(msg, "Expression fails", f"{name}(...): {error}") from error
        except TypeError as error:
            raise _wrong_call(name, error) from error

    def names(self) -> dict[str, Item]:
        """Return the names of the scope."""
        variables: Item = self.scope.variables
        if any(isinstance(one, Unknown) for one in self.scope.variables.values()):
            # A variable whose value is wrong was complained about where it is given.
            variables = _enter(cast("Value", variables), self)
        names: dict[str, Item] = {"var": variables}
        if self.scope.each is not None:
            names["each"] = _enter(self.scope.each, self)
        return names

    def name(self, name: str) -> Item:
        """Return what a name stands for in this scope."""
        names = self.names()
        if name in names:
            return names[name]
        if name == "run" and self.scope.has_run:
            msg = "undefined"
            raise ExpressionError(
                msg,
                "Name not defined",
                "of `run` there is only `run.key`, and it stands alone: {{ run.key }}.",
                why="The key is computed from everything else, so nothing can be computed from it.",
            )
        if name in FUNCTIONS or name in SCOPED_FUNCTIONS:
            msg = "expression"
            raise ExpressionError(
                msg,
                "Expression fails",
                f"`{name}` is a function and must be called.",
                hint=f"write {{{{ {name}(...) }}}}",
            )
        raise no_name(name, names)

    def ref(self, text: object) -> Item:
        """Return a resource's attributes: known ones, or stand-ins for them."""
        if not isinstance(text, str):
            msg = "reference"
            raise ExpressionError(
                msg,
                "Reference not understood",
                f"ref(...) takes an address, and this is {kind_of(text)}.",
                hint="write {{ ref('Kind/name').id }}",
            )
        try:
            address = Address.parse(text)
        except ValueError as error:
            msg = "reference"
            raise ExpressionError(
                msg,
                "Reference not understood",
                f"{shown(text)} is no address.",
                why="Addresses are Kind/name, or Kind/name[key] for one instance of a forEach.",
                hint="write {{ ref('Kind/name').id }}",
                fragment=text,
            ) from error
        try:
            keys = self.world.instances(address.base)
        except KeysUnknownError as error:
            return Later(self, (Reference(address), *error.waits_for), pure=False)
        if keys is None:
            if address.key is not None:
                raise _no_instances(address)
            return self._attributes(address)
        if address.key is None:
            self.world.spend(len(keys))
            return {key: self._attributes(Address(address.kind, address.name, key)) for key in keys}
        if address.key not in keys:
            raise _no_instance(address, keys)
        return self._attributes(address)

    def _attributes(self, address: Address) -> Item:
        text = self.world.local_text(address, scope=self.scope)
        if text is not None:
            return text
        given = self.world.reading(address, scope=self.scope)
        if given is not None:
            # Thousands of items are not looked through for unknowns each time: there are none.
            return given
        known = self.world.attributes(address)
        if known is None:
            return Later(self, (Reference(address),), names=self.world.names(address))
        return _enter(known, self)

    def secret(self, text: object) -> Item:
        """Return a secret by the place where it will be found."""
        try:
            place = read_secret_place(text if isinstance(text, str) else "")
            placed = in_project(place, self.scope.directory)
        except SecretPlaceError as error:
            msg = "secret"
            raise ExpressionError(
                msg,
                "Secret not understood",
                error.what,
                why="Secrets are read at the moment of a request and stand in no file. If this was one, "
                "replace it where it was issued: it is in your files' history.",
                hint=error.hint,
                secret=True,
            ) from None
        assert isinstance(text, str)
        if placed is not place:
            text = f"{placed.scheme.value}:{placed.name}"
        return Hidden(Sensitive((SecretReference(text),)))

    def geojson(self, file: object) -> Item:
        """Return the geometry in a GeoJSON file."""
        return self.world.geojson(_file_name(file, "geojson"), scope=self.scope)

    def bounds(self, file: object) -> Item:
        """Return geometry and CRS of a file."""
        return self.world.bounds(_file_name(file, "bounds"), scope=self.scope)

    def features(self, file: object, key: object = "id", layer: object = "") -> Item:
        """Return the features of a file by a property."""
        for name, value in (("key", key), ("layer", layer)):
            if not isinstance(value, str):
                msg = "expression"
                raise ExpressionError(
                    msg,
                    "Expression fails",
                    f"`{name}` of features(...) is a name, and this is {kind_of(value)}.",
                    hint="write features('aoi/fields.geojson', key='id')",
                )
        return self.world.features(
            _file_name(file, "features"), key=str(key), layer=str(layer), scope=self.scope
        )


FUNCTIONS: Mapping[str, Callable[..., Item]] = dates.FUNCTIONS
SCOPED_FUNCTIONS = ("ref", "secret", "geojson", "bounds", "features")
NOTHING = object()
# Errors that no later value can heal.
_CERTAIN = frozenset({"manifest/reference", "manifest/secret", "manifest/secret-used"})


def _file_name(value: object, function: str) -> str:
    if isinstance(value, str):
        return value
    msg = "file"
    raise ExpressionError(
        msg,
        "File cannot be used",
        f"{function}(...) takes the path of a file, and this is {kind_of(value)}.",
    )


def no_name(name: str, names: Mapping[str, Item], *, called: bool = False) -> ExpressionError:
    """Word that a name is not defined, with the nearest one."""
    if name in {"now", "today", "utcnow", "timestamp"}:
        return ExpressionError(
            "undefined",
            "Name not defined",
            f"there is no `{name}`: manifests do not know the date.",
            why="The same files must give the same plan tomorrow.",
            hint="declare a variable and give it with `--var day=2025-06-30`",
            fragment=name,
        )
    if name in {"env", "environ", "getenv"}:
        return ExpressionError(
            "undefined",
            "Name not defined",
            f"there is no `{name}`: manifests do not read the environment.",
            why="The same files must give the same plan everywhere.",
            hint="declare a variable and set SHPLAN_VAR_NAME; for secrets write {{ secret('env:NAME') }}",
            fragment=name,
        )
    if name == "each":
        return ExpressionError(
            "undefined",
            "Name not defined",
            "`each` exists only in a resource with `metadata.forEach`.",
            hint="add `forEach` to its metadata",
            fragment=name,
        )
    if name == "run":
        return _no_run("run")
    known = [*names, *SCOPED_FUNCTIONS, *FUNCTIONS]
    similar = nearest(name, known)
    variables = names.get("var")
    if similar is None and isinstance(variables, dict) and nearest(name, variables):
        similar = f"var.{nearest(name, variables)}"
    what = f"there is no function `{name}`." if called else f"the name `{name}` is not defined."
    hint = f"did you mean `{similar}`?" if similar else f"there are {listed(known, limit=40)}"
    return ExpressionError("undefined", "Name not defined", what, hint=hint, fragment=name)


def no_member(item: Item, step: Item, owner: str) -> ExpressionError:
    """Word that a value has no such member, with the nearest one."""
    known = [key for key in item if isinstance(key, str)] if isinstance(item, dict) else []
    similar = nearest(str(step), known)
    of = f"`{owner}`" if owner else kind_of(item)
    fragment = str(step)
    if owner == "var":
        hint = f"did you mean `var.{similar}`?" if similar else ""
        declare = f"declare it in shplan.yaml, below spec.variables: `{step}: {{type: string}}`"
        return ExpressionError(
            "undefined",
            "Variable not declared",
            f"the project declares no variable `{step}`"
            + (f"; it declares {listed(known)}." if known else "."),
            hint=hint or declare,
            fragment=f"var.{step}",
        )
    if isinstance(item, dict):
        what = f"{of} has no `{step}`" + (f"; it has {listed(known)}." if known else ".")
    elif isinstance(item, list | tuple | str) and isinstance(step, int):
        what = f"{of} has {len(item)} items; there is no number {step}."
        fragment = ""
    else:
        what = f"{of} is {kind_of(item)} and has no `{step}`."
    return ExpressionError(
        "undefined",
        "Name not defined",
        what,
        fragment=fragment,
        hint=f"did you mean `{similar}`?" if similar else "",
    )


def _no_instances(address: Address) -> ExpressionError:
    return ExpressionError(
        "reference",
        "Reference not understood",
        f"{address.base} has no `forEach`, so there is no {address}.",
        hint=f"write {{{{ ref('{address.base}') }}}}",
        fragment=str(address),
    )


def _no_instance(address: Address, keys: tuple[str, ...]) -> ExpressionError:
    similar = nearest(address.key or "", keys)
    return ExpressionError(
        "reference",
        "Reference to nothing",
        f"{address.base} has no instance `{address.key}`; its keys are {listed(keys)}.",
        hint=f"did you mean `{address.base}[{similar}]`?" if similar else "",
        fragment=str(address),
    )


def _wrong_call(name: str, error: TypeError) -> ExpressionError:
    said = re.sub(r"^\S*?(\w+)\(\)", r"\1(...)", str(error)).replace("Run.", "")
    return ExpressionError(
        "expression",
        "Expression fails",
        f"{name}(...) is called wrongly: {said}.",
        fragment=f"{name}(",
    )


def _written(tree: Tree) -> str:
    """Return a tree as it was written, for messages."""
    if isinstance(tree, Constant):
        return repr(tree.value)
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Call):
        return f"{tree.name}({', '.join(_written(one) for one in tree.arguments)})"
    owner, step = _written(tree.object), tree.step
    if tree.dotted and isinstance(step, Constant):
        return f"{owner}.{step.value}"
    return f"{owner}[{_written(step)}]"


def _enter(value: Value, run: Run) -> Item:
    """Put stand-ins where a value of the scope holds unknowns and secrets."""
    if isinstance(value, Unknown):
        if any(run.world.attributes(one.address) is not None for one in value.references):
            again = evaluate(value.template, run.world.scope(value.scope), run.world)
            if not isinstance(again, Unknown):
                return _enter(again, run)
        pure = len(value.references) == 1 and value.template == reference_template(
            value.references[0]
        )
        return Later(run, value.references, pure=pure)
    if isinstance(value, Sensitive):
        return Hidden(value)
    if isinstance(value, dict):
        run.world.spend(len(value))
        members = {key: _enter(member, run) for key, member in value.items()}
        return value if all(members[key] is one for key, one in value.items()) else members
    if isinstance(value, list):
        run.world.spend(len(value))
        items = [_enter(member, run) for member in value]
        return (
            value if all(one is other for one, other in zip(items, value, strict=True)) else items
        )
    return value


def _leave(item: Item, run: Run) -> Value:
    """
    Turn what an expression gave into a value of the language.

    Raises:
        ExpressionError: it is none
    """
    if item is None or isinstance(item, bool):
        return item
    if isinstance(item, str):
        return _checked_text(item)
    if isinstance(item, int | float):
        return _checked_number(item)
    if isinstance(item, Later):
        run.defer(item)
        reference = item.references[0] if item.pure else None
        template = reference_template(reference) if reference else ""
        return Unknown(template, "", item.references)
    if isinstance(item, Hidden):
        return item.value
    if isinstance(item, dict | list | tuple):
        return _leave_container(item, run)
    if isinstance(item, Iterable):
        return [_leave(member, run) for member in _bounded(item)]
    if callable(item):
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression fails",
            "the expression gives a function, not its result.",
            hint="call it: add `()`",
        )
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"the expression gives a {type(item).__name__}, which JSON has not.",
    )


def _leave_container(item: dict[str, Item] | list[Item] | tuple[Item, ...], run: Run) -> Value:
    """Do the same for all members; what has only plain values is not copied."""
    run.world.spend(2 * len(item))
    if isinstance(item, dict):
        members = {_checked_key(key): _leave(member, run) for key, member in item.items()}
        return item if all(members[key] is one for key, one in item.items()) else members
    items = [_leave(member, run) for member in item]
    same = isinstance(item, list) and all(a is b for a, b in zip(items, item, strict=True))
    return cast("Value", item) if same else items


def _bounded(items: Iterable[Item]) -> list[Item]:
    result: list[Item] = []
    for item in items:
        if len(result) >= MAX_ITEMS:
            raise too_large()
        result.append(item)
    return result


def too_large() -> ExpressionError:
    """Word that a result would be larger than any manifest needs."""
    return ExpressionError(
        "expression-too-large",
        "Expression too large",
        f"the value would be larger than expressions may be ({MAX_TEXT:,} characters, {MAX_ITEMS:,} items).",
        why="A manifest that anybody can send must not be able to fill the memory of who plans it.",
    )


def too_much() -> ExpressionError:
    """Word that the expressions of a project are together more work than any project needs."""
    return ExpressionError(
        "expression-too-large",
        "Expressions too large",
        "the expressions of this project make more than a project may: "
        "hundreds of millions of characters.",
        why="A manifest that anybody can send must not be able to fill the memory of who plans it.",
        hint="use variables and references for what is repeated, not copies of it in texts",
    )


def _checked_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise too_large()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression fails",
            "the text holds half of a character (a lone surrogate).",
        ) from error
    return str(text)


def _checked_number(number: float) -> int | float:
    if isinstance(number, int):
        if -(2**63) <= number < 2**64:
            return number
        msg = "expression"
        raise ExpressionError(msg, "Expression fails", "the integer does not fit into 64 bits.")
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        msg = "expression"
        raise ExpressionError(
            msg, "Expression fails", f"{number} is no number that JSON can carry."
        )
    return number


def _checked_key(key: Item) -> str:
    if isinstance(key, str):
        return _checked_text(key)
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"a key of the mapping is {kind_of(key)}; keys must be texts.",
        hint="write the key in quotes",
    )


def _text(value: Value) -> str:
    """Return a value as it appears inside text: as YAML would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    noun = kind_of(value)
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"the expression gives {noun}, and {noun} cannot stand inside a text.",
        hint="write the expression alone, so that the value keeps its type; or `| tojson`"
        if value is not None
        else "give the variable a value, or write `| default('...', true)`",
    )


def _merged(pieces: Sequence[str | SecretReference]) -> list[str | SecretReference]:
    merged: list[str | SecretReference] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece != "":
            merged.append(piece)
    return merged


def _by_jinja(source: str, run: Run) -> Item:
    if len(source) > MAX_SOURCE:
        raise too_large()
    from shplan.manifest import jinja  # noqa: PLC0415 - most manifests never need it

    own = {name: getattr(run, name) for name in SCOPED_FUNCTIONS}
    item = jinja.evaluate(source, {**FUNCTIONS, **run.names(), **own}, run.world.spend)
    run.world.spend(KEPT * weight(item))
    return item
