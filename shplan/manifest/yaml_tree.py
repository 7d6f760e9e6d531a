"""
YAML as a tree that keeps its comments, for commands that rewrite what people wrote.

Only what a rewriting needs: members are moved, renamed and added, and a comment goes with the member
that it stands beside.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import MutableMapping, Sequence
from typing import Any, TypeAlias, cast

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from shplan.core.value import JsonValue
from shplan.manifest.rewrite import round_trip

# The nodes of ruamel are its own business.
Node: TypeAlias = Any
Map: TypeAlias = MutableMapping[str, Node]
_EXPRESSION = re.compile(r"\{[{%#]")


class _Plain(RoundTripConstructor):
    """Reads dates as the texts that they are to manifests."""

    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        """Return the text of a date."""
        del values
        return self.construct_scalar(node)


_Plain.add_constructor("tag:yaml.org,2002:timestamp", _Plain.construct_yaml_timestamp)


def load(text: str, values: Sequence[JsonValue]) -> list[Node]:
    """
    Return the documents of a text with their comments; without, where they are read otherwise here.

    Args:
        values: what `parse` has read of it, which counts
    """
    yaml = round_trip()
    yaml.Constructor = _Plain
    try:
        with warnings.catch_warnings():
            # An anchor may be used again, which is told by nothing else.
            warnings.simplefilter("ignore")
            # ruamel would keep the first half of a Windows line end in the comment before it.
            lines = text.replace("\r\n", "\n")
            found = [one for one in yaml.load_all(lines) if one is not None]
        same = [typed(plain(one)) for one in found] == [typed(one) for one in values]
    except (YAMLError, ValueError, RecursionError):
        same = False
    return found if same and not _is_shared(found) else [from_json(one) for one in values]


def _is_shared(trees: list[Node]) -> bool:
    """Tell whether an anchor stands for several members, of which only one is to change."""
    seen: set[int] = set()
    waiting = list(trees)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict | list):
            continue
        if id(node) in seen:
            return True
        seen.add(id(node))
        waiting += node.values() if isinstance(node, dict) else node
    return False


def typed(value: JsonValue) -> object:
    """Return a form in which 1, 1.0 and true differ, and the order of keys does not matter."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    return (type(value).__name__, value)


def dump(documents: list[Node]) -> str:
    """Write documents."""
    out = io.StringIO()
    yaml = round_trip()
    yaml.explicit_start = False
    yaml.dump_all(documents, out)
    return out.getvalue().rstrip("\n") + "\n"


def new_map(**members: Node) -> Map:
    """Return a mapping of these members, in their order."""
    return cast("Map", CommentedMap(members))


def from_json(value: JsonValue, *, quoted: bool = False) -> Node:
    """
    Return plain data as people write it: blocks, scripts line by line, positions in one line.

    Args:
        quoted: braces that would be an expression stand for themselves
    """
    if isinstance(value, dict):
        return CommentedMap((key, from_json(one, quoted=quoted)) for key, one in value.items())
    if isinstance(value, list):
        items = CommentedSeq([from_json(one, quoted=quoted) for one in value])
        if not _has_objects(value):
            items.fa.set_flow_style()
        return items
    if isinstance(value, str):
        text = _EXPRESSION.sub(r"{{ '\g<0>' }}", value) if quoted else value
        return LiteralScalarString(text) if _is_block(text) else text
    return value


def _has_objects(value: list[JsonValue]) -> bool:
    return any(
        isinstance(one, dict) or (isinstance(one, list) and _has_objects(one)) for one in value
    )


def _is_block(text: str) -> bool:
    """A block keeps every sign but these; a text with them is quoted."""
    lines = text.split("\n")
    plain = all(sign == "\t" or sign >= " " for line in lines for sign in line)
    return len(lines) > 1 and plain and not text.startswith((" ", "\n")) and "\x85" not in text


def plain(node: Node) -> JsonValue:
    """Return the data of a tree."""
    if isinstance(node, dict):
        return {str(key): plain(one) for key, one in node.items()}
    if isinstance(node, list):
        return [plain(one) for one in node]
    if isinstance(node, str):
        return str(node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    return float(node) if isinstance(node, float) else str(node)


def rename(tree: Map, old: str, new: str) -> None:
    """Call a member differently, at its place."""
    at = list(tree).index(old)
    value, comment = take(tree, old)
    put(tree, new, value, at=at, comment=comment)


def take(tree: Map, name: str) -> tuple[Node, Node]:
    """Take a member out; return it, and the comment beside it."""
    comments = getattr(tree, "ca", None)
    comment = comments.items.pop(name, None) if comments is not None else None
    return tree.pop(name), comment


def put(tree: Map, name: str, value: Node, *, at: int | None = None, comment: Node = None) -> None:
    """Put a member in, at the end by default."""
    if name in tree:
        tree[name] = value
    else:
        cast("CommentedMap", tree).insert(len(tree) if at is None else at, name, value)
    if comment is not None:
        cast("CommentedMap", tree).ca.items[name] = comment


def without_comments(documents: list[Node]) -> list[Node]:
    """Return the same data afresh, where comments would be in the way."""
    return [from_json(plain(one)) for one in documents]
