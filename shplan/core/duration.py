"""
Durations as manifests write them: `1h30m`, `20s`, `500ms`.
"""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration whose form a schema has accepted."""
    return sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(text))
