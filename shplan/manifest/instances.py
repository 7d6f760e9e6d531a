"""
`forEach` to instances, when somebody asks for the keys of a resource.

Keys that depend on a data kind which nobody has read yet are known later: that is said, and is no error
as long as more may be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from shplan.core.address import Address
from shplan.core.value import Path as ValuePath
from shplan.core.value import Reference, Value
from shplan.manifest.expand import ExpandError, Instance, expand, keys_wait_for
from shplan.manifest.expression_errors import ExpressionError, KeysUnknownError
from shplan.manifest.loading import Loading, Manifest
from shplan.manifest.readings import known_later
from shplan.manifest.resolve import evaluate_tree
from shplan.manifest.scope import Scope
from shplan.providers.data import DataProvider

MAX_RESOURCES = 100_000


class Instances:
    """The instances of every declared resource."""

    def __init__(self, state: Loading) -> None:
        self._state = state
        self._number = 0

    def keys(self, base: Address) -> tuple[str, ...] | None:
        """Return the keys of a declared resource, None for a single one."""
        manifest = self._state.manifests[base]
        self.expand(manifest)
        if manifest.broken:
            msg = "follows"
            raise ExpressionError(msg, "", "")
        if manifest.waits_for:
            raise KeysUnknownError((Reference(base), *manifest.waits_for))
        if manifest.instances is None:
            return None
        return tuple(instance.key for instance in manifest.instances)

    def expand(self, manifest: Manifest) -> None:
        """Evaluate the `forEach` of a manifest, once."""
        if manifest.expanded or "forEach" not in manifest.metadata:
            manifest.expanded = True
            return
        path = ("metadata", "forEach")
        name = f"{manifest.address} forEach"
        scope = self._state.resolution.add_scope(
            Scope(name, self._state.variables, directory=manifest.directory, whole_references=True)
        )
        failed: list[ExpressionError] = []

        def complain(here: ValuePath, error: ExpressionError) -> None:
            failed.append(error)
            self._state.complaints.expression(manifest.origin, here, error, str(manifest.address))

        result = evaluate_tree(
            manifest.metadata["forEach"],
            path,
            dynamic=manifest.dynamic,
            scope=scope,
            world=self._state.resolution,
            complain=complain,
        )
        manifest.expanded = True
        if failed:
            manifest.broken = True
            return
        if self._is_known_later(result.value, manifest):
            return
        instances, errors = expand(result.value)
        self._number += len(instances)
        if self._number > MAX_RESOURCES:
            errors = [_too_many()]
        for error in errors:
            manifest.broken = True
            self._state.complaints.complain(
                "for-each",
                "forEach cannot be expanded",
                f"`forEach` of {manifest.address}: {error.what}",
                why=error.why,
                hint=error.hint,
                span=manifest.origin.span((*path, *error.path)),
                address=str(manifest.address),
            )
        manifest.instances = instances

    def _is_known_later(self, keys: Value, manifest: Manifest) -> bool:
        """Tell whether the keys will be known when data kinds were read, and say so."""
        waits_for = keys_wait_for(keys)
        if self._state.order.settled or not waits_for:
            return False
        if not all(self._is_read_later(one.address) for one in waits_for):
            return False
        manifest.waits_for = waits_for
        read = tuple(dict.fromkeys(one.address for one in waits_for if self._is_data(one.address)))
        place = manifest.origin.span(("metadata", "forEach"))
        self._state.complaints.diagnostics.append(known_later(manifest.address, read, place))
        return True

    def _is_read_later(self, address: Address) -> bool:
        manifest = self._state.manifests.get(address.base)
        return manifest is not None and (self._is_data(address) or bool(manifest.waits_for))

    def _is_data(self, address: Address) -> bool:
        manifest = self._state.manifests.get(address.base)
        return manifest is not None and isinstance(manifest.kind, DataProvider)

    def of(self, manifest: Manifest) -> Sequence[Instance | None]:
        """Return its instances; where they are not known yet, what holds for each of them."""
        if manifest.waits_for or manifest.instances is None:
            return [None]
        return manifest.instances


def _too_many() -> ExpandError:
    return ExpandError(
        (),
        f"with its instances the project has more than {MAX_RESOURCES:,} resources.",
        hint="divide it into several projects",
    )
