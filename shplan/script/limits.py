"""
What a script may use up. The defaults are ours: the service publishes no limits.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limits of one worker.

    Args:
        time_s: for one call into a script, in seconds; the engine ends the call, and where it cannot,
            the parent ends the worker a little later
        heap_mb: what the engine's heap may hold, in MiB
        data_mb: all writable memory of the worker process, in MiB, where the platform counts it;
            room for the engine itself included; what pixels need is added
        pixels_s: for all calls of one request into what a script does with pixels, in seconds
        million_s: as much more for each million samples that the script is given there
        block_mb: how much of pixels is handed over at once, values that come back included, in MiB
        result_mb: what all values that come back may take in our own process, in MiB
    """

    time_s: float = 2.0
    heap_mb: int = 256
    data_mb: int = 1024
    pixels_s: float = 5.0
    million_s: float = 0.5
    block_mb: int = 32
    result_mb: int = 2048
