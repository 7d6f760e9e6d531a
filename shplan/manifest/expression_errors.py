"""
What is said of an expression that cannot be evaluated.

Every sentence has its place here, so that an expression read by us and one read by Jinja fail in the
same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from shplan.core.address import Address
from shplan.core.value import Reference
from shplan.manifest import dates
from shplan.manifest.parse import kind_of
from shplan.manifest.scanner import Call, Constant, Name, Tree
from shplan.manifest.wording import listed, nearest

# What expressions work with: JSON, and stand-ins for what has no value yet.
Item: TypeAlias = Any

MAX_TEXT = 1_000_000
MAX_ITEMS = 100_000
FUNCTIONS: Mapping[str, Callable[..., Any]] = dates.FUNCTIONS
SCOPED_FUNCTIONS = ("ref", "secret", "geojson", "bounds", "features")


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


def no_run(fragment: str) -> ExpressionError:
    """Word that there is no run whose key could be meant."""
    return ExpressionError(
        "undefined",
        "Name not defined",
        "`run.key` exists only in jobs.",
        why="It is the key of one run; other kinds do not run.",
        fragment=fragment,
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
        return no_run("run")
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


def no_instances(address: Address) -> ExpressionError:
    """Word that a resource without `forEach` has no instances."""
    return ExpressionError(
        "reference",
        "Reference not understood",
        f"{address.base} has no `forEach`, so there is no {address}.",
        hint=f"write {{{{ ref('{address.base}') }}}}",
        fragment=str(address),
    )


def no_instance(address: Address, keys: tuple[str, ...]) -> ExpressionError:
    """Word that a resource has no such instance, with the nearest one."""
    similar = nearest(address.key or "", keys)
    return ExpressionError(
        "reference",
        "Reference to nothing",
        f"{address.base} has no instance `{address.key}`; its keys are {listed(keys)}.",
        hint=f"did you mean `{address.base}[{similar}]`?" if similar else "",
        fragment=str(address),
    )


def wrong_call(name: str, error: TypeError) -> ExpressionError:
    """Word that a function is called with other arguments than it takes."""
    said = re.sub(r"^\S*?(\w+)\(\)", r"\1(...)", str(error)).replace("Run.", "")
    return ExpressionError(
        "expression",
        "Expression fails",
        f"{name}(...) is called wrongly: {said}.",
        fragment=f"{name}(",
    )


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


def written(tree: Tree) -> str:
    """Return a tree as it was written, for messages."""
    if isinstance(tree, Constant):
        return repr(tree.value)
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Call):
        return f"{tree.name}({', '.join(written(one) for one in tree.arguments)})"
    owner, step = written(tree.object), tree.step
    if tree.dotted and isinstance(step, Constant):
        return f"{owner}.{step.value}"
    return f"{owner}[{written(step)}]"
