"""The images of the public collections, made of place, date and band."""

from shplan.sandbox.imagery.grid import snap
from shplan.sandbox.imagery.reading import DATA_MASK, bands, read
from shplan.sandbox.imagery.sensor import Band

__all__ = ["DATA_MASK", "Band", "bands", "read", "snap"]
