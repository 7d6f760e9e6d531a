"""
The table of kinds. A new kind is one provider module and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shplan.providers.base import Provider
from shplan.providers.batch_process import BatchProcess
from shplan.providers.byoc_collection import ByocCollection
from shplan.providers.byoc_tiles import ByocTiles
from shplan.providers.evalscript import Evalscript

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "BatchProcess": BatchProcess(),
        "ByocCollection": ByocCollection(),
        "ByocTiles": ByocTiles(),
        "Evalscript": Evalscript(),
    }
)
