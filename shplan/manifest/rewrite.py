"""
Users' files in canonical form: `shplan fmt`. With `yaml_tree` the only importer of ruamel.yaml.

Comments stay, expressions are not touched, and a file whose meaning would change is left alone: the
result is parsed again and compared. Canonical is the order apiVersion, kind, metadata, spec, run, two
spaces of indentation, and lists indented below their key.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, SourceSpan, ordered
from shplan.core.value import JsonValue
from shplan.manifest.geodata import sentence
from shplan.manifest.parse import Document, parse
from shplan.manifest.positions import Place
from shplan.manifest.project import DEFAULT_MANIFESTS
from shplan.manifest.source import (
    PROJECT_FILE,
    DiskReader,
    FileError,
    Files,
    Found,
    Texts,
    find_manifests,
)
from shplan.manifest.writing import write_whole
from shplan.manifest.yaml_places import places

if TYPE_CHECKING:
    from ruamel.yaml import YAML

KEY_ORDER = ("apiVersion", "kind", "metadata", "spec", "run")
_WIDTH = 1_000_000
_BLANK_RUN = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Formatted:
    """
    What `format_project` did.

    Args:
        changed: files that changed (or would change), relative to the project, sorted
        diagnostics: files that were left alone, and why
        texts: for the messages
    """

    changed: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    texts: Mapping[str, str]


class FormatError(Exception):
    """A text cannot be formatted; `diagnostics` say why."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(f"{len(diagnostics)} problems")
        self.diagnostics = diagnostics


def format_project(root: Path, *, write: bool) -> Formatted:
    """
    Format the project file and all manifests.

    Args:
        write: whether files are changed; otherwise it is only said which would be
    """
    files = Files(root, DiskReader())
    texts = Texts(files, {})
    changed: list[str] = []
    diagnostics: list[Diagnostic] = []
    for found in _all_files(files, diagnostics):
        try:
            text = files.read_text(found.path)
            texts.remember(found.relative, text)
            formatted = format_text(text, file=found.relative)
        except FileError as error:
            what = f"{found.relative} {sentence(error)}"
            diagnostics.append(Diagnostic("manifest/file", "File cannot be used", what))
            continue
        except FormatError as error:
            diagnostics += error.diagnostics
            continue
        if formatted != text:
            changed.append(found.relative)
            if write:
                write_whole(found.path.resolve(), formatted.encode())
    return Formatted(tuple(sorted(changed)), ordered(diagnostics), texts)


def format_text(text: str, *, file: str) -> str:
    """
    Return a YAML text in canonical form; formatting it again changes nothing.

    Raises:
        FormatError: it cannot be read, or would not mean the same afterwards
    """
    before = parse(text, file=file)
    if before.diagnostics:
        raise FormatError(tuple(before.diagnostics))
    formatted = _stable(_reordered(text.replace("\r\n", "\n")), file)
    after = parse(formatted, file=file)
    if after.diagnostics or not _same(before.documents, after.documents):
        raise FormatError((_left_alone(file),))
    return formatted


def _all_files(files: Files, diagnostics: list[Diagnostic]) -> list[Found]:
    path = files.root / PROJECT_FILE
    found = {PROJECT_FILE: Found(path, PROJECT_FILE)}
    for entry in _entries(files, path):
        try:
            found.update({one.relative: one for one in find_manifests(files, entry)})
        except FileError as error:
            if entry != DEFAULT_MANIFESTS:
                what = f"{entry} {sentence(error)}"
                diagnostics.append(Diagnostic("manifest/file", "File cannot be used", what))
    return [found[name] for name in sorted(found)]


def _entries(files: Files, path: Path) -> list[str]:
    """Return `spec.manifests` as far as the project file can be read."""
    try:
        documents = parse(files.read_text(path), file=PROJECT_FILE).documents
    except FileError:
        return [DEFAULT_MANIFESTS]
    value = documents[0].value if documents else None
    spec = value.get("spec") if isinstance(value, dict) else None
    entries = spec.get("manifests") if isinstance(spec, dict) else None
    if isinstance(entries, list) and all(isinstance(one, str) for one in entries):
        return [str(one) for one in entries]
    return [DEFAULT_MANIFESTS]


def _reordered(text: str) -> str:
    """Move the top-level keys of block mappings into the canonical order, comments with them."""
    roots = [root for root in places(text) if _sortable(root, text)]
    for root in reversed(roots):
        assert isinstance(root.children, dict)
        text = _reorder_document(text, root.children)
    return text


def _sortable(root: Place, text: str) -> bool:
    members = root.children
    if not isinstance(members, dict) or text[root.start : root.start + 1] == "{":
        return False
    wanted = sorted(members, key=_rank)
    if list(members) == wanted:
        return False
    # An alias must stay below its anchor; such a document keeps its order.
    return not re.search(r"(?:^|[\s\[{,])[&*][^\s,\]}]", text[root.start : root.end])


def _rank(key: str) -> int:
    return KEY_ORDER.index(key) if key in KEY_ORDER else len(KEY_ORDER)


def _reorder_document(text: str, members: dict[str, Place]) -> str:
    keys = list(members)
    starts = [_with_comments(text, members[key].key_start) for key in keys]
    end = _end_of_block(text, members[keys[-1]].end)
    blocks = {
        key: text[start:stop]
        for key, start, stop in zip(keys, starts, [*starts[1:], end], strict=True)
    }
    moved = [_ended(blocks[key]) for key in sorted(keys, key=_rank)]
    return text[: starts[0]] + "".join(moved) + text[end:]


def _ended(block: str) -> str:
    return block if block.endswith("\n") else block + "\n"


def _with_comments(text: str, offset: int) -> int:
    """Return the beginning of the comment lines directly above a key, or of its line."""
    start = text.rfind("\n", 0, offset) + 1
    while start > 0:
        above = text.rfind("\n", 0, start - 1) + 1
        line = text[above : start - 1]
        # The comment for the editor's schema belongs to the document, not to its first key.
        if not line.startswith("#") or "yaml-language-server" in line:
            break
        start = above
    return start


def _end_of_block(text: str, offset: int) -> int:
    if offset > 0 and text[offset - 1 : offset] == "\n":
        return offset
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _stable(text: str, file: str) -> str:
    """Format until nothing changes; ruamel sometimes needs a second look at its own comments."""
    for _ in range(4):
        formatted = _formatted(text, file)
        if formatted == text:
            return text
        text = formatted
    raise FormatError((_left_alone(file),))


def _formatted(text: str, file: str) -> str:
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - only who formats pays for it

    yaml = round_trip()
    out = io.StringIO()
    try:
        documents = list(yaml.load_all(text))
        if not any(document is not None for document in documents):
            return text  # comments only
        yaml.explicit_start = text.lstrip().startswith("---") and _only_marker(text)
        yaml.dump_all(documents, out)
    except (YAMLError, ValueError, RecursionError) as error:
        raise FormatError((_left_alone(file),)) from error
    lines = [line.rstrip() if not line.strip() else line for line in out.getvalue().split("\n")]
    tidy = _BLANK_RUN.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"
    return tidy if _unchanged_texts(tidy, out.getvalue(), file) else out.getvalue()


def _only_marker(text: str) -> bool:
    return text.lstrip().startswith("---\n") and text.startswith("---")


def _unchanged_texts(tidy: str, raw: str, file: str) -> bool:
    """Tell whether removing empty lines left every text alone (a block text may hold some)."""
    return _same(parse(tidy, file=file).documents, parse(raw, file=file).documents)


def round_trip() -> YAML:
    """Return what reads and writes YAML with its comments."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who formats pays for it

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_duplicate_keys = False
    return yaml


def _same(before: list[Document], after: list[Document]) -> bool:
    return [_typed(one.value) for one in before] == [_typed(one.value) for one in after]


def _typed(value: JsonValue) -> object:
    """Return a form in which 1, 1.0 and true differ, and the order of keys does not matter."""
    if isinstance(value, dict):
        return {key: _typed(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_typed(member) for member in value]
    return (type(value).__name__, value)


def _left_alone(file: str) -> Diagnostic:
    return Diagnostic(
        "manifest/format",
        "File left as it is",
        f"{file} cannot be formatted without changing what it means.",
        "It uses a rare form of YAML that the formatter does not keep.",
        "format it by hand",
        SourceSpan(file, 1, 1, 2),
    )
