"""
Documents to declared resources: kind and name of each, before anything of it is evaluated.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from shplan.core.address import Address
from shplan.core.diagnostic import SourceSpan
from shplan.core.value import JsonObject, JsonValue, Value
from shplan.manifest.geodata import sentence
from shplan.manifest.loading import Loading, Manifest
from shplan.manifest.origin import Origin, Text
from shplan.manifest.parse import Document, kind_of, parse
from shplan.manifest.scanner import holds_expression
from shplan.manifest.source import PROJECT_FILE, FileError, Found
from shplan.manifest.validate import violations
from shplan.manifest.wording import listed, nearest, shown
from shplan.schema.store import manifest_kinds

PROJECT_KIND = "Project"


class Declarations:
    """Reads manifests; what has no kind or no name is complained about and left out."""

    def __init__(self, state: Loading) -> None:
        self._state = state

    def read(self, found: Found) -> None:
        """Read one file, and declare what its documents say."""
        try:
            text = self._state.files.read_text(found.path)
        except FileError as error:
            self._state.incomplete = True
            self._state.complaints.complain(
                "file",
                "File cannot be used",
                f"{found.relative} {sentence(error)}",
                span=SourceSpan(found.relative, 1, 1, 2),
            )
            return
        self._state.complaints.texts.remember(found.relative, text)
        parsed = parse(text, file=found.relative)
        self._state.complaints.diagnostics += parsed.diagnostics
        self._state.incomplete |= not parsed.complete
        source = Text(found.relative, text)
        directory = Path(found.relative).parent.as_posix()
        for document in parsed.documents:
            self._declare(document, Origin(source, document.index), directory)

    def _declare(self, document: Document, origin: Origin, directory: str) -> None:
        header = self._header(document.value, origin)
        if header is None:
            self._state.incomplete = True
            return
        kind, name = header
        address = Address(kind, name)
        if address in self._state.manifests:
            first = self._state.manifests[address].origin.span(("metadata", "name"))
            self._state.complaints.complain(
                "duplicate-address",
                "Resource declared twice",
                f"{address} is declared here a second time.",
                why="An address names one resource.",
                hint="rename one of them, or remove it",
                span=origin.span(("metadata", "name")),
                address=str(address),
                related=(first,),
            )
            return
        self._state.manifests[address] = Manifest(
            address, document, origin, directory, self._state.order.registry[kind], document.dynamic
        )

    def _header(self, value: JsonValue, origin: Origin) -> tuple[str, str] | None:
        """Return kind and name of a document, or None after a complaint."""
        if not isinstance(value, dict):
            self._state.complaints.complain(
                "document",
                "Document is no manifest",
                f"this document is {kind_of(value)}; a manifest is a mapping.",
                why="It has the fields apiVersion, kind, metadata and spec.",
                span=origin.span(()),
            )
            return None
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in self._state.order.registry:
            self._wrong_kind(value, origin)
            return None
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if isinstance(name, str) and holds_expression(name):
            self._state.complaints.complain(
                "name",
                "Name is not fixed",
                "`metadata.name` holds an expression.",
                why="Names make addresses, which must not change with variables.",
                hint="write the name out; with `metadata.forEach` the key is added to the address by itself",
                span=origin.span(("metadata", "name")),
            )
            return None
        if not isinstance(name, str) or not _addressable(kind, name):
            wrong = violations(kind, cast(Value, value), subject=f"this {kind}", fresh=set())
            about_name = [
                one for one in wrong if one.path[:2] == ("metadata", "name") or "name" in one.what
            ]
            about_name = [one for one in about_name if one.path[:1] in ((), ("metadata",))]
            self._state.complaints.tell(about_name or wrong, origin, "")
            return None
        return kind, name

    def _wrong_kind(self, value: JsonObject, origin: Origin) -> None:
        kind = value.get("kind")
        known = sorted(self._state.order.registry)
        if kind is None:
            similar = nearest("kind", [key for key in value if key not in _TOP])
            self._state.complaints.complain(
                "missing-field",
                "Field missing",
                "this document has no `kind`.",
                why="The kind says what is declared.",
                hint=f"rename `{similar}` to `kind`"
                if similar
                else f"add `kind:` with one of {listed(known)}",
                span=origin.span(()),
            )
        elif kind == PROJECT_KIND:
            self._state.complaints.complain(
                "project",
                "Project declared twice",
                "a Project is declared here.",
                why=f"The project is declared in {PROJECT_FILE}, at the top of its directory, and nowhere else.",
                hint=f"move its settings to {PROJECT_FILE}",
                span=origin.span(("kind",)),
            )
        else:
            similar = nearest(kind, known) if isinstance(kind, str) else None
            later = isinstance(kind, str) and kind in manifest_kinds()
            self._state.complaints.complain(
                "kind",
                "Kind unknown",
                f"there is no kind {shown(kind)}.",
                why="This version of shplan knows its form, but cannot apply it yet."
                if later
                else "",
                hint=f"did you mean `{similar}`?" if similar else f"the kinds are {listed(known)}",
                span=origin.span(("kind",)),
            )


_TOP = ("apiVersion", "kind", "metadata", "spec", "run")


def _addressable(kind: str, name: str) -> bool:
    try:
        return Address.parse(f"{kind}/{name}").key is None
    except ValueError:
        return False
