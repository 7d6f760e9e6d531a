"""Which addresses a command is about."""

from __future__ import annotations

import pytest

from shplan.core.address import Address
from shplan.core.errors import PlanError
from shplan.core.selection import Candidate, Selection

FIELDS = Address("ByocCollection", "fields")
TILES = Address("ByocTiles", "fields")
NORTH = Address("ByocCollection", "region", "north")
SOUTH = Address("ByocCollection", "region", "south")
ALL = {
    FIELDS: Candidate(file="manifests/a.yaml", labels={"team": "blue"}),
    TILES: Candidate(depends_on=(FIELDS,), file="manifests/a.yaml", changed=True),
    NORTH: Candidate(file="manifests/sub/b.yaml"),
    SOUTH: Candidate(file="manifests/sub/b.yaml"),
}


@pytest.mark.parametrize(
    ("select", "exclude", "chosen"),
    [
        ((), (), set(ALL)),
        (("ByocCollection/fields",), (), {FIELDS}),
        (("ByocCollection/region",), (), {NORTH, SOUTH}),
        (("ByocCollection/region[north]",), (), {NORTH}),
        (("ByocCollection/*",), (), {FIELDS, NORTH, SOUTH}),
        (("label:team=blue",), (), {FIELDS}),
        (("path:manifests/a.yaml",), (), {FIELDS, TILES}),
        (("path:manifests/sub",), (), {NORTH, SOUTH}),
        (("state:changed",), (), {TILES}),
        (("+ByocTiles/fields",), (), {FIELDS, TILES}),
        (("ByocCollection/fields+",), (), {FIELDS, TILES}),
        (("ByocCollection/*",), ("ByocCollection/region",), {FIELDS}),
        ((), ("ByocTiles/*",), {FIELDS, NORTH, SOUTH}),
    ],
)
def test_expressions(
    select: tuple[str, ...], exclude: tuple[str, ...], chosen: set[Address]
) -> None:
    assert Selection(select, exclude).addresses(ALL) == chosen


@pytest.mark.parametrize(
    "wrong", ["ByocCollection/feilds", "label:team=red", "state:new", "path:x"]
)
def test_matching_nothing_is_an_error_with_the_nearest_name(wrong: str) -> None:
    with pytest.raises(PlanError) as caught:
        Selection((wrong,)).addresses(ALL)
    (diagnostic,) = caught.value.diagnostics
    assert wrong in diagnostic.what
    assert diagnostic.hint
