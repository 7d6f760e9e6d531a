"""
What a schema cannot say of a manifest: secrets in clear, metadata that is not known, addresses that nobody has.
"""

from __future__ import annotations

from collections.abc import Sequence

from shplan.core.address import Address
from shplan.core.resource import Desired
from shplan.core.value import Object, Sensitive, Unknown, Value
from shplan.core.value import Path as ValuePath
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.ignored import unknown_step
from shplan.manifest.loading import Loading, Manifest
from shplan.manifest.origin import Origin
from shplan.manifest.parse import Document
from shplan.manifest.project import Project
from shplan.manifest.resolve import evaluate_tree
from shplan.manifest.scope import Scope
from shplan.manifest.wording import dotted, listed, nearest


class ManifestChecks:
    """Checks of manifests and of the project around them."""

    def __init__(self, state: Loading) -> None:
        self._state = state

    def metadata(self, document: Object, manifest: Manifest, address: Address) -> None:
        """Refuse metadata that is secret, or not known while planning."""
        metadata = document.get("metadata")
        for path, leaf in _leaves(metadata, ("metadata",)):
            is_later = isinstance(leaf, Unknown) and leaf.references and not manifest.waits_for
            if isinstance(leaf, Sensitive) or is_later:
                noun = "a secret" if isinstance(leaf, Sensitive) else "known only after apply"
                self._state.complaints.complain(
                    "metadata",
                    "Metadata is not known",
                    f"`{dotted(path)}` of {address} is {noun}.",
                    why="Metadata decides what is planned, so it must be known before.",
                    hint="use a variable",
                    span=manifest.origin.span(path),
                    address=str(address),
                )

        self._check_ignored(metadata, manifest, address)

    def _check_ignored(self, metadata: Value | None, manifest: Manifest, address: Address) -> None:
        lifecycle = metadata.get("lifecycle") if isinstance(metadata, dict) else None
        ignored = lifecycle.get("ignoreChanges") if isinstance(lifecycle, dict) else None
        for index, path in enumerate(ignored if isinstance(ignored, list) else ()):
            found = unknown_step(address.kind, path) if isinstance(path, str) else None
            if found is None:
                continue
            step, known = found
            similar = nearest(step, known)
            self._state.complaints.complain(
                "unknown-field",
                "Field unknown",
                f"`ignoreChanges` of {address} lists `{path}`, and there is no `{step}`.",
                why="A misspelt path would ignore nothing.",
                hint=f"did you mean `{similar}`?" if similar else f"there are {listed(known)}",
                span=manifest.origin.span(("metadata", "lifecycle", "ignoreChanges", index)),
                address=str(address),
            )

    def secrets(
        self, value: Value | None, path: ValuePath, manifest: Manifest, address: Address
    ) -> None:
        """Refuse anything but `secret(...)` in a field that holds a secret, without showing it."""
        secret_fields = manifest.kind.secret_fields
        if not secret_fields or not isinstance(value, dict | list):
            return
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for step, member in members:
            here = (*path, step)
            is_secret = isinstance(step, str) and (
                step in secret_fields or dotted(here[1:]) in secret_fields
            )
            if is_secret and not isinstance(member, Sensitive):
                self._clear_secret(here, manifest, address)
            else:
                self.secrets(member, here, manifest, address)

    def _clear_secret(self, path: ValuePath, manifest: Manifest, address: Address) -> None:
        span = manifest.origin.key(path)
        self._state.complaints.masks.setdefault(span.file, []).append(manifest.origin.stretch(path))
        name = str(path[-1])
        self._state.complaints.complain(
            "secret-in-clear",
            "Secret in a file",
            f"`{dotted(path)}` of {address} takes only secret(...).",
            why="Files are committed and shared; a secret is read where shplan runs, at the moment of a request. "
            "If this was one, replace it where it was issued.",
            hint=f"write `{name}: \"{{{{ secret('env:NAME') }}}}\"` and export NAME where shplan runs",
            span=span,
            address=str(address),
        )

    def addresses(self, project: Project, resources: Sequence[Desired]) -> None:
        """Check `moved` and `forget` against what is declared."""
        if self._state.incomplete:
            return
        declared = {one.address for one in resources} | set(self._state.manifests)
        for move in project.moved:
            if move.target not in declared:
                similar = nearest(str(move.target), map(str, declared))
                self._state.complaints.complain(
                    "moved",
                    "Move to nothing",
                    f"`moved` names {move.target} as the new address, and no manifest declares it.",
                    hint=f"did you mean `{similar}`?"
                    if similar
                    else "declare it, or remove the entry",
                    span=move.span,
                )
            if move.source in declared:
                self._state.complaints.complain(
                    "moved",
                    "Move from a declared address",
                    f"`moved` says that {move.source} was renamed, and a manifest declares it still.",
                    hint="remove the entry, or the manifest",
                    span=move.span,
                )
        for entry in project.forget:
            if entry.address in declared:
                self._state.complaints.complain(
                    "forget",
                    "Forgotten and declared",
                    f"`forget` lists {entry.address}, and a manifest declares it still.",
                    hint="remove the entry, or the manifest",
                    span=entry.span,
                )

    def outputs(
        self, project: Project, document: Document | None, origin: Origin, scope: Scope
    ) -> dict[str, Value]:
        """Evaluate the outputs of the project; secrets are refused."""
        if document is None:
            return {}

        def complain(here: ValuePath, error: ExpressionError) -> None:
            self._state.complaints.expression(origin, here, error, "")

        outputs: dict[str, Value] = {}
        for name, value in project.outputs.items():
            outputs[name] = evaluate_tree(
                value,
                ("spec", "outputs", name),
                dynamic=document.dynamic,
                scope=scope,
                world=self._state.resolution,
                complain=complain,
            ).value
            if any(isinstance(leaf, Sensitive) for _, leaf in _leaves(outputs[name], ())):
                self._state.complaints.complain(
                    "secret-used",
                    "Secret in an output",
                    f"the output `{name}` holds a secret.",
                    why="Outputs are printed.",
                    hint="remove it",
                    span=origin.span(("spec", "outputs", name)),
                )
        return outputs


def _leaves(value: Value | None, path: ValuePath) -> list[tuple[ValuePath, Value]]:
    if isinstance(value, dict):
        return [leaf for key, member in value.items() for leaf in _leaves(member, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, one in enumerate(value) for leaf in _leaves(one, (*path, index))]
    return [(path, value)]
