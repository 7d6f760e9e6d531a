"""
The `fields` of a search: which members of an item an answer has.

Source: the Catalog page, "Fields": without the parameter everything; otherwise a default set,
to which `include` adds and from which `exclude` takes. The more precise path decides; the same
path in both is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from shplan.sandbox.errors import bad_payload

if TYPE_CHECKING:
    from shplan.sandbox.wire import JsonObject

DEFAULTS = ("id", "type", "geometry", "bbox", "links", "assets", "properties.datetime")
# Our own bound: an item has not nearly as many members.
MAX_PATHS = 1_000
PROPERTIES = "properties"

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """What is asked for; a path is the name of a member, or `properties` and a name in it."""

    include: frozenset[Path]
    exclude: frozenset[Path]

    def of(self, item: JsonObject) -> JsonObject:
        """The item with the asked members only; what is inside them is not copied."""
        shaped: JsonObject = {}
        for name, value in item.items():
            if name == PROPERTIES:
                inner = self._properties(cast("JsonObject", value))
                if inner is not None:
                    shaped[name] = inner
            elif self._has((name,)):
                shaped[name] = value
        return shaped

    def _properties(self, properties: JsonObject) -> JsonObject | None:
        kept = {name: v for name, v in properties.items() if self._has((PROPERTIES, name))}
        return kept if kept or self._has((PROPERTIES,)) else None

    def _has(self, path: Path) -> bool:
        for length in range(len(path), 0, -1):
            if path[:length] in self.exclude:
                return False
            if path[:length] in self.include:
                return True
        return False


def fields_of(asked: JsonObject) -> Fields:
    """
    The fields of a request's object.

    Raises:
        ApiError: 400, too many paths
    """
    lists = [cast("list[str]", asked.get(name, [])) for name in ("include", "exclude")]
    if sum(map(len, lists)) > MAX_PATHS:
        msg = f"fields must not name more than {MAX_PATHS} members."
        raise bad_payload(msg)
    include, exclude = ({_path(text) for text in paths} for paths in lists)
    # What is excluded on purpose is not brought back by the default set.
    defaults = {_path(text) for text in DEFAULTS} - exclude
    defaults = {path for path in defaults if path[:1] not in exclude}
    return Fields(frozenset(include | defaults), frozenset(exclude))


def listed(text: str) -> JsonObject:
    """The object of a GET's comma list; a leading `-` excludes."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return {
        "include": [name.removeprefix("+") for name in names if not name.startswith("-")],
        "exclude": [name[1:] for name in names if name.startswith("-")],
    }


def _path(text: str) -> Path:
    head, dot, rest = text.partition(".")
    return (head, rest) if head == PROPERTIES and dot else (text,)
