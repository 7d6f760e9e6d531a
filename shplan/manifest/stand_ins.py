"""
What stands in an expression for a value that is not there: one that comes later, and a secret.

Whatever is done with the first waits as well; the second can be passed on and nothing else.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from shplan.core.value import Reference, Sensitive
from shplan.manifest.expression_errors import ExpressionError, Item, no_member

NOTHING = object()


class Waiting(Protocol):
    """The evaluation that a stand-in belongs to."""

    def defer(self, later: Later) -> None:
        """Remember that the scalar waits for an attribute."""
        ...


class Later:
    """Stands for a value that exists only after apply; whatever is done with it waits as well."""

    __slots__ = ("names", "pure", "references", "run")

    def __repr__(self) -> str:
        return "(known after apply)"

    def __init__(
        self,
        run: Waiting,
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
