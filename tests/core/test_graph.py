"""The order of things."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.graph import CycleError, closure, levels, order, reverse

NODES = [Address("Kind", f"n{number:02d}") for number in range(12)]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[Address, list[Address]]:
    """Each node depends only on earlier ones."""
    return {
        node: draw(st.lists(st.sampled_from(NODES[:at]), unique=True)) if at else []
        for at, node in enumerate(NODES)
    }


@given(acyclic())
def test_dependencies_precede_dependents(graph: dict[Address, list[Address]]) -> None:
    placed = {node: at for at, node in enumerate(order(graph))}
    assert set(placed) == set(graph)
    assert all(placed[on] < placed[node] for node, needed in graph.items() for on in needed)


@given(acyclic(), st.randoms(use_true_random=False))
def test_the_order_of_input_does_not_matter(
    graph: dict[Address, list[Address]], rng: random.Random
) -> None:
    nodes = list(graph)
    rng.shuffle(nodes)
    shuffled = {node: rng.sample(graph[node], len(graph[node])) for node in nodes}
    assert order(shuffled) == order(graph)
    assert levels(shuffled) == levels(graph)


def test_a_circle_is_named_by_its_members_from_the_smallest() -> None:
    a, b, c, d = NODES[:4]
    with pytest.raises(CycleError) as caught:
        order({d: [c], c: [b], b: [a], a: [c]})
    assert str(caught.value) == f"{a} -> {c} -> {b} -> {a}"


def test_what_is_not_in_the_graph_is_no_obstacle() -> None:
    a, b = NODES[:2]
    assert order({b: [a]}) == (b,)


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [Address("Kind", f"{number:06d}") for number in range(20_000)]
    graph = {node: chain[at - 1 : at] if at else [] for at, node in enumerate(chain)}
    assert order(graph) == tuple(chain)


@given(acyclic())
def test_the_closure_of_the_reverse_finds_every_dependent(
    graph: dict[Address, list[Address]],
) -> None:
    for node in graph:
        reached = closure([node], graph)
        assert all(node in closure([on], reverse(graph)) for on in reached)
