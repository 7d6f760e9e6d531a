"""
What is loaded, and what comes of it: values that the rest of the program sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

import shplan
from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic
from shplan.core.frozen import dataclass
from shplan.core.reading import Reading
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Value
from shplan.core.value import Path as ValuePath
from shplan.manifest.member_tables import Listings
from shplan.manifest.project import Environment, Forget, Move, Project
from shplan.manifest.readings import Question
from shplan.manifest.resolve import Resolution
from shplan.manifest.source import Reader
from shplan.manifest.variables import VariableInputs


class Kind(Protocol):
    """What loading needs to know of a provider."""

    @property
    def members_field(self) -> str | None:
        """The field of `spec` that lists the members of a set."""
        ...

    @property
    def secret_fields(self) -> frozenset[str]:
        """Names of fields that take only `secret(...)`."""
        ...

    @property
    def script_path(self) -> ValuePath | None:
        """Where below `spec` an evalscript stands, None for a kind without one."""
        ...

    @property
    def text_field(self) -> str | None:
        """The field of `spec` that names the file which references to it stand for."""
        ...

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Say what a schema cannot of one resource."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    What the files of a project say.

    Args:
        resources: sorted by address
        diagnostics: sorted by place; with an error among them the rest must not be used
        resolver: fills in unknown values later (`engine.ports.Resolver`)
        outputs: the project's outputs, with unknowns where attributes are needed
        files: the SHA-256 of every file that was read, by path relative to the project
        texts: the same files' texts for messages, secrets blanked out
        variables: the value of every declared variable
        questions: what every data kind is asked, and its answer where there is one
        awaited: data without an answer that instances depend on
        order: what it was loaded from
        listings: what is asked of buckets; without an answer to each of it members are missing
    """

    root: Path
    project: Project
    environment: Environment
    resources: tuple[Desired, ...]
    diagnostics: tuple[Diagnostic, ...]
    resolver: Resolution
    outputs: Mapping[str, Value]
    moved: tuple[Move, ...]
    forget: tuple[Forget, ...]
    files: Mapping[str, str]
    texts: Mapping[str, str]
    variables: JsonObject
    questions: tuple[Question, ...]
    awaited: frozenset[Address]
    order: Order
    listings: Listings


@dataclass(frozen=True, slots=True)
class Order:
    """
    What is to be loaded, and from what.

    Args:
        root: the directory that holds `shplan.yaml`
        registry: the providers by kind
        environment: what `-e` or `SHPLAN_ENVIRONMENT` says, None for neither
        variables: values from the command line and the process's environment
        ci: nobody watches
        readings: what data kinds gave so far
        listings: what was found in buckets so far
        settled: no more will be read, so that what is unknown stays so while planning
        pulling: the address whose pins are about to be written: what is pinned of it now does not
            count, and a pin that is missing is no error; empty: none is written
        manifests: they are read as well; otherwise the project's own file alone, without variables
    """

    root: Path
    registry: Mapping[str, Kind]
    environment: str | None = None
    variables: VariableInputs = field(default_factory=VariableInputs)
    ci: bool = False
    reader: Reader | None = None
    version: str = shplan.__version__
    readings: Mapping[Address, Reading] = field(default_factory=dict)
    listings: Listings = field(default_factory=Listings)
    settled: bool = False
    pulling: str = ""
    manifests: bool = True
