"""
Scalars to values: expressions are evaluated after the YAML was parsed, strictly and in a sandbox.

A scalar that is one expression keeps the type of its value; text around it makes a text; nothing is
parsed a second time. What exists only after apply makes the whole scalar an `Unknown`, whatever was
going to be done with it; a secret can be passed on and nothing else. Jinja itself is behind `jinja.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from shplan.core.address import Address
from shplan.core.secret_places import (
    SecretPlaceError,
    in_project,
    read_secret_place,
)
from shplan.core.value import (
    Reference,
    SecretReference,
    Sensitive,
    Unknown,
    Value,
)
from shplan.manifest import dates
from shplan.manifest.expression_errors import (
    FUNCTIONS,
    MAX_TEXT,
    SCOPED_FUNCTIONS,
    ExpressionError,
    Item,
    KeysUnknownError,
    no_instance,
    no_instances,
    no_member,
    no_name,
    no_run,
    too_large,
    too_much,
    written,
    wrong_call,
)
from shplan.manifest.expression_values import leave, merged, reference_template, text_of
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
from shplan.manifest.scope import Scope, World
from shplan.manifest.stand_ins import NOTHING, Hidden, Later, step_into
from shplan.manifest.wording import shown
from shplan.manifest.work import KEPT, SCALAR, WorkError, weight

MAX_SOURCE = 10_000
RUN_KEY = "run.key"
_ADDRESS_TEXT = re.compile(r"""\bref\(\s*(?:'([^'\\]+)'|"([^"\\]+)")\s*\)""")


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


def _literal(parts: tuple[Part, ...], text: str, scope: Scope) -> str:
    if not scope.has_run and any(isinstance(part, Expression) for part in parts):
        raise no_run(next(part.whole for part in parts if isinstance(part, Expression)))
    return text


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
            value = leave(item, self)
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
            return Sensitive(tuple(merged(pieces)))
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
            return (text_of(leave(item, self)),)
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
            raise no_member(item, step, written(tree.object))
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
            raise wrong_call(name, error) from error

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
                raise no_instances(address)
            return self._attributes(address)
        if address.key is None:
            self.world.spend(len(keys))
            return {key: self._attributes(Address(address.kind, address.name, key)) for key in keys}
        if address.key not in keys:
            raise no_instance(address, keys)
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


def _by_jinja(source: str, run: Run) -> Item:
    if len(source) > MAX_SOURCE:
        raise too_large()
    from shplan.manifest import jinja  # noqa: PLC0415 - most manifests never need it

    own = {name: getattr(run, name) for name in SCOPED_FUNCTIONS}
    item = jinja.evaluate(source, {**FUNCTIONS, **run.names(), **own}, run.world.spend)
    run.world.spend(KEPT * weight(item))
    return item
