"""
The three states of a resource: desired, observed, recorded.

Desired is what the manifests say, observed what the server says now, recorded
what the ledger says was last applied. None of them is ever called just "state".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shplan.core.address import Address
from shplan.core.diagnostic import SourceSpan
from shplan.core.frozen import dataclass, unguarded
from shplan.core.value import JsonObject, Object, Path, Reference

if TYPE_CHECKING:
    from shplan.core.job_input import ScriptShape


class Source(Protocol):
    """Finds the place in a manifest that produced a field."""

    def span(self, path: Path) -> SourceSpan:
        """
        Return the place of the nearest enclosing node that the file has.

        Args:
            path: from the root of the manifest, e.g. `("spec", "tiles", 3, "path")`
        """
        ...


@runtime_checkable
class FineSource(Source, Protocol):
    """Finds places inside a text as well."""

    def within(self, path: Path, value: str, at: int, length: int) -> SourceSpan:
        """
        Return the place of a part of a text.

        Args:
            value: the text as it was evaluated
            at, length: of the part, in the text
        """
        ...


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`metadata.lifecycle`; `ignore_changes` holds dotted paths below `spec`."""

    prevent_destroy: bool = False
    ignore_changes: tuple[str, ...] = ()
    managed: bool = True


@dataclass(frozen=True, slots=True)
class Desired:
    """
    What the manifests say about one address, variables and local references resolved.

    Args:
        spec: the `spec`, with unknowns where an attribute of another resource is needed
        members: the declared members of a set (the tiles of `ByocTiles`), in the order
            of the files; empty for every other kind
        depends_on: `metadata.dependsOn`, expanded to instances
        references: what the expressions in `spec` refer to
        run: the `run` options of a job, empty otherwise
        script: the facts of the evalscript in `spec`, None where there is none or it is not known
    """

    address: Address
    spec: Object
    source: Source
    members: Sequence[Object] = ()
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    depends_on: tuple[Address, ...] = ()
    references: tuple[Reference, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    run: Object = field(default_factory=dict)
    script: ScriptShape | None = None


@unguarded(frozen=True, slots=True)
class MemberRecord:
    """
    What the ledger knows of one member of a set.

    Args:
        id: the server's id
        stated: the fields that the manifest stated when it was applied
        digest: of the member as it was applied
        owned: made by an intent of ours, or confirmed by `shplan import`
        etag, size_bytes: of the file behind it, where the bucket could be read
    """

    id: str
    stated: tuple[str, ...] = ()
    digest: str = ""
    owned: bool = True
    etag: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What is kept of a finished run, for ever: also after the server has forgotten it.

    Args:
        key: the run key
        attempt: which attempt it was, from 1
        id: the server's id of the task
        status: `DONE`, or `PARTIAL` where some features failed
        parts: what the key was made of, without secrets (`RunKey.parts`)
        request: the request as it was sent, without secrets and marker
        cost_pu: processing units as the server billed them, None where nobody said
        estimate_pu: what it was estimated to cost before: at least, as expected, at most; None
            where it was not
        estimate_terms: what the estimate was made of, each with its factors (`cost_form`)
        outputs: the delivery: its template, and how many files of which size it holds
        failed: names of features that failed, with their causes
        account: whose task it was, as the server said, empty where it did not
    """

    key: str
    attempt: int
    id: str
    status: str
    parts: JsonObject = field(default_factory=dict)
    request: JsonObject = field(default_factory=dict)
    cost_pu: float | None = None
    outputs: JsonObject = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    estimate_pu: tuple[float, float, float] | None = None
    estimate_terms: tuple[JsonObject, ...] = ()


@unguarded(frozen=True, slots=True)
class PendingIntent:
    """
    An intent without an outcome: something that may have happened.

    Args:
        sequence: number of the ledger's entry
        operation: what was about to be done, e.g. `create`
        data: what the provider wrote down to find it again
        server_time: the server's `Date` when it was written, ISO 8601, or empty
        plan: digest of the plan under which it was written
        keys: with a set, natural keys of the members that are still open
    """

    sequence: int
    operation: str
    data: JsonObject
    server_time: str
    plan: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What the ledger says of one address.

    Args:
        changed: number of the entry that says of its last change on the server, 0 for none
    """

    address: Address
    id: str = ""
    owned: bool = False
    spec: Object = field(default_factory=dict)
    prevent_destroy: bool = False
    depends_on: tuple[Address, ...] = ()
    members: Mapping[str, MemberRecord] = field(default_factory=dict)
    pending: tuple[PendingIntent, ...] = ()
    data: JsonObject = field(default_factory=dict)
    # A place in the ledger, which says nothing of what is recorded.
    changed: int = field(default=0, compare=False)
