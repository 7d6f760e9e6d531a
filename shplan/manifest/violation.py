"""
One thing that a schema forbids, and the error of the validator that it is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.core.value import JsonValue, Path
from shplan.manifest.schema_places import Schema, descend, description_at
from shplan.manifest.wording import dotted

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError


@dataclass(frozen=True, slots=True)
class Violation:
    """
    One thing that a schema forbids.

    Args:
        path: from the root of the document
        at_key: the key is at fault, not its value
        missing: the field that is lacking there, or empty
        meant: the field that a misspelt one was to be, or empty
        belongs: the place of a field that stands elsewhere
    """

    path: Path
    code: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    at_key: bool = False
    missing: str = ""
    meant: str = ""
    belongs: Path | None = None


class Case:
    """One error with what its explanation needs."""

    def __init__(
        self, error: ValidationError, schema: Schema, document: JsonValue, subject: str
    ) -> None:
        self.error = error
        self.path: Path = tuple(error.instance_path)
        self.subject = subject
        self.value: JsonValue = cast(JsonValue, error.instance)
        self.schema = schema
        self.document = document

    @property
    def name(self) -> str:
        """What is at fault, for a sentence."""
        return f"`{dotted(self.path)}` of {self.subject}" if self.path else self.subject

    @property
    def node(self) -> Schema:
        """The part of the schema whose keyword failed."""
        return descend(self.schema, self.error.schema_path[:-1])

    @property
    def definition(self) -> str:
        """The shared definition that failed, or empty."""
        steps = self.error.schema_path
        return str(steps[1]) if len(steps) > 2 and steps[0] == "$defs" else ""

    @property
    def description(self) -> str:
        """What the schema says of the field, as a sentence."""
        return description_at(self.schema, self.error.evaluation_path[:-1])

    def option(self, name: str) -> JsonValue:
        """Return what the keyword that failed says."""
        return cast(JsonValue, getattr(self.error.kind, name))

    def violation(
        self,
        code: str,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        below: Path = (),
        at_key: bool = False,
        missing: str = "",
    ) -> Violation:
        """Return the violation at the place of this error, or below it."""
        path = (*self.path, *below)
        return Violation(path, f"manifest/{code}", summary, what, why, hint, at_key, missing)
