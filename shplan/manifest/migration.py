"""
`shplan migrate batch-v1`: manifests and pasted bodies of Batch V1, rewritten for Batch V2.

Text in, text and a report out; comments stay where the form allows it. What is written is read again
and compared, so that nothing but what is reported differs. The words of a body are `migration_v1`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shplan.core.diagnostic import Diagnostic, has_errors, ordered
from shplan.core.errors import ManifestError
from shplan.core.marker import without_marker
from shplan.core.value import JsonObject, JsonValue, Path
from shplan.manifest.migration_v1 import SECRETS, Report, is_body, translate
from shplan.manifest.origin import Origin, Text
from shplan.manifest.parse import Document, parse
from shplan.manifest.source import masked
from shplan.manifest.yaml_tree import (
    Map,
    Node,
    dump,
    from_json,
    load,
    new_map,
    plain,
    take,
    typed,
    without_comments,
)

KIND = "BatchProcess"
_LONGEST_NAME = 60
_PAIR = re.compile(r"(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Migrated:
    """
    What became of a text.

    Args:
        text: the manifests, empty where something in them cannot be translated
        report: what changed its meaning, was left out, or cannot be translated
        left_out: something is missing in the text that the original said
        shown: the original as far as messages may show it
    """

    text: str
    report: tuple[Diagnostic, ...]
    left_out: bool
    shown: str


def migrate_batch_v1(
    text: str, *, file: str, table: JsonObject, role: str = "", name: str = ""
) -> Migrated:
    """
    Rewrite every manifest and every body of version 1 in a text; everything else stays.

    Args:
        text: YAML or JSON: manifests, bodies, or an answer that lists bodies
        file: how messages call it
        table: the tiling grids
        role: ARN of the role by which the service writes; empty: keys from the environment
        name: of the manifest that a body becomes; by default made of its description

    Raises:
        ManifestError: it cannot be read, or there is nothing of version 1 in it
    """
    text = _PAIR.sub(_character, text) if _is_flow(text) else text
    parsed = parse(text, file=file)
    if has_errors(parsed.diagnostics):
        message = "it cannot be read"
        raise ManifestError(message, diagnostics=tuple(parsed.diagnostics))
    origin = Text(file, text)
    found: list[_Document] = []
    trees = _trees(text, [one.value for one in parsed.documents])
    for one, tree in zip(parsed.documents, trees, strict=True):
        found += _documents(tree, Origin(origin, one.index))
    rewriting = _Rewriting(table, role, name)
    reports = [rewriting.rewrite(one) for one in found]
    if all(one is None for one in reports):
        message = "nothing of version 1"
        raise ManifestError(message, diagnostics=(_nothing(file),))
    told = [one for one in reports if one is not None]
    report = ordered(diagnostic for one in told for diagnostic in one.found)
    shown = _shown(origin, parsed.documents)
    if any(one.failed for one in told):
        return Migrated("", report, left_out=False, shown=shown)
    left_out = any(one.left_out for one in told)
    return Migrated(_written([one.tree for one in found]), report, left_out, shown)


def _shown(origin: Text, documents: Sequence[Document]) -> str:
    """Return the text without what was pasted into fields that are secret by their name."""

    def secrets(value: JsonValue, at: Path) -> Iterator[Path]:
        if isinstance(value, dict | list):
            members = value.items() if isinstance(value, dict) else enumerate(value)
            for step, member in members:
                if step in SECRETS:
                    yield (*at, step)
                else:
                    yield from secrets(member, (*at, step))

    stretches = [
        Origin(origin, one.index).stretch(path)
        for one in documents
        for path in secrets(one.value, ())
    ]
    return masked(origin.text, stretches)


@dataclass(slots=True)
class _Document:
    """One document while it is rewritten; `below`: where in the file its root stands."""

    tree: Node
    origin: Origin
    below: Path = ()


def _trees(text: str, values: list[JsonValue]) -> list[Node]:
    """Read JSON as people would write it, and YAML with its comments."""
    if _is_flow(text) and len(values) == 1:
        try:
            return [from_json(json.loads(text, parse_constant=_no_number), quoted=True)]
        except (ValueError, RecursionError):
            # The flow style of YAML looks alike.
            pass
    return load(text, values)


def _is_flow(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _character(pair: re.Match[str]) -> str:
    """Write out a character that JSON escapes in two halves, which YAML does not know."""
    return str(json.loads(f'"{pair[0]}"'))


def _no_number(name: str) -> float:
    message = f"{name} is none in JSON"
    raise ValueError(message)


def _documents(tree: Node, origin: Origin) -> Iterator[_Document]:
    """Yield a document, or each body of one that lists them, as the API's answers do."""
    listed = tree.get("data") if isinstance(tree, dict) and "kind" not in tree else tree
    below: Path = ("data",) if isinstance(tree, dict) else ()
    if isinstance(listed, list):
        for index, one in enumerate(listed):
            yield _Document(one, origin, (*below, index))
    else:
        yield _Document(tree, origin)


class _Rewriting:
    """Rewrites one document after the other; names of new manifests are not given twice."""

    def __init__(self, table: JsonObject, role: str, name: str) -> None:
        self._table = table
        self._role = role
        self._name = name
        self._given: set[str] = set()

    def rewrite(self, document: _Document) -> Report | None:
        """Rewrite a document in place; None where it is not of version 1."""
        tree = document.tree
        if not isinstance(tree, dict):
            return None
        if "kind" in tree:
            return self._manifest(document, tree)
        if not is_body(tree):
            return None
        name = self._named(tree)
        report = _report(document, (), f"{KIND}/{name}")
        translate(tree, report, table=self._table, role=self._role)
        document.tree = new_map(
            apiVersion="shplan/v1", kind=KIND, metadata=new_map(name=name), spec=tree
        )
        _tell_run(report, (), run={})
        return report

    def _manifest(self, document: _Document, tree: Map) -> Report | None:
        run = tree.get("run")
        metadata = tree.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if isinstance(name, str):
            self._given.add(name)
        subject = f"{tree['kind']}/{name}"
        if tree["kind"] == "BatchCollection":
            report = _report(document, (), subject)
            report.changed(
                "batch-collection",
                ("kind",),
                "it stays as it is: version 2 has no batch collections.",
                "Version 2 fills BYOC collections.",
                "declare a ByocCollection, and remove this when nothing refers to it",
            )
            return report
        spec = tree.get("spec")
        of_version_1 = isinstance(run, dict) and run.get("api") == "v1"
        if tree["kind"] != KIND or not (of_version_1 or is_body(spec)):
            return None
        run = run if isinstance(run, dict) else new_map()
        report = _report(document, ("spec",), subject)
        if not isinstance(spec, dict):
            report.fail("body", (), "its `spec` cannot be read.")
            return report
        translate(spec, report, table=self._table, role=self._role)
        of_run = _report(document, ("run",), subject)
        _run(run, of_run)
        _tell_run(of_run, ("api",), run=run)
        if not run and "run" in tree:
            take(tree, "run")
        report.found += of_run.found
        return report

    def _named(self, body: Map) -> str:
        description = body.get("description")
        told = without_marker(description) if isinstance(description, str) else ""
        made = re.sub(r"[^a-z0-9]+", "-", (self._name or told).lower()).strip("-")
        stem = made[:_LONGEST_NAME].strip("-") or "batch"
        stem = stem if stem[0].isalpha() else f"batch-{stem}"
        name, number = stem, 1
        while name in self._given:
            number += 1
            name = f"{stem}-{number}"
        self._given.add(name)
        return name


def _report(document: _Document, base: Path, subject: str) -> Report:
    return Report(lambda path: document.origin.span((*document.below, *base, *path)), subject)


def _run(run: Map, report: Report) -> None:
    """Rewrite the options of a run: nothing is said of the version, and nothing is deleted."""
    if "api" in run:
        take(run, "api")
    if run.get("onRemove") == "delete":
        run["onRemove"] = "stop"
        report.changed(
            "removal",
            ("onRemove",),
            "`onRemove: delete` became `stop`: version 2 deletes no tasks.",
        )


def _tell_run(report: Report, path: Path, *, run: JsonObject | Map) -> None:
    report.changed(
        "another-run",
        path,
        "it is another run: also what version 1 has done is planned as `run`, and paid again.",
        "The version of the API is a part of the run key.",
        "keep `run: {api: v1}` for what has its receipt already",
    )
    limit = "; `maxPu` is compared with shplan's own price" if "maxPu" in run else ""
    report.changed(
        "estimate",
        path,
        f"the service estimates no cost before it starts{limit}.",
        "Version 2 has no `valueEstimate`, no `tileCount` and no list of tiles.",
    )
    again = (
        "`onFailure: rerun` makes another task of the whole request, with `skipExisting` where the"
        " path has no <requestId>"
        if run.get("onFailure") == "rerun"
        else "another attempt is another task of the whole request"
    )
    report.changed(
        "partial",
        path,
        "there is no state PARTIAL: a task is DONE although features failed, which the execution"
        f" database beside the results tells; {again}.",
        "Version 1 lists failed tiles and restarts these alone (`restartpartial`). CANCELED is"
        " STOPPED now, and a stopped task can be started again.",
    )


def _written(trees: list[Node]) -> str:
    """Write the documents; comments that would change what they say are given up."""
    wanted = [typed(plain(one)) for one in trees]
    text = dump(trees)
    if _read(text) != wanted:
        text = dump(without_comments(trees))
    return text


def _read(text: str) -> list[object]:
    parsed = parse(text, file="")
    broken = has_errors(parsed.diagnostics)
    return [] if broken else [typed(one.value) for one in parsed.documents]


def _nothing(file: str) -> Diagnostic:
    return Diagnostic(
        "migrate/nothing",
        "Nothing to migrate",
        f"{file} has neither a BatchProcess with `run: {{api: v1}}` nor a body of a Batch V1 request.",
        "A body has `processRequest`, a tiling grid, and says where results go.",
    )


__all__ = ["Migrated", "migrate_batch_v1"]
