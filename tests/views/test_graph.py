"""The graph of resources as DOT, JSON and Mermaid."""

from __future__ import annotations

import html
import json
import random
import re
from pathlib import Path

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shplan.core.address import Address
from shplan.core.diagnostic import SourceSpan
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import Reference
from shplan.views.graph import Graph, graph_json, graph_of, render_dot, render_mermaid
from tests.views.plans import FIELDS, ORCHARDS, TILES

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "output" / "graph.json").read_text())


class Place:
    def span(self, path: object) -> SourceSpan:
        return SourceSpan("manifests/a.yaml", 4, 9, 10)


def resource(
    address: Address,
    *,
    refers_to: tuple[Address, ...] = (),
    depends_on: tuple[Address, ...] = (),
    managed: bool = True,
) -> Desired:
    return Desired(
        address,
        {},
        Place(),
        lifecycle=Lifecycle(managed=managed),
        references=tuple(Reference(one) for one in refers_to),
        depends_on=depends_on,
        labels={"crop": "wheat"},
    )


def graph(*resources: Desired) -> Graph:
    return graph_of(resources, project="farm", environment="sandbox")


SMALL = graph(
    resource(TILES, refers_to=(FIELDS,), depends_on=(FIELDS, ORCHARDS)),
    resource(FIELDS),
    resource(ORCHARDS, managed=False),
)


def test_an_arrow_leads_to_what_is_depended_on() -> None:
    assert render_dot(SMALL) == (
        'digraph "farm" {\n'
        "  rankdir=LR;\n"
        "  node [shape=box];\n"
        '  n0 [label="ByocCollection/fields"];\n'
        '  n1 [label="ByocCollection/orchards", style=dashed];\n'
        '  n2 [label="ByocTiles/fields"];\n'
        "  n2 -> n0;\n"
        "  n2 -> n1 [style=dashed];\n"
        "}\n"
    )


def test_mermaid_draws_the_same() -> None:
    assert render_mermaid(SMALL) == (
        "```mermaid\n"
        "flowchart LR\n"
        '  n0["ByocCollection/fields"]\n'
        '  n1(["ByocCollection/orchards"])\n'
        '  n2["ByocTiles/fields"]\n'
        "  n2 --> n0\n"
        "  n2 -.-> n1\n"
        "```\n\n3 resources, 2 dependencies.\n"
    )


def test_programs_read_the_same() -> None:
    document = graph_json(SMALL)
    assert document["edges"] == [
        {"from": "ByocTiles/fields", "to": "ByocCollection/fields", "by": "reference"},
        {"from": "ByocTiles/fields", "to": "ByocCollection/orchards", "by": "dependsOn"},
    ]
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for part in ({"more": 1}, {"format": 2}, {"nodes": [{}]}, {"edges": [{"from": "a"}]}):
        assert not jsonschema.Draft202012Validator(SCHEMA).is_valid({**document, **part})


def test_data_is_drawn_as_what_is_only_read() -> None:
    made = resource(Address("CatalogSearch", "scenes"))
    drawn = graph_of((made,), project="farm", environment="x", data=frozenset({made.address}))
    assert "style=dashed" in render_dot(drawn)
    assert "([" in render_mermaid(drawn)
    assert graph_json(drawn)["nodes"][0]["managed"] is False  # type: ignore[index,call-overload]
    assert "style=dashed" not in render_dot(graph(made))


def test_what_is_not_shown_has_no_arrow() -> None:
    assert graph(resource(TILES, refers_to=(FIELDS,))).edges == ()


def test_a_graph_that_nobody_draws_is_counted() -> None:
    many = [
        resource(Address("ByocTiles", f"t{number}"), refers_to=(FIELDS,)) for number in range(501)
    ]
    told = render_mermaid(graph(resource(FIELDS), *many))
    assert told.startswith("502 resources, 501 dependencies. ")
    assert "```" not in told
    assert len(render_dot(graph(resource(FIELDS), *many)).splitlines()) == 502 + 501 + 4


NAMES = st.text(min_size=1, max_size=12)
ADDRESSES = st.builds(Address, st.just("ByocTiles"), NAMES, st.none() | NAMES)


@st.composite
def graphs(draw: st.DrawFn) -> list[Desired]:
    addresses = draw(st.lists(ADDRESSES, unique=True, max_size=6))
    return [
        resource(
            one,
            refers_to=tuple(draw(st.lists(st.sampled_from(addresses[:at]), max_size=3)))
            if at
            else (),
            managed=draw(st.booleans()),
        )
        for at, one in enumerate(addresses)
    ]


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(found: list[Desired], source: random.Random) -> None:
    shuffled = source.sample(found, len(found))
    for render in (render_dot, render_mermaid, lambda one: json.dumps(graph_json(one))):
        assert render(graph(*shuffled)) == render(graph(*found))


QUOTED = r'"((?:[^"\\]|\\.)*)"'


def shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


@given(graphs(), st.text())
def test_no_name_breaks_out_of_dot(found: list[Desired], project: str) -> None:
    """Read back by DOT's own rule of quoting, every label is the address again."""
    made = graph_of(found, project=project, environment="sandbox")
    first, *lines = render_dot(made).splitlines()
    assert re.fullmatch(rf"digraph {QUOTED} \{{", first)
    labels = [
        match[1]
        for line in lines
        if (match := re.fullmatch(rf"  n\d+ \[label={QUOTED}(?:, style=dashed)?\];", line))
    ]
    read = [html.unescape(re.sub(r"\\(.)", r"\1", one)) for one in labels]
    assert read == [shown(str(node.address)) for node in made.nodes]
    assert len(lines) == len(labels) + len(made.edges) + 3


@given(graphs())
def test_no_name_breaks_out_of_mermaid(found: list[Desired]) -> None:
    made = graph(*found)
    fence, _, told = [
        one
        for one in MarkdownIt("commonmark").parse(render_mermaid(made))
        if one.type in ("fence", "paragraph_open", "inline")
    ]
    assert told.content.startswith(f"{len(made.nodes)} resource")
    _, *lines = fence.content.splitlines()
    labels = [
        match[1]
        for line in lines
        if (match := re.fullmatch(r'  n\d+\(?\["([^"`<>&\\]*)"\]\)?', line))
    ]
    read = [re.sub(r"#(\d+);", lambda one: chr(int(one[1])), label) for label in labels]
    assert read == [shown(str(node.address)) for node in made.nodes]
    assert len(lines) == len(labels) + len(made.edges)
