"""
The routes of the Catalog API; what they answer stands in `catalog_answers`.

Source: catalog operations of the OpenAPI document; STAC API 1.0.0. Paths are in the newer style; the
older is an alias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox.catalog_marks import Marks
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from shplan.sandbox.world import World

BASE = "/catalog/v1"


def routes(world: World) -> list[Route]:
    """The routes of the catalogue."""
    marks = Marks()
    one = f"{BASE}/collections/{{collection_id}}"
    table = {
        BASE: {"GET": Operation(_later("landing"), is_open=True)},
        f"{BASE}/conformance": {"GET": Operation(_later("conformance"), is_open=True)},
        f"{BASE}/collections": {"GET": Operation(_later("list_collections"))},
        one: {"GET": Operation(_later("get_collection"))},
        f"{one}/queryables": {"GET": Operation(_later("get_queryables"))},
        f"{one}/items": {"GET": Operation(_later("list_items", marks=marks))},
        f"{one}/items/{{item_id:path}}": {"GET": Operation(_later("get_item"))},
        f"{BASE}/search": {
            "GET": Operation(_later("get_search", marks=marks)),
            "POST": Operation(_later("post_search", marks=marks)),
        },
    }
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


def _later(name: str, **given: Marks) -> Callable[[Call], Reply | Later]:
    """The answer of that name: geometry and filters are loaded when somebody asks first."""

    def answer(call: Call) -> Reply | Later:
        from shplan.sandbox import catalog_answers  # noqa: PLC0415 see above

        return cast("Reply | Later", getattr(catalog_answers, name)(call, **given))

    return answer
