"""
httpx without its own command line, which costs a fifth of its import and is never used here.

httpx does without its command line where click, rich or pygments are not installed; hiding
the module for the moment of the import takes that way. 20 ms of every command.
"""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"

_hidden = "httpx" not in sys.modules and _COMMAND_LINE not in sys.modules
if _hidden:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # how Python spells "not there"
try:
    import httpx
finally:
    if _hidden:
        del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
