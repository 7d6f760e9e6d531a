"""
The table of kinds. A new kind is one provider module and one line here.

A provider is imported when its kind is asked for: most projects have few kinds, and a plan should
not wait for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from shplan.providers.base import Provider


def _async_process() -> Provider:
    from shplan.providers.async_process import AsyncProcess  # noqa: PLC0415 - when it is needed

    return AsyncProcess()


def _batch_collection() -> Provider:
    from shplan.providers.batch_collection import BatchCollection  # noqa: PLC0415

    return BatchCollection()


def _batch_process() -> Provider:
    from shplan.providers.batch_process import BatchProcess  # noqa: PLC0415 - when it is needed

    return BatchProcess()


def _batch_statistics() -> Provider:
    from shplan.providers.batch_statistics import BatchStatistics  # noqa: PLC0415

    return BatchStatistics()


def _byoc_collection() -> Provider:
    from shplan.providers.byoc_collection import ByocCollection  # noqa: PLC0415

    return ByocCollection()


def _byoc_tiles() -> Provider:
    from shplan.providers.byoc_tiles import ByocTiles  # noqa: PLC0415

    return ByocTiles()


def _catalog_search() -> Provider:
    from shplan.providers.catalog_search import CatalogSearch  # noqa: PLC0415

    return CatalogSearch()


def _evalscript() -> Provider:
    from shplan.providers.evalscript import Evalscript  # noqa: PLC0415

    return Evalscript()


def _process() -> Provider:
    from shplan.providers import process  # noqa: PLC0415

    return process.provider()


def _statistics() -> Provider:
    from shplan.providers import statistics  # noqa: PLC0415

    return statistics.provider()


def _tiling_grid() -> Provider:
    from shplan.providers.tiling_grid import TilingGrid  # noqa: PLC0415

    return TilingGrid()


def _zarr_collection() -> Provider:
    from shplan.providers.zarr_collection import ZarrCollection  # noqa: PLC0415

    return ZarrCollection()


class Registry(Mapping[str, Provider]):
    """The providers by kind, each made when it is first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Provider]]) -> None:
        self._makers = makers
        self._made: dict[str, Provider] = {}

    def __getitem__(self, kind: str) -> Provider:
        if kind not in self._made:
            self._made[kind] = self._makers[kind]()
        return self._made[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


PROVIDERS: Mapping[str, Provider] = Registry(
    {
        "AsyncProcess": _async_process,
        "BatchCollection": _batch_collection,
        "BatchProcess": _batch_process,
        "BatchStatistics": _batch_statistics,
        "ByocCollection": _byoc_collection,
        "ByocTiles": _byoc_tiles,
        "CatalogSearch": _catalog_search,
        "Evalscript": _evalscript,
        "Process": _process,
        "Statistics": _statistics,
        "TilingGrid": _tiling_grid,
        "ZarrCollection": _zarr_collection,
    }
)
