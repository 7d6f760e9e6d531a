"""
Declared resources to desired ones: evaluated, judged by their schema, with their members and dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, Severity
from shplan.core.older_forms import renewed
from shplan.core.request_collections import marked_fault
from shplan.core.request_faults import Fault
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import JsonObject, JsonValue, Object, Value
from shplan.core.value import Path as ValuePath
from shplan.manifest.collections import older_names
from shplan.manifest.deprecated import deprecated_places
from shplan.manifest.expand import Instance
from shplan.manifest.expression_errors import ExpressionError, KeysUnknownError
from shplan.manifest.expressions import evaluate
from shplan.manifest.instances import Instances
from shplan.manifest.load_checks import ManifestChecks
from shplan.manifest.loading import Loading, Manifest
from shplan.manifest.member_tables import MemberTables
from shplan.manifest.members import Rows
from shplan.manifest.origin import MemberPlaces, Origin
from shplan.manifest.resolve import evaluate_tree, note_containers, references_of
from shplan.manifest.scanner import holds_expression
from shplan.manifest.sound_parts import sound_parts
from shplan.manifest.validate import violations
from shplan.manifest.violation import Violation
from shplan.schema import store

FROM = "from"
MEMBERS_AT_ONCE = 10_000


class Resources:
    """Makes what a manifest declares into what is wanted."""

    def __init__(self, state: Loading, instances: Instances) -> None:
        self._state = state
        self._instances = instances
        self._checks = ManifestChecks(state)
        # What is sound of the documents that their schema refuses: checked, and nothing else.
        self.partial: list[Desired] = []
        self.tables = MemberTables(state.files, state.order.listings, stated=self._stated)

    def desired(self, manifest: Manifest, instance: Instance | None) -> Desired | None:
        """Return what a manifest wants, None where it is too wrong to go on with."""
        address = manifest.address
        if instance is not None:
            address = Address(address.kind, address.name, instance.key)
        scope = self._state.scope(manifest, instance, address)

        def complain(here: ValuePath, error: ExpressionError) -> None:
            self._state.complaints.expression(manifest.origin, here, error, str(manifest.address))

        before = len(self._state.complaints.diagnostics)
        body = _without_for_each(manifest.body)
        result = evaluate_tree(
            body,
            (),
            dynamic=manifest.dynamic | {id(body), id(body["metadata"])},
            scope=scope,
            world=self._state.resolution,
            complain=complain,
        )
        document = self._in_todays_form(cast(Object, result.value), manifest, result.fresh)
        wrong = violations(address.kind, document, subject=str(address), fresh=result.fresh)
        self._state.complaints.tell(wrong, manifest.origin, str(address.base), raw=manifest.body)
        self._checks.secrets(document.get("spec"), ("spec",), manifest, address)
        self._checks.metadata(document, manifest, address)
        if wrong:
            self._keep_sound(manifest, address, document, wrong, result.fresh)
        if wrong or not isinstance(document.get("spec"), dict):
            return None
        self._warn(manifest, map(marked_fault, deprecated_places(address.kind, document)), ())
        if len(self._state.complaints.diagnostics) > before and not _usable(document):
            return None
        return self._assembled(manifest, address, document, result.fresh)

    def _keep_sound(
        self,
        manifest: Manifest,
        address: Address,
        document: Object,
        wrong: list[Violation],
        fresh: set[int],
    ) -> None:
        """Keep what is sound of a document, to be told what else is wrong with it."""
        members = ("spec", manifest.kind.members_field)
        if any(one.path[:2] == members and len(one.path) <= len(members) + 1 for one in wrong):
            # A member may have unknown fields, and is none that is unknown as a whole.
            return
        found = sound_parts(address.kind, document, wrong, subject=str(address), fresh=fresh)
        if found is None:
            return
        if any(one.path[:2] == ("spec", FROM) for one in wrong):
            # Of a table that cannot be read nothing more is to be said.
            spec = cast(Object, found["spec"])
            found = {**found, "spec": {name: spec[name] for name in spec if name != FROM}}
            fresh.update((id(found), id(found["spec"])))
        self.partial.append(self._assembled(manifest, address, found, fresh))

    def _in_todays_form(self, document: Object, manifest: Manifest, fresh: set[int]) -> Object:
        """Rewrite older spellings of a request, and warn of each."""
        spec = document.get("spec")
        if not isinstance(spec, dict):
            return document
        made, older = renewed(spec, older_names(store.table("collections")))
        if made is spec:
            return document
        document = {**document, "spec": made}
        note_containers(document, fresh)
        self._warn(manifest, older, ("spec",))
        return document

    def _warn(self, manifest: Manifest, faults: Iterable[Fault], below: ValuePath) -> None:
        base = str(manifest.address.base)
        self._state.complaints.add(
            [
                Diagnostic(
                    f"request/{one.code}",
                    one.summary,
                    f"{base}: {one.what}",
                    one.why,
                    one.hint,
                    manifest.origin.span((*below, *one.path)),
                    base,
                    severity=Severity.WARNING,
                )
                for one in faults
            ]
        )

    def _assembled(
        self, manifest: Manifest, address: Address, document: Object, fresh: set[int]
    ) -> Desired:
        spec = dict(cast(Object, document["spec"]))
        metadata = cast(Object, document["metadata"])
        origin = manifest.origin
        members, origin = self._members(manifest, spec, document, address)
        waiting = references_of(document, fresh)
        references = (
            *waiting,
            *self._state.resolution.used(str(address)),
            *self._state.resolution.used(f"{manifest.address} forEach"),
            *manifest.waits_for,
        )
        desired = Desired(
            address=address,
            spec=spec,
            source=origin,
            members=members,
            lifecycle=_lifecycle(metadata.get("lifecycle")),
            depends_on=self._depends_on(manifest, metadata, address),
            references=references,
            labels=cast("dict[str, str]", metadata.get("labels") or {}),
            annotations=cast("dict[str, str]", metadata.get("annotations") or {}),
            run=cast(Object, document.get("run") or {}),
        )
        if isinstance(members, list) and id(members) in fresh:
            self._state.resolution.note_members(address)
        return desired

    def _members(
        self, manifest: Manifest, spec: Object, document: Object, address: Address
    ) -> tuple[Sequence[Object], Origin]:
        """Take the members of a set out of its spec, from the list or from a table."""
        field_name = manifest.kind.members_field
        if field_name is None:
            return (), manifest.origin
        listed_members = spec.pop(field_name, None)
        table = spec.pop(FROM, None)
        if isinstance(table, dict):
            return self._table(manifest, table, field_name, document, address)
        return cast("list[Object]", listed_members or []), manifest.origin

    def _table(
        self,
        manifest: Manifest,
        table: Object,
        field_name: str,
        document: Object,
        address: Address,
    ) -> tuple[Sequence[Object], Origin]:
        read = self.tables.read(
            table,
            cast(Object, document["spec"]),
            origin=manifest.origin,
            directory=manifest.directory,
            address=address,
        )
        self._state.complaints.diagnostics += read.diagnostics
        if read.places is None:
            return (), manifest.origin
        places: dict[ValuePath, MemberPlaces] = {("spec", field_name): read.places}
        origin = Origin(manifest.origin.text, manifest.origin.document, places)
        self._check_rows(read.rows, field_name, document, address, origin)
        return read.rows, origin

    def _stated(self, address: Address, path: ValuePath) -> Value:
        """Return what another manifest states at a path, None where nothing is known of it."""
        manifest = self._state.manifests.get(address.base)
        if manifest is None:
            return None
        self._instances.expand(manifest)
        instance = next((one for one in manifest.instances or () if one.key == address.key), None)
        found: Value | JsonValue = manifest.body
        for step in path:
            found = found.get(str(step)) if isinstance(found, dict) else None
        if not isinstance(found, str) or not holds_expression(found):
            return cast(Value, found)
        try:
            return evaluate(
                found, self._state.scope(manifest, instance, address), self._state.resolution
            )
        except ExpressionError:
            return None  # it is said where it stands

    def _check_rows(
        self, rows: Rows, field_name: str, document: Object, address: Address, origin: Origin
    ) -> None:
        """Judge the rows by the schema of the list that they stand for, some thousand at a time."""
        spec = {key: value for key, value in cast(Object, document["spec"]).items() if key != FROM}
        for start in range(0, len(rows), MEMBERS_AT_ONCE):
            chunk = cast("list[Value]", rows[start : start + MEMBERS_AT_ONCE])
            trial: Object = {**document, "spec": {**spec, field_name: chunk}}
            fresh = {id(trial), id(trial["spec"])}
            wrong = violations(address.kind, trial, subject=str(address), fresh=fresh)
            shifted = [_shifted(one, field_name, start) for one in wrong]
            self._state.complaints.tell(shifted, origin, str(address))

    def _depends_on(
        self, manifest: Manifest, metadata: Object, address: Address
    ) -> tuple[Address, ...]:
        found: list[Address] = []
        stated = metadata.get("dependsOn") or []
        assert isinstance(stated, list)
        for index, text in enumerate(stated):
            wanted = Address.parse(str(text))
            try:
                keys = self._state.resolution.instances(wanted.base)
                if wanted.key is None:
                    found += (
                        [wanted]
                        if keys is None
                        else [Address(wanted.kind, wanted.name, key) for key in keys]
                    )
                else:
                    # The same complaint as for an expression that names an instance.
                    evaluate(
                        "{{ ref('" + str(wanted) + "').id }}",
                        self._state.resolution.scope(str(address)),
                        self._state.resolution,
                    )
                    found.append(wanted)
            except KeysUnknownError:
                found.append(wanted)
            except ExpressionError as error:
                self._state.complaints.expression(
                    manifest.origin, ("metadata", "dependsOn", index), error, str(manifest.address)
                )
        return tuple(found)


def _without_for_each(body: JsonObject) -> JsonObject:
    """Return a document without its `forEach`, which has been evaluated in a scope of its own."""
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return {**body, "metadata": {key: value for key, value in metadata.items() if key != "forEach"}}


def _usable(document: Object) -> bool:
    return isinstance(document.get("metadata"), dict)


def _lifecycle(value: Value | None) -> Lifecycle:
    stated = value if isinstance(value, dict) else {}
    ignored = stated.get("ignoreChanges") or []
    assert isinstance(ignored, list)
    return Lifecycle(
        prevent_destroy=stated.get("preventDestroy") is True,
        ignore_changes=tuple(str(path) for path in ignored),
        managed=stated.get("managed") is not False,
    )


def _shifted(one: Violation, field_name: str, start: int) -> Violation:
    if one.path[:2] != ("spec", field_name) or len(one.path) < 3:
        return one
    index = one.path[2]
    assert isinstance(index, int)
    return replace(one, path=("spec", field_name, index + start, *one.path[3:]))
