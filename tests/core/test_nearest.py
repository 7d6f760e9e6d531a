"""Which name is offered to people who mistyped one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.nearest import distance, nearest
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import table

S2 = ("B01", "B02", "B03", "B04", "B08", "B8A", "SCL", "CLM", "CLP", "AOT", "SNW", "dataMask")
OUTPUTS = ("default", "dataMask", "ndvi", "true_color", "classification")
FIELDS = (
    "processRequest",
    "evalscript",
    "input",
    "output",
    "aggregation",
    "calculations",
    "bounds",
)
TYPES = tuple(str(one["type"]) for one in table("missions")["missions"])  # type: ignore[union-attr, index, call-overload]


@pytest.mark.parametrize(
    ("written", "meant", "known"),
    [
        ("Proces", "Process", PROVIDERS),
        ("process", "Process", PROVIDERS),
        ("Prcoess", "Process", PROVIDERS),
        ("Processs", "Process", PROVIDERS),
        ("AsyncProces", "AsyncProcess", PROVIDERS),
        ("Async", "AsyncProcess", PROVIDERS),
        ("BatchProces", "BatchProcess", PROVIDERS),
        ("batch-process", "BatchProcess", PROVIDERS),
        ("Statistic", "Statistics", PROVIDERS),
        ("Statistical", "Statistics", PROVIDERS),
        ("Statistcs", "Statistics", PROVIDERS),
        ("BatchStatistical", "BatchStatistics", PROVIDERS),
        ("BatchStats", "BatchStatistics", PROVIDERS),
        ("EvalScript", "Evalscript", PROVIDERS),
        ("Evalscripts", "Evalscript", PROVIDERS),
        ("ByocColection", "ByocCollection", PROVIDERS),
        ("ByocTile", "ByocTiles", PROVIDERS),
        ("Tiles", "ByocTiles", PROVIDERS),
        ("ZarrColection", "ZarrCollection", PROVIDERS),
        ("Zarr", "ZarrCollection", PROVIDERS),
        ("Catalog", "CatalogSearch", PROVIDERS),
        ("CatalogueSearch", "CatalogSearch", PROVIDERS),
        ("TillingGrid", "TilingGrid", PROVIDERS),
        ("Deployment", None, PROVIDERS),
        ("B4", "B04", S2),
        ("B8", "B08", S2),
        ("b04", "B04", S2),
        ("B10", None, S2),
        ("B08A", "B8A", S2),
        ("SLC", "SCL", S2),
        ("dataMaks", "dataMask", S2),
        ("data_mask", "dataMask", S2),
        ("mask", "dataMask", S2),
        ("2026", "2025", ("2023", "2024", "2025")),
        ("NDVI", "ndvi", OUTPUTS),
        ("ndvii", "ndvi", OUTPUTS),
        ("defualt", "default", OUTPUTS),
        ("trueColour", "true_color", OUTPUTS),
        ("procesRequest", "processRequest", FIELDS),
        ("process", "processRequest", FIELDS),
        ("evalScript", "evalscript", FIELDS),
        ("calculation", "calculations", FIELDS),
        ("outputs", "output", FIELDS),
        ("bound", "bounds", FIELDS),
        ("sentinel-2-l2", "sentinel-2-l2a", TYPES),
        ("sentinel2-l2a", "sentinel-2-l2a", TYPES),
        ("sentinel-3-slst-l2", "sentinel-3-slstr-l2", TYPES),
        ("landsat-ot-l3", "landsat-ot-l1", TYPES),
    ],
)
def test_typos_are_told_what_was_meant(
    written: str, meant: str | None, known: tuple[str, ...]
) -> None:
    assert nearest(written, known) == meant


@given(st.sampled_from(sorted(PROVIDERS)), st.data())
def test_a_letter_left_out_of_a_kind_is_found(kind: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(kind) - 1))
    assert nearest(kind[:index] + kind[index + 1 :], PROVIDERS) == kind


@given(st.sampled_from(sorted(PROVIDERS)), st.data())
def test_two_letters_of_a_kind_that_changed_places_are_found(
    kind: str, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(kind) - 2))
    turned = kind[:index] + kind[index + 1] + kind[index] + kind[index + 2 :]
    assert nearest(turned, PROVIDERS) == kind


words = st.text("abcd", max_size=6)


@given(words, words)
def test_a_distance_is_none_to_oneself_and_the_same_both_ways(one: str, other: str) -> None:
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) == distance(other, one)
    assert distance(one, other) <= max(len(one), len(other))


@given(st.lists(words, max_size=8), words)
def test_the_order_of_names_does_not_matter(known: list[str], written: str) -> None:
    assert nearest(written, known) == nearest(written, reversed(known))
    assert nearest(written, known) in {None, *known}
