"""
The graph of resources as DOT, JSON and Mermaid: what is declared, and what depends on what.

An edge leads from what depends to what it depends on. Nodes are numbered in the order of
addresses, so that no name has to be an identifier of the language; names stand in labels only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shplan.core.address import Address
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue
from shplan.views.markdown import LIMIT
from shplan.views.values import amount, safe

GRAPH_FORMAT = 1
# Source: Mermaid's configuration, `maxEdges`: more are refused by whoever draws it.
_MOST_EDGES = 500


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """
    One dependency.

    Args:
        dependent: what needs the other
        on: what is needed
        by: `reference` for an expression, `dependsOn` for what is only stated there
    """

    dependent: Address
    on: Address
    by: str


@dataclass(frozen=True, slots=True)
class Graph:
    """
    Resources and the dependencies between them, sorted.

    Args:
        data: addresses that are only read, whatever their manifest says
    """

    project: str
    environment: str
    nodes: tuple[Desired, ...]
    edges: tuple[Edge, ...]
    data: frozenset[Address] = frozenset()

    def manages(self, node: Desired) -> bool:
        """Tell whether a resource is managed, and not only read."""
        return node.lifecycle.managed and node.address not in self.data


def graph_of(
    resources: Sequence[Desired],
    *,
    project: str,
    environment: str,
    data: frozenset[Address] = frozenset(),
) -> Graph:
    """
    Return the graph of some resources; an edge needs both its ends among them.

    Args:
        resources: in any order
        data: addresses of those that are only read
    """
    known = {one.address for one in resources}
    nodes = tuple(sorted(resources, key=lambda one: one.address))
    edges = {edge for one in nodes for edge in _edges(one) if edge.on in known}
    return Graph(project, environment, nodes, tuple(sorted(edges)), data)


def _edges(one: Desired) -> Iterator[Edge]:
    referred = {reference.address for reference in one.references}
    yield from (Edge(one.address, on, "reference") for on in referred)
    yield from (Edge(one.address, on, "dependsOn") for on in set(one.depends_on) - referred)


def render_dot(graph: Graph) -> str:
    """Return the graph in the language of Graphviz; `dot -Tsvg` draws it."""
    numbers = _numbers(graph)
    lines = [f"digraph {_dot(graph.project)} {{", "  rankdir=LR;", "  node [shape=box];"]
    for node in graph.nodes:
        style = "" if graph.manages(node) else ", style=dashed"
        lines.append(f"  n{numbers[node.address]} [label={_dot(str(node.address))}{style}];")
    for edge in graph.edges:
        style = "" if edge.by == "reference" else " [style=dashed]"
        lines.append(f"  n{numbers[edge.dependent]} -> n{numbers[edge.on]}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def render_mermaid(graph: Graph, *, limit: int = LIMIT) -> str:
    """
    Return the graph as Markdown: a block that GitHub and GitLab draw.

    Args:
        limit: characters that it may have; a larger graph is only counted
    """
    numbers = _numbers(graph)
    lines = ["flowchart LR"]
    for node in graph.nodes:
        shape = "[{}]" if graph.manages(node) else "([{}])"
        lines.append(f"  n{numbers[node.address]}{shape.format(_mermaid(str(node.address)))}")
    for edge in graph.edges:
        arrow = "-->" if edge.by == "reference" else "-.->"
        lines.append(f"  n{numbers[edge.dependent]} {arrow} n{numbers[edge.on]}")
    body = "\n".join(lines)
    counted = f"{amount(len(graph.nodes), 'resource')}, {_dependencies(len(graph.edges))}."
    if len(graph.edges) > _MOST_EDGES or len(body) + 100 > limit:
        return f"{counted} This is too large to be drawn here; `--select` draws a part.\n"
    return f"```mermaid\n{body}\n```\n\n{counted}\n"


def graph_json(graph: Graph) -> JsonObject:
    """Return the graph for programs; `schemas/output/graph.json` describes it."""
    nodes: list[JsonValue] = [_node(graph, node) for node in graph.nodes]
    edges: list[JsonValue] = [
        {"from": str(edge.dependent), "to": str(edge.on), "by": edge.by} for edge in graph.edges
    ]
    return {
        "format": GRAPH_FORMAT,
        "project": graph.project,
        "environment": graph.environment,
        "nodes": nodes,
        "edges": edges,
    }


def _node(graph: Graph, node: Desired) -> JsonObject:
    return {
        "address": str(node.address),
        "kind": node.address.kind,
        "managed": graph.manages(node),
        "members": len(node.members),
        "labels": {**node.labels},
        "source": str(node.source.span(("metadata", "name"))),
    }


def _numbers(graph: Graph) -> dict[Address, int]:
    return {node.address: number for number, node in enumerate(graph.nodes)}


def _dependencies(number: int) -> str:
    return f"{number:,} dependency" if number == 1 else f"{number:,} dependencies"


def _dot(text: str) -> str:
    """
    Quote a text.

    Source: Graphviz, "DOT Language" and "escString": in quotes only the quote is escaped; in a
    label a backslash begins an escape, and an ampersand an entity of HTML.
    """
    shown = safe(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{shown}"'


def _mermaid(text: str) -> str:
    """
    Quote a text; what Mermaid or a browser would read stands there as its number.

    Source: Mermaid, "Flowcharts: Entity codes to escape characters": `#35;` is the sign 35.
    """
    shown = "".join(
        one if one.isalnum() or one in " /[]-_.,:=+" else f"#{ord(one)};" for one in safe(text)
    )
    return f'"{shown}"'
